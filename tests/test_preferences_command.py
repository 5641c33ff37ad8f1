"""``steelyard preferences``: files of pairs, their columns, the report and its forms."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import cli, records, report
from steelyard._exit import Exit
from steelyard.errors import RecordError


def pairs(n: int = 60) -> list[dict[str, Any]]:
    """Pairs with scores, sources and log-probabilities under the names that trainers give them."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        u = float(rng.normal(6, 12))
        rows.append({
            "prompt": f"Why {i // 2}?", "chosen": "So " * int(rng.integers(1, 20)) + f"{i}",
            "rejected": "No " * int(rng.integers(1, 15)) + f"{i}", "subset": "ab"[i % 2], "split": ("train", "test")[i % 3 == 0],
            "chosen_rating": 3 + round(u / 20, 2), "rejected_rating": 3,
            "logps/chosen": -50 + u / 2, "logps/rejected": -50 - u / 2, "ref_logps/chosen": -49.0, "ref_logps/rejected": -49.0,
        })  # fmt: skip
    return rows


def written(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sentence_of(path: Path, **options: Any) -> str:
    with pytest.raises(RecordError) as error:
        records.preferences(path, **options)
    return str(error.value).removeprefix(str(path))


# ---- the reader


def test_usual_names_are_guessed_and_told(tmp_path: Path) -> None:
    found = records.preferences(written(tmp_path / "a.jsonl", pairs()))
    assert found.columns == {
        "prompt": "prompt", "chosen": "chosen", "rejected": "rejected", "source": "subset",
        "score_chosen": "chosen_rating", "score_rejected": "rejected_rating", "policy_chosen": "logps/chosen",
        "policy_rejected": "logps/rejected", "reference_chosen": "ref_logps/chosen",
        "reference_rejected": "ref_logps/rejected",
    }  # fmt: skip
    assert len(found) == 60
    assert found.places[4] == f"{tmp_path / 'a.jsonl'}, line 5"
    assert "source = subset" in found.guesses
    off = records.preferences(tmp_path / "a.jsonl", policy_chosen="none", source="none", score_chosen="none")
    assert "source" not in off.columns
    assert not {"policy_chosen", "score_chosen"} & off.columns.keys()


def test_every_format_holds_the_same(tmp_path: Path) -> None:
    rows = pairs(12)
    for row in rows:
        row["chosen"] = [{"role": "user", "content": "x" * 300}, {"role": "assistant", "content": row["chosen"]}]
        row["rejected"] = [{"role": "user", "content": "x" * 300}, {"role": "assistant", "content": row["rejected"]}]
        del row["prompt"]
    lines = written(tmp_path / "a.jsonl", rows)
    (tmp_path / "b.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines.read_bytes()))
    files = ["a.jsonl", "b.json", "c.jsonl.gz"]
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        pass
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
        files.append("d.parquet")
    made = [report.preferences(records.preferences(tmp_path / file)).audit for file in files]
    assert all(one == made[0] for one in made)
    assert made[0].texts is not None
    assert made[0].texts.implicit_prompts == 12
    assert made[0].texts.prompts == 1


def test_parquet_of_texts(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    long = [f"{'word ' * 100}{i}" for i in range(4)]  # beyond what records of evaluations keep
    pq.write_table(
        pa.table({"prompt": ["p"] * 4, "chosen": long, "rejected": ["b"] * 4, "n": [1, 2, 3, 4]}),
        tmp_path / "a.parquet",
    )
    found = records.preferences(tmp_path / "a.parquet", where="n>1")
    assert found.texts["chosen"] == long[1:]
    assert found.places[0].endswith("row 2")
    assert found.left_out == {"where n is not > 1": 1}


def test_columns_by_dotted_path_and_conditions(tmp_path: Path) -> None:
    rows = [
        {"data": {"good": "aa", "bad": "b"}, "meta": {"split": "test"}}, {"data": {"good": "c", "bad": "dd"}, "meta": {"split": "train"}},
        {"data": {"good": "ee", "bad": "f"}},
    ]  # fmt: skip
    path = written(tmp_path / "a.jsonl", rows)
    found = records.preferences(path, chosen="data.good", rejected="data.bad", where="meta.split==test")
    assert found.texts["chosen"] == ["aa"]
    assert found.left_out == {"without meta.split": 1, "where meta.split is not test": 1}
    assert found.read == {str(path): 3}


def test_files_are_joined_with_what_each_has(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [{"chosen": "a", "rejected": "b", "margin": 1}])
    written(tmp_path / "b.jsonl", [{"chosen": "c", "rejected": "d"}])
    found = records.preferences(tmp_path)
    assert found.texts["chosen"] == ["a", "c"]
    np.testing.assert_array_equal(found.numbers["score_margin"], [1.0, np.nan])


def test_guesses_that_do_not_fit_are_taken_back(tmp_path: Path) -> None:
    rows = [
        {"chosen": "a", "rejected": f"b{i}", "chosen_score": "high", "rejected_score": 1, "source": f"url {i}"}
        for i in range(60)
    ]
    found = records.preferences(written(tmp_path / "a.jsonl", rows))
    assert set(found.columns) == {"chosen", "rejected"}
    assert [note.partition(": ")[2] for note in found.notes] == [
        "'chosen_score' is not read as the score chosen: it does not hold numbers",
        "'rejected_score' is not read as the score rejected: what belongs to it is not there",
        "'source' is not read as the source: it has more than 50 values",
    ]
    said = sentence_of(tmp_path / "a.jsonl", score_chosen="chosen_score", score_rejected="rejected_score")
    assert said.startswith(", line 1: 'chosen_score': expected a number")
    assert "score_chosen=" in said


@pytest.mark.parametrize(
    ("row", "options", "said"),
    [
        ({"a": 1, "chosen_text": 2}, {},
         ": expected answers in columns such as 'chosen' and 'rejected', or 'completion' and 'label'; got the columns 'a', "
         "'chosen_text'; name them with chosen='chosen_text' rejected='COLUMN'"),
        ({"chosen": "a", "rejected_text": "b"}, {},
         ": expected a column for the rejected beside 'chosen'; got the columns 'chosen', 'rejected_text'; name it with "
         "rejected='rejected_text'"),
        ({"chosen": "a", "rejected": "b"}, {"prompt": "promt"},
         ": expected a column 'promt' for prompt=; got the columns 'chosen', 'rejected'; name one of them"),
        ({"chosen": "a", "rejected": "b", "split": "x"}, {"where": "split==y"},
         ": expected records where split==y; got none, since 'split' is 'x'; change where="),
    ],
)  # fmt: skip
def test_bad_columns_are_one_sentence(tmp_path: Path, row: Any, options: Any, said: str) -> None:
    assert sentence_of(written(tmp_path / "a.jsonl", [row]), **options) == said


def test_other_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("chosen,rejected\na,b\n")
    assert sentence_of(path).startswith(
        ": expected pairs as JSON Lines, a JSON array or Parquet; got 'chosen,rejected'"
    )
    path.write_text("")
    assert "an empty file" in sentence_of(path)
    path.write_text("[]")
    assert sentence_of(path) == ": expected at least one pair; got no rows; check the file"
    path.write_text('{"chosen": "a", "rejected": "b"}\n{"chosen": "a", \n')
    assert sentence_of(path).startswith(", line 2: expected a JSON object; got text that is not JSON")


# ---- the report


def test_the_report_is_the_audit_of_the_columns(tmp_path: Path) -> None:
    rows = pairs()
    made = report.preferences(records.preferences(written(tmp_path / "a.jsonl", rows)), beta=0.2)
    column = {name: [row[name] for row in rows] for name in rows[0]}
    direct = sy.preference.audit(
        column["chosen"], column["rejected"], prompts=column["prompt"], sources=column["subset"],
        policy_chosen=column["logps/chosen"], policy_rejected=column["logps/rejected"],
        reference_chosen=column["ref_logps/chosen"], reference_rejected=column["ref_logps/rejected"],
        score_chosen=column["chosen_rating"], score_rejected=column["rejected_rating"], beta=0.2,
    )  # fmt: skip
    assert made.audit == direct
    confidence, right, clusters = direct.forecasts()
    assert made.reliability is not None
    assert made.reliability.ece == sy.reliability(confidence, right, clusters=clusters, n_bins=20).ece
    assert made.doubtful[0].startswith(f"{tmp_path / 'a.jsonl'}, line ")


def test_bins_are_even() -> None:
    data = records.Preferences(
        {"chosen": ["a"], "rejected": ["b"]}, {}, {}, ("a, line 1",), (1,), ("a",), {"a": 1}, {}, (), ()
    )
    with pytest.raises(ValueError, match="bins: expected an even number"):
        report.preferences(data, bins=15)


def run(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_prints_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.jsonl", pairs())
    code, out, _ = run(["preferences", str(path), "--beta", "0.05"], capsys)
    assert code == Exit.FINE
    assert out.startswith("60 pairs of 30 prompts, 95 % intervals\n")
    for words in (
        "Shares of the pairs",
        "chosen is longer",
        "likeliest beta",
        "Readings, the best",
        "By source",
        "Worth labelling",
    ):
        assert words in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_command_writes_page_and_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, page, data = written(tmp_path / "a.jsonl", pairs()), tmp_path / "page.html", tmp_path / "data.json"
    words = ["preferences", str(path), "--html", str(page), "--json", str(data), "--quiet", "--title", "My <pairs>"]
    code, out, err = run(words, capsys)
    assert (code, out) == (Exit.FINE, "")
    assert err == f"page written to {page}\n"
    made = json.loads(data.read_text())
    assert made["audit"]["pairs"] == 60
    assert made["audit"]["sweep"]["readings"][0]["name"]
    html = page.read_text()
    assert "<h1>My &lt;pairs&gt;</h1>" in html
    assert html.count("<svg") > 5
    assert "<script" not in html
    before = page.read_bytes()
    assert run(words, capsys)[0] == Exit.FINE
    assert page.read_bytes() == before


def test_markdown_and_notebook(tmp_path: Path) -> None:
    made = report.preferences(records.preferences(written(tmp_path / "a.jsonl", pairs())))
    assert "### Shares of the pairs" in made.to_markdown()
    assert "chosen is longer" in made._repr_html_()
    made.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == made.page()


def test_the_job_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert run(["preferences", str(written(tmp_path / "a.jsonl", pairs()))], capsys)[0] == Exit.FINE
    assert "### Shares of the pairs" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        ([{"a": 1}], [], r"a.jsonl: expected answers in columns .*; name them with --chosen COLUMN --rejected COLUMN"),
        ([{"chosen": "a"}], [], r"a.jsonl: expected a column for the rejected beside 'chosen'; .* with --rejected COLUMN"),
        ([{"chosen": "a", "rejected": "a"}], [], r"--chosen: expected at least one pair of two different answers; got none in 1"),
        ([{"chosen": "a", "rejected": "b"}], ["--beta", "0"], r"--beta: expected a finite number above 0; got 0"),
        ([{"chosen": "a", "rejected": "b"}], ["--bins", "7"], r"--bins: expected an even number"),
        ([{"chosen": "a", "rejected": "b"}], ["--folds", "1"], r"--folds: expected a whole number, at least 2; got 1"),
        ([{"chosen": "a", "rejected": "b"}], ["--doubts", "-1"], r"--doubts: expected a whole number, at least 0; got -1"),
        ([{"chosen": "a", "rejected": "b", "p": 1.0}], ["--policy-chosen", "p"],
         r"--policy-rejected: expected a column, as --policy-chosen is one; got None"),
    ],
)  # fmt: skip
def test_bad_input_is_a_sentence_in_the_words_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: Any, words: list[str], said: str
) -> None:
    code, out, err = run(["preferences", str(written(tmp_path / "a.jsonl", rows)), *words], capsys)
    assert (code, out) == (Exit.BAD_INPUT, "")
    assert re.search(said, err)
    assert len(err.splitlines()) == 1


def test_single_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": f"p{i // 4}", "completion": "x" * (i % 7 + 1), "label": i % 3 == 0} for i in range(40)]
    code, out, _ = run(["preferences", str(written(tmp_path / "a.jsonl", rows))], capsys)
    assert code == Exit.FINE
    assert "a desirable answer is longer" in out
    assert "desirable answers" in out


def test_cautions(tmp_path: Path) -> None:
    rows = [{"chosen": "a b", "rejected": "c", "policy_chosen": -1.0, "policy_rejected": -3.0 - i} for i in range(8)]
    made = report.preferences(
        records.preferences(written(tmp_path / "a.jsonl", [*rows, {"chosen": 3, "rejected": "b"}]))
    )
    text = str(made)
    assert "Caution: 1 of 9 rows enter no estimate (1 chosen is no text and no conversation)" in text.replace(
        "\n  ", " "
    )
    assert "Caution: 7 rows repeat an earlier one word for word" in text.replace("\n  ", " ")
    assert "Caution: beta has no finite maximum" in text
    assert made.to_dict()["audit"]["rewards"]["fitted_beta"]["value"] == "Infinity"
    assert math.isinf(made.audit.rewards.fitted_beta.value)  # type: ignore[union-attr]
    assert "<svg" in made.page()


def test_text_from_data_cannot_become_markup(tmp_path: Path) -> None:
    rows = [
        {"prompt": "<b>\x1b[31m", "chosen": "<script>alert(1)</script>", "rejected": "x\n" * i, "score_margin": -i}
        for i in range(1, 6)
    ]
    made = report.preferences(records.preferences(written(tmp_path / "a.jsonl", rows)))
    assert "<script>" not in made.page()
    assert "\x1b" not in str(made)
