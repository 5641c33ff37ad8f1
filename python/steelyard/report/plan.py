"""How many items a comparison needs to see a difference: from a pilot's records, or from an assumed discordance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import uncertainty
from .._estimate import Estimate
from .._mode import standard_mode, standard_mode_methods
from .._numbers import as_share, count, percent, plural
from .._options import confidence_of, number, whole
from .._power import Variance, rows_needed
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
    unpaired : int or None
        Items for each of the two models where they answer different ones; None where the scores' variance is not known.
    clusters : int or None
        The clusters (documents) that the paired items come in, of the size that those of the pilot have.
    """

    name: str
    difference: float
    paired: int
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
        unpaired = any(row.unpaired is not None for row in self.rows)
        columns = (
            Column("models" if self.pilot else "discordance"),
            Column("difference", number=True),
            Column("paired items", number=True),
            *([Column("in clusters", number=True)] if clustered else []),
            *([Column("unpaired, each", number=True)] if unpaired else []),
        )
        cells = [
            (
                printable(row.name),
                written(row.difference, digits),
                count(row.paired),
                *([count(row.clusters or 0)] if clustered else []),
                *([count(row.unpaired or 0)] if unpaired else []),
            )
            for row in self.rows
        ]
        return Table(self._title(), columns, tuple(cells), tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        yield from self.pilot
        yield "A margin of the same size takes as many items: to show that an equally good model is not worse."
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
    power: float = 0.8,
    confidence_level: float = 0.95,
    comparisons: int | None = None,
    clusters: str | None = None,
) -> Plan:
    """Say how many items a paired comparison needs to see each of ``differences``.

    An item is seen by both models. With s^2 the variance of its difference, n items show a true difference d with the
    probability ``power`` where ``n = ((z_(1 - alpha/2) s0 + z_power s1)/d)^2 + z_(1 - alpha/2)^2/2``. For 0/1 scores
    ``s0^2 = psi`` and ``s1^2 = psi - d^2``, where the discordance psi is the share of items on which the two differ (at
    least d); for graded scores both are the variance of the pilot's differences, and with clusters n times their
    squared standard error, so that the number is of items in clusters like those of the pilot.

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
        ``rows`` of name, difference, ``paired`` items, ``unpaired`` items for each model, and ``clusters``.

    Raises
    ------
    ValueError
        For numbers outside their range, and for a pilot in which no item differs.

    Examples
    --------
    >>> from steelyard import report
    >>> planned = report.plan(differences=[0.02], discordance=[0.1])
    >>> planned.rows[0].paired
    1962
    """
    share = _inside("power", power)
    level = confidence_of(confidence_level, "two-sided").level
    sizes = _sizes("differences", differences)
    pairs = () if runs is None else _pilot(runs, baseline, models, clusters, level)
    many = whole(comparisons, "comparisons", 1) if comparisons is not None else max(len(pairs), 1)
    strict = 1.0 - (1.0 - level) / many
    if runs is None:
        shares = _sizes("discordance", discordance, most=1.0)
        rows = [_assumed(psi, d, strict, share) for psi in shares for d in sizes if d <= psi]
        if not rows:
            expected = f"at most {max(shares):g}, since models that differ on so many items cannot be further apart"
            raise value_error("differences", expected, ", ".join(f"{d:g}" for d in sizes))
        return Plan(tuple(rows), share, level, many, ())
    planned = [_from_pilot(runs, pair, d, strict, share) for pair in pairs for d in sizes]
    return Plan(tuple(planned), share, level, many, tuple(map(_said, pairs)))


def _assumed(psi: float, d: float, level: float, power: float) -> Planned:
    variance = Variance(psi, max(psi - d * d, 0.0))
    return Planned(percent(round(psi, 4)), d, rows_needed(variance, d, level, power))


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


def _from_pilot(runs: Runs, pair: PairResult, d: float, level: float, power: float) -> Planned:
    e = pair.difference
    n, error = int(e.n), e.standard_error
    if error is None:
        raise value_error("runs", f"a standard error of {pair.model!r} - {pair.baseline!r}", f"none ({e.reason})")
    own = n * float(error) * float(error)
    binary = e.n_clusters is None and str(e.method) == "Tango"
    psi = max(pair.flipped / n, d)
    variance = Variance(psi, max(psi - d * d, 0.0)) if binary else Variance(own, own)
    paired = rows_needed(variance, d, level, power)
    groups = None if e.n_clusters is None else -(-paired * int(e.n_clusters) // n)
    scores = runs.scores(models=[pair.baseline, pair.model])
    spread = sum(_variance(uncertainty.estimate(scores[name])) for name in (pair.baseline, pair.model))
    name = f"{pair.model} - {pair.baseline}"
    return Planned(name, d, paired, rows_needed(Variance(spread, spread), d, level, power), groups)


def _variance(e: Estimate) -> float:
    """The variance of the values behind a mean of independent values."""
    return 0.0 if e.standard_error is None else int(e.n) * float(e.standard_error) * float(e.standard_error)


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
