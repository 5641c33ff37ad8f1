"""Directories and patterns: which files are read, what is passed over, and how a file is left out."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from steelyard import cli, records
from steelyard.errors import RecordError
from steelyard.records.places import find

SETTINGS = '{\n"model": "m",\n"temperature": 0\n}\n'
SUMMARY = '{\n"results": {"gsm8k": {"acc": 0.5}},\n"configs": {}\n}\n'


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def graded(path: Path, right: int, n: int = 4) -> Path:
    rows = [{"id": i, "correct": i < right} for i in range(n)]
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two models' records among other files."""
    root = tmp_path / "runs"
    graded(root / "new" / "records.jsonl", 3)
    graded(root / "base" / "records.jsonl", 2)
    put(root / "README.md", "# Runs")
    put(root / "base" / "run.log", "started")
    put(root / "base" / "config.json", SETTINGS)
    put(root / ".cache" / "records.jsonl", "{")
    put(root / "new" / ".hidden.jsonl", "{")
    (root / "new" / "plot.png").write_bytes(b"\x89PNG")
    return root


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments], env={"NO_COLOR": "1"})


# ---- what is read


def test_a_directory_is_searched_in_the_order_of_names(tree: Path) -> None:
    runs = records.read(tree)
    assert runs.names == ("base", "new")
    assert [int(run.score.sum()) for run in runs if run.score is not None] == [2, 3]
    assert list(runs.read) == [str(tree / "base" / "records.jsonl"), str(tree / "new" / "records.jsonl")]


def test_what_holds_no_records_is_passed_over_and_counted(tree: Path) -> None:
    (note,) = records.read(tree).notes
    assert note.startswith(f"{tree}: 6 files without records passed over (.cache, README.md,")
    (note,) = records.read(tree / "new").notes
    assert "2 files without records passed over" in note
    assert note.endswith("(.hidden.jsonl, plot.png)")


@pytest.mark.parametrize("pattern", ["**/*.jsonl", "*/records.jsonl", "*/*", "**", "[bn]*"])
def test_a_pattern_finds_the_same_files(tree: Path, pattern: str) -> None:
    assert records.read(f"{tree}/{pattern}").names == ("base", "new")


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    path = graded(tmp_path / "a[1].jsonl", 1)
    graded(tmp_path / "a1.jsonl", 2)
    assert records.read(path).names == ("a[1]",)


def test_an_ending_that_a_pattern_names_is_read(tmp_path: Path) -> None:
    graded(tmp_path / "a.txt", 1)
    assert records.read(f"{tmp_path}/*.txt").names == ("a",)
    with pytest.raises(RecordError, match=r"got none among a.txt; check the path"):
        records.read(tmp_path)


def test_compressed_files_of_records_are_found(tmp_path: Path) -> None:
    text = graded(tmp_path / "x.jsonl", 1).read_bytes()
    (tmp_path / "x.jsonl").rename(tmp_path / "y.jsonl")
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "notes.txt.gz").write_bytes(gzip.compress(b"?"))
    assert find([str(tmp_path)]).files == (str(tmp_path / "x.jsonl.gz"), str(tmp_path / "y.jsonl"))


def test_a_file_that_several_paths_lead_to_is_read_once(tree: Path) -> None:
    assert records.read([tree / "base" / "records.jsonl", tree]).names == ("base", "new")
    assert records.read([tree, f"{tree}/**/*.jsonl"]).names == ("base", "new")


def test_links_to_folders_are_followed_and_circles_are_not(tree: Path, tmp_path: Path) -> None:
    (tree / "again").symlink_to(tree)
    (tree / "latest").symlink_to(tree / "new")
    graded(tmp_path / "elsewhere" / "records.jsonl", 1)
    (tree / "other").symlink_to(tmp_path / "elsewhere")
    assert records.read(tree).names == ("base", "new", "other")
    (tmp_path / "link").symlink_to(tree)
    assert records.read(tmp_path / "link").names == ("base", "new", "other")


def test_pipes_in_a_directory_are_passed_over(tree: Path) -> None:
    os.mkfifo(tree / "pipe.jsonl")
    runs = records.read(tree)
    assert runs.names == ("base", "new")
    assert "7 files" in runs.notes[0]


# ---- summaries, and files of other kinds


