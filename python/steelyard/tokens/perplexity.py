"""Perplexity with its standard error and interval, as a function and as a state for data that come in parts."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import aligned, flat_ids, floats, shape_of
from .._clusters import Names, codes_and_names
from .._estimate import Estimate
from .._intervals import ONE_CLUSTER
from .._mode import standard_mode, standard_mode_methods
from .._options import (
    Alternative,
    Confidence,
    NanPolicy,
    choice,
    confidence_of,
)
from .._progress import Progress, reporter
from .._registries import names
from .._rows import Selection, is_nan, less, nonzero, nothing_counts
from .._state import State
from ..errors import type_error, value_error
from .scores import TokenScores

__all__ = ["PerplexityState", "perplexity"]

Array = NDArray[Any]
Shape = tuple[int, ...]
Unit = Literal["perplexity", "bits", "nats"]
# The codes by which the core is told which tokens count.
EXCLUDED, COUNTS, IGNORED = map(np.uint8, (_core.TOKEN_EXCLUDED, _core.TOKEN_COUNTS, _core.TOKEN_IGNORED))


@standard_mode
def perplexity(
    x: Any,
    *,
    where: Any = None,
    clusters: Any = None,
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

    Parameters
    ----------
    x : TokenScores, or array [B, T] or [T]
        Negative log-likelihoods in nats, at least 0 (any leading shape; the last axis is a sequence). Positions
        that a TokenScores does not count do not count here either.
    where : boolean array, shape of x, optional
        The tokens that count; default: all.
    clusters : ids, one per token or one per row, optional
        The cluster of each token or row, usually its document. By default each row of ``[B, T]`` is its own cluster;
        ``[T]`` is one cluster, for which there is a value but no interval.
    per : array of numbers, one per token or one per row, optional
        The numbers, at least 0, whose sum to divide by instead of the number of tokens: words or bytes. With one number
        per row, the numbers of all rows count in which some token counts, and ids must then be per row too.
    unit : {"perplexity", "bits", "nats"}
        What to return: exp(m), m / ln 2 (bits per byte where ``per`` counts bytes), or m.
    nan_policy : {"raise", "omit"}
        ``"omit"`` leaves out tokens that are NaN or null, and counts them in ``left_out`` under ``nan``.
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
    state = PerplexityState(
        unit=unit, nan_policy=nan_policy, confidence_level=confidence_level, alternative=alternative
    )
    return state.update(x, where=where, clusters=clusters, per=per, progress=progress).compute()


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
        self, x: Any, *, where: Any = None, clusters: Any = None, per: Any = None, progress: Progress = False
    ) -> Self:
        """Add tokens and return the state; parameters as in :func:`steelyard.perplexity`.

        For ``x`` of shape ``[T]``, ``clusters`` may be a single id for the whole sequence. Where the call raises,
        nothing has been added.
        """
        aligned(x=x, where=where, clusters=clusters, per=per)
        selection = Selection(where, clusters, self._nan_policy, unit="token")
        nll, status = _tokens(x, selection)
        if nll.size == 0:
            return self
        group = _groups(selection, nll, status)
        self._totals.update(
            nll,
            length=nll.shape[-1],
            codes=group.codes,
            clusters=group.clusters,
            status=status,
            names=group.names,
            per=None if per is None else _divisor(per, nll.shape, group.of_rows),
            omit_nan=selection.omit,
            progress=reporter(progress),
        )
        return self

    def compute(self) -> Estimate:
        """The perplexity from all tokens added so far.

        Raises
        ------
        ValueError
            Where no token counts, or ``per`` sums to 0.
        """
        counts = self._totals.counts()
        left_out = nonzero({"ignored": counts["ignored"], "where": counts["excluded"], "nan": counts["nan"]})
        found = self._totals.result(unit=self._unit, **self._confidence.keywords)
        if found is None:
            raise nothing_counts("x", "token", left_out)
        if found["units"] == 0:
            raise value_error("per", "numbers that sum to more than 0", "0")
        detail = {} if found["df"] is None else {"df": found["df"]}
        if found["units"] != found["tokens"]:
            detail["units"] = found["units"]
        return Estimate(
            value=found["value"], standard_error=found["standard_error"], low=found["low"], high=found["high"],
            confidence_level=self._confidence.level, n=found["tokens"], n_clusters=found["clusters"],
            method="clustered t", left_out=left_out, detail=detail,
            reason=_reason(counts["infinite"], found, self._confidence, self._totals.precision()),
        )  # fmt: skip

    def _options(self) -> dict[str, Any]:
        return {
            "unit": self._unit,
            "nan_policy": self._nan_policy,
            **self._confidence.keywords,
        }

    def __repr__(self) -> str:
        tokens, clusters = self._totals.size()
        return f"<PerplexityState: {tokens} tokens in {clusters} clusters>"


def _reason(infinite: int, found: _core._Perplexity, confidence: Confidence, precision: str) -> str:
    """The ``reason`` of the estimate; ``precision`` is the coarsest float type that tokens came in."""
    if infinite:
        tokens = "1 counted token has" if infinite == 1 else f"{infinite} counted tokens have"
        return f"{tokens} probability 0 and an infinite NLL"
    if found["value"] == np.inf:
        return 'the exponential overflows; unit="nats" shows the mean NLL'
    if found["df"] is None:
        return f"{ONE_CLUSTER}; clusters= says which tokens belong together"
    if np.inf in (found["standard_error"], *(found[side] for side in confidence.sides)):
        return 'tokens in clusters; the exponential overflows in error or limits, which unit="nats" shows'
    if found["standard_error"] is None:
        rounding = "" if precision == "float64" else f" but for the rounding of {precision}"
        return f"all clusters have the same mean NLL{rounding}, and no spread is no certainty"
    return "tokens in clusters"


def _tokens(x: Any, selection: Selection) -> tuple[Array, NDArray[np.uint8] | None]:
    """The NLL of the tokens, and a status code for each (None: all count)."""
    nll = x.nll if isinstance(x, TokenScores) else floats(x, "x", numbers=True)
    if nll.ndim == 0:
        raise value_error("x", "a token axis, [T] or [B, T]", "a single number")
    mask = selection.mask("x", nll.shape)
    if not isinstance(x, TokenScores):
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


def _groups(selection: Selection, nll: Array, status: NDArray[np.uint8] | None) -> _Groups:
    """The cluster of each token, or of each row of tokens."""
    shape, ids = nll.shape, selection.clusters
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    if ids is None:
        return _Groups(np.arange(rows), rows, None, True)
    found = shape_of(ids, "clusters")
    of_rows = found == shape[:-1]
    if not of_rows and found != shape:
        expected = f"one id per token, shape {shape}, or one per row, shape {shape[:-1]}"
        raise value_error("clusters", expected, f"shape {found}")
    if found == ():
        ids = [ids]
    elif len(found) > 1:
        ids = flat_ids(ids, "clusters")
    # Tokens that do not count may lack an id; their codes are never read.
    keep = None if status is None else status == COUNTS
    if selection.omit:
        keep, _ = less(keep, is_nan(nll))
    if keep is not None:
        keep = (keep.any(-1) if of_rows else keep).reshape(-1)
    numbers, names = codes_and_names(ids, "clusters", rows if of_rows else nll.size, keep)
    return _Groups(numbers, len(names), names, of_rows)


def _divisor(per: Any, shape: Shape, of_rows: bool) -> NDArray[np.float64]:
    numbers = floats(per, "per", numbers=True)
    if numbers.dtype == np.uint16:
        raise type_error("per", "numbers that count exactly", "bfloat16")
    if numbers.shape == shape[:-1]:
        if not of_rows:
            fix = "give one number per token, or one id per row"
            raise value_error(
                "per", f"one number per token, shape {shape}, as clusters has", f"shape {numbers.shape}", fix
            )
    elif numbers.shape != shape:
        expected = f"one number per token, shape {shape}, or one per row, shape {shape[:-1]}"
        raise value_error("per", expected, f"shape {numbers.shape}")
    return numbers.astype(np.float64)
