"""What a bootstrap is asked for: its options, and the method where none is given."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._options import Confidence
from .._rows import Rows, Selection
from ..errors import memory_error
from ._callables import Called
from ._statistics import Chosen
from .blocks import Blocks
from .calibration_error import BASIC, is_ece
from .sampling import Drawn

__all__ = ["Options", "infinite", "room_for"]

FEW = 50
FEW_UNITS = f"fewer than {FEW} rows or clusters, where BCa's intervals are too short"
APART = "the default for a function of rows that are not drawn one by one"


class Options(NamedTuple):
    """The options of a bootstrap, checked."""

    statistic: Chosen | Called
    method: str
    reason: str
    several: bool
    n_resamples: float
    seed: int
    confidence: Confidence
    blocks: Blocks | None
    sampling: Drawn | None
    known: NDArray[np.float64] | None = None
    """The first replicates, where they were made before."""

    def draws_alike(self, of: Rows | Selection) -> bool:
        """Whether rows, or clusters of one kind, are drawn one by one, as many as there are, and count alike."""
        usual = self.blocks is None and self.sampling is None
        return usual and of.weights is None and of.strata is None and of.several is None

    def resolved(self, x: NDArray[np.generic], rows: Rows) -> Options:
        """These options with a method: the one that was asked for, or else the one that covers best; and why."""
        if self.method:
            return self
        of, alone = self.statistic, self.draws_alike(rows) and self.n_resamples < math.inf and not self.several
        units = rows.clusters.total if rows.clusters else len(x)
        if isinstance(of, Chosen) and of.name == "mean" and alone and units < FEW and not ((x == 0) | (x == 1)).all():
            return self._replace(method="beta_t", reason=FEW_UNITS)
        if isinstance(of, Called) and (self.blocks or rows.several):
            return self._replace(method="percentile", reason=APART)
        if is_ece(of):
            return self._replace(method="basic", reason=BASIC)
        return self._replace(method="bca" if self.sampling is None else self.sampling.default, reason="the default")


def infinite(n_resamples: object) -> bool:
    """Whether it is infinity as a number, and not an array of it."""
    return isinstance(n_resamples, float) and n_resamples == math.inf


def room_for(n_resamples: int) -> None:
    """Check before the work begins that there is memory for the replicates and their sorted copy."""
    try:
        np.empty(3 * n_resamples)
    except MemoryError:
        got = f"{n_resamples}, which need {24 * n_resamples / 2**30:.3g} GiB"
        raise memory_error("n_resamples", "replicates that fit into memory", got) from None
