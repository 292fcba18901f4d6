"""The process that compiles one model with TVM: a JSON job on standard input, a verdict on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from hwloop.records import FailureKind


def main() -> int:
    """Compile the job on standard input; print {"kind", "message"} and return 1 when the model cannot be built."""
    job = json.load(sys.stdin)
    import onnx

    model = onnx.load(job["model"])
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, job["shapes"].get(value.name, ()), strict=False):
            dim.dim_value = size
    missing = unsupported_operators(model)
    if missing:
        return _fail(FailureKind.UNSUPPORTED, f"TVM's ONNX frontend has no {', '.join(missing)}")
    import tvm
    from tvm.relax.frontend.onnx import from_onnx

    try:
        module = from_onnx(model, shape_dict=job["shapes"], keep_params_in_input=False)
    except Exception as error:  # noqa: BLE001  the frontend raises anything, tvm.error.InternalError and bare asserts among it
        return _fail(FailureKind.UNSUPPORTED, f"TVM's ONNX frontend: {_first_line(error)}")
    try:
        target = tvm.target.Target(_target(job))
        built = tvm.compile(module, target=target)
        built.export_library(job["output"], fcompile=_linker(job["linker"]))
    except Exception as error:  # noqa: BLE001  the compiler too
        return _fail(FailureKind.BUILD, f"TVM's compiler: {_first_line(error)}")
    return 0


def unsupported_operators(model: Any) -> list[str]:
    """Return the operators of a model that TVM's ONNX frontend does not know, sorted."""
    from tvm.relax.frontend.onnx import onnx_frontend

    from hwloop.exporter.model import nodes_of

    known = {*onnx_frontend._get_convert_map(), "If"}
    used = {node.op_type for node in nodes_of(model.graph)}
    local = {function.name for function in model.functions}
    return sorted(used - known - local)


def _target(job: dict[str, Any]) -> dict[str, object]:
    target = {"kind": "llvm", "mtriple": job["triple"], "mcpu": job["cpu"], "num-cores": job["num_cores"]}
    return {**target, "mattr": job["features"]} if job["features"] else target


def _linker(command: Sequence[str]) -> Any:
    def link(output: str, objects: str | Sequence[str], options: Sequence[str] | None = None, **_: object) -> None:
        files = [objects] if isinstance(objects, str) else list(objects)
        words = [*command, "-shared", "-fPIC", "-O2", "-o", output, *files, *(options or ()), "-lm"]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)

    link.output_format = "so"  # type: ignore[attr-defined]
    return link


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


def _fail(kind: FailureKind, message: str) -> int:
    print(json.dumps({"kind": kind.value, "message": message}))
    return 1


if __name__ == "__main__":
    sys.exit(main())
