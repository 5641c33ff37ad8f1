"""How many items a comparison needs to see a difference: from a pilot's records, or from an assumed discordance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import uncertainty
from .._mode import standard_mode, standard_mode_methods
from .._numbers import as_share, count, percent, plural
from .._options import confidence_of, number, whole
from .._text import in_markdown, printable
from ..errors import keyword, shown, type_error, value_error
from . import tables
from .build import comparison, plain
from .results import PairResult
from .tables import Column, Table
from .words import number as written
from .words import places

if TYPE_CHECKING:
    from ..records import Runs

DIFFERENCES = (0.01, 0.02, 0.03, 0.05, 0.1)
DISCORDANCES = (0.05, 0.1, 0.2, 0.3)


@standard_mode_methods
@dataclass(frozen=True)
class Planned:
    """How many items show one difference.

    Attributes
    ----------
    name : str
        The pair of models of a pilot, or the discordance that was assumed.
    difference : float
        The true difference of the mean scores.
    paired : int
        Items that both models answer.
    low, high : int or None
        The items at the limits of what a pilot of its size says about the spread, at the confidence level.
    answers : int or None
        How many answers to each item are averaged, where items of the pilot have several.
    unpaired : int or None
        Items for each of the two models where they answer different ones; None where the scores' variance is not known.
    clusters : int or None
        The clusters (documents) that the paired items come in, of the size that those of the pilot have.
    """

    name: str
    difference: float
    paired: int
    low: int | None = None
    high: int | None = None
    answers: int | None = None
    unpaired: int | None = None
    clusters: int | None = None


@standard_mode_methods
@dataclass(frozen=True)
class Plan:
    """The numbers of items, a row for each pair and difference; ``str``, ``to_markdown`` and ``to_dict`` show them."""

    rows: tuple[Planned, ...]
    power: float
    confidence_level: float
    comparisons: int
    pilot: tuple[str, ...]
    """What the numbers rest on, a sentence per pair."""

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int = 80) -> str:
        """The plan as plain text for a terminal of ``width`` columns."""
        return "\n".join(tables.text_lines(self._table(), width))

    def to_markdown(self) -> str:
        """The plan as Markdown."""
        return "\n".join([f"## {in_markdown(self._title())}", "", *tables.markdown_lines(self._table())])

    def to_dict(self) -> dict[str, Any]:
        """Return the plan in types that JSON has."""
        names = ("rows", "power", "confidence_level", "comparisons", "pilot")
        return {name: plain(getattr(self, name)) for name in names}

    def _title(self) -> str:
        return f"Items that show a difference with {percent(self.power)} power, at {percent(self.confidence_level)}"

    def _table(self) -> Table:
        digits = max(places([row.difference for row in self.rows]) - 2, 2)
        clustered = any(row.clusters is not None for row in self.rows)
        repeated = any(row.answers is not None for row in self.rows)
        unpaired = any(row.unpaired is not None for row in self.rows)
        columns = (
            Column("models" if self.pilot else "discordance"),
            Column("difference", number=True),
            *([Column("answers", number=True)] if repeated else []),
            Column("paired items", number=True),
            *([Column("by the pilot", number=True)] if self.pilot else []),
            *([Column("in clusters", number=True)] if clustered else []),
            *([Column("unpaired, each", number=True)] if unpaired else []),
        )
        cells = [
            (
                printable(row.name),
                written(row.difference, digits),
                *([count(row.answers or 1)] if repeated else []),
                count(row.paired),
                *([f"{count(row.low or 0)} to {count(row.high or 0)}"] if self.pilot else []),
                *([count(row.clusters or 0)] if clustered else []),
                *([count(row.unpaired or 0)] if unpaired else []),
            )
            for row in self.rows
        ]
        return Table(self._title(), columns, tuple(cells), tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        yield from self.pilot
        if self.pilot:
            level = percent(self.confidence_level)
            yield f"By the pilot: the items needed at the {level} limits of its spread, which its size leaves open."
        yield (
            "To show that an equally good model is not worse by a margin of the same size takes about as many; of 0/1 "
            "answers up to twice as many where the difference is near the discordance."
        )
        if self.comparisons > 1:
            level = f"intervals at 1 - alpha/{self.comparisons}"
            yield f"For {self.comparisons} comparisons whose verdicts hold together ({level})."


@standard_mode
def plan(
    runs: Runs | None = None,
    *,
    baseline: str | None = None,
    models: Sequence[str] | None = None,
    differences: Sequence[float] = DIFFERENCES,
    discordance: Sequence[float] = DISCORDANCES,
    answers: Sequence[int] = (),
    power: float = 0.8,
    confidence_level: float = 0.95,
    comparisons: int | None = None,
    clusters: str | None = None,
) -> Plan:
    """Say how many items a paired comparison needs to see each of ``differences``.

    An item is seen by both models; a difference d is seen where the verdict is "better". The numbers are those of
    :func:`steelyard.uncertainty.sample_size`: for 0/1 scores exact, from the discordance, the share of items on which
    the two models differ (at least d); for graded scores, repeated answers and clusters by the noncentral t.

    Parameters
    ----------
    runs : Runs, optional
        A pilot: records of at least two models, as :func:`steelyard.records.read` returns them.
    baseline, models
        Which models of the pilot to compare; the first one is the baseline if none is named.
    differences : sequence of float
        The differences of the mean scores, above 0, in units of the score.
    discordance : sequence of float
        Without a pilot: the shares of items on which two models with 0/1 scores may differ, in (0, 1].
    answers : sequence of int
        With a pilot that has the same number K of answers to every item: how many answers to an item to plan for;
        default: 1 and K.
    power : float
        Inside (0, 1).
    confidence_level : float
        Of the interval that has to exclude 0.
    comparisons : int, optional
        How many comparisons the verdicts are adjusted for; the number of pairs of the pilot, else 1.
    clusters : str, optional
        Column of the pilot's clusters; default: the cluster column that was read, if there is one.

    Returns
    -------
    Plan
        ``rows`` of name, difference, ``paired`` items, ``low`` and ``high`` by the pilot, ``answers``, ``unpaired``
        items for each model, and ``clusters``.

    Raises
    ------
    ValueError
        For numbers outside their range, and for a pilot in which no item differs.

    Examples
    --------
    >>> from steelyard import report
    >>> planned = report.plan(differences=[0.02], discordance=[0.1])
    >>> planned.rows[0].paired
    1945
    """
    share = _inside("power", power)
    level = confidence_of(confidence_level, "two-sided").level
    sizes = _sizes("differences", differences)
    pairs = () if runs is None else _pilot(runs, baseline, models, clusters, level)
    many = whole(comparisons, "comparisons", 1) if comparisons is not None else max(len(pairs), 1)
    how = {"power": share, "confidence_level": level, "comparisons": many}
    if runs is None:
        if answers:
            fix = "the records of a pilot show how answers to one item vary"
            raise value_error("answers", "none without a pilot", ", ".join(map(str, answers)), fix)
        shares = _sizes("discordance", discordance, most=1.0)
        rows = [_assumed(psi, d, how) for psi in shares for d in sizes if d <= psi]
        if not rows:
            expected = f"at most {max(shares):g}, since models that differ on so many items cannot be further apart"
            raise value_error("differences", expected, ", ".join(f"{d:g}" for d in sizes))
        return Plan(tuple(rows), share, level, many, ())
    planned = [row for pair in pairs for row in _from_pilot(runs, pair, clusters, how, sizes=sizes, answers=answers)]
    return Plan(tuple(planned), share, level, many, tuple(map(_said, pairs)))


def _assumed(psi: float, d: float, how: dict[str, Any]) -> Planned:
    found = uncertainty.sample_size(d, discordance=psi, **how)
    return Planned(percent(round(psi, 4)), d, int(found.n))


def _pilot(
    runs: Runs, baseline: str | None, models: Sequence[str] | None, clusters: str | None, level: float
) -> tuple[PairResult, ...]:
    """The pilot's comparisons; an error where one of them shows no spread to plan by."""
    if len(runs) < 2:
        fix = f"add a second model, or plan without files from {keyword('discordance')}"
        raise value_error("runs", "records of two models, whose differences tell how many items are needed", "one", fix)
    made = comparison(
        runs,
        baseline=baseline or runs.names[0],
        models=models,
        clusters=clusters,
        confidence_level=level,
        min_matched=0,
    )
    for pair in made.pairs:
        if pair.flipped == 0:
            expected = f"items on which {pair.model!r} and {pair.baseline!r} differ"
            raise value_error("runs", expected, "none", f"plan without files from {keyword('discordance')}")
    return made.pairs


