"""Preference losses: tests of what only this part of the package does."""

from __future__ import annotations

import decimal
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import steelyard as sy
import steelyard.reference.preference
from steelyard import _core, reference
from steelyard._registries import REGISTRIES, names
from steelyard.errors import SteelyardWarning
from steelyard.preference import PreferenceLoss
from steelyard.preference.terms import loss_parameters

from .cases import normalish
from .cases.preference import bent, own, reads, scored, terms, tokens, ulps, variants

PAIRS: tuple[list[float], ...] = ([-0.5, -10, -1], [-0.1, -30, -21], [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1])
LOSSES = variants()
# Losses of the log-ratios themselves.
OF_RATIOS = [
    options for options in LOSSES
    if reads(options["loss"], "reference") and not reads(options["loss"], "batch") and "divergence" not in options
]  # fmt: skip
PLAIN: dict[str, Any] = dict.fromkeys(("label_smoothing", "shift", "temperature", "gamma", "alpha", "sft"))
# Losses that are functions of the margin z alone, and convex in it.
OF_MARGIN = [options for options in OF_RATIOS if options["loss"] in ("dpo", "robust", "hinge", "ipo")]


ONE = [1]
ALONE: dict[str, Any] = {"lengths": None, "margin": None, "weights": None}


def dpo(beta: float = 0.1) -> Any:
    """The parameters of DPO as the core takes them."""
    return loss_parameters("dpo", **PLAIN) | {"beta": beta}


def pairs(n: int, spread: float = 5.0) -> list[np.ndarray]:
    return [normalish(n, 90 + i) * spread - 30 for i in range(4)]


def test_the_published_constants() -> None:
    """pytorch/torchtune, tests/torchtune/rlhf/loss/test_dpo_loss.py; the IPO row recomputed."""
    wanted = {"dpo": [0.6931471806, 0.3132616875, 0.1269280110], "hinge": [1, 0, 0], "ipo": [25, 25, 225]}
    for loss, want in wanted.items():
        np.testing.assert_allclose(sy.preference_loss(*PAIRS, loss=loss).losses, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [options for options in LOSSES if options["loss"] in ("dpo", "robust")])
def test_at_the_reference_a_logistic_loss_is_ln_2(options: dict[str, Any]) -> None:
    """TRL's recorded first step is .6931471824645996 in float32."""
    same = [-3.5, -7.25]
    out = sy.preference_loss(same, same, same, same, **options)
    np.testing.assert_allclose(out.losses, math.log(2), rtol=4e-16)
    assert float(out.reward_accuracy) == 0.5  # ties count one half; TRL shows 0.0 there


def test_apo_zero_is_what_trl_computes() -> None:
    """losses_chosen = 1 - sigmoid(beta * chosen_logratios); losses_rejected = sigmoid(beta * rejected_logratios)."""
    pc, pr, rc, rr = columns = pairs(200)
    chosen, rejected = (1 / (1 + np.exp(-0.3 * ratios)) for ratios in (pc - rc, pr - rr))
    out = sy.preference_loss(*columns, loss="apo_zero", beta=0.3)
    np.testing.assert_allclose(out.losses, (1 - chosen) + rejected, rtol=1e-13)
    assert out.saturated == 0
    assert sy.preference_loss([-1.0, -1.0], [-1.0, -1.0], [-7011.0, -1], [-1.0, -7011], loss="apo_zero").saturated == 2


def test_nca_pair_is_what_trl_computes() -> None:
    """-logsigmoid(chosen_rewards) - 0.5 * logsigmoid(-chosen_rewards) - 0.5 * logsigmoid(-rejected_rewards)."""
    pc, pr, rc, rr = columns = pairs(200)
    chosen, rejected = 0.3 * (pc - rc), 0.3 * (pr - rr)
    want = np.logaddexp(0, -chosen) + 0.5 * np.logaddexp(0, chosen) + 0.5 * np.logaddexp(0, rejected)
    out = sy.preference_loss(*columns, loss="nca_pair", beta=0.3)
    np.testing.assert_allclose(out.losses, want, rtol=1e-13)
    assert out.saturated == 0
    assert sy.preference_loss([-1.0, -1.0], [-1.0, -1.0], [-7011.0, -1], [-1.0, -7011], loss="nca_pair").saturated == 2


def logsigmoid(t: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -t)


def s(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-t))


# With h and g the log-ratios times beta, and d their difference: the expressions of DPOTrainer.
TRL: dict[str, Any] = {
    "exo_pair": lambda h, g, d: s(d) * (logsigmoid(d) - np.log(1 - 1e-3)) + s(-d) * (logsigmoid(-d) - np.log(1e-3)),
    "bco_pair": lambda h, g, d: -logsigmoid(h) - logsigmoid(-g),
    "sppo_hard": lambda h, g, d: (h / 0.3 - 0.5 / 0.3) ** 2 + (g / 0.3 + 0.5 / 0.3) ** 2,
    "apo_down": lambda h, g, d: s(h) + (1 - s(d)),
    "discopop": lambda h, g, d: -logsigmoid(d) * (1 - s(d / 0.05)) + np.exp(-d) * s(d / 0.05),
}


