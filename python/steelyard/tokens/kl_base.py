"""llama.cpp's ``--kl-divergence-base`` files: log-probabilities of a model in 16 bits, memory-mapped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import floats, integers
from .._files import write_with
from .._mode import standard_mode_methods
from .._numbers import count, plural
from .._progress import Progress, reporter
from ..errors import shown, type_error, value_error
from ._llama_cpp import KLFigures, figures_of

__all__ = ["KLBase"]

MAGIC = b"_logits_"
HEAD = 20  # bytes before the tokens: the magic word, then n_ctx, n_vocab and n_chunk in 32 bits each
NUMBERS = 4  # numbers of 16 bits before the codes of a row
BLOCK_BYTES = 1 << 22  # logits that are encoded at once
MAKE = "write one with `llama-perplexity --kl-divergence-base FILE` or tokens.KLBase.write"
AGAIN = "it was not written to its end, or copied in part: make or copy it again"


@standard_mode_methods
class KLBase:
    """A model's log-probabilities as llama.cpp's ``--kl-divergence-base`` keeps them, to compare another model with.

    The text is cut into chunks of ``n_ctx`` tokens. In each, the tokens of the second half are scored: from
    ``n_ctx // 2 + 1`` on, ``n_ctx - 1 - n_ctx // 2`` of them. The file has a row for each, in which the log-probability
    of class v is::

        log p_v = step * code_v + least

    where codes are whole numbers of 16 bits, and step and least float32 numbers of the row; both roundings are float32.
    The file is mapped into memory, and rows are decoded block by block while :func:`steelyard.token_scores` reads them,
    which takes a base as its ``baseline``. It is closed when nothing refers to it any more.

    The 16 bits have a price. A step is up to 16/65535 = 2.4e-4 nats. Classes more than 16 nats below the largest have
    the log-probability of one that is 16 nats below it. And the probabilities of a row do not sum to 1. So llama.cpp's
    divergence of a model from itself is not 0 and may be negative (the column ``kl_llama_cpp``). Here a row is taken as
    logits, so that it is normalised again, and ``kl`` is never negative; what the 16 bits have cut off stays lost.
    ``scores.baseline.log_z`` is the logarithm of what the probabilities of a row sum to in the file.

    Parameters
    ----------
    path : path of the file

    Attributes
    ----------
    n_ctx, n_vocab, n_chunks : int
        Tokens of a chunk, classes, and chunks.
    tokens : int32 ndarray, shape [n_chunks, n_ctx]
        The text.
    targets : int64 ndarray, shape [n_chunks, n_ctx - 1 - n_ctx // 2]
        The tokens that are scored.
    shape : (int, int, int)
        The shape of the logits to compare: chunks, scored tokens, classes.
    codes : uint16 ndarray of that shape
    steps, least : float32 ndarrays of that shape without the classes

    Raises
    ------
    ValueError
        For a file that is not such a file or does not have the length that it says, with the offset of what is wrong. A
        row that cannot be one of log-probabilities is refused when it is read.
    OSError
        For a file that cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> tokens = np.arange(16).reshape(2, 8) % 5
    >>> logits = np.sin(np.arange(2 * 8 * 5.0)).reshape(2, 8, 5).astype(np.float32)
    >>> base = sy.tokens.KLBase.write("base.kld", logits, tokens)
    >>> base
    <KLBase 'base.kld': 2 chunks of 8 tokens, 6 of them scored; 5 classes in 16 bits>
    >>> q = sy.token_scores(logits[:, 4:7].round(1), base.targets, baseline=base)
    >>> f"{q.kl.mean():.5f}", f"{base.figures(q)['Mean KLD'][0]:.5f}"
    ('0.00028', '0.00028')
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            raise type_error("path", "the path of a file", shown(path))
        self.path = os.fspath(path)
        self._first = 0  # the number of its first chunk in the file
        self.n_ctx, self.n_vocab, self.n_chunks = _read_head(self.path)
        shape = (self.n_chunks, _scored(self.n_ctx), _row_length(self.n_vocab))
        rows = np.memmap(self.path, np.uint16, "r", offset=HEAD + 4 * self.n_ctx * self.n_chunks, shape=shape)
        self._rows: NDArray[np.uint16] = np.asarray(rows)
        found = np.memmap(self.path, np.int32, "r", offset=HEAD, shape=(self.n_chunks, self.n_ctx))
        self.tokens: NDArray[np.int32] = np.asarray(found)
        bad = (self.targets < 0) | (self.targets >= self.n_vocab)
        if bad.any():
            chunk, place = (int(at[0]) for at in np.nonzero(bad))
            place += self.n_ctx - bad.shape[1]
            where = HEAD + 4 * (chunk * self.n_ctx + place)
            got = f"{self.tokens[chunk, place]} at offset {where} of {self.path}"
            raise value_error("path", f"tokens from 0 up to, not including, n_vocab = {self.n_vocab}", got, MAKE)

    @classmethod
    def write(cls, path: str | os.PathLike[str], logits: Any, tokens: ArrayLike, *, progress: Progress = False) -> Self:
        """Write a file that llama.cpp reads, from logits, and open it.

        With x a row in float32, M its maximum and a = max(min x, M - 16)::

            step = (M - a) / 65535        least = a - M - log(sum_v exp(x_v - M))
            code_v = round((x_v - a) / step), 0 where x_v <= a

        rounded in float32 as llama.cpp does. The file is written beside ``path`` and renamed when it is complete.

        Parameters
        ----------
        path : path of the file
        logits : float array [n_chunks, n, V], or iterable of n_chunks arrays [n, V]
            The logits of all positions of a chunk (n = n_ctx) or of those alone that predict a scored token, which are
            ``n_ctx // 2`` up to ``n_ctx - 2`` (n = n_ctx - 1 - n_ctx // 2). An array may be memory-mapped; of an
            iterable one chunk is in memory at a time. ``-inf`` becomes 16 nats below the largest.
        tokens : integer array [n_chunks, n_ctx]
            The text, in 0..V-1.
        progress : bool or callable
            ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` chunks.

        Returns
        -------
        KLBase

        Raises
        ------
        TypeError
            For logits that are not floating-point or tokens that are not integers.
        ValueError
            For shapes that do not match, tokens out of range, a NaN, a ``+inf``, and a row of nothing but ``-inf``.
        """
        text = integers(tokens, "tokens", ndim=2)
        if not isinstance(logits, Iterable):
            raise type_error("logits", "an array [n_chunks, n, V] or an iterable of chunks", shown(logits))
        n_chunks, n_ctx = text.shape
        if n_chunks == 0 or _scored(n_ctx) < 1:
            raise value_error("tokens", "at least one chunk of at least 3 tokens", f"shape {text.shape}")
        tell = reporter(progress)
        given = _chunks_of(logits, n_chunks, n_ctx)
        first = next(given)
        width = first.shape[-1]
        bad = (text < 0) | (text >= width)
        if bad.any():
            place = tuple(int(at[0]) for at in np.nonzero(bad))
            got = f"{text[place]} at index {list(place)}"
            raise value_error("tokens", f"class indices from 0 up to, not including, V = {width}", got)

        def put(out: BinaryIO) -> None:
            out.write(MAGIC + np.array([n_ctx, width, n_chunks], np.int32).tobytes())
            out.write(text.astype(np.int32).tobytes())
            for place, chunk in enumerate(chain([first], given)):
                if chunk.shape[-1] != width:
                    raise value_error(
                        "logits", f"{width} classes in every chunk", f"{chunk.shape[-1]} in chunk {place}"
                    )
                for rows in _blocks(chunk):
                    out.write(_core.coded_rows(rows).tobytes())
                if tell is not None:
                    tell(place + 1, n_chunks)

        write_with(path, put)
        return cls(path)

    @property
    def targets(self) -> NDArray[np.int64]:
        """The tokens that are scored."""
        return self.tokens[:, self.n_ctx // 2 + 1 :].astype(np.int64)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the logits to compare: chunks, scored tokens of a chunk, classes."""
        return self.n_chunks, _scored(self.n_ctx), self.n_vocab

    @property
    def codes(self) -> NDArray[np.uint16]:
        """The codes of all classes, as they lie in the file."""
        return self._rows[..., NUMBERS : NUMBERS + self.n_vocab]

    @property
    def steps(self) -> NDArray[np.float32]:
        """The step of each row, in nats."""
        return self._numbers(0)

    @property
    def least(self) -> NDArray[np.float32]:
        """The log-probability of code 0 in each row."""
        return self._numbers(1)

    def _numbers(self, place: int) -> NDArray[np.float32]:
        return self._rows[..., :NUMBERS].view(np.float32)[..., place]

    def coded(self, rows: tuple[int, ...], width: int) -> NDArray[np.uint16]:
        """The rows as the core reads them, for logits whose leading shape and classes are these."""
        whole = self.shape[:2]
        if width != self.n_vocab or rows not in (whole, (whole[0] * whole[1],)):
            expected = f"logits of shape {self.shape} for {self!r}, or {(whole[0] * whole[1], self.n_vocab)}"
            raise value_error("logits", expected, f"shape {(*rows, width)}", "compare the scored tokens: base.targets")
        return self._rows

    def figures(self, scores: Any) -> KLFigures:
        """What llama.cpp prints for ``scores``, and what the 16 bits of this file cost.

        Parameters
        ----------
        scores : TokenScores
            ``token_scores(logits, base.targets, baseline=base)``, or of some of its tokens (``where``).

        Returns
        -------
        KLFigures
            Perplexities, divergences and changes of probability with llama.cpp's standard errors, which take tokens as
            independent. Errors that do not: ``steelyard.estimate(scores.kl.ravel(), clusters=...)``,
            ``steelyard.compare(scores, scores.baseline, statistic="perplexity", clusters=...)``, or the command
            ``steelyard compare-logits``.

        Raises
        ------
        TypeError, ValueError
            For scores of another shape, without the columns that a base gives by default, or of less than two tokens.
        """
        return figures_of(scores, self.steps)

    def __len__(self) -> int:
        return self.n_chunks

    def __getitem__(self, chunks: slice) -> KLBase:
        """Some neighbouring chunks of the file, without reading it."""
        if not isinstance(chunks, slice):
            raise type_error("chunks", "a slice such as base[10:20]", shown(chunks))
        start, stop, step = chunks.indices(self.n_chunks)
        if step != 1 or stop <= start:
            got = f"{chunks.start}:{chunks.stop}:{chunks.step} of {plural(self.n_chunks, 'chunk')}"
            raise value_error("chunks", "a slice of at least one chunk, without a step", got)
        part: KLBase = object.__new__(type(self))
        part.path, part.n_ctx, part.n_vocab, part.n_chunks = self.path, self.n_ctx, self.n_vocab, stop - start
        part._rows, part.tokens, part._first = self._rows[start:stop], self.tokens[start:stop], self._first + start
        return part

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the path and the chunks, so that another process maps the same file."""
        return _opened, (type(self), self.path, self._first, self._first + self.n_chunks)

    def __repr__(self) -> str:
        scored = count(self.n_chunks * _scored(self.n_ctx))
        chunks = f"{plural(self.n_chunks, 'chunk')} of {self.n_ctx} tokens, {scored} of them scored"
        return f"<KLBase {self.path!r}: {chunks}; {count(self.n_vocab)} classes in 16 bits>"


def _opened(kind: type[KLBase], path: str, first: int, end: int) -> KLBase:
    """Some chunks of a file, as a pickle has them."""
    return kind(path)[first:end]


def _scored(n_ctx: int) -> int:
    """How many tokens of a chunk are scored."""
    return n_ctx - 1 - n_ctx // 2


def _row_length(n_vocab: int) -> int:
    """How many numbers of 16 bits a row has."""
    return 2 * ((n_vocab + 1) // 2) + NUMBERS


def _read_head(path: str) -> tuple[int, int, int]:
    """n_ctx, n_vocab and n_chunks of a file that has the length that they say."""
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if not head.startswith(MAGIC):
        got = f"{head[: len(MAGIC)]!r} at offset 0 of {path}"
        raise value_error("path", f"a KL base file, which begins with {MAGIC.decode()!r}", got, MAKE)
    if len(head) < HEAD:
        got = f"the end of {path} at offset {len(head)}"
        raise value_error("path", f"a head of {HEAD} bytes", got, AGAIN)
    n_ctx, n_vocab, n_chunks = (int.from_bytes(head[at : at + 4], sys.byteorder, signed=True) for at in (8, 12, 16))
    for name, value, least, offset in (
        ("n_ctx", n_ctx, 3, 8),
        ("n_vocab", n_vocab, 1, 12),
        ("n_chunk", n_chunks, 1, 16),
    ):
        if value < least:
            fix = "its byte order is another, or it is damaged"
            raise value_error("path", f"{name} of at least {least}", f"{value} at offset {offset} of {path}", fix)
    row = 2 * _row_length(n_vocab)
    chunk = _scored(n_ctx) * row
    rows = HEAD + 4 * n_ctx * n_chunks
    expected = rows + n_chunks * chunk
    if size != expected:
        said = f"{expected} bytes for {plural(n_chunks, 'chunk')} of {n_ctx} tokens and {n_vocab} classes"
        if size < expected:
            whole = max(0, size - rows) // chunk
            got = f"the end of {path} at offset {size}, {'in its tokens' if size < rows else f'in chunk {whole}'}"
            raise value_error("path", said, got, AGAIN)
        raise value_error("path", said, f"{size - expected} bytes more, from offset {expected} of {path} on", MAKE)
    return n_ctx, n_vocab, n_chunks


def _chunks_of(logits: Any, n_chunks: int, n_ctx: int) -> Iterator[NDArray[Any]]:
    """The logits of the scored tokens of each chunk; an error where there are not as many as chunks."""
    scored, done = _scored(n_ctx), 0
    for given in logits:
        chunk = floats(given, "logits", contiguous=False, table=True)
        if chunk.ndim != 2 or chunk.shape[0] not in (scored, n_ctx) or chunk.shape[1] == 0:
            expected = f"chunks of shape [{n_ctx}, V], or [{scored}, V] of the tokens that are scored"
            raise value_error("logits", expected, f"shape {chunk.shape} in chunk {done}")
        if done == n_chunks:
            raise value_error("logits", f"{plural(n_chunks, 'chunk')}, as tokens has", "more")
        done += 1
        yield chunk if len(chunk) == scored else chunk[n_ctx // 2 : n_ctx - 1]
    if done < n_chunks:
        raise value_error("logits", f"{plural(n_chunks, 'chunk')}, as tokens has", str(done))


def _blocks(chunk: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The rows of a chunk, a few MiB at a time; float64 is rounded to float32, which the format is made of."""
    rows = max(1, BLOCK_BYTES // max(1, chunk.shape[1] * chunk.itemsize))
    for start in range(0, len(chunk), rows):
        block = chunk[start : start + rows]
        with np.errstate(over="ignore"):  # what is beyond float32 becomes inf, which is refused
            yield block.astype(np.float32) if block.dtype == np.float64 else block
