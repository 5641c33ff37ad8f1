"""The bootstrap with the signature and the definitions of ``scipy.stats.bootstrap``, and this package's resamples."""

from __future__ import annotations

import inspect
import secrets
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._columns import Array
from .._mode import standard_mode
from .._options import Alternative, Confidence, choice, confidence_of, whole
from ..errors import shown, type_error, value_error

__all__ = ["scipy_bootstrap"]

Floats = NDArray[np.float64]

DRAWS = 1 << 18  # draws whose rows are in memory together where no ``batch`` is given
METHODS = ("percentile", "basic", "bca")
DEGENERATE = (
    "The BCa confidence interval cannot be calculated: the replicates, or those of the jackknife, are all alike"
)


class Interval(NamedTuple):
    """The limits of a confidence interval."""

    low: Any
    high: Any


@dataclass
class BootstrapResult:
    """What SciPy's class of this name holds.

    Attributes
    ----------
    confidence_interval : named tuple (low, high)
    bootstrap_distribution : ndarray
        The statistic of each resample, which the last axis counts.
    standard_error : float or ndarray
        The standard deviation of the replicates, with divisor n_resamples - 1.
    """

    confidence_interval: Interval
    bootstrap_distribution: Floats
    standard_error: Any
    seed: int = field(default=0, repr=False)


@standard_mode
def scipy_bootstrap(
    data: Sequence[Any],
    statistic: Callable[..., Any],
    *,
    n_resamples: int = 9999,
    batch: int | None = None,
    vectorized: bool | None = None,
    paired: bool = False,
    axis: int = 0,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    method: str = "BCa",
    bootstrap_result: Any = None,
    rng: Any = None,
    random_state: Any = None,
) -> BootstrapResult:
    """Resample as :func:`steelyard.bootstrap` does, with the signature and the limits of ``scipy.stats.bootstrap``.

    Quantiles are those of ``numpy.quantile``, z0 counts half of the replicates that equal the value, and BCa's
    acceleration is that of the jackknife of each sample in turn: what SciPy 1.17 computes, from other random numbers.
    For new code :func:`steelyard.bootstrap` is the better call: it has clusters, and refuses what has no answer instead
    of returning NaN.

    Parameters
    ----------
    data : sequence of arrays
        The samples; each is resampled by itself, or all with the same rows where ``paired``.
    statistic : function
        Takes as many arrays as there are samples, and ``axis`` if it computes many resamples together. It may return an
        array.
    n_resamples : int
        The number of resamples; 0 with a ``bootstrap_result`` adds none.
    batch : int, optional
        How many resamples a call of a ``vectorized`` statistic is given; default: as many as hold 2^18 draws. It does
        not change the result.
    vectorized : bool, optional
        Whether ``statistic`` takes ``axis``; default: whether its signature says so.
    paired : bool
        Whether the samples have rows in common, which are resampled together.
    axis : int
        The axis of the rows.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        ``"less"`` leaves the lower limit at -inf, ``"greater"`` the upper one at inf.
    method : {"BCa", "percentile", "basic"}
        In any case.
    bootstrap_result : result of an earlier call, optional
        Its replicates come first, and the new ones continue its random numbers; then ``rng`` is not used.
    rng, random_state : int, numpy Generator or RandomState, optional
        An int is the seed, from 0 to 2**64 - 1. A generator is asked for one; without either it is another each time.

    Returns
    -------
    BootstrapResult
        With ``confidence_interval``, ``bootstrap_distribution`` and ``standard_error``.

    Raises
    ------
    TypeError, ValueError
        For samples of fewer than two rows or of shapes that do not broadcast, and for unknown options.

    Warns
    -----
    RuntimeWarning
        Where BCa has no limits, which are then NaN: SciPy's ``DegenerateDataWarning`` where SciPy is loaded.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.array([10, 12, 12.5, 12.5, 13.9, 15, 21, 22, 23, 34, 50, 81, 89, 121, 134, 213])
    >>> found = sy.uncertainty.scipy_bootstrap((x,), np.mean, rng=0)
    >>> found.bootstrap_distribution.shape
    (9999,)
    """
    confidence = confidence_of(confidence_level, _lower(alternative))
    method = choice(_lower(method), "method", METHODS)
    before = _replicates_of(bootstrap_result)
    total = whole(n_resamples, "n_resamples", 0 if before is not None else 1, 2**32 - 1)
    each = None if batch is None else whole(batch, "batch", 1)
    samples = _samples(data, whole(axis, "axis", -64, 63))
    if paired and len({sample.shape[-1] for sample in samples}) > 1:
        got = ", ".join(str(sample.shape[-1]) for sample in samples)
        raise value_error("data", "samples of one length with paired=True", f"lengths {got}")
    taken = _takes_axis(statistic) if vectorized is None else choice(str(vectorized), "vectorized", ("True", "False"))
    many = _Many(statistic, samples, bool(paired), taken in (True, "True"))
    seed = _seed(rng, random_state) if before is None else getattr(bootstrap_result, "seed", None)
    seed = _seed(rng, random_state) if seed is None else seed
    parts = [] if before is None else [before]
    parts += many.replicates(seed, 0 if before is None else before.shape[-1], total, each)
    return _result(many, np.concatenate(parts, axis=-1), method, confidence, seed)


