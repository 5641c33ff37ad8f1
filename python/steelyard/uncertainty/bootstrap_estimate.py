"""The outcome of a bootstrap: an estimate with its replicates, to which more may be added."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._estimate import Estimate
from .._forest import legend
from .._mode import standard_mode_methods
from .._options import Confidence, whole
from .._progress import Progress
from .._text import printable
from ..errors import type_error, value_error
from ._replicates import METHODS, limits_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BootstrapEstimate"]

Floats = NDArray[np.float64]

OVERLAP = 32  # replicates that are made again, to see that the data are the same
REPLICATES = "a finite n_resamples, and another method than 'abc'"


class Known(NamedTuple):
    """What the limits of one problem need apart from its replicates, and what its data are told by."""

    statistic: str
    method: str
    confidence: Confidence
    adds: bool
    """Whether the limits are read from the replicates alone, drawn row by row."""
    units: int
    acceleration: float
    tie: float


class Again:
    """The call that made a bootstrap, to be made again with more resamples; ``None`` where its data are not at hand."""

    def __init__(self, call: Callable[..., BootstrapEstimate] | None) -> None:
        self.call = call

    def __reduce__(self) -> tuple[type[Again], tuple[None]]:
        """Written without the data of the call: they may be large, and some functions cannot be written."""
        return Again, (None,)


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class BootstrapEstimate(Estimate):
    """An :class:`~steelyard.Estimate` from the bootstrap, with its replicates and the Monte-Carlo error of its limits.

    Attributes
    ----------
    replicates : ndarray [n_resamples], or [n_resamples, M] for M problems, or None
        The statistic in each resample, in the order in which the resamples are numbered (not sorted); None for
        ``n_resamples=math.inf`` and ``method="abc"``.
    low_error, high_error : float or ndarray
        The Monte-Carlo error of the limits, that is, roughly how far another seed would move them: half the distance
        between the order statistics one binomial standard deviation above and below the limit's own; 0 on a side that
        ``alternative`` leaves open, and without replicates.

    Notes
    -----
    ``standard_error`` is the standard deviation of the replicates (with divisor n_resamples - 1); ``detail`` holds
    ``n_resamples``, ``seed``, for BCa the ``acceleration``, and for the double bootstrap ``n_inner``, its C.

    With ``n_resamples=math.inf``, ``standard_error`` is the standard deviation of a mean over all resamples (of a
    ratio, of its linear approximation). ``detail`` has no seed, but the ``engine`` that computed the distribution (L:
    values on a lattice; E: enumeration; G: the inversion formula of Gil-Pelaez; T: the same from power sums; P: the
    same with outliers set apart; O: order statistics by binomial probabilities), the numerical ``error`` of its
    probabilities and, for BCa, ``z0`` beside the ``acceleration``. With ``method="abc"`` it is sqrt(sum U^2), and
    ``detail`` holds ``acceleration``, ``z0``, ``curvature`` (c), ``bias`` (b) and ``n_resamples``, which is infinite.

    Examples
    --------
    >>> import steelyard as sy
    >>> boot = sy.bootstrap([2.0, 3.0, 5.0, 8.0, 13.0], method="percentile", n_resamples=999)
    >>> boot.replicates.shape, boot.detail
    ((999,), {'n_resamples': 999, 'seed': 0})
    """

    replicates: Floats | None
    low_error: float | Floats
    high_error: float | Floats

    # What :meth:`extend` and addition need; no fields, since they are no results.
    _again: ClassVar[Again] = Again(None)
    _known: ClassVar[Known | None] = None

    def extend(self, n_resamples: int, *, progress: Progress = False) -> BootstrapEstimate:
        """Return the bootstrap with more resamples: the result of the same call with so many more, bit for bit.

        The data are not copied when a bootstrap is made, but kept from being freed while its result is: they must be as
        they were. A change is noticed by the statistic's value and by making the last 32 replicates again; one that
        leaves all of these as they were, as one of rows far from a median may, is not: then old and new replicates
        stand together. Only the new ones are made besides; all are made again for several problems and for the methods
        ``"studentized"``, ``"beta_t"`` and ``"double"``, whose limits are read from more than the replicates.

        Parameters
        ----------
        n_resamples : int
            How many more.
        progress : bool or callable
            As in :func:`steelyard.bootstrap`; it counts all resamples, those that are there included.

        Returns
        -------
        BootstrapEstimate

        Raises
        ------
        TypeError
            Without replicates, or without the call's data: a bootstrap that was pickled, copied deeply, picked from
            several or added has none.
        ValueError
            Where the data have changed; for ``sampling="balanced"``, whose resamples depend on their number.

        Examples
        --------
        >>> import numpy as np, steelyard as sy
        >>> x = np.array([2.0, 3.0, 5.0, 8.0, 13.0])
        >>> more = sy.bootstrap(x, method="percentile", n_resamples=999).extend(9000)
        >>> more == sy.bootstrap(x, method="percentile", n_resamples=9999)
        True
        """
        return _extended(self, n_resamples, progress)

    def __add__(self, other: BootstrapEstimate) -> BootstrapEstimate:
        """Return the bootstrap of the resamples of both: of one problem, the same data and options, and other seeds.

        The data are told by the statistic's value, the numbers of rows, clusters and rows left out, BCa's acceleration,
        and the spread of the replicates; a bootstrap that was written and read again may be added. Not for the methods
        ``"studentized"``, ``"beta_t"`` and ``"double"``, whose limits are read from more than the replicates, nor with
        ``sampling``.
        """
        if not isinstance(other, BootstrapEstimate):
            return NotImplemented
        return _joined(self, other)

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the replicates as a histogram, with the value and the interval.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; new ones are made where it is not given.
        label : str, optional
            The name of this result in a legend; a second result on the same axes joins the legend.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        TypeError
            For many problems: pick one first. For ``n_resamples=math.inf`` and ``method="abc"``, which make no
            replicates.
        """
        if self._many:
            raise TypeError("this BootstrapEstimate is of many problems; pick one to plot, as in boot[0].plot()")
        if self.replicates is None:
            raise TypeError(f"this BootstrapEstimate has no replicates to plot; give bootstrap {REPLICATES}")
        import matplotlib.pyplot as plt

        axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")[1] if ax is None else ax
        bins = min(60, max(10, len(self.replicates) // 50))
        named = None if label is None else f"{printable(label)}: {self:{self._spec()}}"
        bars: Any = axes.hist(self.replicates, bins=bins, alpha=0.4, label=named)[2]
        colour = bars[0].get_facecolor()[:3]
        axes.axvline(float(self), color=colour, linewidth=2, label="value" if label is None else None)
        limits = [limit for limit in (self.low, self.high) if limit is not None and math.isfinite(float(limit))]
        for i, limit in enumerate(limits):
            said = None if label is not None or i else "limits"
            axes.axvline(float(limit), color=colour, linewidth=1, linestyle="--", label=said)
        axes.set_xlabel(f"{self.method}, {len(self.replicates)} replicates")
        axes.set_ylabel("replicates")
        legend(axes)
        return axes


def reusable(boot: BootstrapEstimate) -> Floats | None:
    """The replicates with which the same call with more resamples may go on; None where it makes all again."""
    known = boot._known
    return boot.replicates if known is not None and known.method in METHODS else None


def _extended(boot: BootstrapEstimate, more: int, progress: Progress) -> BootstrapEstimate:
    """The bootstrap that the same call gives with ``more`` more resamples."""
    more = whole(more, "n_resamples", 1, 2**32 - 1)
    call = boot._again.call
    made = boot.replicates
    if made is None or call is None:
        why = "made no replicates" if made is None else "was read, copied, picked or added, and has no data any more"
        raise type_error("self", "a bootstrap as the call returned it, with its replicates", f"one that {why}")
    known = reusable(boot)
    known = None if known is None else known[: max(0, len(known) - OVERLAP)]
    found = call(n_resamples=len(made) + more, progress=progress, known=known)
    same = found.replicates is not None and np.array_equal(found.replicates[: len(made)], made)
    if not same or not np.array_equal(found.value, boot.value):
        expected = "data that are as they were in the first call, and resamples that do not depend on their number"
        raise value_error("self", expected, "data that have changed since, or balanced resamples")
    object.__setattr__(found, "_again", boot._again)
    return found


def _joined(a: BootstrapEstimate, b: BootstrapEstimate) -> BootstrapEstimate:
    """One bootstrap of the resamples of both, which must be of one problem and of the same data, with other seeds."""
    mine, other = a._known, b._known
    if mine is None or other is None or a.replicates is None or b.replicates is None:
        why = "of many problems, or without replicates"
        raise type_error("other", "two bootstraps, each of one problem and with replicates", f"one {why}")
    if not mine.adds:
        raise value_error("other", "bootstraps whose limits are read from the replicates alone", f"a {a.method}")
    first, second = _facts(a), _facts(b)
    for name, value in first.items():
        if value != second[name]:
            got = f"{name} {value!r} and {second[name]!r}"
            raise value_error("other", "a bootstrap of the same data, statistic and options", got)
    if not _spread_alike(a, b):
        got = f"standard errors {a.standard_error:.6g} and {b.standard_error:.6g}"
        raise value_error("other", "a bootstrap of the same data, statistic and options", got)
    if min(_seeds(b)) < min(_seeds(a)):
        a, b = b, a  # so that the sum is the same in either order
    seeds = (*_seeds(a), *_seeds(b))
    if len(set(seeds)) < len(seeds):
        fix = "the resamples of one seed are the same ones"
        got = f"seed {min(_seeds(a) & _seeds(b))} in both"
        raise value_error("other", "a bootstrap with another seed", got, fix)
    replicates = np.concatenate([a.replicates, b.replicates])
    found = limits_of(
        replicates, mine.statistic, value=float(a), units=mine.units, method=mine.method, confidence=mine.confidence,
        before=(mine.acceleration, mine.tie),
    )  # fmt: skip
    detail = a.detail | {"n_resamples": len(replicates), "seed": tuple(sorted(seeds))}
    said = {name: found[name] for name in ("standard_error", "low", "high", "low_error", "high_error")}
    whole_one = replace(a, replicates=replicates, detail=detail, **said)
    object.__setattr__(whole_one, "_known", mine)
    return whole_one


def _facts(boot: BootstrapEstimate) -> dict[str, Any]:
    """What two bootstraps of the same data, statistic and options have in common."""
    known = boot._known
    assert known is not None
    own = {key: value for key, value in boot.detail.items() if key not in ("n_resamples", "seed")}
    return {
        "statistic": known.statistic, "value": boot.value, "n": boot.n, "n_clusters": boot.n_clusters,
        "left_out": boot.left_out, "method": boot.method, "confidence_level": boot.confidence_level,
        "alternative": known.confidence.alternative, "detail": own,
    }  # fmt: skip


def _seeds(boot: BootstrapEstimate) -> set[int]:
    seed = boot.detail["seed"]
    return set(seed) if isinstance(seed, tuple) else {seed}


def _spread_alike(a: BootstrapEstimate, b: BootstrapEstimate) -> bool:
    """Whether the standard errors differ by no more than those of two samples of one distribution do.

    That of a standard deviation s of B numbers is s sqrt((k - 1)/(4 B)), with k = 3 where it is normal and hardly
    above 25 for replicates. Data with the same mean may have another spread.
    """
    errors = [float(one.standard_error or 0.0) for one in (a, b)]
    counts = [one.detail["n_resamples"] for one in (a, b)]
    squares = sum(error * error / count for error, count in zip(errors, counts, strict=True))
    return abs(errors[0] - errors[1]) <= 12 * math.sqrt(squares)
