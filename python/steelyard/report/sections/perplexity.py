"""Perplexity from the log-likelihoods."""

from __future__ import annotations

from ..._estimate import Estimate
from ..._numbers import count
from ..._text import printable
from .. import figures
from ..results import Contents
from ..tables import Column, Table
from ..words import MISSING, clusters, digits_of, error, interval, number, one, rows
from . import estimates
from .block import Block

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
    return Block("Perplexity", LEAD, (table,), pictures=pictures)


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
