"""What a preference loss is given: its columns, checked, as the core takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import floats, to_float64
from .._rows import Rows
from ..errors import shown, type_error, value_error, warn
from .terms import Terms

__all__ = [
    "COLUMNS", "as_columns", "blanked", "columns_given", "lengths_by_name", "margin_column", "step", "step_at",
    "token_counts", "warn_rounded", "whole_lengths",
]  # fmt: skip

Floats = NDArray[np.float64]
COLUMNS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


def columns_given(terms: Terms, columns: Sequence[Any], lengths: Any, margin: Any, weights: Any) -> dict[str, Any]:
    """Return the columns that the loss reads by name; raise where one is missing, or one would be ignored."""
    found = dict(zip(COLUMNS, columns, strict=True))
    for name in COLUMNS[2:]:
        if not terms.reads("reference") and found[name] is not None:
            raise _unused(name, terms.said, found[name])
        if terms.reads("reference") and found[name] is None:
            raise value_error(name, f"log-probabilities of the reference, which {terms.said} needs", "None")
    if terms.reads("lengths") and lengths is None:
        raise value_error("lengths", f"(chosen, rejected), numbers of tokens, which {terms.said} needs", "None")
    if not terms.reads("lengths") and lengths is not None:
        raise _unused("lengths", terms.said, lengths)
    if margin is not None and not terms.reads("margin"):
        raise _unused("margin", terms.without("margin"), margin)
    if weights is not None and terms.reads("batch"):
        raise value_error("weights", f"nothing: {terms.said} matches pairs by ranks, which have none", shown(weights))
    return {name: column for name, column in found.items() if column is not None}


def _unused(name: str, loss: str, got: Any) -> ValueError:
    return value_error(name, f"nothing: {loss} does not use it", shown(got))


def margin_column(margin: Any, n: int, keep: NDArray[np.bool_] | None) -> Floats:
    """Return the offsets of margins; 0 for pairs that do not count (``keep``; None: all count)."""
    offsets = to_float64(floats(margin, "margin", ndim=1, numbers=True))
    if len(offsets) != n:
        raise value_error("margin", f"{n} values, one per pair", str(len(offsets)))
    offsets = offsets if keep is None else np.where(keep, offsets, 0.0)
    bad = ~np.isfinite(offsets)
    if bad.any():
        i = int(np.argmax(bad))
        raise value_error("margin", "finite numbers", f"{offsets[i]} at index {i}", "leave such pairs out with where=")
    return offsets


def lengths_by_name(lengths: Any) -> dict[str, Any]:
    """Return both columns of lengths by the names that messages give them; raise for what is no tuple of two."""
    if lengths is None:
        return {}
    if not isinstance(lengths, tuple) or len(lengths) != 2:
        raise type_error("lengths", "a tuple (chosen, rejected) of columns of whole numbers", shown(lengths))
    return {"lengths[0]": lengths[0], "lengths[1]": lengths[1]}


def token_counts(
    lengths: Any, columns: Sequence[NDArray[Any]], keep: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Return the numbers of tokens; raise where one is no whole number, or 0 beside a log-probability that is not 0.

    Pairs that do not count (``keep``; None: all count) get one token.
    """
    found = whole_lengths(lengths_by_name(lengths), len(columns[0]), keep)
    for side, (place, counts) in enumerate(zip(("lengths[0]", "lengths[1]"), found, strict=True)):
        if counts.min(initial=1.0) > 0:
            continue
        for column, name in zip(columns[side::2], COLUMNS[side : len(columns) : 2], strict=True):
            bad = (counts == 0) & (to_float64(column) != 0)
            if bad.any():
                i = int(np.argmax(bad))
                raise value_error(place, f"at least 1 where {name} is not 0", f"0 at index {i}")
    return found


