"""A table that is scanned makes the state that it makes in one update, however it is stored and cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.calibration import ReliabilityState
from steelyard.tokens import PerplexityState
from steelyard.uncertainty import EstimateState

pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")

N = 3000
RNG = np.random.default_rng(4)
TABLE: dict[str, Any] = {
    "score": RNG.normal(size=N),
    "right": RNG.integers(0, 2, N),
    "p": RNG.uniform(size=N).astype(np.float32),
    "user": [f"user {i}" for i in RNG.integers(0, 90, N)],
    "counted": RNG.random(N) < 0.9,
}
OF = {"x": "score", "clusters": "user", "where": "counted"}
WANT = EstimateState().update(TABLE["score"], clusters=TABLE["user"], where=TABLE["counted"])


def arrow() -> Any:
    return pa.table(TABLE)


def written(kind: str, folder: Path) -> Any:
    """The table in files of a kind."""
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    table, path = arrow(), folder / f"table.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=777)
    elif kind == "csv":
        pyarrow.csv.write_csv(table, path)
    elif kind == "csv.gz":
        with pa.output_stream(str(path), compression="gzip") as to:
            pyarrow.csv.write_csv(table, to)
    elif kind == "tsv":
        pyarrow.csv.write_csv(table, path, pyarrow.csv.WriteOptions(delimiter="\t"))
    elif kind == "feather":
        pyarrow.feather.write_feather(table, str(path), compression="uncompressed")
    else:
        import json

        path.write_text("\n".join(map(json.dumps, table.to_pylist())), "utf-8")
    return path


def parts(folder: Path) -> Any:
    import pyarrow.parquet

    for i in range(4):
        pyarrow.parquet.write_table(arrow().slice(i * 800, 800), folder / f"part-{i}.parquet")
    return folder


def partitioned(folder: Path) -> Any:
    import pyarrow.parquet

    languages = pa.array(["de" if i % 3 else "en" for i in range(N)])
    pyarrow.parquet.write_to_dataset(arrow().append_column("language", languages), folder, partition_cols=["language"])
    return folder


def duck(folder: Path) -> Any:
    duckdb = pytest.importorskip("duckdb", reason="duckdb comes with the dev extra")
    written("parquet", folder)
    return duckdb.sql(f"select * from '{folder}/table.parquet'")


def lazy(folder: Path) -> Any:
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    return pl.scan_parquet(str(parts(folder) / "*.parquet")).filter(pl.col("score") < 99)


def polars(_: Path) -> Any:
    return pytest.importorskip("polars", reason="polars comes with the dev extra").DataFrame(TABLE)


def pandas(_: Path) -> Any:
    return pytest.importorskip("pandas", reason="pandas comes with the dev extra").DataFrame(TABLE)


def mapped(folder: Path) -> Any:
    """Arrays in files, read through memory."""
    np.save(folder / "score.npy", TABLE["score"])
    return TABLE | {"score": np.load(folder / "score.npy", mmap_mode="r")}


SOURCES: dict[str, Callable[[Path], Any]] = {
    "arrays": lambda _: TABLE,
    "mapped arrays": mapped,
    **{kind: lambda folder, kind=kind: written(kind, folder) for kind in ("parquet", "csv", "csv.gz", "tsv", "feather", "jsonl")},
    "folder": parts,
    "pattern": lambda folder: str(parts(folder) / "*.parquet"),
    "list": lambda folder: sorted(parts(folder).iterdir(), reverse=True),
    "partitions": partitioned,
    "data set": lambda folder: __import__("pyarrow.dataset").dataset.dataset(parts(folder)),
    "arrow table": lambda _: arrow(),
    "arrow batch": lambda _: arrow().to_batches()[0],
    "arrow reader": lambda _: arrow().to_reader(100),
    "batches": lambda _: iter(arrow().to_batches(99)),
    "polars": polars,
    "lazy frame": lazy,
    "pandas": pandas,
    "duckdb": duck,
}  # fmt: skip


@pytest.mark.parametrize("size", [1 << 20, 333])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_scan_is_one_update(kind: str, size: int, tmp_path: Path) -> None:
    """Of the whole table, bit for bit."""
    assert sy.scan(SOURCES[kind](tmp_path), OF, EstimateState(), batch_rows=size) == WANT


def test_the_columns_of_folders(tmp_path: Path) -> None:
    found = sy.scan(partitioned(tmp_path), {"x": "score", "clusters": "language"}, EstimateState())
    assert found == EstimateState().update(TABLE["score"], clusters=["de" if i % 3 else "en" for i in range(N)])


def test_several_states_in_one_pass(tmp_path: Path) -> None:
    states = {"mean": EstimateState(), "calibration": ReliabilityState(), "perplexity": PerplexityState()}
    asked = {
        "mean": "score",
        "calibration": {"probs": "p", "targets": "right", "clusters": "user"},
        "perplexity": {"x": "p", "clusters": "user"},
    }
    found = sy.scan(written("parquet", tmp_path), asked, states)
    assert found is states
    assert states["mean"] == EstimateState().update(TABLE["score"])
    want = ReliabilityState().update(TABLE["p"], TABLE["right"], clusters=TABLE["user"])
    assert states["calibration"] == want
    assert states["perplexity"] == PerplexityState().update(TABLE["p"], clusters=TABLE["user"])


def test_tokens_need_their_documents() -> None:
    """Without them each batch would be one document, and the answer would depend on the size of batches."""
    nll = np.random.default_rng(0).exponential(size=(40, 5))
    with pytest.raises(ValueError, match=r"^clusters: expected a column of documents, since x has a token a row; got"):
        sy.scan({"nll": nll.ravel()}, "nll", PerplexityState())
    assert sy.scan({"nll": nll}, "nll", PerplexityState(), batch_rows=7) == PerplexityState().update(nll)


def test_a_table_of_probabilities() -> None:
    """From columns side by side, and from a column of lists."""
    probs = RNG.dirichlet(np.ones(3), N)
    classes = RNG.integers(0, 3, N)
    want = ReliabilityState().update(probs, classes)
    of = {"probs": ["a", "b", "c"], "targets": "class"}
    assert sy.scan(dict(zip("abc", probs.T, strict=True)) | {"class": classes}, of, ReliabilityState()) == want
    for lists in (pa.array(probs.tolist()), pa.FixedSizeListArray.from_arrays(pa.array(probs.ravel()), 3)):
        table = pa.table({"probs": lists, "class": classes})
        of_lists = {"probs": "probs", "targets": "class"}
        assert sy.scan(table, of_lists, ReliabilityState(), batch_rows=700) == want


def test_missing_values_are_left_out_where_that_is_asked() -> None:
    table = pa.table({"x": pa.array([1.0, None, 0.0, 1.0]), "whole": pa.array([1, 0, None, 1])})
    for name in ("x", "whole"):
        found = sy.scan(table, name, EstimateState(nan_policy="omit"), batch_rows=1).compute()
        assert found.n == 3
        assert found.left_out == {"nan": 1}


def test_a_batch_holds_no_more_rows_than_asked() -> None:
    seen = []

    class Watched(EstimateState):
        def update(self, x: Any, **rows: Any) -> Any:
            seen.append(len(x))
            return super().update(x, **rows)

    sy.scan(arrow(), "score", Watched(), batch_rows=400)
    assert max(seen) == 400
    assert sum(seen) == N


@pytest.mark.parametrize("many", [False, True])
def test_what_fails_adds_nothing(many: bool) -> None:
    def breaks_off() -> Iterator[Any]:
        yield arrow()
        raise RuntimeError("the connection was lost")

    states = {"a": EstimateState().update([1.0, 2.0]), "b": EstimateState().update([3.0])}
    before = {name: state.to_bytes() for name, state in states.items()}
    with pytest.raises(RuntimeError, match="the connection was lost"):
        sy.scan(breaks_off(), {"a": "score", "b": "p"} if many else "score", states if many else states["a"])
    # The second cannot take clusters, since it has rows without: the first must not change either.
    with pytest.raises(TypeError, match="clusters: expected ids in every update of a state or in none"):
        sy.scan(arrow(), {"a": "score", "b": OF}, states)
    assert {name: state.to_bytes() for name, state in states.items()} == before


def test_progress(tmp_path: Path) -> None:
    """In rows where these are known, else in batches."""
    told: list[tuple[int, int]] = []
    note = lambda done, total: told.append((done, total))  # noqa: E731
    sy.scan(parts(tmp_path), "score", EstimateState(), progress=note)
    assert told == [(800, N), (1600, N), (2400, N), (N, N)]
    told.clear()
    sy.scan(iter(arrow().to_batches(1500)), "score", EstimateState(), batch_rows=1500, progress=note)
    assert told == [(1, 0), (2, 0), (2, 2)]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = written("parquet", tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"^source: expected files that Arrow can read; got .*table\.parquet"):
        sy.scan(path, "score", EstimateState())


IDS = {"x": "s", "clusters": "c"}


def clusters_of(source: Any) -> int | None:
    return sy.scan(source, IDS, EstimateState(), batch_rows=2).compute().n_clusters


def text(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def test_a_data_set_says_its_types(tmp_path: Path) -> None:
    """A file of text is read by its first rows otherwise."""
    import pyarrow.dataset as ds

    path = text(tmp_path, "a.csv", "s,c\n1,007\n0,07\n1,7\n1,8\n")
    types = pa.schema([("s", pa.float64()), ("c", pa.string())])
    assert clusters_of(path) == 2
    assert clusters_of(ds.dataset(path, format="csv", schema=types)) == 4
    late = text(tmp_path, "late.jsonl", '{"s": 1}\n' * 200_000 + '{"s": 0.5, "c": 3}\n')
    assert sy.scan(ds.dataset(late, format="json", schema=types), "s", EstimateState()).compute().n == 200_001
    for name, said in (("s", "source: expected files that Arrow can read; "), ("c", "columns: expected columns of ")):
        with pytest.raises(ValueError, match=f"^{said}.*pass pyarrow.dataset.dataset"):
            sy.scan(late, name, EstimateState())


def test_data_sets_without_fragments(tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    data = ds.dataset(written("parquet", tmp_path))
    for source in (data.filter(ds.field("score") < 99), data.scanner()):
        assert sy.scan(source, OF, EstimateState()) == WANT


def test_ids_keep_their_digits() -> None:
    from decimal import Decimal

    numbers = [Decimal(2**53 + i) for i in (0, 1, 0, 1, 2, 3)]
    table = pa.table({"s": [1.0, 0, 1, 1, 0, 1], "c": pa.array(numbers, pa.decimal128(20, 0))})
    assert clusters_of(table) == 4


def test_a_cell_without_an_id_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected an id for every row"):
        clusters_of(text(tmp_path, "a.csv", "s,c\n1,a\n0,\n1,\n1,b\n"))


def test_folders_name_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the files are given; a column of the file of that name makes it unclear which is meant."""
    for user in ("5", "bob"):
        text(tmp_path, f"user={user}/a.csv", "s\n1\n0\n")
    monkeypatch.chdir(tmp_path)
    of = {"x": "s", "clusters": "user"}
    for source in (".", "*/*.csv", "**", "user=*", tmp_path):
        assert sy.scan(source, of, EstimateState()).compute().n_clusters == 2, source
    assert sy.scan("user=5", of, EstimateState()).compute().n_clusters == 1
    text(tmp_path, "clash/c=z/a.csv", "s,c\n1,a\n0,b\n")
    with pytest.raises(ValueError, match=r"expected one column 'c' in .*; got one in the file and one by its folder"):
        clusters_of("clash")


