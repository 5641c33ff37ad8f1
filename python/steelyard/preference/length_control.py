"""The reward accuracy with the lengths of the answers taken out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _intervals
from .._arrays import aligned
from .._estimate import Estimate
from .._mode import standard_mode
from .._options import Alternative, NanPolicy, confidence_of
from ..errors import value_error
from .given import lengths_by_name, whole_lengths
from .judged import halves, judged, rows_of

__all__ = ["length_controlled_accuracy"]

Floats = NDArray[np.float64]


@standard_mode
def length_controlled_accuracy(
    margins: Any,
    lengths: Any,
    *,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate the reward accuracy that is left when the chosen answer is as often the longer as the shorter one.

    With ``A+`` the accuracy over the pairs whose chosen answer is the longer one and ``A-`` that over those whose
    rejected answer is, it is ``(1 - w) (A+ + A-)/2 + w A0``, where a tie of rewards counts 1/2, and the share ``w`` of
    the pairs has answers of equal lengths, with the accuracy ``A0``. What prefers the longer answer, whatever it says,
    has 1/2 here, however often the chosen answer is the longer one; what does not look at lengths has its accuracy.

    The pairs have the weights ``(1 - w)/(2 N+)``, ``(1 - w)/(2 N-)`` and ``1/N``; the interval is Wilson's with the
    effective number of pairs of a weighted mean, with clusters the cluster-robust one.

    Parameters
    ----------
    margins : PreferenceLoss, or array of float, shape [n]
        A result, or reward margins: the reward of the chosen less that of the rejected answer.
    lengths : tuple (chosen, rejected) of arrays of whole numbers, shape [n]
        The numbers of tokens, or of characters.
    where : array of bool, shape [n], optional
        The pairs that count.
    clusters : array, shape [n], optional
        The cluster of each pair, such as its prompt; default: those of a result, where it has some.
    nan_policy : {"raise", "omit"}
        What happens where a margin is NaN: raise, or leave the pair out and count it in ``left_out``.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Returns
    -------
    Estimate
        The accuracy, with its standard error and interval.

    Raises
    ------
    TypeError, ValueError
        For lengths that are no whole numbers, other numbers of pairs, and where the chosen answer (or the rejected one)
        alone is the longer one.

    Examples
    --------
    >>> import steelyard as sy
    >>> chosen, rejected = [90, 80, 70, 60, 20, 50], [10, 20, 30, 50, 40, 60]
    >>> longer = [c - r for c, r in zip(chosen, rejected)]  # a reward that is the length
    >>> print(sy.preference.length_controlled_accuracy(longer, (chosen, rejected)))
    0.50 [0.10, 0.90] (95 %, weighted Wilson, n = 6)

    Notes
    -----
    Its variance is that of a weighted mean, taken about the answer rather than about ``A+`` and ``A-``: where these
    differ, the interval is somewhat wider than it had to be. A length-controlled win rate by regression (Dubois et
    al., "Length-Controlled AlpacaEval", 2024) also uses how much the lengths differ, and assumes how that acts.
    """
    confidence = confidence_of(confidence_level, alternative)
    side = judged(margins, "margins")
    named = lengths_by_name(lengths)
    if not named:
        raise value_error("lengths", "(chosen, rejected), numbers of tokens", "None")
    aligned(**named)
    rows = rows_of({"margins": side}, where, clusters, nan_policy)
    chosen, rejected = whole_lengths(named, len(side.margins), rows.keep)
    weights = _weights(rows.of(np.sign(chosen - rejected)))
    weighted = rows._replace(weights=weights)
    return _intervals.mean(halves(side.margins), confidence, weighted, name="margins", kind="ties")


def _weights(longer: Floats) -> Floats:
    """The weight of each pair from the sign of the difference of its lengths: both kinds together weigh the same."""
    n = len(longer)
    above, below = (int(np.count_nonzero(longer == sign)) for sign in (1.0, -1.0))
    for which, count in (("chosen", above), ("rejected", below)):
        if not count and above + below:
            other = {"chosen": "rejected", "rejected": "chosen"}[which]
            raise value_error(
                "lengths", f"a pair whose {which} answer is the longer one", f"only {other} answers that are longer"
            )
    share = (above + below) / n
    of = [0.5 * share / count if count else 0.0 for count in (above, below)]
    return np.where(longer > 0, of[0], np.where(longer < 0, of[1], 1.0 / n))
