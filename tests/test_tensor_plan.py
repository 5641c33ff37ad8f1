"""The core's step over tensors: what it looks at in every step, with arrays that answer like tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy

from .cases import normalish
from .fake_tensors import FakeTensor, fresh_state, tensor_plan, tensor_step


def param(n: int = 3, value: float = 1.0, dtype: str = "float32") -> FakeTensor:
    return FakeTensor(np.full(n, value, dtype), grad=np.full(n, 0.5, dtype))


def test_equals_the_optimizer_of_arrays() -> None:
    ours = [FakeTensor(normalish(n, n).astype("f4"), grad=normalish(n, 90 + n).astype("f4")) for n in (3, 70_000, 1)]
    arrays = [p.array.copy() for p in ours]
    plan, state, optimizer = tensor_plan(), fresh_state(ours), sy.AdamW(arrays, max_norm=0.5)
    for _ in range(3):
        outcome = tensor_step(plan, ours, state, max_norm=0.5)
        info = optimizer.step([p.grad.array for p in ours])
        assert (outcome["step"], outcome["grad_norm"]) == (info.step, info.grad_norm)
    for p, array in zip(ours, arrays, strict=True):
        assert np.array_equal(p.array, array)


def test_every_parameter_counts_its_own_steps_and_the_plan_its_updates() -> None:
    first, second = param(), param()
    plan, state = tensor_plan(), fresh_state([first, second])
    tensor_step(plan, [first, second], state)
    second.grad = None
    assert tensor_step(plan, [first, second], state)["step"] == 2
    assert [float(state[p]["step"].array) for p in (first, second)] == [2.0, 1.0]
    state[first]["step"].array[...] = 9  # edited by the caller
    assert tensor_step(plan, [first, second], state)["step"] == 3
    assert float(state[first]["step"].array) == 10


def test_parameters_that_must_be_prepared_are_named_and_nothing_is_written() -> None:
    ready, stateless, transposed = param(), param(), param()
    transposed.grad = FakeTensor(np.ones((1, 3), "f4"))
    params = [ready, stateless, transposed]
    state = fresh_state([ready, transposed])
    outcome = tensor_step(tensor_plan(), params, state)
    assert outcome["unready"] == [(0, 1), (0, 2)]
    assert not outcome["applied"]
    assert ready.array.tolist() == [1.0] * 3
    assert float(state[ready]["step"].array) == 0


def lacking(what: str) -> tuple[list[FakeTensor], dict]:
    found = param(4)
    state = fresh_state([found])
    if what == "moment":
        del state[found]["exp_avg_sq"]
    elif what == "type of a moment":
        state[found]["exp_avg"] = FakeTensor(np.zeros(4))
    elif what == "type of the gradient":
        found.grad = FakeTensor(np.zeros(4))
    elif what == "alignment":
        found.array = np.frombuffer(bytearray(17), "f4", 4, 1)
    elif what == "holes":
        found.array = np.ones(8, "f4")[::2]
    elif what == "overlap of its own elements":
        found.array = np.broadcast_to(np.ones(1, "f4"), (4,))
    elif what == "counter":
        state[found]["step"] = FakeTensor(np.array(3))
    elif what == "counter of float32 at its end":
        state[found]["step"] = FakeTensor(np.array(2.0**24, "f4"))
    elif what == "class":
        state[found]["exp_avg"] = found.array
    elif what == "layout":
        found.layout = "sparse"
    elif what == "device":
        found.is_cpu = False
    return [found], state


@pytest.mark.parametrize(
    "what",
    [
        "moment", "type of a moment", "type of the gradient", "alignment", "holes", "overlap of its own elements",
        "counter", "counter of float32 at its end", "class", "layout", "device",
    ],
)  # fmt: skip
def test_what_cannot_be_taken_as_it_is_must_be_prepared(what: str) -> None:
    params, state = lacking(what)
    before = params[0].array.copy()
    assert tensor_step(tensor_plan(), params, state)["unready"] == [(0, 0)]
    assert np.array_equal(params[0].array, before)


def test_other_tensors_can_be_used_instead() -> None:
    holes = param(4)
    holes.array = np.ones(8, "f4")[::2]
    own, state = param(4), fresh_state([param(4)])
    (moments,) = state.values()
    outcome = tensor_step(tensor_plan(), [holes], {}, instead={0: (own, own.grad, moments, False)})
    assert outcome["applied"]
    assert own.array[0] < 1 == holes.array[0]


@pytest.mark.parametrize(
    ("shared", "sentence"),
    [
        ("param", r"^params\[0\]: expected memory of its own; it overlaps params\[1\] "),
        ("exp_avg", r"^exp_avg of params\[0\]: expected memory of its own; it overlaps exp_avg of params\[1\] "),
        ("step", r"^step of params\[0\]: expected memory of its own; it overlaps step of params\[1\] "),
        ("grad", r"^params\[1\].grad: expected memory of its own; it overlaps params\[0\] "),
    ],
)
def test_overlaps_are_refused(shared: str, sentence: str) -> None:
    first, second = param(), param()
    state = fresh_state([first, second])
    if shared == "param":
        second.array = first.array[1:]
        second.grad = FakeTensor(np.ones(2, "f4"))
        state[second] = fresh_state([second])[second]
    elif shared == "grad":
        second.grad = FakeTensor(first.array)
    else:
        state[second][shared] = state[first][shared]
    plan = tensor_plan()
    for _ in range(2):
        with pytest.raises(ValueError, match=sentence):
            tensor_step(plan, [first, second], state)
    assert first.array.tolist() == [1.0] * 3


def test_moved_tensors_are_followed_and_no_memory_of_the_last_step_is_written() -> None:
    moving, plan = param(), tensor_plan()
    state = fresh_state([moving])
    tensor_step(plan, [moving], state)
    old, old_moment = moving.array, state[moving]["exp_avg"]
    moving.array, state[moving]["exp_avg"] = old.copy(), FakeTensor(old_moment.array.copy())
    kept = old.copy(), old_moment.array.copy()
    tensor_step(plan, [moving], state)
    assert np.array_equal(old, kept[0])
    assert np.array_equal(old_moment.array, kept[1])
    assert (moving.array < old).all()


def keeping(key: str) -> tuple[FakeTensor, dict]:
    """A parameter of 16 bits, and its state."""
    low = key == "low"
    found = FakeTensor(np.full(4, 0x3F80, "u2") if low else np.ones(4, "f2"))
    found.grad = FakeTensor(found.array.copy())
    state = fresh_state([found])
    kept = {"low": np.zeros(4, "i2"), "rest": np.zeros(4, "f2"), "master": np.ones(4, "f4")}[key]
    state[found][key] = FakeTensor(kept)
    return found, state


KEPT = pytest.mark.parametrize("key", ["low", "rest", "master"])


@KEPT
def test_what_a_parameter_keeps_is_written_and_followed(key: str) -> None:
    found, state = keeping(key)
    plan = tensor_plan()
    tensor_step(plan, [found], state, kept=key)
    old = state[found][key].array
    assert (old != {"low": 0, "rest": 0, "master": 1}[key]).all()
    assert np.unique(old).size == 1
    state[found][key] = FakeTensor(old.copy())
    before = old.copy()
    tensor_step(plan, [found], state, kept=key)
    assert np.array_equal(old, before)
    assert (state[found][key].array != before).all()


@KEPT
@pytest.mark.parametrize("what", ["missing", "type", "layout", "alignment", "wide"])
def test_what_a_parameter_keeps_must_be_prepared_where_it_does_not_go_with_it(key: str, what: str) -> None:
    found, state = keeping(key)
    plan, kept = tensor_plan(), state[found][key].array
    tensor_step(plan, [found], state, kept=key)
    if what == "missing":
        del state[found][key]
    elif what == "type":  # also in the same place
        state[found][key].array = kept.view({"low": "u2", "rest": "u2", "master": "i4"}[key])
    elif what == "layout":
        state[found][key] = FakeTensor(np.repeat(kept, 2)[::2])
    elif what == "alignment":
        state[found][key] = FakeTensor(np.frombuffer(bytearray(kept.nbytes + 1), kept.dtype, 4, 1))
    else:
        found.array, found.grad = np.ones(4, "f4"), FakeTensor(np.ones(4, "f4"))
        state[found] |= fresh_state([found])[found]
    before = found.array.copy(), kept.copy()
    assert tensor_step(plan, [found], state, kept=key)["unready"] == [(0, 0)]
    assert np.array_equal(found.array, before[0])
    assert np.array_equal(kept, before[1])


@KEPT
def test_what_a_parameter_keeps_must_not_overlap(key: str) -> None:
    found, state = keeping(key)
    found.grad = state[found][key] if key == "rest" else FakeTensor(state[found][key].array.view(found.dtype)[:4])
    with pytest.raises(ValueError, match=rf"^params\[0\].grad: .* it overlaps {key} of params\[0\] "):
        tensor_step(tensor_plan(), [found], state, kept=key)
    with pytest.raises(ValueError, match=r"^kept: expected low, rest or master; got higher"):
        tensor_step(tensor_plan(), [found], state, kept="higher")


class Emptied(FakeTensor):
    """A tensor whose storage was cut short under it."""

    def untyped_storage(self) -> Any:
        return FakeTensor(self.array[:1])

    def storage_offset(self) -> int:
        return 1


@pytest.mark.parametrize("what", ["param", "grad"])
def test_storages_that_were_shortened_are_refused(what: str) -> None:
    short = param()
    state = fresh_state([short])
    if what == "param":
        short.__class__ = Emptied
    else:
        short.grad.__class__ = Emptied
    plan = tensor_plan(FakeTensor, Emptied)
    with pytest.raises(ValueError, match=r"^params\[0\].*: expected a tensor with memory for its elements"):
        tensor_step(plan, [short], state)


@pytest.mark.parametrize("steps", [-1.0, 0.5, np.nan, np.inf, 2.0**53])
def test_numbers_of_steps_that_none_can_be(steps: float) -> None:
    found = param()
    state = fresh_state([found])
    state[found]["step"] = FakeTensor(np.array(steps))
    with pytest.raises(ValueError, match=r"step of params\[0\]: expected a whole number"):
        tensor_step(tensor_plan(), [found], state)


def test_counters_of_float64_count_beyond_float32() -> None:
    found = param()
    state = fresh_state([found])
    state[found]["step"] = FakeTensor(np.array(2.0**24))
    tensor_step(tensor_plan(), [found], state)
    assert float(state[found]["step"].array) == 2**24 + 1


def test_a_step_that_is_left_out_changes_and_tells_nothing() -> None:
    found, told = param(), []
    state = fresh_state([found])
    found.grad.array[1] = np.nan
    plan = tensor_plan()
    for options in ({"stop_nonfinite": True}, {"skip": True, "scan": False, "stop_nonfinite": False}):
        outcome = tensor_step(plan, [found], state, tell=told.append, **options)
        assert (outcome["applied"], outcome["step"], told) == (False, 0, [])
    assert found.array.tolist() == [1.0] * 3
    assert plan.last == {**outcome, "unready": []}


def test_gradients_are_divided_by_a_scale_before_they_are_clipped() -> None:
    plain, scaled = param(), param()
    scaled.grad.array *= 8
    plans = [
        tensor_step(tensor_plan(), [p], fresh_state([p]), max_norm=0.1, grad_scale=s)
        for p, s in ((plain, 1.0), (scaled, 8.0))
    ]
    assert plans[0] == plans[1]
    assert np.array_equal(plain.array, scaled.array)
