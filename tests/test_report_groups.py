"""Reports by group: each number against its own formula, and what is said of groups that are not complete."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from math import comb, sqrt
from pathlib import Path
from typing import Any

import pytest

from steelyard import records, report
from steelyard.cli import run
from steelyard.reference import intervals as reference

scipy_stats = pytest.importorskip("scipy.stats")

Rows = list[dict[str, Any]]


def rows_of(model: str, seed: int, n: int = 400, groups: int = 4) -> Rows:
    draw = random.Random(seed)
    return [
        {
            "id": f"q{i}", "model": model, "subject": f"s{i % groups}", "level": "hard" if i % 3 else "easy",
            "correct": draw.random() < (0.4 if model == "new" and i % groups == 1 else 0.7),
        }
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., records.Runs]:
    def of(*models: Rows, **options: Any) -> records.Runs:
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(json.dumps(row) for rows in models for row in rows))
        return records.read(path, **options)

    return of


def holm(p: list[float]) -> list[float]:
    """Holm's adjustment as its paper states it."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        out[i] = largest
    return out


def mid_p(wins: int, losses: int) -> float:
    """McNemar's mid-p by adding up the binomial probabilities."""
    n, k = wins + losses, min(wins, losses)
    tail = sum(comb(n, i) for i in range(k)) + comb(n, k) / 2
    return 1.0 if wins == losses else 2 * tail / 2**n


