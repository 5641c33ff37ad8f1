"""The state of quantiles: values that come in parts, counted in bins that are as narrow as their number allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

import numpy as np

from .. import _core, _intervals
from .._estimate import Estimate
from .._mode import standard_mode_methods
from .._options import Alternative, NanPolicy, choice, confidence_of, fraction
from .._progress import Progress, reporter
from .._rows import Rows, nonzero, nothing_counts
from .._state import State
from ._gathered import gathered, of_clusters
from ._ordered import EQUAL, QUANTILE, no_limits, with_missing
from ._statistics import refusal

__all__ = ["QuantileState"]


@standard_mode_methods
class QuantileState(State):
    """Quantiles of values that come in parts, with their intervals: update, merge, save and continue.

    The values of one sign and binary exponent are told by 52 bits. Of up to 1024 different ones all are kept, and
    quantiles are exact. Of more, the lowest bits are left out, as few as leave at most 1024 bins: a bin is then at most
    2**-10 as wide as its values are large, and a quantile is that near to the one of the values themselves. Which bits
    are left out depends on the set of values alone, so that every split, order and merge gives the same bits.

    Parameters
    ----------
    q : float or sequence of floats, default 0.5
        The levels, 0 to 1; a sequence makes the answer one of many.
    nan_policy, confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Notes
    -----
    The value is that of :func:`steelyard.estimate` with ``uncertainty.quantile(q)``, bit for bit while bins hold one
    number each; else that at the place of its rank in its bin, as if the values of a bin lay evenly.
    ``detail["least"]`` and ``detail["most"]`` are the numbers between which the quantile of the values certainly lies.
    The limits are Clopper and Pearson's order statistics, the outermost numbers of their bins: they cover at least as
    often as the level says. There are none with clusters, whose shares below the quantile are not kept.

    A KLL sketch holds fewer numbers for the same error in ranks; but which ones depends on the order of the values, and
    its error is one of probability. A state takes 16 bytes for each bin, in memory and on the wire: 1.6 KiB for grades
    from 0 to 100, 190 kB for 2 * 10**6 values that lie evenly between 0 and 1.

    Sources: Hyndman and Fan, "Sample quantiles in statistical packages", 1996, definition 7; for bins that are as wide
    as their values are large, Masson, Rim and Lee, "DDSketch", VLDB 2019.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> latency = np.random.default_rng(0).exponential(size=100_000)
    >>> parts = [sy.uncertainty.QuantileState([0.5, 0.99]).update(part) for part in np.split(latency, 4)]
    >>> print(sum(parts).compute())
    0  0.6870 [0.6807, 0.6924] (95 %, order statistics of bins, n = 100000)
    1  4.573 [4.510, 4.623] (95 %, order statistics of bins, n = 100000)
    """

    _CORE = _core.QuantileTotals

    def __init__(
        self,
        q: Any = 0.5,
        *,
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        several = isinstance(q, list | tuple) or (isinstance(q, np.ndarray) and q.ndim > 0)
        self._q = [fraction(one, f"q[{i}]") for i, one in enumerate(q)] if several else fraction(q, "q")
        self._nan_policy = choice(nan_policy, "nan_policy", get_args(NanPolicy))
        self._confidence = confidence_of(confidence_level, alternative)
        super().__init__()

    def _options(self) -> dict[str, Any]:
        return {"q": self._q, "nan_policy": self._nan_policy, **self._confidence.keywords}

    def update(self, x: Any, *, where: Any = None, progress: Progress = False) -> Self:
        """Add the values of one column and return the state.

        ``where`` and ``progress`` are those of :func:`steelyard.estimate`. Where the call raises, nothing has been
        added.
        """
        found = gathered(x, "median", where, None, self._nan_policy)
        if found is None:
            return self
        refused = self._totals.update(found.values[0], **found.left_out, progress=reporter(progress))
        if "refused" in refused:
            raise refusal(refused, "median", found.columns, found.rows)
        return self

    def compute(self) -> Estimate:
        """The quantile from all data added so far, or an estimate of many for several levels.

        Raises
        ------
        ValueError
            Where no value counts.
        """
        size = self._totals.size()
        left_out = nonzero({"where": size["excluded"], "nan": size["nan"]})
        if not size["values"]:
            raise nothing_counts("x", "value", left_out)
        rows = of_clusters(None, left_out)
        if isinstance(self._q, list):
            return _intervals.stack([self._at(q, size, rows) for q in self._q], None)
        return self._at(self._q, size, rows)

    def _at(self, q: float, size: Mapping[str, int], rows: Rows) -> Estimate:
        found = self._totals.quantile(q, self._confidence.level, self._confidence.alternative)
        detail = {} if self._totals.exact() else {"least": found["least"], "most": found["most"]}
        value, low, high = found["value"], found["low"], found["high"]
        if found["constant"]:
            return no_limits(value, "no spread", EQUAL, rows, self._confidence, n=size["values"])
        bins = "" if self._totals.exact() else " of bins"
        return Estimate(
            value=value, standard_error=_intervals.maybe(found["standard_error"]), low=_intervals.maybe(low),
            high=_intervals.maybe(high), confidence_level=self._confidence.level, n=size["values"],
            method=f"{QUANTILE.rows}{bins}", reason=with_missing(QUANTILE.reason, low, high), left_out=rows.left_out,
            detail=detail,
        )  # fmt: skip

    def __repr__(self) -> str:
        size = self._totals.size()
        return f"<QuantileState: {size['values']} values in {size['bins']} bins>"
