"""``convention="torch"``: every bit of ``torch.optim.AdamW(fused=True)`` on the CPU, tails included, and of clipping.

Torch's bits are those of one build and one instruction set, so these tests need AVX2, as torch's own kernel does. They
run on one thread, since torch divides the norm of a float16 tensor among its threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
import torch

from steelyard.torch import SGD, Adam, AdamW

from .dropin import assert_same_bits

pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in {"AVX2", "AVX512"}, reason="torch's rule without AVX2 is another"
)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no decay": {"weight_decay": 0.0},
    "amsgrad": {"amsgrad": True},
    "maximize": {"maximize": True},
    "beta1 below one half": {"betas": (0.3, 0.999)},
    "beta1 zero": {"betas": (0.0, 0.999), "amsgrad": True},
    "large": {"lr": 0.3, "weight_decay": 0.7, "betas": (0.9, 0.95), "maximize": True, "amsgrad": True},
}
SIZES = (*range(201), 333, 1023, 4097, 65_541, 100_003)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Pair:
    """Our optimizer and torch's on copies of the same parameters."""

    def __init__(self, kind: type, peer: type, shapes: list[tuple[int, torch.dtype]], **options: Any) -> None:
        self.generator = torch.Generator().manual_seed(7)
        self.ours = [torch.nn.Parameter(self.draw(n, dtype)) for n, dtype in shapes]
        self.theirs = [torch.nn.Parameter(param.detach().clone()) for param in self.ours]
        own = {key: options.pop(key) for key in ("max_norm", "nonfinite") if key in options}
        self.limit = own.get("max_norm")
        self.mine = kind(self.ours, convention="torch", **own, **options)
        self.peer = peer(self.theirs, fused=True, **options)

    def draw(self, n: int, dtype: torch.dtype, scale: float = 1.0) -> torch.Tensor:
        return (scale * torch.randn(n, dtype=torch.float64, generator=self.generator)).to(dtype)

    def step(self, scale: float = 1.0) -> None:
        for mine, theirs in zip(self.ours, self.theirs, strict=True):
            mine.grad = self.draw(mine.numel(), mine.dtype, scale)
            theirs.grad = mine.grad.clone()
        self.finish()

    def finish(self) -> None:
        if self.limit is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.theirs, self.limit)
        self.peer.step()
        self.mine.step()
        if self.limit is not None:
            assert self.mine.step_info.grad_norm == norm.item()
        self.compare()

    def compare(self) -> None:
        assert_same_bits(self.ours, self.theirs)
        for mine, theirs in zip(self.ours, self.theirs, strict=True):
            for key, value in self.peer.state[theirs].items():
                assert_same_bits([self.mine.state[mine][key]], [value])


@DTYPES
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_bit_of_the_fused_step(variant: str, dtype: torch.dtype) -> None:
    options = {"lr": 1e-3} | VARIANTS[variant]
    pair = Pair(AdamW, torch.optim.AdamW, [(n, dtype) for n in SIZES], **options)
    for _ in range(5):
        pair.step()


@DTYPES
def test_adam_adds_its_decay_to_the_gradient(dtype: torch.dtype) -> None:
    options: dict[str, Any] = {"lr": 1e-2, "weight_decay": 0.1, "amsgrad": True}
    pair = Pair(Adam, torch.optim.Adam, [(n, dtype) for n in SIZES], **options)
    for _ in range(3):
        pair.step()


@DTYPES
@pytest.mark.parametrize("limit", [1.0, 0.3, 1e9])
def test_clipped_as_clip_grad_norm_does(limit: float, dtype: torch.dtype) -> None:
    pair = Pair(AdamW, torch.optim.AdamW, [(n, dtype) for n in SIZES], lr=1e-2, max_norm=limit)
    for _ in range(3):
        pair.step()


@DTYPES
def test_the_norm_of_one_tensor(dtype: torch.dtype) -> None:
    for n in SIZES:
        pair = Pair(AdamW, torch.optim.AdamW, [(n, dtype)], max_norm=0.7, maximize=True, betas=(0.5, 0.9))
        pair.step(scale=1 + n / 7)


def test_the_norm_of_tensors_of_several_types() -> None:
    """Two types; the order in which torch adds the norms of three or four is that of a hash table."""
    types = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
    for pairs in permutations(types, 2):
        shapes = [(n, dtype) for n in (5, 64, 77, 1000) for dtype in pairs]
        pair = Pair(AdamW, torch.optim.AdamW, shapes, max_norm=0.7)
        for _ in range(3):
            pair.step()


