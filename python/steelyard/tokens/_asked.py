"""The columns of token scores: their names, which are computed, and the shapes that they have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._options import choice
from .._registries import names
from ..errors import shown, type_error, value_error
from .kl_base import KLBase

__all__ = ["ALWAYS", "COMPARED", "OF_BASE", "OF_ROW", "Column", "PairColumn", "asked_of", "shaped"]

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
        raise value_error("columns", expected, repr(alone[0]), "pass baseline=")
    asked = {choice(name, "columns", (*known, *pairs, "all")) for name in given}
    every = "all" in asked
    return (
        [name for name in known if every or name in asked or name in ALWAYS],
        [name for name in pairs if every or name in asked],
    )
