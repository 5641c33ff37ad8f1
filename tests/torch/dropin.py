"""What the tests of the drop-in share: both classes behind one signature, and comparisons by bits.

A test takes ``make`` (a fixture) and is run with torch's class too, where it shows that the test itself is right. Sizes
are multiples of 16 wherever bits are compared: on the last n mod 8 (or 16) elements torch rounds by another rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from steelyard.torch import AdamW

Make = Callable[..., torch.optim.Optimizer]


def theirs(params: Any, lr: Any = 1e-3, **options: Any) -> torch.optim.Optimizer:
    """torch's AdamW, with the kernel whose bits are compared."""
    return torch.optim.AdamW(params, lr, **({"fused": True} | options))


def ours(params: Any, lr: Any = 1e-3, **options: Any) -> torch.optim.Optimizer:
    """Ours; ``fused`` is without effect, but saved: with it torch goes on with its fused step after loading."""
    return AdamW(params, lr, **({"fused": True} | options))


MAKERS = {"torch": theirs, "steelyard": ours}


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same numbers at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def parameters(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    return [nn.Parameter(drawn(*shape, seed=k, dtype=dtype)) for k, shape in enumerate(shapes or ((16, 8), (32,)))]


def small_model(seed: int = 0) -> nn.Module:
    """Two layers whose sizes are multiples of 16, the same at every call."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16))


def give_gradients(params: Iterable[Tensor], seed: int = 100) -> None:
    for k, param in enumerate(params):
        param.grad = drawn(*param.shape, seed=seed + k, dtype=param.dtype)


def train(optimizer: torch.optim.Optimizer, steps: int = 3, seed: int = 0) -> torch.optim.Optimizer:
    """Some steps on drawn gradients; where a run is to be continued, another seed."""
    for step in range(steps):
        give_gradients(every_parameter(optimizer), seed=1000 * (seed + step) + 7)
        optimizer.step()
    return optimizer


def every_parameter(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def values(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Copies of all parameters and of all their states, in a fixed order."""
    found = []
    for param in every_parameter(optimizer):
        found.append(param.detach().clone())
        found += [value.clone() for _, value in sorted(optimizer.state[param].items()) if isinstance(value, Tensor)]
    return found


def assert_same_bits(got: Iterable[Tensor], expected: Iterable[Tensor]) -> None:
    pairs = list(zip(got, expected, strict=True))
    assert pairs
    for k, (a, b) in enumerate(pairs):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), k
        same = (a == b) | (a.isnan() & b.isnan())
        assert bool(same.all()), f"{k}: {int((~same).sum())} of {a.numel()} differ: {a[~same][:3]} {b[~same][:3]}"


def assert_same_run(make: Make, script: Callable[[Make], Iterable[Tensor]]) -> None:
    """Run a script with the class under test and with torch's: all tensors that it gives have equal bits."""
    assert_same_bits(script(make), script(theirs))
