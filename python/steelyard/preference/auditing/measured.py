"""Estimates over pairs, clustered by prompt where prompts repeat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core, _intervals
from ..._estimate import Estimate
from ..._options import Confidence
from ..._rows import Clusters, Rows
from ..._strides import coded
from ..judged import halves

__all__ = ["Measured", "halves", "total"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def total(x: Floats) -> float:
    """The sum of a column, by the core."""
    return float(_core.cluster_sums(x, np.zeros(len(x), np.int64), clusters=1)[0][0])


class Measured:
    """Makes the Estimates of an audit at one confidence level.

    Parameters
    ----------
    confidence : Confidence
    codes : int64, one per pair, or None
        The cluster of each pair; None where every pair is independent of the others.
    """

    def __init__(self, confidence: Confidence, codes: NDArray[np.int64] | None) -> None:
        self.confidence = confidence
        self.codes = codes

    def of(self, keep: Any) -> Measured:
        """The same for some of the pairs."""
        return Measured(self.confidence, None if self.codes is None else self.codes[keep])

    def at(self, confidence: Confidence) -> Measured:
        """The same at another level."""
        return Measured(confidence, self.codes)

    @property
    def clusters(self) -> Clusters | None:
        """The clusters, numbered without gaps."""
        if self.codes is None:
            return None
        codes, present = coded(self.codes)
        return Clusters(codes, len(present))

    def share(self, x: Floats) -> Estimate:
        """The mean of answers of yes and no, of which a tie counts one half."""
        return self._mean(x, kind="ties")

    def mean(self, x: Floats, *, bounded: bool = False) -> Estimate:
        """The mean of graded values; ``bounded``: they cannot lie outside [0, 1]."""
        return self._mean(x, kind="graded", bounded=bounded)

    def linear(self, value: float, influence: Floats, method: str, reason: str) -> Estimate:
        """A statistic whose error is the sum of what each pair adds to it, with the error of that sum.

        ``influence`` sums to 0; the interval is that of the mean of ``value + n * influence``.
        """
        found = self.mean(value + float(len(influence)) * influence)
        if found.low is None:
            return replace(found, value=value)
        shift = value - float(found.value)  # of rounding alone
        return replace(
            found,
            value=value,
            low=float(found.low) + shift,
            high=_plus(found.high, shift),
            method=method,
            reason=reason,
        )

    def _mean(self, x: Floats, **options: Any) -> Estimate:
        rows = Rows(None, self.clusters, {})
        return _intervals.mean(np.ascontiguousarray(x), self.confidence, rows, name="the pairs", **options)


def _plus(limit: Any, shift: float) -> float:
    return float(limit) + shift
