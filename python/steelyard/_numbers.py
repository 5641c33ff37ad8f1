"""Formatting of numbers, by the same rules in results, error messages and the report."""

from __future__ import annotations

__all__ = ["as_share", "count", "decimals", "percent", "plural"]


def count(n: float) -> str:
    """A count with thousands separated; one that is not whole, such as an effective number of rows, with one decimal.

    >>> count(1319), count(12.34)
    ('1,319', '12.3')
    """
    return f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"


def plural(n: int, noun: str) -> str:
    """A count with its noun: ``1 model``, ``2 models``."""
    return f"{count(n)} {noun}" if n == 1 else f"{count(n)} {noun}s"


def percent(share: float) -> str:
    """A share, such as a confidence level, in per cent, without trailing zeros (at most ten digits).

    >>> percent(0.95), percent(0.999)
    ('95 %', '99.9 %')
    """
    return f"{share * 100:.10g} %"


def as_share(per_cent: float) -> str:
    """The hint for an argument that was given in per cent instead of as a share: ``95 % is 0.95``."""
    return f"{per_cent:g} % is {per_cent / 100:g}"


def decimals(width: float) -> int:
    """How many decimal places show two significant digits of ``width``.

    >>> decimals(0.0123), decimals(4.2), decimals(120.0)
    (3, 1, 0)
    """
    if not 0 < width < float("inf"):
        return 4
    return min(12, max(0, 1 - int(f"{width:e}".partition("e")[2])))
