"""steelyard.torch.LRScheduler: any schedule drives any optimizer of torch."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import steelyard as sy
from steelyard.torch import AdamW, LRScheduler

S = sy.schedules
COSINE = S.cosine(1.0, total_steps=20, warmup_steps=4, end=0.1)
KINDS = pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, AdamW])


def groups() -> list[dict[str, Any]]:
    return [
        {"params": [torch.nn.Parameter(torch.ones(3))], "lr": 0.5, "weight_decay": 0.25},
        {"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.1, "weight_decay": 0.0},
    ]


def advance(optimizer: Any, scheduler: Any, steps: int) -> list[list[float]]:
    """The rates of the groups before each step."""
    found = []
    for _ in range(steps):
        found.append([float(group["lr"]) for group in optimizer.param_groups])
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = torch.ones_like(param)
        optimizer.step()
        scheduler.step()
    return found


@KINDS
def test_groups_keep_their_ratios(kind: Any) -> None:
    optimizer = kind(groups(), lr=1e-3)
    scheduler = LRScheduler(optimizer, COSINE)
    assert advance(optimizer, scheduler, 30) == [[0.5 * COSINE(s), 0.1 * COSINE(s)] for s in range(30)]
    assert scheduler.last_epoch == 30
    assert scheduler.get_last_lr() == [0.5 * 0.1, 0.1 * 0.1]
    assert scheduler.base_lrs == [0.5, 0.1]


@KINDS
def test_a_schedule_for_each_group(kind: Any) -> None:
    optimizer = kind(groups(), lr=1e-3)
    each = [COSINE, S.constant(0.25)]
    assert advance(optimizer, LRScheduler(optimizer, each), 9) == [[COSINE(s), 0.25] for s in range(9)]


def test_it_does_what_a_schedule_as_lr_does() -> None:
    """The same parameters, bit for bit, by both ways of using a schedule."""
    a, b = torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.ones(5))
    one, two = AdamW([a], lr=COSINE), AdamW([b], lr=COSINE.lr)
    scheduler = LRScheduler(two, COSINE)
    for step in range(25):
        a.grad, b.grad = (torch.full((5,), float(step - 9)) for _ in range(2))
        one.step()
        two.step()
        scheduler.step()
        assert torch.equal(a, b)


@KINDS
def test_weight_decay_follows_a_schedule_of_its_own(kind: Any) -> None:
    optimizer = kind(groups(), lr=1e-3)
    decay = S.linear(1.0, total_steps=10)
    scheduler = LRScheduler(optimizer, COSINE, weight_decay=decay)
    for step in range(12):
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25 * decay(step), 0.0]
        advance(optimizer, scheduler, 1)


@KINDS
@pytest.mark.parametrize("order", ["scheduler first", "optimizer first"])
def test_a_run_goes_on_where_it_stopped(kind: Any, order: str) -> None:
    """Through torch.load(weights_only=True), in either order of loading, into an optimizer with other rates."""
    whole = kind(groups(), lr=1e-3)
    want = advance(whole, LRScheduler(whole, COSINE, weight_decay=COSINE), 24)
    first = kind(groups(), lr=1e-3)
    scheduler = LRScheduler(first, COSINE, weight_decay=COSINE)
    assert advance(first, scheduler, 9) == want[:9]
    file = io.BytesIO()
    torch.save([scheduler.state_dict(), first.state_dict()], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    second = kind(groups(), lr=1e-3)
    again = LRScheduler(second, S.constant(1.0), weight_decay=S.constant(1.0))
    loads = [lambda: again.load_state_dict(states[0]), lambda: second.load_state_dict(states[1])]
    for load in loads if order == "scheduler first" else loads[::-1]:
        load()
    assert again.schedule == COSINE
    assert advance(second, again, 15) == want[9:]
    assert [g["weight_decay"] for g in second.param_groups] == [g["weight_decay"] for g in whole.param_groups]


def test_states_go_both_ways_with_torch() -> None:
    theirs, ours = torch.optim.SGD(groups(), lr=1e-3), torch.optim.SGD(groups(), lr=1e-3)
    a = lr_scheduler.LambdaLR(theirs, COSINE)
    b = LRScheduler(ours, COSINE)
    want = advance(theirs, a, 7)
    assert advance(ours, b, 7) == want
    b.load_state_dict({"last_epoch": 3})
    assert [group["lr"] for group in ours.param_groups] == want[3]
    b.load_state_dict(a.state_dict())
    advance(ours, b, 3)
    a.load_state_dict(b.state_dict() | {"lr_lambdas": [None, None]})  # LambdaLR takes them out of any state
    assert advance(theirs, a, 5)[1:] == advance(ours, b, 5)[1:]


def test_resuming_by_last_epoch() -> None:
    optimizer = torch.optim.SGD([{"initial_lr": 0.5, **groups()[0]}], lr=1e-3)
    scheduler = LRScheduler(optimizer, COSINE, last_epoch=11)
    assert advance(optimizer, scheduler, 5) == [[0.5 * COSINE(s)] for s in range(12, 17)]


@KINDS
def test_inside_a_sequence(kind: Any) -> None:
    optimizer = kind(groups(), lr=1e-3)
    first = lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=3)
    sequence = lr_scheduler.SequentialLR(optimizer, [first, LRScheduler(optimizer, COSINE)], [3])
    found = advance(optimizer, sequence, 12)
    assert found[3:] == [[0.5 * COSINE(s), 0.1 * COSINE(s)] for s in range(9)]
    assert found[0] == [0.25, 0.05]


def test_the_resume_of_a_chain_where_torch_goes_wrong() -> None:
    """SequentialLR with last_epoch restores the rate of its first scheduler (pytorch#162591); a chain is a function."""
    chain = S.chain([S.constant(0.1), S.exponential(1.0, gamma=0.9)], at=[2])
    optimizer = torch.optim.SGD([{"initial_lr": 1.0, "params": groups()[0]["params"]}], lr=1.0)
    scheduler = LRScheduler(optimizer, chain, last_epoch=2)
    assert scheduler.get_last_lr() == [0.9]


def test_a_rate_in_a_tensor() -> None:
    optimizer = torch.optim.SGD(groups()[:1], lr=1e-3)
    optimizer.param_groups[0]["lr"] = torch.tensor(0.5, dtype=torch.float64)
    held = optimizer.param_groups[0]["lr"]
    scheduler = LRScheduler(optimizer, COSINE)
    assert advance(optimizer, scheduler, 5) == [[0.5 * COSINE(s)] for s in range(5)]
    assert optimizer.param_groups[0]["lr"] is held
    torch.save(scheduler.state_dict(), io.BytesIO())


def test_a_plateau_and_a_plain_function() -> None:
    plateau = S.Plateau(lr=2.0, factor=0.5, patience=0)
    optimizer = torch.optim.SGD(groups(), lr=1e-3)
    scheduler = LRScheduler(optimizer, plateau)
    advance(optimizer, scheduler, 1)
    plateau.update(1.0)
    plateau.update(1.0)
    advance(optimizer, scheduler, 1)
    assert scheduler.get_last_lr() == [0.25, 0.05]
    other = torch.optim.SGD(groups(), lr=1e-3)
    assert advance(other, LRScheduler(other, lambda step: 0.5**step), 3)[2] == [0.125, 0.025]


def test_a_group_that_is_added_later() -> None:
    optimizer = torch.optim.SGD(groups()[:1], lr=1e-3)
    scheduler = LRScheduler(optimizer, COSINE)
    advance(optimizer, scheduler, 4)
    optimizer.add_param_group(groups()[1])
    assert advance(optimizer, scheduler, 2)[1] == [0.5 * COSINE(5), 0.1 * COSINE(5)]


def test_copies() -> None:
    optimizer = torch.optim.SGD(groups(), lr=1e-3)
    scheduler = LRScheduler(optimizer, COSINE)
    advance(optimizer, scheduler, 3)
    for twin in (copy.deepcopy(scheduler), pickle.loads(pickle.dumps(scheduler))):
        assert advance(twin.optimizer, twin, 3) == [[0.5 * COSINE(s), 0.1 * COSINE(s)] for s in range(3, 6)]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (0.5, "schedule: expected a schedule, or a list with one for each group; got"),
        ([], "schedule: expected a schedule, or a list with one for each group; got"),
        ([COSINE], "schedule: expected 2 schedules, one for each group; got 1"),
        (S.constant(0.0), "schedule: expected a schedule whose highest rate is above 0"),
    ],
)
def test_bad_schedules(schedule: Any, message: str) -> None:
    optimizer = torch.optim.SGD(groups(), lr=1e-3)
    with pytest.raises((TypeError, ValueError)) as caught:
        LRScheduler(optimizer, schedule)
    assert str(caught.value).startswith(message)
    scheduler = LRScheduler(optimizer, COSINE)
    with pytest.raises(TypeError, match="state_dict: expected the state of a scheduler"):
        scheduler.load_state_dict({"epoch": 3})
