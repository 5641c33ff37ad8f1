"""Schedules: shapes, curves, what is made of them, and what they say about themselves."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import steelyard as sy
from steelyard._registries import REGISTRIES, names

from .cases.optim import SCHEDULES

S = sy.schedules
EVERY = {name: S.Schedule(lr=3e-4, **options) for name, options in SCHEDULES.items()}
JOINED: dict[str, Any] = {
    "chain": S.chain(
        [S.linear(1.0, total_steps=40, warmup_steps=5), S.constant(0.25), S.rex(0.25, total_steps=9)], at=[30, 70]
    ),
    "product": S.product([S.cosine(1.0, total_steps=90), S.step(1.0, decay_steps=20, gamma=0.5)]),
    "cooldown": S.constant(3e-4, warmup_steps=10).cooldown(at=50, steps=30),
    "nested": S.product([S.chain([S.constant(1.0), S.constant(0.5)], at=[4]), S.exponential(1.0, gamma=0.9)]),
}
ALL = EVERY | JOINED


def test_schedules_equal_the_published_tables() -> None:
    """The tables of transformers' tests (lr 10, warm-up 2, total 10), which start at 0."""
    options: dict[str, Any] = {"total_steps": 10, "warmup_steps": 2, "start": 0.0}
    linear = sy.schedules.linear(10.0, **options)
    assert linear(range(10)).tolist() == [0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25]
    cosine = sy.schedules.cosine(10.0, **options)
    want = [0, 5, 10, 9.619, 8.536, 6.913, 5, 3.087, 1.464, 0.381]
    np.testing.assert_allclose(cosine(np.arange(10)), want, atol=6e-4)


def test_inverse_sqrt_equals_the_tables_of_others() -> None:
    """transformers' test (lr 10, warm-up 2), and the formulas of the Transformer's paper and of T5."""
    want = [0.0, 5.0, 10.0, 8.165, 7.071, 6.325, 5.774, 5.345, 5.0, 4.714]
    s = np.arange(300)
    np.testing.assert_allclose(sy.schedules.inverse_sqrt(10.0, warmup_steps=2, start=0.0)(s[:10]), want, atol=6e-4)
    d, w = 512, 40
    paper = d**-0.5 * np.minimum((s + 1) ** -0.5, (s + 1) * w**-1.5)
    np.testing.assert_allclose(sy.schedules.inverse_sqrt((d * w) ** -0.5, warmup_steps=w, start=0)(s + 1), paper)
    t5 = 1 / np.sqrt(np.maximum(s, w))
    np.testing.assert_allclose(sy.schedules.inverse_sqrt(w**-0.5, warmup_steps=w, start=w**-0.5)(s), t5)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine", "inverse_sqrt", "polynomial", "rex"])
def test_the_rise_meets_the_fall(shape: str) -> None:
    options = {"warmup_steps": 100, "total_steps": 10_000, "end": 0.1}
    taken = REGISTRIES["schedule.shape"][shape].parameters
    rates = sy.schedules.Schedule(shape, 1.0, **{name: options[name] for name in taken if name in options})(
        np.arange(20_000)
    )
    assert rates[99] == rates[100] == rates.max() == 1.0
    assert (np.diff(rates[100:]) <= 0).all()
    assert np.abs(np.diff(rates)).max() <= 0.0101
    assert rates[-1] > 0


def test_schedules_stay_where_they_ended() -> None:
    """torch's CosineAnnealingLR climbs back to 1.0 at twice its length; OneCycleLR raises after its end."""
    cosine = sy.schedules.cosine(1.0, total_steps=10, end=0.1)
    assert cosine([10, 11, 20, 2**52]).tolist() == [0.1] * 4
    assert cosine(0) == 1.0


def test_the_first_update_has_a_rate() -> None:
    assert sy.schedules.cosine(1.0, total_steps=10, warmup_steps=5)(0) == 0.2
    assert sy.schedules.constant(1.0, warmup_steps=5, start=0)(0) == 0.0


def test_schedules_are_data() -> None:
    cosine = sy.schedules.cosine(3e-4, total_steps=10, warmup_steps=2, end=1e-5)
    assert sy.schedules.Schedule.from_dict(cosine.to_dict()) == cosine
    assert isinstance(cosine(3), float)
    assert cosine(np.arange(6).reshape(2, 3)).shape == (2, 3)


