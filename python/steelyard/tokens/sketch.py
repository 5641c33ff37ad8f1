"""A compact sketch of a model's distribution at each token, to compare another model with later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import FLOATS, aligned, booleans, floats
from .._files import write_with
from .._mode import standard_mode, standard_mode_methods
from .._numbers import count, plural
from .._options import choice, whole
from .._progress import Progress, reporter
from .._result import Result
from .._strides import converted
from ..errors import shown, type_error, value_error
from . import _sketch_file

__all__ = ["Sketch", "sketch"]

MOST_CLASSES = 2**31 - 1
# Kept logits that are checked at once: a millisecond or so.
STRIDE = 1 << 16


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class Sketch(Result):
    """The k largest logits of each token, with log Z, the mass of all other classes, and the entropy.

    A token is one row of logits. Where ``where`` was False, ``ids`` are -1 and all numbers are NaN.

    Attributes
    ----------
    ids : int32 ndarray, shape [..., k]
        The classes of the k largest logits: the largest first, and of equal ones the first class.
    logits : float32 ndarray (float64 where the logits were), shape [..., k]
        These logits, unrounded.
    log_z : float64 ndarray, shape [...]
        Logarithm of the sum of the exponentials of all logits, so that ``exp(logits - log_z[..., None])`` are
        probabilities: the column of :func:`steelyard.token_scores`, bit for bit.
    tail : float64 ndarray, shape [...]
        The probability of all other classes, 0 to 1, as a sum of its own.
    entropy : float64 ndarray, shape [...]
        Entropy of the distribution over all classes, in nats: the column of :func:`steelyard.token_scores`.
    n_classes : int
        The number of classes V.
    dtype : str
        The type of the logits that were sketched, in which a file has them: ``"float32"``, ``"float64"``,
        ``"bfloat16"`` or ``"float16"``.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> base = sy.tokens.sketch(np.array([[2.0, 0.0, 1.0, -1.0]], np.float32), k=2)
    >>> base.save("base.sketch")
    >>> sy.tokens.Sketch.load("base.sketch") == base
    True
    """

    ids: NDArray[np.int32]
    logits: NDArray[Any]
    log_z: NDArray[np.float64]
    tail: NDArray[np.float64]
    entropy: NDArray[np.float64]
    n_classes: int
    dtype: str

    def __post_init__(self) -> None:
        choice(self.dtype, "dtype", FLOATS)
        whole(self.n_classes, "n_classes", 1, MOST_CLASSES)
        shape = np.shape(self.log_z)
        kept = (*shape, np.shape(self.ids)[-1] if np.ndim(self.ids) else 0)
        of_logits = np.dtype(np.float64 if self.dtype == "float64" else np.float32)
        expected = {"ids": (np.dtype(np.int32), kept), "logits": (of_logits, kept)}
        for name in ("ids", "logits", "log_z", "tail", "entropy"):
            dtype, wanted = expected.get(name, (np.dtype(np.float64), shape))
            array = getattr(self, name)
            if type(array) is not np.ndarray or array.dtype != dtype or not array.flags.aligned:
                raise type_error(name, f"an aligned {dtype} array", shown(array))
            if array.shape != wanted:
                raise value_error(name, f"shape {wanted}", f"shape {array.shape}")
            frozen = np.ascontiguousarray(array).reshape(wanted).view()
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)
        if not 1 <= self.k <= self.n_classes:
            raise value_error("ids", f"1 to n_classes = {self.n_classes} ids a token", f"shape {self.ids.shape}")
        self._check_values()

    def _check_values(self) -> None:
        """Refuse what no row of logits can have where a token counts; a few tokens at a time."""
        n, each = self.log_z.size, max(1, STRIDE // self.k)
        ids, logits = self.ids.reshape(n, self.k), self.logits.reshape(n, self.k)
        log_z, tail, entropy = self.log_z.reshape(n), self.tail.reshape(n), self.entropy.reshape(n)
        for first in range(0, n, each):
            here = slice(first, first + each)
            rising, x, z = np.sort(ids[here], axis=-1, kind="stable"), logits[here], log_z[here]
            stored = _sketch_file.widened(_sketch_file.narrowed(x, self.dtype), self.dtype)
            found = {
                "ids": (rising[:, 0] >= 0)
                & (rising[:, -1] < self.n_classes)
                & (rising[:, 1:] > rising[:, :-1]).all(-1),
                "logits": (x[:, 1:] <= x[:, :-1]).all(-1) & np.isfinite(x[:, 0]) & (stored == x).all(-1),
                "log_z": np.isfinite(z) & (z >= x[:, 0]),
                "tail": (tail[here] >= 0) & (tail[here] <= 1),
                "entropy": entropy[here] >= 0,
            }
            for name, right in found.items():
                if not (right | np.isnan(z)).all():
                    token = first + int(np.argmin(right | np.isnan(z)))
                    raise self._bad_value(name, token)

    def _bad_value(self, name: str, token: int) -> ValueError:
        """The error for a value that a token cannot have."""
        expected = {
            "ids": f"different classes from 0 up to, not including, n_classes = {self.n_classes}",
            "logits": f"{self.dtype} numbers, the largest first, and that one finite",
            "log_z": "a finite number that is at least the largest logit",
            "tail": "a probability", "entropy": "0 or more",
        }[name]  # fmt: skip
        place = np.unravel_index(token, self.shape) if self.shape else ()
        return value_error(name, expected, f"{getattr(self, name)[place]} at index {list(map(int, place))}")

    @property
    def k(self) -> int:
        """The number of logits that were kept of each token."""
        return int(self.ids.shape[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tokens."""
        return self.log_z.shape

    @property
    def token_bytes(self) -> int:
        """The bytes of a token in a file: three numbers of 8 bytes, and k ids of 4 bytes and k logits of ``dtype``."""
        return _sketch_file.token_bytes(self.k, self.dtype)

    def kl(self, logits: Any, *, progress: Progress = False) -> NDArray[np.float64]:
        """Bound the KL divergence of another model from the sketched one from below.

        With q the probabilities of the sketch, p those of the model, and the tail as one class with the masses Q and
        P::

            bound = sum_k q_k log(q_k / p_k) + Q log(Q / P)  <=  KL = sum_v q_v log(q_v / p_v)

        KL is that of ``token_scores(logits, ..., baseline=...)``. Putting classes together can only lose (the
        data-processing inequality); the bound is KL where k = V. What is missing is Q times the divergence of the tail
        of one model from that of the other, of which a sketch knows nothing, so that there is no upper bound:
        ``tail`` says how much of the mass it concerns.

        All logits of the new model are read, and P is summed over the same classes as Q. The bound is a sum of terms
        ``q log(q / p) - q + p``, none of which is negative: it is never negative, and 0 for the very logits that were
        sketched. It is ``inf`` where a kept class, or all of the tail, lost all of its probability. Its error is at
        most 1e-5 of itself and 4e-6 nats (1e-11 of both where both logits are float64), as long as log Z is below 1e4.

        Parameters
        ----------
        logits : float array, shape [..., V]
            The other model's logits of the same tokens, in any type.
        progress : bool or callable
            ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows.

        Returns
        -------
        float64 ndarray, shape [...]
            The bound of each token in nats; NaN where the sketch has none, the logits of which are not read.

        Raises
        ------
        TypeError
            For logits that are not floating-point.
        ValueError
            For logits of another shape than those that were sketched; for a NaN, a ``+inf`` or nothing but ``-inf`` in
            a row that counts.

        Examples
        --------
        >>> import numpy as np
        >>> import steelyard as sy
        >>> x = np.array([[2.1, 0.2, 1.3, -1.4], [0.3, 0.4, 0.1, 0.2]], np.float32)
        >>> base = sy.tokens.sketch(x, k=2)
        >>> base.kl(x.round()).round(4).tolist(), base.tail.round(4).tolist()
        ([0.0041, 0.0057], [0.1103, 0.4502])
        >>> sy.token_scores(x.round(), [0, 0], baseline=x).kl.round(4).tolist()
        [0.0072, 0.0062]
        """
        x = floats(logits, "logits", contiguous=False, table=True)
        expected = (*self.shape, self.n_classes)
        if x.shape != expected:
            raise value_error("logits", f"the shape of those that were sketched, {expected}", f"shape {x.shape}")
        kept = converted(self.logits.reshape(-1), np.float64)
        found = _core.sketch_kl(
            x, ids=self.ids, kept=kept, log_z=self.log_z, tail=self.tail, progress=reporter(progress)
        )
        return found.reshape(self.shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sketch to a file of ``token_bytes`` a token, which is written completely or not at all.

        Parameters
        ----------
        path : path of the file

        Raises
        ------
        OSError
            Where the file cannot be written.
        """
        head = _sketch_file.Head(self.dtype, self.k, self.n_classes, self.shape)
        arrays = [getattr(self, name) for name in _sketch_file.ORDER]
        write_with(path, lambda out: _sketch_file.put(out, head, arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a sketch that :meth:`save` has written.

        Parameters
        ----------
        path : path of the file

        Returns
        -------
        Sketch

        Raises
        ------
        ValueError
            For a file that is no sketch, that is longer or shorter than it says, or whose bytes have changed.
        OSError
            Where the file cannot be read.
        """
        if not isinstance(path, str | os.PathLike):
            raise type_error("path", "the path of a file", shown(path))
        head, arrays = _sketch_file.get(os.fspath(path))
        return cls(**arrays, n_classes=head.n_classes, dtype=head.dtype)

    def __repr__(self) -> str:
        largest = f"the {self.k} largest of {count(self.n_classes)} logits in {self.dtype}"
        return f"<Sketch of {plural(self.log_z.size, 'token')}: {largest}; {self.token_bytes} bytes a token>"


@standard_mode
def sketch(logits: Any, k: int = 64, *, where: ArrayLike | None = None, progress: Progress = False) -> Sketch:
    """Keep of each row of logits what another model can be compared with later: its k largest, log Z and the rest.

    With x a row, Z = sum_v exp(x_v) and p_v = exp(x_v) / Z::

        ids = the k classes with the largest x      logits = x[ids]      log_z = log Z
        tail = sum of p over all other classes      entropy = -sum_v p_v log p_v

    A token takes 24 + k (4 + the bytes of a logit) bytes: 408 for 64 logits in 16 bits, 536 in float32, and not the
    256,512 of 128,256 classes in 16 bits. The rows are read from memory once and a second time from the cache, and have
    the same bits for every number of threads. ``log_z`` and ``entropy`` have the errors that they have in
    :func:`steelyard.token_scores`; ``tail`` is summed by itself, with a relative error of 3e-6 (3e-11 for float64)
    however small it is.

    Parameters
    ----------
    logits : float32, float64, bfloat16 or float16 array, shape [..., V]
        Unnormalised scores, or log-probabilities. Any strides, but the last axis must be contiguous. ``-inf`` masks a
        class.
    k : int
        How many logits to keep, at least 1; all V where there are fewer.
    where : bool array, shape [...], or None
        False for rows that are not sketched; their logits are not read.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows.

    Returns
    -------
    Sketch
        ``ids``, ``logits``, ``log_z``, ``tail``, ``entropy``; ``save``, and ``kl`` of another model.

    Raises
    ------
    TypeError
        For logits that are not floating-point.
    ValueError
        For a k below 1, and for a row that counts with a NaN, a ``+inf`` or nothing but ``-inf``.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> base = sy.tokens.sketch(np.array([[2.0, 0.0, 1.0, -1.0]], np.float32), k=2)
    >>> base
    <Sketch of 1 token: the 2 largest of 4 logits in float32; 40 bytes a token>
    >>> base.ids.tolist(), base.logits.tolist(), base.tail.round(4).tolist()
    ([[0, 2]], [[2.0, 1.0]], [0.1192])

    Notes
    -----
    ``Sketch.kl`` is a lower bound. The exact divergence needs all logits of both models:
    ``token_scores(new, targets, baseline=base)``.
    """
    aligned(logits=logits, where=where)
    x = floats(logits, "logits", contiguous=False, table=True)
    if x.ndim == 0 or not 0 < x.shape[-1] <= MOST_CLASSES:
        raise value_error("logits", f"1 to {MOST_CLASSES} classes along the last axis, [..., V]", f"shape {x.shape}")
    shape, width = x.shape[:-1], x.shape[-1]
    k = min(whole(k, "k", 1), width)
    counted = None if where is None else np.array(booleans(where, "where", shape), order="C")
    ids, (kept, log_z, tail, entropy) = _core.token_sketch(x, k=k, counted=counted, progress=reporter(progress))
    dtype = "bfloat16" if x.dtype == np.uint16 else x.dtype.name
    values = kept if dtype == "float64" else converted(kept, np.float32)
    each = (*shape, k)
    return Sketch(
        ids=ids.reshape(each), logits=values.reshape(each), log_z=log_z.reshape(shape), tail=tail.reshape(shape),
        entropy=entropy.reshape(shape), n_classes=width, dtype=dtype,
    )  # fmt: skip
