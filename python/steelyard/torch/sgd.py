"""SGD as torch has it, with its variants."""

from __future__ import annotations

from typing import Any

from .._descent import Master
from ._groups import MAX_LR
from ._groups import SGD as RULE
from ._schedules import Scheduled
from .optimizer import Optimizer, Policy

__all__ = ["SGD"]


class SGD(Optimizer):
    """``torch.optim.SGD`` for parameters on the CPU, in one call for all groups.

    The state also counts the steps of each parameter, which torch's does not. A state of either class loads into the
    other.

    Parameters
    ----------
    params : iterable of tensors, of pairs ``(name, tensor)``, or of groups
        As :class:`steelyard.torch.AdamW`.
    lr, momentum, dampening, weight_decay, nesterov, maximize
        As in torch; ``lr`` and ``weight_decay`` may be functions of the number of updates made. Momentum that is
        switched on later is the gradient in its first step, as in torch.
    foreach, fused, differentiable
        As :class:`steelyard.torch.AdamW`.
    decay, max_lr, tight, flush_denormals, max_norm, nonfinite, state_dtype, rounding, seed, master, copy_to, detail
        As :class:`steelyard.torch.AdamW`; groups may have the same ones of their own. ``decay`` is ``"l2"`` by default,
        as in torch.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import SGD
    >>> weight = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = SGD([weight], lr=0.1, momentum=0.9)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.detach()
    tensor([0.9000, 0.9000])

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013. The form and the
    defaults are torch's.
    """

    _RULE = RULE

    def __init__(  # noqa: PLR0917 -- the order of torch
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Scheduled = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        decay: str | None = None,
        max_lr: float | None = None,
        tight: bool = False,
        flush_denormals: bool = False,
        max_norm: float | Policy | None = None,
        nonfinite: str = "propagate",
        state_dtype: Any = None,
        rounding: str = "nearest",
        seed: int = 0,
        master: Master | None = None,
        copy_to: Any = None,
        detail: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
            "decay": decay,
            MAX_LR: max_lr,
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
            detail=detail,
        )
