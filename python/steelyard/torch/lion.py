"""Lion."""

from __future__ import annotations

from typing import Any

from .._descent import Master
from ._groups import LION, MAX_LR
from ._schedules import Scheduled
from .optimizer import Optimizer, Policy

__all__ = ["Lion"]


class Lion(Optimizer):
    """Lion: steps of equal size, along the sign of a momentum; the update of :class:`steelyard.optim.Lion`.

    Parameters
    ----------
    params : iterable of tensors, of pairs ``(name, tensor)``, or of groups
        As :class:`steelyard.torch.AdamW`.
    lr, betas, weight_decay, maximize
        As :class:`steelyard.optim.Lion`; the rate is usually a third to a tenth of AdamW's.
    decay, max_lr, cautious, tight, flush_denormals, max_norm, nonfinite, state_dtype, rounding, seed, master, copy_to,
    detail
        As :class:`steelyard.torch.AdamW`; groups may have the same ones of their own.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import Lion
    >>> weight = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = Lion([weight], lr=0.01)
    >>> (5 * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.detach()
    tensor([0.9900, 0.9900])

    References
    ----------
    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023.
    """

    _RULE = LION

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-4,
        betas: Any = (0.9, 0.99),
        weight_decay: Scheduled = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        decay: str = "decoupled",
        max_lr: float | None = None,
        cautious: bool = False,
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
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "decay": decay,
            MAX_LR: max_lr,
            "cautious": cautious,
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
