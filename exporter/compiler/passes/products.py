"""Matrix products in a form of our own, their constant sides packed at compile time."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import ir, relax, te, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import PANEL, PRODUCT, Panels
from hwloop.exporter.compiler.rules.microkernel import best_tile


def rewrite_products(module: Any, machine: Machine) -> Any:
    """Return the module with each fp32 matmul of known shapes marked for the rule, constant right sides packed."""
    rewriter = _Rewriter(module, machine)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            rewriter.builder_.update_func(variable, rewriter.visit_expr(function))
    return rewriter.builder_.finalize()


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, module: Any, machine: Machine) -> None:
        super().__init__(module)
        self._machine = machine

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if call.op != ir.Op.get("relax.matmul"):
            return call
        left, right = call.args
        if not all(_plain(side) for side in (left, right)):
            return call
        matrix = self._constant(right)
        if matrix is not None and (matrix.ndim == 2 or matrix.shape[:-2] == _shape(left)[:-2]):
            return self._packed(left, matrix)
        return call

    def _constant(self, value: Any) -> Any | None:
        if isinstance(value, ir.GenericConst):
            return value.value.numpy()
        return None

    def _packed(self, left: Any, matrix: Any) -> Any:
        shape = _shape(left)
        depth, columns = matrix.shape[-2:]
        batched = matrix.ndim - 2
        rows = prod(shape[batched:-1])
        tile = best_tile(rows, columns, depth, self._machine)
        panels = Panels(columns, depth, tile.vectors * self._machine.float_lanes, self._machine.float_lanes)

        def product(left: Any, right: Any) -> Any:
            k = te.reduce_axis((0, depth), "k")

            def element(*place: Any) -> Any:
                packed = right[(*place[:batched], panels.index(k, place[-1]))]
                return te.sum(left[(*place[:-1], k)] * packed, axis=k)

            marks = {PRODUCT: batched, PANEL: panels.width}
            return te.compute((*shape[:-1], columns), element, "product", attrs=marks)

        return self.builder_.call_te(product, left, relax.const(panels.pack(matrix)), primfunc_name_hint="product")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in value.ty.shape)


def _plain(value: Any) -> bool:
    kind = value.ty
    if not isinstance(kind, relax.TensorType) or str(kind.dtype) != "float32" or kind.shape is None:
        return False
    sizes = list(kind.shape)
    return len(sizes) >= 2 and all(isinstance(size, tirx.IntImm) for size in sizes)