def _lower(word: Any) -> Any:
    return word.lower() if isinstance(word, str) else word


def _takes_axis(statistic: Callable[..., Any]) -> bool:
    if not callable(statistic):
        raise type_error("statistic", "a function of the samples", shown(statistic))
    return "axis" in inspect.signature(statistic).parameters


def _replicates_of(result: Any) -> Floats | None:
    """The replicates of an earlier result."""
    if result is None:
        return None
    found = getattr(result, "bootstrap_distribution", None)
    if found is None:
        raise value_error("bootstrap_result", "a result with a bootstrap_distribution", shown(result))
    replicates = np.asarray(found, np.float64)
    return replicates if replicates.size else None


def _seed(rng: Any, random_state: Any) -> int:
    """The seed that is meant; one of the system's where none is given."""
    given = random_state if rng is None else rng
    if given is None:
        return secrets.randbits(64)
    if hasattr(given, "integers"):
        return int(given.integers(0, 2**63))
    if hasattr(given, "randint"):
        return int(given.randint(0, 2**31 - 1)) << 31 | int(given.randint(0, 2**31 - 1))
    return whole(given, "rng", 0, 2**64 - 1, "a whole number, or a generator of NumPy's")


def _samples(data: Any, axis: int) -> list[Array]:
    """The samples with their rows on the last axis; the other axes are broadcast."""
    try:
        samples = [np.asarray(sample) for sample in data]
    except TypeError:
        raise type_error("data", "a sequence of samples", shown(data)) from None
    if not samples:
        raise value_error("data", "at least one sample", "none")
    for i, sample in enumerate(samples):
        if not -sample.ndim <= axis < sample.ndim:
            raise value_error(f"data[{i}]", f"an array with axis {axis}", f"shape {sample.shape}")
        if sample.shape[axis] < 2:
            got = f"{sample.shape[axis]}, in an array of shape {sample.shape}"
            raise value_error(f"data[{i}]", "at least two rows", got)
    moved = [np.moveaxis(sample, axis, -1) for sample in samples]
    try:
        lead = np.broadcast_shapes(*(sample.shape[:-1] for sample in moved))
        if any(sample.ndim != len(lead) + 1 for sample in moved):
            raise ValueError
    except ValueError:
        shapes = ", ".join(str(sample.shape) for sample in samples)
        raise value_error("data", "samples of equal shape except for the rows", f"shapes {shapes}") from None
    return [np.broadcast_to(sample, (*lead, sample.shape[-1])) for sample in moved]


