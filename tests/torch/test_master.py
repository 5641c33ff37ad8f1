"""``master=``: how parameters of 16 bits keep more digits than their tensors hold, in the torch optimizers."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import steelyard as sy
from steelyard.torch import SGD, Adam, AdamW, Lion, convert_state_dict

from .dropin import assert_same_bits, drawn, give_gradients, train, values

BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32
MASTERS = ("split", "kahan", "float32")
KEYS = {"split": "low", "kahan": "rest", "float32": "master"}
# The first is a weight of convolutions in channels_last, so its memory is not in C order; the last has no elements.
SHAPES = ((4, 3, 2, 5), (70, 31), (257,), (0,))

RULES = {
    "adamw": (AdamW, {"lr": 1e-3}),
    "adamw clipped amsgrad": (AdamW, {"lr": 1e-3, "amsgrad": True, "max_norm": 1.0}),
    "adam tight": (Adam, {"lr": 1e-3, "decay": "decoupled", "weight_decay": 0.1, "tight": True}),
    "8bit": (AdamW, {"lr": 1e-3, "state_dtype": "8bit"}),
    "lion": (Lion, {"lr": 1e-4, "weight_decay": 0.1}),
    "sgd": (SGD, {"lr": 1e-2, "momentum": 0.9, "nesterov": True}),
    "sgd without momentum": (SGD, {"lr": 1e-2}),
}
rules = pytest.mark.parametrize("rule", RULES)
masters = pytest.mark.parametrize("master", MASTERS)


def parameters(dtype: torch.dtype = BF16) -> list[nn.Parameter]:
    """Always the numbers of bfloat16."""
    found = [drawn(*shape, seed=k, dtype=BF16).to(dtype) for k, shape in enumerate(SHAPES)]
    found[0] = found[0].contiguous(memory_format=torch.channels_last)
    return [nn.Parameter(tensor) for tensor in found]


def with_groups(params: list[nn.Parameter]) -> list[dict[str, Any]]:
    return [{"params": params[:2]}, {"params": params[2:], "lr": 3e-3, "weight_decay": 0.0}]


def step_both(first: Any, second: Any, pairs: list[tuple[Tensor, Tensor]], steps: range = range(50)) -> None:
    """Steps on the same gradients, some of which are missing."""
    for step in steps:
        for k, (a, b) in enumerate(pairs):
            grad = None if (k + step) % 7 == 6 else drawn(*a.shape, seed=100 * step + k, dtype=BF16)
            a.grad, b.grad = (None if grad is None else grad.to(x.dtype) for x in (a, b))
        first.step()
        second.step()
        assert first.step_info == second.step_info


def joined(high: Tensor, low: Tensor) -> Tensor:
    """The float32 numbers of two halves."""
    upper = high.detach().contiguous().view(torch.int16).to(torch.int32) << 16
    return (upper | low.contiguous().view(torch.int16).to(torch.int32) & 0xFFFF).view(F32)


@rules
def test_split_has_the_bits_of_a_float32_run(rule: str) -> None:
    kind, options = RULES[rule]
    halves, whole = parameters(), parameters(F32)
    split, plain = kind(with_groups(halves), master="split", **options), kind(with_groups(whole), **options)
    step_both(split, plain, list(zip(halves, whole, strict=True)))
    for half, full in zip(halves, whole, strict=True):
        state = split.state[half]
        assert state["low"].dtype == torch.int16
        assert state["low"].stride() == half.stride()
        assert_same_bits([joined(half, state["low"])], [full.detach().contiguous()])
        assert_same_bits(*([s[key] for key in plain.state[full]] for s in (state, plain.state[full])))


@pytest.mark.parametrize("dtype", [BF16, F16])
@rules
def test_float32_has_the_bits_of_a_float32_run_and_rounds_them(rule: str, dtype: torch.dtype) -> None:
    kind, options = RULES[rule]
    halves, whole = parameters(dtype), parameters(F32)
    for half, full in zip(halves, whole, strict=True):
        full.data.copy_(half.data)
    master, plain = kind(with_groups(halves), master="float32", **options), kind(with_groups(whole), **options)
    if dtype == F16:
        pairs = [(half, full) for half, full in zip(halves, whole, strict=True)]
        for step in range(20):
            give_gradients(halves, 100 * step)
            for half, full in pairs:
                full.grad = None if half.grad is None else half.grad.float()
            master.step()
            plain.step()
    else:
        step_both(master, plain, list(zip(halves, whole, strict=True)))
    for half, full in zip(halves, whole, strict=True):
        assert_same_bits([master.state[half]["master"], half.detach()], [full.detach(), full.detach().to(dtype)])
        assert master.state[half]["master"].stride() == half.stride()


def as_array(tensor: Tensor) -> np.ndarray:
    """The memory of a tensor, for the optimizers of NumPy arrays."""
    flat = tensor.detach().as_strided((tensor.numel(),), (1,)).clone()
    return (flat.view(torch.uint16) if flat.dtype == BF16 else flat).numpy()


@pytest.mark.parametrize("dtype", [BF16, F16])
def test_kahan_has_the_bits_of_the_optimizer_of_arrays(dtype: torch.dtype) -> None:
    params = parameters(dtype)
    tensors = [torch.from_numpy(as_array(p)).view(dtype) for p in params]
    ours = AdamW(params, lr=1e-3, amsgrad=True, max_norm=1.0, master="kahan")
    arrays = sy.AdamW(tensors, lr=1e-3, amsgrad=True, max_norm=1.0, master="kahan", weight_decay=1e-2)
    for step in range(50):
        give_gradients(params, 100 * step)
        params[0].grad = params[0].grad.contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr]
        grads = [torch.from_numpy(as_array(p.grad)).view(dtype) for p in params]  # type: ignore[arg-type]
        ours.step()
        assert ours.step_info == arrays.step(grads)
    saved = arrays.state_dict()
    for k, param in enumerate(params):
        assert as_array(param).tobytes() == as_array(tensors[k]).tobytes()
        assert as_array(ours.state[param]["rest"]).tobytes() == saved[f"rest/{k}"].tobytes()
    assert any(ours.state[p]["rest"].float().abs().sum() > 0 for p in params)


def test_more_digits_keep_small_updates() -> None:
    def moved(**options: Any) -> float:
        weight = nn.Parameter((torch.rand(4096, generator=torch.Generator().manual_seed(0)) * 0.02 + 0.02).to(BF16))
        before = weight.detach().double().mean()
        # In bfloat16 the second moment stops too early, and steps would be too large.
        optimizer = AdamW([weight], lr=3e-6, weight_decay=0.0, state_dtype="float32", **options)
        for _ in range(1000):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        return float(weight.detach().double().mean() - before)

    assert moved() == 0.0
    assert all(abs(moved(master=master) + 0.003) < 1e-4 for master in MASTERS)


@pytest.mark.parametrize("max_norm", [None, 1.0])
@masters
def test_steps_during_backward_have_the_same_bits(master: Any, max_norm: float | None) -> None:
    def trained(hooked: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16)).to(BF16)
        optimizer = AdamW(model.parameters(), lr=1e-3, max_norm=max_norm, master=master)
        if hooked:
            optimizer.hook_backward(model)
        for step in range(5):
            optimizer.zero_grad()
            model(drawn(8, 16, seed=step, dtype=BF16)).square().mean().backward()
            optimizer.step()
        return values(optimizer)

    assert_same_bits(trained(hooked=True), trained(hooked=False))


def reloaded(optimizer: Any, how: str, params: list[nn.Parameter], make: Any) -> tuple[Any, list[nn.Parameter]]:
    """The optimizer after a round trip, with its parameters."""
    if how in {"pickle", "deepcopy"}:
        both = (optimizer, params)
        loaded: tuple[Any, list[nn.Parameter]] = (
            pickle.loads(pickle.dumps(both)) if how == "pickle" else copy.deepcopy(both)
        )
        return loaded
    buffer = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "params": [p.detach() for p in params]}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    fresh = [nn.Parameter(tensor) for tensor in saved["params"]]
    if how == "state_dict, other layout":
        fresh[0] = nn.Parameter(fresh[0].detach().contiguous())
    new = make(fresh)
    new.load_state_dict(saved["optimizer"])
    return new, fresh


@pytest.mark.parametrize("how", ["state_dict", "state_dict, other layout", "pickle", "deepcopy"])
@masters
def test_an_interrupted_run_has_the_same_bits(master: Any, how: str) -> None:
    def make(params: list[nn.Parameter]) -> AdamW:
        return AdamW(with_groups(params), lr=1e-3, amsgrad=True, max_norm=1.0, master=master)

    optimizer = train(make(parameters()))
    params = [p for group in optimizer.param_groups for p in group["params"]]
    other, others = reloaded(optimizer, how, params, make)
    assert torch.equal(other.state[others[1]][KEYS[master]], optimizer.state[params[1]][KEYS[master]])
    assert_same_bits(values(other), values(optimizer))
    assert_same_bits(values(train(other, seed=9)), values(train(optimizer, seed=9)))


@masters
def test_a_state_without_it_begins_from_the_parameters(master: Any) -> None:
    params, others = parameters(), parameters()
    theirs = train(torch.optim.AdamW(params, lr=1e-3))
    for mine, theirs_ in zip(others, params, strict=True):
        mine.data.copy_(theirs_.data)
    optimizer = AdamW(others, lr=1e-3, master=master)
    optimizer.load_state_dict(theirs.state_dict())
    assert optimizer.state[others[0]]["exp_avg"].dtype == (BF16 if master == "kahan" else F32)
    assert KEYS[master] not in optimizer.state[others[0]]
    before = others[1].detach().clone()
    give_gradients(others)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()
    assert_same_bits([others[1].detach()], [before])
    begun = optimizer.state[others[1]][KEYS[master]]
    assert_same_bits([begun.float()], [before.float() if master == "float32" else torch.zeros_like(before).float()])


@pytest.mark.parametrize("other", [None, *MASTERS])
@masters
def test_a_state_of_another_master_is_refused(master: Any, other: Any) -> None:
    if other == master:
        return
    saved = train(AdamW(parameters(), master=master)).state_dict()
    optimizer = train(AdamW(parameters(), master=other), seed=5)
    before = values(optimizer)
    sentence = (
        rf"^state of params\[0\]: expected what master={other!r} keeps of a parameter of bfloat16; got '{KEYS[master]}'"
    )
    with pytest.raises(ValueError, match=sentence):
        optimizer.load_state_dict(saved)
    assert_same_bits(values(optimizer), before)
    for state in saved["state"].values():
        del state[KEYS[master]]
    optimizer.load_state_dict(saved)
    train(optimizer)


@pytest.mark.parametrize("form", ["type", "shape", "no tensor"])
def test_a_damaged_state_is_refused(form: str) -> None:
    saved = train(AdamW(parameters(), master="split")).state_dict()
    low = saved["state"][1]["low"]
    saved["state"][1]["low"] = {"type": low.float(), "shape": low.ravel(), "no tensor": 5}[form]
    with pytest.raises((TypeError, ValueError), match=r"^low of params\[1\]: expected a tensor"):
        AdamW(parameters(), master="split").load_state_dict(saved)


@masters
def test_other_parameters_are_updated_as_always(master: Any) -> None:
    params, others = ([nn.Parameter(drawn(40, dtype=dtype)) for dtype in (F32, BF16, torch.float64)] for _ in range(2))
    optimizer, plain = AdamW(params, master=master), AdamW(others)
    train(optimizer)
    train(plain)
    for k in (0, 2):
        assert_same_bits([params[k].detach()], [others[k].detach()])
        assert set(optimizer.state[params[k]]) == {"step", "exp_avg", "exp_avg_sq"}
        assert optimizer.state[params[k]]["exp_avg"].dtype == params[k].dtype
    assert KEYS[master] in optimizer.state[params[1]]


@masters
def test_what_a_parameter_keeps_may_move(master: Any) -> None:
    """Each time to memory elsewhere, or in another layout; the old memory is not written any more."""
    params, others = parameters(), parameters()
    optimizer, still = train(AdamW(params, master=master)), train(AdamW(others, master=master))
    key, old = KEYS[master], []
    for seed in range(3):
        for param in params:
            kept = optimizer.state[param][key]
            old.append((kept, kept.clone()))
            if seed == 0:
                optimizer.state[param][key] = kept.clone()
            elif seed == 1:
                optimizer.state[param][key] = kept.contiguous().clone(memory_format=torch.contiguous_format)
            else:
                param.data = param.data.clone()
                kept.share_memory_()
                old.pop()
        assert_same_bits(values(train(optimizer, seed=seed)), values(train(still, seed=seed)))
    assert all(torch.equal(tensor, copied) for tensor, copied in old)


@masters
def test_what_a_parameter_keeps_is_noticed_where_it_cannot_be_used(master: Any) -> None:
    params, key = [nn.Parameter(drawn(32, seed=k, dtype=BF16)) for k in range(2)], KEYS[master]
    optimizer = train(AdamW(params, master=master))
    first, second = (optimizer.state[param] for param in params)
    own = second[key]
    for other, sentence in (
        (first[key], rf"^{key} of params\[0\]: expected memory of its own; it overlaps {key} of params\[1\] "),
        (first[key][:16], rf"^{key} of params\[1\]: expected a tensor of shape \(32,\)"),
        (own.to(torch.float64), rf"^{key} of params\[1\]: expected a tensor of "),
        ("text", rf"^{key} of params\[1\]: expected a tensor; got"),
    ):
        second[key] = other
        before = [param.detach().clone() for param in params]
        give_gradients(params)
        with pytest.raises((TypeError, ValueError), match=sentence):
            optimizer.step()
        assert_same_bits([param.detach() for param in params], before)
    second[key] = own
    own.untyped_storage().resize_(10)
    with pytest.raises(ValueError, match=rf"^{key} of params\[1\]: expected a tensor with memory for its elements"):
        optimizer.step()
    del second[key]  # begins anew
    optimizer.step()
    assert second[key].shape == (32,)


@masters
def test_a_parameter_that_becomes_float32_keeps_nothing(master: Any) -> None:
    (param,) = params = [nn.Parameter(drawn(32, dtype=BF16))]
    optimizer = train(AdamW(params, master=master))
    param.grad = None
    param.data = param.data.float()
    train(optimizer)
    assert KEYS[master] not in optimizer.state[param]
    param.grad = None
    param.data = param.data.to(BF16)
    before = param.detach().float().clone()
    optimizer.param_groups[0]["lr"] = 1e-9
    train(optimizer, 1)
    assert torch.allclose(param.detach().float(), before, rtol=2**-7)
    assert KEYS[master] in optimizer.state[param]


def test_a_split_parameter_that_becomes_float16_is_refused() -> None:
    (param,) = params = [nn.Parameter(drawn(32, dtype=BF16))]
    optimizer = train(AdamW(params, master="split"))
    param.grad = None
    param.data = param.data.to(F16)
    with pytest.raises(ValueError, match=r"^master: expected bfloat16 with 'split'.*got float16 at params\[0\]"):
        train(optimizer)


@masters
def test_a_parameter_with_holes_is_stepped_in_a_copy(master: Any) -> None:
    whole = drawn(2, 64, dtype=BF16)
    holes, dense = nn.Parameter(whole.clone()), nn.Parameter(whole[:, ::2].clone())
    holes.data = holes.data[:, ::2]
    first, second = AdamW([holes], master=master), AdamW([dense], master=master)
    train(first, 5)
    train(second, 5)
    assert_same_bits(
        [holes.detach(), first.state[holes][KEYS[master]]], [dense.detach(), second.state[dense][KEYS[master]]]
    )


@pytest.mark.parametrize(
    ("dtype", "options", "sentence"),
    [
        (F32, {"master": "split"}, r"master: expected None, or a parameter of bfloat16 or float16; got 'split' with float32"),
        (F16, {"master": "split"}, r"master: expected bfloat16 with 'split'.*got float16 at params\[0\]"),
        (BF16, {"master": "half"}, "master: expected one of split, kahan, float32; got 'half'"),
        (BF16, {"master": "kahan", "convention": "torch"}, "master: expected None with convention='torch'; got 'kahan'"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(dtype: torch.dtype, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        AdamW(parameters(dtype), **options)


def test_the_master_holds_for_all_groups() -> None:
    params = parameters()
    with pytest.raises(ValueError, match=r"^param_groups\[0\]\['master'\]: expected nothing.*pass it to the optimizer"):
        AdamW([{"params": params, "master": "kahan"}])
    optimizer = AdamW(params, master="split")
    with pytest.raises(ValueError, match=r"^master: expected bfloat16 with 'split'.*got float16"):
        optimizer.add_param_group({"params": [nn.Parameter(drawn(3, dtype=F16))]})
    assert len(optimizer.param_groups) == 1


@masters
def test_a_skipped_step_changes_nothing(master: Any) -> None:
    optimizer = train(AdamW(parameters(), master=master, nonfinite="skip"))
    before = values(optimizer)
    params = optimizer.param_groups[0]["params"]
    give_gradients(params)
    params[1].grad[0, 0] = float("nan")
    optimizer.step()
    assert_same_bits(values(optimizer), before)


def test_other_libraries_get_no_lower_halves() -> None:
    params = [nn.Parameter(drawn(64, 64, dtype=BF16))]
    saved = train(AdamW(params, master="split", state_dtype="8bit")).state_dict()
    for library in ("bitsandbytes", "torchao"):
        if library == "torchao":
            pytest.importorskip("torchao")
        assert "low" not in convert_state_dict(saved, library)["state"][0]
