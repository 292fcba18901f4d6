"""exp, erf, tanh and sigmoid on vectors: as exact as 32-bit numbers allow, and right at the edges."""

import math

import numpy as np
import pytest
from tvm import relax

op = relax.op
EDGES = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, -3e38, 88.72283, 88.8, -87.4, -103.9, -104.1]
)
FUNCTIONS = {
    "exp": (op.exp, np.exp, 3),
    "erf": (op.erf, np.vectorize(math.erf), 6),
    "tanh": (op.tanh, np.tanh, 6),
    "sigmoid": (op.sigmoid, lambda x: 1 / (1 + np.exp(-x)), 4),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_agrees_with_the_exact_function(each_cpu, module_of, name):
    function, exact, ulps = FUNCTIONS[name]
    spread = np.concatenate([EDGES, np.linspace(-90, 90, 20_001), np.geomspace(1e-30, 10, 5001)])
    x = spread.astype(np.float32)
    found, _ = each_cpu.run(module_of(function, x.shape), x)
    wanted = exact(x.astype(np.float64))
    rounded = wanted.astype(np.float32)
    plain = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~plain], rounded[~plain])
    off = np.abs(found[plain] - wanted[plain]) / np.spacing(np.abs(rounded[plain]))
    lost = (name == "sigmoid") & (wanted[plain] < np.finfo(np.float32).tiny) & (found[plain] == 0)
    assert np.all(lost | (off <= ulps))


@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_never_leaves_its_range(cpu, module_of, name):
    x = np.linspace(2, 12, 50_001).astype(np.float32)
    found, _ = cpu.run(module_of(FUNCTIONS[name][0], x.shape), x)
    assert found.max() == 1


def test_other_types_are_left_to_the_library(cpu):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((9,), "float64"))
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(op.exp(op.tanh(x))))
    values = np.linspace(-3, 3, 9)
    found, _ = cpu.run(builder.get(), values)
    np.testing.assert_allclose(found, np.exp(np.tanh(values)), rtol=1e-14)


def test_no_call_is_left_in_the_code(cpu, module_of):
    compiled = cpu.build(module_of(lambda x: op.multiply(op.exp(x), op.erf(op.tanh(op.sigmoid(x)))), (64,)))
    code = _assembly(compiled.executable.mod)
    assert "expf" not in code and "erff" not in code and "tanhf" not in code


def _assembly(module):
    if module.kind == "llvm":
        return module.inspect_source("asm")
    return "".join(_assembly(part) for part in module.imports)