@pytest.mark.parametrize("loss", sorted(TRL))
def test_what_trl_computes(loss: Any) -> None:
    pc, pr, rc, rr = columns = pairs(200)
    h, g = 0.3 * (pc - rc), 0.3 * (pr - rr)
    with np.errstate(over="ignore"):
        want = TRL[loss](h, g, h - g)
    np.testing.assert_allclose(sy.preference_loss(*columns, loss=loss, beta=0.3).losses, want, rtol=1e-11)


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        ("exo_pair", math.log(0.5 / math.sqrt(0.1 * 0.9))), ("bco_pair", 2 * math.log(2)), ("nca_pair", 2 * math.log(2)),
        ("sppo_hard", 50.0), ("apo_zero", 1.0), ("apo_down", 1.0), ("discopop", 0.5 * math.log(2) + 0.5),
    ],
)  # fmt: skip
def test_at_the_reference(loss: Any, want: float) -> None:
    same = [-3.5, -7.25]
    options = {"label_smoothing": 0.1} if loss == "exo_pair" else {}
    np.testing.assert_allclose(
        sy.preference_loss(same, same, same, same, loss=loss, **options).losses, want, rtol=1e-15
    )


def test_exo_pair_vanishes_at_the_smoothed_label_and_is_never_below_0() -> None:
    z = np.log(9) + np.linspace(-1e-6, 1e-6, 401)
    out = sy.preference_loss(*with_ratios(z, 0 * z), loss="exo_pair", beta=1.0, label_smoothing=0.1)
    assert out.losses.min() >= 0
    assert out.losses.max() < 1e-12
    assert (np.diff(out.grad_chosen) > 0).all()


def test_the_gradient_of_apo_down_keeps_its_digits_where_it_vanishes() -> None:
    """At |beta x| = |z|: where the policy gives the rejected answer what the reference does, or twice the chosen ratio."""
    x = np.array([0.75, -3.0, 40.0, 0.75, -3.0])
    y = np.array([1e-9, 1e-9, 1e-9, 1.5 + 2.0**-40, -6.0 + 2.0**-40])
    out = sy.preference_loss(*with_ratios(x, y), loss="apo_down", beta=1.0)
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")
    with mpmath.workdps(60):
        for got, a, b in zip(out.grad_chosen.tolist(), x.tolist(), (x - y).tolist(), strict=True):
            bend = [1 / (2 * mpmath.cosh(mpmath.mpf(t) / 2)) ** 2 for t in (a, b)]
            assert got == pytest.approx(float(bend[0] - bend[1]), rel=9e-16)


def test_a_colder_discopop_is_the_logistic_loss_below_0_and_the_exponential_above() -> None:
    z = np.array([-30.0, -2.0, -0.5, 0.5, 2.0, 30.0])
    out = sy.preference_loss(*with_ratios(z, 0 * z), loss="discopop", beta=1.0, temperature=1e-3)
    np.testing.assert_allclose(out.losses, np.where(z < 0, np.logaddexp(0, -z), np.exp(-z)), rtol=1e-14)
    np.testing.assert_allclose(out.grad_chosen, np.where(z < 0, -s(-z), -np.exp(-z)), rtol=1e-14)


def test_swapping_the_answers_mirrors_a_pair_of_opposite_terms() -> None:
    """Without a shift, bco_pair takes the negative of the other answer's log-ratio; so does sppo_hard."""
    x, y = normalish(50, 91), normalish(50, 92)
    for loss in ("bco_pair", "sppo_hard", "apo_zero"):
        there = sy.preference_loss(*with_ratios(x, y), loss=loss, beta=0.7)
        back = sy.preference_loss(*with_ratios(-y, -x), loss=loss, beta=0.7)
        np.testing.assert_allclose(there.losses, back.losses, rtol=1e-15)
        np.testing.assert_allclose(there.grad_chosen, -back.grad_rejected, rtol=1e-15)


def test_the_gradient_of_nca_pair_keeps_its_digits_where_it_vanishes() -> None:
    """At s(beta x) = 2/3, which is beta x = log 2: the nearest double is 2.3e-17 below."""
    x = np.array([math.log(2), np.nextafter(math.log(2), 1), np.nextafter(math.log(2), 0)])
    out = sy.preference_loss(*with_ratios(x, 0 * x), loss="nca_pair", beta=1.0)
    gaps = (x - math.log(2)) - 2.3190468138462996e-17
    np.testing.assert_allclose(out.grad_chosen, gaps / 3, rtol=1e-14)


