"""The keyword `by=` of `estimate`: one estimate for each group of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy

X = np.array([0.25, 0.5, 0.125, 1.0, 0.75, 0.5, 0.0, 0.375, 0.625, 1.0])
BY = np.array(["law", "math", "law", "law", "math", "math", "art", "art", "law", "art"])
GROUPS = ["art", "law", "math"]
USERS = np.array([1, 1, 2, 2, 3, 4, 5, 5, 4, 9])
W = np.array([1.0, 2.0, 0.5, 0.0, 1.0, 3.0, 1.0, 2.0, 1.0, 1.0])
WHERE = np.array([True] * 8 + [False, True])


def of_one(e: sy.Estimate) -> sy.Estimate:
    """One group's estimate as it is without the limits for all groups."""
    detail = {key: value for key, value in e.detail.items() if not key.startswith("simultaneous")}
    return replace(e, detail=detail)


@pytest.mark.parametrize("weights", [None, W])
@pytest.mark.parametrize("clusters", [None, USERS])
@pytest.mark.parametrize("where", [None, WHERE])
@pytest.mark.parametrize("x", [X, X > 0.4, X.astype(np.float32)], ids=["graded", "answers", "float32"])
@pytest.mark.parametrize("options", [{}, {"confidence_level": 0.8, "alternative": "less"}])
def test_each_group_is_the_estimate_of_its_rows(x: Any, where: Any, clusters: Any, weights: Any, options: Any) -> None:
    rows = {"where": where, "clusters": clusters, "weights": weights}
    found = sy.estimate(x, by=BY, **rows, **options)
    assert found.names == tuple(GROUPS)
    for name in GROUPS:
        mine = name == BY
        want = sy.estimate(x[mine], **{k: v if v is None else v[mine] for k, v in rows.items()}, **options)
        assert of_one(found[name]) == want
        # A mask does the same; it also counts the other groups' rows as left out.
        masked = sy.estimate(x, **{**rows, "where": mine if where is None else mine & where}, **options)
        assert replace(of_one(found[name]), left_out={}) == replace(masked, left_out={})


def test_limits_that_hold_for_all_groups_are_in_the_detail() -> None:
    found = sy.estimate(X, by=BY)
    strict = sy.estimate(X, by=BY, confidence_level=1 - 0.05 / 3)
    assert found.detail["simultaneous_low"].tolist() == strict.low.tolist()
    assert found.detail["simultaneous_high"].tolist() == strict.high.tolist()
    assert (found.detail["simultaneous_low"] < found.low).all()
    alone = sy.estimate(X, by=["all"] * 10)
    assert alone["all"] == sy.estimate(X)
    few = sy.estimate([0.25, 0.5, 0.75], by=["a", "a", "b"])
    assert np.isnan(few.detail["simultaneous_low"]).tolist() == [False, True]
    assert few["b"] == sy.estimate([0.75])


@given(st.data())
def test_groups_do_not_depend_on_the_order_of_the_rows(data: st.DataObject) -> None:
    """Eighths add up exactly, so that not one bit may change."""
    order = np.array(data.draw(st.permutations(range(10))))
    rows = {"by": BY, "clusters": USERS, "weights": W}
    found = sy.estimate(X[order], **{k: v[order] for k, v in rows.items()})
    assert found.names == tuple(GROUPS)
    assert found.value.tolist() == sy.estimate(X, **rows).value.tolist()
    assert found.n.tolist() == sy.estimate(X, **rows).n.tolist()
    right = X > 0.4
    assert sy.estimate(right[order], by=BY[order]) == sy.estimate(right, by=BY)


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=3, unique=True))
def test_other_names_are_another_order_and_nothing_else(ids: list[int]) -> None:
    found = sy.estimate(X, by=[ids[GROUPS.index(name)] for name in BY], clusters=USERS)
    want = sy.estimate(X, by=BY, clusters=USERS)
    assert found.names == tuple(map(str, sorted(ids)))
    for name, new in zip(GROUPS, ids, strict=True):
        assert found[str(new)] == want[name]


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        ([2, 10, 1], ("1", "2", "10")),
        ([2.0, np.nan, 1.0], ("1", "2")),
        ([2.5, 1.0, None], ("1.0", "2.5")),
        ([True, False, None], ("False", "True")),
        (np.array(["2024-02-01", "2024-01-31", "NaT"], "M8[D]"), ("2024-01-31", "2024-02-01")),
        ([b"b", b"a", None], ("a", "b")),
        ([2**70, 5, None], ("5", str(2**70))),
        ([" a", "a", "A"], (" a", "A", "a")),
    ],
)
def test_groups_are_named_by_their_ids_in_order(ids: Any, names: tuple[str, ...]) -> None:
    found = sy.estimate([0.25, 0.5, 0.75], by=ids, nan_policy="omit")
    assert found.names == names
    assert found.left_out == ({} if len(names) == 3 else {"no group": 1})


