"""Arrays of other libraries: taken without a copy where they share their memory, refused where a value is missing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _arrays, records


class Lent:
    """An object that shares its memory with NumPy, as JAX arrays and columns of frames do."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        assert not copy
        return self.memory


X = np.array([0.25, 0.5, 1.0, 4.0])


def test_lent_memory_is_not_copied() -> None:
    assert np.shares_memory(_arrays.floats(Lent(X), "x"), X)
    assert sy.estimate(Lent(X)) == sy.estimate(X)


def test_read_only_memory_is_read() -> None:
    x = X.copy()
    x.flags.writeable = False
    assert np.shares_memory(_arrays.floats(x, "x"), x)
    assert sy.bootstrap(x, n_resamples=999) == sy.bootstrap(X, n_resamples=999)


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "i8"])
def test_either_byte_order_is_the_same_number(kind: str, order: str) -> None:
    x = np.array([1, 2, 5, 9], kind)
    assert sy.estimate(x.astype(order + kind)) == sy.estimate(x)


def test_unaligned_memory_is_read() -> None:
    raw = np.zeros(8 * 4 + 1, np.uint8)
    x = raw[1:].view(np.float64)
    x[:] = X
    assert not x.flags.aligned
    assert sy.estimate(x) == sy.estimate(X)


def test_arrow_arrays_share_their_memory_and_nulls_are_nan() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    x = pa.array(X)
    assert np.shares_memory(_arrays.floats(x, "x"), x.to_numpy())
    assert sy.estimate(x) == sy.estimate(X)
    assert sy.estimate(pa.chunked_array([X[:2], X[2:]])) == sy.estimate(X)
    with pytest.raises(ValueError, match="x: expected finite values; got nan at index 1"):
        sy.estimate(pa.array([1.0, None]))
    clusters = pa.array(["a", "a", "b", "b"])
    assert sy.estimate(x, clusters=clusters) == sy.estimate(X, clusters=[0, 0, 1, 1])


def test_a_frame_is_columns_by_name() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    table = pa.table({"old": X, "new": X + 1})
    assert sy.estimate(table) == sy.estimate({"old": X, "new": X + 1})
    assert sy.compare(table, baseline="old").names == ("new",)


def test_bfloat16_travels_as_its_bits() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with the dev extra")
    x = X.astype(ml_dtypes.bfloat16)
    bits = _arrays.floats(x, "x")
    assert bits.dtype == np.uint16
    assert np.shares_memory(bits, x)
    assert _arrays.to_float64(bits).tolist() == X.tolist()


def test_jax_arrays() -> None:
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed: its arrays are not tried")
    x = jnp.asarray(X, jnp.float32)
    assert sy.estimate(x) == sy.estimate(X.astype(np.float32))
    assert sy.global_norm({"w": x}) == sy.global_norm(X.astype(np.float32))
    with pytest.raises(TypeError, match=r"params: expected a NumPy array or a torch CPU tensor"):
        sy.AdamW(x)


# -- what is missing, in every container: see tests/test_containers.py too ----------------------------------------------


