"""The arithmetic of quantization: floats to whole numbers with a scale, and back to within half a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Blocks = tuple[NDArray[np.uint8], Floats, NDArray[np.uint8]]  # numbers, scales, zero points
INT8_TOP = 127
UINT8_TOP = 255
UINT4_TOP = 15
LEAST_SCALE = np.finfo(np.float32).tiny


def quantize_channels(weight: Floats, axis: int, least: Floats | float = 0) -> tuple[NDArray[np.int8], Floats]:
    """Quantize symmetrically, with a scale for each place along `axis`, that is not below `least`.

    Returns:
        Whole numbers from -127 to 127 in the weight's shape, and float32 scales, one a channel: numbers times scale
        is the weight, within half a scale.
    """
    others = tuple(place for place in range(weight.ndim) if place != axis)
    reach = np.maximum(weight.max(axis=others), -weight.min(axis=others))
    scale = np.maximum(_positive(reach / np.float32(INT8_TOP)), np.asarray(least, np.float32))
    shape = [1] * weight.ndim
    shape[axis] = -1
    numbers = np.divide(weight, scale.reshape(shape), order="C")
    return np.rint(numbers, out=numbers).astype(np.int8), scale


def quantize_blocks(weight: Floats, axis: int, block_size: int) -> Blocks:
    """Quantize to 4 bits, with a scale and a zero point for each block of numbers along `axis`.

    Returns:
        Whole numbers from 0 to 15 in the weight's shape; scales and zero points, of which there is one a block: number
        less zero point, times scale, is the weight within half a scale.
    """
    depth = weight.shape[axis]
    whole = depth - depth % block_size
    if whole in (0, depth):
        return _quantize_blocks(weight, axis, min(block_size, depth))
    head, tail = np.split(weight, [whole], axis)
    first, last = _quantize_blocks(head, axis, block_size), _quantize_blocks(tail, axis, depth - whole)
    return (
        np.concatenate([first[0], last[0]], axis),
        np.concatenate([first[1], last[1]], axis),
        np.concatenate([first[2], last[2]], axis),
    )


def _quantize_blocks(weight: Floats, axis: int, block_size: int) -> Blocks:
    """Quantize what has whole blocks only; as `quantize_blocks`."""
    shape = (*weight.shape[:axis], weight.shape[axis] // block_size, block_size, *weight.shape[axis + 1 :])
    parts = weight.reshape(shape)
    low, high = (np.expand_dims(end(parts, axis + 1), axis + 1) for end in (np.min, np.max))
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = _positive((high - low) / np.float32(UINT4_TOP))
    zero = np.rint(-low / scale)
    numbers = parts / scale
    np.rint(numbers, out=numbers)
    numbers += zero
    np.clip(numbers, 0, UINT4_TOP, out=numbers)
    return (
        numbers.reshape(weight.shape).astype(np.uint8),
        scale.squeeze(axis + 1),
        zero.squeeze(axis + 1).astype(np.uint8),
    )


def pack_nibbles(numbers: NDArray[np.uint8]) -> bytes:
    """Return 4-bit numbers two a byte, the first in the low half, in C order, as ONNX stores them."""
    flat = numbers.reshape(-1)
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    pairs = flat.view("<u2")
    return bytes((pairs | pairs >> 4).astype(np.uint8))


def activation_parameters(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point with which bytes cover a range, widened to hold 0, which becomes exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / UINT8_TOP, float(LEAST_SCALE))) if high > low else np.float32(1)
    return scale, np.uint8(min(max(round(-low / float(scale)), 0), UINT8_TOP))


def quantize_bias(bias: Floats, scale: Floats) -> NDArray[np.int32]:
    """Return a bias in units of `scale`, which is what the sums of a product of whole numbers are in."""
    return np.rint(bias.astype(np.float64) / scale).astype(np.int32)


def least_scale(bias: Floats, input_scale: np.float32) -> Floats:
    """Return the smallest weight scales with which a bias still fits in 31 bits beside the sums of a product."""
    return np.asarray(np.abs(bias) / (input_scale * np.float32(2**30)), np.float32)


def _positive(scale: Any) -> Any:
    """Return scales that can be divided by: 1 for channels of zeros, the least normal number for tiny ones."""
    return np.where(scale == 0, np.float32(1), np.maximum(scale, LEAST_SCALE))