@pytest.mark.parametrize("options", LOSSES)
def test_gradients_are_central_differences(options: dict[str, Any]) -> None:
    steep = bent(options)  # scores, which are exponentials, move by more than their log-ratios
    columns = pairs(200, 1.0 if steep else 5.0)
    out = scored(columns, beta=0.3, **options)
    z = out.rewards_chosen - out.rewards_rejected
    smooth = np.abs(z - 1) > 1e-3  # the hinge has a corner
    plain = {"ipo": 1e-3, "ipo_norm": 1e-3, "discopop": 1e-5}  # "discopop" bends within 0.05
    step = 1e-5 if steep else plain.get(options["loss"], 1e-4)
    for which, grad in ((0, out.grad_chosen), (1, out.grad_rejected)):
        # The gradient is within a few ulp of the exact function; a difference of losses resolves 1e-8 of the
        # larger of gradient and loss * eps / step.
        moved = []
        for sign in (1, -1):
            shifted = [column.copy() for column in columns]
            shifted[which] += sign * step
            moved.append(scored(shifted, beta=0.3, gradients=False, **options).losses)
        numeric = (moved[0] - moved[1]) / (2 * step)
        resolved = 1e-8 * np.abs(numeric) + 2e-9 + 2.0**-51 * (1 + out.losses) / step
        assert (np.abs(grad - numeric) <= resolved)[smooth].all()


@pytest.mark.parametrize("options", OF_RATIOS)
@pytest.mark.parametrize("beta", [0.1, 1.0, 3.0])
def test_no_gradient_is_steeper_than_steepest(options: dict[str, Any], beta: float) -> None:
    """``steepest`` bounds |d/dx| and |d/dy| wherever the loss is at most ``largest``; the grid has both tails."""
    line = np.concatenate([-np.geomspace(700, 1e-3, 40), [0.0], np.geomspace(1e-3, 700, 40)]) / (2 * beta)
    grid = with_ratios(*(v.ravel() for v in np.meshgrid(line, line)))
    out = scored(grid, lengths=(ONE * len(grid[0]),) * 2, beta=beta, **options)
    order = np.argsort(out.losses)
    slopes = np.maximum(np.abs(out.grad_chosen), np.abs(out.grad_rejected))
    so_far = np.maximum.accumulate(slopes[order])
    parameters = loss_parameters(options["loss"], **PLAIN | {k: v for k, v in options.items() if k != "loss"})
    for largest, slope in zip(out.losses[order].tolist(), so_far.tolist(), strict=True):
        bound = _core.preference_steepest(
            options["loss"], largest=max(largest, 0.0), parameters=parameters | {"beta": beta}
        )
        assert slope <= bound * (1 + 1e-12), largest