def test_a_schedule_can_be_drawn() -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib draws plots; it comes with the cli extra")
    matplotlib.use("agg")
    ax = sy.schedules.cosine(1.0, total_steps=100, warmup_steps=10).plot()
    assert ax.get_lines()[0].get_ydata().max() == 1.0
    matplotlib.pyplot.close(ax.figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sy.schedules.cosine(1.0, total_steps=5, warmup_steps=5),
            "warmup_steps: expected fewer than total_steps = 5",
        ),
        (lambda: sy.schedules.linear(-1.0, total_steps=5), "lr: expected a number that is at least 0"),
        (lambda: sy.schedules.linear(1.0, total_steps=5.5), "total_steps: expected a whole number of steps"),
        (
            lambda: sy.schedules.inverse_sqrt(1.0, warmup_steps=0),
            "warmup_steps: expected a whole number of steps from 1",
        ),
        (lambda: sy.schedules.constant(1.0)(-1), "step: expected at least 0"),
        (lambda: sy.schedules.constant(1.0)([0.5]), "step: expected whole numbers"),
        (lambda: sy.schedules.Schedule.from_dict({"lr": 1}), "fields: expected a dictionary"),
        (lambda: sy.schedules.Schedule.from_dict([("shape", "constant"), ("lr", 1)]), "fields: expected a dictionary"),
        (
            lambda: sy.schedules.Schedule.from_dict({"shape": "constant", "lr": 1, "gammma": 2}),
            "fields: expected a dict",
        ),
        (lambda: sy.schedules.Schedule("constant", 1.0, gamma=2.0), "gamma: expected nothing: the shape 'constant'"),
        (lambda: sy.schedules.Schedule("constant", 1.0, milestones=[1]), "milestones: expected nothing: the shape"),
        (lambda: sy.schedules.Schedule("step", 1.0), "decay_steps: expected a whole number of steps"),
        (lambda: sy.schedules.Schedule("exponential", 1.0), "gamma: expected a number that is above 0"),
        (lambda: sy.schedules.cosine(1.0, total_steps=9, cycles=0), "cycles: expected a number that is above 0"),
        (lambda: sy.schedules.cosine(1.0, total_steps=9, warmup="exp"), "warmup: expected one of linear, cosine, log"),
        (lambda: sy.schedules.cosine(1.0, total_steps=9, convention="jax"), "convention: expected one of transformers"),
        (lambda: sy.schedules.tanh(1.0, total_steps=9, convention="torch"), "convention: expected 'timm'"),
        (lambda: sy.schedules.tanh(1.0, total_steps=9, lower=3.0), "upper: expected more than lower = 3"),
        (
            lambda: sy.schedules.cosine_restarts(1.0, cycle_steps=9, growth=1.001),
            "growth: expected 1, or at least 1.01",
        ),
        (
            lambda: sy.schedules.wsd(1.0, total_steps=9, warmup_steps=2, cooldown_steps=8),
            "cooldown_steps: expected at most total_steps - warmup_steps = 7",
        ),
        (lambda: sy.schedules.wsd(1.0, total_steps=9, cooldown_steps=1, curve="exp"), "curve: expected one of linear"),
        (lambda: sy.schedules.multi_step(1.0, milestones=[3, 2]), "milestones: expected steps in increasing order"),
        (lambda: sy.schedules.multi_step(1.0, milestones=3), "milestones: expected a list of steps"),
        (lambda: sy.schedules.piecewise([]), "points: expected a list of pairs of a step and a rate"),
        (lambda: sy.schedules.piecewise([(0, 1.0), (0, 2.0)]), "points[1][0]: expected a later step than the point"),
        (lambda: sy.schedules.piecewise([(0, 1.0, 2)]), "points[0]: expected a pair of a step and a rate"),
        (lambda: sy.schedules.piecewise([(0, -1.0)]), "points[0][1]: expected a number that is at least 0"),
        (lambda: sy.schedules.Schedule("piecewise", 2.0, points=[(0, 1.0)]), "lr: expected the highest rate of the"),
        (lambda: sy.schedules.one_cycle(1.0, total_steps=3, convention="optax"), "total_steps: expected steps enough"),
        (lambda: sy.schedules.one_cycle(1.0, total_steps=9, rise_share=2), "rise_share: expected a share from 0 to 1"),
        (lambda: sy.schedules.chain([sy.schedules.constant(1.0)], at=[2]), "at: expected 0 increasing steps"),
        (lambda: sy.schedules.chain([lambda s: 1.0], at=[]), "schedules: expected a list of 1 or more schedules"),
        (lambda: sy.schedules.product([]), "schedules: expected a list of 1 or more schedules"),
        (lambda: sy.schedules.constant(1.0).cooldown(at=3, steps=0), "steps: expected a whole number of steps from 1"),
        (lambda: sy.schedules.constant(1.0).cooldown(3, 4, "exp"), "curve: expected one of linear"),
        (lambda: sy.schedules.constant(1.0).lint(step=3), "step: expected a step and its rate, or neither"),
        (lambda: sy.schedules.Rates.from_dict({"shape": "chain", "schedules": 3, "at": []}), "fields: expected a dict"),
        (lambda: sy.schedules.Plateau(lr=-1.0), "lr: expected a number that is at least 0"),
        (lambda: sy.schedules.Plateau(lr=1.0, factor=1), "factor: expected below 1"),
        (lambda: sy.schedules.Plateau(lr=1.0, mode="low"), "mode: expected one of min, max"),
        (lambda: sy.schedules.Plateau.from_dict({"lr": 1.0, "rate": 2}), "given: expected a dictionary"),
    ],
)
def test_bad_schedules(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


# ---- the formulas, by independent arithmetic ----------------------------------------------------------------


def exact(u: Fraction) -> Any:
    return mpmath.mpf(u.numerator) / u.denominator


SLOW: dict[str, tuple[Any, Any]] = {
    "cosine": (S.cosine(1.0, total_steps=97), lambda u: (1 + mpmath.cos(mpmath.pi * u)) / 2),
    "k": (S.cosine(1.0, total_steps=97, k=3), lambda u: (1 + mpmath.cos(mpmath.pi * u**3)) / 2),
    "power": (S.cosine(1.0, total_steps=97, power=0.5), lambda u: mpmath.cos(mpmath.pi * u / 2)),
    "wave": (S.cosine_wave(1.0, total_steps=97, waves=3), lambda u: (1 + mpmath.cos(6 * mpmath.pi * u)) / 2),
    "polynomial": (S.polynomial(1.0, total_steps=97, power=2.5, k=0.5), lambda u: (1 - mpmath.sqrt(u)) ** 2.5),
    "exponential": (S.exponential(1.0, gamma=0.5, decay_steps=97), lambda u: mpmath.mpf(2) ** -u),
    "rex": (S.rex(1.0, total_steps=97), lambda u: (1 - u) / (1 - u / 2)),
    "tanh": (S.tanh(1.0, total_steps=97, lower=-2.0, upper=2.0), lambda u: (1 - mpmath.tanh(4 * u - 2)) / 2),
    "1-sqrt": (S.wsd(1.0, total_steps=97, cooldown_steps=97, curve="1-sqrt"), lambda u: 1 - mpmath.sqrt(u)),
    "square": (S.wsd(1.0, total_steps=97, cooldown_steps=97, curve="square"), lambda u: 1 - u * u),
}


@pytest.mark.parametrize("name", sorted(SLOW))
def test_formulas_in_forty_digits(name: str) -> None:
    schedule, formula = SLOW[name]
    with mpmath.workdps(40):
        want = [float(formula(exact(Fraction(s, 97)))) for s in range(97)]
    np.testing.assert_allclose(schedule(np.arange(97)), want, rtol=0, atol=1e-15)


def test_each_curve_begins_and_ends_where_it_says() -> None:
    """Exactly: an end that is missed by a rounding would be another rate for the rest of a run."""
    for curve in names("schedule.curve"):
        wsd = S.wsd(0.3, total_steps=10, cooldown_steps=7, end=0.1, curve=curve)
        assert wsd([0, 3, 10, 11]).tolist() == [0.3, 0.3, 0.1, 0.1]
    for curve in names("schedule.warmup"):
        assert S.constant(0.3, warmup_steps=7, start=0.1, warmup=curve)([0, 7, 8]).tolist() == [0.1, 0.3, 0.3]
        risen = S.constant(0.3, warmup_steps=7, warmup=curve)(np.arange(9))
        assert risen[6] == pytest.approx(0.3, abs=1e-16)
        assert 0 < risen[0] < 0.3
        assert (np.diff(risen) >= -1e-16).all()
    for shape in (S.linear, S.cosine, S.polynomial, S.rex, S.tanh):
        assert shape(0.3, total_steps=7, end=0.1)([7, 8, 2**60]).tolist() == pytest.approx([0.1] * 3, abs=1e-16)
    for curve in names("schedule.interpolate"):
        assert S.piecewise([(2, 0.3), (9, 0.1)], interpolate=curve)([0, 2, 9, 10]).tolist() == [0.3, 0.3, 0.1, 0.1]


def test_a_warm_up_of_one_step() -> None:
    for curve in names("schedule.warmup"):
        assert S.constant(1.0, warmup_steps=1, warmup=curve)([0, 1]).tolist() == pytest.approx([1.0, 1.0], abs=1e-16)
        assert S.constant(1.0, warmup_steps=1, start=0.25, warmup=curve)([0, 1]).tolist() == [0.25, 1.0]


def test_cycles_begin_where_they_should() -> None:
    """torch and timm take the integer part of a rounded logarithm: log(243, 3) is 4.999999999999999 there."""
    restarts = S.cosine_restarts(1.0, cycle_steps=1, growth=3)
    begins = [(3**i - 1) // 2 for i in range(30)]
    assert restarts(begins).tolist() == [1.0] * 30
    assert (restarts(np.array(begins[2:]) - 1) < 0.26).all()
    slowly = S.cosine_restarts(1.0, cycle_steps=10, growth=1.5, decay=0.5, restarts=3, end=0.125)
    assert slowly([0, 10, 25]).tolist() == [1.0, 0.5, 0.25]  # lengths 10, 15, 22.5
    assert slowly([48, 49, 1000]).tolist() == [0.125] * 3
    odd = S.cosine(1.0, total_steps=49, cycles=49)  # transformers: 1 / 49 * 49 is below 1, so the rate is 0 at step 1
    assert odd(range(49)).tolist() == [1.0] * 49
    four = S.cosine(1.0, total_steps=100, cycles=4)
    assert four([0, 25, 50, 75, 100]).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_the_triangles_of_smith() -> None:
    plain = S.cyclic(1.0, rise_steps=4, fall_steps=2, low=0.5)
    assert plain(range(7)).tolist() == [0.5, 0.625, 0.75, 0.875, 1.0, 0.75, 0.5]
    halved = S.cyclic(1.0, rise_steps=2, decay=0.5)
    assert halved([2, 6, 10]).tolist() == [1.0, 0.5, 0.25]
    fading = S.cyclic(1.0, rise_steps=2, gamma=0.5)
    assert fading([1, 2, 3]).tolist() == [0.25, 0.25, 0.0625]


# ---- chains, products, cooldowns ----------------------------------------------------------------------------


def test_a_cooldown_leaves_the_trunk_alone() -> None:
    trunk = S.constant(3e-4, warmup_steps=10)
    for curve in names("schedule.curve"):
        fork = trunk.cooldown(at=50, steps=30, shape=curve, end=1e-5)
        assert fork(np.arange(51)).tolist() == trunk(np.arange(51)).tolist()
        assert (np.diff(fork(np.arange(50, 81))) < 0).all()
        assert fork([80, 81, 10**9]).tolist() == [1e-5] * 3
        whole = S.wsd(3e-4, total_steps=80, cooldown_steps=30, warmup_steps=10, end=1e-5, curve=curve)
        assert fork(np.arange(100)).tobytes() == whole(np.arange(100)).tobytes()
    assert trunk(80) == 3e-4


def test_a_cooldown_of_a_falling_schedule_begins_at_its_rate() -> None:
    cosine = S.cosine(1.0, total_steps=100)
    assert cosine.cooldown(at=25, steps=10)(25) == cosine(25)


def test_parts_of_a_chain_begin_at_their_own_step_0() -> None:
    chained = JOINED["chain"]
    s = np.arange(200)
    want = np.concatenate([chained.schedules[0](s[:30]), chained.schedules[1](s[:40]), chained.schedules[2](s[:130])])
    assert chained(s).tobytes() == want.tobytes()
    assert chained(s[::-1].reshape(2, 100)).tobytes() == want[::-1].tobytes()
    assert chained.lr == 1.0


def test_a_product_multiplies() -> None:
    product = JOINED["product"]
    s = np.arange(200)
    assert product(s).tobytes() == (product.schedules[0](s) * product.schedules[1](s)).tobytes()


# ---- data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_schedule_is_data(name: str) -> None:
    schedule = ALL[name]
    text = json.dumps(schedule.to_dict(), allow_nan=False)
    assert (
        S.Rates.from_dict(json.loads(text))
        == schedule
        == copy.deepcopy(schedule)
        == pickle.loads(pickle.dumps(schedule))
    )
    assert hash(S.Rates.from_dict(json.loads(text))) == hash(schedule)
    assert eval(repr(schedule), {"schedules": S}) == schedule
    assert schedule(7) == schedule(np.array([7]))[0]


def test_dictionaries_of_older_versions_load() -> None:
    """Those had every one of six fields."""
    old = {"shape": "cosine", "lr": 1.0, "total_steps": 9, "warmup_steps": 2, "start": None, "end": 0.0}
    assert S.Schedule.from_dict(old) == S.cosine(1.0, total_steps=9, warmup_steps=2)
    old = {"shape": "inverse_sqrt", "lr": 1.0, "total_steps": None, "warmup_steps": 2, "start": 0.5, "end": 0.0}
    assert S.Schedule.from_dict(old) == S.inverse_sqrt(1.0, warmup_steps=2, start=0.5)


def test_an_optimizer_saves_any_schedule() -> None:
    for schedule in JOINED.values():
        opt = sy.AdamW(np.ones(2), lr=schedule)
        other = sy.AdamW(np.ones(2))
        other.load_state_dict(opt.state_dict())
        assert other.lr == schedule


@pytest.mark.parametrize("name", ["cosine rising", "wsd rising", "chain", "piecewise rising"])
def test_all_kinds_can_be_drawn(name: str) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib draws plots; it comes with the cli extra")
    matplotlib.use("agg")
    ax = ALL[name].plot(label=name)
    ALL["linear rising"].plot(ax, label="linear")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [name, "linear"]
    x = ax.get_lines()[0].get_xdata()
    assert x[-1] >= max(ALL[name]._seams())
    matplotlib.pyplot.close(ax.figure)


def test_a_plot_shows_what_an_endless_shape_does() -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib draws plots; it comes with the cli extra")
    matplotlib.use("agg")
    for schedule, tops in (
        (S.cosine_restarts(1.0, cycle_steps=100, growth=1.5, decay=0.5, restarts=3), [1.0, 0.5, 0.25]),
        (S.cyclic(1.0, rise_steps=50, decay=0.5), [1.0, 0.5, 0.25, 0.125]),
    ):
        ax = schedule.plot()
        y = ax.get_lines()[0].get_ydata()
        found = [y[0], *y[1:-1][(y[1:-1] > y[:-2]) & (y[1:-1] >= y[2:])]]
        assert [top for top in found if top > 0.01] == pytest.approx(tops, rel=0.01)
        matplotlib.pyplot.close(ax.figure)
    for schedule in (S.multi_step(1.0, milestones=[100, 500]), S.exponential(1.0, gamma=1 - 1e-16, decay_steps=2**52)):
        ax = schedule.plot()
        assert ax.get_lines()[0].get_xdata()[-1] > 500
        matplotlib.pyplot.close(ax.figure)


# ---- JAX ----------------------------------------------------------------------------------------------------

JAX = """
import sys
import numpy as np
import steelyard as sy
from tests.test_schedules import ALL
assert "jax" not in sys.modules
functions = {name: schedule.jax for name, schedule in ALL.items()}
assert "jax" not in sys.modules
import jax
jax.config.update("jax_enable_x64", X64)
steps = np.arange(1200)
kind, allowed = ("float64", 2e-15) if X64 else ("float32", 2e-6)
for name, schedule in ALL.items():
    function = jax.jit(functions[name]())
    rates = function(steps)
    assert rates.dtype == kind, (name, rates.dtype)
    error = np.abs(np.asarray(rates, np.float64) - schedule(steps)).max() / schedule.lr
    assert error <= allowed, (name, error)
one = jax.jit(functions["chain"]())(7)
assert one.shape == () and abs(float(one) - ALL["chain"](7)) <= allowed
print("equal")
"""


@pytest.mark.parametrize("x64", [True, False])
def test_jax_traces_every_schedule(x64: bool) -> None:
    pytest.importorskip("jax", reason="jax traces schedules; it comes with the dev extra")
    code = JAX.replace("X64", str(x64))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "equal\n", done.stderr


# ---- lint ---------------------------------------------------------------------------------------------------

FOUND: list[tuple[Any, list[str]]] = [
    (S.cosine(1.0, total_steps=100, warmup_steps=10), []),
    (S.wsd(1.0, total_steps=100, cooldown_steps=20, warmup_steps=10, curve="cosine"), []),
    (S.constant(1.0), []),
    (S.linear(1.0, total_steps=100, warmup_steps=10, start=0.0), ["the rate is 0 at step 0"]),
    (S.linear(1.0, total_steps=100, end=2.0), ["end = 2 is above lr = 1", "the rate is above lr = 1", "rises towards"]),
    (S.linear(1.0, total_steps=100, warmup_steps=60), ["the warm-up takes 60 of 100 steps"]),
    (S.exponential(1.0, gamma=1.5), ["gamma = 1.5 is above 1", "the rate is above lr"]),
    (S.cosine_wave(1.0, total_steps=100, end=0.1), ["the rate rises again after its end at step 100: it is 1 at step 200"]),
    (S.cosine_wave(1.0, total_steps=100, end=0.1, waves=1.0), ["rises towards the end"]),
    (
        S.cosine(1.0, total_steps=100, warmup_steps=40, convention="timm"),
        ["the rate is 0 at step 0", "the rate jumps from 0.975 to 0.654508 at step 40"],
    ),
    (
        S.chain([S.linear(1.0, total_steps=100, warmup_steps=50), S.constant(0.5)], at=[20]),
        ["schedules[0]: the warm-up of 50 steps is longer than the 20 steps", "jumps from 0.4 to 0.5 at step 20"],
    ),
    (S.chain([S.constant(1.0), S.constant(0.5)], at=[20]), ["the rate jumps from 1 to 0.5 at step 20"]),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "sentences"), FOUND)
def test_lint(schedule: Any, sentences: list[str]) -> None:
    found = schedule.lint()
    assert len(found) == len(sentences), found
    for finding, sentence in zip(found, sentences, strict=True):
        assert sentence in finding


def test_lint_names_a_jump_at_a_resume() -> None:
    schedule = S.cosine(1.0, total_steps=100, warmup_steps=10)
    assert schedule.lint(step=50, rate=schedule(50)) == []
    assert schedule.lint(step=50, rate=schedule(51)) == [
        f"resuming at step 50 changes the rate from {schedule(51):g} to {schedule(50):g}"
    ]


# ---- plateau ------------------------------------------------------------------------------------------------


def test_a_plateau_is_a_state() -> None:
    metrics = [3.0, 2.0, 2.0, float("nan"), 1.9999, 1.5, 1.6, 1.6, 1.6, 1.6, 1.6, 1.6]
    whole = S.Plateau(lr=1.0, factor=0.5, patience=1, cooldown=1)
    rates = [whole.update(metric) for metric in metrics]
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    for cut in range(len(metrics)):
        first = S.Plateau(lr=1.0, factor=0.5, patience=1, cooldown=1)
        for metric in metrics[:cut]:
            first.update(metric)
        second = S.Plateau.from_dict(json.loads(json.dumps(first.to_dict())))
        assert [second.update(metric) for metric in metrics[cut:]] == rates[cut:]
        assert second == whole


def test_a_plateau_drives_an_optimizer() -> None:
    plateau = S.Plateau(lr=0.5, factor=0.1, patience=0)
    opt = sy.AdamW(np.ones(2), lr=plateau)
    assert opt.step(np.ones(2)).lr == 0.5
    plateau.update(1.0)
    plateau.update(1.0)
    assert opt.step(np.ones(2)).lr == 0.05


# ---- weight decay and betas ---------------------------------------------------------------------------------


def test_decay_and_betas_follow_schedules() -> None:
    """Each step is that of an optimizer whose numbers are set by hand before it."""
    decay, beta = S.linear(0.1, total_steps=6), S.linear(0.8, total_steps=4, end=0.95)
    a, b = np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)
    ours = sy.AdamW(a, lr=S.constant(0.1), weight_decay=decay, betas=(beta, 0.99))
    hand = sy.AdamW(b, lr=0.1)
    for step in range(8):
        hand.weight_decay, hand.betas = decay(step), (beta(step), 0.99)
        grads = np.cos(np.arange(9.0) * step)
        ours.step(grads)
        hand.step(grads)
        assert a.tobytes() == b.tobytes()
    assert (ours.weight_decay, ours.betas) == (decay, (beta, 0.99))


