"""Preference losses: what there is beside log-probabilities (margins, weights, ranks), and the types of results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import reference
from steelyard._registries import names
from steelyard.errors import SteelyardWarning

from .cases import normalish
from .cases.preference import matched, own, reads, scored, tokens, variants

TAKE_MARGIN = [name for name in names("preference.loss") if reads(name, "margin")]
OUTPUTS = ("losses", "grad_chosen", "grad_rejected", "rewards_chosen", "rewards_rejected")
LOSSES = variants()


def pairs(n: int, spread: float = 5.0) -> list[np.ndarray]:
    return [normalish(n, 90 + i) * spread - 30 for i in range(4)]


# -- margins ---------------------------------------------------------------------------------------------------


def test_which_losses_take_a_margin() -> None:
    """Those that are functions of z alone."""
    assert set(names("preference.loss")) - set(TAKE_MARGIN) == {
        "apo_zero", "apo_down", "nca_pair", "bco_pair", "sppo_hard", "orpo", "aot",
    }  # fmt: skip


@pytest.mark.parametrize("loss", TAKE_MARGIN)
def test_a_margin_is_subtracted_from_z(loss: Any) -> None:
    columns, offsets = pairs(300), normalish(300, 77)
    out = scored(columns, loss=loss, beta=0.5, margin=offsets)
    for i in (0, 7, 299):
        one = scored([c[i : i + 1] for c in columns], loss=loss, beta=0.5, margin=offsets[i : i + 1],
                     lengths=tuple(n[i : i + 1] for n in tokens(300)))  # fmt: skip
        for name in OUTPUTS:
            assert getattr(out, name)[i] == getattr(one, name)[0], name
    none = scored(columns, loss=loss, beta=0.5)
    zero = scored(columns, loss=loss, beta=0.5, margin=np.zeros(300))
    for name in OUTPUTS:
        assert getattr(none, name).tobytes() == getattr(zero, name).tobytes(), name
    assert out.rewards_chosen.tobytes() == none.rewards_chosen.tobytes()
    if reads(loss, "lengths") or not reads(loss, "reference"):
        return
    x, y = (columns[i] - columns[i + 2] for i in range(2))
    want = reference.preference.preference_loss(x, y, beta=0.5, loss=loss, margin=offsets)
    np.testing.assert_allclose(out.losses, want["losses"], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(out.grad_chosen, want["grad_chosen"], rtol=4e-15)


def test_the_gamma_of_simpo_is_the_margin_of_all_pairs() -> None:
    columns, lengths = pairs(50)[:2], tokens(50)
    gamma = sy.preference_loss(*columns, loss="simpo", lengths=lengths, gamma=0.75)
    margin = sy.preference_loss(*columns, loss="simpo", lengths=lengths, gamma=0.0, margin=np.full(50, 0.75))
    assert gamma.losses.tobytes() == margin.losses.tobytes()
    both = sy.preference_loss(*columns, loss="simpo", lengths=lengths, gamma=0.5, margin=np.full(50, 0.25))
    assert gamma.grad_chosen.tobytes() == both.grad_chosen.tobytes()


def test_margins_far_out_are_finite_and_counted() -> None:
    far = np.array([-1e4, -800.0, 0.0, 800.0, 1e4])
    for loss in TAKE_MARGIN:
        out = scored([np.full(5, -1.0)] * 4, loss=loss, margin=far)
        assert out.saturated == 4, loss
        assert np.isfinite(out.losses).all()
        assert np.isfinite(out.grad_chosen).all()


# -- weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [o for o in LOSSES if o["loss"] != "aot"], ids=str)
def test_weights_multiply_gradients_and_weigh_means(options: dict[str, Any]) -> None:
    columns, weights = pairs(300, 1.0), 0.25 + np.abs(normalish(300, 78))
    plain, out = scored(columns, **options), scored(columns, weights=weights, **options)
    assert out.losses.tobytes() == plain.losses.tobytes()
    assert out.rewards_chosen.tobytes() == plain.rewards_chosen.tobytes()
    np.testing.assert_allclose(out.grad_chosen, weights * plain.grad_chosen, rtol=4e-16)
    np.testing.assert_allclose(out.grad_rejected, weights * plain.grad_rejected, rtol=4e-16)
    want = sy.estimate(plain.losses, weights=weights)
    assert out.loss.value == pytest.approx(want.value, rel=1e-14)
    assert (out.loss.low, out.loss.high) == pytest.approx((want.low, want.high), rel=1e-12)
    assert out.loss.n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_the_gradients_are_those_of_the_weighted_mean() -> None:
    """``grad_chosen / weights.sum()`` is the gradient of ``loss``."""
    columns, weights = pairs(20, 1.0), 0.25 + np.abs(normalish(20, 78))
    out, step = sy.preference_loss(*columns, weights=weights), 1e-4
    for i in (0, 13):
        moved = []
        for sign in (1, -1):
            chosen = columns[0].copy()
            chosen[i] += sign * step
            moved.append(sy.preference_loss(chosen, *columns[1:], weights=weights).loss.value)
        assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(out.grad_chosen[i] / weights.sum(), rel=1e-7)


def test_a_pair_twice_is_a_pair_of_weight_2() -> None:
    columns = pairs(6)
    twice = [np.concatenate([c, c[:1]]) for c in columns]
    out = sy.preference_loss(*columns, weights=[2, 1, 1, 1, 1, 1])
    assert out.loss.value == pytest.approx(sy.preference_loss(*twice).loss.value, rel=1e-14)
    assert out.reward_accuracy.value == pytest.approx(sy.preference_loss(*twice).reward_accuracy.value, rel=1e-14)


def test_a_pair_of_weight_0_does_not_count() -> None:
    columns = pairs(5)
    out = sy.preference_loss(*columns, weights=[1, 0, 2, 1, 1])
    assert out.left_out == {"zero weight": 1}
    assert math.isnan(out.losses[1])
    assert out.grad_chosen[1] == 0
    rest = sy.preference_loss(*(np.delete(c, 1) for c in columns), weights=[1, 2, 1, 1])
    assert out.loss.value == rest.loss.value
    unread = sy.preference_loss(*columns, weights=[1, math.nan, 2, 1, 1], where=[True, False, True, True, True])
    assert unread.loss.value == rest.loss.value
    assert unread.grad_chosen[1] == 0


# -- ranks -----------------------------------------------------------------------------------------------------


def test_aot_is_what_trl_computes() -> None:
    """delta = sort(chosen - rejected) - sort(ref_chosen - ref_rejected); the conservative loss of beta delta."""
    columns = pairs(200)
    columns[1][::9] = columns[0][::9] - 1.0  # ties
    a, b, c, d = columns
    for smoothing in (0.0, 0.1):
        delta = 0.3 * (np.sort(a - b) - np.sort(c - d))
        want = (1 - smoothing) * np.logaddexp(0, -delta) + smoothing * np.logaddexp(0, delta)
        out = sy.preference_loss(*columns, loss="aot", beta=0.3, label_smoothing=smoothing)
        np.testing.assert_allclose(out.losses[np.argsort(a - b, kind="stable")], want, rtol=1e-12)
        assert out.loss.value == pytest.approx(want.mean(), rel=1e-13)
    plain = sy.preference_loss(*columns, beta=0.3)
    assert out.rewards_chosen.tobytes() == plain.rewards_chosen.tobytes()
    moved = matched(columns, "aot")
    assert out.grad_chosen.tobytes() == sy.preference_loss(*moved, beta=0.3, label_smoothing=0.1).grad_chosen.tobytes()


def test_aot_of_pairs_that_count() -> None:
    columns = [c[:20] for c in pairs(40)]
    where = np.arange(20) % 3 > 0
    out = sy.preference_loss(*columns, loss="aot", where=where)
    rest = sy.preference_loss(*(c[where] for c in columns), loss="aot")
    assert out.losses[where].tobytes() == rest.losses.tobytes()
    assert out.rewards_rejected[where].tobytes() == rest.rewards_rejected.tobytes()
    assert (out.grad_chosen[~where] == 0).all()
    assert out.loss.value == rest.loss.value


def test_aot_of_sorted_pairs_is_dpo() -> None:
    a, b, c, d = (np.sort(column) for column in pairs(50))
    columns = a, np.sort(b)[::-1], c, np.sort(d)[::-1]
    out = sy.preference_loss(*columns, loss="aot")
    assert out.losses.tobytes() == sy.preference_loss(*columns).losses.tobytes()


def test_aot_counts_empty_answers_of_pairs_as_given() -> None:
    out = sy.preference_loss([0.0, -1.0, -9.0], [-2.0, -2.0, -1.0], [0.0, -1.0, -1.0], [-2.0, -3.0, 0.0], loss="aot")
    assert out.empty == 1


# -- types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.filterwarnings("ignore::steelyard.errors.SteelyardWarning")
def test_float32_results_are_those_of_float64_rounded_once(dtype: str, beside: bool) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes brings bfloat16 arrays; it comes with the dev extra")
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    columns = [c.astype(kind) for c in pairs(700)]
    for options in LOSSES:
        more: dict[str, Any] = {}
        if beside and options["loss"] != "aot":
            more["weights"] = 0.5 + np.abs(normalish(700, 78))
        if beside and reads(options["loss"], "margin"):
            more["margin"] = normalish(700, 77)
        wide = scored(columns, dtype="float64", **options, **more)
        narrow = scored(columns, dtype="float32", **options, **more)
        for name in OUTPUTS:
            with np.errstate(over="ignore"):
                rounded = np.clip(getattr(wide, name), -3.4028234663852886e38, 3.4028234663852886e38)
            assert getattr(narrow, name).tobytes() == rounded.astype(np.float32).tobytes(), (options, name)
        assert wide.empty == narrow.empty
        default = scored(columns, **options, **more)
        assert default.losses.dtype == ("float64" if dtype == "float64" else "float32")


def test_the_widest_type_comes_back() -> None:
    single = [c.astype(np.float32) for c in pairs(10)]
    assert sy.preference_loss(*single).grad_chosen.dtype == np.float32
    assert sy.preference_loss(*single[:3], single[3].astype(np.float64)).losses.dtype == np.float64
    half = single[0].astype(np.float16)
    with pytest.warns(SteelyardWarning):
        assert sy.preference_loss(half, *single[1:]).losses.dtype == np.float32
    assert sy.preference_loss([-1.0], [-2.0], [-1.0], [-2.0]).losses.dtype == np.float64
    assert sy.preference_loss(*single, beta=[0.1, 0.2], columns=True).losses.dtype == np.float32


@pytest.mark.parametrize("place", [0, 126, 128, 300])
def test_what_float32_cannot_hold_is_its_largest_number_and_counts_as_saturated(place: int) -> None:
    n = 301
    columns = [c.astype(np.float32) for c in pairs(n)]
    columns[0][place] = np.float32(-1e30)
    out = sy.preference_loss(*columns, loss="sppo_hard")
    assert out.losses[place] == np.float32(3.4028235e38)
    assert out.saturated == 1
    columns[0][place], columns[2][place] = -200.0, -1.0
    out = sy.preference_loss(*columns, divergence="forward-kl")
    # The derivative of its score is exp(199).
    assert out.grad_chosen[place] == np.float32(-3.4028235e38)
    assert out.rewards_chosen[place] == np.float32(-3.4028235e38)
    assert np.isfinite(out.losses).all()
    wide = sy.preference_loss(*columns, divergence="forward-kl", dtype="float64")
    assert out.saturated >= wide.saturated >= 1
    assert sy.preference_loss(*columns, loss="ipo", beta=1e-25).losses.max() == np.float32(3.4028235e38)


def test_a_float32_gradient_has_its_digits_to_a_distance_of_87_and_is_0_beyond_104() -> None:
    z = np.float32([60.0, 87.0, 105.0, 300.0])
    out = sy.preference_loss(0 * z, -z, 0 * z, 0 * z, beta=1.0)
    np.testing.assert_allclose(-out.grad_chosen[:2], np.exp(-z[:2].astype(float)), rtol=1.2e-7)
    assert out.grad_chosen[2:].tolist() == [0, 0]
    wide = sy.preference_loss(0 * z, -z, 0 * z, 0 * z, beta=1.0, dtype="float64")
    assert (wide.grad_chosen < 0).all()


def test_margins_that_float32_rounds_apart_show_no_spread() -> None:
    x = np.linspace(-700, -1, 50)
    out = sy.preference_loss(x, x - 0.3, np.zeros(50), np.zeros(50), dtype="float32", beta=0.7)
    assert np.ptp(out.rewards_chosen - out.rewards_rejected) > 1e-7
    assert out.reward_margin.low is None


# -- bad input -------------------------------------------------------------------------------------------------

X = [-1.0, -2.0, -3.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "apo_zero", "margin": X}, "margin: expected nothing: the loss 'apo_zero' does not use it; got list"),
        ({"loss": "aot", "margin": X}, "margin: expected nothing: the loss 'aot' does not use it; got list"),
        (
            {"loss": {"dpo": 1, "bco_pair": 1}, "margin": X},
            "margin: expected nothing: the loss 'bco_pair' does not use",
        ),
        ({"margin": [1.0]}, "margin: expected 3 values, one per pair; got 1"),
        ({"margin": [1.0, math.nan, 0.0]}, "margin: expected finite numbers; got nan at index 1"),
        ({"margin": [1.0, math.inf, 0.0]}, "margin: expected finite numbers; got inf at index 1"),
        ({"margin": "wide"}, "margin: expected an array; got str 'wide'"),
        ({"weights": [1.0, -1.0, 1.0]}, "weights: expected finite numbers of at least 0; got -1.0 at index 1"),
        ({"weights": [0.0, 0.0, 0.0]}, "weights: expected a row that counts with a weight above 0; got none"),
        ({"weights": [1.0]}, "weights: expected shape (3,), one weight per row of policy_chosen; got shape (1,)"),
        ({"loss": "aot", "weights": [1.0] * 3}, "weights: expected nothing: the loss 'aot' matches pairs by ranks"),
        ({"loss": "aot", "divergence": "js"}, "divergence: expected nothing: the loss 'aot' does not use it"),
        ({"dtype": "float16"}, "dtype: expected one of float32, float64; got 'float16'"),
        ({"dtype": np.float32}, "dtype: expected one of float32, float64; got"),
        ({"columns": 1}, "columns: expected True or False; got int 1"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.preference_loss(X, X, X, X, **options)
    assert str(caught.value).startswith(message)


def test_weights_that_are_too_large_are_named() -> None:
    far = {"loss": "ipo", "beta": 0.001}
    with pytest.raises(
        ValueError, match=r"weights: expected weights whose products with gradients float64 holds; got 1e\+308"
    ):
        sy.preference_loss(X, X, X, X, weights=[1.0, 1e308, 1.0], **far)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="beta: expected margins, rewards, losses and gradients that float64 holds"):
        sy.preference_loss(X, X, X, X, weights=[1.0, 1.0, 1.0], loss="ipo", beta=1e-200)


def test_margins_of_pairs_that_do_not_count_are_not_looked_at() -> None:
    out = sy.preference_loss(X, X, X, X, margin=[0.5, math.nan, 0.5], where=[True, False, True])
    assert out.losses[0] == out.losses[2]


@pytest.mark.parametrize("options", [o for o in LOSSES if "divergence" not in o], ids=str)
def test_the_reference_reads_margins_and_mixtures(options: dict[str, Any]) -> None:
    x, y = normalish(9, 91), normalish(9, 92)
    options = own(options)
    one = reference.preference.preference_loss(x, y, beta=0.3, margin=np.zeros(9), **options)
    rest = {k: v for k, v in options.items() if k != "loss"}
    two = reference.preference.mixture(x, y, beta=0.3, loss={options["loss"]: 2.0}, **rest)
    np.testing.assert_array_equal(2 * one["losses"], two["losses"])
