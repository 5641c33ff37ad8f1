"""The graph of a reduction: a task for each partition, and a tree that merges what they give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dask import delayed
from dask.base import tokenize
from dask.delayed import Delayed

from .._engines import Job, merged, of_partition
from ._pieces import Pieces

__all__ = ["reduced"]

FAN_IN = 8  # how many shares one task merges


def _update(job: Job, at: int, names: tuple[str, ...] | None, *pieces: Any) -> bytes:
    """The share of a partition."""
    if names is None:
        (frame,) = pieces
        return of_partition(job, {name: frame[name] for name in frame.columns}, at)
    return of_partition(job, dict(zip(names, pieces, strict=True)), at)


def _merge(job: Job, shares: list[bytes]) -> bytes:
    """The share of the partitions of some shares."""
    return merged(job.states, shares)


def reduced(job: Job, pieces: Pieces, finish: Callable[[Job, list[bytes]], Any]) -> Delayed:
    """What ``finish`` makes of the shares of all partitions.

    The names of the tasks, which dask's dashboard shows, begin with ``steelyard-update``, ``steelyard-merge`` and
    ``steelyard-compute``. They depend on the data and the question alone, so that dask knows equal questions.
    """
    token = tokenize([[piece.key for piece in some] for some in pieces.parts], job.token, finish.__name__)

    def task(work: str, function: Callable[..., Any], place: str, *inputs: Any) -> Delayed:
        return delayed(function, traverse=False)(*inputs, dask_key_name=f"steelyard-{work}-{token}-{place}")

    shares = [
        task("update", partial(_update, job, at, pieces.names), str(at), *some) for at, some in enumerate(pieces.parts)
    ]
    level = 0
    while len(shares) > FAN_IN:
        level += 1
        shares = [
            task("merge", partial(_merge, job), f"{level}-{at}", shares[at : at + FAN_IN])
            for at in range(0, len(shares), FAN_IN)
        ]
    return task("compute", partial(finish, job), "0", shares)