def with_ratios(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Columns of log-probabilities whose ratios, policy to reference, are x and y exactly."""
    return [np.minimum(x, 0.0), np.minimum(y, 0.0), -np.maximum(x, 0.0), -np.maximum(y, 0.0)]


def mirrored(slope: Any) -> Any:
    """The gradients of a function of x - y."""

    def gradients(x: Any, y: Any, p: Any, s: Any) -> Any:
        along = slope(x - y, p, s)
        return along, -along

    return gradients


def discopop(z: Any, p: Any, s: Any) -> Any:
    exp, m = p.mpmath.exp(-z), s(z / p.temperature)
    rest = s(-z / p.temperature)
    return m * rest / p.temperature * (exp - p.mpmath.log1p(exp)) - rest * s(-z) - m * exp


# With respect to x and to y at beta = 1, from the parameters p and the logistic function s.
GRADIENTS: dict[str, Any] = {
    "dpo": mirrored(lambda z, p, s: p.e * s(z) - (1 - p.e) * s(-z)),
    "robust": mirrored(lambda z, p, s: -(p.e * s(z) + (1 - p.e) * s(-z)) / (1 - 2 * p.e)),
    "hinge": mirrored(lambda z, p, s: -1 if z < 1 else 0),
    "ipo": mirrored(lambda z, p, s: 2 * z - 1),
    "apo_zero": lambda x, y, p, s: (-s(x) * s(-x), s(y) * s(-y)),
    "nca_pair": lambda x, y, p, s: (s(x) / 2 - s(-x), s(y) / 2),
    "exo_pair": mirrored(lambda z, p, s: s(z) * s(-z) * (z - p.mpmath.log((1 - p.e) / p.e))),
    "bco_pair": lambda x, y, p, s: (-s(p.shift - x), s(y - p.shift)),
    "sppo_hard": lambda x, y, p, s: (2 * x - 1, 2 * y + 1),
    "apo_down": lambda x, y, p, s: (s(x) * s(-x) - s(x - y) * s(y - x), s(x - y) * s(y - x)),
    "discopop": mirrored(discopop),
}
GRADIENTS |= {"sigmoid_norm": GRADIENTS["dpo"], "ipo_norm": GRADIENTS["ipo"]}


def exact_parameters(mpmath: Any, options: dict[str, Any]) -> Any:
    given = {
        name: mpmath.mpf(options.get(name, row.default))
        for name, row in REGISTRIES["preference.loss"][options["loss"]].parameters.items()
    }
    return SimpleNamespace(mpmath=mpmath, e=given.get("label_smoothing", mpmath.mpf(0)), **given)


@pytest.mark.parametrize("options", OF_RATIOS)
def test_gradients_to_four_ulp_of_mpmath_up_to_700(options: dict[str, Any]) -> None:
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")
    near = np.array([0.0, 1e-12, -1e-12, 2.197224577336219, 2.1972245773362196, 6.906754778648554, 0.5, 1.0])
    z = np.concatenate([np.linspace(-700, 700, 141), np.linspace(-3, 3, 61), near])
    # Multiples of 2^-10, whose differences are exact.
    x, y = np.round(np.concatenate([normalish(100, 97), normalish(100, 98) * 60]).reshape(2, 100) * 1024) / 1024
    x, y = np.concatenate([np.minimum(z, 0.0), z, x]), np.concatenate([-np.maximum(z, 0.0), 0 * z, y])
    out = scored(with_ratios(x, y), lengths=(ONE * len(x),) * 2, beta=1.0, **options)
    near_zeros = terms(x, y, **options, beta=1.0) + 0 * x
    with mpmath.workdps(60):
        p = exact_parameters(mpmath, options)
        for i, pair in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
            exact = GRADIENTS[options["loss"]](*map(mpmath.mpf, pair), p, lambda v: 1 / (1 + mpmath.exp(-v)))
            for name, want in zip(("grad_chosen", "grad_rejected"), exact, strict=True):
                step = float(np.spacing(abs(float(want)) + near_zeros[i]))
                assert abs(getattr(out, name)[i].item() - want) <= ulps(options["loss"], name) * step, pair


@pytest.mark.parametrize("options", LOSSES)
def test_the_reference_computes_with_its_own_digits(options: dict[str, Any]) -> None:
    """Whatever the caller's decimal context is."""
    x, y = normalish(20, 95), normalish(20, 96)
    want = reference.preference.preference_loss(x, y, beta=0.3, **own(options))
    with decimal.localcontext(prec=3):
        got = reference.preference.preference_loss(x, y, beta=0.3, **own(options))
    for name, column in want.items():
        np.testing.assert_array_equal(got[name], column)


@pytest.mark.parametrize("options", LOSSES)
def test_the_docstrings_tell_each_extent(options: dict[str, Any]) -> None:
    """Which losses saturate by something other than the margin, which is 0 here: where saturation is described."""
    far = np.array([800.0])
    other = reference.preference.preference_loss(far, far, beta=1.0, **own(options))["extents"][0] > 700
    attribute = str(PreferenceLoss.__doc__).partition("saturated :")[2].partition("empty :")[0]
    digits = str(sy.preference_loss.__doc__).partition("All arithmetic is float64")[2].partition("Parameters")[0]
    for paragraph in (attribute, digits):
        assert (f'"{options["loss"]}"' in paragraph) == other, paragraph


@pytest.mark.parametrize("options", OF_RATIOS)
def test_finite_and_monotone_far_out(options: dict[str, Any]) -> None:
    far = np.array([-1e4, -5000.0, -800.0, -701.0, 701.0, 800.0, 5000.0, 1e4])
    for ratios, name in (((far, 0 * far), "grad_chosen"), ((0 * far, far), "grad_rejected")):
        out = scored(with_ratios(*ratios), lengths=(ONE * 8,) * 2, beta=1.0, **options)
        gradient = getattr(out, name)
        assert np.isfinite(out.losses).all()
        assert np.isfinite(gradient).all()
        for side in np.diff(gradient[:4]), np.diff(gradient[4:]):
            assert (side >= 0).all() or (side <= 0).all()
        assert options not in OF_MARGIN or (np.diff(gradient) >= 0).all()
        assert out.saturated == 8


def test_a_sweep_is_its_single_runs() -> None:
    betas = np.geomspace(0.01, 1, 5)
    columns = pairs(50)
    sweep = sy.preference_loss(*columns, beta=betas, columns=True)
    assert sweep.losses.shape == (50, 5)
    for i, beta in enumerate(betas):
        one = sy.preference_loss(*columns, beta=float(beta))
        assert one.losses.tobytes() == sweep.losses[:, i].tobytes()
        assert one.grad_chosen.tobytes() == sweep.grad_chosen[:, i].tobytes()
        assert float(one.loss) == float(sweep.loss[i])
    assert sweep.reward_accuracy.value.shape == (5,)
    assert sweep.saturated.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("loss", "sweep"),
    [
        ("dpo", {"label_smoothing": [0.0, 0.1, 0.3]}), ("dpo", {"beta": [0.1, 0.2, 0.4], "label_smoothing": [0.0, 0.1, 0.3]}),
        ("simpo", {"gamma": np.array([0.0, 0.5, 2.0])}), ("discopop", {"temperature": (0.05, 0.1, 1)}),
        ("alphapo", {"alpha": [0.0, 0.25, -1.0], "gamma": 0.25}), ("bco_pair", {"shift": [-1.0, 0.0, 2.5]}),
    ],
)  # fmt: skip
def test_every_parameter_can_be_swept(loss: Any, sweep: dict[str, Any]) -> None:
    columns = [c[:40] for c in pairs(50)]
    out = scored(columns, loss=loss, **sweep)
    assert (out.losses.shape, out.loss.value.shape) == ((40, 3), (3,))
    assert repr(out) == "<PreferenceLoss of 40 pairs at 3 settings>"
    for i in range(3):
        one = scored(columns, loss=loss, **{k: float(v[i]) if np.ndim(v) else v for k, v in sweep.items()})
        assert one.losses.tobytes() == out.losses[:, i].tobytes()
        assert one.grad_rejected.tobytes() == out.grad_rejected[:, i].tobytes()
        for name in ("loss", "reward_margin"):
            assert getattr(one, name).low == getattr(out, name)[i].low


