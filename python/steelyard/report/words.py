"""How the report writes numbers and names: one rule each, for the terminal, the page and the job summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from .._estimate import Estimate
from .._numbers import count, decimals
from .._text import listed_counts

MISSING = "-"


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def span(counts: Sequence[int]) -> str:
    """``1,319``, or ``1,200 to 1,319`` where they differ."""
    low, high = min(counts), max(counts)
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def capital(text: str) -> str:
    """The text with its first letter capital and the rest as it is."""
    return text[:1].upper() + text[1:]


def lost(left_out: Mapping[str, int]) -> str:
    """`` (left out: 3 no score, 2 no id)``, or nothing."""
    return f" (left out: {listed_counts(left_out)})" if left_out else ""


def verdict(word: str) -> str:
    """A verdict in words: ``not_worse`` is ``not worse``."""
    return word.replace("_", " ")


def places(errors: Iterable[float | None], values: Iterable[float | None] = ()) -> int:
    """Decimal places that show three significant digits of the smallest error, so that a column lines up.

    Without any error (one cluster, an infinite perplexity): four significant digits of the smallest value.

    >>> places([0.0144, 0.012]), places([0.34]), places([30.0]), places([None], [16.7])
    (4, 3, 1, 2)
    """
    known = [abs(e) for e in errors if e is not None and isfinite(e) and e != 0]
    if known:
        return min(decimals(min(known) / 10), 9)
    known = [abs(v) for v in values if v is not None and isfinite(v) and v != 0]
    return min(decimals(min(known) / 100), 9) if known else 4


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A number with fixed decimals; a missing one is a dash, never 0 or nan."""
    if value is None:
        return MISSING
    if not isfinite(value):
        return f"{value}"
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return text if float(text.replace(",", "")) else text.lstrip("+-")  # no "-0.0000", no "+0.0000"


def probability(p: float | None) -> str:
    """A p-value with three significant digits; one below 1e-16 is not told apart from others, and is not 0.

    >>> probability(0.00268739), probability(2.01e-5), probability(1.0), probability(1e-99)
    ('0.00269', '2.01e-05', '1', '<1e-16')
    """
    if p is None:
        return MISSING
    return "<1e-16" if p < 1e-16 else f"{p:.3g}"


# -- of an Estimate of one problem ----------------------------------------------------------------------


def one(value: object) -> float | None:
    """A number of an Estimate of one problem, which mypy cannot tell from an Estimate of many, whose are arrays."""
    return None if value is None else float(value)  # type: ignore[arg-type]


def digits_of(estimates: Sequence[Estimate]) -> int:
    """The decimal places of a column of these Estimates."""
    return places([one(e.standard_error) for e in estimates], [float(e) for e in estimates])


def limits(e: Estimate) -> tuple[float, float] | None:
    """The limits of the interval, or None where there is none."""
    low, high = one(e.low), one(e.high)
    return None if low is None or high is None else (low, high)


def interval(e: Estimate, digits: int) -> str:
    """``[low, high]``, or a dash where there is none."""
    if (found := limits(e)) is None:
        return MISSING
    low, high = found
    return f"[{number(low, digits)}, {number(high, digits)}]"


def with_interval(e: Estimate, digits: int, *, signed: bool = False) -> str:
    """``0.12 [0.10, 0.14]``, or ``0.12, no interval``."""
    value = number(float(e), digits, signed=signed)
    return f"{value}, no interval" if limits(e) is None else f"{value} {interval(e, digits)}"


def error(e: Estimate, digits: int) -> str:
    """The standard error, or a dash."""
    return number(one(e.standard_error), digits)


def rows(e: Estimate) -> int:
    """How many rows count."""
    return int(one(e.n) or 0)


def clusters(e: Estimate) -> int | None:
    """How many clusters they are in; None where rows are not clustered."""
    return None if e.n_clusters is None else int(one(e.n_clusters) or 0)


def size(e: Estimate) -> str:
    """``1,920 in 240``: rows that count, and the clusters they are in, if any."""
    found = clusters(e)
    return count(rows(e)) if found is None else f"{count(rows(e))} in {count(found)}"
