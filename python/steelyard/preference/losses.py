"""Preference losses of log-probabilities: the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import aligned
from .._mode import standard_mode
from .._options import Alternative, NanPolicy, choice, confidence_of, flag
from .._progress import Progress, reporter
from .._registries import REGISTRIES, names
from .._rows import Selection
from .._strides import side_by_side
from .given import (
    COLUMNS,
    as_columns,
    blanked,
    columns_given,
    lengths_by_name,
    settings_of,
    step,
    token_counts,
    warn_rounded,
)  # fmt: skip
from .result import PreferenceLoss

__all__ = ["preference_loss"]

Floats = NDArray[np.float64]
Loss = Literal[
    "dpo", "robust", "hinge", "ipo", "apo_zero", "nca_pair",
    "exo_pair", "bco_pair", "sppo_hard", "apo_down", "discopop", "sigmoid_norm", "ipo_norm",
    "cpo", "simpo", "alphapo", "orpo",
]  # fmt: skip
Divergence = Literal["reverse-kl", "forward-kl", "js", "alpha"]


@standard_mode
def preference_loss(
    policy_chosen: ArrayLike,
    policy_rejected: ArrayLike,
    reference_chosen: ArrayLike | None = None,
    reference_rejected: ArrayLike | None = None,
    *,
    loss: Loss = "dpo",
    beta: float | ArrayLike = 0.1,
    label_smoothing: float | ArrayLike | None = None,
    shift: float | ArrayLike | None = None,
    temperature: float | ArrayLike | None = None,
    gamma: float | ArrayLike | None = None,
    alpha: float | ArrayLike | None = None,
    sft: float | ArrayLike | None = None,
    lengths: tuple[ArrayLike, ArrayLike] | None = None,
    divergence: Divergence = "reverse-kl",
    where: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    progress: Progress = False,
) -> PreferenceLoss:
    r"""Compute the loss, its exact gradients and the rewards of preference pairs from their log-probabilities.

    With ``x = policy_chosen - reference_chosen``, ``y = policy_rejected - reference_rejected``, the reward
    margin ``z = beta (x - y)``, the logistic function ``s`` and ``e = label_smoothing``::

        "dpo"       -(1 - e) log s(z) - e log s(-z)
        "robust"    (-(1 - e) log s(z) + e log s(-z)) / (1 - 2 e)
        "hinge"     max(0, 1 - z)
        "ipo"       ((z - 1/2) / beta)^2 = (x - y - 1/(2 beta))^2
        "exo_pair"  s(z) log(s(z) / (1 - e)) + s(-z) log(s(-z) / e)
        "discopop"  (1 - m) (-log s(z)) + m exp(-z),  m = s(z / temperature)
        "apo_zero"  (1 - s(beta x)) + s(beta y)
        "apo_down"  s(beta x) + (1 - s(z))
        "nca_pair"  -log s(beta x) - (log s(-beta x) + log s(-beta y)) / 2
        "bco_pair"  -log s(beta x - shift) - log s(-(beta y - shift))
        "sppo_hard" (x - 1/(2 beta))^2 + (y + 1/(2 beta))^2

    Losses of means over tokens take x and y divided by the ``lengths``; those without a reference take the policy's
    log-probabilities alone::

        "sigmoid_norm"  -log s(z)                       x and y over the lengths
        "ipo_norm"      ((z - 1/2) / beta)^2            x and y over the lengths
        "cpo"           -log s(z) - sft x               x and y without a reference
        "simpo"         -log s(z - gamma)               x and y over the lengths, without a reference
        "alphapo"       -log s(z - gamma)               (1 - exp(-alpha r)) / alpha of the r that "simpo" takes
        "orpo"          -r - beta log s(x - y)          log(p / (1 - p)), p = exp(r), of the r that "simpo" takes

    With a ``divergence`` x and y become its scores, the derivative of its generator: ``1 - exp(-x)`` ("forward-kl"),
    ``log(2 s(x))`` ("js"), ``(1 - exp((alpha - 1) x)) / (1 - alpha)`` ("alpha"); each is 0 at policy = reference.

    All arithmetic is float64. Up to a distance of 700 a gradient is within 4 ulp of the exact function of what float64
    computes there; beyond, it is finite and monotone and the pair counts as saturated. The distance is |z|; for
    "apo_zero", "nca_pair", "bco_pair" and "sppo_hard" the larger of |beta x| and |beta y| (each less ``shift``), for
    "apo_down" that of |beta x| and |z|, for "orpo" that of |x| and |x - y|. Where x and y are not the log-ratios, this
    holds for the gradient with respect to x and y, which is then multiplied by their derivatives.

    Parameters
    ----------
    policy_chosen, policy_rejected, reference_chosen, reference_rejected : array of float, shape [n]
        Log-probabilities of whole answers, in nats, such as ``token_scores(...).sequence_logprob``: at most 0 up to
        rounding. (Log-densities may be larger; subtract one number from both the policy's and the reference's.) Keep
        them in float32 or float64: near -300 one step of bfloat16 is 2 nats. Tensors that require grad are refused:
        pass ``x.detach()``, and pass ``grad_chosen`` to ``x.backward``. Losses without a reference take no reference.
    loss : {"dpo", "robust", "hinge", "ipo", "exo_pair", "discopop", "apo_zero", "apo_down", "nca_pair", ...}
        The formula; see above. "ipo" takes summed log-probabilities, and ``beta`` is its tau (the convention of the
        paper and of torchtune; TRL averages over tokens). "dpo" with ``label_smoothing`` is the conservative DPO of the
        reference implementation (TRL ignores the parameter there), and is TRL's "sigmoid". The other names are TRL's,
        but for "ipo_norm", which is TRL's "ipo"; "bco_pair" has the shift 0 in its DPOTrainer, and a running mean of
        the rewards in its BCOTrainer. The gradient of "exo_pair", and that of "apo_down" for the chosen answer, are
        products of more factors, within 8 ulp.
    beta : float or array of float, shape [K]
        Above 0. With an array, each value is a problem of its own. The other numbers below may be arrays too: of
        several arrays, which have one length, each place is a problem.
    label_smoothing : float, optional
        The probability that a label is wrong, in [0, 1/2), by default 0; for "dpo" and "robust" only, and for
        "exo_pair", where it is above 0 and by default 0.001.
    shift : float, optional
        What rewards are compared with, by default 0; for "bco_pair" only.
    temperature : float, optional
        The width in z over which "discopop" passes from the logistic to the exponential loss, in (0, 1], by default
        0.05; for that loss only. (Above 1 the loss would grow exponentially for pairs far on the wrong side.) The
        gradient vanishes at points that no formula gives; near them it is within 4 ulp of its terms.
    gamma : float, optional
        The margin that "simpo" and "alphapo" aim at, at least 0, by default 0.5 (as in torchtune; TRL states it in the
        same unit, Liger subtracts it outside: the same number).
    alpha : float, optional
        For "alphapo" the bend of the reward, any number, by default 0.25 (0: "simpo"); for the divergence "alpha" in
        [0, 1), by default 0.5 (0: "forward-kl").
    sft : float, optional
        The weight of the chosen answer's negative log-likelihood in "cpo", at least 0, by default 1. It is summed over
        tokens, as in the paper (TRL averages it over the tokens of the batch).
    lengths : tuple (chosen, rejected) of arrays of whole numbers, shape [n], optional
        The numbers of tokens of the answers, for the losses of means over tokens; 0 only where the log-probability is
        0. The mean of an empty answer is 0, and so is its gradient. ("orpo" takes it for certain: its log-odds,
        infinite by the formula, are cut off at 691.)
    divergence : {"reverse-kl", "forward-kl", "js", "alpha"}
        What the policy is charged for leaving the reference, for losses with a reference and without lengths (f-DPO;
        TRL's f_divergence_type, which leaves out the constant that makes scores 0 at policy = reference). Exponents
        beyond 340 go on in a straight line, and the pair counts as saturated.
    where : array of bool, shape [n], optional
        The pairs that count; default: all.
    clusters : array, shape [n], optional
        The cluster of each pair (a prompt, a source); the intervals are then cluster-robust.
    nan_policy : {"raise", "omit"}
        What happens where a log-probability is NaN: raise, naming its index, or leave the pair out and count it in
        ``left_out``.
    confidence_level : float
        The confidence level of the intervals, inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        ``"less"`` gives upper limits alone, ``"greater"`` lower ones.
    gradients : bool
        Whether to compute the gradients.
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``.

    Returns
    -------
    PreferenceLoss
        Losses, gradients and rewards of each pair, and their means as Estimates.

    Raises
    ------
    TypeError, ValueError
        For columns that do not hold floats or differ in length; for values that are infinite, NaN (unless omitted) or
        clearly positive (one above 1, or both of one model's pair above .05, a sign that negative log-likelihoods were
        passed); for a ``beta`` that is not above 0; and for a parameter that the loss does not use.

    Warns
    -----
    SteelyardWarning
        For log-probabilities in float16 or bfloat16, stating how far they are rounded, in nats.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference_loss([-0.5, -10, -1], [-0.1, -30, -21], [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1])
    >>> out.losses.round(4)
    array([0.6931, 0.3133, 0.1269])
    >>> out.grad_chosen.round(4)
    array([-0.05  , -0.0269, -0.0119])
    >>> float(out.reward_accuracy)
    0.8333333333333334
    >>> means = sy.preference_loss([-6.0, -9.0], [-8.0, -7.0], loss="simpo", lengths=([3, 4], [4, 4]), beta=2.0)
    >>> means.losses.round(4)
    array([0.9741, 1.7014])

    References
    ----------
    Rafailov et al., "Direct Preference Optimization", 2023. Azar et al., "A General Theoretical Paradigm to
    Understand Learning from Human Preferences", 2023. Chowdhury et al., "Provably Robust DPO", 2024. D'Oosterlinck et
    al., "Anchored Preference Optimization", 2024. Chen et al., "Noise Contrastive Alignment of Language Models with
    Explicit Rewards", 2024. Ji et al., "Towards Efficient Exact Optimization of Language Model Alignment", 2024. Jung
    et al., "Binary Classifier Optimization for Large Language Model Alignment", 2024. Wu et al., "Self-Play Preference
    Optimization for Language Model Alignment", 2024. Lu et al., "Discovering Preference Optimization Algorithms with
    and for Large Language Models", 2024. Lambert et al., "Tulu 3", 2024 ("sigmoid_norm"). Xu et al., "Contrastive
    Preference Optimization", 2024. Meng et al., "SimPO", 2024. Gupta et al., "AlphaPO", 2025. Hong et al., "ORPO",
    2024. Wang et al., "Beyond Reverse KL", 2023 (divergences).
    """
    choice(loss, "loss", names("preference.loss"))
    settings, sweep = settings_of(
        loss, divergence, beta=beta,
        label_smoothing=label_smoothing, shift=shift, temperature=temperature, gamma=gamma, alpha=alpha, sft=sft,
    )  # fmt: skip
    gradients = flag(gradients, "gradients")
    confidence = confidence_of(confidence_level, alternative)
    given_columns = columns_given(loss, (policy_chosen, policy_rejected, reference_chosen, reference_rejected), lengths)
    aligned(**given_columns, **lengths_by_name(lengths), where=where, clusters=clusters)
    columns = as_columns(given_columns)
    types = [column.dtype for column in columns]
    rows = Selection(where, clusters, nan_policy, unit="pair").rows(COLUMNS[0], *columns)
    tokens = None if lengths is None else token_counts(lengths, columns, rows.keep)
    warn_rounded(columns)
    columns, absent = blanked(columns, rows)
    # Where scores stand between log-probabilities and the loss, only gradients tell how far rounding moves the loss.
    scores = divergence != "reverse-kl" or REGISTRIES["preference.loss"][loss].columns != ("reference",)
    scored = [
        _core.preference_loss(
            columns, loss=loss, parameters=setting, gradients=gradients or scores, lengths=tokens,
            progress=reporter(progress),
        )
        for setting in settings
    ]  # fmt: skip

    def column(arrays: Sequence[Floats], blank: float) -> Floats:
        """One output for every setting, with ``blank`` where a pair does not count; read-only like all results."""
        values = side_by_side(arrays) if sweep else arrays[0]
        if absent is not None:
            values[absent] = blank
        values.setflags(write=False)
        return values

    def slope(arrays: Sequence[Floats | None]) -> Floats | None:
        """A gradient of every setting, if gradients are asked for."""
        asked = [array for array in arrays if array is not None]
        return column(asked, 0.0) if asked else None

    losses = column([of["losses"] for of in scored], np.nan)
    rewards_chosen = column([of["rewards_chosen"] for of in scored], np.nan)
    rewards_rejected = column([of["rewards_rejected"] for of in scored], np.nan)
    grad_chosen, grad_rejected = (slope([of[side] for of in scored]) for side in ("grad_chosen", "grad_rejected"))
    saturated = [of["saturated"] for of in scored]
    # All extremes are finite: the core refuses what is not.
    nats = max(step(column, dtype) for column, dtype in zip(columns, types, strict=True))
    moved = [nats * (of["stretch"] or 1.0) for of in scored]  # so far at most what the loss compares
    if scores:
        slopes = _largest_slopes(grad_chosen, grad_rejected)
    else:
        largest = [float(np.fmax.reduce(of["losses"], initial=0.0)) for of in scored]
        slopes = [
            _core.preference_steepest(loss, largest=value, parameters=setting)
            for value, setting in zip(largest, settings, strict=True)
        ]
    steps = {
        "margin": tuple(setting["beta"] * far for setting, far in zip(settings, moved, strict=True)),
        "loss": tuple(slope * nats for slope in slopes),
    }
    return PreferenceLoss(
        losses=losses,
        grad_chosen=grad_chosen if gradients else None,
        grad_rejected=grad_rejected if gradients else None,
        rewards_chosen=rewards_chosen,
        rewards_rejected=rewards_rejected,
        counted=np.ones(len(columns[0]), np.bool_) if rows.keep is None else rows.keep,
        saturated=np.array(saturated, np.int64) if sweep else saturated[0],
        empty=scored[0]["empty"],
        left_out=rows.left_out,
        _steps=steps,
        _rows=rows,
        _confidence=confidence,
    )


def _largest_slopes(*gradients: Floats | None) -> list[float]:
    """How steep the loss of any pair is at most, for each setting."""
    found = [np.abs(gradient).max(axis=0).reshape(-1) for gradient in gradients if gradient is not None]
    slopes: list[float] = np.maximum.reduce(found).tolist()
    return slopes
