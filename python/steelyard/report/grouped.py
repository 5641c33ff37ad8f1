"""The numbers of a report by group: which records are in which group, and what is estimated of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import uncertainty
from .._estimate import Estimate
from .._intervals import holm, simultaneous, stack, stricter, turned, verdict
from .._options import Confidence
from ..errors import called, keyword, while_at
from .fragility import Pair
from .group_results import GroupDifferences, Grouping, GroupScores
from .measure import clusters_of, clusters_of_ids
from .results import Options
from .words import limits

if TYPE_CHECKING:
    from ..records import Run, Runs, Scores

Texts = NDArray[np.str_]
Indices = NDArray[np.int64]
Key = tuple[str, ...]
BETWEEN = " / "  # between the values of several columns in the name of a group


class Labels:
    """The labels of every model's records in the columns that make the groups, read once."""

    def __init__(self, runs: Runs, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.of_runs = {
            column: {run.name: run.labels(column, keyword("by")) for run in runs if run.score is not None}
            for column in columns
        }

    def of_run(self, name: str) -> list[Texts]:
        """The labels of one model's records, a text array per column."""
        return [of_runs[name] for of_runs in self.of_runs.values()]

    def of_scores(self, scores: Scores) -> list[Texts]:
        """The labels of matched ids."""
        return [scores.labels(of_runs, keyword("by", column)) for column, of_runs in self.of_runs.items()]


def in_order(keys: set[Key]) -> list[Key]:
    """The groups in the order of their labels: as numbers where all labels of a column are whole numbers."""
    whole = [all(label.isascii() and label.isdigit() for label in column) for column in zip(*keys, strict=True)]

    def place(key: Key) -> tuple[Any, ...]:
        return tuple((int(label), label) if number else label for label, number in zip(key, whole, strict=True))

    return sorted(keys, key=place)


def split(labels: Sequence[Texts]) -> tuple[dict[Key, Indices], int]:
    """The rows of each group, and how many rows have none: those without a label in one of the columns."""
    known = np.logical_and.reduce([column != "" for column in labels])
    rows = np.flatnonzero(known)
    code = np.zeros(len(rows), dtype=np.int64)
    for column in labels:
        _, of_column = np.unique(column[rows], return_inverse=True)
        _, code = np.unique(code * (of_column.max(initial=0) + 1) + of_column, return_inverse=True)
    order = np.argsort(code, kind="stable")
    parts = [rows[part] for part in np.split(order, np.cumsum(np.bincount(code))[:-1])] if len(rows) else []
    return {tuple(str(column[part[0]]) for column in labels): part for part in parts}, len(known) - len(rows)


def groupings(runs: Runs, pairs: Sequence[tuple[str, str]], options: Options) -> tuple[Grouping, ...]:
    """One grouping per column of ``options.by``: by the first one alone, then by each together with those before it.

    ``pairs`` are the pairs (model, baseline) that were compared.
    """
    if not options.by:
        return ()
    labels = Labels(runs, options.by)
    matched = [Matched(new, base, runs.scores(models=[base, new]), labels) for new, base in pairs]
    scored = [run for run in runs if run.score is not None and len(run)]
    return tuple(_grouping(scored, labels, matched, depth, options) for depth in range(1, len(options.by) + 1))


class Matched:
    """One pair on its matched ids, with their labels."""

    def __init__(self, new: str, base: str, scores: Scores, labels: Labels) -> None:
        self.new, self.base, self.scores, self.labels = new, base, scores, labels.of_scores(scores)


def _grouping(
    runs: Sequence[Run], labels: Labels, matched: Sequence[Matched], depth: int, options: Options
) -> Grouping:
    """The scores and differences in the groups that the first ``depth`` columns make."""
    of_runs = [split(labels.of_run(run.name)[:depth]) for run in runs]
    of_pairs = [split(pair.labels[:depth]) for pair in matched]
    keys = in_order({key for groups, _ in of_runs for key in groups})
    names = {key: BETWEEN.join(key) for key in keys}
    differences = sum(len(groups) for groups, _ in of_pairs)
    pairs = [
        _differences(pair, _named(groups, names), no_group, differences, options)
        for pair, (groups, no_group) in zip(matched, of_pairs, strict=True)
        if groups
    ]
    scores = [
        _scores(run, _named(groups, names), no_group, options)
        for run, (groups, no_group) in zip(runs, of_runs, strict=True)
    ]
    return Grouping(
        columns=labels.columns[:depth],
        groups={name: key for key, name in names.items()},
        scores=tuple(scores),
        pairs=_adjusted(pairs),
        differences=differences,
    )


def _named(groups: Mapping[Key, Indices], names: Mapping[Key, str]) -> dict[str, Indices]:
    """The rows of each group by the group's name, in the order of ``names``."""
    return {name: groups[key] for key, name in names.items() if key in groups}


def _scores(run: Run, groups: Mapping[str, Indices], no_group: int, options: Options) -> GroupScores:
    if not groups or run.score is None:
        return GroupScores(run.name, None, no_group)
    rows, of = _rows(groups)
    clusters = clusters_of(run, options)
    weights = None if run.weights is None else run.weights[rows]
    data: dict[str, Any] = {"weights": weights, "clusters": None if clusters is None else clusters[rows]}
    single = _single(groups, clusters)
    macro = None
    with while_at(f"model {run.name!r}"), called({"x": f"the scores of {run.name!r}"}):
        found = uncertainty.estimate(
            run.score[rows],
            by=of,
            confidence_level=options.confidence_level,
            **data,
        )
        if len(groups) > 1 and not single and not _reach_over(of, data["clusters"]):
            macro = uncertainty.estimate(
                run.score[rows], strata=of, average="macro", confidence_level=options.confidence_level, **data
            )
    return GroupScores(run.name, replace(found, names=tuple(groups)), no_group, macro, single)


def _rows(groups: Mapping[str, Indices]) -> tuple[Indices, Indices]:
    """The rows of all groups, and the place of each one's group."""
    of = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups.values()])
    return np.concatenate(list(groups.values())), of


