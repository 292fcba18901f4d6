"""exp, erf, tanh and sigmoid of 32-bit numbers as arithmetic that works on whole vectors.

exp follows Cody and Waite, *Software Manual for the Elementary Functions* (1980): exp(x) = 2^n exp(r), where the
remainder r is exact to twice the precision and exp(r) a polynomial. erf and tanh are rational functions, odd over even,
up to where the result is 1. The coefficients are minimax in relative error (Lawson's weighted least squares).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tvm import ir, tirx

from hwloop.exporter.compiler.rules.microkernel import kind

# 2^23 * 1.5: added to a small number, it leaves that number rounded in the lowest bits of the sum.
ROUNDING, ROUNDING_BITS = 12582912.0, 0x4B400000
LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.428606765330187e-06
EXP = (0.499992311000824, 0.16667115688323975, 0.041890330612659454, 0.008312501013278961)
EXP_ZERO_BELOW, EXP_INFINITE_ABOVE = -104.0, 89.0
ERF_OVER = (
    1.1283791065216064,
    0.19059303402900696,
    0.05276918038725853,
    0.0037725132424384356,
    0.00028484174981713295,
    2.0460204268601956e-06,
)
ERF_UNDER = (
    1.0,
    0.5022414326667786,
    0.11418240517377853,
    0.01498312409967184,
    0.0011638470459729433,
    3.8047608541091904e-05,
)
ERF_ONE_FROM = 3.925
TANH_OVER = (1.0, 0.1338101327419281, 0.0034955742303282022, 2.0608853446901776e-05, 1.3354354067018903e-08)
TANH_UNDER = (1.0, 0.46714329719543457, 0.025876928120851517, 0.0003285612037871033, 7.776430379635713e-07)
TANH_ONE_FROM = 9.0


@functools.cache
def install() -> None:
    """Have TVM's LLVM code generation use these functions, in every kernel that this process compiles from now on."""
    for name, make in (("tirx.exp", exp), ("tirx.erf", erf), ("tirx.tanh", tanh), ("tirx.sigmoid", sigmoid)):
        before = ir.Op.get(name).get_attr("llvm.FLowerIntrinsic")
        tirx.register_intrin_lowering(name, "llvm", f=_on_floats(make, before), level=99)


def exp(x: Any) -> Any:
    """Return e to the power of an expression, to 3 units in the last place, subnormal results too."""

    def of(clamped: Any) -> Any:
        lanes = _lanes(x)
        sum_ = tirx.Var("shifted", x.ty)
        turns = tirx.Var("turns", x.ty)
        rest = tirx.Var("rest", x.ty)
        power = tirx.Var("power", tirx.const(0, kind("int32", lanes)).ty)
        half = tirx.Var("half", power.ty)
        whole = rest * rest * _polynomial(EXP, rest) + rest + _number(1.0, x)
        # Twice half the power, as 2^n itself may lie beyond what a float's exponent can say.
        scaled = whole * _power_of_two(half, lanes) * _power_of_two(power - half, lanes)
        scaled = tirx.Let(half, tirx.shift_right(power, _integer(1, lanes)), scaled)
        scaled = tirx.Let(power, _bits(sum_, lanes) - _integer(ROUNDING_BITS, lanes), scaled)
        remainder = clamped - turns * _number(LN2_HIGH, x) - turns * _number(LN2_LOW, x)
        scaled = tirx.Let(rest, remainder, scaled)
        scaled = tirx.Let(turns, sum_ - _number(ROUNDING, x), scaled)
        return tirx.Let(sum_, clamped * _number(LOG2_E, x) + _number(ROUNDING, x), scaled)

    return _clamped(x, EXP_ZERO_BELOW, EXP_INFINITE_ABOVE, of)


def erf(x: Any) -> Any:
    """Return the error function of an expression, to 4e-7 and 6 units in the last place."""
    return _odd_rational(x, ERF_OVER, ERF_UNDER, ERF_ONE_FROM)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of an expression, to 3e-7 and 5 units in the last place."""
    return _odd_rational(x, TANH_OVER, TANH_UNDER, TANH_ONE_FROM)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), to 4 units in the last place."""
    return _number(1.0, x) / (_number(1.0, x) + exp(_number(0.0, x) - x))


def _on_floats(make: Callable[[Any], Any], before: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Return a lowering of calls on 32-bit numbers; others are lowered as `before`."""

    def lower(call: Any) -> Any:
        (x,) = call.args
        if x.ty.dtype.bits == 32:
            return make(x)
        return before(call) if before else call

    return lower


def _odd_rational(x: Any, over: Sequence[float], under: Sequence[float], limit: float) -> Any:
    def of(clamped: Any) -> Any:
        square = tirx.Var("square", x.ty)
        ratio = clamped * _polynomial(over, square) / _polynomial(under, square)
        return tirx.Let(square, clamped * clamped, _clamped(ratio, -1.0, 1.0, lambda value: value))

    return _clamped(x, -limit, limit, of)


def _clamped(x: Any, least: float, most: float, use: Callable[[Any], Any]) -> Any:
    """Return `use` of an expression kept within bounds; NaN stays NaN, as no comparison with it holds."""
    value, above, within = (tirx.Var(name, x.ty) for name in ("value", "above", "within"))
    low, high = _number(least, x), _number(most, x)
    inner = tirx.Let(within, tirx.Select(high < above, high, above), use(within))
    return tirx.Let(value, x, tirx.Let(above, tirx.Select(value < low, low, value), inner))


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    *lower, total = (_number(value, x) for value in coefficients)
    for value in reversed(lower):
        total = total * x + value
    return total


def _power_of_two(exponent: Any, lanes: int) -> Any:
    biased = tirx.shift_left(exponent + _integer(127, lanes), _integer(23, lanes))
    return tirx.reinterpret(kind("float32", lanes), biased)


def _bits(x: Any, lanes: int) -> Any:
    return tirx.reinterpret(kind("int32", lanes), x)


def _lanes(x: Any) -> int:
    return int(x.ty.dtype.lanes)


def _number(value: float, like: Any) -> Any:
    return tirx.const(value, str(like.ty.dtype))


def _integer(value: int, lanes: int) -> Any:
    return tirx.const(value, kind("int32", lanes))
