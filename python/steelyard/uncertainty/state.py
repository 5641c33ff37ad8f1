"""The state of an estimate of a mean: totals that can be updated, merged and saved."""

from __future__ import annotations

from typing import Any, Literal, Self, get_args

import numpy as np

from .. import _core, _intervals
from .._arrays import aligned
from .._clusters import codes_and_names
from .._columns import one_column
from .._estimate import Estimate
from .._intervals import MEANS, Sums
from .._mode import standard_mode_methods
from .._options import Alternative, NanPolicy, choice, confidence_of
from .._progress import Progress, reporter
from .._rows import Selection, nonzero, nothing_counts
from .._state import State
from ..errors import type_error

__all__ = ["EstimateState"]


@standard_mode_methods
class EstimateState(State):
    """The totals behind the estimate of a mean, for data that come in parts: update, merge, save and continue.

    The sums of the values and of their squares are kept without rounding, so that every split of the rows, every order
    and every merge gives the same bits. ``EstimateState(**o).update(x, clusters=c).compute()`` equals
    ``estimate(x, clusters=c, **o)`` bit for bit for 0/1 values without clusters, and otherwise up to the rounding of
    the sums in ``estimate`` (1e-12 of the standard error for up to 10**6 values). With ``clusters`` the state keeps one
    sum for each id, so the rows of an id may be spread over several updates. A state takes ids in all updates or in
    none.

    Parameters
    ----------
    statistic : {"mean"}
        What to estimate; by position.
    method, nan_policy, confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Notes
    -----
    A sum is a whole multiple of 2**-1074, held in 32-bit digits (Kulisch's accumulator; Neal, "Fast exact summation
    using small and large superaccumulators", arXiv 1505.05571). The mean is the sum, rounded once, divided by n.
    sum (x - mean)**2 is the exact value of sum x**2 - (sum x)**2 / n, rounded once, so that no digits are lost where
    the mean is large and the spread small. A state takes 2 KiB of memory, and about 100 bytes for each cluster.

    Examples
    --------
    >>> import steelyard as sy
    >>> monday = sy.uncertainty.EstimateState().update([1, 1, 0, 1], clusters=["ann", "ann", "bob", "cyd"])
    >>> tuesday = sy.uncertainty.EstimateState().update([0, 1, 1], clusters=["bob", "cyd", "cyd"])
    >>> print((monday + tuesday).compute())
    0.71 [0.05, 0.99] (95 %, clustered Wilson, n = 7, 3 clusters)
    >>> sy.uncertainty.EstimateState.from_bytes(monday.to_bytes()) == monday
    True
    """

    _CORE = _core.EstimateTotals

    def __init__(
        self,
        statistic: Literal["mean"] = "mean",
        /,
        *,
        method: str | None = None,
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        choice(statistic, "statistic", ("mean",))
        self._method = None if method is None else choice(method, "method", MEANS)
        self._nan_policy = choice(nan_policy, "nan_policy", get_args(NanPolicy))
        self._confidence = confidence_of(confidence_level, alternative)
        super().__init__()

    def _options(self) -> dict[str, Any]:
        return {
            "method": self._method,
            "nan_policy": self._nan_policy,
            **self._confidence.keywords,
        }

    def update(self, x: Any, *, where: Any = None, clusters: Any = None, progress: Progress = False) -> Self:
        """Add the values of one column and return the state; parameters as in :func:`steelyard.estimate`.

        Where the call raises, nothing has been added.
        """
        if isinstance(x, tuple):
            raise type_error("x", "an array or a list", "a tuple")
        aligned(x=x, where=where, clusters=clusters)
        values = one_column(x, "x")
        if not len(values):
            return self
        rows = Selection(where, None, self._nan_policy).rows("x", values, some=False)
        groups: dict[str, Any] = {}
        if clusters is not None and (rows.keep is None or rows.keep.any()):
            codes, names = codes_and_names(clusters, "clusters", len(values), rows.keep)
            groups = {"codes": rows.of(codes), "names": names}
        values = rows.of(values)
        self._totals.update(
            values.astype(np.float32) if values.dtype == np.bool_ else values, **groups,
            excluded=rows.left_out.get("where", 0), nan=rows.left_out.get("nan", 0), progress=reporter(progress),
        )  # fmt: skip
        return self

    def compute(self) -> Estimate:
        """The estimate from all data added so far.

        Raises
        ------
        ValueError
            Where no value counts, or where ``method`` is one for 0/1 values and other values were added.
        """
        size = self._totals.size()
        left_out = nonzero({"where": size["excluded"], "nan": size["nan"]})
        if not size["values"]:
            raise nothing_counts("x", "value", left_out)
        found = _intervals.whole_column(size["values"], self._totals.moments(), "x")
        return _intervals.mean_of(
            found, self._confidence, self._sums, name="x", grouped="clusters" if self._totals.clustered() else None,
            values=_intervals.value_facts(found), method=self._method, left_out=left_out,
        )  # fmt: skip

    def _sums(self, shift: float) -> Sums:
        sums, sizes = self._totals.cluster_sums(shift)
        return Sums(sums, sizes, shift)

    def __repr__(self) -> str:
        size = self._totals.size()
        clusters = f" in {size['clusters']} clusters" if size["clusters"] else ""
        return f"<EstimateState: {size['values']} values{clusters}>"
