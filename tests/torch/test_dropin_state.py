"""``state_dict`` in both directions between torch's AdamW and this one, files, copies, pickles."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from steelyard.torch import AdamW

from .dropin import (
    MAKERS,
    Make,
    assert_same_bits,
    assert_same_run,
    every_parameter,
    give_gradients,
    ours,
    parameters,
    theirs,
    train,
    values,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "amsgrad": {"amsgrad": True},
    "everything": {"amsgrad": True, "maximize": True, "betas": (0.8, 0.95), "weight_decay": 0.1, "eps": 1e-6},
}


def groups(dtype: torch.dtype = torch.float32) -> list[dict[str, Any]]:
    a, b, c = parameters((16, 8), (32,), (4, 16), dtype=dtype)
    return [{"params": [a, b], "lr": 0.01}, {"params": [c], "weight_decay": 0.5, "betas": (0.7, 0.9)}]


def as_file(value: Any) -> Any:
    """Saved by ``torch.save``, and loaded as checkpoints are since torch 2.6: tensors and plain values only."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def continued(first: Make, second: Make, through: Any, **options: Any) -> list[torch.Tensor]:
    """Three steps in one class, then three in the other, which has taken over parameters and state."""
    optimizer = train(first(groups(), **options))
    fresh = second(groups(), **options)
    for param, source in zip(every_parameter(fresh), every_parameter(optimizer), strict=True):
        param.data.copy_(source.data)
    fresh.load_state_dict(through(optimizer.state_dict()))
    return values(train(fresh, seed=1))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("through", [lambda state: state, as_file, copy.deepcopy], ids=["dict", "file", "copy"])
@pytest.mark.parametrize(("first", "second"), [("torch", "steelyard"), ("steelyard", "torch"), ("steelyard",) * 2])
def test_a_run_goes_on_in_the_other_class(first: str, second: str, through: Any, options: dict[str, Any]) -> None:
    whole = train(train(theirs(groups(), **options)), seed=1)
    assert_same_bits(continued(MAKERS[first], MAKERS[second], through, **options), values(whole))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_keys_shapes_and_types_are_torchs(options: dict[str, Any]) -> None:
    mine = train(AdamW(groups(), **options)).state_dict()
    peer = train(torch.optim.AdamW(groups(), **options)).state_dict()
    assert mine.keys() == peer.keys()
    assert mine["param_groups"] == peer["param_groups"]
    assert list(mine["state"]) == list(peer["state"]) == [0, 1, 2]
    for index, state in peer["state"].items():
        assert list(mine["state"][index]) == list(state)
        for key, value in state.items():
            got = mine["state"][index][key]
            assert (got.dtype, got.shape, got.stride()) == (value.dtype, value.shape, value.stride()), key


def test_the_state_dict_holds_the_live_tensors_as_torchs_does(make: Make) -> None:
    optimizer = train(make(parameters()))
    held = optimizer.state_dict()["state"][0]
    before = held["exp_avg"].clone()
    train(optimizer, 1, seed=5)
    assert held["exp_avg"] is optimizer.state[every_parameter(optimizer)[0]]["exp_avg"]
    assert not torch.equal(before, held["exp_avg"])


def test_what_is_loaded_is_a_copy(make: Make) -> None:
    """torch keeps the loaded tensors of the right type as they are; here a checkpoint in hand is not written to."""
    saved = train(make(parameters())).state_dict()
    kept = copy.deepcopy(saved)
    fresh = make(parameters())
    fresh.load_state_dict(saved)
    train(fresh)
    changed = [key for key, value in saved["state"][0].items() if not torch.equal(value, kept["state"][0][key])]
    assert changed == ([] if make is ours else ["step", "exp_avg", "exp_avg_sq"])


def test_two_saves_of_the_same_are_the_same(make: Make) -> None:
    optimizer = train(make(groups()))
    files = []
    for _ in range(2):
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        files.append(file.getvalue())
    assert files[0] == files[1]


def test_a_state_dict_before_the_first_step(make: Make) -> None:
    state = as_file(make(groups()).state_dict())
    assert state["state"] == {}

    def script(make: Make) -> list[torch.Tensor]:
        fresh = make(groups())
        fresh.load_state_dict(state)
        return values(train(fresh))

    assert_same_run(make, script)


@pytest.mark.parametrize("without", ["amsgrad", "maximize", "foreach", "fused", "capturable", "differentiable"])
def test_old_state_dicts_lack_options(without: str, make: Make) -> None:
    """torch 1.9 and older wrote fewer options; a step was an int."""
    saved = train(make(parameters())).state_dict()
    for group in saved["param_groups"]:
        del group[without]
        group.pop("decoupled_weight_decay")
    for state in saved["state"].values():
        state["step"] = int(state["step"])
    fresh = _loaded(make, saved)
    assert fresh.state[every_parameter(fresh)[0]]["step"] == 3
    assert_same_bits(values(train(fresh, seed=1)), values(train(_loaded(make, saved), seed=1)))


def _loaded(make: Make, saved: Any) -> torch.optim.Optimizer:
    fresh = make(parameters())
    fresh.load_state_dict(copy.deepcopy(saved))
    return fresh


