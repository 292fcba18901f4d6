"""The process that compiles models with TVM, each in a fork: folders of jobs on standard input, statuses out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hwloop.exporter.compile_jobs import REQUEST, TOLD, WORDS
from hwloop.exporter.compiler.machine import Machine, machine_for
from hwloop.exporter.folding import fold_constants
from hwloop.exporter.graph import nodes_of
from hwloop.exporter.integer_convolutions import spell_out_convolutions
from hwloop.exporter.runtimes.tvm_forks import die_with_parent
from hwloop.exporter.schedules import schedule_from_json
from hwloop.exporter.toolchain import needed_glibc
from hwloop.records import FailureKind, Target

Link = Callable[..., None]
Result = TypeVar("Result")
FAILED_OPERATOR = re.compile(r"^Error converting operator (\w+)", re.MULTILINE)


class Unbuilt(Exception):
    """The model cannot be built; `kind` says why in the store's words."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def main() -> None:
    """Load TVM, then compile in a fork for each line of standard input, and print how each fork ended.

    A line names a folder with a job in it; there the fork leaves what it prints, and its library.
    """
    be_the_first_to_go()
    endings = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # TVM prints, too
    load_tvm()
    for line in iter(sys.stdin.readline, ""):
        folder = Path(line.rstrip("\n"))
        pid = os.fork()
        if pid == 0:
            os._exit(_in_fork(folder))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=endings, flush=True)


def load_tvm() -> None:
    """Import all that a compilation needs."""
    import tvm.relax.frontend.onnx  # noqa: F401


def _in_fork(folder: Path) -> int:
    """Compile a folder's job in this process, and return the status that it shall end with."""
    die_with_parent()
    for name, number in ((TOLD, 1), (WORDS, 2)):
        file = os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    try:
        status = answer_to(json.loads((folder / REQUEST).read_text()))
    except BaseException:  # noqa: BLE001  whatever it is, it stands in the detail of a Failure
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def answer_to(job: Mapping[str, Any]) -> int:
    """Compile a job and print {"kernels", "unscheduled"}.

    These are the digest of each kernel, and the names of those that no rule made.

    When the model cannot be built, print {"kind", "message"} and return 1.
    """
    try:
        kernels, unscheduled = compile_job(job)
        print(json.dumps({"kernels": kernels, "unscheduled": unscheduled}))
    except Unbuilt as problem:
        print(json.dumps({"kind": problem.kind.value, "message": str(problem)}))
        return 1
    return 0


def fused(job: Mapping[str, Any]) -> Any:
    """Return a job's model after all passes over its graph, before any kernel is made.

    Raises:
        Unbuilt: it cannot be, even with its shape arithmetic folded.
    """
    from hwloop.exporter.compiler.pipeline import fused_module

    def attempt(source: Path) -> Any:
        module, said = imported(source, job["shapes"])
        with _told_as(FailureKind.BUILD, "TVM's compiler", said):
            return fused_module(module, target_of(job), machine_of(job))

    return _with_folding(attempt, job)


