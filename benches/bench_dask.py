"""An estimate over dask's partitions beside dask's own mean and standard deviation, on the same workers and data."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .harness import Row, need

N, PARTITIONS, WORKERS = 100_000_000, 64, 4


def mean(n: int = N) -> Row:
    """Dask: the mean with its interval, 1e8 rows, 4 workers on 2 cores"""
    distributed, pandas, frames = need("distributed", "pandas", "dask.dataframe")
    import steelyard.dask as on_dask

    cluster = distributed.LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit="4GiB",
        env={"STEELYARD_NUM_THREADS": "1"},
    )  # fmt: skip
    client = distributed.Client(cluster)

    def part(seed: int) -> Any:
        return pandas.DataFrame({"x": np.random.Generator(np.random.Philox(seed)).normal(size=n // PARTITIONS)})

    frame = frames.from_map(part, range(PARTITIONS), meta=part(0)[:0]).persist()
    distributed.wait(frame)

    def agree(ours: Any, peer: Any) -> None:
        value, spread = peer
        np.testing.assert_allclose(ours.value, value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.standard_error, spread / ours.n**0.5, rtol=1e-9)

    def ours() -> Any:
        return client.compute(on_dask.estimate(frame, "x")).result()

    def peer() -> Any:
        return [future.result() for future in client.compute([frame.x.mean(), frame.x.std()])]

    def close() -> None:
        client.close()
        cluster.close()

    weakref.finalize(ours, close)  # with the row
    return Row(
        work=f"Dask, 1e{len(str(n)) - 1} rows in {PARTITIONS} partitions, {WORKERS} workers: the mean with its interval",
        ours=ours,
        peer=peer,
        against="dask's `mean()` and `std()` together, without an interval",
        package="dask",
        at_least=1.0,
        agree=agree,
    )


ROWS = [mean]
