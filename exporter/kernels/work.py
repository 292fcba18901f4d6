"""What an operator computes, in multiply-accumulates, and on what size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwloop.exporter.kernels.reading import Graph, Op
from hwloop.exporter.kernels.roles import STEPS, Role
from hwloop.exporter.kernels.tensors import UNKNOWN, Tensor

# Where the right side of a product stands among its inputs; everywhere else it is the second.
RIGHT_SIDE = {"QLinearMatMul": 3, "QLinearConv": 3, "QGemm": 3}
# Where whole attentions have the keys of the tokens before.
ATTENTION = {"Attention": 4, "MultiHeadAttention": 6}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class Work:
    """Sizes by name, multiply-accumulates, and element operations."""

    shape: Mapping[str, int]
    macs: int = 0
    element_operations: int = 0


def right_side(op: Op) -> str:
    """Return the name of a product's right side, "" where it has none."""
    place = RIGHT_SIDE.get(op.kind, 1)
    return op.inputs[place] if len(op.inputs) > place else ""


def work_of(graph: Graph, op: Op) -> Work:
    """Return the work of an operator; sizes that are not known count as one."""
    rule = RULES.get(op.role)
    return rule(graph, op) if rule else Work({"n": _output(graph, op).numel})


def _output(graph: Graph, op: Op) -> Tensor:
    return graph.tensor(op.outputs[0]) if op.outputs else UNKNOWN


def _input(graph: Graph, op: Op, place: int = 0) -> Tensor:
    return graph.tensor(op.inputs[place]) if len(op.inputs) > place and op.inputs[place] else UNKNOWN


