"""What a report holds for one model and for one pair of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..estimate import Estimate

if TYPE_CHECKING:
    from ..calibration import Reliability


@dataclass(frozen=True)
class Options:
    """What the caller asked for: column of the clusters, level of the intervals, margin and direction of verdicts."""

    clusters: str | None
    confidence_level: float
    margin: float
    higher_is_better: bool


@dataclass(frozen=True)
class ModelResult:
    """What the records say about one model; what they do not hold is None."""

    name: str
    n: int
    score: Estimate | None = None
    reliability: Reliability | None = None
    perplexity: Estimate | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairResult:
    """One model against another, on the ids that both have; ``better``: not worse even at margin 0."""

    model: str
    baseline: str
    difference: Estimate
    p_value: float
    p_adjusted: float
    test: str
    wins: int
    losses: int
    ties: int
    unmatched: int
    verdict: str
    better: bool
