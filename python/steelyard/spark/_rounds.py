"""The passes over a Spark DataFrame: one row of bytes for each partition, then rounds of tasks that merge the rows.

What a task cannot take (a value that is refused, a column of another kind) is no failure of the task, which Spark would
run again, to fail again: it is said in the row, and raised where the rows come together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, chain
from operator import mul
from typing import Any

import pyarrow as pa
from pyspark import TaskContext

from .._engines import Job, merged, of_partition
from .._scan.parts import named
from ..errors import is_ours, type_error

__all__ = ["reduced"]

FAN_IN = 8
ROW = "at int, share binary, kind string, said string"
SCHEMA = pa.schema([("at", pa.int32()), ("share", pa.binary()), ("kind", pa.string()), ("said", pa.string())])
KINDS: dict[str, type[Exception]] = {"TypeError": TypeError, "ValueError": ValueError}

Rows = list[dict[str, Any]]


def reduced(frame: Any, job: Job, depth: int, finish: Callable[[Job, list[bytes]], Any]) -> Any:
    """What ``finish`` makes of the shares of all partitions, merged in ``depth`` rounds, the last one here."""
    if not hasattr(frame, "mapInArrow"):
        raise type_error("source", "a Spark DataFrame", type(frame).__name__)
    named(list(frame.columns), job.columns, "source")
    # Spark looks the columns up again for mapInArrow, and does not find one with a dot in its name.
    quoted = [f"`{name.replace('`', '``')}`" for name in job.columns]
    few = frame.select(*(frame[name].alias(f"column{i}") for i, name in enumerate(quoted)))
    rows = few.mapInArrow(partial(_update, job), ROW)
    for tasks in reversed(list(accumulate([FAN_IN] * (depth - 1), mul))):
        rows = rows.repartition(tasks).mapInArrow(partial(_merge, job), ROW)
    found = [row.asDict() for row in rows.collect()]
    return finish(job, _shares(found))


def _update(job: Job, batches: Iterable[Any]) -> Iterator[Any]:
    """The row of a partition, which comes in batches of some thousand rows."""
    context = TaskContext.get()
    at = 0 if context is None else context.partitionId()
    called = (pa.RecordBatch.from_arrays(batch.columns, names=job.columns) for batch in batches)
    first = next(called, None)
    source = None if first is None else pa.RecordBatchReader.from_batches(first.schema, chain([first], called))
    yield _row(at, lambda: of_partition(job, source, at))


def _merge(job: Job, batches: Iterable[Any]) -> Iterator[Any]:
    """The row of some rows, if there are any."""
    rows = [row for batch in batches for row in batch.to_pylist()]
    if rows:
        yield _row(min(row["at"] for row in rows), lambda: merged(job.states, _shares(rows)))


def _row(at: int, share: Callable[[], bytes]) -> Any:
    """One row, with what was refused in place of a share."""
    try:
        row = {"at": at, "share": share(), "kind": None, "said": None}
    except (TypeError, ValueError) as error:
        if not is_ours(error):
            raise
        row = {"at": at, "share": None, "kind": type(error).__name__, "said": str(error)}
    return pa.RecordBatch.from_pylist([row], schema=SCHEMA)


def _shares(rows: Rows) -> list[bytes]:
    """The shares of some rows; raises what the first of their partitions refused."""
    rows = sorted(rows, key=lambda row: row["at"])
    for row in rows:
        if row["said"] is not None:
            raise KINDS[row["kind"]](row["said"])
    return [bytes(row["share"]) for row in rows]
