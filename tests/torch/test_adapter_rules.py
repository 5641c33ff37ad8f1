"""steelyard.torch's Adam, Lion and SGD, and the variants of AdamW: torch's bits, and those of the optimizers of arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy
from steelyard.torch import SGD, Adam, AdamW, Lion

N = 4096


def numbers(seed: int) -> torch.Tensor:
    return torch.randn(N, generator=torch.Generator().manual_seed(seed))


def steps(optimizer: torch.optim.Optimizer, seeds: range) -> torch.Tensor:
    (weight,) = optimizer.param_groups[0]["params"]
    for seed in seeds:
        weight.grad = numbers(seed)
        optimizer.step()
    return weight.detach()


def fresh() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(numbers(0))]


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (Adam, torch.optim.Adam, {"weight_decay": 0.1}),
        (Adam, torch.optim.Adam, {"amsgrad": True, "maximize": True}),
        (Adam, torch.optim.Adam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
        (SGD, torch.optim.SGD, {}),
        (SGD, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
        (SGD, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5, "maximize": True}),
        (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
    ids=str,
)
def test_they_have_torchs_bits_and_their_states_go_both_ways(ours: Any, theirs: Any, options: dict, met: str) -> None:
    a, b = ours(fresh(), lr=1e-2, **options), theirs(fresh(), lr=1e-2, fused=True, **options)
    assert torch.equal(steps(a, range(1, 4)), steps(b, range(1, 4))), met
    saved, saved_by_torch = copy.deepcopy(a.state_dict()), copy.deepcopy(b.state_dict())
    a.load_state_dict(saved_by_torch)
    b.load_state_dict(saved)
    b.param_groups[0]["fused"] = True
    assert torch.equal(steps(a, range(4, 6)), steps(b, range(4, 6))), met


VARIANTS: list[tuple[Any, Any, dict[str, Any]]] = [
    (AdamW, sy.AdamW, {"decay": "l2", "weight_decay": 0.1}),
    (AdamW, sy.AdamW, {"decay": "independent", "max_lr": 0.1, "weight_decay": 0.01}),
    (AdamW, sy.AdamW, {"decay": "corrected", "max_lr": 0.1}),
    (AdamW, sy.AdamW, {"cautious": True}),
    (AdamW, sy.AdamW, {"stable": True}),
    (AdamW, sy.AdamW, {"tight": True, "bias_correction": False, "flush_denormals": True}),
    (Lion, sy.optim.Lion, {"weight_decay": 0.1}),
    (Lion, sy.optim.Lion, {"cautious": True, "maximize": True}),
    (SGD, sy.optim.SGD, {"decay": "decoupled", "weight_decay": 0.1, "momentum": 0.8}),
]


@pytest.mark.parametrize(("ours", "of_arrays", "options"), VARIANTS, ids=str)
def test_variants_are_those_of_the_optimizers_of_arrays(ours: Any, of_arrays: Any, options: dict) -> None:
    tensors, array = ours(fresh(), lr=1e-2, max_norm=5.0, **options), numbers(0).numpy().copy()
    arrays = of_arrays(array, lr=1e-2, max_norm=5.0, **options)
    weight = steps(tensors, range(1, 4))
    for seed in range(1, 4):
        arrays.step(numbers(seed).numpy())
    assert np.array_equal(weight.numpy(), array)
    again = ours(fresh(), lr=1.0)
    again.load_state_dict(tensors.state_dict())
    again.max_norm = 5.0
    again.param_groups[0]["params"][0].data.copy_(weight)
    assert torch.equal(steps(again, range(4, 6)), steps(tensors, range(4, 6)))


def test_groups_may_differ_in_their_variants() -> None:
    weights = [*fresh(), *fresh(), *fresh()]
    groups = [
        {"params": weights[:1]},
        {"params": weights[1:2], "cautious": True},
        {"params": weights[2:], "decay": "l2"},
    ]
    together = AdamW(groups, lr=1e-2)
    for weight in weights:
        weight.grad = numbers(7)
    together.step()
    for weight, options in zip(weights, ({}, {"cautious": True}, {"decay": "l2"}), strict=True):
        assert torch.equal(weight, steps(AdamW(fresh(), lr=1e-2, **options), range(7, 8)))
    assert "cautious" not in together.param_groups[0]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: AdamW(fresh(), decay="none"), r"^decay: expected one of decoupled, l2, independent, corrected"),
        (lambda: AdamW(fresh(), decay="corrected"), r"^max_lr: expected the largest learning rate, to which decay='corrected'"),
        (lambda: AdamW(fresh(), max_lr=1.0), r"^max_lr: expected None with decay='decoupled'; got float 1.0"),
        (lambda: AdamW(fresh(), decay="l2", tight=True), r"^tight: expected False with decay='l2'; got True"),
        (lambda: Lion(fresh(), decay="l2", weight_decay=0.1), r"^decay: expected 'decoupled', 'independent' or 'corrected'"),
        (lambda: SGD(fresh(), nesterov=True), r"^nesterov: expected False unless momentum is above 0"),
        (lambda: SGD([{"params": fresh(), "cautious": True}]), r"^param_groups\[0\]\['cautious'\]: expected nothing: sgd"),
        (lambda: AdamW(fresh(), cautious=1), r"^cautious: expected True or False"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(make: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        make()


def test_a_momentum_that_begins_later() -> None:
    ours, theirs = SGD(fresh(), lr=0.1), torch.optim.SGD(fresh(), lr=0.1, fused=True)
    for optimizer in (ours, theirs):
        steps(optimizer, range(1, 3))
        optimizer.param_groups[0]["momentum"] = 0.9
    assert torch.equal(steps(ours, range(3, 6)), steps(theirs, range(3, 6)))
