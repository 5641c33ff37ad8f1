"""Perplexity from the log-likelihoods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..._estimate import Estimate
from ..._numbers import count, percent
from ..._text import printable
from .. import figures
from ..perplexity_results import PerplexityPair
from ..results import Contents
from ..tables import Column, Table
from ..words import (
    MISSING,
    clusters,
    digits_of,
    error,
    interval,
    number,
    one,
    places,
    probability,
    rows,
    verdict,
    with_interval,
)
from . import estimates
from .block import MOST_FINDINGS, Block, Finding

DOCUMENTS = "The difference of log-perplexity in each cluster, in nats per token; the largest change first."
MOST = 50  # clusters of one pair on the page
LEAD = "The exponential of the mean negative log-likelihood of a token; lower is better."


def block(report: Contents) -> Block | None:
    """The perplexity of each model whose records hold log-likelihoods."""
    known = [(m.name, m.perplexity) for m in report.models if m.perplexity is not None]
    if not known:
        return None
    digits = digits_of([e for _, e in known])
    columns = (
        estimates.NAME,
        Column("tokens", number=True),
        Column("clusters", number=True),
        Column("perplexity", number=True),
        estimates.INTERVAL,
        estimates.ERROR,
    )
    cells = tuple(_row(name, e, digits) for name, e in known)
    table = Table("Perplexity per token", columns, cells, estimates.notes(known))
    bars = [figures.Bar.of(name, e) for name, e in known if float(e) < float("inf")]
    label = "Perplexity with its intervals; the table has the numbers"
    pictures = figures.intervals(bars, "perplexity", label, axis="perplexity per token")
    compared = report.perplexities
    tables = (table, *_against(compared))
    findings = tuple(_finding(pair, several=len(compared) > 1) for pair in compared[:MOST_FINDINGS])
    return Block("Perplexity", LEAD, tables, findings=findings, pictures=pictures)


def documents(report: Contents) -> Block | None:
    """What each cluster adds to the differences, folded on the page alone: a terminal has no room for it."""
    tables = tuple(_documents(pair) for pair in report.perplexities if pair.documents is not None)
    return Block("Perplexity by cluster", DOCUMENTS, tables, page_only=True) if tables else None


def _against(pairs: Sequence[PerplexityPair]) -> Iterator[Table]:
    """The ratios of perplexities; how they were made stands below."""
    if not pairs:
        return
    digits = digits_of([pair.ratio for pair in pairs])
    several = len(pairs) > 1
    cells = tuple(
        (
            f"{printable(pair.model)} / {printable(pair.baseline)}",
            number(float(pair.ratio), digits),
            interval(pair.ratio, digits),
            probability(pair.p_adjusted),
            count(clusters(pair.ratio) or 0),
            verdict(pair.verdict),
        )
        for pair in pairs
    )
    columns = (
        Column("models"),
        Column("ratio", number=True),
        estimates.INTERVAL,
        Column("p (Holm)" if several else "p", number=True),
        Column("clusters", number=True, brief=False),
        Column("verdict"),
    )
    strict = percent(round(pairs[0].simultaneous.confidence_level, 4))
    at = f" at {strict}, so that all hold together" if several else ""
    notes = [f"Below 1 the first model is better. The verdict reads the interval{at}."]
    notes += estimates.made_by(pair.ratio for pair in pairs)
    notes.append(f"p: {' or '.join(dict.fromkeys(pair.test for pair in pairs))}.")
    yield Table("Ratio of perplexities, paired by id", columns, cells, tuple(notes))


def _documents(pair: PerplexityPair) -> Table:
    """Where the difference comes from: a row for each cluster."""
    found = pair.documents
    assert found is not None
    digits = places([], found.difference.tolist())
    rows = [
        (printable(name), count(tokens), number(change, digits, signed=True))
        for name, tokens, change in zip(
            found.names[:MOST].tolist(), found.tokens[:MOST].tolist(), found.difference[:MOST].tolist(), strict=True
        )
    ]
    columns = (Column("cluster"), Column("tokens", number=True), Column("nats per token", number=True))
    title = f"{printable(pair.model)} - {printable(pair.baseline)}"
    left = len(found.names) - len(rows)
    notes = (f"The {MOST} largest changes; JSON has {count(left)} more.",) if left else ()
    return Table(title, columns, (), notes, tuple(rows))


def _finding(pair: PerplexityPair, *, several: bool) -> Finding:
    shown = probability(pair.p_adjusted)
    p = f"p {shown.replace('<', '< ') if shown.startswith('<') else f'= {shown}'}{' (Holm)' if several else ''}"
    ratio = with_interval(pair.ratio, digits_of([pair.ratio]))
    said = f"The perplexity of {printable(pair.model)} is {ratio} of that of {printable(pair.baseline)}, {p}."
    return Finding(verdict(pair.verdict), said)


def _row(name: str, e: Estimate, digits: int) -> tuple[str, ...]:
    found = clusters(e)
    return (
        printable(name),
        count(one(e.detail.get("units", rows(e))) or 0),
        MISSING if found is None else count(found),
        number(float(e), digits),
        interval(e, digits),
        error(e, digits),
    )
