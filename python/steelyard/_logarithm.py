"""Natural logarithms and exponentials, by the core: those of Python and NumPy may differ between machines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import _core

__all__ = ["exponentials", "logarithms"]


def logarithms(values: Sequence[float]) -> list[float]:
    """The natural logarithm of each value."""
    found: list[float] = _core.math_log(np.array(values, np.float64)).tolist()
    return found


def exponentials(values: Sequence[float]) -> list[float]:
    """The exponential of each value."""
    found: list[float] = _core.math_exp(np.array(values, np.float64)).tolist()
    return found
