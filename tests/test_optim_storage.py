"""How the NumPy optimizers store parameters and moments: other types, 8 bits, random rounding, masters and copies."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference import random, rules, storage

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = ml_dtypes.bfloat16
HALVES = {"bfloat16": BF16, "float16": np.float16}
SHAPES = {"large": (64, 100), "uneven": (4099,), "small": (7,)}


def numbers(seed: int, dtype: Any = np.float32) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {key: rng.standard_normal(shape).astype(np.float32).astype(dtype) for key, shape in SHAPES.items()}


def copied(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: x.copy() for key, x in tree.items()}


def same_bits(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key].tobytes() == other[key].tobytes() for key in one)


# ---- the types of moments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "dtype", "types"),
    [
        ({}, np.float32, {"float32"}),
        ({"state_dtype": "bfloat16"}, np.float32, {"uint16"}),
        ({"state_dtype": "float32"}, BF16, {"float32"}),
        ({"state_dtype": "bfloat16"}, np.float16, {"uint16"}),
        ({"state_dtype": "bfloat16"}, np.float64, {"float64"}),
        ({"state_dtype": "8bit"}, np.float64, {"float64"}),
        ({"state_dtype": "8bit"}, BF16, {"float32", "uint8"}),
        ({"master": "split"}, BF16, {"float32"}),
        ({"master": "kahan"}, np.float16, {"float16"}),
        ({"master": "float32", "state_dtype": "bfloat16"}, np.float16, {"uint16"}),
    ],
    ids=lambda x: str(sorted(x)) if isinstance(x, set) else str(x),  # every process orders a set differently
)
def test_moments_have_the_type_that_was_asked_for(options: dict[str, Any], dtype: Any, types: set[str]) -> None:
    opt = sy.AdamW(numbers(0, dtype), amsgrad=True, **options)
    opt.step(numbers(1))
    moments = {key: x for key, x in opt.state_dict().items() if "exp_avg" in key and "scale" not in key}
    assert {str(x.dtype) for x in moments.values()} == types
    assert len(moments) == 9
    coded = {key for key, x in moments.items() if x.dtype == np.uint8}
    assert not any(key.endswith("small") for key in coded)


@pytest.mark.parametrize("moments", ["bfloat16", "8bit"])
def test_a_step_is_that_of_the_widened_moments(moments: Any) -> None:
    params = numbers(0)
    opt = sy.AdamW(params, lr=1e-2, state_dtype=moments)
    options: Any = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    for step in range(1, 4):
        before, state, grads = copied(params), opt.state_dict(), numbers(step)
        opt.step(grads)
        later = opt.state_dict()
        for key, p in params.items():
            wide = {}
            for short, name in (("m", "exp_avg"), ("v", "exp_avg_sq")):
                kept, scale = state[f"{name}/{key}"], state.get(f"{name}_scale/{key}")
                if kept.dtype == np.uint8:
                    wide[short] = storage.decode(kept.ravel(), scale, name == "exp_avg").reshape(p.shape)
                else:
                    wide[short] = (kept.view(BF16) if kept.dtype == np.uint16 else kept).astype(np.float32)
            after = rules.adam(before[key], grads[key], wide["m"], wide["v"], step=step, **options)
            assert p.tobytes() == after["p"].tobytes()
            for short, name in (("m", "exp_avg"), ("v", "exp_avg_sq")):
                kept = later[f"{name}/{key}"]
                if kept.dtype == np.uint8:
                    codes, scales = storage.encode(after[short].ravel(), name == "exp_avg")
                    assert np.array_equal(kept.ravel(), codes)
                    assert np.array_equal(later[f"{name}_scale/{key}"], scales)
                else:
                    wanted = after[short].astype(BF16).view(np.uint16) if kept.dtype == np.uint16 else after[short]
                    assert kept.tobytes() == wanted.tobytes()


def test_every_rule_keeps_its_moments_in_8_bits() -> None:
    """Momentum has codes for numbers below 0 under every name."""
    for make in (sy.AdamW, sy.optim.Adam, sy.optim.Lion, lambda x, **o: sy.optim.SGD(x, momentum=0.9, **o)):
        exact, near = np.zeros(5000), np.zeros(5000, np.float32)
        one, two = make(exact, lr=0.01), make(near, lr=0.01, state_dtype="8bit")
        for step in range(20):
            grad = np.sin(np.arange(5000) * 0.1) + 0.1 * np.cos(step)
            one.step(grad)
            two.step(grad.astype(np.float32))
        assert np.corrcoef(exact, near)[0, 1] > 0.99
        assert (near < 0).any()
        assert (near > 0).any()


# ---- random rounding --------------------------------------------------------------------------------------------


def test_random_rounding_is_keyed_by_seed_step_array_and_element() -> None:
    params = numbers(0, BF16)
    single = {key: x.astype(np.float32) for key, x in params.items()}
    opt = sy.AdamW(params, lr=1e-3, rounding="stochastic", seed=11, state_dtype="float32")
    plain = sy.AdamW(single, lr=1e-3)
    opt.step(numbers(1))
    plain.step(numbers(1))
    for number, (key, own) in enumerate(params.items()):
        bits = single[key].ravel().view(np.uint32)
        wanted = ((bits + random.halves(11, number, 1, 0, own.size)) >> np.uint32(16)).astype(np.uint16)
        assert np.array_equal(own.ravel().view(np.uint16), wanted)


@pytest.mark.parametrize("dtype", HALVES)
def test_small_updates_are_kept_by_all_but_nearest(dtype: str) -> None:
    """Ten thousand weights of 1, which 100 steps move by 1e-5 each: far below half of the last place of 16 bits."""
    moved = {}
    for name, options in (
        ("nearest", {}),
        ("stochastic", {"rounding": "stochastic"}),
        ("kahan", {"master": "kahan"}),
        ("float32", {"master": "float32"}),
    ):
        weight = np.full(10_000, 1.0).astype(HALVES[dtype])
        opt: Any = sy.AdamW(weight, lr=1e-5, weight_decay=0.0, state_dtype="float32", **options)  # type: ignore[arg-type]
        for _ in range(100):
            opt.step(np.ones(10_000, np.float32))
        rest = opt.state_dict().get("rest", np.zeros(1, np.uint16))
        rest = rest.view(BF16) if rest.dtype == np.uint16 else rest
        master = opt.state_dict().get("master")
        value = weight.astype(np.float64) + rest.astype(np.float64) if master is None else master.astype(np.float64)
        moved[name] = 1.0 - value.mean()
    assert moved["nearest"] == 0.0
    place = 2.0**-8 if dtype == "bfloat16" else 2.0**-11  # below 1
    assert abs(moved["stochastic"] - 1e-3) < 5 * np.sqrt(1e-3 * place / 10_000)
    # The rest has the digits of its type: of bfloat16 places of 2**-17, to which updates of 1e-5 are rounded.
    assert abs(moved["kahan"] - 1e-3) < (5e-5 if dtype == "bfloat16" else 2e-6)
    assert abs(moved["float32"] - 1e-3) < 1e-5


# ---- parameters that keep more than 16 bits ---------------------------------------------------------------------


@pytest.mark.parametrize("amsgrad", [False, True])
def test_split_has_the_bits_of_float32(amsgrad: bool) -> None:
    whole = {key: x.astype(np.float32) for key, x in numbers(0, BF16).items()}
    high = numbers(0, BF16)
    options: Any = {"lr": 1e-3, "weight_decay": 0.1, "amsgrad": amsgrad, "max_norm": 50.0}
    plain, split = sy.AdamW(whole, **options), sy.AdamW(high, master="split", **options)
    for step in range(50):
        assert plain.step(numbers(step)) == split.step(numbers(step))
    state, other = split.state_dict(), plain.state_dict()
    for key, x in whole.items():
        upper, lower = storage.halves_of(x.ravel())
        assert np.array_equal(high[key].ravel().view(np.uint16), upper)
        assert np.array_equal(state[f"low/{key}"].ravel(), lower)
    assert same_bits(
        {key: x for key, x in state.items() if "exp_avg" in key},
        {key: x for key, x in other.items() if "exp_avg" in key},
    )


@pytest.mark.parametrize("dtype", HALVES)
def test_a_float32_master_and_copies_have_the_bits_of_float32(dtype: str) -> None:
    half = numbers(0, HALVES[dtype])
    whole, other = ({key: x.astype(np.float32) for key, x in half.items()} for _ in range(2))
    copies = {key: np.zeros_like(x) for key, x in half.items()} | {"small": None}
    plain, master = sy.AdamW(whole), sy.AdamW(half, master="float32")
    copying = sy.AdamW(other, copy_to=copies)
    for step in range(5):
        assert plain.step(numbers(step)) == master.step(numbers(step)) == copying.step(numbers(step))
    state = master.state_dict()
    for key, x in whole.items():
        assert state[f"master/{key}"].tobytes() == other[key].tobytes() == x.tobytes()
        assert half[key].tobytes() == x.astype(HALVES[dtype]).tobytes()
        if key != "small":
            assert copies[key].tobytes() == half[key].tobytes()
    assert copying.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("dtype", HALVES)
def test_kahan_is_the_reference(dtype: str) -> None:
    params = numbers(0, HALVES[dtype])
    opt = sy.AdamW(params, master="kahan", state_dtype="float32")
    options: Any = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    for step in range(1, 4):
        before, state, grads = copied(params), opt.state_dict(), numbers(step)
        opt.step(grads)
        for key, p in params.items():
            bits = state[f"rest/{key}"]
            rest = bits.view(BF16) if bits.dtype == np.uint16 else bits
            value = before[key].astype(np.float32) + rest.astype(np.float32)
            after = rules.adam(
                value, grads[key], state[f"exp_avg/{key}"], state[f"exp_avg_sq/{key}"], step=step, **options
            )
            nearest, left = storage.with_rest(after["p"], HALVES[dtype])
            assert p.tobytes() == nearest.tobytes()
            assert opt.state_dict()[f"rest/{key}"].tobytes() == left.tobytes()


def test_parameters_of_other_types_are_updated_as_always() -> None:
    tree = {"half": np.ones(9, BF16), "single": np.ones(9, np.float32), "double": np.ones(9)}
    alone = {key: x.copy() for key, x in tree.items()}
    opt = sy.AdamW(tree, master="split")
    others = {key: sy.AdamW(x) for key, x in alone.items()}
    for step in range(3):
        grad = np.linspace(-1, 1, 9) * step
        opt.step({"half": grad.astype(np.float32), "single": grad.astype(np.float32), "double": grad})
        others["single"].step(grad.astype(np.float32))
        others["double"].step(grad)
    assert tree["single"].tobytes() == alone["single"].tobytes()
    assert tree["double"].tobytes() == alone["double"].tobytes()
    assert {key for key in opt.state_dict() if key.startswith("low")} == {"low/half"}


# ---- states -----------------------------------------------------------------------------------------------------

WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "bfloat16": (np.float32, {"state_dtype": "bfloat16", "rounding": "stochastic", "seed": 2**64 - 1}),
    "8bit": (np.float32, {"state_dtype": "8bit", "amsgrad": True}),
    "8bit split": (BF16, {"state_dtype": "8bit", "master": "split"}),
    "stochastic": (BF16, {"rounding": "stochastic", "seed": 3, "amsgrad": True}),
    "split": (BF16, {"master": "split", "amsgrad": True}),
    "kahan": (np.float16, {"master": "kahan", "max_norm": 1.0}),
    "float32": (BF16, {"master": "float32", "state_dtype": "bfloat16"}),
}


@pytest.mark.parametrize("way", ["state_dict", ".npz", ".safetensors", "pickle", "deepcopy"])
@pytest.mark.parametrize("name", WAYS)
def test_interrupted_equals_uninterrupted(name: str, way: str, tmp_path: Path) -> None:
    dtype, options = WAYS[name]
    options = options | {"lr": 1e-2, "groups": [("small", {"lr_scale": 3.0})]}
    begun = numbers(0, dtype)
    through, parts = copied(begun), copied(begun)
    whole, first = sy.AdamW(through, **options), sy.AdamW(parts, **options)
    grads = lambda step: numbers(step) | ({"uneven": None} if step == 2 else {})  # noqa: E731
    for step in range(6):
        whole.step(grads(step))
    with sy.threads(1):
        for step in range(3):
            first.step(grads(step))
    if way in {"pickle", "deepcopy"}:
        later = copy.deepcopy(first) if way == "deepcopy" else pickle.loads(pickle.dumps(first))
        parts = dict(zip(SHAPES, later._params, strict=True))
    else:
        later = sy.AdamW(parts, **options | {"lr": 1.0, "groups": [("small", {})]})
        if way == "state_dict":
            later.load_state_dict(first.state_dict())
        else:
            first.save(tmp_path / f"s{way}")
            later.load(tmp_path / f"s{way}")
    for step in range(3, 6):
        later.step(grads(step))
    assert same_bits(through, parts)
    assert same_bits(whole.state_dict(), later.state_dict())


def test_a_copy_keeps_parameters_and_their_copies_together() -> None:
    params, copies = numbers(0), numbers(0, BF16)
    opt = copy.deepcopy(sy.AdamW(params, copy_to=copies))
    opt.step(numbers(1))
    assert opt._copies is not None
    for own, other in zip(opt._params, opt._copies, strict=True):
        assert other.tobytes() == own.astype(BF16).tobytes()
    assert same_bits(copies, numbers(0, BF16))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("exp_avg_sq_scale/large", -1.0, r"state\['exp_avg_sq_scale/large'\]: expected .* at least 0; got a negative"),
        ("exp_avg_scale/large", np.nan, r"state\['exp_avg_scale/large'\]: expected finite moments; got a NaN"),
        ("exp_avg_scale/uneven", np.inf, r"state\['exp_avg_scale/uneven'\]: expected finite moments"),
        ("low/large", None, "got no 'low/large'"),
        ("exp_avg/large", np.zeros((64, 99), np.uint8), r"expected C-contiguous codes \(uint8\) of shape \(64, 100\)"),
        ("exp_avg/large", np.zeros((64, 100), np.float32), r"state\['exp_avg/large'\]: expected C-contiguous codes"),
        ("exp_avg/small", np.zeros(7, np.uint8), r"state\['exp_avg/small'\]: expected an aligned array of floats"),
        ("exp_avg_scale/large", np.zeros(24, np.float32), r"expected float32 of shape \(25,\)"),
        ("exp_avg_scale/small", np.zeros(1, np.float32), "also 'exp_avg_scale/small'"),
    ],
)
def test_damaged_codes_and_scales_are_refused(key: str, value: Any, message: str) -> None:
    opt = sy.AdamW(numbers(0, BF16), state_dtype="8bit", master="split")
    opt.step(numbers(1))
    state = opt.state_dict()
    before = copied(state)
    if value is None:
        del state[key]
    elif isinstance(value, float):
        state[key][3] = value
    else:
        state[key] = value
    with pytest.raises((TypeError, ValueError), match=message):
        opt.load_state_dict(state)
    assert same_bits(opt.state_dict(), before)


def test_scales_of_a_state_without_a_step_are_0() -> None:
    opt = sy.AdamW(numbers(0), state_dtype="8bit")
    state = opt.state_dict()
    state["exp_avg_scale/large"][0] = 1.0
    with pytest.raises(ValueError, match="as the state says that no step was made; got another"):
        opt.load_state_dict(state)


def test_a_state_that_was_kept_in_another_way_is_refused() -> None:
    for saved, own in (
        ({}, {"state_dtype": "8bit"}),
        ({"state_dtype": "8bit"}, {}),
        ({"master": "split"}, {"master": "kahan"}),
        ({"state_dtype": "bfloat16"}, {}),
    ):
        small = np.ones(3, BF16)
        opt = sy.AdamW(small, **own)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="state"):
            opt.load_state_dict(sy.AdamW(np.ones(3, BF16), **saved).state_dict())  # type: ignore[arg-type]
    options = json.loads(str(sy.AdamW(np.ones(3), seed=5, rounding="stochastic").state_dict()["options"]))
    assert (options["seed"], options["rounding"], options["master"]) == (5, "stochastic", None)


# ---- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        (np.float32, {"state_dtype": "4bit"}, "state_dtype: expected one of float32, bfloat16, 8bit; got '4bit'"),
        (np.float32, {"rounding": "up"}, "rounding: expected one of nearest, stochastic; got 'up'"),
        (np.float32, {"seed": -1}, "seed: expected a whole number from 0"),
        (np.float32, {"master": "split"}, "master: expected None, or a parameter of bfloat16 or float16; got 'split'"),
        (
            np.float16,
            {"master": "split"},
            r"master: expected bfloat16 with 'split'.*got float16 at params\[\"large\"\]",
        ),
        (BF16, {"master": "half"}, "master: expected one of split, kahan, float32; got 'half'"),
        (BF16, {"master": "kahan", "copy_to": numbers(0)}, "copy_to: expected None with master='kahan'"),
        (np.float32, {"copy_to": {"large": np.ones(1)}}, "copy_to: expected the keys of the parameters"),
        (np.float32, {"copy_to": numbers(0) | {"small": np.ones(8)}}, r"copy_to\[\"small\"\]: expected .*shape \(7,\)"),
        (
            np.float32,
            {"copy_to": numbers(0) | {"small": np.ones(7, int)}},
            r"copy_to\[\"small\"\]: expected an aligned",
        ),
        (np.float32, {"groups": [("small", {"rounding": "nearest"})]}, r"groups\[0\]: expected lr_scale and the rule"),
    ],
)
def test_what_makes_no_sense_is_refused(dtype: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        sy.AdamW(numbers(0, dtype), **options)


def test_copies_are_checked_at_every_step() -> None:
    params = numbers(0)
    with pytest.raises(ValueError, match=r"params\[.*\]: expected memory of its own; it overlaps copy_to"):
        sy.AdamW(params, copy_to=params)
    copies = numbers(0, np.float16)
    opt = sy.AdamW(params, copy_to=copies)
    copies["small"].flags.writeable = False
    before = copied(params)
    with pytest.raises(ValueError, match=r"copy_to\[\"small\"\]: expected a writeable array"):
        opt.step(numbers(1))
    assert same_bits(params, before)
    copies["small"].flags.writeable = True
    opt.step(numbers(1) | {"large": None})
    assert same_bits({"x": copies["large"]}, {"x": numbers(0, np.float16)["large"]})
    assert copies["small"].tobytes() == params["small"].astype(np.float16).tobytes()


def test_a_copy_of_another_shape_size_or_type_is_refused_at_a_step() -> None:
    def widened(copy: Any) -> None:
        copy.dtype = np.float32

    def resized(copy: Any) -> None:
        copy.resize(9, refcheck=False)

    def shaped(copy: Any) -> None:
        copy.shape = (4, 2)

    for change, got in ((widened, "float32 of shape (4,)"), (resized, "(9,)"), (shaped, "(4, 2)")):
        param, copies = np.ones(8, np.float32), np.zeros(8, np.float16)
        opt = sy.AdamW(param, copy_to=copies)
        change(copies)
        with pytest.raises(ValueError, match=r"copy_to: expected float16 of shape \(8,\), as when .*" + re.escape(got)):
            opt.step(np.ones(8, np.float32))
        assert param.tolist() == [1.0] * 8


def test_an_option_that_cannot_be_set_leaves_the_type_of_the_sums() -> None:
    param, copies = np.ones(4), np.zeros(4)
    opt = sy.AdamW(param, copy_to=copies)
    param.dtype = np.float32
    with pytest.raises(ValueError, match=r"copy_to: expected float64 of shape \(8,\)|copy_to: expected .*\(8,\)"):
        opt.state_dtype = "bfloat16"
    param.dtype = np.float64
    opt.accumulate(np.ones(4))
    assert opt.state_dict()["grad_sum"].dtype == np.float64


def test_a_second_moment_above_zero_is_never_coded_as_zero() -> None:
    """With a code of 0, an element whose gradients are small beside its block's would move by m / eps."""
    n = 4096
    size = np.where(np.arange(n) % 2, 1.0, 1e-4).astype(np.float32)
    rng = np.random.default_rng(0)
    exact, coded = np.zeros(n, np.float32), np.zeros(n, np.float32)
    opts = [sy.AdamW(exact, lr=1e-3), sy.AdamW(coded, lr=1e-3, state_dtype="8bit")]
    for _ in range(300):
        grad = size * rng.standard_normal(n).astype(np.float32)
        for opt in opts:
            opt.step(grad)
    state = opts[1].state_dict()
    assert (state["exp_avg_sq"] > 0).all()
    assert np.abs(coded).max() < 2 * np.abs(exact).max() < 0.2


