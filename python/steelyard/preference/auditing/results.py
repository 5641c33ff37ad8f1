"""What an audit of preference data says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._estimate import Estimate, json_ready
from ..._mode import standard_mode_methods
from ..._numbers import count, percent
from ..._result import Result
from ..._text import html_table, listed_counts
from ...errors import value_error
from .doubts import Doubt
from .scale import logistic
from .sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Audit", "Group", "Lengths", "Rewards", "Scores", "Texts"]

Floats = NDArray[np.float64]


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return json_ready(value)


class Part(Result):
    """A part of an audit, whose fields are what it says."""

    def to_dict(self) -> dict[str, Any]:
        """Return the part in types that JSON has."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self) if not item.name.startswith("_")}


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Texts(Part):
    """What the texts show: of pairs, or of single answers with labels, where a repeated pair is a repeated answer.

    A single answer contradicts itself where it occurs with both labels; answers without a prompt are not compared.

    Attributes
    ----------
    prompts : int
        Different prompts; a pair whose prompt is not known counts as one of its own.
    shared_prompts, most_of_prompt : int
        Prompts that more than one pair has, and the most pairs of one prompt.
    implicit_prompts, without_prompt : int
        Pairs whose prompt was recovered from what both answers begin with, and pairs without any.
    empty : int
        Pairs with an answer that is empty or blank.
    identical : int
        Pairs of two identical answers; they enter no estimate.
    duplicates : int
        Rows that repeat an earlier one: prompt, chosen and rejected answer.
    repeated, repeated_rows : int
        Pairs of answers to one prompt that more than one row has, in whichever order, and those rows.
    contradictions, contradicting_rows : int
        Repeated pairs that occur in both orders, and their rows.
    noise : Estimate or None
        A lower bound of the share of wrong labels, from repeated pairs: two independent labels of one pair, each wrong
        with probability e, disagree with probability D = 2 e (1 - e), so e = (1 - sqrt(1 - 2 D)) / 2, where D is the
        mean over repeated pairs of the share of two labels that disagree. It is a lower bound, since copies of one
        judgement agree, and since rates that differ between pairs have a higher mean. None without repeated pairs.
    """

    prompts: int
    shared_prompts: int
    most_of_prompt: int
    implicit_prompts: int
    without_prompt: int
    empty: int
    identical: int
    duplicates: int
    repeated: int
    repeated_rows: int
    contradictions: int
    contradicting_rows: int
    noise: Estimate | None


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Lengths(Part):
    """What the lengths of the answers tell of the labels.

    Attributes
    ----------
    unit : str
        ``"token"`` where lengths were given, else ``"character"``.
    longer : Estimate
        The share of pairs whose chosen answer is the longer one, a tie one half: the accuracy of "the longer answer
        wins".
    difference : Estimate
        The mean length of the chosen less that of the rejected answer.
    equal : int
        Pairs of two equally long answers.
    """

    unit: str
    longer: Estimate
    difference: Estimate
    equal: int


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Scores(Part):
    """What the scores in the data tell of the labels.

    Attributes
    ----------
    agreement : Estimate
        The share of pairs whose chosen answer has the higher score, a tie one half.
    margin : Estimate
        The mean score of the chosen less that of the rejected answer.
    ties : int
        Pairs of two equal scores.
    near : float
        A tenth of the standard deviation of the margins: up to it a pair is a near tie.
    near_ties : Estimate
        The share of such pairs, ties included.
    pairs : int
        Pairs that have scores.
    """

    agreement: Estimate
    margin: Estimate
    ties: int
    near: float
    near_ties: Estimate
    pairs: int


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Rewards(Part):
    """What a policy's log-probabilities say of the labels.

    With x and y the log-ratios of policy and reference (of the policy alone without a reference) of the chosen and the
    rejected answer, u = x - y is a pair's margin in nats.

    Attributes
    ----------
    beta : float
        The scale that was asked for: rewards are beta x and beta y.
    accuracy : Estimate
        The share of pairs with u > 0, a tie one half.
    margin : Estimate
        The mean of beta u.
    chosen_shift, rejected_shift : Estimate or None
        The means of x and y in nats; None without a reference.
    displaced : Estimate or None
        The share of pairs with x < 0 < u: the chosen answer has become less likely than under the reference although
        the margin rose. None without a reference.
    length_controlled : Estimate or None
        The accuracy with the longer answer chosen in half of the pairs; None, with a note, where lengths are not known
        or one side never occurs.
    fitted_beta : Estimate
        The beta that maximises the Bradley-Terry likelihood sum log s(beta u), s the logistic function; infinite where
        no label contradicts the margins. Above ``beta``: the rewards are too timid; below it: too sure.
    noise : Estimate or None
        The share e of wrong labels that maximises sum log((1 - e) s(b u) + e s(-b u)) over b and e, with the limits of
        the profile likelihood. It rests on the logistic form: rewards that err by more than it allows look like noise.
    overconfidence : Estimate
        The mean of s(beta |u|) less the share of pairs whose label agrees with the margin, ties half: above 0 the
        implicit reward is surer than it is right.
    pairs : int
        Pairs whose log-probabilities are known.
    left_out : dict
        The pairs whose log-probabilities are not, by reason.
    """

    beta: float
    accuracy: Estimate
    margin: Estimate
    chosen_shift: Estimate | None
    rejected_shift: Estimate | None
    displaced: Estimate | None
    length_controlled: Estimate | None
    fitted_beta: Estimate
    noise: Estimate | None
    overconfidence: Estimate
    pairs: int
    left_out: dict[str, int]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Group(Part):
    """The pairs of one source; intervals hold for all sources together (at 1 - alpha/m of m).

    Attributes
    ----------
    name : str
    pairs : int
    longer, agreement, accuracy : Estimate or None
        As of ``Lengths``, ``Scores`` and ``Rewards``.
    """

    name: str
    pairs: int
    longer: Estimate | None
    agreement: Estimate | None
    accuracy: Estimate | None


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Audit(Part):
    """What a preference set is worth: counts, and Estimates that are clustered by prompt where prompts repeat.

    Attributes
    ----------
    rows : int
        The rows that were given.
    pairs : int
        Pairs that enter the estimates: well formed, and not of two identical answers.
    left_out : dict
        The rows that do not, by reason.
    desirable : Estimate or None
        For answers with labels: the share of desirable ones. ``pairs`` are then those of prompts that have both kinds.
    desirable_longer : Estimate or None
        For answers with labels: the chance that a desirable one is longer than an undesirable one, ties half (AUC).
    texts : Texts or None
    lengths : Lengths or None
    scores : Scores or None
    rewards : Rewards or None
    sweep : Sweep or None
    groups : tuple of Group
    doubts : tuple of Doubt
        The pairs worth labelling again.
    n_clusters : int or None
        How many prompts (or clusters) the pairs that enter belong to; None where each is its own.
    confidence_level : float
    notes : tuple of str
        What could not be said, and why.
    margins : ndarray, shape [pairs], or None
        The margins u in nats; NaN where log-probabilities are not known.
    margin_clusters : ndarray or None
        The clusters of the pairs.

    Examples
    --------
    >>> import steelyard as sy
    >>> found = sy.preference.audit(["Yes, it is.", "No."], ["No.", "Yes, it is."], prompts=["Is it?", "Is it?"])
    >>> found.texts.contradictions, found.texts.contradicting_rows
    (1, 2)
    """

    rows: int
    pairs: int
    left_out: dict[str, int]
    desirable: Estimate | None
    desirable_longer: Estimate | None
    texts: Texts | None
    lengths: Lengths | None
    scores: Scores | None
    rewards: Rewards | None
    sweep: Sweep | None
    groups: tuple[Group, ...]
    doubts: tuple[Doubt, ...]
    n_clusters: int | None
    confidence_level: float
    notes: tuple[str, ...]
    margins: Floats | None = field(default=None)
    margin_clusters: NDArray[np.int64] | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return what the audit says in types that JSON has, without the margins."""
        return {name: value for name, value in super().to_dict().items() if not name.startswith("margin")}

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Yield the estimates that there are, by what they are called in tables."""
        parts: tuple[tuple[Any, dict[str, str]], ...] = (
            (self, {"desirable": "desirable answers", "desirable_longer": "a desirable answer is longer"}),
            (self.texts, {"noise": "label noise, at least (repeated pairs)"}),
            (self.lengths, {"longer": "chosen is longer"}),
            (self.scores, {"agreement": "scores agree", "near_ties": "score near ties"}),
            (
                self.rewards,
                {
                    "accuracy": "reward accuracy", "length_controlled": "accuracy, length-controlled",
                    "displaced": "displaced", "overconfidence": "overconfidence", "noise": "label noise (likelihood)",
                },
            ),
        )  # fmt: skip
        for part, names in parts:
            for name, title in names.items():
                if (found := getattr(part, name, None)) is not None:
                    yield title, found

    def forecasts(self) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64] | None]:
        """What to hand to :func:`steelyard.reliability` for the calibration of the implicit reward.

        Of each pair whose margin u is not 0, the probability s(beta |u|) of the answer with the higher reward, whether
        the label agrees, and its cluster. Probabilities are at least 1/2. A tie says nothing: at 1/2 both answers are
        as right as they are wrong.

        Returns
        -------
        (array [m], array of bool [m], array [m] or None)

        Raises
        ------
        ValueError
            Without log-probabilities.
        """
        if self.margins is None or self.rewards is None:
            raise value_error("margins", "rewards of pairs", "None", "give the audit log-probabilities")
        untied = (self.margins != 0) & ~np.isnan(self.margins)
        u = self.margins[untied]
        clusters = None if self.margin_clusters is None else self.margin_clusters[untied]
        return logistic(self.rewards.beta * np.abs(u)), u > 0, clusters

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the shares with their intervals, one below the other.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; new ones are made where it is not given.

        Returns
        -------
        matplotlib Axes
        """
        from ..._forest import axes_for, forest

        found = list(self.estimates())
        names = [name for name, _ in found]
        columns = [[getattr(one, side) for _, one in found] for side in ("value", "low", "high")]
        numbers = [np.array([np.nan if v is None else v for v in column], np.float64) for column in columns]
        axis = f"share with {percent(self.confidence_level)} interval"
        return forest(axes_for(ax, len(found)), names, *numbers, axis=axis, label=None)

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        return html_table(([name, str(one)] for name, one in self.estimates()), caption=self._headline())

    def _headline(self) -> str:
        left = f", left out: {listed_counts(self.left_out)}" if self.left_out else ""
        return f"{count(self.rows)} rows, {count(self.pairs)} pairs{left}"

    def __repr__(self) -> str:
        lines = [f"<Audit {self._headline()}", *(f"  {name} {one}" for name, one in self.estimates())]
        return "\n".join(lines) + ">"
