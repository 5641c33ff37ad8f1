"""Perplexity with its standard error and interval, as a function and as a state for data that come in parts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self, get_args

import numpy as np

from .. import _core
from .._arrays import aligned
from .._estimate import Estimate
from .._mode import standard_mode, standard_mode_methods
from .._options import Alternative, Confidence, NanPolicy, choice, confidence_of
from .._progress import OnProgress, Progress, reporter
from .._registries import names
from .._rows import Selection
from .._state import State
from .._strata import Average, stratum_ids
from ..errors import value_error
from ._batch import Batch, batch_of
from ._parts import in_parts
from ._result import estimate_of
from ._scored import scored
from ._stream import add_all, is_stream

__all__ = ["PerplexityState", "perplexity"]

Unit = Literal["perplexity", "bits", "nats"]


@standard_mode
def perplexity(
    x: Any,
    *,
    where: Any = None,
    clusters: Any = None,
    by: Any = None,
    strata: Any = None,
    average: Average = "micro",
    per: Any = None,
    unit: Unit = "perplexity",
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    progress: Progress = False,
) -> Estimate:
    """Estimate the perplexity of a model from the NLL of its tokens, with an interval clustered by document.

    Over the N tokens that count, m = sum nll / N and the perplexity is exp(m); with ``per`` the sum is divided
    by the number of words, bytes, ... of the text instead. Tokens of one document are not independent. With the sums
    S_g and sizes n_g of the ``clusters``, r_g = S_g - m n_g and f_g = n_g/N, the variance of m is
    V = sum r_g^2/(1 - f_g) / N^2 (CR2), and the interval exp(m +- t sqrt(V)), Student's t with
    1/(sum f^2 + (sum a)^2 - sum a^2) degrees of freedom, a = f^2/(1 - f).

    With ``strata`` m and V are those of a stratified sample of clusters (see :func:`steelyard.estimate`): for
    ``average="macro"`` m is the mean of the strata's m_h, so that the perplexity is the geometric mean of theirs.

    Parameters
    ----------
    x : TokenScores, or array [B, T] or [T]
        Negative log-likelihoods in nats, at least 0 (any leading shape; the last axis is a sequence). Positions
        that a TokenScores does not count do not count here either. Without ``by`` and ``strata`` also an iterator of
        batches, as ``PerplexityState.update`` takes it.
    where : boolean array, shape of x, optional
        The tokens that count; default: all.
    clusters : ids, one per token or one per row, optional
        The cluster of each token or row, usually its document. By default each row of ``[B, T]`` is its own cluster;
        ``[T]`` is one cluster, for which there is a value but no interval.
    by : ids, one per row (for ``[T]`` one per token), optional
        The group of each row, such as its domain. Each group is a perplexity of its own rows; the result is one
        Estimate of many, named by the ids as text, in their order.
    strata : ids, one per row (for ``[T]`` one per token), optional
        The stratum of each row, where each stratum is a sample of its own and all give one answer. Each must have two
        clusters that count, and each cluster must lie inside one stratum. With ``by`` each group has its own strata.
    average : {"micro", "macro"}
        With ``strata``: ``"micro"`` is the mean over all tokens, ``"macro"`` the mean of the strata's means.
    per : array of numbers, one per token or one per row, optional
        The numbers, at least 0, whose sum to divide by instead of the number of tokens: words or bytes. With one number
        per row, the numbers of all rows count in which some token counts, and ids must then be per row too.
    unit : {"perplexity", "bits", "nats"}
        What to return: exp(m), m / ln 2 (bits per byte where ``per`` counts bytes), or m.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out tokens that are NaN or null, and counts them in ``left_out`` under ``nan``; also those of
        rows without an id in ``by`` or ``strata``, under ``no group`` or ``no stratum``.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        ``"less"`` gives an upper limit alone, ``"greater"`` a lower one.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` tokens.

    Returns
    -------
    Estimate
        ``n`` is the number of counted tokens, ``n_clusters`` the number of clusters that have some; ``detail`` holds
        ``df``, and ``units`` where ``per`` is given. ``standard_error`` is by the delta method: the value times sqrt(V)
        for perplexity. An infinite NLL is not left out: the value is then ``inf``, and ``reason`` says how many
        there are. Where all clusters have the same mean NLL up to rounding (8 steps of float64 or float32, one step of
        float16 or bfloat16), the standard error and the limits are None. The NLL of each token is cut to a multiple of
        2**-64 and the sums are exact, so that no order or split of the data changes a bit.

    Raises
    ------
    TypeError
        For arguments that are not numbers, booleans or ids where these are expected.
    ValueError
        For NaN (unless omitted), a negative NLL (a sign that log-probabilities were passed), shapes that do not match,
        and where no token counts.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> logits = np.zeros((3, 4, 50))
    >>> logits[1:, :2, 0] = 1, 2
    >>> print(sy.perplexity(sy.token_scores(logits, np.arange(12).reshape(3, 4))))
    51.3 [48.5, 54.2] (95 %, clustered t, n = 12, 3 clusters)
    >>> print(sy.perplexity(sy.token_scores(np.zeros((3, 4, 50)), np.zeros((3, 4), int))).reason)
    all clusters have the same mean NLL, and no spread is no certainty
    >>> nll = np.array([2.0, 2.5, 1.0, 3.5, 2.0, 1.5])
    >>> print(sy.perplexity(nll, clusters=["a", "a", "b", "b", "c", "c"]))
    8.0 [3.9, 16.5] (95 %, clustered t, n = 6, 3 clusters)
    >>> print(sy.perplexity(nll.reshape(6, 1), by=["law", "law", "math", "math", "math", "math"]))
    law   9 [0, 227] (95 %, clustered t, n = 2, 2 clusters)
    math  7 [1, 41] (95 %, clustered t, n = 4, 4 clusters)
    >>> print(sy.perplexity(nll, clusters=list("aabbcc"), per=[4, 3, 5, 2, 6, 4], unit="bits"))
    0.75 [0.04, 1.46] (95 %, clustered t, n = 6, 3 clusters)

    Notes
    -----
    This is the corpus perplexity of llama.cpp, torchmetrics and the GPTQ papers: one mean over all tokens. HF evaluate
    averages the perplexities of documents instead, a mean that short and hard documents dominate. llama.cpp's standard
    error treats tokens as independent, which tokens of one document are not; in a simulation it was 3.3 times too
    small. lm-evaluation-harness gives no standard error for its word and byte perplexity (here ``per``), which are the
    same ratio of sums.

    Sources: Bell and McCaffrey, Survey Methodology 28 (2002); Miller, "Adding error bars to evals", arXiv 2411.00640.
    """
    new = partial(
        PerplexityState, unit=unit, nan_policy=nan_policy, confidence_level=confidence_level, alternative=alternative
    )
    ids = stratum_ids(strata, average)
    if by is None and ids is None:
        return new().update(x, where=where, clusters=clusters, per=per, progress=progress).compute()
    aligned(x=x, where=where, clusters=clusters, per=per, by=by, strata=strata)
    selection = Selection(where, clusters, nan_policy, by=by, strata=ids, unit="token")
    return in_parts(new, batch_of(x, selection, per), selection, reporter(progress))


@standard_mode_methods
class PerplexityState(State):
    """The totals behind a perplexity, for data that come in parts: update, merge, save and continue.

    ``PerplexityState(**o).update(x, clusters=c).compute()`` equals ``perplexity(x, clusters=c, **o)``, and every split
    between rows, every order and every merge gives the same bits. A document that has an id may be spread over several
    updates; without ids every row is its own cluster. A state takes ids in all updates or in none, and likewise
    ``per``. It keeps the coarsest float type that tokens came in, because means that differ only by its rounding show
    no spread.

    Parameters
    ----------
    unit, nan_policy, confidence_level, alternative
        As in :func:`steelyard.perplexity`.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> first = sy.tokens.PerplexityState().update(np.array([2.0, 2.5, 1.0]), clusters=["a", "a", "b"])
    >>> rest = sy.tokens.PerplexityState().update(np.array([3.5, 2.0, 1.5]), clusters=["b", "c", "c"])
    >>> print((first + rest).compute())
    8.0 [3.9, 16.5] (95 %, clustered t, n = 6, 3 clusters)
    >>> sy.tokens.PerplexityState.from_bytes(first.to_bytes()) == first
    True
    """

    _CORE = _core.PerplexityTotals

    def __init__(
        self,
        *,
        unit: Unit = "perplexity",
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        self._unit = choice(unit, "unit", names("perplexity.unit"))
        self._nan_policy = choice(nan_policy, "nan_policy", get_args(NanPolicy))
        self._confidence = confidence_of(confidence_level, alternative)
        super().__init__()

    def update(
        self,
        x: Any,
        targets: Any = None,
        *,
        where: Any = None,
        clusters: Any = None,
        per: Any = None,
        progress: Progress = False,
    ) -> Self:
        """Add tokens and return the state; parameters as in :func:`steelyard.perplexity`.

        For ``x`` of shape ``[T]``, ``clusters`` may be a single id for the whole sequence. With ``targets``, ``x`` are
        logits ``[..., V]``, scored as by :func:`steelyard.token_scores`. ``x`` may also be an iterator, each item of
        which is a batch: an ``x``, a tuple ``(logits, targets)`` or ``(logits, targets, clusters)``, or a mapping of
        the arguments of this call by name; ``progress`` then counts batches, and a total of 0 says that nobody knows
        it yet. Where the call raises or is interrupted, nothing of the batch at hand has been added, and all before it
        have.
        """
        if is_stream(x):
            add_all(x, self.update, progress, first="x", targets=targets, where=where, clusters=clusters, per=per)
            return self
        aligned(x=x, targets=targets, where=where, clusters=clusters, per=per)
        selection = Selection(where, clusters, self._nan_policy, unit="token")
        if targets is None:
            self._add(batch_of(x, selection, per), reporter(progress))
        else:
            found = scored(x, targets, selection, name="x", progress=progress)
            self._add(batch_of(found.scores, selection, per, found.status), None)
        return self

    @property
    def n_positions(self) -> int:
        """The number of tokens added so far, whether they counted or not: where to go on after an interrupt."""
        counts = self._totals.counts()
        return int(self._totals.size()[0] + counts["ignored"] + counts["excluded"] + counts["nan"])

    def _add(self, batch: Batch, on_progress: OnProgress) -> None:
        if batch.nll.size:
            self._totals.update(
                batch.nll, length=batch.nll.shape[-1], codes=batch.codes, clusters=batch.clusters, status=batch.status,
                names=batch.names, per=batch.per, omit_nan=self._nan_policy == "omit", progress=on_progress,
            )  # fmt: skip

    def _check_batch(self, arguments: Mapping[str, Any]) -> None:
        if arguments.get("clusters") is None and np.ndim(arguments["x"]) == 1:
            fix = "a batch of tokens would be taken for a document, whatever its size"
            raise value_error("clusters", "a column of documents, since x has a token a row", "none", fix)

    def compute(self) -> Estimate:
        """The perplexity from all tokens added so far.

        Raises
        ------
        ValueError
            Where no token counts, or ``per`` sums to 0.
        """
        return self._estimate(self._confidence)

    def _estimate(self, confidence: Confidence) -> Estimate:
        counts = self._totals.counts()
        found = self._totals.result(unit=self._unit, **confidence.keywords)
        return estimate_of(found, counts, confidence, self._totals.precision())

    def _options(self) -> dict[str, Any]:
        return {
            "unit": self._unit,
            "nan_policy": self._nan_policy,
            **self._confidence.keywords,
        }

    def __repr__(self) -> str:
        tokens, clusters = self._totals.size()
        return f"<PerplexityState: {tokens} tokens in {clusters} clusters>"
