"""Adaptive clipping against timm and optax, whose units lie along opposite axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy

SHAPES = [(), (7,), (5, 3), (1, 6), (6, 1), (4, 3, 5), (3, 4, 2, 5), (1, 1, 3, 3), (8, 1, 1, 1)]


def drawn(shape: tuple[int, ...], dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """A gradient and a parameter, some of whose units are zero, small and large."""
    draw = np.random.default_rng(len(shape))
    g, w = draw.standard_normal((2, *shape))
    scale = 10.0 ** draw.integers(-4, 3, shape[:1] or 1)
    w = w * scale.reshape(-1, *[1] * (len(shape) - 1)) if shape else w
    return np.asarray(g, dtype), np.asarray(w, dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("clip_factor", [0.01, 0.5])
def test_equals_timm(shape: tuple[int, ...], clip_factor: float) -> None:
    agc = pytest.importorskip("timm.utils.agc", reason="timm")
    g, w = drawn(shape)
    parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
    parameter.grad = torch.from_numpy(g.copy())
    agc.adaptive_clip_grad([parameter], clip_factor=clip_factor, eps=1e-3)
    mine = torch.from_numpy(g.copy())
    sy.optim.adaptive_clip_([mine], [parameter], clip_factor, axes="timm")
    torch.testing.assert_close(mine, parameter.grad, rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [*SHAPES, (2, 3, 2, 2, 3)])
@pytest.mark.parametrize("clip_factor", [0.01, 0.5])
def test_equals_optax(shape: tuple[int, ...], clip_factor: float) -> None:
    optax = pytest.importorskip("optax", reason="optax")
    g, w = drawn(shape)
    rule = optax.adaptive_grad_clip(clip_factor, eps=1e-3)
    want, _ = rule.update(g.copy(), rule.init(w), w)
    mine = g.copy()
    sy.optim.adaptive_clip_(mine, w, clip_factor, axes="optax")
    np.testing.assert_allclose(mine, np.asarray(want), rtol=1e-6)


def test_the_axes_differ() -> None:
    g, w = drawn((5, 3))
    timm, optax = g.copy(), g.copy()
    sy.optim.adaptive_clip_(timm, w, axes="timm")
    sy.optim.adaptive_clip_(optax, w, axes="optax")
    assert not np.allclose(timm, optax)
    turned = np.ascontiguousarray(g.T)
    sy.optim.adaptive_clip_(turned, np.ascontiguousarray(w.T), axes="optax")
    np.testing.assert_array_equal(turned.T, timm)


def test_small_limits_are_exact_where_timm_divides_by_a_millionth() -> None:
    agc = pytest.importorskip("timm.utils.agc", reason="timm")
    g = torch.tensor([[3e-8, 4e-8]])
    parameter = torch.nn.Parameter(torch.zeros(1, 2))
    parameter.grad = g.clone()
    agc.adaptive_clip_grad([parameter], clip_factor=1e-6, eps=1e-3)
    assert parameter.grad.norm() < 1e-10
    mine = g.clone()
    sy.optim.adaptive_clip_([mine], [parameter], 1e-6)
    assert float(mine.norm()) == pytest.approx(1e-9)