def _matmul(graph: Graph, op: Op) -> Work:
    if op.kind == "Einsum":
        return _einsum(graph, op)
    left, right, output = _input(graph, op), graph.tensor(right_side(op)), _output(graph, op)
    if op.kind == "MatMulNBits":
        n, k = op.attributes.get("N", 1), op.attributes.get("K", 1)
    else:
        k = left.size(-2) if op.attributes.get("transA") else left.size(-1)
        vector = right.shape is not None and len(right.shape) == 1
        n = 1 if vector else right.size(-2) if op.attributes.get("transB") else right.size(-1)
    rows = output.numel // max(1, n)
    shared = right.shape is None or len(right.shape) <= 2 or math.prod(size or 1 for size in right.shape[:-2]) == 1
    batch = 1 if shared or output.shape is None else math.prod(size or 1 for size in output.shape[:-2])
    return Work({"m": rows // max(1, batch), "n": n, "k": k, "batch": batch}, macs=rows * n * k)


def _einsum(graph: Graph, op: Op) -> Work:
    """Einsum, as the product of the sizes of all its indices."""
    sides = str(op.attributes.get("equation", "")).replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for name, indices in zip(op.inputs, sides, strict=False):
        shape = graph.tensor(name).shape or ()
        if "..." not in indices and len(shape) == len(indices):
            sizes.update({index: size or 1 for index, size in zip(indices, shape, strict=True)})
    total, made = math.prod(sizes.values()), max(1, _output(graph, op).numel)
    return Work({"m": made, "n": 1, "k": max(1, total // made), "batch": 1}, macs=total if len(sides) > 1 else 0)


def _conv(graph: Graph, op: Op) -> Work:
    data, weight, output = _input(graph, op), graph.tensor(right_side(op)), _output(graph, op)
    groups = op.attributes.get("group", 1)
    window = math.prod(size or 1 for size in (weight.shape or ())[2:])
    transposed = op.kind == "ConvTranspose"
    filters = weight.size(1) * groups if transposed else weight.size(0)
    channels = weight.size(0) if transposed else weight.size(1) * groups
    batch = output.size(0)
    placed = data if transposed else output  # where the window is laid
    places = placed.numel // max(1, batch * placed.size(1))
    n, k = filters // groups, channels // groups * window
    shape = {"m": places, "n": n, "k": k, "batch": batch, "groups": groups, "window": window}
    shape["stride"] = math.prod(op.attributes.get("strides", ()))
    return Work(shape, macs=batch * groups * places * n * k)


def _pool(graph: Graph, op: Op) -> Work:
    data, output = _input(graph, op), _output(graph, op)
    whole = data.numel // max(1, output.numel)
    window = whole if "Global" in op.kind else math.prod(op.attributes.get("kernel_shape", ()))
    stride = 1 if "Global" in op.kind else math.prod(op.attributes.get("strides", ()))
    return Work(
        {"m": output.numel, "window": window, "stride": stride}, element_operations=output.numel * max(1, window)
    )


def _rows(graph: Graph, op: Op) -> Work:
    """Softmaxes and norms: rows of one width, each number of them taken several times."""
    data = _input(graph, op)
    rank = len(data.shape or ())
    axis = op.attributes.get("axis", -1)
    axis = axis + rank if axis < 0 else axis
    if op.role is Role.SOFTMAX:
        width = data.size(axis)
    elif "axis" in op.attributes or op.kind in ("LayerNormalization", "RMSNormalization"):
        width = math.prod(data.size(place) for place in range(axis, rank))
    else:
        width = data.size(-1)
    steps = STEPS.get(op.kind, 1) + (len(op.inputs) - 1 if op.role is Role.NORM else 0)
    return Work({"m": data.numel // max(1, width), "n": width}, element_operations=steps * data.numel)


def _elementwise(graph: Graph, op: Op) -> Work:
    numbers = _output(graph, op).numel
    return Work({"n": numbers}, element_operations=STEPS.get(op.kind, 1) * numbers)


def _quantizer(graph: Graph, op: Op) -> Work:
    """Finding the range takes every number twice, rounding it once."""
    numbers = _input(graph, op).numel
    return Work({"n": numbers}, element_operations=3 * numbers)


def _reduction(graph: Graph, op: Op) -> Work:
    numbers, kept = _input(graph, op).numel, max(1, _output(graph, op).numel)
    return Work({"m": kept, "n": max(1, numbers // kept)}, element_operations=numbers)


def _gather(graph: Graph, op: Op) -> Work:
    output = _output(graph, op)
    width = output.size(-1)
    return Work({"m": output.numel // max(1, width), "n": width})


def _recurrent(graph: Graph, op: Op) -> Work:
    data, weight = _input(graph, op), _input(graph, op, 1)
    hidden = op.attributes.get("hidden_size", weight.size(1) // GATES[op.kind])
    directions, steps, batch, width = weight.size(0), data.size(0), data.size(1), data.size(2)
    if op.attributes.get("layout"):
        steps, batch = batch, steps
    shape = {"m": batch, "n": hidden, "k": width, "batch": directions, "steps": steps}
    every = directions * steps * batch * GATES[op.kind] * hidden
    return Work(shape, macs=every * (width + hidden), element_operations=2 * every)


def _other(graph: Graph, op: Op) -> Work:
    numbers = sum(graph.tensor(name).numel for name in op.outputs if name)
    if op.kind not in ATTENTION or len(op.inputs) < 3:
        return Work({"n": numbers})
    query, key = _input(graph, op), _input(graph, op, 1)
    past = op.inputs[ATTENTION[op.kind]] if len(op.inputs) > ATTENTION[op.kind] else ""
    tokens = key.size(-2) + (graph.tensor(past).size(-2) if past else 0)
    return Work({"n": numbers, "k": tokens}, macs=(query.numel + _output(graph, op).numel) * tokens)


RULES = {
    Role.OTHER: _other,
    Role.MATMUL: _matmul,
    Role.CONV: _conv,
    Role.POOL: _pool,
    Role.SOFTMAX: _rows,
    Role.NORM: _rows,
    Role.ELEMENTWISE: _elementwise,
    Role.QUANTIZER: _quantizer,
    Role.REDUCTION: _reduction,
    Role.GATHER: _gather,
    Role.RECURRENT: _recurrent,
}
