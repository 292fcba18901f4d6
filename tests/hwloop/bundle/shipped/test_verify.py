"""verify.py on a device: what it finds, and how it says so."""

import ast
import json
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hwloop.bundle import shipped
from hwloop.bundle.manifest import tolerance
from hwloop.bundle.shipped.verify import compare, values
from hwloop.exporter import compare as host
from hwloop.exporter.numpy_types import numpy_type
from hwloop.records import TensorSpec

SOURCES = sorted(Path(shipped.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_is_shipped_needs_nothing_but_the_standard_library_of_python_3_8(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "driver"}


# ── exit codes and words ──


def test_wrong_outputs_end_with_1(bundle, verify, change):
    path = bundle / "reference" / "output-0.bin"
    right = np.fromfile(path, np.float32)
    right[3] += 1
    right.tofile(path)
    change(bundle, files=["reference/output-0.bin"])
    ended = verify(bundle)
    assert ended.returncode == 1
    assert "outputs differ: output 'a1': 1 of 256 values differ, by up to 1" in ended.stderr
    assert json.loads(verify(bundle, "--json").stdout)["verdict"] == "outputs differ"


def test_a_damaged_file_ends_with_2_before_anything_is_run(bundle, verify):
    (bundle / "driver" / "model.py").write_text("raise SystemExit('I ran')")
    ended = verify(bundle)
    assert ended.returncode == 2
    assert "refused: driver/model.py is damaged" in ended.stderr


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda it: it.update(schema=2), "has form 2"),
        (lambda it: it["target"].update(machine="riscv64"), f"for riscv64, and this machine is {platform.machine()}"),
        (lambda it: it["target"].update(glibc=[2, 999]), "needs glibc 2.999 or newer, and here is 2."),
        (lambda it: it["runtime"].update(python=[3, 4]), "the bundle's runtime is for Python 3.4, and this is 3."),
        (lambda it: it["model"].update(entry="model/other.so"), "the model does not run here"),
    ],
)
def test_what_is_not_for_this_machine_ends_with_2(bundle, verify, change, alter, words):
    change(bundle, alter)
    ended = verify(bundle)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert words in json.loads(verify(bundle, "--json").stdout)["message"]


def test_a_model_that_ends_the_process_is_told(bundle, verify, change):
    (bundle / "driver" / "model.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    change(bundle, files=["driver/model.py"])
    ended = verify(bundle)
    assert ended.returncode == 2
    assert "the model was ended by SIGILL; the code may be for a newer processor" in ended.stderr


def test_compiled_code_that_nobody_checked_is_not_read(bundle, verify):
    cached = bundle / "driver" / "__pycache__" / f"model.{sys.implementation.cache_tag}.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"this would be no code")
    assert verify(bundle).returncode == 0


# ── comparing, as the host does ──


def compared(dtype, right, found):
    spec = TensorSpec("y", dtype, right.shape)
    stated = {**spec.as_json(), "tolerance": tolerance(spec)}
    return compare(stated, right.tobytes(), (dtype, list(found.shape), found.tobytes()))


@pytest.mark.parametrize(
    "dtype",
    [
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "int64",
        "uint64",
        "bool",
    ],
)
def test_numbers_of_every_type_are_read_as_they_are(dtype):
    stored = np.array([0, 1, 100, 0, 1]).astype(numpy_type(dtype))
    assert list(values(dtype, stored.tobytes())) == [float(value) for value in stored]


@given(
    st.sampled_from(["float64", "float32", "float16", "int8", "int32", "bool"]).flatmap(
        lambda dtype: arrays.arrays(dtype, st.integers(1, 6).map(lambda size: (size,)))
    ),
    st.sampled_from([0.0, 1e-6, 5e-4, 2e-3, 0.05, 1.0]),
    st.randoms(use_true_random=False),
)
def test_the_verdict_is_that_of_the_host(right, share, random):
    found = right.copy()
    with np.errstate(all="ignore"):
        place = random.randrange(right.size)
        found[place] = (found[place] * (1 + share) + share).astype(right.dtype)
    expected = host.compare({"y": right}, {"y": found})
    worst, problem = compared(right.dtype.name, right, found)
    assert (not problem) == expected.match, (right, found, problem, expected)
    if not problem:
        assert worst == pytest.approx(expected.max_abs_err or 0.0, nan_ok=True)


def test_another_shape_or_a_missing_output_is_told():
    right, spec = np.zeros((2, 3), np.float32), TensorSpec("y", "float32", (2, 3))
    assert "is float32[3, 2], not float32[2, 3]" in compared("float32", right, right.reshape(3, 2))[1]
    assert "'y' is missing" in compare({**spec.as_json(), "tolerance": tolerance(spec)}, right.tobytes(), None)[1]
