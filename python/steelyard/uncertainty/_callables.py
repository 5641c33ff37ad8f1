"""The bootstrap of a statistic that is any Python function of the data."""

from __future__ import annotations

import inspect
import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _core, _intervals
from .._columns import Array, Mask
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Rows
from .._strides import strides
from ..errors import shown, type_error, value_error
from ._replicates import METHODS, limits_of
from .sampling import SMOOTHED

__all__ = ["Called", "called", "of_callable", "tuple_columns"]

Floats = NDArray[np.float64]

# Draws whose rows are in memory together: 2 MiB of indices, and as much of each column. A quarter of them, which the
# second cache holds, where that is 64 resamples and more.
DRAWS = 1 << 18
# Keywords of the core for designs in which units are drawn together, in words.
TOGETHER = {"blocks": "blocks", "parents": "nested clusters", "crossed": "crossed clusters"}
ROUNDING = 4096  # a replicate this many roundings from the value is equal to it
# What the core is told of a design that says what units are and weigh, and not how they are drawn.
ROWS = ("codes", "clusters", "weights", "average")
STRATA = ("stratum_codes", "strata")  # what it is told of the strata of the units
EVERY = 0.025  # seconds between two reports of progress
# Of what a function returned what it should not, in error messages.
DATA, RESAMPLE, JACKKNIFE = " for the data", " for resample {}", " for the data without group {} of the jackknife"


@dataclass(frozen=True)
class Called:
    """A statistic that is a Python function, and how it takes a resample."""

    call: Callable[..., Any]
    name: str
    takes: Literal["rows", "axis", "counts"]
    parameters: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.name


def called(call: Callable[..., Any]) -> Called:
    """The statistic of a function: by counts where it takes ``sample_weight``, many at once where it takes ``axis``."""
    inner = call
    while isinstance(inner, partial):
        inner = inner.func
    name = getattr(inner, "__name__", type(inner).__name__)
    try:
        taken = inspect.signature(call).parameters
    except (TypeError, ValueError):  # some functions that are written in C do not say what they take
        taken = {}  # type: ignore[assignment]
    return Called(call, str(name), "counts" if "sample_weight" in taken else "axis" if "axis" in taken else "rows")


def tuple_columns(x: tuple[Any, ...]) -> dict[str, Array]:
    """The arguments of a function, keyed by the caller's expressions for them; each has its rows on the first axis."""
    if not x:
        raise value_error("x", "at least one column", "an empty tuple")
    found = {}
    for i, column in enumerate(x):
        name = f"x[{i}]"
        found[name] = _arrays.floats(column, name, ndim=(1, 2), contiguous=False, numbers=True, bits=True)
        if len(found[name]) != len(found["x[0]"]):
            raise value_error(name, f"{len(found['x[0]'])} rows, as x[0] has", str(len(found[name])))
    return found


class Request(NamedTuple):
    """The options of a bootstrap."""

    method: str
    n_resamples: int
    seed: int
    known: Floats | None
    confidence: Confidence
    design: Mapping[str, Any]
    """What the core is told of how rows are drawn and weighted."""


def of_callable(
    statistic: Called, columns: Mapping[str, Array], rows: Rows, request: Request, on_progress: OnProgress
) -> dict[str, Any]:
    """The bootstrap of a function of some columns, with the names of what the core says of a statistic of its own."""
    if request.method not in METHODS:
        got = f"{request.method!r} for the function {statistic}"
        raise value_error("method", f"one of {', '.join(METHODS)} for a statistic that is a function", got)
    if request.method == "bca":
        _jackknife_is_plain(statistic, request.design)
    values = [_checked(rows.of(column), name, rows) for name, column in columns.items()]
    data = _Data(statistic, values, rows, request.design)
    if data.units < 2:
        what = "clusters" if rows.clusters else "rows"
        raise value_error("clusters" if rows.clusters else "x", f"at least two {what} to resample", "one")
    clock = _Clock(on_progress, request.n_resamples)
    value, rounding = data.value()
    replicates = data.replicates(request, clock)
    left_out = data.left_out(clock) if request.method == "bca" else None
    found = limits_of(
        replicates, statistic, value=value, units=data.units, strata=data.strata, method=request.method,
        confidence=request.confidence, left_out=left_out, rounding=rounding,
    )  # fmt: skip
    clock.end()
    return found


