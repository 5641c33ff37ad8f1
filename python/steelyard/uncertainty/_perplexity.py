"""Perplexities compared: the ratio exp(mean difference of NLL) of models that scored the same tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import aligned, booleans, first_index, flat_ids, floats, shape_of, to_float64
from .._clusters import codes_of_all
from .._columns import Mask
from .._estimate import Estimate
from .._options import Confidence, omits_nan
from .._progress import OnProgress
from .._rows import is_nan, less, nonzero, nothing_counts
from ..errors import type_error, value_error
from ._flips import flipped_signs
from .comparison import Pair

__all__ = ["log_ratio", "ratio_of", "token_models"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
EPSILON = float(np.finfo(np.float64).eps)
STEPS = 8.0  # NLL that differ by so many units in the last place are equal up to rounding; the kernels have the same


def token_models(new: Any, baseline: Any) -> tuple[dict[str, Any], tuple[str, ...] | None, str | None, Any]:
    """The models by their names in messages, their own names where they have some, and the baseline with its name."""
    if baseline is None:
        raise type_error("baseline", "the scores of the same tokens by another model", "None")
    if not isinstance(new, Mapping):
        if isinstance(baseline, str):
            raise type_error("baseline", "scores of tokens, since new is not a mapping of names", repr(baseline))
        return {"new": new}, None, None, baseline
    if isinstance(baseline, str) and baseline not in new:
        raise value_error("baseline", f"one of {list(map(str, new))}", repr(baseline))
    others = {name: scores for name, scores in new.items() if not (isinstance(baseline, str) and name == baseline)}
    if not others:
        raise value_error("new", "at least one model to compare with the baseline", "none")
    base_name = baseline if isinstance(baseline, str) else None
    base = baseline if base_name is None else new[base_name]
    return {f"new[{name!r}]": scores for name, scores in others.items()}, tuple(map(str, others)), base_name, base


class Tokens(NamedTuple):
    """The NLL of one model's tokens, and which of them it counts (None: all)."""

    name: str
    nll: Array
    counted: Mask | None

    @classmethod
    def of(cls, name: str, x: Any) -> Tokens:
        """Scores of tokens, such as a ``TokenScores``, or an array of NLL."""
        if hasattr(x, "nll") and hasattr(x, "counted"):
            return cls(name, np.ascontiguousarray(x.nll), np.asarray(x.counted))
        nll = floats(x, name, numbers=True)
        if nll.ndim == 0:
            raise value_error(name, "a token axis, [T] or [B, T]", "a single number")
        return cls(name, np.ascontiguousarray(nll), None)


def _same_tokens(new: Tokens, base: Tokens) -> None:
    """Refuse scores that cannot be of the same tokens."""
    shape = base.nll.shape
    if new.nll.shape != shape:
        fix = (
            "models with other tokens are compared by document: pass the sum of NLL of each, its words or bytes as "
            "per= and clusters=range(n)"
        )
        raise value_error(new.name, f"shape {shape}, the tokens of {base.name}", f"shape {new.nll.shape}", fix)
    everything = np.ones(shape, np.bool_)
    own, other = (everything if side.counted is None else side.counted for side in (new, base))
    if (own != other).any():
        got = f"another at index {list(first_index(own != other))}"
        raise value_error(new.name, f"the same counted tokens as {base.name}", got, "score both with the same targets")


def _check(side: Tokens, keep: Mask) -> None:
    """Refuse NLL that are none, and infinite ones, of which no ratio is known."""
    values = to_float64(side.nll)
    if (bad := keep & np.isnan(values)).any():
        got = f"nan at index {list(first_index(bad))}"
        fix = 'use nan_policy="omit" to leave it out and count it, or where='
        raise value_error(side.name, "negative log-likelihoods", got, fix)
    if (bad := keep & (values < 0)).any():
        got = f"{values[bad][0]} at index {list(first_index(bad))}"
        fix = "of log-probabilities pass the negative"
        raise value_error(side.name, "negative log-likelihoods in nats, 0 or more", got, fix)
    if (bad := keep & ~np.isfinite(values)).any():
        got = f"inf at index {list(first_index(bad))}"
        fix = "the perplexity is infinite; leave such tokens out of both with where="
        raise value_error(side.name, "finite negative log-likelihoods, as a ratio needs", got, fix)


