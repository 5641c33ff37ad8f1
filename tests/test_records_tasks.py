"""Records of several tasks: one run for a model, ids that count within a task, scores and filters of tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from steelyard import cli, records
from steelyard.errors import RecordError

DATES = ("2024-06-17T12-20-26.826621", "2024-07-01T00-00-00.000000")


def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def samples(path: Path, right: int, n: int = 4, metric: str = "acc", filters: tuple[str, ...] = ("none",)) -> Path:
    return put(
        path,
        [
            {"doc_id": i, "doc": {"q": "?"}, "resps": [["x"]], "doc_hash": f"{path.name} {i}", "filter": f}
            | {metric: float(i < right + k)}
            for k, f in enumerate(filters)
            for i in range(n)
        ],
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What lm-evaluation-harness writes of two models and two tasks."""
    root = tmp_path / "out"
    for model, right in (("org__base", 1), ("org__new", 2)):
        samples(root / model / f"samples_arc_{DATES[0]}.jsonl", right)
        samples(root / model / f"samples_hellaswag_{DATES[0]}.jsonl", right + 1)
        (root / model / f"results_{DATES[0]}.json").write_text('{\n"results": {},\n"configs": {}\n}')
    return root


def test_the_files_of_one_model_are_one_run(tree: Path) -> None:
    runs = records.read(tree)
    assert runs.names == ("org__base", "org__new")
    assert [len(run) for run in runs] == [8, 8]
    assert runs["org__new"].column("task").tolist() == ["arc"] * 4 + ["hellaswag"] * 4
    assert runs.scores().ids.tolist() == [f"{task}/{i}" for task in ("arc", "hellaswag") for i in range(4)]
    assert "2 tasks (arc, hellaswag): an id counts within its task" in runs.notes
    assert records.read([f"{tree}/*/samples_*.jsonl"]).names == runs.names
    assert records.read(sorted(tree.glob("*/samples_*"))).names == runs.names


