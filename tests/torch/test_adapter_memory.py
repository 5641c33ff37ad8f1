"""What changes under the feet of a torch optimizer: it is taken at the next step, or refused with a sentence."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable

import pytest
import torch

from steelyard.torch import AdamW, _plans


@pytest.fixture(params=["shim", "attributes"], autouse=True)
def asked_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to ask a tensor where it is: the second is for where torch's C functions are not found."""
    if request.param == "attributes":
        monkeypatch.setattr(_plans, "_SHIM", None)


def pair(n: int = 1000) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    start = torch.randn(n, generator=torch.Generator().manual_seed(n))
    return torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())


def run(weight: torch.nn.Parameter, own: AdamW, steps: int = 2, seed: int = 0) -> None:
    for step in range(steps):
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed + step))
        own.step()


def shared(weight: torch.nn.Parameter, own: AdamW) -> None:
    weight.share_memory_()


def shared_state(weight: torch.nn.Parameter, own: AdamW) -> None:
    for value in own.state[weight].values():
        value.share_memory_()


def replaced(weight: torch.nn.Parameter, own: AdamW) -> None:
    weight.data = weight.data.clone()


def view_of_something_larger(weight: torch.nn.Parameter, own: AdamW) -> None:
    buffer = torch.zeros(3, len(weight))
    buffer[1] = weight.data
    weight.data = buffer[1]


def swapped_module(weight: torch.nn.Parameter, own: AdamW) -> None:
    module = torch.nn.Module()
    module.w = weight
    module.to(torch.float64).to(torch.float32)


def state_replaced(weight: torch.nn.Parameter, own: AdamW) -> None:
    own.state[weight] = {key: value.clone() for key, value in own.state[weight].items()}


def state_tensor_replaced(weight: torch.nn.Parameter, own: AdamW) -> None:
    own.state[weight]["exp_avg"] = own.state[weight]["exp_avg"].clone()


def whole_state_replaced(weight: torch.nn.Parameter, own: AdamW) -> None:
    own.state = {weight: dict(own.state[weight])}


def state_data_replaced(weight: torch.nn.Parameter, own: AdamW) -> None:
    moment = own.state[weight]["exp_avg_sq"]
    moment.data = moment.data.clone()


def storage_moved(weight: torch.nn.Parameter, own: AdamW) -> None:
    storage = weight.untyped_storage()
    size = storage.nbytes()
    storage.resize_(10 * size)
    storage.resize_(size)


CHANGES: list[Callable[[torch.nn.Parameter, AdamW], None]] = [
    shared, shared_state, replaced, view_of_something_larger, swapped_module, state_replaced, state_tensor_replaced,
    whole_state_replaced, state_data_replaced, storage_moved,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("n", [3, 100_000])
def test_what_has_moved_is_taken(change: Callable[[torch.nn.Parameter, AdamW], None], n: int) -> None:
    left, moved = pair(n)
    ours, other = AdamW([left]), AdamW([moved])
    run(left, ours)
    run(moved, other)
    old = moved.data
    change(moved, other)
    kept = old.clone() if old.data_ptr() != moved.data_ptr() else None
    gc.collect()
    run(left, ours, seed=5)
    run(moved, other, seed=5)
    assert torch.equal(left, moved)
    assert kept is None or torch.equal(old, kept), "the memory of the last step was written"
    for name, value in ours.state[left].items():
        assert torch.equal(value, other.state[moved][name])


def test_a_gradient_that_is_replaced_or_removed() -> None:
    weight, _ = pair(5)
    own = AdamW([weight])
    run(weight, own)
    before = weight.detach().clone()
    own.zero_grad()
    own.step()
    assert torch.equal(weight, before)
    weight.grad = torch.zeros(5)
    own.zero_grad(set_to_none=False)
    own.step()
    assert own.state[weight]["step"].item() == 3


def test_storages_that_were_emptied_are_refused_and_named() -> None:
    weight, _ = pair(2000)
    own = AdamW([("layer.weight", weight)])
    run(weight, own)
    grad = weight.grad
    size = grad.untyped_storage().nbytes()
    for storage, name in [(grad.untyped_storage(), ".grad"), (weight.untyped_storage(), "")]:
        saved = torch.tensor(storage.tolist(), dtype=torch.uint8)
        for shorter in (0, 4):
            storage.resize_(shorter)
            with pytest.raises(ValueError, match=rf'^params\["layer.weight"\]{name}: expected a tensor with memory'):
                own.step()
        storage.resize_(size)
        torch.frombuffer(saved.numpy(), dtype=torch.uint8)
        storage.copy_(saved.untyped_storage())
    moment = own.state[weight]["exp_avg"].untyped_storage()
    moment.resize_(0)
    with pytest.raises(ValueError, match=r'^exp_avg of params\["layer.weight"\]: expected a tensor with memory'):
        own.step()
    moment.resize_(size)
    own.state[weight]["exp_avg"].zero_()
    own.step()
    assert own.state[weight]["step"].item() == 3


@pytest.mark.parametrize("n", [4, 3000])
def test_a_view_into_an_emptied_storage_is_refused(n: int) -> None:
    flat = torch.zeros(2 * n)
    weight = torch.nn.Parameter(flat[n:])
    weight.grad = torch.ones(2 * n)[n:]
    own = AdamW([weight])
    own.step()
    weight.grad.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match=r"^params\[0\].grad: expected a tensor with memory"):
        own.step()
    weight.grad = torch.ones(n)
    flat.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match=r"^params\[0\]: expected a tensor with memory"):
        own.step()


