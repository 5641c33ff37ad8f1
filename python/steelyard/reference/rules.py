"""The rules by which optimizers update a parameter, as formulas: Adam and its variants, Lion, SGD.

Every array has one element type, float32 or float64; :func:`stored` takes a rule to other types. Scalars are float64
until they are rounded to that type; ``fma`` is the correctly rounded ``a * b + c``, and ``beta**step`` is correctly
rounded too. ``with_change`` adds what decay and update together add to the parameter. The compiled rules give the same
bits, except for the clipped rate of ``stable``, whose sum over a tensor they round within 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fma import fma
from .optim import global_norm, nearest

Array = NDArray[Any]

# The smallest share of a tensor's elements by which ``cautious`` divides.
LEAST_SHARE = 1e-3


def stored(
    rule: Callable[..., dict[str, Array]], g: Array, state: dict[str, Array], **options: Any
) -> dict[str, Array]:
    """Return the result of one step of a rule on arrays of any types (bfloat16 as an ml_dtypes array).

    The arithmetic is done in float64 where the parameter ``state["p"]`` has that type, and in float32 otherwise. The
    arrays are widened to it before, and each is rounded once after, to nearest, ties to even.
    """
    real = np.float64 if state["p"].dtype == np.float64 else np.float32
    with np.errstate(all="ignore"):
        after = rule(g=g.astype(real), **{name: x.astype(real) for name, x in state.items()}, **options)
    return {name: _rounded(after[name], x.dtype) for name, x in state.items()}


def changes(
    rule: Callable[..., dict[str, Array]], g: Array, state: dict[str, Array], **options: Any
) -> dict[str, float]:
    """Return what one step of a rule does to a tensor.

    These are the norms of the gradient (before clipping), of the parameter before the step and of what is added to it,
    the ratio of the last two, and the share of the elements that keep their value where they are stored although
    something was to be added.
    """
    p = state["p"]
    real = np.float64 if p.dtype == np.float64 else np.float32
    with np.errstate(all="ignore"):
        wide = {name: x.astype(real) for name, x in state.items()}
        wanted = rule(g=g.astype(real), **wide, **options, with_change=True)["change"]
        kept = stored(rule, g, state, **options)["p"].astype(real) == p.astype(real)
        norms = [global_norm([x]) for x in (g, p, wanted)]
        lost = kept & ((wanted < 0) | (wanted > 0))
        ratio = float(np.float64(norms[2]) / np.float64(norms[1]))
    return {
        "grad_norm": norms[0],
        "param_norm": norms[1],
        "update_norm": norms[2],
        "ratio": ratio,
        "lost": float(np.count_nonzero(lost) / p.size),
    }


def _rounded(x: Array, dtype: np.dtype[Any]) -> Array:
    """``x`` in a type of at most its precision: rounded to nearest, ties to even; infinite beyond its range."""
    if dtype.itemsize > 2:
        return x.astype(dtype)
    digits, lowest, end = (11, -14, 65536.0) if dtype == np.float16 else (8, -126, 2.0**128)
    with np.errstate(all="ignore"):
        rounded = nearest(x.astype(np.float64), digits, lowest)
        return np.where(np.abs(rounded) >= end, np.copysign(np.inf, rounded), rounded).astype(dtype)


def decay_rate(decay: str, rate: float, max_lr: float | None, lr: float) -> float:
    """Return what the weight decay is multiplied by: the part of a parameter that one step takes, per unit of decay.

    ``lr`` is the learning rate, and ``rate`` that of the tensor, which ``stable`` makes smaller.
    """
    if decay == "l2":
        return 0.0
    if decay == "decoupled":
        return rate
    assert max_lr is not None, "independent and corrected decay are relative to the largest rate"
    return rate / max_lr if decay == "independent" else rate * (lr / max_lr)


def _signed(g: Array, clip_factor: float, maximize: bool) -> Array:
    signed: Array = g * g.dtype.type(-clip_factor if maximize else clip_factor)
    return signed


def _with_l2(g: Array, p: Array, decay: str, weight_decay: float) -> Array:
    return fma(p, g.dtype.type(weight_decay), g) if decay == "l2" and weight_decay else g


def _lerp(m: Array, g: Array, weight: float) -> Array:
    """The mean ``m + weight (g - m)``, computed from the nearer end."""
    w = m.dtype.type(weight)
    return fma(w, g - m, m) if w < 0.5 else fma(w - m.dtype.type(1), g - m, g)


def _without_denormals(x: Array, flush: bool) -> Array:
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(0), x) if flush else x


def _change(p: Array, update: Array, rate: float, weight_decay: float) -> Array:
    """What decay and update add to the parameter together."""
    return fma(p.dtype.type(-(rate * weight_decay)), p, update)


def _moved(p: Array, update: Array, rate: float, weight_decay: float, tight: bool) -> Array:
    """The parameter after decay and update: rounded after each of them, or once where ``tight``."""
    real = p.dtype.type
    if tight:
        once: Array = p + _change(p, update, rate, weight_decay)
        return once
    moved: Array = p * real(float(Fraction(1) - Fraction(rate) * Fraction(weight_decay))) + update
    return moved


def _agreeing(m: Array, g: Array) -> Array:
    """Where both have the same sign, and neither is 0 or NaN."""
    agree: Array = ((m > 0) & (g > 0)) | ((m < 0) & (g < 0))
    return agree


def _share(agree: Array) -> float:
    return max(np.count_nonzero(agree) / agree.size, LEAST_SHARE)


def _rms_factor(g: Array, second: Array, root: Any, eps: Any) -> float:
    """The factor of StableAdamW's rate: one over the root mean square of ``g / sqrt(v)``, where that is above 1."""
    root_second = np.sqrt(second) / root
    ratio = (g / np.where(root_second > eps, root_second, eps)).astype(np.float64)
    rms = math.sqrt(np.sum(ratio * ratio) / g.size)
    return 1.0 / rms if rms > 1.0 else 1.0


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    vmax: Array | None = None,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decay: str = "decoupled",
    max_lr: float | None = None,
    bias_correction: bool = True,
    cautious: bool = False,
    stable: bool = False,
    tight: bool = False,
    flush_denormals: bool = False,
    clip_factor: float = 1.0,
    maximize: bool = False,
    with_change: bool = False,
) -> dict[str, Array]:
    """Return the result of one step of AdamW or one of its variants."""
    real = p.dtype.type
    power1, power2 = (float(Fraction(beta) ** step) if bias_correction else 0.0 for beta in betas)
    root, least = real(math.sqrt(1.0 - power2)), real(eps)
    with np.errstate(all="ignore"):
        g = _with_l2(_signed(g, clip_factor, maximize), p, decay, weight_decay)
        m = _without_denormals(_lerp(m, g, 1.0 - betas[0]), flush_denormals)
        v = fma(real(1.0 - betas[1]) * g, g, v * real(betas[1]))
        v = _without_denormals(v, flush_denormals)
        largest = v if vmax is None else _without_denormals(np.maximum(vmax, v), flush_denormals)
        rate = lr * _rms_factor(g, largest, root, least) if stable else lr
        size = -(rate / (1.0 - power1))
        agree = _agreeing(m, g) if cautious else np.ones_like(p, bool)
        if cautious:
            size = size / _share(agree)
        update = np.where(agree, (real(size) * m) / (np.sqrt(largest) / root + least), real(0))
        decayed = decay_rate(decay, rate, max_lr, lr)
        change = _change(p, update, decayed, weight_decay)
        p = _moved(p, update, decayed, weight_decay, tight)
    state = {"p": p, "m": m, "v": v} | ({"change": change} if with_change else {})
    return state if vmax is None else state | {"vmax": largest}


