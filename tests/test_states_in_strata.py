"""States of rows with weights and of clusters in strata: the answers of ``estimate``, and the same bits of any split."""

from __future__ import annotations

import itertools
import pickle
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.uncertainty import EstimateState

from .states import body_of, sealed
from .test_states_of_sums import IDS, STATISTICS, N, data, part

RNG = np.random.default_rng(5)
WEIGHTS = RNG.choice([0.25, 1.0, 3.5, 0.7], N)
STRATA = np.array(["de", "en", "fr"])[IDS % 3]
DESIGNS: dict[str, dict[str, Any]] = {
    "weights": {"weights": WEIGHTS},
    "strata": {"strata": STRATA},
    "both": {"weights": WEIGHTS, "strata": STRATA},
}
ORDER = RNG.permutation(N)
PARTS = (ORDER[:1], ORDER[1:700], ORDER[700:])
OPTIONS = [
    (kind, average) for kind in DESIGNS for average in ("micro", "macro") if average == "micro" or kind != "weights"
]
NUMBERS = ("value", "standard_error", "low", "high", "n_effective")


def rows_of(design: dict[str, Any], rows: Any) -> dict[str, Any]:
    return {name: values[rows] for name, values in design.items()}


def said_of(call: Callable[[], object]) -> str:
    """The sentence of a call that is refused; empty for another."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def states(statistic: str, x: Any, design: dict[str, Any], **options: Any) -> list[EstimateState]:
    """One state for each part of the rows."""
    return [
        EstimateState(statistic, **options).update(part(x, rows), clusters=IDS[rows], **rows_of(design, rows))
        for rows in PARTS
    ]


def agree(got: sy.Estimate, want: sy.Estimate, *, reason: bool = True) -> None:
    for name in NUMBERS:
        one, other = getattr(got, name), getattr(want, name)
        assert (one is None) == (other is None), name
        assert one is None or one == pytest.approx(other, rel=1e-9, abs=1e-12), name
    assert (got.n, got.n_clusters, got.method, got.left_out) == (want.n, want.n_clusters, want.method, want.left_out)
    assert not reason or got.reason == want.reason
    assert got.detail == pytest.approx(want.detail)


@pytest.mark.parametrize(("kind", "average"), OPTIONS)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_state_says_what_estimate_says(statistic: str, kind: str, average: Any) -> None:
    x, design = data(statistic), DESIGNS[kind]
    found = states(statistic, x, design, average=average)
    whole = sum(found)
    assert whole == EstimateState(statistic, average=average).update(x, clusters=IDS, **design)
    got = whole.compute()
    want = sy.estimate(x, statistic, clusters=IDS, average=average, **design)
    # The ratio has a kernel of its own in `estimate`, but for strata.
    agree(got, want, reason=statistic != "ratio" or "strata" in design)


MEANS: dict[str, Any] = {
    "graded": data("mean"),
    "far": 1e8 + data("mean"),
    "shares": (np.arange(N) * 7 % 11) / 11,
    "answers": (np.arange(N) * 7 % 11 < 4).astype(np.int64),
    "booleans": np.arange(N) * 7 % 11 < 4,
    "floats": data("mean").astype(np.float32),
    "ones": np.ones(N),
    "equal": np.full(N, 2.5),
    "equal in strata": 0.25 + 0.5 * (STRATA == "de"),
}


@pytest.mark.parametrize("method", [None, "t", "wilson", "cr3", "wild"])
@pytest.mark.parametrize(("kind", "average"), OPTIONS)
@pytest.mark.parametrize("values", MEANS)
def test_a_mean_says_what_estimate_says(values: str, kind: str, average: Any, method: Any) -> None:
    x, design = MEANS[values], DESIGNS[kind]
    found = states("mean", x, design, average=average, method=method)
    ids = IDS
    if method == "wild":  # at most 20 clusters
        ids = IDS % 12
        options: dict[str, Any] = {"average": average, "method": method}
        found = [EstimateState(**options).update(x[r], clusters=ids[r], **rows_of(design, r)) for r in PARTS]
    whole = sum(found)
    want: Any = None

    def asked() -> None:
        nonlocal want
        want = sy.estimate(x, clusters=ids, average=average, method=method, **design)

    said = said_of(asked)
    if want is None:
        assert said_of(whole.compute) == said
    else:
        agree(whole.compute(), want)


EQUAL = {"one": np.full(N, 0.3), "two": (np.full(N, 0.3), np.full(N, 0.7)), "first": (np.full(N, 0.3), data("mean"))}


@pytest.mark.parametrize(("kind", "average"), OPTIONS)
@pytest.mark.parametrize("statistic", ["variance", "std", "skewness", "kurtosis", "geometric_mean", "mean/std",
                                       "correlation", "slope", "rmse", "r2", "weighted_mean"])  # fmt: skip
@pytest.mark.parametrize("equal", EQUAL)
def test_equal_values_have_no_spread_whatever_rounding_leaves(
    equal: str, statistic: str, kind: str, average: Any
) -> None:
    """Products with weights are rounded, so that their sums do not cancel to 0."""
    x, design = EQUAL[equal], DESIGNS[kind]
    if isinstance(x, tuple) != isinstance(data(statistic), tuple):
        return
    whole = sum(states(statistic, x, design, average=average))
    want: Any = None

    def asked() -> None:
        nonlocal want
        want = sy.estimate(x, statistic, clusters=IDS, average=average, **design)

    said = said_of(asked)
    if want is None:
        assert said_of(whole.compute) == said
    else:
        got = whole.compute()
        assert (got.method, got.low is None, got.high is None) == (want.method, want.low is None, want.high is None)
        assert got.value == pytest.approx(want.value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("statistic", ["mean", "slope", "f1", "ratio"])
@pytest.mark.parametrize("kind", DESIGNS)
def test_every_order_of_merging_gives_the_same_bytes(statistic: str, kind: str) -> None:
    found = states(statistic, data(statistic), DESIGNS[kind])
    skipped: dict[str, Any] = {"clusters": IDS, "where": np.zeros(N, np.bool_)}
    found.append(EstimateState(statistic).update(data(statistic), **skipped))  # of no row, and so of no kind
    found.append(EstimateState(statistic))
    want = sum(found).to_bytes()
    for order in itertools.permutations(found):
        left = sum(order)
        right = EstimateState(statistic)
        for state in reversed(order):
            right = state + right
        assert left.to_bytes() == right.to_bytes() == want
        halves = EstimateState.from_bytes((order[0] + order[1]).to_bytes()) + (order[2] + (order[3] + order[4]))
        assert halves.to_bytes() == want
    read = EstimateState.from_bytes(want)
    assert read.compute() == sum(found).compute() == pickle.loads(pickle.dumps(read)).compute()
    assert (read + read).to_bytes() == (sum(found) + read).to_bytes()


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_rows_that_are_left_out_are_counted(statistic: str) -> None:
    x, weights, strata = data(statistic).copy(), WEIGHTS.copy(), STRATA.astype(object)
    x[::10], weights[3::10], strata[5::10] = np.nan, 0.0, None
    where = np.arange(N) % 7 > 0
    options: dict[str, Any] = {"nan_policy": "omit"}
    parts = [
        EstimateState(statistic, **options).update(
            x[rows], clusters=IDS[rows], weights=weights[rows], strata=strata[rows], where=where[rows]
        )
        for rows in np.array_split(ORDER, 40)
    ]
    whole = EstimateState.from_bytes(sum(reversed(parts)).to_bytes())
    want = sy.estimate(x, statistic, clusters=IDS, weights=weights, strata=strata, where=where, **options)
    assert set(want.left_out) == {"where", "nan", "zero weight", "no stratum"}
    agree(whole.compute(), want)
    at_once = EstimateState(statistic, **options)
    assert whole == at_once.update(x, clusters=IDS, weights=weights, strata=strata, where=where)


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_rows_without_weight_or_stratum_alone_make_a_state_of_them(statistic: str) -> None:
    x, ids = np.arange(6.0), [1, 1, 2, 2, 3, 3]
    for design, lost in (({"weights": np.zeros(6)}, "zero weight"), ({"strata": [None] * 6}, "no stratum")):
        none = EstimateState(statistic, nan_policy="omit").update(x, clusters=ids, **design)
        assert EstimateState.from_bytes(none.to_bytes()) == none
        with pytest.raises(ValueError, match=rf"^x: expected at least one value that counts; .*6 {lost}"):
            none.compute()
        plain = EstimateState(statistic, nan_policy="omit").update(x, clusters=ids)
        for one, other in ((plain, none), (none, plain)):
            with pytest.raises(
                TypeError, match=rf"^{next(iter(design))}: expected {next(iter(design))} in every update"
            ):
                one.copy().merge(other)
    left_out = EstimateState(statistic, nan_policy="omit").update([np.nan], clusters=[7], weights=[2.0])
    other = EstimateState(statistic, nan_policy="omit").update([np.nan], clusters=[8])
    assert left_out == other  # neither says whether rows have weights
    weighted = EstimateState(statistic, nan_policy="omit").update(x, clusters=ids, weights=np.ones(6))
    assert (left_out + weighted).to_bytes() == (weighted + left_out).to_bytes()
    assert (left_out + weighted).compute().left_out == {"nan": 1}


def test_a_stratum_whose_rows_all_leave_is_named_at_the_end() -> None:
    """As in ``estimate``: a macro average would silently become another one."""
    x = [1.0, 2.0, 3.0, 5.0, np.nan, np.nan]
    ids, strata = [1, 2, 3, 4, 5, 6], ["a", "a", "b", "b", "c", "c"]
    state = EstimateState("std", nan_policy="omit", average="macro")
    for rows in (slice(4, 6), slice(0, 4)):
        state.update(x[rows], clusters=ids[rows], strata=strata[rows])
    said = said_of(lambda: EstimateState.from_bytes(state.to_bytes()).compute())
    assert said.startswith("strata: expected a row that counts in every stratum; got none of 2 in 'c'")
    assert said == said_of(
        lambda: sy.estimate(x, "std", clusters=ids, strata=strata, nan_policy="omit", average="macro")
    )
    state.update([4.0, 6.0], clusters=[5, 6], strata=["c", "c"])
    assert state.compute().n == 6


def test_a_stratum_of_one_cluster_is_refused_at_the_end() -> None:
    for statistic in ("mean", "std"):
        state = EstimateState(statistic).update([1.0, 2.0, 4.0], clusters=[1, 2, 3], strata=[7, 7, 8])
        said = r"^strata: expected at least two clusters in every stratum; got one in '8', which has no variance; merge"
        with pytest.raises(ValueError, match=said):
            state.compute()
        state.update([3.0], clusters=[4], strata=[8])
        assert state.compute().method.startswith("stratified ")


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_a_cluster_in_two_strata_is_refused_with_nothing_added(statistic: str) -> None:
    state = EstimateState(statistic).update([1.0, 2.0, 4.0, 3.0], clusters=[1, 2, 3, 4], strata=list("aabb"))
    before = state.to_bytes()
    said = r"^clusters: expected clusters that lie inside one stratum each; got "
    with pytest.raises(ValueError, match=said + "one with rows in 'a' and in 'b'"):
        state.update([1.0, 2.0], clusters=[9, 9], strata=["a", "b"])
    with pytest.raises(ValueError, match=said + "'3' with rows in 'a' and in 'b'; if ids are numbered anew"):
        state.update([1.0], clusters=[3], strata=["a"])
    other = EstimateState(statistic).update([1.0], clusters=[2], strata=["c"])
    for one, two in ((state, other), (other, state)):
        with pytest.raises(ValueError, match=said + "'2' with rows in 'a' and in 'c'"):
            one.copy().merge(two)
    assert state.to_bytes() == before


X3, IDS3 = [1.0, 2.0, 4.0], [1, 2, 3]
PLAIN = {"clusters": IDS3}
WEIGHTED: dict[str, Any] = {"clusters": IDS3, "weights": [1.0, 2.0, 0.5]}
IN_STRATA: dict[str, Any] = {"clusters": IDS3, "strata": [1, 1, 1]}


@pytest.mark.parametrize("statistic", ["mean", "std"])
@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (PLAIN, WEIGHTED, "weights: expected weights in every update of a state or in none"),
        (WEIGHTED, PLAIN, "weights: expected weights in every update of a state or in none"),
        (PLAIN, IN_STRATA, "strata: expected strata in every update of a state or in none"),
        (IN_STRATA, PLAIN, "strata: expected strata in every update of a state or in none"),
        (WEIGHTED, IN_STRATA, "weights: expected weights in every update of a state or in none"),
        (WEIGHTED | IN_STRATA, WEIGHTED, "strata: expected strata in every update of a state or in none"),
    ],
)
def test_kinds_of_updates_are_not_mixed(statistic: str, first: Any, then: Any, said: str) -> None:
    state = EstimateState(statistic).update(X3, **first)
    before = state.to_bytes()
    with pytest.raises(TypeError, match=f"^{said}"):
        state.update(X3, **then)
    with pytest.raises(TypeError, match=f"^{said}"):
        state.merge(EstimateState(statistic).update(X3, **then))
    assert state.to_bytes() == before
    with pytest.raises(TypeError, match=r"^(clusters|weights|strata): expected .* in every update"):
        EstimateState(statistic).update(X3).merge(
            EstimateState(statistic).update(X3, **(first if then == PLAIN else then))
        )


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "weights alone": (
        lambda: EstimateState("std").update(X3, weights=[1.0, 2.0, 3.0]),
        "clusters: expected ids with weights=, since the interval needs the size of each unit; got none; give each row an",
    ),
    "strata alone": (
        lambda: EstimateState().update(X3, strata=[1, 1, 1]),
        "clusters: expected ids with strata=, since the interval needs the size of each unit; got none; give each row an",
    ),
    "a negative weight": (
        lambda: EstimateState().update(X3, clusters=IDS3, weights=[1.0, -2.0, 3.0]),
        "weights: expected finite numbers of at least 0; got -2.0 at index 1",
    ),
    "too few weights": (
        lambda: EstimateState("std").update(X3, clusters=IDS3, weights=[1.0, 2.0]),
        "weights: expected shape (3,), one weight per row of x; got shape (2,)",
    ),
    "too few strata": (
        lambda: EstimateState("std").update(X3, clusters=IDS3, strata=[1, 2]),
        "strata: expected one id per row, shape (3,); got shape (2,)",
    ),
    "a row without a stratum": (
        lambda: EstimateState().update(X3, clusters=IDS3, strata=["a", None, "a"]),
        "strata: expected an id for every row; got none at index 1",
    ),
    "strata of numbers that are not whole": (
        lambda: EstimateState().update(X3, clusters=IDS3, strata=[0.5, 1.5, 0.5]),
        "strata: expected ids that are whole numbers below 2**63 or texts; got float64 ids",
    ),
    "strata of other options": (
        lambda: EstimateState(average="macro").merge(EstimateState()),
        "other: expected a state with average = 'macro'; got 'micro'",
    ),
    "macro without strata": (
        lambda: EstimateState(average="macro").update(X3, clusters=IDS3),
        "average: expected strata= with it; got 'macro'",
    ),
    "an average": (lambda: EstimateState(average="both"), "average: expected one of micro, macro; got 'both'"),  # type: ignore[arg-type]
    "a value that is not finite": (
        lambda: EstimateState().update([1.0, np.inf, 2.0], **WEIGHTED),
        "x: expected finite values; got inf at index 1",
    ),
    "products beyond float64": (
        lambda: EstimateState("std").update([1e60, 2e60, 4e60], clusters=IDS3, weights=[1e200, 1.0, 1.0]),
        "weights: expected values whose sum of squares stays finite; got values from 1 to 1e+200",
    ),
    "products below float64": (
        lambda: EstimateState("std").update(X3, clusters=IDS3, weights=[1e-300, 1.0, 1.0]).compute(),
        "weights: expected values whose powers float64 holds; got values from 1e-300 to 1; scale them up",
    ),
    "products of a mean below float64": (
        lambda: EstimateState().update(X3, clusters=IDS3, weights=[1e-310, 1.0, 1.0]).compute(),
        "weights: expected values whose powers float64 holds; got values from 1e-310 to 1; scale them up",
    ),
    "no answer": (
        lambda: EstimateState("skewness").update([1.0] * 3, **WEIGHTED).compute(),
        "x: expected values that differ, which the skewness needs; got rows without",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_said(what: str) -> None:
    call, said = REFUSED[what]
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("scale", [1e-200, 2.0**-60, 3.0, 1e250])
def test_the_scale_of_weights_changes_nothing(scale: float) -> None:
    for statistic in ("mean", "std", "f1"):
        x = data(statistic)
        one, other = (
            EstimateState(statistic).update(x, clusters=IDS, weights=WEIGHTS * by).compute() for by in (1.0, scale)
        )
        agree(other, one)


def test_strata_of_numbers_and_texts_and_of_any_container() -> None:
    x, strata = data("slope"), IDS % 2
    want = EstimateState("slope").update(x, clusters=IDS, strata=strata, weights=WEIGHTS)
    for other in (strata.tolist(), strata.astype(np.float64), strata.astype(np.uint8)):
        assert EstimateState("slope").update(x, clusters=IDS, strata=other, weights=WEIGHTS.tolist()) == want
    texts = EstimateState("slope").update(x, clusters=IDS, strata=strata.astype(str), weights=WEIGHTS)
    assert texts != want
    agree(texts.compute(), want.compute())


def test_few_clusters_with_weights() -> None:
    x, ids, weights = data("mean"), IDS % 9, WEIGHTS
    for method in ("cr3", "wild"):
        got = EstimateState(method=method).update(x, clusters=ids, weights=weights).compute()
        agree(got, sy.estimate(x, clusters=ids, weights=weights, method=method))


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_scan_takes_the_columns(statistic: str) -> None:
    table = {"x": data(statistic), "id": IDS, "w": WEIGHTS, "lang": STRATA}
    columns = {"x": "x", "clusters": "id", "weights": "w", "strata": "lang"}
    want = EstimateState(statistic, average="macro").update(table["x"], clusters=IDS, weights=WEIGHTS, strata=STRATA)
    for size in (1, 333, 1 << 20):
        assert sy.scan(table, columns, EstimateState(statistic, average="macro"), batch_rows=size) == want


def test_bytes_that_no_rows_give_are_refused() -> None:
    state = EstimateState().update(X3, **WEIGHTED)
    body = body_of(state.to_bytes())
    assert EstimateState.from_bytes(sealed(8, body, layout=2)) == state
    plain = body_of(EstimateState("std").update(X3, **PLAIN).to_bytes())
    for damaged in (
        sealed(8, body, layout=1), sealed(8, body, layout=3), sealed(4, body), sealed(8, plain, layout=2),
        sealed(8, plain.replace(b"\x03\x00std", b"\x04\x00mean"), layout=1),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^data: expected "):
            EstimateState.from_bytes(damaged)
    with pytest.raises(ValueError, match=r"^data: expected "):  # the mean of rows without weights is of another kind
        EstimateState.from_bytes(_mean_of_another_kind())
    for at in range(len(body) - 1):
        for bit in (1, 128):
            changed = body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :]
            try:
                read = EstimateState.from_bytes(sealed(8, changed, layout=2))
            except ValueError:
                continue
            assert read.to_bytes() == sealed(8, changed, layout=2)


def _mean_of_another_kind() -> bytes:
    totals = _core.StatisticTotals("mean")
    totals.update([np.ones(2)], codes=np.array([0, 1]), names=np.array([3, 4]))
    (length,) = struct.unpack_from("<I", EstimateState().to_bytes(), 8)
    return totals.to_bytes(EstimateState().to_bytes()[12 : 12 + length])


def test_plain_states_have_the_bytes_that_they_had() -> None:
    """Options that are new do not stand in the bytes of states that do not need them."""
    for state in (EstimateState().update(X3), EstimateState("std").update(X3, **PLAIN)):
        assert b"average" not in state.to_bytes()
        assert state.to_bytes()[5] == 1
    macro = EstimateState("std", average="macro").update(X3, **IN_STRATA)
    assert b'"average":"macro"' in macro.to_bytes().replace(b" ", b"")


def test_threads_that_update_one_state_lose_nothing() -> None:
    state, wanted = EstimateState(), EstimateState()
    batches = [(np.arange(5.0) + i, np.arange(5) + 10 * i, np.full(5, 0.5 + i)) for i in range(64)]
    for x, ids, weights in batches:
        wanted.update(x, clusters=ids, weights=weights)

    def work(mine: list[Any]) -> None:
        for x, ids, weights in mine:
            state.update(x, clusters=ids, weights=weights)

    threads = [threading.Thread(target=work, args=(batches[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state == wanted
