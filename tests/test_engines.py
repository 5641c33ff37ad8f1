"""States that come from the processes of an engine as bytes: what Ray and MPI need, and what Dask and Spark stand on."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._engines import answer_of, job_of, merged, of_partition, states_of
from steelyard.calibration import ReliabilityState
from steelyard.uncertainty import EstimateState

pytest.importorskip("pandas", reason="pandas comes with the dev extra")

N = 2000
RNG = np.random.default_rng(5)
TABLE: dict[str, Any] = {
    "x": RNG.normal(size=N),
    "right": RNG.integers(0, 2, N),
    "p": RNG.uniform(size=N),
    "user": RNG.integers(0, 50, N),
    "lang": np.array(["de", "en", "fr"])[RNG.integers(0, 3, N)],
    "counted": RNG.random(N) < 0.8,
}
ORDER = RNG.permutation(N)


def cut(parts: int, table: dict[str, Any] = TABLE) -> list[dict[str, Any]]:
    """The shuffled rows of a table in some partitions."""
    return [{name: column[rows] for name, column in table.items()} for rows in np.array_split(ORDER, parts)]


def shares(job: Any, parts: int) -> list[bytes]:
    return [of_partition(job, part, at) for at, part in enumerate(cut(parts))]


@pytest.mark.parametrize("parts", [1, 2, 7, 64])
def test_every_partition_and_order_of_merging_gives_the_same_answer(parts: int) -> None:
    job = job_of({"x": "x", "clusters": "user", "where": "counted"}, EstimateState(), "lang")
    each = shares(job, parts)
    groups = [TABLE["lang"] == lang for lang in ("de", "en", "fr")]
    want = [
        EstimateState().update(TABLE["x"][of], clusters=TABLE["user"][of], where=TABLE["counted"][of]) for of in groups
    ]
    assert list(states_of(job, each).values()) == want
    half = parts // 2
    twos = [merged(job.states, some) for some in (each[half:][::-1], each[:half]) if some]
    assert states_of(job, twos) == states_of(job, each)
    found = answer_of(job, twos)
    assert found == answer_of(job, each)
    assert found.names == ("de", "en", "fr")
    in_memory = sy.estimate(TABLE["x"], clusters=TABLE["user"], where=TABLE["counted"], by=TABLE["lang"])
    for name in ("value", "standard_error", "low", "high"):
        np.testing.assert_allclose(getattr(found, name), getattr(in_memory, name), rtol=1e-12)
    for name in ("simultaneous_low", "simultaneous_high"):
        np.testing.assert_allclose(found.detail[name], in_memory.detail[name], rtol=1e-11)


def test_groups_of_numbers_are_in_their_order_and_truth_values_are_named() -> None:
    job = job_of("right", EstimateState(), "user")
    assert answer_of(job, shares(job, 3)) == sy.estimate(TABLE["right"], by=TABLE["user"])
    assert list(states_of(job, shares(job, 3))) == list(range(50))
    job = job_of("right", EstimateState(), "counted")
    assert answer_of(job, shares(job, 3)) == sy.estimate(TABLE["right"], by=TABLE["counted"])


def test_a_group_without_a_row_that_counts_is_omitted() -> None:
    table = {**TABLE, "counted": TABLE["lang"] != "en"}
    job = job_of({"probs": "p", "targets": "right", "where": "counted"}, ReliabilityState(), "lang")
    found = answer_of(job, [of_partition(job, part, at) for at, part in enumerate(cut(4, table))])
    assert found == sy.reliability(table["p"], table["right"], where=table["counted"], by=table["lang"])
    assert list(found) == ["de", "fr"]
    nowhere = {**TABLE, "counted": np.zeros(N, bool)}
    with pytest.raises(ValueError, match="by: expected at least one row with a group that counts"):
        answer_of(job, [of_partition(job, nowhere, 0)])


def test_several_states_of_one_pass() -> None:
    columns = {"mean": "x", "bins": {"probs": "p", "targets": "right"}}
    made = {"mean": EstimateState(), "bins": ReliabilityState(5)}
    job = job_of(columns, made)
    assert states_of(job, shares(job, 5)) == sy.scan(TABLE, columns, {name: one.copy() for name, one in made.items()})
    assert states_of(job, []) == made


def test_partitions_that_differ_are_named() -> None:
    job = job_of({"x": "x", "clusters": "lang"}, EstimateState())
    texts, numbers = (of_partition(job, {**TABLE, "lang": ids}, at) for at, ids in ((3, TABLE["lang"]), (8, ORDER)))
    with pytest.raises(
        ValueError, match="column 'lang': expected texts, as in partition 3; got numbers in partition 8"
    ):
        merged(job.states, [texts, numbers])
    with pytest.raises(ValueError, match=r"columns: expected columns of partition 5; got 'lang', and it has 'x'"):
        of_partition(job, {"x": TABLE["x"]}, 5)
    with pytest.raises(ValueError, match=r"column 'lang': expected 2000 entries|column 'lang': expected 2,000 rows"):
        of_partition(job, {"x": TABLE["x"], "lang": TABLE["lang"][1:]}, 5)


def test_states_of_other_options_or_versions_are_named() -> None:
    job, other = job_of("x", EstimateState()), job_of("x", EstimateState(confidence_level=0.9))
    mine, its = shares(job, 1)[0], of_partition(other, TABLE, 4)
    for some in ([mine, its], [its]):
        with pytest.raises(
            ValueError, match=r"other: expected a state with confidence_level = 0.95; got 0.9 \(in part.* 4"
        ):
            merged(job.states, some)
    state = bytearray(EstimateState().update(TABLE["x"]).to_bytes())
    written = of_partition(job, TABLE, 2)
    at = written.index(bytes(state[:8]))
    broken = written[:at] + bytes([*state[:6], 99, 0]) + written[at + 8 :]
    with pytest.raises(ValueError, match=r"data: .* \(in partition 2\)"):
        merged(job.states, [broken])


def test_a_state_with_data_is_no_beginning() -> None:
    with pytest.raises(ValueError, match="state: expected a state to which nothing has been added"):
        job_of("x", EstimateState().update([1.0]))
    with pytest.raises(TypeError, match="by: expected the name of a column; got int 3"):
        job_of("x", EstimateState(), 3)


# -- the page's code for Ray and MPI, on processes of our own ------------------------------------------------------------

FENCE = re.compile(r"^```python\n(?!>>> )(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGE = Path(__file__).resolve().parents[1] / "docs" / "distributed.md"


def code() -> dict[str, Any]:
    """What the page defines for engines that carry bytes."""
    names: dict[str, Any] = {}
    for text in FENCE.findall(PAGE.read_text("utf-8")):
        exec(text, names)
    return names


def call(name: str, *args: Any) -> Any:
    """Call a function of the page, in whatever process this runs in."""
    return code()[name](*args)


class Ray:
    """Ray's two calls that the page makes: tasks run in processes, and take results of others that may still be to come."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def remote(self, function: Callable[..., Any]) -> Any:
        pool = self.pool

        class Remote:
            @staticmethod
            def remote(*args: Any) -> Future[Any]:
                given = [arg.result() if isinstance(arg, Future) else arg for arg in args]
                return pool.submit(call, function.__name__, *given)

        return Remote

    @staticmethod
    def get(future: Future[Any]) -> Any:
        return future.result()


