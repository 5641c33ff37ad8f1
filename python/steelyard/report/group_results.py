"""The data of a report by group: each model's score and each pair's difference in every group of the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._estimate import Estimate
from .._mode import standard_mode_methods


@standard_mode_methods
@dataclass(frozen=True)
class GroupScores:
    """One model's score in each group.

    Attributes
    ----------
    score : Estimate or None
        Of many: ``names`` are the groups that the model has records of; ``detail["simultaneous_low"]`` and ``_high``
        hold the limits at 1 - alpha/m for m groups, which hold for all of them at once. None where it has none.
    no_group : int
        Records whose group is not known; they count in the score of all records alone.
    macro : Estimate or None
        The mean of the groups' scores, each of which counts the same however many records it has. None for one group,
        where a cluster reaches over several groups, and where a group has only one record or cluster, whose variance is
        unknown: ``single`` are those.
    single : tuple of str
        Groups with only one record or cluster.
    """

    model: str
    score: Estimate | None
    no_group: int
    macro: Estimate | None = None
    single: tuple[str, ...] = ()


@standard_mode_methods
@dataclass(frozen=True)
class GroupDifferences:
    """One model against another in each group, on the ids that both have.

    Attributes
    ----------
    difference : Estimate
        Model - baseline. Of many, with the simultaneous limits in ``detail``, at 1 - alpha/m for the m differences of
        all pairs and groups.
    p_value, p_adjusted, wins, losses, ties, verdicts : tuple
        One entry per group; ``p_adjusted`` by Holm for the same m, verdicts read the simultaneous limits.
    contributions : tuple of float
        What each group adds to the difference of all ids: n_g/N d_g, where N counts the matched ids.
    no_group : int
        Matched ids whose group is not known.
    macro, single : Estimate or None, tuple of str
        The mean of the groups' differences, as in :class:`GroupScores`.
    """

    model: str
    baseline: str
    difference: Estimate
    p_value: tuple[float, ...]
    p_adjusted: tuple[float, ...]
    wins: tuple[int, ...]
    losses: tuple[int, ...]
    ties: tuple[int, ...]
    verdicts: tuple[str, ...]
    contributions: tuple[float, ...]
    no_group: int
    macro: Estimate | None = None
    single: tuple[str, ...] = ()


@standard_mode_methods
@dataclass(frozen=True)
class Grouping:
    """The groups that the values of one column make, or of several together.

    Attributes
    ----------
    columns : tuple of str
        The columns. Of ``by=("a", "b")`` there are two groupings: by a, and by a and b.
    groups : mapping of str to tuple of str
        Every group: its name in the tables, and its value in each of the columns.
    differences : int
        How many differences the simultaneous limits of ``pairs`` hold for.
    """

    columns: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    scores: tuple[GroupScores, ...]
    pairs: tuple[GroupDifferences, ...] = ()
    differences: int = 0
    notes: tuple[str, ...] = field(default=())
