"""The totals of a mean, which are those of values alone until rows have weights or strata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _core
from ..errors import value_error

__all__ = ["MeanTotals"]

Totals = _core.EstimateTotals | _core.StatisticTotals


class MeanTotals:
    """Exact sums of values; with weights or strata those of a statistic of sums, which has both.

    Which of the two the core holds follows from the data alone, so that equal data give equal bytes: the second one as
    soon as a row has a weight or a stratum, or has been left out for one. A change makes new totals from a copy, and
    puts them in place by one assignment, as :class:`steelyard._column_totals.ColumnTotals` does.
    """

    def __init__(self, of: Totals | None = None) -> None:
        if isinstance(of, _core.StatisticTotals) and not _designed(of):
            raise value_error("data", "the totals of rows with weights or strata", "those of values alone")
        self._of: Totals = _core.EstimateTotals() if of is None else of

    @property
    def designed(self) -> _core.StatisticTotals | None:
        """The totals of rows with weights or strata; None for others."""
        return self._of if isinstance(self._of, _core.StatisticTotals) else None

    def update(self, values: Any, *, design: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Add a column with what ``StatisticTotals.update`` takes beside it; returns what that returns."""
        if not design:

            def added(old: Totals) -> Totals:
                if isinstance(old, _core.StatisticTotals):
                    return _together(old, _values(values, options))
                new = old.copy()
                new.update(values, **options)
                return new

            self._change(added)
            return {"added": True}
        batch = _core.StatisticTotals("mean")
        found = batch.update([values], **design, **options)
        if "refused" not in found:
            self._change(lambda old: _together(old, batch if _designed(batch) else _left_out(batch)))
        return found

    def merge(self, other: Self) -> None:
        """Add the totals of another state."""
        its = other._of
        self._change(lambda old: _together(old, its))

    def _change(self, made: Callable[[Totals], Totals]) -> None:
        while True:
            old = self._of
            new = made(old)
            # Between these two lines Python runs no other thread and no signal handler.
            if self._of is old:
                self._of = new
                return

    def size(self) -> dict[str, int]:
        """How many values count and in how many clusters, and how many do not count and why."""
        found: Any = self._of.size()
        return {"weightless": 0, "unstratified": 0, **found}

    def clustered(self) -> bool:
        """Whether the values come in clusters."""
        return self._of.clustered()

    def moments(self) -> Any:
        """The moments of all values; with weights or strata without their squares."""
        return self._of.moments()

    def cluster_sums(self, shift: float) -> tuple[Any, Any]:
        """The sum of ``w (x - shift)`` and of the weights w of each cluster; without weights they are 1."""
        return self._of.cluster_sums(shift)

    def copy(self) -> Self:
        """An independent copy."""
        return type(self)(self._of.copy())

    def to_bytes(self, config: bytes) -> bytes:
        """The bytes of the totals, with the caller's configuration."""
        return self._of.to_bytes(config)

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[Self, bytes]:
        """The totals of values alone that these bytes hold, and the caller's configuration."""
        found, config = _core.EstimateTotals.from_bytes(data)
        return cls(found), config


def _designed(of: _core.StatisticTotals) -> bool:
    return of.weighted() or of.stratified()


def _values(values: Any, options: dict[str, Any]) -> _core.EstimateTotals:
    made = _core.EstimateTotals()
    made.update(values, **options)
    return made


def _left_out(of: _core.StatisticTotals) -> _core.EstimateTotals:
    """The counts of rows of which none has a weight or a stratum, since they were left out before."""
    made, size = _core.EstimateTotals(), of.size()
    made.update(np.empty(0), excluded=size["excluded"], nan=size["nan"])
    return made


def _together(one: Totals, other: Totals) -> Totals:
    """The totals of both."""
    if isinstance(one, _core.EstimateTotals) and isinstance(other, _core.EstimateTotals):
        plain = one.copy()
        plain.merge(other)
        return plain
    made = _of_sums(one).copy()
    made.merge(_of_sums(other))
    return made


def _of_sums(of: Totals) -> _core.StatisticTotals:
    """The totals in the form that holds weights and strata.

    Sums of values alone cannot be brought into it: one row without either stands for them, which no totals of rows
    with weights or strata are merged with.
    """
    if isinstance(of, _core.StatisticTotals):
        return of
    made, size = _core.StatisticTotals("mean"), of.size()
    row = np.zeros(min(size["values"], 1))
    ids: dict[str, Any] = {"codes": row.astype(np.int64), "names": row.astype(np.int64)} if of.clustered() else {}
    made.update([row], **ids, excluded=size["excluded"], nan=size["nan"])
    return made
