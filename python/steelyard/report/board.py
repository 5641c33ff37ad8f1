"""Many models ranked on the ids that they share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .. import uncertainty
from ..errors import RecordError, called, while_at
from .results import MANY_MODELS, MOST_LOST, Leaderboard, Options

if TYPE_CHECKING:
    from ..records import Run, Runs

FEWEST_MODELS = 3  # fewer than that are better compared pair by pair


def leaderboard(runs: Runs, options: Options) -> tuple[Leaderboard | None, tuple[str, ...]]:
    """The ranks of more than ``MANY_MODELS`` models, and notes on what could not be ranked.

    The ids that at least half of the models have are what is ranked on. A model that lacks more than a tenth of them is
    set apart; the others are ranked on the ids that all of them have.
    """
    usable = [run for run in runs if run.score is not None and run.ids is not None and len(run)]
    if not options.paired or len(runs) <= MANY_MODELS or len(usable) < FEWEST_MODELS:
        return None, ()
    names, apart = _shared(usable)
    if len(names) < FEWEST_MODELS:
        return None, ("the models are not ranked: too few of them share ids",)
    try:
        scores = runs.scores(models=names)
    except RecordError as error:
        return None, (f"the models are not ranked: {error}",)
    groups = scores.cluster if options.clusters is None else scores.column(options.clusters)
    with while_at("the ranks of all models"), called({"new": "the scores"}):
        ranking = uncertainty.compare(
            dict(scores),
            clusters=groups,
            confidence_level=options.confidence_level,
            higher_is_better=options.higher_is_better,
        )
    return Leaderboard(ranking, apart, max(scores.unmatched.values(), default=0)), ()


def _shared(runs: list[Run]) -> tuple[list[str], dict[str, int]]:
    """The models that share their ids, and how many of the shared ids each of the others has."""
    ids = {run.name: set(run.ids.tolist()) for run in runs if run.ids is not None}
    having = Counter(one for own in ids.values() for one in own)
    usual = {one for one, models in having.items() if 2 * models >= len(ids)}
    matched = {name: len(own & usual) for name, own in ids.items()}
    kept = [name for name, n in matched.items() if n >= (1 - MOST_LOST) * len(usual) and n]
    return kept, {name: n for name, n in matched.items() if name not in kept}
