"""Shapes made of cosines."""

from __future__ import annotations

from ..._mode import standard_mode
from ._docs import documented
from .conventions import Convention, made
from .schedule import Schedule, Warmup

__all__ = ["cosine", "cosine_restarts", "cosine_wave"]


@standard_mode
@documented
def cosine(
    lr: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float | None = None,
    warmup: Warmup | None = None,
    offset: int = 0,
    cycles: float = 1.0,
    power: float = 1.0,
    k: float = 1.0,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and falls along half a cosine to ``end`` (0 unless given).

    After the rise of :func:`constant`: ``end + (lr - end) ((1 + cos(pi v^k))/2)^power``, where v is the fraction of
    ``cycles`` u, u = min((s - w)/(N - w), 1), N = ``total_steps``: from the top again at the beginning of each cycle
    (hard restarts), and ``end`` from step N on.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.cosine(10.0, total_steps=10, warmup_steps=2)([0, 1, 6, 10])
    array([ 5., 10.,  5.,  0.])
    >>> sy.schedules.cosine(10.0, total_steps=10, warmup_steps=2, convention="transformers")(range(10)).round(3)
    array([ 0.   ,  5.   , 10.   ,  9.619,  8.536,  6.913,  5.   ,  3.087,
            1.464,  0.381])
    >>> restarts = sy.schedules.cosine(10.0, total_steps=10, warmup_steps=2, cycles=2, convention="transformers")
    >>> restarts(range(10)).round(3)
    array([ 0.   ,  5.   , 10.   ,  8.536,  5.   ,  1.464, 10.   ,  8.536,
            5.   ,  1.464])

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017. Zhang and Li, "k-decay: A
    New Method for Learning Rate Schedule", 2020. ``convention="transformers"`` is ``get_cosine_schedule_with_warmup``
    (``start=0``; a :func:`cosine_wave`, because it rises again after its end), and with other ``cycles``
    ``get_cosine_with_hard_restarts_schedule_with_warmup``. ``"torch"`` is ``CosineAnnealingLR`` (a :func:`cosine_wave`)
    behind a ``LinearLR`` (``start=lr/3``), ``"optax"`` ``warmup_cosine_decay_schedule`` (``start=0``, ``power`` its
    exponent). ``"timm"`` is ``CosineLRScheduler``, whose cosine runs underneath the warm-up: ``total_steps`` is
    ``t_initial``, and the rate jumps down after the warm-up; for its ``warmup_prefix=True`` give ``start=0`` and the
    sum of both lengths instead. ``"deepspeed"`` is ``WarmupCosineLR`` at its ``last_batch_iteration`` (``start=0``,
    ``warmup="log"``, ``end=1e-4 lr``, ``offset=1``: one step ahead).
    """
    return made(
        "cosine", convention, lr=lr, total_steps=total_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset, cycles=cycles, power=power, k=k,
    )  # fmt: skip


@standard_mode
@documented
def cosine_wave(
    lr: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    waves: float = 0.5,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that goes down and up again with a cosine, without an end.

    After the rise of :func:`constant`: ``end + (lr - end) (1 + cos(2 pi waves t/(N - w)))/2``, t = s - w,
    N = ``total_steps``. With half a wave the rate is ``end`` at step N, and then rises to ``lr`` again.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.cosine_wave(1.0, total_steps=4)([0, 2, 4, 6, 8])
    array([1. , 0.5, 0. , 0.5, 1. ])

    References
    ----------
    ``get_cosine_schedule_with_warmup`` and ``get_cosine_with_min_lr_schedule_with_warmup`` of transformers, whose
    ``num_cycles`` is ``waves`` (its ``..._warmup_lr_rate`` form has ``offset=1`` and no ``start``), and
    ``CosineAnnealingLR`` of torch.
    """
    return made(
        "cosine_wave", convention, lr=lr, total_steps=total_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset, waves=waves,
    )  # fmt: skip


@standard_mode
@documented
def cosine_restarts(
    lr: float,
    *,
    cycle_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    growth: float = 1.0,
    decay: float = 1.0,
    restarts: int = 0,
    k: float = 1.0,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that falls along half a cosine in every cycle, where cycles may grow longer and lower.

    After the rise of :func:`constant`, in cycle i (from 0), of ``cycle_steps growth^i`` steps, of which the share v is
    done: ``end + (lr decay^i - end) (1 + cos(pi v^k))/2``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.cosine_restarts(1.0, cycle_steps=2, growth=2)([0, 1, 2, 4, 6, 10])
    array([1. , 0.5, 1. , 0.5, 1. , 0.5])

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
    ``convention="torch"`` is ``CosineAnnealingWarmRestarts`` (``T_0``, ``T_mult``), ``"timm"`` ``CosineLRScheduler``
    with its ``cycle_mul``, ``cycle_decay`` and ``cycle_limit`` (``growth``, ``decay``, ``restarts``), underneath the
    warm-up. Both (torch where it is stepped to an epoch) find the cycle by a rounded logarithm, which at the beginning
    of some cycles names the one before; here the beginning of a cycle is exact.
    """
    return made(
        "cosine_restarts", convention, lr=lr, cycle_steps=cycle_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset, growth=growth, decay=decay, restarts=restarts, k=k,
    )  # fmt: skip
