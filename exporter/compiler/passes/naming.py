"""Kernels under names of their content, so that equal ones of two models have one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import ir, relax


def rename_kernels(module: Any, names: Mapping[str, str]) -> Any:
    """Return a fused module in which the kernels of some names have others."""
    renamer = _Renamer(module, names)
    renamer.builder_.update_func(module.get_global_var("main"), renamer.visit_expr(module["main"]))
    return relax.transform.DeadCodeElimination()(renamer.builder_.finalize())


@relax.expr_functor.mutator
class _Renamer(relax.PyExprMutator):
    def __init__(self, module: Any, names: Mapping[str, str]) -> None:
        super().__init__(module)
        self._module = module
        self._names = names
        self._renamed: dict[str, Any] = {}

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if not call.op.same_as(ir.Op.get("relax.call_tir")) or call.args[0].name_hint not in self._names:
            return call
        name = self._names[call.args[0].name_hint]
        if name not in self._renamed:
            self._renamed[name] = self.builder_.add_func(self._module[call.args[0]], name)
        return relax.call_tir(self._renamed[name], list(call.args[1].fields), call.ty_args[0])
