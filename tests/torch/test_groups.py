"""The options of groups: which hold after loading, copying and editing; what is refused."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

import steelyard as sy
from steelyard.torch import SGD, Adam, AdamW, Lion, LRScheduler

N = 4096


def weight(n: int = N) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(n, generator=torch.Generator().manual_seed(0)))


def step(optimizer: torch.optim.Optimizer, seed: int = 1) -> None:
    for group in optimizer.param_groups:
        for param in group["params"]:
            generator = torch.Generator().manual_seed(seed)
            param.grad = torch.randn(param.shape, generator=generator).to(param.dtype)
    optimizer.step()


def as_file(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# For each option two values; what else the optimizer needs with them.
OPTIONS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "lr": (0.1, 0.2, {}),
    "betas": ((0.9, 0.99), (0.8, 0.9), {}),
    "eps": (1e-8, 1e-3, {}),
    "weight_decay": (0.01, 0.5, {}),
    "amsgrad": (False, True, {}),
    "maximize": (False, True, {}),
    "decay": ("decoupled", "l2", {}),
    "decay_max_lr": (0.5, 2.0, {"decay": "independent", "max_lr": 1.0}),
    "bias_correction": (True, False, {}),
    "cautious": (False, True, {}),
    "stable": (False, True, {}),
    "tight": (False, True, {}),
    "flush_denormals": (False, True, {}),
    "state_dtype": (None, "8bit", {}),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("way", ["group", "optimizer"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_a_saved_group_says_holds_in_an_optimizer_with_other_options(
    option: str, way: str, order: tuple[int, int]
) -> None:
    *values, others = OPTIONS[option]
    (mine, theirs), argument = (values[index] for index in order), option.removeprefix("decay_")
    if way == "group":
        saving = AdamW(
            [{"params": [weight()], option: mine}], **{argument: theirs} | ({} if option == argument else others)
        )
    else:
        again = {"stable": False} if option == "tight" else {"tight": False}
        saving = AdamW([{"params": [weight()], **again}], **others | {argument: mine})
    loading = AdamW([weight()], **others | {argument: theirs})
    loading.load_state_dict(as_file(saving.state_dict()))
    # A type of the moments that was asked for here is one of this machine, and stays.
    stays = option == "state_dtype" and theirs is not None
    assert loading.param_groups[0][option] == (theirs if stays else mine)
    step(saving)
    step(loading)
    assert torch.equal(saving.param_groups[0]["params"][0], loading.param_groups[0]["params"][0])


def test_groups_keep_what_they_set_themselves_where_a_state_of_torchs_class_does_not_say_it() -> None:
    torchs = torch.optim.AdamW([weight()])
    step(torchs)
    ours = AdamW([{"params": [weight()], "cautious": False, "stable": True}], cautious=True)
    ours.load_state_dict(torchs.state_dict())
    assert (ours.param_groups[0]["cautious"], ours.param_groups[0]["stable"]) == (False, True)


def test_a_group_may_say_again_what_holds_anyway() -> None:
    ours = AdamW([{"params": [weight()], "decay": None, "state_dtype": None}], state_dtype="8bit", decay="l2")
    step(ours)
    assert ours.state[ours.param_groups[0]["params"][0]]["exp_avg"].dtype == torch.float32
    plain = AdamW([weight()])
    step(plain)
    assert torch.equal(ours.param_groups[0]["params"][0], plain.param_groups[0]["params"][0])
    lion = Lion([{"params": [weight()], "decay": None}], weight_decay=0.1)
    step(lion)


@pytest.mark.parametrize("decoupled", [False, True])
def test_how_adam_decays_is_saved_as_in_torch(decoupled: bool) -> None:
    for saving in (Adam, torch.optim.Adam):
        saved = saving([weight()], weight_decay=0.1, decoupled_weight_decay=decoupled).state_dict()
        for loading in (Adam, torch.optim.Adam):
            fresh = loading([weight()], decoupled_weight_decay=not decoupled)
            fresh.load_state_dict(saved)
            assert fresh.param_groups[0]["decoupled_weight_decay"] is decoupled
        for loading in (AdamW, torch.optim.AdamW):
            fresh = loading([weight()])
            fresh.load_state_dict(saved)
            assert fresh.param_groups[0]["decoupled_weight_decay"] is True


def test_what_one_cycle_writes_into_groups_does_not_change_the_decay() -> None:
    def run(cycle: bool) -> torch.Tensor:
        own = AdamW([weight()], lr=0.1, decay="independent", max_lr=0.1, weight_decay=0.1)
        if cycle:
            torch.optim.lr_scheduler.OneCycleLR(own, max_lr=0.5, total_steps=10, cycle_momentum=False)
            assert own.param_groups[0]["max_lr"] == 0.5
            own.param_groups[0]["lr"] = 0.1
        step(own)
        return own.param_groups[0]["params"][0].detach()

    assert torch.equal(run(False), run(True))
    own = AdamW([{"params": [weight()], "decay": "corrected", "max_lr": 0.3}])
    assert own.param_groups[0]["decay_max_lr"] == 0.3


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ({"rounding": "stochastic"}, r"^param_groups\[1\]\['rounding'\]: expected nothing; .*it holds for all groups: pass it"),
        ({"seed": 3}, r"^param_groups\[1\]\['seed'\]: expected nothing"),
        ({"nonfinite": "skip"}, r"^param_groups\[1\]\['nonfinite'\]: expected nothing"),
        ({"weight_decy": 0.1}, r"^param_groups\[1\]: expected options such as 'weight_decay'; got 'weight_decy'"),
        ({"catious": True}, r"^param_groups\[1\]: expected options such as 'cautious'; got 'catious'"),
        ({"decay": "independent"}, r"^param_groups\[1\]\['decay_max_lr'\]: expected the largest learning rate"),
        ({"decay": "none"}, r"^param_groups\[1\]\['decay'\]: expected one of decoupled"),
        ({"state_dtype": "4bit"}, r"^param_groups\[1\]\['state_dtype'\]: expected one of float32"),
    ],
)  # fmt: skip
def test_entries_that_would_do_nothing_are_refused(group: dict[str, Any], sentence: str) -> None:
    own = AdamW([weight()], lr=lambda step: 0.1)
    with pytest.raises(ValueError, match=sentence):
        own.add_param_group({"params": [weight()], **group})
    assert len(own.param_groups) == 1
    own.add_param_group({"params": [weight()], "name": "head", "layer_id": 3, "initial_lr": 0.1})
    step(own)


def test_rounding_and_seed_of_all_rules() -> None:
    for kind, options in ((AdamW, {}), (Lion, {}), (SGD, {"momentum": 0.9})):
        found = []
        for seed in (1, 1, 2):
            param = torch.nn.Parameter(torch.randn(N, generator=torch.Generator().manual_seed(5)).bfloat16())
            optimizer = kind([param], lr=1e-3, rounding="stochastic", seed=seed, **options)
            step(optimizer)
            found.append(param.detach())
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2])
        with pytest.raises(TypeError, match=r"^seed: expected a whole number"):
            kind([weight()], seed=1.5)
        with pytest.raises(ValueError, match=r"^seed: expected a whole number from 0 to"):
            kind([weight()], seed=-1)


def test_parameters_without_a_gradient_are_counted() -> None:
    a, b, c = weight(), weight(), weight(3)
    own = AdamW([{"params": [a, b]}, {"params": [c]}])
    b.grad = torch.ones(N)
    own.step()
    assert own.step_info.left_out == 2
    c.grad = torch.ones(3)
    own.step()
    assert own.step_info.left_out == 1


def through(way: str, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    if way == "pickle":
        found = pickle.loads(pickle.dumps(optimizer))
    elif way == "deepcopy":
        found = copy.deepcopy(optimizer)
    else:
        file = io.BytesIO()
        torch.save(optimizer, file)
        file.seek(0)
        found = torch.load(file, weights_only=False)
    assert isinstance(found, torch.optim.Optimizer)
    return found


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "file"])
def test_a_copied_optimizer_follows_its_schedule(way: str) -> None:
    own = AdamW([weight()], lr=sy.schedules.linear(1.0, total_steps=10))
    for _ in range(2):
        step(own)
    twin = through(way, own)
    rates = []
    for _ in range(3):
        step(twin)
        rates.append(twin.param_groups[0]["lr"])
    assert rates == pytest.approx([0.8, 0.7, 0.6])
    twin.param_groups[0]["lr"] = 0.25
    again = through(way, twin)
    for _ in range(2):
        step(again)
        assert again.param_groups[0]["lr"] == 0.25


def test_a_number_holds_while_it_stands_there() -> None:
    """torch's distributed checkpoints make a step with a rate of 0, and write the old one again."""
    own = AdamW([weight()], lr=sy.schedules.linear(1.0, total_steps=10))
    step(own)
    before = own.param_groups[0]["lr"]
    own.param_groups[0]["lr"] = 0.0
    step(own)
    assert own.step_info.lr == 0.0
    own.param_groups[0]["lr"] = before
    step(own)
    assert own.step_info.lr == pytest.approx(0.8)


