"""Negative log-likelihoods from logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import aligned, floats, integers
from .._lazy import lazy
from .._mode import standard_mode, standard_mode_methods
from .._options import choice, whole
from .._progress import Progress, reporter
from .._registries import names
from .._result import Result
from .._text import html_table
from ..errors import shown, type_error, value_error

__all__ = ["Column", "TokenScores", "token_scores"]

Column = Literal["nll", "log_z", "entropy"]
# The columns of every TokenScores: they follow from the sum that all columns need.
ALWAYS: tuple[Column, ...] = ("nll", "log_z")


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class TokenScores(Result):
    """Scores of target tokens under a model's logits, one entry per target.

    Attributes
    ----------
    nll : float64 ndarray, the shape of ``targets``
        Negative log-likelihood of the target, in nats: at least 0, ``inf`` where the target's logit is
        ``-inf`` (or farther below the largest than float64 reaches), NaN where the position does not count.
    log_z : float64 ndarray
        Logarithm of the sum of the exponentials of the row's logits; NaN where the position does not count.
    counted : bool ndarray
        False where the target was ``ignore_index``. Code that aggregates ``nll`` or ``log_z`` must leave these
        positions out, as all functions of this package do.
    entropy : float64 ndarray or None
        Entropy of the model's distribution, in nats: at least 0; NaN where the position does not count. None unless
        ``columns`` asked for it.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> t = sy.token_scores(np.zeros((2, 3, 8)), [[0, 1, -100], [2, 3, 4]])
    >>> t
    <TokenScores of shape (2, 3): 5 tokens counted, 1 not; mean NLL 2.07944 nats>
    >>> t.sequence_logprob.round(4).tolist()
    [-4.1589, -6.2383]
    """

    nll: NDArray[np.float64]
    log_z: NDArray[np.float64]
    counted: NDArray[np.bool_]
    entropy: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            given = getattr(self, name)
            if given is None and name in _OPTIONAL:
                continue
            if type(given) is not np.ndarray or given.dtype != dtype or not given.flags.aligned:
                raise type_error(name, f"an aligned {dtype} array", shown(given))
            if given.shape != self.nll.shape:
                raise value_error(name, f"the shape of nll, {self.nll.shape}", f"shape {given.shape}")
            frozen = given.view()
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)
        right = (self.nll >= 0) & (self.log_z == self.log_z)  # False for NaN, too
        if (self.counted > right).any():
            raise self._bad_value()

    def _bad_value(self) -> ValueError:
        """The error for the first value that a counted position cannot have: NaN or a negative NLL."""
        bad = {"nll": ~(self.nll >= 0) & self.counted, "log_z": np.isnan(self.log_z) & self.counted}
        name = "nll" if bad["nll"].any() else "log_z"
        first = tuple(int(at[0]) for at in np.nonzero(np.atleast_1d(bad[name])))
        expected = {"nll": "0 or more", "log_z": "a number"}[name]
        got = f"{np.atleast_1d(getattr(self, name))[first]} at index {list(first)}"
        return value_error(name, f"{expected} where a position counts", got)

    @lazy
    def n_counted(self) -> int:
        """The number of positions that count."""
        return int(np.count_nonzero(self.counted))

    @lazy
    def sequence_logprob(self) -> NDArray[np.float64]:
        """Log-probability of each sequence: the sum of ``-nll`` over the counted tokens of the last axis.

        The terms are cut to multiples of 2**-64 and summed exactly, then rounded once, so that the result does not
        depend on padding or on the order of the tokens. It is 0 for a sequence without counted tokens, and ``-inf``
        for one with a target whose logit is ``-inf``.
        """
        if self.nll.ndim == 0:
            raise ValueError("sequence_logprob: expected scores with a token axis; got those of one token")
        sums = self._sums(int(np.prod(self.nll.shape[:-1], dtype=np.int64)))
        # 0.0 - x instead of -x, so that a sequence without tokens gets +0.0 rather than -0.0.
        result: NDArray[np.float64] = 0.0 - sums.reshape(self.nll.shape[:-1])
        result.setflags(write=False)
        return result

    def _sums(self, rows: int) -> NDArray[np.float64]:
        """Sum the counted NLL of each of ``rows`` equal parts."""
        nll, counted = np.ascontiguousarray(self.nll), np.ascontiguousarray(self.counted)
        return _core.sequence_nll(nll, counted, rows=rows)

    def _mean(self) -> str | None:
        """The mean NLL in words; None where no token counts."""
        return f"{float(self._sums(1)[0]) / self.n_counted:.6g} nats" if self.n_counted else None

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows: sizes and the mean."""
        rows = [["shape", str(self.nll.shape)], ["tokens counted", str(self.n_counted)]]
        rows += [["tokens not counted", str(self.counted.size - self.n_counted)], ["mean NLL", self._mean() or "none"]]
        return html_table(rows, caption="token scores")

    def __repr__(self) -> str:
        out = self.counted.size - self.n_counted
        mean = "" if (found := self._mean()) is None else f"; mean NLL {found}"
        return f"<TokenScores of shape {self.nll.shape}: {self.n_counted} tokens counted, {out} not{mean}>"


