"""The rules of optimizers against formulas of their own: trajectories with 40 digits, written from the papers."""

from __future__ import annotations

import copy
from typing import Any

import mpmath
import numpy as np
import pytest

import steelyard as sy
from steelyard import _core, reference
from steelyard.reference import rules

START = [1.0, -2.0, 0.5]
GRADS = [[0.1, -0.3, 0.0], [0.2, 0.1, -0.7], [-0.4, 0.0, 0.3], [0.3, 0.2, 4.0]]
LR, MAX_LR, EPS = 0.1, 0.25, 1e-8


def mp(x: float) -> mpmath.mpf:
    return mpmath.mpf(x)


def decayed(p: Any, kind: str, lr: Any, wd: float) -> Any:
    """What the weight decay leaves of a parameter, for the kinds that are apart from the gradient."""
    # The rate enters corrected decay twice: once as what it is, once as where the training stands.
    corrected = lr * mp(LR) / mp(MAX_LR)
    share = {"decoupled": lr, "independent": lr / mp(MAX_LR), "corrected": corrected, "l2": mp(0)}[kind]
    return p * (1 - share * mp(wd))


def adam_by_hand(betas: tuple[float, float], wd: float, kind: str, flags: set[str]) -> list[list[Any]]:
    """Adam with its variants, from the papers: every symbol with 40 digits, moments corrected where they are used."""
    b1, b2 = mp(betas[0]), mp(betas[1])
    p, m, v, top = ([mp(x) for x in START], *([mp(0)] * len(START) for _ in range(3)))
    seen = []
    for t, grads in enumerate(GRADS, 1):
        g = [mp(x) * (-1 if "maximize" in flags else 1) for x in grads]
        if kind == "l2":
            g = [gi + mp(wd) * pi for gi, pi in zip(g, p, strict=True)]
        m = [b1 * mi + (1 - b1) * gi for mi, gi in zip(m, g, strict=True)]
        v = [b2 * vi + (1 - b2) * gi**2 for vi, gi in zip(v, g, strict=True)]
        top = [max(a, b) for a, b in zip(top, v, strict=True)]
        c1, c2 = (1 - b1**t, 1 - b2**t) if "uncorrected" not in flags else (mp(1), mp(1))
        second = [x / c2 for x in (top if "amsgrad" in flags else v)]
        lr, scale = mp(LR), mp(1)
        if "stable" in flags:
            squares = [gi**2 / max(si, mp(EPS) ** 2) for gi, si in zip(g, second, strict=True)]
            lr = lr / max(mp(1), mpmath.sqrt(sum(squares) / len(squares)))
        kept = [mi * gi > 0 or "cautious" not in flags for mi, gi in zip(m, g, strict=True)]
        if "cautious" in flags:
            scale = 1 / max(mp(sum(kept)) / len(kept), mp(1e-3))
        update = [
            keep * lr * scale * mi / c1 / (mpmath.sqrt(si) + mp(EPS))
            for keep, mi, si in zip(kept, m, second, strict=True)
        ]
        p = [decayed(pi, kind, lr, wd) - ui for pi, ui in zip(p, update, strict=True)]
        seen.append(p)
    return seen


def lion_by_hand(betas: tuple[float, float], wd: float, kind: str, flags: set[str]) -> list[list[Any]]:
    b1, b2 = mp(betas[0]), mp(betas[1])
    p, m = [mp(x) for x in START], [mp(0)] * len(START)
    seen = []
    for grads in GRADS:
        g = [mp(x) * (-1 if "maximize" in flags else 1) for x in grads]
        signs = [mpmath.sign(b1 * mi + (1 - b1) * gi) for mi, gi in zip(m, g, strict=True)]
        kept = [si * gi > 0 or "cautious" not in flags for si, gi in zip(signs, g, strict=True)]
        scale = 1 / max(mp(sum(kept)) / len(kept), mp(1e-3)) if "cautious" in flags else 1
        p = [
            decayed(pi, kind, mp(LR), wd) - keep * mp(LR) * scale * si
            for pi, si, keep in zip(p, signs, kept, strict=True)
        ]
        m = [b2 * mi + (1 - b2) * gi for mi, gi in zip(m, g, strict=True)]
        seen.append(p)
    return seen


