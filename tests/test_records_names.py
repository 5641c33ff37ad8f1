"""What runs are called: by the shortest part of their paths that tells them apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from steelyard import records
from steelyard.records.names import LONGEST_NAME

LONG = "meta-llama__Meta-Llama-3.1-405B-Instruct-FP8-"


def graded(path: Path, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": i, "correct": i % 2, **more} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("a.jsonl b.jsonl", "a b"),
        ("base/records.jsonl new/records.jsonl", "base new"),
        ("base/s2026/records.jsonl new/s2026/records.jsonl", "base new"),
        ("base/s1/r.jsonl base/s2/r.jsonl new/s1/r.jsonl new/s2/r.jsonl", "base/s1 base/s2 new/s1 new/s2"),
        ("base/x/s1.jsonl base/x/s2.jsonl new/x/s1.jsonl", "base/s1 base/s2 new/s1"),
        ("p/1/a/x.jsonl p/2/a/x.jsonl p/1/b/x.jsonl q/1/a/x.jsonl", "p/1/a p/1/b p/2/a q/1/a"),
        # dates
        ("2024-06-17_base.jsonl 2024-06-18_new.jsonl", "base new"),
        ("2024-06-17/base.jsonl 2024-06-18/base.jsonl", "2024-06-17 2024-06-18"),
        ("base/2024-06-17T12-20-26.826621.jsonl new/2024-06-18T12-20-26.826621.jsonl", "base new"),
        ("base_20240617_120000.jsonl new_20240618_120000.jsonl", "base new"),
        ("gpt-4o-2024-05-13.jsonl gpt-4o-2024-08-06.jsonl", "gpt-4o-2024-05-13 gpt-4o-2024-08-06"),
        ("a/2024-05-13/x.jsonl a/2024-08-06/x.jsonl b/2024-05-13/x.jsonl", "a/2024-05-13 a/2024-08-06 b/2024-05-13"),
        ("2025-05-12T20-28-13-04-00_popularity_a.jsonl 2025-05-12T21-00-00-04-00_safety_b.jsonl", "popularity_a safety_b"),
        ("gpt-4o-2024-05-13.jsonl", "gpt-4o-2024-05-13"),
        # endings
        ("a.csv a.jsonl", "a.csv a.jsonl"),
        ("v1.2.jsonl v1.3.jsonl", "v1.2 v1.3"),
        # long ones
        (f"{LONG}greedy-run.jsonl {LONG}sampled-run.jsonl", "greedy sampled"),
        (f"{LONG}greedy.jsonl {LONG}sampled.jsonl", "greedy sampled"),
        (f"{LONG}1.jsonl b.jsonl", "b meta-llama__Meta-L...05B-Instruct-FP8-1"),
        ("evaluation/of/a.jsonl evaluation/of/b.jsonl", "a b"),
    ],
)  # fmt: skip
def test_runs_are_named_by_the_shortest_part_that_tells_them_apart(tmp_path: Path, files: str, names: str) -> None:
    for file in files.split():
        path = tmp_path / file
        if path.suffix == ".csv":
            path.write_text("id,correct\n1,1\n")
        else:
            graded(path)
    runs = records.read(tmp_path)
    assert " ".join(runs.names) == names
    assert all(len(name) <= LONGEST_NAME for name in runs.names)
    assert any("names of runs are shortened" in note for note in runs.notes) == (LONG in files)
    assert records.read([tmp_path / file for file in sorted(files.split())]).names == runs.names


def test_a_model_that_the_records_name_is_the_runs_name(tmp_path: Path) -> None:
    graded(tmp_path / "2024-06-17" / "x.jsonl", model="base")
    graded(tmp_path / "2024-06-18" / "x.jsonl", model="new")
    graded(tmp_path / "2024-06-19" / "x.jsonl")
    assert records.read(tmp_path).names == ("base", "new", "2024-06-19")


def test_a_shortened_name_is_said(tmp_path: Path) -> None:
    runs = records.read([graded(tmp_path / f"{LONG}{one}.jsonl") for one in ("greedy", "sampled")])
    said = f"names of runs are shortened: 'greedy' for '{LONG}greedy', 'sampled' for '{LONG}sampled'"
    assert said in runs.notes


def test_one_file_by_two_paths_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graded(tmp_path / "a.jsonl")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"paths: expected each file once; got 'a.jsonl' twice"):
        records.read(["a.jsonl", "./a.jsonl"])
    assert records.read(".").names == ("a",)
