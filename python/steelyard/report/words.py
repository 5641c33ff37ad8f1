"""How the report writes numbers and names: one rule each, for the terminal, the page and the job summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from .._text import listed_counts
from ..estimate import decimals

MISSING = "-"


def count(n: float) -> str:
    """A count with thousands separated; a fractional one (an effective n) with one decimal."""
    return f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"


def plural(n: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{count(n)} {noun}" if n == 1 else f"{count(n)} {noun}s"


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


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
    """A number with fixed decimals; a missing one is a dash, never 0 or nan in silence."""
    if value is None:
        return MISSING
    if not isfinite(value):
        return f"{value}"
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return text if float(text.replace(",", "")) else text.lstrip("+-")  # no "-0.0000", no "+0.0000"


def interval(low: float | None, high: float | None, digits: int) -> str:
    """``[low, high]``, or a dash where there is none."""
    if low is None or high is None:
        return MISSING
    return f"[{number(low, digits)}, {number(high, digits)}]"


def probability(p: float | None) -> str:
    """A p-value with three significant digits; below 1e-16 digits mean nothing, and 0 would be a lie.

    >>> probability(0.00268739), probability(2.01e-5), probability(1.0), probability(1e-99)
    ('0.00269', '2.01e-05', '1', '<1e-16')
    """
    if p is None:
        return MISSING
    return "<1e-16" if p < 1e-16 else f"{p:.3g}"


def lost(left_out: Mapping[str, int]) -> str:
    """`` (left out: 3 no score, 2 no id)``, or nothing."""
    return f" (left out: {listed_counts(left_out)})" if left_out else ""


def percent(level: float) -> str:
    """A confidence level in words: ``95 %``."""
    return f"{level * 100:.10g} %"
