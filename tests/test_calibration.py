"""Calibration: published figures, edges of bins, coverage of intervals, and defects of other libraries."""

from __future__ import annotations

import csv
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard.calibration import Reliability, ReliabilityState
from steelyard.records.roles import ROUNDING

from .cases import as_dtype, uniform

DTYPES = ("float64", "float32", "float16", "bfloat16")


def bits(result: Reliability) -> str:
    """Everything a result says; ``repr`` of a float is exact."""
    return repr(result.to_dict())


def draw(p: np.ndarray, stream: int) -> np.ndarray:
    """0/1 outcomes of probability ``p``."""
    return uniform(p.size, stream).reshape(p.shape) < p


# -- figures that others published -----------------------------------------------------------------------


def test_eighty_right_of_a_hundred_at_eighty_per_cent_are_calibrated() -> None:
    for dtype in ("float64", "float32"):
        rel = sy.reliability(np.full(100, 0.8, dtype), np.arange(100) < 80)
        assert rel.ece.value < 1e-7
        assert rel.ece.low == 0
        assert rel.ece.high == pytest.approx(0.0735, abs=5e-5)
        assert rel.noise_floor == pytest.approx(0.0319, abs=5e-5)
        filled = rel.table["count"] == 100
        assert rel.table["low"][filled] == pytest.approx(0.7112, abs=5e-5)
        assert rel.table["high"][filled] == pytest.approx(0.8666, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "ece"),
    [
        ("resnet110_c10", 0.047504),
        ("resnet110_c100", 0.184805),
        ("densenet40_c10", 0.055003),
        ("densenet40_c100", 0.211563),
    ],
)
def test_confidences_of_published_networks(data_dir: Path, name: str, ece: float) -> None:
    with (data_dir / "calibration" / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    confidence = np.array([float(row["confidence"]) for row in rows])
    correct = np.array([row["true_label"] == row["pred_label"] for row in rows])
    rel = sy.reliability(confidence, correct)
    assert rel.n == 10_000
    assert rel.ece.value == pytest.approx(ece, abs=5e-7)
    if name == "resnet110_c10":
        assert (rel.ece.low, rel.ece.high) == pytest.approx((0.04306, 0.05172), abs=5e-6)
        assert rel.noise_floor == pytest.approx(0.00266, abs=5e-6)
        assert rel.mce.value == pytest.approx(0.2958, abs=5e-5)
        # A lone row makes the largest gap, and the interval does not pretend to know it.
        assert rel.table["count"][np.nanargmax(np.abs(rel.table["gap"]))] == 1
        assert rel.mce.low < 0.2 < 0.5 < rel.mce.high


@pytest.mark.parametrize(
    ("name", "accuracy", "ece", "ones"),
    [
        ("densenet-bc-100-cifar-100", 0.7541, 0.142152824, 660),
        ("wideresnet-16-4-cifar-100", 0.7543, 0.058060392, 11),
        ("wideresnet-16-4-cifar-10", 0.9109, 0.053716295, 2469),
    ],
)
def test_probability_matrices_of_published_networks(
    data_dir: Path, name: str, accuracy: float, ece: float, ones: int
) -> None:
    data = np.load(data_dir / "probabilities" / f"{name}.npz")
    probs, labels = data["predictions"], data["ground_truth"]
    assert (probs.max(axis=1) == 1.0).sum() == ones
    rel = sy.reliability(probs, labels)
    assert rel.accuracy.value == accuracy
    assert rel.ece.value == pytest.approx(ece, abs=1e-9)
    assert rel.table["count"].sum() == rel.n == 10_000
    assert rel.left_out == {}


def test_the_examples_of_torchmetrics() -> None:
    rel = sy.reliability([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1], n_bins=2)
    assert (rel.ece.value, rel.rmsce.value, rel.mce.value) == pytest.approx((0.2900, 0.2918, 0.3167), abs=5e-5)
    probs = [[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]]
    rel = sy.reliability(probs, [0, 1, 2, 0], n_bins=3)
    assert (rel.ece.value, rel.rmsce.value, rel.mce.value) == pytest.approx((0.2000, 0.2082, 0.2333), abs=5e-5)


# -- defects of peers that are not ours -------------------------------------------------------------------


def test_one_has_no_phantom_bin() -> None:
    """torchmetrics #3510, relplot and uncertainty-metrics give 0.525: they bin 1.0 alone."""
    for dtype in DTYPES[:2]:
        assert sy.reliability(np.array([0.95, 1.0], dtype), [1, 0]).ece.value == pytest.approx(0.475, abs=1e-8)


def test_counts_do_not_stand_still_at_2_to_the_24() -> None:
    """torchmetrics counts in float32 and gives 0.1059 for these calibrated rows."""
    n = 20_000_000
    targets = np.tile(np.array([1, 1, 1, 0], np.uint8), n // 4)
    rel = sy.reliability(np.full(n, 0.75, np.float32), targets)
    assert rel.ece.value == rel.rmsce.value == rel.mce.value == 0.0
    assert rel.n == rel.table["count"].max() == n


def test_one_row_more_than_2_to_the_24() -> None:
    n = 2**24 + 1
    rel = sy.reliability(np.full(n, 0.75, np.float32), np.ones(n, bool), n_bins=1)
    assert rel.table["count"].tolist() == rel.table["correct"].tolist() == [n]
    assert rel.ece.value == 0.25


def test_logits_are_never_guessed() -> None:
    """torchmetrics applies a sigmoid to all values when one is outside [0, 1], by a rounding or a NaN."""
    near = sy.reliability(np.array([0.1, 0.9, 1.0000001], np.float32), [0, 1, 1])
    assert near.left_out == {"clamped": 1}
    assert near.ece.value == pytest.approx(0.2 / 3, abs=1e-8)
    with pytest.raises(ValueError, match=r"probs: expected probabilities in \[0, 1\]; got 1\.5 at index 2; logits"):
        sy.reliability([0.1, 0.9, 1.5], [0, 1, 1])
    with pytest.raises(ValueError, match=r"probs: expected no NaN; got one at index 1; nan_policy"):
        sy.reliability([0.1, np.nan, 0.5], [0, 1, 1])
    with pytest.raises(ValueError, match=r"got -0\.5 at index \(1, 0\); logits"):
        sy.reliability([[0.5, 0.5], [-0.5, 1.5]], [0, 1])


def test_records_take_the_confidences_that_count_as_1() -> None:
    """``records`` may not ask the core: its limit is the core's own."""
    most = 1 + ROUNDING
    assert sy.reliability([most], [1]).left_out == {"clamped": 1}
    with pytest.raises(ValueError, match="expected probabilities"):
        sy.reliability([float(np.nextafter(most, 2))], [1])


def test_counts_and_means_use_the_same_bins() -> None:
    """netcal counts 0.7f and 0.9f in one bin and averages them in another."""
    p = np.tile(np.arange(1, 10, dtype=np.float32) / np.float32(10), 7)
    table = sy.reliability(p, np.zeros(p.size, bool), n_bins=10).table
    assert table["count"].tolist() == [7] * 9 + [0]
    edge = (np.arange(1, 10) / 10).astype(np.float32)
    np.testing.assert_array_equal(table["mean_probability"][:9].astype(np.float32), edge)


def test_rows_need_no_order() -> None:
    """MAPIE's "array split" puts 4,766 of 5,000 unsorted points into the first of 50 bins; the error that Humanity's
    Last Exam reports depends on the order of tied rows, and leaves its most confident bin out.
    """
    p = uniform(5000, 41)
    y = draw(p**2, 42)
    order = np.argsort(p, kind="stable")
    assert bits(sy.reliability(p, y, n_bins=50)) == bits(sy.reliability(p[order], y[order], n_bins=50))
    assert sy.reliability(p, y, n_bins=50).table["count"].max() < 200


def test_a_row_of_zero_confidence_counts() -> None:
    """Several peers drop p = 0, or drop it and keep it in n."""
    rel = sy.reliability([0.0], [1])
    assert rel.ece.value == rel.rmsce.value == rel.mce.value == 1.0
    assert rel.ece.high == 1.0
    # torchmetrics #1646, #1744: raised.
    assert sy.reliability([1, 1, 1, 1, 0], [0, 0, 1, 1, 1]).ece.value == pytest.approx(0.6, abs=1e-15)


# -- edges --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_edge_lies_in_the_bin_below_it_in_every_dtype(dtype: str) -> None:
    for m in (1, 2, 5, 7, 10, 11, 15, 20, 22, 23, 26, 39, 49, 100):
        k = np.arange(1, m + 1)
        count = sy.reliability(as_dtype(k / m, dtype), np.ones(m, bool), n_bins=m).table["count"]
        assert count.tolist() == [1] * m, (dtype, m)
        count = sy.reliability(as_dtype(np.array([0.0, -0.0]), dtype), [0, 0], n_bins=m).table["count"]
        assert count[0] == 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_neighbours_of_edges(dtype: str) -> None:
    for m in (2, 5, 7, 10, 15, 22, 49, 100):
        edge = (np.arange(1, m) / m).astype(dtype)
        above = np.nextafter(edge, edge.dtype.type(2))
        count = sy.reliability(above, np.zeros(m - 1, bool), n_bins=m).table["count"]
        assert count.tolist() == [0] + [1] * (m - 1), (dtype, m)


def test_more_bins_than_a_dtype_can_tell_apart() -> None:
    """Edges coincide after rounding to 8 bits: the value belongs to the first bin that ends there."""
    for m in (200, 1000, 10_000):
        rel = sy.reliability(as_dtype(np.array([0.5, 1.0]), "bfloat16"), [1, 1], n_bins=m)
        edge = as_dtype(np.arange(m + 1) / m, "bfloat16").astype(float)
        assert np.flatnonzero(rel.table["count"]).tolist() == [int((edge[1:-1] < p).sum()) for p in (0.5, 1.0)]


# -- states -------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.data())
def test_any_split_in_any_order_gives_the_same_bits(rows: list[tuple[float, bool]], data: st.DataObject) -> None:
    p, y = np.array([p for p, _ in rows]), np.array([y for _, y in rows])
    owner = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    whole = ReliabilityState().update(p, y)
    parts = [ReliabilityState().update(p[owner == k], y[owner == k]) for k in range(4)]
    assert sum(parts[1:], parts[0]) == whole == sum(parts[::-1])
    assert (parts[0] + parts[1]) + parts[2] == parts[0] + (parts[2] + parts[1])
    assert whole + ReliabilityState() == whole
    assert bits(whole.compute()) == bits(sy.reliability(p, y))
    assert bits(ReliabilityState.from_bytes(whole.to_bytes()).compute()) == bits(whole.compute())


def test_a_function_is_its_state() -> None:
    p, y = uniform(500, 51), uniform(500, 52) < 0.4
    options = {"n_bins": 7, "confidence_level": 0.9, "alternative": "less", "nan_policy": "omit"}
    where = uniform(500, 53) < 0.8
    state = ReliabilityState(**options).update(p, y, where=where)
    assert bits(sy.reliability(p, y, where=where, **options)) == bits(state.compute())
    assert sy.reliability(p, y) == sy.reliability(p, y)
    assert sy.reliability(p, y) != sy.reliability(p, ~y)


def test_a_state_travels() -> None:
    state = ReliabilityState(5, classes=["no", "yes"]).update([0.1, 0.9], ["no", "yes"])
    assert pickle.loads(pickle.dumps(state)) == state
    again = ReliabilityState.from_bytes(state.to_bytes()).update([0.5], ["yes"])
    assert again.compute().n == 3
    assert state.compute().n == 2
    assert again.reset() == ReliabilityState(5, classes=["no", "yes"])
    assert repr(state) == "<ReliabilityState of 2 rows in 5 bins>"


def test_damaged_or_foreign_bytes_are_refused() -> None:
    data = ReliabilityState(3).update([0.5], [1]).to_bytes()
    for length in range(len(data)):
        with pytest.raises(ValueError, match="data: expected"):
            ReliabilityState.from_bytes(data[:length])
    for at in range(len(data)):
        with pytest.raises(ValueError, match="data: expected"):
            ReliabilityState.from_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
    with pytest.raises(TypeError, match="data: expected bytes; got str"):
        ReliabilityState.from_bytes("SYST")  # type: ignore[arg-type]


def test_only_states_of_one_question_merge() -> None:
    state = ReliabilityState().update([0.5], [1])
    for other, message in (
        (ReliabilityState(10), "n_bins = 15; got 10"),
        (ReliabilityState(nan_policy="omit"), "nan_policy = 'raise'; got 'omit'"),
        (ReliabilityState().update([[0.5, 0.5]], [1]), "a state of probabilities; got one of top labels"),
    ):
        with pytest.raises(ValueError, match=message):
            state.merge(other)
    with pytest.raises(ValueError, match="probs: expected probabilities, as in earlier batches"):
        state.update([[0.5, 0.5]], [1])
    with pytest.raises(TypeError, match="other: expected a ReliabilityState; got int"):
        state.merge(3)  # type: ignore[arg-type]
    assert state.compute().n == 1


def test_a_refused_batch_adds_nothing() -> None:
    state = ReliabilityState().update([0.5], [1])
    before = state.to_bytes()
    with pytest.raises(ValueError, match="index 70000"):
        state.update(np.append(np.full(70_000, 0.5), 2.0), np.ones(70_001, bool))
    assert state.to_bytes() == before


# -- rows ---------------------------------------------------------------------------------------------------


def test_what_does_not_count_is_not_looked_at_and_is_counted() -> None:
    p = np.array([0.2, np.nan, 0.7, 5.0, 1.0000005])
    y, where = np.array([0, 1, 1, -100, 1]), np.array([True, True, True, False, True])
    rel = sy.reliability(p, y, where=where, nan_policy="omit")
    assert rel.left_out == rel.ece.left_out == {"where": 1, "nan": 1, "clamped": 1}
    assert rel.n == 3
    kept = sy.reliability([0.2, 0.7, 1.0], [0, 1, 1])
    assert (rel.ece.value, rel.ece.high) == (kept.ece.value, kept.ece.high)
    matrix = np.array([[0.5, 0.5], [np.nan, 0.5], [7.0, 7.0]])
    rel = sy.reliability(matrix, [0, 0, -1], where=[True, True, False], nan_policy="omit")
    assert (rel.n, rel.left_out) == (1, {"where": 1, "nan": 1})


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_is_a_subset(dtype: str) -> None:
    p, y, where = as_dtype(uniform(70_000, 61), dtype), uniform(70_000, 62) < 0.5, uniform(70_000, 63) < 0.7
    masked, subset = sy.reliability(p, y, where=where), sy.reliability(p[where], y[where])
    assert masked.table["count"].tolist() == subset.table["count"].tolist()
    assert masked.ece.value == subset.ece.value


def test_ties_go_to_the_first_class() -> None:
    probs = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2]])
    assert sy.reliability(probs, [0, 1]).accuracy.value == 0.5


