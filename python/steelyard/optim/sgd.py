"""Stochastic gradient descent over a tree of arrays, updated in place."""

from __future__ import annotations

from typing import Any

from .._descent import Master
from .._mode import standard_mode_methods
from ._optimizer import Optimizer, option
from .groups import Given
from .options import LearningRate, NonFinite, Rounding, Scheduled, SGDOptions, StateDtype, WeightDecay
from .policies import ClipPolicy

__all__ = ["SGD"]


@standard_mode_methods
class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if wanted.

    With ``g`` the gradient times the clip factor::

        g <- g + weight_decay p
        b <- momentum b + (1 - dampening) g        (in the first step b <- g)
        p <- p - lr b                              (nesterov: p - lr (g + momentum b))

    Without momentum, ``g`` stands for ``b``, and no moment is kept. Here, as in torch, the rate multiplies the
    momentum; in Sutskever et al. it multiplies what enters it, which differs when the rate changes.

    Each element gets the bits of ``torch.optim.SGD`` on the CPU, as long as there is no ``max_norm``.

    Parameters
    ----------
    params, lr
        As in :class:`AdamW`.
    momentum : float
        How much of the momentum is kept, at least 0. Whether it is 0 can be changed before the first step only.
    dampening : float
        How much of the gradient does not enter the momentum.
    weight_decay : float or callable
        The weight decay, at least 0.
    nesterov : bool
        Step along the momentum that the next step would have; takes a momentum and no dampening.
    decay : {"l2", "decoupled", "independent", "corrected"}
        How the weight decay enters, as in :class:`AdamW`.
    max_lr, tight, flush_denormals, max_norm, nonfinite, maximize, state_dtype, rounding, seed, master, copy_to
        As in :class:`AdamW`.
    groups, decay_mask, detail
        As in :class:`AdamW`.

    Attributes
    ----------
    lr, momentum, dampening, weight_decay, nesterov, decay, max_lr, tight
        The options of the rule, as below.
    flush_denormals, max_norm, nonfinite, maximize, detail
        The other options. Each can be set; the new value is checked, and takes effect at the next step.
    step_info : StepInfo or None
        What the last step did; None before the first.

    Raises
    ------
    TypeError, ValueError
        As :class:`AdamW`.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> w = np.ones(2)
    >>> opt = sy.optim.SGD(w, lr=0.1, momentum=0.9)
    >>> opt.step(np.array([1.0, -1.0])).step
    1
    >>> w
    array([0.9, 1.1])

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013. The form and the
    defaults are torch's.
    """

    __slots__ = ()

    def __init__(  # noqa: PLR0917 -- the order of torch
        self,
        params: Any,
        lr: LearningRate = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: Scheduled = 0.0,
        nesterov: bool = False,
        *,
        decay: WeightDecay = "l2",
        max_lr: float | None = None,
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
        detail: bool = False,
    ) -> None:
        options = SGDOptions(
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            decay=decay,
            max_lr=max_lr,
            tight=tight,
            flush_denormals=flush_denormals,
            max_norm=max_norm,
            nonfinite=nonfinite,
            maximize=maximize,
            state_dtype=state_dtype,
            rounding=rounding,
            seed=seed,
            master=master,
        )
        super().__init__(params, options, groups=groups, decay_mask=decay_mask, copy_to=copy_to, detail=detail)

    momentum = option("momentum", "How much of the momentum is kept.")
    dampening = option("dampening", "How much of the gradient does not enter the momentum.")
    nesterov = option("nesterov", "Whether the step goes along the momentum that the next step would have.")
