"""The kernels of a fused module: what tells them apart, who calls them, one of them as a module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import ir, relax, tirx

from hwloop.digests import digest_json


@dataclass(frozen=True)
class Kernel:
    """One kernel with the calls of it; equal digests are equal code for any names and constants."""

    name: str
    digest: str
    function: Any
    calls: tuple[Any, ...]

    @property
    def arguments(self) -> list[Any]:
        """Return the types of what a call hands it."""
        return [argument.ty for argument in self.calls[0].args[1].fields]


def kernel_digest(function: Any) -> str:
    """Return the digest of a kernel as fusion left it: TVM's structural hash, with what its parameters look like."""
    parameters = [[str(parameter.dtype), [str(size) for size in parameter.shape]] for parameter in function.params]
    return digest_json([tvm_ffi.structural_hash(function), parameters])


def kernels_of(module: Any) -> list[Kernel]:
    """Return the kernels that a module's main function calls, in the order of their first calls."""
    calls: dict[Any, list[Any]] = {}
    for call in kernel_calls(module):
        calls.setdefault(call.args[0], []).append(call)
    return [
        Kernel(variable.name_hint, kernel_digest(module[variable]), module[variable], tuple(found))
        for variable, found in calls.items()
        if isinstance(module[variable], tirx.PrimFunc)
    ]


def kernel_calls(module: Any) -> Iterator[Any]:
    """Yield the calls of kernels in a module's main function."""
    call_tir = ir.Op.get("relax.call_tir")
    for block in module["main"].body.blocks:
        for binding in block.bindings:
            if isinstance(binding.value, ir.Call) and binding.value.op.same_as(call_tir):
                yield binding.value


def alone(kernel: Kernel, function: Any) -> Any:
    """Return a module whose main function calls `function`, the kernel or what was made of it, on its parameters."""
    builder = relax.BlockBuilder()
    variable = builder.add_func(function, "kernel")
    parameters = [relax.Var(f"argument{number}", kind) for number, kind in enumerate(kernel.arguments)]
    with builder.function("main", parameters):
        with builder.dataflow():
            called = relax.call_tir(variable, parameters, kernel.calls[0].ty_args[0])
            result = builder.emit_output(called)
        builder.emit_func_output(result)
    return builder.finalize()
