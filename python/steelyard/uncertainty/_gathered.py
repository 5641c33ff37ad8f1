"""What the states of a statistic of sums have in common: its columns, the rows that count, and their ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .._arrays import aligned
from .._clusters import codes_and_names
from .._columns import Array, one_column
from .._levels import Clusters
from .._rows import Rows, Selection
from ..errors import shown, type_error, value_error
from ._statistics import chosen, column_names, for_core, is_of_sums, of_sums_by_name, several_columns

__all__ = ["Gathered", "empty_columns", "gathered", "of_clusters", "statistic_of_sums"]


class Gathered(NamedTuple):
    """The rows of an update that count."""

    columns: Mapping[str, Array]
    """All rows of each column, by the caller's names."""
    rows: Rows
    values: list[Array]
    """The rows of the columns that count, for the core."""
    ids: dict[str, Any]
    """``codes`` and ``names`` of their clusters; empty without clusters."""

    @property
    def left_out(self) -> dict[str, int]:
        """What the core counts beside them."""
        return {"excluded": self.rows.left_out.get("where", 0), "nan": self.rows.left_out.get("nan", 0)}


def statistic_of_sums(statistic: object, fix: str) -> str:
    """The name of a statistic of sums, or of a quotient of two."""
    name = chosen(statistic).name
    if not is_of_sums(name):
        known = ", ".join(of_sums_by_name())
        raise value_error("statistic", f"one of {known}, or a quotient of two", repr(str(statistic)), fix)
    return name


def _columns_of(x: Any, statistic: str) -> dict[str, Array]:
    """The columns of a statistic: one, or a tuple of several."""
    if len(column_names(statistic)) > 1:
        return several_columns(x, statistic)
    if isinstance(x, tuple):
        raise type_error("x", "an array or a list", "a tuple")
    return {"x": one_column(x, "x")}


def gathered(x: Any, statistic: str, where: Any, clusters: Any, nan_policy: str) -> Gathered | None:
    """The rows that count, with the names of their clusters; None where there are no rows at all."""
    aligned(x=x, where=where, clusters=clusters)
    columns = _columns_of(x, statistic)
    n = len(next(iter(columns.values())))
    if not n:
        return None
    rows = Selection(where, None, nan_policy).rows("x", *columns.values(), some=False)
    ids: dict[str, Any] = {}
    if clusters is not None and (rows.keep is None or rows.keep.any()):
        if isinstance(clusters, tuple):
            raise type_error("clusters", "an array or a list of ids", shown(clusters))
        codes, names = codes_and_names(clusters, "clusters", n, rows.keep)
        ids = {"codes": rows.of(codes), "names": names}
    return Gathered(columns, rows, for_core(map(rows.of, columns.values())), ids)


def of_clusters(n_clusters: int | None, left_out: dict[str, int]) -> Rows:
    """Rows of which only the number of clusters is known."""
    clusters = None if n_clusters is None else Clusters(np.empty(0, np.int64), n_clusters)
    return Rows(None, clusters, left_out)


def empty_columns(statistic: str) -> dict[str, Array]:
    """Columns without rows, by the names that a caller gives them."""
    count = len(column_names(statistic))
    return {name: np.empty(0) for name in (["x"] if count == 1 else [f"x[{i}]" for i in range(count)])}
