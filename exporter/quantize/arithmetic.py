"""The arithmetic of quantization: floats to whole numbers with a scale, and back to within half a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
INT8_TOP = 127
UINT8_TOP = 255
UINT4_TOP = 15
LEAST_SCALE = np.finfo(np.float32).tiny


def quantize_channels(weight: Floats, axis: int, least: Floats | float = 0) -> tuple[NDArray[np.int8], Floats]:
    """Quantize symmetrically, with a scale for each place along `axis`, that is not below `least`.

    Returns:
        Whole numbers from -127 to 127 in the weight's shape, and float32 scales, one a channel: numbers times scale
        is the weight, within half a scale. A scale is NaN or infinite where a channel is.
    """
    others = tuple(place for place in range(weight.ndim) if place != axis)
    reach = np.maximum(weight.max(axis=others), -weight.min(axis=others))
    scale = np.maximum(_positive(reach / np.float32(INT8_TOP)), np.asarray(least, np.float32))
    shape = [1] * weight.ndim
    shape[axis] = -1
    numbers = np.divide(weight, scale.reshape(shape), order="C")
    return np.rint(numbers, out=numbers).astype(np.int8), scale


def quantize_blocks(weight: Floats, axis: int, block_size: int) -> tuple[NDArray[np.uint8], Floats, NDArray[np.uint8]]:
    """Quantize to 4 bits, with a scale and a zero point for each block of numbers along `axis`.

    Returns:
        Whole numbers from 0 to 15 in the weight's shape; scales and zero points, of which there is one a block: number
        less zero point, times scale, is the weight within half a scale. A scale is NaN or infinite where a block is.
    """
    depth, blocks = weight.shape[axis], -(-weight.shape[axis] // block_size)
    before, after = weight.shape[:axis], weight.shape[axis + 1 :]
    numbers = np.empty(weight.shape, np.uint8)
    scale, zero = np.empty((*before, blocks, *after), np.float32), np.empty((*before, blocks, *after), np.uint8)
    for block in range(blocks):  # one at a time stays in the cache
        place = (*[slice(None)] * axis, slice(block * block_size, min((block + 1) * block_size, depth)))
        part = weight[place]
        low, high = np.minimum(part.min(axis, keepdims=True), 0), np.maximum(part.max(axis, keepdims=True), 0)
        step = _positive((high - low) / np.float32(UINT4_TOP))
        origin = np.rint(-low / step)
        found = part / step
        np.rint(found, out=found)
        found += origin
        np.clip(found, 0, UINT4_TOP, out=found)
        numbers[place] = found
        where = (*[slice(None)] * axis, slice(block, block + 1))
        scale[where], zero[where] = step, origin
    return numbers, scale, zero


def pack_nibbles(numbers: NDArray[np.uint8]) -> bytes:
    """Return 4-bit numbers two a byte, the first in the low half, in C order, as ONNX stores them."""
    flat = numbers.reshape(-1)
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    pairs = flat.view("<u2")
    return (pairs | pairs >> 4).astype(np.uint8).tobytes()


def activation_parameters(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point with which bytes cover a range, widened to hold 0, which becomes exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / UINT8_TOP, LEAST_SCALE)) if high > low else np.float32(1)
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