def test_a_parameter_of_another_shape_is_refused_and_one_whose_state_was_deleted_begins_anew() -> None:
    first, weight = pair(5)
    own = AdamW([{"params": [first]}, {"params": [weight]}])
    run(first, own)
    run(weight, own)
    weight.data, weight.grad = torch.ones(7), None
    weight.grad = torch.ones(7)
    before = first.detach().clone()
    first.grad = torch.ones(5)
    sentence = r"^param_groups\[1\]\['params'\]\[0\]: expected shape \(5,\), as its exp_avg has; got \(7,\); make a new"
    with pytest.raises(ValueError, match=sentence):
        own.step()
    assert torch.equal(first, before)
    del own.state[weight]
    own.step()
    assert own.state[weight]["step"].item() == 1


def test_versions_of_parameters_are_raised_and_those_of_gradients_are_not() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    loss = (weight * weight).sum()
    weight.grad = torch.ones(3)
    before = weight.grad._version
    own = AdamW([weight])
    own.step()
    assert weight.grad._version == before
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # it needed the old value


def test_a_step_that_is_left_out_leaves_the_versions_alone() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.tensor([1.0, float("nan"), 1.0])
    own = AdamW([weight], nonfinite="skip")
    before = weight._version
    own.step()
    assert (weight._version, own.step_info.skipped, own.step_info.first_nonfinite) == (before, True, "params[0].grad")


def test_groups_that_change_between_steps() -> None:
    first, second = pair(6)
    own = AdamW([first])
    run(first, own)
    own.add_param_group({"params": [second], "lr": 0.5})
    run(second, own)
    own.param_groups[0], own.param_groups[1] = own.param_groups[1], own.param_groups[0]
    run(first, own)
    own.param_groups[0]["params"] = [torch.nn.Parameter(torch.zeros(2))]
    fresh = own.param_groups[0]["params"][0]
    run(fresh, own, steps=1)
    assert [own.state[p]["step"].item() for p in (first, second, fresh)] == [7.0, 4.0, 1.0]
    assert fresh.abs().max() > 0.4


def test_steps_are_counted_beyond_the_last_number_of_float32() -> None:
    """torch's float32 counter stays at 2**24 for ever."""
    weight, _ = pair(3)
    own = AdamW([weight])
    run(weight, own, steps=1)
    own.state[weight]["step"].fill_(2**24 - 1)
    seen = []
    for _ in range(3):
        own.step()
        seen.append(own.state[weight]["step"].item())
    assert seen == [2**24 + k for k in range(3)]
    theirs = torch.optim.AdamW([weight])
    theirs.load_state_dict(own.state_dict())
    theirs.step()
    assert theirs.state[weight]["step"].item() == 2**24 + 3


def test_a_number_of_steps_set_by_hand_is_used() -> None:
    left, right = pair(7)
    ours, theirs = AdamW([left]), torch.optim.AdamW([right], fused=True)
    for weight, own in ((left, ours), (right, theirs)):
        run(weight, own, steps=1)
        own.state[weight]["step"].fill_(100)
        run(weight, own, steps=1, seed=3)
    assert torch.equal(left, right)


def three() -> tuple[list[torch.nn.Parameter], AdamW]:
    """Two parameters of one layout, and one whose gradient has another layout in every step."""
    params = [
        torch.nn.Parameter(torch.ones(8)),
        torch.nn.Parameter(torch.ones(8)),
        torch.nn.Parameter(torch.ones(3, 4)),
    ]
    return params, AdamW(params, lr=0.1)


