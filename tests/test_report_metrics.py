"""Further metrics of the same records in one report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import records, report
from steelyard.cli import run


def written(path: Path, **changed: Any) -> Path:
    rng = np.random.default_rng(2)
    rows = [
        {"id": i, "model": m, "correct": int(rng.uniform() < 0.6), "f1": round(float(rng.uniform()), 3),
         "target": "a", "prediction": "a" if rng.uniform() < 0.5 else "b"} | changed
        for i in range(50) for m in ("base", "new")
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_metric_is_a_report_on_that_column(tmp_path: Path) -> None:
    """The figures are those of a report whose score is the metric."""
    path = written(tmp_path / "a.jsonl")
    made = report.build(records.read(path, score="correct"), metrics=["f1", "target==prediction"], margin=0.02)
    assert [metric.name for metric in made.metrics] == ["f1", "target==prediction"]
    for metric in made.metrics:
        alone = report.build(records.read(path, score=metric.name), margin=0.02)
        assert metric.models == {model.name: model.score for model in alone.models}
        assert metric.pairs == alone.pairs
    assert made.pairs == report.build(records.read(path, score="correct"), margin=0.02).pairs


def test_the_command_shows_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.jsonl")
    page = tmp_path / "a.html"
    arguments = ["report", str(path), "--score", "correct", "--metrics", "f1,target==prediction", "--html", str(page)]
    assert run(arguments) == 0
    out = capfd.readouterr().out
    assert out.index("Score of each model") < out.index("F1 of each model") < out.index("Target==prediction of each")
    assert "F1: difference from base, paired by id" in out
    assert "Further metrics" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("changed", "name", "message"),
    [({}, "f2", "a column 'f2'"), ({"f1": "high"}, "f1", "expected a number"), ({"f1": None}, "f1", "expected numbers in 'f1'")],
)  # fmt: skip
def test_a_metric_that_cannot_be_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], changed: dict[str, Any], name: str, message: str
) -> None:
    path = written(tmp_path / "a.jsonl", **changed)
    assert run(["report", str(path), "--score", "correct", "--metrics", name]) == 2
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback" not in said
