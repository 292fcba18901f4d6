"""Views: tensors that are another tensor's numbers in another order or shape, some left out, perhaps scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import ir, relax, tirx

from hwloop.exporter.compiler.passes.shapes import shape_of
from hwloop.exporter.compiler.rules.stages import flat, unflatten

Lookup = Callable[[Any], Any]
Place = Sequence[Any]


@dataclass(frozen=True)
class View:
    """`tensor[index] = scale * source[place(index)]`."""

    source: Any
    place: Callable[[Place], Place]
    scale: float = 1.0

    def of(self, inner: View) -> View:
        """Return this view of a tensor that is itself one, as a view of what that is a view of."""
        return View(inner.source, lambda place: inner.place(self.place(place)), self.scale * inner.scale)


def look_through(value: Any, lookup: Lookup, scales: bool) -> View:
    """Return a tensor as a view of the farthest tensor that it can be one of; `lookup` gives a variable's binding.

    Multiplications by a number are looked through only with `scales`.
    """
    view = View(value, lambda place: place)
    while True:
        step = _step(view.source, lookup)
        if step is None or (step.scale != 1 and not scales):
            return view
        view = view.of(step)


def one_step(call: Any) -> View | None:
    """Return what a call's result views of its argument, or None if the call is no view."""
    if not isinstance(call, ir.Call) or not isinstance(call.op, ir.Op):
        return None
    make = _STEPS.get(call.op.name)
    shape = shape_of(call) if make else None
    if make is None or shape is None or shape_of(call.args[0]) is None:
        return None
    return make(call, shape)


def _step(value: Any, lookup: Lookup) -> View | None:
    bound = lookup(value) if isinstance(value, relax.Var) else value
    if bound is None:
        return None
    if isinstance(bound, relax.TupleGetItem):
        return _part(bound, lookup)
    return one_step(bound)


def _permuted(call: Any, shape: tuple[int, ...]) -> View:
    axes = call.attrs.axes
    order = [int(axis) for axis in axes] if axes is not None else list(range(len(shape)))[::-1]
    return View(call.args[0], lambda place: [place[order.index(axis)] for axis in range(len(order))])


def _reshaped(call: Any, shape: tuple[int, ...]) -> View:
    before = shape_of(call.args[0]) or ()
    return View(call.args[0], lambda place: unflatten(flat(place, shape), before))


def _taken(call: Any, shape: tuple[int, ...]) -> View | None:
    index = call.args[1]
    before = shape_of(call.args[0]) or ()
    if not isinstance(index, ir.GenericConst) or len(shape) != len(before) - 1 or call.attrs.axis is None:
        return None
    axis = int(call.attrs.axis) % len(before)
    at = int(index.value.numpy()) % before[axis]
    return View(call.args[0], lambda place: [*place[:axis], tirx.const(at, "int64"), *place[axis:]])


def _scaled(call: Any, shape: tuple[int, ...]) -> View | None:
    for tensor, factor in ((call.args[0], call.args[1]), (call.args[1], call.args[0])):
        if isinstance(factor, ir.GenericConst) and factor.value.numpy().size == 1 and shape_of(tensor) == shape:
            number = float(factor.value.numpy().reshape(()))
            if call.op.name == "relax.multiply":
                return View(tensor, lambda place: place, number)
            if factor.same_as(call.args[1]) and number:
                return View(tensor, lambda place: place, 1 / number)
    return None


def _part(item: Any, lookup: Lookup) -> View | None:
    """Return one output of a split."""
    call = lookup(item.tuple_value) if isinstance(item.tuple_value, relax.Var) else item.tuple_value
    if not isinstance(call, ir.Call) or call.op != ir.Op.get("relax.split"):
        return None
    before = shape_of(call.args[0])
    parts = call.attrs.indices_or_sections
    if before is None:
        return None
    axis = int(call.attrs.axis) % len(before)
    if isinstance(parts, tirx.IntImm | int):
        first = -(-before[axis] // int(parts)) * item.index
    else:
        first = ([0] + [int(part) for part in parts])[item.index]
    return View(call.args[0], lambda place: [*place[:axis], place[axis] + first, *place[axis + 1 :]])


_STEPS: dict[str, Callable[[Any, tuple[int, ...]], View | None]] = {
    "relax.permute_dims": _permuted,
    "relax.reshape": _reshaped,
    "relax.expand_dims": _reshaped,
    "relax.squeeze": _reshaped,
    "relax.flatten": _reshaped,
    "relax.take": _taken,
    "relax.multiply": _scaled,
    "relax.divide": _scaled,
}