@pytest.mark.parametrize("kind", [sy.optim.Adam, sy.optim.Lion, sy.optim.SGD])
def test_other_rules_take_schedules_too(kind: Any) -> None:
    decay = S.linear(0.1, total_steps=6)
    a, b = np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)
    ours, hand = kind(a, lr=S.constant(0.1), weight_decay=decay), kind(b, lr=0.1)
    for step in range(8):
        hand.weight_decay = decay(step)
        grads = np.cos(np.arange(9.0) * step)
        ours.step(grads)
        hand.step(grads)
        assert a.tobytes() == b.tobytes()
    assert f"weight_decay={decay!r}" in repr(ours)


def test_schedules_of_decay_and_betas_are_saved() -> None:
    decay, beta = S.linear(0.1, total_steps=6), S.linear(0.8, total_steps=4, end=0.95)
    opt = sy.AdamW(np.ones(2), weight_decay=decay, betas=(beta, lambda step: 0.99))
    other = sy.AdamW(np.ones(2), betas=(0.5, 0.75))
    other.load_state_dict(opt.state_dict())
    assert (other.weight_decay, other.betas) == (decay, (beta, 0.75))  # a function of the caller's is not saved


def test_a_schedule_that_goes_wrong_is_named_too() -> None:
    for options, message in (
        ({"weight_decay": lambda step: -1.0}, "weight_decay: expected a number that is at least 0; got -1"),
        ({"betas": (lambda step: 1.0, 0.9)}, r"betas\[0\]: expected at least 0 and below 1; got 1.0"),
        ({"betas": (0.9, lambda step: None)}, r"betas\[1\]: expected a number"),
    ):
        w = np.ones(2)
        opt = sy.AdamW(w, **options)  # type: ignore[arg-type]
        with pytest.raises((TypeError, ValueError), match=message):
            opt.step(np.ones(2))
        assert w.tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="weight_decay: expected a number"):
        sy.optim.adamw_(np.ones(2), np.ones(2), np.ones(2), np.ones(2), step=1, weight_decay=lambda step: 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("growth", [1.01, 1.1, 1.5, 2.0, 3.0, 1e10, 1e300])
@pytest.mark.parametrize("length", [1, 7, 1000])
def test_each_cycle_begins_at_its_first_step_up_to_the_last(growth: float, length: int) -> None:
    schedule = S.cosine_restarts(1.0, cycle_steps=length, growth=growth, decay=0.5)
    exact, i = Fraction(growth), 0
    while (start := length * (exact**i - 1) / (exact - 1)) < 2**53 - 1:
        first = -(-start.numerator // start.denominator)
        for step in {max(first - 1, 0), first}:
            cycle = i if step >= start else i - 1
            begin = length * (exact**cycle - 1) / (exact - 1)
            share = float(min((step - begin) / (length * exact**cycle), Fraction(1)))
            want = 0.5**cycle * (1 + np.cos(np.pi * share)) / 2
            assert abs(schedule(step) - want) <= 1e-7 * 0.5**cycle, (i, step)
        i += 1 + i // 50  # of thousands of cycles, every one to the fiftieth, and then fewer and fewer


def test_rates_that_grow_without_bound_are_never_nan() -> None:
    growing = S.cyclic(1.0, rise_steps=10, gamma=1.1)
    assert growing(20 * 10**6) == 0.0  # the foot of a cycle
    assert growing(20 * 10**6 + 1) == np.inf
    level = S.cyclic(1.0, rise_steps=10, gamma=2.0, decay=2.0**-20)  # both leave the range of float64
    assert level(20 * 4000 + 5) == pytest.approx(0.5 * 2.0**5)
    assert S.cyclic(1.0, rise_steps=3, low=1.0, gamma=2.0)(10**6 + 1) == 1.0
    assert S.cyclic(1.0, rise_steps=5, decay=0.0, gamma=2.0)(10**6 + 1) == 0.0
    raised = S.cosine_restarts(1.0, cycle_steps=4, decay=2.0)
    assert raised(4 * 2000) == raised(4 * 2000 + 3) == np.inf
