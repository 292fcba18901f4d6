"""Every way of quantizing a product says what it is, and moves the bytes that are stored."""

import pytest

from hwloop.records import KernelKind

QDQ = """
    (float[4,32] x) => (float[4,16] y)
    <float xs = {0.1}, uint8 xz = {3}, int8[32,16] w, float[16] ws, int8[16] wz, float ys = {0.2}, uint8 yz = {0}> {
        xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)
        wd = DequantizeLinear<axis=1>(w, ws, wz)
        p = MatMul(xd, wd)
        pq = QuantizeLinear(p, ys, yz)  y = DequantizeLinear(pq, ys, yz)
    }"""


def test_a_static_product_takes_its_requantization_along(cut):
    quantize, product, dequantize = cut(QDQ)
    assert (product.kind, product.scheme) == (KernelKind.INTEGER_MATMUL, "int8-static")
    assert product.nodes == 2
    assert (product.read_bytes, product.written_bytes) == (4 * 32, 4 * 16)
    assert product.weight_bytes >= 32 * 16 + 16 * 4
    assert (quantize.written_bytes, dequantize.read_bytes) == (4 * 32, 4 * 16)


def test_a_dynamic_product_takes_scales_and_bias_along(cut):
    quantize, product = cut("""
        (float[4,32] x) => (float[4,16] y) <int8[32,16] w, float[16] ws, int8[16] wz, float[16] b> {
            xq, xs, xz = DynamicQuantizeLinear(x)
            p = MatMulInteger(xq, w, xz, wz)  f = Cast<to=1>(p)
            s = Mul(xs, ws)  m = Mul(f, s)  y = Add(m, b)
        }""")
    assert (product.kind, product.scheme, product.nodes) == (KernelKind.INTEGER_MATMUL, "int8-dynamic", 5)
    assert (quantize.kind, quantize.scheme) == (KernelKind.ELEMENTWISE, "int8-dynamic")
    assert product.macs == 4 * 32 * 16
    assert product.written_bytes == 4 * 4 * 16


def test_blocks_of_four_bits(cut):
    (product,) = cut(
        """
        (float[4,64] x) => (float[4,16] y) <int4[64,16] w, float[2,16] s> {
            d = DequantizeLinear<axis=0, block_size=32>(w, s)  y = MatMul(x, d)
        }""",
        opset=21,
    )
    assert (product.kind, product.scheme, product.nodes) == (KernelKind.MATMUL, "int4-weight", 1)
    assert product.weight_bytes == 64 * 16 // 2 + 2 * 16 * 4
    assert (product.macs, dict(product.shape)["k"]) == (4 * 64 * 16, 64)


def test_onnx_runtimes_blocks_of_four_bits(cut):
    first, second = cut("""
        (float[1,4,64] x) => (float[1,4,16] y) <uint8[16,2,16] w, float[32] s> {
            a = com.microsoft.MatMulNBits<K=64, N=16, bits=4, block_size=32>(x, w, s)
            r = Relu(a)
            y = com.microsoft.MatMulNBits<K=16, N=16, bits=4, block_size=32>(r, w, s)
        }""")
    assert (first.kind, first.scheme, first.nodes) == (KernelKind.MATMUL, "int4-weight", 2)
    assert (first.macs, second.macs) == (4 * 64 * 16, 4 * 16 * 16)
    assert first.weight_bytes == 16 * 2 * 16 + 32 * 4


@pytest.mark.parametrize(("groups", "kind"), [(1, KernelKind.CONV), (8, KernelKind.DEPTHWISE_CONV)])
def test_a_static_convolution(cut, groups, kind):
    kernels = cut(f"""
        (float[1,8,6,6] x) => (float[1,8,6,6] y)
        <float s = {{0.1}}, uint8 z = {{0}}, int8[8,{8 // groups},3,3] w, float[8] ws, int8[8] wz> {{
            xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)  wd = DequantizeLinear<axis=0>(w, ws, wz)
            c = Conv<group={groups}, pads=[1,1,1,1]>(xd, wd)  r = Relu(c)  y = QuantizeLinear(r, s, z)
        }}""")
    assert [kernel.kind for kernel in kernels] == [KernelKind.ELEMENTWISE, kind]
    assert (kernels[1].scheme, kernels[1].macs) == ("int8-static", 36 * 8 * (8 // groups) * 9)


def test_quantizing_back_what_was_only_viewed_is_no_kernel(cut):
    kernels = cut("""
        (uint8[2,8] x) => (uint8[4,4] y) <float s = {0.1}, uint8 z = {0}, int64[2] to = {4, 4}> {
            d = DequantizeLinear(x, s, z)  r = Reshape(d, to)  y = QuantizeLinear(r, s, z)
        }""")
    assert kernels == ()


def test_weights_alone_of_eight_bits(cut):
    (product,) = cut("""
        (float[4,32] x) => (float[4,16] y) <int8[16,32] w, float[16] s> {
            d = DequantizeLinear<axis=0>(w, s)  t = Transpose<perm=[1,0]>(d)  y = MatMul(x, t)
        }""")
    assert (product.kind, product.scheme) == (KernelKind.MATMUL, "int8-weight")
    assert product.weight_bytes == 32 * 16 + 16 * 4
