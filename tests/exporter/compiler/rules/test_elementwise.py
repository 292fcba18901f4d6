"""Elementwise chains, broadcasts, slices, gathers, concatenations: right for every shape, in one pass."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tvm import relax

op = relax.op
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def only_elementwise(compiled):
    assert set(compiled.scheduled.values()) == {"elementwise"} and not compiled.unscheduled


@pytest.mark.parametrize("shape", [(1,), (3,), (17,), (2, 5), (3, 7, 11), (64, 65), (1, 197, 192), ()])
def test_a_chain_of_any_shape(each_cpu, module_of, numbers, shape):
    x, y = numbers(*shape), numbers(*shape)

    def body(x, y):
        return op.nn.relu(op.add(op.multiply(x, y), op.sqrt(op.abs(x))))

    found, compiled = each_cpu.run(module_of(body, shape, shape), x, y)
    close(found, np.maximum(x * y + np.sqrt(np.abs(x)), 0))
    only_elementwise(compiled)


@few
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.data())
def test_any_broadcast(cpu, module_of, shape, data):
    narrow = [data.draw(st.sampled_from([1, size])) for size in shape][data.draw(st.integers(0, len(shape) - 1)) :]
    random = np.random.default_rng(0)
    x, y = (random.standard_normal(size, dtype=np.float32) for size in (shape, narrow))
    found, _ = cpu.run(module_of(op.subtract, x.shape, y.shape), x, y)
    close(found, x - y)


def test_what_is_read_twice_is_computed_once(cpu, module_of, numbers):
    x = numbers(9, 33)

    def doubling(x):
        for _ in range(12):
            x = op.multiply(op.add(x, x), relax.const(0.5, "float32"))
            x = op.add(op.multiply(x, op.sigmoid(x)), x)
        return x

    wanted = x.astype(np.float64)
    for _ in range(12):
        wanted = wanted / (1 + np.exp(-wanted)) + wanted
    found, compiled = cpu.run(module_of(doubling, x.shape), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    only_elementwise(compiled)


def test_a_truth_that_is_read_twice_stays_one(each_cpu, module_of, numbers):
    x, y = numbers(5, 17), numbers(5, 17)

    def body(x, y):
        larger = op.greater(x, y)
        return op.subtract(op.where(larger, x, y), op.astype(op.logical_not(larger), "float32"))

    found, compiled = each_cpu.run(module_of(body, x.shape, y.shape), x, y)
    close(found, np.maximum(x, y) - (x <= y))
    only_elementwise(compiled)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concatenation_along_any_axis(cpu, module_of, numbers, axis):
    x, y, z = numbers(3, 7, 20), numbers(*np.array([3, 7, 20]) + np.eye(3, dtype=int)[axis] * 5), numbers(3, 7, 20)

    def body(*parts):
        return op.nn.relu(op.concat(list(parts), axis))

    found, compiled = cpu.run(module_of(body, x.shape, y.shape, z.shape), x, y, z)
    close(found, np.maximum(np.concatenate([x, y, z], axis), 0))
    only_elementwise(compiled)


def test_padding(cpu, module_of, numbers):
    x = numbers(2, 9, 21)
    found, compiled = cpu.run(module_of(lambda x: op.nn.pad(x, [0, 0, 1, 2, 3, 4]), x.shape), x)
    close(found, np.pad(x, [(0, 0), (1, 2), (3, 4)]))
    only_elementwise(compiled)


@pytest.mark.parametrize("axes", [[1, 0, 2], [0, 2, 1], [2, 1, 0]])
def test_transposition(each_cpu, module_of, numbers, axes):
    x = numbers(5, 19, 38)
    found, compiled = each_cpu.run(module_of(lambda x: op.permute_dims(x, axes), x.shape), x)
    close(found, x.transpose(axes))
    assert not compiled.unscheduled


def module_on(kind, shape, body):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, kind))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(body(x)))
        builder.emit_func_output(result)
    return builder.get()


def test_rows_of_a_table(cpu, numbers):
    table = numbers(50, 384)
    module = module_on("int64", (1, 32), lambda x: op.nn.relu(op.take(relax.const(table), x, axis=0)))
    at = np.random.default_rng(0).integers(0, 50, (1, 32))
    found, compiled = cpu.run(module, at)
    close(found, np.maximum(table[at], 0))
    only_elementwise(compiled)


def test_integers_truth_values_and_conversions(cpu):
    def body(x):
        return op.where(op.less(x, relax.const(3, "int64")), op.astype(x, "float32"), relax.const(-1.5, "float32"))

    x = np.arange(-40, 41).reshape(3, 27)
    found, compiled = cpu.run(module_on("int64", x.shape, body), x)
    close(found, np.where(x < 3, x, -1.5))
    only_elementwise(compiled)
    found, compiled = cpu.run(module_on("int64", x.shape, lambda x: op.equal(x, op.abs(x))), x)
    np.testing.assert_array_equal(found, x == abs(x))
    only_elementwise(compiled)


def test_cores_share_a_large_chain(cpu, module_of, numbers):
    x = numbers(3, 100_003)
    found, compiled = cpu.on(3).run(module_of(lambda x: op.tanh(op.exp(x)), x.shape), x)
    close(found, np.tanh(np.exp(x)))
    only_elementwise(compiled)


def test_builds_for_a_raspberry_pi(pi4, module_of):
    only_elementwise(pi4.build(module_of(lambda x: op.concat([x, op.erf(x)], 1), (3, 7, 200))))
