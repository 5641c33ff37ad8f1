"""AdamW, clipping and schedules: tests of what only this part of the package does."""

from __future__ import annotations

import copy
import json
import math
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import steelyard as sy
from steelyard import _core
from steelyard.optim import GlobalNormState, adamw_

from .cases import normalish
from .states import sealed

FLOATS = ("float32", "float64")


def tree(dtype: str = "float32") -> dict[str, Any]:
    return {
        "layers": [{"w": normalish(6, 1).reshape(2, 3).astype(dtype), "b": normalish(3, 2).astype(dtype)}],
        "head": normalish(4, 3).astype(dtype),
    }


def gradients(step: int, dtype: str = "float32") -> dict[str, Any]:
    return {
        "head": normalish(4, 10 + step).astype(dtype),  # another order of keys: leaves are matched by key
        "layers": [
            {"b": normalish(3, 20 + step).astype(dtype), "w": normalish(6, 30 + step).reshape(2, 3).astype(dtype)}
        ],
    }


def flat(params: dict[str, Any]) -> bytes:
    return b"".join(a.tobytes() for a in (params["layers"][0]["w"], params["layers"][0]["b"], params["head"]))


# ---- the update -------------------------------------------------------------------------------------------


def test_the_published_trajectory() -> None:
    """40-digit values: lr 0.1, betas 0.9 / 0.999, eps 1e-8, decoupled weight decay 0.01."""
    p = np.array([1.0, -2.0])
    opt = sy.AdamW(p, lr=0.1)
    wanted = [
        (0.899000009999999, -1.8980000033333332222),
        (0.80158281351125236039, -1.8560801479247471864),
        (0.82016067546619717112, -1.8232870578641779554),
    ]
    for grad, want in zip([(0.1, -0.3), (0.2, 0.1), (-0.4, 0.0)], wanted, strict=True):
        opt.step(np.array(grad))
        np.testing.assert_allclose(p, want, rtol=2e-15)


def test_a_quadratic_is_minimised() -> None:
    w, target = np.array([0.1, -0.2, -0.1], np.float32), np.array([0.4, 0.2, -0.5], np.float32)
    opt = sy.AdamW(w, lr=0.2, weight_decay=0.0)
    for _ in range(100):
        opt.step(2 / 3 * (w - target))
    np.testing.assert_allclose(w, target, atol=1e-2)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("amsgrad", [False, True])
def test_interrupted_equals_uninterrupted_bit_for_bit(tmp_path: Any, dtype: str, amsgrad: bool) -> None:
    options: dict[str, Any] = {
        "lr": sy.schedules.cosine(1e-2, total_steps=8, warmup_steps=2),
        "max_norm": 1.0,
        "amsgrad": amsgrad,
    }
    whole = tree(dtype)
    opt = sy.AdamW(whole, **options)
    for step in range(8):
        opt.step(gradients(step, dtype))

    first = tree(dtype)
    opt = sy.AdamW(first, **options)
    for step in range(3):
        opt.step(gradients(step, dtype))
    np.savez(tmp_path / "opt.npz", **opt.state_dict())
    resumed = {"layers": [{k: v.copy() for k, v in first["layers"][0].items()}], "head": first["head"].copy()}
    opt = sy.AdamW(resumed, **options)
    opt.load_state_dict(np.load(tmp_path / "opt.npz"))
    for step in range(3, 8):
        info = opt.step(gradients(step, dtype))
    assert flat(whole) == flat(resumed)
    assert info.step == 8


def test_the_function_and_the_class_do_the_same() -> None:
    a, b = np.ones(5), np.ones(5)
    m, v, largest = (np.zeros(5) for _ in range(3))
    opt = sy.AdamW(a, lr=0.1, amsgrad=True, max_norm=0.5)
    for step in (1, 2, 3):
        grad = normalish(5, step)
        info = opt.step(grad)
        assert info == adamw_(b, grad, m, v, max_exp_avg_sq=largest, step=step, lr=0.1, max_norm=0.5)
    assert a.tobytes() == b.tobytes()


