"""Negative log-likelihoods from logits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import aligned, floats
from .._lazy import lazy
from .._mode import standard_mode, standard_mode_methods
from .._options import fraction
from .._progress import Progress, reporter
from .._result import Result
from .._text import html_table
from ..errors import shown, type_error, value_error
from ._asked import OF_ROW, Column, PairColumn, asked_of, counting, shaped, targets_of
from ._bounds import BOUNDS, Bound, Precision
from ._transform import TRANSFORMS, Reals, precision_of, transform_of
from .kl_base import KLBase

__all__ = ["Column", "PairColumn", "TokenScores", "token_scores"]


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class TokenScores(Result):
    """Scores of target tokens under a model's logits, one entry per target.

    A column that was not asked for is None. Where a position does not count, all columns are NaN and ``top`` is -1.
    With several candidates a row (targets ``[..., m]``), the columns of the row (``log_z``, ``top``, ``confidence``,
    ``entropy``, ``varentropy``, ``collision``, ``z_loss``, ``mean_logit``, ``kl``, ``kl_reverse``, ``js``, ``tv``,
    ``same_top``, ``kl_llama_cpp``) have the shape ``[...]``, all others ``[..., m]``.

    Attributes
    ----------
    nll : float64 ndarray, the shape of ``targets``
        Negative log-likelihood of the target, in nats: at least 0, ``inf`` where the target's logit is
        ``-inf`` (or farther below the largest than float64 reaches), NaN where the position does not count.
    log_z : float64 ndarray
        Logarithm of the sum of the exponentials of the row's logits; NaN where the position does not count.
    counted : bool ndarray
        False where the target was ``ignore_index`` or ``where`` was False. Code that aggregates a column must leave
        these positions out, as all functions of this package do.
    top : int64 ndarray or None
        The class with the largest logit, the first of equal ones: what greedy decoding would choose.
    correct : float64 ndarray or None
        1 where the target is the top class, 0 where it is not.
    confidence : float64 ndarray or None
        Probability of the top class.
    probability : float64 ndarray or None
        Probability of the target, ``exp(-nll)``.
    margin : float64 ndarray or None
        Log-probability of the target minus that of the best other class: below 0 where another class is preferred.
    entropy : float64 ndarray or None
        Entropy of the model's distribution, in nats: at least 0.
    varentropy : float64 ndarray or None
        Variance of ``-log p`` under the model's own distribution, in nats squared: 0 where all classes that have any
        probability have the same.
    collision : float64 ndarray or None
        Sum of the squared probabilities: the probability that two draws give the same token.
    rank : float64 ndarray or None
        1 plus the number of classes with a larger logit than the target's.
    rank_ties : float64 ndarray or None
        The number of classes whose logit is at least the target's, itself included: the last place that ties allow
        (vLLM's ``rank``).
    top_k : float64 ndarray or None
        The smallest k for which the target is among the k largest logits, the first of equal ones going first as in
        ``top``: ``t.top_k <= 5`` are the top-5 hits, and ``t.top_k == 1`` is ``correct``.
    label_smoothed : float64 ndarray or None
        Cross-entropy against the target smoothed by ``label_smoothing``, in nats.
    z_loss : float64 ndarray or None
        The square of ``log_z``: multiplied by a small weight, the penalty that keeps logits from drifting.
    mean_logit : float64 ndarray or None
        Mean of the row's logits; ``-inf`` where a class is masked. Sums beyond the range of float64 overflow.
    kl, kl_reverse : float64 ndarray or None
        With a ``baseline``: the Kullback-Leibler divergence of this model from the baseline (the baseline's
        probabilities weigh), and of the baseline from this model, in nats. Never negative, and 0 for equal rows.
    js : float64 ndarray or None
        With a ``baseline``: the Jensen-Shannon divergence, in nats, at most log 2.
    tv : float64 ndarray or None
        With a ``baseline``: the total variation distance, from 0 to 1.
    delta_p : float64 ndarray or None
        With a ``baseline``: the target's probability minus what it is under the baseline.
    same_top : float64 ndarray or None
        With a ``baseline``: 1 where both have the same top class.
    flips : float64 ndarray or None
        With a ``baseline``: 1 where exactly one of both has the target as its top class.
    nll_difference : float64 ndarray or None
        With a ``baseline``: ``nll - baseline.nll``.
    kl_llama_cpp : float64 ndarray or None
        With a ``baseline`` that is a :class:`~steelyard.tokens.KLBase`: the divergence that llama.cpp prints, from
        probabilities as they are stored in 16 bits. Of both signs, and not 0 for a model against itself.
    baseline : TokenScores or None
        The baseline's own scores, with the same columns.
    precision : {"float32", "float64"} or None
        The type in which exponentials were computed; None where the scores were not computed here.

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
    top: NDArray[np.int64] | None = None
    correct: NDArray[np.float64] | None = None
    confidence: NDArray[np.float64] | None = None
    probability: NDArray[np.float64] | None = None
    margin: NDArray[np.float64] | None = None
    entropy: NDArray[np.float64] | None = None
    varentropy: NDArray[np.float64] | None = None
    collision: NDArray[np.float64] | None = None
    rank: NDArray[np.float64] | None = None
    rank_ties: NDArray[np.float64] | None = None
    top_k: NDArray[np.float64] | None = None
    label_smoothed: NDArray[np.float64] | None = None
    z_loss: NDArray[np.float64] | None = None
    mean_logit: NDArray[np.float64] | None = None
    kl: NDArray[np.float64] | None = None
    kl_reverse: NDArray[np.float64] | None = None
    js: NDArray[np.float64] | None = None
    tv: NDArray[np.float64] | None = None
    delta_p: NDArray[np.float64] | None = None
    same_top: NDArray[np.float64] | None = None
    flips: NDArray[np.float64] | None = None
    nll_difference: NDArray[np.float64] | None = None
    kl_llama_cpp: NDArray[np.float64] | None = None
    baseline: TokenScores | None = None
    precision: Precision | None = None

    def __post_init__(self) -> None:
        shared = self._shared_shape()
        for name, dtype in _DTYPES.items():
            given = getattr(self, name)
            if given is None and name in _OPTIONAL:
                continue
            if type(given) is not np.ndarray or given.dtype != dtype or not given.flags.aligned:
                raise type_error(name, f"an aligned {dtype} array", shown(given))
            shape = shared if name in OF_ROW else np.shape(self.nll)
            if given.shape != shape:
                raise value_error(name, f"the shape of nll, {shape}", f"shape {given.shape}")
            frozen = given.view()
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)
        log_z = self.log_z[..., None] if self.several else self.log_z
        if self.baseline is not None and not (
            isinstance(self.baseline, TokenScores)
            and (self.baseline.nll.shape, self.baseline.log_z.shape) == (self.nll.shape, self.log_z.shape)
        ):
            raise value_error("baseline", "TokenScores of the same shape", shown(self.baseline))
        right = (self.nll >= 0) & (log_z == log_z)  # False for NaN, too
        if (self.counted > right).any():
            raise self._bad_value()

    def _shared_shape(self) -> tuple[int, ...]:
        """The shape of the columns that candidates of a row share."""
        nll, log_z = (given.shape if isinstance(given, np.ndarray) else () for given in (self.nll, self.log_z))
        return log_z if nll and log_z == nll[:-1] else nll

    @property
    def several(self) -> bool:
        """Whether each row of logits has several targets, along the last axis of ``nll``."""
        return self.log_z.ndim < self.nll.ndim

    def _bad_value(self) -> ValueError:
        """The error for the first value that a counted position cannot have: NaN or a negative NLL."""
        log_z = self.log_z[..., None] if self.several else self.log_z
        bad = {"nll": ~(self.nll >= 0) & self.counted, "log_z": np.isnan(log_z) & self.counted}
        name = "nll" if bad["nll"].any() else "log_z"
        first = tuple(int(at[0]) for at in np.nonzero(np.atleast_1d(bad[name])))
        expected = {"nll": "0 or more", "log_z": "a number"}[name]
        first = first[:-1] if self.several and name == "log_z" else first
        got = f"{np.atleast_1d(getattr(self, name))[first]} at index {list(first)}"
        return value_error(name, f"{expected} where a position counts", got)

    @property
    def error_bounds(self) -> dict[str, Bound]:
        """The largest error of each column that was computed: at most ``absolute + relative * |value|``.

        They are pairs ``(absolute, relative)`` in the column's unit (nats for ``nll``), for the logits as they
        were given, transformed or multiplied: what storing them in 16 bits, transforming them in float32 or multiplying
        hidden states costs is not in them. ``mean_logit`` and ``label_smoothed`` have the error of a float64 sum of the
        logits, for which no number can be said beforehand; ``nll_difference`` that of two ``nll``, whose rounding comes
        to the bound where they exceed 1e4. Divergences leave out what the formula leaves out: classes whose weighing
        probability is below e^-87 (e^-708 for float64).
        """
        known = BOUNDS[self.precision] if self.precision else {}
        return {name: bound for name, bound in known.items() if getattr(self, name) is not None}

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
        if self.several:
            raise ValueError("sequence_logprob: expected one target a position; got candidates, which are alternatives")
        sums = self._sums(int(np.prod(self.nll.shape[:-1], dtype=np.int64)))
        # 0.0 - x instead of -x, so that a sequence without tokens gets +0.0 rather than -0.0.
        result: NDArray[np.float64] = 0.0 - sums.reshape(self.nll.shape[:-1])
        result.setflags(write=False)
        return result

    def by(
        self, documents: Any = None, *, n_bytes: ArrayLike | None = None, share: float = 0.2
    ) -> dict[str, NDArray[Any]]:
        """Tell the tokens and NLL of each document, and what its least likely tokens say of memorisation.

        With the ``k = max(1, floor(share n))`` least likely of a document's n counted tokens (a token of which the
        model is certain counts as 0 in ``min_k_plus``)::

            perplexity    = exp(nll / tokens)               bits_per_byte = nll / (log(2) bytes)
            min_k         = mean of log p over the k least likely tokens
            min_k_plus    = mean over the k least of (log p + entropy) / sqrt(varentropy)

        High values of the last two mark texts that a model has seen (Min-K% Prob and Min-K%++). The mean of
        ``perplexity`` over documents is what Hugging Face's ``evaluate`` reports; it weighs short documents more than
        :func:`steelyard.perplexity`, the exponential of the mean over all tokens.

        Parameters
        ----------
        documents : array of ids, one a token or one a sequence, or None
            None: each sequence along the last axis is a document.
        n_bytes : array of numbers, one a token or one a sequence, or None
            The bytes of the text, for ``bits_per_byte``.
        share : float
            The share of tokens for ``min_k`` and ``min_k_plus``, above 0 and up to 1.

        Returns
        -------
        dict of arrays
            ``id`` (rising), ``tokens``, ``nll`` (nats in sum), ``perplexity``, ``bits_per_byte`` if ``n_bytes`` is
            given, ``min_k``, and ``min_k_plus`` where the columns entropy and varentropy were asked for; documents
            without a counted token are left out.

        Raises
        ------
        ValueError
            For scores of candidates, ids or bytes of another shape, and a share out of range.

        References
        ----------
        W. Shi et al., "Detecting Pretraining Data from Large Language Models", ICLR 2024 (their code rounds k down, to
        0 in short texts). J. Zhang et al., "Min-K%++", ICLR 2025.

        Examples
        --------
        >>> import numpy as np
        >>> import steelyard as sy
        >>> t = sy.token_scores(np.zeros((2, 3, 8)), [[0, 1, -100], [2, 3, 4]])
        >>> table = t.by(["a", "b"], n_bytes=[4, 9])
        >>> table["id"].tolist(), table["tokens"].tolist(), table["bits_per_byte"].round(2).tolist()
        (['a', 'b'], [2, 3], [1.5, 1.0])
        """
        from ._documents import by_document

        return by_document(self, documents, n_bytes, share)

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


