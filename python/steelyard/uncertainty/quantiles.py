"""Statistics that take a number: quantiles and trimmed means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .._mode import standard_mode
from ..errors import value_error
from ._statistics import Chosen, with_parameter

__all__ = ["quantile", "trimmed_mean"]


@overload
def quantile(q: float) -> Chosen: ...
@overload
def quantile(q: Sequence[float] | NDArray[Any]) -> tuple[Chosen, ...]: ...
@standard_mode
def quantile(q: float | Sequence[float] | NDArray[Any]) -> Chosen | tuple[Chosen, ...]:
    """Name a quantile as the statistic of :func:`steelyard.estimate` or :func:`steelyard.bootstrap`.

    The quantile at level q of n sorted values lies at position (n - 1) q, counted from 0, linear between neighbours
    (definition 7 of Hyndman and Fan; NumPy's ``linear``, R's default). ``"median"`` is ``quantile(0.5)``.

    Parameters
    ----------
    q : float, or list or array [K] of floats
        The level, from 0 to 1. A list names several statistics of the same data, which share their resamples.

    Returns
    -------
    statistic, or a tuple of them

    Raises
    ------
    TypeError, ValueError
        Where q is not a number from 0 to 1, or an empty list.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> latency = np.arange(1000.0) ** 1.5
    >>> print(sy.bootstrap(latency, sy.uncertainty.quantile(0.9), method="percentile"))
    26960 [26105, 27769] (95 %, percentile bootstrap, n = 1000)
    """
    if not isinstance(q, Sequence | np.ndarray) or isinstance(q, str) or np.ndim(q) == 0:
        return with_parameter("quantile", "q", q)
    if len(q) == 0:
        raise value_error("q", "at least one level", "none")
    return tuple(with_parameter("quantile", "q", level) for level in q)


@standard_mode
def trimmed_mean(share: float = 0.1) -> Chosen:
    """Name a trimmed mean as the statistic of :func:`steelyard.estimate` or :func:`steelyard.bootstrap`.

    Of n sorted values the ``floor(share n)`` smallest and as many largest are left out (SciPy's ``trim_mean``).

    Parameters
    ----------
    share : float
        The share that is left out at each end, at least 0 and below 0.5.

    Returns
    -------
    statistic

    Raises
    ------
    TypeError, ValueError
        Where it is not such a number.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.bootstrap([1, 2, 3, 4, 1000], sy.uncertainty.trimmed_mean(0.2), method="percentile").value
    3.0
    """
    return with_parameter("trimmed_mean", "share", share)
