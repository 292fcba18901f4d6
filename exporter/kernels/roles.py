"""What each operator is to a runtime: a product, a view, a step that rides on another one, ..."""

from __future__ import annotations

from enum import Enum, auto

# Whose operators are known by name here; those of other domains are `Role.OTHER`.
DOMAINS = frozenset(["", "ai.onnx", "com.microsoft"])


class Role(Enum):
    """What an operator is when a graph is cut into kernels."""

    VIEW = auto()
    MATMUL = auto()
    CONV = auto()
    POOL = auto()
    SOFTMAX = auto()
    NORM = auto()
    ELEMENTWISE = auto()
    QUANTIZER = auto()
    COPY = auto()
    GATHER = auto()
    REDUCTION = auto()
    RECURRENT = auto()
    OTHER = auto()


_KINDS = {
    Role.VIEW: "Dropout Flatten Identity Reshape Squeeze Unsqueeze",
    Role.MATMUL: """
        DynamicQuantizeMatMul Einsum FusedGemm FusedMatMul Gemm MatMul MatMulInteger MatMulIntegerToFloat MatMulNBits
        QGemm QLinearMatMul
    """,
    Role.CONV: "Conv ConvInteger ConvTranspose FusedConv NhwcConv QLinearConv",
    Role.POOL: """
        AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool MaxRoiPool NhwcMaxPool
        QLinearAveragePool QLinearGlobalAveragePool RoiAlign
    """,
    Role.SOFTMAX: "BiasSoftmax Hardmax LogSoftmax QLinearSoftmax Softmax",
    Role.NORM: """
        GroupNorm GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization
        MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization SkipLayerNormalization
        SkipSimplifiedLayerNormalization
    """,
    Role.ELEMENTWISE: """
        Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BiasGelu BitShift BitwiseAnd BitwiseNot
        BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Elu Equal Erf Exp FastGelu Floor
        Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish
        Mod Mul Neg Not Or PRelu Pow QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QuantizeLinear QuickGelu
        Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh
        ThresholdedRelu Where Xor
    """,
    Role.QUANTIZER: "DynamicQuantizeLinear",
    Role.COPY: """
        CenterCropPad Col2Im Concat DepthToSpace Expand Pad QLinearConcat Resize ReverseSequence Slice SpaceToDepth
        Split Tile Transpose Trilu Upsample
    """,
    Role.GATHER: """
        Compress Gather GatherBlockQuantized GatherElements GatherND OneHot Scatter ScatterElements ScatterND
        TensorScatter
    """,
    Role.REDUCTION: """
        ArgMax ArgMin CumSum QLinearReduceMean ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
        ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK
    """,
    Role.RECURRENT: "GRU LSTM RNN",
}
_ROLES = {name: role for role, names in _KINDS.items() for name in names.split()}

# Element operations of an operator for each number of its output (elementwise) or of its input (softmax, norm), where
# they are not one: as many as the steps that exporters write it in. Norms have one more for each scale, shift and sum.
STEPS = {
    "BatchNormalization": 2,
    "BiasGelu": 6,
    "FastGelu": 8,
    "Gelu": 5,
    "GroupNormalization": 5,
    "HardSwish": 4,
    "InstanceNormalization": 5,
    "LRN": 5,
    "LayerNormalization": 5,
    "LpNormalization": 3,
    "MeanVarianceNormalization": 5,
    "Mish": 4,
    "QuickGelu": 3,
    "RMSNormalization": 3,
    "SimplifiedLayerNormalization": 3,
    "SkipLayerNormalization": 5,
    "SkipSimplifiedLayerNormalization": 3,
    "BiasSoftmax": 6,
    "LogSoftmax": 6,
    "QLinearSoftmax": 5,
    "Softmax": 5,
    "Swish": 2,
}
CONTROL_FLOW = frozenset(["If", "Loop", "Scan", "SequenceMap"])
RANDOM = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
)


def role_of(domain: str, kind: str) -> Role:
    """Return the role of an operator."""
    return _ROLES.get(kind, Role.OTHER) if domain in DOMAINS else Role.OTHER