_OTHER_DTYPES = {"counted": bool, "top": np.int64}
_COLUMNS = [item for item in fields(TokenScores) if item.name not in ("baseline", "precision")]
_DTYPES = {item.name: np.dtype(_OTHER_DTYPES.get(item.name, float)) for item in _COLUMNS}
_OPTIONAL = {item.name for item in _COLUMNS if item.default is None}


@standard_mode
def token_scores(
    logits: Any,
    targets: ArrayLike,
    *,
    baseline: Any = None,
    ignore_index: int | None = -100,
    where: ArrayLike | None = None,
    columns: Column | PairColumn | Literal["all"] | Iterable[Column | PairColumn] | None = None,
    bias: ArrayLike | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    progress: Progress = False,
) -> TokenScores:
    """Score ``targets`` under the softmax of ``logits``, reading the logits once.

    For a row x of ``logits`` with maximum M and target t::

        log_z = M + log(sum_v exp(x_v - M))
        nll   = log_z - x_t = log(sum_v exp(x_v - M)) + (M - x_t)

    and, where ``columns`` asks for it, with p the softmax of x and V classes::

        top            = the first v with x_v = M           correct     = 1 if top = t else 0
        confidence     = p_top                              probability = p_t
        margin         = x_t - max(x_v for v != t)
        entropy        = log_z - sum_v p_v x_v = log(sum_v exp(x_v - M)) + sum_v p_v (M - x_v)
        varentropy     = sum_v p_v (x_v - M)**2 - (sum_v p_v (x_v - M))**2
        collision      = sum_v p_v**2
        rank           = 1 + number of v with x_v > x_t     rank_ties   = number of v with x_v >= x_t
        top_k          = rank + number of v < t with x_v = x_t
        label_smoothed = (1 - e) nll + e (log_z - mean_logit), with e = label_smoothing
        z_loss         = log_z**2                           mean_logit  = sum_v x_v / V

    With a ``baseline``, both are read from memory once and the same targets are scored under both. With q the softmax
    of its row::

        kl    = sum_v q_v log(q_v / p_v)                    kl_reverse = sum_v p_v log(p_v / q_v)
        js    = (sum_v q_v log(q_v / m_v) + sum_v p_v log(p_v / m_v)) / 2, with m = (p + q) / 2
        tv    = sum_v |p_v - q_v| / 2                       delta_p    = p_t - q_t
        flips = 1 if (top = t) differs between both         same_top   = 1 if both have the same top
        nll_difference = nll - baseline.nll
        kl_llama_cpp = sum of exp(b_v) (b_v - log p_v) over the v with b_v > -16, b as stored

    Divergences are sums of the terms ``q log(q / p) - q + p``, none of which is negative, so that no result is: it is 0
    for equal rows, and ``inf`` only where a class that has probability is at ``-inf``. A class whose weighing
    probability (q in ``kl``) is below e^-87 (e^-708 for float64) adds nothing.

    Exponentials are computed in float32 (float64 for float64 logits) and summed in float64; results are
    float64 for every input. The error of ``log_z`` and ``nll`` is at most 1e-6 nats (1e-11 for float64 logits) and one
    rounding of the result, and that of ``entropy`` at most 1e-5 nats and 1e-5 of its value (1e-11 for float64
    logits). Entropies below 1e-30 may be returned as 0. ``confidence`` and ``probability`` have a relative error of
    1e-6 (1e-11), ``collision`` of 3e-6 (3e-11); ``varentropy`` has an error of 1e-5 of itself and 1e-4 nats squared
    (1e-11 and 1e-10). ``top``, ``correct`` and ranks are exact, ``margin`` and ``mean_logit`` but for the rounding of
    float64. Divergences have an error of 1e-5 of themselves and 2e-6 times ``tv`` (1e-11 of both), ``tv`` one of 1e-5
    of itself and 1e-6 (1e-11 of both), ``kl_llama_cpp`` one of 1e-6 of itself and 5e-6. No array of the size of
    ``logits`` is allocated.

    Parameters
    ----------
    logits : float32, float64, bfloat16 or float16 array, shape [..., V]
        Unnormalised scores, or log-probabilities. Any strides, but the last axis must be contiguous:
        ``logits[:, :-1]`` of ``[B, T, V]`` is read without a copy. ``-inf`` masks a class.
    targets : integer array, shape [...] or [..., m]
        Class indices in ``0..V-1``, or ``ignore_index``. With m candidates a row (the answers of a multiple-choice
        question, say) the row is read once for all of them; a row of which no candidate counts is not read.
    baseline : float array, the shape of ``logits``, :class:`~steelyard.tokens.KLBase`, or None
        The logits of another model for the same places: the original of a quantised one, say. Its element type may
        differ; where one of both is float64, both are computed in it. Of a base file ``logits`` have its ``shape`` (or
        one row after another) and are not transformed, since its log-probabilities are of finished logits.
    ignore_index : int or None
        Positions with this target are not scored, and their logits are not read. ``None``: every position
        counts.
    where : bool array, the shape of ``targets``, or None
        False for positions that are not scored.
    columns : names, ``"all"``, or None
        What to compute. ``"nll"`` and ``"log_z"`` are always computed; all others only where named, since some cost
        extra time. The bits of a column do not depend on which others are computed. ``None``: these two and, with a
        ``baseline``, all columns that compare both but ``js``. The names are ``"nll"``, ``"log_z"``, ``"top"``,
        ``"correct"``, ``"confidence"``, ``"probability"``, ``"margin"``, ``"entropy"``, ``"varentropy"``,
        ``"collision"``, ``"rank"``, ``"rank_ties"``, ``"top_k"``, ``"label_smoothed"``, ``"z_loss"``,
        ``"mean_logit"``, and with a ``baseline`` ``"kl"``, ``"kl_reverse"``, ``"js"``, ``"tv"``, ``"delta_p"``,
        ``"same_top"``, ``"flips"``, ``"nll_difference"``, and where it is a base file ``"kl_llama_cpp"``.
    bias : array, shape [V], or None
    scale, softcap, temperature : float or None
        What the model still has to do to its logits: ``softcap * tanh(scale * (x + bias) / softcap) / temperature``
        (Gemma's soft cap, Cohere's logit scale), each step rounded as in an array of float32 (float64 for float64
        logits). No array is made. ``scale`` is not 0, ``softcap`` and ``temperature`` are above 0.
    label_smoothing : float
        e in 0..1, the probability that the column ``label_smoothed`` spreads evenly over all classes, as in torch's
        ``cross_entropy``.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows.

    Returns
    -------
    TokenScores
        The columns and ``counted``, in the shape of ``targets`` (those of a row without the axis of candidates); and
        ``sequence_logprob`` and ``n_counted``.

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
    >>> t = sy.token_scores(logits, [1, 0], columns=("top", "rank", "entropy"))
    >>> t.top.tolist(), t.rank.tolist(), t.entropy.round(4).tolist()
    ([0, 0], [2.0, 1.0], [0.0, 0.6931])

    A model whose logits were rounded, against the original:

    >>> base = np.array([[0.3, -1.2, 2.1], [1.7, 0.2, 0.4]], dtype=np.float32)
    >>> q = sy.token_scores(base.round(), [2, 0], baseline=base)
    >>> q.kl.round(4).tolist(), q.same_top.tolist(), q.delta_p.round(3).tolist()
    ([0.004, 0.0391], [1.0, 1.0], [0.012, 0.118])

    Notes
    -----
    torch's ``cross_entropy(reduction="none")`` returns 0.0 at ignored positions, which a mean over all positions counts
    as certain predictions; here they are NaN and ``counted`` is False. The running maximum over blocks follows Milakov
    and Gimelshein, "Online normalizer calculation for softmax" (arXiv:1805.02867).
    """
    of_file = isinstance(baseline, KLBase)
    aligned(logits=logits, targets=targets, baseline=None if of_file else baseline, where=where)
    x = floats(logits, "logits", contiguous=False, table=True)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise value_error("logits", "classes along the last axis, [..., V]", f"shape {x.shape}")
    codes = baseline.coded(x.shape[:-1], x.shape[-1]) if isinstance(baseline, KLBase) else None
    t = targets_of(targets, x, "logits")
    rows = x.shape[:-1]
    asked, pairs = asked_of(columns, baseline)
    base = codes if baseline is None or of_file else floats(baseline, "baseline", contiguous=False, table=True)
    # The type in which exponentials are computed, and in which the steps of a transformation are rounded.
    real: Reals = np.float64 if np.float64 in (x.dtype, getattr(base, "dtype", None)) else np.float32
    options = {
        "columns": asked, **counting(t, ignore_index, where),
        **transform_of(real, x.shape[-1], bias=bias, scale=scale, softcap=softcap, temperature=temperature),
        "label_smoothing": fraction(label_smoothing, "label_smoothing"), "progress": reporter(progress),
    }  # fmt: skip
    if baseline is None:
        counted, found = _core.token_scores(x, t, **options)
        values = shaped(asked, found, t.shape, rows)
        return TokenScores(counted=counted.reshape(t.shape), precision=precision_of(real), **values)
    assert base is not None
    if of_file and (given := [name for name in TRANSFORMS if options[name] is not None]):
        expected = "None where baseline is a file, whose log-probabilities are of finished logits"
        raise value_error(given[0], expected, "a number" if given[0] != "bias" else "an array", "transform before")
    if not of_file and base.shape != x.shape:
        raise value_error("baseline", f"the shape of logits, {x.shape}", f"shape {base.shape}")
    options["coded"] = of_file
    counted, (new, old, apart) = _core.token_pairs(x, base, t, pairs=pairs, **options)
    counted, precision = counted.reshape(t.shape), precision_of(real)
    of_base = TokenScores(counted=counted, precision=precision, **shaped(asked, old, t.shape, rows))
    values = shaped(asked, new, t.shape, rows) | shaped(pairs, apart, t.shape, rows)
    return TokenScores(counted=counted, baseline=of_base, precision=precision, **values)
