"""A confidence from a list with one number per choice: log-likelihoods, logits or probabilities.

Multiple-choice evaluations log what the model thought of every choice (lm-evaluation-harness: ``filtered_resps``,
pairs of a log-likelihood and a flag, as text). The confidence in the choice that is taken is the largest softmax of
them, or, where they are probabilities already, the largest of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._softmax import largest_shares
from .roles import Floats, Rows
from .table import Table, record_error
from .values import number

SUM = 1e-3  # how far the sum of probabilities that were written with few digits may be from 1

Choices = list[float]


def are_lists(table: Table, column: str | None) -> bool:
    """Whether a column that was asked for holds lists, whose elements were kept, and nothing else."""
    if column is None or column not in table.columns or table.columns.kind(column) != "list":
        return False
    return table.columns.elements(column) is not None


def said(table: Table, column: str) -> str:
    """How the confidence comes from a column of lists, for the notes of the reading."""
    kept = table.columns.elements(column) or ()
    rows = [choices for row, of in enumerate(kept) if (choices := _numbers(of, column, table.where, row)) is not None]
    if _are_probabilities(rows):
        return f"confidence: the largest probability in each list of {column!r}"
    return f"confidence: the largest softmax of the log-likelihoods or logits in each list of {column!r}"


def confidences(table: Table, column: str, rows: Sequence[int]) -> tuple[Floats, Rows]:
    """The confidence in each of these rows, and the rows without a list."""
    kept = table.columns.elements(column) or ()
    every = [_numbers(of, column, table.where, row) for row, of in enumerate(kept)]
    probabilities = _are_probabilities([of for of in every if of is not None])
    chosen = [every[row] for row in rows]
    there = [of for of in chosen if of is not None]
    none = np.array([of is None for of in chosen], dtype=bool)
    found = np.full(len(chosen), np.nan)
    found[~none] = [max(of) for of in there] if probabilities else largest_shares(there)
    return found, none


def _numbers(of: list[Any] | None, column: str, where: Callable[[int], str], row: int) -> Choices | None:
    """One number per choice; None where the row has no list."""
    if of is None:
        return None
    found = [number(one[0] if isinstance(one, list) and one else one) for one in of]
    if any(value is None or value != value for value in found) or not found or max(map(_known, found)) in _INFINITE:
        expected = "a list of numbers, one per choice (log-likelihoods, logits or probabilities)"
        raise record_error(f"{where(row)}: {column}", expected, _shown(of), "choose another column")
    return [_known(value) for value in found]


_INFINITE = (float("inf"), float("-inf"))


def _known(value: float | None) -> float:
    return float("inf") if value is None else value


def _shown(of: list[Any]) -> str:
    said = repr(of[:3])[:-1] + (", ..." if len(of) > 3 else "") + "]"
    return said if len(said) < 60 else f"{said[:60]}..."


def _are_probabilities(rows: Sequence[Choices]) -> bool:
    """Whether all lists hold shares that add up to 1."""
    return bool(rows) and all(min(of) >= 0.0 and abs(sum(of) - 1.0) <= SUM for of in rows)
