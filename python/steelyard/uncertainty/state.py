"""The state of an estimate of a mean or another statistic of sums: totals that can be updated, merged and saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

import numpy as np

from .. import _core, _intervals
from .._estimate import Estimate
from .._intervals import MEANS, Sums
from .._mode import standard_mode_methods
from .._options import Alternative, NanPolicy, choice, confidence_of
from .._progress import Progress, reporter
from .._registries import names
from .._rows import Rows, nonzero, nothing_counts
from .._state import State
from .._strata import Average, Strata, at_least_two, each_counts
from ..errors import value_error
from ._gathered import Design, empty_columns, gathered, of_clusters, statistic_of_sums
from ._mean_totals import MeanTotals
from ._statistics import Statistic, refusal
from ._sums import closed_estimate

__all__ = ["EstimateState"]

# Where the bytes of a state say of which kind it is.
KIND_AT = 4


@standard_mode_methods
class EstimateState(State):
    """The totals behind an estimate, for data that come in parts: update, merge, save and continue.

    Everything is summed without rounding, so that every split of the rows, every order and every merge gives the same
    bits. ``EstimateState(statistic, **o).update(x, clusters=c).compute()`` equals ``estimate(x, statistic, clusters=c,
    **o)`` bit for bit for the mean of 0/1 values without clusters, and otherwise up to the rounding of the sums in
    ``estimate`` (1e-12 of the standard error of a mean of up to 10**6 values). With ``clusters`` the state keeps the
    sums of each id, so the rows of an id may be spread over several updates. A state takes ids in all updates or in
    none; ``weights`` and ``strata`` likewise. These need ``clusters``, since the correction for small samples takes the
    size of each unit: independent rows take ids of their own. A cluster lies in one stratum.

    Parameters
    ----------
    statistic : str, default "mean"
        What to estimate: a statistic of sums of :func:`steelyard.estimate`, such as ``"ratio"``, ``"correlation"``,
        ``"f1"``, ``"log_loss"`` or ``"bleu"``, or a quotient of two, such as ``"mean/std"``.
    method
        As in :func:`steelyard.estimate`; for means alone.
    average : {"micro", "macro"}
        With ``strata``: ``"micro"`` is the statistic of all rows together, ``"macro"`` the mean of those of the strata.
    nan_policy, confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Notes
    -----
    A sum is a whole multiple of 2**-1074, held in 32-bit digits (Kulisch's accumulator; Neal, "Fast exact summation
    using small and large superaccumulators", arXiv 1505.05571). Without clusters the mean is the sum, rounded once,
    divided by n; with clusters the sum of those of the clusters, each rounded once.
    sum (x - mean)**2 is the exact value of sum x**2 - (sum x)**2 / n, rounded once, so that no digits are lost where
    the mean is large and the spread small.

    The other statistics are functions of sums of products of powers, such as x, y, x**2 and x y for a slope. A
    product of more than one factor is kept in two parts, to 2**-104 of it, and moved to the means without rounding
    when the state is asked. Where that leaves less than six digits of a sum, the column is refused: a variance and
    its error with clusters from a mean of 10**12 times the spread on, without clusters from 10**6 on; a kurtosis
    from 10**6 and 1000 on. Powers that leave the range of float64 are refused: values above 10**77 for a kurtosis,
    10**38 without clusters, and columns whose largest value is below about 10**-67 and 10**-33. So is a
    ``"log_loss"`` that is infinite.

    Without clusters the state keeps the sums of the products of any two terms as well, from which the sum of the
    squared influences follows. The rows of ``"ratio"``, ``"weighted_mean"``, ``"perplexity"``, ``"bleu"``,
    ``"chrf"`` and ``"chrf++"``, and of quotients that begin with ``"precision"``, ``"recall"`` or ``"f1"``, differ
    in size, and the correction of their error for small samples needs each of them: these take ``clusters``, and
    independent rows need ids of their own. ``"ratio"`` takes denominators of at least 0.

    With ``weights`` w the sums are those of w times these products, of which those of w x have two parts as well, and
    Kish's (sum w)**2 / sum w**2 is exact but for its rounding. Products that leave the range of float64 are refused,
    and weights so small that digits of their products do. That each stratum has a row that counts, and two clusters,
    is asked of all rows together, by ``compute``. Groups take a state each.

    A state without clusters takes a few KiB. Each cluster takes 64 bytes of memory for the mean, 136 for a ratio, and
    330 for a slope, which has five sums; with weights 136, 300 and 350, and 136 for a mean in strata alone. On the wire
    a sum takes 5 bytes and 4 for each digit of 32 bits that it has, of which sums of whole numbers have one or two,
    those of others three to five; with strata a cluster takes 8 bytes more.

    Examples
    --------
    >>> import steelyard as sy
    >>> monday = sy.uncertainty.EstimateState().update([1, 1, 0, 1], clusters=["ann", "ann", "bob", "cyd"])
    >>> tuesday = sy.uncertainty.EstimateState().update([0, 1, 1], clusters=["bob", "cyd", "cyd"])
    >>> print((monday + tuesday).compute())
    0.71 [0.05, 0.99] (95 %, clustered Wilson, n = 7, 3 clusters)
    >>> sy.uncertainty.EstimateState.from_bytes(monday.to_bytes()) == monday
    True
    >>> spread = sy.uncertainty.EstimateState("std")
    >>> print(spread.update([2.0, 4.0, 4.0, 5.0]).update([7.0, 9.0, 5.0, 4.0]).compute())
    2.0 [1.1, 3.6] (95 %, log t, n = 8)
    >>> both = sy.uncertainty.EstimateState(average="macro")
    >>> both = both.update([0.2, 0.4, 0.9], clusters=[1, 2, 3], strata=["de", "de", "en"], weights=[1, 2, 1])
    >>> print(both.update([0.8, 0.3, 0.5], clusters=[4, 1, 2], strata=["en", "de", "de"], weights=[3, 1, 1]).compute())
    0.59 [0.27, 0.91] (95 %, macro stratified clustered t, n = 6, 4 clusters)
    """

    _CORE = MeanTotals

    def __init__(
        self,
        statistic: Statistic | str = "mean",
        *,
        method: str | None = None,
        average: Average = "micro",
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        self._statistic = statistic_of_sums(statistic, "a quantile or a rank needs all values")
        if method is not None and self._statistic != "mean":
            expected = f"None for statistic={self._statistic!r}, which has one kind of interval"
            raise value_error("method", expected, repr(method))
        self._method = None if method is None else choice(method, "method", MEANS)
        self._average = choice(average, "average", names("strata.average"))
        self._nan_policy = choice(nan_policy, "nan_policy", get_args(NanPolicy))
        self._confidence = confidence_of(confidence_level, alternative)
        super().__init__()

    def _empty(self) -> Any:
        return self._CORE() if self._statistic == "mean" else _core.StatisticTotals(self._statistic)

    @classmethod
    def _core_of(cls, data: bytes) -> Any:
        kind = data[KIND_AT : KIND_AT + 1]
        return _core.StatisticTotals if kind == bytes([_core.StatisticTotals.KIND]) else cls._CORE

    def _options(self) -> dict[str, Any]:
        return {
            "statistic": self._statistic,
            "method": self._method,
            "average": self._average,
            "nan_policy": self._nan_policy,
            **self._confidence.keywords,
        }

    def _header(self) -> dict[str, Any]:
        # The totals of another statistic say which one it is. Most states have no strata to average.
        left = {"statistic"} if self._average == "macro" else {"statistic", "average"}
        return {option: value for option, value in self._options().items() if option not in left}

    @classmethod
    def _read(cls, totals: Any, header: dict[str, Any]) -> Self:
        statistic = totals.statistic if isinstance(totals, _core.StatisticTotals) else "mean"
        if isinstance(totals, _core.StatisticTotals) and statistic == "mean":
            totals = MeanTotals(totals)
        return super()._read(totals, {"statistic": statistic, **header})

    def update(
        self,
        x: Any,
        *,
        where: Any = None,
        clusters: Any = None,
        weights: Any = None,
        strata: Any = None,
        progress: Progress = False,
    ) -> Self:
        """Add the rows of one column, or of a tuple of columns, and return the state.

        The parameters are those of :func:`steelyard.estimate`. Where the call raises, nothing has been added.

        Parameters
        ----------
        x : array, or tuple of arrays, shape [n]
            The column of the statistic, or its columns.
        where : boolean array, shape [n], optional
            The rows that count.
        clusters : array of ids, shape [n], optional
            The cluster of each row, by whole numbers or texts. Its rows may go on in later updates.
        weights : array of numbers, shape [n], optional
            Sampling weights, 0 or more, on one scale in all updates. A row of weight 0 is left out and counted.
        strata : array of ids, shape [n], optional
            The stratum of each row, by whole numbers or texts.
        progress : bool or callable
            ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

        Raises
        ------
        TypeError
            Where the state has ``clusters``, ``weights`` or ``strata`` and these rows have none, or the reverse.
        ValueError
            Where ``weights`` or ``strata`` come without ``clusters``, where a cluster has rows in two strata, and as
            :func:`steelyard.estimate` for what the statistic does not take.
        """
        design = Design(weights, strata, self._average)
        found = gathered(x, self._statistic, where, clusters, self._nan_policy, design=design)
        if found is None:
            return self
        options = {**found.ids, **found.left_out, "progress": reporter(progress)}
        if self._statistic == "mean":
            refused = self._totals.update(found.values[0], design=found.design, **options)
        else:
            refused = self._totals.update(found.values, **found.design, **options)
        if "refused" in refused:
            columns = {**found.columns, "weights": weights} if weights is not None else found.columns
            raise refusal(refused, self._statistic, columns, found.rows)
        return self

    def compute(self) -> Estimate:
        """The estimate from all data added so far.

        Raises
        ------
        ValueError
            Where no value counts, where a stratum has no row that counts or just one cluster, where the statistic of
            these rows is not defined, or where ``method`` is one for 0/1 values and other values were added.
        """
        size = self._totals.size()
        left_out = nonzero({
            "where": size["excluded"], "nan": size["nan"], "zero weight": size["weightless"],
            "no stratum": size["unstratified"],
        })  # fmt: skip
        if not size["values"]:
            raise nothing_counts("x", "value", left_out)
        designed = self._totals.designed if self._statistic == "mean" else self._totals
        weighted = designed is not None and designed.weighted()
        strata = None if designed is None else _strata_of(designed, self._average)
        n_clusters = size["clusters"] if self._totals.clustered() else None
        rows = of_clusters(n_clusters, left_out, weighted=weighted, strata=strata)
        if self._statistic != "mean":
            return self._closed(rows, size["values"])
        if weighted:
            self._check(designed.faint(), rows)
        return self._mean(rows, size["values"], designed.effective() if weighted else None)

    def _check(self, found: Mapping[str, Any] | None, rows: Rows) -> None:
        """Raise what the core refuses."""
        if found is not None and "refused" in found:
            weights = {} if rows.weights is None else {"weights": rows.weights}
            raise refusal(found, self._statistic, empty_columns(self._statistic) | weights, rows)

    def _mean(self, rows: Rows, n: int, effective: float | None) -> Estimate:
        found = _intervals.whole_column(n, self._totals.moments(), "x")

        def summed(shift: float) -> Sums:
            sums, sizes = self._totals.cluster_sums(shift)
            return Sums(sums, sizes, shift, effective, strata=rows.strata)

        return _intervals.mean_of(
            found, self._confidence, summed, name="x",
            grouped="strata" if rows.strata else "clusters" if rows.clusters else None,
            values=_intervals.value_facts(found), method=self._method, left_out=rows.left_out,
        )  # fmt: skip

    def _closed(self, rows: Rows, n: int) -> Estimate:
        """The estimate of a statistic other than the mean."""
        found = self._totals.interval(self._confidence.level, self._confidence.alternative, self._average)
        self._check(found, rows)
        return closed_estimate(found, rows, n, self._confidence, statistic=self._statistic)

    def __repr__(self) -> str:
        size = self._totals.size()
        clusters = f" in {size['clusters']} clusters" if size["clusters"] else ""
        if self._statistic == "mean":
            return f"<EstimateState: {size['values']} values{clusters}>"
        return f"<EstimateState of {self._statistic}: {size['values']} rows{clusters}>"


def _strata_of(totals: _core.StatisticTotals, average: str) -> Strata | None:
    """The strata of the clusters, each of which has at least two; None without strata."""
    if not totals.stratified():
        return None
    found = totals.strata()
    strata = Strata(found["codes"], np.array(found["names"], object), average, found["rows"])
    each_counts(strata)
    at_least_two(strata, strata.codes, "cluster")
    return strata