def test_a_row_without_a_group_follows_nan_policy() -> None:
    by = ["a", None, "b", "a", None, "b", "b"]
    x = [0.5, 0.25, 1.0, 0.75, np.nan, np.nan, 0.0]
    message = "by: expected an id for every row; got none at index 1; drop those rows with where=, or pass nan_policy="
    with pytest.raises(ValueError, match=message):
        sy.estimate(x[:4], by=by[:4])
    found = sy.estimate(x, by=by, nan_policy="omit")
    assert found.n.tolist() == [2, 2]
    # Each row is counted once, by the first reason: the fifth is NaN, and in no group's count.
    assert found["a"].left_out == {"no group": 1}
    assert found["b"].left_out == {"nan": 1, "no group": 1}
    # What does not count needs no group.
    where = [i not in (1, 4, 5) for i in range(7)]
    assert sy.estimate(x, by=by, where=where).value.tolist() == found.value.tolist()
    weights = [1, 0, 1, 1, 0, 0, 1]
    assert sy.estimate(x, by=by, weights=weights)["b"].left_out == {"zero weight": 1}


def test_a_group_that_where_leaves_out_is_none_and_one_that_vanishes_otherwise_is_refused() -> None:
    by, x = ["a", "a", "b", "b"], [0.5, 1.0, np.nan, np.nan]
    assert sy.estimate(x, by=by, where=[True, True, False, False]).names == ("a",)
    message = (
        r"by: expected a row that counts in every group; got none of 2 in 'b' \(left out: 2 nan\); leave the group"
    )
    with pytest.raises(ValueError, match=message):
        sy.estimate(x, by=by, nan_policy="omit")
    message = r"got none of 2 in 'b' \(left out: 1 where, 1 zero weight\)"
    with pytest.raises(ValueError, match=message):
        sy.estimate(X[:4], by=by, weights=[1, 1, 0, 1], where=[True, True, True, False])
    message = r"x: expected at least one row that counts; got none of 2 \(left out: 1 nan, 1 no group\)"
    with pytest.raises(ValueError, match=message):
        sy.estimate([1.0, np.nan], by=[None, "a"], nan_policy="omit")


def test_an_index_in_a_sentence_is_the_callers() -> None:
    x = X.copy()
    x[5] = np.inf
    with pytest.raises(ValueError, match="x: expected finite values; got inf at index 5"):
        sy.estimate(x, by=BY, where=np.arange(10) != 0)


@pytest.mark.parametrize(
    ("by", "error", "sentence"),
    [
        (["a"] * 9, ValueError, r"by: expected one id per row, shape \(10,\); got shape \(9,\)"),
        ([["a"] * 10], ValueError, r"by: expected one id per row, shape \(10,\); got shape \(1, 10\)"),
        (("a",) * 10, TypeError, "by: expected an array or a list of ids; got a tuple"),
        ("subject", TypeError, "by: expected an array; got str 'subject'"),
        (["a", 1] * 5, TypeError, "by: expected ids of one kind"),
        (["\ud800"] * 10, ValueError, "by: expected ids of valid Unicode"),
        ([np.datetime64("2024-01-01", "D")] * 9 + [1], TypeError, "by: expected ids of one kind"),
    ],
)
def test_bad_groups_are_refused(by: Any, error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sy.estimate(X, by=by)


def test_several_columns_with_groups_are_refused() -> None:
    for x in ({"a": X}, X.reshape(10, 1), {"a": X, "b": X}):
        with pytest.raises(ValueError, match="x: expected one column with by=; got several; estimate one column at a"):
            sy.estimate(x, by=BY)


def test_thousands_of_groups() -> None:
    ids = np.arange(70_000) * 7919 % 7_000
    x = (np.arange(70_000) % 11) / 8
    found = sy.estimate(x, by=ids)
    assert len(found) == 7_000
    for group in (0, 1, 6_999):
        assert of_one(found[str(group)]) == sy.estimate(x[ids == group])
