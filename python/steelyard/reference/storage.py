"""How optimizers store arrays in fewer bits: 8-bit blocks, random rounding, a value with its rounding error, halves.

bfloat16 and float16 arrays are arrays of ml_dtypes and NumPy; halves of float32 are arrays of uint16.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fma import fma

Array = NDArray[Any]
Float32 = NDArray[np.float32]

BLOCK = 256
SMALLEST_NORMAL = np.float32(2.0**-126)


@cache
def dynamic_map(signed: bool) -> Float32:
    """The numbers that the 256 codes stand for, in their order.

    Between ``10**(k - 7)`` and ``10**(k - 6)`` lie ``2**k`` of them, twice as many in the map of numbers that are at
    least 0: the middles of equal parts. Boundaries and middles are rounded as ``torch.linspace`` rounds them on
    processors with a fused multiply-add.
    """
    values = [np.float32(0.0), np.float32(1.0)]
    for k in range(7):
        n = 2**k if signed else 2 ** (k + 1)
        width = float(np.float32(1) - np.float32(0.1)) / n
        below = [float(np.float32(0.1)) + width * part for part in range((n + 1) // 2)]
        above = [1.0 - width * (n - part) for part in range((n + 1) // 2, n + 1)]
        boundaries = np.array(below + above, np.float32)
        middles = np.float32(10.0 ** (k - 6)) * ((boundaries[:-1] + boundaries[1:]) / np.float32(2))
        values += [*middles, *(-middles if signed else [])]
    return np.sort(np.array(values, np.float32))


def encode(x: Float32, signed: bool) -> tuple[NDArray[np.uint8], Float32]:
    """The codes of ``x`` and the scales of its blocks: of each element the nearest number times the scale.

    A block of subnormal numbers becomes 0, one with an infinity or a NaN becomes NaN; below 0, an unsigned code is
    that of 0. Above 0 it never is, also where 0 is the nearest: an update divides by the root of a second moment.
    """
    codes, scales = np.empty(x.size, np.uint8), np.empty(-(-x.size // BLOCK), np.float32)
    zero = 127 if signed else 0
    for block in range(scales.size):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        scale = np.abs(x[part]).max()
        if SMALLEST_NORMAL <= scale < np.inf:
            scaled = x[part] * (np.float32(1) / scale)
            codes[part] = nearest(scaled, signed) if signed else np.maximum(nearest(scaled, signed), x[part] > 0)
            scales[block] = scale
        else:
            codes[part] = zero
            scales[block] = 0.0 if scale < SMALLEST_NORMAL else np.nan
    return codes, scales


def nearest(x: Float32, signed: bool) -> NDArray[np.uint8]:
    """The codes of the nearest numbers to numbers of at most 1 (the larger one in magnitude, halfway between two).

    Counted from the smallest, part ``j`` of the ``n`` parts of decade ``k`` has the place ``n + j``, which is the whole
    part of ``n (x / 10**(k - 6) + 0.8) / 0.9``: a straight line, and of those of all decades the lowest one. At the
    beginning of a decade, the fraction is corrected for the wider part below it. Two codes that are equally near
    within 2**-13 of their distance may be taken one for the other.
    """
    size = np.abs(x) if signed else np.where(x > 0, x, np.float32(0))
    n = [float(2**k if signed else 2 ** (k + 1)) for k in range(7)]
    lines = [(n[k] * float(10 ** (6 - k)) / 0.9, n[k] * 0.8 / 0.9) for k in range(1, 7)]
    slope = 0.8 / (0.55 - 0.1625)
    lines.append((1e6 / 0.9, 1.2 - 0.275 / 0.9) if signed else (slope * 1e6, 2.2 - 0.1625 * slope))
    place = np.min([fma(np.float32(a), size, np.float32(b)) for a, b in lines], axis=0)
    decade = (place.view(np.uint32) & np.uint32(0x7F800000)).view(np.float32)
    within = place - decade
    place = decade + np.minimum(fma(np.float32(1.25), within, np.float32(-0.25)), within)
    top = 2 * n[6]
    one = (1.6 * top, top - 1.6 * top * (1.0 - 0.45 / top))
    place = np.maximum(fma(np.float32(one[0]), x if signed else size, np.float32(one[1])), place)
    whole = np.floor(place).astype(np.int64)
    codes: NDArray[np.int64] = np.where(x < 0, 127 - whole, 127 + whole) if signed else whole - 1
    return codes.astype(np.uint8)


def decode(codes: NDArray[np.uint8], scales: Float32, signed: bool) -> Float32:
    """The values of codes."""
    return dynamic_map(signed)[codes] * np.repeat(scales, BLOCK)[: codes.size]


def at_random(x: Float32, random: NDArray[np.uint32], dtype: Any) -> Array:
    """Round to a 16-bit type, up or down with the probability that makes the mean ``x``; 16 random bits per element."""
    with np.errstate(all="ignore"):
        low, place = _below(np.abs(x.astype(np.float64)), dtype)
        fraction = np.floor((np.abs(x.astype(np.float64)) - low) / place * 65536) + random >= 65536
        value = (low + np.where(fraction, place, 0.0)).astype(np.float64)
        largest = 65504.0 if dtype == np.float16 else 255 * 2.0**120
        beyond = np.abs(x) >= (65536.0 if dtype == np.float16 else np.inf)
        value = np.where(beyond, np.inf, np.minimum(value, largest))
        rounded: Array = np.where(np.isnan(x), np.nan, np.copysign(value, x)).astype(dtype)
        return rounded


def _below(magnitude: NDArray[np.float64], dtype: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest numbers of the type that are not above, and the distances to the next ones."""
    digits, lowest = (11, -14) if dtype == np.float16 else (8, -126)
    _, exponent = np.frexp(magnitude)
    place = np.ldexp(1.0, np.maximum(exponent, lowest + 1) - digits)
    return np.floor(magnitude / place) * place, place


def with_rest(x: Float32, dtype: Any) -> tuple[Array, Array]:
    """The nearest values of a 16-bit type, and what is left of ``x``, in the same type (0 where x is not finite)."""
    with np.errstate(all="ignore"):
        value = x.astype(dtype)
        rest = np.where(np.isfinite(value.astype(np.float32)), x - value.astype(np.float32), np.float32(0))
        return value, rest.astype(dtype)


def halves_of(x: Float32) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """The upper 16 bits, which are a bfloat16 (rounded toward 0), and the lower 16 bits."""
    bits = x.view(np.uint32)
    return (bits >> 16).astype(np.uint16), bits.astype(np.uint16)