def halved(updates: int) -> float:
    return 0.5**updates


def test_weight_decay_and_betas_may_be_functions_of_the_number_of_updates() -> None:
    def betas(updates: int) -> tuple[float, float]:
        return 0.9 - 0.1 * updates, 0.99

    own = AdamW(
        [{"params": [weight()]}, {"params": [weight()], "betas": (lambda k: 0.5 + 0.1 * k, 0.9), "weight_decay": 0.3}],
        lr=0.1,
        weight_decay=halved,
        betas=betas,
    )
    assert (own.defaults["weight_decay"], own.defaults["betas"]) == (1.0, (0.9, 0.99))
    twins = [AdamW([weight()], lr=0.1), AdamW([weight()], lr=0.1, weight_decay=0.3)]
    for k in range(4):
        step(own, seed=k)
        assert own.param_groups[0]["weight_decay"] == halved(k)
        assert own.param_groups[1]["betas"] == (0.5 + 0.1 * k, 0.9)
        twins[0].param_groups[0].update(weight_decay=halved(k), betas=betas(k))
        twins[1].param_groups[0].update(betas=(0.5 + 0.1 * k, 0.9))
        for group, twin in zip(own.param_groups, twins, strict=True):
            step(twin, seed=k)
            assert torch.equal(group["params"][0], twin.param_groups[0]["params"][0])
    assert as_file(own.state_dict())["param_groups"][0]["weight_decay"] == halved(3)
    own.param_groups[0]["weight_decay"] = 0.75
    step(own)
    assert own.param_groups[0]["weight_decay"] == 0.75
    own.param_groups[0]["betas"] = lambda updates: (1.5, 0.9)
    with pytest.raises(
        ValueError, match=r"^param_groups\[0\]\['betas'\]\[0\]: expected at least 0 and below 1; got 1.5"
    ):
        step(own)
    sgd = SGD([weight()], lr=0.1, momentum=0.9, weight_decay=halved)
    step(sgd)
    step(sgd)
    assert sgd.param_groups[0]["weight_decay"] == 0.5