def sgd_by_hand(momentum: float, dampening: float, wd: float, kind: str, flags: set[str]) -> list[list[Any]]:
    p, buf = [mp(x) for x in START], [mp(0)] * len(START)
    seen = []
    for t, grads in enumerate(GRADS, 1):
        g = [mp(x) * (-1 if "maximize" in flags else 1) for x in grads]
        if kind == "l2":
            g = [gi + mp(wd) * pi for gi, pi in zip(g, p, strict=True)]
        buf = [mp(momentum) * b + (1 - mp(dampening)) * gi for b, gi in zip(buf, g, strict=True)] if t > 1 else g
        way = [gi + mp(momentum) * b for b, gi in zip(buf, g, strict=True)] if "nesterov" in flags else buf
        p = [decayed(pi, kind, mp(LR), wd) - mp(LR) * wi for pi, wi in zip(p, way, strict=True)]
        seen.append(p)
    return seen


def assert_follows(states: list[np.ndarray], wanted: list[list[Any]]) -> None:
    for t, (state, want) in enumerate(zip(states, wanted, strict=True), 1):
        for got, exact in zip(state.tolist(), want, strict=True):
            assert abs(mp(got) - exact) <= mp(2e-15) * max(1, abs(exact)), (t, got, mpmath.nstr(exact, 20))


@pytest.fixture(autouse=True)
def forty_digits() -> Any:
    with mpmath.workdps(40):
        yield


ADAM: dict[str, tuple[tuple[float, float], float, str, set[str]]] = {
    "AdamW": ((0.9, 0.999), 0.01, "decoupled", set()),
    "Adam": ((0.9, 0.999), 0.0, "l2", set()),
    "Adam with L2": ((0.9, 0.999), 0.3, "l2", {"maximize"}),
    "independent": ((0.3, 0.95), 0.01, "independent", set()),
    "corrected": ((0.9, 0.95), 0.5, "corrected", {"amsgrad"}),
    "cautious": ((0.9, 0.999), 0.1, "decoupled", {"cautious"}),
    "cautious amsgrad": ((0.9, 0.999), 0.1, "corrected", {"cautious", "amsgrad", "maximize"}),
    "stable": ((0.9, 0.99), 0.2, "decoupled", {"stable"}),
    "stable independent": ((0.9, 0.99), 0.01, "independent", {"stable", "cautious"}),
    "stable corrected": ((0.9, 0.99), 0.5, "corrected", {"stable"}),
    "uncorrected": ((0.9, 0.999), 0.1, "decoupled", {"uncorrected"}),
    "uncorrected stable": ((0.5, 0.9), 0.1, "decoupled", {"uncorrected", "stable"}),
}


@pytest.mark.parametrize("tight", [False, True], ids=["torch", "tight"])
@pytest.mark.parametrize("name", ADAM)
def test_adam_follows_the_papers(name: str, tight: bool) -> None:
    betas, wd, kind, flags = ADAM[name]
    state = {"p": np.array(START), "m": np.zeros(3), "v": np.zeros(3)}
    state |= {"vmax": np.zeros(3)} if "amsgrad" in flags else {}
    seen = []
    for step, g in enumerate(GRADS, 1):
        state = rules.adam(
            g=np.array(g), step=step, lr=LR, betas=betas, eps=EPS, weight_decay=wd, decay=kind, max_lr=MAX_LR,
            bias_correction="uncorrected" not in flags, cautious="cautious" in flags, stable="stable" in flags,
            maximize="maximize" in flags, tight=tight, **state,
        )  # fmt: skip
        seen.append(state["p"])
    assert_follows(seen, adam_by_hand(betas, wd, kind, flags))


def test_the_published_trajectory() -> None:
    """The formula by hand against figures that were computed elsewhere."""
    third = adam_by_hand((0.9, 0.999), 0.01, "decoupled", set())[2]
    for got, want in zip(third[:2], ["0.82016067546619717112", "-1.8232870578641779554"], strict=True):
        # The published constants are of decimal 0.1, the trajectory here of its double.
        assert abs(got - mp(want)) < mp("1e-15")


@pytest.mark.parametrize("tight", [False, True], ids=["torch", "tight"])
@pytest.mark.parametrize("kind", ["decoupled", "independent", "corrected"])
@pytest.mark.parametrize("flags", [set(), {"cautious"}, {"maximize"}], ids=["plain", "cautious", "maximize"])
def test_lion_follows_its_paper(kind: str, flags: set[str], tight: bool) -> None:
    state = {"p": np.array(START), "m": np.zeros(3)}
    seen = []
    for g in GRADS:
        state = rules.lion(
            g=np.array(g), lr=LR, betas=(0.9, 0.99), weight_decay=0.1, decay=kind, max_lr=MAX_LR, tight=tight,
            cautious="cautious" in flags, maximize="maximize" in flags, **state,
        )  # fmt: skip
        seen.append(state["p"])
    assert_follows(seen, lion_by_hand((0.9, 0.99), 0.1, kind, flags))


