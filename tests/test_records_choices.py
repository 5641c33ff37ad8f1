"""Confidences from lists with one number per choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from steelyard import errors, records

ROWS = [[0.5, -1.0, 2.0], [-700.0, -701.0], [3.0], [float("-inf"), -2.0, -2.0]]


def written(path: Path, lists: list[Any]) -> Path:
    rows = [{"id": i, "correct": i % 2, "choices": of} for i, of in enumerate(lists)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> tuple[Any, tuple[str, ...]]:
    runs = records.read(path, confidence="choices")
    return runs.runs[0].confidence, runs.notes


@pytest.mark.parametrize(
    "form", [lambda of: of, lambda of: [[str(x), "False"] for x in of], lambda of: [str(x) for x in of]]
)
def test_the_largest_softmax(tmp_path: Path, form: Any) -> None:
    found, notes = read(written(tmp_path / "a.jsonl", [form(of) for of in ROWS]))
    np.testing.assert_allclose(found, [softmax(of).max() for of in ROWS], rtol=1e-14)
    assert notes == (f"{tmp_path / 'a.jsonl'}: confidence: the largest softmax of the log-likelihoods or logits in each list of 'choices'",)  # fmt: skip


def test_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    found, notes = read(written(tmp_path / "a.jsonl", [[0.2, 0.8], [0.333, 0.333, 0.333], [1.0]]))
    assert found.tolist() == [0.8, 0.333, 1.0]
    assert "the largest probability in each list" in notes[0]


def test_one_list_that_is_no_distribution_makes_all_of_them_logits(tmp_path: Path) -> None:
    found, _ = read(written(tmp_path / "a.jsonl", [[0.2, 0.8], [0.5, 0.6]]))
    np.testing.assert_allclose(found, [softmax(of).max() for of in ([0.2, 0.8], [0.5, 0.6])], rtol=1e-14)


def test_a_record_without_a_list_has_no_confidence(tmp_path: Path) -> None:
    found, _ = read(written(tmp_path / "a.jsonl", [[0.2, 0.8], None, [0.9, 0.1]]))
    assert found[[0, 2]].tolist() == [0.8, 0.9]
    assert np.isnan(found[1])


def test_parquet_and_json_arrays_have_the_same(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [{"id": i, "correct": i % 2, "choices": of} for i, of in enumerate(ROWS)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    expected, _ = read(written(tmp_path / "a.jsonl", ROWS))
    for name in ("a.json", "a.parquet"):
        assert read(tmp_path / name)[0].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        ([], "[]"),
        (["x", 1.0], "['x', 1.0]"),
        ([float("nan"), 1.0], "[nan, 1.0]"),
        ([float("inf"), 1.0], "[inf, 1.0]"),
        ([float("-inf")] * 2, "[-inf, -inf]"),
        ([None, 1, 2, 3], "[None, 1, 2, ...]"),
    ],
)
def test_what_is_no_list_of_numbers_is_refused(tmp_path: Path, bad: list[Any], shown: str) -> None:
    path = written(tmp_path / "a.jsonl", [[0.5, 1.5], bad])
    with pytest.raises(errors.RecordError) as refused:
        read(path)
    expected = "a list of numbers, one per choice (log-likelihoods, logits or probabilities)"
    assert str(refused.value) == f"{path}, line 2: choices: expected {expected}; got {shown}; choose another column"


def test_a_list_that_nobody_asked_for_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": i, "correct": 1, "confidence": [0.5, 0.5]}) + "\n" for i in range(3)))
    assert records.read(path).runs[0].confidence is None
    assert records.read(path, confidence="confidence").runs[0].confidence.tolist() == [0.5] * 3
