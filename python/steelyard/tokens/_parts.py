"""The perplexity of each group of rows (``by=``), and that of strata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._clusters import codes_of_all, texts
from .._columns import Array, Mask, differ
from .._estimate import Estimate
from .._intervals import simultaneous, stack, stricter
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Selection, nonzero, nothing_counts
from .._strata import Strata, nested
from .._strides import coded, rows_by_part
from ..errors import value_error
from ._batch import COUNTS, Batch
from ._result import estimate_of

__all__ = ["in_parts"]

Indices = NDArray[np.int64]
NO_ID = -1


class Totals(Protocol):
    """What is used here of a ``PerplexityState``."""

    _totals: _core.PerplexityTotals
    _unit: str
    _confidence: Confidence

    def _add(self, batch: Batch, on_progress: OnProgress) -> None: ...
    def _estimate(self, confidence: Confidence) -> Estimate: ...


class _Ids(NamedTuple):
    """The group or stratum of each row as a code, ``NO_ID`` where it has none."""

    codes: Indices
    unique: Array

    def parts(self) -> list[Indices]:
        """The rows of each id."""
        sizes = np.bincount(self.codes - NO_ID, minlength=len(self.unique) + 1)
        ends = np.cumsum(sizes)
        order = rows_by_part(self.codes - NO_ID, ends - sizes)
        return [order[end - size : end] for size, end in zip(sizes[1:].tolist(), ends[1:].tolist(), strict=True)]


def in_parts(new: Callable[[], Totals], batch: Batch, selection: Selection, on_progress: OnProgress) -> Estimate:
    """The perplexity of each group of ``selection``, or the one of its strata; ``new`` makes an empty state."""
    counting, lost = batch.counting(), {}
    groups = strata = None
    if selection.by is not None:
        groups = _ids("by", (selection.by, selection.nameless), batch, counting, omit=selection.omit)
        counting, lost["no group"] = _less(batch, counting, groups)
    if selection.strata is not None:
        strata = _ids("strata", selection.strata[:2], batch, counting, omit=selection.omit)
        counting, lost["no stratum"] = _less(batch, counting, strata)
    if not counting.any():
        raise nothing_counts("x", "token", nonzero({"where": batch.excluded(), **lost}))
    # Rows of which nothing counts are kept, since their tokens are counted as left out.
    usable = counting | ~batch.counting()

    def answer(rows: Indices) -> Callable[[Confidence], Estimate]:
        if strata is None or selection.strata is None:
            state = new()
            state._add(batch.of(rows), on_progress)
            return state._estimate
        counted = rows[counting[rows]]
        codes, present = coded(strata.codes[counted])
        of = Strata(codes, strata.unique[present], selection.strata.average)
        return _stratified(new, batch, (counted, rows[~counting[rows]]), of, on_progress)

    level = new()._confidence
    if groups is None:
        found = answer(np.flatnonzero(usable))(level)
        return replace(found, left_out=found.left_out | nonzero(lost))
    answers = {}
    for rows, label in zip(groups.parts(), texts(groups.unique, "by"), strict=True):
        if batch.excludes(rows):
            continue
        if not counting[rows].any():
            fix = "leave the group out with where="
            raise value_error("by", "a token that counts in every group", f"none in {label!r}", fix)
        answers[label] = answer(rows[usable[rows]])
    differ(answers, "by")
    parts = [of_level(level) for of_level in answers.values()]
    if len(parts) > 1:
        strict = stricter(level, len(parts))
        parts = [simultaneous(part, of_level(strict)) for part, of_level in zip(parts, answers.values(), strict=True)]
    return stack([replace(part, left_out=part.left_out | nonzero(lost)) for part in parts], tuple(answers))


def _ids(name: str, given: tuple[Array, Mask | None], batch: Batch, counting: Mask, *, omit: bool) -> _Ids:
    """The ids of the rows, checked where a row counts; ``given`` also has a mask of the rows without one."""
    ids, nameless = given
    if ids.shape != batch.shape:
        unit = "token" if batch.nll.ndim == 1 else "row"
        raise value_error(name, f"one id per {unit}, shape {batch.shape}", f"shape {ids.shape}")
    n = len(counting)
    none = np.zeros(n, np.bool_) if nameless is None else nameless.reshape(-1)
    if (none & counting).any() and not omit:
        fix = 'drop those rows with where=, or pass nan_policy="omit" to leave them out'
        raise value_error(name, "an id for every row", f"none at index {int(np.argmax(none & counting))}", fix)
    return _Ids(*codes_of_all(ids.reshape(-1), name, n, None if nameless is None else ~none, blank=NO_ID))


def _less(batch: Batch, counting: Mask, ids: _Ids) -> tuple[Mask, int]:
    """The rows that count and have an id, and how many tokens of the others would have counted."""
    gone = counting & (ids.codes == NO_ID)
    return counting & ~gone, _tokens(batch, np.flatnonzero(gone))


def _tokens(batch: Batch, rows: Indices) -> int:
    """How many tokens of some rows count."""
    part = batch.of(rows)
    return part.nll.size if part.status is None else int(np.count_nonzero(part.status == COUNTS))


def _stratified(
    new: Callable[[], Totals],
    batch: Batch,
    rows: tuple[Indices, Indices],
    strata: Strata,
    on_progress: OnProgress,
) -> Callable[[Confidence], Estimate]:
    """The perplexity of the strata of the rows that count, at any level of confidence.

    ``rows`` are these, and the rows of which no token counts.
    """
    counted, rest = rows
    if batch.names is not None:
        codes, at, keep = batch.clusters_of_rows(counted)
        nested(strata._replace(codes=strata.codes[at][keep]), codes[keep], batch.clusters)

    def state_of(some: Indices) -> Totals:
        state = new()
        state._add(batch.of(some), on_progress)
        return state

    states = [state_of(counted[part]) for part in _Ids(strata.codes, strata.ids).parts()]
    for stratum, state in enumerate(states):
        if state._totals.size()[1] < 2:
            got = f"fewer in {strata.name(stratum)!r}, which has no variance"
            fix = "merge it with another stratum, or leave it out with where="
            raise value_error("strata", "at least two clusters in every stratum", got, fix)
    counts = [state._totals.counts() for state in (*states, state_of(rest))]
    together: _core._TokenCounts = {
        "infinite": sum(of["infinite"] for of in counts), "nan": sum(of["nan"] for of in counts),
        "excluded": sum(of["excluded"] for of in counts), "ignored": sum(of["ignored"] for of in counts),
    }  # fmt: skip

    def at_level(confidence: Confidence) -> Estimate:
        totals = [state._totals for state in states]
        unit = states[0]._unit if states else "nats"
        found = _core.PerplexityTotals.stratified(totals, average=strata.average, unit=unit, **confidence.keywords)
        return estimate_of(found, together, confidence, "float64", strata)

    return at_level
