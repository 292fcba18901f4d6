"""Matrix products: right for every shape, in one kernel with what follows, on register tiles."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tvm import relax

op = relax.op
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 3, 12, 49, 197])
@pytest.mark.parametrize("columns", [2, 10, 48, 100, 192])
def test_a_constant_right_side_of_any_size(each_cpu, module_of, numbers, rows, columns):
    x, w = numbers(1, rows, 35), numbers(35, columns)
    found, compiled = each_cpu.run(module_of(lambda x: op.matmul(x, relax.const(w)), x.shape), x)
    close(found, x @ w)
    assert list(compiled.scheduled.values()) == ["matmul"]


@few
@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 40), st.integers(1, 3))
def test_any_sizes_on_any_number_of_cores(cpu, module_of, rows, columns, depth, cores):
    random = np.random.default_rng(rows)
    x, w = (random.standard_normal(shape, dtype=np.float32) for shape in ((rows, depth), (depth, columns)))
    found, compiled = cpu.on(cores).run(module_of(lambda x: op.matmul(x, relax.const(w)), x.shape), x)
    close(found, x @ w)
    assert not compiled.unscheduled


def test_cores_share_a_large_product(cpu, module_of, numbers):
    x, w = numbers(2, 99, 64), numbers(64, 200)
    found, compiled = cpu.on(4).run(module_of(lambda x: op.matmul(x, relax.const(w)), x.shape), x)
    close(found, x @ w)
    assert not compiled.unscheduled


def test_bias_activation_scale_and_residual_are_part_of_the_product(each_cpu, module_of, numbers):
    x, w, b, r = numbers(1, 21, 16), numbers(16, 40), numbers(40), numbers(1, 21, 40)

    def layer(x, r):
        y = op.nn.relu(op.add(op.matmul(x, relax.const(w)), relax.const(b)))
        return op.add(op.multiply(y, relax.const(0.5, "float32")), r)

    found, compiled = each_cpu.run(module_of(layer, x.shape, r.shape), x, r)
    close(found, np.maximum(x @ w + b, 0) * 0.5 + r)
    assert list(compiled.scheduled.values()) == ["matmul"] and not compiled.unscheduled


def test_a_result_that_is_read_twice_in_what_follows(cpu, module_of, numbers):
    x, w = numbers(13, 16), numbers(16, 33)

    def silu(x):
        y = op.matmul(x, relax.const(w))
        return op.multiply(y, op.sigmoid(y))

    found, compiled = cpu.run(module_of(silu, x.shape), x)
    close(found, x @ w / (1 + np.exp(-(x @ w))))
    assert list(compiled.scheduled.values()) == ["matmul"]


@pytest.mark.parametrize("shape", [(3, 20, 7), (2, 5, 20, 24)])
def test_two_inputs_with_a_batch(each_cpu, module_of, numbers, shape):
    x, y = numbers(*shape), numbers(*shape[:-2], shape[-1], 37)
    found, compiled = each_cpu.run(module_of(op.matmul, x.shape, y.shape), x, y)
    close(found, x @ y)
    assert list(compiled.scheduled.values()) == ["matmul"]


@pytest.mark.parametrize("shape", [(3, 20, 7), (2, 5, 20, 24)])
def test_a_constant_with_a_batch(cpu, module_of, numbers, shape):
    x, w = numbers(*shape), numbers(*shape[:-2], shape[-1], 37)
    found, compiled = cpu.run(module_of(lambda x: op.matmul(x, relax.const(w)), x.shape), x)
    close(found, x @ w)
    assert list(compiled.scheduled.values()) == ["matmul"]


@pytest.mark.parametrize("depth", [5, 16, 35])
@pytest.mark.parametrize("columns", [3, 17, 64])
def test_a_transposed_right_side(each_cpu, module_of, numbers, depth, columns):
    x, y = numbers(2, 9, depth), numbers(2, columns, depth)
    module = module_of(lambda x, y: op.matmul(x, op.permute_dims(y, [0, 2, 1])), x.shape, y.shape)
    found, compiled = each_cpu.run(module, x, y)
    close(found, x @ y.swapaxes(1, 2))
    assert list(compiled.scheduled.values()) == ["matmul"]


def test_a_transposed_left_side(each_cpu, module_of, numbers):
    x, w = numbers(19, 50), numbers(19, 33)
    found, compiled = each_cpu.run(module_of(lambda x: op.matmul(op.permute_dims(x), relax.const(w)), x.shape), x)
    close(found, x.T @ w)
    assert list(compiled.scheduled.values()) == ["matmul"]


@pytest.mark.parametrize("shapes", [((4, 9, 8), (8, 5)), ((1, 9, 8), (6, 8, 5)), ((2, 1, 9, 8), (3, 8, 5))])
def test_batches_that_are_broadcast(cpu, module_of, numbers, shapes):
    x, y = (numbers(*shape) for shape in shapes)
    found, _ = cpu.run(module_of(op.matmul, x.shape, y.shape), x, y)
    close(found, x @ y)


@pytest.mark.parametrize("tokens", [17, 49])
@pytest.mark.parametrize("cores", [1, 3])
def test_attention_reads_and_writes_heads_where_they_lie(cpu, module_of, numbers, tokens, cores):
    heads, width = 3, 32
    qkv = numbers(1, tokens, 3 * heads * width)

    def attention(x):
        split = op.permute_dims(op.reshape(x, (1, tokens, 3, heads, width)), [2, 0, 3, 1, 4])
        q, k, v = (op.take(split, relax.const(part, "int64"), axis=0) for part in range(3))
        scores = op.matmul(op.multiply(q, relax.const(0.25, "float32")), op.permute_dims(k, [0, 1, 3, 2]))
        mixed = op.matmul(scores, v)
        return op.reshape(op.permute_dims(mixed, [0, 2, 1, 3]), (1, tokens, heads * width))

    found, compiled = cpu.on(cores).run(module_of(attention, qkv.shape), qkv)
    q, k, v = qkv.reshape(1, tokens, 3, heads, width).transpose(2, 0, 3, 1, 4)
    wanted = (q * 0.25 @ k.swapaxes(-1, -2) @ v).transpose(0, 2, 1, 3).reshape(1, tokens, -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    assert sorted(compiled.scheduled.values()) == ["matmul", "matmul"] and not compiled.unscheduled


def test_a_product_that_something_else_reads_too_is_stored_as_it_is(cpu, module_of, numbers):
    x, w = numbers(1, 6, 16), numbers(16, 32)

    def make(x):
        y = op.matmul(x, relax.const(w))
        return op.concat([op.reshape(y, (1, 32, 6)), op.permute_dims(y, [0, 2, 1])], axis=0)

    found, _ = cpu.run(module_of(make, x.shape), x)
    close(found, np.concatenate([(x @ w).reshape(1, 32, 6), (x @ w).transpose(0, 2, 1)]))


def test_integer_products_are_left_to_others(cpu, module_of, numbers):
    def make(x):
        whole = op.astype(x, "int32")
        return op.matmul(whole, whole)

    x = numbers(5, 5) * 9
    found, compiled = cpu.run(module_of(make, x.shape), x)
    assert (found == x.astype("int32") @ x.astype("int32")).all()
    assert "matmul" not in compiled.scheduled.values()


def test_equal_layers_share_one_kernel(cpu, module_of, numbers):
    weights = [numbers(24, 24) for _ in range(4)]

    def layers(x):
        for w in weights:
            x = op.nn.relu(op.matmul(x, relax.const(w)))
        return x

    _, compiled = cpu.run(module_of(layers, (7, 24)), numbers(7, 24))
    assert len(compiled.scheduled) == 1


@pytest.mark.parametrize("depth", [2, 49, 64])
def test_it_builds_for_a_raspberry_pi(pi4, module_of, numbers, depth):
    w = numbers(depth, 100)
    compiled = pi4.build(module_of(lambda x: op.nn.relu(op.matmul(x, relax.const(w))), (1, 49, depth)))
    assert list(compiled.scheduled.values()) == ["matmul"]


def test_a_lane_of_a_vector_is_multiplied_where_the_cpu_can(pi4, module_of, numbers):
    w = numbers(64, 32)
    compiled = pi4.build(module_of(lambda x: op.matmul(x, relax.const(w)), (20, 64)))
    assert ".s[3]" in assembly(compiled.executable.mod)


def assembly(module: Any) -> str:
    """Return the assembly of a built module and of what it imports."""
    own = module.inspect_source("asm") if module.kind == "llvm" else ""
    return own + "".join(assembly(part) for part in module.imports)