def test_metrics_are_of_pairs_not_of_batches() -> None:
    """OpenRLHF #1336: batches of 2 and 1 with 2 right and 1 wrong gave 0.50; it is 2/3 at any batch size."""
    columns = ([1.0, 1.0, -1.0], [0.0] * 3, [0.0] * 3, [0.0] * 3)
    assert float(sy.preference_loss(*columns).reward_accuracy) == pytest.approx(2 / 3)


def test_swapping_the_answers_flips_the_margin() -> None:
    a, b, c, d = pairs(40)
    there, back = sy.preference_loss(a, b, c, d), sy.preference_loss(b, a, d, c)
    assert float(there.reward_margin) == -float(back.reward_margin)
    assert float(there.reward_accuracy) + float(back.reward_accuracy) == pytest.approx(1.0)


def test_margin_and_accuracy_are_of_the_exact_margins() -> None:
    pc, pr, rc, rr = columns = pairs(1000)
    pr[::10], rr[::10] = pc[::10], rc[::10]  # ties
    margins = 0.1 * ((pc - rc) - (pr - rr))
    out = sy.preference_loss(*columns)
    assert float(out.reward_margin) == pytest.approx(margins.mean(), rel=1e-13)
    assert float(out.reward_accuracy) == pytest.approx(np.mean((margins > 0) + 0.5 * (margins == 0)), rel=1e-13)
    assert (margins == 0).sum() == 100


def test_columns_of_more_than_one_axis_are_scored_whole_by_the_core() -> None:
    flat = pairs(24)
    whole = [c.reshape(6, 4) for c in flat]
    losses = _core.preference_loss(
        whole, terms=[("dpo", 1.0)], parameters=dpo(), beside=ALONE, gradients=False, single=False
    )["losses"]
    assert losses.tobytes() == sy.preference_loss(*flat).losses.tobytes()


@pytest.mark.parametrize("options", [options for options in LOSSES if not reads(options["loss"], "batch")])
@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_a_pair_does_not_know_where_it_stands_nor_whether_gradients_are_wanted(n: int, options: dict[str, Any]) -> None:
    columns = pairs(n)
    lengths = tokens(n)
    out = scored(columns, **options)
    bare = scored(columns, **options, gradients=False)
    alone = [
        scored([c[i : i + 1] for c in columns], lengths=tuple(c[i : i + 1] for c in lengths), **options)
        for i in range(n)
    ]
    for name in ("losses", "grad_chosen", "grad_rejected", "rewards_chosen", "rewards_rejected"):
        assert getattr(out, name).tobytes() == b"".join(getattr(one, name).tobytes() for one in alone)
    assert bare.losses.tobytes() == out.losses.tobytes()
    assert bare.grad_chosen is None
    assert bare.grad_rejected is None


@pytest.mark.parametrize("place", [0, 126, 127, 128, 299])
def test_rare_pairs_are_counted_wherever_they_stand(place: int) -> None:
    columns = pairs(300)
    for column in columns:
        column[place] = 0.0
    assert sy.preference_loss(*columns).empty == 1
    columns[0][place] = -7001.0
    out = sy.preference_loss(*columns)
    assert (out.empty, out.saturated) == (1, 1)
    columns[2][place] = np.nan
    with pytest.raises(ValueError, match=f"reference_chosen: .* at index {place}"):
        sy.preference_loss(*columns)