def test_empty_files(tmp_path: Path) -> None:
    text(tmp_path, "a.jsonl", '{"s": 1}\n{"s": 0}\n')
    text(tmp_path, "b.jsonl", "")
    assert sy.scan(tmp_path, "s", EstimateState()).compute().n == 2
    assert sy.scan(str(tmp_path / "b.*"), "s", EstimateState()) == EstimateState()


@pytest.mark.parametrize("size", [1, 2, 10])
def test_kinds_do_not_depend_on_batches(size: int) -> None:
    values = {"s": [1, 0, None, 1, 0, True]}
    assert sy.scan(values, "s", EstimateState(nan_policy="omit"), batch_rows=size).compute().n == 5
    mixed = {"s": [1.0] * 6, "c": np.array([5, "5", 5, "5", "d", 1], object)}
    with pytest.raises((TypeError, ValueError), match="column 'c': expected"):
        sy.scan(mixed, IDS, EstimateState(), batch_rows=size)


def test_columns_of_frames() -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the dev extra")
    pl = pytest.importorskip("polars", reason="polars comes with the dev extra")
    values, ids = [1.0, 0.0, 1.0, 1.0], ["b", "a", "b", "c"]
    for source in (
        {"s": pd.Series(values, [3.5, 1.5, 0.5, 2.5]), "c": pd.Series(ids, dtype="category")},
        {"s": pl.Series(values), "c": pl.Series(ids, dtype=pl.Categorical)},
        pl.DataFrame({"s": values, "c": pl.Series(ids, dtype=pl.Categorical)}),
        pl.DataFrame({"s": values, "c": pl.Series(ids, dtype=pl.Enum(["a", "b", "c"]))}),
    ):
        assert clusters_of(source) == 3
    ids = pd.Series([2**53, 2**53 + 1, None], dtype="Int64")
    of = {"x": "s", "clusters": "c", "where": "w"}
    found = sy.scan({"s": [1.0, 0.0, 1.0], "c": ids, "w": [True, True, False]}, of, EstimateState())
    assert found.compute().n_clusters == 2
    missing = {"s": pd.Series([1, None, 0], dtype="Int64")}
    assert sy.scan(missing, "s", EstimateState(nan_policy="omit"), batch_rows=1).compute().n == 2


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a name": (lambda: sy.scan(arrow(), "scor", EstimateState()), "columns: .* got 'scor', .*; did you mean 'score'?"),
    "an argument": (lambda: sy.scan(arrow(), {"y": "score"}, EstimateState()), "columns: expected one of x, where, clusters, weights, strata; got 'y'"),
    "no column": (lambda: sy.scan(arrow(), {}, EstimateState()), "columns: expected at least one column"),
    "a number": (lambda: sy.scan(arrow(), {"x": 1}, EstimateState()), "columns['x']: expected the name of a column, .* got int 1"),
    "no file": (lambda: sy.scan("nowhere-*.csv", "x", EstimateState()), "source: expected files that exist; got 'nowhere-*.csv'"),
    "a format": (lambda: sy.scan(__file__, "x", EstimateState()), "source: expected a file whose name ends in .parquet, "),
    "no source": (lambda: sy.scan(5, "x", EstimateState()), "source: expected paths, .* got int 5"),
    "no state": (lambda: sy.scan(arrow(), "score", "mean"), "state: expected a state such as .* got str 'mean'"),
    "names of states": (lambda: sy.scan(arrow(), {"b": "p"}, {"a": EstimateState()}), "columns: expected a mapping with .* 'a'; got those of 'b'"),
    "texts": (lambda: sy.scan(arrow(), "user", EstimateState()), "column 'user': expected numbers; got texts (in rows 0 to 2,999 of source"),
    "a null": (lambda: sy.scan(pa.table({"x": [1.0, None]}), "x", EstimateState()), "column 'x': expected .* (in rows 0 to 1 of source"),
    "kinds": (lambda: sy.scan(two_kinds(), {"x": "x", "clusters": "id"}, EstimateState()), "column 'id': expected numbers, as in the first rows; got texts (in rows 2 to 2"),
    "lists": (lambda: sy.scan(pa.table({"x": [[1.0], [1.0, 2.0]]}), "x", EstimateState()), "column 'x': expected lists of one length; got lengths 1, 2"),
    "lengths": (lambda: sy.scan({"x": np.ones(3), "c": np.ones(2)}, {"x": "x", "clusters": "c"}, EstimateState()), "column 'c': expected 3 rows, as 'x' has; got 2"),
    "one state": (lambda: sy.scan(arrow(), {"a": "p", "b": "p"}, dict.fromkeys("ab", EstimateState())), "state: expected a state of its own"),
    "nothing to add": (lambda: sy.scan(arrow(), {"clusters": "user"}, EstimateState()), "columns: expected a column for x; got columns for clusters alone"),
    "records": (lambda: sy.scan([{"x": 1}], "x", EstimateState()), "column 'x': expected an array or a list; got int 1"),
    "two of a name": (lambda: sy.scan(pa.table([[1], [2]], ["x", "x"]), "x", EstimateState()), "columns: expected one column 'x' in source; got 2"),
    "rows": (lambda: sy.scan(arrow(), "score", EstimateState(), batch_rows=0), "batch_rows: expected "),
}  # fmt: skip


def two_kinds() -> list[Any]:
    return [pa.table({"x": [1.0, 2.0], "id": [5, 6]}), pa.table({"x": [3.0], "id": ["5"]})]


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str) -> None:
    call, said = REFUSED[what]
    pattern = ".*".join(map(re.escape, re.split(r" ?\.\*", said)))
    with pytest.raises((TypeError, ValueError), match=f"^{pattern}"):
        call()
