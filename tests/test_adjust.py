"""The adjustment of p-values at hand: shapes, names, errors, and the numbers of statsmodels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard._registries import names

from .cases import uniform

METHODS = names("adjust.method")
THEIRS = {"bonferroni": "bonferroni", "holm": "holm", "hochberg": "simes-hochberg", "bh": "fdr_bh", "by": "fdr_by"}
adjust = sy.uncertainty.adjust


@pytest.mark.parametrize("method", METHODS)
def test_the_numbers_of_statsmodels(method: str) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is the peer of this test")
    for p in (uniform(200, 1) ** 3, np.round(uniform(60, 2), 1), np.array([0.0, 1.0, 0.04]), np.array([0.3])):
        want = multitest.multipletests(p, method=THEIRS[method])[1]
        np.testing.assert_allclose(adjust(p, method), want, rtol=1e-13, atol=0)


def test_a_worked_example() -> None:
    """Benjamini and Hochberg (1995): fifteen tests, of which Bonferroni rejects three, Hochberg three and theirs four."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    rejected = {method: int((adjust(p, method) <= 0.05).sum()) for method in ("bonferroni", "hochberg", "bh")}
    assert rejected == {"bonferroni": 3, "hochberg": 3, "bh": 4}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms())
def test_laws(p: list[float], random: Any) -> None:
    of = {method: adjust(p, method) for method in METHODS}
    assert (of["holm"] <= of["bonferroni"]).all()
    assert (of["hochberg"] <= of["holm"]).all()
    assert (of["bh"] <= of["hochberg"] * (1 + 1e-15)).all()
    assert (of["bh"] <= of["by"]).all()
    places = random.sample(range(len(p)), len(p))
    for method, adjusted in of.items():
        assert (adjusted >= p).all()
        assert (adjusted <= 1).all()
        assert adjust([p[i] for i in places], method).tolist() == adjusted[places].tolist()


def test_shapes_and_names_stay() -> None:
    p = uniform(12, 3)
    assert adjust(p.reshape(3, 4)).tolist() == adjust(p).reshape(3, 4).tolist()
    assert adjust(0.3).shape == ()
    assert adjust([]).shape == (0,)
    assert adjust({}) == {}
    named = adjust({f"t{i}": x for i, x in enumerate(p.tolist())}, "bh")
    assert list(named) == [f"t{i}" for i in range(12)]
    assert list(named.values()) == adjust(p, "bh").tolist()
    assert adjust(p.astype(np.float32)).dtype == np.float64
    assert adjust([0, 1]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("method", METHODS)
def test_comparisons_take_the_same_names(method: str) -> None:
    base = uniform(200, 1) < 0.6
    models = {f"m{i}": uniform(200, 5 + i) < 0.5 + 0.03 * i for i in range(5)}
    found = sy.compare(models, baseline=base, adjust=method)
    assert found.p_adjusted.tolist() == adjust(found.p_value, method).tolist()


@pytest.mark.parametrize(
    ("p", "method", "error", "sentence"),
    [
        (
            [0.1, np.nan],
            "holm",
            ValueError,
            r"p_values: expected numbers inside \[0, 1\]; got nan at index 1; leave it out",
        ),
        ([[0.1, 1.5]], "by", ValueError, r"p_values: expected numbers inside \[0, 1\]; got 1.5 at index \(0, 1\)"),
        ({"a": -0.1}, "bh", ValueError, r"p_values: expected numbers inside \[0, 1\]; got -0.1 under 'a'"),
        ({"a": "x"}, "bh", TypeError, r"p_values\['a'\]: expected a number"),
        (["x"], "bh", TypeError, "p_values: expected"),
        ([0.1], "fdr", ValueError, "method: expected one of bonferroni, holm, hochberg, bh, by; got 'fdr'"),
    ],
)
def test_bad_p_values_are_refused(p: Any, method: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        adjust(p, method)
