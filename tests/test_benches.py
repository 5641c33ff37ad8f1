"""The benchmark harness: what it reports and which files it writes, but not how long anything takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from benches import harness, history, run


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "SECONDS", 0.0)


def test_a_row_is_measured_beside_its_peer_on_both_sides_threads() -> None:
    seen: list[int] = []

    def make() -> harness.Row:
        x = np.ones(1000)
        ours = lambda: seen.append(sy.show_config(mode="dicts")["threads"])  # noqa: E731
        return harness.Row("work", ours, x.sum, "sum", "numpy", limit=harness.read_once(x), limit_bytes=8000)

    (row,) = harness.run([make])
    assert set(seen) == {harness.THREADS}
    assert row["rounds"] == harness.ROUNDS[0]
    assert row["peer"] == f"numpy {np.__version__}"
    assert row["spread"][0] <= row["ratio"] <= row["spread"][1]
    assert row["met"]
    assert len(run.cells(row)) == 5


def test_results_that_disagree_stop_the_row() -> None:
    def differ(ours: Any, peer: Any) -> None:
        np.testing.assert_array_equal(ours, peer)

    make = lambda: harness.Row("work", lambda: 1, lambda: 2, "2", "numpy", agree=differ)  # noqa: E731
    with pytest.raises(AssertionError, match="not equal"):
        list(harness.run([make]))


def test_a_missing_peer_is_reported() -> None:
    def make() -> harness.Row:
        """Work with an absent peer"""
        harness.need("no_such_peer")
        raise AssertionError("unreachable")

    (row,) = harness.run([make])
    assert row == {"work": "Work with an absent peer", "missing": "no_such_peer"}
    assert "no_such_peer is not installed" in run.cells(row)[1]


def test_a_missed_claim_is_said() -> None:
    make = lambda: harness.Row("work", lambda: None, lambda: None, "", "numpy", at_least=1e9)  # noqa: E731
    (row,) = harness.run([make])
    assert row["met"] is False


def test_growth_divides_by_size_or_by_units() -> None:
    by_size = harness.Growth("work", "row", (1, 2), lambda size: lambda: None)
    by_threads = harness.Growth("work", "row", (1, 2), lambda size: lambda: None, units=10**12)
    rows = list(harness.run([lambda: by_size, lambda: by_threads]))
    assert rows[0]["sizes"] == [1, 2]
    assert max(rows[1]["ns_per_unit"]) < min(rows[0]["ns_per_unit"])


def test_only_the_readmes_table_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n")
    run.into_readme("new\n")
    run.into_readme("newer\n")
    assert readme.read_text() == f"before\n{run.BEGIN}\nnewer\n{run.END}\nafter\n"
    readme.write_text("no markers")
    with pytest.raises(SystemExit, match="lacks"):
        run.into_readme("new\n")


def test_four_streams_write_three_arrays_and_read_one() -> None:
    p, m, v, g = (np.full(100_003, float(i), np.float32) for i in range(4))
    harness.four_streams(p, m, v, g)()
    assert [set(np.unique(a)) for a in (p, m, v, g)] == [{3.0}, {4.0}, {5.0}, {3.0}]


def test_every_room_lists_rows_that_say_what_they_measure() -> None:
    makers = run.makers([])
    rooms = {make.__module__ for make in makers}
    assert rooms >= {f"benches.bench_{room}" for room in ("tokens", "calibration", "bootstrap", "optim", "preference")}
    assert all(make.__doc__ for make in makers)


def test_a_run_joins_the_history_and_can_be_read_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    first: dict[str, Any] = {
        "work": "norm, f32",
        "ratio": 1.23456,
        "spread": [1.2, 1.3],
        "ours_seconds": 0.5,
        "met": True,
    }
    history.append({"cpu": "x"}, [first, {"work": "absent", "missing": "torch"}], path)
    history.append({"cpu": "x"}, [first | {"ratio": 2.0}], path)
    runs = history.read(path)
    assert runs[0]["rows"] == [{"work": "norm, f32", "ratio": 1.235, "spread": [1.2, 1.3], "met": True}]
    assert [line.split()[-1] for line in history.shown(runs, ["norm"]).splitlines()] == ["f32", "1.2x", "2.0x"]
    assert history.shown(runs, ["bootstrap"]) == ""


def test_the_history_that_is_kept_can_be_read() -> None:
    runs = history.read()
    assert [run["at"] for run in runs] == sorted(run["at"] for run in runs)
    assert "NLL" in history.shown(runs, [])