def nulls() -> dict[str, Any]:
    """0.25, 1 and something that is missing, in many containers."""
    with_none = [0.25, 1.0, None]
    held: dict[str, Any] = {
        "list": with_none, "objects": np.array(with_none, object), "NaN": np.array([0.25, 1.0, np.nan]),
        "NaN among objects": np.array([0.25, True, float("nan")], object), "mask": np.ma.array([0.25, 1, 9], mask=[0, 0, 1]),
        "mask of integers": np.ma.array(np.array([0.25, 1, 9], object), mask=[0, 0, 1]),
        "decimals": [Decimal("0.25"), Fraction(1), Decimal("NaN")],
    }  # fmt: skip
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    held |= {
        "Float32": pd.Series(with_none, dtype="Float32"), "pd.NA": pd.Series([0.25, 1, pd.NA], dtype=object),
        "Index": pd.Index([0.25, 1, None], dtype=object), "category": pd.Series(with_none, dtype="category"),
        "extension array": pd.array(with_none, dtype="Float64"), "NaT": pd.Series([0.25, 1, pd.NaT], dtype=object),
        "pandas and decimals": pd.Series([Decimal("0.25"), 1, None]), "sparse": pd.Series(pd.arrays.SparseArray([0.25, 1, np.nan])),
        "polars Float32": pl.Series(with_none, dtype=pl.Float32), "polars decimals": pl.Series([Decimal("0.25"), Decimal(1), None]),
        "dictionary": pa.array(with_none).dictionary_encode(), "half": pa.array(with_none, pa.float16()),
        "decimal128": pa.array([Decimal("0.25"), Decimal(1), None]), "Arrow in pandas": pd.Series(with_none, dtype="float[pyarrow]"),
        "chunks of dictionaries": pa.chunked_array([pa.array(with_none).dictionary_encode()]),
    }  # fmt: skip
    return held


def test_what_is_missing_is_nan_in_every_container() -> None:
    for name, x in nulls().items():
        found = sy.estimate(x, nan_policy="omit", method="t")
        assert (found.value, found.n, found.left_out) == (0.625, 2, {"nan": 1}), name
        with pytest.raises(ValueError, match=r'x: expected finite values; got nan at index 2; pass nan_policy="omit"'):
            sy.estimate(x)


def test_the_callers_column_stays_as_it_is() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    x = pd.Series([1.0, None, 3.0], dtype="Float64")
    data = np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    sy.estimate(x, nan_policy="omit"), sy.estimate(data, nan_policy="omit")
    assert x.isna().tolist() == [False, True, False]
    assert data.data.tolist() == [1.0, 2.0, 3.0]


def test_a_mask_that_hides_nothing_is_no_difference() -> None:
    for mask in (False, [False] * 4, np.ma.nomask):
        assert sy.estimate(np.ma.masked_array(X, mask)) == sy.estimate(X)


def test_nothing_but_nulls() -> None:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    for x in ([None, None], pl.Series([None, None]), pa.nulls(2), np.ma.masked_all(2), np.full(2, np.nan)):
        with pytest.raises(ValueError, match="x: expected at least one row that counts; got none of 2"):
            sy.estimate(x, nan_policy="omit")
        with pytest.raises(ValueError, match="clusters: expected an id for every row; got none at index 0"):
            sy.estimate([1.0, 2.0], clusters=x)
    for mask in ([None, None], pl.Series([None, None]), pa.nulls(2)):
        with pytest.raises(ValueError, match="where: expected True or False in every place; got none at index 0"):
            sy.estimate([1.0, 2.0], where=mask)


def test_integers_of_any_width() -> None:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    wide = [2**70, 2**71, -(2**70)]
    want = sy.estimate(np.array(wide, np.float64))
    for x in (wide, np.array(wide, object), pl.Series(wide, dtype=pl.Int128), pa.array(wide, pa.decimal128(30, 0))):
        assert sy.estimate(x) == want
    unsigned = np.array([1, 2, 2**64 - 1], np.uint64)
    for x in (unsigned, unsigned.tolist(), pl.Series(unsigned), pa.array(unsigned)):
        assert sy.estimate(x) == sy.estimate(unsigned.astype(np.float64))
    with pytest.raises(ValueError, match="x: expected numbers that float64 holds"):
        sy.estimate([10**400, 1, 2])


@pytest.mark.parametrize("texts", [["1", "2"], [b"1", b"2"]])
def test_texts_that_spell_numbers_are_no_numbers(texts: list[Any]) -> None:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    for x in (texts, np.array(texts), np.array(texts, object), np.array([*texts, None], object), pl.Series(texts)):
        with pytest.raises(TypeError, match=r"x: expected numbers; got (texts|bytes)"):
            sy.estimate(x)


# -- ids ---------------------------------------------------------------------------------------------------------------