def give_gradients(params: list[torch.nn.Parameter]) -> None:
    params[0].grad, params[1].grad, params[2].grad = torch.ones(8), torch.ones(8), torch.ones(4, 3).t()


def overlapping_parameters(params: list[torch.nn.Parameter], own: AdamW) -> None:
    params[0].data = params[1].data


def overlapping_moments(params: list[torch.nn.Parameter], own: AdamW) -> None:
    own.state[params[0]]["exp_avg"] = own.state[params[1]]["exp_avg_sq"]


@pytest.mark.parametrize("overlap", [overlapping_parameters, overlapping_moments])
def test_an_overlap_is_found_where_another_tensor_has_to_be_prepared_first(overlap: Callable[..., None]) -> None:
    params, own = three()
    give_gradients(params)
    own.step()
    overlap(params, own)
    for _ in range(2):
        give_gradients(params)
        with pytest.raises(ValueError, match="expected memory of its own"):
            own.step()


def test_an_overlap_is_found_after_a_step_that_ended_with_an_error() -> None:
    params, own = three()
    give_gradients(params)
    own.step()
    params[0].data = params[1].data
    params[2].grad = torch.ones(3, 4)
    own.state[params[2]]["step"].fill_(2.5)
    with pytest.raises(ValueError, match="whole number"):
        own.step()
    own.state[params[2]]["step"].fill_(2.0)
    with pytest.raises(ValueError, match="expected memory of its own"):
        own.step()


@pytest.mark.parametrize("n", [10, 900, 5000])
def test_a_gradient_whose_storage_was_cut_short_is_refused(n: int) -> None:
    weight = torch.nn.Parameter(torch.ones(n))
    own = AdamW([weight])
    weight.grad = torch.ones(n)
    own.step()
    weight.grad.untyped_storage().resize_(4)
    with pytest.raises(ValueError, match="emptied or shortened"):
        own.step()


@pytest.mark.parametrize("n", [300, 600, 1000])
@pytest.mark.parametrize("sizes", [(0, 64), (0, 400), (0, 1000), (8, 0, 8)])
def test_a_small_storage_that_came_back_shorter_is_refused(n: int, sizes: tuple[int, ...]) -> None:
    """Wherever malloc puts it: some of these come back at the address that the tensor had."""
    weight = torch.nn.Parameter(torch.ones(n))
    own = AdamW([weight])
    weight.grad = torch.ones(n)
    own.step()
    for size in sizes:
        weight.untyped_storage().resize_(size)
    weight.grad = torch.ones(n)
    with pytest.raises(ValueError, match="emptied or shortened"):
        own.step()


def test_a_state_loaded_while_its_parameter_has_no_gradient_is_the_one_that_steps_on() -> None:
    def run(kind: type[torch.optim.Optimizer]) -> tuple[torch.Tensor, float]:
        params = [torch.nn.Parameter(torch.ones(8)) for _ in range(2)]
        own = kind(params, lr=0.1)  # type: ignore[call-arg]

        def step(*values: float | None) -> None:
            for param, value in zip(params, values, strict=True):
                param.grad = None if value is None else torch.full((8,), value)
            own.step()

        step(1.0, 1.0)
        saved = copy.deepcopy(own.state_dict())
        step(-5.0, -5.0)
        own.load_state_dict(saved)
        step(None, 1.0)
        step(1.0, 1.0)
        return params[0].detach(), float(own.state[params[0]]["step"])

    (ours, steps), (theirs, wanted) = run(AdamW), run(torch.optim.AdamW)
    assert steps == wanted == 2
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0.0)


def moment_of(weight: torch.nn.Parameter, own: AdamW) -> torch.Tensor:
    moment = own.state[weight]["exp_avg"]
    assert isinstance(moment, torch.Tensor)
    return moment


def moved_into_a_larger_storage(moment: torch.Tensor) -> None:
    larger = torch.zeros(50)
    larger[7:23] = moment.flatten()
    moment.set_(larger.untyped_storage(), 7, (4, 4), (4, 1))


def transposed_in_place(moment: torch.Tensor) -> None:
    moment.copy_(moment.t().clone())
    moment.t_()


def reshaped_and_back(moment: torch.Tensor) -> None:
    moment.resize_(16)
    moment.resize_(4, 4)


def swapped(moment: torch.Tensor) -> None:
    torch.utils.swap_tensors(moment, moment.clone())


