"""The data of a report: what was asked for, results of one model and of a pair of models, and the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._estimate import Estimate
from .._mode import standard_mode_methods
from .group_results import Grouping
from .item_results import Fragility, Items
from .perplexity_results import DocumentPerplexities, PerplexityPair
from .section import Section

if TYPE_CHECKING:
    from ..calibration import Reliability
    from ..uncertainty import Ranking


FEW_CLUSTERS = 10  # an interval that rests on fewer clusters is called rough
MIN_MATCHED = 0.9  # the share that has to match, of the ids of the side that has fewer
MANY_MODELS = 4  # of up to so many models every pair is compared; more are ranked
POWER = 0.8  # with which probability a comparison should see the difference that is said beside it
MOST_LOST = 0.1  # where a larger share of a model's ids or records does not count, the report begins with a caution


@dataclass(frozen=True)
class Options:
    """What the caller asked for: column of the clusters, level of the intervals, margin and direction of verdicts.

    ``min_matched`` is the share of the smaller side's ids that have to match; with None any share will do and few
    matches are a caution in the report. ``pass_at`` are the k of pass@k and maj@k, where records repeat ids, and
    ``n_bins`` the bins of the calibration. ``by`` are the columns whose values make groups, ``show`` those whose text
    stands beside the items that flipped. ``baseline`` is the model that was named as the one to compare with.
    ``paired`` is False where models are samples of different questions, compared without matching ids. ``sequential``
    comparisons take the ids in the order of the model's records; their scores lie within ``bounds``. ``date`` and
    ``title`` are the caller's words for the top of the page.
    """

    clusters: str | None
    confidence_level: float
    margin: float
    higher_is_better: bool
    min_matched: float | None = None
    pass_at: tuple[int, ...] = ()
    n_bins: int = 15
    by: tuple[str, ...] = ()
    baseline: str | None = None
    paired: bool = True
    sequential: bool = False
    bounds: tuple[float, ...] | None = None
    show: tuple[str, ...] = ()
    date: str | None = None
    title: str | None = None


@standard_mode_methods
@dataclass(frozen=True)
class Repeats:
    """What the repeated answers of one model say.

    Each id was answered r times; V is the squared standard error of the score. The part of V that more answers to the
    same ids would remove is ``W = sum s_i^2/r_i / m^2`` over m ids, where s_i^2 is the variance of the answers to id i
    (of an id with one answer: the mean over the others). See Miller, "Adding error bars to evals", arXiv 2411.00640.

    Attributes
    ----------
    ids, fewest, most : int
        How many ids there are, and the fewest and most answers of one id.
    standard_error : float or None
        Of the score, sqrt(V); None where it has none.
    of_items, of_repeats : float or None
        The standard errors that the choice of the items and the repeats would cause alone: sqrt(V - W), 0 where W is
        larger, and sqrt(W). None where no id has two answers.
    twice_repeats, twice_items : float or None
        The standard error with twice as many answers for each id, sqrt(V - W/2), and with twice as many ids,
        sqrt(V/2).
    pass_at, majority_at : mapping of int to Estimate
        For every k that was asked for: the chance that one of k answers is right, and that the right answer has the
        most votes of k; the mean over the ids. ``majority_at`` is empty where the answers themselves are not known.
    """

    ids: int
    fewest: int
    most: int
    standard_error: float | None = None
    of_items: float | None = None
    of_repeats: float | None = None
    twice_repeats: float | None = None
    twice_items: float | None = None
    pass_at: Mapping[int, Estimate] = field(default_factory=dict)
    majority_at: Mapping[int, Estimate] = field(default_factory=dict)


@standard_mode_methods
@dataclass(frozen=True)
class ModelResult:
    """The results of one model; None where the records do not hold what a result needs.

    Attributes
    ----------
    n : int
        Records that count.
    no_answer : int
        Records among them that have a target but no answer: their score is 0.
    other_case : int
        Records among them whose answer differs from its target in upper and lower case alone: their score is 0.
    no_score : int
        Records without a score: they count as ``filled``, or are left out where that is None.
    left_out : mapping
        How many records do not count, by the reason.
    merged : mapping
        Where ids repeat, each of them counts once: how many such ``ids`` there are, how many ``records`` they have, and
        the ``fewest`` and ``most`` records of one id.
    perplexity : Estimate or None
        Per token.
    of_documents : Estimate or None
        The mean of the documents' perplexities, where :func:`steelyard.report.perplexity` made the report.
    documents : DocumentPerplexities or None
        The perplexity of each document, where that function made the report.
    of_text : mapping
        ``word perplexity``, ``byte perplexity`` and ``bits per byte``, where the records say how long their text is.
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
    of_text: Mapping[str, Estimate] = field(default_factory=dict)
    of_documents: Estimate | None = None
    documents: DocumentPerplexities | None = None
    repeats: Repeats | None = None
    notes: tuple[str, ...] = ()


