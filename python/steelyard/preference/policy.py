"""Losses of a policy on answers of an older policy: the call."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import aligned, floats, to_float64
from .._mode import standard_mode
from .._options import Alternative, at_least_zero, choice, confidence_of, flag, number
from .._progress import Progress, reporter
from .._registries import REGISTRIES, names
from .._rows import Selection, nonzero, nothing_counts
from ..errors import shown, type_error, value_error
from .given import step, warn_rounded
from .policy_result import PolicyLoss
from .tokens_given import Counted, counted_of, in_one_type, table

__all__ = ["policy_loss"]

Loss = Literal["ppo", "grpo", "dr_grpo", "bnpo", "dapo", "cispo", "gspo"]
Estimator = Literal["k1", "k2", "k3"]
COLUMNS = ("logprob", "old_logprob", "reference_logprob")
PER_ANSWER = ("grpo", "gspo")
"""The losses that are means over answers of means over their tokens, for which there is no other divisor."""


@standard_mode
def policy_loss(
    logprob: ArrayLike,
    old_logprob: ArrayLike,
    advantage: ArrayLike,
    *,
    loss: Loss = "ppo",
    clip: float | tuple[float, float] | None = None,
    where: Any = None,
    lengths: Any = None,
    reference_logprob: ArrayLike | None = None,
    kl_weight: float | None = None,
    kl_estimator: Estimator = "k3",
    divisor: float | None = None,
    clusters: Any = None,
    dtype: Literal["float64"] | None = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    progress: Progress = False,
) -> PolicyLoss:
    r"""Compute the loss of a policy on answers that an older policy wrote, and its exact gradient for every token.

    With the ratio ``r = exp(logprob - old_logprob)`` of a token, its advantage ``A`` and the clip ``(low, high)``, the
    loss is a sum over tokens, divided by::

        "ppo"      -min(r A, clip(r) A)     the tokens of the batch         clip (0.2, 0.2)
        "grpo"     -min(r A, clip(r) A)     the answer's tokens, answers    clip (0.2, 0.2)
        "dr_grpo"  -min(r A, clip(r) A)     n T                             clip (0.2, 0.2)
        "bnpo"     -min(r A, clip(r) A)     the tokens of the batch         clip (0.2, 0.2)
        "dapo"     -min(r A, clip(r) A)     the tokens of the batch         clip (0.2, 0.28)
        "cispo"    -[clip(r)] A logprob     the tokens of the batch         clip (1, 4)
        "gspo"     -min(s A, clip(s) A)     the answer's tokens, answers    clip (0.0003, 0.0004)

    where ``clip(r)`` limits r to ``[1 - low, 1 + high]``, ``[.]`` is a constant for the gradient, and s is the ratio of
    the whole answer, ``exp(mean(logprob - old_logprob))`` over its tokens. With a reference the divergence of the
    policy from it (see :func:`kl`) is added to every token, ``kl_weight`` times.

    The gradient of the clipped losses is 0 where clipping lowers the objective: for ``A > 0`` above ``1 + high``, for
    ``A < 0`` below ``1 - low``. Exactly at such a limit, where the objective has a kink, it is that of ``r A``; at the
    other limit the objective is ``r A`` on both sides. (Autograd of the formula as written depends on the derivative of
    torch's ``clamp`` at its ends: 1 until recently, which gives the same, 0 in torch 2.15, which gives half of it, at
    both limits.)

    All arithmetic is float64. A gradient is within 4 ulp of the exact function of the differences of log-probabilities
    (with a reference, of the larger of its two terms), rounded once to the widest type of the columns. Where
    ``logprob - old_logprob`` exceeds 80, the ratio goes on in a straight line: finite, and counted in ``saturated``.

    Parameters
    ----------
    logprob, old_logprob : array of float, shape [n, T]
        Log-probabilities, in nats, of the tokens of n answers under the policy and under the one that wrote them.
    advantage : array of float, shape [n] or [n, T]
        The advantage of each answer, or of each token ("gspo": of each answer), such as :func:`advantages` gives.
    loss : {"ppo", "grpo", "dr_grpo", "bnpo", "dapo", "cispo", "gspo"}
        See above.
    clip : float or tuple (low, high), optional
        How far below 1, in [0, 1], and above 1, at least 0, a ratio may lie; one number is both. Default: above.
    where : array of bool, shape [n, T], optional
        The tokens that count. An answer without any has the loss 0, counts as an answer, and is counted in ``empty``.
    lengths : array of int, shape [n], optional
        The numbers of tokens of the answers, from the first column on; what lies beyond may be anything.
    reference_logprob : array of float, shape [n, T], optional
        Log-probabilities under a reference, for ``kl_weight`` and ``reference_kl``.
    kl_weight : float, optional
        The factor of the divergence from the reference in the loss, at least 0; by default 0.
    kl_estimator : {"k1", "k2", "k3"}
        Its estimator, with ``d = reference_logprob - logprob``: ``-d``, ``d^2 / 2`` or ``exp(d) - 1 - d``.
    divisor : float, optional
        What the sum over tokens is divided by instead ("grpo" and "gspo" have no such number): the tokens of all
        micro-batches of a step, or n times the longest possible answer for "dr_grpo".
    clusters : array of ids, shape [n], optional
        What belongs together, usually the prompt; by default each answer is by itself.
    dtype : {"float64"}, optional
        The type of the gradient. Default: float64 where a column of log-probabilities is float64, else float32.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.
    gradients : bool
        Whether to return the gradient.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    PolicyLoss
        The gradient, and loss, clip shares, ratio and divergences as Estimates.

    Raises
    ------
    TypeError, ValueError
        For other types and shapes; among the tokens that count, for log-probabilities that are not finite or above
        0.05 (a sign that negative log-likelihoods were passed) and advantages that are not finite; where no token
        counts; and for a keyword that the loss does not use.

    Warns
    -----
    SteelyardWarning
        For log-probabilities in float16 or bfloat16, stating how far they are rounded, in nats.

    Examples
    --------
    >>> import steelyard as sy
    >>> logprob, old = [[-1.0, -2.0], [-0.5, -1.5]], [[-1.5, -2.0], [-0.5, -1.4]]
    >>> out = sy.preference.policy_loss(logprob, old, [1.0, -1.0], loss="grpo", clusters=[1, 1])
    >>> round(out.loss.value, 4)
    -0.0738
    >>> out.gradient.round(4)
    array([[ 0.    , -0.25  ],
           [ 0.25  ,  0.2262]])
    >>> out.clip_share.value
    0.25

    Notes
    -----
    "grpo", "dr_grpo", "bnpo" and "dapo" are the names and divisors of TRL (whose default is "dapo"), with batch for
    its tokens of all processes and accumulated steps: pass these as ``divisor``. verl calls the divisors "token-mean"
    (its default), "seq-mean-token-mean" and "seq-mean-token-sum-norm". TRL's upper limit e of "cispo" is an absolute
    one and it has no lower one: ``clip=(1, e - 1)``; the default is its recommendation of 5. TRL counts clips of
    "cispo" for positive advantages alone. verl clamps ``logprob - old_logprob`` to [-20, 20], and for "gspo" at 10,
    with the gradient 0 beyond, and bounds the objective of negative advantages once more (dual clip, 3), which is not
    done here. Both write k3 as ``exp(d) - d - 1``: in float32 that is 0 below d = 3e-4.

    Schulman et al., "Proximal Policy Optimization Algorithms", 2017. Shao et al., "DeepSeekMath", 2024 (GRPO). Liu et
    al., "Understanding R1-Zero-Like Training", 2025 (Dr. GRPO). Yu et al., "DAPO", 2025. MiniMax, "MiniMax-M1", 2025
    (CISPO). Zheng et al., "Group Sequence Policy Optimization", 2025.
    """
    choice(loss, "loss", names("preference.policy.loss"))
    choice(kl_estimator, "kl_estimator", names("preference.policy.kl_estimator"))
    if dtype is not None:
        choice(dtype, "dtype", ("float64",))
    low, high = clip_of(loss, clip)
    weight = weight_of(kl_weight, reference_logprob)
    over = divisor_of(loss, divisor)
    gradients = flag(gradients, "gradients")
    confidence = confidence_of(confidence_level, alternative)
    given = dict(zip(COLUMNS, (logprob, old_logprob, reference_logprob), strict=True))
    given = {name: x for name, x in given.items() if x is not None}
    aligned(**given, advantage=advantage, where=where, lengths=lengths, clusters=clusters)
    columns = [table(logprob, "logprob")]
    shape = columns[0].shape
    columns += [table(x, name, shape, "logprob") for name, x in list(given.items())[1:]]
    worth = advantages_of(advantage, loss, shape)
    counted = counted_of(where, lengths, shape)
    warn_rounded([x.reshape(-1) for x in columns], list(given))
    tables = in_one_type(columns, double=dtype is not None)
    scored = _core.policy_loss(
        tables, worth, width=shape[1], counted=counted.for_core, gradients=gradients, progress=reporter(progress),
        options={
            "loss": loss, "low": 1.0 - low, "high": 1.0 + high, "kl_weight": weight, "kl_estimator": kl_estimator,
            "divisor": over,
        },
    )  # fmt: skip
    tokens = scored["counts"].astype(np.int64)
    left_out = _left_out(counted, int(tokens.sum()))
    if not tokens.any():
        raise nothing_counts("logprob", "token", left_out, tokens.size * shape[1])
    rows = Selection(None, clusters, "raise", unit="answer").rows("logprob", tokens)
    nats = step(np.array([counted.lowest(tables[0])]), columns[0].dtype)
    steepest = float(np.abs(worth).max(initial=0.0, where=np.isfinite(worth)))
    sums = {name: scored[name] for name in ("loss", "low", "high", "ratio", "kl")}
    return PolicyLoss(
        losses=scored["losses"],
        gradient=_gradient(scored["gradient"], tables[0]),
        n_tokens=tokens,
        saturated=scored["saturated"],
        empty=int(np.count_nonzero(tokens == 0)),
        left_out=left_out,
        _sums=sums | ({} if reference_logprob is None else {"reference": scored["reference"]}),
        _clusters=rows.clusters,
        _of_answers=loss == "gspo",
        _per_token=loss not in (*PER_ANSWER, "dr_grpo") and over is None,
        _confidence=confidence,
        _steps={"nats": nats, "loss": nats * (steepest + weight)},
    )


def clip_of(loss: str, clip: Any) -> tuple[float, float]:
    """Return how far below and above 1 a ratio may lie; the loss's own numbers for None."""
    taken = REGISTRIES["preference.policy.loss"][loss].parameters
    if clip is None:
        return taken["clip_low"].default or 0.0, taken["clip_high"].default or 0.0
    if isinstance(clip, tuple | list):
        if len(clip) != 2:
            raise type_error("clip", "a number or a tuple (low, high)", shown(clip))
        low, high = (number(x, f"clip[{i}]") for i, x in enumerate(clip))
    else:
        low = high = number(clip, "clip", "a number or a tuple (low, high)")
    for name, value in (("clip_low", low), ("clip_high", high)):
        if not taken[name].allows(value):
            side = "below" if name == "clip_low" else "above"
            raise value_error("clip", f"for the limit {side} 1 {taken[name].expected}", f"{value:g}")
    return low, high