def groups(ids: Any) -> int | str:
    try:
        return int(sy.estimate(np.arange(float(len(ids))), clusters=ids).n_clusters)
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def test_what_two_ids_are() -> None:
    """The rule of docs/decisions/0009-containers.md, line by line."""
    day, zone = datetime.date(2024, 1, 1), datetime.timezone(datetime.timedelta(hours=1))
    noon = datetime.datetime(2024, 1, 1, 12)
    one = {
        "a number is its value": [1, 1.0, True, Decimal("1.00"), Fraction(1), np.int8(1), np.float32(1)],
        "zero has no sign": [0.0, -0.0],
        "a moment is a moment on any clock": [noon.replace(tzinfo=zone), noon.replace(hour=11, tzinfo=datetime.UTC)],
    }  # fmt: skip
    for rule, ids in one.items():
        assert groups(ids) == 1, rule
    two = {
        "a NUL at the end belongs to a text": ["a", "a\0"], "and to bytes": [b"a", b"a\0"],
        "whole numbers beyond 2**53": [2**53, 2**53 + 1], "beside a float": [2**53 + 1, 2.0**53],
        "beyond 2**63": [2**63, 2**63 + 1], "of both signs": [2**63, -1], "beyond 2**64": [2**64, 2**64 + 1],
        "beyond 2**64 beside a float": [2**64 + 1, 2.0**64], "blanks count": ["a", "a "], "days": [day, day.replace(day=2)],
        "moments": [noon, noon.replace(microsecond=1)],
    }  # fmt: skip
    for rule, ids in two.items():
        assert groups(ids) == 2, rule
        assert groups(np.fromiter(ids, object, 2)) == 2, rule
    mixed = [[1, "1"], ["a", b"a"], [day, noon], [noon, noon.replace(tzinfo=zone)], [1, day]]
    for ids in mixed:
        assert str(groups(ids)).startswith(
            "TypeError: clusters: expected ids of one kind: numbers, texts, bytes or dates"
        )


def test_an_id_that_is_missing_is_named_by_the_callers_index() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    for none in (None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("NaN")):
        for ids in (["a", "b", none, "c"], [1, 2, none, 3], np.array(["a", "b", none, "c"], object)):
            with pytest.raises(ValueError, match="clusters: expected an id for every row; got none at index 2; drop"):
                sy.estimate(X, clusters=ids)
            with pytest.raises(ValueError, match="got none at index 2"):
                sy.estimate(X, clusters=ids, where=[False, True, True, True])
            assert sy.estimate(X, clusters=ids, where=[True, True, False, True]).n_clusters == 3


def test_integer_ids_with_gaps_stay_integers() -> None:
    """A float has no 2**53 + 1."""
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    ids = [2**53, 2**53 + 1, 7, None]
    for held in (
        ids,
        pl.Series(ids),
        pd.Series(ids, dtype="Int64"),
        pd.Series(ids, dtype="int64[pyarrow]"),
        pa.array(ids),
    ):
        assert sy.estimate(X, clusters=held, where=[True, True, True, False]).n_clusters == 3


def test_texts_of_every_library_keep_their_nul() -> None:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    ids = ["a", "a\0", "b", "c"]
    held = [
        ids, np.array(ids, object), np.array(ids, np.dtypes.StringDType()), pl.Series(ids), pl.Series(ids, dtype=pl.Categorical),
        pl.Series(ids, dtype=pl.Enum(ids)), pd.Series(ids), pd.Series(ids, dtype="string"), pd.Series(ids, dtype="category"),
        pd.Series(ids, dtype="string[pyarrow]"), pa.array(ids), pa.array(ids, pa.large_string()),
        pa.array(ids, pa.string_view()), pa.array(ids).dictionary_encode(),
    ]  # fmt: skip
    for texts in held:
        assert groups(texts) == 4
        assert sy.perplexity(X, clusters=texts).n_clusters == 4
    state = sy.tokens.PerplexityState().update(X, clusters=ids)
    assert state.update(X, clusters=ids).compute().n_clusters == 4


