"""Kernels of graphs as features."""

from hwloop.predictor.kernel_features import kernel_table
from hwloop.records import Kernel, KernelKind


def a_kernel(kind=KernelKind.MATMUL, scheme="fp32", macs=100):
    return Kernel(
        kind, scheme, {"m": 1, "n": 10, "k": 10}, macs, 10, weight_bytes=400, read_bytes=40, written_bytes=40, nodes=2
    )


def test_a_kernel_is_its_kind_with_scheme_and_what_it_does_and_moves():
    table = kernel_table([[a_kernel()], [a_kernel(scheme="int8-static"), a_kernel(KernelKind.SOFTMAX, macs=0)]])
    assert table.rows == 2
    assert table.kinds == ("matmul fp32", "matmul int8-static", "softmax fp32")
    assert table.row.tolist() == [0, 1, 1]
    assert dict(zip(table.columns, table.values[0], strict=True)) == {
        "operations": 110,
        "bytes": 480,
        "weight_bytes": 400,
        "element_operations": 10,
    }
