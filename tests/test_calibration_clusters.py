"""Calibration where rows come in clusters: the covariance recomputed, limits by brute force, words, ids, states."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.calibration import ReliabilityState
from steelyard.reference import calibration as reference

from .cases import uniform
from .coverage import clustered_calibration
from .states import clusters_of
from .test_calibration import bits, draw

CUT = np.vectorize(NormalDist().inv_cdf)


def documents(
    seed: int, groups: int, rows: int, correlation: float, off: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences, outcomes of probability ``(1 - off) p`` that documents share in part, and the documents."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(groups), rows)
    p = rng.beta(4, 1.5, size=len(ids))
    latent = math.sqrt(correlation) * rng.standard_normal(groups)[ids]
    latent += math.sqrt(1 - correlation) * rng.standard_normal(len(ids))
    return p, latent < CUT(np.clip((1 - off) * p, 1e-9, 1 - 1e-9)), ids


def sums(p: np.ndarray, y: np.ndarray, ids: np.ndarray, n_bins: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """M_gb and n_gb of the filled bins."""
    index = np.searchsorted(np.arange(1, n_bins) / n_bins, p)
    groups = int(ids.max()) + 1
    m, n = (np.bincount(ids * n_bins + index, w, groups * n_bins).reshape(groups, n_bins) for w in (p - y, None))
    return m[:, n.sum(0) > 0], n[:, n.sum(0) > 0]


# -- the numbers, recomputed -------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [0.0, 0.15, 0.4])
def test_limits_by_brute_force(off: float) -> None:
    """Sigma from its definition, the inversion by 100,000 normals: the closed form is within what they scatter."""
    p, y, ids = documents(3, 40, 25, 0.4, off)
    rel = sy.reliability(p, y, clusters=ids)
    m, n = sums(p, y, ids)
    size, groups = n.sum(0), len(n)
    w, gap = size / size.sum(), m.sum(0) / size
    null = groups / (groups - 1) * (m / size).T @ (m / size)
    residual = (m - gap * n) / size
    noise = groups / (groups - 1) * residual.T @ residual
    assert rel.noise_floor == pytest.approx(math.sqrt(2 / math.pi) * (w * np.sqrt(np.diag(null))).sum(), rel=1e-12)
    assert rel.ece.value == pytest.approx((w * np.abs(gap)).sum(), rel=1e-12)

    rng = np.random.default_rng(5)
    reach = np.maximum(np.abs(gap), np.sqrt(np.diag(null)))
    scattered = {of: rng.multivariate_normal(np.zeros(len(w)), sigma, 100_000, method="eigh")
                 for of, sigma in (("null", null), ("noise", noise))}  # fmt: skip
    t = -float(_core.t_quantile(np.array([0.025]), np.array([groups - 1.0]))[0])

    def surprise(scale: float, sign: int) -> float:
        drawn = np.abs(scale * reach + scattered["noise" if scale else "null"]) @ w
        return float(drawn.mean() + sign * t * drawn.std() - rel.ece.value)

    def limit(sign: int) -> float:
        low, high = 0.0, 4.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if surprise(middle, sign) < 0 else (low, middle)
        return float((w * high * reach).sum())

    low = 0.0 if surprise(0.0, 1) >= 0 else limit(1)
    assert rel.ece.low == pytest.approx(low, abs=0.02 * rel.ece.value)
    assert rel.ece.high == pytest.approx(limit(-1), abs=0.02 * rel.ece.value)


@pytest.mark.parametrize("rho", [-1.0, -0.9, -0.3, 0.2, 0.7, 0.99, 1.0])
def test_the_covariance_of_folded_normals(rho: float) -> None:
    """Against E|X||Y| by a fine grid of the first normal and the closed form of the second given it."""
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    rest = math.sqrt(max(1 - rho * rho, 0.0))
    for h in ((0.0, 0.0), (0.5, 0.2), (1.0, 3.0), (2.0, 2.0), (0.1, 8.0)):
        given = np.array([reference.folded(abs(h[1] + rho * x), rest)[0] if rest else abs(h[1] + rho * x) for x in z])
        exact = float((density * np.abs(h[0] + z) * given).sum())
        exact -= reference.folded(h[0], 1.0)[0] * reference.folded(h[1], 1.0)[0]
        said = reference.covariance(np.array([[1, rho], [rho, 1]]), np.array(h), np.ones(2), np.ones(2)) / 2
        assert said == pytest.approx(exact, abs=1.5e-3 if abs(rho) > 0.9 else 1e-4)


@pytest.mark.parametrize("off", [0.0, 0.3])
def test_rows_of_their_own_give_about_the_unclustered_interval(off: float) -> None:
    """Near, not equal: the scatter is that of the rows seen instead of y (1 - y), bins are not quite independent, and
    Student's t stands for z."""
    p = uniform(4000, 71)
    y = draw(p * (1 - off), 72)
    plain, rows = sy.reliability(p, y), sy.reliability(p, y, clusters=np.arange(4000))
    assert rows.n_clusters == 4000
    if off == 0.0:  # what is off adds to the excess of clusters, and not to p (1 - p)
        assert rows.noise_floor == pytest.approx(plain.noise_floor, rel=0.03)
    for name in ("ece", "rmsce", "gap", "base_rate"):
        a, b = getattr(plain, name), getattr(rows, name)
        width = a.high - a.low
        assert a.value == b.value
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=0.08 * width)