def test_a_day_is_one_document_in_whatever_unit_it_comes() -> None:
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-03"], "M8[D]")
    state = sy.tokens.PerplexityState().update(X, clusters=days)
    for unit in ("M8[ns]", "M8[us]", "M8[s]"):
        state.update(X, clusters=days.astype(unit))
    assert state.update(X, clusters=days.tolist()).compute().n_clusters == 3


# -- rows that have labels ---------------------------------------------------------------------------------------------


def test_rows_that_are_labelled_differently_are_not_paired() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    a = pd.Series([1.0, 0.5, 0.25], index=["x", "y", "z"])
    b = pd.Series([0.5, 1.0, 0.75], index=["z", "y", "x"])
    mask, ids, bits = b > 0.6, pd.Series(["d", "e", "f"], b.index), pd.Series([0, 1, 1], b.index)
    frame = pd.DataFrame({"m": a, "n": a})
    p = pd.DataFrame({"no": 1 - a, "yes": a})
    logp = -a
    calls: dict[str, Callable[[], Any]] = {
        "baseline": lambda: sy.compare(a, baseline=b), "baseline of a frame": lambda: sy.compare(frame, baseline=b),
        "baseline of a mapping": lambda: sy.compare({"m": a}, baseline=b), "x['n']": lambda: sy.estimate({"m": a, "n": b}),
        "new['n']": lambda: sy.compare({"m": a, "n": b}, baseline="m"), "where": lambda: sy.estimate(a, where=mask),
        "clusters": lambda: sy.estimate(a, clusters=ids), "clusters ": lambda: sy.bootstrap(a, clusters=ids),
        "clusters  ": lambda: sy.compare(np.zeros(3), baseline=a, clusters=ids), "targets": lambda: sy.reliability(a, bits),
        "targets of a frame": lambda: sy.reliability(p, bits), "where ": lambda: sy.reliability(a, [0, 1, 1], where=mask),
        "clusters   ": lambda: sy.perplexity(a, clusters=ids), "per": lambda: sy.perplexity(a, clusters=[1, 2, 3], per=bits),
        "n": lambda: sy.proportion(pd.Series([1, 2, 3], a.index), pd.Series([4, 5, 6], b.index)),
        "policy_rejected": lambda: sy.preference_loss(logp, -b, logp, logp), "targets ": lambda: sy.token_scores(p, bits),
        "clusters    ": lambda: sy.preference_loss(logp, logp, logp, logp, clusters=ids),
    }  # fmt: skip
    for name, call in calls.items():
        argument = name.split(" of ")[0].strip()
        with pytest.raises(
            ValueError, match=r": expected the index of \w+.*; got '\w' for '\w' in row 0; align"
        ) as raised:
            call()
        assert str(raised.value).startswith(f"{argument}: "), (name, str(raised.value))


def test_rows_that_are_labelled_alike_or_not_at_all_are_paired() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    a, b = [1.0, 0.5, 0.25], [0.5, 1.0, 0.75]
    want = sy.compare(a, baseline=b)
    moments = pd.to_datetime(["2024-01-01", "2024-01-02", None])
    for index in (
        None,
        [3, 1, 2],
        [1, 1, 1],
        ["x", None, "z"],
        moments,
        pd.MultiIndex.from_tuples([(1, 2), (1, 3), (2, 3)]),
    ):
        assert sy.compare(pd.Series(a, index), baseline=pd.Series(b, index)) == want
        for other in (b, np.array(b), pl.Series(b)):
            assert sy.compare(pd.Series(a, index), baseline=other) == want
    assert sy.compare(pd.Series(a), baseline=pd.Series(b, [0, 1, 2])) == want