SGD: dict[str, tuple[float, float, float, str, set[str]]] = {
    "plain": (0.0, 0.0, 0.0, "l2", set()),
    "L2": (0.0, 0.0, 0.1, "l2", {"maximize"}),
    "momentum": (0.9, 0.0, 0.1, "l2", set()),
    "dampening": (0.9, 0.4, 0.1, "l2", set()),
    "Nesterov": (0.9, 0.0, 0.1, "l2", {"nesterov"}),
    "decoupled": (0.9, 0.0, 0.1, "decoupled", {"nesterov"}),
    "corrected": (0.5, 0.0, 0.1, "corrected", set()),
}


@pytest.mark.parametrize("tight", [False, True], ids=["torch", "tight"])
@pytest.mark.parametrize("name", SGD)
def test_sgd_follows_torchs_documentation(name: str, tight: bool) -> None:
    momentum, dampening, wd, kind, flags = SGD[name]
    state = {"p": np.array(START)} | ({"m": np.zeros(3)} if momentum else {})
    seen = []
    for step, g in enumerate(GRADS, 1):
        state = rules.sgd(
            g=np.array(g), step=step, lr=LR, momentum=momentum, dampening=dampening, weight_decay=wd, decay=kind,
            max_lr=MAX_LR, nesterov="nesterov" in flags, maximize="maximize" in flags, tight=tight, **state,
        )  # fmt: skip
        seen.append(state["p"])
    assert_follows(seen, sgd_by_hand(momentum, dampening, wd, kind, flags))


def test_flushing_changes_denormals_only() -> None:
    """Moments below the smallest normal number become 0; everything else keeps its bits."""
    for real in (np.float32, np.float64):
        tiny = np.finfo(real).tiny
        m = np.array([0.0, -0.0, tiny, -tiny, tiny / 4, -tiny / 4, 1.0, np.nan, np.inf, -np.inf], real)
        flushed = reference.rules._without_denormals(m, flush=True)
        np.testing.assert_array_equal(flushed, np.where(np.isin(np.arange(m.size), [4, 5]), real(0), m))
        p, g, v = np.ones(10, real), np.zeros(10, real), np.full(10, tiny * real(1.0005))
        options: dict[str, Any] = {"step": 9, "lr": 0.1, "betas": (0.9, 0.999), "eps": EPS, "weight_decay": 0.1}
        kept, without = (rules.adam(p, g, m, v, flush_denormals=flush, **options) for flush in (False, True))
        assert (without["v"] == 0).all(), "1.0005 * .999 of the smallest normal number is not normal"
        normal = ~(np.abs(kept["m"]) < tiny)
        np.testing.assert_array_equal(without["m"][normal], kept["m"][normal])
        assert not without["m"][~normal].any()


# ---- the classes: what they keep, what they refuse, and how runs go on ----------------------------------------


MADE: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "AdamW": (sy.AdamW, {"cautious": True, "stable": True}, ("exp_avg", "exp_avg_sq")),
    "Adam": (sy.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")),
    "Lion": (sy.optim.Lion, {"weight_decay": 0.1, "decay": "corrected"}, ("exp_avg",)),
    "SGD": (sy.optim.SGD, {"momentum": 0.9, "nesterov": True}, ("momentum_buffer",)),
    "plain SGD": (sy.optim.SGD, {"weight_decay": 0.1}, ()),
}


def tree() -> dict[str, Any]:
    return {"w": np.linspace(-1.0, 2.0, 40).reshape(8, 5), "b": np.ones(3, np.float32)}


def gradients(step: int) -> dict[str, Any]:
    return {"w": np.cos(np.arange(40.0) + step).reshape(8, 5), "b": np.full(3, 0.5 / step, np.float32)}


