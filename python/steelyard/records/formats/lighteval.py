"""Details of lighteval: Parquet with one row per document and its metrics in a struct.

Newer files have the structs ``doc``, ``metric`` and ``model_response``; older ones ``metrics`` beside plain columns
such as ``example`` and ``full_prompt``. Only the newer ones have an id.
"""

from __future__ import annotations

from dataclasses import replace

from ..roles import ROLES
from ..table import Table

_METRICS = ("metric.", "metrics.")
_DOCUMENT = ("doc.query", "full_prompt", "example")
_ID = "doc.id"


def described(table: Table) -> Table:
    """The table with its id and scores named, where it holds details of lighteval; else as it is."""
    metrics = [name for name in table.columns if name.startswith(_METRICS)]
    if not metrics or not any(name in table.columns for name in _DOCUMENT):
        return table
    usual = any(name.rpartition(".")[2] in ROLES["score"].usual for name in metrics)
    return replace(
        table,
        scores=() if usual else tuple(metrics),
        ids=(_ID,) if _ID in table.columns and "id" not in table.columns else (),
    )