_DTYPES = {item.name: np.dtype(bool if item.name == "counted" else float) for item in fields(TokenScores)}
_OPTIONAL = {item.name for item in fields(TokenScores) if item.default is None}


@standard_mode
def token_scores(
    logits: Any,
    targets: ArrayLike,
    *,
    ignore_index: int | None = -100,
    columns: Column | Literal["all"] | Iterable[Column] = ALWAYS,
    progress: Progress = False,
) -> TokenScores:
    """Score ``targets`` under the softmax of ``logits``, reading the logits once.

    For a row x of ``logits`` with maximum M and target t::

        log_z = M + log(sum_v exp(x_v - M))
        nll   = log_z - x_t = log(sum_v exp(x_v - M)) + (M - x_t)

    and, where ``columns`` asks for it, with p the softmax of x::

        entropy = log_z - sum_v p_v x_v = log(sum_v exp(x_v - M)) + sum_v p_v (M - x_v)

    Exponentials are computed in float32 (float64 for float64 logits) and summed in float64; results are
    float64 for every input. For up to 262,144 classes the error of ``log_z`` and ``nll`` is at most 1e-6 nats
    (1e-11 for float64 logits), and that of ``entropy`` at most 1e-5 nats and 1e-5 of its value (1e-11 for float64
    logits). Entropies below 1e-30 may be returned as 0. No array of the size of ``logits`` is allocated.

    Parameters
    ----------
    logits : float32, float64, bfloat16 or float16 array, shape [..., V]
        Unnormalised scores, or log-probabilities. Any strides, but the last axis must be contiguous:
        ``logits[:, :-1]`` of ``[B, T, V]`` is read without a copy. ``-inf`` masks a class.
    targets : integer array, shape [...]
        Class indices in ``0..V-1``, or ``ignore_index``.
    ignore_index : int or None
        Positions with this target are not scored, and their logits are not read. ``None``: every position
        counts.
    columns : names, or ``"all"``
        What to compute. ``"nll"`` and ``"log_z"`` are always computed; ``"entropy"`` only where named, since it costs
        extra time. The bits of a column do not depend on which others are computed.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows.

    Returns
    -------
    TokenScores
        The columns and ``counted``, in the shape of ``targets``; and ``sequence_logprob`` and ``n_counted``.

    Raises
    ------
    TypeError
        For logits that are not floating-point or targets that are not integers.
    ValueError
        For shapes that do not match, for a last axis that is not contiguous, for a target out of range, and for a
        counted row with a NaN, a ``+inf`` or nothing but ``-inf``; the first index is named.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> logits = np.array([[0.0, -104.5], [2.0, 2.0]], dtype=np.float32)
    >>> sy.token_scores(logits, [1, 0]).nll
    array([104.5       ,   0.69314718])

    Notes
    -----
    torch's ``cross_entropy(reduction="none")`` returns 0.0 at ignored positions, which a mean over all positions counts
    as certain predictions; here they are NaN and ``counted`` is False. The running maximum over blocks follows Milakov
    and Gimelshein, "Online normalizer calculation for softmax" (arXiv:1805.02867).
    """
    aligned(logits=logits, targets=targets)
    x = floats(logits, "logits", contiguous=False, table=True)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise value_error("logits", "classes along the last axis, [..., V]", f"shape {x.shape}")
    t = np.array(integers(targets, "targets"))  # copied, since it is read more than once and could change meanwhile
    if t.shape != x.shape[:-1]:
        raise value_error("targets", f"shape {x.shape[:-1]}, that of logits without its last axis", f"shape {t.shape}")
    ignored = (
        None
        if ignore_index is None
        else whole(ignore_index, "ignore_index", -(2**63), 2**63 - 1, "a whole number or None")
    )
    asked = _asked(columns)
    counted, found = _core.token_scores(x, t, ignore_index=ignored, columns=asked, progress=reporter(progress))
    values = {name: column.reshape(t.shape) for name, column in zip(asked, found, strict=True)}
    return TokenScores(counted=counted.reshape(t.shape), **values)


def _asked(columns: str | Iterable[str]) -> Sequence[str]:
    """The names of the columns to compute."""
    if columns is ALWAYS:
        return ALWAYS
    known = names("tokens.columns")
    try:
        given = (columns,) if isinstance(columns, str) else tuple(columns)
    except TypeError:
        raise type_error("columns", f"names of columns, of {', '.join(known)}, or 'all'", shown(columns)) from None
    asked = {choice(name, "columns", (*known, "all")) for name in given}
    return [name for name in known if name in asked or name in ALWAYS or "all" in asked]
