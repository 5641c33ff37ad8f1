"""Proportions, means and comparisons: published figures, real data, peers' defects, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import steelyard as sy
from steelyard import _core
from steelyard._registries import names
from steelyard.errors import SteelyardWarning
from steelyard.reference.intervals import tango

WILSON, METHODS = "wilson", names("proportion.method")


def limits(e: sy.Estimate) -> tuple[float, float]:
    return float(e.low), float(e.high)  # type: ignore[arg-type]


def quiet(k: object, n: object, method: str, **options: object) -> sy.Estimate:
    """A proportion whose Wald warning, if any, is expected."""
    if method == "wald" and (np.minimum(k, np.subtract(n, k)) < 10).any():
        with pytest.warns(SteelyardWarning):
            return sy.proportion(k, n, method=method, **options)
    return sy.proportion(k, n, method=method, **options)


# -- proportions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "low", "high", "low_of_20"),
    [
        ("wald", 0.84916, 0.89084, 1.0),
        ("wilson", 0.84773, 0.88944, 0.8389),
        ("agresti-coull", 0.84768, 0.88948, 0.8102),
        ("clopper-pearson", 0.84756, 0.89023, 0.8316),
        ("jeffreys", 0.84810, 0.88977, 0.8834),
    ],
)
def test_870_of_1000_and_20_of_20(method: str, low: float, high: float, low_of_20: float) -> None:
    assert limits(sy.proportion(870, 1000, method=method)) == pytest.approx((low, high), abs=5.1e-6)
    assert limits(quiet(20, 20, method)) == pytest.approx((low_of_20, 1.0), abs=5.1e-5)


def test_how_a_proportion_prints() -> None:
    e = sy.proportion(870, 1000)
    assert str(e) == "0.870 [0.848, 0.889] (95 %, Wilson, n = 1000)"
    assert f"{e:.1%}" == "87.0% [84.8%, 88.9%]"


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (81, 263, 0.2552885, 0.3662096),  # Newcombe 1998
        (15, 148, 0.0623864, 0.1604872),
        (0, 20, 0.0, 0.1611252),
        (1, 29, 0.0061132, 0.1717552),
        (19, 38, 0.348499283643951, 0.651500716356049),  # statsmodels, GH 7386
    ],
)
def test_published_wilson_rows(k: int, n: int, low: float, high: float) -> None:
    assert limits(sy.proportion(k, n)) == pytest.approx((low, high), abs=5.1e-8)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("agresti-coull", 0.6867561126, 0.9843437610),
        ("clopper-pearson", 0.6830172860, 0.9876514728),
        ("wilson", 0.6989663548, 0.9721335188),
    ],
)
def test_r_binom_rows_of_18_of_20(method: str, low: float, high: float) -> None:
    assert limits(sy.proportion(18, 20, method=method)) == pytest.approx((low, high), abs=5.1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_scipy_agrees(method: str) -> None:
    from scipy import stats

    for k, n in ((3, 10), (870, 1000), (1, 29), (399, 400)):
        low, high = limits(quiet(k, n, method))
        if method in {"wilson", "clopper-pearson"}:
            name = "exact" if method == "clopper-pearson" else method
            assert (low, high) == pytest.approx(tuple(stats.binomtest(k, n).proportion_ci(0.95, name)), abs=1e-12)
        if method == "jeffreys":
            beta = stats.beta(k + 0.5, n - k + 0.5)
            assert (low, high) == pytest.approx((beta.ppf(0.025), beta.isf(0.025)), abs=1e-12)


def test_clopper_pearson_is_right_for_large_counts() -> None:
    from scipy import stats

    for k, n in ((3, 10**9), (5 * 10**8, 10**9), (12_345, 10**6)):
        want = (stats.beta.ppf(0.025, k, n - k + 1), stats.beta.isf(0.025, k + 1, n - k))
        assert limits(sy.proportion(k, n, method="clopper-pearson")) == pytest.approx(want, rel=1e-9)


def test_one_sided_limits_follow_scipy() -> None:
    from scipy import stats

    for side in ("less", "greater"):
        want = stats.binomtest(12, 50, alternative=side).proportion_ci(0.9, "wilson")
        got = sy.proportion(12, 50, confidence_level=0.9, alternative=side)
        assert limits(got) == pytest.approx(tuple(want), abs=1e-13)


def test_arrays_of_counts_are_many_problems() -> None:
    e = sy.proportion([0, 5, 870], [20, 10, 1000])
    assert isinstance(e.value, np.ndarray)
    for i, (k, n) in enumerate(((0, 20), (5, 10), (870, 1000))):
        assert e[i] == sy.proportion(k, n)
    assert sy.proportion([[1, 2], [3, 4]], 10).low.shape == (2, 2)  # type: ignore[union-attr]


@given(st.integers(1, 400), st.data(), st.sampled_from([method for method in METHODS if method != "wald"]))
def test_successes_and_failures_mirror(n: int, data: st.DataObject, method: str) -> None:
    k = data.draw(st.integers(0, n))
    a, b = sy.proportion(k, n, method=method), sy.proportion(n - k, n, method=method)
    assert (1 - b.high, 1 - b.low) == pytest.approx(limits(a), abs=1e-16)  # type: ignore[operator]
    assert a.standard_error == b.standard_error
    assert 0 <= a.low <= a.high <= 1  # type: ignore[operator]
    assert a.low <= a.value <= a.high or (method == "logit" and k in (0, n))  # type: ignore[operator]


def test_wald_warns_where_it_is_unsafe_and_only_there() -> None:
    with pytest.warns(SteelyardWarning, match=r"9 of 1000.*wilson"):
        sy.proportion(9, 1000, method="wald")
    sy.proportion(10, 1000, method="wald")
    with pytest.warns(SteelyardWarning) as caught:
        sy.proportion(20, 20, method="wald")
    assert caught[0].filename == __file__, "the warning points at the caller"
    with pytest.warns(SteelyardWarning) as caught:
        sy.estimate([1, 0, 1], method="wald")
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("k", "n", "options", "error", "sentence"),
    [
        (5.0, 10, {}, TypeError, "k: expected integers; got float64 array of shape ()"),
        (True, 10, {}, TypeError, "k: expected integers; got bool array of shape ()"),
        (11, 10, {}, ValueError, "k: expected 0 <= k <= n; got k = 11, n = 10"),
        ([1, -1], 10, {}, ValueError, "k: expected 0 <= k <= n; got k = -1, n = 10 at index 1"),
        (0, 0, {}, ValueError, "n: expected at least 1; got 0"),
        ([1, 2], [3, 4, 5], {}, ValueError, r"k, n: expected shapes that broadcast; got \(2,\) and \(3,\)"),
        (1, 2, {"method": "wilsen"}, ValueError, "method: expected one of wilson, .*; got 'wilsen'"),
        (1, 2, {"confidence_level": 95}, ValueError, r"confidence_level: .* inside \(0, 1\); got 95; pass 0.95"),
        (1, 2, {"confidence_level": 1}, ValueError, r"confidence_level: expected a number inside \(0, 1\); got 1"),
        (1, 2, {"confidence_level": "95 %"}, TypeError, "confidence_level: .*got str '95 %'"),
        (
            1,
            2,
            {"alternative": "both"},
            ValueError,
            "alternative: expected one of two-sided, less, greater; got 'both'",
        ),
    ],
)
def test_bad_counts_are_refused(k: object, n: object, options: dict, error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sy.proportion(k, n, **options)


# -- means ------------------------------------------------------------------------------------------------


def test_nought_to_nine() -> None:
    e = sy.estimate(np.arange(10.0))
    assert e.value == 4.5
    assert e.standard_error == pytest.approx(0.9574271077563381, abs=1e-15)  # Inspect's .957
    assert limits(e) == pytest.approx((2.334149410331831, 6.665850589668169), abs=1e-13)
    assert (e.method, e.n, e.detail["df"]) == ("t", 10, 9.0)


def test_inspects_clustered_example() -> None:
    e = sy.estimate(np.arange(20.0), clusters=np.arange(20) % 4)
    assert e.standard_error == pytest.approx(0.6454972243679028, abs=1e-15)
    assert (e.n_clusters, e.method) == (4, "clustered t")
    assert e.detail["df"] == pytest.approx(3.0, abs=1e-12)


def test_inspect_reports_zero_for_one_cluster_and_we_say_why_there_is_none() -> None:
    e = sy.estimate(np.arange(20.0), clusters=np.zeros(20, int))
    assert (e.value, e.standard_error, e.low, e.high, e.n_clusters) == (9.5, None, None, None, 1)
    assert "under two clusters" in str(e)
    assert sy.estimate([1, 0, 1], clusters=["a", "a", "a"]).low is None


def test_lm_eval_and_inspect_report_no_error_for_20_of_20() -> None:
    for score in (np.ones(20), np.zeros(20), np.ones(20, bool)):
        e = sy.estimate(score)
        assert e.standard_error > 0.04  # type: ignore[operator]
        assert e.high - e.low > 0.16  # type: ignore[operator]
        assert "all answers are equal" in str(e.reason)
    for method in METHODS:
        assert quiet(20, 20, method).standard_error > 0.04  # type: ignore[operator]


@pytest.mark.parametrize("base", [1_000_000, 10_000_000])
def test_nist_numacc(base: int) -> None:
    """NumAcc3 and NumAcc4: the textbook sum of squares gives .0987 and 0.0."""
    x = np.array([base + 0.2] + [base + 0.1, base + 0.3] * 500)
    e = sy.estimate(x)
    assert e.value == pytest.approx(base + 0.2, rel=1e-15)
    assert e.standard_error * np.sqrt(1001) == pytest.approx(0.1, rel=1e-7)  # type: ignore[operator]
    clustered = sy.estimate(x, clusters=np.arange(1001))
    assert clustered.standard_error == pytest.approx(e.standard_error, rel=1e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "int64", "uint16", "bool", ">f8", ">i4"])
def test_zeros_and_ones_of_any_dtype_are_a_proportion(dtype: str) -> None:
    x = (np.arange(1000) < 870).astype(dtype)
    e = sy.estimate(x)
    assert e.method == "Wilson"
    same = sy.proportion(870, 1000)
    assert (e.value, e.low, e.high, e.standard_error) == (same.value, same.low, same.high, same.standard_error)
    clustered = sy.estimate(x, clusters=np.arange(1000) // 10)
    assert clustered == sy.estimate(x.astype(float), clusters=np.arange(1000) // 10)


def test_bfloat16_is_read_as_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = (np.arange(3000) % 7).astype(ml_dtypes.bfloat16)
    assert sy.estimate(x) == sy.estimate(x.astype(np.float64))
    x[5], x[7] = np.nan, -np.inf
    with pytest.raises(ValueError, match='x: expected finite values; got nan at index 5; pass nan_policy="omit"'):
        sy.estimate(x)
    with pytest.raises(ValueError, match="x: expected finite values; got -inf at index 7"):
        sy.estimate(x, nan_policy="omit")
    assert sy.estimate(x[:7], nan_policy="omit").left_out == {"nan": 1}


def test_many_columns_are_the_columns_one_by_one() -> None:
    x = np.random.Philox(key=3).random_raw(2000 * 19).reshape(2000, 19) % np.uint64(1000) / 7.0
    x[:, 4] = x[:, 4] > 50
    groups = np.arange(2000) // 7
    for options in ({}, {"clusters": groups}, {"where": np.arange(2000) % 3 > 0}):
        for table in (x, np.asfortranarray(x), x.astype(np.float32)):
            every = sy.estimate(table, **options)
            assert len(every) == 19
            for j in range(19):
                assert every[j] == sy.estimate(table[:, j], **options)


def test_a_mapping_or_frame_keeps_its_names() -> None:
    scores = {"old": np.arange(10.0), "new": np.arange(12.0)}
    e = sy.estimate(scores)
    assert e.names == ("old", "new")
    assert e["new"] == sy.estimate(scores["new"])
    assert list(e.n) == [10, 12]  # type: ignore[arg-type]
    assert str(e).splitlines()[0].startswith("old  4.5 ")
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1.0, 2.0, 4.0], "b": [1, 0, 1]})
    assert sy.estimate(table)["b"] == sy.estimate([1, 0, 1])


def test_rows_are_chosen_and_counted() -> None:
    x = np.array([1.0, np.nan, 3.0, 9.0, np.nan, 5.0])
    where = np.array([True, True, True, False, True, True])
    e = sy.estimate(x, where=where, nan_policy="omit")
    assert (e.value, e.n, e.left_out) == (3.0, 3, {"where": 1, "nan": 2})
    same = sy.estimate(x, where=where & ~np.isnan(x), clusters=[1, None, 1, None, None, 2])
    assert (same.value, same.n_clusters, same.left_out) == (3.0, 2, {"where": 3})
    every = sy.estimate(np.column_stack([x, np.arange(6.0)]), nan_policy="omit")
    assert every.left_out["nan"].tolist() == [2, 0]
    assert every[0].left_out == {"nan": 2}
    assert every[1].left_out == {}


@pytest.mark.parametrize("ids", [list("aabbcc"), [10, 10, -3, -3, 7, 7], np.array([1.5, 1.5, 2, 2, 9, 9])])
def test_cluster_ids_of_any_kind(ids: object) -> None:
    x = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0]
    e = sy.estimate(x, clusters=ids)
    assert e.n_clusters == 3
    assert e.standard_error == pytest.approx(sy.estimate([1.5, 4.0, 10.5]).standard_error, abs=1e-14)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=40), st.data())
def test_the_order_of_rows_and_names_of_clusters_do_not_matter(x: list[int], data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, 5), min_size=len(x), max_size=len(x)))
    order = data.draw(st.permutations(range(len(x))))
    a = sy.estimate(x, clusters=ids)
    b = sy.estimate([x[i] for i in order], clusters=[f"doc {ids[i]}" for i in order])
    assert a.n_clusters == b.n_clusters
    for field in ("value", "standard_error", "low", "high"):
        one, other = getattr(a, field), getattr(b, field)
        assert one == other or one == pytest.approx(other, rel=1e-9, abs=1e-9), field


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.floats(-1e3, 1e3))
def test_a_shift_moves_the_interval(x: list[float], shift: float) -> None:
    assume(max(x) - min(x) > 1e-9)  # equal values have limits in [0, 1] alone
    a, b = sy.estimate(x, method="t"), sy.estimate([v + shift for v in x], method="t")
    assert b.value == pytest.approx(a.value + shift, abs=1e-9)
    assert b.standard_error == pytest.approx(a.standard_error, abs=1e-9)


def test_clustered_answers_with_equal_shares_are_not_certain() -> None:
    for hits, size in ((1, 3), (3, 10), (7, 93)):
        x = np.tile(np.arange(size) < hits, 4)
        e = sy.estimate(x, clusters=np.arange(4 * size) // size)
        assert e.n_effective == 4.0
        assert e.standard_error > 0.05  # type: ignore[operator]
        assert "all clusters show the same share" in str(e.reason)


def test_one_graded_value() -> None:
    one = sy.estimate([0.25])
    assert (one.value, one.standard_error, one.low, one.n) == (0.25, None, None, 1)
    assert "one value" in str(one)


def test_methods_by_name() -> None:
    x = np.arange(100) < 87
    assert limits(sy.estimate(x, method="t")) == pytest.approx(limits(sy.estimate(x + 0.0, method="t")))
    assert sy.estimate(x, method="clopper-pearson").method == "Clopper-Pearson"
    assert sy.estimate(x, method="t", clusters=np.arange(100)).method == "clustered t"
    assert sy.estimate(x, method="t", clusters=np.arange(100)).high == pytest.approx(sy.estimate(x, method="t").high)


def test_one_sided_means() -> None:
    from scipy import stats

    x = np.square(np.arange(12.0))
    for side in ("less", "greater"):
        want = stats.ttest_1samp(x, 0.0, alternative=side).confidence_interval(0.9)
        got = limits(sy.estimate(x, confidence_level=0.9, alternative=side))
        assert got == pytest.approx((want.low, want.high), abs=1e-10)
    assert sy.estimate(x < 50, alternative="less").low == 0.0


MEAN_ERRORS = [
    ([1.0, np.nan], {}, ValueError, 'x: expected finite values; got nan at index 1; pass nan_policy="omit"'),
    ([1.0, 2.0, np.inf], {}, ValueError, "x: expected finite values; got inf at index 2; leave it out with where="),
    ([1e308, 1e308, -1e308], {}, ValueError, "x: expected values whose sum of squares stays finite; got values from"),
    ([], {}, ValueError, "x: expected at least one value; got none"),
    (np.zeros((3, 0)), {}, ValueError, r"x: expected at least one column; got shape \(3, 0\)"),
    ({}, {}, ValueError, "x: expected at least one column; got an empty mapping"),
    (np.zeros((2, 2, 2)), {}, ValueError, r"x: expected 1 or 2 axes; got shape \(2, 2, 2\)"),
    (np.zeros((2, 2, 2), bool), {}, ValueError, r"x: expected 1 or 2 axes; got shape \(2, 2, 2\)"),
    (["1", "0"], {}, TypeError, "x: expected numbers; got texts"),
    ([1j], {}, TypeError, "x: expected numbers; got complex128 array"),
    ((1.0, 2.0), {}, TypeError, "x: expected an array, a list or a mapping; got a tuple"),
    (None, {}, TypeError, "x: expected an array; got None"),
    (np.ma.masked_array([1.0, 2.0], [False, True]), {}, ValueError, "x: expected finite values; got nan at index 1"),
    ({"a": [1.0, None]}, {}, ValueError, r"x\['a'\]: expected finite values; got nan at index 1"),
    ([1.0, 2.0], {"where": [1, 0]}, TypeError, "where: expected booleans; got int64 array"),
    ([1.0, 2.0], {"where": [True]}, ValueError, r"where: expected shape \(2,\), one entry per row of x; got shape \(1,\)"),
    ([1.0, 2.0], {"where": [False, False]}, ValueError, "x: expected at least one row that counts; got none of 2"),
    ([np.nan], {"nan_policy": "omit"}, ValueError, "x: expected at least one row that counts; got none of 1"),
    ([1.0, 2.0], {"nan_policy": "propagate"}, ValueError, "nan_policy: expected one of raise, omit; got 'propagate'"),
    ([1.0, 2.0], {"clusters": [1]}, ValueError, r"clusters: expected one id per row, shape \(2,\); got shape \(1,\)"),
    ([1.0, 2.0], {"clusters": (1, 2)}, ValueError, r"clusters\[0\]: expected one id per row, shape \(2,\); got shape \(\)"),
    ([1.0, 2.0], {"clusters": [1.0, np.nan]}, ValueError, "clusters: expected an id for every row; got none at index 1"),
    ([1.0, 2.0], {"clusters": ["a", None]}, ValueError, "clusters: expected an id for every row; got none at index 1"),
    ([1.0, 2.0], {"method": "wilson"}, ValueError, "x: expected 0/1 values for method='wilson'; got values from 1 to 2"),
    ([1, 0], {"method": "wald", "clusters": [1, 2]}, ValueError, "method: expected wilson or t with clusters; got 'wald'"),
    ([1.0, 2.0], {"progress": 3}, TypeError, "progress: expected True, False or a function"),
]  # fmt: skip


def test_a_score_that_the_core_does_not_know_is_refused() -> None:
    one = np.ones(3)
    with pytest.raises(ValueError, match="score: expected one of t, answers, shares; got 'answer'"):
        _core.clustered_interval(sums=one, sizes=one, confidence_level=0.95, alternative="two-sided", score="answer")


@pytest.mark.parametrize(("x", "options", "error", "sentence"), MEAN_ERRORS)
def test_bad_input_is_refused(x: object, options: dict, error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sy.estimate(x, **options)


def test_the_index_of_a_bad_value_is_the_callers() -> None:
    x = np.array([np.nan, 1.0, 2.0, np.inf])
    with pytest.raises(ValueError, match="got inf at index 3"):
        sy.estimate(x, where=[False, True, True, True])
    with pytest.raises(ValueError, match=r"x\[:, 1\]: expected finite values; got nan at index 0"):
        sy.estimate(np.column_stack([np.arange(4.0), x]))


def test_progress_is_told_and_may_stop_the_work() -> None:
    told: list[tuple[int, int]] = []
    sy.estimate(np.arange(10.0), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (10, 10)

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sy.estimate(np.arange(10.0), progress=stop)


# -- comparisons ------------------------------------------------------------------------------------------


def pairs(wins: int, losses: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """0/1 answers of a new and an old model, half of the ties right."""
    new, base = np.zeros(n), np.zeros(n)
    new[:wins], base[wins : wins + losses] = 1, 1
    new[(n + wins + losses) // 2 :] = base[(n + wins + losses) // 2 :] = 1
    return new, base


def test_one_point_is_noise_on_200_items_and_not_on_20_000() -> None:
    small, large = sy.compare(*pairs(12, 10, 200)), sy.compare(*pairs(1200, 1000, 20_000))
    assert small.p_value == pytest.approx(0.678, abs=5e-4)
    assert large.p_value == pytest.approx(2.0e-5, abs=5e-7)
    assert large.difference.value == pytest.approx(0.01, abs=1e-15)
    assert limits(large.difference) == pytest.approx((0.0054, 0.0146), abs=5e-5)
    assert (small.wins, small.losses, small.ties) == (12, 10, 178)
    assert small.verdict() == "undecided"
    assert large.verdict() == large.verdict(margin=0.01) == "better"
    assert sy.compare(*pairs(1000, 1200, 20_000)).verdict(margin=0.002) == "worse"
    assert sy.compare(*pairs(1000, 1200, 20_000)).verdict(margin=0.01) == "undecided"


def gsm8k(folder: Path) -> dict[str, np.ndarray]:
    rows = [json.loads(line) for line in (folder / "gsm8k_four_models.jsonl").read_text("utf-8").splitlines()]
    names = [name for name, value in rows[0].items() if isinstance(value, dict) and "is_correct" in value]
    return {name: np.array([row[name]["is_correct"] for row in rows]) for name in names}


def test_gsm8k(data_dir: Path) -> None:
    scores = gsm8k(data_dir)
    every = sy.estimate(scores)
    right = dict(zip(every.names or (), np.rint(np.asarray(every.value) * every.n).astype(int).tolist(), strict=True))
    assert right == {
        "6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742,
    }  # fmt: skip
    diff = sy.compare(scores["6b_verification"], baseline=scores["175b_finetuning"])
    assert diff.difference.value == pytest.approx(0.0432146, abs=5e-8)
    assert diff.difference.standard_error == pytest.approx(0.0143611, abs=5e-8)
    assert diff.p_value == pytest.approx(0.00268739, abs=5e-9)
    assert (diff.wins, diff.losses) == (209, 152)
    # An unpaired error, as from two intervals side by side, is a third larger.
    a, b = every["6b_verification"].standard_error, every["175b_finetuning"].standard_error
    assert np.sqrt(a * a + b * b) == pytest.approx(0.0187763, abs=1e-5)  # type: ignore[operator]
    several = sy.compare(scores, baseline="175b_finetuning")
    assert several.names == ("6b_finetuning", "6b_verification", "175b_verification")
    assert several.difference["6b_verification"].value == diff.difference.value
    assert several.verdict() == ("worse", "better", "better")


def test_wideresnet_against_densenet(data_dir: Path) -> None:
    """Accuracy ties (+.0002, SE .0042026; 884 wins, 882 losses)."""
    files = [next((data_dir / "probabilities").glob(f"*{name}*100*.npz")) for name in ("wideresnet", "densenet")]
    new, base = (f["predictions"].argmax(1) == f["ground_truth"] for f in map(np.load, files))
    diff = sy.compare(new, baseline=base)
    assert diff.difference.value == pytest.approx(0.0002, abs=1e-12)
    assert diff.difference.standard_error == pytest.approx(0.0042026, abs=5e-8)
    assert (diff.wins, diff.losses) == (884, 882)
    assert diff.verdict(margin=0.01) == "not_worse"


def test_lm_eval_accuracy(data_dir: Path) -> None:
    (path,) = (p for p in (data_dir / "lm_eval").iterdir() if p.name.startswith("samples"))
    acc = [json.loads(line)["acc"] for line in path.read_text("utf-8").splitlines()]
    e = sy.estimate(acc)
    assert e.value == pytest.approx(0.5369458128, abs=5e-11)
    assert e.standard_error == pytest.approx(0.0202222441, abs=5e-11)


def test_graded_pairs_take_the_t_interval_and_sign_flips() -> None:
    from scipy import stats

    new = np.array([3.1, 2.9, 4.4, 5.0, 3.8, 4.1, 2.2, 3.3])
    base = np.array([2.9, 3.0, 3.9, 4.1, 3.9, 3.5, 2.0, 3.1])
    diff = sy.compare(new, baseline=base)
    want = stats.ttest_rel(new, base).confidence_interval()
    assert limits(diff.difference) == pytest.approx((want.low, want.high), abs=1e-13)
    p = stats.permutation_test(((new - base),), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert diff.p_value == pytest.approx(p, abs=1e-12)
    assert diff.test == "sign-flip, exact"


def test_many_sign_flips_agree_with_the_normal_limit() -> None:
    from scipy import stats

    x = np.sin(np.arange(500.0)) + 0.07
    diff = sy.compare(x, baseline=np.zeros(500))
    z = abs(x.sum()) / np.sqrt(np.square(x).sum())
    assert diff.test == "sign-flip, exact"
    assert diff.p_value == pytest.approx(2 * stats.norm.sf(z), rel=5e-3)
    less, greater = (sy.compare(x, baseline=np.zeros(500), alternative=side) for side in ("less", "greater"))
    assert less.p_value + greater.p_value == pytest.approx(1.0, abs=1e-14)
    assert greater.p_value < 0.1 < less.p_value


def test_clustered_pairs_flip_clusters() -> None:
    new, base = pairs(30, 10, 100)
    groups = np.arange(100) // 10
    diff = sy.compare(new, baseline=base, clusters=groups)
    assert (diff.difference.n_clusters, diff.difference.method) == (10, "clustered t")
    # Only three clusters lose or win mostly: all patterns of their sums.
    sums = np.bincount(groups, new - base)
    signs = np.array(np.meshgrid(*[[1, -1]] * int((sums != 0).sum()))).reshape(int((sums != 0).sum()), -1).T
    assert diff.p_value == pytest.approx((np.abs((signs * sums[sums != 0]).sum(1)) >= abs(sums.sum())).mean())
    assert diff.difference == sy.compare(new, baseline=base, clusters=[f"d{g}" for g in groups]).difference


def test_few_signs_to_flip_come_with_the_smallest_p() -> None:
    """Nine clusters that all improve: no more than 2 of 2^9 patterns are as far out, and the print says so."""
    for groups in (2, 5, 9):
        new, ids = np.arange(3.0 * groups) % 7 / 10 + 0.3, np.arange(3 * groups) // 3
        diff = sy.compare(new, baseline=np.zeros(3 * groups), clusters=ids)
        least = 2 / 2**groups
        assert diff.p_value == diff.difference.detail["smallest_p"] == least
        assert diff.difference.detail["signs"] == groups
        assert f"no p below {least:.3g} is possible), " in str(diff)
        for side, p in (("greater", least / 2), ("less", 1.0)):
            one = sy.compare(new, baseline=np.zeros(3 * groups), clusters=ids, alternative=side)  # type: ignore[arg-type]
            assert (one.p_value, one.difference.detail["smallest_p"]) == (p, least / 2)
    ties = sy.compare([0.5, 0.5, 0.25, 1.0], baseline=[0.5, 0.5, 0.5, 0.5])
    assert (ties.difference.detail["signs"], ties.difference.detail["smallest_p"]) == (2, 0.5)
    same = sy.compare([0.5, 0.25], baseline=[0.5, 0.25])
    assert (same.difference.detail["signs"], same.difference.detail["smallest_p"], same.p_value) == (0, 1, 1)


def test_many_signs_or_answers_need_no_such_note() -> None:
    new = np.arange(10) / 20 + 0.1
    assert "smallest_p" not in sy.compare(new, baseline=np.zeros(10)).difference.detail
    assert "smallest_p" not in sy.compare([1, 1, 0], baseline=[0, 1, 1]).difference.detail
    several = sy.compare({"few": np.where(np.arange(10) < 3, new, 0.0), "many": new}, baseline=np.zeros(10))
    assert several.difference.detail["smallest_p"][0] == 0.25
    assert "smallest_p" not in several.difference["many"].detail
    few, many = str(several).splitlines()[1::2]
    assert "no p below 0.25 is possible" in few
    assert "no p below" not in many


def test_epochs_treated_as_items_claim_too_much() -> None:
    new, base = pairs(12, 4, 60)
    once = sy.compare(new + 0.0, baseline=base + 0.0)
    tenfold = sy.compare(np.repeat(new, 10), baseline=np.repeat(base, 10))
    clustered = sy.compare(np.repeat(new, 10), baseline=np.repeat(base, 10), clusters=np.repeat(np.arange(60), 10))
    assert tenfold.p_value < 1e-5 < 0.05 < clustered.p_value
    assert clustered.difference.standard_error == pytest.approx(once.difference.standard_error, rel=1e-12)


def test_ties_alone_are_not_certain() -> None:
    same = sy.compare(np.ones(50), baseline=np.ones(50))
    assert same.p_value == 1.0
    assert same.difference.high == pytest.approx(1.959963984540054**2 / (50 + 1.959963984540054**2), abs=1e-12)
    assert same.difference.standard_error > 0.02  # type: ignore[operator]
    assert (same.verdict(), same.verdict(margin=0.1)) == ("undecided", "not_worse")
    clustered = sy.compare(np.ones(50), baseline=np.ones(50), clusters=np.arange(50) // 10)
    assert clustered.difference.method == "clustered Tango"
    assert clustered.difference.high > same.difference.high  # type: ignore[operator]
    assert sy.compare(np.ones(50), baseline=np.ones(50), clusters=np.zeros(50)).verdict(margin=0.5) == "undecided"


def test_lower_may_be_better() -> None:
    new, base = np.array([0.9, 1.1, 2.0, 3.0, 1.0]), np.array([1.0, 1.4, 2.5, 3.1, 1.0])
    diff = sy.compare(new, baseline=base, higher_is_better=False)
    assert (diff.wins, diff.losses, diff.ties) == (4, 0, 1)
    assert diff.difference.value < 0
    assert diff.verdict(margin=0.05) == "not_worse"
    assert sy.compare(base[1:4], baseline=new[1:4], higher_is_better=False).verdict(margin=0.0) == "undecided"
    clear = sy.compare(new - 5, baseline=base, higher_is_better=False)
    assert clear.verdict() == "better"
    assert sy.compare(base, baseline=new - 5, higher_is_better=False).verdict() == "worse"


def test_several_models_are_adjusted_together() -> None:
    base = np.zeros(400)
    models = {"base": base}
    for name, (wins, losses) in {"a": (30, 12), "b": (20, 12), "c": (5, 12)}.items():
        new = np.zeros(400)
        new[:wins] = 1
        models[name] = new
        models["base"] = base
        base[400 - losses :] = 1
    every = sy.compare(models, baseline="base")
    assert every.names == ("a", "b", "c")
    order = np.argsort(every.p_value, kind="stable")
    p = np.asarray(every.p_value)[order]
    want = np.minimum(1, np.maximum.accumulate(p * [3, 2, 1]))
    assert np.asarray(every.p_adjusted)[order] == pytest.approx(want, abs=1e-15)
    unadjusted = sy.compare(models, baseline="base", adjust=None)
    assert np.array_equal(unadjusted.p_adjusted, unadjusted.p_value)
    for i, name in enumerate("abc"):
        alone = sy.compare(models[name], baseline=base)
        assert limits(every.difference[name]) == limits(alone.difference)
        strict = sy.compare(models[name], baseline=base, confidence_level=1 - 0.05 / 3)
        detail = every.difference.detail
        assert (detail["simultaneous_low"][i], detail["simultaneous_high"][i]) == limits(strict.difference)
        assert every.verdict(0.02)[i] == strict.verdict(0.02)


def test_pairs_leave_out_a_row_where_either_is_nan() -> None:
    new, base = np.array([1.0, np.nan, 0.5, 1.0]), np.array([0.0, 1.0, np.nan, 0.5])
    with pytest.raises(ValueError, match="new: expected finite values; got nan at index 1"):
        sy.compare(new, baseline=base)
    with pytest.raises(ValueError, match="baseline: expected finite values; got nan at index 2"):
        sy.compare(np.nan_to_num(new), baseline=base)
    diff = sy.compare(new, baseline=base, nan_policy="omit")
    assert (diff.difference.n, diff.difference.left_out, diff.wins) == (2, {"nan": 2}, 2)


class Matched(dict):  # type: ignore[type-arg]
    """A mapping like that of ``records``, which knows how many rows could not be matched."""

    @property
    def left_out(self) -> dict[str, int]:
        return {"unmatched": 3}


def test_what_records_left_out_is_carried_on() -> None:
    scores: Mapping[str, np.ndarray] = Matched(base=np.zeros(10), new=np.arange(10) % 2)
    assert sy.compare(scores, baseline="base").difference.left_out == {"unmatched": 3}
    assert sy.estimate(scores).left_out == {"unmatched": 3}


def test_two_dtypes_and_many_columns() -> None:
    base = (np.arange(300) % 3 == 0).astype(np.float32)
    new = (np.arange(300)[:, None] % np.array([2, 5]) == 0).astype(np.int8)
    many = sy.compare(new, baseline=base)
    assert many.names is None
    assert many.difference[1].value == sy.compare(new[:, 1], baseline=base.astype(bool)).difference.value
    assert many.table["name"].tolist() == ["0", "1"]
    assert many.table["ties"].dtype == np.int64


def test_a_comparison_has_words_a_table_and_no_truth() -> None:
    new, base = pairs(12, 10, 200)
    diff = sy.compare({"new": new, "base": base}, baseline="base")
    assert str(diff) == (
        "new - base: 0.010 [-0.038, 0.059] (95 %, Tango, n = 200)\n"
        "  p = 0.678 (McNemar mid-p), 12 wins, 10 losses, 178 ties"
    )
    assert "<td>new</td>" in diff._repr_html_()
    with pytest.raises(TypeError, match="verdict"):
        bool(diff)
    hostile = sy.compare({"<b>": new, "base": base}, baseline="base")
    assert "<b>" not in hostile._repr_html_()
    assert json.loads(json.dumps(diff.to_dict()))["wins"] == [12]


def test_a_comparison_can_be_drawn() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    new, base = pairs(12, 10, 200)
    axes = sy.compare({"a": new, "b": new, "base": base}, baseline="base").plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    matplotlib.pyplot.close(axes.figure)


COMPARE_ERRORS = [
    (([1, 0], None), {}, TypeError, "baseline: expected an array of scores, or a model's name; got None"),
    (({"a": [1, 0]}, None), {}, TypeError, r"baseline: .* one of \['a'\]; got None"),
    (({"a": [1, 0]}, "b"), {}, ValueError, r"baseline: expected one of \['a'\]; got 'b'"),
    (({"a": [1, 0]}, "a"), {}, ValueError, "new: expected at least one model beside 'a'; got none"),
    (([1, 0], "a"), {}, TypeError, "baseline: expected an array of scores, since new is not a mapping"),
    (([1, 0, 1], [1, 0]), {}, ValueError, "new: expected 2 rows, as baseline has; got 3; pair them by id first"),
    (({"a": [1], "b": [1, 0]}, "b"), {}, ValueError, r"new\['a'\]: expected 2 rows, as new\['b'\] has; got 1"),
    (([1, 0], [1, 0]), {"adjust": "sidak"}, ValueError, "adjust: expected one of bonferroni, holm, .*; got 'sidak'"),
    (([1, 0], [1, 0]), {"higher_is_better": 1}, TypeError, "higher_is_better: expected True or False; got int 1"),
    (([1, 0], [[1], [0]]), {}, ValueError, r"baseline: expected 1 axis; got shape \(2, 1\)"),
    (([], []), {}, ValueError, "new: expected at least one value; got none"),
    (([1e308], [-1e308]), {}, ValueError, "new - baseline: expected finite values"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "options", "error", "sentence"), COMPARE_ERRORS)
def test_bad_comparisons_are_refused(data: tuple, options: dict, error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sy.compare(*data, **options)


@pytest.mark.parametrize(
    ("margin", "error"), [(-0.1, ValueError), (np.nan, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_bad_margins_are_refused(margin: object, error: type) -> None:
    with pytest.raises(error, match="margin: expected"):
        sy.compare([1, 0], baseline=[0, 1]).verdict(margin)  # type: ignore[arg-type]


@pytest.mark.parametrize("margin", [1.0, 2, 100.0])
def test_a_margin_that_no_share_can_lose_is_refused(margin: float) -> None:
    """2 was meant as 2 %: scores in [0, 1] could never fail such a gate."""
    worst = sy.compare([0, 0, 0, 0], baseline=[1, 1, 1, 1])
    with pytest.raises(
        ValueError, match=rf"margin: expected less than 1, .*; got {margin:g}; {margin:g} % is {margin / 100:g}"
    ):
        worst.verdict(margin)
    with pytest.raises(ValueError, match="margin: expected less than 1"):
        sy.compare({"a": [0.5, 0.0, 1.0], "b": [1, 0, 0]}, baseline=[0.25, 1, 1]).verdict(margin)
    assert worst.verdict(0.999) == "undecided"
    # With one score outside [0, 1], of either side or of another model, the margin is in another unit.
    beyond = "not_worse" if margin > 1.0 else "undecided"
    assert sy.compare([0.0, 0.0, 1.0], baseline=[1.0, 1.0, 1.5]).verdict(margin) == beyond
    below = "not_worse" if margin > 2 else "undecided"
    assert sy.compare([0.0, -0.1, 1.0], baseline=[1.0, 1.0, 1.0]).verdict(margin) == below
    several = sy.compare({"a": [0, 0, 1], "b": [1, 2, 3]}, baseline=[1, 0, 1])
    assert several.verdict(margin) == ("not_worse", below)


def test_a_limit_at_the_margin_decides_nothing() -> None:
    """Student's interval of three differences; its limits themselves are the margins."""
    new, base = np.array([2.0, 4.0, 9.0]), np.array([3.0, 3.0, 7.0])
    diff = sy.compare(new, baseline=base)
    low, high = limits(diff.difference)
    assert low < 0 < high
    assert (diff.verdict(-low), diff.verdict(np.nextafter(-low, 9))) == ("undecided", "not_worse")
    down = sy.compare(new - 100, baseline=base)
    low, high = limits(down.difference)
    assert (down.verdict(-high), down.verdict(np.nextafter(-high, 0))) == ("undecided", "worse")
    assert (down.verdict(-low), down.verdict(np.nextafter(-low, 1e9))) == ("undecided", "not_worse")


