"""Brier score and log loss of the confidences."""

from __future__ import annotations

from dataclasses import replace

from .. import figures
from ..results import Contents
from . import metrics
from .block import Block

LEAD = (
    "How close the confidences are to what happened, as mean losses: lower is better. Brier score: the squared "
    "distance. Log loss: the negative logarithm of the probability that was given to what happened. Both are smallest "
    "for the true probabilities, so a model gains nothing by stating others."
)


def block(report: Contents) -> Block | None:
    """Each model's proper scores, and their paired differences."""
    if not report.proper:
        return None
    lower = replace(report.options, higher_is_better=False, margin=0.0)
    of_all = [table for score in report.proper for table in metrics.tables(report, score, lower, "mean loss")]
    bars = [figures.Bar.of(name, e) for name, e in report.proper[0].models.items()]
    pictures = figures.intervals(bars, "brier", "Brier scores with their intervals", axis=report.proper[0].name.lower())
    return Block("Proper scores", LEAD, tuple(of_all), pictures=pictures)