def test_gradients_are_only_read_and_the_clip_is_in_the_step() -> None:
    clipped, by_hand = np.ones(1000, np.float32), np.ones(1000, np.float32)
    grad = normalish(1000, 5).astype(np.float32)
    grad.flags.writeable = False
    info = sy.AdamW(clipped, max_norm=1.0).step(grad)
    scaled = grad * np.float32(info.clip_factor)
    sy.AdamW(by_hand).step(scaled)
    assert clipped.tobytes() == by_hand.tobytes()
    assert info.grad_norm == sy.global_norm(grad)
    assert info.clip_factor == 1.0 / info.grad_norm


def test_a_schedule_drives_the_rate_and_a_constant_can_be_changed() -> None:
    opt = sy.AdamW(np.ones(2), lr=sy.schedules.linear(1.0, total_steps=4))
    assert [opt.step(np.ones(2)).lr for _ in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    opt.lr = 0.125
    assert opt.step(np.ones(2)).lr == 0.125


def test_tiny_moments_keep_plain_ieee_bits() -> None:
    """No flush to zero: a zero gradient lets m stick at a few denormal ulps, as in torch."""
    p, m, v = np.ones(1, np.float32), np.full(1, 1e-3, np.float32), np.full(1, 1e-6, np.float32)
    for step in range(1, 1001):
        adamw_(p, np.zeros(1, np.float32), m, v, step=step)
    assert 0 < m[0] < 1e-44


# ---- what is not finite -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_three_policies(bad: float) -> None:
    grad = np.array([1.0, bad, bad])
    p = np.ones(3)
    opt = sy.AdamW({"w": p}, nonfinite="raise")
    with pytest.raises(ValueError, match=r'grads\["w"\]: expected finite gradients; got 2 NaN .*element 1;'):
        opt.step({"w": grad})
    assert p.tolist() == [1, 1, 1]
    assert opt.state_dict()["step"] == 0

    opt = sy.AdamW({"w": p}, nonfinite="skip")
    info = opt.step({"w": grad})
    assert (info.skipped, info.step, info.nonfinite, info.first_nonfinite) == (True, 0, 2, 'grads["w"]')
    assert info.first_element == 1
    assert p.tolist() == [1, 1, 1]

    info = sy.AdamW({"w": p}, nonfinite="propagate").step({"w": grad})
    assert (info.grad_norm, info.clip_factor, info.step) == (None, 1.0, 1)
    assert np.isfinite(p).tolist() == [True, False, False]


def test_clipping_with_nan() -> None:
    grads = [np.ones(3), np.array([math.nan])]
    with pytest.raises(ValueError, match=r"grads\[1\]: expected finite values; got 1 NaN or infinite"):
        sy.clip_by_global_norm_(grads, 1.0)
    assert math.isnan(sy.clip_by_global_norm_(grads, 1.0, nonfinite="skip"))
    assert grads[0].tolist() == [1, 1, 1]
    sy.clip_by_global_norm_(grads, 1.0, nonfinite="propagate")
    assert np.isnan(grads[0]).all()


# ---- norms ------------------------------------------------------------------------------------------------


def test_norms_where_peers_overflow_or_vanish() -> None:
    for value in (1e20, 1e-25):
        x = np.full(4, value, np.float32)
        assert sy.global_norm(x) == 2 * float(np.float32(value))
    half = np.full(4, 40000, np.float16)
    assert sy.global_norm(half) == 80000.0


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_threshold_is_exact(dtype: str) -> None:
    g = np.array([3, 4], dtype)
    assert sy.clip_by_global_norm_(g, max_norm=5.0) == 5.0
    assert g.tolist() == [3, 4]
    assert sy.clip_by_global_norm_(g, max_norm=np.nextafter(5.0, 0)) == 5.0
    # In float32 the factor rounds to 1.
    assert (g[0] < 3) == (dtype == "float64")


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)), st.floats(1e-3, 1e3))
def test_clipping_is_idempotent_up_to_rounding(x: np.ndarray, limit: float) -> None:
    sy.clip_by_global_norm_(x, limit)
    once = x.copy()
    assert sy.global_norm(x) <= limit * (1 + 1e-15 * (x.size + 2))
    sy.clip_by_global_norm_(x, limit)
    np.testing.assert_allclose(x, once, rtol=1e-15 * (x.size + 2))