class _Many:
    """A statistic of samples, for many resamples together."""

    def __init__(self, call: Callable[..., Any], samples: list[Array], paired: bool, vectorized: bool) -> None:
        self.call = call
        self.samples = samples
        self.paired = paired
        self.vectorized = vectorized

    def of(self, samples: Sequence[Array]) -> Floats:
        """The statistic along the last axis; of one that is not vectorized, slice by slice."""
        if self.vectorized:
            return np.asarray(self.call(*samples, axis=-1), np.float64)
        lead = samples[0].shape[:-1]
        found = [np.asarray(self.call(*(one[i] for one in samples)), np.float64) for i in np.ndindex(lead)]
        table = np.array(found).reshape((*lead, *found[0].shape))
        # The axes of what the statistic returns come first.
        return np.moveaxis(table, range(len(lead)), range(-len(lead), 0))

    def value(self) -> Floats:
        return self.of(self.samples)

    def replicates(self, seed: int, first: int, total: int, batch: int | None) -> Iterator[Floats]:
        """The statistic of the resamples from the one numbered ``first`` on, in batches."""
        each = batch or max(1, DRAWS // max(sample.size for sample in self.samples))
        whole(first + total, "n_resamples", 0, 2**32 - 1)
        for start in range(first, first + total, each):
            count = min(each, first + total - start)
            resampled = []
            for j, sample in enumerate(self.samples):
                n = sample.shape[-1]
                stratum = 0 if self.paired else j
                rows = _core.resampled_rows(n, seed=seed, first=start, count=count, stratum=stratum)
                resampled.append(sample.take(rows.reshape(count, n), axis=-1, mode="clip"))
            yield self._checked(self.of(resampled), count)

    def left_out(self) -> Iterator[Floats]:
        """The statistic without each row of each sample in turn, or of all samples where they are paired."""
        for j in range(1 if self.paired else len(self.samples)):
            n = self.samples[j].shape[-1]
            each = max(1, DRAWS // max(sample.size for sample in self.samples))
            others = np.arange(n - 1)
            parts = []
            for start in range(0, n, each):
                gone = np.arange(start, min(start + each, n))
                rows = others + (others >= gone[:, None])
                resampled = [
                    sample.take(rows, axis=-1)
                    if self.paired or i == j
                    else np.broadcast_to(sample[..., None, :], (*sample.shape[:-1], len(gone), sample.shape[-1]))
                    for i, sample in enumerate(self.samples)
                ]
                parts.append(self._checked(self.of(resampled), len(gone)))
            yield np.concatenate(parts, axis=-1)

    def _checked(self, found: Floats, count: int) -> Floats:
        if found.ndim and found.shape[-1] == count:
            return found
        expected = f"along axis=-1, a last axis of {count} resamples"
        raise value_error("statistic", expected, f"an array of shape {found.shape}")


def _result(many: _Many, replicates: Floats, method: str, confidence: Confidence, seed: int) -> BootstrapResult:
    tail = confidence.tail
    levels: tuple[Any, Any] = (tail, 1 - tail)
    ordered = np.sort(replicates, axis=-1, kind="stable")
    if method == "bca":
        levels = _bca_levels(many, ordered, tail)
    low, high = (_quantile(ordered, level) for level in levels)
    if np.isnan(low).any() or np.isnan(high).any():
        warnings.warn(DEGENERATE, _degenerate(), stacklevel=4)
    if method == "basic":
        value = many.value()
        low, high = 2 * value - high, 2 * value - low
    if confidence.alternative == "less":
        low = np.full_like(low, -np.inf)
    if confidence.alternative == "greater":
        high = np.full_like(high, np.inf)
    with np.errstate(all="ignore"):
        error = replicates.std(axis=-1, ddof=1)
    return BootstrapResult(Interval(low[()], high[()]), replicates, error, seed)


def _degenerate() -> type[Warning]:
    """SciPy's class for this warning where SciPy is loaded, so that its users' filters know it."""
    return getattr(sys.modules.get("scipy.stats"), "DegenerateDataWarning", RuntimeWarning)


def _bca_levels(many: _Many, ordered: Floats, tail: float) -> tuple[Floats, Floats]:
    """The levels of the quantiles that BCa takes."""
    value = np.asarray(many.value())[..., None]
    with np.errstate(all="ignore"):
        below = np.count_nonzero(ordered < value, axis=-1) + np.count_nonzero(ordered <= value, axis=-1)
        z0 = _normal(_core.normal_quantile, below / (2 * ordered.shape[-1]))
        cubes: Any = 0.0
        squares: Any = 0.0
        for left_out in many.left_out():
            u = (left_out.mean(axis=-1, keepdims=True) - left_out) * ((left_out.shape[-1] - 1) / left_out.shape[-1])
            squares = squares + (u * u).sum(axis=-1)
            cubes = cubes + (u * u * u).sum(axis=-1)
        acceleration = cubes / (6 * squares * np.sqrt(squares))
        z = float(_core.normal_quantile(tail))
        low, high = (z0 + (z0 + end) / (1 - acceleration * (z0 + end)) for end in (z, -z))
    return _normal(_core.normal_cdf, low), _normal(_core.normal_cdf, high)


def _normal(function: Callable[[Any], Any], x: Any) -> Floats:
    """A function of the core for arrays of any shape."""
    x = np.asarray(x, np.float64)
    found: Floats = np.asarray(function(np.ascontiguousarray(x.ravel()))).reshape(x.shape)
    return found


def _quantile(ordered: Floats, level: Any) -> Floats:
    """The quantile of the last axis, linear between neighbours; NaN where the level is."""
    n = ordered.shape[-1]
    position = np.broadcast_to(np.asarray(level, np.float64) * (n - 1), ordered.shape[:-1])
    lost = np.isnan(position)
    position = np.where(lost, 0.0, position)
    whole_part = np.minimum(np.floor(position), max(n - 2, 0)).astype(np.int64)
    below = np.take_along_axis(ordered, whole_part[..., None], axis=-1)[..., 0]
    above = np.take_along_axis(ordered, np.minimum(whole_part + 1, n - 1)[..., None], axis=-1)[..., 0]
    return np.where(lost, np.nan, below + (above - below) * (position - whole_part))
