"""TVM's artifact: code for the device, that its two small runtime libraries can load and run."""

import gc
import json
import platform
import struct
import subprocess
import sys
import threading
import time
import tomllib
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwloop.deadline import Deadline
from hwloop.devices.runner_file import runner_file
from hwloop.errors import InfrastructureError, ModelError, UsageError
from hwloop.exporter import compile_jobs
from hwloop.exporter.compare import compare, decode_outputs
from hwloop.exporter.compile_cache import CompileCache
from hwloop.exporter.inputs import make_inputs
from hwloop.exporter.model import load_model
from hwloop.exporter.runtimes import tvm as tvm_runtime
from hwloop.exporter.runtimes.tvm import FFI_VERSION, VERSION, Tvm
from hwloop.exporter.schedules import Tiling
from hwloop.exporter.toolchain import needed_glibc
from hwloop.exporter.tuned import VERDICT, TunedKernels
from hwloop.records import Artifact, Failure, FailureKind, Target
from hwloop.testing.models import perceptron

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
HOST = Target(f"{platform.machine()}-linux-gnu", "generic" if platform.machine() == "aarch64" else "x86-64")
PI4 = Target("aarch64-linux-gnu", "cortex-a72", ("+neon",), num_cores=4)

# Runs a compiled file as a device does: the runner, two libraries, nothing else of TVM.
DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from runner.tvm_runtime import TvmRuntime
job = json.load(sys.stdin)
runtime = TvmRuntime(job["libraries"])
runtime.load(job["file"], job)
runtime.call()
runtime.call()
found = [(name, dtype, shape, data.hex()) for name, dtype, shape, data in runtime.outputs()]
assert not any(name.split(".")[0] == "tvm" for name in sys.modules)
print(json.dumps(found))
"""


@dataclass
class Returned:
    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


@pytest.fixture
def tvm(tmp_path) -> Tvm:
    return Tvm(CompileCache(tmp_path / "cache"))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory) -> Path:
    """A folder with the two libraries that a device gets, and nothing else."""
    folder = tmp_path_factory.mktemp("thin")
    (site,) = {Path(entry) for entry in sys.path if (Path(entry) / "tvm_ffi").is_dir()}
    for library in (site / "tvm/lib/libtvm_runtime.so", site / "tvm_ffi/lib/libtvm_ffi.so"):
        (folder / library.name).symlink_to(library)
    return folder


def run(artifact: Artifact, inputs, libraries: Path, folder: Path):
    """Return the outputs of a compiled file by name."""
    paths = inputs.write(folder / "inputs")
    job = {
        "libraries": str(libraries),
        "file": str(artifact.files[artifact.entry]),
        "threads": 1,
        "inputs": [{**spec.as_json(), "path": str(paths[spec.name])} for spec in artifact.inputs],
        "outputs": [spec.as_json() for spec in artifact.outputs],
    }
    command = [sys.executable, "-I", "-S", "-c", DRIVER, str(runner_file())]
    ended = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    return decode_outputs(
        [Returned(name, dtype, tuple(shape), bytes.fromhex(data)) for name, dtype, shape, data in found]
    )


def built(tvm: Tvm, path: Path, target: Target = HOST, seconds: float = 120, **shapes) -> Artifact | Failure:
    return tvm.build(load_model(path, shapes), target, VERSION, Deadline.after(seconds))


def assert_runs_like_the_reference(tvm, libraries, folder, path, **shapes):
    artifact = built(tvm, path, **shapes)
    assert isinstance(artifact, Artifact), artifact
    inputs = make_inputs(load_model(path, shapes), 0)
    comparison = compare(inputs.reference, run(artifact, inputs, libraries, folder))
    assert comparison.match, comparison.message


# ── what is built runs ──


def test_a_small_network_runs_on_the_thin_runtime_and_agrees(tvm, convnet, libraries, tmp_path):
    assert_runs_like_the_reference(tvm, libraries, tmp_path, convnet, batch=2)


def test_a_lone_output_integers_and_an_unused_input(tvm, save, libraries, tmp_path):
    path = save(
        [helper.make_node("Gather", ["table", "ids"], ["y"])],
        {"unused": (FLOAT, [2]), "ids": (INT64, [1, 5])},
        {"y": (FLOAT, [1, 5, 3])},
        {"table": np.random.default_rng(0).standard_normal((9, 3), dtype=np.float32)},
    )
    assert_runs_like_the_reference(tvm, libraries, tmp_path, path)


def test_shape_arithmetic_that_the_frontend_stumbles_over_is_folded(tvm, save, libraries, tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["shape32"], to=TensorProto.INT32),
        helper.make_node("Slice", ["shape32", "zero", "one", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["wanted32"], axis=0),
        helper.make_node("Cast", ["wanted32"], ["wanted"], to=INT64),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    constants = {
        "zero": np.array([0], np.int32),
        "one": np.array([1], np.int32),
        "rest": np.array([6], np.int32),
    }
    path = save(nodes, {"x": (FLOAT, ["n", 2, 3])}, {"y": (FLOAT, ["n", 6])}, constants)
    assert_runs_like_the_reference(tvm, libraries, tmp_path, path, n=4)


def test_weights_in_external_data_are_compiled_in(tvm, save, libraries, tmp_path):
    path = save(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, [2, 64])},
        {"y": (FLOAT, [2, 8])},
        {"w": np.random.default_rng(0).standard_normal((64, 8), dtype=np.float32)},
        save={"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0},
    )
    assert_runs_like_the_reference(tvm, libraries, tmp_path, path)


def test_code_for_a_pi_is_aarch64_and_loads_on_its_glibc(tvm, convnet):
    artifact = built(tvm, convnet, PI4, batch=1)
    assert isinstance(artifact, Artifact), artifact
    library = artifact.files["model.so"]
    assert struct.unpack_from("<H", library.read_bytes(), 18)[0] == 183
    assert needed_glibc(library) <= PI4.glibc
    assert artifact.target == PI4


def test_a_second_build_compiles_nothing(tvm, convnet, monkeypatch):
    first = built(tvm, convnet, batch=1)
    monkeypatch.setattr(compile_jobs.subprocess, "Popen", None)
    again = built(tvm, convnet, batch=1)
    assert isinstance(again, Artifact) and again.digest == first.digest


def test_a_file_that_changed_since_it_was_read_is_refused_and_leaves_nothing_in_the_cache(tvm, convnet):
    model, content = load_model(convnet, {"batch": 1}), convnet.read_bytes()
    convnet.write_bytes(content[:-4] + b"\0\0\0\0")
    with pytest.raises(ModelError, match="changed after it was read"):
        tvm.build(model, HOST, VERSION, Deadline.after(120))
    convnet.write_bytes(content)
    right = tvm.build(model, HOST, VERSION, Deadline.after(120))
    assert isinstance(right, Artifact)


# ── what cannot be built is a Failure ──


def test_an_lstm_is_named(tvm, lstm):
    failure = built(tvm, lstm)
    assert isinstance(failure, Failure) and failure.kind is FailureKind.UNSUPPORTED
    assert failure.message == "TVM's ONNX frontend has no operator LSTM"


def test_operators_inside_branches_and_of_other_domains_are_named(tvm, save):
    inner = helper.make_node("Loop", ["", "flag"], ["then_y"], body=helper.make_graph([], "body", [], []))
    then = helper.make_graph([inner], "then", [], [helper.make_tensor_value_info("then_y", FLOAT, None)])
    other = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["else_y"], domain="org.example")],
        "else",
        [],
        [helper.make_tensor_value_info("else_y", FLOAT, None)],
    )
    path = save(
        [helper.make_node("If", ["flag"], ["y"], then_branch=then, else_branch=other)],
        {"flag": (TensorProto.BOOL, []), "x": (FLOAT, [3])},
        {"y": (FLOAT, [3])},
        imports=[helper.make_opsetid("org.example", 1)],
    )
    failure = built(tvm, path)
    assert failure.message == "TVM's ONNX frontend has no operators Loop, org.example.Relu"


def test_an_operator_that_the_frontend_cannot_translate_is_named(tvm, save):
    """It knows the operator, and not the blocks."""
    path = save(
        [helper.make_node("DequantizeLinear", ["x", "scale"], ["y"], axis=0, block_size=2)],
        {"x": (TensorProto.INT8, [4, 3])},
        {"y": (FLOAT, [4, 3])},
        {"scale": np.ones((2, 3), np.float32)},
        opset=21,
        ir_version=10,
    )
    failure = built(tvm, path)
    assert isinstance(failure, Failure) and failure.kind is FailureKind.UNSUPPORTED
    assert "operator DequantizeLinear" in failure.message and failure.detail


def linking_with(monkeypatch, script: str, *words: object) -> None:
    command = ["sh", "-c", script, "sh", *map(str, words)]
    monkeypatch.setattr(tvm_runtime, "linkers_for", lambda target: [command])


def test_a_linker_that_fails_is_a_failed_build(tvm, convnet, monkeypatch):
    linking_with(monkeypatch, "echo no such library >&2; exit 3")
    failure = built(tvm, convnet, batch=1)
    assert failure.kind is FailureKind.BUILD and "no such library" in failure.detail


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("SEGV", FailureKind.BUILD, "signal 11 (Segmentation fault)"),
        ("KILL", FailureKind.MEMORY, "memory ran out"),
    ],
)
def test_a_compiler_that_dies_is_a_failure(tvm, convnet, monkeypatch, name, kind, words):
    linking_with(monkeypatch, f"kill -{name} $PPID")
    failure = built(tvm, convnet, batch=1)
    assert failure.kind is kind and words in failure.message


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def wait_for_pid(file: Path) -> int:
    deadline = Deadline.after(60)
    while not (file.exists() and file.read_text().strip()):
        assert not deadline.expired
        time.sleep(0.02)
    return int(file.read_text())


def test_a_compiler_that_hangs_is_killed_with_all_that_it_started(tvm, convnet, monkeypatch, tmp_path):
    note, compiler = tmp_path / "pid", tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {note}\nwait\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(compile_jobs.sys, "executable", str(compiler))
    failure = built(tvm, convnet, seconds=1, batch=1)
    assert failure.kind is FailureKind.BUILD and "deadline" in failure.message
    assert not is_running(wait_for_pid(note))


def test_stopping_ends_the_compiler_and_keeps_no_failure(tvm, convnet, monkeypatch, tmp_path):
    note = tmp_path / "pid"
    linking_with(monkeypatch, "echo $$ > $1; exec sleep 60", note)
    stopper = threading.Thread(target=lambda: (wait_for_pid(note), tvm.stop()))
    stopper.start()
    with pytest.raises(InfrastructureError, match="stopped"):
        built(tvm, convnet, batch=1)
    stopper.join()
    assert not is_running(wait_for_pid(note))


def test_code_that_needs_a_newer_glibc_than_the_device_has_is_refused(tvm, convnet, monkeypatch):
    linking_with(monkeypatch, 'shift; printf GLIBC_2.99 > "$4"')
    failure = built(tvm, convnet, batch=1)
    assert failure.kind is FailureKind.BUILD
    assert "needs glibc 2.99, and the device has 2.28" in failure.message


def test_kernels_that_no_rule_makes_are_noted_also_when_the_file_comes_from_the_cache(tvm, save, convnet):
    path = save(
        [helper.make_node("CumSum", ["x", "axis"], ["y"])],
        {"x": (FLOAT, [3, 5])},
        {"y": (FLOAT, [3, 5])},
        {"axis": np.array(1)},
    )
    for _ in range(2):
        (note,) = built(tvm, path).notes
        assert note.startswith("no rule of the compiler's covers") and "cumsum" in note
    assert built(tvm, convnet, batch=1).notes == ()


# ── where it compiles ──


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that were started to compile in."""
    found = []

    class Noted(compile_jobs.Compiler):
        def __init__(self):
            super().__init__()
            found.append(self.process)

    monkeypatch.setattr(compile_jobs, "Compiler", Noted)
    return found