@given(st.lists(hnp.arrays(np.float64, 3, elements=st.floats(-1e150, 1e150)), min_size=1, max_size=6), st.randoms())
def test_merging_norm_states_is_exact_in_any_order(parts: list[np.ndarray], random: Any) -> None:
    in_order = GlobalNormState()
    for part in parts:
        in_order.update(part)
    shuffled = [GlobalNormState().update(part) for part in parts]
    random.shuffle(shuffled)
    assert sum(shuffled[1:], shuffled[0]).compute() == in_order.compute()
    assert GlobalNormState.from_bytes(in_order.to_bytes()).compute() == in_order.compute()


def test_damaged_bytes_of_a_norm_are_refused() -> None:
    data = sy.optim.GlobalNormState().update(np.array([3.0])).to_bytes()
    assert sy.optim.GlobalNormState.from_bytes(bytearray(data)).compute() == 3.0
    with pytest.raises(TypeError, match="data: expected bytes; got str"):
        sy.optim.GlobalNormState.from_bytes("SYST")  # type: ignore[arg-type]
    for bad in (data[:-1], b"", data[:-2] + b"xx"):
        with pytest.raises(ValueError, match="data: expected"):
            sy.optim.GlobalNormState.from_bytes(bad)


def test_one_update_is_the_function() -> None:
    x = normalish(1000, 7)
    assert GlobalNormState().update(x).compute() == sy.global_norm(x)
    assert GlobalNormState().compute() == 0.0
    assert GlobalNormState().update(np.full(4, 1e300)).compute() == 2e300
    assert GlobalNormState().update(np.array([5e-324])).compute() == 5e-324


# ---- bad input: one sentence, the path, nothing written -----------------------------------------------------


