"""Ratings of models from battles between two of them: Bradley-Terry, and Elo as its scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._estimate import Estimate
from .._mode import standard_mode
from .._options import Confidence, at_least_zero, choice, confidence_of, number, whole
from .._progress import OnProgress, Progress, reporter
from .._text import printable
from ..errors import shown, type_error, value_error
from ._battles import Battles, battles
from .rated import Ratings

__all__ = ["ratings"]

Floats = NDArray[np.float64]
# The Elo scale: odds of 10 are 400 points, so that a logit is 400/log(10) of them.
POINTS = 400.0 / 2.302585092994046
MIDDLE = {"elo": 1000.0, "log": 0.0}
# The draws from the law of the ratings' errors that pairs are tested with.
DRAWS = 9_999
# The most models that a message names.
NAMED = 5
# An error in logits that is the rounding of no spread.
STILL = 1e-9
NO_SPREAD = "; no limits, since its battles do not vary"
# The fewest wins and losses, ties as half of each, of a model whose error is not known to be too small.
FEW = 5
FEW_BATTLES = f"; with fewer than {FEW} wins or losses its error is too small"
ANCHOR = "the anchor, whose rating is given"


@standard_mode
def ratings(
    a: Any,
    b: Any,
    outcome: Any,
    *,
    ties: Literal["half", "davidson"] = "half",
    prior: float = 0.0,
    where: Any = None,
    clusters: Any = None,
    weights: Any = None,
    scale: Literal["elo", "log"] = "elo",
    anchor: Mapping[str, float] | None = None,
    method: Literal["sandwich", "bootstrap"] = "sandwich",
    n_resamples: int = 1000,
    seed: int = 0,
    confidence_level: float = 0.95,
    progress: Progress = False,
) -> Ratings:
    """Rate models by battles between two of them, with intervals and the ranks that each may have.

    Bradley and Terry's model, fitted by maximum likelihood: with x_i the rating of model i in logits, w_i = exp(x_i),

        P(i beats j) = w_i/(w_i + w_j).

    ``ties="half"`` counts a tie as half a win for either side. ``ties="davidson"`` gives it a probability of its own:

        P(i beats j) = w_i/d,  P(tie) = nu sqrt(w_i w_j)/d,  d = w_i + w_j + nu sqrt(w_i w_j).

    On the Elo scale 400 points are odds of 10: the rating is 1000 + 400/log(10) x_i, with mean x_i = 0. (The order of
    battles plays no part, other than in Elo's own updates.)

    Parameters
    ----------
    a, b : array of names or numbers [n]
        The two models of each battle. Battles of a model against itself are left out, and counted.
    outcome : array [n]
        1 where ``a`` won, 0 where ``b`` did, 0.5 for a tie; or LMArena's words ``"model_a"``, ``"model_b"``, ``"tie"``,
        ``"tie (bothbad)"``, or short ``"a"`` and ``"b"``.
    ties : {"half", "davidson"}
        What a tie is.
    prior : float
        So many battles are added to each model, spread over all others evenly, half of them won: 1 or less lets all
        models be rated where some never lost, and draws ratings together.
    where : boolean array [n], optional
        The battles that count; default: all.
    clusters : array of ids [n], optional
        What battles have in common: the prompt, or the voter. Clusters count as independent, not their battles.
    weights : array of numbers [n], optional
        Sampling weights of the battles, at least 0.
    scale : {"elo", "log"}
        Points, or logits whose mean is 0.
    anchor : {name: rating}, optional
        One model and its rating, in place of the mean. Its own rating then has no error, and the others' intervals are
        those of the difference from it.
    method : {"sandwich", "bootstrap"}
        With H the curvature of the log-likelihood and s_g the gradient of the battles of cluster g (each battle its own
        without ``clusters``), the covariance is H^-1 (sum s_g s_g') H^-1, right also where the model is not; limits are
        x -+ z se. With clusters it is multiplied by G/(G - 1), and limits are those of Student's t with G - 1 degrees
        of freedom. ``"bootstrap"`` draws battles (or clusters) with replacement and fits each resample; limits are the
        order statistics (B + 1) a of the replicates, linear between.
    n_resamples : int
        The resamples B of the bootstrap.
    seed : int
        From 0 to 2**64 - 1, of the bootstrap.
    confidence_level : float
        Inside (0, 1): of each model's interval, and of all rank ranges together.
    progress : bool or callable
        As in :func:`steelyard.bootstrap`.

    Returns
    -------
    Ratings
        The models in the order of their ratings. ``rank_low`` and ``rank_high`` come from step-down max-t tests of all
        pairs together, over 9,999 draws of the ratings' normal law (Student's with clusters) or over the replicates.

    Raises
    ------
    TypeError, ValueError
        For columns of different lengths, missing names or outcomes, an outcome that is none, fewer than two models or
        more than 1024, an anchor that has no battle, and where the likelihood has no maximum: a group of models that
        never lost to the others, or never won (the message names them), or, with ``ties="davidson"``, ties that
        outweigh the wins of every cycle.

    Notes
    -----
    Resamples without ratings, as where a model lost its only battle that it won, are counted in ``detail`` of the score
    and said in ``reason``; where they are a larger share than lies beyond a limit, there are no limits.
    Collapsed to a table of pairs, a fit costs the same for any number of battles. Without clusters and weights a
    resample is drawn as counts of the table, which has the law of drawing battles one by one.

    Sources: Bradley and Terry, Biometrika 39 (1952); Ford, American Mathematical Monthly 64 (1957), on existence;
    Davidson, JASA 65 (1970); Chiang et al., "Chatbot Arena" (2024), whose ratings are those of ``ties="half"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> a, b = ["x", "x", "y"] * 100, ["y", "z", "z"] * 100
    >>> winner = (["model_a", "model_a", "model_a", "model_b", "tie", "model_a"] * 2 + ["model_b", "tie", "tie"]) * 20
    >>> print(sy.uncertainty.ratings(a, b, winner))
    1  y  1136 [1103, 1169] (95 %, sandwich, n = 200)  *
    2  x  1028 [998, 1057] (95 %, sandwich, n = 200)
    3  z  836 [812, 860] (95 %, sandwich, n = 200)
    * cannot be told from the best (95 % for all pairs, step-down max-t over 9,999 draws of a normal law)
    """
    confidence = confidence_of(confidence_level, "two-sided")
    choice(ties, "ties", ("half", "davidson"))
    choice(scale, "scale", ("elo", "log"))
    choice(method, "method", ("sandwich", "bootstrap"))
    asked = _Asked(
        ties == "davidson", at_least_zero("prior", prior), scale, method,
        whole(n_resamples, "n_resamples", 1, 2**32 - 1), whole(seed, "seed", 0, 2**64 - 1), confidence,
    )  # fmt: skip
    if method == "bootstrap" and (asked.n_resamples + 1) * confidence.tail < 1.0:
        least = int(np.ceil(1.0 / confidence.tail)) - 1
        raise value_error("n_resamples", f"at least {least} for this confidence_level", str(asked.n_resamples))
    of = battles(a, b, outcome, where=where, clusters=clusters, weights=weights)
    anchored = _anchor(anchor, of.names)
    fit = _core.ratings_fit(of.table.ravel(), models=of.models, davidson=asked.davidson, prior=asked.prior)
    if fit["refused"]:
        raise _no_ratings(fit["refused"], fit["groups"], of)
    # In logits; centred, since rounding of the fit leaves a common part where odds are long.
    fit["ratings"] = fit["ratings"] - _core.exact_mean(fit["ratings"])
    errors = _errors(of, fit, asked, reporter(progress))
    return _result(of, fit, errors, asked, anchored)


class _Asked(NamedTuple):
    davidson: bool
    prior: float
    scale: str
    method: str
    n_resamples: int
    seed: int
    confidence: Confidence


class _Errors(NamedTuple):
    """What is known of the errors of the ratings, in logits, in the order of the names."""

    covariance: Floats | None
    """[K, K]; None under two clusters."""
    replicates: Floats | None
    """[B, K], NaN in the rows of resamples without ratings."""
    missing: int
    df: int | None


def _errors(of: Battles, fit: Any, asked: _Asked, progress: OnProgress) -> _Errors:
    """The covariance of the ratings, and their replicates."""
    clusters, codes, weights = 0, None, of.weights
    if of.clusters is not None:
        codes, clusters = of.clusters
    elif weights is not None and asked.method == "bootstrap":
        codes, clusters = np.arange(of.n), of.n  # each battle is drawn with its weight
    df = None if of.clusters is None else clusters - 1
    if df == 0:
        return _Errors(None, None, 0, df)
    known: Any = {
        "log_nu": fit["log_nu"], "models": of.models, "davidson": asked.davidson, "prior": asked.prior,
        "progress": progress, "places": None if codes is None else of.places, "codes": codes, "clusters": clusters,
        "weights": None if codes is None else weights,
    }  # fmt: skip
    table, x = of.table.ravel(), fit["ratings"]
    if asked.method == "sandwich":
        squares = None if of.squares is None else of.squares.ravel()
        covariance = _core.ratings_covariance(table, x, squares=squares, **known)
        return _Errors(covariance.reshape(of.models, of.models), None, 0, df)
    made = _core.ratings_replicates(table, x, n_resamples=asked.n_resamples, seed=asked.seed, **known)
    replicates = made["ratings"].reshape(asked.n_resamples, of.models + 1)[:, :-1]
    return _Errors(made["covariance"].reshape(of.models, of.models), replicates, made["missing"], None)


class _Scaled(NamedTuple):
    """Ratings on the scale that was asked for, in the order of the names."""

    value: Floats
    replicates: Floats | None
    unit: float
    """A logit on this scale."""
    origin: int | None
    """The anchor."""

    @classmethod
    def of(cls, x: Floats, errors: _Errors, scale: str, anchored: tuple[int, float] | None) -> _Scaled:
        unit, zero = POINTS if scale == "elo" else 1.0, MIDDLE[scale]
        origin = None
        if anchored is not None:
            origin, zero = anchored
        value = zero + unit * (x if origin is None else x - x[origin])
        replicates = None if errors.replicates is None else zero + unit * _from(errors.replicates, origin)
        return cls(value, replicates, unit, origin)


def _result(of: Battles, fit: Any, errors: _Errors, asked: _Asked, anchored: tuple[int, float] | None) -> Ratings:
    """The ratings in their order, with limits and ranks."""
    scaled, confidence = _Scaled.of(fit["ratings"], errors, asked.scale, anchored), asked.confidence
    value = scaled.value
    error, low, high, reason = _limits(scaled, errors, asked)
    better, p, test = _pairs(fit["ratings"], errors, 1.0 - confidence.level)
    order = np.argsort(-value, kind="stable")
    won, lost, tied = of.counts[0].sum(1), of.counts[0].sum(0), of.counts[1].sum(0) + of.counts[1].sum(1)
    still = np.zeros(of.models, np.bool_) if error is None else ~(error > STILL * scaled.unit)
    if low is not None and high is not None:
        low, high = np.where(still, np.nan, low), np.where(still, np.nan, high)
    few = np.minimum(won, lost) + tied / 2 < FEW
    said = [reason + (NO_SPREAD if still[i] else FEW_BATTLES if few[i] else "") for i in range(of.models)]
    reasons = [ANCHOR if i == scaled.origin else said[i] for i in range(of.models)]
    score = Estimate(
        value=value[order], standard_error=_at(error, order), low=_at(low, order), high=_at(high, order),
        confidence_level=confidence.level, n=(won + lost + tied)[order],
        n_clusters=None if of.clusters is None else of.clusters.total,
        method=("clustered " if of.clusters is not None else "") + asked.method,
        reason=tuple(reasons[i] for i in order.tolist()), left_out=of.left_out,
        names=tuple(of.names[i] for i in order.tolist()),
        detail={} if errors.replicates is None else {"missing": np.full(of.models, float(errors.missing))},
    )  # fmt: skip
    return Ratings(
        score=score, rank=np.array([1 + np.count_nonzero(value > value[i]) for i in order], np.int64),
        rank_low=1 + np.count_nonzero(better, axis=0)[order],
        rank_high=of.models - np.count_nonzero(better, axis=1)[order],
        p_value=p[np.ix_(order, order)], n=of.n, test=test, higher_is_better=True,
        wins=won[order], losses=lost[order], ties=tied[order],
        tie_weight=float(_core.math_exp(fit["log_nu"])) if asked.davidson else None, scale=asked.scale,
        replicates=None if scaled.replicates is None else scaled.replicates[:, order],
    )  # fmt: skip


def _from(x: Floats, origin: int | None) -> Floats:
    """Ratings, row by row, as differences from that of the anchor."""
    return x if origin is None else x - x[:, origin : origin + 1]


def _at(values: Floats | None, order: NDArray[np.int64]) -> Floats | None:
    return None if values is None else values[order]


def _limits(of: _Scaled, errors: _Errors, asked: _Asked) -> tuple[Floats | None, Floats | None, Floats | None, str]:
    """Standard errors, limits, and how they came about."""
    value, replicates, unit, origin = of
    confidence = asked.confidence
    reason = "Davidson's ties" if asked.davidson else "a tie is half a win"
    if errors.covariance is None:
        return None, None, None, _intervals.ONE_CLUSTER
    cov = errors.covariance
    variance = np.diagonal(cov)
    if origin is not None:
        variance = variance + cov[origin, origin] - 2.0 * cov[origin]
    error = unit * np.sqrt(np.maximum(variance, 0.0))
    if replicates is None:
        tail, df = confidence.tail, errors.df
        quantile = _core.normal_quantile(tail) if df is None else _core.t_quantile(tail, float(df))
        low, high = value + quantile * error, value - quantile * error
    else:
        if errors.missing:
            reason += f", {errors.missing:,} of {asked.n_resamples:,} resamples have no ratings"
        if errors.missing > confidence.tail * asked.n_resamples:
            return error, None, None, f"{reason}: pass prior=1"
        low, high = _order_statistics(replicates, confidence)
    if origin is not None:
        error[origin], low[origin], high[origin] = 0.0, np.nan, np.nan
    return error, low, high, reason


def _order_statistics(replicates: Floats, confidence: Confidence) -> tuple[Floats, Floats]:
    """The order statistics (B + 1) a of each column, and (B + 1)(1 - a), linear between."""
    made = np.sort(replicates[~np.isnan(replicates[:, 0])], axis=0, kind="stable")
    place = max((len(made) + 1) * confidence.tail, 1.0)
    i = int(place)
    share, last = place - i, len(made) - 1

    def between(near: int, far: int) -> Floats:
        found: Floats = made[near] + share * (made[far] - made[near]) if share > 0.0 else made[near].copy()
        return found

    return between(i - 1, min(i, last)), between(last - i + 1, max(last - i, 0))


def _pairs(x: Floats, errors: _Errors, alpha: float) -> tuple[NDArray[np.bool_], Floats, str]:
    """Which model is surely better than which, the p of each pair, and how they were tested."""
    models, cov = len(x), errors.covariance
    if cov is None or np.isnan(cov[0, 0]):
        return np.zeros((models, models), np.bool_), np.ones((models, models)), "pairs not tested"
    live, count = None, DRAWS
    if errors.replicates is not None:
        live = errors.replicates[~np.isnan(errors.replicates[:, 0])]
        count = 0
        words = f"{len(live):,} resamples"
        live = np.ascontiguousarray(live).ravel()
    else:
        words = f"{DRAWS:,} draws of " + ("a normal law" if errors.df is None else "Student's t")
    found = _core.max_t_draws(x, np.ascontiguousarray(cov).ravel(), replicates=live, count=count, df=errors.df)
    p = found["p"].reshape(models, models)
    variance = np.diagonal(cov)[:, None] + np.diagonal(cov) - 2.0 * cov
    p = np.where(variance > STILL * STILL, p, 1.0)  # battles that do not vary tell nothing apart
    better = (found["statistics"].reshape(models, models) > 0.0) & (p <= alpha)
    return better, p, f"step-down max-t over {words}"


def _anchor(anchor: Any, names: tuple[str, ...]) -> tuple[int, float] | None:
    """The number of the anchor among the models, and its rating."""
    if anchor is None:
        return None
    if not isinstance(anchor, Mapping) or len(anchor) != 1:
        raise type_error("anchor", "one model and its rating, {name: rating}", shown(anchor))
    ((model, rating),) = anchor.items()
    if str(model) not in names:
        raise value_error("anchor", "a model that has a battle", printable(repr(model)))
    value = number(rating, "anchor", "a rating that is a number")
    if not abs(value) < float("inf"):
        raise value_error("anchor", "a finite rating", str(value))
    return names.index(str(model)), value


def _no_ratings(why: str, groups: Any, of: Battles) -> ValueError:
    """The error for battles whose likelihood has no maximum."""
    fix = "prior=1 rates them all, or where= leaves battles out"
    if why == "unsettled":
        return value_error("outcome", "odds that f64 can tell, up to about 1e10 : 1", "longer ones", fix)
    if why == "ties":
        expected = "wins that ties='davidson' can weigh: around some circle of models, more wins than ties"
        return value_error("outcome", expected, "none", "ties='half' has ratings, and so has prior=1")
    scored = of.counts[0] + of.counts[1] + of.counts[1].T > 0
    parts = []
    for group in range(int(groups.max()) + 1):
        inside = groups == group
        won, lost = scored[np.ix_(inside, ~inside)].any(), scored[np.ix_(~inside, inside)].any()
        if not (won and lost):
            parts.append(f"{_listed(of.names, inside)} {_fate(won=bool(won), lost=bool(lost))}")
    return value_error("outcome", "scores in both directions between all groups of models", ", ".join(parts[:3]), fix)


def _fate(*, won: bool, lost: bool) -> str:
    if won:
        return "never lost to the others or tied with them"
    return "never won against the others or tied with them" if lost else "never met the others"


def _listed(names: tuple[str, ...], inside: NDArray[np.bool_]) -> str:
    """Some models by name."""
    chosen = [printable(repr(name)) for name, one in zip(names, inside.tolist(), strict=True) if one]
    more = f" and {len(chosen) - NAMED} more" if len(chosen) > NAMED else ""
    return ", ".join(chosen[:NAMED]) + more
