"""One pass over a Parquet file beside a data base that reads the same file."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Any

import numpy as np

import steelyard as sy

from .harness import THREADS, Row, need

N, CLUSTERS, PART = 100_000_000, 100_000, 1 << 20


def mean_by_cluster(n: int = N) -> Row:
    """A mean with the error of its clusters from a Parquet file, against a data base's mean and spread of the values"""
    arrow, parquet, duckdb = need("pyarrow", "pyarrow.parquet", "duckdb")
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "scores.parquet")
    writer = None
    for start in range(0, n, PART):
        rng, rows = np.random.default_rng(start), min(PART, n - start)
        table = arrow.table({"score": rng.random(rows), "user": rng.integers(0, CLUSTERS, rows)})
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    base = duckdb.connect()
    base.execute(f"set threads = {THREADS}")

    def ours() -> Any:
        return sy.scan(path, {"x": "score", "clusters": "user"}, sy.uncertainty.EstimateState()).compute()

    def peer() -> Any:
        return base.execute("select avg(score), stddev(score) from read_parquet(?)", [path]).fetchone()

    def agree(ours: Any, peer: Any) -> None:
        assert ours.n_clusters == CLUSTERS, ours
        np.testing.assert_allclose(ours.value, peer[0], rtol=1e-9)

    weakref.finalize(ours, folder.cleanup)  # with the row
    return Row(
        work=f"scan of a Parquet file, 1e{len(str(n)) - 1} rows: the mean with the error of {CLUSTERS:,} clusters",
        ours=ours,
        peer=peer,
        against="`avg` and `stddev` of the file, without clusters",
        package="duckdb",
        at_least=0.5,
        agree=agree,
    )


ROWS = [mean_by_cluster]
