"""Constants packed anew for kernels that were tuned to read them in panels of another width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import ir, relax

from hwloop.exporter.compiler.packing import Panels, repacked
from hwloop.exporter.compiler.rules.tilings import Packed


def repack_constants(module: Any, repacks: Mapping[Any, tuple[Packed, Panels]]) -> Any:
    """Return a fused module whose calls of some kernels hand them their packed parameter in those panels."""
    repacker = _Repacker(module, repacks)
    repacker.builder_.update_func(module.get_global_var("main"), repacker.visit_expr(module["main"]))
    return repacker.builder_.finalize()


@relax.expr_functor.mutator
class _Repacker(relax.PyExprMutator):
    def __init__(self, module: Any, repacks: Mapping[Any, tuple[Packed, Panels]]) -> None:
        super().__init__(module)
        self._repacks = repacks

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if not call.op.same_as(ir.Op.get("relax.call_tir")) or call.args[0] not in self._repacks:
            return call
        packed, panels = self._repacks[call.args[0]]
        arguments = list(call.args[1].fields)
        values = arguments[packed.parameter].value.numpy()
        arguments[packed.parameter] = relax.const(repacked(values, packed.panels, panels), str(values.dtype))
        return relax.call_tir(call.args[0], arguments, call.ty_args[0])
