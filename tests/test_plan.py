"""How many items a comparison needs: the formulas against the share of verdicts that they promise."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import records, report
from steelyard._exit import Exit
from steelyard.cli import run


@pytest.mark.parametrize(("psi", "difference", "most"), [(0.1, 0.04, 0.805), (0.3, 0.1, 0.805), (0.06, 0.05, 0.82)])
def test_pairs_of_0_and_1_reach_the_power(psi: float, difference: float, most: float) -> None:
    """Exact, over all numbers of wins and losses, by the verdict itself."""
    (row,) = report.plan(differences=[difference], discordance=[psi]).rows
    n = row.paired
    wins, losses = (psi + difference) / 2, (psi - difference) / 2
    likely = stats.multinomial(n, [wins, losses, 1 - psi])
    power = 0.0
    for b, c in product(range(n + 1), repeat=2):
        if b <= c or b + c > n or (p := likely.pmf([b, c, n - b - c])) < 1e-9:
            continue
        new = np.r_[np.ones(b), np.zeros(c), np.zeros(n - b - c)]
        base = np.r_[np.zeros(b), np.ones(c), np.zeros(n - b - c)]
        power += p * (sy.compare(new, baseline=base).verdict() == "better")
    assert 0.8 - 1e-6 < power < most


@pytest.mark.parametrize("clustered", [False, True])
def test_graded_pairs_reach_the_power(tmp_path: Path, clustered: bool) -> None:
    rng = np.random.default_rng(3)

    def differences(n: int, true: float) -> tuple[np.ndarray, np.ndarray]:
        groups = np.arange(n) // 4
        shared = rng.standard_normal(n // 4 + 1)[groups] if clustered else np.zeros(n)
        return true + 0.1 * (rng.standard_normal(n) + shared), groups

    pilot, groups = differences(800, 0.03)
    rows = [
        {"id": i, "model": m, "score": d if m == "new" else 0.0, "doc": int(groups[i])}
        for i, d in enumerate(pilot)
        for m in ("base", "new")
    ]
    path = tmp_path / "pilot.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (row,) = report.plan(records.read(path, cluster="doc" if clustered else None), differences=[0.02]).rows
    assert row.clusters == (-(-row.paired // 4) if clustered else None)
    found = []
    for _ in range(400):
        d, of = differences(row.paired, 0.02)
        found.append(sy.compare(d, baseline=np.zeros(len(d)), clusters=of if clustered else None).verdict() == "better")
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)  # 400 sets: .02; the pilot's own error is as large


def test_unpaired_items_and_comparisons(tmp_path: Path) -> None:
    """Near the formula of two independent means, at alpha/2 where two models are compared with the first."""
    rng = np.random.default_rng(1)
    scores = {name: rng.uniform(size=300) < share for name, share in (("a", 0.5), ("b", 0.6), ("c", 0.7))}
    path = tmp_path / "pilot.jsonl"
    rows = [{"id": i, "model": m, "correct": int(v)} for m, of in scores.items() for i, v in enumerate(of)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = records.read(path)
    made = report.plan(runs, differences=[0.05])
    assert (made.comparisons, [row.name for row in made.rows]) == (2, ["b - a", "c - a"])
    z, beta = stats.norm.ppf([1 - 0.05 / 4, 0.8])
    spread = scores["a"].var(ddof=1) + scores["b"].var(ddof=1)
    assert made.rows[0].unpaired == pytest.approx((z + beta) ** 2 * spread / 0.05**2 + z * z / 4, abs=2)
    (alone,) = report.plan(runs, models=["b"], differences=[0.05], comparisons=2).rows
    assert alone == made.rows[0]


def test_a_report_says_what_it_could_see(tmp_path: Path) -> None:
    """(z + z) se of the interval that decides; half of the sets with that difference show it, by definition of .5."""
    rng = np.random.default_rng(7)
    path = tmp_path / "a.jsonl"
    rows = [{"id": i, "model": m, "correct": int(rng.uniform() < 0.6)} for i in range(400) for m in "ab"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = report.build(records.read(path))
    (pair,) = made.pairs
    z, beta = stats.norm.ppf([0.975, 0.8])
    assert pair.detectable == pytest.approx((z + beta) * float(pair.difference.standard_error), rel=1e-12)
    assert "Could see: with a true difference of 0." in " ".join(str(made).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--power", "1"], "--power: expected a number inside (0, 1); got 1"),
        (["--difference", "0"], "--difference: expected numbers above 0; got 0"),
        (["--difference", "a"], "--difference: expected numbers with commas between them"),
        (["--discordance", "1.5"], "--discordance: expected numbers above 0 and at most 1; got 1.5"),
        (["--difference", ".5", "--discordance", ".1"], "--difference: expected at most 0.1, since models that differ"),
        (["--comparisons", "0"], "--comparisons: expected a whole number, at least 1; got 0"),
        (["{one}"], "expected records of two models, whose differences tell how many items are needed; got one"),
        (["{same}"], "expected items on which 'b' and 'a' differ; got none"),
        (["{same}", "--discordance", ".1"], "--discordance: expected no files beside it"),
        (["--answers", "2"], "--answers: expected none without a pilot"),
        (["{plain}", "--answers", "2"], "--answers: expected none with such a pilot"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("one", "same", "plain")}
    for name, models in (("one", "a"), ("same", "ab"), ("plain", "ac")):
        rows = [{"id": i, "model": m, "correct": int(i % 2 == (m == "c"))} for i in range(20) for m in models]
        files[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(["plan", *(one.format(**files) for one in arguments)]) == Exit.BAD_INPUT
    assert message in capfd.readouterr().err


def test_the_command_prints_a_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "plan.json"
    assert run(["plan", "--discordance", "0.1", "--difference", "0.02,0.01", "--json", str(data)]) == Exit.FINE
    paired = [sy.uncertainty.sample_size(d, discordance=0.1).n for d in (0.01, 0.02)]
    out = capfd.readouterr().out
    assert f"10 %               0.01         {paired[0]:,}\n10 %               0.02         {paired[1]:,}\n" in out
    assert [row["paired"] for row in json.loads(data.read_text())["rows"]] == paired
    assert "takes about as many; of 0/1 answers up to twice as many" in " ".join(out.split())


@pytest.mark.parametrize(
    ("psi", "d", "least", "most"), [(0.2, 0.02, 1.0, 1.02), (0.1, 0.05, 1.1, 1.2), (0.05, 0.05, 1.7, 2.0)]
)
def test_a_margin_takes_up_to_twice_as_many(psi: float, d: float, least: float, most: float) -> None:
    seen, shown = (
        sy.uncertainty.sample_size(d, discordance=psi),
        sy.uncertainty.sample_size(0, margin=d, discordance=psi),
    )
    assert least <= float(shown) / float(seen) <= most


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_pilot_leaves_a_range_of_items(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(5)
    new, base = rng.random(150) < 0.7, rng.random(150) < 0.6
    rows = [{"id": i, "model": m, "correct": int(of[i])} for i in range(150) for m, of in (("a", base), ("b", new))]
    path = write(tmp_path / "pilot.jsonl", rows)
    (row,) = report.plan(records.read(path), differences=[0.1]).rows
    found = sy.uncertainty.sample_size(0.1, pilot=new.astype(int) - base)
    assert (row.paired, row.low, row.high) == (found.n, found.low, found.high)
    assert run(["plan", str(path), "--difference", "0.1"]) == Exit.FINE
    assert f"{found.low:,} to {found.high:,}" in capfd.readouterr().out


def test_a_pilot_of_epochs_says_how_many_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(6)
    table = {m: (rng.random((60, 3)) < rng.random((60, 1))).astype(int) for m in "ab"}
    rows = [
        {"id": i, "model": m, "epoch": e, "correct": int(of[i, e])}
        for m, of in table.items() for i in range(60) for e in range(3)
    ]  # fmt: skip
    path = write(tmp_path / "epochs.jsonl", rows)
    made = report.plan(records.read(path), differences=[0.1]).rows
    found = sy.uncertainty.sample_size(0.1, pilot=table["b"] - table["a"], answers=[1, 3])
    assert [(row.answers, row.paired) for row in made] == [(1, found.n[0]), (3, found.n[1])]
    apart = sy.uncertainty.sample_size(0.1, pilot=(table["b"], table["a"]), answers=[1, 3], paired=False)
    assert [row.unpaired for row in made] == apart.n.tolist()
    assert run(["plan", str(path), "--difference", "0.1", "--answers", "2,9"]) == Exit.FINE
    assert "answers  paired items" in capfd.readouterr().out


def test_whole_points_are_not_answers(tmp_path: Path) -> None:
    """Differences of -1, 0 and 1 of scores on a scale of 1 to 5 are compared by t, and planned by it."""
    rng = np.random.default_rng(7)
    scores = {m: 3 + (rng.random(80) < 0.4) for m in "ab"}
    rows = [{"id": i, "model": m, "score": int(of[i])} for m, of in scores.items() for i in range(80)]
    path = write(tmp_path / "points.jsonl", rows)
    (row,) = report.plan(records.read(path), differences=[1.5]).rows
    d = scores["b"].astype(float) - scores["a"]
    assert row.paired == sy.uncertainty.sample_size(1.5, sd=d.std(ddof=1)).n