def test_a_group_that_is_added_follows_the_schedule_of_the_optimizer() -> None:
    own = AdamW([weight()], lr=sy.schedules.linear(1.0, total_steps=10), weight_decay=halved)
    step(own)
    own.add_param_group({"params": [weight()]})
    own.add_param_group({"params": [weight()], "lr": 0.25})
    for _ in range(2):
        step(own)
    assert [group["lr"] for group in own.param_groups] == [pytest.approx(0.8), pytest.approx(0.8), 0.25]
    assert [group["weight_decay"] for group in own.param_groups] == [0.25] * 3


def returns_a_function(updates: int) -> Callable[[int], float]:
    return halved


@pytest.mark.parametrize("option", ["lr", "weight_decay"])
def test_a_function_that_returns_a_function_is_refused(option: str) -> None:
    arrays = sy.AdamW(torch.ones(3), **dict[str, Any]({option: returns_a_function}))
    with pytest.raises(TypeError, match=rf"^{option}: expected a number; got function"):
        arrays.step(torch.ones(3))
    driven: dict[str, Any] = {"schedule": lambda k: 1.0} | {{"lr": "schedule"}.get(option, option): returns_a_function}
    with pytest.raises(TypeError, match=r"^(schedule|weight_decay)\(0\): expected a number; got function"):
        LRScheduler(torch.optim.AdamW([weight()]), **driven)
    with pytest.raises(TypeError, match=rf"^{option}: expected a number; got function"):
        AdamW([weight()], **dict[str, Any]({option: returns_a_function}))
    own = AdamW([weight()])
    own.param_groups[0][option] = returns_a_function
    for _ in range(2):
        with pytest.raises(TypeError, match=rf"^param_groups\[0\]\['{option}'\]: expected a number; got function"):
            step(own)


@pytest.mark.parametrize("policy", [lambda: sy.optim.ZClip(warmup_steps=3), lambda: sy.optim.AutoClip(percentile=50.0)])
def test_what_a_policy_has_seen_is_saved_with_the_optimizer(policy: Any) -> None:
    whole = AdamW([weight()], max_norm=policy())
    parts = AdamW([weight()], max_norm=policy())
    for seed in range(6):
        step(whole, seed)
        step(parts, seed)
    saved = as_file(parts.state_dict())
    own = policy()
    parts = AdamW([parts.param_groups[0]["params"][0]], max_norm=own)
    parts.load_state_dict(saved)
    assert parts.max_norm is own
    assert "max_norm_state" not in parts.param_groups[0]
    for seed in range(6, 9):
        step(whole, seed)
        step(parts, seed)
        assert whole.step_info == parts.step_info
    for kind in (torch.optim.AdamW, AdamW):
        fresh = kind([weight()])
        fresh.load_state_dict(saved)
        step(fresh)
    other = AdamW([weight()], max_norm=sy.optim.ZClip(z_thresh=9.0))
    with pytest.raises(ValueError, match=r"^state: expected the state of ZClip"):
        other.load_state_dict(saved)
    assert not other.state


