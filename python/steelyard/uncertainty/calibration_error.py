"""The expected calibration error as a statistic that is resampled, and why its interval is another."""

from __future__ import annotations

from collections.abc import Iterable

from .. import _core
from .._mode import standard_mode
from .._options import whole
from ..errors import warn
from ._callables import Called
from ._statistics import Chosen, with_parameter

__all__ = ["BASIC", "doubt", "ece", "is_ece"]

NAME = "ece"
BIASED = "resamples of rows have a larger ece than the rows, so that their limits miss"
WARNING = f"{BIASED}; the interval of steelyard.reliability(probs, targets).ece covers"


BASIC = "nearly all resamples have a larger ece than the rows, where BCa has no limits"


def is_ece(statistic: Chosen | Called) -> bool:
    """Whether it is this statistic."""
    return isinstance(statistic, Chosen) and statistic.name == NAME


def doubt(statistics: Iterable[Chosen | Called]) -> None:
    """Warn where an interval cannot be trusted."""
    if any(map(is_ece, statistics)):
        warn(f"bootstrap of the ece: {WARNING}")


@standard_mode
def ece(n_bins: int = 15) -> Chosen:
    """Name the expected calibration error as the statistic of :func:`steelyard.bootstrap`.

    Of (probabilities, outcomes), with n_b rows in bin b of equal width, it is sum abs(sum of p - sum of outcomes)/n, to
    the bit that of :func:`steelyard.reliability`, which has the same bins. ``"ece"`` is ``ece(15)``.

    Rows that are drawn with replacement have the noise of the data twice, and the absolute values of the bins add it
    up: replicates lie above the ece. Of calibrated models, 95 % limits hold the error of 0 in at most four of ten
    (``"basic"``, the default here), others in none. ``bootstrap`` warns of it; :func:`steelyard.reliability` has an
    interval that covers.

    Parameters
    ----------
    n_bins : int
        The number of bins, from 1 to 10,000.

    Returns
    -------
    statistic

    Raises
    ------
    TypeError, ValueError
        Where it is not such a number.

    Examples
    --------
    >>> import numpy as np, steelyard as sy, warnings
    >>> p, y = np.array([0.9, 0.8, 0.9, 0.6]), np.array([1, 1, 0, 1])
    >>> with warnings.catch_warnings(action="ignore"):
    ...     boot = sy.bootstrap((p, y), sy.uncertainty.ece(10), method="percentile")
    >>> boot.value == sy.reliability(p, y, n_bins=10).ece.value
    True
    """
    return with_parameter(NAME, "n_bins", whole(n_bins, "n_bins", 1, _core.MAX_BINS))
