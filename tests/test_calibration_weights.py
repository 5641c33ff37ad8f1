"""Sampling weights of `reliability`: recomputed, beside `estimate`, laws that hold bit for bit, and what is refused."""

from __future__ import annotations

import math
import pickle
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard.calibration import ReliabilityState

from .cases import uniform
from .coverage import weighted_calibration
from .states import body_of, options_of, sealed
from .test_calibration import draw

ERRORS = ("ece", "rmsce", "mce", "gap", "frequency")
NUMBERS = ("value", "standard_error", "low", "high")


def rows(n: int, stream: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, outcomes, weights of many sizes, and clusters."""
    p = uniform(n, stream)
    ids = np.floor(uniform(n, stream + 3) * n / 6).astype(int)
    return p, draw(p, stream + 1), np.exp2(4 * uniform(n, stream + 2)), ids


def said(rel: sy.calibration.Reliability) -> list[Any]:
    """All numbers but the counts of rows."""
    of = [getattr(getattr(rel, name), number) for name in ERRORS for number in NUMBERS]
    columns = ("mean_probability", "accuracy", "gap", "low", "high")
    bins = (rel.table[name][rel.table["count"] > 0].tolist() for name in columns)
    return [rel.noise_floor, *of, *chain.from_iterable(bins)]


def near(a: list[Any], b: list[Any], within: float) -> None:
    assert [x is None for x in a] == [x is None for x in b]
    assert [x for x in a if x is not None] == pytest.approx([x for x in b if x is not None], rel=within, abs=within)


# -- the numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clustered", [False, True])
def test_the_errors_recomputed(clustered: bool) -> None:
    p, y, w, ids = rows(400)
    owner = ids if clustered else np.arange(400)
    rel = sy.reliability(p, y, weights=w, clusters=ids if clustered else None)
    index = np.searchsorted(np.arange(1, 15) / 15, p)
    names, code = np.unique(owner, return_inverse=True)
    m, n = np.zeros((2, len(names), 15))
    np.add.at(m, (code, index), w * (p - y))
    np.add.at(n, (code, index), w)
    size, groups = n.sum(0), len(names)
    share, gap = size / size.sum(), m.sum(0) / size
    sigma = groups / (groups - 1) * ((m / size) ** 2).sum(0)
    assert rel.noise_floor == pytest.approx(math.sqrt(2 / math.pi) * (share * np.sqrt(sigma)).sum(), rel=1e-12)
    assert rel.ece.value == pytest.approx((share * abs(gap)).sum(), rel=1e-12)
    assert rel.rmsce.value == pytest.approx(math.sqrt((share * gap * gap).sum()), rel=1e-12)
    assert rel.mce.value == pytest.approx(abs(gap).max(), rel=1e-12)
    assert rel.table["weight"] == pytest.approx(share, rel=1e-12)
    assert rel.table["gap"] == pytest.approx(gap, abs=1e-14)
    assert rel.table["count"].tolist() == np.bincount(index).tolist()
    assert rel.n == 400
    assert rel.n_clusters == (groups if clustered else None)
    assert rel.ece.n_effective == pytest.approx(w.sum() ** 2 / (w * w).sum(), rel=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
def test_what_is_a_mean_is_the_estimate_of_it(clustered: bool) -> None:
    """The signed gap, the share that came true, and the share of every bin."""
    p, y, w, ids = rows(300, 510)
    options: dict[str, Any] = {"weights": w, "clusters": ids if clustered else None}
    rel = sy.reliability(p, y, n_bins=5, **options)
    gap, rate = sy.estimate(p - y, method="t", **options), sy.estimate(y, **options)
    for mine, its in ((rel.gap, gap), (rel.base_rate, rate)):
        assert [getattr(mine, name) for name in NUMBERS] == pytest.approx(
            [getattr(its, name) for name in NUMBERS], rel=1e-9
        )
        assert (mine.n, mine.n_clusters, mine.method) == (its.n, its.n_clusters, its.method)
        assert mine.n_effective == pytest.approx(its.n_effective, rel=1e-9)
    assert rel.base_rate.reason == rate.reason
    for b in range(5):
        here = np.searchsorted(np.arange(1, 5) / 5, p) == b
        share = sy.estimate(y, where=here, **options)
        assert rel.table["accuracy"][b] == pytest.approx(share.value, rel=1e-12)
        assert (rel.table["low"][b], rel.table["high"][b]) == pytest.approx((share.low, share.high), rel=1e-9)


def test_what_it_is_called() -> None:
    p, y, w, ids = rows(60, 520)
    rel = sy.reliability(p, y, weights=w)
    assert (rel.ece.method, rel.mce.method, rel.gap.method) == (
        "weighted inversion",
        "weighted Wilson a bin",
        "weighted t",
    )
    assert rel.ece.reason == "rows with weights count as independent"
    assert sy.reliability(p, y, weights=w, clusters=ids).ece.reason == "rows with weights in clusters"
    assert "weight" not in sy.reliability(p, y).table
    assert rel.to_dict()["table"]["weight"] == rel.table["weight"].tolist()
    assert "<th>weight</th>" in rel._repr_html_()
    assert "60 rows with weights in 15 bins" in repr(ReliabilityState().update(p, y, weights=w))
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing is drawn")
    drawn = [bar.get_height() for bar in rel.plot().child_axes[0].patches]
    assert drawn == pytest.approx(rel.table["weight"].tolist())


@pytest.mark.parametrize("off", [0.0, 0.4])
def test_limits_hold_about_as_often_as_they_say(off: float) -> None:
    """One design of the table in docs/coverage.md, 120 sets: .95 scatters by .02."""
    found = weighted_calibration.design("ids", 60, 8.0, 0.6, off, 120)
    for name in ("ece", "rmsce", "mce", "gap"):
        assert found.held[name] / 120 > 0.89, name
    if off == 0.0:
        assert found.floor / found.ece == pytest.approx(1.0, abs=0.1)
        assert found.called / 120 < 0.1


# -- laws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [1.0, 0.25, 2.0**1000, 2.0**-1074])
def test_equal_weights_are_none(constant: float) -> None:
    """Bit for bit, for every power of two: without clusters each row is its own."""
    p, y, _, ids = rows(200, 530)
    without, equal = sy.reliability(p, y, clusters=np.arange(200)), sy.reliability(p, y, weights=np.full(200, constant))
    assert said(equal) == said(without)
    near(said(sy.reliability(p, y, weights=np.full(200, 0.3))), said(without), 1e-12)
    # Clusters of unequal size that agree in a bin count as (sum n)^2 / sum n^2 there, as `estimate` has it with weights.
    without, equal = (sy.reliability(p, y, clusters=ids, weights=w) for w in (None, np.full(200, constant)))
    for name in ("ece", "rmsce", "gap", "frequency"):
        for number in NUMBERS:
            assert getattr(getattr(equal, name), number) == getattr(getattr(without, name), number)
    assert equal.mce.value == without.mce.value
    assert equal.noise_floor == without.noise_floor


def test_one_say_an_id_is_the_data_without_repeats() -> None:
    p, y, _, _ = rows(150, 540)
    times = 1 + (7 * uniform(150, 545)).astype(int)
    again = np.repeat(np.arange(150), times)
    once = sy.reliability(p, y, clusters=np.arange(150))
    often = sy.reliability(p[again], y[again], weights=1 / times[again], clusters=again)
    near(said(often), said(once), 1e-11)
    assert (often.n, often.n_clusters) == (len(again), 150)
    assert often.mce.detail["bin_n"] > once.mce.detail["bin_n"]
    apart = sy.reliability(p[again], y[again], clusters=again)
    assert abs(apart.ece.value - once.ece.value) > 1e-4, "which records counted alike are not"


def test_one_say_an_id_where_nothing_scatters() -> None:
    times = np.array([1, 2, 3, 5, 7])
    ids = np.repeat(np.arange(5), times)
    once = sy.reliability([0.9] * 5, [1] * 5, clusters=np.arange(5))
    often = sy.reliability([0.9] * 18, [1] * 18, weights=1 / times[ids], clusters=ids)
    near(said(often), said(once), 1e-11)
    assert often.ece.reason == once.ece.reason.replace("rows", "rows with weights")  # type: ignore[union-attr]


WEIGHTS = st.sampled_from([1e-300, 0.1, 1 / 3, 1.0, 1.0, 7.5, 1e300])
ROWS = st.lists(st.tuples(st.floats(0, 1), st.booleans(), WEIGHTS, st.integers(0, 4)), min_size=1, max_size=30)


@given(ROWS, st.booleans(), st.data())
def test_neither_order_nor_names_nor_the_scale_move_a_bit(
    found: list[tuple[float, bool, float, int]], clustered: bool, data: st.DataObject
) -> None:
    p, y, w, ids = map(np.array, zip(*found, strict=True))
    owner = ids if clustered else None
    want = said(sy.reliability(p, y, n_bins=4, weights=w, clusters=owner))
    order = np.array(data.draw(st.permutations(range(len(p)))))
    names = np.array(data.draw(st.permutations(["e", "a", "zz", "b", "c"])))
    other = names[ids[order]] if clustered else None
    got = sy.reliability(p[order], y[order], n_bins=4, weights=w[order] * 2.0**20, clusters=other)
    assert repr(said(got)) == repr(want)


@given(ROWS, st.booleans())
def test_limits_are_where_they_can_be(found: list[tuple[float, bool, float, int]], clustered: bool) -> None:
    p, y, w, ids = map(np.array, zip(*found, strict=True))
    rel = sy.reliability(p, y, n_bins=4, weights=w, clusters=ids if clustered else None)
    for e, least in ((rel.ece, 0), (rel.rmsce, 0), (rel.mce, 0), (rel.gap, -1), (rel.base_rate, 0)):
        assert least <= e.value <= 1
        if e.low is not None:
            assert least <= e.low <= e.high <= 1
    assert rel.table["weight"].sum() == pytest.approx(1.0)


# -- rows of weight 0 --------------------------------------------------------------------------------------


def test_rows_of_weight_0_are_left_out_and_counted() -> None:
    p, y = [0.2, 7.0, 0.7, math.nan, 0.9], [0, 5, 1, 1, 1]
    rel = sy.reliability(p, y, weights=[1, 0, 2, 0, 3], clusters=["a", None, "b", None, "c"])
    assert (rel.n, rel.n_clusters, rel.left_out) == (3, 3, {"zero weight": 2})
    assert said(rel) == said(sy.reliability([0.2, 0.7, 0.9], [0, 1, 1], weights=[1, 2, 3], clusters=[0, 1, 2]))
    where = [True, False, True, False, True]
    rel = sy.reliability(p, y, weights=[1, math.nan, 0, -1, 3], where=where)
    assert (rel.n, rel.left_out) == (2, {"where": 2, "zero weight": 1})
    with pytest.raises(ValueError, match=r"at least one row that counts; got none \(left out: 2 zero weight\)"):
        sy.reliability([0.5, 0.5], [0, 1], weights=[0, 0])


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, 1e-30]])
def test_one_row_with_all_the_weight_has_no_limits(weights: list[float]) -> None:
    rel = sy.reliability([0.5, 0.3], [1, 0], weights=weights)
    assert rel.ece.value == pytest.approx(0.5)
    for e in (rel.ece, rel.rmsce, rel.mce, rel.gap, rel.base_rate):
        assert (e.low, e.high, e.standard_error) == (None, None, None)
        assert "one row has all the weight" in str(e.reason)
    assert (rel.noise_floor, rel.verdict()) == (None, "undecided")


def test_no_bin_of_small_weights_counts_nothing() -> None:
    rel = sy.reliability([0.1, 0.3, 0.9, 0.6], [1, 0, 1, 1], n_bins=4, weights=[1e-300, 1e300, 5e-324, 1e300])
    assert rel.table["accuracy"].tolist() == [1, 0, 1, 1]
    assert rel.table["gap"] == pytest.approx([-0.9, 0.3, -0.4, -0.1])


# -- states ------------------------------------------------------------------------------------------------


def test_states_take_weights_always_or_never() -> None:
    with_weights = ReliabilityState().update([0.5, 0.2], [1, 0], weights=[1, 2])
    without = ReliabilityState().update([0.5], [1])
    before = with_weights.to_bytes(), without.to_bytes()
    message = "weights: expected weights in every update of a state or in none; this state has the other kind"
    for call in (
        lambda: with_weights.update([0.5], [1]),
        lambda: without.update([0.5], [1], weights=[1]),
        lambda: without.update([0.5], [1], weights=[0]),
        lambda: with_weights + without,
        lambda: without + with_weights,
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(TypeError, match="clusters: expected ids in every update"):
        with_weights.update([0.5], [1], weights=[1], clusters=[3])
    assert (with_weights.to_bytes(), without.to_bytes()) == before
    nothing = ReliabilityState().update([0.5], [1], where=[False])
    assert (nothing + with_weights).compute().left_out == {"where": 1}
    assert (nothing + without).compute().n == 1


def test_bytes_are_of_a_layout_of_their_own() -> None:
    p, y, w, ids = rows(50, 550)
    plain, named = ReliabilityState().update(p, y), ReliabilityState().update(p, y, clusters=ids)
    alone, both = ReliabilityState().update(p, y, weights=w), ReliabilityState().update(p, y, weights=w, clusters=ids)
    none = ReliabilityState().update(p, y, weights=np.zeros(50))
    assert [state.to_bytes()[5] for state in (plain, named, alone, both, none)] == [1, 2, 3, 3, 3]
    for state in (alone, both, none):
        again = pickle.loads(pickle.dumps(state))
        assert again == state
        assert again != plain
        for layout in (1, 2):
            with pytest.raises(ValueError, match=r"^data: expected "):
                ReliabilityState.from_bytes(sealed(ReliabilityState, body_of(state.to_bytes()), layout=layout))
    assert said(ReliabilityState.from_bytes(both.to_bytes()).compute()) == said(both.compute())


def test_weights_that_no_update_takes_are_refused() -> None:
    whole = ReliabilityState().update([0.5, 0.25], [1, 0], weights=[1.0, 3.0]).to_bytes()
    options, rest = options_of(whole)
    head = body_of(whole)[: 4 + len(options)]
    at = rest.index(np.float64(1.0).tobytes())
    for bad in (0.0, -1.0, math.nan, math.inf, 4.0):
        forged = rest[:at] + np.float64(bad).tobytes() + rest[at + 8 :]
        with pytest.raises(ValueError, match="counts and sums that data can have"):
            ReliabilityState.from_bytes(sealed(ReliabilityState, head + forged, layout=3))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1], ValueError, r"weights: expected shape \(2,\), one weight per row of probs; got shape \(1,\)"),
        ([[1, 1]], ValueError, r"weights: expected "),
        ([1, -1], ValueError, r"weights: expected finite numbers of at least 0; got -1.0 at index 1; where="),
        ([math.nan, 1], ValueError, r"weights: expected finite numbers of at least 0; got nan at index 0"),
        ([1, math.inf], ValueError, r"weights: expected finite numbers of at least 0; got inf at index 1"),
        ([1, None], ValueError, r"weights: expected finite numbers of at least 0; got nan at index 1"),
        ([True, False], TypeError, r"weights: expected numbers; got booleans; where= says which rows count"),
        (["a", "b"], TypeError, r"weights: expected numbers"),
    ],
)
def test_what_is_no_weight(weights: Any, error: type[Exception], message: str) -> None:
    for clusters in (None, ["a", "b"]):
        with pytest.raises(error, match=message):
            sy.reliability([0.5, 0.5], [1, 0], weights=weights, clusters=clusters)


def test_bins_with_weights_are_a_thousand_at_most() -> None:
    assert sy.reliability([0.5, 0.2], [1, 0], n_bins=1000, weights=[1, 2]).n == 2
    with pytest.raises(ValueError, match="n_bins: expected at most 1000 bins with weights; got 1001"):
        sy.reliability([0.5, 0.2], [1, 0], n_bins=1001, weights=[1, 2])


def test_top_labels_with_weights() -> None:
    scores = uniform(300 * 4, 560).reshape(300, 4) ** 3
    probs, y, w = scores / scores.sum(axis=1, keepdims=True), (uniform(300, 561) * 4).astype(int), uniform(300, 562)
    whole = sy.reliability(probs, y, weights=w)
    top = sy.reliability(probs.max(axis=1), probs.argmax(axis=1) == y, weights=w)
    assert (whole.ece, whole.gap, whole.accuracy) == (top.ece, top.gap, top.base_rate)
