"""AdamW over a tree of arrays, updated in place."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .. import _core
from .._descent import Master
from .._mode import standard_mode, standard_mode_methods
from .._options import at_least_zero, whole
from ._optimizer import LAST_STEP, Optimizer, option
from ._tree import all_that_there_are, all_to_write, matching, paths, teller, to_write, unfold
from .groups import Given
from .options import (
    AdamOptions,
    Betas,
    Convention,
    LearningRate,
    NonFinite,
    Rounding,
    Scheduled,
    StateDtype,
    WeightDecay,
    pair_of_betas,
)
from .policies import ClipPolicy
from .step import StepInfo, update

__all__ = ["AdamW", "adamw_"]

Array = NDArray[Any]
_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")


@standard_mode_methods
class AdamW(Optimizer):
    r"""AdamW and its variants, with optional clipping, in place, in one pass over memory.

    With ``t`` the number of this step (the first is 1), ``g`` the gradient times the clip factor::

        p <- p (1 - lr weight_decay)
        m <- m + (1 - beta1) (g - m)
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    and, with ``max_norm``, the clip factor ``min(1, max_norm / ||grads||)``, the norm taken over all arrays
    together and applied in registers: gradients are only read. The clip is exact: up to ``max_norm`` nothing
    is multiplied.

    Each element gets the bits of ``torch.optim.AdamW(fused=True)``, except for the last n mod 8 elements of a float32
    tensor (n mod 4 of float64, n mod 16 of the 16-bit types), which torch rounds by another rule; here all elements
    follow one rule. As in torch, the factor ``1 - lr weight_decay`` is rounded to the type of the computation, so that
    in float32 a decay of less than 3e-8 per step has no effect (lr = 2e-6 with weight_decay = 0.01, for example). Use
    ``tight`` or float64 parameters where that matters. 16-bit arrays are computed in float32 and rounded once per step.

    Parameters
    ----------
    params : tree of arrays
        A writable array of floats (float32, float64, float16, or bfloat16 of torch or ml_dtypes), or nested
        dictionaries, lists, (named) tuples, dataclasses, pytrees that are registered with JAX, or iterators (such as
        ``module.parameters()``) of such arrays. None: there is no parameter in this place. Arrays are NumPy arrays
        (also memory maps; flushing them is the caller's) or torch CPU tensors, C-contiguous, and must not overlap.
        Tensors are detached, and their version counters are raised, so that a backward pass that needs an old value
        raises. The address of each array is looked up again at every step.
    lr : float or callable
        The learning rate, or a function of the number of updates already made, such as
        :func:`steelyard.schedules.cosine`.
    betas : (float, float)
        The decay rates of the first and the second moment, in [0, 1); each may be a function of the number of updates
        already made. The correction of the bias uses the rate of the step, as in torch where a scheduler changes it.
    eps : float
        Added to the denominator, outside the root; above 0 in the type of the computation.
    weight_decay : float or callable
        The weight decay, at least 0, or a function like ``lr``.
    decay : {"decoupled", "l2", "independent", "corrected"}
        How it enters. ``"decoupled"``: each step multiplies the parameter by ``1 - lr weight_decay`` (AdamW). ``"l2"``:
        ``weight_decay`` times the parameter is added to the gradient (Adam). ``"independent"``: by
        ``1 - lr / max_lr weight_decay``, so that the decay follows the course of the rate and not its size (the fully
        decoupled decay of optimi's ``decouple_lr``). ``"corrected"``: by ``1 - lr^2 / max_lr weight_decay``, which
        keeps the size of the gradients level while the rate falls (AdamC; timm's ``corrected_weight_decay``).
    max_lr : float, optional
        The largest rate of the training, for the last two kinds of decay. Where it is not given, it is ``lr`` as the
        optimizer is made with it, of a schedule the highest rate.
    amsgrad : bool
        Divide by the largest second moment so far instead of the current one. It can be set before the first step
        only, because the largest second moment so far is not known later.
    bias_correction : bool
        Whether the moments are divided by ``1 - beta^t``, for having begun at 0.
    cautious : bool
        Move only those elements whose first moment has the sign of the gradient, by an update that is divided by their
        share of the tensor, or by 0.001 if that is larger (timm's ``caution``).
    stable : bool
        Divide the rate of a tensor by the root mean square of ``g / max(sqrt(v'), eps)`` where that is above 1;
        ``v'`` is what the update divides by the root of (StableAdamW). The rate of its decay is divided too. (The paper
        debiases the moments before it keeps them. Here they are kept as in AdamW, and the update is the same.)
    tight : bool
        Form decay and update together and round the parameter once: ``p <- p + delta``, where ``delta`` is computed as
        ``fma(-lr weight_decay, p, update)``. In float32 it keeps decays that are lost otherwise, but not torch's bits.
    flush_denormals : bool
        Take moments below the smallest normal number as 0. Without gradients they stop at a few subnormal numbers
        otherwise, with which some processors compute many times slower.
    max_norm : float or policy, optional
        Clip the gradients to this global norm; at least 0. Or a policy, :class:`~steelyard.optim.ZClip` or
        :class:`~steelyard.optim.AutoClip`, whose limit follows from the norms of the steps before; it is saved with the
        state. Give each optimizer a policy of its own.
    nonfinite : {"raise", "skip", "propagate"}
        What happens where gradients are NaN or infinite, or so large that a moment would become infinite: raise, skip
        the whole step, or use them as they are (as in :func:`clip_by_global_norm_`). It is decided before anything is
        written. With ``"propagate"`` and no ``max_norm`` the gradients are not checked.
    maximize : bool
        Step along the gradient instead of against it.
    state_dtype : {None, "float32", "bfloat16", "8bit"}
        The type of the moments. None: that of the parameter. With ``"8bit"`` arrays of at least 4,096 elements keep a
        byte per element, and a float32 scale for each block of 256, in the codes of bitsandbytes and torchao; smaller
        ones keep float32. Moments of float64 parameters are float64.
    rounding : {"nearest", "stochastic"}
        How bfloat16 and float16 parameters and moments are rounded. ``"stochastic"``: up or down, with the probability
        that makes the mean what was computed, so that updates that are smaller than half a unit in the last place add
        up instead of being lost.
    seed : int
        Of stochastic rounding. With the place of the array in the tree, its step and the element's index it gives the
        random number, so that a run has the same bits again, also after it was interrupted.
    master : {None, "split", "kahan", "float32"}
        How bfloat16 and float16 parameters keep more digits than their arrays hold. ``"split"``: the array is the
        upper half of a float32 number, rounded toward 0, and the state holds the lower half (``low``); the run has the
        bits of one with float32 parameters (bfloat16 only; 2 bytes more per element). ``"kahan"``: the state holds what
        rounding to nearest has lost (``rest``, in 16 bits; 2 bytes more). ``"float32"``: the state holds the parameter
        in float32 (``master``; 4 bytes more), and each step writes it to the array too, rounded to nearest. Moments are
        float32 with the first and the last unless ``state_dtype`` says otherwise. Other parameters are updated as
        always. What the state holds is taken from the parameters when the optimizer is made: make it after weights
        have been loaded, and load weights and state of the same step.
    copy_to : tree of arrays, optional
        Arrays like the parameters, such as bfloat16 arrays of a model, to which each step writes the new parameters
        too, rounded to nearest, in the same pass. None: no copy of this parameter.
    groups : list of (pattern or function, dict)
        Options of parameters that differ: ``[("*.bias", {"weight_decay": 0.0}), ("head", {"lr_scale": 10.0})]``. A
        parameter has the options of the first entry that selects it. A pattern is compared with the parameter's path,
        such as ``layers/0/w`` (or ``layers.0.w``); ``*`` stands for any text, and a pattern for a container selects
        all that is in it. A pattern that selects nothing is an error. A function gets the path and the array, and
        returns True or False. Options are those of the rule (which may not change the moments that are kept), ``lr``
        (a number or a function) and ``lr_scale`` (a factor) among them. Clipping is by one norm over all groups.
    decay_mask : patterns, function, or tree of bool, optional
        Which weights decay: a function of path and array (``lambda path, x: x.ndim > 1``), a tree of True and False
        like ``params``, a list of patterns of what decays, or, each with a leading ``!``, of what does not
        (``["!*.bias", "!*norm*"]``). The decay of the others is 0.
    convention : {None, "torch"}
        "torch": every bit is that of ``torch.optim.AdamW(fused=True)`` after ``clip_grad_norm_``, as torch computes
        them on x86-64 with AVX2 on one thread: its rule for the last elements of a tensor, its float32 norm in a few
        serial lanes (which for 1e7 elements is wrong by about 4e-4, and overflows), its factor
        ``1 / (norm + 1e-6) * max_norm``. For comparisons with runs of torch. Variants of ours, ``state_dtype``,
        ``master``, ``detail`` and stochastic rounding are refused with it.
    detail : bool
        Whether :attr:`step_info` has norms of each tensor too (:class:`~steelyard.optim.StepTensors`). It changes no
        bit of the update, and is not saved with the state.

    Attributes
    ----------
    lr, betas, eps, weight_decay, decay, max_lr, amsgrad, bias_correction, cautious, stable, tight
        The options of the rule, as below.
    flush_denormals, max_norm, nonfinite, maximize, rounding, seed, groups, decay_mask, convention, detail
        The other options. Each can be set; the new value is checked, and takes effect at the next step.
    state_dtype, master
        How arrays are kept, which can be set before the first step only.
    step_info : StepInfo or None
        What the last step did; None before the first.

    Raises
    ------
    TypeError, ValueError
        For arrays or options that cannot be used, or that contradict each other. The message names an array by its
        path, such as ``params["layers"][3]["w"]``, and nothing has been written.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> params = {"w": np.ones(3, np.float32), "b": np.zeros(1, np.float32)}
    >>> opt = sy.AdamW(params, lr=0.1, max_norm=1.0)
    >>> info = opt.step({"w": np.full(3, 2.0, np.float32), "b": np.ones(1, np.float32)})
    >>> info.step, round(info.grad_norm, 4), round(info.clip_factor, 4)
    (1, 3.6056, 0.2774)
    >>> params["w"].round(3)
    array([0.899, 0.899, 0.899], dtype=float32)

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. Defaults are torch's. Kingma and Ba,
    "Adam", ICLR 2015. Defazio, "Why Gradients Rapidly Increase Near the End of Training", 2025 (corrected decay). Liang
    et al., "Cautious Optimizers", 2024. Wortsman et al., "Stable and low-precision training for large-scale
    vision-language models", NeurIPS 2023 (StableAdamW).
    """

    __slots__ = ()

    def __init__(
        self,
        params: Any,
        lr: LearningRate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Scheduled = 0.01,
        *,
        decay: WeightDecay = "decoupled",
        max_lr: float | None = None,
        amsgrad: bool = False,
        bias_correction: bool = True,
        cautious: bool = False,
        stable: bool = False,
        tight: bool = False,
        flush_denormals: bool = False,
        max_norm: float | ClipPolicy | None = None,
        nonfinite: NonFinite = "raise",
        maximize: bool = False,
        state_dtype: StateDtype | None = None,
        rounding: Rounding = "nearest",
        seed: int = 0,
        master: Master | None = None,
        copy_to: Any = None,
        groups: Given = (),
        decay_mask: Any = None,
        convention: Convention | None = None,
        detail: bool = False,
    ) -> None:
        options = AdamOptions(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decay=decay,
            max_lr=max_lr,
            amsgrad=amsgrad,
            bias_correction=bias_correction,
            cautious=cautious,
            stable=stable,
            tight=tight,
            flush_denormals=flush_denormals,
            max_norm=max_norm,
            nonfinite=nonfinite,
            maximize=maximize,
            state_dtype=state_dtype,
            rounding=rounding,
            seed=seed,
            master=master,
            convention=convention,
        )
        super().__init__(params, options, groups=groups, decay_mask=decay_mask, copy_to=copy_to, detail=detail)

    betas = option("betas", "Decay of the first and the second moment.")
    eps = option("eps", "Added to the denominator.")
    amsgrad = option("amsgrad", "Whether the update divides by the largest second moment so far.")
    bias_correction = option("bias_correction", "Whether the moments are corrected for having begun at 0.")
    cautious = option("cautious", "Whether only elements whose moment has the sign of the gradient move.")
    stable = option("stable", "Whether the rate of a tensor is clipped by its gradient's size.")
    convention = option("convention", "Whose bits steps have: ``None`` or ``'torch'``.")


@standard_mode
def adamw_(
    params: Any,
    grads: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    *,
    step: int,
    max_exp_avg_sq: Any = None,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    max_norm: float | ClipPolicy | None = None,
    nonfinite: NonFinite = "raise",
    maximize: bool = False,
) -> StepInfo:
    """Do one AdamW step in place, by the formula of :class:`AdamW`, on moments that the caller keeps.

    Parameters
    ----------
    params, exp_avg, exp_avg_sq : trees of arrays
        The parameters and the first and second moments, which are updated; all of one structure, as in :class:`AdamW`.
    grads : tree of arrays
        The gradients, in the same structure; they are only read. None: the parameter is left as it is.
    step : int
        The number of this step; the first is 1.
    max_exp_avg_sq : tree of arrays, optional
        The largest second moments so far, which are updated; where given, the step is that of amsgrad.
    lr, betas, eps, weight_decay, max_norm, nonfinite, maximize
        As in :class:`AdamW`.

    Returns
    -------
    StepInfo
        What the step did.

    Raises
    ------
    TypeError, ValueError
        As :class:`AdamW`, with the path of the array; nothing has been written.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> w, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    >>> sy.optim.adamw_(w, np.array([0.5, -0.5]), m, v, step=1, lr=0.1).grad_norm
    0.7071067811865476
    >>> w.round(6)
    array([0.899, 1.099])
    """
    step = whole(step, "step", 1, LAST_STEP + 1)
    options = AdamOptions(
        lr=at_least_zero("lr", lr),
        betas=pair_of_betas(betas),
        eps=eps,
        weight_decay=at_least_zero("weight_decay", weight_decay),
        max_norm=max_norm,
        nonfinite=nonfinite,
        maximize=maximize,
        amsgrad=max_exp_avg_sq is not None,
    )
    found, given = unfold(params, "params", written=True)
    places = paths(found)
    roles: dict[str, tuple[Any, ...]] = {"params": given}
    for name, tree in zip(_MOMENTS, (exp_avg, exp_avg_sq, max_exp_avg_sq), strict=True):
        if tree is not None or name != "max_exp_avg_sq":
            roles[name] = matching(tree, found, name)
    arrays, *moments = (_role_to_write(name, values, places) for name, values in roles.items())
    # Converted before the plan records any address: conversion runs Python code, which may move arrays.
    read = all_that_there_are(matching(grads, found, "grads"), lambda i: f"grads{places[i]}")
    tell = teller([value for values in roles.values() for value in values])
    plan = _core.OptimizerPlan(
        paths=places, given=given, params=arrays, moments=moments, steps=step - 1, options=None, tell=tell
    )
    return update(options, plan, places, read, lambda row: to_write(given[row], f"params{places[row]}"))


def _role_to_write(name: str, values: tuple[Any, ...], places: list[str]) -> tuple[Array, ...]:
    return all_to_write(values, lambda row: f"{name}{places[row]}")