def whole_lengths(named: dict[str, Any], n: int, keep: NDArray[np.bool_] | None) -> tuple[Floats, Floats]:
    """Return both columns of ``n`` lengths; raise for what is no whole number. Pairs that do not count get 1."""
    found = []
    for place, given in named.items():
        counts = to_float64(floats(given, place, ndim=1, numbers=True))
        if len(counts) != n:
            raise value_error(place, f"{n} values, one per pair", str(len(counts)))
        counts = counts if keep is None else np.where(keep, counts, 1.0)
        # A NaN is the smallest and the largest number of its column, and neither comparison holds for it.
        inside = counts.min(initial=0.0) >= 0 and counts.max(initial=0.0) < np.inf
        if not (inside and np.array_equal(np.floor(counts), counts)):
            i = int(np.argmin((counts >= 0) & (counts == np.floor(counts)) & (counts < np.inf)))
            raise value_error(place, "whole numbers of at least 0", f"{counts[i]} at index {i}")
        found.append(counts)
    return found[0], found[1]


def as_columns(given: dict[str, Any]) -> list[NDArray[Any]]:
    """Return the columns of log-probabilities as arrays; raise where their lengths differ."""
    columns = [floats(x, name, ndim=1, numbers=True) for name, x in given.items()]
    n = len(columns[0])
    for column, name in zip(columns, given, strict=True):
        if len(column) != n:
            raise value_error(name, f"{n} values, one per pair", str(len(column)))
    return columns


def blanked(columns: list[NDArray[Any]], rows: Rows) -> tuple[list[NDArray[Any]], NDArray[np.bool_] | None]:
    """Return the columns in one dtype, with -1 where a pair does not count, and the mask of these pairs, if any.

    -1 is an ordinary log-probability for every loss; 0 would be that of an empty or certain answer.
    """
    if len({column.dtype for column in columns}) > 1:
        columns = [to_float64(column) for column in columns]
    if rows.keep is None:
        return columns, None
    blanks = (
        np.uint16(0xBF80) if column.dtype == np.uint16 else column.dtype.type(-1) for column in columns
    )  # bfloat16
    return [np.where(rows.keep, column, blank) for column, blank in zip(columns, blanks, strict=True)], ~rows.keep


def _digits(dtype: np.dtype[Any]) -> int:
    """The number of binary digits of a float type; uint16 stands for bfloat16."""
    return {np.dtype(np.uint16): 8, np.dtype(np.float16): 11, np.dtype(np.float32): 24, np.dtype(float): 53}[dtype]


def step(column: NDArray[Any], dtype: np.dtype[Any]) -> float:
    """One unit in the last place, in ``dtype``, of the log-probability that is largest in absolute value."""
    values = to_float64(column) if column.dtype == np.uint16 else column
    return step_at(max(float(values.max()), -float(values.min())), dtype)


def step_at(largest: float, dtype: np.dtype[Any]) -> float:
    """The same where the largest absolute value is known."""
    return math.ldexp(1.0, math.frexp(largest)[1] - _digits(dtype)) if largest else 0.0


def warn_rounded(columns: Sequence[NDArray[Any]], called: Sequence[str] = COLUMNS) -> None:
    """Warn how far a 16-bit type rounds log-probabilities of this size: by half a step at the median of a sample."""
    for column, name in zip(columns, called[: len(columns)], strict=True):
        if column.dtype.itemsize != 2:
            continue
        size = np.abs(to_float64(column[:: max(1, len(column) // 4096)]))
        size = size[(size > 0) & (size < np.inf)]
        if not len(size):
            continue
        typical = float(np.median(size))
        kind, digits = ("bfloat16", 8) if column.dtype == np.uint16 else ("float16", 11)
        half = math.ldexp(1.0, math.frexp(typical)[1] - digits - 1)
        warn(
            f"{name}: {kind} log-probabilities of about {-typical:.3g} are rounded by up to {half:.2g} nats each; "
            "sum and keep them in float32 or float64"
        )
        return
