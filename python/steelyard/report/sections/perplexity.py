"""Perplexity from the log-likelihoods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..._estimate import Estimate
from ..._numbers import count, percent
from ..._text import printable
from .. import figures
from ..perplexity_results import DocumentPerplexities, PerplexityPair
from ..results import Contents
from ..tables import Column, Table
from ..words import (
    MISSING,
    clusters,
    digits_of,
    error,
    interval,
    listed,
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

DOCUMENTS = "The difference of log-perplexity in each cluster, in nats; the largest change first."
EACH = "The exponential of the mean negative log-likelihood of each document's tokens; the highest first."
MOST = 50  # clusters of one pair on the page
LEAD = "The exponential of the mean negative log-likelihood of a token; lower is better."
TEXT_LEAD = "The exponential of the negative log-likelihood per word and per byte of the text; lower is better."
EACH_ALIKE = (
    "Each document counts the same, so that short and hard ones dominate; the perplexity per token is that of the "
    "whole corpus."
)
PER_BYTE = (
    "Words and bytes do not depend on the tokenizer; bits per byte is the base-2 logarithm of the byte perplexity."
)


def block(report: Contents) -> Block | None:
    """The perplexity of each model whose records hold log-likelihoods."""
    known = [(m.name, m.perplexity) for m in report.models if m.perplexity is not None]
    of_text = [(m.name, measure, e) for m in report.models for measure, e in m.of_text.items()]
    if not known and not of_text:
        return None
    compared = report.perplexities
    tables = (*_per_token(known), *_per_document(report), *_per_text(of_text), *_against(compared))
    drawn, axis = known, "perplexity per token"
    if not known:
        drawn, axis = [(name, e) for name, measure, e in of_text if measure == of_text[-1][1]], of_text[-1][1]
    bars = [figures.Bar.of(name, e) for name, e in drawn if float(e) < float("inf")]
    label = "Perplexity with its intervals; the table has the numbers"
    pictures = figures.intervals(bars, "perplexity", label, axis=axis)
    findings = tuple(_finding(pair, several=len(compared) > 1) for pair in compared[:MOST_FINDINGS])
    lead = LEAD if known else TEXT_LEAD
    return Block("Perplexity", lead, tables, findings=findings, pictures=pictures)


def _per_token(known: Sequence[tuple[str, Estimate]]) -> Iterator[Table]:
    if not known:
        return
    digits = digits_of([e for _, e in known])
    columns = (
        estimates.NAME,
        Column("tokens", number=True),
        Column("clusters", number=True),
        Column("perplexity", number=True),
        estimates.INTERVAL,
        estimates.ERROR,
    )
    yield Table(
        "Perplexity per token", columns, tuple(_row(name, e, digits) for name, e in known), estimates.notes(known)
    )


def _per_document(report: Contents) -> Iterator[Table]:
    """The other mean that is called perplexity."""
    found = [(m.name, m.of_documents) for m in report.models if m.of_documents is not None]
    if found:
        digits = digits_of([e for _, e in found])
        cells = tuple(
            (printable(name), count(rows(e)), number(float(e), digits), interval(e, digits), error(e, digits))
            for name, e in found
        )
        columns = (
            estimates.NAME, Column("documents", number=True), Column("mean", number=True), estimates.INTERVAL,
            estimates.ERROR,
        )  # fmt: skip
        yield Table("Mean of the documents' perplexities", columns, cells, (EACH_ALIKE, *estimates.notes(found)))


def _per_text(of_text: Sequence[tuple[str, str, Estimate]]) -> Iterator[Table]:
    """Perplexity by the length of the text, which models with different tokenizers share."""
    if not of_text:
        return
    digits = {measure: digits_of([e for _, one, e in of_text if one == measure]) for _, measure, _ in of_text}
    columns = (
        estimates.NAME,
        Column("measure"),
        Column("words or bytes", number=True),
        Column("clusters", number=True),
        Column("value", number=True),
        estimates.INTERVAL,
        estimates.ERROR,
    )
    cells = []
    for name, measure, e in of_text:
        first, *rest = _row(name, e, digits[measure])
        cells.append((first, measure, *rest))
    of_models = {name: e for name, _, e in of_text}  # one of each: the measures of a model have the same clusters
    notes = (PER_BYTE, *estimates.made_by(e for _, _, e in of_text), *estimates.rough(of_models.items()))
    yield Table("Perplexity by the length of the text", columns, tuple(cells), notes)


def documents(report: Contents) -> Block | None:
    """What each cluster adds to the differences, folded on the page alone: a terminal has no room for it."""
    tables = tuple(_documents(pair) for pair in report.perplexities if pair.documents is not None)
    return Block("Perplexity by cluster", DOCUMENTS, tables, page_only=True) if tables else None


def by_document(report: Contents) -> Block | None:
    """The perplexity of each document of each model, folded on the page alone."""
    found = [(m.name, m.documents) for m in report.models if m.documents is not None and len(m.documents.names) > 1]
    tables = tuple(_by_document(name, documents) for name, documents in found)
    return Block("Perplexity by document", EACH, tables, page_only=True) if tables else None


def _by_document(name: str, documents: DocumentPerplexities) -> Table:
    digits = places([], documents.perplexity.tolist())
    rows = [
        (printable(document), count(tokens), number(perplexity, digits))
        for document, tokens, perplexity in zip(
            documents.names[:MOST].tolist(), documents.tokens[:MOST].tolist(), documents.perplexity[:MOST].tolist(),
            strict=True,
        )
    ]  # fmt: skip
    columns = (Column("document"), Column("tokens", number=True), Column("perplexity", number=True))
    left = len(documents.names) - len(rows)
    notes = (f"The {MOST} highest; JSON has {count(left)} more.",) if left else ()
    return Table(printable(name), columns, (), notes, tuple(rows))


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
    notes += [f"Per {unit} of the text, where tokens are not the same: {listed(of)}." for unit, of in _by_unit(pairs)]
    yield Table("Ratio of perplexities, paired by id", columns, cells, tuple(notes))


def _by_unit(pairs: Sequence[PerplexityPair]) -> Iterator[tuple[str, list[str]]]:
    """The pairs that are not compared per token, by what they are compared per."""
    for unit in ("byte", "word"):
        if of := [f"{printable(pair.model)} / {printable(pair.baseline)}" for pair in pairs if pair.unit == unit]:
            yield unit, of


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
    columns = (Column("cluster"), Column(f"{pair.unit}s", number=True), Column(f"nats per {pair.unit}", number=True))
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
