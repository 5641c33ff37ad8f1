"""Scores of targets under logits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from .._arrays import aligned, floats
from .._mode import standard_mode
from .._options import fraction
from .._progress import Progress, reporter
from ..errors import shown, value_error
from ._asked import Column, PairColumn, asked_of, counting, shaped, targets_of
from ._transform import TRANSFORMS, Reals, precision_of, transform_of
from .kl_base import KLBase
from .scores import TokenScores
from .shard import TokenShard, columns_of_shard, read_shard

__all__ = ["token_scores"]


@overload
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
    vocabulary: None = None,
    progress: Progress = False,
) -> TokenScores: ...
@overload
def token_scores(
    logits: Any,
    targets: ArrayLike,
    *,
    baseline: None = None,
    ignore_index: int | None = -100,
    where: ArrayLike | None = None,
    columns: Column | PairColumn | Literal["all"] | Iterable[Column | PairColumn] | None = None,
    bias: ArrayLike | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    vocabulary: range,
    progress: Progress = False,
) -> TokenShard: ...
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
    vocabulary: range | None = None,
    progress: Progress = False,
) -> TokenScores | TokenShard:
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
    vocabulary : range or None
        The classes that ``logits`` have, where others are elsewhere (tensor-parallel models, files of parts):
        ``range(start, stop)``, with targets that are classes of the whole vocabulary and a ``bias`` of the shard's
        classes. The result is a :class:`~steelyard.tokens.TokenShard`; ``(a + b).compute(n_vocab)`` gives the scores.
        A row whose classes are all masked is no error in a shard. Ranks are not among the columns, and there is no
        ``baseline``.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows.

    Returns
    -------
    TokenScores
        The columns and ``counted``, in the shape of ``targets`` (those of a row without the axis of candidates); and
        ``sequence_logprob`` and ``n_counted``. A TokenShard where ``vocabulary`` is given.

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
    if vocabulary is not None and baseline is not None:
        raise value_error("baseline", "None where logits are a shard of the vocabulary", shown(baseline))
    asked, pairs = asked_of(columns, baseline) if vocabulary is None else (columns_of_shard(columns), ())
    base = codes if baseline is None or of_file else floats(baseline, "baseline", contiguous=False, table=True)
    # The type in which exponentials are computed, and in which the steps of a transformation are rounded.
    real: Reals = np.float64 if np.float64 in (x.dtype, getattr(base, "dtype", None)) else np.float32
    options = {
        "columns": asked,
        **transform_of(real, x.shape[-1], bias=bias, scale=scale, softcap=softcap, temperature=temperature),
        "label_smoothing": fraction(label_smoothing, "label_smoothing"), "progress": reporter(progress),
    }  # fmt: skip
    if vocabulary is not None:
        return read_shard(
            partial(_core.token_scores, x), t, vocabulary, n_classes=x.shape[-1], name="logits", rows=rows,
            ignore_index=ignore_index, where=where, precision=precision_of(real), options=options,
        )  # fmt: skip
    options |= counting(t, ignore_index, where)
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