@pytest.mark.parametrize("alternative", ["less", "greater"])
def test_a_side_that_is_open_decides_nothing(alternative: str) -> None:
    new, base = pairs(60, 10, 200)
    up = sy.compare(new, baseline=base, alternative=alternative)  # type: ignore[arg-type]
    down = sy.compare(base, baseline=new, alternative=alternative)  # type: ignore[arg-type]
    assert (up.verdict(), down.verdict()) == {
        "greater": ("better", "undecided"), "less": ("undecided", "worse")
    }[alternative]  # fmt: skip


def test_torch_tensors_are_taken() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(10.0).to(torch.bfloat16)
    assert sy.estimate(x).value == 4.5
    assert sy.compare(x, baseline=torch.zeros(10)).wins == 9


def test_one_count_of_many_trials_warns_of_nothing() -> None:
    """NumPy warns where an array that it broadcast is looked at; warnings are errors here."""
    assert sy.proportion([3], 4).value.tolist() == [0.75]
    assert sy.proportion(3, [4]).value.tolist() == [0.75]


@pytest.mark.parametrize("ids", [np.array([1j, 2j, 3j]), np.array([1, 2, 3], "m8[s]")])
def test_ids_of_other_kinds_are_refused(ids: np.ndarray) -> None:
    with pytest.raises(TypeError, match=f"clusters: expected ids of one kind.*; got {re.escape(str(ids.dtype))} array"):
        sy.estimate([1.0, 2.0, 3.0], clusters=ids)