class _Sums(NamedTuple):
    """Of each cluster: the sum of the differences of NLL, and the number of tokens or the sum of ``per``."""

    sums: Floats
    sizes: Floats
    tokens: Floats
    low: float
    high: float
    step: float

    def rounding(self) -> Floats:
        """How far the sum of each cluster may be off by rounding."""
        reach = max(-self.low, self.high)
        return self.tokens * (STEPS * self.step + self.tokens * (EPSILON * reach))


def _codes(clusters: Any, shape: tuple[int, ...], keep: Mask) -> tuple[NDArray[np.int64], int, bool]:
    """The cluster of each token that counts, how many clusters there are, and whether ids are of rows."""
    rows, length = int(np.prod(shape[:-1], dtype=np.int64)), shape[-1]
    if clusters is None:
        clusters, given = np.arange(rows), shape[:-1]
    else:
        given = shape_of(clusters, "clusters")
    of_rows = given == shape[:-1]
    if not of_rows and given != shape:
        expected = f"one id per token, shape {shape}, or one per row, shape {shape[:-1]}"
        raise value_error("clusters", expected, f"shape {given}")
    if given == ():
        clusters = [clusters] if not isinstance(clusters, np.ndarray) else clusters.reshape(1)
    elif len(given) > 1:
        clusters = flat_ids(clusters, "clusters")
    counts = (keep.any(-1) if of_rows else keep).reshape(-1)
    codes, unique = codes_of_all(clusters, "clusters", rows if of_rows else rows * length, counts)
    of_tokens = np.repeat(codes, length) if of_rows else codes
    return of_tokens[keep.reshape(-1)], len(unique), of_rows


def _sizes(
    per: Any, shape: tuple[int, ...], keep: Mask, codes: NDArray[np.int64], count: int, *, of_rows: bool
) -> Floats:
    """The sum of ``per`` over each cluster."""
    numbers = np.asarray(floats(per, "per", numbers=True), np.float64)
    of_row = numbers.shape == shape[:-1]
    if not of_row and numbers.shape != shape:
        expected = f"one number per token, shape {shape}, or one per row, shape {shape[:-1]}"
        raise value_error("per", expected, f"shape {numbers.shape}")
    if of_row and not of_rows:
        raise value_error("per", f"one number per token, shape {shape}, as clusters has", f"shape {numbers.shape}")
    if of_row:  # the first token of each row that counts stands for the row
        first = keep & (np.cumsum(keep, axis=-1) == 1)
        codes = codes[first.reshape(-1)[keep.reshape(-1)]]
        numbers = numbers[keep.any(-1)]
    else:
        numbers = numbers[keep]
    numbers = np.ascontiguousarray(numbers.reshape(-1))
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise value_error(
            "per", "counts, finite and 0 or more", str(numbers[~(numbers >= 0) | ~np.isfinite(numbers)][0])
        )
    if not numbers.any():
        raise value_error("per", "numbers that sum to more than 0", "0")
    return _core.cluster_sums(numbers, codes, clusters=count)[0]


