"""Adam over a tree of arrays, updated in place."""

from __future__ import annotations

from typing import Any

from .._mode import standard_mode_methods
from .adamw import AdamW
from .options import Betas, LearningRate, Scheduled, WeightDecay

__all__ = ["Adam"]


@standard_mode_methods
class Adam(AdamW):
    r"""Adam, whose weight decay is part of the gradient: :class:`AdamW` with ``decay="l2"`` and torch's defaults.

    With ``t`` the number of this step (the first is 1), ``g`` the gradient times the clip factor::

        g <- g + weight_decay p
        m <- m + (1 - beta1) (g - m)
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Each element gets the bits of ``torch.optim.Adam(fused=True)``, except for the last few of a tensor, as in
    :class:`AdamW`.

    Parameters
    ----------
    params, lr, betas, eps
        As in :class:`AdamW`.
    weight_decay : float or callable
        The weight decay, at least 0.
    decay : {"l2", "decoupled", "independent", "corrected"}
        How it enters, as in :class:`AdamW`.
    **options
        The other options of :class:`AdamW`.

    Attributes
    ----------
    step_info : StepInfo or None
        What the last step did; None before the first. The options are attributes too, as in :class:`AdamW`.

    Raises
    ------
    TypeError, ValueError
        As :class:`AdamW`.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> w = np.ones(2)
    >>> sy.optim.Adam(w, lr=0.1).step(np.array([0.5, -0.25])).step
    1
    >>> w.round(6)
    array([0.9, 1.1])

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015. Defaults are torch's.
    """

    __slots__ = ()

    def __init__(
        self,
        params: Any,
        lr: LearningRate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Scheduled = 0.0,
        *,
        decay: WeightDecay = "l2",
        **options: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, decay=decay, **options)
