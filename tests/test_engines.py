"""States that come from the processes of an engine as bytes: what Ray and MPI need, and what Dask and Spark stand on."""

from __future__ import annotations

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