def test_a_summary_is_passed_over_where_its_records_are(tree: Path) -> None:
    summary = put(tree / "base" / "results_2024-06-17T12-20-26.826621.json", SUMMARY)
    assert records.read(tree).names == ("base", "new")
    moved = tree / "third" / summary.name
    moved.parent.mkdir()
    summary.rename(moved)
    with pytest.raises(RecordError, match=r"third/results_.*got an lm-evaluation-harness results file.*leave the file"):
        records.read(tree)
    assert records.read(tree, exclude="third").names == ("base", "new")
    put(tree / "details" / "third" / "2024" / "details.jsonl", (tree / "base" / "records.jsonl").read_text())
    assert len(records.read(tree)) == 3  # as lighteval writes it: the records in another folder, of the same name


def test_a_summary_alone_is_the_error_about_it(tmp_path: Path) -> None:
    put(tmp_path / "results_1.json", SUMMARY)
    with pytest.raises(RecordError, match=r"results_1.json: expected .*samples_\*.jsonl beside it"):
        records.read(tmp_path)


def test_the_real_tree_of_lm_eval(data_dir: Path) -> None:
    runs = records.read(data_dir / "lm_eval")
    assert [len(one) for one in runs] == [609]
    assert runs.notes == (
        f"{data_dir / 'lm_eval'}: 1 file without records passed over (results_2024-06-17T12-20-26.826621.json)",
    )


def test_the_other_files_of_helm_are_passed_over_by_name(tmp_path: Path) -> None:
    for name in ("per_instance_stats.json", "stats.json", "run_spec.json", "scenario_state.json", "scenario.json"):
        put(tmp_path / "suite" / "mmlu" / name, "[")
    put(tmp_path / "suite" / "other" / "stats.json", "[")
    assert [os.path.relpath(file, tmp_path) for file in find([str(tmp_path)]).files] == [
        "suite/mmlu/per_instance_stats.json",
        "suite/other/stats.json",
    ]


def test_a_report_in_the_directory_is_not_read_again(tree: Path) -> None:
    place = tree / "report.json"
    for _ in range(2):
        result = run("report", tree, "--json", place)
        assert result.exit_code == 0, result.output
    assert records.read(tree).names == ("base", "new")


# ---- what cannot be read


