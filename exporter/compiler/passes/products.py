"""Matrix products in a form of our own: views looked through, constant sides packed at compile time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import ir, relax, te, tirx, topi

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import PANEL, PRODUCT, Panels
from hwloop.exporter.compiler.passes.shapes import shape_of
from hwloop.exporter.compiler.passes.uses import uses_of
from hwloop.exporter.compiler.passes.views import View, look_through, one_step
from hwloop.exporter.compiler.rules.microkernel import best_tile

OUT_ELEMENTWISE = 4  # TVM's word for a kernel onto which elementwise ones may be fused


def rewrite_products(module: Any, machine: Machine) -> Any:
    """Return the module with each fp32 matmul of known shapes marked for the rule of `rules/matmul.py`.

    A side reads through transposes, reshapes and slices, and scales move behind the product, so that none of them is
    computed; a transpose or reshape that alone reads the product becomes a part of its kernel. A constant right side
    is packed.
    """
    rewriter = _Rewriter(module, machine)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            rewriter.uses = uses_of(function)
            rewriter.builder_.update_func(variable, rewriter.visit_expr(function))
    return relax.transform.DeadCodeElimination()(rewriter.builder_.finalize())


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, module: Any, machine: Machine) -> None:
        super().__init__(module)
        self._machine = machine
        self._made: dict[Any, Callable[..., Any]] = {}  # the tensor expression of each product's kernel
        self.uses: dict[Any, int] = {}

    def visit_call_(self, call: Any) -> Any:
        once = bool(call.args) and self.uses.get(call.args[0], 0) == 1
        call = super().visit_call_(call)
        if call.op == ir.Op.get("relax.matmul"):
            return self._product(call)
        before = self.lookup_binding(call.args[0]) if once else None
        if not isinstance(before, ir.Call) or not before.args:
            return call
        made, layout = self._made.get(before.args[0]), _layout(call)
        if made is None or layout is None:
            return call
        return self._emit(list(before.args[1].fields), lambda *sides: layout(made(*sides)))

    def _product(self, call: Any) -> Any:
        shapes = [shape for shape in map(shape_of, call.args) if shape is not None and len(shape) > 1]
        floats = all(str(side.ty.dtype) == "float32" for side in call.args)
        result = shape_of(call)
        if not floats or result is None or len(shapes) < 2:
            return call
        left, right = (look_through(side, self.lookup_binding, scales=False) for side in call.args)
        matrix = _matrix(right, shapes[1])
        if matrix is not None and matrix.shape[:-2] in ((), result[:-2]):
            return self._packed(left, matrix, shapes[0], result)
        left, right = (look_through(side, self.lookup_binding, scales=True) for side in call.args)
        return self._plain(left, right, shapes, result)

    def _emit(self, arguments: Sequence[Any], compute: Callable[..., Any]) -> Any:
        attributes = {"op_pattern": OUT_ELEMENTWISE}
        call = self.builder_.call_te(compute, *arguments, primfunc_name_hint="product", primfunc_attrs=attributes)
        self._made[call.args[0]] = compute
        return call

    def _packed(self, left: View, matrix: Any, shape: Sequence[int], result: Sequence[int]) -> Any:
        depth, columns = matrix.shape[-2:]
        batched = matrix.ndim - 2
        lanes = self._machine.float_lanes
        tile = best_tile(prod(result[batched:-1]), columns, depth, self._machine)
        panels = Panels(columns, depth, tile.vectors * lanes, lanes)

        def product(left_side: Any, right_side: Any) -> Any:
            k = te.reduce_axis((0, depth), "k")

            def element(*place: Any) -> Any:
                row = left.place(broadcast([*place[:-1], k.var], shape))
                packed = (*place[:batched], panels.index(k.var, place[-1]))
                return te.sum(left_side[tuple(row)] * right_side[packed], axis=k)

            return te.compute(result, element, "product", attrs={PRODUCT: batched, PANEL: panels.width})

        return self._emit([left.source, relax.const(panels.pack(matrix))], product)

    def _plain(self, left: View, right: View, shapes: Sequence[Any], result: Sequence[int]) -> Any:
        batched = len(result) - 2 if prod(shapes[1][:-2]) > 1 else 0

        def product(left_side: Any, right_side: Any) -> Any:
            k = te.reduce_axis((0, shapes[0][-1]), "k")

            def element(*place: Any) -> Any:
                row = left.place(broadcast([*place[:-1], k.var], shapes[0]))
                column = right.place(broadcast([*place[:-2], k.var, place[-1]], shapes[1]))
                return te.sum(left_side[tuple(row)] * right_side[tuple(column)], axis=k)

            made = te.compute(result, element, "product", attrs={PRODUCT: batched, PANEL: 0})
            scale = left.scale * right.scale
            return made if scale == 1 else topi.multiply(made, tirx.const(scale, "float32"))

        return self._emit([left.source, right.source], product)


def broadcast(place: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """Return the part of a place that a tensor of a lesser or narrower shape has."""
    own = place[len(place) - len(shape) :]
    return [index if size > 1 else 0 for index, size in zip(own, shape, strict=True)]


def _layout(call: Any) -> Callable[[Any], Any] | None:
    """Return what a transpose or reshape does, as a function of a tensor expression."""
    view = one_step(call)
    if view is None or view.scale != 1 or call.op.name == "relax.take":
        return None
    if call.op.name == "relax.permute_dims":
        axes = call.attrs.axes
        return lambda tensor: topi.transpose(tensor, None if axes is None else [int(axis) for axis in axes])
    shape = shape_of(call)
    return lambda tensor: topi.reshape(tensor, shape)


def _matrix(view: View, shape: Any) -> Any | None:
    """Return a constant side as a matrix, with its views applied; None if it is no constant."""
    if not isinstance(view.source, ir.GenericConst):
        return None
    values = view.source.value.numpy()
    places = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    return values[tuple(view.place(places))]
