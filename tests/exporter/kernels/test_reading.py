"""Sizes come out of any graph, and no graph is too strange."""

import onnx
import pytest

from hwloop.exporter.kernels import kernels_of
from hwloop.records import KernelKind
from hwloop.testing.models import embedding, lstm

SPLIT = """
    (float[batch,length,32] x) => (float[batch,length,32] y)
    <float[32,32] w, int64[1] heads = {4}, int64[1] rest = {-1}, int64 zero = {0}, int64 one = {1},
     int64[1] front = {0}> {
        s = Shape(x)  b = Gather(s, zero)  l = Gather(s, one)
        bs = Unsqueeze(b, front)  ls = Unsqueeze(l, front)
        to = Concat<axis=0>(bs, ls, heads, rest)
        p = MatMul(x, w)  r = Reshape(p, to)  t = Transpose<perm=[0,2,1,3]>(r)
        u = Transpose<perm=[0,2,3,1]>(r)  q = MatMul(t, u)  v = Softmax(q)
        a = MatMul(v, t)  m = Transpose<perm=[0,2,1,3]>(a)  k = Shape(x)  y = Reshape(m, k)
    }"""


def test_arithmetic_with_shapes_is_followed(cut):
    kernels = cut(SPLIT, {"batch": 2, "length": 5})
    scores = kernels[3]
    assert dict(scores.shape) == {"m": 5, "n": 5, "k": 8, "batch": 8}
    assert [kernel.kind.value for kernel in kernels] == [
        *("matmul", "copy", "copy", "matmul", "softmax", "matmul", "copy")
    ]


def test_a_shape_that_is_chosen_by_comparison_is_followed(cut):
    (kernel,) = cut(
        """
        (float[1,n] x) => (float[8,n] y) <int64[2] want = {8, -1}, int64[2] none = {-1, -1}, int64 d = {1}> {
            two = Shape(x)  is = Equal(want, none)  to = Where(is, two, want)  y = Expand(x, to)
        }""",
        {"n": 16},
    )
    assert (kernel.kind, kernel.written_bytes) == (KernelKind.COPY, 8 * 16 * 4)


def test_a_size_without_a_name_is_bound_by_its_place(cut):
    (kernel,) = cut("(float[?,8] x) => (float[?,8] y) { y = Relu(x) }", {"x:0": 4})
    assert kernel.written_bytes == 4 * 8 * 4


def test_a_size_that_stays_open_counts_as_one(cut):
    (kernel,) = cut("(float[n,8] x) => (float[n,8] y) { y = Relu(x) }")
    assert kernel.written_bytes == 8 * 4


def test_an_operator_of_nobody_is_of_kind_other_with_the_bytes_that_are_known(cut):
    first, second = cut("""
        (float[4,8] x) => (float[4,8] y) <float[4,8] z, float[8] w> { z = of.nobody.Wonder(x, w)  y = Relu(z) }""")
    assert (first.kind, first.weight_bytes, first.read_bytes) == (KernelKind.OTHER, 8 * 4, 4 * 8 * 4)
    assert second.kind is KernelKind.ELEMENTWISE


@pytest.mark.parametrize(("taken", "macs"), [("true", 4 * 8 * 16), ("false", 0)])
def test_of_two_branches_the_one_that_is_taken_counts(cut, taken, macs):
    kernels = cut(f"""
        (float[4,8] x) => (float[4,16] y) <float[8,16] w, bool c = {{{int(taken == "true")}}}, float[4,16] z> {{
            y = If (c) <then_branch = g1 () => (float[4,16] a) {{ p = MatMul(x, w)  a = Relu(p) }},
                        else_branch = g2 () => (float[4,16] b) {{ b = Identity(z) }}>
        }}""")
    assert sum(kernel.macs for kernel in kernels) == macs


def test_a_loop_is_one_kernel_with_the_constants_in_it(cut):
    (kernel,) = cut("""
        (float[4,8] x) => (float[4,8] y) <int64 n = {3}, bool t = {1}> {
            y = Loop(n, t, x) <body = b (int64 i, bool c, float[4,8] s) => (bool d, float[4,8] r)
                <float[8,8] w> { d = Identity(c)  r = MatMul(s, w) }>
        }""")
    assert (kernel.kind, kernel.weight_bytes) == (KernelKind.OTHER, 8 * 8 * 4 + 8 + 1)


def test_functions_are_read_where_they_are_called(parse):
    model = parse("""
        <ir_version: 10, opset_import: ["" : 18, "mine" : 1]>
        g (float[4,8] x) => (float[4,8] y) <float[8,8] w> { y = mine.layer(x, w) }
        <domain: "mine", opset_import: ["" : 18]>
        layer (a, b) => (c) { p = MatMul(a, b)  c = Relu(p) }
    """)
    (kernel,) = kernels_of(model, {})
    assert (kernel.kind, kernel.nodes, kernel.weight_bytes) == (KernelKind.MATMUL, 2, 256)


def test_weights_may_be_missing(tmp_path):
    model = onnx.load(embedding(tmp_path / "m.onnx", rows=1000))
    sizes = {"batch": 2, "length": 3}
    whole = kernels_of(model, sizes)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    assert kernels_of(model, sizes) == whole


def test_recurrent_networks(tmp_path):
    (kernel,) = kernels_of(onnx.load(lstm(tmp_path / "m.onnx", width=8, hidden=4)), {})
    assert (kernel.kind, kernel.macs) == (KernelKind.RECURRENT, 5 * 4 * 4 * (8 + 4))
    assert dict(kernel.shape) == {"m": 1, "n": 4, "k": 8, "batch": 1, "steps": 5}


def test_an_attention_that_is_one_operator(cut):
    (kernel,) = cut(
        "(float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => (float[1,2,4,8] y) { y = Attention(q, k, v) }",
        opset=23,
    )
    assert (kernel.kind, kernel.macs) == (KernelKind.OTHER, 2 * 2 * 4 * 6 * 8)
