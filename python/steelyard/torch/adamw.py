"""AdamW as torch has it."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer

__all__ = ["AdamW"]


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
        As in torch. Groups may have their own ``lr``, ``betas``, ``eps``, ``weight_decay``, ``amsgrad``, ``maximize``.
    lr, betas, eps, weight_decay, amsgrad, maximize
        As in torch; ``lr`` and ``betas`` may be tensors of one element. What is changed in ``param_groups`` holds from
        the next step on. ``lr`` may also be a function of the number of updates made, such as
        :func:`steelyard.schedules.cosine`; ``group["lr"]`` then shows the rate of the last step.
    foreach, fused : bool, optional
        Accepted and without effect: there is one way to compute a step.
    capturable, differentiable : bool
        Refused where True.
    max_norm : float or policy, optional
        Clip the gradients of all groups together to this global norm, or by :class:`steelyard.optim.ZClip` or
        :class:`steelyard.optim.AutoClip`. What a policy has seen is not in ``state_dict``, which keeps torch's form:
        save ``optimizer.max_norm.state_dict()`` beside it.
    nonfinite : {"propagate", "skip", "raise"}
        What gradients do that are NaN or infinite: they go into the update (torch's convention), the step is left out,
        or it is an error. In the last two cases nothing is written.
    state_dtype : {None, "float32", "bfloat16", "8bit"} or torch.dtype
        The type of the moments; None: the parameter's, as in torch. A group may have its own. In 8 bits they are codes
        of bitsandbytes' dynamic tree, with a float32 scale for each block of 256 elements (``exp_avg_scale``); tensors
        of fewer than 4,096 elements keep float32. States of bitsandbytes and torchao are loaded as they are.
    rounding : {"nearest", "stochastic"}
        How bfloat16 and float16 parameters and moments are rounded. Stochastic rounding goes up or down with the
        probability that makes the mean of the result the value itself, so that small updates are not lost.
    seed : int
        Of stochastic rounding. With the number of the parameter, its step and the element's index it gives the random
        numbers, which therefore do not depend on threads, and go on after a resume as they would have.

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

    def __init__(  # noqa: PLR0917 -- the order of torch
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        max_norm: float | None = None,
        nonfinite: str = "propagate",
        state_dtype: Any = None,
        rounding: str = "nearest",
        seed: int = 0,
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
            "decoupled_weight_decay": True,
            "state_dtype": state_dtype,
        }
        super().__init__(params, defaults, max_norm=max_norm, nonfinite=nonfinite, rounding=rounding, seed=seed)
