"""The tokens of one update of a perplexity: their NLL, which of them count, their clusters and divisors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import flat_ids, floats, shape_of
from .._clusters import Names, codes_and_names, taken
from .._rows import Selection, is_nan, less
from .._strides import coded
from ..errors import type_error, value_error

__all__ = [
    "COUNTS", "EXCLUDED", "IGNORED", "Batch", "batch_of", "divisor_of", "groups_of", "tokens_of",
]  # fmt: skip

Array = NDArray[Any]
Shape = tuple[int, ...]
# The codes by which the core is told which tokens count.
EXCLUDED, COUNTS, IGNORED = map(np.uint8, (_core.TOKEN_EXCLUDED, _core.TOKEN_COUNTS, _core.TOKEN_IGNORED))


def tokens_of(x: Any, selection: Selection) -> tuple[Array, NDArray[np.uint8] | None]:
    """The NLL of the tokens, and a status code for each (None: all count)."""
    scored = hasattr(x, "nll") and hasattr(x, "counted")  # a TokenScores, whose file imports from this one
    if scored and x.several:
        raise value_error("x", "one target a position", "scores of several candidates, which are alternatives")
    nll = x.nll if scored else floats(x, "x", numbers=True)
    if nll.ndim == 0:
        raise value_error("x", "a token axis, [T] or [B, T]", "a single number")
    mask = selection.mask("x", nll.shape)
    if not scored:
        return np.ascontiguousarray(nll), None if mask is None else np.where(mask, COUNTS, EXCLUDED)
    status = np.where(x.counted, COUNTS, IGNORED)
    if mask is not None:
        status[x.counted & ~mask] = EXCLUDED
    return np.ascontiguousarray(nll), status


class _Groups(NamedTuple):
    """The clusters of the tokens of one update."""

    codes: NDArray[np.int64]
    clusters: int
    names: Names | None
    of_rows: bool


class Batch(NamedTuple):
    """The tokens of one update: their NLL, status codes (None: all count), clusters, and the numbers of ``per``."""

    nll: Array
    status: NDArray[np.uint8] | None
    codes: NDArray[np.int64]
    clusters: int
    names: Names | None
    per: NDArray[np.float64] | None

    @property
    def shape(self) -> Shape:
        """The shape of the ids of ``by`` and ``strata``: one per row, for ``[T]`` one per token."""
        return self.nll.shape[:-1] or self.nll.shape

    def counting(self) -> NDArray[np.bool_]:
        """The rows in which some token counts."""
        if self.status is None:
            return np.ones(int(np.prod(self.shape)), np.bool_)
        counts: NDArray[np.bool_] = self.status == COUNTS
        return (counts.any(-1) if self.nll.ndim > 1 else counts).reshape(-1)

    def excluded(self) -> int:
        """The number of tokens that ``where`` excludes."""
        return 0 if self.status is None else int(np.count_nonzero(self.status == EXCLUDED))

    def excludes(self, rows: NDArray[np.int64]) -> bool:
        """Whether ``where`` excludes all tokens of some rows."""
        return self.status is not None and not np.any(self._rows(self.status, rows) != EXCLUDED)

    def clusters_of_rows(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """The clusters of some ``rows``, one per row or per token.

        Returns their codes, the place of each in ``rows``, and whether it counts.
        """
        codes = self._rows(self.codes, rows)
        at = np.repeat(np.arange(len(rows)), len(codes) // max(len(rows), 1))
        if len(codes) == len(rows):
            return codes, at, self.counting()[rows]
        status = None if self.status is None else self._rows(self.status, rows)
        return codes, at, np.ones(len(codes), np.bool_) if status is None else status == COUNTS

    def _rows(self, values: Array, rows: NDArray[np.int64]) -> Array:
        """The entries of some rows among ``values``, which are one per row or per token."""
        count = int(np.prod(self.shape))
        if self.nll.ndim == 1 and values.size == 1:
            return values
        return np.ascontiguousarray(values.reshape(count, -1)[rows]).reshape(-1)

    def of(self, rows: NDArray[np.int64]) -> Batch:
        """The tokens of some rows."""
        codes, present = coded(self._rows(self.codes, rows))
        names = None if self.names is None else taken(self.names, present)
        nll = self._rows(self.nll, rows)
        if self.nll.ndim > 1:
            nll = nll.reshape(len(rows), self.nll.shape[-1])
        status = None if self.status is None else self._rows(self.status, rows).reshape(nll.shape)
        per = None if self.per is None else self._rows(self.per, rows)
        if per is not None and per.size not in (len(rows), nll.size):
            raise value_error(
                "per", f"one number per token, shape {self.nll.shape}, with groups or strata", "one number"
            )
        return Batch(nll, status, codes, len(present), names, per)


def batch_of(x: Any, selection: Selection, per: Any, status: NDArray[np.uint8] | None = None) -> Batch:
    """The arguments of an update, checked; ``status`` where it is known already which tokens count."""
    nll, found = tokens_of(x, selection)
    status = found if status is None else status
    if nll.size == 0:
        return Batch(nll, status, np.zeros(0, np.int64), 0, None, None)
    group = groups_of(selection, nll, status)
    divisor = None if per is None else divisor_of(per, nll.shape, group.of_rows)
    return Batch(nll, status, group.codes, group.clusters, group.names, divisor)


def groups_of(selection: Selection, nll: Array, status: NDArray[np.uint8] | None, name: str = "clusters") -> _Groups:
    """The cluster of each token, or of each row of tokens."""
    shape, ids = nll.shape, selection.clusters
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    if ids is None:
        return _Groups(np.arange(rows), rows, None, True)
    found = shape_of(ids, name)
    of_rows = found == shape[:-1]
    if not of_rows and found != shape:
        expected = f"one id per token, shape {shape}, or one per row, shape {shape[:-1]}"
        raise value_error(name, expected, f"shape {found}")
    if found == ():
        ids = [ids]
    elif len(found) > 1:
        ids = flat_ids(ids, name)
    # Tokens that do not count may lack an id; their codes are never read.
    keep = None if status is None else status == COUNTS
    if selection.omit:
        keep, _ = less(keep, is_nan(nll))
    if keep is not None:
        keep = (keep.any(-1) if of_rows else keep).reshape(-1)
    numbers, names = codes_and_names(ids, name, rows if of_rows else nll.size, keep)
    return _Groups(numbers, len(names), names, of_rows)


def divisor_of(per: Any, shape: Shape, of_rows: bool, name: str = "per") -> NDArray[np.float64]:
    """The numbers that a sum of NLL is divided by: one a token, or one a row where ids are."""
    numbers = floats(per, name, numbers=True)
    if numbers.dtype == np.uint16:
        raise type_error(name, "numbers that count exactly", "bfloat16")
    if numbers.shape == shape[:-1]:
        if not of_rows:
            fix = "give one number per token, or one id per row"
            raise value_error(
                name, f"one number per token, shape {shape}, as clusters has", f"shape {numbers.shape}", fix
            )
    elif numbers.shape != shape:
        expected = f"one number per token, shape {shape}, or one per row, shape {shape[:-1]}"
        raise value_error(name, expected, f"shape {numbers.shape}")
    return numbers.astype(np.float64)
