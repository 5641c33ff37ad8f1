"""Tables as one object: ``columns`` and ``data``, a list of rows; what pandas calls the orientation "split".

MLflow (``eval_results_table.json``) and wandb (with ``_type``, ``ncols`` and more beside it) write their tables so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..roles import ROLES
from ..table import record_error, shorten
from .document import Document, Object

_SCORE = "/score"  # how MLflow's metrics of single rows end: toxicity/v1/score


def recognised(one: Object, alone: bool) -> bool:
    """Whether an object is a table."""
    columns, data = one.get("columns"), one.get("data")
    if not alone or not isinstance(columns, list) or not isinstance(data, list) or not columns:
        return False
    return not data or isinstance(data[0], list)


def records(document: Document) -> Iterator[tuple[Object, int]]:
    """One record per row."""
    document.unit = "row"
    for table, _ in document.objects:
        columns = _columns(document, table["columns"])
        if not set(columns) & {*ROLES["score"].usual}:
            document.scores |= dict.fromkeys(name for name in columns if name.endswith(_SCORE))
        index = _index(table, columns)
        for number, row in enumerate(table["data"], 1):
            if not isinstance(row, list) or len(row) != len(columns):
                got = f"{len(row)}" if isinstance(row, list) else "something else"
                where = f"{document.name}, row {number}"
                raise record_error(where, f"a list of {len(columns)} values", got, "write the table again")
            record = dict(zip(columns, row, strict=True))
            yield record if index is None else {"index": index[number - 1], **record}, number


def _columns(document: Document, columns: list[Any]) -> list[str]:
    names = [".".join(map(str, name)) if isinstance(name, list) else str(name) for name in columns]
    for name, times in Counter(names).items():
        if times > 1:
            got = f"{shorten(name)!r} twice"
            raise record_error(document.name, "a table of different column names", got, "rename the columns")
    return names


def _index(table: Object, columns: list[str]) -> list[Any] | None:
    """The index of a pandas table, where it is more than the number of the row."""
    index = table.get("index")
    if not isinstance(index, list) or len(index) != len(table["data"]) or "index" in columns:
        return None
    return None if index == list(range(len(index))) else index
