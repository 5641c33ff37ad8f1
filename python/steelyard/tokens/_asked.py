"""The columns of token scores: their names, which are computed, and the shapes that they have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import booleans, integers
from .._options import choice, whole
from .._registries import names
from ..errors import shown, type_error, value_error
from .kl_base import KLBase

__all__ = [
    "ALWAYS", "COMPARED", "OF_BASE", "OF_ROW", "Column", "PairColumn", "asked_of", "counting", "shaped", "targets_of",
]  # fmt: skip

Column = Literal[
    "nll", "log_z", "top", "correct", "confidence", "probability", "margin", "entropy", "varentropy", "collision",
    "rank", "rank_ties", "top_k", "label_smoothed", "z_loss", "mean_logit",
]  # fmt: skip
PairColumn = Literal[
    "kl", "kl_reverse", "js", "tv", "delta_p", "same_top", "flips", "nll_difference", "kl_llama_cpp",
]  # fmt: skip
# The columns of every TokenScores: they follow from the sum that all columns need.
ALWAYS: tuple[Column, ...] = ("nll", "log_z")
# The columns that do not depend on the target, so that candidates of one row share them.
OF_ROW = frozenset((
    "log_z", "top", "confidence", "entropy", "varentropy", "collision", "z_loss", "mean_logit",
    "kl", "kl_reverse", "js", "tv", "same_top", "kl_llama_cpp",
))  # fmt: skip
# What a baseline adds where no columns are named: all but the one that takes half as long again.
COMPARED: tuple[PairColumn, ...] = ("kl", "kl_reverse", "tv", "delta_p", "same_top", "flips", "nll_difference")
# Only of a base file, whose numbers are log-probabilities.
OF_BASE: tuple[PairColumn, ...] = ("kl_llama_cpp",)


def targets_of(targets: ArrayLike, rows: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Return the targets of each row of the array ``name``: one, or several along an axis of their own."""
    t = np.array(integers(targets, "targets"))  # copied, since it is read more than once and could change meanwhile
    leading = rows.shape[:-1]
    if t.shape != leading and not (t.shape[:-1] == leading and t.ndim == rows.ndim and t.shape[-1] > 0):
        expected = f"shape {leading}, that of {name} without its last axis, or {leading} and the number of candidates"
        raise value_error("targets", expected, f"shape {t.shape}")
    return t


def counting(t: NDArray[np.int64], ignore_index: int | None, where: ArrayLike | None) -> dict[str, Any]:
    """Return the arguments of the core that say which targets count."""
    ignored = ignore_index
    if ignored is not None:
        ignored = whole(ignored, "ignore_index", -(2**63), 2**63 - 1, "a whole number or None")
    return {
        "ignore_index": ignored,
        "counted": None if where is None else np.array(booleans(where, "where", t.shape), order="C"),
    }  # fmt: skip


def shaped(
    listed: Sequence[str], found: Iterable[NDArray[np.float64]], each: tuple[int, ...], rows: tuple[int, ...]
) -> dict[str, Any]:
    """The columns by name, one entry a target or one a row."""
    columns: dict[str, Any] = {
        name: column.reshape(rows if name in OF_ROW else each) for name, column in zip(listed, found, strict=True)
    }
    if "top" in columns:
        columns["top"] = np.where(np.isnan(columns["top"]), -1.0, columns["top"]).astype(np.int64)
    return columns


def asked_of(columns: str | Iterable[str] | None, baseline: Any) -> tuple[Sequence[str], Sequence[str]]:
    """The names of the columns to compute: of one model, and of those that compare with the baseline."""
    known, all_pairs = names("tokens.columns"), names("tokens.pair_columns")
    of_file = isinstance(baseline, KLBase)
    pairs = [] if baseline is None else [name for name in all_pairs if of_file or name not in OF_BASE]
    if columns is None:
        return ALWAYS, [name for name in pairs if name in COMPARED or name in OF_BASE]
    try:
        given = (columns,) if isinstance(columns, str) else tuple(columns)
    except TypeError:
        raise type_error("columns", f"names of columns, of {', '.join(known)}, or 'all'", shown(columns)) from None
    if alone := [name for name in given if isinstance(name, str) and name in all_pairs and name not in pairs]:
        what = "columns of logits" if pairs else "columns of one model"
        expected = f"{what} where {'baseline is no base file' if pairs else 'there is no baseline'}"
        raise value_error("columns", expected, repr(alone[0]), "pass a KLBase" if pairs else "pass baseline=")
    asked = {choice(name, "columns", (*known, *pairs, "all")) for name in given}
    every = "all" in asked
    return (
        [name for name in known if every or name in asked or name in ALWAYS],
        [name for name in pairs if every or name in asked],
    )
