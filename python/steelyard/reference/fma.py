"""The exactly rounded ``a * b + c``, by exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fma(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> NDArray[Any]:
    """Return ``a * b + c`` rounded once, in the common dtype of the three (float32 or float64)."""
    arrays = np.broadcast_arrays(*(np.atleast_1d(x) for x in (a, b, c)))
    dtype = np.result_type(*arrays)
    with np.errstate(all="ignore"):
        plain = (arrays[0] * arrays[1] + arrays[2]).astype(dtype)
    flat = [x.astype(np.float64).ravel().tolist() for x in arrays]
    rounded = [_one(x, y, z, fallback, dtype) for x, y, z, fallback in zip(*flat, plain.ravel(), strict=True)]
    return np.array(rounded, dtype).reshape(plain.shape)


def _one(x: float, y: float, z: float, fallback: Any, dtype: np.dtype[Any]) -> Any:
    if not (np.isfinite(x) and np.isfinite(y) and np.isfinite(z)):
        return fallback
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if exact == 0:
        return fallback  # of a result of 0, the plain operations have the right sign
    return _round(exact, dtype)


def _round(exact: Fraction, dtype: np.dtype[Any]) -> Any:
    """Round a non-zero rational to nearest, ties to even, with gradual underflow and overflow to infinity."""
    bits, smallest, largest = (24, -149, 128) if dtype == np.float32 else (53, -1074, 1024)
    sign, size = (-1 if exact < 0 else 1), abs(exact)
    # 2**power <= size < 2**(power + 1)
    power = size.numerator.bit_length() - size.denominator.bit_length()
    power -= size < Fraction(2) ** power
    unit = Fraction(2) ** max(power - bits + 1, smallest)
    steps = round(size / unit)  # Python rounds a Fraction half to even
    value = steps * unit
    if value >= Fraction(2) ** largest:
        return dtype.type(sign * np.inf)
    return dtype.type(sign * float(value)) if value else dtype.type(sign * 0.0)