def test_labels_by_their_own_names() -> None:
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    by_number = sy.reliability(probs, [0, 2, 2])
    for classes, labels in (
        (["a", "b", "c"], ["a", "c", "c"]),
        (np.array(["z", "b", "a"]), np.array(["z", "a", "a"])),
        (np.array([30, 10, 20]), np.array([30, 20, 20])),
    ):
        assert bits(sy.reliability(probs, labels, classes=classes)) == bits(by_number)
    assert bits(sy.reliability([0.3, 0.6], ["no", "yes"], classes=["no", "yes"])) == bits(
        sy.reliability([0.3, 0.6], [0, 1])
    )
    with pytest.raises(ValueError, match="targets: expected labels in classes; got 'd' at index 1"):
        sy.reliability(probs, ["a", "d", "c"], classes=["a", "b", "c"])
    masked = sy.reliability(probs, ["a", "d", "c"], classes=["a", "b", "c"], where=[True, False, True])
    assert masked.n == 2
    with pytest.raises(ValueError, match="classes: expected 3 labels, one per column; got 2"):
        sy.reliability(probs, ["a", "b", "c"], classes=["a", "b"])
    with pytest.raises(ValueError, match="classes: expected distinct labels"):
        sy.reliability(probs, ["a", "b", "c"], classes=["a", "b", "a"])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_labels_of_every_integer_type(dtype: str) -> None:
    p, y = uniform(1000, 71), uniform(1000, 72) < 0.3
    assert bits(sy.reliability(p, y.astype(dtype))) == bits(sy.reliability(p, y))


