"""Limits of the norm that follow its history, alone and in an optimizer."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import reference
from steelyard.optim import AutoClip, ZClip

NORMS = [1.0, 1.2, 0.9, 1.1, 5.0, 1.0, 0.8, 30.0, 1.1, 1.3, 0.7, 1.0]
MADE: dict[str, Any] = {
    "ZClip": lambda: ZClip(warmup_steps=3, max_norm=None),
    "AutoClip": lambda: AutoClip(50),
    "AutoClip of the last": lambda: AutoClip(50, window=4),
}


def gradients() -> list[np.ndarray]:
    return [np.array([norm, 0.0, 0.0]) for norm in NORMS]


@pytest.mark.parametrize("name", MADE)
def test_a_step_is_clipped_to_the_limit_for_its_norm(name: str) -> None:
    alone, opt = MADE[name](), sy.AdamW(np.ones(3), max_norm=MADE[name]())
    clipped = 0
    for g in gradients():
        limit, info = alone.limit(float(g[0])), opt.step(g)
        assert info.grad_norm == g[0]
        assert info.clip_factor == (limit / g[0] if g[0] > limit else 1.0)
        clipped += info.clip_factor < 1.0
    assert clipped > 1
    assert opt.max_norm.state_dict() == alone.state_dict()


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy", "npz"])
def test_interrupted_equals_uninterrupted(name: str, way: str, tmp_path: Any) -> None:
    whole_p, p = np.ones(3), np.ones(3)
    whole, opt = sy.AdamW(whole_p, max_norm=MADE[name]()), sy.AdamW(p, max_norm=MADE[name]())
    for g in gradients()[:7]:
        whole.step(g)
        opt.step(g)
    if way == "state_dict":
        loaded = sy.AdamW(p, max_norm=MADE[name]())
        loaded.load_state_dict(opt.state_dict())
    elif way == "npz":
        opt.save(tmp_path / "opt.npz")
        loaded = sy.AdamW(p)
        loaded.load(tmp_path / "opt.npz")
    else:
        loaded = pickle.loads(pickle.dumps(opt)) if way == "pickle" else copy.deepcopy(opt)
        p = loaded._params[0]
    for g in gradients()[7:]:
        whole.step(g)
        opt_info, info = whole.step_info, loaded.step(g)
        assert info == opt_info
    assert p.tobytes() == whole_p.tobytes()
    assert loaded.max_norm.state_dict() == whole.max_norm.state_dict()


@pytest.mark.parametrize("name", MADE)
def test_a_step_that_is_not_made_does_not_count(name: str) -> None:
    opt = sy.AdamW(np.ones(3, np.float32), max_norm=MADE[name](), nonfinite="skip")
    for g in gradients()[:7]:
        opt.step(g.astype(np.float32))
    before = opt.max_norm.state_dict()
    assert opt.step(np.array([1.0, np.nan, 0.0], np.float32)).skipped
    assert opt.max_norm.state_dict() == before
    opt.nonfinite = "raise"
    with pytest.raises(ValueError, match="expected finite gradients"):
        opt.step(np.array([1.0, np.inf, 0.0], np.float32))
    with pytest.raises(ValueError, match="grads: expected float64 of shape"):
        opt.step(np.ones(2))
    assert opt.max_norm.state_dict() == before


def test_a_moment_that_would_overflow_takes_the_norm_back() -> None:
    opt = sy.AdamW(np.ones(1, np.float32), max_norm=ZClip(warmup_steps=3, max_norm=None), nonfinite="skip")
    assert opt.step(np.array([3e30], np.float32)).skipped
    assert opt.max_norm.state_dict()["state"] == [0.0, 0.0]


@pytest.mark.parametrize("name", MADE)
def test_a_norm_that_is_not_finite_is_not_taken(name: str) -> None:
    policy = MADE[name]()
    assert policy.limit(math.nan) == policy.limit(math.inf) == math.inf
    opt = sy.AdamW(np.ones(2), max_norm=policy, nonfinite="propagate")
    opt.step(np.array([np.inf, 1.0]))
    assert policy.state_dict() == MADE[name]().state_dict()


def test_the_published_defaults() -> None:
    assert repr(ZClip()) == "ZClip(z_thresh=2.5, alpha=0.97, warmup_steps=25, max_norm=1.0, eps=1e-06)"
    assert repr(AutoClip()) == "AutoClip(percentile=10.0, window=None)"


def test_percentiles_are_those_of_numpy() -> None:
    norms = np.random.default_rng(0).random(300).tolist()
    for percentile in (0.0, 10.0, 33.3, 50.0, 100.0):
        policy = AutoClip(percentile)
        assert [policy.limit(x) for x in norms] == reference.optim.autoclip(norms, percentile=percentile)


def test_a_policy_is_saved_as_json_and_continues() -> None:
    for make in MADE.values():
        policy, other = make(), make()
        for norm in NORMS[:5]:
            policy.limit(norm)
        other.load_state_dict(json.loads(json.dumps(policy.state_dict())))
        assert [policy.limit(norm) for norm in NORMS] == [other.limit(norm) for norm in NORMS]


@pytest.mark.parametrize("norm", [-1.0, -1e-300, float("-inf")])
def test_no_norm_is_below_0(norm: float) -> None:
    for policy in (sy.optim.ZClip(), sy.optim.AutoClip()):
        before = policy.state_dict()
        with pytest.raises(ValueError, match="norm: expected a number that is at least 0; got -"):
            policy.limit(norm)
        assert policy.state_dict() == before


def test_wrong_options_and_states_are_refused() -> None:
    for make, message in (
        (lambda: ZClip(z_thresh=0.0), "z_thresh: expected a number above 0"),
        (lambda: ZClip(alpha=1.5), "alpha: expected a share"),
        (lambda: ZClip(warmup_steps=0), "warmup_steps: expected a whole number"),
        (lambda: ZClip(max_norm=-1.0), "max_norm: expected a number that is at least 0"),
        (lambda: AutoClip(101), "percentile: expected a number from 0 to 100"),
        (lambda: AutoClip(window=0), "window: expected a whole number"),
        (lambda: AutoClip().load_state_dict(ZClip().state_dict()), "state: expected the state of AutoClip"),
        (lambda: AutoClip().load_state_dict(AutoClip().state_dict() | {"state": [-1.0]}), "state: expected what"),
        (lambda: sy.AdamW(np.ones(2), max_norm={"policy": "Other"}), "max_norm: expected one of the policies"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_two_optimizers_may_not_step_with_one_policy_at_once() -> None:
    policy = AutoClip()
    a, b = sy.AdamW(np.ones(2), max_norm=policy), sy.AdamW(np.ones(2), max_norm=policy)
    a.step(np.ones(2))
    b.step(np.ones(2))
    assert len(policy.state_dict()["state"]) == 2