def _reach_over(of: Indices, clusters: NDArray[Any] | None) -> bool:
    """Whether a cluster has rows in several groups, which are then no strata of their own."""
    if clusters is None:
        return False
    _, code = np.unique(clusters, return_inverse=True)
    both = code * (int(of.max()) + 1) + of
    return len(np.unique(both)) > int(code.max()) + 1


def _single(groups: Mapping[str, Indices], clusters: NDArray[Any] | None) -> tuple[str, ...]:
    """The groups with only one row, or only one cluster: their variance is not known."""

    def alone(rows: Indices) -> bool:
        return len(rows) < 2 or (clusters is not None and bool((clusters[rows] == clusters[rows[0]]).all()))

    return tuple(name for name, rows in groups.items() if alone(rows))


def _differences(
    pair: Matched, groups: Mapping[str, Indices], no_group: int, differences: int, options: Options
) -> GroupDifferences:
    """One pair in each group; ``differences`` is how many of them have to hold together, those of all pairs."""
    new, base, clusters = pair.scores[pair.new], pair.scores[pair.base], clusters_of_ids(pair.scores, options)
    level = Confidence(options.confidence_level, "two-sided")
    compared: list[tuple[uncertainty.Comparison, uncertainty.Comparison]] = []
    for name, rows in groups.items():
        names = {"new": f"the scores of {pair.new!r} in {name!r}"}
        names["baseline"] = f"the scores of {pair.base!r} in {name!r}"
        of_group = Pair(new[rows], base[rows], None if clusters is None else clusters[rows], level.level)
        with while_at(f"{pair.new!r} against {pair.base!r}"), called(names):
            strict = of_group._replace(level=stricter(level, differences).level)
            compared.append((of_group.compared(options), strict.compared(options)))
    shown = [one for one, _ in compared]
    parts = [simultaneous(one.difference, strict.difference) for one, strict in compared]
    p = tuple(float(one.p_value) for one in shown)
    single, macro = _single(groups, clusters), None
    rows, of = _rows(groups)
    of_all = Pair(new[rows], base[rows], None if clusters is None else clusters[rows], level.level)
    if len(groups) > 1 and not single and not _reach_over(of, of_all.clusters):
        macro = of_all.compared(options, strata=of).difference
    shares = [len(rows) / len(new) for rows in groups.values()]
    return GroupDifferences(
        model=pair.new,
        baseline=pair.base,
        difference=stack(parts, tuple(groups)),
        p_value=p,
        p_adjusted=p,
        wins=_counts(shown, "wins"),
        losses=_counts(shown, "losses"),
        ties=_counts(shown, "ties"),
        verdicts=tuple(_verdict(strict.difference, options) for _, strict in compared),
        contributions=tuple(share * float(part) for share, part in zip(shares, parts, strict=True)),
        no_group=no_group,
        macro=macro,
        single=single,
    )


def _counts(shown: Sequence[uncertainty.Comparison], of: str) -> tuple[int, ...]:
    return tuple(int(getattr(one, of)) for one in shown)


def _verdict(e: Estimate, options: Options) -> str:
    if (found := limits(e)) is None:
        return "undecided"
    return verdict(*turned(*found, higher_is_better=options.higher_is_better), options.margin)


def _adjusted(pairs: Sequence[GroupDifferences]) -> tuple[GroupDifferences, ...]:
    """The pairs with p-values adjusted by Holm for the differences of all of them."""
    adjusted = iter(holm(np.array([p for pair in pairs for p in pair.p_value])).tolist())
    return tuple(replace(pair, p_adjusted=tuple(next(adjusted) for _ in pair.p_value)) for pair in pairs)
