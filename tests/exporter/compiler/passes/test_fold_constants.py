"""Arithmetic on constants and shapes is gone before any kernel is made."""

import numpy as np
from tvm import relax

from hwloop.exporter.compiler.passes.fold_constants import fold_constants

op = relax.op


def calls(module):
    return [binding.value.op.name for block in module["main"].body.blocks for binding in block.bindings]


def test_a_constant_in_another_layout_is_a_constant(module_of, numbers):
    w = relax.const(numbers(5, 3))
    folded = fold_constants(module_of(lambda x: op.matmul(x, op.permute_dims(w)), (2, 3)), None)
    assert calls(folded) == ["relax.matmul"]


def test_the_index_that_a_frontend_computes_from_a_shape_is_a_number(cpu, module_of, numbers):
    def last(x):
        size = op.take(op.shape_to_tensor(op.shape_of(x)), relax.const(0, "int64"), axis=0)
        index = op.where(relax.const(True), op.add(relax.const(-1, "int64"), size), relax.const(0, "int64"))
        return op.take(x, index, axis=0)

    x = numbers(4, 6)
    module = module_of(last, x.shape)
    assert calls(fold_constants(module, None)) == ["relax.take"]
    found, _ = cpu.run(module, x)
    np.testing.assert_array_equal(found, x[-1])


def test_what_depends_on_an_input_stays(module_of, numbers):
    folded = fold_constants(module_of(lambda x: op.add(x, relax.const(numbers(3))), (2, 3)), None)
    assert calls(folded) == ["relax.add"]
