"""The conventions of schedules against the libraries themselves, rate by rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import steelyard as sy

S = sy.schedules
LR, STEPS = 0.3, 150
# The libraries round a product or a quotient more or less than the core: at most 4 ulp of the highest rate.
ULPS = 4 * 2.0**-53


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=LR)


def driven(make: Callable[[Any], Any], steps: int = STEPS) -> np.ndarray:
    """The rate before each step of a torch scheduler that is stepped once after each update."""
    opt = optimizer()
    scheduler, rates = make(opt), []
    for _ in range(steps):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return np.array(rates)


def assert_equal(schedule: Any, want: np.ndarray, allowed: float = ULPS) -> None:
    got = schedule(np.arange(len(want)))
    worst = int(np.abs(got - want).argmax())
    assert np.abs(got - want).max() <= allowed * max(schedule.lr, want.max()), (worst, got[worst], want[worst])


# ---- transformers -------------------------------------------------------------------------------------------


def transformers_rows() -> Iterator[tuple[str, Any, Callable[[Any, Any], Any]]]:
    t: dict[str, Any] = {"total_steps": 100, "convention": "transformers"}
    for w in (0, 1, 10):
        o = t | {"warmup_steps": w}
        n: dict[str, Any] = {"num_warmup_steps": w, "num_training_steps": 100}
        yield f"linear {w}", S.linear(LR, **o), lambda x, m, n=n: m.get_linear_schedule_with_warmup(x, **n)
        yield f"cosine {w}", S.cosine(LR, **o), lambda x, m, n=n: m.get_cosine_schedule_with_warmup(x, **n)
        yield (
            f"restarts {w}",
            S.cosine(LR, cycles=3, **o),
            lambda x, m, n=n: m.get_cosine_with_hard_restarts_schedule_with_warmup(x, num_cycles=3, **n),
        )
        yield (
            f"waves {w}",
            S.cosine_wave(LR, waves=1.25, **o),
            lambda x, m, n=n: m.get_cosine_schedule_with_warmup(x, num_cycles=1.25, **n),
        )
        yield (
            f"floor {w}",
            S.cosine(LR, end=0.05, **o),
            lambda x, m, n=n: m.get_cosine_with_min_lr_schedule_with_warmup(x, min_lr=0.05, **n),
        )
        yield (
            f"ahead {w}",
            S.cosine_wave(LR, end=0.05, total_steps=100, warmup_steps=w, offset=1),
            lambda x, m, n=n: m.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(x, min_lr=0.05, **n),
        )
        yield (
            f"polynomial {w}",
            S.polynomial(LR, power=2, **o),
            lambda x, m, n=n: m.get_polynomial_decay_schedule_with_warmup(x, power=2, **n),
        )
        yield (
            f"inverse_sqrt {w}",
            S.inverse_sqrt(LR, warmup_steps=w, convention="transformers"),
            lambda x, m, w=w: m.get_inverse_sqrt_schedule(x, w),
        )
        yield (
            f"timescale {w}",
            S.inverse_sqrt(LR, warmup_steps=w, timescale=40, convention="transformers"),
            lambda x, m, w=w: m.get_inverse_sqrt_schedule(x, w, timescale=40),
        )
        yield (
            f"constant {w}",
            S.constant(LR, warmup_steps=w, convention="transformers"),
            lambda x, m, w=w: m.get_constant_schedule_with_warmup(x, w),
        )
        for curve in ("linear", "cosine", "1-sqrt"):
            yield (
                f"wsd {curve} {w}",
                S.wsd(LR, cooldown_steps=30, end=0.03, warmup=curve, curve=curve, **o),
                lambda x, m, w=w, c=curve: m.get_wsd_schedule(
                    x, w, 30, num_training_steps=100, warmup_type=c, decay_type=c, min_lr_ratio=0.1
                ),
            )


@pytest.mark.parametrize(("name", "schedule", "make"), [pytest.param(*row, id=row[0]) for row in transformers_rows()])
def test_transformers(name: str, schedule: Any, make: Any) -> None:
    transformers = pytest.importorskip("transformers", reason="its schedules are what is compared")
    # The angle of a later cycle is larger, and so is its rounding.
    allowed = 4 * ULPS if name.startswith(("waves", "restarts")) else ULPS
    assert_equal(schedule, driven(lambda opt: make(opt, transformers.optimization)), allowed)


# ---- torch --------------------------------------------------------------------------------------------------


def warmed(opt: Any, after: Any, w: int = 10) -> Any:
    return lr_scheduler.SequentialLR(opt, [lr_scheduler.LinearLR(opt, total_iters=w), after], [w])


T: dict[str, Any] = {"convention": "torch"}
TORCH: dict[str, tuple[Any, Callable[[Any], Any], float]] = {
    "StepLR": (S.step(LR, decay_steps=7, gamma=0.9, **T), lambda x: lr_scheduler.StepLR(x, 7, 0.9), 1e-14),
    "MultiStepLR": (
        S.multi_step(LR, milestones=[3, 9, 9, 80], gamma=0.5, **T),
        lambda x: lr_scheduler.MultiStepLR(x, [3, 9, 9, 80], 0.5),
        ULPS,
    ),
    "LinearLR": (
        S.linear(LR, total_steps=100, end=LR / 4, **T),
        lambda x: lr_scheduler.LinearLR(x, 1.0, 0.25, 100),
        1e-14,
    ),
    "LinearLR that rises": (
        S.constant(LR, warmup_steps=9, **T),
        lambda x: lr_scheduler.LinearLR(x, total_iters=9),
        1e-14,
    ),
    "ConstantLR": (
        S.piecewise([(0, LR / 3), (5, LR)], interpolate="constant", **T),
        lr_scheduler.ConstantLR,
        ULPS,
    ),
    "ExponentialLR": (S.exponential(LR, gamma=0.97, **T), lambda x: lr_scheduler.ExponentialLR(x, 0.97), 1e-14),
    "PolynomialLR": (
        S.polynomial(LR, total_steps=90, power=2, **T),
        lambda x: lr_scheduler.PolynomialLR(x, 90, 2.0),
        1e-13,
    ),
    "CosineAnnealingLR": (
        S.cosine(LR, total_steps=40, end=0.01, **T),
        lambda x: lr_scheduler.CosineAnnealingLR(x, 40, 0.01),
        1e-13,
    ),
    "CosineAnnealingWarmRestarts": (
        S.cosine_restarts(LR, cycle_steps=10, growth=2, end=0.01, **T),
        lambda x: lr_scheduler.CosineAnnealingWarmRestarts(x, 10, 2, 0.01),
        ULPS,
    ),
    "CyclicLR": (
        S.cyclic(LR, rise_steps=10, fall_steps=5, low=0.1, **T),
        lambda x: lr_scheduler.CyclicLR(x, 0.1, LR, 10, 5, cycle_momentum=False),
        1e-13,
    ),
    "CyclicLR triangular2": (
        S.cyclic(LR, rise_steps=10, low=0.1, decay=0.5, **T),
        lambda x: lr_scheduler.CyclicLR(x, 0.1, LR, 10, mode="triangular2", cycle_momentum=False),
        1e-13,
    ),
    "CyclicLR exp_range": (
        S.cyclic(LR, rise_steps=10, low=0.1, gamma=0.99, **T),
        lambda x: lr_scheduler.CyclicLR(x, 0.1, LR, 10, mode="exp_range", gamma=0.99, cycle_momentum=False),
        1e-13,
    ),
    "a warm-up": (
        S.step(LR, decay_steps=30, warmup_steps=10, **T),
        lambda x: warmed(x, lr_scheduler.StepLR(x, 30)),
        1e-14,
    ),
    "ChainedScheduler": (
        S.product([S.exponential(LR, gamma=0.9, **T), S.step(1.0, decay_steps=3, **T)]),
        lambda x: lr_scheduler.ChainedScheduler([lr_scheduler.ExponentialLR(x, 0.9), lr_scheduler.StepLR(x, 3)]),
        1e-14,
    ),
}


@pytest.mark.parametrize("name", sorted(TORCH))
def test_torch(name: str) -> None:
    """torch multiplies the last rate by a factor, so that its roundings add up: each row says how far."""
    schedule, make, allowed = TORCH[name]
    assert_equal(schedule, driven(make), allowed)


def test_the_closed_form_of_cosine_annealing() -> None:
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer(), 40, 0.01)
    want = []
    for step in range(STEPS):
        scheduler.last_epoch = step
        want += scheduler._get_closed_form_lr()
    assert_equal(S.cosine(LR, total_steps=40, end=0.01, convention="torch"), np.array(want), 16 * 2.0**-53)


@pytest.mark.parametrize("total", [10, 11, 97, 150])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_of_torch(total: int, anneal: str, three_phase: bool) -> None:
    def make(x: Any) -> Any:
        return lr_scheduler.OneCycleLR(
            x, LR, total_steps=total, anneal_strategy=anneal, three_phase=three_phase, cycle_momentum=False
        )

    schedule = S.one_cycle(
        LR,
        total_steps=total,
        fall_share=0.6 if three_phase else None,
        interpolate="cosine" if anneal == "cos" else "linear",
        convention="torch",
    )
    opt = optimizer()
    scheduler = make(opt)
    rates = [opt.param_groups[0]["lr"]]
    for _ in range(total - 1):
        opt.step()
        scheduler.step()
        rates.append(opt.param_groups[0]["lr"])
    assert_equal(schedule, np.array(rates))
    with pytest.raises(ValueError, match="Tried to step"):  # the step of the end is let through, the next one is not
        [scheduler.step() for _ in range(2)]
    assert schedule(total + 1) == schedule(total - 1)


def test_torch_is_late_for_a_cycle() -> None:
    """CosineAnnealingWarmRestarts.step(121) takes int(log(243, 3)), 4, where the fifth cycle begins."""
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer(), 1, 3)
    scheduler.step(121)
    assert scheduler.get_last_lr()[0] < 1e-6
    assert S.cosine_restarts(LR, cycle_steps=1, growth=3, convention="torch")(121) == LR


def test_timm_is_late_for_a_cycle() -> None:
    timm = pytest.importorskip("timm.scheduler", reason="its schedules are what is compared")
    theirs = timm.CosineLRScheduler(optimizer(), t_initial=1, cycle_mul=3.0, cycle_limit=99)
    assert theirs._get_lr(121)[0] < 1e-6
    assert S.cosine_restarts(LR, cycle_steps=1, growth=3, convention="timm")(121) == LR


def test_transformers_misses_a_restart() -> None:
    """It computes cycles * (t / T) % 1, and 1 / 49 * 49 is below 1."""
    optimization = pytest.importorskip("transformers.optimization", reason="its schedules are what is compared")
    rates = driven(lambda x: optimization.get_cosine_with_hard_restarts_schedule_with_warmup(x, 0, 49, 49), 2)
    assert rates[1] < 1e-12
    assert S.cosine(LR, total_steps=49, cycles=49, convention="transformers")(1) == LR


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_the_plateau_of_torch(mode: Any, threshold_mode: Any) -> None:
    options: dict[str, Any] = {"mode": mode, "threshold_mode": threshold_mode, "factor": 0.3, "patience": 2}
    options |= {"cooldown": 3, "min_lr": 1e-3, "threshold": 0.01}
    ours, opt = S.Plateau(lr=LR, **options), optimizer()
    theirs = lr_scheduler.ReduceLROnPlateau(opt, **options)
    metrics = np.random.Philox(key=3).random_raw(300) % 1000 / 100.0
    for metric in [*metrics.tolist(), *[math.nan] * 30]:
        theirs.step(metric)
        assert ours.update(metric) == opt.param_groups[0]["lr"]
    assert (ours.best, ours.bad) == (theirs.best, theirs.num_bad_epochs)


# ---- optax --------------------------------------------------------------------------------------------------


def optax_rows(optax: Any) -> Iterator[tuple[str, Any, Any]]:
    o: dict[str, Any] = {"convention": "optax"}
    w: dict[str, Any] = o | {"warmup_steps": 10}
    yield "linear", S.linear(LR, total_steps=80, end=0.1, **o), optax.linear_schedule(LR, 0.1, 80)
    yield (
        "polynomial",
        S.polynomial(LR, total_steps=80, end=0.1, power=3, **o),
        optax.polynomial_schedule(LR, 0.1, 3, 80),
    )
    yield "cosine", S.cosine(LR, total_steps=80, end=0.1 * LR, **o), optax.cosine_decay_schedule(LR, 80, 0.1)
    yield (
        "warm cosine",
        S.cosine(LR, total_steps=80, end=0.01, start=0.02, power=1.5, **w),
        optax.warmup_cosine_decay_schedule(0.02, LR, 10, 80, 0.01, 1.5),
    )
    yield "warm constant", S.constant(LR, **w), optax.warmup_constant_schedule(0.0, LR, 10)
    yield (
        "exponential",
        S.exponential(LR, gamma=0.5, decay_steps=30, end=0.1, **w),
        optax.warmup_exponential_decay_schedule(0.0, LR, 10, 30, 0.5, end_value=0.1),
    )
    yield (
        "staircase",
        S.step(LR, gamma=0.5, decay_steps=30, **o),
        optax.exponential_decay(LR, 30, 0.5, staircase=True),
    )
    yield (
        "stairs",
        S.piecewise([(0, LR), (20, LR / 2), (70, LR / 8)], interpolate="constant", **o),
        optax.piecewise_constant_schedule(LR, {20: 0.5, 70: 0.25}),
    )
    for kind in ("linear", "cosine"):
        yield (
            f"piecewise {kind}",
            S.piecewise([(0, LR), (20, LR / 2), (70, LR / 8)], interpolate=kind, **o),
            optax.piecewise_interpolate_schedule(kind, LR, {20: 0.5, 70: 0.25}),
        )
    yield "cosine cycle", S.one_cycle(LR, total_steps=77, **o), optax.cosine_onecycle_schedule(77, LR)
    yield (
        "linear cycle",
        S.one_cycle(LR, total_steps=77, interpolate="linear", **o),
        optax.linear_onecycle_schedule(77, LR),
    )
    cycles = [
        {"init_value": 0.0, "peak_value": LR, "warmup_steps": 5, "decay_steps": 30, "end_value": 0.01},
        {"init_value": 0.0, "peak_value": LR / 2, "warmup_steps": 5, "decay_steps": 60, "end_value": 0.01},
    ]
    yield (
        "sgdr",
        S.chain(
            [S.cosine(p, total_steps=n, warmup_steps=5, end=0.01, **o) for p, n in ((LR, 30), (LR / 2, 60))], at=[30]
        ),
        optax.sgdr_schedule(cycles),
    )


def test_optax() -> None:
    """In float64, to a few ulp; optax's default is float32."""
    optax = pytest.importorskip("optax", reason="its schedules are what is compared")
    import jax

    with jax.enable_x64(True):
        for name, schedule, theirs in optax_rows(optax):
            want = np.array([float(theirs(jax.numpy.asarray(step))) for step in range(100)])
            try:
                assert_equal(schedule, want, 16 * 2.0**-53)
            except AssertionError as error:
                raise AssertionError(name) from error