def readonly(n: int) -> np.ndarray:
    x = np.ones(n)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": [readonly(3)]}, 'params["a"][0]: expected a writeable array; got a read-only one'),
        (np.ones((3, 4)).T, "params: expected a C-contiguous array"),
        (np.ones(8)[::2], "params: expected a C-contiguous array"),
        (np.broadcast_to(np.ones(1), (3,)), "params: expected a C-contiguous array"),
        (np.ones(3, ">f4"), "params: expected an aligned array of floats in native byte order; got dtype >f4"),
        (np.ones(3, np.int64), "params: expected an aligned array of floats"),
        ({"w": [1.0, 2.0]}, 'params["w"][0]: expected a NumPy array or a torch CPU tensor'),
        ({}, "params: expected at least one array; got none"),
        ({"a": {"b/c": np.ones(1)}, "a/b": {"c": np.ones(1)}}, "params: expected paths that stay apart"),
    ],
)
def test_bad_parameters(params: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.AdamW(params)
    assert str(caught.value).startswith(message)


def test_overlapping_and_tied_parameters() -> None:
    base = np.zeros(10)
    with pytest.raises(ValueError, match=r"params\[0\]: expected memory of its own; it overlaps params\[1\]"):
        sy.AdamW([base[:6], base[4:]])
    with pytest.raises(ValueError, match="tied arrays: pass one of them only"):
        sy.AdamW({"embed": base, "head": base})
    with pytest.raises(ValueError, match="it overlaps grads"):
        sy.AdamW(base).step(base)


@pytest.mark.parametrize(
    ("grads", "message"),
    [
        (
            {"w": np.ones(4)},
            'grads["w"]: expected float64 of shape (3,), like the parameter; got float64 of shape (4,)',
        ),
        ({"w": np.ones(2, np.float16)}, 'grads["w"]: expected float16 of shape (3,), like the parameter; got float16'),
        ({"w": np.ones((3, 1))}, 'grads["w"]: expected float64 of shape (3,)'),
        ({}, "grads: expected the keys of the parameters; got a dictionary without 'w'"),
        ({"w": np.ones(3), "b": 1}, "grads: expected the keys of the parameters; got a dictionary also 'b'"),
        ([np.ones(3)], "grads: expected a dictionary, like the parameters; got list"),
        ({"w": None}, "grads: expected a gradient for at least one parameter; got none"),
        (None, "grads: expected a gradient for at least one parameter; got none"),
        ({"w": np.ma.masked_array(np.ones(3), [0, 1, 0])}, 'grads["w"]: expected a plain array; got a masked array'),
        ({"w": np.array([1, None, 2])}, 'grads["w"]: expected no nulls; got none at index 1'),
    ],
)
def test_bad_gradients_write_nothing(grads: Any, message: str) -> None:
    w = np.ones(3)
    opt = sy.AdamW({"w": w})
    with pytest.raises((TypeError, ValueError)) as caught:
        opt.step(grads)
    assert str(caught.value).startswith(message)
    assert w.tolist() == [1, 1, 1]
    assert opt.step({"w": np.ones(3)}).step == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr: expected a number that is at least 0; got -1.0"),
        ({"lr": math.nan}, "lr: expected a number that is at least 0"),
        ({"lr": "fast"}, "lr: expected a number; got str 'fast'"),
        ({"betas": (1.0, 0.9)}, "betas[0]: expected at least 0 and below 1; got 1.0"),
        ({"betas": 0.9}, "betas: expected two numbers; got float 0.9"),
        ({"betas": (0.9, "x")}, "betas[1]: expected a number; got str 'x'"),
        ({"lr": True}, "lr: expected a number; got bool True"),
        ({"lr": "0.1"}, "lr: expected a number; got str '0.1'"),
        ({"eps": -1e-8}, "eps: expected a number that is at least 0"),
        ({"weight_decay": math.inf}, "weight_decay: expected a number that is at least 0"),
        ({"max_norm": -1}, "max_norm: expected a number that is at least 0; got -1"),
        ({"nonfinite": "ignore"}, "nonfinite: expected one of raise, skip, propagate; got 'ignore'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.AdamW(np.ones(3), **options)
    assert str(caught.value).startswith(message)


def test_a_schedule_that_goes_wrong_is_named() -> None:
    w = np.ones(2)
    opt = sy.AdamW(w, lr=lambda step: math.nan)
    with pytest.raises(ValueError, match="lr: expected a number that is at least 0; got nan"):
        opt.step(np.ones(2))
    assert w.tolist() == [1, 1]


def _set(state: dict[str, Any], key: str, value: float) -> None:
    state[key][1] = value


def _edited(state: dict[str, Any], **changes: Any) -> np.ndarray:
    return np.array(json.dumps(json.loads(str(state["options"])) | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("exp_avg/head"), "no 'exp_avg/head'"),
        (lambda s: s.update(other=np.ones(1)), "also 'other'"),
        (
            lambda s: s.update({"exp_avg/head": np.ones(3, np.float32)}),
            "state['exp_avg/head']: expected float32 of shape (4,)",
        ),
        (lambda s: s.update({"exp_avg/head": np.ones(4)}), "got float64 of shape (4,)"),
        (lambda s: s.update(step=np.array(-1)), "state['step']: expected a whole number from 0 to"),
        (lambda s: s.update(step=np.array(2**63 - 1)), "state['step']: expected a whole number from 0 to"),
        (lambda s: s.update(step=np.array(2**64 - 1, np.uint64)), "state['step']: expected a whole number from 0 to"),
        (lambda s: s.update(step=np.array(0)), "state['exp_avg/layers/0/w']: expected moments of 0, as the state says"),
        (lambda s: s.update(numerics=np.array(999)), "state['numerics']: expected 1, as this version"),
        (lambda s: s.update(options=np.array("[]")), "state['options']: expected what state_dict() wrote"),
        (lambda s: s.update(options=np.array("[" * 100_000)), "state['options']: expected what state_dict() wrote"),
        (lambda s: s.update(options=np.array("{")), "state['options']: expected what state_dict() wrote"),
        (lambda s: s.update(options=_edited(s, eps=1e-60)), "state['options']: expected what state_dict() wrote"),
        (lambda s: s.update(options=_edited(s, betas=[0.9])), "state['options']: expected what state_dict() wrote"),
        (lambda s: _set(s, "exp_avg_sq/head", -1e-45), "expected second moments of at least 0; got a negative one"),
        (lambda s: _set(s, "exp_avg_sq/head", np.nan), "expected finite moments; got a NaN or infinity at element 1"),
        (lambda s: _set(s, "exp_avg_sq/head", np.inf), "expected finite moments"),
        (lambda s: _set(s, "exp_avg/layers/0/b", -np.inf), "state['exp_avg/layers/0/b']: expected finite moments"),
        (lambda s: _set(s, "max_exp_avg_sq/head", 0.0), "expected the largest second moments so far; got one below"),
    ],
)
def test_a_bad_state_changes_nothing(change: Any, message: str) -> None:
    opt = sy.AdamW(tree(), amsgrad=True)
    opt.step(gradients(1))
    before = opt.state_dict()
    state = {key: array.copy() for key, array in before.items()}
    change(state)
    opt.step(gradients(2))
    before = opt.state_dict()
    with pytest.raises(ValueError, match="expected") as caught:
        opt.load_state_dict(state)
    assert message in str(caught.value)
    assert all(np.array_equal(array, before[key]) for key, array in opt.state_dict().items())


def test_a_parameter_that_became_read_only_is_noticed() -> None:
    w = np.ones(3)
    opt = sy.AdamW(w)
    w.flags.writeable = False
    with pytest.raises(ValueError, match="params: expected a writeable array; got a read-only one"):
        opt.step(np.ones(3))


def test_transposed_gradients_meet_the_right_elements() -> None:
    grad = np.arange(20.0).reshape(4, 5).T
    ours, plain = np.zeros((5, 4)), np.zeros((5, 4))
    sy.AdamW(ours).step(grad)
    sy.AdamW(plain).step(np.ascontiguousarray(grad))
    assert ours.tobytes() == plain.tobytes()


def test_empty_arrays_and_scalars_are_arrays_too() -> None:
    params = [np.zeros((0, 3)), np.ones(())]
    info = sy.AdamW(params, lr=0.1).step([np.zeros((0, 3)), np.array(2.0)])
    assert (info.grad_norm, params[1] < 1) == (2.0, True)


def test_a_parameter_that_became_another_type_is_refused() -> None:
    w = np.ones(8, np.float32)
    opt = sy.AdamW(w)
    try:
        w.dtype = np.dtype(np.float64)  # the same bytes
    except (AttributeError, DeprecationWarning):
        pytest.skip("this NumPy gives arrays no other dtype in place")
    with pytest.raises(ValueError, match=r"params: expected float32 of shape \(8,\), as when the optimizer was made"):
        opt.step(np.ones(4))


def test_the_core_asks_for_what_it_cannot_read_as_it_stands() -> None:
    plain = [np.ones(2, t) for t in (np.float16, np.float32, np.float64)] + [
        np.ones(0, np.float32),
        np.ones(()),
        np.ones(2),
    ]
    foreign: list[Any] = [
        None,
        1.0,
        [1.0],
        np.float64(1.0),
        np.ones(2, np.int64),
        np.ones(2, np.uint16),  # the bits of bfloat16 say so nowhere
        np.ones(2, ">f4"),
        np.ones(4)[::2],
        np.ones((2, 3)).T,
        np.ma.masked_array([1.0, 2.0]),
        np.frombuffer(b"0" * 9, np.uint8)[1:].view(np.float64),
    ]
    asked: list[int] = []
    made = np.full(1, 2.0)

    def convert(i: int) -> np.ndarray:
        asked.append(i)
        return made

    arrays = _core.convert_unreadable((*plain, *foreign), convert)
    assert asked == list(range(len(plain), len(plain) + len(foreign)))
    assert all(a is b for a, b in zip(arrays, [*plain, *[made] * len(foreign)], strict=True))
    assert _core.convert_unreadable(tuple(plain), convert) == tuple(plain)
    assert _core.convert_unreadable((), convert) == ()


class Sly:
    """A gradient that runs code when it is read."""

    def __init__(self, size: int, code: Callable[[], Any]) -> None:
        self.size, self.code = size, code

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.code()
        return np.ones(self.size)


def test_what_reading_a_gradient_does_to_a_parameter_is_seen() -> None:
    """Python code runs while gradients are read; nothing is checked before it has run."""
    params = [np.ones(3), np.ones(3)]
    opt = sy.AdamW(params)
    with pytest.raises(ValueError, match=r"params\[0\]: expected a writeable array"):
        opt.step([np.ones(3), Sly(3, lambda: params[0].setflags(write=False))])
    assert [p.tolist() for p in params] == [[1.0] * 3] * 2
    params[0].setflags(write=True)
    # Two steps, one inside the other: the inner one comes first.
    assert opt.step([np.ones(3), Sly(3, lambda: opt.step([np.ones(3)] * 2))]).step == 2


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (lambda m: m.resize(1000, refcheck=False), r"exp_avg: expected float64 of shape \(3,\).* got .*\(1000,\)"),
        (lambda m: m.setflags(write=False), "exp_avg: expected a writeable array"),
    ],
)
def test_what_reading_a_gradient_does_to_a_moment_is_seen(code: Callable[[np.ndarray], Any], sentence: str) -> None:
    w, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    with pytest.raises(ValueError, match=sentence):
        sy.optim.adamw_(w, Sly(3, lambda: code(m)), m, v, step=1)
    assert w.tolist() == [1.0] * 3


