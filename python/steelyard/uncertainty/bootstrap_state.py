"""The state of a bootstrap: replicates that can be updated, merged and saved, wherever their rows are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self, get_args

import numpy as np

from .. import _core
from .._mode import standard_mode_methods
from .._options import Alternative, NanPolicy, choice, confidence_of, whole
from .._progress import Progress, reporter
from .._registries import titles
from .._rows import nonzero, nothing_counts
from .._state import State
from ..errors import value_error
from ._gathered import Gathered, empty_columns, gathered, of_clusters, statistic_of_sums
from ._replicates import limits_of
from ._statistics import Statistic, refusal
from .bootstrap import stacked
from .bootstrap_estimate import BootstrapEstimate

__all__ = ["BootstrapState"]

Method = Literal["percentile", "basic", "bc", "normal"]
TITLES = titles("bootstrap.method")
MOST_REPLICATES = 2**20
# Replicates that differ from the value by less than this share of it are equal to it but for rounding.
ROUNDING = 1e-14


@standard_mode_methods
class BootstrapState(State):
    """The bootstrap of data that come in parts, or lie on several machines: update, merge, save and continue.

    In replicate b a row counts as often as a Poisson number with mean 1 says, which follows from ``seed``, b and the id
    of the row's cluster (or the number of the row) alone. So rows count alike wherever, whenever and however often they
    are read, and the sums of a replicate can be added up anywhere: every split, order and merge gives the same bits.
    The state has a constant size: ``n_resamples`` times the sums of the statistic.

    Parameters
    ----------
    statistic : str, default "mean"
        As in :class:`EstimateState`.
    n_resamples : int, default 2000
        The number of replicates B, up to 2**20. Updates take about a nanosecond of a processor for each row and
        replicate.
    seed : int, default 0
        0 to 2**64 - 1. States with other seeds are of other replicates, and cannot be merged.
    method : {"percentile", "basic", "bc", "normal"}
        As in :func:`steelyard.bootstrap`. BCa needs the influence of each row, which a state does not keep.
    nan_policy, confidence_level, alternative
        As in :func:`steelyard.bootstrap`.

    Notes
    -----
    Given how many rows they draw, Poisson counts are multinomial ones, so that a statistic of shares (a mean, a ratio,
    a correlation) has replicates of the same law as in :func:`steelyard.bootstrap`, but for the number of rows drawn,
    n +- sqrt(n). The replicates of a ``"sum"`` are brought back to n rows: ``n sum_b / n_b``. With ``clusters`` it is
    refused, since the number of clusters is not known.

    Counts come from Philox4x32-10 with the seed as key and the id in the counter: whole numbers as they are, texts by a
    hash of 64 bits. A count has the law of Poisson(1) to 2**-32 and is at most 12 (``docs/decisions/0010``). A row
    number and a cluster of the same number have the same counts.

    On the wire a sum takes 5 bytes and 4 for each digit of 32 bits that it has: 34 bytes a replicate for the mean of
    float64 values. A mean has two sums (it and the number of rows), a slope five, a correlation six.

    With G rows or clusters a replicate is without any of them with a probability of exp(-G), and has then no statistic:
    fewer than some 15 are refused, most of the time. Ids of one kind are to be used throughout: 5 and "5" are two.

    Sources: Chamandy, Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data streams", Google 2012;
    Hanley and MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies", 2006.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.arange(1000) % 7 / 6
    >>> first = sy.uncertainty.BootstrapState(n_resamples=999).update(x[:400], first_row=0)
    >>> second = sy.uncertainty.BootstrapState(n_resamples=999).update(x[400:], first_row=400)
    >>> print((first + second).compute())
    0.499 [0.478, 0.520] (95 %, percentile bootstrap by Poisson counts, n = 1000)
    >>> first + second == sy.uncertainty.BootstrapState(n_resamples=999).update(x, first_row=0)
    True
    """

    _CORE = _core.BootstrapTotals

    def __init__(
        self,
        statistic: Statistic | str = "mean",
        *,
        n_resamples: int = 2000,
        seed: int = 0,
        method: Method = "percentile",
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        self._statistic = statistic_of_sums(statistic, "a statistic of sorted rows needs all of them")
        self._n_resamples = whole(n_resamples, "n_resamples", 1, MOST_REPLICATES)
        self._seed = whole(seed, "seed", 0, 2**64 - 1)
        self._method = choice(method, "method", get_args(Method))
        self._nan_policy = choice(nan_policy, "nan_policy", get_args(NanPolicy))
        self._confidence = confidence_of(confidence_level, alternative)
        super().__init__()

    def _empty(self) -> Any:
        return self._CORE(self._statistic, self._n_resamples, self._seed)

    def _options(self) -> dict[str, Any]:
        return {
            "statistic": self._statistic,
            "n_resamples": self._n_resamples,
            "seed": self._seed,
            "method": self._method,
            "nan_policy": self._nan_policy,
            **self._confidence.keywords,
        }

    def _header(self) -> dict[str, Any]:
        # The totals say what they are of.
        own = ("statistic", "n_resamples", "seed")
        return {option: value for option, value in self._options().items() if option not in own}

    @classmethod
    def _read(cls, totals: Any, header: dict[str, Any]) -> Self:
        asked = totals.asked()
        own = {"statistic": asked["statistic"], "n_resamples": asked["replicates"], "seed": asked["seed"]}
        return super()._read(totals, own | header)

    @property
    def rows_seen(self) -> int:
        """The number of rows of all updates, with those that were left out."""
        return sum(self._totals.size().values())

    def update(
        self,
        x: Any,
        *,
        where: Any = None,
        clusters: Any = None,
        first_row: int | None = None,
        progress: Progress = False,
    ) -> Self:
        """Add the rows of one column, or of a tuple of columns, and return the state.

        Where the call raises, nothing has been added.

        Parameters
        ----------
        x, where
            As in :func:`steelyard.bootstrap`.
        clusters : array of ids [n], optional
            What each row belongs to, whole numbers or texts: rows of one id count alike, in this update and in every
            other. Rows that are independent may have ids of their own, which then hold wherever the rows are read.
        first_row : int, optional
            In place of ``clusters``, the number of the first of these rows; the others follow. No two updates of one
            data set may have a row number in common.
        progress : bool or callable
            As in :func:`steelyard.bootstrap`; it counts rows.

        Raises
        ------
        TypeError
            Where other updates had the other one of ``clusters`` and ``first_row``.
        ValueError
            Without both or with both, for values that are not finite, and for those that the statistic does not take.
        """
        if (clusters is None) == (first_row is None):
            got = "neither" if clusters is None else "both"
            fix = "the counts of a row follow from its id, or from its number in the whole data"
            raise value_error("first_row", "clusters, or the number of the first row in the whole data", got, fix)
        if clusters is not None and self._statistic == "sum":
            fix = "a mean or a ratio has one"
            raise value_error("clusters", "None for statistic='sum', whose replicates need their number", "ids", fix)
        first = None if first_row is None else whole(first_row, "first_row", -(2**63), 2**63 - 1)
        found = gathered(x, self._statistic, where, clusters, self._nan_policy)
        if found is None:
            return self
        ids = found.ids or {"rows": _numbers(found, first or 0)}
        refused = self._totals.update(found.values, **ids, **found.left_out, progress=reporter(progress))
        if "refused" in refused:
            raise refusal(refused, self._statistic, found.columns, found.rows)
        return self

    def compute(self, *, progress: Progress = False) -> BootstrapEstimate:
        """The bootstrap of all data added so far.

        Raises
        ------
        ValueError
            Where no row counts, where a replicate has no rows or the statistic of its rows is not defined, or where all
            replicates are equal.
        """
        size = self._totals.size()
        left_out = nonzero({"where": size["excluded"], "nan": size["nan"]})
        if not size["values"]:
            raise nothing_counts("x", "value", left_out)
        found = self._totals.found(progress=reporter(progress))
        columns, rows = empty_columns(self._statistic), of_clusters(None, left_out)
        if "refused" not in found and np.isnan(found["replicates"]).any():
            found = {"refused": "empty resample"}
        if "refused" in found:
            raise refusal(found, self._statistic, columns, rows)
        limits = limits_of(
            found["replicates"], self._statistic, value=found["value"], units=size["values"], method=self._method,
            confidence=self._confidence, rounding=ROUNDING,
        )  # fmt: skip
        clustered = "clustered " if self._totals.clustered() else ""
        return BootstrapEstimate(
            value=found["value"], standard_error=limits["standard_error"] if self._n_resamples > 1 else None,
            low=limits["low"], high=limits["high"], low_error=limits["low_error"], high_error=limits["high_error"],
            replicates=found["replicates"], confidence_level=self._confidence.level, n=size["values"],
            method=f"{clustered}{TITLES[self._method]} by Poisson counts",
            reason=f"counts by {'the ids of clusters' if clustered else 'row numbers'}", left_out=left_out,
            detail={"n_resamples": self._n_resamples, "seed": self._seed},
        )  # fmt: skip

    @staticmethod
    def _together(states: Mapping[str, BootstrapState], nameless: int) -> BootstrapEstimate:
        """The bootstrap of each of several groups, beside ``nameless`` rows without one, as one of many."""
        parts = [state.compute() for state in states.values()]
        if nameless:
            parts = [replace(part, left_out={**part.left_out, "no group": nameless}) for part in parts]
        return stacked(parts, tuple(states))

    def __repr__(self) -> str:
        rows = self._totals.size()["values"]
        return f"<BootstrapState of {self._statistic}: {rows} rows, {self._n_resamples} replicates>"


def _numbers(found: Gathered, first: int) -> Any:
    """The numbers of the rows that count."""
    n = len(next(iter(found.columns.values())))
    if first + n - 1 > 2**63 - 1:
        raise value_error("first_row", f"a number whose rows end before 2**63, up to {2**63 - n}", str(first))
    return found.rows.of(np.arange(first, first + n, dtype=np.int64))
