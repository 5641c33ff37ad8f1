"""Token scores from a vocabulary whose classes lie in several places, as in tensor-parallel models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import first_index
from .._mode import standard_mode_methods
from .._options import whole
from ..errors import shown, type_error, value_error
from ._asked import asked_of, counting, shaped
from ._bounds import Precision
from .scores import TokenScores

__all__ = ["TokenShard", "columns_of_shard", "read_shard"]

MOST_CLASSES = 2**40
# Options that all shards must have.
SHARED = ("scale", "softcap", "temperature", "label_smoothing")
# They count logits above the target's, which lies in one of the shards.
RANKS = ("rank", "rank_ties", "top_k")


class Part(NamedTuple):
    """What one shard has found."""

    classes: range
    rows: NDArray[np.float64]
    """Of each row the largest logit and sums relative to it, one row after another; NaN where none counts."""
    logits: NDArray[np.float64]
    """The logit of each target; NaN where it lies in another shard or does not count."""


@standard_mode_methods
@dataclass(frozen=True, eq=False, repr=False)
class TokenShard:
    """What the rows of some classes tell of token scores; ``a + b`` puts shards together, in any order.

    It comes from ``token_scores(..., vocabulary=...)`` and can be pickled, so that each process reads the logits that
    it has. It takes 72 bytes a row and 17 a target, however many classes there are, and 80 for each further
    shard that is put to it.

    Attributes
    ----------
    targets : int64 ndarray
        The targets, as classes of the whole vocabulary.
    counted : bool ndarray, the shape of ``targets``
        Which of them count.
    columns : tuple of str
        The columns that :meth:`compute` gives.
    precision : {"float32", "float64"}
        The type in which exponentials were computed.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> logits = np.log(np.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> left = sy.token_scores(logits[:, :2], [3], vocabulary=range(0, 2))
    >>> right = sy.token_scores(logits[:, 2:], [3], vocabulary=range(2, 4))
    >>> left + right
    <TokenShard of the classes 0..3: 1 token counted, 0 not>
    >>> (right + left).compute(4).nll.round(4).tolist()
    [0.9163]
    """

    targets: NDArray[np.int64]
    counted: NDArray[np.bool_]
    columns: tuple[str, ...]
    precision: Precision
    _rows: tuple[int, ...]
    """The shape of the rows of logits."""
    _options: Mapping[str, Any]
    """Label smoothing, and what was done to the logits but for their bias."""
    _parts: tuple[Part, ...]
    """Of each shard, in the order of their classes."""

    def merge(self, other: TokenShard) -> TokenShard:
        """Return both together; ``a + b`` is the same.

        Raises
        ------
        TypeError
            Where ``other`` is no TokenShard.
        ValueError
            Where its targets or options are not the same, or some classes are in both.
        """
        if not isinstance(other, TokenShard):
            raise type_error("other", "a TokenShard", shown(other))
        mine, its = (
            {"columns": shard.columns, "precision": shard.precision, "rows": shard._rows, **shard._options}
            for shard in (self, other)
        )
        for name, value in mine.items():
            if its[name] != value:
                raise value_error("other", f"a shard with {name} = {value}", str(its[name]))
        for name in ("targets", "counted"):
            if not np.array_equal(getattr(self, name), getattr(other, name)):
                raise value_error("other", f"a shard with the same {name}", "others")
        parts = sorted((*self._parts, *other._parts), key=lambda part: part.classes.start)
        for a, b in pairwise(parts):
            if a.classes.stop > b.classes.start:
                both = f"class {b.classes.start} in {_span(a.classes)} and in {_span(b.classes)}"
                raise value_error("other", "classes that are in no other shard", both)
        return type(self)(
            self.targets, self.counted, self.columns, self.precision, self._rows, self._options, tuple(parts)
        )

    def __add__(self, other: Self) -> TokenShard:
        return self.merge(other) if isinstance(other, TokenShard) else NotImplemented

    def __radd__(self, other: object) -> TokenShard:
        # sum(shards) starts from the integer 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def compute(self, n_vocab: int) -> TokenScores:
        """Compute the scores under the whole vocabulary.

        They do not depend on the order in which shards were put together. They are within the error bounds of
        ``token_scores`` of all logits, and have the same bits where every shard but the last begins and ends at a
        multiple of 262,144, which is how long rows are read anyway.

        Parameters
        ----------
        n_vocab : int
            The number of classes of the whole vocabulary, so that a shard that is missing is noticed.

        Returns
        -------
        TokenScores
            With the ``columns`` that the shards were asked for.

        Raises
        ------
        ValueError
            Where the shards do not have all classes or have more, where a target is none of them, and for a row that
            counts in which all classes are at ``-inf``.
        """
        classes = whole(n_vocab, "n_vocab", 1, MOST_CLASSES)
        self._check_whole(classes)
        shape, logits = self.targets.shape, np.full(self.targets.size, np.nan)
        for part in self._parts:
            np.copyto(logits, part.logits, where=~np.isnan(part.logits))
        counted, found = _core.join_shards(
            [part.rows for part in self._parts], logits, self.targets.ravel(),
            starts=[part.classes.start for part in self._parts], width=classes, columns=self.columns,
            counted=self.counted.ravel(), per_row=shape[-1] if len(shape) > len(self._rows) else 1,
            label_smoothing=self._options["label_smoothing"],
        )  # fmt: skip
        values = shaped(self.columns, found, shape, self._rows)
        return TokenScores(counted=counted.reshape(shape), precision=self.precision, **values)

    def _check_whole(self, classes: int) -> None:
        """Refuse shards that are not the classes of the whole vocabulary, and targets that are none."""
        missing, next_class = "", 0
        for part in self._parts:
            missing = missing or _missing(next_class, part.classes.start)
            next_class = part.classes.stop
        if missing := missing or _missing(next_class, classes):
            raise value_error("n_vocab", f"shards of all {classes} classes", f"none with {missing}")
        if next_class > classes:
            raise value_error("n_vocab", f"at least {next_class}, as shards have classes", str(classes))
        beyond = self.counted & (self.targets >= classes)
        if beyond.any():
            raise _refused(self.targets, beyond, f"class indices below n_vocab = {classes}")

    def __repr__(self) -> str:
        classes, n = ", ".join(map(_span, self._spans())), int(np.count_nonzero(self.counted))
        tokens = "1 token" if n == 1 else f"{n} tokens"
        return f"<TokenShard of the classes {classes}: {tokens} counted, {self.counted.size - n} not>"

    def _spans(self) -> list[range]:
        """The classes, those without a gap between them as one range."""
        spans: list[range] = []
        for part in self._parts:
            start, stop = part.classes.start, part.classes.stop
            joins = bool(spans) and spans[-1].stop == start
            spans.append(range(spans.pop().start if joins else start, stop))
        return spans


def _span(classes: range) -> str:
    return f"{classes.start}..{classes.stop - 1}"


def _missing(start: int, stop: int) -> str:
    return _span(range(start, stop)) if start < stop else ""


def _refused(targets: NDArray[np.int64], bad: NDArray[np.bool_], expected: str) -> ValueError:
    """The error for the first target that is bad."""
    index = first_index(bad)
    return value_error("targets", expected, f"{np.atleast_1d(targets)[index]} at index {list(index)}")


def columns_of_shard(columns: Any) -> Sequence[str]:
    """The names of the columns that can be computed from shards, of those that are asked for."""
    given = columns
    with suppress(TypeError):  # of what cannot be iterated, which is refused next
        given = columns if isinstance(columns, str) else tuple(columns)
    asked, _ = asked_of(given, None)
    if ranks := [name for name in ((given,) if isinstance(given, str) else given or ()) if name in RANKS]:
        expected = "columns other than ranks for a shard, which does not know the target's logit if another has it"
        raise value_error("columns", expected, repr(ranks[0]))
    return [name for name in asked if name not in RANKS]


def read_shard(
    read: Callable[..., Any],
    t: NDArray[np.int64],
    vocabulary: range,
    *,
    n_classes: int,
    name: str,
    ignore_index: int | None,
    where: ArrayLike | None,
    rows: tuple[int, ...],
    precision: Precision,
    options: dict[str, Any],
) -> TokenShard:
    """What ``read`` finds in the rows of ``n_classes`` classes of an array ``name``.

    ``read`` takes targets as classes of the shard and the ``options`` of the core.
    """
    if not isinstance(vocabulary, range):
        raise type_error("vocabulary", "a range of classes, range(start, stop), or None", shown(vocabulary))
    inside = 0 <= vocabulary.start < vocabulary.stop <= MOST_CLASSES
    if vocabulary.step != 1 or not inside or len(vocabulary) != n_classes:
        raise value_error("vocabulary", f"a range of the {n_classes} classes that {name} has", shown(vocabulary))
    checked = counting(t, ignore_index, where)
    counted = np.ones(t.shape, np.bool_) if checked["counted"] is None else checked["counted"]
    if checked["ignore_index"] is not None:
        counted = np.array(counted & (t != checked["ignore_index"]))
    below = counted & (t < 0)
    if below.any():
        raise _refused(t, below, "class indices from 0 up")
    own = (t >= vocabulary.start) & (t < vocabulary.stop)
    # The rows of other shards' targets are read, too; as their target any class will do.
    local = np.array(np.where(own, t - vocabulary.start, 0))
    _, (kept, logits) = read(local, counted=counted, ignore_index=None, part=True, **options)
    logits[~own.ravel()] = np.nan
    for array in (t, counted, kept, logits):
        array.setflags(write=False)
    return TokenShard(
        t, counted, tuple(options["columns"]), precision, rows, {name: options[name] for name in SHARED},
        (Part(vocabulary, kept, logits),),
    )  # fmt: skip
