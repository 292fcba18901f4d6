"""The arithmetic that exporters do with shapes, so that the sizes which come of it are known.

onnx's own data propagation stops at many of these operators; they are few, and their operands are small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from hwloop.exporter.kernels.tensors import MOST_NUMBERS

if TYPE_CHECKING:
    import numpy as np

Attributes = Mapping[str, Any]
Operands = Sequence["np.ndarray | None"]


def compute(kind: str, operands: Operands, attributes: Attributes) -> np.ndarray | None:
    """Return what an operator makes of small operands; None where that is not known, or not small."""
    import numpy as np

    rule = RULES.get(kind)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            value = rule(list(operands), attributes)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError):
        return None  # a graph that is wrong here fails where it is run
    return value if value.size <= MOST_NUMBERS else None


def _cast(given: list[Any], attributes: Attributes) -> Any:
    import onnx

    return given[0].astype(onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _axes(given: list[Any], attributes: Attributes) -> tuple[int, ...]:
    """Return the axes of a Squeeze or Unsqueeze, which were attributes before opset 13."""
    axes = given[1] if len(given) > 1 and given[1] is not None else attributes.get("axes", ())
    return tuple(int(axis) for axis in axes)


def _unsqueeze(given: list[Any], attributes: Attributes) -> Any:
    import numpy as np

    return np.expand_dims(given[0], _axes(given, attributes))


def _squeeze(given: list[Any], attributes: Attributes) -> Any:
    import numpy as np

    return np.squeeze(given[0], _axes(given, attributes) or None)


def _slice(given: list[Any], attributes: Attributes) -> Any:
    """Slice, whose bounds were attributes before opset 10."""
    data, *bounds = given
    if bounds:
        starts, ends = bounds[0], bounds[1]
        axes = bounds[2] if len(bounds) > 2 and bounds[2] is not None else range(len(starts))
        steps = bounds[3] if len(bounds) > 3 and bounds[3] is not None else [1] * len(starts)
    else:
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes", range(len(starts))), [1] * len(starts)
    places = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places[int(axis)] = slice(int(start), int(end) if end > -(2**62) else None, int(step))
    return data[tuple(places)]


def _concat(given: list[Any], attributes: Attributes) -> Any:
    import numpy as np

    return np.concatenate(given, axis=attributes["axis"])


def _gather(given: list[Any], attributes: Attributes) -> Any:
    import numpy as np

    return np.take(given[0], given[1], axis=attributes.get("axis", 0))


def _divide(given: list[Any], _: Attributes) -> Any:
    import numpy as np

    left, right = given
    if left.dtype.kind in "iu":
        return np.trunc(left / right).astype(left.dtype)
    return left / right


def _constant_of_shape(given: list[Any], attributes: Attributes) -> Any:
    import numpy as np
    from onnx import numpy_helper

    filled = numpy_helper.to_array(attributes["value"]) if "value" in attributes else np.zeros(1, np.float32)
    shape = [int(size) for size in given[0]]
    if np.prod(shape, dtype=np.float64) > MOST_NUMBERS:
        raise ValueError("not small")
    return np.full(shape, filled.flat[0])


def _range(given: list[Any], _: Attributes) -> Any:
    import numpy as np

    start, limit, step = (one.reshape(()) for one in given)
    if abs((limit - start) / step) > MOST_NUMBERS:
        raise ValueError("not small")
    return np.arange(start, limit, step)


def _product(given: list[Any], attributes: Attributes) -> Any:
    if given[0].ndim != 1:
        raise ValueError("no shape")
    return given[0].prod(keepdims=bool(attributes.get("keepdims", 1)))


def _reshape(given: list[Any], _: Attributes) -> Any:
    return given[0].reshape([int(size) for size in given[1]])


def _elementwise(name: str) -> Callable[[list[Any], Attributes], Any]:
    def rule(given: list[Any], _: Attributes) -> Any:
        import numpy as np

        return getattr(np, name)(*given)

    return rule


def _pairwise(name: str) -> Callable[[list[Any], Attributes], Any]:
    def rule(given: list[Any], _: Attributes) -> Any:
        import numpy as np

        return reduce(getattr(np, name), given)

    return rule


RULES: Mapping[str, Callable[[list[Any], Attributes], Any]] = {
    "Add": _elementwise("add"),
    "Cast": _cast,
    "Ceil": _elementwise("ceil"),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _divide,
    "Equal": _elementwise("equal"),
    "Floor": _elementwise("floor"),
    "Gather": _gather,
    "Greater": _elementwise("greater"),
    "Identity": lambda given, _: given[0],
    "Less": _elementwise("less"),
    "Max": _pairwise("maximum"),
    "Min": _pairwise("minimum"),
    "Mod": _elementwise("mod"),
    "Mul": _elementwise("multiply"),
    "Neg": _elementwise("negative"),
    "Not": _elementwise("logical_not"),
    "Range": _range,
    "ReduceProd": _product,
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": _elementwise("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _elementwise("subtract"),
    "Unsqueeze": _unsqueeze,
    "Where": _elementwise("where"),
}
