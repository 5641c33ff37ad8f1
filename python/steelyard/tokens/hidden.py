"""Token scores from hidden states and the weights of the vocabulary, without the logits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from .._arrays import aligned, floats
from .._mode import standard_mode
from .._options import flag, fraction
from .._progress import Progress, reporter
from ..errors import value_error
from ._asked import Column, asked_of, counting, shaped, targets_of
from ._transform import Reals, precision_of, transform_of
from .gradients import gradients_of
from .scores import TokenScores
from .shard import TokenShard, columns_of_shard, read_shard

__all__ = ["token_scores_from_hidden"]


@overload
def token_scores_from_hidden(
    hidden: Any,
    weight: Any,
    targets: ArrayLike,
    *,
    ignore_index: int | None = -100,
    where: ArrayLike | None = None,
    columns: Column | Literal["all"] | Iterable[Column] | None = None,
    bias: ArrayLike | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    vocabulary: None = None,
    gradients: bool = False,
    progress: Progress = False,
) -> TokenScores: ...
@overload
def token_scores_from_hidden(
    hidden: Any,
    weight: Any,
    targets: ArrayLike,
    *,
    ignore_index: int | None = -100,
    where: ArrayLike | None = None,
    columns: Column | Literal["all"] | Iterable[Column] | None = None,
    bias: ArrayLike | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    vocabulary: range,
    gradients: Literal[False] = False,
    progress: Progress = False,
) -> TokenShard: ...
@standard_mode
def token_scores_from_hidden(
    hidden: Any,
    weight: Any,
    targets: ArrayLike,
    *,
    ignore_index: int | None = -100,
    where: ArrayLike | None = None,
    columns: Column | Literal["all"] | Iterable[Column] | None = None,
    bias: ArrayLike | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    vocabulary: range | None = None,
    gradients: bool = False,
    progress: Progress = False,
) -> TokenScores | TokenShard:
    """Score ``targets`` as :func:`steelyard.token_scores` does under the logits ``hidden @ weight.T``.

    The logit of row h and class v is ``x_v = sum_k hidden[h, k] * weight[v, k]``, by fused multiply-adds in the order
    of k, in stretches of 256 whose sums are added up in their order. It is computed in float32, or in float64 where
    one of both arrays is float64, and has the same bits on every machine; its error is at most
    ``(256 + H / 256) 2**-24 sum_k |hidden[h, k] weight[v, k]|`` (2**-53 for float64). Everything else, and every
    column, is that of ``token_scores`` for these logits.

    Logits are computed block by block and are never kept: a thread needs less than 1 MiB, and 16 MiB hold hidden states
    in the order in which they are multiplied. Rows of which no target counts are not multiplied at all.

    Parameters
    ----------
    hidden : float32, float64, bfloat16 or float16 array, shape [..., H]
        The model's last hidden states, after its last normalisation. Any strides, but the last axis must be contiguous.
    weight : float array, shape [V, H]
        The rows of the output layer (torch's ``lm_head.weight``), of the same or another element type.
    targets : integer array, shape [...] or [..., m]
        Class indices in ``0..V-1``, or ``ignore_index``; with m candidates a row, the row is multiplied once.
    ignore_index : int or None
        Positions with this target are not scored.
    where : bool array, the shape of ``targets``, or None
        False for positions that are not scored.
    columns : names, ``"all"``, or None
        As in ``token_scores`` of one model.
    bias : array, shape [V], or None
        Added to the logits: the bias of the output layer.
    scale, softcap, temperature : float or None
        As in ``token_scores``: ``softcap * tanh(scale * (x + bias) / softcap) / temperature``.
    label_smoothing : float
        As in ``token_scores``.
    vocabulary : range or None
        The classes that ``weight`` has rows for, where others are elsewhere; as in ``token_scores``.
    gradients : bool
        Whether to compute the gradients of the sum of the losses by hidden states, weights and bias, for one target a
        row: :class:`~steelyard.tokens.TokenGradients`. Logits are made again, 16 MiB of float32 at a time; products
        have the order of those above (over classes, or rows), and are added up in blocks of 4,096 classes and of 1,024
        rows, so that these bits are the same on every machine, too.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows.

    Returns
    -------
    TokenScores
        As from ``token_scores``, with ``gradients`` where they were asked for; a TokenShard where ``vocabulary`` is
        given.

    Raises
    ------
    TypeError
        For arrays that are not floating-point or targets that are not integers.
    ValueError
        For gradients of a shard or of candidates; for shapes that do not match, for a last axis that is not contiguous,
        for a target out of range, and for a counted row with a logit that is NaN or ``+inf`` (a hidden state that is
        not finite makes such), which is named.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> hidden = np.array([[1.0, 0.0], [0.5, -2.0]], dtype=np.float32)
    >>> weight = np.array([[2.0, 1.0], [0.0, 0.0], [-1.0, 1.0]], dtype=np.float32)
    >>> h = sy.token_scores_from_hidden(hidden, weight, [0, 1], columns=("top", "rank"))
    >>> h.nll.round(4).tolist(), h.top.tolist(), h.rank.tolist()
    ([0.1698, 0.3715], [0, 1], [1.0, 1.0])

    Notes
    -----
    Gradients of torch's tensors are those of :func:`steelyard.torch.linear_cross_entropy`, by torch's products.

    Liger's and Apple's fused losses and torch's ``linear_cross_entropy`` give the loss alone (torch, by default, after
    making all logits). E. Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", arXiv:2411.09009.
    """
    aligned(hidden=hidden, weight=weight, targets=targets, where=where)
    x = floats(hidden, "hidden", contiguous=False, table=True)
    w = floats(weight, "weight", contiguous=False, table=True)
    if w.ndim != 2 or 0 in w.shape:
        raise value_error("weight", "a row per class, [V, H]", f"shape {w.shape}")
    if x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise value_error("hidden", f"rows as long as those of weight, [..., {w.shape[1]}]", f"shape {x.shape}")
    t = targets_of(targets, x, "hidden")
    gradients = flag(gradients, "gradients")
    if gradients and (vocabulary is not None or t.shape != x.shape[:-1]):
        got = "several candidates a row" if vocabulary is None else "a part of the vocabulary"
        raise value_error("gradients", "False, except for all classes and one target a row", f"True with {got}")
    real: Reals = np.float64 if np.float64 in (x.dtype, w.dtype) else np.float32
    asked = asked_of(columns, None)[0] if vocabulary is None else columns_of_shard(columns)
    loss = {
        **transform_of(real, len(w), bias=bias, scale=scale, softcap=softcap, temperature=temperature),
        "label_smoothing": fraction(label_smoothing, "label_smoothing"),
    }  # fmt: skip
    options = {**loss, "columns": asked, "progress": reporter(progress)}
    if vocabulary is not None:
        return read_shard(
            partial(_core.token_scores_from_hidden, x, w), t, vocabulary, n_classes=len(w), name="weight",
            rows=x.shape[:-1], ignore_index=ignore_index, where=where, precision=precision_of(real), options=options,
        )  # fmt: skip
    counted, found = _core.token_scores_from_hidden(x, w, t, **counting(t, ignore_index, where), **options)
    values = shaped(asked, found, t.shape, x.shape[:-1])
    slopes = None
    if gradients:
        slopes = gradients_of(
            x, w, t, counted=counted, log_z=values["log_z"], real=real, options=loss, progress=reporter(progress)
        )
    return TokenScores(counted=counted.reshape(t.shape), precision=precision_of(real), gradients=slopes, **values)