def compile_job(job: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Compile a model as it is; where that fails, once more with its shape arithmetic folded.

    Return its kernels' digests, and the names of the kernels that no rule made.

    Raises:
        Unbuilt: neither works; it tells of the first attempt. Or TVM cannot run a layer as it is quantized.
    """
    return _with_folding(lambda source: _compile(source, job), job)


def _with_folding(attempt: Callable[[Path], Result], job: Mapping[str, Any]) -> Result:
    """Return what an attempt on the model gives; where it fails, on the model with its shape arithmetic folded."""
    source = Path(job["model"])
    _require_support(source)
    try:
        return attempt(source)
    except Unbuilt as problem:
        if problem.kind is FailureKind.MEMORY:
            raise
        try:
            return attempt(fold_constants(source, job["dims"], _workspace(job)))
        except Exception as again:  # noqa: BLE001  onnxruntime's errors have no common base
            print(f"with folded constants: {again}", file=sys.stderr)
            raise problem from None


def _require_support(source: Path) -> None:
    """Stop before folding could turn a quantized layer into a float one unnoticed."""
    import onnx

    from hwloop.exporter.quantize.support import support_failure

    failure = support_failure("tvm", onnx.load(source, format="protobuf", load_external_data=False))
    if failure:
        print(failure.detail, file=sys.stderr)
        raise Unbuilt(failure.kind, failure.message)


def _workspace(job: Mapping[str, Any]) -> Path:
    """Return the folder of the output, which its owner removes whatever becomes of this process."""
    return Path(job["output"]).parent


def unsupported_operators(model: Any) -> list[str]:
    """Return the operators of a model that TVM's ONNX frontend does not know, sorted.

    The frontend looks at names alone, so an operator of another domain counts only if no standard one has its name.
    """
    from onnx import defs
    from tvm.relax.frontend.onnx import onnx_frontend

    known = {*onnx_frontend._get_convert_map(), "If", "Constant"}
    missing = set()
    for node in nodes_of(model.graph):
        standard = node.domain in ("", "ai.onnx")
        if node.op_type not in known or (not standard and defs.has(node.op_type)):
            missing.add(node.op_type if standard else f"{node.domain}.{node.op_type}")
    return sorted(missing)


def _compile(source: Path, job: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    module, said = imported(source, job["shapes"])
    from hwloop.exporter.compiler.objects import KernelObjects
    from hwloop.exporter.compiler.pipeline import compile_module

    with _told_as(FailureKind.BUILD, "TVM's compiler", said):
        schedules = {kernel: schedule_from_json(found) for kernel, found in job["schedules"].items()}
        objects = KernelObjects(Path(job["objects"]))
        compiled = compile_module(module, target_of(job), machine_of(job), schedules, objects)
        export(compiled.executable, job, _workspace(job), compiled.objects)
    return sorted(compiled.digests), list(compiled.unscheduled)


def imported(source: Path, shapes: Mapping[str, Sequence[int]]) -> tuple[Any, io.StringIO]:
    """Return a model as TVM's frontend reads it, and what that printed.

    Raises:
        Unbuilt: the frontend cannot.
    """
    import onnx

    model = onnx.load(source)
    spell_out_convolutions(model.graph)
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = size
    missing = unsupported_operators(model)
    if missing:
        plural = "s" if len(missing) > 1 else ""
        names = ", ".join(missing)
        raise Unbuilt(FailureKind.UNSUPPORTED, f"TVM's ONNX frontend has no operator{plural} {names}")
    from tvm.relax.frontend.onnx import from_onnx

    said = io.StringIO()
    with _told_as(FailureKind.UNSUPPORTED, "TVM's ONNX frontend", said), contextlib.redirect_stdout(said):
        return from_onnx(model, shape_dict=dict(shapes), keep_params_in_input=False), said


def export(executable: Any, job: Mapping[str, Any], folder: Path, objects: Sequence[Path] = ()) -> None:
    """Link an executable with object files into the job's output; its parts are written to a folder."""
    link = _linker(job["linkers"], tuple(job["glibc"]))
    link.get_target_triple = lambda: job["triple"]  # type: ignore[attr-defined]
    files = [str(path) for path in objects]
    executable.export_library(job["output"], fcompile=link, workspace_dir=str(folder), addons=files)


def machine_of(job: Mapping[str, Any]) -> Machine:
    """Return what the rules must know of the job's CPU."""
    triple, cpu, features = job["triple"], job["cpu"], tuple(job["features"])
    return machine_for(Target(triple, cpu, features, job["num_cores"], tuple(job["glibc"])))


def target_of(job: Mapping[str, Any]) -> Any:
    """Return TVM's word for the job's CPU."""
    import tvm

    target = {"kind": "llvm", "mtriple": job["triple"], "mcpu": job["cpu"], "num-cores": job["num_cores"]}
    return tvm.target.Target({**target, "mattr": job["features"]} if job["features"] else target)


@contextlib.contextmanager
def _told_as(kind: FailureKind, who: str, said: io.StringIO) -> Iterator[None]:
    """Turn whatever TVM raises (bare asserts are among it) into `Unbuilt`, naming the operator where TVM did."""
    try:
        yield
    except Unbuilt:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        memory = isinstance(error, MemoryError) or "bad_alloc" in str(error)
        operator = FAILED_OPERATOR.search(said.getvalue()) if kind is FailureKind.UNSUPPORTED else None
        place = f"{who}, operator {operator[1]}" if operator else who
        words = f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
        print(error, file=sys.stderr)
        raise Unbuilt(FailureKind.MEMORY if memory else kind, f"{place}: {words}") from error


def _linker(commands: Sequence[Sequence[str]], floor: tuple[int, ...]) -> Link:
    """Return what `export_library` calls; the first command whose output loads on the glibc `floor` is taken."""

    def link(output: str, objects: str | Sequence[str], options: Sequence[str] | None = None, **_: object) -> None:
        files = [objects] if isinstance(objects, str) else list(objects)
        for command in commands:
            words = [*command, "-shared", "-fPIC", "-O2", "-o", output, *files, *(options or ()), "-lm"]
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            needed = needed_glibc(Path(output))
            if needed <= floor:
                return
        wanted, has = (".".join(map(str, version)) for version in (needed, floor))
        raise Unbuilt(FailureKind.BUILD, f"the code needs glibc {wanted}, and the device has {has}; install ziglang")

    link.output_format = "so"  # type: ignore[attr-defined]
    return link


def be_the_first_to_go() -> None:
    """Die with the parent, and before it when memory runs out; and do without PyTorch.

    TVM takes it along where it is installed, for two seconds and hundreds of megabytes, and needs it for nothing here.
    """
    sys.modules["torch"] = None  # type: ignore[assignment]
    die_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
