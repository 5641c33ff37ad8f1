"""``detail=True``: what a step did to each tensor."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard import _core
from steelyard.optim import StepTensors
from steelyard.reference import rules

COLUMNS = ("grad_norm", "param_norm", "update_norm", "ratio", "lost")
CHUNK = 1 << 16
DTYPES: dict[str, Any] = {
    "float32": np.float32, "float64": np.float64, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16,
}  # fmt: skip
MAKERS: list[Callable[..., Any]] = [
    lambda params, **options: sy.AdamW(params, lr=1e-3, **options),
    lambda params, **options: sy.AdamW(params, lr=1e-3, amsgrad=True, cautious=True, stable=True, **options),
    lambda params, **options: sy.optim.Lion(params, lr=1e-4, weight_decay=0.1, **options),
    lambda params, **options: sy.optim.SGD(params, lr=1e-3, momentum=0.9, **options),
    lambda params, **options: sy.optim.SGD(params, lr=1e-3, **options),
]


def numbers(n: int, seed: int, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).standard_normal(n).astype(DTYPES[dtype])


def found(info: Any) -> StepTensors:
    assert isinstance(info.tensors, StepTensors)
    return info.tensors


def same(a: StepTensors, b: StepTensors) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in COLUMNS)


def test_it_is_off_by_default_and_can_be_set_at_any_step() -> None:
    opt = sy.AdamW({"w": np.ones(3)})
    assert not opt.detail
    assert opt.step({"w": np.ones(3)}).tensors is None
    opt.detail = True
    assert found(opt.step({"w": np.ones(3)})).names == ("w",)
    assert same(found(opt.step_info), found(opt.step_info))
    assert pickle.loads(pickle.dumps(opt)).detail
    opt.detail = False
    assert opt.step({"w": np.ones(3)}).tensors is None
    assert not any("detail" in str(value) for value in opt.state_dict().values())
    with pytest.raises(TypeError, match="detail: expected True or False"):
        opt.detail = 1.5  # type: ignore[assignment]


def test_the_columns_of_a_first_step() -> None:
    """In float64 nothing is lost, so that what was to be added is the difference."""
    p = {"a": numbers(1000, 1, "float64"), "b": [numbers(7, 2, "float64"), np.zeros(2)]}
    before = [p["a"].copy(), p["b"][0].copy()]
    g = {"a": numbers(1000, 3, "float64"), "b": [numbers(7, 4, "float64"), np.zeros(2)]}
    tensors = found(sy.AdamW(p, lr=1e-2, detail=True).step(g))
    assert tensors.names == ("a", "b/0", "b/1")
    for i, (x, start, grad) in enumerate(zip((p["a"], p["b"][0]), before, (g["a"], g["b"][0]), strict=True)):
        assert tensors.grad_norm[i] == pytest.approx(math.sqrt(math.fsum(grad * grad)), rel=1e-12)
        assert tensors.param_norm[i] == pytest.approx(math.sqrt(math.fsum(start * start)), rel=1e-12)
        assert tensors.update_norm[i] == pytest.approx(float(np.linalg.norm(x - start)), rel=1e-9)
        assert tensors.ratio[i] == tensors.update_norm[i] / tensors.param_norm[i]
    assert tensors.lost.tolist() == [0, 0, 0]
    assert [tensors.update_norm[2], tensors.param_norm[2]] == [0, 0]
    assert math.isnan(tensors.ratio[2])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("lr", [1e-3, 1e-5])
def test_the_share_that_rounding_loses_is_that_which_numpy_counts(dtype: str, lr: float) -> None:
    p, g = numbers(3 * CHUNK + 5, 5, dtype), numbers(3 * CHUNK + 5, 6, dtype)
    assert np.count_nonzero(g) == g.size
    before = p.copy()
    tensors = found(sy.AdamW([p], lr=lr, detail=True).step([g]))
    kept = np.count_nonzero(p.view(np.uint16) == before.view(np.uint16))
    assert tensors.lost.tolist() == [kept / p.size]
    assert (tensors.lost[0] > 0.9) == (lr == 1e-5)


def test_elements_to_which_nothing_is_added_are_not_lost() -> None:
    p, g = np.ones(100, np.float16), np.zeros(100, np.float16)
    g[:30] = 1.0
    opt = sy.AdamW([p], lr=1e-6, weight_decay=0.0, detail=True)
    assert found(opt.step([g])).lost.tolist() == [0.3]
    assert found(sy.AdamW([p], lr=0.0, weight_decay=0.0, detail=True).step([g])).lost.tolist() == [0.0]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("grad", DTYPES)
@pytest.mark.parametrize("param", DTYPES)
def test_it_changes_no_bit(param: str, grad: str, make: Callable[..., Any]) -> None:
    if grad == "float64" and param != "float64":
        pytest.skip("gradients of float64 need such parameters")
    lengths = (1, 255, 1500, CHUNK + 3)
    trees = [[numbers(n, i, param) for i, n in enumerate(lengths)] for _ in range(2)]
    optimizers = [make(tree, max_norm=1.0, detail=detail) for tree, detail in zip(trees, (False, True), strict=True)]
    for step in range(2):
        grads: list[Any] = [numbers(n, 10 * step + i, grad) for i, n in enumerate(lengths)]
        grads[1] = grads[1] if step else None
        infos = [opt.step(grads) for opt in optimizers]
        assert (infos[0].grad_norm, infos[0].clip_factor) == (infos[1].grad_norm, infos[1].clip_factor)
        known = sy.global_norm(grads, detail=True).norms
        assert found(infos[1]).grad_norm[0] == known[0]
    for a, b in zip(*trees, strict=True):
        assert np.array_equal(a.view(np.uint8), b.view(np.uint8))
    for key, value in optimizers[0].state_dict().items():
        assert np.array_equal(value, optimizers[1].state_dict()[key]), key


@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_parameters_without_gradients_have_nan(max_norm: float | None) -> None:
    opt = sy.AdamW([np.ones(2), np.ones(3), np.ones(4)], max_norm=max_norm, nonfinite="propagate", detail=True)
    tensors = found(opt.step([None, np.full(3, 2.0), None]))
    for name in COLUMNS:
        assert np.isnan(getattr(tensors, name)).tolist() == [True, False, True]
    assert tensors.grad_norm[1] == pytest.approx(math.sqrt(12.0), rel=1e-15)
    assert "-" in str(tensors).splitlines()[1]


def test_a_step_that_is_skipped_still_says_which_gradient_was_large() -> None:
    opt = sy.AdamW([np.ones(2), np.ones(2)], nonfinite="skip", detail=True)
    info = opt.step([np.array([3.0, 4.0]), np.array([1.0, np.nan])])
    assert info.skipped
    assert found(info).grad_norm[0] == 5.0
    assert np.isnan(found(info).grad_norm[1])
    assert np.isnan(found(info).update_norm).all()


@pytest.mark.parametrize("max_norm", [None, 1.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_and_places_in_memory_change_no_bit(dtype: str, max_norm: float | None) -> None:
    n = 3 * CHUNK + 77
    p, g, small = numbers(n, 1, dtype), numbers(n, 2, dtype), numbers(9, 3, dtype)

    def step(threads: int, shift: int) -> StepTensors:
        room = np.empty(n + 1, p.dtype)
        room[shift : n + shift] = p
        before = _core.asked_threads()
        _core.set_threads(threads)
        try:
            opt = sy.AdamW(
                [small.copy(), room[shift : n + shift]], max_norm=max_norm, nonfinite="propagate", detail=True
            )
            return found(opt.step([small, g]))
        finally:
            _core.set_threads(before)

    first = step(1, 0)
    assert same(first, step(2, 0))
    assert same(first, step(3, 1))


def test_float64_norms_beyond_the_squares_of_float64() -> None:
    p, g = np.array([1e200, 1.0]), np.array([3e200, 4e200])
    tensors = found(sy.optim.SGD([p], lr=1e-200, detail=True, nonfinite="propagate").step([g]))
    assert tensors.param_norm[0] == 1e200
    assert tensors.grad_norm[0] == pytest.approx(5e200, rel=1e-15)
    assert tensors.update_norm[0] == pytest.approx(5.0, rel=1e-12)


def test_groups_and_clipping_show_in_the_updates() -> None:
    p = {"a": np.ones(4), "b": np.ones(4)}
    opt = sy.optim.SGD(p, lr=0.1, max_norm=1.0, groups=[("b", {"lr_scale": 10.0})], detail=True)
    tensors = found(opt.step({"a": np.ones(4), "b": np.ones(4)}))
    assert tensors.grad_norm.tolist() == [2.0, 2.0]  # before clipping
    assert tensors.update_norm == pytest.approx(np.array([0.2, 2.0]) / math.sqrt(8.0), rel=1e-14)


def test_it_prints_as_a_table_and_the_step_as_one_line() -> None:
    opt = sy.AdamW([np.ones(2, np.float32) for _ in range(50)], detail=True)
    info = opt.step([np.ones(2, np.float32)] * 50)
    assert repr(info).endswith("tensors=<StepTensors of 50 tensors>)")
    lines = str(info.tensors).splitlines()
    assert lines[0].split() == ["name", *COLUMNS]
    assert (len(lines), lines[-1]) == (42, "... and 10 more")
    assert len({len(line) for line in lines[:-1]}) == 1
    assert "0.00%" in found(info)._repr_html_()
    assert "of 50 tensors" in info._repr_html_()


leaves = st.tuples(st.integers(0, 40), st.sampled_from(sorted(DTYPES)), st.booleans())
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("ab", max_size=2), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def arrays(tree: Any, seed: int, gradient: bool) -> Any:
    if isinstance(tree, tuple):
        n, dtype, present = tree
        return numbers(n, seed, dtype) if present or not gradient else None
    if isinstance(tree, list):
        return [arrays(item, seed + i, gradient) for i, item in enumerate(tree)]
    return {key: arrays(item, seed + i, gradient) for i, (key, item) in enumerate(tree.items())}


def flat(tree: Any) -> list[Any]:
    items = tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else None
    return [tree] if items is None else [leaf for item in items for leaf in flat(item)]


@given(trees, st.booleans())
def test_any_tree_has_a_row_for_each_tensor(tree: Any, scan: bool) -> None:
    params, grads = arrays(tree, 1, False), arrays(tree, 2, True)
    start, given = [x.copy() for x in flat(params)], flat(grads)
    if all(g is None for g in given):
        return
    policy: Any = "raise" if scan else "propagate"
    tensors = found(sy.AdamW(params, lr=1e-3, detail=True, nonfinite=policy).step(grads))
    assert len(tensors.names) == len(start)
    for i, (p, g) in enumerate(zip(start, given, strict=True)):
        if g is None or not g.size:
            assert np.isnan(tensors.lost[i])
            continue
        options: Any = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
        zero = np.zeros_like(p)
        wanted = rules.changes(rules.adam, g, {"p": p, "m": zero, "v": zero}, step=1, **options)
        assert tensors.lost[i] == wanted["lost"]
        for name in COLUMNS[:4]:
            assert getattr(tensors, name)[i] == pytest.approx(wanted[name], rel=2e-12)


def test_two_reports_can_be_compared() -> None:
    def report(grad: float) -> sy.optim.StepInfo:
        opt = sy.AdamW({"a": np.ones(3), "b": np.ones(2), "c": np.ones(1)}, detail=True)
        return opt.step({"a": np.ones(3), "b": np.full(2, grad), "c": None})

    assert report(2.0) == report(2.0)
    assert hash(report(2.0)) == hash(report(2.0))
    assert report(2.0) != report(3.0)
    assert report(2.0).tensors != "another thing"
