"""The rows on which two models differ, which are what a paired comparison rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import to_float64
from .._columns import columns, one_column
from .._options import NanPolicy
from .._rows import Rows, Selection
from .._strides import strides
from ..errors import value_error

__all__ = ["Compared", "differing", "flipped"]

Array = NDArray[Any]
# A difference of at most this share of the larger score counts as rounding. The kernel has the same rule.
ROUNDING = 1 / (1 << 49)
BFLOAT16 = (1 / (1 << 7), 1 / (1 << 133))  # its step at 1 and its smallest number; NumPy does not know the type


class Compared(NamedTuple):
    """What the caller compared. These are the caller's own objects, not copies, which may be large."""

    models: Any
    """The new model, or the models without the baseline."""
    baseline: Any
    where: Any
    nan_policy: NanPolicy
    ids: Array | None
    """The records' ids, where ``steelyard.records`` has matched them."""
    higher_is_better: bool
    counts: tuple[tuple[int | None, int | None], ...]
    """The wins and losses of each model, by which a change of the scores since the comparison is noticed."""

    @classmethod
    def ids_of(cls, new: Any) -> Array | None:
        """The ids of a mapping that ``steelyard.records`` made; None for any other scores."""
        ids = getattr(new, "ids", None) if isinstance(new, Mapping) else None
        return ids if isinstance(ids, np.ndarray) else None


def flipped(compared: Compared) -> dict[str, Array]:
    """The rows where a model and the baseline differ: losses first, then wins, the largest difference first in both.

    Of several models the rows of each follow one another, with its name in the column ``name``.
    """
    found = columns(compared.models, "new")
    base = one_column(compared.baseline, "baseline")
    selection = Selection(compared.where, None, compared.nan_policy)
    tables = []
    for (name, new), counts in zip(found.items, compared.counts, strict=True):
        rows = differing(new, base, selection.rows(name, new, base))
        order = _losses_first(rows["difference"], higher_is_better=compared.higher_is_better)
        if (len(order) - order.losses, order.losses) != counts:
            got = f"others: {len(order) - order.losses} wins and {order.losses} losses now, {counts[0]} and {counts[1]}"
            raise value_error(name, "the scores that were compared", f"{got} then", "read items before changing them")
        tables.append({column: values[order.rows] for column, values in rows.items()})
    table = {column: np.concatenate([rows[column] for rows in tables]) for column in tables[0]}
    if compared.ids is not None:
        table = {"id": compared.ids[table["index"]], **table}
    if found.many:
        names = found.names or tuple(map(str, range(len(tables))))  # as Comparison.table calls them
        table = {"name": np.repeat(np.array(names), [len(rows["index"]) for rows in tables]), **table}
    for values in table.values():
        values.setflags(write=False)
    return table


def differing(new: Array, base: Array, rows: Rows) -> dict[str, Array]:
    """The rows that count on which the scores differ by more than rounding, in the order of the data."""
    coarse = _coarser(new, base)
    parts: list[tuple[Array, ...]] = []
    for step in strides(len(new)):
        a, b = to_float64(new[step]), to_float64(base[step])
        difference = a - b
        differ = _differ(a, b, difference, coarse)
        if rows.keep is not None:
            differ &= rows.keep[step]
        here = np.flatnonzero(differ)
        parts.append((here + step.start, a[here], b[here], difference[here]))
    names = ("index", "new", "baseline", "difference")
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def apart(new: Array, base: Array) -> Iterator[tuple[slice, Array]]:
    """The differences of some rows at a time, in float64; those that are rounding alone are 0."""
    coarse = _coarser(new, base)
    for step in strides(len(new)):
        a, b = to_float64(new[step]), to_float64(base[step])
        with np.errstate(over="ignore"):
            difference = a - b
        yield step, np.where(_differ(a, b, difference, coarse), difference, 0.0)


def _differ(a: Array, b: Array, difference: Array, coarse: tuple[float, float]) -> Array:
    """Where scores differ by more than rounding."""
    relative, absolute = coarse
    size = np.abs(difference)
    found: Array = (size > max(relative, ROUNDING) * np.maximum(np.abs(a), np.abs(b))) & (size > absolute)
    return found


def _coarser(new: Array, base: Array) -> tuple[float, float]:
    """The step at 1 and the smallest number of the less precise type, where the two columns have different types."""
    if new.dtype == base.dtype or np.bool_ in (new.dtype, base.dtype):
        return 0.0, 0.0
    return max(map(_precision, (new, base)))


def _precision(x: Array) -> tuple[float, float]:
    if x.dtype == np.uint16:
        return BFLOAT16
    of = np.finfo(x.dtype)
    return float(of.eps), float(of.smallest_subnormal)


class _Order(NamedTuple):
    rows: NDArray[np.int64]
    losses: int

    def __len__(self) -> int:
        return len(self.rows)


def _losses_first(difference: Array, *, higher_is_better: bool) -> _Order:
    """The order of differences that are not 0: losses before wins, the largest first, equal ones as they come."""
    gain = difference if higher_is_better else -difference
    losses, wins = np.flatnonzero(gain < 0.0), np.flatnonzero(gain > 0.0)
    ordered = [_smallest_first(losses, gain[losses]), _smallest_first(wins, -gain[wins])]
    return _Order(np.concatenate(ordered), len(losses))


def _smallest_first(rows: NDArray[np.int64], values: Array) -> NDArray[np.int64]:
    """The rows ordered by these values; values that are all equal, as of 0/1 scores, need no sorting."""
    equal = len(values) == 0 or values.min() == values.max()
    return rows if equal else rows[np.argsort(values, kind="stable")]