def test_scores_and_differences_of_each_group_are_those_of_its_formulas(read: Callable[..., records.Runs]) -> None:
    base, new = rows_of("base", 1), rows_of("new", 2)
    made = report.build(read(base, new), by=["subject"])
    (grouping,) = made.groups
    assert list(grouping.groups.items()) == [(f"s{k}", (f"s{k}",)) for k in range(4)]
    z = scipy_stats.norm.ppf(1 - 0.05 / 2 / 4)
    for found, rows in zip(grouping.scores, (base, new), strict=True):
        assert found.score is not None
        assert found.score.names == ("s0", "s1", "s2", "s3")
        for k in range(4):
            mine = [row["correct"] for row in rows if row["subject"] == f"s{k}"]
            n, p = len(mine), sum(mine) / len(mine)
            centre, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
            limits = [(centre + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
            assert found.score.value[k] == pytest.approx(p, abs=1e-15)
            assert found.score.detail["simultaneous_low"][k] == pytest.approx(limits[0], abs=1e-12)
            assert found.score.detail["simultaneous_high"][k] == pytest.approx(limits[1], abs=1e-12)
    (pair,) = grouping.pairs
    p_values, added = [], 0.0
    for k in range(4):
        mine = [(a["correct"], b["correct"]) for a, b in zip(new, base, strict=True) if a["subject"] == f"s{k}"]
        wins, losses, n = sum(a > b for a, b in mine), sum(a < b for a, b in mine), len(mine)
        assert (pair.wins[k], pair.losses[k], pair.ties[k]) == (wins, losses, n - wins - losses)
        low, high = reference.tango(wins, losses, n, z)
        assert pair.difference.value[k] == pytest.approx((wins - losses) / n, abs=1e-15)
        assert pair.difference.detail["simultaneous_low"][k] == pytest.approx(low, abs=1e-9)
        assert pair.difference.detail["simultaneous_high"][k] == pytest.approx(high, abs=1e-9)
        assert pair.verdicts[k] == (
            "better" if low > 0 else "not_worse" if low > 0.0 else "worse" if high < 0 else "undecided"
        )
        p_values.append(mid_p(wins, losses))
        added += pair.contributions[k]
    assert list(pair.p_value) == pytest.approx(p_values, rel=1e-9)
    assert list(pair.p_adjusted) == pytest.approx(holm(p_values), rel=1e-9)
    assert added == pytest.approx(float(made.pairs[0].difference), abs=1e-12)
    assert pair.verdicts[1] == "worse"


def test_limits_hold_for_all_pairs_together(read: Callable[..., records.Runs]) -> None:
    models = [rows_of(name, seed) for seed, name in enumerate(("base", "mid", "new"))]
    made = report.build(read(*models), by=["subject"])
    (grouping,) = made.groups
    assert grouping.differences == 12
    z = scipy_stats.norm.ppf(1 - 0.05 / 2 / 12)
    everything = [p for pair in grouping.pairs for p in pair.p_value]
    assert [p for pair in grouping.pairs for p in pair.p_adjusted] == pytest.approx(holm(everything))
    for pair in grouping.pairs:
        for k in range(4):
            low, _ = reference.tango(pair.wins[k], pair.losses[k], 100, z)
            assert pair.difference.detail["simultaneous_low"][k] == pytest.approx(low, abs=1e-9)
    assert "all 12 hold together at 95 %" in " ".join(str(made).split())


def test_columns_nest(read: Callable[..., records.Runs]) -> None:
    base, new = rows_of("base", 1), rows_of("new", 2)
    made = report.build(read(base, new), by=["subject", "level"])
    first, second = made.groups
    assert first.columns == ("subject",)
    assert second.columns == ("subject", "level")
    assert list(second.groups.items())[:3] == [
        ("s0 / easy", ("s0", "easy")), ("s0 / hard", ("s0", "hard")), ("s1 / easy", ("s1", "easy")),
    ]  # fmt: skip
    mine = [row["correct"] for row in base if row["subject"] == "s1" and row["level"] == "hard"]
    score = second.scores[0].score
    assert score is not None
    assert float(score["s1 / hard"]) == pytest.approx(sum(mine) / len(mine))


def test_numbers_are_ordered_as_numbers(read: Callable[..., records.Runs]) -> None:
    rows = [{"id": i, "subject": i % 12, "correct": i % 5 > 1} for i in range(240)]
    made = report.build(read(rows), by=["subject"])
    assert list(made.groups[0].groups) == [str(k) for k in range(12)]


def test_what_is_not_complete_is_said(read: Callable[..., records.Runs]) -> None:
    base, new = rows_of("base", 1), [row for row in rows_of("new", 2) if row["subject"] != "s3"]
    for row in (*base[:7], *new[:2]):
        row["subject"] = None
    base += [{"id": "x", "model": "base", "subject": "rare", "correct": True}]
    made = report.build(read(base, new), by=["subject"])
    (grouping,) = made.groups
    assert [one.no_group for one in grouping.scores] == [7, 2]
    assert grouping.pairs[0].no_group == 6  # q3 is s3, which new lacks
    text = " ".join(str(made).split())
    assert "new has no record in rare and s3." in text
    assert "Fewer than 10 records, which say little: rare." in text
    assert "No group: 7 records of base, not in this table." in text
    assert "No group: 6 ids of new - base, not in this table." in text
    data = made.to_dict()["groups"][0]
    assert data["pairs"][0]["verdicts"][1] == "worse"


def test_an_id_in_two_groups_is_refused(read: Callable[..., records.Runs]) -> None:
    base, new = rows_of("base", 1, 40), rows_of("new", 2, 40)
    new[3]["subject"] = "law"
    with pytest.raises(ValueError, match=r"by='subject', id 'q3': .* got 's3' in 'base' and 'law' in 'new'"):
        report.build(read(base, new), by=["subject"])


def test_a_column_that_is_not_there_is_named(read: Callable[..., records.Runs]) -> None:
    with pytest.raises(ValueError, match=r"a column 'subjects' for by=; got the columns 'subject'"):
        report.build(read(rows_of("base", 1, 40)), by=["subjects"])
    with pytest.raises(TypeError, match="by: expected a sequence of columns' names"):
        report.build(read(rows_of("base", 1, 40)), by="subject")


def test_graded_scores_and_clusters_have_groups(read: Callable[..., records.Runs]) -> None:
    draw = random.Random(3)
    rows = [
        {"id": i, "model": m, "subject": "ab"[i % 2], "doc": i % 20, "score": draw.random() * 10}
        for m in ("base", "new") for i in range(100)
    ]  # fmt: skip
    made = report.build(read(rows, cluster="doc"), by=["subject"], margin=1.5)
    (pair,) = made.groups[0].pairs
    values = {(row["id"], row["model"]): row["score"] for row in rows}
    d = [values[i, "new"] - values[i, "base"] for i in range(0, 100, 2)]
    sums = [sum(d[i] for i in range(50) if (2 * i) % 20 == g) for g in range(0, 20, 2)]
    mean = sum(d) / 50
    variance = sum((s - 5 * mean) ** 2 for s in sums) / (1 - 1 / 10) / 50**2
    t = scipy_stats.t.ppf(1 - 0.05 / 4, 9)
    assert pair.difference.detail["simultaneous_low"][0] == pytest.approx(mean - t * sqrt(variance), rel=1e-9)
    assert pair.difference.n_clusters == 10


def test_many_groups_fold_with_the_largest_loss_first(read: Callable[..., records.Runs]) -> None:
    base, new = rows_of("base", 1, 1200, 30), rows_of("new", 2, 1200, 30)
    made = report.build(read(base, new), by=["subject"])
    text = str(made)
    assert text.count("15 further rows: on the page and in JSON.") == 2
    (pair,) = made.groups[0].pairs
    lowest = min(range(30), key=lambda k: pair.difference.value[k])
    table = text[text.index("new - base by subject") :].splitlines()
    assert table[3].startswith(str((pair.difference.names or ())[lowest]) + " ")
    pytest.importorskip("matplotlib")
    from steelyard.report.html import page

    html = page(made)
    assert html.count("<details>") == 3  # and the items
    assert html.count("<summary>15 further rows</summary>") == 2
    assert html.count(">s29</th>") == 2


def test_the_exit_code_reads_the_verdict_on_all_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = rows_of("base", 1), rows_of("new", 2)
    for row in new:
        row["correct"] = row["correct"] if row["subject"] == "s1" else True
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in (*base, *new)))
    assert run(["compare", str(path), "--baseline", "base", "--by", "subject,level"]) == 0
    out = capsys.readouterr().out
    assert "new - base by subject, paired by id" in out
    assert "new - base by subject and level, paired by id" in out
    assert out.count(" worse\n") >= 1
    assert run(["compare", str(path), "--baseline", "base", "--by", "topic"]) == 2
    assert "a column 'topic' for --by" in capsys.readouterr().err