@standard_mode_methods
@dataclass(frozen=True)
class PairResult:
    """One model against another, on the ids that both have, or (``paired`` is False) on the records of each.

    Attributes
    ----------
    difference : Estimate
        Model - baseline, at the confidence level that was asked for.
    simultaneous : Estimate
        The same at the level that the verdict reads: 1 - alpha/m where m pairs are compared (Bonferroni), so that all
        verdicts hold together.
    wins, losses, ties : int or None
        Ids on which the model is better, worse and equal; None unpaired.
    matched, of_model, of_baseline : int
        Ids that both models have (0 unpaired), and how many each of the two has.
    unmatched : int
        Ids that one of the two lacks.
    other_targets : int
        Matched ids for which the two have different targets, where the score compares two columns.
    smallest_p : float or None
        The smallest p that the test can give, where it has few signs to flip (``difference.detail["signs"]``).
    verdict_unadjusted : str
        The verdict that ``difference`` would give, were this the only pair.
    fragility : Fragility or None
        How few items the verdict rests on; None where no number of losses or wins would change it.
    items : Items or None
        The items on which the two differ.
    detectable : float or None
        The true difference for which the verdict would be ``better`` or ``worse`` with a probability of 80 %
        (``POWER``), given the standard error and the level that the verdict reads; None without a standard error.
    if_paired : Estimate or None
        Unpaired, where the two share ids and pairing them gives a narrower interval: the difference on those ids.
    """

    model: str
    baseline: str
    difference: Estimate
    simultaneous: Estimate
    p_value: float
    p_adjusted: float
    test: str
    wins: int | None
    losses: int | None
    ties: int | None
    matched: int
    of_model: int
    of_baseline: int
    unmatched: int
    other_targets: int
    smallest_p: float | None
    verdict: str
    verdict_unadjusted: str
    detectable: float | None = None
    paired: bool = True
    if_paired: Estimate | None = None
    fragility: Fragility | None = None
    items: Items | None = None

    @property
    def flipped(self) -> int:
        """Ids on which the two differ."""
        return (self.wins or 0) + (self.losses or 0)

    @property
    def matched_share(self) -> float:
        """The share of the ids that match, on the side that has fewer ids."""
        return self.matched / min(self.of_model, self.of_baseline)


@standard_mode_methods
@dataclass(frozen=True)
class Metric:
    """One metric: ``models`` has each model's mean, ``pairs`` the paired differences.

    The mean of the log loss is infinite, without an interval, where a model was certain of what did not happen.
    """

    name: str
    models: Mapping[str, Estimate]
    pairs: tuple[PairResult, ...]


@standard_mode_methods
@dataclass(frozen=True)
class Leaderboard:
    """Many models ranked on the ids that they share.

    Attributes
    ----------
    ranking : Ranking
        What ``steelyard.compare`` without a baseline says of them.
    apart : mapping
        Models that lack more than a tenth of the ids that at least half of the models have, and how many of these ids
        they have. They are not ranked.
    unmatched : int
        The most ids that a ranked model has and another one lacks.
    """

    ranking: Ranking
    apart: Mapping[str, int]
    unmatched: int

    @property
    def ranges(self) -> list[str]:
        """The ranks that each model may have: ``1-5``, or ``3``."""
        return self.ranking.ranges


@dataclass(frozen=True)
class Contents:
    """All the data of a report, before it is put into words."""

    models: tuple[ModelResult, ...]
    pairs: tuple[PairResult, ...]
    options: Options
    sources: tuple[str, ...]
    read: Mapping[str, int]
    guesses: tuple[str, ...]
    left_out: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    proper: tuple[Metric, ...] = ()
    metrics: tuple[Metric, ...] = ()
    perplexities: tuple[PerplexityPair, ...] = ()
    groups: tuple[Grouping, ...] = ()
    leaderboard: Leaderboard | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()

    @property
    def several(self) -> bool:
        """Whether several pairs are compared, so that verdicts read wider intervals than those that are asked for."""
        return len(self.pairs) > 1
