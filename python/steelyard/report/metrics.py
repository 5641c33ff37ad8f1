"""Further metrics of the same records: each model's mean, and the differences of the pairs that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .._estimate import Estimate
from ..errors import called, keyword, value_error, while_at
from . import measure
from .results import Metric, Options, PairResult

if TYPE_CHECKING:
    from ..records import Run, Runs


def metrics(runs: Runs, names: Sequence[str], pairs: Sequence[PairResult], options: Options) -> tuple[Metric, ...]:
    """Grade the runs by each of these columns (or ``a==b``) in turn."""
    compared = [(pair.model, pair.baseline) for pair in pairs]
    return tuple(_metric(runs, name, compared, options) for name in names)


def _metric(runs: Runs, name: str, pairs: Sequence[tuple[str, str]], options: Options) -> Metric:
    with called({"score": keyword("metrics")}), while_at(f"metric {name!r}"):
        graded = replace(runs, runs=tuple(run.graded_by(name) for run in runs))
    models = {run.name: _estimate(run, name, options) for run in graded}
    return Metric(name, models, measure.pairs(graded, pairs, options, required=False)[0])


def _estimate(run: Run, name: str, options: Options) -> Estimate:
    if run.score is None or not len(run):
        raise value_error("metrics", f"numbers in {name!r} of {run.name!r}", "none", "leave it out")
    with while_at(f"model {run.name!r}"), called({"x": f"{name!r} of {run.name!r}"}):
        return measure.mean_score(run, options)
