"""The protocol of an Estimate: words, picking, equality, and the operators that it refuses."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._numbers import decimals

ONE = sy.proportion(870, 1000)
MANY = sy.estimate({"old": [0.9, 0.4, 0.7, 1.0], "new<": [0.8, 0.9, 0.7, 1.0]})
PLAIN = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "method": "made"}


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge, operator.sub])
@pytest.mark.parametrize("other", [ONE, 0.5, np.float64(0.5), np.array([0.5, 0.6]), 1])
def test_order_and_difference_are_refused_and_name_compare(compare: Callable[..., Any], other: Any) -> None:
    for left, right in ((ONE, other), (other, ONE)):
        with pytest.raises(TypeError, match=r"no order and no difference.*steelyard\.compare"):
            compare(left, right)


def test_an_estimate_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError, match=r"neither true nor false.*steelyard\.compare"):
        bool(ONE)


@pytest.mark.parametrize("combine", [operator.add, operator.mul, operator.truediv])
def test_other_arithmetic_is_refused_from_either_side(combine: Callable[..., Any]) -> None:
    for left, right in ((ONE, np.float64(2)), (np.float64(2), ONE), (np.ones(2), ONE)):
        with pytest.raises(TypeError, match=r"operand|not implemented for NumPy arrays"):
            combine(left, right)


def test_formats() -> None:
    assert float(ONE) == 0.87
    assert f"{ONE:.1%}" == "87.0% [84.8%, 88.9%]"
    assert f"{ONE}" == str(ONE) == "0.870 [0.848, 0.889] (95 %, Wilson, n = 1000)"
    assert repr(ONE) == f"<Estimate {ONE}>"
    assert f"{MANY:.1f}" == "old   0.8 [0.3, 1.2]\nnew<  0.8 [0.6, 1.1]"
    alone = sy.estimate([0.3])
    assert f"{alone:.2f}" == "0.30"
    assert str(alone).startswith("0.3 (t, n = 1, no interval: ")


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.4, 0.6, "0.50 [0.40, 0.60]"),
        (0.49995, 0.50005, "0.500000 [0.499950, 0.500050]"),
        (-40.0, 41.0, "0 [-40, 41]"),
        (0.5, 0.5, "0.5 [0.5, 0.5]"),
        (-math.inf, 0.6, "0.5 [-inf, 0.6]"),
    ],
)
def test_the_interval_shows_two_significant_digits(low: float, high: float, shown: str) -> None:
    e = sy.Estimate(**PLAIN | {"low": low, "high": high})
    assert str(e) == f"{shown} (95 %, made, n = 10)"


def test_what_was_left_out_is_shown() -> None:
    e = sy.estimate([0.5, np.nan, 0.7, 0.8], where=[True, True, True, False], nan_policy="omit")
    assert e.left_out == {"where": 1, "nan": 1}
    assert "left out: 1 where, 1 nan" in str(e)


def test_one_of_many_is_picked_by_name_or_place() -> None:
    assert len(MANY) == 2
    assert [e.value for e in MANY] == MANY.value.tolist()
    assert MANY["new<"] == MANY[1] == MANY[-1]
    assert MANY["old"] == sy.estimate([0.9, 0.4, 0.7, 1.0])
    for key, error in (("third", KeyError), (2, IndexError)):
        with pytest.raises(error):
            MANY[key]
    for wrong in (lambda: ONE[0], lambda: len(ONE), lambda: float(MANY)):
        with pytest.raises(TypeError):
            wrong()


def test_what_a_problem_lacks_is_none_when_picked() -> None:
    e = sy.estimate(np.array([[0.5, 0.7], [0.25, np.nan]]), nan_policy="omit")
    assert math.isnan(e.low[1])
    assert (e[1].standard_error, e[1].low, e[1].high, e[1].detail) == (None, None, None, {})
    assert e[0].left_out == {}
    assert e[1].left_out == {"nan": 1}


def test_equality_is_of_bits() -> None:
    same = sy.Estimate(**PLAIN)
    assert same == sy.Estimate(**PLAIN)
    assert hash(same) == hash(sy.Estimate(**PLAIN))
    assert same != sy.Estimate(**PLAIN | {"low": math.nextafter(0.4, 1)})
    assert same != sy.Estimate(**PLAIN | {"reason": "another"})
    assert sy.Estimate(value=0.0) != sy.Estimate(value=-0.0)
    assert sy.Estimate(value=math.nan) == sy.Estimate(value=math.nan)
    assert same != 0.5
    assert sy.estimate([1.0, 2.0, 4.0]) != sy.bootstrap([1.0, 2.0, 4.0], n_resamples=99)
    assert sy.estimate({"old": [0.9, 0.4, 0.7, 1.0], "new<": [0.8, 0.9, 0.7, 1.0]}) == MANY


def test_data_has_the_types_of_json() -> None:
    plain = sy.Estimate(value=np.array([math.nan, math.inf]), detail={"df": np.float64(3), "k": np.int64(2)}).to_dict()
    assert plain["value"] == [None, "Infinity"]
    assert plain["detail"] == {"df": 3.0, "k": 2}
    assert set(plain) == {
        "value", "standard_error", "low", "high", "confidence_level", "n", "n_effective", "n_clusters", "method",
        "reason", "left_out", "names", "detail",
    }  # fmt: skip


def test_a_notebook_shows_a_table_and_escapes_names() -> None:
    page = MANY._repr_html_()
    assert page.count("<tr>") == 3
    assert "new&lt;" in page
    assert "new<" not in page
    assert "95 % intervals" in page
    assert sy.estimate([0.3])._repr_html_().count("<td></td>") == 5  # no name, no interval, no error, nothing left out


def test_no_width_has_the_usual_decimals() -> None:
    assert [decimals(width) for width in (0.0, math.nan, math.inf, 1.0, 0.02, 5e-300)] == [4, 4, 4, 1, 3, 12]


def test_a_row_of_the_page_is_its_cells_and_nothing_else() -> None:
    row = sy.estimate([0.25, 0.5, 1.0])._repr_html_().partition("</th></tr>")[2]
    cells = ("", "0.58", "-0.37", "1.53", "0.22", "3", "t", "")
    assert row == "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr></table>"
