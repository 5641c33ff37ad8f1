"""Brier score and log loss in the report, against their formulas and scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from steelyard import records, report
from steelyard.cli import run


def written(path: Path, models: dict[str, tuple[Any, Any]]) -> Path:
    rows = [
        {"id": i, "model": model, "correct": int(y), "confidence": p}
        for model, (ps, ys) in models.items()
        for i, (p, y) in enumerate(zip(ps, ys, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def models(n: int = 300) -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(4)
    found = {}
    for name, sharp in (("a", 1.0), ("b", 0.5)):
        p = rng.beta(3, 1.5, size=n)
        found[name] = (p, rng.uniform(size=n) < 0.5 + sharp * (p - 0.5))
    return found


def test_equal_their_formulas(tmp_path: Path) -> None:
    given = models()
    made = report.build(records.read(written(tmp_path / "a.jsonl", given)))
    brier, log_loss = made.proper
    assert (brier.name, log_loss.name) == ("Brier score", "Log loss")
    losses = {}
    for name, (p, y) in given.items():
        losses[name] = (p - y) ** 2, -np.log(np.where(y, p, 1 - p))
        for score, loss in zip((brier, log_loss), losses[name], strict=True):
            assert float(score.models[name]) == pytest.approx(loss.mean(), rel=1e-12)
            assert score.models[name].standard_error == pytest.approx(loss.std(ddof=1) / np.sqrt(300), rel=1e-12)
    for k, score in enumerate((brier, log_loss)):
        (pair,) = score.pairs
        d = losses["b"][k] - losses["a"][k]
        assert float(pair.difference) == pytest.approx(d.mean(), rel=1e-11)
        test = stats.ttest_1samp(d, 0).confidence_interval(0.95)
        assert [pair.difference.low, pair.difference.high] == pytest.approx([test.low, test.high], rel=1e-10)
        assert pair.verdict == "worse"  # b's confidences are too far from .5


def test_equal_scikit_learn(tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    given = models()
    brier, log_loss = report.build(records.read(written(tmp_path / "a.jsonl", given))).proper
    for name, (p, y) in given.items():
        assert float(brier.models[name]) == pytest.approx(metrics.brier_score_loss(y, p), rel=1e-12)
        assert float(log_loss.models[name]) == pytest.approx(metrics.log_loss(y, p), rel=1e-12)


def test_a_certainty_that_failed_is_infinite(tmp_path: Path) -> None:
    given = {"a": ([1.0, 0.9, 0.8], [0, 1, 1]), "b": ([0.6, 0.7, 0.8], [0, 1, 1])}
    made = report.build(records.read(written(tmp_path / "a.jsonl", given)))
    brier, log_loss = made.proper
    e = log_loss.models["a"]
    assert (float(e), e.low, e.standard_error) == (np.inf, None, None)
    assert e.reason == "1 record of a had a probability of 0 for what came true"
    assert len(brier.pairs) == 1
    assert not log_loss.pairs
    said = " ".join(str(made).split())
    assert "No interval: 1 record of a had a probability of 0 for what came true." in said
    made.to_html(tmp_path / "a.html")


def test_without_confidences_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": i, "correct": i % 2}) + "\n" for i in range(9)))
    assert report.build(records.read(path)).proper == ()


def test_records_without_confidence_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": i, "correct": i % 2, "confidence": None if i < 3 else 0.5} for i in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    brier, _ = report.build(records.read(path)).proper
    assert (brier.models["a"].n, float(brier.models["a"])) == (6, 0.25)


def test_epochs_count_once_and_are_clusters(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"id": i, "epoch": e, "correct": (i + e) % 2, "confidence": 0.6} for i in range(9) for e in range(1 + i % 2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    brier, _ = report.build(records.read(path)).proper
    of_ids = [np.mean([(0.6 - (i + e) % 2) ** 2 for e in range(1 + i % 2)]) for i in range(9)]
    assert float(brier.models["a"]) == pytest.approx(np.mean(of_ids), rel=1e-12)
    assert brier.models["a"].n_clusters == 9


def test_bins(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.jsonl", models())
    data = tmp_path / "a.json"
    assert run(["report", str(path), "--bins", "5", "--json", str(data)]) == 0
    reliability = json.loads(data.read_text())["models"][0]["reliability"]
    assert len(next(iter(reliability["table"].values()))) == 5
    assert run(["report", str(path), "--bins", "0"]) == 2
    assert "--bins: expected a whole number of bins from 1" in capfd.readouterr().err
