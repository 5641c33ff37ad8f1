"""Reports on two models' logits: what they say, the page, and the command's exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import report
from steelyard.cli import run
from steelyard.tokens import KLBase

RNG = np.random.default_rng(5)
WIDTH, N_CTX, CHUNKS = 60, 34, 10
SCORED = N_CTX - 1 - N_CTX // 2
HALF = slice(N_CTX // 2, N_CTX - 1)
TEXT = RNG.integers(0, WIDTH, (CHUNKS, N_CTX))
LOGITS = (3 * RNG.normal(size=(CHUNKS, N_CTX, WIDTH))).astype(np.float32)
# The targets are likely, so that a damaged model is worse.
np.put_along_axis(LOGITS[:, :-1], TEXT[:, 1:, None], 6.0, -1)
NEAR = LOGITS + (0.05 * RNG.normal(size=LOGITS.shape)).astype(np.float32)
FAR = LOGITS + (3.0 * RNG.normal(size=LOGITS.shape)).astype(np.float32)
TARGETS = TEXT[:, 1:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("dumps")
    for name, logits in (("base", LOGITS), ("near", NEAR), ("far", FAR)):
        np.save(found / f"{name}.npy", logits[:, :-1])
        np.save(found / f"{name}-whole.npy", logits)
        np.save(found / f"{name}-flat.npy", logits[:, :-1].reshape(-1, WIDTH))
        KLBase.write(found / f"{name}.kld", logits, TEXT)
    np.save(found / "targets.npy", TARGETS)
    np.save(found / "targets-flat.npy", TARGETS.reshape(-1))
    np.save(found / "documents-flat.npy", np.repeat([f"doc{i}" for i in range(CHUNKS)], N_CTX - 1))
    (found / "vocabulary.json").write_text(json.dumps({f"Ġw{i}": i for i in range(WIDTH)}))
    return found


def command(folder: Path, *words: str) -> int:
    return run(
        ["compare-logits", *(str(folder / word) if "." in word and not word[0].isdigit() else word for word in words)]
    )


def test_one_sequence_gives_values_without_intervals() -> None:
    """A refusal would keep back what is known; tokens taken as independent would say more than is known."""
    made = report.compare_logits(NEAR[:1, :-1], LOGITS[:1, :-1], TARGETS[:1], margin=0.01, margin_kl=0.1)
    q = sy.token_scores(NEAR[:1, :-1], TARGETS[:1], baseline=LOGITS[:1, :-1])
    assert made.kl.value == pytest.approx(float(q.kl.mean()), rel=1e-12)
    assert made.kl_quantiles["99 %"].value == sy.estimate(q.kl.ravel(), sy.uncertainty.quantile(0.99)).value
    for one in (made.kl, made.ratio, made.perplexity, *made.kl_quantiles.values()):
        assert one.low is one.high is None
    assert {margin.verdict for margin in made.margins} == {"undecided"}
    assert "All tokens are of one sequence" in str(made)


def test_numbers_are_those_of_the_calls_they_stand_for() -> None:
    made = report.compare_logits(NEAR[:, :-1], LOGITS[:, :-1], TARGETS, margin=0.01, margin_kl=0.1, margin_flips=0.2)
    q = sy.token_scores(NEAR[:, :-1], TARGETS, baseline=LOGITS[:, :-1])
    clusters = np.repeat(np.arange(CHUNKS), N_CTX - 1)
    assert made.kl == sy.estimate(q.kl.ravel(), clusters=clusters)
    assert made.same_top == sy.estimate(q.same_top.ravel(), clusters=clusters)
    assert made.flips == sy.estimate(q.flips.ravel(), clusters=clusters)
    assert made.kl_quantiles["99 %"] == sy.estimate(q.kl.ravel(), sy.uncertainty.quantile(0.99), clusters=clusters)
    assert made.kl_largest == q.kl.max()
    want = sy.compare(q, baseline=q.baseline, statistic="perplexity")
    assert made.ratio == want.ratio
    assert made.perplexity == sy.perplexity(q)
    assert made.delta_p_rms.value == pytest.approx(float(np.sqrt((q.delta_p**2).mean())))
    assert [margin.name for margin in made.margins] == ["perplexity", "kl", "flips"]
    strict = sy.estimate(q.kl.ravel(), clusters=clusters, confidence_level=1 - 0.05 / 3)
    assert made.margins[1].estimate.low == pytest.approx(strict.low)
    assert made.unit == "sequence"
    assert made.infinite == 0


def test_where_the_models_differ_adds_up() -> None:
    changed = NEAR.copy()
    changed[3, 20:30] = FAR[3, 20:30]
    made = report.compare_logits(changed[:, :-1], LOGITS[:, :-1], TARGETS)
    n = CHUNKS * (N_CTX - 1)
    for bands in (made.positions, made.entropies):
        assert sum(band.n for band in bands) == n
        assert sum(band.n * float(band.kl) for band in bands) == pytest.approx(n * float(made.kl))
        assert sum(band.n * band.flips for band in bands) == pytest.approx(n * float(made.flips))
        assert [band.low for band in bands] == sorted(band.low for band in bands)
    assert (made.positions[0].low, made.positions[-1].high) == (1, N_CTX - 1)
    assert max(made.positions, key=lambda band: float(band.kl)).low in range(18, 31)
    assert made.documents["id"][0] == "3"
    assert made.documents["tokens"].tolist() == [N_CTX - 1] * CHUNKS
    assert all(token.place[0] == 3 for token in made.changed[:5])
    assert all(20 <= token.place[1] < 30 for token in made.changed[:5])


def test_base_files_and_dumps_say_the_same(folder: Path) -> None:
    base = KLBase(folder / "base.kld")
    near = np.load(folder / "near-whole.npy", mmap_mode="r")
    whole = report.compare_logits(near, base)
    halves = report.compare_logits(NEAR[:, HALF], base)
    rows = report.compare_logits(NEAR[:, HALF].reshape(-1, WIDTH), base)
    assert whole.kl == halves.kl == rows.kl
    assert whole.changed == halves.changed == rows.changed
    dumps = report.compare_logits(NEAR[:, HALF], LOGITS[:, HALF], base.targets)
    assert float(whole.kl) == pytest.approx(float(dumps.kl), rel=1e-3, abs=1e-6)
    assert whole.figures is not None
    assert dumps.figures is None
    assert whole.figures["Mean KLD"][0] == pytest.approx(float(dumps.kl), rel=0.05, abs=1e-4)
    both = report.compare_logits(KLBase(folder / "near.kld"), base)
    assert float(both.kl) == pytest.approx(float(dumps.kl), rel=1e-2, abs=1e-5)
    assert any("as well" in note for note in both.notes)
    assert whole.positions[0].low == N_CTX // 2 + 2
    assert "llama.cpp ± error" in str(whole)


def test_intervals_without_documents_are_called_too_narrow() -> None:
    flat = {"targets": TARGETS.reshape(-1)}
    new, base = NEAR[:, :-1].reshape(-1, WIDTH), LOGITS[:, :-1].reshape(-1, WIDTH)
    alone = report.compare_logits(new, base, **flat)
    assert alone.unit == ""
    assert "Caution: the intervals take tokens as independent" in str(alone)
    assert alone.documents == {}
    documents = np.repeat(np.arange(CHUNKS), N_CTX - 1)
    known = report.compare_logits(new, base, **flat, documents=documents)
    assert "Caution" not in str(known)
    assert known.kl == report.compare_logits(NEAR[:, :-1], LOGITS[:, :-1], TARGETS).kl
    assert known.unit == "document"
    assert known.positions[-1].high == N_CTX - 1  # positions are counted in documents


def test_infinite_divergences_are_counted_and_worse() -> None:
    masked = NEAR.copy()
    places = np.nonzero(np.arange(WIDTH) != TARGETS[0, 4])[0]
    masked[0, 4, places[0]] = -np.inf
    made = report.compare_logits(masked[:, :-1], LOGITS[:, :-1], TARGETS, margin_kl=100.0)
    assert made.infinite == 1
    assert made.margins[1].verdict == "worse"
    assert "Caution: at 1 token a class lost all of its probability" in str(made)
    assert made.to_dict()["kl_largest"] == "Infinity"


def test_the_tokens_that_changed_have_their_text(folder: Path) -> None:
    base = KLBase(folder / "base.kld")
    vocabulary = [f"▁w{i}" for i in range(WIDTH)]
    made = report.compare_logits(FAR, base, vocabulary=vocabulary)
    token = made.changed[0]
    chunk, place = token.place
    at = N_CTX // 2 + 1 + place
    assert token.target == f" w{TEXT[chunk, at]}"
    assert token.context == "".join(f" w{id}" for id in TEXT[chunk, at - 8 : at])
    assert token.kl == made.kl_largest
    logits = FAR[chunk, at - 1].astype(np.float64)
    p = np.exp(logits - logits.max())
    assert token.probability == pytest.approx(p[TEXT[chunk, at]] / p.sum(), rel=1e-5, abs=1e-9)
    assert (
        report.compare_logits(FAR, base, vocabulary={text: i for i, text in enumerate(vocabulary)}).changed
        == made.changed
    )
    with pytest.raises(ValueError, match="vocabulary: expected a text for every token"):
        report.compare_logits(FAR, base, vocabulary=vocabulary[:5])


# -- the command -----------------------------------------------------------------------------------------------


def test_exit_codes(folder: Path, capsys: Any) -> None:
    given = ("--targets", "targets.npy", "--quiet")
    assert command(folder, "base.npy", "near.npy", *given, "--margin", "0.05") == 0
    assert command(folder, "base.npy", "far.npy", *given, "--margin", "0.05") == 1
    assert command(folder, "base.npy", "far.npy", *given, "--fail-on", "never") == 0
    assert command(folder, "base.npy", "near.npy", *given, "--margin", "0.05", "--margin-kl", "1e-9") == 1
    assert command(folder, "base.npy", "near.npy", *given, "--margin", "0.05", "--margin-kl", "1.0") == 0
    assert command(folder, "base.npy", "far.npy", *given, "--margin", "1000", "--margin-flips", "0.01") == 1
    assert command(folder, "base.npy", "base.npy", *given, "--fail-on", "undecided") == 1  # no spread, no certainty
    assert command(folder, "base.npy", "base.npy", *given) == 0
    assert command(folder, "base.kld", "far.kld", "--quiet", "--margin", "0.05") == 1
    assert capsys.readouterr().out == ""


def test_equal_models_have_no_interval_but_for_answers() -> None:
    made = report.compare_logits(LOGITS[:, :-1], LOGITS[:, :-1], TARGETS, margin_kl=0.1, margin_flips=0.5)
    assert (made.kl.value, made.kl.low, made.kl.high, made.delta_p.high) == (0.0, None, None, None)
    assert made.flips.high > 0
    assert [margin.verdict for margin in made.margins] == ["undecided", "undecided", "not_worse"]
    assert all(band.kl.high is None for band in made.positions)


def test_a_share_is_at_most_one() -> None:
    with pytest.raises(ValueError, match="margin_flips: expected a share from 0 to 1"):
        report.compare_logits(NEAR[:, :-1], LOGITS[:, :-1], TARGETS, margin_flips=2)


def test_what_is_printed(folder: Path, capsys: Any) -> None:
    assert command(folder, "base.kld", "near-whole.npy", "--margin", "0.05", "--vocabulary", "vocabulary.json") == 0
    text = capsys.readouterr().out
    assert text.startswith("near-whole against base, 160 tokens, 95 % intervals")
    for part in ("KL, mean", "KL, 99.9 %", "same top, %", "llama.cpp ± error", "not worse", "Tokens that changed most"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_page_and_the_data(folder: Path, tmp_path: Path, capsys: Any) -> None:
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    words = ("base-flat.npy", "near-flat.npy", "--targets", "targets-flat.npy", "--documents", "documents-flat.npy")
    assert command(folder, *words, "--margin", "0.05", "--html", str(page), "--json", str(data), "--quiet") == 0
    html = page.read_text("utf-8")
    for part in ("KL against entropy", "By position", "By document", "Tokens that changed most", "doc3", "<svg"):
        assert part in html
    assert "<script" not in html
    found = json.loads(data.read_text("utf-8"))
    assert found["margins"][0]["verdict"] == "not_worse"
    assert len(found["documents"]["id"]) == CHUNKS
    again = tmp_path / "again.html"
    assert command(folder, *words, "--margin", "0.05", "--html", str(again), "--quiet") == 0
    assert again.read_bytes() == page.read_bytes()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("base.npy", "near.npy"), "--targets: expected the tokens that come next"),
        (("base.npy", "near-flat.npy", "--targets", "targets.npy"), "expected shape (330,)"),
        (("base.kld", "near.npy"), "logits of shape (10, 16, 60)"),
        (("base.kld", "near.npy", "--targets", "targets.npy"), "--targets: expected None beside a base file"),
        (("base.npy", "near.kld", "--targets", "targets.npy"), "BASE: expected a base file too"),
        (("base.npy", "vocabulary.json", "--targets", "targets.npy"), "NEW: expected logits in .npy, or a KL base"),
        (("base.npy", "near.npy", "--targets", "targets.npy", "--margin", "-1"), "--margin: expected 0 or more; got -1"),
        (("base.npy", "near.npy", "--targets", "targets.npy", "--margin-kl", "nan"), "--margin-kl: expected"),
        (("base.npy", "near.npy", "--targets", "targets.npy", "--documents", "targets-flat.npy"), "--documents: expected"),
        (("base.npy", "near.npy", "--targets", "targets.npy", "--names", "a,b,c"), "--names: expected two names"),
        (("base.npy", "none.npy", "--targets", "targets.npy"), "none.npy: expected a place to read"),
        (("base.npy", "near.npy", "--targets", "targets.npy", "--vocabulary", "base.npy"), "--vocabulary: expected JSON"),
    ],
)  # fmt: skip
def test_bad_input_is_a_sentence_and_exit_code_2(folder: Path, words: Any, said: str, capsys: Any) -> None:
    assert command(folder, *words) == 2
    assert said in capsys.readouterr().err


def test_base_files_of_other_texts_are_refused(folder: Path, tmp_path: Path) -> None:
    other = KLBase.write(tmp_path / "other.kld", LOGITS, (TEXT + 1) % WIDTH)
    with pytest.raises(ValueError, match="new: expected a base file of the text of the other one"):
        report.compare_logits(other, KLBase(folder / "base.kld"))


def test_a_page_never_replaces_what_was_compared(folder: Path, capsys: Any) -> None:
    before = (folder / "near.npy").read_bytes()
    words = ("base.npy", "near.npy", "--targets", "targets.npy", "--html", "near.npy")
    assert command(folder, *words) == 2
    assert (folder / "near.npy").read_bytes() == before
