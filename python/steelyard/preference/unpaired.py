"""Losses of answers that are not paired: each is desirable or undesirable by itself."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core, _intervals
from .._arrays import aligned, booleans, floats, to_float64
from .._estimate import Estimate
from .._mode import standard_mode
from .._options import Alternative, Confidence, NanPolicy, at_least_zero, choice, confidence_of, flag, parameter
from .._progress import OnProgress, Progress, reporter
from .._registries import REGISTRIES, names
from .._rows import Selection
from ..errors import shown, value_error
from .answers import Ratios, finite, log_ratios, of_one_shape, refuse
from .terms import is_column
from .unpaired_result import UnpairedLoss
from .work import largest_slope

__all__ = ["unpaired_loss"]

Floats = NDArray[np.float64]
KEY = "preference.unpaired.loss"
Loss = Literal["kto", "bco", "aot_unpaired"]


@standard_mode
def unpaired_loss(
    policy: ArrayLike,
    reference: ArrayLike,
    labels: Any,
    *,
    loss: Loss = "kto",
    beta: float = 0.1,
    kl: float | ArrayLike | None = None,
    shift: float | None = None,
    desirable_weight: float | None = None,
    undesirable_weight: float | None = None,
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    progress: Progress = False,
) -> UnpairedLoss:
    r"""Compute the loss and its exact gradients of answers that are desirable or not, each by itself.

    With ``x = policy - reference`` of an answer, the reward ``r = beta x``, the logistic function ``s`` and the weight
    w of its kind::

        "kto"           w (1 - s(beta (x - kl)))  desirable      w (1 - s(beta (kl - x)))  undesirable
        "bco"           -w log s(r - shift)       desirable      -w log s(shift - r)       undesirable
        "aot_unpaired"  the integral over u in [0, 1] of -log s(Q(u) - R(u)), where Q and R are the quantile functions
                        of the rewards of desirable and of undesirable answers

    "kto" measures an answer by the divergence ``kl``, "bco" by the mean reward, and "aot_unpaired" compares the two
    kinds as wholes: the i-th lowest desirable reward with the i-th lowest undesirable one, where both are as many.
    Otherwise each is compared with those that share quantiles with it, so that a copy of all desirable answers changes
    nothing.

    Up to a margin of 700 in magnitude a loss and its gradient are within 4 ulp of the exact functions of the margin
    that float64 computes (times the weight); beyond, they are finite and monotone, and the answer counts as saturated.

    Parameters
    ----------
    policy, reference : array of float, shape [n]
        Log-probabilities of whole answers, in nats, at most 0 up to rounding.
    labels : array of bool, shape [n]
        Which answers are desirable. Both kinds must occur among those that count, except for "kto" and "bco" with a
        ``shift``.
    loss : {"kto", "bco", "aot_unpaired"}
        The formula; see above.
    beta : float
        Above 0.
    kl : float, or array of float of any length, optional
        For "kto", which needs it: the divergence of the policy from the reference in nats, at least 0, or the
        log-ratios ``policy - reference`` of mismatched answers (each to the prompt of another), whose mean is taken, 0
        where it is below. The mean is of all of them, not of a batch, and of their exact sum, so that no order changes
        it; the result's ``kl`` has its standard error. It is a constant: no gradient flows through it. With ``kl=0``
        this is TRL's "apo_zero_unpaired".
    shift : float, optional
        For "bco": the reward that tells both kinds; default: the mean of the rewards of all answers that count, from
        their exact sum, as a constant. TRL's BCOTrainer takes the running mean of the batches so far instead, which
        depends on their order. (The paper gives both kinds the same share in the mean; for that pass ``shift``.)
    desirable_weight, undesirable_weight : float, optional
        The weights of the two kinds, at least 0, by default 1; for "kto" and "bco".
    where : array of bool, shape [n], optional
        The answers that count; default: all.
    clusters : array, shape [n], optional
        The cluster of each answer, such as its prompt; the intervals are then cluster-robust.
    nan_policy : {"raise", "omit"}
        What happens where a log-probability is NaN: raise, or leave the answer out and count it in ``left_out``.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.
    gradients : bool
        Whether to return the gradients.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    UnpairedLoss
        Losses, gradients and rewards of each answer, and their means as Estimates.

    Raises
    ------
    TypeError, ValueError
        For what is no column of floats or of booleans, other lengths, values that are infinite, NaN (unless omitted) or
        clearly positive, one kind of answer alone where the point is not known ("aot_unpaired", "bco" without
        ``shift``), and a parameter that the loss does not use or lacks.

    Warns
    -----
    SteelyardWarning
        For log-probabilities in float16 or bfloat16, stating how far they are rounded, in nats.

    Examples
    --------
    >>> import steelyard as sy
    >>> policy, reference, good = [-4.0, -9.0, -3.0, -8.0], [-5.0, -9.5, -3.0, -6.0], [True, True, False, False]
    >>> out = sy.preference.unpaired_loss(policy, reference, good, loss="kto", kl=[0.5, -0.25, 0.5])
    >>> out.losses.round(4), out.grad.round(4)
    (array([0.4813, 0.4938, 0.4938, 0.444 ]), array([-0.025 , -0.025 ,  0.025 ,  0.0247]))
    >>> out.point, round(float(out.kl), 3)
    (0.025, 0.25)
    >>> sy.preference.unpaired_loss(policy, reference, good, loss="aot_unpaired").losses.round(4)
    array([0.6444, 0.5759, 0.6444, 0.5759])

    References
    ----------
    Ethayarajh et al., "KTO: Model Alignment as Prospect Theoretic Optimization", 2024. Jung et al., "Binary Classifier
    Optimization for Large Language Model Alignment", 2024. Melnyk et al., "Distributional Preference Alignment of LLMs
    via Optimal Transport", 2024, whose unpaired loss is that of TRL's "aot_unpaired" (once called "aot_pair") without
    label smoothing, and needs as many answers of one kind as of the other. A smoothing e, as TRL has it, adds to the
    loss ``e beta`` times the mean log-ratio of desirable answers less that of undesirable ones, since ``-log s(-z)`` is
    ``-log s(z) + z``; to the loss's gradient it adds ``e beta`` over the number of answers of the kind, and its
    negative.
    """
    choice(loss, "loss", names(KEY))
    given = {
        "beta": beta,
        "shift": shift,
        "desirable_weight": desirable_weight,
        "undesirable_weight": undesirable_weight,
    }
    numbers = {name: parameter(KEY, loss, name, value) for name, value in given.items()}
    gradients = flag(gradients, "gradients")
    confidence = confidence_of(confidence_level, alternative)
    if (kl is None) == ("kl" in REGISTRIES[KEY][loss].columns):
        expected = (
            f"a number of nats, or log-ratios of mismatched answers, which the loss {loss!r} needs"
            if kl is None
            else f"nothing: the loss {loss!r} does not use it"
        )
        raise value_error("kl", expected, "None" if kl is None else shown(kl))
    aligned(policy=policy, reference=reference, labels=labels, where=where, clusters=clusters)
    columns = of_one_shape({"policy": policy, "reference": reference}, 1, "one log-probability per answer, [n]")
    if not columns[0].size:
        raise value_error("policy", "at least one value", "none")
    desirable = booleans(labels, "labels", columns[0].shape)
    rows = Selection(where, clusters, nan_policy, unit="answer").rows("policy", *columns)
    ratios = log_ratios(columns, rows.keep)
    keep = np.ones(len(desirable), np.bool_) if rows.keep is None else rows.keep
    # With a point that is known an answer has its loss by itself, as in a small batch that has one kind alone.
    alone = loss == "kto" or (loss == "bco" and shift is not None)
    if not alone and (desirable[keep].all() or not desirable[keep].any()):
        kind = "desirable" if desirable[keep].any() else "undesirable"
        fix = "" if loss != "bco" else "pass shift=, with which one kind is enough"
        raise value_error("labels", "desirable and undesirable answers", f"{kind} ones alone", fix)
    of = {name: 1.0 if value is None else value for name, value in numbers.items()}
    weights = (of["desirable_weight"], of["undesirable_weight"])
    setting = _Setting(of["beta"], weights, desirable, keep, ratios, reporter(progress))
    with np.errstate(over="ignore"):
        rewards = setting.beta * ratios.values
    finite(setting.beta, rewards)
    divergence, point = None, numbers["shift"]
    if loss == "kto":
        nats, divergence = _divergence(kl, nan_policy, confidence)
        point = setting.beta * nats
        with np.errstate(over="ignore"):
            above = setting.beta * (ratios.values - nats)
        found = _scored(setting, above, bounded=True)
    elif loss == "bco":
        point = _core.exact_mean(rewards[keep]) if point is None else point
        with np.errstate(over="ignore"):
            above = rewards - point
        found = _scored(setting, above, bounded=False)
    else:
        found = _sorted(setting)
    finite(setting.beta, found.losses[keep], found.grad[keep])
    return UnpairedLoss(
        losses=np.where(keep, found.losses, np.nan),
        grad=np.where(keep, found.grad, 0.0) if gradients else None,
        rewards=np.where(keep, rewards, np.nan),
        labels=desirable,
        counted=keep,
        kl=divergence,
        point=point,
        saturated=int(np.count_nonzero(found.extents[keep] > 700)),
        empty=ratios.empty,
        left_out=rows.left_out,
        _adds=np.where(keep, found.adds, np.nan),
        _rows=rows,
        _confidence=confidence,
        _steps={"loss": largest_slope([found.grad[keep]], None) * ratios.step, "reward": setting.beta * ratios.step},
    )


class _Setting(NamedTuple):
    """What a loss is computed of."""

    beta: float
    weights: tuple[float, float]
    """Of desirable and of undesirable answers."""
    desirable: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    ratios: Ratios
    progress: OnProgress


class _Found(NamedTuple):
    """What is computed of each answer."""

    losses: Floats
    grad: Floats
    extents: Floats
    adds: Floats
    """Numbers with the mean of the losses, whose spread is that of the mean."""


def _divergence(kl: Any, nan_policy: NanPolicy, confidence: Confidence) -> tuple[float, Estimate | None]:
    """The divergence in nats, and its Estimate where it is that of log-ratios."""
    if not is_column(kl):
        return at_least_zero("kl", kl), None
    column = floats(kl, "kl", ndim=1, numbers=True)
    rows = Selection(None, None, nan_policy, unit="log-ratio").rows("kl", column)
    values = to_float64(column)
    counted = rows.of(values)
    refuse(~np.isfinite(values) if rows.keep is None else ~np.isfinite(values) & rows.keep, values, "kl", "log-ratios")
    estimate = _intervals.mean(values, confidence, rows, name="kl", kind="graded", bounded=False)
    return max(_core.exact_mean(np.ascontiguousarray(counted)), 0.0), estimate


def _scored(setting: _Setting, above: Floats, *, bounded: bool) -> _Found:
    """The loss of each answer by itself, of how far it is above what it is measured by."""
    turn = np.where(setting.desirable, 1.0, -1.0)
    margins = np.where(setting.keep, turn * above, 0.0)
    terms = _core.logistic_losses(margins, bounded=bounded, progress=setting.progress)
    weights = np.where(setting.desirable, *setting.weights)
    with np.errstate(over="ignore", invalid="ignore"):
        slopes = turn * (setting.beta * terms["slopes"])
        losses, grad = weights * terms["losses"], weights * slopes
    _weights_fit(setting, terms["losses"], slopes, losses, grad)
    return _Found(losses, grad, np.abs(margins), losses)


def _weights_fit(setting: _Setting, losses: Floats, slopes: Floats, *weighted: Floats) -> None:
    """Raise where losses and gradients are finite, and times the weight of their kind they are not."""
    for name, weight, kind in zip(
        ("desirable_weight", "undesirable_weight"),
        setting.weights,
        (setting.desirable, ~setting.desirable),
        strict=True,
    ):
        of = setting.keep & kind & np.isfinite(losses) & np.isfinite(slopes)
        if not all(np.isfinite(column[of]).all() for column in weighted):
            raise value_error(name, "a weight whose products with losses and gradients float64 holds", f"{weight!r}")


def _sorted(setting: _Setting) -> _Found:
    """The loss of the quantiles of both kinds."""
    kinds = [setting.keep & setting.desirable, setting.keep & ~setting.desirable]
    samples = [setting.ratios.values[kind] for kind in kinds]
    sides = _core.sorted_losses(samples[0], samples[1], beta=setting.beta, progress=setting.progress)
    found = _Found(*(np.zeros(len(setting.keep)) for _ in _Found._fields))
    n = sum(map(len, samples))
    loss = _core.exact_mean(np.concatenate([side["losses"] for side in sides]))
    for kind, side, sample in zip(kinds, sides, samples, strict=True):
        found.losses[kind], found.grad[kind], found.extents[kind] = side["losses"], side["slopes"], side["extents"]
        # The mean of the losses is the sum of the mean potentials, each over the answers of its own kind.
        own = side["potentials"] - _core.exact_mean(side["potentials"])
        found.adds[kind] = loss + n / len(sample) * own
    return found
