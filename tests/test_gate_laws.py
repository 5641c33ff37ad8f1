"""Laws for any records: figures do not depend on how records are written; a wrong answer never improves a verdict."""

from __future__ import annotations

import csv
import json
import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import steelyard as sy
from steelyard import records, report

from .answers import compared

Row = dict[str, Any]
NOT_FIGURES = frozenset({"sources", "read", "guesses", "left_out", "notes", "steelyard", "options", "columns", "first"})
RANK = {"worse": 0, "undecided": 1, "not_worse": 2, "better": 3}

grades = st.sampled_from([0, 1])


@st.composite
def two_models(draw: st.DrawFn, graded: bool = False) -> list[Row]:
    """Rows of models a and b on mostly the same ids; some without a score, some ids of one model alone."""
    n = draw(st.integers(2, 25))
    score = st.one_of(grades, st.sampled_from([0.25, 0.5, 0.1])) if graded else grades
    rows = []
    for model in "ab":
        for i in range(n):
            if draw(st.integers(0, 11)):
                blank = draw(st.integers(0, 14)) == 0
                value = None if blank else draw(score)
                rows.append({"id": f"q{i}", "model": model, "correct": value, "topic": i % 4})
    return rows


def jsonl(folder: Path, rows: list[Row], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def figures(paths: list[Path], **options: Any) -> Any:
    """All that a report says of the data, without how the files were written; a refusal by its kind."""
    clusters = options.pop("clusters", None)
    try:
        made = report.build(records.read(paths, **options), clusters=clusters).to_dict()
    except ValueError as error:
        return type(error).__name__
    made["models"].sort(key=lambda model: str(model["name"]))
    return {key: value for key, value in made.items() if key not in NOT_FIGURES}


def alike(first: Any, second: Any, path: str = "") -> None:
    """Equal but for the last bits of what was added in another order."""
    if isinstance(first, float) and isinstance(second, float):
        assert first == pytest.approx(second, rel=1e-9, abs=1e-12), path
    elif isinstance(first, dict) and isinstance(second, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            if key not in NOT_FIGURES:
                alike(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list) and isinstance(second, list):
        assert len(first) == len(second), path
        for k, (one, other) in enumerate(zip(first, second, strict=True)):
            alike(one, other, f"{path}[{k}]")
    else:
        assert first == second, path


def in_folder(check: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as name:
        check(Path(name))


CALLER = {"id": "id", "model": "model", "score": "correct"}


@given(rows=two_models(graded=True), seed=st.integers(0, 2**32), clustered=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_and_their_files_do_not_matter(rows: list[Row], seed: int, clustered: bool) -> None:
    rng = random.Random(seed)
    mixed = rng.sample(rows, len(rows))
    model_order = list(dict.fromkeys(row["model"] for row in rows))
    mixed.sort(key=lambda row: model_order.index(row["model"]))  # the first model is what others are compared with
    cut = rng.randrange(len(rows) + 1)
    more = {"clusters": "topic"} if clustered else {}

    def check(folder: Path) -> None:
        whole = figures([jsonl(folder, rows)], **CALLER, **more)
        alike(whole, figures([jsonl(folder, mixed)], **CALLER, **more))
        if 0 < cut < len(rows):
            files = [jsonl(folder, rows[:cut], "one.jsonl"), jsonl(folder, rows[cut:], "two.jsonl")]
            alike(whole, figures(files, **CALLER, **more))

    if rows:
        in_folder(check)


@given(rows=two_models(), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_names_of_ids_and_columns_and_formats_do_not_matter(rows: list[Row], seed: int) -> None:
    rng = random.Random(seed)
    ids = sorted({row["id"] for row in rows})
    new = dict(zip(ids, rng.sample(range(1000, 9999), len(ids)), strict=True))
    renamed = [
        {"was it right": row["correct"], "item": new[row["id"]], "x": "y", "who.it": row["model"]} for row in rows
    ]

    def check(folder: Path) -> None:
        whole = figures([jsonl(folder, rows)], **CALLER)
        alike(whole, figures([jsonl(folder, renamed)], id="item", model="who.it", score="was it right"))
        table = folder / "rows.csv"
        with table.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        alike(whole, figures([table], **CALLER))

    if rows:
        in_folder(check)


@given(rows=two_models(graded=True))
@settings(max_examples=60, deadline=None)
def test_every_record_that_was_read_is_in_a_count(rows: list[Row]) -> None:
    def check(folder: Path) -> None:
        runs = records.read(jsonl(folder, rows), **CALLER)
        lost = sum(sum(counts.values()) for counts in runs.left_out.values())
        assert sum(map(len, runs)) + lost == len(rows)
        for run in runs:
            own = [row for row in rows if row["model"] == run.name]
            assert len(run) + sum(run.left_out.values()) == len(own)
        made = report.build(runs)
        printed = " ".join(str(made).split())
        (read,) = map(int, re.findall(r"Read (\d+) records? of", printed))
        gone = [int(n) for n in re.findall(r"Left out of \S+: (\d+) ", printed)]
        assert sum(model.n for model in made.models) + sum(gone) == read == len(rows)
        for model in made.models:
            assert model.score is None or f"{model.name} {model.n} " in printed

    if any(row["correct"] is not None for row in rows):
        in_folder(check)


@given(rows=two_models(graded=True))
@settings(max_examples=40, deadline=None)
def test_a_model_compared_with_itself_is_never_worse(rows: list[Row]) -> None:
    def check(folder: Path) -> None:
        path = jsonl(folder, [row for row in rows if row["model"] == "a"])
        runs = records.read([path, path], id="id", score="correct", names=["a", "twin"])
        (pair,) = report.comparison(runs, baseline="a").pairs
        assert pair.verdict == "undecided"
        assert pair.difference.value == 0.0
        assert pair.p_value == 1.0

    if any(row["model"] == "a" and row["correct"] is not None for row in rows):
        in_folder(check)


@given(rows=two_models(), data=st.data(), margin=st.sampled_from([0.0, 0.02, 0.3]))
@settings(max_examples=60, deadline=None)
def test_a_right_answer_turned_wrong_never_helps(rows: list[Row], data: st.DataObject, margin: float) -> None:
    base = {row["id"] for row in rows if row["model"] == "a" and row["correct"] is not None}
    right = [k for k, row in enumerate(rows) if row["model"] == "b" and row["correct"] == 1]
    known = {row["id"] for row in rows if row["model"] == "b" and row["correct"] is not None}
    if not right or not base & known:
        return
    turned = data.draw(st.sampled_from(right))
    after = [row | {"correct": 0} if k == turned else row for k, row in enumerate(rows)]

    def check(folder: Path) -> None:
        found = []
        for version in (rows, after):
            runs = records.read(jsonl(folder, version), **CALLER)
            made = report.comparison(runs, baseline="a", margin=margin, min_matched=0.0)
            (score,) = (model.score for model in made.models if model.name == "b")
            found.append((float(score), RANK[made.pairs[0].verdict]))
        assert found[1][0] < found[0][0]
        assert found[1][1] <= found[0][1]

    in_folder(check)


@given(
    base=st.lists(st.booleans(), min_size=2, max_size=40), flips=st.integers(0, 2**40 - 1), data=st.data(),
    margin=st.sampled_from([0.0, 0.02, 0.3]), how=st.sampled_from(["null", "empty", "no key", "null score"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_right_answer_withheld_never_helps(
    base: list[bool], flips: int, data: st.DataObject, margin: float, how: str
) -> None:
    new = [right ^ bool(flips >> i & 1 and i % 3 == 0) for i, right in enumerate(base)]
    right = [i for i, one in enumerate(new) if one]
    if not right:
        return
    withheld = data.draw(st.sampled_from(right))

    def answer(i: int, model: str, is_right: bool, gone: bool) -> Row:
        row: Row = {"id": i, "model": model}
        if how == "null score":
            return row | {"correct": None if gone else int(is_right)}
        row |= {"target": "yes", "prediction": "yes" if is_right else "no"}
        if gone and how == "no key":
            del row["prediction"]
        return row | {"prediction": None if how == "null" else ""} if gone and how != "no key" else row

    def check(folder: Path) -> None:
        found = []
        for gone in (None, withheld):
            rows = [answer(i, "a", one, False) for i, one in enumerate(base)]
            rows += [answer(i, "b", one, i == gone) for i, one in enumerate(new)]
            path = jsonl(folder, rows)
            runs = records.read(path, missing="wrong")
            assert runs["b"].no_answer + runs["b"].no_score == (gone is not None)
            made = report.comparison(runs, baseline="a", margin=margin)
            assert made.pairs[0].matched == len(base)
            found.append((float(made.models[1].score), RANK[made.pairs[0].verdict]))
        assert found[1][0] < found[0][0]
        assert found[1][1] <= found[0][1]

    in_folder(check)


@pytest.mark.parametrize("n", [1, 2, 5, 12, 40])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_tangos_limits_fall_with_each_lost_answer(n: int, level: float) -> None:
    """Every table of n pairs: a win turned into a tie, or a tie into a loss, lowers neither limit's rank."""

    def limits_of(b: int, c: int) -> np.ndarray:
        found = compared(b, c, n, level)
        return np.array([found["low"], found["high"]])

    limits = {(b, c): limits_of(b, c) for b in range(n + 1) for c in range(n + 1 - b)}
    for (b, c), found in limits.items():
        for fewer in ((b - 1, c), (b, c + 1)):
            if fewer in limits:
                assert (limits[fewer] <= found + 1e-12).all(), ((b, c), fewer)


def test_a_record_per_cause_is_counted_once_in_a_report(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 2} for i in range(8)] + [{"id": 9, "correct": None}, {"id": None, "correct": 1}]
    runs = records.read(jsonl(tmp_path, rows))
    assert sum(map(len, runs)) + sum(sum(counts.values()) for counts in runs.left_out.values()) == len(rows)
    assert sy.estimate(runs["rows"].score).n == 8