def another_type(moment: torch.Tensor) -> None:
    moment.data = moment.data.double()


KEPT = [moved_into_a_larger_storage, transposed_in_place, reshaped_and_back, swapped, another_type]


@pytest.mark.parametrize("change", KEPT, ids=lambda change: change.__name__)
def test_a_moment_that_changes_inside_its_object_is_followed(change: Callable[[torch.Tensor], None]) -> None:
    start = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    params = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    left, right = [AdamW([param], lr=0.1) for param in params]
    for param, own in zip(params, (left, right), strict=True):
        run(param, own)
    change(moment_of(params[0], left))
    for param, own in zip(params, (left, right), strict=True):
        run(param, own, seed=7)
    assert torch.equal(params[0], params[1])
    assert torch.equal(moment_of(params[0], left).float(), moment_of(params[1], right))


def of_another_shape(moment: torch.Tensor) -> None:
    moment.data = torch.zeros(5)


def with_fewer_elements(moment: torch.Tensor) -> None:
    moment.resize_(4, 3)


def cut_short(moment: torch.Tensor) -> None:
    moment.untyped_storage().resize_(60)


def behind_its_storage(moment: torch.Tensor) -> None:
    storage = moment.untyped_storage()
    moment.set_(torch.zeros(40).untyped_storage(), 24, (4, 4), (4, 1))
    moment.untyped_storage().resize_(storage.nbytes())


LOST = [of_another_shape, with_fewer_elements, cut_short, behind_its_storage]


@pytest.mark.parametrize("change", LOST, ids=lambda change: change.__name__)
def test_a_moment_that_does_not_fit_any_longer_is_refused_as_often_as_it_is_met(
    change: Callable[[torch.Tensor], None],
) -> None:
    first, weight = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(4, 4))
    own = AdamW([first, weight])
    first.grad, weight.grad = torch.ones(3), torch.ones(4, 4)
    own.step()
    change(moment_of(weight, own))
    before = [param.detach().clone() for param in (first, weight)]
    for _ in range(3):
        with pytest.raises(ValueError, match=r"params\[1\]"):
            own.step()
    assert all(torch.equal(param, kept) for param, kept in zip((first, weight), before, strict=True))


def test_a_parameter_that_changes_its_shape_back_and_forth_never_steps_with_moments_of_the_other() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 8))
    own = AdamW([weight])
    run(weight, own)
    for shape, fits in [((4, 4), False), ((2, 8), True), ((16,), False), ((16,), False), ((2, 8), True)]:
        weight.data, weight.grad = weight.data.reshape(shape), None
        weight.grad = torch.ones(shape)
        if fits:
            own.step()
            continue
        with pytest.raises(ValueError, match="expected shape"):
            own.step()


def test_a_counter_that_is_emptied_is_refused_and_one_that_moves_is_followed() -> None:
    weight, _ = pair(4)
    own = AdamW([weight])
    run(weight, own)
    counter = own.state[weight]["step"]
    counter.set_(torch.full((9,), 5.0).untyped_storage(), 8, (), ())
    run(weight, own, steps=1)
    assert counter.item() == 6
    counter.untyped_storage().resize_(32)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^step of params\[0\]: expected a tensor with memory"):
            own.step()


def test_a_sparse_gradient_is_refused_without_a_word_from_torch(capfd: pytest.CaptureFixture[str]) -> None:
    """torch's C functions log an error where a tensor has no memory."""
    weight, _ = pair(4)
    own = AdamW([weight])
    run(weight, own)
    weight.grad = torch.ones(4).to_sparse()
    with pytest.raises(TypeError, match="expected a dense tensor"):
        own.step()
    assert capfd.readouterr() == ("", "")


def test_torchs_c_functions_answer_where_they_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the attributes are read: of a library that lacks them, and of tensors that lie elsewhere."""
    weight, _ = pair(4)
    weight.grad = torch.ones(4)
    path, samples = _plans._shim()  # type: ignore[misc]
    elsewhere = [(tensor, address + 8, storage) for tensor, address, storage in samples]
    asked: list[torch.Tensor] = []
    stride = torch.Tensor.stride
    monkeypatch.setattr(torch.Tensor, "stride", lambda tensor: asked.append(tensor) or stride(tensor))
    for shim, by_attributes in [((path, samples), False), (("none", samples), True), ((path, elsewhere), True)]:
        monkeypatch.setattr(_plans, "_SHIM", shim)
        own = AdamW([weight])
        own.step()
        asked.clear()
        own.step()
        assert bool(asked) == by_attributes