def test_models_one_after_the_other_are_compiled_by_one_process(tvm, convnet, lstm, started):
    assert isinstance(built(tvm, convnet, batch=1), Artifact)
    assert isinstance(built(tvm, lstm), Failure)
    assert isinstance(built(tvm, convnet, batch=2), Artifact)
    assert len(started) == 1


def test_one_that_crashes_takes_only_its_fork_with_it(tvm, convnet, monkeypatch, started):
    with monkeypatch.context() as crashing:
        linking_with(crashing, "kill -SEGV $PPID")
        assert isinstance(built(tvm, convnet, batch=1), Failure)
    assert isinstance(built(tvm, convnet, batch=1), Artifact)
    assert len(started) == 1


def test_after_one_that_hangs_another_process_compiles(tvm, convnet, monkeypatch, started):
    assert isinstance(built(tvm, convnet, batch=1), Artifact)
    with monkeypatch.context() as hanging:
        linking_with(hanging, "exec sleep 60")
        assert "deadline" in built(tvm, convnet, seconds=10, batch=2).message
    assert isinstance(built(tvm, convnet, batch=2), Artifact)
    first, second = started
    assert not is_running(first.pid) and is_running(second.pid)


def test_one_that_was_killed_while_it_waited_is_no_models_fault(tvm, convnet, started):
    built(tvm, convnet, batch=1)
    started[0].kill()
    started[0].wait(10)
    assert isinstance(built(tvm, convnet, batch=2), Artifact)
    assert len(started) == 2