def test_permuting_pairs_permutes_the_losses() -> None:
    columns = pairs(100)
    order = np.argsort(columns[0], kind="stable")
    plain, moved = sy.preference_loss(*columns), sy.preference_loss(*(c[order] for c in columns))
    assert plain.losses[order].tobytes() == moved.losses.tobytes()


def test_clusters_widen_the_interval_and_are_counted() -> None:
    prompts = np.repeat(np.arange(20), 10)
    columns = [column + 3 * normalish(20, 95)[prompts] * (i == 0) for i, column in enumerate(pairs(200))]
    plain = sy.preference_loss(*columns).reward_margin
    robust = sy.preference_loss(*columns, clusters=prompts).reward_margin
    assert robust.value == pytest.approx(plain.value, rel=1e-12)
    assert robust.n_clusters == 20
    assert robust.high - robust.low > plain.high - plain.low


def test_a_pair_that_does_not_count_needs_no_cluster() -> None:
    columns = ([-1.0, -2.0, np.nan], [-2.0, -3.5, 1.0], [-1.0, -2.5, 1.0], [-2.0, -3.0, 1.0])
    out = sy.preference_loss(*columns, clusters=["a", "b", None], nan_policy="omit")
    want = sy.preference_loss(*([v[:2] for v in columns]), clusters=["a", "b"])
    assert (out.loss.n_clusters, out.left_out) == (2, {"nan": 1})
    assert (out.loss.value, out.loss.low, out.loss.high) == (want.loss.value, want.loss.low, want.loss.high)


@pytest.mark.parametrize("clusters", [None, [0, 0, 1, 1]])
def test_a_loss_or_margin_that_happens_to_be_0_or_1_is_no_proportion(clusters: list[int] | None) -> None:
    """At policy = reference every margin is 0 and every hinge loss 1: Wilson's interval has no meaning there."""
    same = [-1.0, -2.0, -3.0, -4.0]
    out = sy.preference_loss(same, same, same, same, loss="hinge", clusters=clusters)
    for e, value in ((out.reward_margin, 0.0), (out.loss, 1.0)):
        assert (e.value, e.low, e.high, e.standard_error) == (value, None, None, None)
        assert "Wilson" not in str(e.method)
        assert "outside [0, 1]" in str(e.reason)
    accuracy = sy.preference_loss([0.0] * 4, same, same, [0.0] * 4, clusters=clusters).reward_accuracy
    assert "Wilson" in str(accuracy.method)


@pytest.mark.parametrize(("alternative", "side"), [("less", "low"), ("greater", "high")])
def test_one_sided_intervals_of_metrics(alternative: str, side: str) -> None:
    out = sy.preference_loss(*PAIRS, alternative=alternative)
    both = sy.preference_loss(*PAIRS, confidence_level=0.9)
    for name in ("loss", "reward_margin"):
        one, two = getattr(out, name), getattr(both, name)
        assert math.isinf(getattr(one, side))
        other = "high" if side == "low" else "low"
        assert getattr(one, other) == pytest.approx(getattr(two, other), rel=1e-12)


def test_pairs_that_do_not_count_are_left_out_and_counted() -> None:
    columns = pairs(10)
    columns[2][3] = math.nan
    where = np.ones(10, bool)
    where[0] = False
    with pytest.raises(
        ValueError, match="reference_chosen: expected finite log-probabilities; got a NaN or infinity at index 3"
    ):
        sy.preference_loss(*columns, where=where)
    out = sy.preference_loss(*columns, where=where, nan_policy="omit")
    assert out.left_out == {"where": 1, "nan": 1}
    assert np.isnan(out.losses).sum() == 2
    assert out.grad_chosen[[0, 3]].tolist() == [0, 0]
    assert out.loss.left_out == out.reward_margin.left_out == {"where": 1, "nan": 1}
    assert out.loss.n == 8
    rest = [np.delete(column, [0, 3]) for column in columns]
    assert float(out.loss) == float(sy.preference_loss(*rest).loss)


def test_empty_answers_are_counted() -> None:
    assert sy.preference_loss([0.0, -1], [-2.0, -2], [0.0, -1], [-2.0, -3]).empty == 1


def test_dtypes_mix_and_bfloat16_is_read_exactly() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes brings bfloat16 arrays; it comes with the dev extra")
    columns = [(c * 4).round() / 4 for c in pairs(20)]
    wide = sy.preference_loss(*columns)
    narrow = sy.preference_loss(columns[0].astype(np.float32), *columns[1:])
    assert wide.losses.tobytes() == narrow.losses.tobytes()
    small = [column.astype(ml_dtypes.bfloat16) for column in columns]
    again = sy.preference_loss(*(column.astype(np.float64) for column in small))
    with pytest.warns(SteelyardWarning, match="policy_chosen: bfloat16 log-probabilities of about -"):
        found = sy.preference_loss(*small, dtype="float64")
    assert found.losses.tobytes() == again.losses.tobytes()


