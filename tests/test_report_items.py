"""The items that flipped in a report, the file of ``--errors``, and how few items change a verdict."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import records, report
from steelyard.cli import run
from steelyard.report.fragility import Pair, fragility
from steelyard.report.results import Options

Rows = list[dict[str, Any]]


def rows_of(model: str, seed: int, n: int = 300) -> Rows:
    draw = random.Random(seed)
    return [
        {
            "id": f"q{i}", "model": model, "subject": f"s{i % 3}", "question": f"What is {i}?", "answer": f"{model} {i}",
            "correct": draw.random() < 0.6,
        }
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def of(*models: Rows) -> Path:
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(json.dumps(row) for rows in models for row in rows))
        return path

    return of


def test_items_are_the_records_that_differ(write: Callable[..., Path]) -> None:
    base, new = rows_of("base", 1), rows_of("new", 2)
    new[7]["answer"] = base[7]["answer"]
    made = report.build(records.read(write(base, new)), by=["subject"], show=["question", "answer"])
    (pair,) = made.pairs
    assert pair.items is not None
    rows = list(pair.items.rows())
    wanted = [(a, b) for a, b in zip(new, base, strict=True) if a["correct"] != b["correct"]]
    assert len(rows) == len(wanted) == pair.wins + pair.losses
    assert pair.items.losses == pair.losses
    lost = [row["id"] for row in rows[: pair.losses]]
    assert sorted(lost) == sorted(a["id"] for a, b in wanted if b["correct"])
    of = {a["id"]: (a, b) for a, b in wanted}
    for row in rows:
        a, b = of[row["id"]]
        assert (row["new"], row["baseline"]) == (a["correct"], b["correct"])
        assert row["difference"] == a["correct"] - b["correct"]
        assert row["groups"] == {"subject": a["subject"]}
        assert row["shown"] == {
            "question": a["question"], "answer (base)": b["answer"], "answer (new)": a["answer"],
        }  # fmt: skip
    data = made.to_dict()["pairs"][0]["items"]
    assert data == {"losses": pair.losses, "wins": pair.wins, "first": rows[:50]}


def test_errors_are_lines_of_json(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(rows_of("base", 1), rows_of("new", 2)), tmp_path / "errors.jsonl"
    asked = ["compare", str(path), "--baseline", "base", "--fail-on", "never", "--show", "question"]
    assert run([*asked, "--errors", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    made = report.build(records.read(path), baseline="base")
    assert len(lines) == made.pairs[0].wins + made.pairs[0].losses
    assert {(line["model"], line["against"]) for line in lines} == {("new", "base")}
    assert lines[0]["shown"]["question"] == f"What is {lines[0]['id'][1:]}?"
    capsys.readouterr()
    assert run([*asked, "--errors", "-"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines
    before = path.read_bytes()
    assert run([*asked, "--errors", str(path)]) == 2
    assert "--errors: expected a file of its own to write" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert run([*asked, "--errors", str(out), "--json", str(out)]) == 2
    assert "--errors: expected a place of its own; got that of --json" in capsys.readouterr().err
    assert run(["compare", str(path), "--baseline", "base", "--show", "questions"]) == 2
    assert "a column 'questions' for --show" in capsys.readouterr().err


def test_the_page_folds_the_first_items(write: Callable[..., Path]) -> None:
    pytest.importorskip("matplotlib")
    from steelyard.report.html import page

    base, new = rows_of("base", 1), rows_of("new", 2)
    base[0]["question"] = new[0]["question"] = "<script>" + "x" * 300
    base[0]["correct"], new[0]["correct"] = True, False
    made = report.build(records.read(write(base, new)), show=["question"])
    html = page(made)
    pair = made.pairs[0]
    assert f"new against base: {pair.losses} lost, {pair.wins} won: 50 rows</summary>" in html
    assert f"The first 50 of {pair.losses + pair.wins}; --errors FILE writes all of them." in " ".join(html.split())
    assert "&lt;script&gt;" + "x" * 32 + "…" in html
    assert "<script>" not in html
    assert f"{pair.losses} lost" not in made.to_markdown()


# -- fragility ------------------------------------------------------------------------------------------


def by_trying(new: Any, base: Any, clusters: Any, options: Options) -> tuple[int, str] | None:
    """The fragility by trying every number of losses and of wins, one after the other."""

    def verdict(scores: Any) -> Any:
        diff = sy.compare(
            scores, baseline=base, clusters=clusters, confidence_level=options.confidence_level,
            higher_is_better=options.higher_is_better,
        )  # fmt: skip
        return diff.verdict(options.margin)

    now, gain = verdict(new), (new - base) * (1 if options.higher_is_better else -1)
    found: list[tuple[int, int, str]] = []
    for side, sign in enumerate((-1, 1)):
        order = sorted((i for i in range(len(new)) if sign * gain[i] > 0), key=lambda i: (-abs(gain[i]), i))
        changed = new.copy()
        for k, i in enumerate(order, start=1):
            changed[i] = base[i]
            if (then := verdict(changed)) != now:
                found.append((k, side, then))
                break
    return None if not found else (min(found)[0], min(found)[2])


@pytest.mark.parametrize("kind", ["binary", "graded", "clustered", "binary in clusters"])
@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("margin", [0.0, 0.03])
def test_fragility_is_that_of_trying_every_number(kind: str, higher: bool, margin: float) -> None:
    rng = np.random.default_rng(len(kind) + 10 * higher)
    seen = set()
    for trial in range(20):
        n, shift = 120, rng.uniform(-0.25, 0.25)
        clusters = rng.integers(0, 25, n) if "cluster" in kind else None
        if "binary" in kind:
            base = (rng.random(n) < 0.6).astype(float)
            new = (rng.random(n) < np.clip(0.6 + shift, 0, 1)).astype(float)
        else:
            base = rng.random(n)
            new = base + shift / 2 + rng.standard_normal(n) * 0.3 + (rng.random(n) < 0.03) * -1.5
        options = Options(None, 0.95, margin, higher)
        pair = Pair(new, base, clusters, 0.95)
        found = fragility(pair, pair.compared(options), options)
        assert (None if found is None else (found.items, found.verdict)) == by_trying(new, base, clusters, options), (
            trial
        )
        seen.add(None if found is None else found.of)
    assert {"losses", "wins"} <= seen


def test_what_a_verdict_rests_on_is_said(write: Callable[..., Path]) -> None:
    base, new = rows_of("base", 1, 100), rows_of("new", 1, 100)
    for i, row in enumerate(new):
        row["correct"] = i >= 7
    for i, row in enumerate(base):
        row["correct"] = i != 8
    made = report.comparison(records.read(write(base, new)), baseline="base")
    (pair,) = made.pairs
    assert (pair.wins, pair.losses, pair.verdict) == (1, 7, "worse")
    assert pair.fragility is not None
    text = " ".join(str(made).split())
    k = pair.fragility.items
    some = f"{k} of its 7 losses {'was a tie' if k == 1 else 'were ties'}"
    assert f"new - base would be undecided if {some}." in text
    one = [{"id": i, "model": "base", "correct": i > 5} for i in range(20)]
    two = [{"id": i, "model": "new", "correct": i != 9} for i in range(20)]
    few = report.comparison(records.read(write(one, two)), baseline="base")
    assert "new - base would be better if its only loss was a tie." in " ".join(str(few).split())
    same = report.comparison(records.read(write(base, [row | {"model": "new"} for row in base])), baseline="base")
    assert same.pairs[0].fragility is None
    assert "new - base stays undecided however many of its losses" in " ".join(str(same).split())