def test_the_way_of_storing_can_be_set_before_the_first_step_only() -> None:
    params = numbers(0, BF16)
    opt = sy.AdamW(params)
    opt.master, opt.state_dtype = "split", "8bit"
    opt.step(numbers(1))
    assert {"low/large", "exp_avg_scale/large"} <= opt.state_dict().keys()
    opt.rounding, opt.seed = "stochastic", 5
    for name, value in (("master", None), ("state_dtype", "float32")):
        with pytest.raises(AttributeError, match=f"{name}: expected to be set before the first step"):
            setattr(opt, name, value)


@pytest.mark.parametrize("name", WAYS)
def test_a_step_that_would_overflow_writes_nothing(name: str) -> None:
    dtype, options = WAYS[name]
    params = numbers(0, dtype)
    opt = sy.AdamW(params, **options | {"max_norm": None})
    opt.step(numbers(1))
    before, state = copied(params), opt.state_dict()
    huge = numbers(2)
    huge["uneven"][7] = 3e38
    with pytest.raises(ValueError, match=r"grads\[\"uneven\"\].*: expected gradients whose squares fit"):
        opt.step(huge)
    assert same_bits(params, before)
    assert same_bits(opt.state_dict(), state)


def test_a_setter_that_raises_leaves_the_optimizer_as_it_was() -> None:
    param = np.ones(3, np.float16)
    opt = sy.AdamW(param, copy_to=np.zeros(3, np.float32))
    before = opt.state_dict()
    with pytest.raises(ValueError, match="copy_to: expected None with master='kahan'"):
        opt.master = "kahan"
    assert list(opt.state_dict()) == list(before)
    opt.step(np.ones(3, np.float32))
    assert opt.state_dict()["step"] == 1


def test_a_master_of_a_single_number() -> None:
    param = np.array(1.0, np.float16)
    opt = sy.AdamW(param, lr=0.25, weight_decay=0.0, master="float32")
    opt.step(np.array(1.0, np.float32))
    assert param == 0.75
    assert opt.state_dict()["master"].shape == ()
