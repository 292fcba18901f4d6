"""Kernels become numbers with names, and a table."""

from math import log1p

import numpy as np

from hwloop.predictor.graph_features import AMOUNTS, COLUMNS, graph_features
from hwloop.records import Kernel, KernelKind

PRODUCT = Kernel(KernelKind.MATMUL, "fp32", {"m": 4, "n": 8, "k": 16, "batch": 1}, 512, 32, 512, 256, 128, 3)
INTEGER = Kernel(KernelKind.INTEGER_MATMUL, "int8-static", {"m": 4, "n": 64, "k": 16}, 4096, 0, 1024, 64, 256, 1)
SOFTMAX = Kernel(KernelKind.SOFTMAX, "fp32", {"m": 4, "n": 800}, 0, 160, 0, 128, 128, 1)


def column(features, name):
    return features.values[:, features.columns.index(name)]


def test_a_row_sums_up_a_model():
    features = graph_features([[PRODUCT, SOFTMAX, PRODUCT], [INTEGER]])
    assert features.columns == COLUMNS
    assert column(features, "kernels").tolist() == [3, 1]
    assert column(features, "products").tolist() == [2, 1]
    np.testing.assert_allclose(column(features, "log_macs"), [log1p(1024), log1p(4096)])
    np.testing.assert_allclose(column(features, "log_activation_bytes"), [log1p(1024), log1p(320)])
    np.testing.assert_allclose(column(features, "log_widest_product"), [log1p(8), log1p(64)])


def test_the_table_has_each_kernel_with_its_kind_and_amounts():
    table = graph_features([[PRODUCT, SOFTMAX], [INTEGER]]).kernels
    assert table.rows == 2
    assert table.kinds == ("integer matmul/int8-static", "matmul/fp32", "softmax/fp32")
    assert table.row.tolist() == [0, 0, 1]
    assert [table.kinds[kind] for kind in table.kind] == ["matmul/fp32", "softmax/fp32", "integer matmul/int8-static"]
    assert table.columns == AMOUNTS
    assert table.values[0].tolist() == [544, 896, 32, 512, 256, 128, 1024]


def vector_macs(kernel):
    table = graph_features([[kernel]]).kernels
    return table.values[0, table.columns.index("vector_macs")]


def test_a_product_computes_its_last_vector_of_outputs_whole():
    assert vector_macs(INTEGER) == 4096  # 64 outputs are four vectors
    assert vector_macs(PRODUCT) == 2 * PRODUCT.macs  # 8 outputs take a vector of 16


def test_a_depthwise_convolution_has_its_channels_in_vectors():
    shape = {"m": 49, "n": 1, "k": 9, "groups": 24, "window": 9, "stride": 1}
    assert vector_macs(Kernel(KernelKind.DEPTHWISE_CONV, "fp32", shape, 49 * 9 * 24, 0, 0, 0, 0, 1)) == 49 * 9 * 32


def test_what_is_no_product_has_its_macs():
    assert vector_macs(SOFTMAX) == 0


def test_totals_by_kind_are_a_vector_of_one_length_for_any_model():
    features = graph_features([[PRODUCT, SOFTMAX, PRODUCT], [INTEGER]])
    totals = features.with_totals(features.kernels.kinds)
    assert column(totals, "matmul/fp32:kernels").tolist() == [2, 0]
    assert column(totals, "matmul/fp32:operations").tolist() == [1088, 0]
    other = graph_features([[SOFTMAX]]).with_totals(features.kernels.kinds)
    assert other.columns == totals.columns


def test_a_model_without_kernels_is_a_row_too():
    features = graph_features([[]])
    assert len(features) == 1
    assert not features.values.any()
