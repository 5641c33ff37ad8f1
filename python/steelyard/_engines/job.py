"""What is done with each partition: which states its rows are added to, by which columns, and in which groups."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import id_column
from .._clusters import codes_of_all, texts
from .._mode import standard_mode
from .._scan import BATCH_ROWS
from .._scan.batch import Batch
from .._scan.parts import Part, parts_of
from .._scan.values import Kinds
from .._scan.work import Work, add_to, each_batch, wanted_by, works_of
from .._state import State
from .._strides import rows_by_part
from ..errors import called, shown, type_error, value_error
from .share import Key, Share, ends_of

__all__ = ["Job", "job_of", "of_partition"]

NO_GROUP = -1


class Job(NamedTuple):
    """Empty states with the columns that each takes, and the column of groups; engines send it to their workers."""

    works: tuple[Work, ...]
    names: tuple[str, ...] | None
    """What the caller calls the states; None where there is one without a name."""
    by: str | None
    counted: str | None
    """The column that says which rows count, if the states take one."""

    @property
    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys([*wanted_by(self.works), *([] if self.by is None else [self.by])]))

    @property
    def states(self) -> tuple[State, ...]:
        """The empty states."""
        return tuple(work.part for work in self.works)

    @property
    def token(self) -> tuple[object, ...]:
        """What tells this job from others, in types whose text is the same in every process."""
        of_states = [(type(one.part).__name__, one.part.to_bytes(), sorted(one.asked.of.items())) for one in self.works]
        return repr(of_states), self.names, self.by

    @property
    def omits(self) -> bool:
        """Whether rows without a group are left out rather than an error."""
        return all(state._options().get("nan_policy") == "omit" for state in self.states)


def job_of(columns: Any, state: Any, by: Any = None) -> Job:
    """Check the columns, the states (which must be empty) and the column of groups."""
    if by is not None and not isinstance(by, str):
        raise type_error("by", "the name of a column", shown(by))
    works = tuple(Work(work.part, work.part, work.asked) for work in works_of(columns, state))
    given = [state] if isinstance(state, State) else list(state.values())
    for one, work in zip(given, works, strict=True):
        if work.asked.numbered:
            fix = "the counts of a row follow from its id, and partitions do not number their rows"
            raise value_error("columns", "a column of ids for clusters", f"none for {one!r}", fix)
        if one != work.part:
            fix = "merge what the engine returns into the state that you have"
            raise value_error("state", "a state to which nothing has been added", repr(one), fix)
    counted = [work.asked.of.get("where") for work in works]
    alike = counted[0] if len({str(one) for one in counted}) == 1 else None
    return Job(works, None if isinstance(state, State) else tuple(state), by, alike if isinstance(alike, str) else None)


@standard_mode
def of_partition(job: Job, source: Any, at: int) -> bytes:
    """The share of the partition at a position: anything that ``scan`` takes, or None where it is known to be empty."""
    name = f"partition {at:,}"
    kinds, share = Kinds(), Share(ends_of(at), {}, {}, 0)
    works = [Work(work.whole, work.whole.copy(), work.asked) for work in job.works]
    grouped = _Grouped(job)
    parts: list[Part] = [] if source is None else parts_of(source, job.columns, name)
    for _ in each_batch(parts, BATCH_ROWS, kinds, works, None if job.by is None else grouped.add):
        pass
    share.kinds.update({column: (kind, at) for column, (kind, _) in kinds.first.items()})
    if job.by is None:
        share.groups[None] = (0, [work.part for work in works])
    else:
        share.groups.update(grouped.found)
    return share._replace(nameless=grouped.nameless).to_bytes()


class _Grouped:
    """The states of each group that has occurred, and how many of its rows may count."""

    def __init__(self, job: Job) -> None:
        self.job, self.nameless = job, 0
        self.found: dict[Key, tuple[int, list[State]]] = {}

    def add(self, works: list[Work], batch: Batch) -> None:
        """Add the rows of a batch to the states of their groups."""
        assert self.job.by is not None
        n = len(batch)
        counts = None if self.job.counted is None else np.asarray(batch[self.job.counted], np.bool_)
        with called({"by": f"column {self.job.by!r}"}):
            ids, none = id_column(batch[self.job.by], "by")
            known = None if none is None else ~none
            self._count_nameless(none, counts)
            codes, unique = codes_of_all(ids, "by", n, known, blank=NO_GROUP)
            keys = _keys(unique)
        sizes = np.bincount(codes - NO_GROUP, minlength=len(keys) + 1)
        ends = np.cumsum(sizes)
        order = rows_by_part(codes - NO_GROUP, ends - sizes)
        for group, key in enumerate(keys, 1):
            rows = order[ends[group] - sizes[group] : ends[group]]
            present, states = self.found.get(key) or (0, [state.copy() for state in self.job.states])
            mine = batch.taken(rows)
            for work, state in zip(works, states, strict=True):
                add_to(state, work.asked, mine)
            self.found[key] = (present + (len(rows) if counts is None else int(counts[rows].sum())), states)

    def _count_nameless(self, none: NDArray[np.bool_] | None, counts: NDArray[np.bool_] | None) -> None:
        if none is None:
            return
        lost = none if counts is None else none & counts
        if lost.any() and not self.job.omits:
            fix = 'drop those rows with where=, or pass nan_policy="omit" to leave them out'
            raise value_error("by", "an id for every row", f"none at index {int(np.argmax(lost))}", fix)
        self.nameless += int(np.count_nonzero(lost))


def _keys(unique: NDArray[Any]) -> list[Key]:
    """Ids as whole numbers or texts, which JSON can write and which are in order among their kind."""
    if unique.dtype.kind in "iu" or (unique.dtype.kind == "f" and bool((unique == np.floor(unique)).all())):
        return [int(one) for one in unique.tolist()]
    return list(texts(unique, "by"))
