"""The report: what it computes on real and made-up records, and that its page is safe whatever a model is called."""

from __future__ import annotations

import csv
import io
import json
import re
import runpy
import warnings
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import records, report
from steelyard._text import printable
from steelyard.errors import RecordError
from steelyard.report import figures, sections, tables, words

HOSTILE = "<script>alert(1)</script>\"'&|`$x_1$ [a](http://evil) 模型 \x1b[31m\n\ud800"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def answers(tmp_path: Path) -> Callable[..., records.Runs]:
    """Records of models that answer question i right where a generator says so."""

    def make(*models: str, n: int = 200, clusters: bool = False, seed: int = 7, **read: Any) -> records.Runs:
        rng = np.random.default_rng(seed)
        rows = []
        for k, model in enumerate(models):
            p = np.round(rng.random(n) * 0.5 + 0.5, 3)
            right = rng.random(n) < p - 0.05 * k
            rows += [
                {
                    "id": i,
                    "model": model,
                    "correct": bool(right[i]),
                    "confidence": float(p[i]),
                    "loglikelihood": -float(i % 7 + k) / 2,
                    "n_tokens": i % 5 + 1,
                    **({"cluster": f"c{i // 5}"} if clusters else {}),
                }
                for i in range(n)
            ]
        return records.read(write(tmp_path / "answers.jsonl", rows), **read)

    return make


