"""Reports on models that answered different questions: ``--unpaired`` of both commands, and what stands for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import records, report
from steelyard.cli import run


def write(folder: Path, name: str, right: Any, **columns: Any) -> str:
    rows = [{key: values[i] for key, values in columns.items()} | {"correct": bool(one)} for i, one in enumerate(right)]
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [write(tmp_path, "base", np.arange(80) < 48), write(tmp_path, "new", np.arange(70) < 56)]


def test_the_command_compares_two_samples_without_ids(files: list[str], capsys: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run(["compare", *files, "--unpaired", "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert "Difference from base, unpaired" in text
    assert "[0.0524, 0.3339]" in text
    assert "70 against 80" in text
    assert "Newcombe interval" in text
    assert "p: Fisher mid-p." in text
    assert not any(word in text for word in ("matched", "paired by id", "Won/lost", "shared id", "Caution"))
    assert "unpaired, 70 against 80 answers" in page.read_text(encoding="utf-8")
    assert run(["compare", *reversed(files), "--unpaired"]) == 1  # worse


def test_the_numbers_are_those_of_compare(files: list[str]) -> None:
    made = report.comparison(records.read(files), baseline="base", paired=False)
    (pair,) = made.pairs
    want = sy.compare(np.arange(70) < 56, baseline=np.arange(80) < 48, paired=False)
    assert (pair.difference.low, pair.p_value, pair.test) == (want.difference.low, want.p_value, want.test)
    assert (pair.wins, pair.losses, pair.ties, pair.paired, pair.if_paired) == (None, None, None, False, None)
    data = json.loads(json.dumps(made.to_dict()))
    assert data["options"]["paired"] is False
    assert data["pairs"][0]["wins"] is None


def test_several_models_hold_together(tmp_path: Path, files: list[str], capsys: Any) -> None:
    files.append(write(tmp_path, "third", np.arange(30) < 29))
    made = report.build(records.read(files), paired=False)
    assert [(pair.model, pair.baseline) for pair in made.pairs] == [
        ("new", "base"), ("third", "base"), ("third", "new")
    ]  # fmt: skip
    p = [pair.p_value for pair in made.pairs]
    assert min(pair.p_adjusted for pair in made.pairs) == 3 * min(p)
    assert made.pairs[0].simultaneous.confidence_level == pytest.approx(1 - 0.05 / 3)
    assert run(["report", *files, "--unpaired"]) == 0
    assert "Difference from new, unpaired" in capsys.readouterr().out


def test_shared_ids_are_said_to_be_sharper(tmp_path: Path, capsys: Any) -> None:
    hard = np.random.default_rng(3).random(200)
    ids = [f"q{i}" for i in range(200)]
    files = [write(tmp_path, name, hard < share, id=ids) for name, share in (("base", 0.4), ("new", 0.5))]
    made = report.comparison(records.read(files), baseline="base", paired=False)
    paired = report.comparison(records.read(files), baseline="base").pairs[0].difference
    assert made.pairs[0].if_paired == paired
    assert run(["compare", *files, "--unpaired"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Caution: new and base share 200 ids: paired by them" in text
    assert "leave out --unpaired if they answered the same questions" in text


def test_each_side_has_its_clusters_and_repeats_count_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    right, docs = rng.random(60) < 0.6, [f"d{i // 5}" for i in range(60)]
    base = write(tmp_path, "base", right, id=[f"b{i}" for i in range(60)], document=docs)
    new = write(
        tmp_path, "new", right[:40], id=[f"n{i // 2}" for i in range(40)], document=docs[:40], epoch=[0, 1] * 20
    )
    made = report.comparison(records.read([base, new], repeats="epochs"), baseline="base", paired=False)
    e = made.pairs[0].difference
    assert (e.detail["n_new"], e.detail["n_baseline"]) == (20, 60)
    own = records.read([base, write(tmp_path, "other", right[:40], document=docs[:40])], cluster="document", id="none")
    e = report.comparison(own, baseline="base", paired=False).pairs[0].difference
    assert (e.detail["clusters_new"], e.detail["clusters_baseline"]) == (8, 12)
    assert e.method == "clustered Newcombe"


def test_groups_show_their_scores_alone(tmp_path: Path) -> None:
    files = [
        write(tmp_path, name, np.arange(n) % 3 > 0, subject=[f"s{i % 2}" for i in range(n)])
        for name, n in (("base", 30), ("new", 40))
    ]
    made = report.build(records.read(files), by=["subject"], paired=False)
    assert any("differences by group need pairs" in note for note in made.notes)
    assert made.groups
    assert not made.groups[0].pairs
    assert "subject" in str(made)


def test_what_lacks_ids_names_the_option(files: list[str], capsys: Any) -> None:
    assert run(["compare", *files]) == 2
    assert "or pass --unpaired where the models answered different questions" in capsys.readouterr().err
    assert run(["report", *files]) == 0
    assert "--unpaired where they answered different questions" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(TypeError, match="paired: expected True or False"):
        report.build(records.read(files), paired=1)  # type: ignore[arg-type]