def test_compilers_end_with_their_owner(tmp_path, convnet, started):
    tvm = Tvm(CompileCache(tmp_path / "cache"))
    built(tvm, convnet, batch=1)
    assert is_running(started[0].pid)
    del tvm
    gc.collect()
    assert not is_running(started[0].pid)


def test_an_executor_compiles_in_processes_of_its_own(convnet, tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        runtime = Tvm(CompileCache(tmp_path / "cache"), executor=elsewhere)
        artifact = built(runtime, convnet, batch=1)
        assert isinstance(artifact, Artifact) and not runtime.compiles
        failure = built(runtime, convnet, seconds=0.01, batch=2)
        assert failure.kind is FailureKind.BUILD and "deadline" in failure.message


def test_an_executor_that_breaks_is_not_the_models_fault(convnet, tmp_path):
    class Broken(Executor):
        def submit(self, *_words, **_options):
            future = Future()
            future.set_exception(BrokenExecutor("the workers died"))
            return future

    with pytest.raises(InfrastructureError, match="the workers died"):
        built(Tvm(CompileCache(tmp_path / "cache"), executor=Broken()), convnet, batch=1)


def test_several_models_compile_at_once_and_one_that_crashes_is_alone_in_it(tvm, convnet, lstm):
    with ThreadPoolExecutor(3) as pool:
        good, bad, other = pool.map(
            lambda one: built(tvm, *one[:1], **one[1]), [(convnet, {"batch": 1}), (lstm, {}), (convnet, {"batch": 2})]
        )
    assert isinstance(good, Artifact) and isinstance(other, Artifact) and isinstance(bad, Failure)


# ── what is nobody's fault but this host's ──


def test_another_version_on_the_device_is_refused(tvm, convnet):
    with pytest.raises(UsageError, match=r"the device has TVM 0\.1"):
        tvm.build(load_model(convnet, {"batch": 1}), HOST, "0.1", Deadline.after(60))


@pytest.mark.parametrize("package", ["apache-tvm", "apache-tvm-ffi"])
def test_a_compiler_of_another_version_is_refused(tvm, convnet, monkeypatch, package):
    pins = {"apache-tvm": VERSION, "apache-tvm-ffi": FFI_VERSION, package: "9.9"}
    monkeypatch.setattr(tvm_runtime.importlib.metadata, "version", pins.__getitem__)
    with pytest.raises(UsageError, match=rf"{package} 9\.9 is installed") as caught:
        built(tvm, convnet, batch=1)
    assert "hwloop[tvm]" in caught.value.remedy


def test_the_device_gets_the_versions_that_the_host_installs(tvm):
    pins = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    installed = pins["project"]["optional-dependencies"]["tvm"]
    assert {wheel.requirement for wheel in tvm.needs().wheels} <= set(installed)


def test_a_constant_node_is_no_operator_to_miss(tvm, save, libraries, tmp_path):
    two = numpy_helper.from_array(np.float32(2))
    path = save(
        [helper.make_node("Constant", [], ["two"], value=two), helper.make_node("Mul", ["x", "two"], ["y"])],
        {"x": (FLOAT, [3])},
        {"y": (FLOAT, [3])},
    )
    assert onnx.load(path).graph.node[0].op_type == "Constant"
    assert_runs_like_the_reference(tvm, libraries, tmp_path, path)


# ── what is kept ──


def test_a_second_model_takes_the_kernels_that_the_first_one_compiled(tvm, libraries, tmp_path):
    first = perceptron(tmp_path / "first.onnx", [64, 64, 64], seed=1)
    second = perceptron(tmp_path / "second.onnx", [64, 64, 64, 64], seed=2)
    built(tvm, first)
    objects = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.o")}
    assert objects
    assert_runs_like_the_reference(tvm, libraries, tmp_path, second)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.o")} == objects


def test_a_tuned_build_is_another_file_and_runs_alike(libraries, tmp_path):
    path = perceptron(tmp_path / "p.onnx", [64, 64, 40])
    tuned = TunedKernels("rules", tmp_path / "tuned")
    cache = CompileCache(tmp_path / "cache")
    before = built(Tvm(cache, tuned), path)
    (listing,) = (tmp_path / "cache" / "kernels").iterdir()
    for kernel in json.loads(listing.read_text()):
        tuned.add(HOST, VERDICT, {"kernel": kernel, "schedule": Tiling(2, 1).as_json()})
    after = built(Tvm(cache, tuned), path)
    assert after.digests != before.digests
    assert built(Tvm(cache, tuned, by_rules_alone=True), path).digests == before.digests
    assert_runs_like_the_reference(Tvm(cache, tuned), libraries, tmp_path, path)


def test_a_verdict_on_a_kernel_of_another_model_changes_nothing(tmp_path, monkeypatch):
    path = perceptron(tmp_path / "p.onnx")
    tuned = TunedKernels("rules", tmp_path / "tuned")
    cache = CompileCache(tmp_path / "cache")
    before = built(Tvm(cache, tuned), path)
    tuned.add(HOST, VERDICT, {"kernel": "another", "schedule": Tiling(2, 1).as_json()})
    monkeypatch.setattr(compile_jobs.subprocess, "Popen", None)
    assert built(Tvm(cache, tuned), path).digests == before.digests
