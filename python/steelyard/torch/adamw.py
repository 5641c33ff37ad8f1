"""AdamW and Adam as torch has them, with their variants."""

from __future__ import annotations

from typing import Any

from .._descent import Master
from .._options import flag
from ._groups import ADAM, MAX_LR
from ._schedules import Scheduled
from .optimizer import Optimizer, Policy

__all__ = ["Adam", "AdamW"]


class AdamW(Optimizer):
    r"""``torch.optim.AdamW`` for parameters on the CPU: same arguments, same state, same bits, one call for all groups.

    The update is that of :class:`steelyard.AdamW`, with the bits of ``torch.optim.AdamW(fused=True)`` except for the
    last n mod 8 elements of a float32 tensor (n mod 4 of float64, n mod 16 of bfloat16 and float16), which torch rounds
    by another rule. Gradients are only read: after ``GradScaler.step`` they are still scaled.

    Parameters are float32, float64, bfloat16 or float16, of any strides. Where they lie is asked at every step: what
    was moved (``share_memory_()``, ``p.data = ...``) or replaced is used where it is now, and what cannot be used is
    refused before anything is written.

    Parameters
    ----------
    params : iterable of tensors, of pairs ``(name, tensor)``, or of groups
        As in torch. Groups may have any of the options below of their own, but for ``max_norm``, ``nonfinite``,
        ``rounding``, ``seed`` and ``master``, which hold for all. Other entries are let through, as in torch, for
        wrappers and schedulers (timm's ``lr_scale`` is one), unless they are spelt almost like an option.
    lr, betas, eps, weight_decay, amsgrad, maximize
        As in torch; ``lr`` and ``betas`` may be tensors of one element. What is changed in ``param_groups`` holds from
        the next step on; ``amsgrad`` that is switched on then begins with the second moment as it is after that step.
        ``lr``, ``weight_decay`` and each of ``betas`` may also be a function of the number of updates made, such as
        :func:`steelyard.schedules.cosine`; the group then shows the number of the last step, and another number that is
        written there holds instead.
    foreach, fused : bool, optional
        Accepted and without effect: there is one way to compute a step.
    capturable, differentiable : bool
        Refused where True.
    max_norm : float or policy, optional
        Clip the gradients of all groups together to this global norm, or by :class:`steelyard.optim.ZClip` or
        :class:`steelyard.optim.AutoClip`. What a policy has seen is in ``state_dict``, as the entry ``max_norm_state``
        of the first group; the limit itself is that of the optimizer that loads it.
    nonfinite : {"propagate", "skip", "raise"}
        What gradients do that are NaN or infinite: they go into the update (torch's convention), the step is left out,
        or it is an error. In the last two cases nothing is written.
    decay : {None, "decoupled", "l2", "independent", "corrected"}
        How weight decay enters, as in :class:`steelyard.AdamW`; None: as in torch.
    max_lr : float, optional
        The largest rate of the training, for independent and corrected decay. Groups have it as ``decay_max_lr``,
        because ``OneCycleLR`` writes a ``max_lr`` of its own into groups.
    bias_correction, cautious, stable, tight, flush_denormals : bool
        Variants, as in :class:`steelyard.AdamW`.
    state_dtype : {None, "float32", "bfloat16", "8bit"} or torch.dtype
        The type of the moments; None: the parameter's, as in torch. A new one converts them. In 8 bits they are codes
        of bitsandbytes' dynamic tree, with a float32 scale for each block of 256 elements (``exp_avg_scale``); tensors
        of fewer than 4,096 elements keep float32. States of bitsandbytes and torchao are loaded as they are.
    rounding : {"nearest", "stochastic"}
        How bfloat16 and float16 parameters and moments are rounded. Stochastic rounding goes up or down with the
        probability that makes the mean of the result the value itself, so that small updates are not lost.
    seed : int
        Of stochastic rounding. With the number of the parameter, its step and the element's index it gives the random
        numbers, which therefore do not depend on threads, and go on after a resume as they would have.
    master : {None, "split", "kahan", "float32"}
        How bfloat16 and float16 parameters keep more digits than their tensors hold, as in :class:`steelyard.AdamW`.
        ``"split"``: the state has the lower halves (``low``, int16) of float32 numbers, of which the bfloat16 parameter
        is the upper half; the bits of a run in float32. ``"kahan"``: the state has what rounding has lost (``rest``).
        ``"float32"``: the state has the parameter in float32 (``master``), and each step writes it, rounded, to the
        parameter. Moments are float32 with the first and the last unless ``state_dtype`` says otherwise. It begins at
        the first step of a parameter, or where a state without it was loaded, from the parameter as it is then. After
        that, load weights and state of the same step; what else writes to weights is undone with ``"float32"``.
    copy_to : list of tensors, optional
        For each parameter in order a tensor like it, such as that of a model in bfloat16, or None: each step writes the
        new parameter to it too, rounded to nearest, in the same pass. A group may have its own list, ``copy_to`` beside
        ``params``, which can be changed between steps. For parameters of float32 or float64. Copies are in no saved
        state: loading leaves them as they are, and the next step writes them.
    convention : {None, "torch"}
        "torch": every bit is that of ``torch.optim.AdamW(fused=True)`` after ``clip_grad_norm_``, as torch computes
        them on x86-64 with AVX2: its rule for the last elements of a tensor, its float32 norm in a few serial lanes
        (which for 1e7 elements is wrong by about 4e-4, and overflows), its factor ``1 / (norm + 1e-6) * max_norm``.
        For comparisons with runs of torch. Variants of ours, ``state_dtype``, ``master`` and stochastic rounding are
        refused with it. The norm of a float16 tensor is that of torch on one thread, since torch's depends on their
        number.
    detail : bool
        Whether :attr:`step_info` has norms of each parameter too (:class:`steelyard.optim.StepTensors`); of a shard,
        those of this process's part. It changes no bit of the update. Updates during ``backward`` (``hook_backward``)
        report none; ``convention="torch"`` refuses it.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import AdamW
    >>> weight = torch.nn.Parameter(torch.ones(3))
    >>> optimizer = AdamW([weight], lr=0.1, max_norm=1.0)
    >>> (2 * weight).sum().backward()
    >>> optimizer.step()
    >>> round(optimizer.step_info.grad_norm, 4)
    3.4641
    >>> weight.detach()
    tensor([0.8990, 0.8990, 0.8990])

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    _RULE = ADAM
    _DECOUPLED = True
    _FORCED: tuple[str, ...] = ("decoupled_weight_decay",)

    def __init__(  # noqa: PLR0917 -- the order of torch
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Scheduled = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decay: str | None = None,
        max_lr: float | None = None,
        bias_correction: bool = True,
        cautious: bool = False,
        stable: bool = False,
        tight: bool = False,
        flush_denormals: bool = False,
        max_norm: float | Policy | None = None,
        nonfinite: str = "propagate",
        state_dtype: Any = None,
        rounding: str = "nearest",
        seed: int = 0,
        master: Master | None = None,
        copy_to: Any = None,
        convention: str | None = None,
        detail: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": self._DECOUPLED,
            "decay": decay,
            MAX_LR: max_lr,
            "bias_correction": bias_correction,
            "cautious": cautious,
            "stable": stable,
            "tight": tight,
            "flush_denormals": flush_denormals,
            "state_dtype": state_dtype,
        }
        super().__init__(
            params,
            defaults,
            max_norm=max_norm,
            nonfinite=nonfinite,
            rounding=rounding,
            seed=seed,
            master=master,
            copy_to=copy_to,
            convention=convention,
            detail=detail,
        )


class Adam(AdamW):
    """``torch.optim.Adam``: :class:`AdamW` whose weight decay, 0 by default, is added to the gradient (``decay="l2"``).

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, amsgrad, ...
        As :class:`AdamW`.
    decoupled_weight_decay : bool
        As in torch: the decay of AdamW.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import Adam
    >>> weight = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = Adam([weight], lr=0.1)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.detach()
    tensor([0.9000, 0.9000])

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    """

    _FORCED = ()

    def __init__(  # noqa: PLR0917 -- the order of torch
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Scheduled = 0.0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = False,
        **options: Any,
    ) -> None:
        self._DECOUPLED = flag(decoupled_weight_decay, "decoupled_weight_decay")
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)