def _from_pilot(
    runs: Runs,
    pair: PairResult,
    clusters: str | None,
    how: dict[str, Any],
    *,
    sizes: Sequence[float],
    answers: Sequence[int],
) -> Iterator[Planned]:
    """The rows of one pair of models: every difference, for every number of answers to an item."""
    scores = runs.scores(models=[pair.baseline, pair.model])
    groups = scores.cluster if clusters is None else scores.column(clusters)
    tables = [scores.repeated(name) for name in (pair.model, pair.baseline)]
    new, base = (scores[name] for name in (pair.model, pair.baseline))
    pilot, asked = new - base, [1]
    repeated = _repeats(tables) if groups is None else None
    if repeated is not None:
        pilot, asked = repeated, list(answers) or [1, repeated.shape[1]]
    elif answers:
        fix = "the pilot has to have the same number of answers of both models to every item, and no clusters"
        raise value_error("answers", "none with such a pilot", ", ".join(map(str, answers)), fix)
    # Differences of -1, 0 and 1 would be taken for those of 0/1 answers; half of them, and of what to see, are not.
    scale = 1.0 if repeated is None and groups is None and str(pair.difference.method) == "Tango" else 0.5
    wanted = np.array(sizes)[:, None]
    paired = uncertainty.sample_size(
        scale * wanted, pilot=scale * pilot, clusters=groups, answers=np.array(asked), **how
    )
    apart = None
    if repeated is not None:
        apart = uncertainty.sample_size(wanted, pilot=tuple(tables), answers=np.array(asked), paired=False, **how)
    elif min(spread := [_variance(side) for side in (new, base)]) > 0.0:
        apart = uncertainty.sample_size(wanted, sd=tuple(map(math.sqrt, spread)), paired=False, **how)
    for i, d in enumerate(sizes):
        for j, many in enumerate(asked):
            low, high = (int(np.asarray(end)[i, j]) for end in (paired.low, paired.high))
            yield Planned(
                f"{pair.model} - {pair.baseline}", d, int(np.asarray(paired.n)[i, j]), low, high,
                answers=None if repeated is None else many,
                unpaired=None if apart is None else int(np.broadcast_to(apart.n, np.shape(paired.n))[i, j]),
                clusters=None if paired.n_clusters is None else int(np.asarray(paired.n_clusters)[i, j]),
            )  # fmt: skip


