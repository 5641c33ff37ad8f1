"""Preference losses of many settings without columns, and mixtures of losses."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core, reference
from steelyard._registries import REGISTRIES, names
from steelyard.preference.terms import loss_parameters

from .cases import normalish
from .cases.preference import reads, scored, tokens

METRICS = ("loss", "reward_accuracy", "reward_margin")
OUTPUTS = ("losses", "grad_chosen", "grad_rejected", "rewards_chosen", "rewards_rejected")


def pairs(n: int, spread: float = 5.0) -> list[np.ndarray]:
    columns = [normalish(n, 90 + i) * spread - 30 for i in range(4)]
    for policy, other in ((0, 1), (2, 3)):
        columns[other][::9] = columns[policy][::9]  # ties
    return columns


def both(
    columns: Any, *, loss: Any, **options: Any
) -> tuple[sy.preference.PreferenceLoss, sy.preference.PreferenceLoss]:
    """The sweep without columns, and with them."""
    name = loss if isinstance(loss, str) else next(iter(loss))
    if reads(name, "lengths"):
        options["lengths"] = tokens(len(columns[0]))
    given = columns if reads(name, "reference") else columns[:2]
    return tuple(sy.preference_loss(*given, loss=loss, columns=c, **options) for c in (None, True))  # type: ignore[return-value]


def assert_same(without: sy.preference.PreferenceLoss, with_columns: sy.preference.PreferenceLoss) -> None:
    for name in OUTPUTS:
        assert getattr(without, name) is None
    np.testing.assert_array_equal(without.saturated, with_columns.saturated)
    assert without.empty == with_columns.empty
    assert without.left_out == with_columns.left_out
    for name in METRICS:
        mine, theirs = getattr(without, name), getattr(with_columns, name)
        np.testing.assert_allclose(mine.value, theirs.value, rtol=1e-12, atol=1e-14, err_msg=name)
        for side in ("low", "high", "standard_error"):
            np.testing.assert_allclose(getattr(mine, side), getattr(theirs, side), rtol=1e-9, atol=1e-12)
        assert mine.method == theirs.method
        assert mine.reason == theirs.reason
        assert mine.n_clusters == theirs.n_clusters
        np.testing.assert_array_equal(mine.n, theirs.n)


@pytest.mark.parametrize("loss", names("preference.loss"))
def test_a_sweep_without_columns_has_the_metrics_of_one_with_them(loss: Any) -> None:
    assert_same(*both(pairs(1300), loss=loss, beta=np.geomspace(0.05, 2.0, 35)))


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("dpo", {"label_smoothing": [0.0, 0.1, 0.3]}), ("dpo", {"beta": [0.1, 0.4], "divergence": "js"}),
        ("dpo", {"beta": [0.1, 0.4], "divergence": "alpha", "alpha": [0.1, 0.6]}),
        ("alphapo", {"alpha": [0.0, 0.25, 0.0], "beta": [0.5, 0.5, 1.0]}), ("simpo", {"gamma": [0.0, 0.5, 2.0]}),
        ("bco_pair", {"shift": [-1.0, 2.5]}), ("dpo", {"beta": [0.1, 0.4], "clusters": np.arange(700) // 7}),
        ("dpo", {"beta": [0.1, 0.4], "weights": 0.5 + np.abs(normalish(700, 70))}),
        ("nca_pair", {"beta": [0.1, 0.4], "weights": np.arange(700) % 3, "clusters": np.arange(700) // 7}),
        ("dpo", {"beta": [0.1, 0.4], "where": np.arange(700) % 5 > 0}), ("ipo", {"beta": [0.1, 0.4], "margin": normalish(700, 71)}),
        ({"dpo": 0.8, "bco_pair": 0.2}, {"beta": [0.1, 0.4], "sft": 0.5}), ({"dpo": 2.0}, {"beta": [0.1, 0.4]}),
        ({"sigmoid_norm": 1.0, "ipo_norm": 0.1}, {"beta": [0.1, 0.4]}), ("aot", {"beta": [0.1, 0.4], "where": np.arange(700) % 5 > 0}),
        ({"cpo": 2.0}, {"beta": [0.1, 0.4], "sft": 0.5}), ("dpo", {"beta": [0.1, 0.4], "alternative": "less"}),
    ],
)  # fmt: skip
def test_every_kind_of_sweep_does(loss: Any, options: dict[str, Any]) -> None:
    spread = 1.0 if "divergence" in options or loss == "alphapo" else 5.0
    assert_same(*both(pairs(700, spread), loss=loss, **options))


def test_one_setting_without_columns() -> None:
    columns = pairs(300)
    bare, full = sy.preference_loss(*columns, columns=False), sy.preference_loss(*columns)
    assert bare.losses is bare.grad_chosen is bare.rewards_rejected is None
    assert bare.loss.value == pytest.approx(full.loss.value, rel=1e-14)
    assert bare.reward_accuracy == full.reward_accuracy
    assert bare.saturated == full.saturated
    assert repr(bare).startswith("<PreferenceLoss loss 0")


def test_saturated_pairs_of_each_setting() -> None:
    far = -np.array([1.0, 800.0, 5000.0, 9000.0] * 200)
    one = np.full(800, -1.0)
    out = sy.preference_loss(far, one, one, one, beta=[0.001, 0.1, 0.5, 1.0])
    assert out.saturated.tolist() == [0, 200, 400, 600]


@pytest.mark.parametrize("loss", ["dpo", "orpo"])
def test_the_losses_of_a_sweep_that_are_all_equal_have_no_interval(loss: Any) -> None:
    same = np.full(40, -3.0)
    out = scored([same] * 4, loss=loss, beta=[0.1, 0.2], lengths=(np.full(40, 3), np.full(40, 3)))
    lengths = {"lengths": (np.full(40, 3), np.full(40, 3))} if loss == "orpo" else {}
    reads_all = [same] * (2 if loss == "orpo" else 4)
    without: Any = sy.preference_loss(*reads_all, loss=loss, beta=[0.1, 0.2], **lengths)  # type: ignore[arg-type]
    assert without.loss.reason[1].startswith("graded values; all 40 values are equal")
    assert out.loss.reason[0].startswith("graded values; all 40 values are equal")
    assert without.reward_margin.reason[0].startswith("graded values; all 40 values are equal")


def test_a_sweep_makes_no_columns() -> None:
    columns = [c.astype(np.float32) for c in pairs(20_000)]
    betas = np.linspace(0.01, 1.0, 500)
    sy.preference_loss(*columns, beta=betas[:2])
    tracemalloc.start()
    assert sy.preference_loss(*columns, beta=betas).loss.value.shape == (500,)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8e6  # the losses alone would be 80 MB


def test_what_overflows_names_beta() -> None:
    with pytest.raises(ValueError, match="beta: expected margins, rewards, losses and gradients that float64 holds"):
        sy.preference_loss([-1.0, -2.0], [-3.0, -1.0], [-1.0, -1.0], [-1.0, -1.0], loss="ipo", beta=[0.1, 1e-200])
    with pytest.raises(ValueError, match=r"policy_rejected: .* got a NaN .* at index 1"):
        sy.preference_loss([-1.0, -2.0], [-3.0, np.nan], [-1.0, -1.0], [-1.0, -1.0], beta=[0.1, 0.2])


def test_progress_of_a_sweep_reaches_its_end() -> None:
    seen: list[tuple[int, int]] = []
    columns = pairs(70_000)
    sy.preference_loss(*columns, beta=np.linspace(0.1, 1, 70), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == 6


# -- mixtures --------------------------------------------------------------------------------------------------

MPO = {"dpo": 0.8, "bco_pair": 0.2}


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (MPO, {}), (MPO, {"label_smoothing": 0.1, "shift": 0.5}), ({"dpo": 0.5}, {}), ({"exo_pair": 1.0, "hinge": 2.0}, {}),
        ({"nca_pair": 0.1, "apo_down": 3.0, "sppo_hard": 1e-3, "discopop": 1.0}, {"temperature": 0.5}),
        ({"exo_pair": 1.0, "robust": 2.0}, {"label_smoothing": 0.2}),
    ],
)  # fmt: skip
def test_a_mixture_is_the_weighted_sum_of_its_losses(loss: Any, options: dict[str, Any]) -> None:
    columns = pairs(1100)
    out = sy.preference_loss(*columns, loss=loss, beta=0.3, **options)
    parts = []
    for name, weight in loss.items():
        own = {key: value for key, value in options.items() if key in REGISTRIES["preference.loss"][name].parameters}
        parts.append((weight, sy.preference_loss(*columns, loss=name, beta=0.3, **own)))
    for name in OUTPUTS[:3]:
        want = sum(weight * getattr(part, name) for weight, part in parts)
        scale = sum(weight * np.abs(getattr(part, name)) for weight, part in parts)
        assert (np.abs(getattr(out, name) - want) <= 4e-16 * scale).all(), name
    assert out.rewards_chosen.tobytes() == parts[0][1].rewards_chosen.tobytes()
    x, y = (columns[i] - columns[i + 2] for i in range(2))
    exact = reference.preference.mixture(x[:50], y[:50], loss=loss, beta=0.3, **options)
    np.testing.assert_allclose(out.losses[:50], exact["losses"], rtol=1e-13)


def test_the_gradients_of_a_mixture_are_central_differences() -> None:
    columns, step = pairs(200), 1e-4
    options: Any = {"loss": MPO, "sft": 0.25, "beta": 0.3}
    out = sy.preference_loss(*columns, **options)
    for which, grad in ((0, out.grad_chosen), (1, out.grad_rejected)):
        moved = []
        for sign in (1, -1):
            shifted = [c.copy() for c in columns]
            shifted[which] += sign * step
            moved.append(sy.preference_loss(*shifted, gradients=False, **options).losses)
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), grad, rtol=1e-7, atol=1e-8)


def test_mpo_is_what_trl_computes() -> None:
    """loss_type=["sigmoid", "bco_pair", "sft"], loss_weights=[0.8, 0.2, 1.0]; the likelihood is summed over tokens here."""
    a, b, c, d = columns = pairs(100)
    out = sy.preference_loss(*columns, loss=MPO, sft=1.0)
    h, g = 0.1 * (a - c), 0.1 * (b - d)
    want = 0.8 * np.logaddexp(0, -(h - g)) + 0.2 * (np.logaddexp(0, -h) + np.logaddexp(0, g)) - a
    np.testing.assert_allclose(out.losses, want, rtol=1e-14)
    plain = sy.preference_loss(*columns, loss=MPO)
    np.testing.assert_allclose(out.grad_chosen, plain.grad_chosen - 1.0, rtol=1e-15)
    assert out.grad_rejected.tobytes() == plain.grad_rejected.tobytes()


def test_a_mixture_of_one_is_that_loss() -> None:
    columns = pairs(500)
    for name in OUTPUTS:
        one, alone = (getattr(sy.preference_loss(*columns, loss=loss), name) for loss in ({"dpo": 1.0}, "dpo"))
        assert one.tobytes() == alone.tobytes()
    cpo = [sy.preference_loss(*columns[:2], loss=loss, sft=0.5) for loss in ({"cpo": 2.0}, "cpo")]  # type: ignore[arg-type]
    np.testing.assert_array_equal(cpo[0].losses, 2 * cpo[1].losses)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mixture_with_everything_beside_it(dtype: Any) -> None:
    columns, margin, weights = pairs(1100), normalish(1100, 71), 0.5 + np.abs(normalish(1100, 72))
    out = sy.preference_loss(
        *columns, loss={"dpo": 0.8, "hinge": 0.2}, sft=0.25, margin=margin, weights=weights, dtype=dtype
    )
    parts = [sy.preference_loss(*columns, loss=loss, margin=margin) for loss in ("dpo", "hinge")]  # type: ignore[arg-type]
    want = weights * (0.8 * parts[0].grad_chosen + 0.2 * parts[1].grad_chosen - 0.25)
    np.testing.assert_allclose(out.grad_chosen, want, rtol=1e-6 if dtype == "float32" else 1e-14)
    assert out.losses.dtype == dtype


def test_a_pair_far_from_the_margins_of_several_losses_is_counted_once() -> None:
    far = np.array([-1.0, -9000.0, -20.0])
    one = np.full(3, -1.0)
    assert sy.preference_loss(far, one, one, one, loss={"dpo": 1.0, "apo_zero": 1.0, "bco_pair": 2.0}).saturated == 1
    assert np.isfinite(sy.preference_loss(1e3 * far, one, one, one, loss=MPO, beta=10.0, dtype="float32").losses).all()


X = [-1.0, -2.0, -3.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": {}}, "loss: expected at least one loss with its weight; got none"),
        ({"loss": {"dpa": 1.0}}, "loss: expected one of dpo, "),
        ({"loss": {"dpo": 0.0}}, "loss['dpo']: expected a weight that is above 0 and finite; got 0.0"),
        ({"loss": {"dpo": -1}}, "loss['dpo']: expected a weight that is above 0 and finite; got -1"),
        ({"loss": {"dpo": "half"}}, "loss['dpo']: expected a weight above 0; got str 'half'"),
        ({"loss": {"dpo": 1.0, "simpo": 1.0}}, "loss: expected losses that compare the same scores; got 'dpo' and 'simpo'"),
        ({"loss": {"orpo": 1.0, "simpo": 1.0}}, "loss: expected losses that compare the same scores; got"),
        ({"loss": {"dpo": 1.0, "aot": 1.0}}, "loss: expected losses of each pair by itself in a mixture; got 'aot'"),
        ({"loss": {"aot": 1.0}}, "loss: expected losses of each pair by itself in a mixture; got 'aot'; call it alone"),
        ({"loss": MPO, "temperature": 0.1}, "temperature: expected nothing: the loss 'dpo' does not use it; got 0.1"),
        ({"loss": MPO, "sft": -1.0}, "sft: expected"),
        ({"loss": {"dpo": 1.0, "exo_pair": 1.0}},
         "label_smoothing: expected a number, since 'dpo' and 'exo_pair' have different defaults; got None"),
        ({"loss": {"dpo": 1.0, "exo_pair": 1.0}, "label_smoothing": 0.0}, "label_smoothing: expected a number that is above 0"),
        ({"loss": ["dpo"]}, "loss: expected one of"),
        ({"sft": 1.0}, "sft: expected nothing: the loss 'dpo' does not use it; got 1.0"),
    ],
)  # fmt: skip
def test_bad_mixtures(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.preference_loss(X, X, X, X, **options)
    assert str(caught.value).startswith(message)


def test_the_core_refuses_what_the_face_would_have() -> None:
    one = np.full(3, -1.0)
    alone = {"lengths": None, "margin": None, "weights": None}
    parameters = loss_parameters("dpo") | {"beta": 0.1}
    for terms in ([], [("orpo", 1.0), ("simpo", 1.0)]):
        with pytest.raises(ValueError, match="loss: expected losses that compare the same scores; got others"):
            _core.preference_sweep([one] * 2, terms=terms, settings=[parameters], beside=alone, slopes=True)
    with pytest.raises(ValueError, match="settings: expected at least one; got none"):
        _core.preference_sweep([one] * 4, terms=[("dpo", 1.0)], settings=[], beside=alone, slopes=True)