def test_what_reading_the_rate_does_to_a_moment_is_seen() -> None:
    w, m, v = np.ones(3), np.zeros(3), np.zeros(3)

    class Rate(float):
        def __float__(self) -> float:
            m.resize(1000, refcheck=False)
            return 0.1

    with pytest.raises(ValueError, match=r"exp_avg: expected float64 of shape \(3,\)"):
        sy.optim.adamw_(w, np.ones(3), m, v, step=1, lr=Rate(0.1))
    assert w.tolist() == [1.0] * 3


def test_a_parameter_that_was_resized_is_refused() -> None:
    for size in (3000, 2):
        w = np.ones(8)
        opt = sy.AdamW(w)
        w.resize(size, refcheck=False)
        with pytest.raises(
            ValueError, match=r"params: expected float64 of shape \(8,\), as when the optimizer was made"
        ):
            opt.step(np.ones(size))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_a_parameter_that_was_given_another_shape_or_type_in_place_is_refused(options: dict[str, Any]) -> None:
    for name, value, got in (
        ("shape", (2, 2), r"float64 of shape \(2, 2\)"),
        ("dtype", np.float32, "float32 of shape"),
    ):
        w = np.ones(4)
        opt = sy.optim.SGD(w, **options)
        setattr(w, name, value)
        before = w.tobytes()
        with pytest.raises(ValueError, match=rf"params: expected float64 of shape \(4,\), as when .*; got {got}"):
            opt.step(np.ones_like(w))
        assert w.tobytes() == before