def test_steps_that_are_numbers(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        saved = train(make(parameters())).state_dict()
        saved["state"] = {
            key: state | {"step": kind(state["step"])}
            for (key, state), kind in zip(saved["state"].items(), [int, float], strict=True)
        }
        optimizer = make(parameters())
        optimizer.load_state_dict(saved)
        assert all(isinstance(state["step"], torch.Tensor) for state in optimizer.state.values())
        return values(train(optimizer))

    assert_same_run(make, script)


@pytest.mark.parametrize("named", [(True, True), (True, False), (False, True)])
def test_named_parameters(named: tuple[bool, bool], make: Make) -> None:
    def given(with_names: bool) -> Any:
        found = parameters()
        return list(zip(["weight", "bias"], found, strict=True)) if with_names else found

    saved, fresh = train(make(given(named[0]))).state_dict(), make(given(named[1]))
    assert ("param_names" in saved["param_groups"][0]) is named[0]
    fresh.load_state_dict(as_file(saved))
    assert fresh.param_groups[0].get("param_names") == ["weight", "bias"]
    twin = make(given(named[1]))
    twin.load_state_dict(saved)
    assert_same_bits(values(train(fresh)), values(train(twin)))


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda state: state["param_groups"].append(state["param_groups"][0]), "number of parameter groups"),
        (lambda state: state["param_groups"][0]["params"].append(9), "size of optimizer's group"),
    ],
)
def test_state_dicts_that_do_not_fit(spoil: Any, match: str, make: Make) -> None:
    saved = train(make(groups())).state_dict()
    spoil(saved)
    fresh = make(groups())
    with pytest.raises(ValueError, match=match):
        fresh.load_state_dict(saved)
    assert not fresh.state


def test_a_moment_of_another_shape_is_refused_and_nothing_is_changed() -> None:
    """torch takes it, and its fused step then reads past the end of the smaller moment."""
    saved = train(ours(parameters())).state_dict()
    saved["state"][1]["exp_avg_sq"] = torch.zeros(3)
    fresh = train(ours(parameters()), 1)
    before = values(fresh)
    with pytest.raises(ValueError, match=r"exp_avg_sq of params\[1\]: expected a tensor of shape \(32,\)"):
        fresh.load_state_dict(saved)
    assert_same_bits(values(fresh), before)


def test_extra_entries_of_the_state_survive(make: Make) -> None:
    """Wrappers keep things of their own there."""
    optimizer = train(make(parameters()))
    optimizer.state["mine"] = {"rounds": 3, "seen": torch.ones(2)}
    fresh = make(parameters())
    fresh.load_state_dict(as_file(optimizer.state_dict()))
    assert fresh.state["mine"]["rounds"] == 3
    assert torch.equal(fresh.state["mine"]["seen"], torch.ones(2))


def test_moments_of_another_type_are_cast_to_the_parameters(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        saved = train(make(groups(torch.float64))).state_dict()
        fresh = make(groups())
        fresh.load_state_dict(saved)
        return values(train(fresh))

    assert_same_run(make, script)


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "file"])
def test_copies_go_on_by_themselves(way: str, make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        optimizer = train(make(groups(), amsgrad=True))
        if way == "deepcopy":
            twin = copy.deepcopy(optimizer)
        elif way == "pickle":
            twin = pickle.loads(pickle.dumps(optimizer))
        else:
            file = io.BytesIO()
            torch.save(optimizer, file)
            file.seek(0)
            twin = torch.load(file, weights_only=False)
        assert type(twin) is type(optimizer)
        assert not {id(p) for p in every_parameter(twin)} & {id(p) for p in every_parameter(optimizer)}
        before = values(optimizer)
        train(twin, 2, seed=3)
        assert_same_bits(values(optimizer), before)
        return values(twin)

    assert_same_run(make, script)


def test_a_copy_of_model_and_optimizer_together_stays_together(make: Make) -> None:
    model = nn.Linear(16, 16)
    optimizer = make(model.parameters())
    give_gradients(model.parameters())
    optimizer.step()
    model2, optimizer2 = copy.deepcopy((model, optimizer))
    assert optimizer2.param_groups[0]["params"][0] is model2.weight
    give_gradients(model.parameters())
    give_gradients(model2.parameters())
    optimizer.step()
    optimizer2.step()
    assert_same_bits([p.detach() for p in model2.parameters()], [p.detach() for p in model.parameters()])


def test_the_options_of_ours_survive_copies() -> None:
    optimizer = train(AdamW(parameters(), max_norm=0.5, nonfinite="skip"))
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert (twin.max_norm, twin.nonfinite) == (0.5, "skip")
        train(twin)
        assert twin.step_info.clip_factor < 1


def test_shared_memory_goes_to_another_process(make: Make) -> None:
    """What Hogwild training does: the moments are shared too."""
    optimizer = train(make(parameters()))
    expected = values(train(copy.deepcopy(optimizer), seed=1))
    for state in optimizer.state.values():
        for value in state.values():
            value.share_memory_()
    for param in every_parameter(optimizer):
        param.grad = None
        param.share_memory_()
    context = torch.multiprocessing.get_context("spawn")
    process = context.Process(target=train, args=(optimizer,), kwargs={"seed": 1})
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert_same_bits(values(optimizer), expected)


def test_torch_makes_the_step_float32_where_a_checkpoint_has_more() -> None:
    """Past 2^24 steps a float32 counter stands still (torch's fused step); ours goes on in float64."""
    saved = train(ours(parameters())).state_dict()
    for state in saved["state"].values():
        state["step"] = torch.tensor(2.0**24)
    mine, peer = ours(parameters()), theirs(parameters())
    for optimizer in (mine, peer):
        optimizer.load_state_dict(copy.deepcopy(saved))
        train(optimizer)
    assert [state["step"].item() for state in mine.state.values()] == [2**24 + 3] * 2
    assert [state["step"].item() for state in peer.state.values()] == [2**24] * 2