def test_a_norm_that_overflows_is_torchs_too() -> None:
    """Squares above the range of float32: torch's norm is infinite, its factor 0, and so is every gradient."""
    pair = Pair(AdamW, torch.optim.AdamW, [(40, torch.float32)], max_norm=1.0)
    pair.step(scale=1e25)
    assert pair.mine.step_info.clip_factor == 0.0
    assert pair.mine.step_info.nonfinite == 0


@DTYPES
def test_zeros_keep_torchs_sign(dtype: torch.dtype) -> None:
    pair = Pair(AdamW, torch.optim.AdamW, [(40, dtype)], betas=(0.0, 0.999), amsgrad=True)
    pair.step()
    for mine, theirs in zip(pair.ours, pair.theirs, strict=True):
        mine.grad = torch.zeros(40, dtype=dtype) * (1 - 2 * (torch.arange(40) % 2))
        theirs.grad = mine.grad.clone()
    pair.finish()


def test_the_divisor_of_a_scaler() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        pair = Pair(AdamW, torch.optim.AdamW, [(n, dtype) for n in range(60)])
        for optimizer in (pair.mine, pair.peer):
            optimizer.grad_scale, optimizer.found_inf = torch.tensor(3.0), torch.tensor(0.0)
        pair.step()


def test_without_it_the_last_elements_follow_our_rule() -> None:
    ours, theirs = (torch.nn.Parameter(torch.ones(4099)) for _ in range(2))
    mine, peer = AdamW([ours]), torch.optim.AdamW([theirs], fused=True)
    generator = torch.Generator().manual_seed(7)
    for _ in range(40):
        ours.grad = torch.randn(4099, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        peer.step()
    a, b = mine.state[ours]["exp_avg_sq"], peer.state[theirs]["exp_avg_sq"]
    assert torch.equal(a[:4096], b[:4096])
    assert not torch.equal(a[4096:], b[4096:])


def test_what_torch_does_not_have_is_refused() -> None:
    params = [torch.nn.Parameter(torch.ones(3))]
    refused: dict[str, Any] = {
        "cautious": True, "stable": True, "tight": True, "flush_denormals": True, "bias_correction": False,
        "decay": "independent", "state_dtype": "bfloat16",
    }  # fmt: skip
    for option, value in refused.items():
        with pytest.raises(ValueError, match=f"{option}.*convention='torch'"):
            AdamW(params, convention="torch", max_lr=1.0 if option == "decay" else None, **{option: value})
    with pytest.raises(ValueError, match="rounding"):
        AdamW(params, convention="torch", rounding="stochastic")
    with pytest.raises(ValueError, match="convention: expected 'torch'"):
        AdamW(params, convention="numpy")
    with pytest.raises(TypeError, match="convention"):
        SGD(params, convention="torch")
    optimizer = AdamW(params, convention="torch")
    optimizer.param_groups[0]["cautious"] = True
    params[0].grad = torch.ones(3)
    with pytest.raises(ValueError, match=r"param_groups\[0\]\['cautious'\]"):
        optimizer.step()


def test_a_norm_that_is_taken_elsewhere_is_refused() -> None:
    model = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match="the norm is taken during backward"):
        AdamW(model.parameters(), convention="torch", max_norm=1.0).hook_backward(model)
    AdamW(model.parameters(), convention="torch").hook_backward(model)


@pytest.mark.parametrize("size", [1e-6, 1.0])
def test_a_scaler_without_unscale_clips_as_torch_does_after_it(size: float) -> None:
    """The 1e-6 of torch's factor belongs to the norm of the gradients themselves, not to that of scaled ones."""
    runs = []
    for ours in (True, False):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 64))
        limit = 0.25 * size
        if ours:
            optimizer: Any = AdamW([weight], lr=0.125, max_norm=limit, convention="torch")
        else:
            optimizer = torch.optim.AdamW([weight], lr=0.125, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        for step in range(3):
            optimizer.zero_grad()
            grad = torch.randn(64, generator=torch.Generator().manual_seed(step)) * (size / 8)
            scaler.scale((weight * grad).sum()).backward()
            if not ours:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_([weight], limit)
            scaler.step(optimizer)
            scaler.update()
        runs.append((weight.detach(), *(optimizer.state[weight][key] for key in ("exp_avg", "exp_avg_sq"))))
    for own, theirs in zip(*runs, strict=True):
        assert torch.equal(own, theirs)
