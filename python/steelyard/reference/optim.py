"""The global norm and clipping, as formulas."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def global_norm(arrays: list[Array], p: float = 2.0) -> float:
    """Return ``(sum |x|^p)^(1/p)`` over all elements.

    For p of 1, 2 and infinity the sum is exact and the result is within an ulp of the norm; the compiled norms are
    within 1e-12 of it. For other p each power has an error of an ulp or two.
    """
    values = [abs(x) for array in arrays for x in array.astype(np.float64).ravel().tolist()]
    largest: float = max(values, default=0.0)
    if p == math.inf or largest == 0.0:
        return largest
    if p not in (1.0, 2.0):
        total_power: float = math.fsum((x / largest) ** p for x in values)
        return float(largest * total_power ** (1.0 / p))
    total = sum((Fraction(x) ** int(p) for x in values), Fraction(0))
    if p == 1.0:
        return float(total)
    scale = 2 ** max(0, 1200 - total.numerator.bit_length() + total.denominator.bit_length())
    return math.isqrt(int(total * scale * scale)) / scale if total else 0.0


def clip_units(g: Array, w: Array, *, clip_factor: float, eps: float, kept: tuple[int, ...]) -> Array:
    """Return ``g`` where each unit has at most ``clip_factor max(||w||, eps)`` as its norm.

    A unit is one index of the axes ``kept``. The compiled result is within an ulp.
    """
    out = g.copy()
    for index in np.ndindex(*(g.shape[axis] for axis in kept)):
        unit = [slice(None)] * g.ndim
        for axis, at in zip(kept, index, strict=True):
            unit[axis] = slice(at, at + 1)
        limit = clip_factor * max(global_norm([w[tuple(unit)]]), eps)
        norm = global_norm([g[tuple(unit)]])
        if norm > limit:
            out[tuple(unit)] = clip(g[tuple(unit)], limit / norm)
    return out


def zclip(
    norms: list[float], *, z_thresh: float, alpha: float, warmup_steps: int, max_norm: float, eps: float
) -> list[float]:
    """Return the limit of ZClip for each norm, in order, with the same bits as the compiled one."""
    limits, mean, variance = [], 0.0, 0.0
    for i, norm in enumerate(norms):
        if i < warmup_steps:
            if i == warmup_steps - 1:
                first = norms[:warmup_steps]
                mean = sum(first) / warmup_steps
                variance = sum((x - mean) * (x - mean) for x in first) / warmup_steps
            limits.append(max_norm)
            continue
        deviation = math.sqrt(variance)
        z = (norm - mean) / (deviation + eps)
        clipped = mean + (z_thresh * deviation) / (z / z_thresh) if z > z_thresh else norm
        limits.append(min(clipped, max_norm) if z > z_thresh else max_norm)
        mean = alpha * mean + (1.0 - alpha) * clipped
        variance = alpha * variance + (1.0 - alpha) * ((clipped - mean) * (clipped - mean))
    return limits


def autoclip(norms: list[float], *, percentile: float, window: int | None = None) -> list[float]:
    """Return the limit of AutoClip for each norm, in order, with the same bits as the compiled one."""
    first = [0 if window is None else max(0, i + 1 - window) for i in range(len(norms))]
    return [float(np.percentile(norms[start : i + 1], percentile)) for i, start in enumerate(first)]


def mean(parts: list[Array | None]) -> Array | None:
    """Return the mean of gradients of one parameter over several calls; None counts as 0, or is all there is.

    They are summed in order, in their common type (float32 or float64), and divided once.
    """
    there = [part for part in parts if part is not None]
    if not there:
        return None
    total = there[0]
    for part in there[1:]:
        total = total + part
    average: Array = total / total.dtype.type(len(parts))
    return average


def clip_value(g: Array, limit: float) -> Array:
    """Return ``g`` with every element moved into ``[-limit, limit]``; a NaN stays."""
    top = g.dtype.type(limit)
    with np.errstate(invalid="ignore"):
        clipped: Array = np.where(g > top, top, np.where(g < -top, -top, g))
    return clipped


def clip(g: Array, factor: float) -> Array:
    """Return ``g`` times ``factor``.

    float32 and float64 are multiplied in their own type, to which the factor is rounded first. float16 and bfloat16 (an
    ml_dtypes array) are multiplied in float64, and the product is rounded once, to nearest, ties to even.
    """
    if g.dtype.itemsize > 2:
        product: Array = g * g.dtype.type(factor)
        return product
    digits, lowest = (11, -14) if g.dtype == np.float16 else (8, -126)
    return nearest(g.astype(np.float64) * factor, digits, lowest).astype(g.dtype)


def nearest(x: Array, digits: int, lowest: int) -> Array:
    """Round to the nearest numbers with ``digits`` binary digits, ties to even.

    Below ``2**lowest`` the distance between neighbouring numbers no longer shrinks (subnormal numbers).
    """
    _, exponent = np.frexp(x)  # x = fraction * 2**exponent, the fraction at least 1/2 and below 1
    unit = np.ldexp(1.0, np.maximum(exponent, lowest + 1) - digits)
    rounded: Array = np.rint(x / unit) * unit
    return rounded
