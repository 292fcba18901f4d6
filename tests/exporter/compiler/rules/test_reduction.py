"""Reductions, softmax and norms: right for every shape, one kernel each, along rows and across them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tvm import relax

op = relax.op
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


def softmax(x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


@pytest.mark.parametrize("size", [2, 7, 10, 16, 33, 49, 197, 1000])
@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax_along_any_axis(each_cpu, module_of, numbers, size, axis):
    x = numbers(3, 5, size) * 5
    found, compiled = each_cpu.run(module_of(lambda x: op.nn.softmax(x, axis), x.shape), x)
    close(found, softmax(x, axis))
    assert list(compiled.scheduled.values()) == ["reduction"] and not compiled.unscheduled


SUMS = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod, "variance": np.var}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("axes", [[-1], [0], [1], [1, 2], [0, 1], [0, 1, 2]])
def test_sums_over_any_neighbouring_axes(cpu, module_of, numbers, name, axes):
    x = numbers(5, 9, 38)
    found, compiled = cpu.run(module_of(lambda x: getattr(op, name)(x, axes), x.shape), x)
    close(found, SUMS[name](x.astype(np.float64), tuple(axes)))
    assert not compiled.unscheduled


@few
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.data())
def test_a_sum_of_any_shape_over_any_axes(cpu, module_of, shape, data):
    axes = sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    x = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    found, _ = cpu.run(module_of(lambda x: op.sum(x, axes, keepdims=True), x.shape), x)
    close(found, x.astype(np.float64).sum(tuple(axes), keepdims=True))


def test_what_is_before_a_sum_and_after_it_is_part_of_its_kernel(cpu, module_of, numbers):
    x, y = numbers(6, 50), numbers(6, 50)

    def body(x, y):
        return op.sum(op.exp(op.multiply(x, y)), -1)

    found, compiled = cpu.run(module_of(body, x.shape, y.shape), x, y)
    close(found, np.exp(x * y).sum(-1))
    assert list(compiled.scheduled.values()) == ["reduction"]


def test_cores_share_many_rows(cpu, module_of, numbers):
    x = numbers(12, 197, 197)
    found, compiled = cpu.on(3).run(module_of(lambda x: op.nn.softmax(x, -1), x.shape), x)
    close(found, softmax(x, -1))
    assert not compiled.unscheduled


def test_nan_and_infinity_come_out_as_they_must(cpu, module_of):
    x = np.zeros((3, 37), np.float32)
    x[0, 5], x[1, 7] = np.nan, -np.inf
    found, _ = cpu.run(module_of(lambda x: op.nn.softmax(x, -1), x.shape), x)
    assert np.isnan(found[0]).all()
    close(found[1:], softmax(x[1:], -1))


def test_integers_are_summed_too(cpu):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 29), "int32"))
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(op.max(x, [1])))
    values = np.random.default_rng(0).integers(-1000, 1000, (4, 29), dtype=np.int32)
    found, compiled = cpu.run(builder.get(), values)
    np.testing.assert_array_equal(found, values.max(1))
    assert not compiled.unscheduled


def test_builds_for_a_raspberry_pi(pi4, module_of):
    assert not pi4.build(module_of(lambda x: op.nn.softmax(op.mean(x, [1]), -1), (2, 70, 197))).unscheduled