@pytest.mark.parametrize("name", MADE)
def test_only_the_moments_of_the_rule_are_kept_and_an_interrupted_run_goes_on(name: str) -> None:
    make, options, moments = MADE[name]
    whole, first, second = tree(), tree(), tree()
    opt, before = make(whole, lr=0.1, **options), make(first, lr=0.1, **options)
    for step in range(1, 5):
        opt.step(gradients(step))
        if step < 3:
            before.step(gradients(step))
    state = before.state_dict()
    assert set(state) == {"step", "numerics", "options", *(f"{moment}/{leaf}" for moment in moments for leaf in "wb")}
    for key in second:
        second[key][...] = first[key]
    later = make(second, lr=0.5, **options)
    later.load_state_dict(state)
    copied = copy.deepcopy(later)
    for step in (3, 4):
        later.step(gradients(step))
        copied.step(gradients(step))
    for key in whole:
        assert whole[key].tobytes() == second[key].tobytes()
    for key, value in opt.state_dict().items():
        assert value.tobytes() == later.state_dict()[key].tobytes() == copied.state_dict()[key].tobytes(), key
    assert repr(later).startswith(f"{make.__name__}(2 arrays, step 4, lr=0.1")


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (sy.AdamW, {"decay": "L2"}, r"decay: expected one of decoupled, l2, independent, corrected; got 'L2'"),
    (sy.AdamW, {"decay": "l2", "tight": True}, "tight: expected False with decay='l2'"),
    (sy.optim.Adam, {"tight": True}, "tight: expected False with decay='l2'"),
    (sy.AdamW, {"max_lr": 0.1}, "max_lr: expected None with decay='decoupled'; got"),
    (sy.AdamW, {"decay": "corrected", "lr": lambda step: 0.1}, "max_lr: expected the largest learning rate"),
    (sy.AdamW, {"decay": "independent", "lr": 0.0}, "max_lr: expected a finite rate above 0"),
    (sy.AdamW, {"cautious": 1}, "cautious"),
    (sy.AdamW, {"stable": "yes"}, "stable"),
    (sy.AdamW, {"bias_correction": None}, "bias_correction"),
    (sy.optim.Lion, {"decay": "l2"}, "decay: expected 'decoupled', 'independent' or 'corrected'; got 'l2'"),
    (sy.optim.Lion, {"betas": (0.9, 1.0)}, r"betas\[1\]"),
    (sy.optim.SGD, {"nesterov": True}, "nesterov: expected False unless momentum is above 0 and dampening 0"),
    (sy.optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov: expected False unless"),
    (sy.optim.SGD, {"momentum": -0.1}, "momentum"),
]