def _jackknife_is_plain(statistic: Called, design: Mapping[str, Any]) -> None:
    """Raise where units are not drawn one by one, so that BCa needs more than leaving out each."""
    for name, words in TOGETHER.items():
        if design.get(name) is not None:
            methods = ", ".join(method for method in METHODS if method != "bca")
            raise value_error("method", f"one of {methods} for the function {statistic} in {words}", "'bca'")


def _checked(x: Array, name: str, rows: Rows) -> Array:
    """A column, or several side by side, of finite numbers, as functions of Python read it: bfloat16 as float32."""
    x = _arrays.to_float64(x).astype(np.float32) if x.dtype == np.uint16 else x
    for step in strides(len(x)):
        bad = ~np.isfinite(x[step])
        if bad.any():
            i, *j = np.argwhere(bad)[0].tolist()
            raise _intervals.not_finite(x[:, j[0]] if j else x, step.start + i, name, rows)
    return x


class _Clock:
    """Reports progress about every 25 ms, also between two calls of a slow function."""

    def __init__(self, report: OnProgress, total: int) -> None:
        self.report = report
        self.total = total
        self.last = time.monotonic()

    def at(self, done: int) -> None:
        if self.report is not None and time.monotonic() - self.last >= EVERY:
            self.report(done, self.total)
            self.last = time.monotonic()

    def end(self) -> None:
        if self.report is not None:
            self.report(self.total, self.total)