class Comm:
    """A communicator of mpi4py: rank and size, and the reduction of one object from each process."""

    def __init__(self, rank: int, size: int, queue: Any) -> None:
        self.rank, self.size, self.queue = rank, size, queue

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.size

    def reduce(self, mine: Any, op: Callable[[Any, Any], Any], root: int) -> Any:
        if self.rank != root:
            self.queue.put(mine)
            return None
        return reduce(op, [self.queue.get(timeout=60) for _ in range(self.size - 1)], mine)


def rank_of_mpi(rank: int, size: int, queue: Any, paths: list[str], answer: Any) -> None:
    found = call("estimate_on_mpi", Comm(rank, size, queue), paths)
    answer.put((rank, found))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    import pyarrow.parquet

    paths = []
    for at, part in enumerate(cut(5)):
        paths.append(str(tmp_path / f"{at}.parquet"))
        pyarrow.parquet.write_table(pa.table({"score": part["x"], "doc": part["user"]}), paths[-1])
    return paths


WANT = EstimateState().update(TABLE["x"], clusters=TABLE["user"]).compute()


def test_the_sketch_for_ray(files: list[str]) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert code()["estimate_on_ray"](Ray(pool), files) == WANT


def test_the_sketch_for_mpi(files: list[str]) -> None:
    spawn = multiprocessing.get_context("spawn")
    queue, answer = spawn.Queue(), spawn.Queue()
    ranks = [spawn.Process(target=rank_of_mpi, args=(rank, 3, queue, files, answer)) for rank in range(3)]
    for process in ranks:
        process.start()
    found = dict(answer.get(timeout=60) for _ in ranks)
    for process in ranks:
        process.join()
    assert found == {0: WANT, 1: None, 2: None}