class Page(HTMLParser):
    """What a browser would see: tags with attributes, ids, text by element, tables."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input", "use", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip()


def tables_of(made: report.Report) -> list[tables.Table]:
    return [table for block in sections.blocks(made) for table in block.tables]


def page_of(made: report.Report, tmp_path: Path) -> tuple[str, Page]:
    path = tmp_path / "page.html"
    made.to_html(path)
    html = path.read_text(encoding="utf-8")
    return html, Page(html)


# ---- the real files give the figures of their sources


@pytest.fixture(scope="module")
def gsm8k(data_dir: Path) -> report.Report:
    return report.build(records.read(data_dir / "gsm8k_four_models.jsonl"), baseline="175b_finetuning")


def test_gsm8k_scores(gsm8k: report.Report) -> None:
    right = {m.name: round(float(m.score) * 1319) for m in gsm8k.models if m.score is not None}
    assert right == {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}
    assert {m.n for m in gsm8k.models} == {1319}


def test_gsm8k_paired_difference(gsm8k: report.Report) -> None:
    pair = next(pair for pair in gsm8k.pairs if pair.model == "6b_verification")
    assert float(pair.difference) == pytest.approx(0.0432146, abs=5e-8)
    assert pair.difference.standard_error == pytest.approx(0.0143611, abs=5e-8)
    assert pair.p_value == pytest.approx(0.00268739, abs=5e-9)
    assert (pair.wins, pair.losses, pair.ties, pair.unmatched) == (209, 152, 958, 0)
    assert pair.verdict == "better"
    text = str(gsm8k)
    assert re.search(r"6b_verification +\+0\.0432 +\[0\.015\d, 0\.071\d\]", text)


def test_calibration_of_real_files(data_dir: Path) -> None:
    files = sorted((data_dir / "calibration").glob("*.csv"))
    made = report.build(records.read(files))
    ece = {m.name: float(m.reliability.ece) for m in made.models if m.reliability is not None}
    expected = {
        "resnet110_c10": 4.7504,
        "resnet110_c100": 18.4805,
        "densenet40_c10": 5.5003,
        "densenet40_c100": 21.1563,
    }
    assert {name: round(100 * value, 4) for name, value in ece.items()} == expected
    assert made.pairs == ()
    assert any("no id" in note for note in made.notes)  # not silently left uncompared


def test_lm_eval_file(data_dir: Path) -> None:
    made = report.build(records.read(next((data_dir / "lm_eval").glob("samples_*.json"))))
    (model,) = made.models
    assert float(model.score) == pytest.approx(0.5369458128, abs=1e-10)
    assert model.score.standard_error == pytest.approx(0.0202222441, abs=1e-10)
    assert "609 with a list as 'f1'" in str(made)


# ---- each number is what the call of its room gives


def test_every_number_is_the_rooms(answers: Callable[..., records.Runs]) -> None:
    runs = answers("base", "new")
    made = report.build(runs, confidence_level=0.9)
    run, model = runs["new"], made.models[1]
    assert model.score == sy.estimate(run.score, confidence_level=0.9)
    assert model.reliability.ece == sy.reliability(run.confidence, run.score == 1, confidence_level=0.9).ece
    total = -run.loglikelihood.sum() / run.n_tokens.sum()
    assert float(model.perplexity) == pytest.approx(np.exp(total), rel=1e-12)
    assert model.perplexity.n_clusters == 200  # each record is a text of its own
    scores = runs.scores()
    direct = sy.compare(scores["new"], baseline=scores["base"], confidence_level=0.9)
    (pair,) = made.pairs
    assert pair.difference == direct.difference
    assert pair.p_value == pair.p_adjusted == direct.p_value
    assert pair.verdict == direct.verdict(0.0)


def test_many_models_agree_with_one_call_of_compare(answers: Callable[..., records.Runs]) -> None:
    runs = answers("a", "b", "c", n=400)
    made = report.build(runs, baseline="a", margin=0.02)
    direct = sy.compare(runs.scores(), baseline="a")
    assert [pair.model for pair in made.pairs] == list(direct.names)
    assert [pair.p_adjusted for pair in made.pairs] == list(direct.p_adjusted)
    assert [pair.difference.low for pair in made.pairs] == list(direct.difference.low)
    assert [pair.verdict for pair in made.pairs] == list(direct.verdict(0.02))


def test_clusters_reach_every_number(answers: Callable[..., records.Runs]) -> None:
    read = report.build(answers("base", "new", clusters=True))
    named = report.build(answers("base", "new", clusters=True, cluster="none"), clusters="cluster")
    for made in (read, named):
        assert [m.score.n_clusters for m in made.models] == [40, 40]
        assert [m.perplexity.n_clusters for m in made.models] == [40, 40]
        assert made.pairs[0].difference.n_clusters == 40
    assert [m.score for m in read.models] == [m.score for m in named.models]
    assert read.pairs[0].difference == named.pairs[0].difference


@pytest.mark.parametrize("with_it", ["base", "new"])
def test_clusters_of_either_model_reach_the_difference(tmp_path: Path, with_it: str) -> None:
    files = {}
    for name in ("base", "new"):
        rows = [{"id": i, "correct": (i * 7 + len(name)) % 3 > 0} for i in range(60)]
        if name == with_it:
            rows = [row | {"cluster": f"c{row['id'] // 5}"} for row in rows]
        files[name] = tmp_path / f"{name}.jsonl"
        files[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = report.build(records.read([files["base"], files["new"]]), baseline="base")
    assert made.pairs[0].difference.n_clusters == 12


def test_epochs_are_clusters_and_pair_by_their_mean(tmp_path: Path) -> None:
    rows = [
        {"id": i, "epoch": e, "model": m, "correct": (i * 7 + e * 3 + k) % 5 > 1}
        for k, m in enumerate(("base", "new"))
        for i in range(50)
        for e in range(4)
    ]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows)))
    assert [(m.n, m.score.n_clusters) for m in made.models] == [(200, 50), (200, 50)]
    assert made.pairs[0].difference.n == 50
    assert made.pairs[0].difference.n_clusters is None


def test_every_pair_up_to_four_models_then_the_first(answers: Callable[..., records.Runs]) -> None:
    assert len(report.build(answers(*"abcd")).pairs) == 6
    made = report.build(answers(*"abcde"))
    assert [(pair.model, pair.baseline) for pair in made.pairs] == [(name, "a") for name in "bcde"]
    assert any("more than 4 models" in note for note in made.notes)


def test_unmatched_ids_are_counted(tmp_path: Path) -> None:
    base = write(tmp_path / "base.jsonl", [{"id": i, "correct": i % 3 > 0} for i in range(100)])
    new = write(tmp_path / "new.jsonl", [{"id": i, "correct": i % 4 > 0} for i in range(10, 105)])
    made = report.build(records.read([base, new]))
    assert (made.pairs[0].difference.n, made.pairs[0].unmatched) == (90, 15)
    assert "90 ids matched, 15 unmatched" in str(made)


def test_models_that_share_no_id_are_said_to_be_uncompared(tmp_path: Path) -> None:
    base = write(tmp_path / "base.jsonl", [{"id": i, "correct": i % 3 > 0} for i in range(20)])
    new = write(tmp_path / "new.jsonl", [{"id": 1000 + i, "correct": i % 3 > 0} for i in range(20)])
    runs = records.read([base, new])
    made = report.build(runs)
    assert made.pairs == ()
    assert any("new and base are not compared" in note for note in made.notes)
    with pytest.raises(RecordError, match="ids that all models have"):
        report.build(runs, baseline="base")


def test_rows_without_confidence_and_graded_scores_are_said(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 3 > 0, "confidence": None if i < 4 else 0.7} for i in range(30)]
    made = report.build(records.read(write(tmp_path / "some.jsonl", rows)))
    assert made.models[0].reliability.n == 26
    assert "some: 4 of 30 records have no confidence" in made.notes
    rows = [{"id": i, "score": i / 30, "confidence": 0.7} for i in range(30)]
    made = report.build(records.read(write(tmp_path / "graded.jsonl", rows)))
    assert made.models[0].reliability is None
    assert any("no calibration of graded" in note for note in made.notes)


def test_progress_counts_models_and_pairs(answers: Callable[..., records.Runs]) -> None:
    told: list[tuple[int, int]] = []
    report.build(answers("a", "b", "c"), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 6), (2, 6), (3, 6), (6, 6)]


def test_unknown_baseline_is_refused(answers: Callable[..., records.Runs]) -> None:
    with pytest.raises(ValueError, match=r"^baseline: expected one of the models 'a', 'b'; got 'c'"):
        report.build(answers("a", "b"), baseline="c")


def test_lower_is_better_turns_the_verdict(answers: Callable[..., records.Runs]) -> None:
    runs = answers("base", "new", n=2000)
    up, down = report.build(runs), report.build(runs, higher_is_better=False)
    assert up.pairs[0].difference.value == down.pairs[0].difference.value
    assert {up.pairs[0].verdict, down.pairs[0].verdict} == {"worse", "better"}


# ---- the page


@pytest.fixture
def hostile(tmp_path: Path) -> report.Report:
    names = [HOSTILE, "a" * 150, "plain", "plain\t2"]
    rows = [
        {"id": i, "model": m, "correct": (i * k) % 7 > 2, "confidence": 0.6, "loglikelihood": -1.5}
        for k, m in enumerate(names, start=2)
        for i in range(60)
    ]
    return report.build(records.read(write(tmp_path / "<b>.jsonl", rows)))


def test_page_runs_and_loads_nothing(hostile: report.Report, tmp_path: Path) -> None:
    html, page = page_of(hostile, tmp_path)
    forbidden = {"script", "link", "img", "iframe", "object", "embed", "form", "base", "foreignobject", "image", "a"}
    assert not forbidden & page.tags.keys()
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in ("src", "srcset", "action", "xmlns"), (tag, name)
        if "href" in name:
            assert value.startswith("#"), (tag, value)
        assert "://" not in value or name in ("aria-label", "data-label"), (tag, name, value)
        assert "javascript:" not in value.lower()
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, flags=re.S))
    assert "url(" not in styles
    assert "@import" not in styles
    assert page.tags["style"] == 1  # no figure brings rules for the whole page
    assert page.open == []


def test_page_ids_are_unique_and_resolve(hostile: report.Report, tmp_path: Path) -> None:
    html, page = page_of(hostile, tmp_path)
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert [one for one, n in ids.items() if n > 1] == []
    used = {value.removeprefix("#") for _, name, value in page.attributes if "href" in name}
    used |= set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {value for _, name, value in page.attributes if name == "aria-labelledby"}
    assert used
    assert used <= ids.keys()


def test_page_shows_hostile_names_as_text(hostile: report.Report, tmp_path: Path) -> None:
    html, page = page_of(hostile, tmp_path)
    shown = printable(hostile.models[0].name)
    assert [shown, printable("a" * 150), "plain", "plain\\t2"] == [row[0] for row in page.rows[1:5]]
    assert "\x1b" not in html
    # The mark, scores, differences, diagrams, proper scores and perplexity; intervals also for narrow screens.
    assert page.tags["svg"] == 1 + 2 + 2 + 4 + 2 + 2


def test_page_tables_have_captions_and_headings(hostile: report.Report, tmp_path: Path) -> None:
    _, page = page_of(hostile, tmp_path)
    assert page.tags["table"] == page.tags["caption"] == len(list(tables_of(hostile)))
    scopes = Counter(value for tag, name, value in page.attributes if (tag, name) == ("th", "scope"))
    assert scopes["row"] == sum(len(table.rows) + len(table.more) for table in tables_of(hostile))
    assert scopes.total() == page.tags["th"]
    labels = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == page.tags["svg"] - 1


def test_page_is_the_same_bytes_each_time(hostile: report.Report, tmp_path: Path) -> None:
    first, _ = page_of(hostile, tmp_path)
    again, _ = page_of(hostile, tmp_path)
    assert first == again


def test_page_leaves_the_callers_matplotlib_alone(hostile: report.Report, tmp_path: Path) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    with mpl.rc_context({"font.size": 17.0, "figure.dpi": 55.0}):
        before, figures = dict(mpl.rcParams), plt.get_fignums()
        page_of(hostile, tmp_path)
        assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == figures


def test_page_is_drawn_without_a_warning_in_any_script(hostile: report.Report, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        html, _ = page_of(hostile, tmp_path)
    assert "<svg" in html


def test_page_says_what_was_read_guessed_and_left_out(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": None if i == 3 else i % 3 > 0} for i in range(30)]
    made = report.build(records.read(write(tmp_path / "base.jsonl", rows)))
    _, page = page_of(made, tmp_path)
    for said in (
        "base.jsonl",
        "score = correct",
        "1 no score",
        f"numerics {sy.show_config(mode='dicts')['numerics']}",
    ):
        assert said in page.text


# ---- sections of the caller's own


def drawn(figure: Any) -> None:
    figure.add_subplot().semilogy([1, 2], [3, 4000])
    figure.suptitle("a curve of my own")


@pytest.fixture
def supplied(answers: Callable[..., records.Runs]) -> report.Report:
    rate, mean = sy.proportion(90, 100), sy.estimate([0.25, 0.5, 1.0, 0.75], clusters=[0, 0, 1, 1])
    mine = report.Section(f"Mine {HOSTILE}", f"Why: {HOSTILE}", {"rate": rate, HOSTILE: mean}, drawn)
    return report.build(answers("base"), sections=[mine, report.Section("Bare", "words alone")])


def test_supplied_sections_are_on_the_page(supplied: report.Report, tmp_path: Path) -> None:
    html, page = page_of(supplied, tmp_path)
    hostile = printable(HOSTILE)
    for said in (f"Mine {hostile}", f"Why: {hostile}", "a curve of my own", "Bare", "words alone"):
        assert said in page.text
    assert "mathdefault" not in html  # the labels of a logarithmic axis are set, not spelled out
    assert not {"script", "a", "img"} & page.tags.keys()
    assert page.open == []
    rows = {row[0]: row for row in page.rows if row}
    assert rows["rate"][1:4] == ["100", "0.9000", "[0.8256, 0.9448]"]
    assert rows[hostile][1] == "4 in 2"
    assert html == page_of(supplied, tmp_path)[0]


def test_supplied_sections_are_in_text_markdown_and_data(supplied: report.Report) -> None:
    text, markdown = str(supplied), supplied.to_markdown()
    assert re.search(r"^rate +100 +0\.9000 +\[0\.8256, 0\.9448\]", text, flags=re.M)
    assert "\n\nBare\nwords alone\n\n" in text
    assert max(map(tables.width_of, text.splitlines())) <= 80
    assert "### Bare\n\nwords alone\n" in markdown
    assert "| rate | 100 | 0.9000 | \\[0.8256, 0.9448\\] |" in markdown
    assert "<script" not in markdown
    data = json.loads(json.dumps(supplied.to_dict(), allow_nan=False))
    assert data["sections"][0]["estimates"]["rate"] == sy.proportion(90, 100).to_dict()
    assert data["sections"][1] == {"title": "Bare", "text": "words alone", "estimates": {}}


def test_what_is_no_section_is_refused(answers: Callable[..., records.Runs]) -> None:
    with pytest.raises(TypeError, match=r"^sections\[1\]: expected a report.Section; got str"):
        report.build(answers("base"), sections=[report.Section("a"), "b"])
    with pytest.raises(TypeError, match=r"^title: expected a string; got int 3"):
        report.Section(3)
    with pytest.raises(TypeError, match=r"^estimates: expected a dictionary of Estimates; got list"):
        report.Section("a", estimates=[sy.proportion(1, 2)])
    with pytest.raises(TypeError, match=r"^estimates\['rate'\]: expected an Estimate; got float 0.5"):
        report.Section("a", estimates={"rate": 0.5})
    many = sy.estimate(np.eye(4))
    with pytest.raises(ValueError, match=r"^estimates\['rate'\]: expected an Estimate of one problem; got 4"):
        report.Section("a", estimates={"rate": many})
    with pytest.raises(TypeError, match=r"^draw: expected a function of a Matplotlib figure; got str"):
        report.Section("a", draw="<svg/>")


# ---- text, Markdown, data


def test_a_p_value_that_underflows_is_not_shown_as_zero(tmp_path: Path) -> None:
    rows = [{"id": i, "model": m, "correct": m == "new"} for m in ("base", "new") for i in range(3000)]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows)))
    assert "p &lt; 1e-16, 3,000 shared ids" in made.to_markdown()
    assert re.search(r"new +\+1\.0+ .* <1e-16 ", str(made))


def test_text_fits_and_loses_nothing(hostile: report.Report) -> None:
    text = str(hostile)
    assert max(map(tables.width_of, text.splitlines())) <= 80
    assert all(c.isprintable() or c == "\n" for c in text)
    scores = text.split("\n\n")[1].splitlines()
    assert sum(len(re.match("a*", line)[0]) for line in scores) == 150
    assert "\\x1b[31m" in re.sub(r"\s", "", text)


def test_fold_keeps_every_character() -> None:
    for text in ("a" * 50, "one two three-four_five/six.seven", "模型" * 30, ""):
        pieces = tables.fold(text, 12)
        assert "".join(pieces) == text
        assert max(map(tables.width_of, pieces)) <= 12


def test_markdown_cannot_be_broken_by_a_name(hostile: report.Report) -> None:
    markdown = hostile.to_markdown()
    assert "<script" not in markdown
    assert "://" not in markdown
    assert "\x1b" not in markdown
    for table in tables_of(hostile):
        lines = list(tables.markdown_lines(table))
        bars = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
        assert bars == [len(table.columns) + 1] * (len(table.rows) + 2)


def test_data_is_json_and_equals_the_table(hostile: report.Report) -> None:
    data = json.loads(json.dumps(hostile.to_dict(), allow_nan=False))
    scores = next(table for table in tables_of(hostile) if table.title == "Score of each model")
    for row, model in zip(scores.rows, data["models"], strict=True):
        assert row[0] == printable(model["name"])
        places = len(row[2].partition(".")[2])
        assert row[2] == f"{model['score']['value']:.{places}f}"
        assert row[3] == f"[{model['score']['low']:.{places}f}, {model['score']['high']:.{places}f}]"
    assert [pair["verdict"] for pair in data["pairs"]] == [pair.verdict for pair in hostile.pairs]
    assert data["steelyard"]["version"] == sy.__version__


def test_infinite_perplexity_is_shown_and_is_json(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 2 == 0, "loglikelihood": "-Infinity" if i == 5 else -1.0} for i in range(10)]
    made = report.build(records.read(write(tmp_path / "base.jsonl", rows)))
    assert float(made.models[0].perplexity) == float("inf")
    assert re.search(r"base +10 +10 +inf", str(made))
    json.dumps(made.to_dict(), allow_nan=False)
    page_of(made, tmp_path)


def test_one_model_with_nothing_but_scores(tmp_path: Path) -> None:
    path = tmp_path / "only.csv"
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([["correct"], *[[i % 2] for i in range(20)]])
    path.write_text(out.getvalue())
    made = report.build(records.read(path))
    assert str(made).startswith("1 model, 20 records, 95 % intervals")
    _, page = page_of(made, tmp_path)
    assert page.tags["table"] == 1


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (0.25, 2, False, "0.25"),
        (0.25, 2, True, "+0.25"),
        (-0.00004, 3, True, "0.000"),
        (0.0, 2, True, "0.00"),
        (1234.5, 1, False, "1,234.5"),
        (None, 3, False, "-"),
        (float("inf"), 3, False, "inf"),
        (float("nan"), 3, False, "nan"),
    ],
)
def test_numbers_in_words(value: float | None, digits: int, signed: bool, text: str) -> None:
    assert words.number(value, digits, signed=signed) == text


def test_the_example_runs(tmp_path: Path) -> None:
    example = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "report.py"))
    example["main"](str(tmp_path))
    html = (tmp_path / "example.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "tuned is better than base" in page.text
    assert page.tags["svg"] == 1 + 2 + 2 + 3 + 2 + 2


# ---- what a reader sees agrees with what was decided


def discordant(tmp_path: Path, *models: tuple[str, int, int], n: int = 200) -> report.Report:
    """A report on models that win and lose so many of n ids against the base."""
    rows = [{"id": i, "model": "base", "correct": i % 2 == 1} for i in range(n)]
    for name, wins, losses in models:
        turned = {*range(0, 2 * wins, 2), *range(1, 2 * losses, 2)}
        rows += [{"id": i, "model": name, "correct": (i % 2 == 1) != (i in turned)} for i in range(n)]
    return report.build(records.read(write(tmp_path / "r.jsonl", rows)), baseline="base")


def test_the_interval_that_decides_is_shown_beside_the_verdict(tmp_path: Path) -> None:
    made = discordant(tmp_path, ("alike", 9, 9), ("near", 20, 8), ("far", 40, 8))
    near = made.pairs[1]
    assert near.difference.low > 0 > near.simultaneous.low
    assert (near.verdict, near.verdict_unadjusted) == ("undecided", "better")
    level = 1 - 0.05 / 3
    scores = records.read(tmp_path / "r.jsonl").scores()
    direct = sy.compare(scores["near"], baseline=scores["base"], confidence_level=level)
    assert near.simultaneous == direct.difference
    decides = f"[{near.simultaneous.low:.4f}, {near.simultaneous.high:.4f}]"
    html, page = page_of(made, tmp_path)
    rows = {row[0]: row for row in page.rows}
    at = rows["model"].index("at 98.33 %")
    assert rows["near"][at] == decides
    text = " ".join(str(made).split())
    assert f"near - base is {decides} at 98.33 %: undecided; at 95 % alone it would be better." in text
    assert "far - base is" not in text
    for shown in (page.text.replace("\u00a0", " "), made.to_markdown().replace("\\", "")):
        assert f"(at 98.33 % {decides})" in shown
    differences = html[html.index('aria-label="Paired differences') :]
    differences = differences[: differences.index("</svg>")]
    colours = {verdict: differences.count(f"fill: {colour}".lower()) for verdict, colour in figures.VERDICTS.items()}
    assert [colours[pair.verdict] > 0 for pair in made.pairs] == [True] * 3
    assert colours["worse"] == 0


def test_bars_have_the_colour_of_the_verdict(tmp_path: Path) -> None:
    for higher, verdicts in ((True, ["better", "worse"]), (False, ["worse", "better"])):
        rows = [
            {"id": i, "model": m, "score": i % 5 + k * (1 + i % 3) / 3} for m, k in (("base", 0), ("up", 1), ("down", -1))
            for i in range(60)
        ]  # fmt: skip
        runs = records.read(write(tmp_path / "r.jsonl", rows))
        made = report.build(runs, baseline="base", higher_is_better=higher)
        assert [pair.verdict for pair in made.pairs] == verdicts
        html, _ = page_of(made, tmp_path)
        drawn = html[html.index('aria-label="Paired differences') :]
        dots = re.findall(r'style="fill: (#\w+); stroke: #ffffff', drawn[: drawn.index("</svg>")])
        assert [dot.upper() for dot in dots if dot.upper() in figures.VERDICTS.values()] == [
            figures.VERDICTS[verdict] for verdict in verdicts
        ]


def test_few_clusters_are_said_with_the_smallest_p(answers: Callable[..., records.Runs]) -> None:
    made = report.build(answers("base", "new", n=30, clusters=True), baseline="base")
    assert made.pairs[0].difference.n_clusters == 6
    signs = made.pairs[0].difference.detail["signs"]  # two clusters tie
    assert (signs, made.pairs[0].smallest_p) == (4, 2 / 2**4)
    assert made.pairs[0].p_value >= made.pairs[0].smallest_p
    text = " ".join(str(made).split())
    assert "Fewer than 10 clusters (base: 6, new: 6)" in text
    assert "Only 4 of 6 clusters differ: no p below 0.125 is possible, and the interval is rough." in text
    many = report.build(answers("base", "new", n=120, clusters=True), baseline="base")
    assert many.pairs[0].smallest_p is None
    assert "ewer than 10" not in str(many)


def test_missing_answers_and_merged_records_stand_beside_the_score(tmp_path: Path) -> None:
    rows = [
        {"id": i, "epoch": e, "model": m, "target": "a", "prediction": None if i % 10 == k else "ab"[i % 3 == 0]}
        for k, m in enumerate(("base", "new"))
        for i in range(40)
        for e in range(2 if k else 1 + i % 2)
    ]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows)))
    base, new = made.models
    assert (base.n, base.no_answer, base.merged["ids"]) == (60, 4, 40)
    assert (new.n, new.no_answer, new.merged) == (80, 8, {"ids": 40, "records": 80, "fewest": 2, "most": 2})
    _, page = page_of(made, tmp_path)
    markdown, text = made.to_markdown(), " ".join(str(made).split())
    for said in ("No answer: a wrong answer, 0.", "base has 60 records of 40 ids (1 to 2 per id)"):
        assert said in page.text
        assert said in text
    assert "Read 140 records of" in text
    assert "| no answer |" in markdown
    rows = {row[0]: row for row in page.rows[:3]}
    assert rows["new"][rows["model"].index("no answer")] == "8"
    data = made.to_dict()
    assert [model["no_answer"] for model in data["models"]] == [4, 8]
    assert data["read"] == {str(tmp_path / "r.jsonl"): 140}


def test_scores_and_differences_weigh_an_id_alike(tmp_path: Path) -> None:
    rows = [{"id": 1, "model": "a", "score": 1.0}] * 3 + [{"id": 2, "model": "a", "score": 0.0}]
    rows += [{"id": i, "model": "b", "score": 0.0} for i in (1, 2)]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows), repeats="epochs"), baseline="b")
    assert [float(model.score) for model in made.models] == [0.5, 0.0]
    assert float(made.pairs[0].difference) == 0.5
    assert "Every id counts once: a has 4 records of 2 ids (1 to 3 per id)." in " ".join(str(made).split())
    rows = [
        {"id": i, "epoch": e, "model": m, "score": (i * 7 + e * 3 + k) % 5 / 4}
        for k, m in enumerate(("base", "new"))
        for i in range(50)
        for e in range(1 + (i * (k + 1)) % 3)
    ]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows)))
    base, new = (float(model.score) for model in made.models)
    assert float(made.pairs[0].difference) == pytest.approx(new - base, abs=1e-12)
    rows = [{"id": i, "correct": i % 3 > 0, "confidence": 0.7} for i in (*range(30), 0, 0)]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows), repeats="epochs"))
    rows = made.models[0]
    assert rows.reliability is not None
    for name in ("value", "low", "high", "n", "n_clusters"):
        assert getattr(rows.reliability.accuracy, name) == pytest.approx(getattr(rows.score, name), rel=1e-12)
    assert not any("counts every record" in note for note in (*made.notes, *rows.notes))


def test_calibration_and_perplexity_weigh_an_id_as_scores_do(tmp_path: Path) -> None:
    """Ids with one to three equal records are the ids with one."""
    once = [
        {
            "id": i,
            "correct": i % 3 > 0,
            "confidence": (i % 7 + 2) / 10,
            "loglikelihood": -1.0 - i % 5,
            "n_tokens": 2 + i % 4,
        }
        for i in range(40)
    ]
    often = [row for row in once for _ in range(1 + int(row["id"]) % 3)]
    one, many = (
        report.build(records.read(write(tmp_path / f"{name}.jsonl", rows), **options)).models[0]
        for name, rows, options in (("one", once, {"cluster": "id"}), ("many", often, {"repeats": "epochs"}))
    )
    assert one.reliability is not None
    assert many.reliability is not None
    pairs = [
        (getattr(one.reliability, name), getattr(many.reliability, name)) for name in ("ece", "rmsce", "mce", "gap")
    ]
    for a, b in [*pairs, (one.perplexity, many.perplexity), (one.score, many.score)]:
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), rel=1e-9)
    assert many.reliability.noise_floor == pytest.approx(one.reliability.noise_floor, rel=1e-12)
    assert many.perplexity is not None
    assert many.perplexity.detail["units"] == sum(row["n_tokens"] for row in often)
    assert many.notes == ()


def test_what_was_kept_and_left_out_is_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a long path may be broken where a line ends
    rows = [
        {"id": None if i == 7 else i, "model": None if i == 3 else "ab"[i % 2], "correct": None if i % 6 == 5 else 1}
        for i in range(60)
    ]
    text = " ".join(str(report.build(records.read(write(Path("r.jsonl"), rows)))).split())
    read = int(re.search(r"Read (\d+) records", text)[1])
    kept = [
        int(n) for n in re.findall(r"\b[ab] +(\d+) ", text.partition("Score of each model")[2].partition("Wilson")[0])
    ]
    lost = [int(n) for n in re.findall(r"Left out of \S+: (\d+) ", text)]
    assert len(kept) == 2
    assert len(lost) == 3
    assert sum(kept) + sum(lost) == read == 60


def test_an_estimate_without_an_interval_is_said_and_drawn(tmp_path: Path) -> None:
    rows = [{"id": i, "model": m, "score": s, "cluster": "one"} for m, s in (("a", 1.5), ("b", 2.5)) for i in range(9)]
    made = report.build(records.read(write(tmp_path / "r.jsonl", rows)))
    (pair,) = made.pairs
    assert pair.difference.low is None
    assert pair.verdict == "undecided"
    _, page = page_of(made, tmp_path)
    assert "b against a is undecided: +1.000, no interval, p" in page.text
    assert re.search(r"^No interval: ", str(made), flags=re.M)
    assert "None" not in page.text + str(made) + made.to_markdown()


def test_comparison_checks_what_it_is_given(answers: Callable[..., records.Runs]) -> None:
    runs = answers("a", "b")
    with pytest.raises(TypeError, match=r"^models: expected a sequence of models' names; got 'b'"):
        report.comparison(runs, baseline="a", models="b")
    with pytest.raises(TypeError, match=r"^runs: expected what steelyard.records.read returns"):
        report.comparison([1], baseline="a")
    with pytest.raises(ValueError, match=r"^models: expected a model to compare with 'a'; got none"):
        report.comparison(runs, baseline="a", models=["a"])
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"^min_matched: expected a share from 0 to 1"):
            report.comparison(runs, baseline="a", min_matched=share)


# ---- calibration in words


@pytest.fixture
def calibrated(tmp_path: Path) -> Callable[..., report.Report]:
    """The report on answers at confidence .8 of which each cluster of 20 has so many right."""

    def make(*right: int) -> report.Report:
        rows = [
            {"id": f"{c}-{i}", "cluster": f"c{c}", "correct": i < hits, "confidence": 0.7 + 0.1 * (i % 3)}
            for c, hits in enumerate(right)
            for i in range(20)
        ]
        return report.build(records.read(write(tmp_path / "asked.jsonl", rows)))

    return make


def test_calibration_is_undecided_where_the_two_intervals_disagree(
    calibrated: Callable[..., report.Report], answers: Callable[..., records.Runs]
) -> None:
    made = calibrated(9, 9, 9, 9, 15)
    result = made.models[0].reliability
    assert result.gap.low > 0 == result.ece.low
    (finding,) = sections.findings(made)
    assert finding.word == "undecided"
    assert "undecided, calibrated or overconfident (the interval of the gap excludes 0, that of" in finding.text
    assert "Fewer than 10 clusters (asked: 5): such an interval is rough." in str(made).partition("Calibration")[2]
    fine = report.build(answers("fine"))
    (finding,) = sections.findings(fine)
    assert (finding.word, fine.models[0].reliability.verdict()) == ("calibrated", "undecided")
    assert "is consistent with being calibrated: it says" in finding.text
    assert "Consistent with being calibrated: fine." in str(fine)


def test_calibration_of_one_cluster_has_no_interval(calibrated: Callable[..., report.Report]) -> None:
    (finding,) = sections.findings(calibrated(12))
    assert finding.word == "undecided"
    assert re.search(r"a gap of \+0\.\d+, no interval; ECE 0\.\d+, no interval; 1 cluster\.$", finding.text)


def test_the_terminal_shows_the_verdict_on_calibration(
    calibrated: Callable[..., report.Report], tmp_path: Path
) -> None:
    made = calibrated(*[8, 9, 10] * 6)
    text = str(made).partition("Calibration of each model")[2]
    assert "Overconfident: asked." in text
    assert max(map(len, text.splitlines())) <= 80
    floor = "Floor is what"
    assert floor not in text  # the terminal does not show that column
    _, page = page_of(made, tmp_path)
    assert floor in page.text
    assert floor in made.to_markdown()
    heads = next(row for row in page.rows if "ECE" in row)
    assert {"confidence", "accuracy", "gap", "gap interval"} <= set(heads)


# ---- a verdict in words, with its margin


@pytest.mark.parametrize(
    ("wins", "losses", "margin", "claim"),
    [
        (40, 8, 0.02, "new is better than base: "),
        (8, 60, 0.02, "new is worse than base by more than 0.02: "),
        (10, 28, 0.02, "new is worse than base, but not surely by more than 0.02 (undecided): -0.0450 [-0.0"),
        (9, 10, 0.02, "new against base is undecided with a margin of 0.02: "),
        (9, 9, 0.0, "new against base is undecided: "),
        (9, 10, 0.1, "new is not worse than base by more than 0.1: "),
        (10, 28, 0.1, "new is worse than base by at most 0.0"),
    ],
)
@pytest.mark.parametrize("higher", [True, False])
def test_a_finding_says_what_the_margin_makes_of_it(
    wins: int, losses: int, margin: float, claim: str, higher: bool, tmp_path: Path
) -> None:
    pair = discordant(tmp_path, ("new", *((wins, losses) if higher else (losses, wins))), n=400)
    runs = records.read(tmp_path / "r.jsonl")
    made = report.build(runs, baseline="base", margin=margin, higher_is_better=higher)
    (finding,) = sections.findings(made)
    assert finding.text.startswith(claim if higher else claim.partition(": ")[0]), finding.text
    assert finding.word.replace(" ", "_") == made.pairs[0].verdict
    bound = abs(pair.pairs[0].difference.low if higher else pair.pairs[0].difference.high)
    assert ("non-inferior" in finding.text) == (f"by at most {bound:.4f}, within the margin 0.1 " in finding.text)


def test_a_power_of_ten_stays_on_one_line(tmp_path: Path) -> None:
    _, page = page_of(discordant(tmp_path, ("far", 90, 2)), tmp_path)
    assert "p <\u00a01e-\u206016," in page.text


def test_the_methods_have_the_names_of_the_field(tmp_path: Path) -> None:
    rows = [{"id": i, "score": i / 30} for i in range(30)]
    made = report.build(records.read(write(tmp_path / "graded.jsonl", rows)))
    assert "Student's t interval: graded values." in str(made)
    _, page = page_of(made, tmp_path)
    assert page.rows[1][-1] == "Student's t"


def test_a_model_none_of_whose_records_counts_has_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,model,score\n" + "".join(f"{i},a,{i % 2}\n{i},b,\n" for i in range(6)))
    made = report.build(records.read(path))
    (scores,) = tables_of(made)
    assert [row[:2] for row in scores.rows] == [("a", "6"), ("b", "0")]
    assert scores.rows[1][2:] == ("-", "-", "6", "-", "-")
    assert "No record of b counts (left out: 6 no score)." in scores.notes
    assert re.search(r"(?m)^b +0 +- +- +6$", str(made))
    path.write_text("id,score\n1,\n2,\n")
    empty = report.build(records.read(path, score="score"))
    (alone,) = tables_of(empty)
    assert alone.rows[0][:3] == ("a", "0", "-")
    assert page_of(empty, tmp_path)[1].rows[1][0] == "a"
    assert not sections.blocks(empty)[0].pictures  # it would have no rows
    path.write_text("id,loglikelihood\n1,\n2,\n")  # of which no score is expected
    assert not tables_of(report.build(records.read(path, loglikelihood="loglikelihood")))


def test_ids_with_different_targets_are_said_first(tmp_path: Path) -> None:
    """Two files whose ids are row numbers of two different benchmarks: one of the models was `better`."""

    def answers(name: str, targets: str, other: int) -> Path:
        rows = [{"id": i, "target": targets[i % 2], "prediction": "xyz"[i % 3]} for i in range(40)]
        return write(
            tmp_path / name, rows if not other else [*rows[:-other], *({**row, "target": "q"} for row in rows[-other:])]
        )

    base, same = answers("base.jsonl", "xy", 0), answers("same.jsonl", "xy", 0)
    little, much = answers("little.jsonl", "xy", 3), answers("much.jsonl", "xy", 9)
    spelt = tmp_path / "spelt.csv"
    spelt.write_text("id,target,prediction\n" + "".join(f"{i}, {'xy'[i % 2]} ,x\n" for i in range(40)))
    for other in (same, spelt):
        made = report.build(records.read([base, other]))
        notes = [note for note in made.notes if "is a copy of" not in note]
        assert (made.pairs[0].other_targets, notes, sections.cautions(made)) == (0, [], [])
    made = report.build(records.read([base, little]))
    said = "3 of 40 ids have different targets, such as '37' ('y' and 'q'): they may be different questions"
    assert (made.pairs[0].other_targets, made.notes, sections.cautions(made)) == (3, (f"little and base: {said}",), [])
    made = report.comparison(records.read([base, much]), baseline="base")
    caution = "Caution: much against base: 9 of 40 shared ids have different targets; these may be different questions."
    assert sections.cautions(made) == [caution]
    assert report.build(records.read([base, much], score="prediction==target")).pairs[0].other_targets == 9


def test_records_that_are_lost_for_their_ids_are_said_first(tmp_path: Path) -> None:
    """The score was of the half of the records that have an id, and only the last line said so."""
    rows = [{"id": i if i % 2 else None, "correct": i % 3 > 0} for i in range(40)]
    made = report.build(records.read(write(tmp_path / "a.jsonl", rows)))
    assert sections.cautions(made) == ["Caution: a's score is of 20 of 40 records (left out: 20 no id)."]
    made = report.build(
        records.read(write(tmp_path / "a.jsonl", [{**row, "id": i or None} for i, row in enumerate(rows)]))
    )
    assert (made.models[0].left_out, sections.cautions(made)) == ({"no id": 1}, [])


def test_answers_that_are_wrong_for_their_case_are_said(tmp_path: Path) -> None:
    def cautions(*predictions: str) -> tuple[int, list[str], bool]:
        rows = [{"target": ("Yes", "No")[i % 2], "prediction": p} for i, p in enumerate(predictions)]
        made = report.build(records.read(write(tmp_path / "a.jsonl", rows)))
        noted = any("for upper and lower case" in note for note in tables_of(made)[0].notes)
        return made.models[0].other_case, sections.cautions(made), noted

    assert cautions(*["Yes", "No"] * 10) == (0, [], False)
    said = "Caution: 10 of a's 20 answers would be right but for upper and lower case, and count as wrong."
    assert cautions(*["yes", "No"] * 10) == (10, [said], False)
    assert cautions(*["YES", "No"], *["Yes", "No"] * 9) == (1, [], True)
    rows = [{"target": "aA"[i % 2], "prediction": "a"} for i in range(10)]  # two classes
    assert records.read(write(tmp_path / "b.jsonl", rows))["b"].other_case == 0


def test_perplexity_per_record_is_not_taken_for_one_per_token(tmp_path: Path) -> None:
    rows = [{"id": i, "loglikelihood": -float(i % 7), "n_tokens": 1} for i in range(40)]
    said = "without a column n_tokens each record counts as one token"
    assert said not in str(report.build(records.read(write(tmp_path / "a.jsonl", rows))))
    for row in rows:
        del row["n_tokens"]
    (table,) = tables_of(report.build(records.read(write(tmp_path / "a.jsonl", rows))))
    assert table.notes == (f"Clustered t interval: tokens in clusters; {said}.",)


def test_records_of_no_model_are_said_first_where_they_are_many(tmp_path: Path) -> None:
    rows = [{"id": i, "model": "a" if i % 3 else None, "correct": i % 2} for i in range(30)]
    made = report.build(records.read(write(tmp_path / "a.jsonl", rows)))
    said = f"Caution: 10 of the 30 records of {tmp_path / 'a.jsonl'} name no model and are left out."
    assert sections.cautions(made) == [said]
    made = report.build(
        records.read(write(tmp_path / "a.jsonl", rows[1:4] + [{**row, "model": "b"} for row in rows[4:]]))
    )
    assert (made.left_out[str(tmp_path / "a.jsonl")], sections.cautions(made)) == ({"no model": 1}, [])


def test_things_are_listed_in_words() -> None:
    assert [words.listed(["a", "b", "c"][:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_a_title_of_the_callers_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": i, "correct": i % 2} for i in range(9)])
    made = report.build(records.read(path), title="Spring <1> *run*")
    html, _ = page_of(made, tmp_path)
    assert "<h1>Spring &lt;1&gt; *run*</h1>" in html
    assert "<title>Spring &lt;1&gt; *run*: 1 model, 9 records" in html
    assert str(made).splitlines()[0] == "Spring <1> *run*"
    assert made.to_markdown().startswith("# Spring ")
    with pytest.raises(TypeError, match="title: expected"):
        report.build(records.read(path), title=3)  # type: ignore[arg-type]


def test_a_notebook_shows_the_tables(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": i, "correct": i % 2} for i in range(9)])
    shown = report.build(records.read(path))._repr_html_()
    assert "1 model, 9 records" in shown
    assert "<caption>Score of each model</caption><tr><th>model</th>" in shown


def test_axes_of_pairs_leave_out_what_all_names_begin_with() -> None:
    from steelyard.report import figures

    assert figures.without_owner(["org__llama-b", "org__llama-a"]) == {
        "org__llama-b": "llama-b",
        "org__llama-a": "llama-a",
    }
    assert figures.without_owner(["x/y/a", "x/y/b", "x/c"]) == {"x/y/a": "y/a", "x/y/b": "y/b", "x/c": "c"}
    assert figures.without_owner(["llama-a", "llama-b"]) == {"llama-a": "llama-a", "llama-b": "llama-b"}
    assert figures.without_owner(["org/a", "org/a"]) == {"org/a": "org/a"}
    assert figures.without_owner(["org/", "org/a"]) == {"org/": "org/", "org/a": "a"}


# ---- perplexities alone


def loglikelihoods(path: Path, worse: float) -> Path:
    rows = [
        {"id": i, "model": m, "loglikelihood": -10.0 - (i * 7 % 5) / 10 - (m == "new") * worse * (1 + i % 3)}
        for i in range(60)
        for m in ("base", "new")
    ]
    return write(path, rows)


@pytest.mark.parametrize(("worse", "verdict", "code"), [(0.2, "worse", 1), (-0.2, "better", 0)])
def test_compare_decides_by_perplexity(tmp_path: Path, worse: float, verdict: str, code: int) -> None:
    from steelyard.cli import run

    path = loglikelihoods(tmp_path / "a.jsonl", worse)
    assert run(["compare", str(path), "--baseline", "base", "--loglikelihood", "loglikelihood"]) == code
    runs = records.read(path)
    (pair,) = report.comparison(runs, baseline="base").perplexities
    assert pair.verdict == verdict
    assert report.build(runs, baseline="base").perplexities == (pair,)
    nll = {m: 0.0 - runs[m].loglikelihood for m in ("base", "new")}
    assert float(pair.ratio) == pytest.approx(np.exp(nll["new"].mean() - nll["base"].mean()), rel=1e-12)


def test_compare_without_the_option_says_which(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from steelyard.cli import run

    path = loglikelihoods(tmp_path / "a.jsonl", 0.2)
    assert run(["compare", str(path), "--baseline", "base"]) == 2
    assert "perplexities are compared with --loglikelihood loglikelihood" in capfd.readouterr().err


def test_models_of_other_records_have_no_ratio(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from steelyard.cli import run

    path = write(
        tmp_path / "a.jsonl", [{"id": f"{m}{i}", "model": m, "loglikelihood": -1.0 - i} for i in range(9) for m in "ab"]
    )
    assert run(["compare", str(path), "--baseline", "a", "--loglikelihood", "loglikelihood"]) == 2
    assert "expected log-likelihoods of the same records of both models" in capfd.readouterr().err
