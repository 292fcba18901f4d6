"""The kernels are those that ONNX Runtime runs: as many of each heavy kind as in the graph that it makes for itself."""

from collections import Counter

import onnx
import onnxruntime as ort
import pytest

from hwloop.exporter.kernels import kernels_of
from hwloop.records import KernelKind
from hwloop.testing.networks.bert import bert
from hwloop.testing.networks.quantized import dynamic_int8
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.vit import vit

# What ONNX Runtime calls the kernels of a kind after its own fusions.
NAMES = {
    KernelKind.CONV: {"Conv"},
    KernelKind.POOL: {"MaxPool", "GlobalAveragePool"},
    KernelKind.MATMUL: {"MatMul", "Gemm", "FusedMatMul"},
    KernelKind.INTEGER_MATMUL: {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"},
    KernelKind.SOFTMAX: {"Softmax"},
    KernelKind.NORM: {"LayerNormalization", "SkipLayerNormalization"},
}


def small_vit(path):
    return vit(path, width=64, heads=2, depth=3, size=64)


def small_bert(path):
    return bert(path, tokens=16, width=64, heads=2, depth=3)


def small_resnet(path):
    return resnet(path, size=64, blocks=(1, 2), width=16)


def quantized_vit(path):
    return dynamic_int8(small_vit(path.with_name("fp32.onnx")), path)


@pytest.mark.parametrize("write", [small_vit, small_bert, small_resnet, quantized_vit])
def test_there_are_as_many_kernels_of_each_heavy_kind_as_in_the_optimized_graph(write, tmp_path):
    path = write(tmp_path / "m.onnx")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    optimized = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    ours = Counter(kernel.kind for kernel in kernels_of(onnx.load(path), {}))
    integer_convs = optimized["ConvInteger"]
    for kind, names in NAMES.items():
        expected = sum(optimized[name] for name in names) + (integer_convs if kind is KernelKind.CONV else 0)
        assert ours[kind] == expected, kind