def _repeats(tables: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """The differences of each answer to each item, where both models have as many answers to every item."""
    new, base = tables
    if new is None or base is None or new.shape != base.shape:
        return None
    return new - base


def _variance(scores: NDArray[np.float64]) -> float:
    """The variance of independent scores; 0 where all are equal."""
    if (scores == scores[0]).all():
        return 0.0
    error = uncertainty.estimate(scores).standard_error
    return len(scores) * float(error or 0.0) * float(error or 0.0)


def _said(pair: PairResult) -> str:
    """What the pilot of a pair has shown."""
    differ = percent(round(pair.flipped / pair.matched, 3))
    name = f"{printable(pair.model)} - {printable(pair.baseline)}"
    groups = "" if pair.difference.n_clusters is None else f" in {plural(int(pair.difference.n_clusters), 'cluster')}"
    return f"Pilot {name}: they differ on {differ} of {plural(pair.matched, 'item')}{groups}."


def _inside(name: str, value: float) -> float:
    found = number(value, name, "a number inside (0, 1)")
    if not 0.0 < found < 1.0:
        raise value_error(name, "a number inside (0, 1)", f"{found:g}")
    return found


def _sizes(name: str, values: Sequence[float], most: float = float("inf")) -> tuple[float, ...]:
    """The numbers of a sequence, all above 0."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise type_error(name, "a sequence of numbers above 0", shown(values))
    found = [number(value, name) for value in values]
    for value in found:
        if not 0.0 < value <= most or value == float("inf"):
            bound = "" if most == float("inf") else f" and at most {most:g}"
            fix = as_share(value) if most < value <= 100 else ""
            raise value_error(name, f"numbers above 0{bound}", f"{value:g}", fix)
    return tuple(sorted(set(found)))
