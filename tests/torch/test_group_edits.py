"""What users do to ``param_groups`` and saved states between steps: schedules, policies and storage go along."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.weak import TensorWeakRef

import steelyard as sy
from steelyard.torch import AdamW

from .dropin import drawn, give_gradients, parameters, train, values

LINEAR = sy.schedules.linear(1.0, total_steps=10)


def halved(step: int) -> float:
    return 0.5**step


def weight(n: int = 16) -> nn.Parameter:
    return nn.Parameter(drawn(n))


def saved_by_torch(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state as it comes back from a file."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def test_a_number_that_holds_in_place_of_a_schedule_is_loaded_as_one() -> None:
    own, again = (AdamW([weight()], lr=LINEAR) for _ in range(2))
    train(own, 2)
    gave = own.param_groups[0]["lr"]
    own.param_groups[0]["lr"] = 0.125
    again.load_state_dict(saved_by_torch(own))
    train(again, 2)
    assert rates(again) == [0.125]
    again.load_state_dict(saved_by_torch(again))  # from one hand to the next
    train(again, 1)
    assert rates(again) == [0.125]
    again.param_groups[0]["lr"] = gave
    train(again, 1)
    assert rates(again) == [LINEAR(5)]


def test_a_schedule_drives_on_after_the_state_of_torch_and_after_its_own() -> None:
    plain, own = torch.optim.AdamW([weight()], lr=0.75), AdamW([weight()], lr=LINEAR)
    train(plain, 3)
    own.param_groups[0]["lr"] = 0.125
    own.load_state_dict(saved_by_torch(plain))  # what held before is replaced, as everything in a group is
    train(own, 1)
    assert rates(own) == [LINEAR(3)]
    own.load_state_dict(saved_by_torch(own))
    train(own, 1)
    assert rates(own) == [LINEAR(4)]


def test_the_note_about_a_number_is_no_option_of_a_live_group() -> None:
    own = train(AdamW([weight()], lr=LINEAR), 1)
    own.param_groups[0]["lr"] = 0.125
    for again in (AdamW([weight()]), AdamW([weight()], lr=LINEAR)):
        again.load_state_dict(own.state_dict())
        assert again.param_groups[0].keys() == AdamW([weight()]).param_groups[0].keys()


EDITS: dict[str, Callable[[list[Any]], Any]] = {
    "reverse": list.reverse,
    "pop": lambda groups: groups.pop(0),
    "insert": lambda groups: groups.insert(0, groups.pop()),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("way", ["live", "deepcopy", "pickle"])
def test_a_schedule_stays_with_its_group(edit: Callable[[list[Any]], Any], way: str) -> None:
    first, second, third = parameters((16,), (32,), (48,))
    own = AdamW([{"params": [first]}, {"params": [second], "lr": halved}, {"params": [third], "lr": LINEAR}], lr=0.25)
    train(own, 1)
    edit(own.param_groups)
    own = {"live": lambda x: x, "deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}[way](own)
    train(own, 1)
    want = {16: 0.25, 32: halved(1), 48: LINEAR(1)}
    assert rates(own) == [want[group["params"][0].numel()] for group in own.param_groups]


def test_a_group_that_was_removed_keeps_no_memory() -> None:
    own = AdamW([{"params": [weight()]}, {"params": [weight(32)], "lr": halved}])
    train(own, 1)
    gone = TensorWeakRef(own.param_groups[1]["params"][0])
    own.state.pop(own.param_groups.pop()["params"][0])
    train(own, 2)
    assert gone() is None


def test_a_group_added_after_loading_follows_the_schedule() -> None:
    own, again = (AdamW([weight()], lr=LINEAR) for _ in range(2))
    again.load_state_dict(train(own, 3).state_dict())
    again.add_param_group({"params": [weight(32)]})
    train(again, 1)
    assert rates(again) == [LINEAR(3)] * 2


def test_a_function_in_a_group_is_a_number_in_a_state_that_is_saved_before_the_step() -> None:
    own = train(AdamW([weight()], lr=0.25), 2)
    own.param_groups[0].update(lr=halved, betas=(lambda step: 0.5, 0.75))
    saved = saved_by_torch(own)
    assert saved["param_groups"][0]["lr"] == halved(2)
    assert saved["param_groups"][0]["betas"] == (0.5, 0.75)
    train(own, 2)
    assert rates(own) == [halved(3)]


def test_a_function_in_a_group_outlives_loading_before_the_step() -> None:
    own = train(AdamW([weight()], lr=0.25), 2)
    saved = own.state_dict()
    own.param_groups[0]["lr"] = halved
    own.load_state_dict(saved)
    train(own, 1)
    assert rates(own) == [halved(2)]


@pytest.mark.parametrize("move", ["reverse", "torch"])
def test_a_policys_state_is_found_in_any_group(move: str) -> None:
    def make() -> AdamW:
        first, second = parameters((16,), (16,))
        return AdamW([{"params": [first]}, {"params": [second]}], max_norm=sy.optim.ZClip(warmup_steps=2))

    own, again = train(make(), 4), make()
    saved = own.state_dict()
    assert "max_norm_state" in saved["param_groups"][0]
    if move == "reverse":
        saved["param_groups"].reverse()
        for group, packed in zip(saved["param_groups"], ([0], [1]), strict=True):
            group["params"] = packed
    again.load_state_dict(saved)
    assert isinstance(own.max_norm, sy.optim.ZClip)
    assert isinstance(again.max_norm, sy.optim.ZClip)
    assert again.max_norm.state_dict() == own.max_norm.state_dict()
    assert all("max_norm_state" not in group for group in again.param_groups)


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_norm", 1.0), ("nonfinite", "raise"), ("master", "split"), ("capturable", True), ("differentiable", True)],
)
def test_what_a_group_cannot_have_is_refused_when_it_is_written_later(option: str, value: Any) -> None:
    own = train(AdamW([weight()]), 1)
    before = values(own)
    own.param_groups[0][option] = value
    give_gradients(own.param_groups[0]["params"])
    with pytest.raises(ValueError, match=rf"^param_groups\[0\]\['{option}'\]: expected (nothing|False); got "):
        own.step()
    assert all(map(torch.equal, before, values(own)))


def test_the_storage_that_was_asked_for_holds_after_loading() -> None:
    """An 8-bit state in an optimizer that was made with float32, and the other way round."""
    own = {kind: train(AdamW([weight(4096)], state_dtype=kind), 2) for kind in ("float32", "8bit", "bfloat16")}
    types = {"float32": torch.float32, "8bit": torch.uint8, "bfloat16": torch.bfloat16}
    for source in own.values():
        for kind in own:
            again = AdamW([weight(4096)], state_dtype=kind)
            again.load_state_dict(saved_by_torch(source))
            train(again, 1)
            [state] = again.state.values()
            assert (again.param_groups[0]["state_dtype"], state["exp_avg"].dtype) == (kind, types[kind])
            assert ("exp_avg_scale" in state) == (kind == "8bit")
        again = AdamW([weight(4096)])  # which says nothing: the state does
        again.load_state_dict(source.state_dict())
        assert again.param_groups[0]["state_dtype"] == source.param_groups[0]["state_dtype"]


def test_step_info_counts_updates_of_the_optimizer() -> None:
    first, second = parameters((16,), (32,))
    own = AdamW([first, second])
    train(own, 3)
    own.zero_grad()
    late = weight(48)
    own.add_param_group({"params": [late]})
    give_gradients([late])
    own.step()
    assert own.step_info is not None
    assert (own.step_info.step, own.state[late]["step"].item()) == (4, 1)
    own.zero_grad()
    own.step()
    assert own.step_info.step == 4  # nothing was updated
