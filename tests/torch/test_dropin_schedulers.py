"""Every scheduler of ``torch.optim.lr_scheduler`` drives our optimizer as it drives torch's: same rates, same weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as s
from torch.optim import swa_utils

from .dropin import Make, assert_same_bits, every_parameter, parameters, theirs, train, values

STEPS = 24


def sequential(o: Any) -> Any:
    return s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 15)], milestones=[5])


def chained(o: Any) -> Any:
    return s.ChainedScheduler([s.ConstantLR(o, 0.5, total_iters=6), s.ExponentialLR(o, 0.9)], optimizer=o)


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda o: s.LambdaLR(o, [lambda k: 0.9**k, lambda k: 1 / (1 + k)]),
    "MultiplicativeLR": lambda o: s.MultiplicativeLR(o, lambda k: 0.95),
    "StepLR": lambda o: s.StepLR(o, 4),
    "MultiStepLR": lambda o: s.MultiStepLR(o, [3, 7, 8]),
    "ConstantLR": s.ConstantLR,
    "LinearLR": s.LinearLR,
    "ExponentialLR": lambda o: s.ExponentialLR(o, 0.8),
    "SequentialLR": sequential,
    "PolynomialLR": lambda o: s.PolynomialLR(o, 20, 2.0),
    "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 10),
    "ChainedScheduler": chained,
    "ReduceLROnPlateau": lambda o: s.ReduceLROnPlateau(o, patience=1),
    "CyclicLR": lambda o: s.CyclicLR(o, 1e-4, 1e-2, step_size_up=4, cycle_momentum=True, base_momentum=0.5),
    "CosineAnnealingWarmRestarts": lambda o: s.CosineAnnealingWarmRestarts(o, 5),
    "OneCycleLR": lambda o: s.OneCycleLR(o, 1e-2, total_steps=STEPS + 1),  # moves beta1 too
    "SWALR": lambda o: swa_utils.SWALR(o, 1e-4, anneal_epochs=7),
}


def test_the_table_has_every_scheduler() -> None:
    found = {
        name
        for module in (s, swa_utils)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, s.LRScheduler) and not name.startswith("_")
    }
    assert found - {"LRScheduler"} == set(SCHEDULERS)


def groups() -> list[dict[str, Any]]:
    a, b = parameters()
    return [{"params": [a]}, {"params": [b], "lr": 0.02, "betas": (0.8, 0.95)}]


def advance(scheduler: Any, step: int) -> None:
    scheduler.step(float(10 - step % 5)) if isinstance(scheduler, s.ReduceLROnPlateau) else scheduler.step()


def driven(make: Make, scheduled: Callable[[Any], Any], lr: Any = 0.01, interrupted: bool = False) -> list[Any]:
    """The rates and betas of every step, then all values."""
    optimizer = make(groups(), lr)
    scheduler = scheduled(optimizer)
    seen = []
    for step in range(STEPS):
        if interrupted and step == STEPS // 2:
            saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict(), every_parameter(optimizer)))
            optimizer = make(groups(), lr)
            scheduler = scheduled(optimizer)
            scheduler.load_state_dict(saved[1])
            optimizer.load_state_dict(saved[0])
            for param, kept in zip(every_parameter(optimizer), saved[2], strict=True):
                param.data.copy_(kept)
        train(optimizer, 1, seed=step)
        seen += [(float(group["lr"]), *map(float, group["betas"])) for group in optimizer.param_groups]
        advance(scheduler, step)
    return [torch.tensor(seen, dtype=torch.float64), *values(optimizer)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_same_rates_and_same_weights(name: str, make: Make) -> None:
    found, expected = driven(make, SCHEDULERS[name]), driven(theirs, SCHEDULERS[name])
    assert_same_bits(found, expected)
    assert len(set(found[0][:, 0].tolist())) > 1


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"LambdaLR", "MultiplicativeLR"}))
def test_interrupted_is_uninterrupted(name: str, make: Make) -> None:
    assert_same_bits(driven(make, SCHEDULERS[name], interrupted=True), driven(make, SCHEDULERS[name]))


@pytest.mark.parametrize("name", ["LinearLR", "ExponentialLR", "CosineAnnealingLR", "OneCycleLR"])
def test_schedulers_write_into_a_rate_that_is_a_tensor(name: str, make: Make) -> None:
    lr = torch.tensor(0.01)
    optimizer = make(parameters(), lr)
    scheduler = SCHEDULERS[name](optimizer)
    rates = []
    for step in range(3):
        train(optimizer, 1, seed=step)
        assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor)
        rates.append(float(optimizer.param_groups[0]["lr"]))
        scheduler.step()
    assert len(set(rates)) == 3
    if make is not theirs:
        assert optimizer.step_info.lr == rates[-1]


def test_a_scheduler_does_not_warn_of_a_missing_step(make: Make) -> None:
    """torch warns where ``scheduler.step()`` comes before ``optimizer.step()``: it marks the method it has wrapped."""
    optimizer = make(parameters())
    scheduler = s.StepLR(optimizer, 1)
    train(optimizer, 1)
    scheduler.step()
    assert scheduler.get_last_lr() == [1e-4]
    late = make(parameters())
    scheduler = s.StepLR(late, 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_cosine_climbs_back_after_its_end_as_torch_has_it(make: Make) -> None:
    """A defect of torch's schedule, which is its own: 1.0 again at 2 T_max."""
    optimizer = make(parameters(), lr=1.0)
    scheduler = s.CosineAnnealingLR(optimizer, 4)
    for step in range(8):
        train(optimizer, 1, seed=step)
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1.0)


def test_one_cycle_ends_with_an_error_as_torch_has_it(make: Make) -> None:
    optimizer = make(parameters())
    scheduler = s.OneCycleLR(optimizer, 1e-2, total_steps=2)
    for step in range(2):
        train(optimizer, 1, seed=step)
        scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        scheduler.step()