def test_a_parameter_is_taken_where_it_is_and_refused_in_another_order() -> None:
    n, taken = 1000, []
    while True:  # until the new memory is not by chance the old one
        w = np.ones(n)
        opt, before = sy.AdamW(w), w.ctypes.data
        w.__setstate__((1, (n,), np.dtype(np.float64), False, np.full(n, 7.0).tobytes()))
        if w.ctypes.data != before:
            break
        taken.append(w)
    assert opt.step(np.ones(n)).step == 1
    assert (w < 7.0).all()
    assert len(set(w.tolist())) == 1
    pair = np.ones((2, 2))
    opt = sy.AdamW(pair)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pair.strides = (8, 16)
    with pytest.raises(ValueError, match="params: expected a C-contiguous array"):
        opt.step(np.ones((2, 2)))


def test_overlaps_are_found_wherever_they_stand() -> None:
    """Also behind the row that was looked at last, and between arrays whose shapes are asked for ahead."""
    big = np.zeros(4000)
    with pytest.raises(ValueError, match=r"params\[0\]: expected memory of its own; it overlaps grads\[1\]"):
        sy.AdamW([big[:10], big[10:20]]).step([big[20:30], big[:10]])
    many = [big[10 * i : 10 * i + 10] for i in range(200)]
    opt = sy.AdamW(many)
    apart = [np.ones(10) for _ in many]
    opt.step(apart)
    for i in (0, 23, 24, 25, 199):
        grads = apart.copy()
        grads[i] = big[1991:2001]
        with pytest.raises(ValueError, match=rf"params\[199\]: .* overlaps grads\[{i}\]"):
            opt.step(grads)
    # What is empty overlaps nothing.
    sy.AdamW([big[:10], big[5:5]]).step([np.ones(10), big[5:5]])
    sy.AdamW([big[5:5], big[:10]]).step([big[5:5], np.ones(10)])
    with pytest.raises(ValueError, match=r"params\[0\]: .* overlaps params\[1\] \(tied arrays: pass one"):
        sy.AdamW([big[4:], big[:6]])
    one = np.full(2, 3.0)
    with pytest.raises(ValueError, match=r"grads\[0\]: .* overlaps grads\[1\]"):
        sy.clip_by_global_norm_([one, one], 100.0)  # also where nothing would be clipped


