"""Whether two sets of outputs are the same, as far as their types can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hwloop.exporter.numpy_types import numpy_type

if TYPE_CHECKING:
    import numpy as np

# (relative, absolute as a share of the reference's largest magnitude); runtimes reorder sums and approximate exp.
TOLERANCES = {
    "float64": (1e-5, 1e-6),
    "float32": (1e-3, 1e-4),
    "float16": (1e-2, 2e-3),
    "bfloat16": (4e-2, 2e-2),
}
QUANTIZED_STEP = {"int8": 1, "uint8": 1}


@dataclass(frozen=True)
class Comparison:
    """How far outputs are from the reference; `message` names the worst of them when they do not match."""

    match: bool
    max_abs_err: float | None
    message: str = ""


class Output(Protocol):
    """One output as a device returned it."""

    @property
    def name(self) -> str:
        """Its name in the model."""

    @property
    def dtype(self) -> str:
        """numpy's name of its type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def data(self) -> bytes:
        """Its values in C order, little-endian."""


def decode_outputs(outputs: Sequence[Output]) -> dict[str, np.ndarray]:
    """Return outputs as arrays by name; bytes that do not fill the shape give an empty array."""
    import numpy as np

    arrays = {}
    for output in outputs:
        dtype = numpy_type(output.dtype)
        fits = len(output.data) == int(np.prod(output.shape, dtype=np.int64)) * dtype.itemsize
        values = np.frombuffer(output.data, dtype) if fits else np.empty(0, dtype)
        arrays[output.name] = values.reshape(output.shape) if fits else values
    return arrays


def compare(reference: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> Comparison:
    """Compare every output of the reference with what was got; NaN equals NaN, and infinities their like.

    `max_abs_err` is the largest absolute difference of finite values; None where nothing could be compared, as
    with an empty reference, which nothing matches.
    """
    if not reference:
        return Comparison(False, None, "there is no reference: ONNX Runtime on the host lacks an operator")
    errors: list[float] = []
    messages: list[str] = []
    for name, right in reference.items():
        if name not in got:
            messages.append(f"output {name!r} is missing")
            continue
        error, message = _compare_one(name, right, got[name])
        if error is not None:
            errors.append(error)
        if message:
            messages.append(message)
    return Comparison(not messages, max(errors) if errors else None, "; ".join(messages))


def _compare_one(name: str, right: np.ndarray, found: np.ndarray) -> tuple[float | None, str]:
    import numpy as np

    if found.dtype != right.dtype or found.shape != right.shape:
        return (
            None,
            f"output {name!r} is {found.dtype}{list(found.shape)}, not {right.dtype}{list(right.shape)}",
        )
    if right.size == 0:
        return 0.0, ""
    kind = right.dtype.name
    if kind not in TOLERANCES:
        return _compare_whole(name, right, found, QUANTIZED_STEP.get(kind, 0))
    wide_right, wide_found = right.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(wide_right)
    same_holes = np.array_equal(wide_right[~finite], wide_found[~finite], equal_nan=True)
    if not same_holes or not np.isfinite(wide_found[finite]).all():
        return None, f"output {name!r} has NaN or infinity where the reference has not, or the reverse"
    difference = np.abs(wide_right[finite] - wide_found[finite])
    if difference.size == 0:
        return 0.0, ""
    relative, share = TOLERANCES[kind]
    magnitude = np.abs(wide_right[finite])
    allowed = relative * magnitude + share * magnitude.max()
    worst = float(difference.max())
    beyond = int((difference > allowed).sum())
    if beyond:
        return worst, f"output {name!r}: {beyond} of {right.size} values differ, by up to {worst:.3g}"
    return worst, ""


def _compare_whole(name: str, right: np.ndarray, found: np.ndarray, step: int) -> tuple[float, str]:
    """Compare integers and booleans: exactly, or within one step of a quantized type."""
    import numpy as np

    # A double cannot tell large integers apart, so what differs is found before they become doubles.
    differ = found != right
    difference = np.abs(found[differ].astype(np.float64) - right[differ].astype(np.float64))
    worst = float(difference.max(initial=0.0))
    if (not step and differ.any()) or worst > step:
        return worst, f"output {name!r}: {int(differ.sum())} of {right.size} values differ, by up to {worst:.3g}"
    return worst, ""
