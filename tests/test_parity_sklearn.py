"""Agreement with scikit-learn on calibration curve, log loss and accuracy; and where it misplaces rows or is silent."""

from __future__ import annotations

import math

import numpy as np
import pytest

import steelyard as sy

from .cases import uniform

calibration = pytest.importorskip("sklearn.calibration", reason="scikit-learn is the peer of this file")
metrics = pytest.importorskip("sklearn.metrics")


def filled(rel: sy.calibration.Reliability) -> tuple[np.ndarray, np.ndarray]:
    count = rel.table["count"] > 0
    return rel.table["accuracy"][count], rel.table["mean_probability"][count]


@pytest.mark.parametrize("n_bins", [1, 5, 10, 15])
def test_the_table_is_the_calibration_curve(n_bins: int) -> None:
    """Sums of theirs are float64: equal to rounding."""
    p = uniform(5000, 1) ** 2
    y = uniform(5000, 2) < p
    true, mean = calibration.calibration_curve(y, p, n_bins=n_bins)
    accuracy, probability = filled(sy.reliability(p, y, n_bins=n_bins))
    np.testing.assert_allclose(accuracy, true, rtol=1e-13)
    np.testing.assert_allclose(probability, mean, rtol=1e-13)


def test_edges_in_float64_fall_as_theirs_do() -> None:
    p, y = np.arange(11) / 10, np.arange(11) % 2
    true, mean = calibration.calibration_curve(y, p, n_bins=10)
    accuracy, probability = filled(sy.reliability(p, y, n_bins=10))
    assert accuracy.tolist() == true.tolist()
    np.testing.assert_allclose(probability, mean, rtol=1e-15)


def test_sklearns_edges_move_in_float32_and_ours_do_not() -> None:
    """float32 0.1 is above the float64 edge 0.1: theirs then puts tenths two to a bin and leaves bins empty."""
    tenths, y = (np.arange(11) / 10).astype(np.float32), np.arange(11) % 2
    assert len(calibration.calibration_curve(y, tenths, n_bins=10)[0]) == 8
    single = sy.reliability(tenths, y, n_bins=10)
    assert single.table["count"].tolist() == [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert single.table["count"].tolist() == sy.reliability(np.arange(11) / 10, y, n_bins=10).table["count"].tolist()


def test_sklearns_curve_of_nan_is_silent_and_ours_is_refused() -> None:
    p, y = np.array([0.2, math.nan, 0.9]), np.array([0, 1, 1])
    assert np.isnan(calibration.calibration_curve(y, p)[1]).any()
    with pytest.raises(ValueError, match="index 1"):
        sy.reliability(p, y)
    assert sy.reliability(p, y, nan_policy="omit").left_out == {"nan": 1}


def test_class_probabilities_with_their_own_labels() -> None:
    """``predict_proba`` and ``classes_`` as a classifier gives them."""
    from sklearn.naive_bayes import GaussianNB

    x = uniform(600, 3).reshape(300, 2)
    y = np.array(["cat", "dog", "fox"])[(x[:, 0] + 0.3 * uniform(300, 4) > 0.5).astype(int) + (x[:, 1] > 0.7)]
    model = GaussianNB().fit(x, y)
    p = model.predict_proba(x)
    rel = sy.reliability(p, y, classes=model.classes_)
    assert rel.accuracy.value == pytest.approx(metrics.accuracy_score(y, model.predict(x)), abs=1e-15)
    right = model.predict(x) == y
    true, mean = calibration.calibration_curve(right, p.max(axis=1), n_bins=15)
    accuracy, probability = filled(rel)
    np.testing.assert_allclose(accuracy, true, rtol=1e-13)
    np.testing.assert_allclose(probability, mean, rtol=1e-13)


def test_nats_are_the_log_loss() -> None:
    p = uniform(3000, 5).reshape(1000, 3) + 0.01
    p /= p.sum(axis=1, keepdims=True)
    y = (uniform(1000, 6) * 3).astype(np.int64)
    nll = sy.token_scores(np.log(p), y).nll
    found = sy.perplexity(nll, clusters=np.arange(1000), unit="nats")
    assert found.value == pytest.approx(metrics.log_loss(y, p, labels=[0, 1, 2]), rel=1e-13)


def test_sklearns_log_loss_clips_a_zero_and_ours_is_infinite() -> None:
    """A probability of 0 for what came true is infinite surprise; theirs is that of the smallest step of the dtype."""
    assert metrics.log_loss([1, 0], [0.0, 0.5]) < 20
    found = sy.perplexity(np.array([math.inf, math.log(2)]), clusters=[0, 1], unit="nats")
    assert found.value == math.inf
    assert "1" in found.reason
