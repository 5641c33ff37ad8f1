"""Shapes that fall from the highest rate to an end."""

from __future__ import annotations

from ..._mode import standard_mode
from ._docs import documented
from .conventions import Convention, made
from .joined import Chain
from .rates import steps_of
from .schedule import Curve, Schedule, Warmup

__all__ = ["constant", "linear", "polynomial", "rex", "tanh", "wsd"]


@standard_mode
@documented
def constant(
    lr: float,
    *,
    warmup_steps: int = 0,
    start: float | None = None,
    warmup: Warmup | None = None,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and stays.

    With s updates made and w = ``warmup_steps``: ``lr (s + 1)/w`` for s < w (``start + (lr - start) s/w`` with
    ``start``), then ``lr``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.constant(1.0, warmup_steps=4)([0, 1, 2, 3, 100])
    array([0.25, 0.5 , 0.75, 1.  , 1.  ])
    >>> sy.schedules.constant(10.0, warmup_steps=4, convention="transformers")(range(6))
    array([ 0. ,  2.5,  5. ,  7.5, 10. , 10. ])

    References
    ----------
    ``convention="transformers"`` is ``get_constant_schedule_with_warmup`` (``start=0``), ``"torch"`` ``LinearLR``
    (``start=lr/3``), ``"optax"`` ``warmup_constant_schedule`` (``start=0``), ``"deepspeed"`` ``WarmupLR`` at its
    ``last_batch_iteration`` (``start=0``, ``warmup="log"``, at least 2 steps).
    """
    return made("constant", convention, lr=lr, warmup_steps=warmup_steps, start=start, warmup=warmup)


@standard_mode
@documented
def linear(
    lr: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that rises over ``warmup_steps`` and falls in a straight line to ``end``.

    After the rise of :func:`constant`: ``lr + (end - lr) u``, u = min((s - w)/(N - w), 1), N = ``total_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.linear(10.0, total_steps=10, warmup_steps=2, start=0.0)([0, 1, 2, 6, 10, 99])
    array([ 0.,  5., 10.,  5.,  0.,  0.])
    >>> sy.schedules.linear(10.0, total_steps=10, warmup_steps=2, convention="transformers")(range(10))
    array([ 0.  ,  5.  , 10.  ,  8.75,  7.5 ,  6.25,  5.  ,  3.75,  2.5 ,
            1.25])

    References
    ----------
    ``convention="transformers"`` is ``get_linear_schedule_with_warmup`` (``start=0``), ``"torch"`` ``LinearLR`` with
    ``end_factor=end/lr``, behind a warm-up by another ``LinearLR`` (``start=lr/3``), ``"optax"`` ``linear_schedule``,
    ``"deepspeed"`` ``WarmupDecayLR`` (``start=0``, ``warmup="log"``).
    """
    return made(
        "linear", convention, lr=lr, total_steps=total_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset,
    )  # fmt: skip


@standard_mode
@documented
def polynomial(
    lr: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float | None = None,
    warmup: Warmup | None = None,
    offset: int = 0,
    power: float = 1.0,
    k: float = 1.0,
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that falls as a power of the share of the steps that remain, to ``end`` (0 unless given).

    After the rise of :func:`constant`: ``end + (lr - end) (1 - u^k)^power``, u = min((s - w)/(N - w), 1),
    N = ``total_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> rates = sy.schedules.polynomial(10.0, total_steps=10, warmup_steps=2, power=2, convention="transformers")
    >>> rates(range(10)).round(3)
    array([ 0.   ,  5.   , 10.   ,  7.656,  5.625,  3.906,  2.5  ,  1.406,
            0.625,  0.156])

    References
    ----------
    ``convention="transformers"`` is ``get_polynomial_decay_schedule_with_warmup`` (``start=0``, ``end=1e-7``),
    ``"torch"`` ``PolynomialLR``, ``"optax"`` ``polynomial_schedule``, ``"timm"`` ``PolyLRScheduler`` (``total_steps``
    is ``t_initial``, underneath the warm-up; its own default is ``power=0.5``).
    """
    return made(
        "polynomial", convention, lr=lr, total_steps=total_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset, power=power, k=k,
    )  # fmt: skip


@standard_mode
@documented
def rex(
    lr: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
) -> Schedule:
    """Return a rate that falls slowly at first and faster towards the end (reflected exponential).

    After the rise of :func:`constant`: ``end + (lr - end) (1 - u)/(1/2 + (1 - u)/2)``, u = min((s - w)/(N - w), 1),
    N = ``total_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.rex(1.0, total_steps=4)(range(6)).round(3)
    array([1.   , 0.857, 0.667, 0.4  , 0.   , 0.   ])

    References
    ----------
    Chen, Wolfe and Kyrillidis, "REX: Revisiting Budgeted Training with an Improved Schedule", MLSys 2022.
    """
    return made(
        "rex", None, lr=lr, total_steps=total_steps, warmup_steps=warmup_steps, start=start, end=end, warmup=warmup,
        offset=offset,
    )  # fmt: skip


@standard_mode
@documented
def tanh(
    lr: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    lower: float = -7.0,
    upper: float = 3.0,
    convention: Convention | None = None,
) -> Schedule | Chain:
    """Return a rate that falls along a hyperbolic tangent.

    After the rise of :func:`constant`: ``end + (lr - end) (1 - tanh(lower (1 - u) + upper u))/2`` before step N =
    ``total_steps``, u = (s - w)/(N - w); ``end`` from there. What is left of the height at the last step is
    (1 - tanh(``upper``))/2, 0.25 % of it with the default.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.tanh(1.0, total_steps=10)([0, 5, 7, 9, 10]).round(3)
    array([1.   , 0.982, 0.5  , 0.018, 0.   ])

    References
    ----------
    Hsueh, Li and Wu, "Stochastic Gradient Descent with Hyperbolic-Tangent Decay on Classification", WACV 2019.
    ``convention="timm"`` is ``TanhLRScheduler`` (``lb``, ``ub``; ``total_steps`` is ``t_initial``, underneath the
    warm-up; its warm-up rises to the rate that follows it, not to ``lr``, and is a :func:`chain` for that).
    """
    if convention == "timm" and warmup_steps:
        w = steps_of("warmup_steps", warmup_steps)
        fall = tanh(lr, total_steps=total_steps, end=end, offset=w, lower=lower, upper=upper)
        return Chain((Schedule("linear", start or 0.0, w, end=fall(0)), fall), (w,))
    return made(
        "tanh", convention, lr=lr, total_steps=total_steps, warmup_steps=warmup_steps, start=start, end=end,
        warmup=warmup, offset=offset, lower=lower, upper=upper,
    )  # fmt: skip


@standard_mode
@documented
def wsd(
    lr: float,
    *,
    total_steps: int,
    cooldown_steps: int,
    warmup_steps: int = 0,
    start: float | None = None,
    end: float = 0.0,
    warmup: Warmup | None = None,
    offset: int = 0,
    curve: Curve = "1-sqrt",
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that rises, stays, and falls over the last steps (warm-up, stable, decay).

    After the rise of :func:`constant`: ``lr`` until N - ``cooldown_steps``, N = ``total_steps``, and from there
    ``end + (lr - end) c(x)``, where c is the ``curve`` and x the share of the fall that is done. To finish a constant
    run at any step: ``schedule.cooldown(at=..., steps=...)``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.wsd(1.0, total_steps=10, cooldown_steps=4, warmup_steps=2)([0, 1, 6, 7, 10])
    array([0.5, 1. , 1. , 0.5, 0. ])

    References
    ----------
    Hu et al., "MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies", 2024.
    Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", NeurIPS 2024, for
    1-sqrt. ``convention="transformers"`` is ``get_wsd_schedule`` (``start=end``; its own defaults are
    ``curve="cosine"`` and a linear warm-up).
    """
    return made(
        "wsd", convention, lr=lr, total_steps=total_steps, cooldown_steps=cooldown_steps, warmup_steps=warmup_steps,
        start=start, end=end, warmup=warmup, offset=offset, curve=curve,
    )  # fmt: skip