DTYPES = {None: torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16, "8bit": torch.uint8}


@pytest.mark.parametrize("before", DTYPES)
@pytest.mark.parametrize("after", [*DTYPES, torch.bfloat16])
@pytest.mark.parametrize("kind", [AdamW, Lion, SGD])
def test_a_state_dtype_that_is_edited_holds_from_the_next_step_on(kind: Any, before: Any, after: Any) -> None:
    options = {"momentum": 0.9} if kind is SGD else {}
    own = kind([{"params": [weight(), weight(3)]}], state_dtype=before, **options)
    step(own)
    twin = kind([{"params": [weight(), weight(3)]}], state_dtype=after, **options)
    for param, source in zip(twin.param_groups[0]["params"], own.param_groups[0]["params"], strict=True):
        param.data.copy_(source.data)
    saved = own.state_dict()
    for group in saved["param_groups"]:
        group["state_dtype"] = {torch.bfloat16: "bfloat16", None: "float32"}.get(after, after)
    twin.load_state_dict(saved)
    own.param_groups[0]["state_dtype"] = after
    for seed in (2, 3):
        step(own, seed)
        step(twin, seed)
    large, small = own.param_groups[0]["params"]
    moment = {SGD: "momentum_buffer"}.get(kind, "exp_avg")
    name = "bfloat16" if after is torch.bfloat16 else after
    assert own.state[large][moment].dtype == DTYPES[name]
    assert (f"{moment}_scale" in own.state[large]) == (after == "8bit")
    assert own.state[small][moment].dtype == (torch.float32 if after == "8bit" else DTYPES[name])
    for mine, other in zip((large, small), twin.param_groups[0]["params"], strict=True):
        assert torch.equal(mine, other)
        assert all(torch.equal(own.state[mine][key], twin.state[other][key]) for key in own.state[mine])


def test_a_state_dtype_that_is_none_is_refused() -> None:
    own = AdamW([weight()])
    step(own)
    for wrong in ("int8", torch.int8):
        own.param_groups[0]["state_dtype"] = wrong
        with pytest.raises(
            ValueError, match=r"^param_groups\[0\]\['state_dtype'\]: expected one of float32, bfloat16, 8bit"
        ):
            step(own)


RULES: dict[str, Any] = {"adamw": AdamW, "lion": Lion, "sgd": lambda params: SGD(params, momentum=0.9)}


@pytest.mark.parametrize("saved", RULES)
@pytest.mark.parametrize("loading", RULES)
def test_the_state_of_another_rule_is_refused(saved: str, loading: str) -> None:
    own = RULES[saved]([weight()])
    step(own)
    other = RULES[loading]([weight()])
    if saved == loading:
        other.load_state_dict(own.state_dict())
        return
    with pytest.raises(
        ValueError, match=rf"^state of params\[0\]: expected step.* as {loading} keeps them; got step, "
    ):
        other.load_state_dict(own.state_dict() | {"param_groups": other.state_dict()["param_groups"]})
    assert not other.state


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (-1, "a whole number of steps, at least 0; got -1"),
        (torch.tensor(-1.0), "a whole number of steps, at least 0; got -1"),
        (float("nan"), "a whole number of steps, at least 0; got nan"),
        (torch.tensor(2.5), "a whole number of steps, at least 0; got 2.5"),
        (1e30, "a whole number of steps, at least 0"),
        (torch.tensor([1.0, 2.0]), r"a tensor of one element; got one of shape \(2,\)"),
        (torch.tensor(True), "a number of steps; got a tensor of bool"),
        (torch.tensor(1j), "a number of steps; got a tensor of complex64"),
        ("x", "a number of steps; got str 'x'"),
        (True, "a number of steps; got"),
    ],
)
def test_a_number_of_steps_that_is_none_is_refused(wrong: Any, sentence: str) -> None:
    own = AdamW([weight()])
    step(own)
    saved = copy.deepcopy(own.state_dict())
    saved["state"][0]["step"] = wrong
    with pytest.raises((TypeError, ValueError), match=rf"^step of params\[0\]: expected {sentence}"):
        own.load_state_dict(saved)
    assert own.state[own.param_groups[0]["params"][0]]["step"] == 1


