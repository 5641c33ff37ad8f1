"""Values at the limits of float64: the result is right or an error, never an unexplained NaN or infinity."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import steelyard as sy
from steelyard._registries import names

from .cases.preference import scored

HUGE = 1.7e308
EDGES = [0.0, -0.0, 5e-324, 1e-300, 1.0, 2.0**53 + 2, 2.0**62, 1e154, 1e200, HUGE, -1.0, -1e200, -HUGE]
LEVELS = [1.2e-16, 0.05, 0.3, 0.5, 0.95, 1 - 2.0**-53]
values = st.sampled_from(EDGES) | st.floats(allow_nan=False, allow_infinity=False)
columns = st.lists(values, min_size=1, max_size=8)
options = st.fixed_dictionaries(
    {"confidence_level": st.sampled_from(LEVELS), "alternative": st.sampled_from(["two-sided", "less", "greater"])}
)


def sound(found: sy.Estimate, alternative: str) -> None:
    """No NaN, and an infinity only on the open side of a one-sided interval or with a reason that mentions it."""
    explained = "overflows" in str(found.reason) or "infinite" in str(found.reason)
    for name in ("value", "standard_error", "low", "high"):
        number = getattr(found, name)
        opened = (name, alternative) in (("low", "less"), ("high", "greater"))
        if number is not None and not opened:
            assert math.isfinite(number) or (explained and number == math.inf), (name, found)
    repr(found)
    str(found)


def answered(call: Any, alternative: str) -> None:
    """An estimate that is sound, or a sentence; warnings are errors in this suite."""
    try:
        found = call()
    except ValueError as error:
        said = str(error)
        if "expected" not in said or "\n" in said:
            raise
        return
    sound(found, alternative)


@settings(deadline=None, max_examples=150)
@given(columns, options, st.booleans())
def test_means(x: list[float], how: Any, clustered: bool) -> None:
    clusters = [i % 3 for i in range(len(x))] if clustered else None
    answered(lambda: sy.estimate(x, clusters=clusters, **how), how["alternative"])
    answered(lambda: sy.compare(x, baseline=x[::-1], clusters=clusters, **how).difference, how["alternative"])
    answered(lambda: sy.bootstrap(x, clusters=clusters, n_resamples=99, **how), how["alternative"])


@settings(deadline=None, max_examples=150)
@given(columns, options, st.booleans(), st.sampled_from(["perplexity", "bits", "nats"]))
def test_perplexity(x: list[float], how: Any, clustered: bool, unit: Any) -> None:
    nll = np.abs(x)
    clusters = [i % 3 for i in range(len(x))] if clustered else None
    answered(lambda: sy.perplexity(nll, clusters=clusters, unit=unit, **how), how["alternative"])


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(values, values, values, values), min_size=1, max_size=5),
    st.sampled_from(names("preference.loss")),
    st.sampled_from([5e-324, 1e-160, 0.1, 1e300, HUGE]),
)
def test_preferences(pairs: list[tuple[float, ...]], loss: Any, beta: float) -> None:
    try:
        columns = [-np.abs(column) for column in zip(*pairs, strict=True)]  # what is positive is refused
        found = scored(columns, loss=loss, beta=beta)
    except ValueError as error:
        if "expected" not in str(error):
            raise
        return
    for column in (found.losses, found.rewards_chosen, found.rewards_rejected, found.grad_chosen, found.grad_rejected):
        assert np.isfinite(column).all()
    for of in ("loss", "reward_accuracy", "reward_margin"):
        answered(lambda of=of: getattr(found, of), "two-sided")


@pytest.mark.parametrize("method", names("proportion.method"))
@pytest.mark.filterwarnings("ignore::steelyard.errors.SteelyardWarning")
def test_proportions_at_every_level(method: str) -> None:
    sides = names("interval.alternative")
    for n, level, alternative in itertools.product((1, 2, 20, 2**53 + 1, 2**63 - 1), LEVELS, sides):
        for k in {0, 1, n // 2, n - 1, n}:
            found = sy.proportion(k, n, method=method, confidence_level=level, alternative=alternative)
            sound(found, "two-sided")
            assert 0 <= found.low <= 1
            assert 0 <= found.high <= 1


def test_one_sided_limits_under_one_half() -> None:
    z2 = 0.5244005127080407**2
    found = sy.proportion(0, 20, alternative="greater", confidence_level=0.3)
    assert found.low == pytest.approx(z2 / (20 + z2), rel=1e-13)
    assert sy.proportion(20, 20, alternative="less", confidence_level=0.3).high == pytest.approx(20 / (20 + z2))
    assert sy.proportion(0, 20, alternative="greater", confidence_level=0.5).low == 0.0


@pytest.mark.parametrize("level", [1e-300, 1e-17, 2.0**-54])
def test_levels_that_one_cannot_be_told_from_are_refused(level: float) -> None:
    with pytest.raises(ValueError, match="confidence_level: expected"):
        sy.estimate([1.0, 2.0], confidence_level=level)


def test_a_mask_of_the_lowest_finite_number() -> None:
    logits = np.zeros((2, 3, 4), np.float32)
    logits[0, 1, 2] = np.finfo(np.float32).min
    scores = sy.token_scores(logits, np.full((2, 3), 2))
    assert scores.sequence_logprob[0] == -float(-np.finfo(np.float32).min)
    assert scores.sequence_logprob[1] == pytest.approx(-3 * math.log(4))
    with pytest.raises(ValueError, match=r"NLL below 2\*\*62.*index \[0, 1\].*mask with -inf"):
        sy.perplexity(scores)


@pytest.mark.parametrize(("field", "bad"), [("nll", math.nan), ("nll", -1.0), ("nll", -math.inf), ("log_z", math.nan)])
def test_scores_made_by_hand_are_numbers_where_they_count(field: str, bad: float) -> None:
    fields = {"nll": np.ones((2, 3)), "log_z": np.ones((2, 3))}
    fields[field][1, 2] = bad
    counted = np.ones((2, 3), np.bool_)
    with pytest.raises(ValueError, match=rf"^{field}: expected .* at index \[1, 2\]"):
        sy.tokens.TokenScores(**fields, counted=counted)
    counted[1, 2] = False
    assert sy.tokens.TokenScores(**fields, counted=counted).n_counted == 5


@pytest.mark.parametrize("names", [(1, "1"), ("None", None), (2.5, "2.5")])
def test_columns_whose_names_are_one_text_are_refused(names: tuple[Any, Any]) -> None:
    columns = {name: [0.0, 1.0, 0.5] for name in names}
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises(ValueError, match=r"^columns: expected names that differ as text"):
            call(columns)
    assert sy.estimate({1: [0.0, 1.0], "2": [0.0, 1.0]}).names == ("1", "2")


def test_a_missing_date_is_no_id() -> None:
    days = np.array(["2024-01-01", "NaT", "NaT", "2025-01-01"], "M8[D]")
    with pytest.raises(ValueError, match="clusters: expected an id for every row; got none at index 1"):
        sy.estimate([1, 0, 1, 1], clusters=days)
    where = np.array([True, False, False, True])
    assert sy.estimate([1, 0, 1, 1], clusters=days, where=where).n_clusters == 2