@pytest.mark.parametrize(
    ("new", "base", "equal"),
    [([1, 1, 1], [0, 0, 0], True), ([0, 0], [1, 1], True), ([1, 0, 1], [1, 0, 1], True), ([1, 0, 1], [0, 0, 1], False)],
)
def test_pairs_that_all_differ_alike_say_so(new: list[int], base: list[int], equal: bool) -> None:
    assert ("all differences are equal" in str(sy.compare(new, baseline=base).difference.reason)) == equal


def test_clusters_of_pairs_that_all_differ_alike_are_that_many_pairs() -> None:
    """Each cluster has one win in three rows."""

    def found(clusters: int) -> sy.Estimate:
        ids, new = np.repeat(np.arange(clusters), 3), np.tile([1, 0, 0], clusters)
        return sy.compare(new, baseline=np.zeros(3 * clusters, int), clusters=ids).difference

    four, critical = found(4), float(stats.t.isf(0.025, 3))
    low, high = tango(4 / 3, 0.0, 4, critical)
    assert limits(four) == pytest.approx((low, high), abs=1e-12)
    assert four.standard_error == pytest.approx((high - low) / (2 * critical), abs=1e-12)
    assert (four.method, four.n_clusters) == ("clustered Tango", 4)
    assert found(40).standard_error < four.standard_error  # type: ignore[operator]
