"""Fixtures and settings that every test shares."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from steelyard import _core

settings.register_profile(
    "ci", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", deadline=None, max_examples=2000)
# Hypothesis' plugin gives each case of a parametrised test settings that fall back on those of the case before, and asks
# all of them for the database: a call within a call for each case.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def real_data() -> Path | None:
    """The folder of real inputs: ``STEELYARD_TEST_DATA``, else ``../shared/data`` beside the repository."""
    root = Path(__file__).resolve().parents[1]
    named = os.environ.get("STEELYARD_TEST_DATA")
    folder = Path(named) if named else root.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def pytest_configure(config: pytest.Config) -> None:
    """Know the markers of SciPy's tests, of which test_scipy_bootstrap.py imports some."""
    for marker in (
        "array_api_backends",
        "fail_slow",
        "skip_xp_backends",
        "slow",
        "xfail_on_32bit",
        "xfail_xp_backends",
        "xslow",
    ):
        config.addinivalue_line("markers", f"{marker}: of SciPy's tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Close with one line that says what is missing, in place of a line per place that skips."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        said = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"skipped, by what is missing: {said}")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = real_data()
    if folder is None:
        pytest.skip("real inputs are absent: set STEELYARD_TEST_DATA to the folder that holds them")
    return folder


@pytest.fixture(autouse=True)
def _default_machine() -> Iterator[None]:
    """Every test starts and ends with the default threads, the best level and the standard floating-point mode."""
    yield
    _core.set_threads(None)
    _core.force_isa(None)
    _core.set_mode_for_tests()
