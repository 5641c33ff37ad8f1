"""Gradients that are summed over several calls, for one step that uses their mean."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference.optim import mean

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = ml_dtypes.bfloat16


def params() -> dict[str, Any]:
    return {"a": np.ones((200, 9), np.float32), "b": [np.ones(5), np.ones(3, BF16)], "c": np.ones(2, np.float16)}


def grads(seed: int, missing: str = "") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    draw = lambda n, dtype: rng.standard_normal(n).astype(dtype)  # noqa: E731
    tree = {"a": draw((200, 9), BF16), "b": [draw(5, np.float64), draw(3, np.float32)], "c": draw(2, np.float16)}
    return {key: None if key in missing else value for key, value in tree.items()}


def leaves(tree: dict[str, Any]) -> list[Any]:
    return [tree["a"], *(tree["b"] or [None, None]), tree["c"]]


def means(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Summed in float64 for the parameter of that type, and in float32 for the others."""
    found = []
    for row, kind in enumerate([np.float32, np.float64, np.float32, np.float32]):
        column = [leaves(part)[row] for part in parts]
        found.append(mean([None if grad is None else grad.astype(kind) for grad in column]))
    return {"a": found[0], "b": found[1:3], "c": found[3]}


def bits(opt: Any) -> list[bytes]:
    return [x.tobytes() for x in opt._params] + [x.tobytes() for x in opt.state_dict().values()]


MADE: dict[str, Any] = {
    "AdamW": lambda tree: sy.AdamW(tree, lr=0.1, amsgrad=True, max_norm=0.5),
    "Lion": lambda tree: sy.optim.Lion(tree, lr=0.1),
    "SGD": lambda tree: sy.optim.SGD(tree, lr=0.1, momentum=0.9, nonfinite="propagate"),
    "split": lambda tree: sy.AdamW(tree, lr=0.1, state_dtype="8bit", rounding="stochastic", seed=3),
}


@pytest.mark.parametrize("name", MADE)
def test_a_step_uses_the_mean_of_the_calls(name: str) -> None:
    one, other = MADE[name](params()), MADE[name](params())
    for step in range(3):
        parts = [grads(10 * step + part, missing="c" if part == 1 else "") for part in range(3)]
        for part in parts:
            kept = copy.deepcopy(part)
            one.accumulate(part)
            assert [x if x is None else x.tobytes() for x in leaves(kept)] == [
                x if x is None else x.tobytes() for x in leaves(part)
            ]
        info, wanted = one.step(), other.step(means(parts))
        assert info.grad_norm == (wanted.grad_norm and pytest.approx(wanted.grad_norm, rel=1e-6))
        assert (info.step, info.left_out) == (step + 1, 0)
        if wanted.clip_factor == 1.0:
            assert bits(one) == bits(other)
        else:  # the factor of the sums and that of the means differ in the last place
            for mine, theirs in zip(one._params, other._params, strict=True):
                close = {"rtol": 1e-2, "atol": 0} if mine.dtype.itemsize == 2 else {"rtol": 1e-4, "atol": 1e-6}
                np.testing.assert_allclose(mine.astype(np.float64), theirs.astype(np.float64), **close)


def test_a_parameter_that_never_had_a_gradient_is_left_out() -> None:
    tree = params()
    opt = sy.AdamW(tree)
    opt.accumulate(grads(0, missing="ac"))
    opt.accumulate(grads(1, missing="a"))
    assert opt.step().left_out == 1
    assert (tree["a"] == 1).all()
    assert not (tree["c"] == 1).any()
    opt.accumulate(grads(2, missing="bc"))  # of the calls before nothing is left
    assert opt.step().left_out == 3
    assert opt.state_dict()["step/b/0"] == 1


