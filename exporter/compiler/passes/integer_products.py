"""Products and convolutions of quantized tensors as products of their whole numbers, scaled afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from tvm import ir, relax, te, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import DOT, PANEL, PRODUCT, Panels
from hwloop.exporter.compiler.passes.convolutions import channels_together, window_of
from hwloop.exporter.compiler.passes.products import OUT_ELEMENTWISE, broadcast
from hwloop.exporter.compiler.passes.quantized_views import DEQUANTIZE, along, is_call, number_of
from hwloop.exporter.compiler.passes.shapes import shape_of
from hwloop.exporter.compiler.passes.views import View, look_through
from hwloop.exporter.compiler.rules.integer_dot import IntegerDot, byte_dot, word_dot
from hwloop.exporter.compiler.rules.microkernel import best_tile

BYTES = ("int8", "uint8")
Reading = tuple[Sequence[Any], Any]  # where a number is, and the condition that it is there, or None
Read = Callable[[Sequence[Any], Any], Reading]  # of an element of a product and a step of its reduction


def rewrite_integer_products(module: Any, machine: Machine) -> Any:
    """Return the module with its integer matmuls, and those of dequantized sides, marked for `rules/integer_matmul.py`.

    So are convolutions by constants, over images with their channels last: each place of the result is a row.

    With a constant right side that fits in the bytes of the machine's instruction, the left side's zero point is
    taken off afterwards, as a multiple of the columns' sums; otherwise both sides lose theirs first, as 16 bits.
    """
    rewriter = _Rewriter(module, machine)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            rewriter.builder_.update_func(variable, rewriter.visit_expr(function))
    return relax.transform.DeadCodeElimination()(rewriter.builder_.finalize())


@dataclass(frozen=True)
class _Side:
    """A `view` of a tensor of bytes, each less `shift` and less the one number in the tensor `zero`, times `scale`.

    Places in the padding of an image hold the number in the tensor `padding`, or else what is 0 in the end.
    """

    view: View
    scale: Any = None
    zero: Any = None
    shift: int = 0
    padding: Any = None

    @property
    def parameters(self) -> list[Any]:
        """Return what a kernel that reads this side needs besides the values.

        A zero point that is known is given to the kernel all the same, so that equal layers share it.
        """
        return [tensor for tensor in (self.zero, self.padding) if tensor is not None]


@dataclass(frozen=True)
class _Weights:
    """A constant side: whole numbers of `[..., depth, columns]`, and a scale for all or for each column."""

    numbers: Any
    scale: Any = None


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, module: Any, machine: Machine) -> None:
        super().__init__(module)
        self._machine = machine

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if is_call(call, "relax.nn.conv2d"):
            made = self._convolution(call)
            return call if made is None else made
        if not is_call(call, "relax.matmul"):
            return call
        shapes = [shape for shape in map(shape_of, call.args) if shape is not None and len(shape) > 1]
        result = shape_of(call)
        if result is None or len(shapes) < 2:
            return call
        left = self._side(call.args[0])
        if left is None:
            return call
        weights = self._weights(call.args[1], shapes[1])
        if weights is not None:
            if weights.numbers.shape[:-2] not in ((), result[:-2]):
                return call
            made = self._by_weights(left, weights, _rows_of(shapes[0]), result)
            return call if made is None else made
        right = self._side(call.args[1])
        if right is None or (left.scale is None) != (right.scale is None):
            return call
        whole = self._plain(left, right, shapes, result)
        return whole if left.scale is None else self._scaled(whole, np.float32(left.scale * right.scale))

    def _made(self, value: Any) -> Any:
        return self.lookup_binding(value) if isinstance(value, relax.Var) else value

    def _side(self, value: Any) -> _Side | None:
        """Return a value as bytes with a zero point, if it is that, or a view of it."""
        outer = look_through(value, self.lookup_binding, scales=False)
        side = self._bytes(outer.source)
        if side is None:
            return None
        return replace(side, view=outer.of(look_through(side.view.source, self.lookup_binding, scales=False)))

    def _bytes(self, value: Any) -> _Side | None:
        made = self._made(value)
        if is_call(made, DEQUANTIZE):
            values, scale, zero = made.args
            numbers = number_of(scale), number_of(zero)
            if str(values.ty.dtype) in BYTES and None not in numbers:
                return _Side(_all_of(values), float(numbers[0]), _zero(numbers[1]))  # type: ignore[arg-type]
            return None
        zero = None
        if is_call(made, "relax.subtract"):
            value, zero = made.args
            made, zero = self._made(value), self._made(zero)
        if not is_call(made, "relax.astype") or str(made.args[0].ty.dtype) not in BYTES:
            return None
        values = made.args[0]
        if str(made.ty.dtype) != "int32":
            return None
        if zero is None or number_of(zero) is not None:
            return _Side(_all_of(values), zero=_zero(number_of(zero)))
        if is_call(zero, "relax.astype") and shape_of(zero) == () and str(zero.args[0].ty.dtype) in BYTES:
            return _Side(_all_of(values), zero=zero.args[0])
        return None

    def _weights(
        self, value: Any, shape: Sequence[int], matrix: Callable[[Any], Any] = lambda numbers: numbers
    ) -> _Weights | None:
        """Return a value as constant whole numbers, if it is that, in the form that `matrix` gives them."""
        view = look_through(value, self.lookup_binding, scales=False)
        made = self._made(view.source)
        places = tuple(view.place(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")))
        if isinstance(made, ir.GenericConst) and str(made.ty.dtype) == "int32":
            return _Weights(matrix(made.value.numpy()[places]))
        if not is_call(made, DEQUANTIZE) or not all(isinstance(part, ir.GenericConst) for part in made.args):
            return None
        values, scale, zero = (part.value.numpy() for part in made.args)
        if str(values.dtype) not in BYTES:
            return None
        axis = int(made.attrs.axis)
        numbers = matrix((values.astype("int32") - along(zero.astype("int32"), values, axis))[places])
        scales = matrix(np.broadcast_to(along(scale, values, axis), values.shape)[places])
        if (scales != scales[..., :1, :]).any():
            return None
        return _Weights(numbers, scales[..., 0, :])

    def _convolution(self, call: Any) -> Any | None:
        """Return a dense convolution as a product; None of any other."""
        attributes, (data, weight) = call.attrs, call.args
        shape, result, kernel = shape_of(data), shape_of(call), shape_of(weight)
        if attributes.data_layout != "NHWC" or int(attributes.groups) != 1 or not shape or not result or not kernel:
            return None
        left = self._side(data)
        if left is None:
            return None
        out, channels, height, width = kernel
        together = channels_together(left.view)
        order = (2, 3, 1, 0) if together else (1, 2, 3, 0)
        weights = self._weights(weight, kernel, lambda numbers: numbers.transpose(order).reshape(-1, out))
        if weights is None:
            return None
        window = window_of(attributes, shape, (height, width))

        def read(place: Sequence[Any], step: Any) -> Reading:
            batch, row, column, _ = place
            inner = channels if together else height * width
            at, channel = (step // inner, step % inner) if together else (step % inner, step // inner)
            down, across = at // width, at % width
            inside = window.inside(row, column, down, across, result[1:3])
            return [batch, window.row(row, down), window.column(column, across), channel], inside

        return self._by_weights(left, weights, read, result)

    def _by_weights(self, left: _Side, weights: _Weights, read: Read, result: Sequence[int]) -> Any | None:
        """Return the product with packed weights, exact or scaled; None if they are not of any instruction's."""
        numbers = weights.numbers
        if (left.scale is None) != (weights.scale is None):
            return None
        least, greatest = int(numbers.min()), int(numbers.max())
        fast, words = byte_dot(self._machine), word_dot(self._machine)
        if fast is not None and fast.holds(least, greatest):
            whole = self._by_bytes(left, numbers, fast, read, result)
        elif words.holds(least, greatest):
            whole = self._packed(left, numbers, words, read, result)
        else:
            return None
        if left.scale is None:
            return whole
        scale = weights.scale if weights.scale.ndim < 2 else weights.scale[..., None, :]
        return self._scaled(whole, np.float32(left.scale) * scale)

    def _by_bytes(self, left: _Side, numbers: Any, dot: IntegerDot, read: Read, result: Sequence[int]) -> Any:
        """Return the product of bytes, moved into the instruction's range, and put right by the columns' sums."""
        low, high = (np.iinfo(str(left.view.source.ty.dtype)).min, dot.left_range[0])
        padding = relax.const(0, "int32") if left.zero is None else left.zero
        whole = self._packed(_Side(left.view, shift=low - high, padding=padding), numbers, dot, read, result)
        sums = numbers.sum(axis=-2, keepdims=numbers.ndim > 2).astype("int32")
        known = 0 if left.zero is None else number_of(left.zero)
        if known is not None:
            off = (int(known) - (low - high)) * sums
            return self.builder_.emit(relax.op.subtract(whole, relax.const(off, "int32"))) if off.any() else whole
        zero = relax.op.astype(left.zero, "int32")
        if low != high:
            zero = relax.op.subtract(zero, relax.const(low - high, "int32"))
        off = relax.op.multiply(self.builder_.emit(zero), relax.const(sums, "int32"))
        return self.builder_.emit(relax.op.subtract(whole, self.builder_.emit(off)))

    def _packed(self, left: _Side, numbers: Any, dot: IntegerDot, read: Read, result: Sequence[int]) -> Any:
        depth, columns = numbers.shape[-2:]
        batched, lanes, group = numbers.ndim - 2, self._machine.float_lanes, dot.group
        steps = -(-depth // group)
        tile = best_tile(prod(result[batched:-1]), columns, steps, self._machine)
        panels = Panels(columns * group, steps, tile.vectors * lanes * group, lanes * group)

        def product(*tensors: Any) -> Any:
            k = te.reduce_axis((0, depth), "k")

            def element(*place: Any) -> Any:
                row = _number(left, tensors, read(place, k.var))
                packed = (*place[:batched], panels.index(k.var // group, place[-1] * group + k.var % group))
                return te.sum(row * tensors[-1][packed].astype("int32"), axis=k)

            attributes = {PRODUCT: batched, PANEL: tile.vectors * lanes, DOT: dot.instruction}
            return te.compute(result, element, "product", attrs=attributes)

        packed = relax.const(panels.pack(_grouped(numbers, group).astype(dot.right)), dot.right)
        return self._emit([left.view.source, *left.parameters, packed], product)

    def _plain(self, left: _Side, right: _Side, shapes: Sequence[Any], result: Sequence[int]) -> Any:
        batched = len(result) - 2 if prod(shapes[1][:-2]) > 1 else 0
        dot = word_dot(self._machine)
        count = 1 + len(left.parameters)

        def product(*tensors: Any) -> Any:
            k = te.reduce_axis((0, shapes[0][-1]), "k")

            def element(*place: Any) -> Any:
                row = _number(left, tensors[:count], _rows_of(shapes[0])(place, k.var))
                column = broadcast([*place[:-2], k.var, place[-1]], shapes[1])
                return te.sum(row * _number(right, tensors[count:], (column, None)), axis=k)

            attributes = {PRODUCT: batched, PANEL: 0, DOT: dot.instruction}
            return te.compute(result, element, "product", attrs=attributes)

        return self._emit([left.view.source, *left.parameters, right.view.source, *right.parameters], product)

    def _emit(self, arguments: Sequence[Any], compute: Callable[..., Any]) -> Any:
        attributes = {"op_pattern": OUT_ELEMENTWISE}
        call = self.builder_.call_te(
            compute, *arguments, primfunc_name_hint="integer_product", primfunc_attrs=attributes
        )
        return self.builder_.emit(call)

    def _scaled(self, whole: Any, scale: Any) -> Any:
        number = self.builder_.emit(relax.op.astype(whole, "float32"))
        return relax.op.multiply(number, relax.const(np.atleast_1d(scale).astype("float32")))


def _all_of(tensor: Any) -> View:
    return View(tensor, lambda place: place)


def _rows_of(shape: Sequence[int]) -> Read:
    """Return how a matrix, or a batch of them, of some shape is read for an element of the product."""
    return lambda place, step: (broadcast([*place[:-1], step], shape), None)


def _number(side: _Side, tensors: Sequence[Any], reading: Reading) -> Any:
    """Return a side's whole number at a place."""
    place, inside = reading
    number = tensors[0][tuple(side.view.place(place))].astype("int32")
    if inside is not None and side.padding is not None:
        number = tirx.if_then_else(inside, number, tensors[1]().astype("int32"))
    if side.zero is not None:
        number = number - tensors[1]().astype("int32")
    if side.shift:
        number = number - tirx.const(side.shift, "int32")
    if inside is not None and side.padding is None:
        number = tirx.if_then_else(inside, number, tirx.const(0, "int32"))
    return number


def _zero(number: Any) -> Any | None:
    """Return a zero point as a tensor; None if there is none, or it is 0."""
    return None if not number else relax.const(np.asarray(number, "int32"))


def _grouped(numbers: Any, group: int) -> Any:
    """Return `[..., depth, columns]` as `[..., depth / group, columns * group]`, filled up with zeros."""
    *batch, depth, columns = numbers.shape
    filled = np.pad(numbers, [*[(0, 0)] * len(batch), (0, -depth % group), (0, 0)])
    return filled.reshape(*batch, -1, group, columns).swapaxes(-1, -2).reshape(*batch, -1, columns * group)
