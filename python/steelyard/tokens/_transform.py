"""What a model still has to do to its logits, checked in the type in which it is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import floats, to_float64
from .._options import number
from ..errors import value_error
from ._bounds import Precision

__all__ = ["TRANSFORMS", "Reals", "precision_of", "transform_of"]

TRANSFORMS = ("bias", "scale", "softcap", "temperature")
Reals = type[np.float32] | type[np.float64]


def precision_of(real: Reals) -> Precision:
    """Return the name of the type in which a call computes."""
    return "float64" if real is np.float64 else "float32"


def transform_of(
    real: Reals,
    width: int,
    *,
    bias: ArrayLike | None,
    scale: float | None,
    softcap: float | None,
    temperature: float | None,
) -> dict[str, Any]:
    """The arguments of the core for logits of ``width`` classes that are computed in ``real``."""
    return {
        "bias": None if bias is None else _bias(bias, width, real), "scale": _factor(scale, real),
        "softcap": _above_zero(softcap, "softcap", real), "temperature": _above_zero(temperature, "temperature", real),
    }  # fmt: skip


def _bias(bias: ArrayLike, width: int, real: Reals) -> NDArray[np.float64]:
    """The numbers that are added to the logits of each class; -inf masks it."""
    numbers = np.array(to_float64(floats(bias, "bias", ndim=1, numbers=True)))
    if numbers.shape != (width,):
        raise value_error("bias", f"one number per class, {width}", f"shape {numbers.shape}")
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(numbers.astype(real)) & (numbers != -np.inf)
    if bad.any():
        first = int(bad.argmax())
        raise value_error("bias", f"{real.__name__} numbers, or -inf", f"{numbers[first]} at index [{first}]")
    return numbers


def _factor(scale: float | None, real: Reals) -> float | None:
    """The factor of the logits."""
    expected = "a finite number other than 0, or None"
    return None if scale is None else _usable(number(scale, "scale", expected), "scale", expected, scale, real)


def _above_zero(value: float | None, name: str, real: Reals) -> float | None:
    """A bound or divisor of the logits."""
    if value is None:
        return None
    expected = "a number above 0, or None"
    x = number(value, name, expected)
    if not x > 0:
        raise value_error(name, expected, str(value))
    return _usable(x, name, expected, value, real)


def _usable(x: float, name: str, expected: str, given: object, real: Reals) -> float:
    """``x``, if it neither overflows nor vanishes in the type in which logits are transformed."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = real(x)
    if not np.isfinite(rounded) or rounded == 0:
        held = "" if not np.isfinite(x) or x == 0 else f", which is {rounded} in {real.__name__}"
        raise value_error(name, expected, f"{given}{held}")
    return x
