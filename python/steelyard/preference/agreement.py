"""How often two reward models, or two policies, prefer the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _intervals
from .._estimate import Estimate
from .._mode import standard_mode
from .._options import Alternative, NanPolicy, confidence_of
from .judged import judged, rows_of

__all__ = ["agreement"]


@standard_mode
def agreement(
    a: Any,
    b: Any,
    *,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate the share of pairs in which two reward models or policies prefer the same answer.

    A pair counts 1 where the margins of ``a`` and ``b`` have the same sign or are both 0, 0 where one is above 0 and
    the other below, and 1/2 where just one of them is 0. The interval is Wilson's (with ties Wilson's with the
    effective number of pairs), with clusters the cluster-robust one.

    Parameters
    ----------
    a, b : PreferenceLoss, or array of float, shape [n]
        The results of one set of pairs, or their reward margins: reward of the chosen less that of the rejected answer.
    where : array of bool, shape [n], optional
        The pairs that count; of results those that count in both.
    clusters : array, shape [n], optional
        The cluster of each pair, such as its prompt; default: those of a result, where it has some.
    nan_policy : {"raise", "omit"}
        What happens where a margin is NaN: raise, or leave the pair out and count it in ``left_out``.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Returns
    -------
    Estimate
        The share of pairs, with its standard error and interval.

    Raises
    ------
    TypeError, ValueError
        For what is neither a result of one setting nor a column of numbers, other lengths, and no pair that counts.

    Examples
    --------
    >>> import steelyard as sy
    >>> a, b = [0.5, -0.2, 1.5, 0.0, 2.0, -1.0], [0.1, -0.9, -0.3, 0.7, 1.0, -2.0]
    >>> print(sy.preference.agreement(a, b))
    0.75 [0.29, 0.96] (95 %, Wilson, n = 6)

    Cohen's kappa, what is left of it beyond chance, of the pairs without ties:

    >>> import numpy as np
    >>> wins = np.array(a) > 0, np.array(b) > 0
    >>> round(float(sy.estimate(wins, "kappa", where=np.array(a) != 0)), 4)
    0.6154
    """
    confidence = confidence_of(confidence_level, alternative)
    sides = {"a": judged(a, "a"), "b": judged(b, "b")}
    rows = rows_of(sides, where, clusters, nan_policy)
    signs = [np.sign(side.margins) for side in sides.values()]
    same = 1.0 - 0.5 * np.abs(signs[0] - signs[1])
    return _intervals.mean(same, confidence, rows, name="a", kind="ties")
