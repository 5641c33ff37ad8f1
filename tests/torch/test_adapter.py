"""steelyard.torch.AdamW in place of torch.optim.AdamW."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

from steelyard.torch import AdamW


def small_model(seed: int = 1) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 8))


def decay_groups(module: torch.nn.Module) -> list[dict]:
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0, "lr": 3e-3}]


def backward(module: torch.nn.Module, seed: int) -> None:
    x = torch.randn(9, 8, generator=torch.Generator().manual_seed(seed))
    module.zero_grad()
    module(x).square().mean().backward()


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"maximize": True}, {"betas": (0.3, 0.99), "eps": 1e-6}])
def test_groups_have_torchs_bits(options: dict, met: str) -> None:
    ours, theirs = small_model(), small_model()
    a = AdamW(decay_groups(ours), lr=1e-2, **options)
    b = torch.optim.AdamW(decay_groups(theirs), lr=1e-2, fused=True, **options)
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(o, 10) for o in (a, b)]
    for seed in range(10):
        for module, optimizer, scheduler in zip((ours, theirs), (a, b), schedulers, strict=True):
            backward(module, seed)
            optimizer.step()
            scheduler.step()
        assert same(ours, theirs), met


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_state_goes_both_ways(first: str, met: str) -> None:
    ours, theirs = small_model(), small_model()
    a = AdamW(decay_groups(ours), lr=1e-2)
    b = torch.optim.AdamW(decay_groups(theirs), lr=1e-2, fused=True)
    trained, other = ((ours, a), (theirs, b)) if first == "ours" else ((theirs, b), (ours, a))
    for seed in range(3):
        backward(trained[0], seed)
        trained[1].step()
    other[0].load_state_dict(trained[0].state_dict())
    file = io.BytesIO()
    torch.save(trained[1].state_dict(), file)
    file.seek(0)
    other[1].load_state_dict(torch.load(file, weights_only=True))
    for group in b.param_groups:
        group["fused"] = True  # a loaded group has the options with which it was saved
    for module, optimizer in (trained, other):
        backward(module, 7)
        optimizer.step()
    assert same(ours, theirs), met


def test_copies_and_pickles_go_on_with_the_same_bits() -> None:
    module = small_model()
    optimizer = AdamW(module.parameters(), lr=1e-2, max_norm=0.1, nonfinite="skip")
    backward(module, 0)
    optimizer.step()
    pair = copy.deepcopy((module, optimizer))
    again = pickle.loads(pickle.dumps((module, optimizer)))
    for other, its in (pair, again):
        assert (its.max_norm, its.nonfinite) == (0.1, "skip")
        backward(other, 1)
        its.step()
    backward(module, 1)
    optimizer.step()
    assert same(module, pair[0])
    assert same(module, again[0])


def test_one_clip_over_all_groups() -> None:
    weights = [torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))]
    optimizer = AdamW([{"params": [w]} for w in weights], max_norm=1.0)
    for weight in weights:
        weight.grad = torch.full_like(weight, 2.0)
    optimizer.step()
    info = optimizer.step_info
    assert info is not None
    assert info.grad_norm == pytest.approx(28**0.5, rel=1e-15)
    assert info.clip_factor == pytest.approx(28**-0.5, rel=1e-15)
    moment = optimizer.state[weights[1]]["exp_avg"]
    assert moment.tolist() == pytest.approx([0.2 * 28**-0.5] * 3, rel=1e-14)


def test_parameters_without_gradients_are_left_alone() -> None:
    used, unused = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    optimizer = AdamW([used, unused])
    used.grad = torch.ones(3)
    optimizer.step()
    assert unused.tolist() == [1.0] * 3
    assert unused not in optimizer.state
    assert optimizer.state[used]["step"].item() == 1.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lr": -1.0}, r"param_groups\[0\]\['lr'\]: expected a number that is at least 0; got -1"),
        ({"betas": (0.9, 1.0)}, r"param_groups\[0\]\['betas'\]\[1\]: expected at least 0 and below 1; got 1"),
        ({"weight_decay": float("nan")}, r"param_groups\[0\]\['weight_decay'\]: expected a number"),
    ],
)
def test_options_edited_in_place_are_checked_at_the_next_step(change: dict, sentence: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = AdamW([weight])
    optimizer.param_groups[0].update(change)
    weight.grad = torch.ones(3)
    with pytest.raises(ValueError, match=sentence):
        optimizer.step()
    assert weight.tolist() == [1.0] * 3


def test_gradscaler_hands_over_its_scale_and_an_infinity_skips() -> None:
    ours, theirs = small_model(), small_model()
    for module, optimizer in (
        (ours, AdamW(ours.parameters(), lr=1e-2)),
        (theirs, torch.optim.AdamW(theirs.parameters(), lr=1e-2, fused=True)),
    ):
        scaler = torch.amp.GradScaler("cpu", init_scale=3.0, growth_interval=1)
        for seed in range(4):
            optimizer.zero_grad()
            x = torch.randn(9, 8, generator=torch.Generator().manual_seed(seed))
            scaler.scale(module(x).square().mean()).backward()
            if seed == 2:
                next(module.parameters()).grad[0] = float("inf")
            scaler.step(optimizer)
            scaler.update()
        assert optimizer.state[next(module.parameters())]["step"].item() == 3.0
    assert same(ours, theirs)
