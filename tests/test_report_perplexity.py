"""Perplexities of two models compared in the report, from the log-likelihoods of the same records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import records, report
from steelyard.cli import run

RNG = np.random.default_rng(7)
N = 60
TOKENS = RNG.integers(5, 40, N)
BASE = TOKENS * RNG.gamma(4.0, 0.5, N)
NEW = BASE * 0.95 + TOKENS * RNG.normal(0, 0.02, N)
DOCUMENTS = np.array([f"doc{i // 5}" for i in range(N)])


def write(folder: Path, name: str, nll: Any, tokens: Any = TOKENS, *, backwards: bool = False, **columns: Any) -> str:
    path = folder / f"{name}.jsonl"
    rows = [
        {"id": f"q{i}", "loglikelihood": -float(x), "n_tokens": int(tokens[i])}
        | {key: str(values[i]) for key, values in columns.items()}
        for i, x in enumerate(nll)
    ]
    path.write_text("\n".join(map(json.dumps, rows[::-1] if backwards else rows)), encoding="utf-8")
    return str(path)


def test_the_ratio_is_that_of_compare(tmp_path: Path) -> None:
    made = report.build(records.read([write(tmp_path, "base", BASE), write(tmp_path, "new", NEW, backwards=True)]))
    (pair,) = made.perplexities
    want = sy.compare(NEW, baseline=BASE, statistic="perplexity", per=TOKENS, clusters=np.arange(N))
    assert want.ratio is not None
    assert (pair.model, pair.baseline, pair.verdict) == ("new", "base", "better")
    assert (pair.ratio.value, pair.ratio.low) == pytest.approx((want.ratio.value, want.ratio.low), rel=1e-12)
    assert pair.p_value == pytest.approx(want.p_value)
    assert pair.documents is None
    base, new = (float(m.perplexity) for m in made.models)  # type: ignore[arg-type]
    assert pair.ratio.value == pytest.approx(new / base)


def test_it_is_shown_with_its_documents(tmp_path: Path, capsys: Any) -> None:
    files = [write(tmp_path, name, x, document=DOCUMENTS) for name, x in (("base", BASE), ("new", NEW))]
    page = tmp_path / "page.html"
    assert run(["report", *files, "--cluster", "document", "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert "Ratio of perplexities, paired by id" in text
    assert "new / base" in text
    assert "nats per token" not in text
    html = page.read_text(encoding="utf-8")
    assert "The perplexity of new is" in html
    assert "new - base: 12 rows" in html
    made = report.build(records.read(files, cluster="document"))
    found = made.perplexities[0].documents
    assert found is not None
    of = {name: name == DOCUMENTS for name in DOCUMENTS}
    change = {name: (NEW - BASE)[rows].sum() / TOKENS[rows].sum() for name, rows in of.items()}
    assert dict(zip(found.names.tolist(), found.difference.tolist(), strict=True)) == pytest.approx(change)
    assert (np.diff(np.abs(found.difference)) <= 0).all()
    assert json.loads(json.dumps(made.to_dict()))["perplexities"][0]["documents"]["names"][0] == found.names[0]


def test_several_models_hold_together(tmp_path: Path) -> None:
    same = BASE + 0.01 * RNG.random(N)
    files = [write(tmp_path, name, x) for name, x in (("base", BASE), ("new", NEW), ("same", same))]
    made = report.build(records.read(files))
    assert len(made.perplexities) == 3
    p = min(pair.p_value for pair in made.perplexities)
    assert min(pair.p_adjusted for pair in made.perplexities) == pytest.approx(3 * p)
    assert made.perplexities[0].simultaneous.confidence_level == pytest.approx(1 - 0.05 / 3)
    assert "p (Holm)" in str(made)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    other = [write(tmp_path, "base", BASE), write(tmp_path, "new", NEW, TOKENS + 1)]
    made = report.build(records.read(other))
    assert made.perplexities == ()
    assert "the perplexities of new and base are not compared: they count other tokens" in made.notes
    assert report.build(records.read(other), paired=False).perplexities == ()
    assert report.build(records.read(write(tmp_path, "only", BASE))).perplexities == ()