# ---- timm ---------------------------------------------------------------------------------------------------


def timm_rows() -> Iterator[tuple[str, Any, str, dict[str, Any]]]:
    c: dict[str, Any] = {"convention": "timm"}
    for w in (0, 10):
        warm = {"warmup_t": w, "warmup_lr_init": 0.02 if w else 0.0}
        o = c | {"warmup_steps": w} | ({"start": 0.02} if w else {})
        yield (
            f"cosine {w}",
            S.cosine(LR, total_steps=80, end=0.01, **o),
            "CosineLRScheduler",
            {"t_initial": 80, "lr_min": 0.01} | warm,
        )
        yield (
            f"k {w}",
            S.cosine(LR, total_steps=80, k=2.5, **o),
            "CosineLRScheduler",
            {"t_initial": 80, "k_decay": 2.5} | warm,
        )
        yield (
            f"cycles {w}",
            S.cosine_restarts(LR, cycle_steps=20, growth=2, decay=0.5, restarts=2, end=0.01, **o),
            "CosineLRScheduler",
            {"t_initial": 20, "cycle_mul": 2.0, "cycle_decay": 0.5, "cycle_limit": 2, "lr_min": 0.01} | warm,
        )
        yield (
            f"polynomial {w}",
            S.polynomial(LR, total_steps=80, power=0.5, k=2, end=0.01, **o),
            "PolyLRScheduler",
            {"t_initial": 80, "k_decay": 2.0, "lr_min": 0.01} | warm,
        )
        yield (
            f"tanh {w}",
            S.tanh(LR, total_steps=80, end=0.01, **o),
            "TanhLRScheduler",
            {"t_initial": 80, "lr_min": 0.01} | warm,
        )
        yield (
            f"step {w}",
            S.step(LR, decay_steps=7, gamma=0.9, **o),
            "StepLRScheduler",
            {"decay_t": 7, "decay_rate": 0.9} | warm,
        )
        yield (
            f"multi_step {w}",
            S.multi_step(LR, milestones=[9, 30], gamma=0.5, **o),
            "MultiStepLRScheduler",
            {"decay_t": [9, 30], "decay_rate": 0.5} | warm,
        )
    yield (
        "prefix",
        S.cosine(LR, total_steps=90, end=0.01, warmup_steps=10, start=0.02),
        "CosineLRScheduler",
        {"t_initial": 80, "lr_min": 0.01, "warmup_t": 10, "warmup_lr_init": 0.02, "warmup_prefix": True},
    )


