"""What a report holds: for one model, for one pair of models, of the caller's own, and as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._estimate import Estimate
from .._mode import standard_mode_methods
from ..errors import type_error, value_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibration import Reliability


FEW_CLUSTERS = 10  # below, what is said of clusters is rough
MIN_MATCHED = 0.9  # of the ids of the side that has fewer
MOST_LOST = 0.1  # of a model's ids or records; where more do not count, it is said first


@dataclass(frozen=True)
class Options:
    """What the caller asked for: column of the clusters, level of the intervals, margin and direction of verdicts.

    ``min_matched`` is the share of the smaller side's ids that have to match; None: where fewer do, it is said.
    """

    clusters: str | None
    confidence_level: float
    margin: float
    higher_is_better: bool
    min_matched: float | None = None


@standard_mode_methods
@dataclass(frozen=True)
class ModelResult:
    """What the records say about one model; what they do not hold is None.

    Attributes
    ----------
    n : int
        Records that count.
    no_answer : int
        Those without an answer beside a target: their score is 0.
    other_case : int
        Those whose answer differs from its target in upper and lower case alone: their score is 0.
    no_score : int
        Records without a score, which have ``filled`` instead, or are left out where that is None.
    left_out : mapping
        Why records do not count -> how many.
    merged : mapping
        Where ids repeat: how many ``ids`` and ``records``, the ``fewest`` and ``most`` records of an id. An id counts
        once.
    """

    name: str
    n: int
    no_answer: int = 0
    other_case: int = 0
    no_score: int = 0
    filled: float | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, int] = field(default_factory=dict)
    score: Estimate | None = None
    reliability: Reliability | None = None
    perplexity: Estimate | None = None
    notes: tuple[str, ...] = ()


@standard_mode_methods
@dataclass(frozen=True)
class PairResult:
    """One model against another, on the ids that both have.

    Attributes
    ----------
    difference : Estimate
        Model - baseline, at the confidence level that was asked for.
    simultaneous : Estimate
        The same at the level that the verdict reads: 1 - alpha/m of m pairs (Bonferroni), so that all verdicts hold
        together.
    matched, of_model, of_baseline : int
        Ids that both have, and how many each of them has.
    unmatched : int
        Ids that one of them lacks.
    other_targets : int
        Matched ids for which the two have different targets, where the score compares two columns.
    smallest_p : float or None
        The smallest p that the test can give, where it flips few signs (``difference.detail["signs"]``).
    verdict_unadjusted : str
        The verdict that ``difference`` would give, were this the only pair.
    """

    model: str
    baseline: str
    difference: Estimate
    simultaneous: Estimate
    p_value: float
    p_adjusted: float
    test: str
    wins: int
    losses: int
    ties: int
    matched: int
    of_model: int
    of_baseline: int
    unmatched: int
    other_targets: int
    smallest_p: float | None
    verdict: str
    verdict_unadjusted: str

    @property
    def matched_share(self) -> float:
        """The share of the ids of the side that has fewer."""
        return self.matched / min(self.of_model, self.of_baseline)


@standard_mode_methods
@dataclass(frozen=True)
class Section:
    """A section of the caller's own, shown after those that the records give.

    Attributes
    ----------
    title, text : str
        Plain text; nothing in it can become markup.
    estimates : mapping of str to Estimate
        One row of a table each, of one problem each.
    draw : callable, optional
        Draws a picture for the page on the empty Matplotlib ``Figure`` that it is given; the page's style is set.
        Lines, shapes and text; the page loads no raster image.
    size : (float, float)
        Width and height of that figure in inches; 8.9 fills the page.

    Examples
    --------
    >>> import steelyard as sy
    >>> from steelyard import report
    >>> noted = report.Section("Raters", "Two raters, alike in", {"answers": sy.proportion(87, 100)})
    >>> noted.to_dict()["estimates"]["answers"]["value"]
    0.87
    """

    title: str
    text: str = ""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    draw: Callable[[Figure], object] | None = None
    size: tuple[float, float] = (8.9, 3.6)

    def __post_init__(self) -> None:
        for name in ("title", "text"):
            if not isinstance(value := getattr(self, name), str):
                raise type_error(name, "a string", f"{type(value).__name__} {value!r}")
        if not isinstance(self.estimates, Mapping):
            raise type_error("estimates", "a dictionary of Estimates", type(self.estimates).__name__)
        for name, estimate in self.estimates.items():
            if not isinstance(estimate, Estimate):
                raise type_error(f"estimates[{name!r}]", "an Estimate", f"{type(estimate).__name__} {estimate!r}")
            if not isinstance(estimate.value, float):
                raise value_error(f"estimates[{name!r}]", "an Estimate of one problem", f"{len(estimate)}", "pick one")
        if self.draw is not None and not callable(self.draw):
            raise type_error("draw", "a function of a Matplotlib figure", f"{type(self.draw).__name__}")

    def to_dict(self) -> dict[str, Any]:
        """Return the section without its picture, in types that JSON has."""
        estimates = {str(name): estimate.to_dict() for name, estimate in self.estimates.items()}
        return {"title": self.title, "text": self.text, "estimates": estimates}


@dataclass(frozen=True)
class Contents:
    """All that a report holds, before it is put into words."""

    models: tuple[ModelResult, ...]
    pairs: tuple[PairResult, ...]
    options: Options
    sources: tuple[str, ...]
    read: Mapping[str, int]
    guesses: tuple[str, ...]
    left_out: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    sections: tuple[Section, ...] = ()

    @property
    def several(self) -> bool:
        """Whether several pairs are compared, so that verdicts read wider intervals than those that are asked for."""
        return len(self.pairs) > 1
