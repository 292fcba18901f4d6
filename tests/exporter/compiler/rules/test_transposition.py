"""A square turned in registers is its transpose."""

import numpy as np
import pytest
import tvm
from tvm import tirx

from hwloop.exporter.compiler.rules.microkernel import kernel_body, sequence, vector_at
from hwloop.exporter.compiler.rules.transposition import transposed


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_a_square_is_turned(size):
    source, target = (tirx.decl_buffer((size, size), "float32", name) for name in ("source", "target"))
    statements, columns = transposed([vector_at(source, [row, 0], size) for row in range(size)])
    stores = [target.vstore([row, 0], column) for row, column in enumerate(columns)]
    kernel = tirx.PrimFunc([source, target], kernel_body(sequence([*statements, *stores])))
    built = tvm.compile(kernel.with_attrs({"global_symbol": "turn", "s_tir": True}), "llvm")
    numbers = np.arange(size * size, dtype="float32").reshape(size, size)
    into = tvm.runtime.tensor(np.zeros_like(numbers))
    built["turn"](tvm.runtime.tensor(numbers), into)
    assert (into.numpy() == numbers.T).all()