@pytest.mark.parametrize(("make", "options", "message"), REFUSED)
def test_options_that_make_no_sense_are_refused(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make(np.ones(2), **options)


def test_the_largest_rate_follows_from_the_rate() -> None:
    assert sy.AdamW(np.ones(2), lr=0.25, decay="corrected").max_lr == 0.25
    opt = sy.AdamW(np.ones(2), lr=sy.schedules.cosine(0.5, total_steps=9), decay="independent")
    assert opt.max_lr == 0.5
    opt.lr = 0.1
    assert opt.max_lr == 0.5, "it is that of the whole training"
    assert sy.optim.Lion(np.ones(2), lr=0.1, decay="independent", max_lr=2.0).max_lr == 2.0


def test_the_kind_of_decay_can_be_set_there_and_back() -> None:
    w, plain = np.ones(2), np.ones(2)
    opt, other = sy.AdamW(w, lr=0.25), sy.AdamW(plain, lr=0.25)
    opt.decay = "independent"
    assert opt.max_lr == 0.25
    opt.decay = "corrected"
    opt.decay = "decoupled"
    assert opt.max_lr is None
    assert opt.step(np.ones(2)) == other.step(np.ones(2))
    assert w.tobytes() == plain.tobytes()


def test_a_group_may_decay_in_another_way_than_the_rest() -> None:
    """Its largest rate is that of the training, also where the rate is changed by hand."""
    w, alone = {"a": np.ones(2), "b": np.ones(2)}, np.ones(2)
    opt = sy.AdamW(w, lr=0.25, weight_decay=0.5, groups=[("b", {"decay": "independent"})])
    other = sy.AdamW(alone, lr=0.25, weight_decay=0.5, decay="independent")
    for lr in (0.25, 0.125):
        opt.lr = other.lr = lr
        opt.step({"a": np.ones(2), "b": np.ones(2)})
        other.step(np.ones(2))
    assert w["b"].tobytes() == alone.tobytes()
    back = sy.AdamW(w, lr=0.25, decay="corrected", groups=[("b", {"decay": "decoupled"})])
    assert back.groups == (("b", {"decay": "decoupled"}),)
    with pytest.raises((TypeError, ValueError), match=r"groups\[0\]\['decay'\]: expected one of"):
        sy.AdamW(w, groups=[("b", {"decay": None})])


@pytest.mark.parametrize("decay", ["decoupled", "independent", "corrected"])
def test_stable_divides_the_decay_by_the_size_of_the_gradient_once(decay: str) -> None:
    """Of a gradient far larger than those before, in units of which the moments have not moved."""
    lost = {}
    for stable in (False, True):
        w = np.full(4, 2.0)
        opt = sy.AdamW(w, lr=0.5, weight_decay=0.0, betas=(0.9, 0.5), stable=stable, decay=decay)  # type: ignore[arg-type]
        opt.step(np.full(4, 1e-3))
        w[...] = 1.0
        opt.lr = 0.25
        without = copy.deepcopy(opt)
        opt.weight_decay = 0.5
        opt.step(np.full(4, 1.0))
        without.step(np.full(4, 1.0))
        lost[stable] = (without._params[0] - w)[0]
    rms = 1.0 / np.sqrt((0.5 + 0.25e-6) / 0.75)
    np.testing.assert_allclose(lost[False] / lost[True], rms, rtol=1e-12)


def test_momentum_can_be_added_before_the_first_step_only() -> None:
    opt = sy.optim.SGD(np.ones(2), lr=0.1)
    opt.momentum = 0.5
    opt.step(np.ones(2))
    assert "momentum_buffer" in opt.state_dict()
    opt.momentum = 0.25
    with pytest.raises(AttributeError, match=r"momentum: expected to be set before the first step; got 0\.0 after"):
        opt.momentum = 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_measured_of_a_tensor_does_not_depend_on_how_it_is_divided(dtype: Any) -> None:
    """A tensor of many chunks, in the middle of others, against the formula with plain NumPy sums."""
    n = 200_003
    g = np.sin(np.arange(n) * 0.7).astype(dtype)
    for threads in (1, 3):
        before = _core.asked_threads()
        _core.set_threads(threads)
        w = [np.ones(5, dtype), np.ones(n, dtype), np.ones(70_000, dtype)]
        opt = sy.AdamW(w, lr=0.1, cautious=True, stable=True, weight_decay=0.0, betas=(0.5, 0.5), eps=1e-3)
        opt.step([np.ones(5, dtype), g, np.ones(70_000, dtype)])
        opt.step([np.ones(5, dtype), -3 * g[::-1], np.ones(70_000, dtype)])
        _core.set_threads(before)
        x, m, v = np.ones(n), np.zeros(n), np.zeros(n)
        for t, grad in enumerate([g.astype(np.float64), -3 * g[::-1].astype(np.float64)], 1):
            m, v = (m + grad) / 2, (v + grad**2) / 2
            root = np.sqrt(v / (1 - 0.5**t))
            rms = np.sqrt(np.mean((grad / np.maximum(root, 1e-3)) ** 2))
            agree = m * grad > 0
            x -= 0.1 / max(rms, 1.0) / agree.mean() * agree * (m / (1 - 0.5**t)) / (root + 1e-3)
        np.testing.assert_allclose(w[1], x, atol=3e-6 if dtype == np.float32 else 1e-13)
        assert agree.mean() < 0.99
        assert rms > 1.01


@pytest.mark.parametrize(("lr", "lost"), [(1e-3, 1.0013), (1e-4, 1.015), (1e-5, 1.146)])
def test_tight_keeps_the_decay_that_torchs_rule_distorts(lr: float, lost: float) -> None:
    """The decay that was applied over the one that was asked for, in float32, with gradients of a usual size."""
    rng = np.random.default_rng(1)
    start, g = rng.standard_normal(200_000), rng.standard_normal((20, 200_000)).astype(np.float32)
    seen = {}
    for name, dtype, options in (
        ("rule", np.float32, {"weight_decay": 0.01}),
        ("tight", np.float32, {"weight_decay": 0.01, "tight": True}),
        ("exact", np.float64, {"weight_decay": 0.01}),
        ("none", np.float64, {"weight_decay": 0.0}),
    ):
        p = start.astype(np.float32).astype(dtype)
        opt = sy.AdamW(p, lr=lr, **options)
        for grad in g:
            opt.step(grad.astype(dtype))
        seen[name] = p.astype(np.float64)
    asked = np.dot(seen["none"] - seen["exact"], start)
    applied = {name: np.dot(seen["none"] - seen[name], start) / asked for name in ("rule", "tight")}
    assert abs(applied["rule"] - lost) < 2e-3
    assert abs(applied["tight"] - 1.0) < 2e-3
