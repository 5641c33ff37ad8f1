"""Preference losses of log-probabilities: the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import aligned
from .._mode import standard_mode
from .._options import Alternative, Confidence, NanPolicy, choice, confidence_of, flag
from .._progress import Progress
from .._rows import Selection
from .._strides import side_by_side
from .conventions import finish, narrowed, refuse_beside, spoken
from .dialects import Convention, Spelt
from .given import (
    COLUMNS,
    as_columns,
    blanked,
    columns_given,
    lengths_by_name,
    margin_column,
    token_counts,
    warn_rounded,
)  # fmt: skip
from .result import PreferenceLoss
from .terms import settings_of, terms_of
from .work import Metrics, Work, largest_slope, metrics, steepest

__all__ = ["preference_loss"]

Column = NDArray[Any]
Loss = Literal[
    "dpo", "robust", "hinge", "ipo", "apo_zero", "nca_pair",
    "exo_pair", "bco_pair", "sppo_hard", "apo_down", "discopop", "sigmoid_norm", "ipo_norm", "aot",
    "cpo", "simpo", "alphapo", "orpo",
]  # fmt: skip
DType = Literal["float32", "float64"]
Divergence = Literal["reverse-kl", "forward-kl", "js", "alpha"]


@standard_mode
def preference_loss(
    policy_chosen: ArrayLike,
    policy_rejected: ArrayLike,
    reference_chosen: ArrayLike | None = None,
    reference_rejected: ArrayLike | None = None,
    *,
    loss: Loss | Spelt | Mapping[Loss, float] = "dpo",
    beta: float | ArrayLike = 0.1,
    label_smoothing: float | ArrayLike | None = None,
    shift: float | ArrayLike | None = None,
    temperature: float | ArrayLike | None = None,
    gamma: float | ArrayLike | None = None,
    alpha: float | ArrayLike | None = None,
    sft: float | ArrayLike | None = None,
    lengths: tuple[ArrayLike, ArrayLike] | None = None,
    margin: ArrayLike | None = None,
    divergence: Divergence = "reverse-kl",
    convention: Convention | None = None,
    where: Any = None,
    weights: Any = None,
    clusters: Any = None,
    nan_policy: NanPolicy = "raise",
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
    gradients: bool = True,
    columns: bool | None = None,
    dtype: DType | None = None,
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
        "aot"       "dpo" of x - y of the differences policy_chosen - policy_rejected and reference_chosen -
                    reference_rejected of equal rank, each column of differences sorted

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

    A mapping of names to weights is a mixture, the weighted sum of its losses, plus ``-sft policy_chosen``.

    All arithmetic is float64. Up to a distance of 700 a gradient is within 4 ulp of the exact function of what float64
    computes there; beyond, it is finite and monotone and the pair counts as saturated. The distance is |z|; for
    "apo_zero", "nca_pair", "bco_pair" and "sppo_hard" the larger of |beta x| and |beta y| (each less ``shift``), for
    "apo_down" that of |beta x| and |z|, for "orpo" that of |x| and |x - y|. Where x and y are not the log-ratios, this
    holds for the gradient with respect to x and y, which is then multiplied by their derivatives. float32 results are
    rounded once, at the end: half an ulp of float32 more, but for gradients below 1e-38 (a distance of 87), which have
    fewer digits there and beyond a distance of 103 are 0.

    Parameters
    ----------
    policy_chosen, policy_rejected, reference_chosen, reference_rejected : array of float, shape [n]
        Log-probabilities of whole answers, in nats, such as ``token_scores(...).sequence_logprob``: at most 0 up to
        rounding. (Log-densities may be larger; subtract one number from both the policy's and the reference's.) Keep
        them in float32 or float64: near -300 one step of bfloat16 is 2 nats. Tensors that require grad are refused:
        pass ``x.detach()``, and pass ``grad_chosen`` to ``x.backward``. Losses without a reference take no reference.
    loss : {"dpo", "robust", "hinge", "ipo", "exo_pair", "discopop", "apo_zero", "apo_down", "nca_pair", ...} or mapping
        The formula; see above. Losses of a mapping compare the same scores (all of log-ratios, say), and share their
        parameters: MPO is ``{"dpo": 0.8, "bco_pair": 0.2}`` with ``sft=1.0``.
        "ipo" takes summed log-probabilities, and ``beta`` is its tau (the convention of the paper and of torchtune; TRL
        averages over tokens). "dpo" with ``label_smoothing`` is the conservative DPO of the reference implementation
        (TRL 1.16 ignores the parameter there), and is TRL's "sigmoid". The other names are TRL's, but for "ipo_norm",
        which is TRL's "ipo"; "bco_pair" has the shift 0 in its DPOTrainer, and a running mean of the rewards in its
        BCOTrainer. The gradient of "exo_pair", and that of "apo_down" for the chosen answer, are products of more
        factors, within 8 ulp. "aot" depends on all pairs at once (ties keep their order), so that the intervals of its
        mean are approximate; its rewards are those of the pairs as they were given. (TRL's "aot", with a label
        smoothing; "aot_unpaired" sorts log-ratios of chosen and of rejected answers.)
    beta : float or array of float, shape [K]
        Above 0. With an array, each value is a problem of its own. The other numbers below may be arrays too: of
        several arrays, which have one length, each place is a problem. Such a sweep makes no arrays of pairs unless
        ``columns=True``.
    label_smoothing : float, optional
        The probability that a label is wrong, in [0, 1/2), by default 0; for "dpo", "robust" and "aot" only,
        and for "exo_pair", where it is above 0 and by default 0.001.
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
        The weight of the chosen answer's negative log-likelihood in "cpo", at least 0, by default 1, or in a mixture,
        by default 0. It is summed over tokens, as in the paper (TRL averages it over the tokens of the batch).
    lengths : tuple (chosen, rejected) of arrays of whole numbers, shape [n], optional
        The numbers of tokens of the answers, for the losses of means over tokens; 0 only where the log-probability is
        0. The mean of an empty answer is 0, and so is its gradient. ("orpo" takes it for certain: its log-odds,
        infinite by the formula, are cut off at 691.)
    margin : array of float, shape [n], optional
        An offset of each pair: what is subtracted from z (beside ``gamma``), for losses that are functions of z alone
        ("dpo", "robust", "hinge", "ipo", "exo_pair", "discopop", their forms over tokens, "cpo", "simpo", "alphapo"),
        such as the difference of two ratings (ODPO). Rewards are as they were.
    divergence : {"reverse-kl", "forward-kl", "js", "alpha"}
        What the policy is charged for leaving the reference, for losses with a reference and without lengths but "aot"
        (f-DPO; TRL's f_divergence_type, which leaves out the constant that makes scores 0 at policy = reference).
        Exponents beyond 340 go on in a straight line, and the pair counts as saturated.
    convention : {"steelyard", "reference", "trl", "liger", "torchtune", "openrlhf", "axolotl"}, optional
        The library whose loss is computed, and named as that library names it: ``loss="sigmoid"`` is TRL's DPO, which
        ignores ``label_smoothing`` (with a warning), ``loss="ipo"`` its IPO of means over tokens, which needs
        ``lengths``; "torchtune" has "DPOLoss" and "RSOLoss". Parameters keep the names that they have here. The mean of
        the losses is the library's number for the batch, with all that it adds by default, such as the negative
        log-likelihood of "simpo" in TRL and Liger (``sft=0`` leaves it out). ``steelyard.preference.explain`` tells the
        differences. Default: this package's losses. (Where the library adds something or has other rewards, a sweep
        makes columns.)
    where : array of bool, shape [n], optional
        The pairs that count; default: all.
    weights : array of float, shape [n], optional
        The weight of each pair, at least 0 and not all 0. Means are weighted, as those of ``estimate(weights=)``, and
        gradients are multiplied: divide ``grad_chosen`` by ``weights.sum()`` for the gradient of ``loss``, or by n as
        WPO does. ``losses`` are as they were. The weights of WPO are ``exp(chosen + rejected)``, at most 1, of the
        means over each answer's tokens of ``log p - log sum p^2``, with the policy's probability p of the token and the
        sum over the vocabulary; they are constants. Refused for "aot", and where a convention adds a likelihood.
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
    columns : bool, optional
        Whether to make arrays of the pairs' losses, gradients and rewards; by default those of one problem, and none of
        a sweep, whose Estimates are then computed while the pairs are read once for many problems.
    dtype : {"float32", "float64"}, optional
        The type of these arrays; by default that of the log-probabilities, of several the widest (float32 for types of
        16 bits). What float32 cannot hold is set to 3.4e38, and the pair counts as saturated.
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
    >>> pairs = [-0.5, -10, -1], [-0.1, -30, -21], [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1]
    >>> sy.preference_loss(*pairs, beta=[0.05, 0.1, 0.5]).loss.value.round(4)
    array([0.4935, 0.3778, 0.2333])
    >>> sy.preference_loss(*pairs, loss={"dpo": 0.8, "bco_pair": 0.2}).losses.round(4)
    array([0.8318, 0.4514, 0.2727])

    Notes
    -----
    Length-desensitised DPO (LD-DPO) is "dpo" of columns ``head + ld_alpha * tail``: of each pair with n tokens in its
    shorter answer, ``head`` is the sum of the log-probabilities of an answer's first n tokens and ``tail`` that of the
    rest, under the policy and under the reference. The gradient of the tail's tokens is ``ld_alpha`` times that of the
    head's, which is ``grad_chosen`` or ``grad_rejected``.

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
    2024. Melnyk et al., "Distributional Preference Alignment of LLMs via Optimal Transport", 2024. Wang et al., "Beyond
    Reverse KL", 2023 (divergences). Wang et al., "Enhancing the Reasoning Ability of Multimodal LLMs via Mixed
    Preference Optimization", 2024 (MPO). Amini et al., "Direct Preference Optimization with an Offset", 2024. Zhou et
    al., "WPO", 2024. Liu et al., "Length Desensitization in Direct Preference Optimization", 2024.
    """
    parameters = {
        "beta": beta, "label_smoothing": label_smoothing, "shift": shift, "temperature": temperature, "gamma": gamma,
        "alpha": alpha, "sft": sft,
    }  # fmt: skip
    said = spoken(convention, loss, parameters, divergence, lengths)
    terms = terms_of(said.loss)
    settings, sweep = settings_of(terms, said.divergence, said.swept, **said.parameters)
    gradients = flag(gradients, "gradients")
    with_columns = (not sweep or said.finishes) if columns is None else flag(columns, "columns")
    refuse_beside(said, convention, margin=margin, weights=weights, columns=with_columns)
    single = None if dtype is None else choice(dtype, "dtype", ("float32", "float64")) == "float32"
    confidence = confidence_of(confidence_level, alternative)
    log_probs = (policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    given = columns_given(terms, log_probs, said.lengths, margin, weights)
    aligned(**given, **lengths_by_name(lengths), margin=margin, where=where, weights=weights, clusters=clusters)
    read = as_columns(given)
    types = [column.dtype for column in read]
    selection = Selection(where, clusters, nan_policy, weights=weights, unit="pair")
    rows = selection.rows(COLUMNS[0], *read)
    n = len(read[0])
    factors = selection.weights
    if factors is not None and rows.keep is not None:
        factors = np.where(rows.keep, factors, 0.0)
    tokens = None if lengths is None else token_counts(lengths, read, rows.keep)
    beside = {
        "lengths": None if said.lengths is None else tokens,
        "margin": None if margin is None else margin_column(margin, n, rows.keep),
        "weights": factors,
    }
    warn_rounded(read)
    filled, absent = blanked(read, rows)
    work = Work(terms, filled, beside, rows, types, progress)
    counted = np.ones(n, np.bool_) if rows.keep is None else rows.keep.copy()
    counted.setflags(write=False)
    if not with_columns:
        found = metrics(work, settings, confidence, sweep=sweep)
        return _without_columns(found, work, counted, confidence, sweep=sweep)
    if single is None:
        single = np.dtype(np.float64) not in types
    adds = partial(finish, said, settings=settings, columns=filled, tokens=tokens, counted=rows.keep)
    return _with_columns(
        work, settings, absent, counted, confidence, sweep=sweep, gradients=gradients, single=single,
        finish=adds if said.finishes else None,
    )  # fmt: skip


def _without_columns(
    found: Metrics, work: Work, counted: NDArray[np.bool_], confidence: Confidence, *, sweep: bool
) -> PreferenceLoss:
    """The result whose means are known, and which has no columns."""
    return PreferenceLoss(
        losses=None, grad_chosen=None, grad_rejected=None, rewards_chosen=None, rewards_rejected=None,
        counted=counted, saturated=np.array(found.saturated, np.int64) if sweep else found.saturated[0],
        empty=found.empty, left_out=work.rows.left_out, _steps={}, _rows=work.rows, _confidence=confidence,
        _betas=(), _reference=work.terms.reads("reference"), _metrics=found,
    )  # fmt: skip


def _slope_of(
    of: Any, work: Work, setting: dict[str, Any], absent: NDArray[np.bool_] | None, *, finished: bool, scores: bool
) -> float:
    """How steep the loss of a pair is at most at one setting.

    The core has seen it. Only where its columns were ``finished`` here, or pairs do not count, are they read again.
    """
    if not scores:
        highest = float(np.fmax.reduce(of["losses"], initial=0.0)) if finished else of["highest"]
        return steepest(work, setting, highest)
    if not finished and absent is None:
        return float(of["steepest"])
    sides = [of["grad_chosen"], of["grad_rejected"]]
    if absent is not None:
        sides = [np.where(absent, 0.0, side) for side in sides]
    return largest_slope(sides, work.beside["weights"])


def _with_columns(
    work: Work, settings: Sequence[dict[str, Any]], absent: NDArray[np.bool_] | None, counted: NDArray[np.bool_],
    confidence: Confidence, *, sweep: bool, gradients: bool, single: bool, finish: Callable[[Any], None] | None,
) -> PreferenceLoss:  # fmt: skip
    """The result with the columns of every setting; ``finish`` adds to them what a library adds, in float64."""
    # Where scores stand between log-probabilities and the loss, only gradients tell how far rounding moves the loss.
    scores = work.of_scores or settings[0]["divergence"] != "reverse-kl"
    core_single = single and finish is None
    own = [work.scored(setting, gradients=gradients or scores, single=core_single) for setting in settings]
    scored = own
    if finish is not None:
        finish(own)
        if single:
            scored = own = [narrowed(of) for of in own]
    if work.terms.reads("batch"):
        matched = work.matched()
        scored = [matched.scored(setting, gradients=gradients or scores, single=single) for setting in settings]

    def column(arrays: Sequence[Column], blank: float) -> Column:
        """One output for every setting, with ``blank`` where a pair does not count; read-only like all results."""
        values = side_by_side(arrays) if sweep else arrays[0]
        if absent is not None:
            values[absent] = blank
        values.setflags(write=False)
        return values

    def gradient(side: str) -> Column | None:
        """A gradient of every setting, if gradients are asked for."""
        return column([of[side] for of in scored], 0.0) if gradients else None

    slopes = [
        _slope_of(of, work, setting, absent, finished=finish is not None, scores=scores)
        for of, setting in zip(scored, settings, strict=True)
    ]
    nats = work.nats(own[0])
    # So far one rounding step moves at most what the loss compares.
    moved = [nats * (of["stretch"] or 1.0) for of in own]
    saturated = [of["saturated"] for of in scored]
    return PreferenceLoss(
        losses=column([of["losses"] for of in scored], np.nan),
        grad_chosen=gradient("grad_chosen"),
        grad_rejected=gradient("grad_rejected"),
        rewards_chosen=column([of["rewards_chosen"] for of in own], np.nan),
        rewards_rejected=column([of["rewards_rejected"] for of in own], np.nan),
        counted=counted,
        saturated=np.array(saturated, np.int64) if sweep else saturated[0],
        empty=own[0]["empty"],
        left_out=work.rows.left_out,
        _steps={
            "margin": tuple(setting["beta"] * far for setting, far in zip(settings, moved, strict=True)),
            "loss": tuple(slope * nats for slope in slopes),
        },
        _rows=work.rows,
        _confidence=confidence,
        _betas=tuple(setting["beta"] for setting in settings),
        _reference=work.terms.reads("reference"),
    )
