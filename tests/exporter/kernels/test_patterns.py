"""Norms and softmaxes that were written in their parts are the same kernels as the operators."""

import pytest

from hwloop.records import KernelKind

LAYER_NORM = """
    m = ReduceMean(x, last)  c = Sub(x, m)  s = Pow(c, two)  v = ReduceMean(s, last)
    e = Add(v, eps)  d = Sqrt(e)  n = Div(c, d)  g = Mul(n, w)  y = Add(g, b)
"""
OF_SQUARES = """
    m = ReduceMean(x, last)  c = Sub(x, m)  s = Mul(c, c)  v = ReduceMean(s, last)
    e = Add(v, eps)  d = Sqrt(e)  r = Reciprocal(d)  n = Mul(c, r)  g = Mul(n, w)  y = Add(g, b)
"""
WEIGHTS = "<int64[1] last = {-1}, float two = {2}, float eps = {1e-5}, float[8] w, float[8] b>"
HEAD = f"(float[4,8] x) => (float[4,8] y) {WEIGHTS}"


@pytest.mark.parametrize("parts", [LAYER_NORM, OF_SQUARES])
def test_a_layer_norm(cut, parts):
    (joined,) = cut(f"{HEAD} {{ {parts} }}")
    (single,) = cut(f"{HEAD} {{ y = LayerNormalization(x, w, b) }}")
    assert joined.kind is KernelKind.NORM
    assert joined.nodes in (9, 10)
    for name in ("kind", "shape", "element_operations", "weight_bytes", "read_bytes", "written_bytes"):
        assert getattr(joined, name) == getattr(single, name), name


def test_a_root_mean_square_norm(cut):
    (kernel,) = cut(f"""{HEAD} {{
        s = Pow(x, two)  v = ReduceMean(s, last)  e = Add(v, eps)  d = Sqrt(e)  n = Div(x, d)  y = Mul(n, w)
    }}""")
    assert (kernel.kind, kernel.nodes) == (KernelKind.NORM, 6)
    assert kernel.element_operations == 4 * 8 * 4


def test_a_softmax(cut):
    (joined,) = cut(f"""{HEAD} {{
        m = ReduceMax(x, last)  c = Sub(x, m)  e = Exp(c)  s = ReduceSum(e, last)  y = Div(e, s)
    }}""")
    (single,) = cut(f"{HEAD} {{ y = Softmax(x) }}")
    assert joined.kind is KernelKind.SOFTMAX
    assert joined.nodes == 5
    assert (joined.shape, joined.element_operations) == (single.shape, single.element_operations)


def test_a_pattern_whose_middle_is_read_elsewhere_stays_in_its_parts(cut):
    kernels = cut(f"{HEAD.replace('y)', 'y, float[4,1] d)')} {{ {LAYER_NORM} }}")
    assert KernelKind.NORM not in {kernel.kind for kernel in kernels}
