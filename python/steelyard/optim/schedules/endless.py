"""Shapes that go on without an end."""

from __future__ import annotations

from collections.abc import Sequence

from ..._mode import standard_mode
from ._docs import documented
from .conventions import Convention, made
from .schedule import Schedule, Warmup

__all__ = ["cyclic", "exponential", "inverse_sqrt", "multi_step", "step"]


@standard_mode
@documented
def inverse_sqrt(
    lr: float,
    *,
    warmup_steps: int = 0,
    start: float | None = None,
    warmup: Warmup | None = None,
    offset: int = 0,
    timescale: int = 0,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and falls as one over the square root of the steps, without end.

    After the rise of :func:`constant`: ``lr sqrt(timescale/(t + timescale))``, t = s - w. Without ``timescale`` it is
    w = ``warmup_steps``, which is then at least 1: ``lr`` at s = w, half of it at s = 4 w.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.inverse_sqrt(10.0, warmup_steps=2)([0, 1, 2, 8, 200])
    array([ 5., 10., 10.,  5.,  1.])
    >>> sy.schedules.inverse_sqrt(10.0, warmup_steps=2, convention="transformers")(range(10)).round(3)
    array([ 0.   ,  5.   , 10.   ,  8.165,  7.071,  6.325,  5.774,  5.345,
            5.   ,  4.714])

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, whose rate after s updates is the one here after s + 1
    with ``start=0``; ``lr`` is its highest rate, ``(d_model w) ** -0.5``. ``convention="transformers"`` is
    ``get_inverse_sqrt_schedule``: ``start=0``, and ``timescale=10_000`` where there is no warm-up. T5's rate, which
    stays for w steps before it falls, has ``start=lr``.
    """
    return made(
        "inverse_sqrt", convention, lr=lr, warmup_steps=warmup_steps, start=start, warmup=warmup, offset=offset,
        timescale=timescale,
    )  # fmt: skip


@standard_mode
@documented
def exponential(
    lr: float,
    *,
    gamma: float,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    decay_steps: int = 1,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that is multiplied by the same factor at every step.

    After the rise of :func:`constant`: ``lr gamma^(t/decay_steps)``, t = s - w, and never below ``end`` (with ``gamma``
    above 1 and an ``end`` above 0: never above it).

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.exponential(1.0, gamma=0.25, decay_steps=2, end=0.1)(range(5))
    array([1.   , 0.5  , 0.25 , 0.125, 0.1  ])

    References
    ----------
    ``convention="torch"`` is ``ExponentialLR``, ``"optax"`` ``exponential_decay`` (``transition_steps``,
    ``decay_rate``, ``end_value``) and ``warmup_exponential_decay_schedule``.
    """
    return made(
        "exponential", convention, lr=lr, gamma=gamma, warmup_steps=warmup_steps, start=start, end=end, warmup=warmup,
        offset=offset, decay_steps=decay_steps,
    )  # fmt: skip


@standard_mode
@documented
def step(
    lr: float,
    *,
    decay_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    gamma: float = 0.1,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that is multiplied by a factor after every ``decay_steps``.

    After the rise of :func:`constant`: ``lr gamma^floor(t/decay_steps)``, t = s - w, and never below ``end``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.step(1.0, decay_steps=2, gamma=0.5)(range(5))
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])

    References
    ----------
    ``convention="torch"`` is ``StepLR`` (``step_size``), ``"optax"`` ``exponential_decay`` with ``staircase=True``,
    ``"timm"`` ``StepLRScheduler`` (``decay_t``, ``decay_rate``; ``start=0``).
    """
    return made(
        "step", convention, lr=lr, decay_steps=decay_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset, gamma=gamma,
    )  # fmt: skip


@standard_mode
@documented
def multi_step(
    lr: float,
    *,
    milestones: Sequence[int],
    warmup_steps: int = 0,
    start: float | None = None,
    warmup: Warmup | None = None,
    offset: int = 0,
    gamma: float = 0.1,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that is multiplied by a factor at given steps.

    After the rise of :func:`constant`: ``lr gamma^n``, n the number of ``milestones`` that are at most t = s - w.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.multi_step(1.0, milestones=[2, 3], gamma=0.5)(range(5))
    array([1.  , 1.  , 0.5 , 0.25, 0.25])

    References
    ----------
    ``convention="torch"`` is ``MultiStepLR``, ``"timm"`` ``MultiStepLRScheduler``, which passes each milestone one step
    before it (``offset=1``).
    """
    return made(
        "multi_step", convention, lr=lr, milestones=milestones, warmup_steps=warmup_steps, start=start, warmup=warmup,
        offset=offset, gamma=gamma,
    )  # fmt: skip


@standard_mode
@documented
def cyclic(
    lr: float,
    *,
    rise_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    warmup: Warmup | None = None,
    offset: int = 0,
    low: float = 0.0,
    fall_steps: int = 0,
    decay: float = 1.0,
    gamma: float = 1.0,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that goes up and down between ``low`` and ``lr`` in straight lines, without end.

    With t = s - w, in cycle i (from 0): ``low + (lr - low) h decay^i gamma^t``, where h rises from 0 to 1 over
    ``rise_steps`` and falls back to 0 over ``fall_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.cyclic(1.0, rise_steps=2, decay=0.5)(range(9))
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 , 0.25, 0.  ])

    References
    ----------
    Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017. ``convention="torch"`` is ``CyclicLR``:
    ``"triangular"`` as it is, ``"triangular2"`` with ``decay=0.5``, ``"exp_range"`` with ``gamma``.
    """
    return made(
        "cyclic", convention, lr=lr, rise_steps=rise_steps, warmup_steps=warmup_steps, start=start, warmup=warmup,
        offset=offset, low=low, fall_steps=fall_steps, decay=decay, gamma=gamma,
    )  # fmt: skip
