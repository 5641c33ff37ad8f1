"""The command: its exit codes, its messages, and that what it prints, writes and decides agree."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import steelyard as sy
from steelyard import __main__, cli


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "FORCE_COLOR", "COLUMNS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def write(path: Path, right: list[bool], first: int = 0) -> Path:
    lines = [json.dumps({"id": first + i, "correct": value}) for i, value in enumerate(right)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(tmp_path / "base.jsonl", [i % 10 < 6 for i in range(400)])


@pytest.fixture
def better(tmp_path: Path) -> Path:
    return write(tmp_path / "better.jsonl", [i % 10 < 8 for i in range(400)])


@pytest.fixture
def alike(tmp_path: Path) -> Path:
    return write(tmp_path / "alike.jsonl", [(i + i // 10 % 2) % 10 < 6 for i in range(400)])


# ---- report


def test_report_prints_the_real_figures(data_dir: Path) -> None:
    result = run("report", data_dir / "gsm8k_four_models.jsonl", "--baseline", "175b_finetuning")
    assert result.exit_code == 0, result.output
    for said in (
        "4 models, 1,319 records each",
        "+0.0432",
        "0.2168",
        "0.3904",
        "0.3472",
        "0.5625",
        "209/152",
        "id = the row number",
    ):
        assert said in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout


def test_report_writes_page_and_data(base: Path, better: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    result = run("report", base, better, "--html", page, "--json", data)
    assert result.exit_code == 0, result.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    found = json.loads(data.read_text(encoding="utf-8"))
    assert [model["name"] for model in found["models"]] == ["base", "better"]
    assert f"{found['models'][1]['score']['value']:.4f}" in result.stdout


def test_json_to_standard_output_is_json_alone(base: Path) -> None:
    result = run("report", base, "--json", "-")
    assert json.loads(result.stdout)["models"][0]["score"]["value"] == 0.6


def test_report_takes_columns_by_option(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(
        "who,key,said,truth,p,lp,len\n"
        + "".join(f"{m},{i},{i % 3},{i % 2},0.5,-2.5,4\n" for m in "ab" for i in range(30))
    )
    result = run(
        "report", path, "--model", "who", "--id", "key", "--score", "said==truth", "--confidence", "p",
        "--loglikelihood", "lp", "--n-tokens", "len", "--confidence-level", "0.9",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for said in ("90 % intervals", "Calibration", "Perplexity", "1.868", "Nothing was guessed and no record"):
        assert said in result.stdout


def test_names_repeated_or_with_commas(base: Path, better: Path) -> None:
    one = run("report", base, better, "--names", "x,y").stdout
    two = run("report", base, better, "--names", "x", "--names", "y").stdout
    assert one == two
    assert "Difference from x" in one


# ---- compare: 0, 1 and 2


@pytest.mark.parametrize(
    ("new", "fail_on", "code"),
    [
        ("better", "worse", 0), ("better", "undecided", 0), ("better", "never", 0),
        ("alike", "worse", 0), ("alike", "undecided", 1), ("alike", "never", 0),
    ],
)  # fmt: skip
def test_exit_codes_of_a_change(new: str, fail_on: str, code: int, base: Path, request: pytest.FixtureRequest) -> None:
    result = run("compare", base, request.getfixturevalue(new), "--fail-on", fail_on)
    assert result.exit_code == code, result.output


@pytest.mark.parametrize(("fail_on", "code"), [("worse", 1), ("undecided", 1), ("never", 0)])
def test_exit_codes_of_a_loss(fail_on: str, code: int, base: Path, better: Path) -> None:
    result = run("compare", better, base, "--fail-on", fail_on)
    assert result.exit_code == code, result.output
    assert "worse" in result.stdout


def test_a_margin_forgives(base: Path, better: Path) -> None:
    assert run("compare", better, base).exit_code == 1  # the default is --fail-on worse
    assert run("compare", better, base, "--margin", "0.5").exit_code == 0


def test_a_margin_in_per_cent_is_bad_input(base: Path, better: Path) -> None:
    bad(run("compare", better, base, "--margin", "2"), "--margin: expected less than 1", "2 % is 0.02")


def test_lower_is_better(base: Path, better: Path) -> None:
    assert run("compare", base, better, "--lower-is-better").exit_code == 1


def test_compare_a_wide_file(data_dir: Path) -> None:
    path = data_dir / "gsm8k_four_models.jsonl"
    result = run(
        "compare",
        path,
        "--baseline",
        "175b_finetuning",
        "--models",
        "6b_verification",
        "--margin",
        "0.01",
        "--json",
        "-",
    )
    assert result.exit_code == 0, result.output
    (pair,) = json.loads(result.stdout)["pairs"]
    assert round(pair["difference"]["value"], 4) == 0.0432
    assert round(pair["difference"]["standard_error"], 4) == 0.0144
    assert round(pair["p_value"], 5) == 0.00269
    assert pair["verdict"] == "better"


def test_several_new_models_are_judged_together(base: Path, better: Path, alike: Path) -> None:
    result = run("compare", base, better, alike, "--fail-on", "undecided")
    assert result.exit_code == 1
    assert "p (Holm)" in result.stdout
    assert "97.5 %" in result.stdout


# ---- bad input: 2, one sentence, no traceback


def bad(result: Any, *said: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith("steelyard: ")
    assert "Traceback" not in result.stderr
    for words in said:
        assert words in result.stderr


def test_missing_file(tmp_path: Path) -> None:
    bad(run("report", tmp_path / "absent.jsonl"), "absent.jsonl", "expected a file")


def test_malformed_file(tmp_path: Path, base: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text(base.read_text()[:-9])
    bad(run("report", path), "cut.jsonl, line 400")


def test_unknown_column_is_named_as_an_option(base: Path) -> None:
    bad(run("report", base, "--score", "corect"), "for --score;", "'correct'")


def test_a_file_is_no_option(tmp_path: Path) -> None:
    place = tmp_path / "model=a.jsonl"
    bad(run("report", place), f"steelyard: {place}: expected a file")


def test_unknown_models(base: Path, better: Path) -> None:
    bad(run("compare", base, better, "--baseline", "bse"), "'bse'", "'base'")
    bad(run("compare", base, better, "--models", "bettr"), "--models: expected", "'bettr'", "'better'")
    bad(run("report", base, better, "--baseline", "bse"), "'bse'")


def test_nothing_to_compare_with(base: Path) -> None:
    bad(run("compare", base), "second file")


def test_a_wide_file_asks_for_its_baseline(tmp_path: Path) -> None:
    path = tmp_path / "wide.jsonl"
    path.write_text("".join(json.dumps({"a": {"correct": True}, "b": {"correct": i > 2}}) + "\n" for i in range(9)))
    bad(run("compare", path), "--baseline", "'a', 'b'")


def test_no_ids_in_common(base: Path, tmp_path: Path) -> None:
    bad(run("compare", base, write(tmp_path / "other.jsonl", [True] * 9, first=9000)), "ids that all models have")


@pytest.mark.parametrize("option", [["--margin", "-0.1"], ["--margin", "nan"], ["--confidence-level", "95"]])
def test_numbers_out_of_range(option: list[str], base: Path, better: Path) -> None:
    bad(run("compare", base, better, *option), f"steelyard: {option[0]}: expected")


def test_page_that_cannot_be_written(base: Path, tmp_path: Path) -> None:
    result = run("report", base, "--html", tmp_path / "absent" / "page.html")
    assert result.exit_code == 2
    assert "absent" in result.stderr


def test_usage_errors_are_bad_input() -> None:
    assert run("compare").exit_code == 2
    assert run("report", "x", "--no-such-option").exit_code == 2
    assert run("compare", "x", "y", "--fail-on", "sometimes").exit_code == 2


@pytest.mark.parametrize(
    "option", [["--score", "x"], ["--id", "x"], ["--margin", "0.1"], ["--json", "x"], ["--fail-on", "never"]]
)
def test_an_option_of_one_value_is_given_once(option: list[str], base: Path, better: Path) -> None:
    bad(run("compare", base, better, *option, *option), f"{option[0]}: expected one value; got 2")


def test_flags_and_lists_may_come_again(base: Path, better: Path) -> None:
    words = ("--names", "x", "--names", "y", "--models", "y", "--models", "y", "--lower-is-better", "--lower-is-better")
    assert run("compare", better, base, *words).exit_code == 0


def test_the_command_alone_is_help_and_no_success() -> None:
    for words in ((), ("--debug",)):
        result = run(*words)
        assert result.exit_code == 2
        assert "Exit codes" in result.stdout
        assert result.stderr == ""


def test_debug_shows_where_bad_input_was_found(tmp_path: Path) -> None:
    for words in (("--debug", "report", tmp_path / "absent"), ("report", tmp_path / "absent", "--debug")):
        result = run(*words)
        assert result.exit_code == 2
        assert "Traceback" in result.stderr
    assert "Traceback" not in run("report", tmp_path / "absent").stderr


def test_numbers_that_cannot_be_weighed_are_named_by_their_model(tmp_path: Path) -> None:
    path = graded(tmp_path / "big.jsonl", [1e308, -1e308, 1e308])
    bad(run("report", path), "steelyard: the scores of 'big': expected values whose sum")
    bad(run("compare", path, path, "--names", "a,b"), "the scores of 'a': expected")


@pytest.mark.parametrize("place", ["values.numbers", "formats.csv_records.read", "columns.resolve"])
def test_an_unexpected_failure_names_the_file(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(f"steelyard.records.{place}", broken)
    path = tmp_path / "a.csv"
    path.write_text("id,correct\n1,1\n")
    result = run("compare", path, path, "--names", "a,b")
    assert result.exit_code == 3
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"steelyard: unexpected failure while at {path}")
    assert "IndexError: list index out of range; please report it" in line
    assert ("column 'correct'" in line) == (place == "values.numbers")


# ---- what the user wrote is printed as it was written

WRITTEN = ["score=a", "id='row'", "pass repeats='epochs'", "margin: expected x", "a  b", "names=1 "]


@pytest.mark.parametrize("text", WRITTEN)
def test_text_of_the_user_is_not_rewritten(text: str, tmp_path: Path, base: Path, better: Path) -> None:
    bad(run("report", tmp_path / text), f"steelyard: {tmp_path / text}: expected a file")
    bad(run("report", f"./{text}//"), f"steelyard: ./{text}//: expected a file")
    bad(run("report", base, "--score", text), f"a column {text!r} for --score")
    bad(run("report", base, "--filter", text), text)
    bad(run("compare", base, better, "--baseline", text), "--baseline: expected one of the models", f"got {text!r}")
    bad(run("compare", base, better, "--models", text), f"got {text.strip()!r}")
    bad(run("report", base, better, "--names", text, "--names", text, "--baseline", "x"), f"{text!r}")
    folder = tmp_path / text
    folder.mkdir()
    twice = write(folder / "a.jsonl", [True, False])
    twice.write_text(twice.read_text() + "\n" + twice.read_text())
    bad(run("report", twice), f"steelyard: {twice}, line 3: ", "--repeats epochs", "--epoch", "--model")


# ---- what is missing, and what matches


def graded(path: Path, scores: list[Any], **more: Any) -> Path:
    path.write_text("".join(json.dumps({"id": i, "score": value, **more}) + "\n" for i, value in enumerate(scores)))
    return path


@pytest.mark.parametrize(
    ("missing", "score", "said"),
    [("drop", 0.875, "No score: left out."), ("wrong", 0.7, "counts as 0."), ("0.5", 0.8, "counts as 0.5.")],
)
def test_missing_scores(missing: str, score: float, said: str, tmp_path: Path) -> None:
    path = graded(tmp_path / "a.jsonl", [None if i % 5 == 0 else i % 10 != 1 for i in range(100)])
    other = graded(tmp_path / "b.jsonl", [i % 10 != 1 for i in range(100)])
    for words in (("report", path), ("compare", other, path, "--min-matched", "0")):
        result = run(*words, "--missing", missing)
        worse = words[0] == "compare" and missing != "drop"
        assert result.exit_code == worse
        assert said in result.stdout
        assert "no score" in result.stdout
        model = json.loads(run(*words, "--missing", missing, "--json", "-").stdout)["models"][-1]
        assert model["score"]["value"] == pytest.approx(score)
        assert model["no_score"] == 20
        assert model["n"] == (80 if missing == "drop" else 100)


def test_what_was_lost_is_said_first(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = write(tmp_path / "few.jsonl", [True, False, True])
    summary, page = tmp_path / "summary.md", tmp_path / "page.html"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = run("compare", base, few, "--html", page)
    assert result.exit_code == 0
    said = "few against base is compared on 3 of base's 400 ids alone."
    assert result.stdout.split("\n\n")[1] == f"Caution: {said}"
    assert said in summary.read_text().split("###")[0]
    assert f'<li class="caution">Caution: {html.escape(said).replace("x27", "39")}</li>' in page.read_text()
    lines = [json.dumps({"id": i, "correct": None if i % 8 == 0 else i % 3 > 0}) for i in range(400)]
    path = tmp_path / "gaps.jsonl"
    path.write_text("\n".join(lines))
    result = " ".join(run("compare", base, path).stdout.split())
    lost = "50 of gaps's 400 records have no score and are left out; if they are failures, count them with"
    assert f"Caution: {lost} --missing wrong. Caution: gaps against base is compared on 350 of" in result
    assert "Caution" not in run("compare", base, path, "--missing", "wrong").stdout
    made = sy.report.build(sy.records.read(path), higher_is_better=False)
    assert f"Caution: {lost} missing= and the number of a bad score." in " ".join(str(made).split())


def test_a_missing_score_is_never_a_good_loss(base: Path, better: Path, tmp_path: Path) -> None:
    for words in (("report", base), ("compare", base, better)):
        bad(run(*words, "--missing", "wrong", "--lower-is-better"), "--missing: expected", "0 would be the best of all")
        bad(run(*words, "--missing", "much"), "--missing: expected drop, wrong or a number; got 'much'")
        bad(run(*words, "--missing", "nan"), "--missing: expected a finite number")
    path = graded(tmp_path / "loss.jsonl", [None, 1.5, 2.5])
    bad(run("report", path, "--missing", "0", "--lower-is-better"), "--missing: expected", "1 records of 'loss'")
    with pytest.raises(ValueError, match=r"^missing: expected the number of a bad score"):
        sy.report.build(sy.records.read(path, missing="wrong"), higher_is_better=False)
    assert run("report", path, "--missing", "9", "--lower-is-better").exit_code == 0
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"id": i, "target": "a", "prediction": None}) + "\n" for i in range(3)))
    bad(
        run("report", path, "--lower-is-better"),
        "--lower-is-better: expected",
        "3 missing answers of 'pairs'",
        "--score",
    )


def test_few_ids_that_match_are_refused(base: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.jsonl", [True] * 300, first=150)
    said = (
        "at least 90 % of the smaller side's ids to match",
        "got 250: 'other' has 300; 'base' has 400",
        "--id",
        "--min-matched 0 ",
    )
    bad(run("compare", base, other), str(base), str(other), *said)
    assert run("compare", base, other, "--min-matched", "0.8").exit_code == 0
    result = run("compare", base, other, "--min-matched", "0", "--json", "-")
    (pair,) = json.loads(result.stdout)["pairs"]
    assert (pair["matched"], pair["of_model"], pair["of_baseline"], pair["unmatched"]) == (250, 300, 400, 200)
    printed = run("report", base, other, "--baseline", "base")
    assert printed.exit_code == 0
    assert "Caution: other against base is compared on 250 of base's 400 ids alone." in printed.stdout
    most = write(tmp_path / "most.jsonl", [True] * 380, first=10)
    assert "Caution" not in run("report", base, most).stdout
    bad(
        run("compare", base, other, "--min-matched", "90"), "--min-matched: expected a share from 0 to 1; got 90", "0.9"
    )


# ---- which models


def three(path: Path) -> Path:
    """Models a, b and c,d of one file; c,d has an id twice."""
    rows = [
        {"id": i, "model": m, "correct": (i + k) % 3 > 0} for k, m in enumerate(("a", "b", "c,d")) for i in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[-1]]), encoding="utf-8")
    return path


def test_models_are_chosen_before_anything_is_checked(base: Path, better: Path, tmp_path: Path) -> None:
    path = three(tmp_path / "three.jsonl")
    bad(run("compare", path, "--baseline", "a"), "each id once in run 'c,d'")
    result = run("compare", path, "--baseline", "a", "--models", "b", "--json", "-")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert [model["name"] for model in data["models"]] == ["a", "b"]
    assert data["left_out"] == {str(path): {"of a model not asked for": 61}}
    assert run("compare", path, "--baseline", "b", "--models", "a").exit_code == 0  # the baseline counts as asked for
    bad(run("compare", path, "--models", "b", "--baseline", "z"), "--baseline: expected one of the models", "got 'z'")
    bad(run("compare", path, "--models", "b"), "--baseline: expected the name of a model", "'a', 'b', 'c,d'")
    spoilt = tmp_path / "spoilt.jsonl"
    spoilt.write_text(base.read_text() + "\n" + base.read_text())
    assert run("compare", base, better, spoilt, "--models", "better").exit_code == 0  # the first file's, by default
    assert run("compare", better, base, spoilt, "--models", "base").exit_code == 1


def test_a_model_is_compared_once_and_never_with_itself_alone(base: Path, better: Path) -> None:
    once = run("compare", base, better, "--models", "better")
    assert run("compare", base, better, "--models", "better", "--models", "better").stdout == once.stdout
    assert run("compare", base, better, "--models", "base,better").stdout == once.stdout
    bad(run("compare", base, better, "--models", "base"), "--models: expected a model to compare with 'base'")


def test_a_name_may_hold_a_comma(tmp_path: Path) -> None:
    path = three(tmp_path / "three.jsonl")
    for words in (["--models", "c,d"], ["--models", "b, c,d"], ["--models", "a,b"]):
        result = run("compare", path, "--baseline", "a", *words, "--repeats", "epochs", "--json", "-")
        if words == ["--models", "b, c,d"]:  # neither a name nor names
            bad(result, "--models: expected some of", "got 'c'")
        else:
            names = [pair["model"] for pair in json.loads(result.stdout)["pairs"]]
            assert names == {"c,d": ["c,d"], "a,b": ["b"]}[words[1]]
    two = [write(tmp_path / name, [True, False] * 20) for name in ("x", "y")]
    assert "one, two" in run("report", *two, "--names", "one, two", "--names", "three").stdout


def test_a_model_against_itself_is_never_worse(better: Path, tmp_path: Path) -> None:
    same = graded(tmp_path / "graded.jsonl", [i % 7 / 7 for i in range(50)])
    for path in (better, same, graded(tmp_path / "constant.jsonl", [0.5] * 20), graded(tmp_path / "two.jsonl", [3, 4])):
        for option in ((), ("--margin", "0.1"), ("--lower-is-better",)):
            result = run("compare", path, path, "--names", "one,two", *option)
            assert result.exit_code == 0, result.output
            assert re.search(r"(undecided|not worse)$", result.stdout, flags=re.M)


def test_compare_guesses_only_what_it_uses(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 3 > 0, "confidence": "high", "loglikelihood": 4} for i in range(30)]
    paths = []
    for name in "ab":
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("compare", *paths)
    assert result.exit_code == 0, result.stderr
    assert "Guessed: id = id; score = correct\n" in result.stdout


# ---- GitHub Actions


def test_job_summary_is_appended(base: Path, better: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert run("compare", base, better).exit_code == 0
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert "better is better than base: +0.2" in text
    assert "| model |" in text


def test_job_summary_that_cannot_be_written_does_not_decide(
    base: Path, better: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = run("compare", base, better)
    assert result.exit_code == 0
    assert "job summary was not written" in result.stderr


# ---- the process


def test_as_a_process(base: Path, better: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "steelyard"]
    done = subprocess.run(
        [*command, "compare", str(better), str(base)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert "worse" in done.stdout
    assert "\x1b" not in done.stdout
    done = subprocess.run([*command, "report", "absent"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("steelyard: absent: expected a file")


def test_config() -> None:
    result = run("config")
    assert result.exit_code == 0
    assert f"version:       {sy.__version__}" in result.stdout


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(__main__, "NEEDS", ("numpy", "absent_package", "another"))
    with pytest.raises(SystemExit) as stop:
        __main__.main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said == "steelyard: the command needs absent_package, another; install with: pip install 'steelyard[cli]'\n"


def test_a_place_that_cannot_be_written_is_one_sentence(base: Path, tmp_path: Path) -> None:
    for option, place, got in (("--html", tmp_path / "none" / "p.html", "No such file"), ("--json", tmp_path, "Is a")):
        result = run("report", base, option, place)
        assert result.exit_code == 2
        said = f"steelyard: {place}: expected a place to read or write; got: {got}"
        assert said in result.stderr.replace("\n", " ")


def test_a_wrong_kind_of_thing_is_no_traceback(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(*_: object, **__: object) -> None:
        raise TypeError("clusters: expected ids of one type; got int, str")

    monkeypatch.setattr("steelyard.report.build", spoilt)
    result = run("report", base)
    assert result.exit_code == 2
    assert "steelyard: clusters: expected ids of one type" in result.output


WIDE = "question_id,document,gpt,claude,human\n" + "".join(
    f"{i},d{i // 3},{i % 2},{int(i % 3 > 0)},1\n" for i in range(30)
)
THREE = "'gpt', 'claude', 'human'"


def test_columns_of_a_wide_file_are_offered_as_models(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(WIDE)
    bad(run("compare", path), "expected a score column", "a column for each model with --models")
    bad(
        run("compare", path, "--baseline", "gpt"),
        "--models: expected the columns to compare with 'gpt', since",
        "wide.csv has no score column; got none; choose from 'claude', 'human'",
    )
    bad(run("compare", path, "--models", "claude"), "--baseline: expected the name of a model", f"choose from {THREE}")
    bad(run("compare", path, "--baseline", "gpt", "--models", "claude,humn"), f"expected some of {THREE}; got 'humn'")
    bad(run("compare", path, "--baseline", "gtp", "--models", "claude"), f"one of the models {THREE}; got 'gtp'")
    assert run("compare", path, "--baseline", "gpt", "--models", "claude").exit_code == 0


# ---- models that are columns


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    path = tmp_path / "wide.csv"
    rows = [f"{i},d{i // 4},{int(i % 3 > 0)},{int(i % 4 > 0)},{int(i % 5 > 0)}" for i in range(60)]
    path.write_text("\n".join(["question_id,document,gpt,claude,human", *rows]))
    return path


def test_report_takes_columns_as_models(wide: Path, base: Path, better: Path) -> None:
    data = json.loads(run("report", wide, "--models", "gpt,claude", "--models", "human", "--json", "-").stdout)
    assert [model["name"] for model in data["models"]] == ["gpt", "claude", "human"]
    assert len(data["pairs"]) == 3
    data = json.loads(run("report", wide, "--models", "claude", "--baseline", "gpt", "--json", "-").stdout)
    assert [(pair["model"], pair["baseline"]) for pair in data["pairs"]] == [("claude", "gpt")]
    bad(run("report", wide, "--models", "claude,humn"), "--models: expected some of", "'human'; got 'humn'")
    data = json.loads(run("report", base, better, "--models", "better", "--json", "-").stdout)
    assert [model["name"] for model in data["models"]] == ["better"]
    assert data["left_out"] == {str(base): {"of a model not asked for": 400}}


def test_what_is_wanting_beside_columns_is_named(wide: Path, base: Path, better: Path) -> None:
    bad(run("compare", wide, "--baseline", "gpt"), "--models: expected the columns to compare with 'gpt'", "'claude'")
    bad(run("compare", wide, "--models", "claude"), "--baseline: expected the name of a model", "'gpt'")
    bad(run("compare", base), "FILE: expected a model to compare with 'base'; got none", "second file", "--models")
    for command in ("compare", "report"):
        bad(run(command, wide, "--baseline", "gpt"), "--models: expected the columns to compare with 'gpt'", "'claude'")
        bad(run(command, wide, "--baseline", "gtp"), f"--baseline: expected one of the columns {THREE}", "got 'gtp'")
        bad(run(command, wide, "--models", "claude", "--baseline", "gtp"), "--baseline: expected one of", "got 'gtp'")
        bad(run(command, base, better, "--baseline", ""), "--baseline: expected", "got ''")


def test_blanks_around_the_name_of_a_model_are_of_no_account(tmp_path: Path) -> None:
    """As around ids; where two models differ by them alone, each is found by its own name."""
    path = tmp_path / "long.csv"
    path.write_text("id,model,correct\n" + "".join(f"{i},{m},{int(i % k > 0)}\n" for i in range(9) for m, k in PADDED))
    for baseline in ("A ", "A", "  A"):
        for words in (["compare"], ["report"], ["compare", "--models", " B"], ["report", "--models", "B,A"]):
            command, *rest = words
            made = json.loads(run(command, path, "--baseline", baseline, *rest, "--json", "-").stdout)
            assert [(pair["model"], pair["baseline"]) for pair in made["pairs"]] == [("B", "A ")]
    assert sy.records.read(path, models=["B ", "A"]).names == ("B", "A ")
    made = sy.report.comparison(sy.records.read(path), baseline="A", models=["B  "])
    assert [(pair.model, pair.baseline) for pair in made.pairs] == [("B", "A ")]
    both = tmp_path / "both.csv"
    both.write_text(path.read_text().replace(",B,", ",A,"))
    assert json.loads(run("compare", both, "--baseline", "A", "--json", "-").stdout)["pairs"][0]["model"] == "A "
    bad(run("compare", both, "--baseline", " A"), "--baseline: expected one of the models 'A ', 'A'; got ' A'")


PADDED = (("A ", 2), ("B", 3))


def test_a_choice_that_is_none_is_refused_in_our_words(
    base: Path, better: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["compare", str(base), str(better), "--fail-on", "better"]) == 2
    assert "Invalid value for '--fail-on': 'better' is not one of 'worse', " in capsys.readouterr().err


def test_a_baseline_that_is_misspelt_is_refused_whatever_models_are_named(base: Path, better: Path) -> None:
    bad(
        run("compare", base, better, "--baseline", "bse", "--models", "better"),
        "--baseline: expected one of the models",
        "'bse'",
    )