@pytest.mark.parametrize("text", ["", "{\n", '{"id": 1}\nx', "version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_of_records_that_cannot_be_read_is_an_error_with_a_way_out(tree: Path, text: str) -> None:
    path = put(tree / "new" / "broken.jsonl", text)
    with pytest.raises(RecordError, match=r"or leave the file out with exclude='new/broken.jsonl'$") as caught:
        records.read(tree)
    assert str(caught.value).startswith(str(path))
    assert records.read(tree, exclude="new/broken.jsonl").names == ("base", "new")
    with pytest.raises(RecordError) as caught:
        records.read(path)
    assert "exclude" not in str(caught.value)


def test_all_files_that_cannot_be_read_are_named(tree: Path) -> None:
    for name in "abc":
        put(tree / f"{name}.jsonl", "{\n")
    expected = r"a.jsonl, line 2: .*exclude='a.jsonl', and 2 more that cannot be read: b.jsonl, c.jsonl$"
    with pytest.raises(RecordError, match=expected):
        records.read(tree)
    assert records.read(tree, exclude=["a.jsonl", "b.jsonl", "c.jsonl"]).names == ("base", "new")


def test_what_is_wrong_with_every_file_is_said_without_a_way_out(tree: Path) -> None:
    with pytest.raises(RecordError, match=r"a column 'split' for where=") as caught:
        records.read(tree, where="split==test")
    assert "exclude" not in str(caught.value)


def test_a_file_without_a_score_is_an_error_with_a_way_out(tree: Path) -> None:
    put(tree / "questions.csv", "id,text\n1,a\n")
    result = run("report", tree)
    assert result.exit_code == 2
    assert f"{tree / 'questions.csv'}: expected a score column" in result.stderr
    assert "; or leave the file out with --exclude questions.csv" in result.stderr.replace("\n", " ")
    assert run("report", tree, "--exclude", "questions.csv").exit_code == 0


def test_empty_directories_and_patterns_get_a_sentence(tree: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RecordError, match=r"empty: expected files of records \(\.jsonl.* got an empty directory"):
        records.read(empty)
    put(empty / "README.md")
    with pytest.raises(RecordError, match=r"got none among README.md; check the path"):
        records.read([tree, empty])
    with pytest.raises(RecordError, match=r"\*\.csv: expected .*; got no file of such a name; check the pattern"):
        records.read(f"{tree}/*.csv")
    with pytest.raises(RecordError, match=r"got none among README.md; check the pattern"):
        records.read(f"{empty}/*")
    put(empty / "config.json", SETTINGS)
    with pytest.raises(RecordError, match=r"config.json: expected records .*got one JSON object"):
        records.read(empty)


def test_a_folder_that_cannot_be_searched_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refused(path: str) -> Any:
        if str(path).endswith("new"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(RecordError, match="new: expected a readable directory; got Permission denied"):
        records.read(tree)


# ---- left out


@pytest.mark.parametrize("pattern", ["new", "ne*", "new/*", "new/records.jsonl", "{tree}/new", "{tree}/new/*"])
def test_files_and_folders_are_left_out(tree: Path, pattern: str) -> None:
    runs = records.read(tree, exclude=pattern.format(tree=tree))
    assert len(runs) == 1
    assert list(runs.read) == [str(tree / "base" / "records.jsonl")]
    assert any(note.endswith("left out with exclude=") for note in runs.notes)


def test_a_pattern_that_leaves_nothing_out_is_told(tree: Path) -> None:
    assert "exclude='old' leaves no file out" in records.read(tree, exclude=["old", "new"]).notes
    with pytest.raises(RecordError, match=r"got none that exclude= does not leave out"):
        records.read(tree, exclude="*.json*")
    with pytest.raises(TypeError, match="exclude: expected patterns of files' names; got int 3"):
        records.read(tree, exclude=3)  # type: ignore[arg-type]


# ---- names, models, progress


def test_a_name_for_each_directory(tree: Path) -> None:
    runs = records.read([tree / "new", tree / "base"], names=["young", "old"])
    assert runs.names == ("young", "old")
    with pytest.raises(ValueError, match="names: expected one name for each of the 1 directories, patterns and files"):
        records.read(tree, names=["a", "b"])
    with pytest.raises(RecordError, match=r"expected each id once in run 'm'"):
        records.read(tree, names=["m"])


def test_compare_asks_for_the_baseline_among_the_models_of_a_directory(tree: Path) -> None:
    result = run("compare", tree)
    assert result.exit_code == 2
    assert "--baseline: expected the name of a model, since" in result.stderr
    assert "choose from 'base', 'new'" in result.stderr.replace("\n", " ")
    assert run("compare", tree, "--baseline", "base", "--fail-on", "never").exit_code == 0
    assert run("compare", tree / "base", tree / "new", "--fail-on", "never").exit_code == 0


def test_progress_counts_the_bytes_of_all_files(tmp_path: Path) -> None:
    for k in range(200):
        graded(tmp_path / f"model{k:03}.jsonl", k % 4)
    told: list[tuple[int, int]] = []
    assert len(records.read(tmp_path, progress=lambda done, total: told.append((done, total)))) == 200
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert len(told) >= 200
    assert told == sorted(told)
    assert {of for _, of in told} == {total}
    assert told[-1] == (total, total)
    assert told.count((total, total)) == 1


def test_an_output_is_never_a_file_that_was_found(tree: Path) -> None:
    result = run("report", tree, "--json", tree / "new" / "records.jsonl")
    assert result.exit_code == 2
    assert "--json: expected a file of its own to write; got a file that is read" in result.stderr.replace("\n", " ")


# ---- copies


def test_copies_are_noticed(tree: Path) -> None:
    copy = tree / "new" / "copy.jsonl"
    copy.write_bytes((tree / "base" / "records.jsonl").read_bytes())
    graded(tree / "new" / "other.jsonl", 1)  # of the same size
    runs = records.read(tree)
    assert [note for note in runs.notes if "copy of" in note] == [
        f"{copy} is a copy of {tree / 'base' / 'records.jsonl'}, byte for byte"
    ]
    result = run("compare", tree / "base" / "records.jsonl", copy)
    assert result.exit_code == 0
    assert "is a copy of" in " ".join(result.stdout.split())
    (tree / "new" / "link.jsonl").symlink_to(copy)
    assert len([note for note in records.read(tree).notes if "copy of" in note]) == 2


@pytest.mark.parametrize("record", [{"id": 1, "correct": 1}, {"correct": 1}, {"id": 1, "epoch": 2, "correct": 1}])
def test_a_copy_is_no_repetition(tmp_path: Path, record: dict[str, int]) -> None:
    paths = [put(tmp_path / f"{name}.jsonl", json.dumps(record) + "\n") for name in "ab"]
    with pytest.raises(RecordError, match=r"b.jsonl: expected records of its own for run 'm'; got a copy of .*a.jsonl"):
        records.read(paths, names=["m", "m"], epoch="none" if "epoch" in record else None, repeats="epochs")
    assert records.read(paths).names == ("a", "b")