def test_moments_are_like_their_parameters() -> None:
    one, two, three = np.ones(3), np.ones(2), np.ones(3)
    with pytest.raises(
        ValueError, match=r"exp_avg: expected float64 of shape \(3,\), like the parameter; got .*\(2,\)"
    ):
        sy.optim.adamw_(one, np.ones(3), two, three, step=1)
    with pytest.raises(ValueError, match=r"exp_avg_sq: expected float64 .* got float32"):
        sy.optim.adamw_(one, np.ones(3), three, np.ones(3, np.float32), step=1)
    assert one.tolist() == [1.0] * 3


def test_the_core_counts_its_arrays() -> None:
    w = np.ones(2)
    plan = _core.OptimizerPlan(
        paths=["a"], given=[w], params=[w], moments=[[np.zeros(2)], [np.zeros(2)]], steps=0, options=None
    )
    options: Any = {"step": 1, "groups": [{"lr": 0.1}], "max_norm": None, "scan": True, "stop_nonfinite": True}
    for of_row in (np.zeros(2, np.uint32), np.ones(1, np.uint32), np.zeros(1)):
        with pytest.raises((ValueError, TypeError), match="of_row: expected"):
            plan.step((np.ones(2),), lambda row: w, of_row=of_row, **options)
    options |= {"of_row": None}
    with pytest.raises(ValueError, match="arrays: expected 1, one beside each that is written; got 0"):
        plan.step((), lambda row: w, **options)
    for moments in ([], [[np.zeros(2)]], [[np.zeros(2)]] * 4, [[np.zeros(2)], []]):
        with pytest.raises(ValueError, match="expected"):
            _core.OptimizerPlan(paths=["a"], given=[w], params=[w], moments=moments, steps=0, options=None)


def test_a_copy_keeps_parameters_and_gradients_together() -> None:
    """Also when the dictionary has changed since the optimizer was made."""
    params = {"a": np.zeros(2), "b": np.zeros(2)}
    opt = sy.AdamW(params, lr=0.1, weight_decay=0.0)
    params["a"] = params.pop("a")
    params["later"] = np.zeros(5)
    twin = copy.deepcopy(opt)
    grads = {"a": np.ones(2), "b": -np.ones(2)}
    opt.step(grads)
    twin.step(grads)
    assert np.allclose([params["a"], params["b"]], [[-0.1] * 2, [0.1] * 2])
    assert all(a.tobytes() == b.tobytes() for a, b in zip(opt._params, twin._params, strict=True))


def test_gradients_have_the_containers_that_the_parameters_had() -> None:
    params: dict[Any, Any] = {"a": np.zeros(2), "b": [np.zeros(2), {"c": np.zeros(2)}, {}, []], 3: ()}
    opt = sy.AdamW(params, lr=0.1, weight_decay=0.0)
    # Another order, a tuple for a list, another Mapping; each its own sign.
    inner = MappingProxyType({"c": np.array([1.0, -1.0])})
    grads: dict[Any, Any] = {3: [], "b": (np.full(2, -1.0), inner, OrderedDict(), ()), "a": np.ones(2)}
    params["later"] = np.ones(2)
    opt.step(grads)
    got = [params["a"], params["b"][0], params["b"][1]["c"]]
    assert np.allclose(got, [[-0.1, -0.1], [0.1, 0.1], [-0.1, 0.1]])
    b = list(grads["b"])
    for wrong, sentence in (
        ({"a": np.ones(2), 3: ()}, r"grads: expected the keys of the parameters; got a dictionary without 'b'"),
        (grads | {"later": 1}, r"grads: expected the keys of the parameters; got a dictionary also 'later'"),
        ({"a": 1, "b": 1, "c": 1}, r"got a dictionary without 3; also 'c'"),
        (grads | {"b": b[:1]}, r'grads\["b"\]: expected 4 items, like the parameters; got 1'),
        (grads | {"b": [b[0], {"d": 1}, *b[2:]]}, r'grads\["b"\]\[1\]: expected the keys .* without \'c\'; also \'d\''),
        (grads | {"b": [b[0], b[0], *b[2:]]}, r'grads\["b"\]\[1\]: expected a dictionary, like the parameters'),
        (grads | {"b": np.ones(2)}, r'grads\["b"\]: expected a list or tuple, like the parameters'),
        ([np.ones(2)], "grads: expected a dictionary, like the parameters"),
    ):
        with pytest.raises((TypeError, ValueError), match=sentence):
            opt.step(wrong)


