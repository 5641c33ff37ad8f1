"""What an audit is given: columns of texts and of numbers, one entry a row, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._arrays import booleans, floats, to_float64
from ..._clusters import codes_of_all
from ...errors import argument, keyword, shown, type_error, value_error

__all__ = ["NUMBERS", "Given", "given"]

Floats = NDArray[np.float64]
LOGPROBS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")
NUMBERS = (*LOGPROBS, "score_chosen", "score_rejected", "score_margin", "length_chosen", "length_rejected")
LARGEST = 1e100  # of scores and lengths, so that squares are finite
# What makes sense only together.
TOGETHER = (
    ("policy_chosen", "policy_rejected"), ("reference_chosen", "reference_rejected"),
    ("score_chosen", "score_rejected"), ("length_chosen", "length_rejected"),
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """The columns that were given."""

    n: int
    texts: Mapping[str, list[Any]]
    """Of ``chosen``, ``rejected``, ``prompts``, ``labels``, ``sources``, ``ids``: those that are there."""
    numbers: Mapping[str, Floats]
    """Log-probabilities as they came; scores and lengths as float64, NaN where there is none."""
    logprobs: Mapping[str, Any]
    keep: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None
    left_out: dict[str, int]

    def names(self, column: str) -> list[str] | None:
        """A column as texts, empty where there is none; None without the column."""
        if column not in self.texts:
            return None
        return ["" if value is None else str(value) for value in self.texts[column]]


def given(texts: Mapping[str, Any], numbers: Mapping[str, Any], where: Any, clusters: Any) -> Given:
    """Check the columns; raise where one is no column, or lacks the one that belongs to it."""
    columns = {name: _listed(value, name) for name, value in texts.items() if value is not None}
    arrays = {
        name: floats(value, name, ndim=1, numbers=True, bits=True)
        for name, value in numbers.items()
        if value is not None
    }
    _check_together(columns, arrays)
    sizes = {name: len(column) for name, column in columns.items()}
    sizes |= {name: len(array) for name, array in arrays.items()}
    first, n = next(iter(sizes.items()))
    for name, size in sizes.items():
        if size != n:
            raise value_error(name, f"{n} values, as many as {argument(first)}", str(size))
    if n == 0:
        raise value_error(first, "at least one row", "none")
    wide = {name: to_float64(array) for name, array in arrays.items()}
    for name, column in wide.items():
        _check_range(name, column)
    keep = np.ones(n, np.bool_) if where is None else booleans(where, "where", (n,))
    codes = None if clusters is None else codes_of_all(clusters, "clusters", n, None if where is None else keep)[0]
    out = n - int(np.count_nonzero(keep))
    return Given(
        n, columns, wide, {name: array for name, array in arrays.items() if name in LOGPROBS}, keep, codes,
        {"where": out} if out else {},
    )  # fmt: skip


def _listed(value: Any, name: str) -> list[Any]:
    """A column as a list of Python objects."""
    if isinstance(value, list | tuple):
        return list(value)
    for method in ("to_pylist", "to_list", "tolist"):
        if not isinstance(value, str | bytes | dict) and callable(getattr(value, method, None)):
            found = getattr(value, method)()
            if isinstance(found, list):
                return found
    raise type_error(name, "a list or a column, one entry a row", shown(value))


def _check_range(name: str, column: Floats) -> None:
    """Raise for a score or a length that is none; log-probabilities are looked at where they are used."""
    if name in LOGPROBS:
        return
    low = 0.0 if name.startswith("length") else -LARGEST
    bad = ~((column >= low) & (column <= LARGEST) | np.isnan(column))
    if name.startswith("length"):
        bad |= ~np.isnan(column) & (column != np.floor(column))
        whole = "whole "
    else:
        whole = ""
    if bad.any():
        row = int(np.argmax(bad))
        expected = f"{whole}numbers from {low:g} to {LARGEST:g}, NaN where there is none"
        raise value_error(name, expected, f"{column[row]} at index {row}")


def _check_together(texts: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
    unpaired = "labels" in texts
    if unpaired and "rejected" in texts:
        raise value_error("labels", "None beside rejected answers", "labels", "leave one of the two out")
    if not unpaired and ("chosen" in texts) != ("rejected" in texts):
        name, other = ("rejected", "chosen") if "chosen" in texts else ("chosen", "rejected")
        fix = f"or give {keyword('labels')} of single answers" if name == "rejected" else ""
        raise value_error(name, f"answers, as {argument(other)} has them", "None", fix)
    if unpaired and "chosen" not in texts:
        raise value_error("chosen", "the answers that labels are of", "None")
    for name in numbers:
        if unpaired and name not in ("score_chosen", "length_chosen"):
            raise value_error(name, "None beside labels, which are of single answers", "a column")
    for pair in TOGETHER:
        there = [name for name in pair if name in numbers]
        if len(there) == 1 and not unpaired:
            other = pair[there[0] == pair[0]]
            raise value_error(other, f"a column, as {argument(there[0])} is one", "None")
    if "score_margin" in numbers and "score_chosen" in numbers:
        raise value_error(
            "score_margin", f"None beside {argument('score_chosen')} and {argument('score_rejected')}", "a column"
        )
    if "reference_chosen" in numbers and "policy_chosen" not in numbers:
        raise value_error("policy_chosen", f"a column, as {argument('reference_chosen')} is one", "None")
    if not texts.keys() & {"chosen"} and "policy_chosen" not in numbers:
        raise value_error("chosen", "texts of answers, or log-probabilities of a policy", "None")