class _Data:
    """A function, and the rows of the columns that it takes."""

    def __init__(self, statistic: Called, columns: list[Array], rows: Rows, design: Mapping[str, Any]) -> None:
        self.call = statistic.call
        self.columns = columns
        self.n = len(columns[0])
        self.codes = design.get("codes", None if rows.clusters is None else rows.clusters.codes)
        self.units = design.get("clusters", self.n if rows.clusters is None else rows.clusters.total)
        self.weights = rows.weights
        self.drawing = {name: value for name, value in design.items() if name not in ROWS}
        drawn_alone = not self.drawing.keys() & TOGETHER.keys()
        self.strata = {name: self.drawing[name] for name in STRATA if name in self.drawing and drawn_alone}
        # The standard deviation of the noise that is added to each draw.
        of_noise = self.drawing["sampling_parameters"] if self.drawing.get("sampling") == SMOOTHED else (0.0,)
        self.noise: float = of_noise[0]
        self.counts = statistic.takes == "counts"
        # Rows that are drawn one by one or in blocks have an order, and there are as many as before.
        self.in_order = not self.counts and self.codes is None and self.drawing.keys() <= {"blocks", "block_length"}
        flat = all(column.ndim == 1 for column in columns)
        self.keywords: dict[str, Any] = {"axis": -1} if statistic.takes == "axis" and flat else {}
        # Resamples of clusters differ in length, so that they do not fit into one table.
        self.together = bool(self.keywords) and self.in_order
        if self.counts:
            self.columns = [column.view() for column in columns]
            for column in self.columns:
                column.flags.writeable = False  # the same memory is given to every call

    def value(self) -> tuple[float, float]:
        """The statistic of the data, and how far rounding may move it, as a share."""
        if self.counts:
            found = self._weighted(np.ones(self.n))
        else:
            found = self.call(*(column.copy() for column in self.columns), **self.keywords)
        dtype = np.asarray(found).dtype
        narrow = dtype.kind == "f" and dtype.itemsize < 8
        return _finite(found, DATA, 0), ROUNDING * float(np.finfo(dtype if narrow else np.float64).eps)

    def replicates(self, request: Request, clock: _Clock) -> Floats:
        """The statistic of each resample; a resample has the counts that it has for every other statistic."""
        total, seed = request.n_resamples, request.seed
        known = np.empty(0) if request.known is None else request.known
        to, each = np.empty(total), max(1, DRAWS // (4 * self.n), min(64, DRAWS // self.n))
        to[: len(known)] = known
        for first in range(len(known), total, each):
            count = min(each, total - first)
            noise: Any = itertools.repeat(None)
            if self.noise:
                noise = _core.smoothing_noise(self.n, seed=seed, first=first, count=count).reshape(count, self.n)
            if not self.in_order:
                counts = _core.resampled_counts(
                    self.units, seed=seed, first=first, count=count, total=total, **self.drawing
                )
                found = map(self._of_counts, counts.reshape(count, self.units), noise)
            else:
                rows = _core.resampled_rows(self.n, seed=seed, first=first, count=count, **self.drawing)
                rows = rows.reshape(count, self.n)
                if self.together:
                    to[first : first + count] = self._together(rows, RESAMPLE, first)
                    clock.at(first + count)
                    continue
                found = map(self._of_rows, rows)
            for r, one in enumerate(found, first):
                to[r] = _finite(one, RESAMPLE, r)
                clock.at(r + 1)
        return to

    def left_out(self, clock: _Clock) -> Floats:
        """The statistic without one unit at a time, or without one of about 500 groups of units."""
        group = _core.left_out_parts(self.units, **self.strata)
        groups = int(group.max()) + 1
        if self.together and groups == self.n:
            return self._without_each()
        group = group if self.codes is None else group[self.codes]
        to = np.empty(groups)
        for i in range(groups):
            to[i] = _finite(self._kept(group != i), JACKKNIFE, i)
            clock.at(clock.total)
        return to

    def _of_rows(self, rows: NDArray[np.int64]) -> Any:
        """The statistic of these rows, or of each row of a table of them."""
        return self.call(*(column.take(rows, axis=0, mode="clip") for column in self.columns), **self.keywords)

    def _of_counts(self, counts: Floats, noise: Floats | None) -> Any:
        """The statistic of a resample in which each unit, a row or a cluster, counts so often, with noise added."""
        counts = counts if self.codes is None else counts[self.codes]
        if self.counts:
            return self._weighted(counts)
        rows = np.repeat(np.arange(self.n), counts.astype(np.intp))
        if noise is not None:
            return self.call(self.columns[0].astype(np.float64)[rows] + self.noise * noise, **self.keywords)
        return self._of_rows(rows)

    def _weighted(self, counts: Floats) -> Any:
        """The statistic where each row counts so often, or so often its weight."""
        return self.call(*self.columns, sample_weight=counts if self.weights is None else counts * self.weights)

    def _kept(self, rows: Mask) -> Any:
        """The statistic of some of the rows."""
        if self.counts:
            return self._weighted(rows.astype(np.float64))
        return self._of_rows(np.flatnonzero(rows))

    def _together(self, rows: NDArray[np.int64], what: str, first: int) -> Floats:
        """The statistic of each row of a table of resamples, by one call."""
        found = np.asarray(self._of_rows(rows))
        if found.shape != (len(rows),):
            expected = f"with axis=-1, a number for each of {len(rows)} resamples, an array of shape ({len(rows)},)"
            raise value_error("statistic", expected, f"shape {found.shape}{what.format(first)}")
        _real(found, what.format(first))
        bad = ~np.isfinite(found)
        if bad.any():
            i = int(np.argmax(bad))
            _finite(found[i], what, first + i)
        return found.astype(np.float64, copy=False)

    def _without_each(self) -> Floats:
        """The statistic without each of at most 500 rows, by one call."""
        others = np.arange(self.n - 1)
        return self._together(others + (others >= np.arange(self.n)[:, None]), JACKKNIFE, 0)


def _finite(found: Any, what: str, i: int) -> float:
    """What a function returned as a number, or the error that it is none; ``what`` says of which data it is."""
    number = found if type(found) is np.float64 else _number(found, what.format(i))
    if math.isfinite(number):
        return number
    fix = "return a finite number for every resample"
    raise value_error("statistic", "a finite number", f"{number:g}{what.format(i)}", fix)


def _number(found: Any, what: str) -> float:
    array = np.asarray(found)
    if array.ndim:
        raise value_error("statistic", "one number", f"an array of shape {array.shape}{what}")
    _real(array, what)
    return float(array)


def _real(array: Array, what: str) -> None:
    if array.dtype.kind not in "biuf":
        got = f"{array.dtype} numbers" if array.dtype.kind == "c" else shown(array.item() if array.ndim == 0 else array)
        raise type_error("statistic", "real numbers", f"{got}{what}")