def test_the_first_label_that_differs_is_found_far_out() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    n = 200_000
    labels = np.arange(n)
    labels[150_000:] += 1
    with pytest.raises(ValueError, match="baseline: expected the index of new; got 150001 for 150000 in row 150000"):
        sy.compare(pd.Series(np.ones(n)), baseline=pd.Series(np.ones(n), labels))
    with pytest.raises(ValueError, match="3 rows, as baseline has"):
        sy.compare(pd.Series(np.ones(2)), baseline=pd.Series(np.ones(3)))


# -- tables and results where a column belongs -------------------------------------------------------------------------


def test_a_table_where_one_column_belongs_names_its_columns() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    columns = {"old": X, "new": X}

    def crossed(ids: Any) -> sy.Estimate:
        return sy.estimate(X, clusters=ids)

    for table in (
        columns,
        pd.DataFrame(columns),
        pl.DataFrame(columns),
        pa.table(columns),
        pa.RecordBatch.from_pydict(columns),
    ):
        for argument, call in (
            ("baseline", lambda t: sy.compare(X, baseline=t)), ("clusters", crossed),
            ("where", lambda t: sy.estimate(X, where=t)), ("targets", lambda t: sy.reliability(X / 4, t)),
            ("x", sy.perplexity), ("policy_chosen", lambda t: sy.preference_loss(t, X, X, X)),
            ("clusters", lambda t: sy.perplexity(X, clusters=t)), ("k", lambda t: sy.proportion(t, 3)),
        ):  # fmt: skip
            if table is columns and call is crossed:
                assert "crossed clusters" in call(table).reason  # a mapping of two kinds of clusters
                continue
            text = rf"{argument}: expected one column; got a \w+ of 2 columns: 'old', 'new'; pass one, as in {argument}\['old'\]"
            with pytest.raises(TypeError, match=text):
                call(table)
    for call in (sy.estimate, lambda t: sy.reliability(t, [0]), lambda t: sy.compare(X, baseline=t)):
        with pytest.raises(TypeError, match=r"got a LazyFrame; collect\(\) it"):
            call(pl.LazyFrame(columns))


def test_a_table_of_probabilities_is_a_matrix() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    columns = {"no": [0.25, 0.5, 1.0], "yes": [0.75, 0.5, 0.0]}
    want = sy.reliability(np.array(list(columns.values())).T, [1, 0, 0])
    for table in (
        pd.DataFrame(columns),
        pl.DataFrame(columns),
        pa.table(columns),
        pd.DataFrame(columns, dtype="Float64"),
    ):
        assert sy.reliability(table, [1, 0, 0]) == want
        assert sy.token_scores(table, [1, 0, 0]).nll.shape == (3,)
    columns["yes"][1] = None
    for table in (pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
        with pytest.raises(ValueError, match=r"probs: expected no NaN; got one at index \(1, 1\)"):
            sy.reliability(table, [1, 0, 0])
        assert sy.reliability(table, [1, 0, 0], nan_policy="omit").left_out == {"nan": 1}
    with pytest.raises(TypeError, match=r"probs\['yes'\]: expected numbers; got texts"):
        sy.reliability(pl.DataFrame({"no": [0.5], "yes": ["a"]}), [1])


@pytest.mark.parametrize(
    ("x", "name"),
    [
        ({"a": X, "b": [0.5, np.nan, 1.0, 2.0]}, r"x\['b'\]"),
        (np.array([[0.5, 1.0], [0.5, np.nan], [0.5, 2.0]]), r"x\[:, 1\]"),
    ],
)
def test_one_column_of_many_is_named(x: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected finite values; got nan at index 1"):
        sy.estimate(x)
    with pytest.raises(ValueError, match=name.replace("x", "^new", 1)):
        sy.compare(x, baseline=np.zeros(4 if isinstance(x, dict) else 3))


def test_a_result_where_a_column_belongs_says_which_of_its_columns() -> None:
    scores = sy.token_scores(np.zeros((4, 3)), [0, 1, 2, 0])
    loss = sy.preference_loss(-X, -X, -X, -X)
    for call in (sy.estimate, sy.bootstrap, lambda t: sy.compare(t, baseline=X), lambda t: sy.compare(X, baseline=t)):
        with pytest.raises(TypeError, match=r"expected an array; got a TokenScores; pass t\.nll, with where=t.counted"):
            call(scores)
        with pytest.raises(TypeError, match=r"got a PreferenceLoss; pass one of its columns, such as out\.losses"):
            call(loss)
        with pytest.raises(TypeError, match="got a Reliability; pass the probabilities"):
            call(sy.reliability([0.5, 0.5], [0, 1]))
        with pytest.raises(TypeError, match=r"got an? Estimate; pass the values"):
            call(sy.estimate(X))
        with pytest.raises(TypeError, match="got a Comparison; pass the scores"):
            call(sy.compare(X, baseline=X[::-1]))


def test_a_run_where_a_column_belongs_says_which_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f'{{"id": {i}, "score": {i / 4}}}\n' for i in range(4)))
    (run,) = runs = records.read(str(path))
    for call in (sy.estimate, lambda t: sy.compare(t, baseline=X), lambda t: sy.estimate(X, clusters=t)):
        with pytest.raises(TypeError, match=r"got a Run; pass one of its columns, such as run\.score"):
            call(run)
        with pytest.raises(TypeError, match=r"got a Runs; pass a column of one of its runs, such as .*$") as refused:
            call(runs)
        assert eval(str(refused.value).rpartition("such as ")[2], {"runs": runs}) is run.score


