"""The statistics that are chosen by name: each is computed by its own formula or refused by its own name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._registries import REGISTRIES, Variant
from steelyard.uncertainty._statistics import WORDS, refusal
from steelyard.uncertainty.mean import CLOSED_FORMS

from .cases import all_cases, normalish

STATISTICS = REGISTRIES["uncertainty.statistic"]
# Every statistic by its definition, from as many columns as it takes.
DEFINITIONS: dict[str, Callable[..., float]] = {
    "mean": lambda x: math.fsum(x) / len(x),
    "ratio": lambda x, y: math.fsum(x) / math.fsum(y),
}


def data(statistic: str) -> list[np.ndarray]:
    return [3.0 + normalish(20, 40 + i) for i, _ in enumerate(STATISTICS[statistic].columns)]


def asked(call: Callable[..., Any], statistic: str) -> Any:
    columns = data(statistic)
    return call(columns[0] if len(columns) == 1 else tuple(columns), statistic)


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_each_is_answered_by_its_definition(statistic: str) -> None:
    want = DEFINITIONS[statistic](*data(statistic))
    assert asked(sy.bootstrap, statistic).value == pytest.approx(want, rel=1e-12)
    if statistic in CLOSED_FORMS:
        assert asked(sy.estimate, statistic).value == pytest.approx(want, rel=1e-12)
    else:
        with pytest.raises(ValueError, match=rf"^statistic: .*got '{statistic}'; use steelyard\.bootstrap"):
            asked(sy.estimate, statistic)


@pytest.mark.parametrize("columns", [("x",), ("x", "y")])
def test_a_name_without_a_formula_is_refused_by_name(columns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never taken for another: not by the estimate, not by the bootstrap's core."""
    monkeypatch.setitem(STATISTICS, "new", Variant("new", "", "", "", columns, {}))  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"^statistic: expected one of mean, ratio; got 'new'; use steelyard\.bootstrap"
    ):
        asked(sy.estimate, "new")
    with pytest.raises(ValueError, match=r"statistic: expected one of .*got 'new'"):
        asked(sy.bootstrap, "new")


def test_each_has_its_own_words_for_what_is_refused() -> None:
    assert set(WORDS) == set(DEFINITIONS) == set(STATISTICS)


def test_each_has_cases_beside_the_reference() -> None:
    """In the shared test table: resampled by rows and by clusters."""
    cases = {case.name for case in all_cases()}
    wanted = {f"uncertainty.bootstrap_{name}{units}" for name in STATISTICS for units in ("", "_clusters")}
    assert sorted(wanted - cases) == []


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
@pytest.mark.parametrize("kind", ["equal values", "equal means", "empty resample"])
def test_no_message_speaks_of_another_statistic(statistic: str, kind: str) -> None:
    """A resample without an answer has words wherever the statistic can have one; the mean of rows cannot."""
    columns = {f"x[{i}]": column for i, column in enumerate(data(statistic))}
    found = {"refused": kind, "n": 20}
    if kind == "empty resample" and WORDS[statistic].no_answer is None:
        assert statistic == "mean"
        return
    message = str(refusal(found, statistic, columns, None))  # type: ignore[arg-type]
    others = set(STATISTICS) - {statistic}
    assert not [name for name in others if f"{name}s" in message], message