def test_16_bits_warn_with_their_rounding_in_nats() -> None:
    """Half a step: a bfloat16 at -200 is rounded by up to .5, a float16 by up to .0625."""
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes brings bfloat16 arrays; it comes with the dev extra")
    whole = np.array([-190.0, -200.0, -210.0])
    for kind, text in ((ml_dtypes.bfloat16, "bfloat16 .* about -200 .*0.5 nats"), (np.float16, "float16 .*0.062 nats")):
        for columns in ([whole.astype(kind), whole, whole, whole], [whole, whole, whole, whole.astype(kind)]):
            with pytest.warns(SteelyardWarning, match=text):
                sy.preference_loss(*columns)


@pytest.mark.parametrize("divisor", [1.0, 100.0, 1000.0])
def test_likelihoods_that_are_negative_already_are_refused(divisor: float) -> None:
    """NLL in place of log-probabilities turns an accuracy of .67 into .33; summed, or a token's mean."""
    columns = [
        np.array(column) / divisor
        for column in ([-120.0, -80, -95], [-130.0, -90, -90], [-121.0, -82, -90], [-129.0, -89, -91])
    ]
    assert float(sy.preference_loss(*columns).reward_accuracy) == pytest.approx(2 / 3)
    for turned in ((0, 1, 2, 3), (0, 1), (2, 3)):
        mistaken = [-column if i in turned else column for i, column in enumerate(columns)]
        with pytest.raises(
            ValueError,
            match=r"_rejected: expected log-probabilities, at most 0; got .* at index 0 .clearly positive in 3 pairs.; negate",
        ):
            sy.preference_loss(*mistaken)


def test_rounding_above_0_is_no_mistake() -> None:
    """An answer that is as good as certain may round above 0; a pair that does not count is not looked at."""
    near = [np.array([1e-3, 0.0, -1.0])] * 4
    assert sy.preference_loss(*near).loss.n == 3
    far = [column + np.array([0.0, 0.0, 500.0]) for column in near]
    assert sy.preference_loss(*far, where=[True, True, False]).left_out == {"where": 1}
    with pytest.raises(ValueError, match=r"policy_chosen: .*got 499.0 at index 2"):
        sy.preference_loss(*far)