def test_the_report_says_how_many_tasks_there_are(tree: Path) -> None:
    result = CliRunner().invoke(cli.app, ["report", str(tree)], env={"NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    assert "2 models, 8 records each" in result.stdout
    assert "2 tasks (arc, hellaswag)" in result.stdout
    assert "org__base" in result.stdout


def test_one_task_twice_for_a_model_is_asked_about(tree: Path) -> None:
    again = samples(tree / "org__new" / f"samples_arc_{DATES[1]}.jsonl", 3)
    with pytest.raises(
        RecordError, match=r"each id once in run 'org__new'; got id 'arc/0' there.*leave one of"
    ) as caught:
        records.read(tree)
    assert DATES[0] in str(caught.value)
    assert DATES[1] in str(caught.value)
    assert len(records.read(tree, exclude=f"*{DATES[0]}*", models=["org__new"])["org__new"]) == 4
    # Whoever names the files of two dates compares them.
    both = records.read([again, again.with_name(f"samples_arc_{DATES[0]}.jsonl")])
    assert both.names == tuple(reversed(DATES))


def test_tasks_in_a_column(tmp_path: Path) -> None:
    for model in ("a", "b"):
        for task in ("x", "y"):
            put(
                tmp_path / f"{model}{task}.jsonl",
                [{"id": i, "correct": i % 2, "task": task, "model": model} for i in range(3)],
            )
    runs = records.read(tmp_path)
    assert runs.names == ("a", "b")
    assert runs["a"].ids.tolist() == ["x/0", "x/1", "x/2", "y/0", "y/1", "y/2"]
    assert np.array_equal(runs["a"].score, [0, 1, 0, 0, 1, 0])
    only = records.read(tmp_path / "ax.jsonl")
    assert only["a"].ids.tolist() == ["0", "1", "2"]  # nothing to tell apart
    assert not any("tasks" in note for note in only.notes)


def test_ids_that_stand_in_one_task_alone_stay_as_they_are(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": 1, "task": "xy"[i % 2]} for i in range(4)]
    assert records.read(put(tmp_path / "a.jsonl", rows))["a"].ids.tolist() == ["0", "1", "2", "3"]
    rows.append({"id": 0, "correct": 0, "task": "y"})
    assert records.read(put(tmp_path / "a.jsonl", rows))["a"].ids.tolist() == ["x/0", "y/1", "x/2", "y/3", "y/0"]


def test_two_models_of_two_tasks_do_not_pair(tmp_path: Path) -> None:
    paths = [
        put(tmp_path / f"{task}.jsonl", [{"id": i, "correct": 1, "task": task} for i in range(3)]) for task in "ab"
    ]
    with pytest.raises(RecordError, match=r"ids that all models have; got 'a' has 'a/0'"):
        records.read(paths).scores()


@pytest.mark.parametrize("how", [{"score": "task==said"}, {"model": "task"}, {"id": "task"}, {"cluster": "task"}])
def test_a_task_column_with_another_role_is_no_task(tmp_path: Path, how: dict[str, str]) -> None:
    rows = [{"id": i // 2, "said": "x", "correct": 1, "task": "xy"[i % 2]} for i in range(4)]
    if how == {"model": "task"}:
        assert records.read(put(tmp_path / "a.jsonl", rows), **how)["x"].ids.tolist() == ["0", "1"]
        return
    with pytest.raises(RecordError, match=r"each id once|one cluster for all records of an id"):
        records.read(put(tmp_path / "a.jsonl", rows), **how)


def test_tasks_may_have_scores_of_different_names(tree: Path) -> None:
    for model in ("org__base", "org__new"):
        samples(tree / model / f"samples_gsm8k_{DATES[0]}.jsonl", 3, metric="exact_match")
    runs = records.read(tree)
    assert [len(run) for run in runs] == [12, 12]
    said = "the tasks have scores of different names: 'acc' in arc, hellaswag, 'exact_match' in gsm8k"
    assert said in runs.notes
    samples(tree / "org__new" / f"samples_arc_{DATES[0]}.jsonl", 2, metric="exact_match")
    with pytest.raises(RecordError, match="the same score column in every file"):
        records.read(tree)


def test_a_filter_is_chosen_where_a_task_has_several(tree: Path) -> None:
    for model in ("org__base", "org__new"):
        samples(tree / model / f"samples_gsm8k_{DATES[0]}.jsonl", 1, filters=("strict", "flexible"))
    with pytest.raises(RecordError, match="expected one filter; got 2: flexible, strict"):
        records.read(tree)
    runs = records.read(tree, filter="flexible")
    assert [len(run) for run in runs] == [12, 12]
    assert runs["org__base"].score.sum() == 1 + 2 + 2
    with pytest.raises(RecordError, match="expected records with filter 'loose'"):
        records.read(tree, filter="loose")
    # One model of the task without it is not a task without it.
    samples(tree / "org__new" / f"samples_gsm8k_{DATES[0]}.jsonl", 1, filters=("strict",))
    with pytest.raises(RecordError, match="expected records with filter 'flexible'; got strict"):
        records.read(tree, filter="flexible")


def test_guesses_that_files_share_are_said_once(tree: Path) -> None:
    for model in ("org__base", "org__new"):
        samples(tree / model / f"samples_gsm8k_{DATES[0]}.jsonl", 3, metric="exact_match")
    first = tree / "org__base"
    assert records.read(tree).guesses == (
        "id = doc_id",
        f"{first / f'samples_arc_{DATES[0]}.jsonl'} and 3 more files: score = acc",
        f"{first / f'samples_gsm8k_{DATES[0]}.jsonl'} and 1 more file: score = exact_match",
    )


def test_many_files_are_one_line_of_the_report(tmp_path: Path) -> None:
    for k in range(12):
        rows = [{"id": i, "correct": i % 2, "split": "test" if k else "dev"} for i in range(3)]
        put(tmp_path / f"m{k:02}.jsonl", rows)
    wide = {"NO_COLOR": "1", "COLUMNS": "1000"}  # no path is broken, however deep the folder of the test lies
    result = CliRunner().invoke(cli.app, ["report", str(tmp_path), "--where", "split==test"], env=wide)
    text = " ".join(result.stdout.split())
    assert f"Read 36 records of 12 files ({tmp_path / 'm01.jsonl'} to {tmp_path / 'm00.jsonl'})" in text.replace(
        "- ", "-"
    )
    assert "3 where split is not test" in text


def helm(root: Path, model: str, scenario: str, right: int, split: str = "test") -> Path:
    """A run as HELM writes it: a folder with the records and other files."""
    folder = root / "runs" / "v1" / f"{scenario}:subject=law,model={model.replace('/', '_')}"
    folder.mkdir(parents=True)
    name = {"name": "exact_match", "split": split}
    rows = [
        {
            "instance_id": f"id{i}",
            "train_trial_index": 0,
            "stats": [{"name": name, "count": 1, "sum": float(i < right), "mean": float(i < right)}],
        }
        for i in range(4)
    ]
    (folder / "per_instance_stats.json").write_text(json.dumps(rows, indent=1))
    (folder / "stats.json").write_text(json.dumps([{"name": name, "count": 4, "sum": right}]))
    spec = {"name": folder.name, "adapter_spec": {"model": model}, "scenario_spec": {"class_name": scenario}}
    (folder / "run_spec.json").write_text(json.dumps(spec, indent=1))
    return folder


def test_the_tree_of_helm(tmp_path: Path) -> None:
    for k, model in enumerate(("org/base", "org/new")):
        for scenario in ("mmlu", "boolq"):
            helm(tmp_path, model, scenario, k + 1)
    runs = records.read(tmp_path)
    assert runs.names == ("org/base", "org/new")
    assert [len(run) for run in runs] == [8, 8]
    assert [run.score.sum() for run in runs] == [2, 4]
    assert len(set(runs["org/new"].column("task").tolist())) == 2
    assert len(runs.scores()) == 2
    assert any(note.startswith("2 tasks (") for note in runs.notes)
    assert any("8 files without records passed over" in note for note in runs.notes)
    helm(tmp_path, "org/new", "gsm", 1, split="valid")
    with pytest.raises(RecordError, match=r"split"):
        records.read(tmp_path, where="split==dev")
    assert len(records.read(tmp_path, where="split==test")["org/new"]) == 8


def inspect(path: Path, model: str, task: str, right: int) -> Path:
    """A log of Inspect."""
    samples = [{"id": i, "epoch": 1, "scores": {"match": {"value": "CI"[i >= right], "answer": "x"}}} for i in range(4)]
    header = {"task": task, "model": model, "created": "2025"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 2, "status": "success", "eval": header, "samples": samples}))
    return path


def test_the_logs_of_inspect(tmp_path: Path) -> None:
    for k, model in enumerate(("openai/base", "openai/new")):
        for task in ("arc", "gsm8k"):
            inspect(tmp_path / "logs" / f"2025-05-12T20-28-13-04-00_{task}_{k}xyz.json", model, task, k + 1)
    runs = records.read(tmp_path / "logs")
    assert runs.names == ("openai/base", "openai/new")
    assert [run.score.sum() for run in runs] == [2, 4]
    assert set(runs.scores().ids.tolist()) == {f"{task}/{i}" for task in ("arc", "gsm8k") for i in range(4)}
    inspect(tmp_path / "logs" / "2025-06-12T20-28-13-04-00_arc_again.json", "openai/new", "arc", 3)
    with pytest.raises(RecordError, match=r"each id once an epoch in run 'openai/new'; got id 'arc/0'.*leave one of"):
        records.read(tmp_path / "logs")
    assert len(records.read(tmp_path / "logs", exclude="2025-06*")["openai/new"]) == 8


def test_two_logs_of_one_model_are_compared_by_their_names(tmp_path: Path) -> None:
    paths = [inspect(tmp_path / f"{name}.json", "m", "arc", k) for k, name in enumerate(("before", "after"), 1)]
    with pytest.raises(RecordError, match="give each file its own run with names="):
        records.read(paths)
    runs = records.read(paths, names=["before", "after"])
    assert [run.score.sum() for run in runs] == [1, 2]
    assert len(runs.scores()) == 2