def test_what_is_already_float64_is_not_copied_at_the_door() -> None:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    series = pl.Series(X)
    assert np.shares_memory(_arrays.floats(series, "x"), series.to_numpy())
    column, arrow = pd.Series(X), pa.array(X)
    assert np.shares_memory(_arrays.floats(column, "x"), column.to_numpy())
    assert np.shares_memory(_arrays.floats(arrow, "x"), arrow.to_numpy())
    ours = np.ma.array(X, mask=False)
    assert np.shares_memory(_arrays.floats(ours, "x"), ours.data)


def test_columns_of_any_type_get_an_answer_or_a_sentence() -> None:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    span, hour, moments = datetime.timedelta(1), datetime.time(1), pd.date_range("2024", periods=4, tz="Europe/Paris")
    held = [
        pl.Series([object()] * 4, dtype=pl.Object), pl.Series([span] * 4), pl.Series([hour, None] * 2), pl.Series([{"a": 1}] * 4),
        pl.Series([[1, 2], None] * 2), pl.Series([[1.0, 2.0]] * 4, dtype=pl.Array(pl.Float64, 2)), pl.Series([b"a", b"\xff", None, b"b"]),
        pl.Series([], dtype=pl.Int64), pl.col("a"), pl.LazyFrame({"a": [1]}), pl.DataFrame(), pl.Series(list(moments)),
        pa.array([{"a": 1}] * 4), pa.array([[1]] * 4), pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())), pa.array([span, None] * 2),
        pa.array([hour] * 4), pa.RunEndEncodedArray.from_arrays([2, 4], pa.array([1.0, None])), pa.array([b"0" * 16, None] * 2, pa.uuid()),
        pa.scalar(1.0), pa.array(["a", None] * 2, pa.string_view()), pa.array([(1, 2, 3)] * 4, pa.month_day_nano_interval()), pa.table({}),
        pa.UnionArray.from_sparse(pa.array([0] * 4, pa.int8()), [pa.array(X)]), pd.Series(pd.period_range("2024", periods=4, freq="M")),
        pd.Series(pd.interval_range(0, 4)), pd.Series([span] * 4), pd.Series(moments), pd.MultiIndex.from_product([[1, 2], [3, 4]]),
        pd.DataFrame([[1.0, 2.0]] * 4, columns=["a", "a"]), pd.DataFrame(), pd.DataFrame({"a": [1]}).groupby("a"), pd.Series([1j] * 4),
        np.ma.array([(1, 2.0)] * 4, dtype=[("a", int), ("b", float)]), np.ma.masked, [Decimal("sNaN"), Decimal("Infinity"), 0, 1],
        [np.datetime64("2024", "Y"), np.datetime64("2024-01-01", "ns")] * 2, [[1, None], [2, 3]], [[[1]]], np.array(None, object),
    ]  # fmt: skip
    calls: list[Callable[[Any], Any]] = [
        lambda x: sy.estimate(x, nan_policy="omit"), lambda x: sy.estimate(X, clusters=x), lambda x: sy.estimate(X, where=x),
        lambda x: sy.compare(X, baseline=x), lambda x: sy.bootstrap(x, n_resamples=99), lambda x: sy.proportion(x, 4),
        lambda x: sy.reliability(x, [0, 1, 1, 0]), lambda x: sy.reliability(X / 4, x, nan_policy="omit"),
        lambda x: sy.reliability(X / 4, x, classes=["a", "b"]), lambda x: sy.reliability(X[:2] / 4, [0, 1], classes=x), sy.perplexity,
        lambda x: sy.perplexity(X, clusters=x), lambda x: sy.perplexity(X, clusters=[1, 2, 3, 4], per=x), lambda x: sy.preference_loss(x, x, x, x),
        lambda x: sy.preference_loss(-X, -X, -X, -X, beta=x), lambda x: sy.token_scores(x, [0] * 4), sy.global_norm,
        lambda x: sy.token_scores(np.zeros((4, 3)), x),
    ]  # fmt: skip
    for x in held:
        for call in calls:
            try:
                call(x)
            except (TypeError, ValueError) as error:
                assert ": expected " in str(error)  # noqa: PT017


