"""Proper scores of the models' confidences: each model's, and the differences of every pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import _proper
from .._estimate import Estimate
from .._numbers import plural
from . import measure
from .results import Metric, Options, PairResult

if TYPE_CHECKING:
    from ..records import Run, Runs

Floats = NDArray[np.float64]

SCORES: Mapping[str, Callable[[Floats, NDArray[np.bool_]], Floats]] = {
    "Brier score": _proper.brier,
    "Log loss": _proper.log_loss,
}


def scores(runs: Runs, pairs: Sequence[PairResult], options: Options) -> tuple[Metric, ...]:
    """The proper scores of all models with confidences beside 0/1 scores; of a pair where both have them."""
    known = {run.name: found for run in runs if (found := _with_confidence(run)) is not None}
    if not known:
        return ()
    names = [(pair.model, pair.baseline) for pair in pairs]
    made = []
    for title, loss in SCORES.items():
        graded = {model: _graded(run, loss) for model, run in known.items()}
        compared = _compared(replace(runs, runs=tuple(graded.values())), names, options)
        made.append(Metric(title, {model: _estimate(run, options) for model, run in graded.items()}, compared))
    return tuple(made)


def _with_confidence(run: Run) -> Run | None:
    """The records of a run with a confidence; None where there is none, or the scores are graded."""
    if run.confidence is None or run.score is None:
        return None
    known = run.known("confidence")
    return known if len(known) and np.isin(_score(known), (0.0, 1.0)).all() else None


def _graded(run: Run, loss: Callable[[Floats, NDArray[np.bool_]], Floats]) -> Run:
    """The same records with the loss of their confidences as their score."""
    assert run.confidence is not None
    came_true: NDArray[np.bool_] = _score(run) == 1.0
    return replace(run, score=loss(run.confidence, came_true))


def _score(run: Run) -> Floats:
    assert run.score is not None
    return run.score


def _compared(graded: Runs, names: Sequence[tuple[str, str]], options: Options) -> tuple[PairResult, ...]:
    """The pairs of models whose losses are all finite."""
    finite = {run.name for run in graded if np.isfinite(_score(run)).all()}
    both = [(model, baseline) for model, baseline in names if {model, baseline} <= finite]
    lower = replace(options, higher_is_better=False, margin=0.0, min_matched=None)
    return measure.pairs(graded, both, lower, required=False)[0]


def _estimate(run: Run, options: Options) -> Estimate:
    """The mean over the records; infinite, without an interval, where one of them is."""
    score = _score(run)
    if infinite := int(np.count_nonzero(np.isinf(score))):
        reason = f"{plural(infinite, 'record')} of {run.name} had a probability of 0 for what came true"
        n_clusters = None if run.cluster is None else len(set(run.cluster.tolist()))
        return Estimate(
            value=float("inf"), standard_error=None, low=None, high=None, confidence_level=options.confidence_level,
            n=len(run), n_clusters=n_clusters, method="", reason=reason,
        )  # fmt: skip
    return measure.mean_score(run, options)
