"""Shapes that pass through given points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..._mode import standard_mode
from ..._options import at_least_zero, choice, fraction
from ...errors import value_error
from ._docs import documented
from .conventions import Convention, made
from .rates import steps_of
from .schedule import Interpolate, Schedule, Warmup, points_of

__all__ = ["one_cycle", "piecewise"]


@standard_mode
@documented
def piecewise(
    points: Sequence[tuple[float, float]],
    *,
    warmup_steps: int = 0,
    start: float | None = None,
    warmup: Warmup | None = None,
    offset: int = 0,
    interpolate: Interpolate = "linear",
    convention: Convention | None = None,
) -> Schedule:
    """Return a rate that passes through given points.

    Before the first point the rate is that of the first, after the last one that of the last. The highest rate of the
    points is the schedule's ``lr``, to which a warm-up rises.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.piecewise([(0, 1.0), (4, 0.5), (6, 0.0)])([0, 2, 4, 5, 6, 7])
    array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    >>> sy.schedules.piecewise([(0, 1.0), (4, 0.5)], interpolate="constant")([0, 3, 4])
    array([1. , 1. , 0.5])

    References
    ----------
    ``convention="optax"`` is ``piecewise_constant_schedule`` and ``piecewise_interpolate_schedule``, with the
    accumulated products of their scales as rates.
    """
    checked = points_of(points)
    return made(
        "piecewise", convention, lr=max(rate for _, rate in checked), points=checked,
        warmup_steps=warmup_steps, start=start, warmup=warmup,
        offset=offset, interpolate=interpolate,
    )  # fmt: skip


@standard_mode
@documented
def one_cycle(
    lr: float,
    *,
    total_steps: int,
    start: float | None = None,
    end: float | None = None,
    rise_share: float = 0.3,
    fall_share: float | None = None,
    interpolate: Interpolate = "cosine",
    convention: Convention | None = None,
) -> Schedule:
    """Return one cycle: up from ``start`` to ``lr``, and down to ``end``.

    A :func:`piecewise` schedule through (0, ``start``), (``rise_share`` N, ``lr``), with ``fall_share`` also
    (``fall_share`` N, ``start``), and (N, ``end``), N = ``total_steps``.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.schedules.one_cycle(1.0, total_steps=10, rise_share=0.4, start=0.0, end=0.0)([0, 2, 4, 7, 10, 11])
    array([0. , 0.5, 1. , 0.5, 0. , 0. ])

    References
    ----------
    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2019.
    ``convention="torch"`` is ``OneCycleLR``: the peak is at ``rise_share`` N - 1, ``three_phase=True`` is
    ``fall_share=2 * rise_share`` (minus two steps), the end at N - 1. It raises after its end, this stays there.
    ``"optax"`` is ``cosine_onecycle_schedule`` and ``linear_onecycle_schedule`` (whole steps; with
    ``interpolate="linear"``, ``fall_share=0.85``, and an ``end`` of ``start / final_div_factor``). ``"deepspeed"`` is
    ``OneCycle``: linear, one step ahead, back at ``start``, and without the decay that it can have after the cycle.
    """
    lr, total_steps = at_least_zero("lr", lr), steps_of("total_steps", total_steps, 1)
    rise_share = fraction(rise_share, "rise_share")
    choice(interpolate, "interpolate", ("cosine", "linear"))
    start = lr / 25 if start is None else at_least_zero("start", start)
    lost, peak_at, back = 0, rise_share * total_steps, fall_share
    if convention == "torch":
        lost = 1
    elif convention in ("optax", "deepspeed"):
        peak_at = int(peak_at)
        back = 0.85 if convention == "optax" and interpolate == "linear" and fall_share is None else fall_share
        interpolate = "linear" if convention == "deepspeed" else interpolate
    if end is None:
        end = start if convention == "deepspeed" else start / 10_000
    points = [(0.0, start), (peak_at - lost, lr)]
    if back is not None:
        at = fraction(back, "fall_share") * total_steps
        points.append((int(at) if convention == "optax" else at - 2 * lost, start))
    points.append((total_steps - lost, at_least_zero("end", end)))
    for (before, _), (after, _) in pairwise(points):
        if not before < after:
            phases = f"{total_steps}, whose phases meet at {[step for step, _ in points]}"
            raise value_error("total_steps", "steps enough for phases that are not empty", phases)
    return made("piecewise", convention, lr=max(lr, start, end), points=points, interpolate=interpolate)
