"""Scores of tokens, as a result."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import first_index
from .._lazy import lazy
from .._mode import standard_mode_methods
from .._result import Result
from .._text import html_table
from ..errors import shown, type_error, value_error
from ._asked import OF_ROW
from ._bounds import BOUNDS, Bound, Precision
from .gradients import TokenGradients

__all__ = ["TokenScores"]


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
    gradients : TokenGradients or None
        Those of the sum of the losses, where :func:`~steelyard.token_scores_from_hidden` was asked for them.
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
    gradients: TokenGradients | None = None
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
        first = first_index(bad[name])
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
_COLUMNS = [item for item in fields(TokenScores) if item.name not in ("baseline", "gradients", "precision")]
_DTYPES = {item.name: np.dtype(_OTHER_DTYPES.get(item.name, float)) for item in _COLUMNS}
_OPTIONAL = {item.name for item in _COLUMNS if item.default is None}