def test_layouts_do_not_matter() -> None:
    k = 9
    scores = uniform(400 * k, 81).reshape(400, k)
    probs, y = scores / scores.sum(axis=1, keepdims=True), (uniform(400, 82) * k).astype(np.int64)
    plain = bits(sy.reliability(probs, y))
    wide = np.zeros((800, k + 3))
    wide[::2, :k] = probs
    for other in (np.asfortranarray(probs), wide[::2, :k], probs.astype(">f8"), probs.tolist(), probs[::-1][::-1]):
        assert bits(sy.reliability(other, y)) == plain
    assert bits(sy.reliability(probs[:, 0][::3] / 2, y[::3] > 4)) == bits(
        sy.reliability((probs[:, 0] / 2)[::3].copy(), (y > 4)[::3].copy())
    )


def test_torch_tensors_bring_bfloat16() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: its tensors are not tried")
    p = torch.linspace(0, 1, 1001, dtype=torch.bfloat16)
    y = torch.arange(1001) % 2
    assert bits(sy.reliability(p, y)) == bits(sy.reliability(as_dtype(p.float().numpy(), "bfloat16"), y.numpy()))


def test_a_softmax_rounded_to_16_bits_is_a_distribution() -> None:
    scores = uniform(2000 * 50, 91).reshape(2000, 50) ** 8
    probs = scores / scores.sum(axis=1, keepdims=True)
    for dtype in ("bfloat16", "float16"):
        assert sy.reliability(as_dtype(probs, dtype), np.zeros(2000, int)).n == 2000


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sy.reliability([0.5], [2]), ValueError, r"targets: expected 0 or 1; got 2 at index 0"),
        (lambda: sy.reliability([0.5], [0.0]), TypeError, r"targets: expected integers or booleans; got list"),
        (lambda: sy.reliability([0.5], [1.0]), TypeError, r"; pass targets == 1, such as run\.score == 1$"),
        (lambda: sy.reliability([0.5], [0.25]), TypeError, r"integers or booleans; got list$"),
        (lambda: sy.reliability([[0.5, 0.5]], [1.0]), TypeError, r"integers or booleans; got list$"),
        (lambda: sy.reliability([0.5], ["a"]), TypeError, r"classes= to map labels"),
        (lambda: sy.reliability([0.5, 0.5], [[1], [0]]), ValueError, r"targets: .*shape \(2,\); got shape \(2, 1\)"),
        (lambda: sy.reliability([0.5, 0.5], [1]), ValueError, r"targets: .*shape \(2,\); got shape \(1,\)"),
        (lambda: sy.reliability([[0.5, 0.5]], [2]), ValueError, r"targets: expected a class from 0 to 1; got 2"),
        (lambda: sy.reliability([[0.5, 0.5]], [-100]), ValueError, r"got -100 at index 0; where="),
        (lambda: sy.reliability([[0.5, 0.4]], [0]), ValueError, r"sum to 1 within 0.001; got 0.9 in row 0"),
        (lambda: sy.reliability([[0.5]], [0]), ValueError, r"for one probability per row pass shape \[n\]"),
        (lambda: sy.reliability([[[0.5]]], [0]), ValueError, r"probs: expected 1 or 2 axes; got shape \(1, 1, 1\)"),
        (lambda: sy.reliability([], []), ValueError, r"probs: expected at least one row that counts"),
        (lambda: sy.reliability([0.5], [1], where=[False]), ValueError, r"none \(left out: 1 where\)"),
        (lambda: sy.reliability([0.5], [1], where=[1]), TypeError, r"where: expected booleans"),
        (lambda: sy.reliability(["a"], [1]), TypeError, r"probs: expected numbers"),
        (lambda: sy.reliability([0.5], [1], n_bins=0), ValueError, r"n_bins: expected a whole number of bins from 1 to 10000; got 0"),
        (lambda: sy.reliability([0.5], [1], n_bins=2.0), TypeError, r"n_bins: expected a whole number"),
        (lambda: sy.reliability([0.5], [1], confidence_level=95), ValueError, r"confidence_level: .* got 95"),
        (lambda: sy.reliability([0.5], [1], confidence_level="95"), TypeError, r"confidence_level: expected a number inside"),
        (lambda: sy.reliability([0.5], [1], alternative="upper"), ValueError, r"alternative: .* got 'upper'"),
        (lambda: sy.reliability([0.5], [1], nan_policy="drop"), ValueError, r"nan_policy: .* got 'drop'"),
        (lambda: sy.reliability(np.ma.masked_array([0.5], [True]), [1]), ValueError, r"probs: .*NaN; got one at index 0"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        call()  # type: ignore[operator]
    assert "\n" not in str(raised.value)


# -- intervals ----------------------------------------------------------------------------------------------


def true_errors(p: np.ndarray, q: np.ndarray, n_bins: int = 15) -> tuple[float, float, float]:
    """Errors without noise: the outcomes replaced by their probabilities ``q``."""
    index = np.searchsorted(np.arange(1, n_bins) / n_bins, p)
    count = np.bincount(index, minlength=n_bins)
    gap = np.abs(np.bincount(index, p - q, n_bins)[count > 0] / count[count > 0])
    w = count[count > 0] / p.size
    return float((w * gap).sum()), math.sqrt((w * gap * gap).sum()), float(gap.max())


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize("model", ["calibrated", "overconfident", "far off"])
def test_intervals_cover(model: str, n: int) -> None:
    """Of 95 per cent: ece and rmsce .925 to .98, mce .905 to 1; 400 replicates scatter by .011.

    The weak spot is known (docs/decisions): gaps about as large as the noise of seven rows per bin.
    """
    replicates, inside = 400, np.zeros(3)
    for i in range(replicates):
        p = 1 - uniform(n, 1000 + i) ** 2 * 0.9
        q = {"calibrated": p, "overconfident": p - 0.15 * (p - 0.05), "far off": 0.6 * p}[model]
        rel = sy.reliability(p, draw(q, 5000 + i))
        errors, truth = (rel.ece, rel.rmsce, rel.mce), true_errors(p, q)
        inside += [e.low - 1e-12 <= t <= e.high + 1e-12 for e, t in zip(errors, truth, strict=True)]
    ece, rmsce, mce = inside / replicates
    least = 0.87 if (model, n) == ("overconfident", 100) else 0.925 - 0.025
    assert least < ece < 0.98 + 0.018
    assert least < rmsce < 0.98 + 0.018
    assert mce > 0.905 - 0.025


def test_the_noise_floor_is_what_a_calibrated_model_scores() -> None:
    scores, floors = [], []
    for i in range(300):
        p = uniform(1000, 9000 + i)
        rel = sy.reliability(p, draw(p, 9500 + i))
        scores.append(rel.ece.value)
        floors.append(rel.noise_floor)
    assert np.mean(scores) == pytest.approx(np.mean(floors), rel=0.03)
    assert np.mean(scores) == pytest.approx(0.038, abs=0.002)


def test_one_sided_limits() -> None:
    p = uniform(2000, 31)
    y = draw(p**1.5, 32)
    both = sy.reliability(p, y, confidence_level=0.9)
    low, high = (sy.reliability(p, y, confidence_level=0.95, alternative=side) for side in ("greater", "less"))
    for name in ("ece", "rmsce", "mce", "gap", "base_rate"):
        assert getattr(low, name).low == pytest.approx(getattr(both, name).low, abs=1e-12)
        assert getattr(high, name).high == pytest.approx(getattr(both, name).high, abs=1e-12)
        assert (getattr(low, name).high, getattr(high, name).low) == (1.0, -1.0 if name == "gap" else 0.0)


def test_certainty_is_not_knowledge() -> None:
    """Twenty right answers of twenty at 100 per cent confidence: the interval of the error must not be [0, 0]."""
    rel = sy.reliability([1.0] * 20, [1] * 20)
    assert (rel.ece.value, rel.ece.low) == (0.0, 0.0)
    assert rel.ece.high == pytest.approx(0.161, abs=5e-4)
    assert rel.ece.standard_error is not None
    assert rel.ece.standard_error > 0.03
    assert "Wilson" in str(rel.ece.reason)


# -- faces --------------------------------------------------------------------------------------------------


def test_words_and_data() -> None:
    rel = sy.reliability([0.2, 0.9, np.nan], [0, 1, 1], nan_policy="omit", n_bins=2)
    assert str(rel.ece).endswith("(95 %, inversion, n = 2, left out: 1 nan)")
    assert repr(rel).startswith("<Reliability ece 0.15 [")
    lines = [line.split()[0] for line in str(rel).splitlines()]
    assert lines == ["ece", "noise", "rmsce", "mce", "gap", "base", "verdict"]
    assert json.loads(json.dumps(rel.to_dict()))["table"]["count"] == [1, 1]
    assert "<table>" in rel._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        rel.table["count"][0] = 7
    with pytest.raises(AttributeError):
        rel.n = 3  # type: ignore[misc]
    empty = sy.reliability([0.9], [1], n_bins=2)
    assert np.isnan(empty.table["gap"][0])
    assert json.loads(json.dumps(empty.to_dict()))["table"]["gap"][0] is None


def test_progress_is_told_and_can_stop() -> None:
    told: list[tuple[int, int]] = []
    p = np.full(200_000, 0.5)
    sy.reliability(p, np.ones(p.size, bool), progress=lambda done, total: told.append((done, total)))
    assert told
    assert told[-1][0] == told[-1][1] == 4

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sy.reliability(p, np.ones(p.size, bool), progress=stop)


def test_the_diagram() -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing is drawn")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    p = uniform(500, 21)
    rel = sy.reliability(p, draw(p, 22))
    ax = rel.plot()
    assert ax.get_title().startswith(f"ECE {rel.ece.value:.2%} [")
    assert len(ax.child_axes[0].patches) == 15
    figure, mine = plt.subplots()
    assert rel.plot(mine) is mine
    figure.canvas.draw()
    plt.close("all")


def test_certain_right_answers_have_no_negative_zero() -> None:
    for probs, targets in (([1.0] * 20, [1] * 20), ([0.0] * 20, [0] * 20)):
        for clusters in (None, [i // 2 for i in range(20)]):
            rel = sy.reliability(probs, targets, clusters=clusters)
            for e in (rel.ece, rel.rmsce, rel.mce):
                assert not np.signbit([e.value, e.low, e.high]).any(), e


def test_no_labels_are_of_no_type() -> None:
    assert repr(ReliabilityState().update([], [])) == repr(ReliabilityState())
    some = ReliabilityState().update([0.3], [1])
    assert some.copy().update([], []) == some


@pytest.mark.parametrize("where", [None, [True, True, False, True]])
def test_rows_without_a_label_are_left_out_beside_others(where: list[bool] | None) -> None:
    found = sy.reliability(
        [0.1, 0.9, 0.4, 0.2], ["no", None, "yes", "yes"], classes=["no", "yes"], nan_policy="omit", where=where
    )
    rows = [0, 3] if where else [0, 2, 3]
    again = sy.reliability(np.array([0.1, 0.9, 0.4, 0.2])[rows], np.array([0, 0, 1, 1])[rows])
    assert found.left_out == ({"where": 1, "nan": 1} if where else {"nan": 1})
    assert found.table["count"].tolist() == again.table["count"].tolist()
    assert found.table["correct"].tolist() == again.table["correct"].tolist()


def test_how_many_bins_share_the_error_is_said() -> None:
    assert "shared by 1 filled bin;" in sy.reliability([0.1, 0.1], [0, 1], n_bins=5).mce.reason
    assert "shared by 2 filled bins;" in sy.reliability([0.1, 0.5], [0, 1], n_bins=5).mce.reason


def test_the_bars_of_the_diagram_are_its_bins() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing is drawn").use("Agg")
    found = sy.reliability([0.1, 0.1, 0.9], [0, 1, 1], n_bins=4)
    bars = found.plot().child_axes[0].patches
    assert [bar.get_x() for bar in bars] == [0.0, 0.25, 0.5, 0.75]
    assert [bar.get_width() for bar in bars] == [0.25] * 4
    assert [bar.get_height() for bar in bars] == [2, 0, 0, 1]


def test_the_share_that_came_true_says_what_was_left_out_too() -> None:
    single = sy.reliability([0.1, 0.9, 0.5], [0, 1, 1], where=[True, True, False])
    rows = sy.reliability([[0.1, 0.9], [0.5, 0.5], [0.3, 0.7]], [0, 1, 1], where=[True, True, False])
    of_both = [single.base_rate, single.ece, single.mce, single.gap, rows.accuracy]
    assert [e.left_out for e in of_both] == [{"where": 1}] * 5
