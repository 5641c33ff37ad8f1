"""What holds for any records: no order, split, name or format changes a figure, and every record is in one count."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard import records
from steelyard.errors import RecordError

from .test_records_answers import FORMATS, lines, write

Row = dict[str, Any]
ROLES = {"id": "id", "model": "model", "cluster": "none"}
PAIR = {"score": "target==prediction"}

texts = st.sampled_from(["a", "b", " a", "A", "1", "1.0", "true", "none", "x" * 250, "x" * 250 + " ", "07"])
blanks = st.sampled_from([None, ""])
alike = st.sampled_from(
    [("a", " a"), ("1", "true"), ("1.0", "1"), ("x" * 250 + " ", "x" * 250), ("A", "a"), ("07", "7")]
)
pairs = st.one_of(alike, st.tuples(st.one_of(texts, texts, texts, blanks), st.one_of(texts, texts, blanks)))


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Records of up to two models, graded in two ways, with gaps everywhere and ids that may repeat in epochs."""
    n = draw(st.integers(1, 14))
    rows = []
    for i in range(n):
        for model in draw(st.sampled_from([["m"], ["m", "k"]])):
            for epoch in range(draw(st.integers(1, 2))):
                target, prediction = draw(pairs)
                rows.append({
                    "id": draw(st.sampled_from([f"q{i}"] * 8 + [None, " "])),
                    "model": draw(st.sampled_from([model] * 8 + [None])),
                    "epoch": epoch,
                    "target": target,
                    "prediction": prediction,
                    "score": draw(st.sampled_from([0.0, 1.0, 0.5, 0.25, None])),
                    "confidence": draw(st.sampled_from([0.0, 0.5, 1.0, None])),
                })  # fmt: skip
    return rows


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def figures(paths: Sequence[Path], **options: Any) -> Any:
    """What is read, without the order of rows and models; the kind of a refusal."""
    try:
        runs = records.read(paths, **options)
    except RecordError as error:
        return str(error).partition(": expected ")[2].partition(";")[0]
    of_runs = {}
    for run in runs:
        count = run.no_answer, run.no_score, sorted(run.left_out.items()), sorted(run.merged.items())
        weights = np.ones(len(run)) if run.weights is None else run.weights
        confidence = np.full(len(run), -1.0) if run.confidence is None else np.nan_to_num(run.confidence, nan=-1.0)
        ids = [""] * len(run) if run.ids is None else run.ids.tolist()
        rows = sorted(zip(ids, run.score.tolist(), weights.tolist(), confidence.tolist(), strict=True))
        of_runs[run.name] = (count, rows)
    left_out: dict[str, int] = {}
    for counts in runs.left_out.values():
        for reason, count in counts.items():
            left_out[reason] = left_out.get(reason, 0) + count
    try:
        scores = runs.scores()
    except RecordError:
        matched: Any = None
    else:
        ids = [] if scores.ids is None else scores.ids.tolist()
        alone = len(scores) == 1 and scores.ids is None
        of_models = {name: sorted(values.tolist()) if alone else values.tolist() for name, values in scores.items()}
        matched = ids, of_models, scores.no_answer, scores.no_score, scores.unmatched, scores.merged
    return of_runs, left_out, sum(runs.read.values()), matched


options = st.sampled_from([{"score": "score"}, {"score": "score", "missing": "wrong"}, PAIR, PAIR | {"missing": 0.5}])


@given(rows=tables(), seed=st.integers(0, 2**32), how=options, repeats=st.sampled_from([None, "epochs"]))
@settings(deadline=None)
def test_order_and_files_do_not_matter(rows: list[Row], seed: int, how: dict[str, Any], repeats: str | None) -> None:
    rng = random.Random(seed)
    epoch = "epoch" if repeats is None else "none"
    how = ROLES | how | {"repeats": repeats, "epoch": epoch}
    mixed = rng.sample(rows, len(rows))
    cuts = sorted(rng.choices(range(len(rows) + 1), k=2))
    shares = [mixed[: cuts[0]], mixed[cuts[0] : cuts[1]], mixed[cuts[1] :]]
    with folder() as at:
        whole = figures([lines(at / "whole.jsonl", rows)], **how)
        assert figures([lines(at / "mixed.jsonl", mixed)], **how) == whole
        files = [lines(at / f"{i}.jsonl", share) for i, share in enumerate(shares) if share]
        assert figures(files, **how) == whole


