"""What the states of a statistic of sums have in common: its columns, the rows that count, and their ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .._arrays import aligned
from .._clusters import codes_and_names, names_of
from .._columns import Array, one_column
from .._levels import Clusters
from .._rows import Rows, Selection
from .._strata import Strata, nested, stratum_ids
from ..errors import keyword, shown, type_error, value_error
from ._statistics import chosen, column_names, for_core, is_of_sums, of_sums_by_name, several_columns

__all__ = ["NO_DESIGN", "Design", "Gathered", "empty_columns", "gathered", "of_clusters", "statistic_of_sums"]


class Design(NamedTuple):
    """The arguments about weights and strata."""

    weights: Any = None
    strata: Any = None
    average: str = "micro"

    def check(self, clusters: Any) -> None:
        """Refuse weights and strata without clusters."""
        for name, given in (("weights", self.weights), ("strata", self.strata)):
            if given is not None and clusters is None:
                expected = f"ids with {keyword(name)}, since the interval needs the size of each unit"
                fix = "give each row an id of its own where rows are independent"
                raise value_error("clusters", expected, "none", fix)


NO_DESIGN = Design()


class Gathered(NamedTuple):
    """The rows of an update that count."""

    columns: Mapping[str, Array]
    """All rows of each column, by the caller's names."""
    rows: Rows
    values: list[Array]
    """The rows of the columns that count, for the core."""
    ids: dict[str, Any]
    """``codes`` and ``names`` of their clusters; empty without clusters."""
    design: dict[str, Any]
    """``weights`` and ``strata`` for the core, and how many rows were left out for them; empty without both."""

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


def gathered(
    x: Any, statistic: str, where: Any, clusters: Any, nan_policy: str, *, design: Design = NO_DESIGN
) -> Gathered | None:
    """The rows that count, with the names of their clusters; None where there are no rows at all."""
    aligned(x=x, where=where, clusters=clusters, weights=design.weights, strata=design.strata)
    design.check(clusters)
    strata = stratum_ids(design.strata, design.average)
    columns = _columns_of(x, statistic)
    n = len(next(iter(columns.values())))
    if not n:
        return None
    selection = Selection(where, None, nan_policy, weights=design.weights, strata=strata)
    rows = selection.rows("x", *columns.values(), some=False)
    ids: dict[str, Any] = {}
    if clusters is not None and (rows.keep is None or rows.keep.any()):
        if isinstance(clusters, tuple):
            raise type_error("clusters", "an array or a list of ids", shown(clusters))
        codes, names = codes_and_names(clusters, "clusters", n, rows.keep)
        ids = {"codes": rows.of(codes), "names": names}
    return Gathered(columns, rows, for_core(map(rows.of, columns.values())), ids, _design_of(rows, ids))


def _design_of(rows: Rows, ids: dict[str, Any]) -> dict[str, Any]:
    """The weights and strata of the rows that count, in the form that the core takes."""
    design: dict[str, Any] = {}
    if rows.weights is not None:
        design = {"weights": np.ascontiguousarray(rows.weights), "weightless": rows.left_out.get("zero weight", 0)}
    if rows.strata is not None:
        strata = _strata_of(rows.strata, ids)
        design |= {"strata": strata, "unstratified": rows.left_out.get("no stratum", 0)}
    return design


def _strata_of(strata: Strata, ids: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The stratum of each cluster, the names of the strata, and how many rows of each ``where`` lets count."""
    of_clusters = nested(strata, ids["codes"], len(ids["names"])) if ids else np.empty(0, np.int64)
    return of_clusters, names_of(strata.ids, "strata"), strata.wanted


def of_clusters(
    n_clusters: int | None, left_out: dict[str, int], *, weighted: bool = False, strata: Strata | None = None
) -> Rows:
    """Rows of which only the number of clusters is known, whether they have weights, and the clusters' strata."""
    clusters = None if n_clusters is None else Clusters(np.empty(0, np.int64), n_clusters)
    return Rows(None, clusters, left_out, np.empty(0) if weighted else None, strata=strata)


def empty_columns(statistic: str) -> dict[str, Array]:
    """Columns without rows, by the names that a caller gives them."""
    count = len(column_names(statistic))
    return {name: np.empty(0) for name in (["x"] if count == 1 else [f"x[{i}]" for i in range(count)])}