def weight_of(kl_weight: Any, reference: Any) -> float:
    """Return the weight of the divergence; raise where there is no reference for it."""
    if kl_weight is None:
        return 0.0
    weight = at_least_zero("kl_weight", kl_weight)
    if reference is None:
        raise value_error("reference_logprob", "log-probabilities of the reference, which kl_weight needs", "None")
    return weight


def divisor_of(loss: str, divisor: Any) -> float | None:
    """Return the number that the sum over tokens is divided by, if there is one."""
    if divisor is None:
        return None
    if loss in PER_ANSWER:
        raise value_error("divisor", f"nothing: the loss {loss!r} does not use it", shown(divisor))
    found = number(divisor, "divisor")
    if not 0.0 < found < float("inf"):
        raise value_error("divisor", "a number that is above 0 and finite", f"{found:g}")
    return found


def advantages_of(advantage: Any, loss: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the advantages as float64, one an answer or one a token; "gspo" has one an answer."""
    worth = to_float64(floats(advantage, "advantage", numbers=True))
    shapes = (shape[:1],) if loss == "gspo" else (shape[:1], shape)
    if worth.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise value_error("advantage", f"one number per answer{' or per token' * (loss != 'gspo')}, shape {expected}",
                          f"shape {worth.shape}")  # fmt: skip
    return worth.reshape(-1)


def _left_out(counted: Counted, tokens: int) -> dict[str, int]:
    """How many tokens of the answers do not count."""
    if counted.where is None:
        return {}
    inside = counted.where.size if counted.lengths is None else int(counted.lengths.sum())
    return nonzero({"where": inside - tokens})


def _gradient(words: NDArray[np.int64] | None, like: NDArray[Any]) -> NDArray[Any] | None:
    """The gradient, which came as whole words, as an array that nobody can write to."""
    if words is None:
        return None
    gradient = words.view(like.dtype)[: like.size].reshape(like.shape)
    gradient.setflags(write=False)
    return gradient
