"""The leaderboard of a report on many models."""

from __future__ import annotations

import itertools
import json
import re
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


def section(page: str, title: str) -> str:
    """The HTML of one section of the page."""
    return page[page.index(f">{title}</h2>") :].split("</section>", maxsplit=1)[0]


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
    assert page.count("<details>") == page.count("</details>")
    assert "<details>" in section(page, "Comparisons")
    assert "<details>" in section(page, "Scores")
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
    shown = section((tmp_path / "page.html").read_text(), "Comparisons")
    assert "Difference from m3" in shown
    assert "<details>" not in shown


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


def page_of(made: report.Report, path: Path) -> str:
    made.to_html(path / "page.html")
    return (path / "page.html").read_text()


def test_what_was_asked_stands_at_the_top(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = page_of(report.build(answers(tmp_path, 2), baseline="m1", margin=0.02, confidence_level=0.9), tmp_path)
    top = page[page.index("What was asked") : page.index("In short")]
    for text in ("answers.jsonl", "id: id; score: correct; model: model", "m1", "90 % intervals, margin 0.02"):
        assert text in top
    assert f"steelyard {sy.__version__}" in top
    assert "<dt>date</dt>" not in top
    dated = page_of(report.build(answers(tmp_path, 2), date="2026-11-28"), tmp_path)
    assert "<dt>date</dt><dd>2026-11-28</dd>" in dated
    with pytest.raises(TypeError, match="date: expected a string; got int 3"):
        report.build(answers(tmp_path, 2), date=3)  # type: ignore[arg-type]


def test_headings_are_in_order_and_every_cell_has_its_own(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = page_of(report.build(answers(tmp_path, 40)), tmp_path)
    levels = [int(level) for level in re.findall(r"<h(\d)[ >]", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert re.findall(r"<th(?! scope=)[ >]", page) == []
    assert page.count("<caption><h3>") == 3
    cells = re.findall(r"<td[^>]*>[^<]", page)
    assert cells
    assert all("data-label=" in cell for cell in cells)  # what a narrow screen shows beside the cell


def test_long_tables_beside_the_leaderboard_are_folded(tmp_path: Path) -> None:
    made = report.build(answers(tmp_path, 40))
    assert "30 further rows: on the page and in JSON." in str(made)
    assert all(f"\nm{k} " in str(made) for k in range(40))
    assert page_of(made, tmp_path).count("30 further rows") == 1


def test_a_picture_of_many_rows_has_its_axis_at_both_ends(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    def ticks(models: int) -> int:
        page = page_of(report.build(answers(tmp_path, models)), tmp_path)
        drawn = page[page.index('id="board-figure_1"') : page.index('id="board-narrow-figure_1"')]
        return len(re.findall(r">0\.\d+</text>", drawn))

    assert ticks(25) % 2 == 0
    assert ticks(25) > ticks(19)


def test_the_largest_error_stands_beside_the_rows_of_its_bin(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 3 > 0, "confidence": 0.05 if i < 7 else 0.65} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = report.build(records.read(tmp_path / "rows.jsonl"))
    assert "(7) |" in next(line for line in made.to_markdown().splitlines() if "0.6" in line and "(7)" in line)