def test_documents_move_limits_and_floor() -> None:
    p, y, ids = documents(1, 60, 20, 0.5)
    apart, together = sy.reliability(p, y), sy.reliability(p, y, clusters=ids)
    assert apart.ece.value == together.ece.value
    assert together.noise_floor > 1.15 * float(apart.noise_floor or 0)
    assert together.ece.high > apart.ece.high
    rate = sy.estimate(y, clusters=ids)
    for name in ("value", "standard_error", "low", "high"):
        assert getattr(together.base_rate, name) == pytest.approx(getattr(rate, name), rel=1e-9), name
    assert together.gap.value == pytest.approx(p.mean() - y.mean(), abs=1e-12)
    assert str(together.ece).endswith("(95 %, clustered inversion, n = 1200, 60 clusters)")
    assert together.ece.reason == "rows in clusters"


def test_the_signed_gap_is_a_clustered_mean() -> None:
    p, y, ids = documents(2, 30, 15, 0.3, 0.2)
    gap, mean = sy.reliability(p, y, clusters=ids).gap, sy.estimate(p - y, clusters=ids, method="t")
    for name in ("value", "standard_error", "low", "high"):
        assert getattr(gap, name) == pytest.approx(getattr(mean, name), rel=1e-9), name


@pytest.mark.parametrize("off", [0.0, 0.15, 0.4])
def test_limits_hold_as_often_as_they_say(off: float) -> None:
    """One design of the table in docs/coverage.md, 120 sets: .95 scatters by .02. Row by row it is .28 to .73."""
    sets = 120
    together, apart = clustered_calibration.design(60, 20, 0.6, off, sets)
    for name in ("ece", "rmsce", "mce"):
        assert together.held[name] / sets > 0.89, name
    assert apart.held["ece"] / sets < 0.85
    if off == 0.0:
        assert together.floor / together.ece == pytest.approx(1.0, abs=0.1)
        assert together.called / sets < 0.1
        assert apart.called / sets > 0.15


# -- words -------------------------------------------------------------------------------------------------


def test_calibrated_models_are_called_nothing() -> None:
    """60 documents of 20, correlation .6: row by row 4 of these 8 calibrated models are called something."""
    said = [sy.reliability(*documents(seed, 60, 20, 0.6)[:2]).verdict() for seed in range(8)]
    assert sum(word != "undecided" for word in said) == 4
    for seed in range(8):
        p, y, ids = documents(seed, 60, 20, 0.6)
        assert sy.reliability(p, y, clusters=ids).verdict() == "undecided"


def test_what_is_off_is_said() -> None:
    p, y, ids = documents(4, 100, 20, 0.3, 0.4)
    rel = sy.reliability(p, y, clusters=ids)
    assert rel.verdict() == "overconfident"
    assert rel.verdict() in str(rel)
    assert rel.verdict() in repr(rel)
    assert rel.to_dict()["verdict"] == "overconfident"
    assert sy.reliability(1 - p, ~y, clusters=ids).verdict() == "underconfident"
    both = sy.reliability(np.append(p, 1 - p), np.append(y, ~y), clusters=np.append(ids, ids + 100))
    assert (both.verdict(), both.gap.low < 0 < both.gap.high) == ("miscalibrated", True)  # type: ignore[operator]