class Lazy(Mapping[str, np.ndarray]):
    """A mapping that loads what it is asked for, such as an opened file."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays, self.loaded = arrays, 0

    def __getitem__(self, key: str) -> np.ndarray:
        self.loaded += 1
        return self.arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def test_the_norm_takes_each_leaf_once() -> None:
    plain = Lazy({str(i): np.ones(1) for i in range(100)})
    assert sy.global_norm([plain]) == 10.0
    assert plain.loaded == 100
    # What is written is asked for twice: a mapping that makes new objects would lose it.
    assert sy.clip_by_global_norm_([plain], 20.0) == 10.0
    assert plain.loaded == 300
    # Paths are written out for the first value that must be converted, and no value is asked for again.
    foreign = Lazy({str(i): np.ones(1, ">f4") for i in range(100)})
    assert sy.global_norm([foreign]) == 10.0
    assert foreign.loaded == 100


def test_clipping_names_the_leaf_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match=r'grads\["w"\]\[1\]: expected finite values; got 1 NaN or infinite'):
        sy.clip_by_global_norm_({"w": [np.ones(2), np.array([1.0, np.nan])]}, 1.0)


def test_gradients_of_every_kind_in_one_tree() -> None:
    """One leaf that must be converted among many that need not be."""
    params = [np.ones(3, np.float32) for _ in range(5)]
    grads: list[Any] = [np.full(3, 2.0, np.float32) for _ in range(5)]
    grads[3] = np.full(6, 2.0, ">f4")[::2]
    opt, same = sy.AdamW(params), [p.copy() for p in params]
    opt.step(grads)
    sy.AdamW(same).step([np.full(3, 2.0, np.float32) for _ in range(5)])
    assert [p.tobytes() for p in params] == [p.tobytes() for p in same]
    assert opt.step([grads[0], None, *grads[2:]]).left_out == 1
    with pytest.raises(ValueError, match=r'grads\["b"\]: expected .* shape'):
        sy.AdamW({"a": np.ones(2), "b": np.ones(3)}).step({"a": np.ones(2), "b": np.ones(2)})


@pytest.mark.parametrize("root", [2**53 + 1, 2**53 + 3, 2**54 - 1, 2**54 - 3])
def test_a_root_halfway_between_two_doubles_goes_to_the_even_one(root: int) -> None:
    """One unit more than the square rounds the root up and one less rounds it down; the tie goes to the even number."""
    square = root * root << 3200  # in the units of the state
    rounded = [norm_of(total).compute() for total in (square - 1, square, square + 1)]
    assert rounded == [root - 1, float(root), root + 1]
    assert norm_of(9 << 3200).compute() == 3.0


def norm_of(total: int) -> GlobalNormState:
    """The state whose sum of squares is ``total`` units of 2**-3200."""
    limbs = -(-total.bit_length() // 64)
    body = struct.pack("<I", 2) + b"{}" + struct.pack("<I", limbs) + total.to_bytes(8 * limbs, "little")
    return GlobalNormState.from_bytes(sealed(GlobalNormState, body))


def test_no_limit_clips_nothing() -> None:
    g = np.array([3.0, 4.0])
    assert sy.clip_by_global_norm_(g, max_norm=math.inf) == 5.0
    assert g.tolist() == [3.0, 4.0]
