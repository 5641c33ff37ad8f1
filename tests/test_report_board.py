"""The leaderboard of a report on many models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import records, report


def answers(path: Path, models: int, n: int = 200, **special: Any) -> records.Runs:
    """Records of models that get better; ``special`` names a model and how many of the ids it has."""
    rng = np.random.default_rng(0)
    hard, rows = rng.normal(size=n), []
    for k in range(models):
        right = hard + rng.normal(size=n) < 0.3 * k
        of_model = special.get(f"m{k}", n)
        rows += [{"id": i, "model": f"m{k}", "correct": bool(right[i])} for i in range(of_model)]
    file = path / "answers.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return records.read(file)


def test_more_than_four_models_are_ranked_as_compare_does(tmp_path: Path) -> None:
    runs = answers(tmp_path, 6)
    made = report.build(runs)
    assert made.leaderboard is not None
    assert made.leaderboard.ranking == sy.compare(dict(runs.scores()))
    assert made.leaderboard.ranking.names[0] == "m5"
    text = str(made)
    assert "6 models by score" in text
    assert "Every model is scored on the same 200 ids." in text
    assert made.to_dict()["leaderboard"]["ranking"]["rank"] == [1, 2, 3, 4, 5, 6]
    assert report.build(answers(tmp_path, 4)).leaderboard is None


def test_the_best_is_said_and_pairs_are_folded(tmp_path: Path) -> None:
    runs = answers(tmp_path, 12)
    made = report.build(runs)
    said = made.to_markdown()
    assert "- m11 scores best of 12 models on 200 shared ids" in said or "- m11 is the best of 12 models" in said
    assert "against m0" not in said.split("###")[0]
    made.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index("Leaderboard") < page.index("<details>") < page.index("Score of each model")
    assert page.count("<details>") == page.count("</details>") == 2
    made.to_html(tmp_path / "again.html")
    assert page == (tmp_path / "again.html").read_text()


def test_a_baseline_is_named_and_its_pairs_are_shown(tmp_path: Path) -> None:
    made = report.build(answers(tmp_path, 30), baseline="m3")
    said = made.to_markdown().split("###")[0]
    assert "m3, the baseline, has rank" in said
    lines = [line for line in said.splitlines() if line.startswith("- ")]
    assert len(lines) == 10
    assert "- Comparisons: " in lines[-1]
    more = [int(word) for word in lines[-1].replace("(", "").split() if word.isdigit()]
    assert more[0] == sum(more[1:]) == 29 - 7
    assert "m3 (baseline)" in str(made)
    made.to_html(tmp_path / "page.html")
    assert "Difference from m3" in (tmp_path / "page.html").read_text().split("<details>")[-1].split("</details>")[1]


def test_a_model_without_the_ids_of_the_others_is_set_apart(tmp_path: Path) -> None:
    made = report.build(answers(tmp_path, 8, m2=150, m5=190))
    board = made.leaderboard
    assert board is not None
    assert (dict(board.apart), board.ranking.n, board.unmatched) == ({"m2": 150}, 190, 10)
    assert "Not ranked, since they share too few ids with the others (150): m2." in " ".join(str(made).split())


def test_models_without_common_ids_are_not_ranked(tmp_path: Path) -> None:
    file = tmp_path / "apart.jsonl"
    rows = [{"id": f"{m}-{i}", "model": f"m{m}", "correct": i > m} for m in range(6) for i in range(9)]
    file.write_text("\n".join(map(json.dumps, rows)))
    made = report.build(records.read(file))
    assert made.leaderboard is None
    assert any("not ranked" in note for note in made.notes)


def test_many_reliability_diagrams_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        {"id": i, "model": f"m{m}", "correct": (i * 7 + m) % 10 < 6, "confidence": (i % 10) / 10 + 0.05}
        for m in range(9)
        for i in range(100)
    ]
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    made = report.build(records.read(file))
    made.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("Reliability diagram of") == 6
    assert "Diagrams of the first 6 models; 3 more models in the table." in page
    assert len(made.to_markdown().split("###")[0].strip().splitlines()) <= 2 + 10
