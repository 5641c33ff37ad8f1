"""Repeated answers in the report: pass@k, maj@k, and the parts of the standard error."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import records, report
from steelyard._exit import Exit
from steelyard.cli import run

LETTERS = "abc"


def answers(ids: int = 7, repeats: int = 6, seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(ids):
        share = rng.uniform()
        for epoch in range(repeats):
            answer = LETTERS[i % 3] if rng.uniform() < share else rng.choice([*LETTERS, ""])
            rows.append({"id": i, "epoch": epoch, "target": LETTERS[i % 3], "prediction": str(answer)})
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def of_ids(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [list(of) for _, of in itertools.groupby(rows, key=lambda row: row["id"])]


def passes(rows: list[dict[str, Any]], k: int) -> float:
    """The mean over ids of the share of all choices of k answers among which one is right."""
    shares = [
        np.mean([any(row["target"] == row["prediction"] for row in chosen) for chosen in itertools.combinations(of, k)])
        for of in of_ids(rows)
    ]
    return float(np.mean(shares))


def wins(chosen: tuple[dict[str, Any], ...]) -> float:
    """Whether the target has the most votes; a share of it where it ties. An empty answer is no vote."""
    votes = Counter(row["prediction"] for row in chosen if row["prediction"])
    best = [answer for answer, n in votes.items() if n == max(votes.values())]
    return 1 / len(best) if chosen[0]["target"] in best else 0.0


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_equals_the_mean_over_all_choices(tmp_path: Path, k: int) -> None:
    rows = answers()
    made = report.build(records.read(written(tmp_path / "a.jsonl", rows)), pass_at=[k])
    found = made.models[0].repeats
    assert found is not None
    assert (found.ids, found.fewest, found.most) == (7, 6, 6)
    assert float(found.pass_at[k]) == pytest.approx(passes(rows, k), rel=1e-12)
    majority = np.mean([np.mean([wins(one) for one in itertools.combinations(of, k)]) for of in of_ids(rows)])
    assert float(found.majority_at[k]) == pytest.approx(majority, rel=1e-9)
    assert found.pass_at[k].n == 7


def test_the_parts_of_the_error(tmp_path: Path) -> None:
    """By the formula, and the parts add up: V = items^2 + repeats^2."""
    rows = answers(ids=40, repeats=5)
    found = report.build(records.read(written(tmp_path / "a.jsonl", rows))).models[0].repeats
    assert found is not None
    assert not found.pass_at
    scores = np.array([[row["target"] == row["prediction"] for row in of] for of in of_ids(rows)], float)
    means = scores.mean(axis=1)
    assert found.standard_error == pytest.approx(means.std(ddof=1) / np.sqrt(40), rel=1e-12)
    within = (scores.var(axis=1, ddof=1) / 5).sum() / 40**2
    assert found.of_repeats == pytest.approx(np.sqrt(within), rel=1e-12)
    assert found.of_items == pytest.approx(np.sqrt(found.standard_error**2 - within), rel=1e-12)
    assert found.twice_repeats == pytest.approx(np.sqrt(found.standard_error**2 - within / 2), rel=1e-12)
    assert found.twice_items == pytest.approx(found.standard_error / np.sqrt(2), rel=1e-12)


def test_an_id_with_one_answer_has_the_usual_variance(tmp_path: Path) -> None:
    rows = [row for row in answers(ids=12, repeats=4) if row["id"] or row["epoch"] == 0]
    found = report.build(records.read(written(tmp_path / "a.jsonl", rows))).models[0].repeats
    assert found is not None
    assert (found.fewest, found.most) == (1, 4)
    scores = [np.array([row["target"] == row["prediction"] for row in of], float) for of in of_ids(rows)]
    spreads = [of.var(ddof=1) for of in scores[1:]]
    parts = [np.mean(spreads), *(spread / 4 for spread in spreads)]
    assert found.of_repeats == pytest.approx(np.sqrt(sum(parts)) / 12, rel=1e-12)


def test_more_repeats_remove_what_they_are_said_to(tmp_path: Path) -> None:
    """Of many sets of the same items: their scores scatter by ``of_repeats``."""
    rng = np.random.default_rng(5)
    share = rng.uniform(size=100)
    scores, parts = [], []
    for k in range(60):
        right = rng.uniform(size=(100, 4)) < share[:, None]
        rows = [{"id": i, "epoch": e, "correct": int(right[i, e])} for i in range(100) for e in range(4)]
        model = report.build(records.read(written(tmp_path / f"{k}.jsonl", rows))).models[0]
        assert model.repeats is not None
        assert model.repeats.of_repeats is not None
        scores.append(right.mean())
        parts.append(model.repeats.of_repeats)
    assert np.std(scores, ddof=1) == pytest.approx(np.mean(parts), rel=0.3)  # 60 sets: 9 % standard error


def test_without_answers_there_is_no_majority(tmp_path: Path) -> None:
    rows = [{"id": i, "epoch": e, "correct": int(e < i)} for i in range(4) for e in range(3)]
    made = report.build(records.read(written(tmp_path / "a.jsonl", rows)), pass_at=[2])
    found = made.models[0].repeats
    assert found is not None
    assert not found.majority_at
    assert float(found.pass_at[2]) == pytest.approx((2 / 3 + 2) / 4)
    assert "No maj@k of a: it needs the answers" in " ".join(str(made).split())


def test_graded_scores_have_no_pass_at_k(tmp_path: Path) -> None:
    rows = [{"id": i, "epoch": e, "score": 0.1 * e} for i in range(4) for e in range(3)]
    made = report.build(records.read(written(tmp_path / "a.jsonl", rows)), pass_at=[2])
    assert made.models[0].repeats is not None
    assert not made.models[0].repeats.pass_at
    assert "no pass@k of a: it needs scores of 0 or 1, and these are graded" in made.notes


def test_documents_are_the_clusters(tmp_path: Path) -> None:
    rows = [{**row, "cluster": row["id"] // 2} for row in answers(ids=12)]
    found = report.build(records.read(written(tmp_path / "a.jsonl", rows)), pass_at=[3]).models[0].repeats
    assert found is not None
    assert found.pass_at[3].n_clusters == 6


@pytest.mark.parametrize(
    ("k", "message"),
    [
        ("7", "--pass-at: expected at most as many as every id has answers; got 7, and the records of 'a' have 6"),
        ("0", "--pass-at: expected whole numbers from 1 on; got 0"),
        ("1,b", "--pass-at: expected whole numbers with commas between them"),
        ("", "--pass-at: expected whole numbers with commas between them"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str], k: str, message: str) -> None:
    path = written(tmp_path / "a.jsonl", answers())
    assert run(["report", str(path), "--pass-at", k]) == Exit.BAD_INPUT
    assert message in capfd.readouterr().err


def test_without_ids_it_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"correct": 1}, {"correct": 0}])
    with pytest.raises(ValueError, match="pass_at: expected records with ids"):
        report.build(records.read(path), pass_at=[1])
    for wrong in ([True], [1.5], "1"):
        with pytest.raises((TypeError, ValueError), match="pass_at: expected"):
            report.build(records.read(path), pass_at=wrong)  # type: ignore[arg-type]


def test_the_command_shows_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, page, data = written(tmp_path / "a.jsonl", answers()), tmp_path / "a.html", tmp_path / "a.json"
    assert run(["report", str(path), "--pass-at", "3,1", "--html", str(page), "--json", str(data)]) == 0
    out = capfd.readouterr().out
    assert out.index("pass@1") < out.index("pass@3") < out.index("maj@1") < out.index("std. error")
    assert "pass@3" in page.read_text()
    (model,) = json.loads(data.read_text())["models"]
    assert set(model["repeats"]["pass_at"]) == {"1", "3"}