def lion(
    p: Array,
    g: Array,
    m: Array,
    *,
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
    decay: str = "decoupled",
    max_lr: float | None = None,
    cautious: bool = False,
    tight: bool = False,
    flush_denormals: bool = False,
    clip_factor: float = 1.0,
    maximize: bool = False,
    with_change: bool = False,
) -> dict[str, Array]:
    """Return the result of one step of Lion: the sign of a mean of the gradient and the momentum."""
    real = p.dtype.type
    with np.errstate(all="ignore"):
        g = _signed(g, clip_factor, maximize)
        mean = _lerp(m, g, 1.0 - betas[0])
        agree = _agreeing(mean, g) if cautious else np.ones_like(p, bool)
        size = real(-(lr / _share(agree))) if cautious else real(-lr)
        update = np.where(agree, size * np.sign(mean), real(0))
        rate = decay_rate(decay, lr, max_lr, lr)
        change = _change(p, update, rate, weight_decay)
        p = _moved(p, update, rate, weight_decay, tight)
        m = _without_denormals(_lerp(m, g, 1.0 - betas[1]), flush_denormals)
    return {"p": p, "m": m} | ({"change": change} if with_change else {})


def sgd(
    p: Array,
    g: Array,
    m: Array | None = None,
    *,
    step: int,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay: str = "l2",
    max_lr: float | None = None,
    tight: bool = False,
    flush_denormals: bool = False,
    clip_factor: float = 1.0,
    maximize: bool = False,
    with_change: bool = False,
) -> dict[str, Array]:
    """Return the result of one step of SGD. Without momentum there is no ``m``; in step 1 it becomes the gradient."""
    real = p.dtype.type
    with np.errstate(all="ignore"):
        g = _with_l2(_signed(g, clip_factor, maximize), p, decay, weight_decay)
        direction = g
        if m is not None:
            m = g if step == 1 else fma(g, real(1.0 - dampening), m * real(momentum))
            m = _without_denormals(m, flush_denormals)
            direction = fma(m, real(momentum), g) if nesterov else m
        rate = decay_rate(decay, lr, max_lr, lr)
        change = _change(p, real(-lr) * direction, rate, weight_decay)
        if tight:
            p = _moved(p, real(-lr) * direction, rate, weight_decay, tight)
        else:
            kept = p * real(float(Fraction(1) - Fraction(rate) * Fraction(weight_decay)))
            p = fma(direction, real(-lr), kept)
    return {"p": p} | ({} if m is None else {"m": m}) | ({"change": change} if with_change else {})