def macro_of(parts: list[list[float]]) -> tuple[float, float, float]:
    """The mean of the parts' means, its standard error, and Satterthwaite's degrees of freedom."""
    means, variances = [sum(x) / len(x) for x in parts], []
    for x, mean in zip(parts, means, strict=True):
        variances.append(sum((v - mean) ** 2 for v in x) / (len(x) - 1) / len(x) / len(parts) ** 2)
    df = sum(variances) ** 2 / sum(v * v / (len(x) - 1) for v, x in zip(variances, parts, strict=True))
    return sum(means) / len(parts), sqrt(sum(variances)), df


def test_the_mean_of_groups_has_its_own_interval(read: Callable[..., records.Runs]) -> None:
    draw = random.Random(5)
    sizes = {"a": 12, "b": 60, "c": 30}
    rows = [
        {"id": f"{g}{i}", "model": m, "subject": g, "score": draw.random() * (3 if g == "a" else 1)}
        for m in ("base", "new") for g, n in sizes.items() for i in range(n)
    ]  # fmt: skip
    made = report.build(read(rows), by=["subject"])
    of = {(row["id"], row["model"]): row["score"] for row in rows}
    scores = [[of[f"{g}{i}", "base"] for i in range(n)] for g, n in sizes.items()]
    differences = [[of[f"{g}{i}", "new"] - of[f"{g}{i}", "base"] for i in range(n)] for g, n in sizes.items()]
    (grouping,) = made.groups
    for found, parts in ((grouping.scores[0].macro, scores), (grouping.pairs[0].macro, differences)):
        value, error, df = macro_of(parts)
        t = scipy_stats.t.ppf(0.975, df)
        assert found is not None
        assert float(found) == pytest.approx(value, abs=1e-14)
        assert float(found.standard_error) == pytest.approx(error, rel=1e-10)
        assert [float(found.low), float(found.high)] == pytest.approx([value - t * error, value + t * error], rel=1e-9)
    text = " ".join(str(made).split())
    assert "all records (micro) 102" in text
    assert "mean of groups (macro) 102" in text
    assert "new - base, mean of groups (macro): " in text


def test_no_mean_of_groups_without_a_variance(read: Callable[..., records.Runs]) -> None:
    rows = rows_of("base", 1, 40)
    rows.append({"id": "x", "model": "base", "subject": "rare", "level": "hard", "correct": True})
    made = report.build(read(rows), by=["subject"])
    assert made.groups[0].scores[0].macro is None
    assert made.groups[0].scores[0].single == ("rare",)
    text = " ".join(str(made).split())
    assert "No mean of groups (macro) of base: the variance of one record or cluster is unknown (rare)." in text
    for row in rows:
        row["doc"] = row["id"][-1]
    made = report.build(read(rows[:-1], cluster="doc"), by=["subject"])
    assert made.groups[0].scores[0].macro is None
    assert "A cluster reaches over several groups: no mean of groups (macro)." in " ".join(str(made).split())


def test_of_many_models_each_group_has_its_lowest_and_highest(read: Callable[..., records.Runs]) -> None:
    models = [rows_of(f"m{k}", k, 80) for k in range(7)]
    made = report.build(read(*models), by=["subject"])
    scores = {m[0]["model"]: [row["correct"] for row in m if row["subject"] == "s2"] for m in models}
    shares = {name: sum(x) / len(x) for name, x in scores.items()}
    lines = [line.split() for line in str(made).splitlines()]
    (row,) = [line for line in lines if line[:2] == ["s2", "20"] and len(line) == 6]
    assert (float(row[2]), float(row[4])) == (min(shares.values()), max(shares.values()))
    assert shares[row[3]] == min(shares.values())
    assert shares[row[5]] == max(shares.values())


def test_a_column_without_values_is_said(read: Callable[..., records.Runs]) -> None:
    rows = [row | {"subject": None} for row in rows_of("base", 1, 40)]
    text = " ".join(str(report.build(read(rows), by=["subject"])).split())
    assert "Score by subject no record has a group" in text
    assert "No group: 40 records of base, not in this table." in text
