"""What rides on a kernel, and what does not."""

from hwloop.records import KernelKind


def kinds(kernels):
    return [kernel.kind.value for kernel in kernels]


def test_bias_activation_and_residual_ride_on_the_product(cut):
    (kernel,) = cut("""
        (float[4,8] x, float[4,16] r) => (float[4,16] y) <float[8,16] w, float[16] b> {
            p = MatMul(x, w)  s = Add(p, b)  a = Relu(s)  y = Add(a, r)
        }""")
    assert (kernel.kind, kernel.scheme, kernel.nodes) == (KernelKind.MATMUL, "fp32", 4)
    assert dict(kernel.shape) == {"m": 4, "n": 16, "k": 8, "batch": 1}
    assert (kernel.macs, kernel.element_operations) == (4 * 16 * 8, 3 * 4 * 16)
    assert kernel.weight_bytes == 4 * (8 * 16 + 16)
    assert (kernel.read_bytes, kernel.written_bytes) == (4 * (4 * 8 + 4 * 16), 4 * 4 * 16)


def test_a_gelu_in_its_parts_rides_on_the_product_before_it(cut):
    (kernel,) = cut("""
        (float[4,8] x) => (float[4,16] y) <float[8,16] w, float r = {1.414}, float one = {1}, float half = {0.5}> {
            p = MatMul(x, w)
            d = Div(p, r)  e = Erf(d)  g = Add(e, one)  m = Mul(p, g)  y = Mul(m, half)
        }""")
    assert kernel.nodes == 6


def test_a_value_that_another_kernel_reads_is_written(cut):
    first, second = cut("""
        (float[4,8] x) => (float[4,8] y) <float[8,8] w> { p = MatMul(x, w)  q = MatMul(p, w)  y = Add(p, q) }""")
    assert (first.nodes, second.nodes) == (1, 2)
    assert first.written_bytes == 4 * 4 * 8
    assert second.read_bytes == 4 * 4 * 8  # p once, though the product and the sum read it


def test_a_value_that_the_graph_returns_takes_nothing_on(cut):
    kernels = cut("(float[4,8] x) => (float[4,8] p, float[4,8] y) <float[8,8] w> { p = MatMul(x, w)  y = Relu(p) }")
    assert kinds(kernels) == ["matmul", "elementwise"]


def test_what_makes_a_value_larger_is_a_kernel_of_its_own(cut):
    kernels = cut("""
        (float[1,8,6,6] x) => (float[1,8,6,6] y) <float[8,8,1,1] w> {
            c = Conv(x, w)  m = GlobalAveragePool(c)  s = Conv(m, w)  g = Sigmoid(s)  y = Mul(c, g)
        }""")
    assert kinds(kernels) == ["conv", "pool", "conv", "elementwise"]


def test_a_scale_before_an_attention_product_rides_on_it(cut):
    (kernel,) = cut("""
        (float[2,4,8] q, float[2,8,4] k) => (float[2,4,4] y) <float s = {0.35}> { a = Mul(q, s)  y = MatMul(a, k) }""")
    assert (kernel.kind, kernel.nodes) == (KernelKind.MATMUL, 2)
    assert dict(kernel.shape) == {"m": 4, "n": 4, "k": 8, "batch": 2}


def test_views_constants_and_arithmetic_with_shapes_cost_nothing(cut):
    (kernel,) = cut("""
        (float[2,3,4] x) => (float[6,4] y) <int64[1] last = {4}, int64[1] all = {-1}, float[4] a, float[4] b> {
            s = Shape(x)  n = Size(x)  to = Concat<axis=0>(all, last)
            r = Reshape(x, to)  c = Add(a, b)  y = Add(r, c)
        }""")
    assert (kernel.kind, kernel.nodes, kernel.weight_bytes) == (KernelKind.ELEMENTWISE, 1, 16)


def test_what_no_output_needs_is_not_there(cut):
    assert len(cut("(float[4] x) => (float[4] y) { z = Exp(x)  y = Relu(x) }")) == 1


def test_of_a_table_only_the_rows_are_read_that_are_selected(cut):
    (kernel,) = cut("(int64[5] ids) => (float[5,16] y) <float[1000,16] t> { y = Gather(t, ids) }")
    assert (kernel.kind, kernel.weight_bytes, kernel.read_bytes) == (KernelKind.GATHER, 5 * 16 * 4, 5 * 8)
