"""Lion over a tree of arrays, updated in place."""

from __future__ import annotations

from typing import Any

from .._descent import Master
from .._mode import standard_mode_methods
from ._optimizer import Optimizer, option
from .groups import Given
from .options import Betas, LearningRate, LionOptions, NonFinite, Rounding, Scheduled, StateDtype, WeightDecay
from .policies import ClipPolicy

__all__ = ["Lion"]


@standard_mode_methods
class Lion(Optimizer):
    r"""Lion: each element moves by the rate, in the direction of a mean of gradient and momentum.

    With ``g`` the gradient times the clip factor::

        p <- p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g)
        m <- beta2 m + (1 - beta2) g

    One moment is kept, where AdamW keeps two. The means are computed as ``m + (1 - beta) (g - m)``, as in
    :class:`AdamW`. The paper suggests a rate that is 3 to 10 times smaller than AdamW's, and a decay as much larger.

    Parameters
    ----------
    params, lr
        As in :class:`AdamW`.
    betas : (float, float)
        How much of the momentum is in the direction, and how much of it is kept, in [0, 1).
    weight_decay : float or callable
        The weight decay, at least 0.
    decay : {"decoupled", "independent", "corrected"}
        How it enters, as in :class:`AdamW`.
    cautious : bool
        Move only those elements whose direction has the sign of the gradient, by ``lr`` divided by their share of the
        tensor, or by 0.001 if that is larger (timm's ``caution``).
    max_lr, tight, flush_denormals, max_norm, nonfinite, maximize, state_dtype, rounding, seed, master, copy_to
        As in :class:`AdamW`.
    groups, decay_mask, detail
        As in :class:`AdamW`.

    Attributes
    ----------
    lr, betas, weight_decay, decay, max_lr, cautious, tight, flush_denormals, max_norm, nonfinite, maximize, detail
        The options. Each can be set; the new value is checked, and takes effect at the next step.
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
    >>> w = np.ones(3)
    >>> sy.optim.Lion(w, lr=0.01).step(np.array([5.0, -0.1, 0.0])).step
    1
    >>> w
    array([0.99, 1.01, 1.  ])

    References
    ----------
    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023. Defaults are the paper's and timm's.
    """

    __slots__ = ()

    def __init__(
        self,
        params: Any,
        lr: LearningRate = 1e-4,
        betas: Betas = (0.9, 0.99),
        weight_decay: Scheduled = 0.0,
        *,
        decay: WeightDecay = "decoupled",
        max_lr: float | None = None,
        cautious: bool = False,
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
        options = LionOptions(
            lr=lr,
            betas=betas,
            weight_decay=weight_decay,
            decay=decay,
            max_lr=max_lr,
            cautious=cautious,
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

    betas = option("betas", "How much of the momentum is in the direction, and how much of it is kept.")
    cautious = option("cautious", "Whether only elements whose direction has the sign of the gradient move.")
