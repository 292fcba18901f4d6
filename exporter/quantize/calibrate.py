"""Calibration: the ranges of what feeds and leaves each layer, on a model's own data.

The collectors of `onnxruntime.quantization` print on standard output, which belongs to `--json`, and want the model in
a file with all tensors of a kind watched; reading a session's outputs is less than that.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwloop.digests import digest_bytes
from hwloop.errors import UsageError
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.observers import Entropy, MinMax, Observer, Percentile
from hwloop.exporter.quantize.ranges import LayerRange, Ranges

Batch = Mapping[str, NDArray[Any]]


class CalibrationMethod(StrEnum):
    """How a range is taken from the numbers that were seen."""

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


OBSERVERS: Mapping[CalibrationMethod, type[Observer]] = {
    CalibrationMethod.MIN_MAX: MinMax,
    CalibrationMethod.PERCENTILE: Percentile,
    CalibrationMethod.ENTROPY: Entropy,
}


def calibrate(
    model: onnx.ModelProto, batches: Iterable[Batch], method: CalibrationMethod | str = CalibrationMethod.MIN_MAX
) -> Ranges:
    """Run a float model on batches, arrays by input name, and return the range of every layer but tables.

    Batches are run one at a time and forgotten, so that there may be any number.

    Raises:
        UsageError: there is no such method, no batch, or one does not fit the model or makes NaN or infinite numbers.
    """
    method = calibration_method(method)
    layers = [layer for layer in layers_of(model) if not layer.is_table]
    watched = sorted({tensor for layer in layers for tensor in (layer.input, layer.output)})
    session = _session(model, watched)
    observers = {tensor: OBSERVERS[method]() for tensor in watched}
    data = hashlib.sha256()
    count = 0
    for count, batch in enumerate(batches, 1):
        place = f"calibration batch {count}"
        _require_inputs(place, batch, session.get_inputs())
        for name in sorted(batch):
            data.update(name.encode() + np.ascontiguousarray(batch[name]).tobytes())
        for name, values in _run(place, session, watched, batch).items():
            if not np.isfinite(values).all():
                layer = next(layer.name for layer in layers if name in (layer.input, layer.output))
                raise UsageError(
                    f"{place}: layer {layer}: {name!r} is NaN or infinite",
                    remedy="Leave the batch out, or look at the weights.",
                )
            observers[name].add(values)
    if not count:
        raise UsageError("calibration: there is no batch", remedy="Give at least one.")
    spans = {tensor: observer.range() for tensor, observer in observers.items()}
    ranges = {layer.name: LayerRange(spans[layer.input], spans[layer.output]) for layer in layers}
    digest = digest_bytes(model.SerializeToString(deterministic=True))
    return Ranges(ranges, method.value, digest, data.hexdigest())


def calibration_method(name: str) -> CalibrationMethod:
    """Return a method by its name.

    Raises:
        UsageError: there is no such method.
    """
    try:
        return CalibrationMethod(name)
    except ValueError:
        allowed = ", ".join(CalibrationMethod)
        raise UsageError(f"calibration: there is no method {name!r}", remedy=f"Use one of {allowed}.") from None


def _session(model: onnx.ModelProto, watched: Sequence[str]) -> Any:
    """Load a model into ONNX Runtime with more outputs, those that are no inputs."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime as ort

    watching = onnx.ModelProto()
    watching.CopyFrom(model)
    known = {value.name for value in (*model.graph.input, *model.graph.output)}
    watching.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched if name not in known)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(watching.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(place: str, session: Any, watched: Sequence[str], batch: Batch) -> dict[str, NDArray[np.float32]]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    computed = [name for name in watched if name not in batch]
    try:
        values = session.run(computed, dict(batch)) if computed else []  # no name would mean every output
    except (state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        raise UsageError(
            f"{place}: the model does not run on it: {str(error).strip()}", remedy="Give what the model takes."
        ) from error
    found = dict(zip(computed, values, strict=True))
    return {name: found[name] if name in found else batch[name] for name in watched}


def _require_inputs(place: str, batch: Batch, inputs: Sequence[Any]) -> None:
    names = [value.name for value in inputs]
    if set(batch) != set(names):
        given = ", ".join(sorted(batch)) or "nothing"
        raise UsageError(f"{place}: it has {given}, and the model takes {', '.join(names)}", remedy="Give just those.")
    for value in inputs:
        array = batch[value.name]
        fits = len(array.shape) == len(value.shape) and all(
            not isinstance(size, int) or size == given for size, given in zip(value.shape, array.shape, strict=True)
        )
        if not fits or _type_of(array) != value.type:
            raise UsageError(
                f"{place}: input {value.name!r} is {array.dtype}{list(array.shape)}, "
                f"and the model takes {value.type.removeprefix('tensor')[1:-1]}{value.shape}",
                remedy="Shape the data as the model takes it.",
            )


def _type_of(array: NDArray[Any]) -> str:
    """Return ONNX Runtime's name of an array's type."""
    return f"tensor({ {'float32': 'float', 'float64': 'double'}.get(array.dtype.name, array.dtype.name) })"