@pytest.mark.parametrize(
    ("name", "schedule", "kind", "options"), [pytest.param(*row, id=row[0]) for row in timm_rows()]
)
def test_timm(name: str, schedule: Any, kind: str, options: dict[str, Any]) -> None:
    timm = pytest.importorskip("timm.scheduler", reason="its schedules are what is compared")
    theirs = getattr(timm, kind)(optimizer(), **options)
    assert_equal(schedule, np.array([theirs._get_lr(step)[0] for step in range(STEPS)]), 1e-15)


# ---- DeepSpeed ----------------------------------------------------------------------------------------------


def deepspeed_rows() -> Iterator[tuple[str, Any, str, dict[str, Any]]]:
    for w in (1, 2, 10):
        for curve in ("log", "linear"):
            o: dict[str, Any] = {"warmup_steps": w, "warmup": curve, "convention": "deepspeed"}
            n: dict[str, Any] = {"warmup_num_steps": w, "warmup_type": curve}
            yield (
                f"{curve} {w}",
                S.constant(LR, start=0.01, **o),
                "WarmupLR",
                n | {"warmup_min_lr": 0.01, "warmup_max_lr": LR},
            )
            yield (
                f"decay {curve} {w}",
                S.linear(LR, total_steps=100, **o),
                "WarmupDecayLR",
                n | {"total_num_steps": 100, "warmup_max_lr": LR},
            )
            yield (
                f"cosine {curve} {w}",
                S.cosine(LR, total_steps=100, **o),
                "WarmupCosineLR",
                n | {"total_num_steps": 100},
            )
    yield (
        "one cycle",
        S.one_cycle(LR, total_steps=100, rise_share=0.4, start=0.05, convention="deepspeed"),
        "OneCycle",
        {
            "cycle_min_lr": 0.05, "cycle_max_lr": LR, "cycle_first_step_size": 40, "cycle_second_step_size": 60,
            "cycle_momentum": False,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "schedule", "kind", "options"), [pytest.param(*row, id=row[0]) for row in deepspeed_rows()]
)
def test_deepspeed(name: str, schedule: Any, kind: str, options: dict[str, Any]) -> None:
    module = pytest.importorskip("deepspeed.runtime.lr_schedules", reason="its schedules are what is compared")
    theirs, want = getattr(module, kind)(optimizer(), **options), []
    for step in range(STEPS):
        theirs.step(step)
        want.append(theirs.get_last_lr()[0])
    assert_equal(schedule, np.array(want), 1e-15)