def test_sequence_logprob_feeds_it() -> None:
    logits = normalish(4 * 5 * 7, 99).reshape(4, 5, 7)
    targets = np.arange(20).reshape(4, 5) % 7
    scores = sy.token_scores(logits, targets)
    out = sy.preference_loss(*(scores.sequence_logprob[[i]] for i in range(4)))
    assert np.isfinite(out.losses).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "sigmoid"}, f"loss: expected one of {', '.join(names('preference.loss'))}; got 'sigmoid'"),
        ({"loss": "ipo", "label_smoothing": 0.1}, "label_smoothing: expected nothing: the loss 'ipo' does not use it"),
        (
            {"loss": "hinge", "label_smoothing": 0.0},
            "label_smoothing: expected nothing: the loss 'hinge' does not use it",
        ),
        (
            {"loss": "ipo_norm"},
            "lengths: expected (chosen, rejected), numbers of tokens, which the loss 'ipo_norm' needs;",
        ),
        ({"lengths": ([1] * 3, [1] * 3)}, "lengths: expected nothing: the loss 'dpo' does not use it; got tuple"),
        ({"loss": "ipo_norm", "lengths": [[1] * 3] * 2}, "lengths: expected a tuple (chosen, rejected) of columns of"),
        ({"loss": "ipo_norm", "lengths": ([1] * 3, [1] * 2)}, "lengths[1]: expected 3 values, one per pair; got 2"),
        (
            {"loss": "ipo_norm", "lengths": ([1, 2, 0.5], [1] * 3)},
            "lengths[0]: expected whole numbers of at least 0; got 0.5",
        ),
        (
            {"loss": "ipo_norm", "lengths": ([1] * 3, [1, -1, 2])},
            "lengths[1]: expected whole numbers of at least 0; got -1.0",
        ),
        (
            {"loss": "ipo_norm", "lengths": ([0, 1, 1], [1] * 3)},
            "lengths[0]: expected at least 1 where policy_chosen is not 0",
        ),
        ({"loss": "simpo"}, "reference_chosen: expected nothing: the loss 'simpo' does not use it; got list ["),
        ({"divergence": "kl"}, "divergence: expected one of reverse-kl, forward-kl, js, alpha; got 'kl'"),
        (
            {"loss": "sigmoid_norm", "divergence": "js"},
            "divergence: expected nothing: the loss 'sigmoid_norm' does not",
        ),
        ({"alpha": 0.5}, "alpha: expected nothing: the divergence 'reverse-kl' does not use it; got 0.5"),
        ({"divergence": "alpha", "alpha": 1.0}, "alpha: expected a number that is at least 0 and below 1; got 1.0"),
        ({"gamma": 0.5}, "gamma: expected nothing: the loss 'dpo' does not use it; got 0.5"),
        (
            {"label_smoothing": [0.1, 0.5]},
            "label_smoothing: expected a number that is at least 0 and below 0.5; got 0.5",
        ),
        ({"beta": [0.1, 0.2], "label_smoothing": [0.1]}, "label_smoothing: expected 2 values, as many as beta; got 1"),
        (
            {"loss": "hinge", "label_smoothing": [0.1]},
            "label_smoothing: expected nothing: the loss 'hinge' does not use",
        ),
        ({"label_smoothing": []}, "label_smoothing: expected at least one value; got none"),
        (
            {"label_smoothing": [[0.1]]},
            "label_smoothing: expected a number or a column of numbers; got float64 of shape",
        ),
        ({"label_smoothing": True}, "label_smoothing: expected a number; got bool True"),
        ({"shift": 0.1}, "shift: expected nothing: the loss 'dpo' does not use it; got 0.1"),
        ({"loss": "bco_pair", "shift": math.inf}, "shift: expected a number that is finite; got inf"),
        ({"loss": "discopop", "temperature": 1.5}, "temperature: expected a number that is above 0 and at most 1; got"),
        ({"loss": "exo_pair", "label_smoothing": 0.0}, "label_smoothing: expected a number that is above 0 and below"),
        ({"label_smoothing": 0.5}, "label_smoothing: expected a number that is at least 0 and below 0.5; got 0.5"),
        ({"beta": 0.0}, "beta: expected a number that is above 0 and finite; got 0.0"),
        ({"beta": [0.1, -1]}, "beta: expected a number that is above 0 and finite; got -1.0"),
        ({"beta": []}, "beta: expected at least one value; got none"),
        ({"beta": "small"}, "beta: expected an array; got str 'small'"),
        ({"nan_policy": "drop"}, "nan_policy: expected one of raise, omit; got 'drop'"),
        ({"where": [True]}, "where: expected shape (3,), one entry per pair of policy_chosen; got shape (1,)"),
        (
            {"where": [False] * 3},
            "policy_chosen: expected at least one pair that counts; got none of 3 (left out: 3 where)",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.preference_loss(*PAIRS, **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0.0], [0.0, 1.0], [0.0], [0.0]), "policy_rejected: expected 1 values, one per pair; got 2"),
        (([[0.0]], [0.0], [0.0], [0.0]), "policy_chosen: expected 1 axis; got shape (1, 1)"),
        (([], [], [], []), "policy_chosen: expected at least one value; got none"),
        (([0.0], [math.inf], [0.0], [0.0]), "policy_rejected: expected finite log-probabilities"),
        ((["a"], [0.0], [0.0], [0.0]), "policy_chosen: expected numbers"),
        (([1j], [0.0], [0.0], [0.0]), "policy_chosen: expected numbers"),
    ],
)
def test_bad_columns(columns: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.preference_loss(*columns)
    assert str(caught.value).startswith(message)


def test_the_core_refuses_what_the_face_would_have() -> None:
    ones = np.ones(3)
    with pytest.raises(ValueError, match="policy_rejected: expected 3 values, one per pair; got 2"):
        _core.preference_loss(
            [ones, ones[:2], ones, ones],
            terms=[("dpo", 1.0)],
            parameters=dpo(),
            beside=ALONE,
            gradients=True,
            single=False,
        )


def test_pairs_that_do_not_count_are_no_empty_answers() -> None:
    columns = ([-1.0, 0.0, -2.0], [-1.0, -1.0, -3.0], [-1.0, 0.0, -1.0], [-1.0, -1.0, -1.0])
    whole = sy.preference_loss(*columns)
    part = sy.preference_loss(*columns, where=[True, True, False])
    assert (whole.empty, part.empty, part.left_out) == (1, 1, {"where": 1})
    assert sy.preference_loss(*columns, where=[True, False, True]).empty == 0


def test_one_tie_is_one_value_of_unknown_spread() -> None:
    found = sy.preference_loss([-1.0], [-1.0], [-1.0], [-1.0]).reward_accuracy
    assert (found.value, found.method, found.low, found.detail) == (0.5, "t", None, {})
    assert found.reason == "the spread of graded values is unknown for one value"


@pytest.mark.parametrize("beta", [True, [True, False], np.array([[0.1, 0.2]]), [[0.1]]], ids=str)
def test_beta_is_a_number_or_a_column_of_numbers(beta: object) -> None:
    with pytest.raises(TypeError, match="beta: expected a number or a column of numbers; got"):
        sy.preference_loss([-1.0], [-2.0], [-1.0], [-2.0], beta=beta)
