"""The schedules, as formulas of the step, for any array module: NumPy as the reference, ``jax.numpy`` to be traced."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

# A number, or an array of the module ``xp``.
Array = Any


def _constant(xp: Any, t: Array, u: Array, lr: float) -> Array:
    return lr + 0.0 * t


def _linear(xp: Any, t: Array, u: Array, lr: float, *, end: float = 0.0) -> Array:
    return lr + (end - lr) * u


def _half_wave(xp: Any, top: Array, end: float, v: Array) -> Array:
    return end + (top - end) * (1.0 + xp.cos(xp.pi * v)) / 2.0


def _power(xp: Any, base: float, n: Array) -> Array:
    """``base**n`` by a logarithm in float64: a base that is rounded to float32 is off by ``n`` roundings."""
    return xp.exp(n * math.log(base)) if base > 0.0 else 1.0 * (n == 0.0)


def _whole(xp: Any, a: Array, b: float) -> Array:
    """The whole number of times that ``b`` goes into ``a``, also where the compiler multiplies by a rounded 1/b."""
    n = xp.floor(a / b)
    return xp.where(n * b > a, n - 1.0, xp.where((n + 1.0) * b <= a, n + 1.0, n))


def _cosine(
    xp: Any, t: Array, u: Array, lr: float, *, span: float, end: float = 0.0, cycles: float = 1.0, power: float = 1.0,
    k: float = 1.0,
) -> Array:  # fmt: skip
    v = xp.clip((cycles * t - _whole(xp, cycles * t, span) * span) / span, 0.0, 1.0)
    height = end + (lr - end) * ((1.0 + xp.cos(xp.pi * v**k)) / 2.0) ** power
    return xp.where(u < 1.0, height, end)


def _inverse_sqrt(xp: Any, t: Array, u: Array, lr: float, *, timescale: int = 0, warmup_steps: int = 0) -> Array:
    scale = 1.0 * (timescale or warmup_steps)
    return lr * xp.sqrt(scale / (t + scale))


def _cosine_wave(xp: Any, t: Array, u: Array, lr: float, *, span: float, end: float = 0.0, waves: float = 0.5) -> Array:
    return _half_wave(xp, lr, end, 2.0 * waves * (t / span) % 2.0)


def _cosine_restarts(
    xp: Any, t: Array, u: Array, lr: float, *, cycle_steps: int, end: float = 0.0, growth: float = 1.0,
    decay: float = 1.0, restarts: int = 0, k: float = 1.0,
) -> Array:  # fmt: skip
    def begin(i: Array) -> Array:
        return cycle_steps * (i if growth == 1.0 else (growth**i - 1.0) / (growth - 1.0))

    t = xp.maximum(t, 0.0)
    x = t / cycle_steps
    i = xp.floor(x if growth == 1.0 else xp.log(x * (growth - 1.0) + 1.0) / xp.log(1.0 * growth))
    # The logarithm may be off by one at the beginning of a cycle.
    i = xp.where(t < begin(i), i - 1.0, xp.where(t >= begin(i + 1.0), i + 1.0, i))
    v = xp.minimum((t - begin(i)) / (cycle_steps * growth**i), 1.0)
    rate = _half_wave(xp, lr * _power(xp, decay, i), end, v**k)
    return xp.where(i >= restarts, end, rate) if restarts else rate


def _polynomial(
    xp: Any, t: Array, u: Array, lr: float, *, end: float = 0.0, power: float = 1.0, k: float = 1.0
) -> Array:
    return end + (lr - end) * (1.0 - u**k) ** power


def _exponential(
    xp: Any, t: Array, u: Array, lr: float, *, gamma: float, decay_steps: int = 1, end: float = 0.0
) -> Array:
    return _bounded(xp, lr * _power(xp, gamma, t / decay_steps), gamma, end)


def _step(xp: Any, t: Array, u: Array, lr: float, *, decay_steps: int, gamma: float = 0.1, end: float = 0.0) -> Array:
    return _bounded(xp, lr * _power(xp, gamma, _whole(xp, t, decay_steps)), gamma, end)


def _bounded(xp: Any, rate: Array, gamma: float, end: float) -> Array:
    if gamma < 1.0:
        return xp.maximum(rate, end)
    return xp.minimum(rate, end) if end else rate


def _multi_step(xp: Any, t: Array, u: Array, lr: float, *, milestones: tuple[int, ...], gamma: float = 0.1) -> Array:
    passed = 0.0 * t
    for milestone in milestones:
        passed = passed + (t >= milestone)
    return lr * _power(xp, gamma, passed)


def _cyclic(
    xp: Any, t: Array, u: Array, lr: float, *, rise_steps: int, fall_steps: int = 0, low: float = 0.0,
    decay: float = 1.0, gamma: float = 1.0,
) -> Array:  # fmt: skip
    fall = fall_steps or rise_steps
    cycle = _whole(xp, t, rise_steps + fall)
    x = t - cycle * (rise_steps + fall)
    height = xp.where(x <= rise_steps, x / rise_steps, (rise_steps + fall - x) / fall)
    return low + (lr - low) * height * _power(xp, decay, cycle) * _power(xp, gamma, t)


def _left(xp: Any, curve: str, x: Array) -> Array:
    """What is left of the height when the share ``x`` of a cooldown is done."""
    if curve == "linear":
        return 1.0 - x
    if curve == "cosine":
        return (1.0 + xp.cos(xp.pi * x)) / 2.0
    return 1.0 - xp.sqrt(x) if curve == "1-sqrt" else 1.0 - x * x


def _wsd(
    xp: Any, t: Array, u: Array, lr: float, *, span: float, cooldown_steps: int, end: float = 0.0, curve: str = "linear"
) -> Array:
    x = (t - (span - cooldown_steps)) / max(cooldown_steps, 1)
    x = xp.where(t >= span, 1.0, xp.clip(x, 0.0, 1.0))
    return end + (lr - end) * _left(xp, curve, x)


def _rex(xp: Any, t: Array, u: Array, lr: float, *, end: float = 0.0) -> Array:
    return end + (lr - end) * (1.0 - u) / (0.5 + 0.5 * (1.0 - u))


def _tanh(
    xp: Any, t: Array, u: Array, lr: float, *, end: float = 0.0, lower: float = -7.0, upper: float = 3.0
) -> Array:
    rate = end + (lr - end) * (1.0 - xp.tanh(lower * (1.0 - u) + upper * u)) / 2.0
    return xp.where(u < 1.0, rate, end)


def _piecewise(
    xp: Any, t: Array, u: Array, lr: float, *, points: tuple[tuple[float, float], ...], interpolate: str = "linear"
) -> Array:
    rate = points[0][1] + 0.0 * t
    for (before, first), (after, second) in pairwise(points):
        v = xp.clip((t - before) / (after - before), 0.0, 1.0)
        if interpolate == "constant":
            v = 1.0 * (t >= after)
        here = _half_wave(xp, first, second, v) if interpolate == "cosine" else first + (second - first) * v
        rate = xp.where(t >= before, here, rate)
    return rate


# For each shape, the rate of ``t`` updates after the warm-up, ``u`` their share of the steps until the end.
DECAYS: dict[str, Callable[..., Array]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "inverse_sqrt": _inverse_sqrt,
    "cosine_wave": _cosine_wave,
    "cosine_restarts": _cosine_restarts,
    "polynomial": _polynomial,
    "exponential": _exponential,
    "step": _step,
    "multi_step": _multi_step,
    "cyclic": _cyclic,
    "wsd": _wsd,
    "rex": _rex,
    "tanh": _tanh,
    "piecewise": _piecewise,
}
# What these take of the schedule, beside their own parameters.
ALSO = {"cosine": "span", "cosine_wave": "span", "wsd": "span", "inverse_sqrt": "warmup_steps"}


def _rise(xp: Any, curve: str, s: Array, w: int, ahead: int) -> Array:
    """The share of the height after ``s`` updates of a warm-up of ``w``; ``ahead`` is 1 where there is no start."""
    x = xp.minimum((s + ahead) / w, 1.0)
    if curve == "linear":
        return x
    if curve == "cosine":
        return (1.0 - xp.cos(xp.pi * x)) / 2.0
    if curve == "1-sqrt":
        return 1.0 - xp.sqrt(1.0 - x)
    return xp.log(1.0 * (s + ahead + 1)) / xp.log(1.0 * (w + ahead)) if w + ahead > 1 else 0.0 * x


def schedule(
    xp: Any,
    s: Array,
    *,
    shape: str,
    lr: float,
    total_steps: int = 0,
    warmup_steps: int = 0,
    start: float | None = None,
    warmup: str = "linear",
    offset: int = 0,
    **numbers: Any,
) -> Array:
    """Return the learning rate after ``s`` updates; the compiled one differs by at most 1e-15 of the highest rate."""
    w, span = warmup_steps, total_steps - warmup_steps
    t = 1.0 * (s - w + offset)
    u = xp.clip(t / span, 0.0, 1.0) if span > 0 else t * 0.0 + 1.0
    also = {"span": float(span), "warmup_steps": w}
    given = {ALSO[shape]: also[ALSO[shape]]} if shape in ALSO else {}
    # During the warm-up the shape is not used; its formula need not hold there.
    rate = DECAYS[shape](xp, xp.maximum(t, 0.0), u, lr, **given, **numbers)
    if not w:
        return rate
    low, ahead = (0.0, 1) if start is None else (start, 0)
    return xp.where(s < w, low + (lr - low) * _rise(xp, warmup, s, w, ahead), rate)