@pytest.mark.parametrize("nonfinite", ["propagate", "skip"])
@pytest.mark.parametrize("dampening", [0.5, -0.3])
def test_a_momentum_that_begins_later_is_the_gradient_first(dampening: float, nonfinite: str) -> None:
    ours = SGD([weight()], lr=0.1, dampening=dampening, nonfinite=nonfinite)
    theirs = torch.optim.SGD([weight()], lr=0.1, dampening=dampening, fused=True)
    for optimizer in (ours, theirs):
        step(optimizer, 1)
        optimizer.param_groups[0]["momentum"] = 0.9
    if nonfinite == "skip":
        param = ours.param_groups[0]["params"][0]
        param.grad = torch.full((N,), torch.inf)
        ours.step()
        assert "momentum_buffer" not in ours.state[param]
    for seed in range(2, 5):
        step(ours, seed)
        step(theirs, seed)
        assert torch.equal(ours.param_groups[0]["params"][0], theirs.param_groups[0]["params"][0])


def test_amsgrad_that_begins_later_begins_with_the_second_moment_as_it_is_then() -> None:
    """torch raises a KeyError. The largest one so far begins at 0, and so is the second moment after the first step."""
    own, plain = AdamW([weight()], lr=0.1), AdamW([weight()], lr=0.1)
    for optimizer in (own, plain):
        step(optimizer, 1)
    own.param_groups[0]["amsgrad"] = True
    for optimizer in (own, plain):
        step(optimizer, 2)
    assert torch.equal(own.param_groups[0]["params"][0], plain.param_groups[0]["params"][0])
    state = own.state[own.param_groups[0]["params"][0]]
    before = state["exp_avg_sq"].clone()
    step(own, 3)
    assert torch.equal(state["max_exp_avg_sq"], torch.maximum(before, state["exp_avg_sq"]))


def test_values_that_change_in_their_place_are_read_at_every_step() -> None:
    """Other values are checked again only where another object stands there."""
    rate, betas = torch.tensor(0.1), [torch.tensor(0.9), 0.99]
    own, plain = AdamW([weight()], lr=rate, betas=betas), AdamW([weight()], lr=0.1, betas=(0.9, 0.99))
    plain.param_groups[0]["betas"] = [0.9, 0.99]
    for seed, (new_rate, beta1, beta2) in enumerate([(0.1, 0.9, 0.99), (0.5, 0.75, 0.99), (0.25, 0.5, 0.875)]):
        rate.fill_(new_rate)
        betas[0].fill_(beta1)
        betas[1] = plain.param_groups[0]["betas"][1] = beta2
        plain.param_groups[0]["lr"] = new_rate
        plain.param_groups[0]["betas"][0] = beta1
        for optimizer in (own, plain):
            step(optimizer, seed)
        mine, other = (optimizer.param_groups[0]["params"][0] for optimizer in (own, plain))
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    plain.param_groups[0]["maximize"] = 1
    with pytest.raises(TypeError, match=r"^param_groups\[0\]\['maximize'\]: expected True or False"):
        step(plain)


@pytest.mark.parametrize("flat", [False, True])
def test_torchs_distributed_checkpoints_carry_schedules_policies_and_variants(flat: bool) -> None:
    """They make a step with a rate of 0 first, in an optimizer that has no state yet."""
    from torch.distributed.checkpoint import state_dict as checkpoints

    def made() -> tuple[torch.nn.Module, AdamW]:
        torch.manual_seed(0)
        model = torch.nn.Linear(8, 4)
        schedule, policy = sy.schedules.linear(1.0, total_steps=10), sy.optim.ZClip(warmup_steps=2)
        return model, AdamW(model.parameters(), lr=schedule, max_norm=policy, stable=True)

    options = checkpoints.StateDictOptions(flatten_optimizer_state_dict=flat)
    (model, own), (other, fresh) = made(), made()
    for seed in range(3):
        step(own, seed)
    saved = copy.deepcopy(checkpoints.get_optimizer_state_dict(model, own, options=options))
    other.load_state_dict(model.state_dict())
    checkpoints.set_optimizer_state_dict(other, fresh, saved, options=options)
    for optimizer in (own, fresh):
        step(optimizer, 5)
    assert fresh.step_info == own.step_info
    assert fresh.step_info.lr == pytest.approx(0.7)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