@pytest.mark.parametrize("way", ["state_dict", ".npz", ".safetensors", "pickle", "deepcopy"])
def test_interrupted_equals_uninterrupted(way: str, tmp_path: Path) -> None:
    whole, opt = sy.AdamW(params(), lr=0.1), sy.AdamW(tree := params(), lr=0.1)
    parts = [grads(step, missing="c") for step in range(4)]
    for each in (whole, opt):
        each.step(grads(9))
        each.accumulate(parts[0])
        each.accumulate(parts[1])
    assert {"accumulated", "grad_sum/a", "grad_sum/b/0"} < opt.state_dict().keys()
    assert "grad_sum/c" not in opt.state_dict()
    later: Any = sy.AdamW(tree)
    later.accumulate(grads(7))  # forgotten
    if way == "state_dict":
        later.load_state_dict(opt.state_dict())
    elif way.startswith("."):
        opt.save(tmp_path / f"s{way}")
        later.load(tmp_path / f"s{way}")
    else:
        later = copy.deepcopy(opt) if way == "deepcopy" else pickle.loads(pickle.dumps(opt))
    for each in (whole, later):
        each.accumulate(parts[2])
        assert each.step().left_out == 1
    assert bits(whole) == bits(later)
    assert "accumulated" not in later.state_dict()
    later.accumulate(parts[3])
    later.load_state_dict(whole.state_dict())
    with pytest.raises(ValueError, match="grads: expected a gradient for at least one parameter; got none"):
        later.step()


def test_what_is_not_finite_is_seen_by_the_step() -> None:
    for nonfinite in ("raise", "skip"):
        tree = params()
        opt = sy.AdamW(tree, nonfinite=nonfinite)
        bad = grads(0)
        bad["b"][1][2] = np.inf
        opt.accumulate(bad)
        opt.accumulate(grads(1))
        if nonfinite == "raise":
            with pytest.raises(ValueError, match=r"grads\[\"b\"\]\[1\].*: expected finite gradients"):
                opt.step()
        else:
            assert opt.step().skipped
        assert all((x == 1).all() for x in leaves(tree))
        opt.accumulate(grads(1))
        assert opt.step().step == 1


def test_what_cannot_be_added_is_refused() -> None:
    opt = sy.AdamW(params())
    for wrong, message in (
        (None, "grads: expected a gradient for at least one parameter; got none"),
        (grads(0) | {"a": np.ones(3)}, r"grads\[\"a\"\]: expected float64 of shape \(200, 9\)"),
        ({"a": None}, "grads: expected the keys of the parameters"),
    ):
        with pytest.raises(ValueError, match=message):
            opt.accumulate(wrong)
    with pytest.raises(ValueError, match="got none"):
        opt.step()
    opt.accumulate(grads(0))
    with pytest.raises(ValueError, match="grads: expected none, since the gradients of 1 calls of accumulate"):
        opt.step(grads(0))
    state = opt.state_dict()
    for change, message in (
        ({"accumulated": np.array(0)}, r"state\['accumulated'\]: expected a whole number from 1"),
        ({"grad_sum/a": np.ones(3, np.float32)}, r"state\['grad_sum/a'\]: expected float32 of shape \(200, 9\)"),
        ({"grad_sum/b/0": np.ones(5, np.float32)}, r"state\['grad_sum/b/0'\]: expected float64 of shape \(5,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            opt.load_state_dict(state | change)
    del state["accumulated"]
    with pytest.raises(ValueError, match="state: expected 'accumulated'"):
        opt.load_state_dict(state)
    assert opt.step().step == 1


def test_a_live_sum_cannot_be_written_or_added_to_itself() -> None:
    w = np.ones(3)
    opt = sy.AdamW(w)
    opt.accumulate(np.ones(3))
    live = opt.state_dict(copy=False)["grad_sum"]
    with pytest.raises(ValueError, match="read-only"):
        live[0] = 5.0
    with pytest.raises(ValueError, match="expected memory of its own; it overlaps"):
        opt.accumulate(live)
    assert opt.step().grad_norm == np.sqrt(3.0)


def test_sums_that_wait_are_not_lost_by_setting_an_option() -> None:
    opt = sy.optim.SGD(w := np.zeros(2), lr=1.0)
    opt.accumulate(np.full(2, 10.0))
    with pytest.raises(AttributeError, match="momentum: expected to be set before accumulate"):
        opt.momentum = 0.9
    opt.lr = 0.5
    opt.step()
    assert w.tolist() == [-5.0, -5.0]


def test_sums_that_are_not_finite_are_not_loaded() -> None:
    opt = sy.AdamW(np.ones(2))
    opt.accumulate(np.ones(2))
    state = opt.state_dict() | {"grad_sum": np.array([1.0, np.nan])}
    with pytest.raises(ValueError, match=r"state\['grad_sum'\]: expected finite sums"):
        opt.load_state_dict(state)
    sy.AdamW(np.ones(2), nonfinite="propagate").load_state_dict({k: v for k, v in state.items() if k != "options"})