def log_ratio(
    name: str,
    new: Any,
    baseline: tuple[str, Any],
    *,
    where: Any,
    clusters: Any,
    per: Any,
    nan_policy: str,
    confidence: Confidence,
    problems: int,
    progress: OnProgress,
) -> Pair:
    """Compare one model with the baseline: the mean difference of NLL per token, in nats."""
    aligned(**{name: new, baseline[0]: baseline[1], "where": where, "clusters": clusters, "per": per})
    sides = (Tokens.of(name, new), Tokens.of(*baseline))
    _same_tokens(*sides)
    shape = sides[0].nll.shape
    keep = np.ones(shape, np.bool_) if sides[0].counted is None else sides[0].counted.copy()
    left_out = {"ignored": int(keep.size - np.count_nonzero(keep))}
    if where is not None:
        mask = booleans(where, "where")
        if mask.shape != shape:
            raise value_error("where", f"shape {shape}, one entry per token of {name}", f"shape {mask.shape}")
        left_out["where"] = int(np.count_nonzero(keep & ~mask))
        keep &= mask
    if omits_nan(nan_policy):
        kept, gone = less(keep, is_nan(sides[0].nll) | is_nan(sides[1].nll))
        left_out["nan"] = int(np.count_nonzero(gone))
        keep = keep if kept is None else kept
    left_out = nonzero(left_out)
    if not keep.any():
        raise nothing_counts(name, "token", left_out)
    for side in sides:
        _check(side, keep)
    values = [to_float64(side.nll)[keep] for side in sides]
    d = np.ascontiguousarray(values[0] - values[1])
    codes, count, of_rows = _codes(clusters, shape, keep)
    sums, tokens = _core.cluster_sums(d, codes, clusters=count, progress=progress)
    sizes = tokens if per is None else _sizes(per, shape, keep, codes, count, of_rows=of_rows)
    single = any(side.nll.dtype == np.float32 for side in sides)
    step = max(float(v.max()) for v in values) * (float(np.finfo(np.float32).eps) if single else EPSILON)
    of = _Sums(sums, sizes, tokens, float(d.min()), float(d.max()), step)
    levels = _intervals.levels(confidence, problems)
    estimates = [_estimate(of, level, name, len(d), left_out) for level in levels]
    off = of.rounding()
    flip = _core.sign_flip(sums, alternative=confidence.alternative, resolution=off)
    p, test, few = flipped_signs(flip, confidence)
    shown = replace(estimates[0], detail=estimates[0].detail | few)
    if problems > 1:
        shown = _intervals.simultaneous(shown, estimates[1])
    up, down = int(np.count_nonzero(sums > off)), int(np.count_nonzero(sums < -off))
    return Pair(shown, p, test, up, down, shares=False, units=count)


def _estimate(of: _Sums, confidence: Confidence, name: str, tokens: int, left_out: dict[str, int]) -> Estimate:
    """The mean difference at one level of confidence."""
    found = _core.clustered_interval(
        sums=of.sums, sizes=of.sizes, low=of.low, high=of.high, step=of.step, rows=float(tokens),
        **confidence.keywords,
    )  # fmt: skip
    if not np.isfinite(found["value"]):
        raise _intervals.too_large(name, f"differences of NLL from {of.low:g} to {of.high:g}")
    reason = "differences of NLL of tokens in clusters"
    if found["df"] != found["df"]:
        reason = f"{_intervals.ONE_CLUSTER}; clusters= says which tokens belong together"
    elif found["unspread"]:
        reason = "the mean difference of NLL is the same in all clusters, and no spread is no certainty"
    detail = {} if found["df"] != found["df"] else {"df": found["df"]}
    if of.sizes is not of.tokens:
        detail["units"] = float(_core.cluster_sums(of.sizes, np.zeros(len(of.sizes), np.int64), clusters=1)[0][0])
    return Estimate(
        value=found["value"], standard_error=_intervals.maybe(found["standard_error"]),
        low=_intervals.maybe(found["low"]), high=_intervals.maybe(found["high"]), confidence_level=confidence.level,
        n=tokens, n_clusters=len(of.sums), method="clustered t", reason=reason, left_out=left_out, detail=detail,
    )  # fmt: skip


def ratio_of(difference: Estimate) -> Estimate:
    """The ratio of perplexities, exp(difference), with the same limits and an error by the delta method."""
    e = difference

    def exp(x: Any) -> Any:
        return None if x is None else _core.math_exp(x)

    value = exp(e.value)
    error = None if e.standard_error is None else value * e.standard_error
    detail = {key: exp(v) if key.startswith("simultaneous") else v for key, v in e.detail.items()}
    return replace(e, value=value, standard_error=error, low=exp(e.low), high=exp(e.high), detail=detail)
