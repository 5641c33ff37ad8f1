"""Groups of parameters with options of their own, and parameters that a step leaves out."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import steelyard as sy


def params(dtype: str = "float64") -> dict[str, Any]:
    ones = lambda *shape: np.ones(shape, dtype)  # noqa: E731
    return {"layers": [{"w": ones(2, 3), "bias": ones(3)} for _ in range(2)], "norm": ones(4), "head.bias": ones(1)}


KEYS = ["layers/0/w", "layers/0/bias", "layers/1/w", "layers/1/bias", "norm", "head.bias"]


def arrays(tree: dict[str, Any]) -> list[np.ndarray]:
    return [x for layer in tree["layers"] for x in layer.values()] + [tree["norm"], tree["head.bias"]]


def gradients(step: int, dtype: str = "float64") -> dict[str, Any]:
    tree = params(dtype)
    rng = np.random.default_rng(step)
    for x in arrays(tree):
        x[...] = rng.standard_normal(x.shape)
    return tree


def one_by_one(options: list[dict[str, Any]], steps: int) -> list[bytes]:
    """Each array by an optimizer of its own."""
    own = arrays(params())
    alone = [sy.AdamW(x, **option) for x, option in zip(own, options, strict=True)]
    for step in range(steps):
        for opt, grad in zip(alone, arrays(gradients(step)), strict=True):
            opt.step(grad)
    return [x.tobytes() for x in own]


# ---- groups -----------------------------------------------------------------------------------------------------


def test_each_parameter_has_the_options_of_its_group() -> None:
    schedule = sy.schedules.linear(0.5, total_steps=4)
    tree = params()
    opt = sy.AdamW(
        tree,
        lr=0.1,
        weight_decay=0.5,
        groups=[
            ("*bias", {"weight_decay": 0.0, "lr": schedule}),
            (lambda path, x: path == "norm" and x.shape == (4,), {"betas": (0.5, 0.75), "eps": 0.5}),
            ("layers.1", {"lr_scale": 3, "maximize": True}),
        ],
    )
    for step in range(3):
        assert opt.step(gradients(step)).lr == 0.1
    plain, bias = {"lr": 0.1, "weight_decay": 0.5}, {"lr": schedule, "weight_decay": 0.0}
    norm = {"lr": 0.1, "weight_decay": 0.5, "betas": (0.5, 0.75), "eps": 0.5}
    tripled = {"lr": 0.1 * 3, "weight_decay": 0.5, "maximize": True}
    assert [x.tobytes() for x in arrays(tree)] == one_by_one([plain, bias, tripled, bias, norm, bias], 3)


def test_clipping_is_by_one_norm_over_all_groups() -> None:
    one, two = params(), params()
    grouped = sy.AdamW(one, max_norm=0.5, groups=[("*bias", {"lr": 1e-3}), ("norm", {"betas": (0.9, 0.999)})])
    plain = sy.AdamW(two, max_norm=0.5)
    assert grouped.step(gradients(0)) == plain.step(gradients(0))
    assert [x.tobytes() for x in arrays(one)] == [x.tobytes() for x in arrays(two)]


@pytest.mark.parametrize(
    ("mask", "decaying"),
    [
        (["!*bias", "!norm"], [1, 0, 1, 0, 0, 0]),
        ("*/w", [1, 0, 1, 0, 0, 0]),
        (["layers/0", "norm"], [1, 1, 0, 0, 1, 0]),
        (lambda path, x: x.ndim > 1, [1, 0, 1, 0, 0, 0]),
        (
            {"layers": [{"w": True, "bias": False}, {"w": False, "bias": True}], "norm": np.True_, "head.bias": False},
            [1, 0, 0, 1, 1, 0],
        ),
    ],
)
def test_weights_decay_by_a_mask(mask: Any, decaying: list[int]) -> None:
    tree, later = params(), params()
    opt = sy.AdamW(tree, lr=0.1, weight_decay=0.5, decay_mask=mask)
    other = sy.AdamW(later, lr=0.1, weight_decay=0.5)
    other.decay_mask = mask
    for x in (opt, other):
        x.step(gradients(0))
        assert list((x.decay_mask or {}).values()) == list(map(bool, decaying))
    assert [x.tobytes() for x in arrays(tree)] == [x.tobytes() for x in arrays(later)]
    assert [x.tobytes() for x in arrays(tree)] == one_by_one(
        [{"lr": 0.1, "weight_decay": 0.5 * d} for d in decaying], 1
    )


def test_a_mask_and_groups_together() -> None:
    tree = params()
    groups: Any = [("layers/1", {"weight_decay": 0.25})]
    opt = sy.AdamW(tree, lr=0.1, weight_decay=0.5, groups=groups, decay_mask=["!*bias"])
    opt.step(gradients(0))
    decay = [0.5, 0.0, 0.25, 0.0, 0.5, 0.0]
    assert [x.tobytes() for x in arrays(tree)] == one_by_one([{"lr": 0.1, "weight_decay": d} for d in decay], 1)
    assert "groups: 'layers/1' (2): weight_decay=0.25; decaying: 3" in repr(opt)


def test_groups_can_be_set_and_say_what_they_are() -> None:
    tree, same = params(), params()
    opt = sy.AdamW(tree, lr=0.1)
    assert (opt.groups, opt.decay_mask) == ((), None)
    opt.groups = [("norm", {"lr": 0.5}), (lambda path, x: x.size == 1, {"weight_decay": 0.0})]
    assert opt.groups == (("norm", {"lr": 0.5}), ("<lambda>", {"weight_decay": 0.0}))
    with pytest.raises(TypeError, match="does not support item assignment"):
        opt.groups[0][1]["lr"] = 1.0  # type: ignore[index]
    opt.lr = 0.25  # of the parameters that have none of their own
    made = sy.AdamW(same, lr=0.25, groups=[("norm", {"lr": 0.5}), ("head*", {"weight_decay": 0.0})])
    for step in range(2):
        assert opt.step(gradients(step)) == made.step(gradients(step))
    assert [x.tobytes() for x in arrays(tree)] == [x.tobytes() for x in arrays(same)]
    opt.groups, opt.decay_mask = (), None
    assert (opt.groups, opt.decay_mask, "groups" in repr(opt)) == ((), None, False)


class Counter:
    """A learning rate that counts its calls."""

    calls = 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return 0.1


def test_a_rate_of_the_callers_is_asked_once_a_step() -> None:
    rate = Counter()
    sy.AdamW(params(), lr=rate, groups=[("norm", {"lr_scale": 2.0})]).step(gradients(0))
    assert rate.calls == 1


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([("*.bais", {"lr": 1.0})], "groups[0]: expected a pattern that matches a parameter, such as 'layers/0/w'"),
        ([("norm", {}), ("norm", {})], "groups[1]: expected a pattern that selects a parameter; got 'norm', all of"),
        ([("norm", {"lr": -1.0})], "groups[0]['lr']: expected a number that is at least 0; got -1"),
        (
            [("norm", {"wd": 1.0})],
            "groups[0]: expected lr_scale and the rule's own, such as lr, weight_decay; got 'wd'",
        ),
        ([("norm", {"max_norm": 1.0})], "groups[0]: expected lr_scale and the rule's own, such as lr"),
        ([("norm", {"lr_scale": -1.0})], "groups[0]['lr_scale']: expected a number that is at least 0; got -1"),
        ([("norm", {"betas": 0.9})], "groups[0]['betas']: expected two numbers"),
        ([("norm", {"betas": (0.9, 1.0)})], "groups[0]['betas'][1]: expected at least 0 and below 1; got 1.0"),
        (["norm"], "groups[0]: expected a pair of a pattern or predicate and a dictionary"),
        ([(5, {})], "groups[0]: expected a pattern such as '*.bias', or a function"),
        ("norm", "groups: expected a list of pairs"),
        ({"norm": {}}, "groups: expected a list of pairs"),
        ([(lambda path, x: x, {})], "groups[0]: expected a function that returns True or False; got float32 array"),
        ([("norm", {"eps": 1e-60})], "eps"),
    ],
)
def test_bad_groups(groups: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.AdamW(params("float32"), groups=groups)
    assert str(caught.value).startswith(message)
    opt = sy.AdamW(params("float32"), groups=[("norm", {"lr": 0.5})])
    with pytest.raises((TypeError, ValueError)) as caught:
        opt.groups = groups
    assert str(caught.value).startswith(message)
    assert opt.groups == (("norm", {"lr": 0.5}),)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (["!norn"], "decay_mask[0]: expected a pattern that matches a parameter"),
        (["!norm", "*w"], "decay_mask: expected patterns that all begin with '!', or none; got ['!norm', '*w']"),
        (lambda path, x: 1, "decay_mask: expected a function that returns True or False; got int 1 for 'layers/0/w'"),
        ({"norm": True}, "decay_mask: expected the keys of the parameters; got a dictionary without"),
        (params(), "decay_mask of 'layers/0/w': expected True (the weight decays) or False; got float64 array"),
        (5, "decay_mask: expected a dictionary, like the parameters; got int 5"),
    ],
)
def test_bad_masks(mask: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.AdamW(params(), decay_mask=mask)
    assert str(caught.value).startswith(message)


# ---- parameters without a gradient ------------------------------------------------------------------------------


def test_a_parameter_without_a_gradient_is_left_as_it_is_and_counts_its_own_steps() -> None:
    own, other = np.ones(5, np.float32), np.ones(3)
    alone, partner = own.copy(), other.copy()
    both = sy.AdamW({"a": own, "b": {"c": other}}, lr=0.1, amsgrad=True)
    first, second = sy.AdamW(alone, lr=0.1, amsgrad=True), sy.AdamW(partner, lr=0.1, amsgrad=True)
    grad = np.linspace(-1, 1, 5, dtype=np.float32)
    for step, (a, c) in enumerate([(1, 1), (0, 1), (1, 0), (0, 1), (0, 1), (1, 1)], 1):
        b = {"c": np.full(3, step * 1.0)} if c else None
        info = both.step({"a": grad * np.float32(step) if a else None, "b": b})
        assert (info.step, info.left_out) == (step, 2 - a - c)
        if a:
            first.step(grad * np.float32(step))
        if c:
            second.step(np.full(3, step * 1.0))
        assert info.grad_norm == pytest.approx(math.hypot(
            a * step * float(np.linalg.norm(grad)), c * step * math.sqrt(3)))  # fmt: skip
    assert (own.tobytes(), other.tobytes()) == (alone.tobytes(), partner.tobytes())
    state = both.state_dict()
    assert (state["step"], state["step/a"], state["step/b/c"]) == (6, 3, 5)
    assert state["exp_avg/a"].tobytes() == first.state_dict()["exp_avg"].tobytes()


def test_a_step_without_any_gradient_is_refused() -> None:
    opt = sy.AdamW([np.ones(2), np.ones(3)])
    for grads in (None, [None, None]):
        with pytest.raises(ValueError, match="grads: expected a gradient for at least one parameter; got none"):
            opt.step(grads)
    assert opt.state_dict()["step"] == 0


def test_a_bad_gradient_is_named_by_its_parameter_where_others_have_none() -> None:
    w = [np.ones(2) for _ in range(4)]
    opt = sy.AdamW(w, nonfinite="skip")
    info = opt.step([None, np.ones(2), None, np.array([1.0, np.nan])])
    assert (info.skipped, info.first_nonfinite, info.left_out) == (True, "grads[3]", 2)
    assert opt.step([None, np.full(2, 1e200), None, None]).first_nonfinite == "grads[1]"  # its square overflows
    with pytest.raises(ValueError, match=r"grads\[2\]: expected float64 of shape \(2,\)"):
        opt.step([None, None, np.ones(3), None])
    assert all((x == 1).all() for x in w)
    assert opt.state_dict()["step"] == 0
    assert not any(key.startswith("step/") for key in opt.state_dict())


def test_a_state_without_the_counts_that_it_needs_is_refused() -> None:
    opt = sy.AdamW([np.ones(2), np.ones(3)])
    opt.step([np.ones(2), None])
    state = opt.state_dict()
    assert state["step/1"] == 0
    for change, message in (
        ({"step/1": np.array(2)}, r"state\['step/1'\]: expected a whole number from 0 to 1; got 2"),
        ({"step/0": np.array(0)}, r"state\['exp_avg/0'\]: expected moments of 0, as the state says that no step"),
        ({"step/2": np.array(0)}, "also 'step/2'"),
    ):
        with pytest.raises(ValueError, match=message):
            opt.load_state_dict(state | change)


# ---- saved and loaded -------------------------------------------------------------------------------------------


def test_groups_are_saved_and_checked() -> None:
    opt = sy.AdamW(params(), lr=0.1, groups=[("norm", {"lr": sy.schedules.constant(0.5)})], decay_mask=["!*bias"])
    opt.step(gradients(0))
    state = opt.state_dict()
    other = sy.AdamW(params(), groups=[(lambda path, x: path == "norm", {"eps": 0.5})], decay_mask=["!*bias"])
    other.load_state_dict(state)
    assert other.groups == (("<lambda>", {"lr": sy.schedules.constant(0.5)}),)
    assert other.lr == 0.1
    moved = json.loads(str(state["groups"])) | {"group_of": {"head.bias": 1}}
    for target, saved, message in (
        (sy.AdamW(params()), state, "groups, which this optimizer lacks"),
        (sy.AdamW(params(), groups=[("norm", {})]), state, "groups with other members"),
        (other, state | {"groups": np.array(json.dumps(moved))}, "groups with other members"),
        (other, state | {"groups": np.array("{")}, "state\\['groups'\\]: expected what state_dict"),
        (other, state | {"groups": np.array("5")}, "state\\['groups'\\]: expected what state_dict"),
        (other, state | {"groups": np.array(str(state["groups"]).replace('"lr"', '"rl"'))}, "rl"),
    ):
        with pytest.raises(ValueError, match=message):
            target.load_state_dict(saved)
    plain = sy.AdamW(params())
    plain.load_state_dict({key: value for key, value in state.items() if key != "groups"})
    assert plain.groups == ()
    kept = sy.AdamW(params(), groups=[("norm", {"lr": 0.75})])
    kept.load_state_dict(sy.AdamW(params()).state_dict())
    assert kept.groups == (("norm", {"lr": 0.75}),)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_options_of_groups_may_be_numbers_of_numpy(suffix: str, tmp_path: Any) -> None:
    options = {"lr": np.float32(0.5), "lr_scale": np.int64(2), "maximize": np.True_, "betas": (np.float16(0.5), 0.75)}
    opt = sy.AdamW(params(), groups=[("norm", {**options, "weight_decay": np.array(0.25)})])
    opt.step(gradients(0))
    opt.save(tmp_path / f"s{suffix}")
    other = sy.AdamW(params(), groups=[("norm", {})])
    other.load(tmp_path / f"s{suffix}")
    plain = {"lr": 0.5, "lr_scale": 2.0, "maximize": True, "betas": (0.5, 0.75), "weight_decay": 0.25}
    assert other.groups == (("norm", plain),)


def test_an_option_of_a_group_stays_where_the_optimizer_that_loads_has_another_default() -> None:
    """Also one that equals the default of the class."""
    own = {"cautious": False, "bias_correction": True, "weight_decay": 0.01, "tight": False, "decay": "decoupled"}
    others: Any = {
        "cautious": True,
        "bias_correction": False,
        "weight_decay": 0.5,
        "tight": True,
        "decay": "independent",
    }
    w, copies = params(), params()
    opt = sy.AdamW(w, lr=0.1, groups=[("norm", own)], **others)
    later = sy.AdamW(copies, lr=0.5, groups=[("norm", {})])
    later.load_state_dict(opt.state_dict())
    assert later.groups == opt.groups
    for step in range(3):
        assert opt.step(gradients(step)) == later.step(gradients(step))
    assert [x.tobytes() for x in arrays(w)] == [x.tobytes() for x in arrays(copies)]
    alone = one_by_one([{"lr": 0.1, **(own if key == "norm" else others)} for key in KEYS], 3)  # fmt: skip
    assert [x.tobytes() for x in arrays(w)] == alone


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "betas": st.tuples(st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.75, 0.999])),
        "weight_decay": st.sampled_from([0.0, 0.01, 0.5]),
        "maximize": st.booleans(),
        "lr_scale": st.sampled_from([0.0, 0.5, 3.0]),
        "lr": st.sampled_from([0.25, sy.schedules.cosine(0.1, total_steps=5)]),
    },
)
TREES = st.recursive(
    st.tuples(st.sampled_from(["float32", "float64"]), st.integers(0, 5)).map(lambda leaf: np.ones(leaf[1], leaf[0]))
    | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=8,
)


def leaves(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, dict | list):
        return [x for item in (tree.values() if isinstance(tree, dict) else tree) for x in leaves(item)]
    return [] if tree is None else [tree]


def drawn(tree: Any, rng: np.random.Generator, absent: float) -> Any:
    """Gradients for a tree, of which some are missing."""
    if isinstance(tree, dict):
        return {key: drawn(value, rng, absent) for key, value in tree.items()}
    if isinstance(tree, list):
        return [drawn(value, rng, absent) for value in tree]
    return None if tree is None or rng.random() < absent else rng.standard_normal(tree.shape).astype(tree.dtype)


@settings(max_examples=60, deadline=None)
@given(
    tree=TREES.filter(lambda tree: len(leaves(tree)) > 1 and isinstance(tree, dict)),
    options=OPTIONS.map(lambda options: {key: value for key, value in options.items() if key != "lr_scale"}),
    groups=st.lists(st.tuples(st.integers(0, 7), OPTIONS), max_size=3),
    masked=st.integers(0, 7),
    amsgrad=st.booleans(),
    max_norm=st.sampled_from([None, 0.5]),
    cut=st.integers(0, 4),
    seed=st.integers(0, 99),
)
def test_interrupted_equals_uninterrupted(
    tree: Any, options: Any, groups: Any, masked: int, amsgrad: bool, max_norm: float | None, cut: int, seed: int
) -> None:
    """Over trees, types, groups, and gradients that are missing in any pattern; also through a pickle."""
    order: dict[str, int] = {}
    picks = [
        (lambda path, x, pick=pick: order.setdefault(path, len(order)) % 8 == pick, options) for pick, options in groups
    ]
    mask = lambda path, x: order.setdefault(path, len(order)) % 8 != masked  # noqa: E731
    everything: dict[str, Any] = options | {"amsgrad": amsgrad, "max_norm": max_norm}
    everything |= {"groups": picks, "decay_mask": mask}
    whole = copy.deepcopy(tree)
    opt = sy.AdamW(whole, **everything)
    steps = [grads for grads in (drawn(tree, np.random.default_rng((seed, i)), 0.4) for i in range(5)) if leaves(grads)]
    for grads in steps[:cut]:
        opt.step(grads)
    resumed, thawed = copy.deepcopy(whole), pickle.loads(pickle.dumps(opt))
    again = sy.AdamW(resumed, **everything)
    again.load_state_dict(opt.state_dict())
    for grads in steps[cut:]:
        assert opt.step(grads) == again.step(grads) == thawed.step(grads)
    bits = [x.tobytes() for x in opt._params]
    assert bits == [x.tobytes() for x in again._params] == [x.tobytes() for x in thawed._params]
    assert {key: x.tobytes() for key, x in opt.state_dict().items()} == {
        key: x.tobytes() for key, x in thawed.state_dict().items()
    }


def test_messages_about_groups_and_options_say_what_to_do() -> None:
    tree = {"w": np.ones(2), "b": np.ones(2)}
    rate = sy.schedules.cosine(1.0, total_steps=10)
    calls: list[tuple[dict[str, Any], str]] = [
        ({"groups": [("b", {"weightdecay": 0.0})]}, "did you mean 'weight_decay'?"),
        ({"groups": [("b", {"max_norm": 1.0})]}, "max_norm holds for all groups"),
        ({"groups": {"b": {"lr": 1.0}}}, r"pass list\(groups.items\(\)\)"),
        ({"decay_mask": False}, "decay_mask: expected patterns, a function, or a tree .* weight_decay=0.0 turns"),
        ({"eps": rate}, "eps: expected a number, the same at every step; got Schedule .* may be functions"),
        ({"max_norm": rate}, "max_norm: expected a number, the same at every step; got Schedule"),
    ]
    for options, message in calls:
        with pytest.raises((TypeError, ValueError), match=message):
            sy.AdamW(tree, **options)
    with pytest.raises(TypeError, match="momentum: expected a number, the same at every step"):
        sy.optim.SGD(tree, momentum=rate)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"params\[0\]\[\"lr\"\]: .*groups="):
        sy.AdamW([{"params": [np.ones(2)], "lr": 0.1}])


def test_a_repr_says_how_numbers_are_kept() -> None:
    param = np.ones(2, np.float16)
    shown = repr(sy.optim.Lion(param, state_dtype="float32", rounding="stochastic"))
    assert "state_dtype='float32', rounding='stochastic'" in shown
    assert "master='kahan'" in repr(sy.AdamW(param, master="kahan"))
    assert "state_dtype" not in repr(sy.AdamW(param))
