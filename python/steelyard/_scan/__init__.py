"""One pass over a table that need not fit into memory: its columns go into states, some rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .._mode import standard_mode
from .._options import whole
from .._progress import Progress, batch_reporter
from .._state import State
from .parts import Part, parts_of
from .values import Kinds
from .work import Work, each_batch, wanted_by, works_of

__all__ = ["scan"]

AnyState = TypeVar("AnyState", bound=State)
AnyStates = TypeVar("AnyStates", bound=State | Mapping[str, State])

BATCH_ROWS = 1 << 20


@standard_mode
def scan(
    source: Any,
    columns: Any,
    state: AnyStates,
    *,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = False,
) -> AnyStates:
    """Add a table to a state in one pass that holds some rows in memory at a time; ``state.compute()`` then answers.

    The state is the one that the whole table would make in one ``update``, bit for bit: the order of the rows, the size
    of the batches and the division into files change nothing. Where the call raises or is interrupted, nothing has
    been added.

    Parameters
    ----------
    source
        A path, a list of paths, a pattern with ``*`` or a folder (whose ``name=value`` folders are columns): Parquet,
        Arrow IPC (Feather), CSV, TSV and JSON lines, also compressed, by their names. An Arrow table, record batch,
        reader or data set; a polars frame or lazy frame; whatever else exports an Arrow stream, such as a relation of
        DuckDB. A mapping from names to NumPy arrays, which may be mapped from a file. An iterable of tables of any of
        these kinds. Files and Arrow need pyarrow. A file that is given twice counts twice.

        A file of text has no types of its own: pyarrow tells them from its first rows, so that ids written as 007 and 7
        are the number 7, and an empty cell is a missing value. Where that is not what is meant, give a
        ``pyarrow.dataset.dataset(..., schema=...)``, which is read with the types that it says.
    columns : str, tuple, list or mapping
        Which columns the state is given: the name of the one that its ``update`` takes first; a tuple of names where
        that takes a tuple of columns; a list of names for a table ``[n, K]`` of them (a column of lists of equal
        lengths is one too). Or a mapping from arguments of ``update`` to one of these: ``{"x": "score", "clusters":
        "user"}``. A :class:`~steelyard.uncertainty.BootstrapState` without a column of ids takes the numbers of the
        rows in the source, from 0.
    state : State, or mapping from names to states
        What the rows are added to, such as :class:`~steelyard.uncertainty.EstimateState`,
        :class:`~steelyard.uncertainty.BootstrapState`,
        :class:`~steelyard.tokens.PerplexityState` or :class:`~steelyard.calibration.ReliabilityState`. With a mapping,
        ``columns`` is a mapping with the same names, and all states are made in the same pass.
    batch_rows : int, default 1,048,576
        How many rows are taken together; memory holds a few such batches of the columns that are read.
    progress : bool or callable
        As in :func:`steelyard.bootstrap`, in rows where it is known how many there are (Parquet, Arrow tables, arrays),
        else in batches with a total of 0.

    Returns
    -------
    The state, or the mapping, that was given.

    Raises
    ------
    TypeError, ValueError
        For a source, file or column that there is not, columns whose kind differs between parts (numbers in one,
        texts in another), and whatever the state refuses; the message names the column, the rows and the file.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> table = {"right": np.array([1, 0, 1, 1, 0, 1]), "user": ["ann", "ann", "bob", "cyd", "cyd", "dan"]}
    >>> state = sy.scan(table, {"x": "right", "clusters": "user"}, sy.uncertainty.EstimateState(), batch_rows=2)
    >>> print(state.compute())
    0.67 [0.16, 0.96] (95 %, clustered Wilson, n = 6, 4 clusters)
    """
    size = whole(batch_rows, "batch_rows", 1, 1 << 40)
    works = works_of(columns, state)
    _add(parts_of(source, wanted_by(works)), works, size, progress)
    for work in works:
        work.whole.copy().merge(work.part)  # refuses before any state has changed
    for work in works:
        work.whole.merge(work.part)
    return state


def _add(parts: list[Part], works: list[Work], size: int, progress: Progress) -> None:
    known = [part.rows for part in parts]
    total = sum(rows for rows in known if rows is not None) if None not in known else 0
    tell = batch_reporter(progress, total)
    done = 0
    for batch in each_batch(parts, size, Kinds(), works):
        done += len(batch) if total else 1
        if tell is not None:
            tell(done, total)
    if tell is not None and not total:
        tell(done, done)