# -- arrays that another thread writes during the call -----------------------------------------------------------------


def test_a_mask_and_ids_that_are_rewritten_during_the_call_are_those_it_began_with() -> None:
    n = 300_000
    x, ids, mask = np.arange(n) / n, np.arange(n) // 7, np.arange(n) % 3 > 0
    want = sy.estimate(x, where=mask, clusters=ids)
    want_r = sy.reliability(x, ids % 2, where=mask)
    want_p = sy.perplexity(x, where=mask, clusters=ids)
    calls: list[tuple[Any, Callable[..., Any]]] = [
        (want, lambda m, c, tell: sy.estimate(x, where=m, clusters=c, progress=tell)),
        (want_r, lambda m, c, tell: sy.reliability(x, ids % 2, where=m, progress=tell)),
        (want_p, lambda m, c, tell: sy.perplexity(x, where=m, clusters=c, progress=tell)),
    ]
    for result, call in calls:
        given, groups = mask.copy(), ids.copy()
        told = []

        def rewrite(done: int, total: int, given: Any = given, groups: Any = groups, told: Any = told) -> None:
            given[:], groups[:] = False, 0
            told.append(done)

        assert call(given, groups, rewrite) == result
        assert told


@pytest.mark.parametrize("shape", [(300_000,), (300_000, 2)])
@pytest.mark.parametrize("other", [1, 7, -(2**62)])
def test_targets_that_are_rewritten_during_the_call_are_counted_or_refused(shape: tuple[int, ...], other: int) -> None:
    """They are read in place: what is no class is refused whenever it is seen, and nothing is counted twice."""
    probs, targets = np.full(shape, 0.5), np.zeros(shape[0], np.int64)
    told = []

    def rewrite(done: int, total: int) -> None:
        targets[:] = other
        told.append(done)

    try:
        found = sy.reliability(probs, targets, progress=rewrite)
    except ValueError as error:
        assert (other != 1, str(error)[:18]) == (True, "targets: expected ")  # noqa: PT017
    else:
        assert (found.table["correct"] >= 0).all()
        assert (found.table["correct"] <= found.table["count"]).all()
        assert found.n == shape[0]
    assert told