@given(rows=tables(), how=options, seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_names_do_not_matter(rows: list[Row], how: dict[str, Any], seed: int) -> None:
    rng = random.Random(seed)
    new = dict(zip(rows[0], rng.sample(["id", "acc", "prob", "p q", "a.b", "x", "Y", "ü", "epoch"], 7), strict=True))
    ids = dict(zip([f"q{i}" for i in range(14)], sorted(rng.sample(range(100, 999), 14)), strict=True))
    renamed = [
        {new[key]: ids.get(value, value) if key == "id" else value for key, value in row.items()} for row in rows
    ]
    target, prediction = new["target"], new["prediction"]
    score = new["score"] if how["score"] == "score" else f"{target}=={prediction}"
    roles = {role: new[role] for role in ("id", "model", "epoch", "confidence")}
    with folder() as at:
        before = figures([lines(at / "a.jsonl", rows)], **ROLES | how | {"epoch": "epoch", "confidence": "confidence"})
        after = figures([lines(at / "b.jsonl", renamed)], **roles | how | {"score": score, "cluster": "none"})
    if isinstance(before, str) or isinstance(after, str):
        assert isinstance(before, str)
        assert isinstance(after, str)
        return
    assert after[1:3] == before[1:3]
    for name, (count, kept) in before[0].items():
        assert after[0][name][0] == count
        renamed_back = sorted((str(ids.get(one, one)), *others) for one, *others in kept)
        assert sorted(after[0][name][1]) == renamed_back


@given(rows=tables(), how=options)
@settings(deadline=None)
def test_formats_do_not_matter(rows: list[Row], how: dict[str, Any]) -> None:
    pytest.importorskip("pyarrow")
    with folder() as at:
        found = [figures([write(at / f"a.{kind}", rows)], **ROLES | how | {"epoch": "epoch"}) for kind in FORMATS]
    assert found[1] == found[0]
    assert found[2] == found[0]


@given(rows=tables(), how=options, kind=st.sampled_from(FORMATS), models=st.sampled_from([None, ["m"], ["k", "m"]]))
@settings(deadline=None)
def test_every_record_is_in_exactly_one_count(
    rows: list[Row], how: dict[str, Any], kind: str, models: list[str] | None
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    with folder() as at:
        path = write(at / f"a.{kind}", rows)
        try:
            runs = records.read(path, **ROLES | how | {"models": models, "epoch": "epoch"})
        except ValueError:  # epochs that repeat, no such model
            return
        left = runs.left_out.get(str(path), {})
        assert sum(map(len, runs)) + sum(left.values()) == len(rows) == runs.read[str(path)]
    for run in runs:
        own = [row for row in rows if row["model"] == run.name]
        assert len(run) + sum(run.left_out.values()) == len(own)
        assert run.no_answer + run.no_score <= len(run) + run.left_out.get("no score", 0)
        if "missing" in how and how["score"] == "score":
            assert "no score" not in run.left_out


@given(rows=tables())
@settings(deadline=None)
def test_a_score_is_what_the_definition_says(rows: list[Row]) -> None:
    """Against a few lines of the definition, row by row."""

    def says(value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        return {"1.0": "1", "true": "1"}.get(value.strip(), value.strip())

    expected: dict[str, list[float]] = {}
    silent: dict[str, int] = {}
    for row in rows:
        target, answer = says(row["target"]), says(row["prediction"])
        if target is None or row["model"] is None:
            continue
        expected.setdefault(row["model"], []).append(float(target == answer))
        silent[row["model"]] = silent.get(row["model"], 0) + (answer in (None, "none") and answer != target)
    with folder() as at:
        path = lines(at / "a.jsonl", rows)
        if not any(row["model"] for row in rows):
            return
        runs = records.read(path, model="model", id="none", epoch="none", **PAIR)
    assert {run.name: run.score.tolist() for run in runs if len(run)} == expected
    assert {run.name: run.no_answer for run in runs if len(run)} == silent


@given(
    ids=st.lists(st.sampled_from(["1", "1.0", " 1", "q", "q ", "2", "02"]), min_size=1, max_size=6, unique=True),
    others=st.lists(st.sampled_from(["1", "1.0", "\t1", "q", "q ", "2.0", "02"]), min_size=1, max_size=6, unique=True),
)
@settings(deadline=None)
def test_care_pairs_ids_one_to_one_and_the_same_both_ways(ids: list[str], others: list[str]) -> None:
    with folder() as at:
        a = lines(at / "a.jsonl", [{"id": one, "acc": i} for i, one in enumerate(ids)])
        b = lines(at / "b.jsonl", [{"id": one, "acc": i} for i, one in enumerate(others)])
        try:
            scores, back = records.read([a, b]).scores(), records.read([b, a]).scores()
        except RecordError:
            assert set(ids).isdisjoint(others)
            return
    pairs = list(zip(scores["a"].tolist(), scores["b"].tolist(), strict=True))
    assert len({x for x, _ in pairs}) == len({y for _, y in pairs}) == len(pairs)
    assert pairs == list(zip(back["a"].tolist(), back["b"].tolist(), strict=True))
    assert len(pairs) >= len(set(ids) & set(others))
    for x, y in pairs:
        first, second = ids[int(x)], others[int(y)]
        assert first == second or scores.notes
        assert first.strip().removesuffix(".0") == second.strip().removesuffix(".0")