def test_one_cluster_has_values_and_no_limits() -> None:
    p, y, _ = documents(5, 4, 10, 0.3)
    rel = sy.reliability(p, y, clusters=["a"] * 40)
    assert rel.ece.value == sy.reliability(p, y).ece.value
    for e in (rel.ece, rel.rmsce, rel.mce, rel.gap, rel.base_rate):
        assert (e.low, e.high, e.standard_error, e.n_clusters) == (None, None, None, 1)
        assert "under two clusters" in str(e.reason)
    assert rel.noise_floor is None
    assert rel.verdict() == "undecided"
    assert "noise floor" in str(rel)
    assert "noise floor none" in repr(rel)
    assert rel.to_dict()["noise_floor"] is None


def test_clusters_that_agree_leave_a_width() -> None:
    """Ten documents of ten, eight right of each at 80 per cent, or all right at 90: nothing scatters."""
    for right, p in ((8, 0.8), (10, 0.9), (10, 1.0)):
        for dtype in ("float32", "float64"):
            y = np.arange(100) % 10 < right
            rel = sy.reliability(np.full(100, p, dtype), y, clusters=np.arange(100) // 10)
            for e in (rel.ece, rel.rmsce, rel.mce, rel.gap):
                assert e.high - e.low > 0.15, (e, right)  # type: ignore[operator]
                assert e.low <= e.value <= e.high
    bins = sy.reliability([0.1] * 5 + [0.9] * 5, [0] * 5 + [1] * 5, clusters=[0] * 5 + [1] * 5)
    assert (bins.ece.low, bins.ece.high) == (0.0, pytest.approx(0.9))
    assert "all clusters show one gap a bin" in str(bins.ece.reason)


# -- ids ---------------------------------------------------------------------------------------------------


def test_no_name_and_no_order_changes_a_bit() -> None:
    p, y, ids = documents(6, 50, 8, 0.4, 0.1)
    expected = bits(sy.reliability(p, y, clusters=ids))
    rng = np.random.default_rng(1)
    names = rng.permutation(50)
    order = rng.permutation(len(p))
    for other in (
        names[ids],
        names[ids] * 10**15 - 3,
        [f"doc/{i}" for i in names[ids]],
        np.char.encode(ids.astype(str)),
    ):
        assert bits(sy.reliability(p, y, clusters=other)) == expected
    assert bits(sy.reliability(p[order], y[order], clusters=ids[order])) == expected


def test_a_cluster_goes_on_in_later_updates() -> None:
    p, y, ids = documents(7, 30, 12, 0.4)
    texts = np.array([f"document {i}" for i in ids])
    order = np.random.default_rng(2).permutation(len(p))
    whole = ReliabilityState().update(p, y, clusters=texts)
    parts = [ReliabilityState().update(p[rows], y[rows], clusters=texts[rows]) for rows in np.array_split(order, 7)]
    forth, back = sum(parts[1:], parts[0]), sum(parts[-2::-1], parts[-1])
    for state in (forth, back, ReliabilityState.from_bytes(forth.to_bytes()), pickle.loads(pickle.dumps(back))):
        assert state == whole
        assert bits(state.compute()) == bits(whole.compute())
    held = clusters_of(whole.to_bytes())
    assert list(held) == sorted(set(texts.tolist()))
    assert sum(row[0] for bins in held.values() for row in bins.values()) == len(p)
    assert repr(whole) == "<ReliabilityState of 360 rows in 15 bins and clusters>"


def test_rows_with_and_without_clusters_are_not_mixed() -> None:
    with_ids, without = ReliabilityState().update([0.5], [1], clusters=["a"]), ReliabilityState().update([0.5], [1])
    before = with_ids.to_bytes(), without.to_bytes()
    changes: list[Any] = [
        lambda: with_ids.update([0.5], [1]),
        lambda: without.update([0.5], [1], clusters=["a"]),
        lambda: with_ids.merge(without),
        lambda: without.merge(with_ids),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="clusters: expected ids in every update of a state or in none"):
            change()
    assert (with_ids.to_bytes(), without.to_bytes()) == before
    nothing = ReliabilityState().update([0.5], [1], where=[False])
    assert (with_ids + nothing).compute().left_out == (without + nothing).compute().left_out == {"where": 1}


def test_what_does_not_count_needs_no_id() -> None:
    p, y = [0.2, np.nan, 0.7, 5.0, 0.9], [0, 1, 1, -100, 1]
    where = [True, True, True, False, True]
    rel = sy.reliability(p, y, clusters=["a", "b", "b", None, "c"], where=where, nan_policy="omit")
    assert (rel.n, rel.n_clusters, rel.left_out) == (3, 3, {"where": 1, "nan": 1})
    assert rel.ece.value == sy.reliability([0.2, 0.7, 0.9], [0, 1, 1]).ece.value


def test_top_labels_in_clusters() -> None:
    scores = uniform(300 * 4, 93).reshape(300, 4) ** 3
    probs, y, ids = scores / scores.sum(axis=1, keepdims=True), (uniform(300, 94) * 4).astype(int), np.arange(300) // 6
    whole = sy.reliability(probs, y, clusters=ids)
    top = sy.reliability(probs.max(axis=1), probs.argmax(axis=1) == y, clusters=ids)
    assert (whole.ece, whole.gap, whole.accuracy) == (top.ece, top.gap, top.base_rate)


@pytest.mark.parametrize(
    ("clusters", "error", "message"),
    [
        ([1], ValueError, r"clusters: expected one id per row, shape \(2,\); got shape \(1,\)"),
        (("a", "b"), TypeError, r"clusters: expected an array or a list of ids; got a tuple"),
        (["a", None], ValueError, r"clusters: expected an id for every row; got none at index 1"),
        ([0.5, 1.0], TypeError, r"clusters: expected ids that are whole numbers below 2\*\*63 or texts"),
        ([1.0, math.nan], ValueError, r"clusters: expected an id for every row; got (NaN|none) at index 1"),
        (["a", "\ud800"], ValueError, r"clusters: expected ids of valid Unicode"),
        (["a", "b" * 70_000], ValueError, r"clusters: expected ids of at most 65534 bytes"),
    ],
)
def test_ids_that_name_nothing(clusters: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        sy.reliability([0.5, 0.5], [1, 0], clusters=clusters)
    assert "\n" not in str(raised.value)


def test_bins_with_clusters_are_a_thousand_at_most() -> None:
    p, y, ids = documents(8, 40, 10, 0.2)
    assert sy.reliability(p, y, clusters=ids, n_bins=1000).n_clusters == 40
    with pytest.raises(ValueError, match="n_bins: expected at most 1000 bins with clusters; got 1001"):
        sy.reliability(p, y, clusters=ids, n_bins=1001)


# -- accuracy, base rate, the largest gap ------------------------------------------------------------------


def test_the_share_that_came_true_has_its_own_name() -> None:
    one, classes = sy.reliability([0.2, 0.9], [0, 1]), sy.reliability([[0.2, 0.8], [0.7, 0.3]], [1, 1])
    assert (one.base_rate.value, classes.accuracy.value) == (0.5, 0.5)
    assert (one.to_dict()["base_rate"]["value"], classes.to_dict()["accuracy"]["value"]) == (0.5, 0.5)
    for rel, kind in ((one, "probabilities"), (classes, "top labels")):
        assert rel.kind == rel.to_dict()["kind"] == kind
    with pytest.raises(AttributeError, match=r"accuracy: .*shape \[n\]; the share of rows that came true is base_rate"):
        _ = one.accuracy
    with pytest.raises(AttributeError, match=r"base_rate: .*got top labels; .* is accuracy"):
        _ = classes.base_rate


def test_the_largest_gap_says_how_many_rows_it_has() -> None:
    rel = sy.reliability([0.05] * 40 + [0.95], [0] * 40 + [0])
    assert rel.mce.value == pytest.approx(0.95)
    assert rel.mce.detail["bin_n"] == 1
    assert "in a bin of 1" in str(rel)


def test_the_largest_gap_seldom_calls_a_calibrated_model_wrong() -> None:
    """n = 300, uniform confidences: Wilson at 1 - alpha/B left 0 out of 11 % of the intervals."""
    called = 0
    for seed in range(300):
        p = uniform(300, 20_000 + seed)
        called += sy.reliability(p, draw(p, 30_000 + seed)).mce.low > 0  # type: ignore[operator]
    assert called <= 0.09 * 300


# -- 16 bits -----------------------------------------------------------------------------------------------


def rounded_to_bf16(p: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of each, as float32."""
    raw = p.astype(np.float32).view(np.uint32)
    return ((raw + 0x7FFF + (raw >> 16 & 1)) & np.uint32(0xFFFF0000)).astype(np.uint32).view(np.float32)


def softmax(n: int, k: int) -> np.ndarray:
    scores = uniform(n * k, 91).reshape(n, k) ** 8
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("wide", ["float32", "float64"])
def test_probabilities_that_16_bits_have_rounded_are_taken_and_counted(wide: str) -> None:
    p, y = softmax(2000, 10), np.zeros(2000, int)
    for short in (rounded_to_bf16(p), p.astype(np.float16)):
        rows = short.astype(wide)
        off = np.abs(rows.astype(float).sum(axis=1) - 1) > 1e-3
        rel = sy.reliability(rows, y)
        assert rel.n == 2000
        assert rel.left_out.get("rounded", 0) == np.count_nonzero(off)
        assert ReliabilityState.from_bytes(ReliabilityState().update(rows, y).to_bytes()).compute() == rel
    assert sy.reliability(rounded_to_bf16(p), y).left_out["rounded"] > 100


def test_what_rounding_does_not_explain_is_refused() -> None:
    rows = softmax(50, 10)
    with pytest.raises(ValueError, match=r"sum to 1 within 0.001; got .* in row 7; logits") as plain:
        sy.reliability(np.where(np.arange(50)[:, None] == 7, rows * 1.003, rows), np.zeros(50, int))
    assert "16" not in str(plain.value)
    short = rounded_to_bf16(rows)
    short[7] /= 2
    with pytest.raises(ValueError, match=r"within 0.005; got .* in row 7; .*rounding to 16 bits .*logits"):
        sy.reliability(short, np.zeros(50, int))
    with pytest.raises(ValueError, match="logits are never guessed"):
        sy.reliability(rounded_to_bf16(rows * 4 - 1), np.zeros(50, int))


# -- the report --------------------------------------------------------------------------------------------


def test_the_report_knows_the_clusters(tmp_path: Path) -> None:
    import json

    from steelyard import records, report

    p, y, ids = documents(1, 60, 20, 0.6)
    path = tmp_path / "answers.jsonl"
    rows = zip(p.tolist(), y.tolist(), ids.tolist(), strict=True)
    path.write_text(
        "".join(
            json.dumps({"id": k, "correct": right, "confidence": sure, "doc": doc}) + "\n"
            for k, (sure, right, doc) in enumerate(rows)
        )
    )
    plain = report.build(records.read(path))
    made = report.build(records.read(path, cluster="doc"))
    for other in (made, report.build(records.read(path), clusters="doc")):
        found = other.models[0].reliability
        assert found is not None
        assert (found.n_clusters, found.verdict()) == (60, "undecided")
        assert found.accuracy.value == y.mean()
        assert found.ece == sy.reliability(p, y, clusters=ids).ece
    assert plain.models[0].reliability is not None
    assert plain.models[0].reliability.verdict() != "undecided"
    text, markdown = made.to_text(), made.to_markdown()
    assert "1,200 in 60" in text
    assert "Records in 60 clusters" in text
    assert "is consistent with being calibrated" in markdown
    assert "60 clusters" in markdown
    assert made.to_dict()["models"][0]["reliability"]["accuracy"]["value"] == y.mean()
    repeated = tmp_path / "repeated.jsonl"
    answers = [(1, 1, 0.9)] * 3 + [(2, 0, 0.6), (3, 1, 0.7)]
    repeated.write_text("".join(json.dumps({"id": i, "correct": r, "confidence": c}) + "\n" for i, r, c in answers))
    uneven = report.build(records.read(repeated, repeats="epochs"))
    assert uneven.models[0].reliability is not None
    assert uneven.models[0].reliability.n_clusters == 3
    assert uneven.models[0].reliability.accuracy.value == pytest.approx(2 / 3)
    one = tmp_path / "one.jsonl"
    one.write_text(
        "".join(json.dumps({"id": k, "correct": k % 2, "confidence": 0.4, "doc": 1}) + "\n" for k in range(9))
    )
    said = report.build(records.read(one, cluster="doc"))
    assert "one cluster cannot tell" in said.to_markdown()
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing is drawn")
    made.to_html(tmp_path / "page.html")
    said.to_html(tmp_path / "one.html")
