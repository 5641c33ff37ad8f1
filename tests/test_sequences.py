"""Confidence sequences: published formulas and figures, streams in parts, when to stop, comparisons one row at a time."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.cli import run
from steelyard.reference import sequences as reference
from steelyard.uncertainty import ConfidenceSequenceState, SequencePath, confidence_sequence

ORDERED = ("betting", "empirical-bernstein")
METHODS = (*ORDERED, "beta-binomial")
# sqrt of multiples of 1/100, whose figures below are those of confseq 0.0.11 (the authors' package).
X = np.array([(i * 7919 % 101) / 100 for i in range(300)]) ** 0.5
CONFSEQ_CAPITAL = {0.5: 584339980.6122463, 0.6: 300.8147709943635, 0.7: 12.938626722210875, 0.8: 194951299.01527944}
CONFSEQ_GRID = {10: (0.274, 0.824), 100: (0.587, 0.725), 300: (0.619, 0.703)}
CONFSEQ_BERNSTEIN = {100: (0.56683025, 0.76598063), 300: (0.61395281, 0.71377778)}
RNG = np.random.Generator(np.random.Philox(17))
ANSWERS = (RNG.random(500) < 0.7).astype(np.float64)


def limits(e: sy.Estimate) -> tuple[float, float]:
    assert e.low is not None
    assert e.high is not None
    return float(e.low), float(e.high)


def totals(x: Any) -> _core.SequenceTotals:
    made = _core.SequenceTotals(True)
    assert made.update(np.asarray(x, np.float64), bounds=(0.0, 1.0)) is None
    return made


# -- what others say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", CONFSEQ_CAPITAL)
def test_the_stakes_are_those_of_the_authors_package(mean: float) -> None:
    """``betting_mart(x, m, alpha=0.05)`` at its largest."""
    assert totals(X).p_value(mean, confidence_level=0.95) == pytest.approx(1 / CONFSEQ_CAPITAL[mean], rel=1e-12)


@pytest.mark.parametrize("n", CONFSEQ_GRID)
def test_betting_limits_lie_in_the_cells_of_the_authors_grid(n: int) -> None:
    """``betting_cs(x, alpha=0.05, breaks=1000, running_intersection=True)`` names means that are 0.001 apart."""
    low, high = limits(confidence_sequence(X[:n]))
    theirs = CONFSEQ_GRID[n]
    assert theirs[0] <= low <= theirs[0] + 0.001
    assert theirs[1] - 0.001 <= high <= theirs[1]


@pytest.mark.parametrize("n", CONFSEQ_BERNSTEIN)
def test_bernstein_limits_are_near_those_of_the_authors_package(n: int) -> None:
    """``predmix_empbern_twosided_cs``: there the mean before the first value is 0, here (as in the paper) 1/2."""
    assert limits(confidence_sequence(X[:n], method="empirical-bernstein")) == pytest.approx(
        CONFSEQ_BERNSTEIN[n], abs=0.005
    )


def test_betting_by_the_formulas_in_forty_digits() -> None:
    y, alpha = X[:40], mpmath.mpf("0.05")
    with mpmath.workdps(40):
        values = [mpmath.mpf(float(v)) for v in y]

        def largest(values: list[Any], bets: list[Any], m: Any) -> Any:
            now, most = mpmath.mpf(1), mpmath.mpf(1)
            for v, bet in zip(values, bets, strict=True):
                now *= 1 + min(bet, 1 / (2 * m)) * (v - m)
                most = max(most, now)
            return most

        bets, total, squares = [], mpmath.mpf(0), mpmath.mpf(1) / 4
        for t, v in enumerate(values, 1):
            bets.append(mpmath.sqrt(2 * mpmath.log(2 / alpha) / (squares / t * t * mpmath.log(t + 1))))
            total += v
            squares += (v - (total + mpmath.mpf(1) / 2) / (t + 1)) ** 2
        low, high = limits(confidence_sequence(y))
        step = mpmath.mpf("1e-12")
        for edge, of in ((mpmath.mpf(low), values), (1 - mpmath.mpf(high), [1 - v for v in values])):
            assert largest(of, bets, edge) >= 2 / alpha  # the limit itself is left out
            assert largest(of, bets, edge + step) < 2 / alpha  # and nothing beyond it


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 10), (95, 100), (70_000, 100_000)])
def test_beta_binomial_by_the_formula_in_forty_digits(k: int, n: int) -> None:
    x = np.repeat([1.0, 0.0], [k, n - k])
    with mpmath.workdps(40):
        half = mpmath.mpf(1) / 2
        for limit in limits(confidence_sequence(x, method="beta-binomial")):
            if 0 < limit < 1:
                p = mpmath.mpf(limit)
                ratio = mpmath.log(mpmath.beta(k + half, n - k + half) / mpmath.pi) - k * mpmath.log(p)
                assert float(ratio - (n - k) * mpmath.log(1 - p) - mpmath.log(20)) == pytest.approx(0.0, abs=2e-8)


# -- streams ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_split_is_the_function(method: Any) -> None:
    want = confidence_sequence(ANSWERS, method=method)
    for size in (1, 7, 499):
        state = ConfidenceSequenceState(method=method)
        for first in range(0, len(ANSWERS), size):
            state.update(ANSWERS[first : first + size])
        assert state.compute() == want
        assert ConfidenceSequenceState.from_bytes(state.to_bytes()).compute() == want


def test_a_scan_keeps_the_order_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("new,base\n" + "".join(f"{a},{b}\n" for a, b in zip(X, X[::-1], strict=True)))
    found = sy.scan(path, {"x": "new", "baseline": "base"}, ConfidenceSequenceState(), batch_rows=64)
    assert found == ConfidenceSequenceState().update(X, X[::-1])


@pytest.mark.parametrize("method", ORDERED)
def test_the_path_is_what_each_time_said(method: Any) -> None:
    state = ConfidenceSequenceState(method=method).update(ANSWERS)
    path = state.path([1, 10, 99, 500])
    for i, n in enumerate(path.n.tolist()):
        e = confidence_sequence(ANSWERS[:n], method=method)
        assert (path.value[i], path.low[i], path.high[i]) == (e.value, *limits(e))
    whole = state.path()
    assert whole.n[-1] == 500
    assert (np.diff(whole.low) >= 0).all()
    assert (np.diff(whole.high) <= 0).all()
    assert SequencePath(**{**whole.table, "confidence_level": 0.95, "method": whole.method}) == whole
    assert json.loads(json.dumps(whole.to_dict()))["n"][-1] == 500
    assert str(path).endswith("4 times)")


def test_differences_lie_between_minus_and_plus_the_width() -> None:
    new, base = 4 * X, 4 * X[::-1]
    e = confidence_sequence(new, base, bounds=(0.0, 4.0))
    same = confidence_sequence(new - base, bounds=(-4.0, 4.0))
    assert (e.value, e.low, e.high) == pytest.approx((same.value, same.low, same.high), abs=1e-13)
    other = confidence_sequence(base, new, bounds=(0.0, 4.0))
    assert (e.low, e.high) == pytest.approx((-other.high, -other.low), abs=1e-12)  # type: ignore[operator]
    assert e.value == pytest.approx(np.mean(new - base), abs=1e-14)
    scaled = confidence_sequence(10.0 + 2.0 * X, bounds=(10.0, 12.0))
    assert limits(scaled) == pytest.approx([10.0 + 2.0 * side for side in limits(confidence_sequence(X))], abs=1e-12)


def test_a_mean_that_moves_leaves_no_interval() -> None:
    e = confidence_sequence([0.0] * 200 + [1.0] * 2000)
    assert e.low is None
    assert e.high is None
    assert "leave no mean" in e.reason
    state = ConfidenceSequenceState(bounds=(-1.0, 1.0)).update([-1.0] * 200 + [1.0] * 2000)
    assert not state.stop_when(width=2.0)
    assert not state.stop_when(verdict=("better", "worse", "not_worse"))


def test_rows_left_out_are_counted() -> None:
    x = np.where(np.arange(300) % 7 == 0, np.nan, X)
    where = np.arange(300) % 5 > 0
    e = confidence_sequence(x, where=where, nan_policy="omit")
    keep = where & ~np.isnan(x)
    assert e.left_out == {"where": 60, "nan": int((where & np.isnan(x)).sum())}
    assert limits(e) == limits(confidence_sequence(X[keep]))


# -- merging ----------------------------------------------------------------------------------------------------


def test_counts_merge_in_any_order_and_streams_do_not() -> None:
    parts = [ConfidenceSequenceState(method="beta-binomial").update(ANSWERS[i::3]) for i in range(3)]
    want = confidence_sequence(ANSWERS, method="beta-binomial")
    assert sum(parts).compute() == sum(parts[::-1]).compute() == want  # type: ignore[union-attr]
    for method in ORDERED:
        state = ConfidenceSequenceState(method=method).update(X)
        with pytest.raises(ValueError, match=r"^other: expected a state without values, .* order of all values"):
            state + state
        assert state + ConfidenceSequenceState(method=method) == state
        assert ConfidenceSequenceState(method=method) + state == state


# -- when to stop -----------------------------------------------------------------------------------------------


def test_stop_when_it_is_narrow_or_decided() -> None:
    state = ConfidenceSequenceState()
    assert not state.stop_when(width=1.0)
    state.update(X)
    low, high = limits(state.compute())
    assert state.stop_when(width=high - low)
    assert not state.stop_when(width=0.99 * (high - low))
    better = ConfidenceSequenceState().update(np.clip(X + 0.2, 0, 1), X[::-1] * 0.8)
    assert better.stop_when(verdict="better")
    assert not better.stop_when(verdict=["worse", "not_worse"])
    assert better.stop_when(verdict="worse", higher_is_better=False)
    assert better.stop_when(width=1e-9, verdict="better")
    alike = ConfidenceSequenceState().update(X, X)
    assert not alike.stop_when(verdict="not_worse")
    assert alike.stop_when(verdict="not_worse", margin=0.5)
    assert ConfidenceSequenceState(bounds=(-1, 1)).update(np.ones(50)).stop_when(verdict="better")


# -- bad input --------------------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[Any, str]] = {
    "outside": (lambda: confidence_sequence([0.5, 1.5]), r"^x: expected scores from 0 to 1; got 1.5 at index 1; pass bounds="),
    "outside, of the rows that count": (
        lambda: confidence_sequence([9.0, 0.5, 1.5], where=[False, True, True]), r"1.5 at index 2",
    ),
    "the baseline": (lambda: confidence_sequence([0.5], [-1.0]), r"^baseline: expected scores from 0 to 1; got -1.0 at index 0"),
    "nan": (lambda: confidence_sequence([0.5, np.nan]), r'^x: expected finite values; got nan at index 1; pass nan_policy="omit"'),
    "infinite": (lambda: confidence_sequence([0.5, np.inf]), r"^x: expected finite values; got inf at index 1"),
    "no answers": (
        lambda: confidence_sequence([0, 1, 0.5], method="beta-binomial"),
        r"^x: expected 0/1 values with method='beta-binomial'; got 0.5 at index 2; method='betting' takes",
    ),
    "differences of counts": (
        lambda: confidence_sequence([0, 1], [1, 1], method="beta-binomial"), r"^baseline: expected None with method=",
    ),
    "bounds of counts": (
        lambda: ConfidenceSequenceState(bounds=(0, 2), method="beta-binomial"), r"^bounds: expected \(0, 1\) with",
    ),
    "bounds": (lambda: ConfidenceSequenceState(bounds=(1, 1)), r"^bounds: expected a pair of numbers, .* got \(1, 1\)"),
    "infinite bounds": (lambda: ConfidenceSequenceState(bounds=(0, np.inf)), r"^bounds: expected a pair of numbers"),
    "a method": (lambda: ConfidenceSequenceState(method="bets"), r"^method: expected one of betting, empirical-bernstein, "),  # type: ignore[arg-type]
    "no value": (lambda: confidence_sequence([]), r"^x: expected at least one value that counts"),
    "lengths": (lambda: confidence_sequence([0.5, 0.5], [0.5]), r"expected 2 scores, one for each of x; got 1"),
    "no reason to stop": (lambda: ConfidenceSequenceState().stop_when(), r"^width: expected a number, or verdict="),
    "no width": (lambda: ConfidenceSequenceState().stop_when(width=0), r"^width: expected a number above 0; got 0"),
    "a verdict": (lambda: ConfidenceSequenceState().stop_when(verdict="good"), r"^verdict: expected one of better, "),
    "a verdict of scores": (
        lambda: ConfidenceSequenceState().update([0.5]).stop_when(verdict="better"),
        r"^verdict: expected differences: update with baseline=; got scores from 0 to 1",
    ),
    "a path of counts": (lambda: ConfidenceSequenceState(method="beta-binomial").path(), r"^method: expected method='betting', or"),
    "times": (lambda: ConfidenceSequenceState().update([1.0]).path([2]), r"^times: expected ascending numbers of values from 1 to 1"),
    "other options": (
        lambda: ConfidenceSequenceState().merge(ConfidenceSequenceState(confidence_level=0.9)),
        r"^other: expected a state with confidence_level = 0.95; got 0.9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_bad_input_gets_a_sentence(case: tuple[Any, str]) -> None:
    with pytest.raises((TypeError, ValueError), match=case[1]):
        case[0]()


def test_a_state_holds_scores_or_differences() -> None:
    state = ConfidenceSequenceState().update(X)
    before = state.to_bytes()
    with pytest.raises(TypeError, match=r"^baseline: expected one in every update of a state or in none"):
        state.update(X, X)
    with pytest.raises(ValueError, match="index 1"):
        state.update([0.5, 7.0])
    assert state.to_bytes() == before


def test_bytes_of_another_method_are_refused() -> None:
    data = ConfidenceSequenceState(method="beta-binomial").update(ANSWERS).to_bytes()
    counts, written = _core.SequenceTotals.from_bytes(data)
    with pytest.raises(ValueError, match=r"^data: expected the options of a ConfidenceSequenceState"):
        ConfidenceSequenceState.from_bytes(counts.to_bytes(written.replace(b"beta-binomial", b"betting")))


# -- coverage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_mean_is_missed_at_any_time_in_few_streams(method: Any) -> None:
    """400 streams of 300 answers at .9: alpha is .1, and a twentieth of a standard error more would be .13."""
    missed = 0
    for stream in range(400):
        x = np.random.Generator(np.random.Philox(stream)).random(300) < 0.9
        state = ConfidenceSequenceState(method=method, confidence_level=0.9)
        times = [300] if method in ORDERED else range(10, 301, 10)
        ever = False
        before = 0
        for time in times:
            e = state.update(x[before:time]).compute()
            ever |= e.low is None or not e.low <= 0.9 <= e.high  # type: ignore[operator]
            before = time
        missed += ever
    assert missed / 400 <= 0.13


# -- comparisons ------------------------------------------------------------------------------------------------


NEW = np.where(np.arange(300) % 3 == 0, 1.0, X)


def test_a_sequential_comparison_is_the_sequence_of_differences() -> None:
    found = sy.compare(NEW, baseline=X, sequential=True)
    want = confidence_sequence(NEW, X)
    assert limits(found.difference) == limits(want)
    assert found.difference.standard_error is None
    assert found.p_value == totals((NEW - X + 1.0) / 2.0).p_value(0.5, confidence_level=0.95)
    assert (found.p_value <= 0.05) == (want.low > 0)  # type: ignore[operator]
    assert (found.wins, found.losses, found.ties) == (99, 0, 201)
    assert found.verdict() == "better"
    assert "always-valid betting" in str(found)
    assert found.items is not None
    assert len(found.items["index"]) == 99


def test_several_models_and_groups_hold_together() -> None:
    of = {"a": NEW, "b": X[::-1], "base": X}
    found = sy.compare(of, baseline="base", sequential=True)
    alone = sy.compare(NEW, baseline=X, sequential=True, confidence_level=0.975)
    assert found.difference.detail["simultaneous_low"][0] == alone.difference.low
    assert found.verdict() == (alone.verdict(), "undecided")
    groups = sy.compare(NEW, baseline=X, by=np.arange(300) % 2, sequential=True)
    assert groups.difference.low[0] == confidence_sequence(NEW[::2], X[::2]).low  # type: ignore[index]


def test_bounds_of_a_comparison() -> None:
    wide = sy.compare(5 * NEW, baseline=5 * X, sequential=True, bounds=(0, 5))
    assert limits(wide.difference) == pytest.approx(
        [5 * side for side in limits(confidence_sequence(NEW, X))], abs=1e-12
    )
    assert wide.verdict(margin=2.0) == "better"


def test_p_holds_at_all_times_where_there_is_no_difference() -> None:
    """300 pairs of streams whose answers have one probability: at most 5 % ever fall to .05, and .08 in a sample."""
    rng = np.random.Generator(np.random.Philox(5))
    below = [
        sy.compare(rng.random(400) < 0.7, baseline=rng.random(400) < 0.7, sequential=True).p_value <= 0.05
        for _ in range(300)
    ]
    assert np.mean(below) <= 0.08


SEQUENTIAL: dict[str, dict[str, Any]] = {
    "clusters": {"clusters": np.arange(300)},
    "strata": {"strata": np.arange(300) % 2},
    "method": {"method": "tango"},
    "test": {"test": "exact"},
    "alternative": {"alternative": "less"},
    "sequential": {"paired": False},
    "adjust": {"adjust": "max-t"},
}


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_does_not_go_with_a_sequence_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        sy.compare(NEW, baseline=X, sequential=True, **SEQUENTIAL[name])


def test_bounds_without_a_sequence_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^bounds: expected None without sequential="):
        sy.compare(NEW, baseline=X, bounds=(0, 1))
    with pytest.raises(ValueError, match=r"^new: expected scores from 0 to 1; got 5.0 at index 0; pass bounds="):
        sy.compare(5 * NEW, baseline=X, sequential=True)


# -- the command ------------------------------------------------------------------------------------------------


def written(folder: Path, scores: dict[str, Any], ids: Any) -> list[str]:
    paths = []
    for name, values in scores.items():
        path = folder / f"{name}.jsonl"
        lines = [json.dumps({"id": str(i), "score": float(v)}) for i, v in zip(ids, values, strict=True)]
        path.write_text("\n".join(lines) + "\n")
        paths.append(str(path))
    return paths


def test_the_command_takes_rows_in_the_order_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = RNG.permutation(300)
    files = written(tmp_path, {"base": X, "new": NEW}, ids)
    out = tmp_path / "out.json"
    assert run(["compare", *files, "--sequential", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "looks may be repeated" in " ".join(said.split())
    (pair,) = json.loads(out.read_text())["pairs"]
    want = confidence_sequence(NEW, X)
    assert (pair["difference"]["low"], pair["difference"]["high"]) == limits(want)
    assert pair["verdict"] == "better"


def test_the_command_fails_on_a_verdict_and_names_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = written(tmp_path, {"base": NEW, "new": X}, range(300))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(["compare", *files, "--sequential"]) == 1
        assert run(["compare", *files, "--sequential", "--fail-on", "never"]) == 0
    five = written(tmp_path, {"base5": 5 * NEW, "new5": 5 * X}, range(300))
    assert run(["compare", *five, "--sequential", "--bounds", "0,5"]) == 1
    capsys.readouterr()
    assert run(["compare", *five, "--sequential"]) == 2
    assert "pass --bounds where other scores are possible" in capsys.readouterr().err
    assert run(["compare", *files, "--bounds", "0,5"]) == 2
    assert "--bounds: expected --sequential with it" in capsys.readouterr().err
    assert run(["compare", *files, "--sequential", "--unpaired"]) == 2
    assert "--unpaired: expected matched ids with --sequential" in capsys.readouterr().err


def test_the_reference_says_when_nothing_is_left_out() -> None:
    assert reference.betting(np.array([0.5]), 0.05) == (0.0, 1.0)
    assert reference.beta_binomial(0, 0, 0.05) == (0.0, 1.0)
