"""Kernels under names of their content, so that equal ones of two models have one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import IRModule, ir, relax


def rename_kernels(module: Any, names: Mapping[str, str]) -> Any:
    """Return a fused module in which the kernels of some names have others."""
    functions = {variable.name_hint: function for variable, function in module.functions.items()}
    # Without the old ones: a builder that knows a function already gives its old name back.
    kept = {variable: one for variable, one in module.functions.items() if variable.name_hint not in names}
    renamer = _Renamer(IRModule(kept, attrs=module.attrs), functions, names)
    renamer.builder_.update_func(module.get_global_var("main"), renamer.visit_expr(module["main"]))
    return renamer.builder_.finalize()


@relax.expr_functor.mutator
class _Renamer(relax.PyExprMutator):
    def __init__(self, module: Any, functions: Mapping[str, Any], names: Mapping[str, str]) -> None:
        super().__init__(module)
        self._functions = functions
        self._names = names
        self._renamed: dict[str, Any] = {}

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if not call.op.same_as(ir.Op.get("relax.call_tir")) or call.args[0].name_hint not in self._names:
            return call
        before = call.args[0].name_hint
        name = self._names[before]
        if name not in self._renamed:
            self._renamed[name] = self.builder_.add_func(self._functions[before], name)
        return relax.call_tir(self._renamed[name], list(call.args[1].fields), call.ty_args[0])
