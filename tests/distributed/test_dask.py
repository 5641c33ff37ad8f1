"""Over dask's partitions, on worker processes, every answer has the bits of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pytest
from dask.utils import key_split

import steelyard as sy
import steelyard.dask
from steelyard.calibration import ReliabilityState
from steelyard.preference import PreferenceState
from steelyard.tokens import TokenState
from steelyard.uncertainty import EstimateState

from .killing import Killing
from .table import CALLS, PAIRS, PARTITIONS, SHUFFLED, TABLE, N


def lazy(frame: Any, name: str) -> Any:
    function, columns, options, _ = CALLS[name]
    return getattr(sy.dask, function)(frame, *columns, **options)


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_every_number_of_partitions_gives_the_bits_of_one_process(client: Any, partitions: int) -> None:
    # In as many partitions as 64 most of the time is the scheduler's: some of the calls say enough.
    names = list(CALLS)[:: 1 if partitions < 64 else 4]
    frames = [dd.from_pandas(table, npartitions=partitions) for table in (TABLE, SHUFFLED)]
    found = dask.compute({(i, name): lazy(frame, name) for i, frame in enumerate(frames) for name in names})[0]
    assert len(found) == 2 * len(names)
    assert [key for key, answer in found.items() if answer != CALLS[key[1]][3]] == []


def test_arrays_and_columns_are_taken_in_the_place_of_a_frame(client: Any) -> None:
    right = da.from_array(TABLE.right.to_numpy(), chunks=700)
    users = da.from_array(TABLE.user.to_numpy(), chunks=700)
    assert sy.dask.estimate(right, by=users).compute() == sy.estimate(TABLE.right, by=TABLE.user)
    frame = dd.from_pandas(TABLE, npartitions=5)
    assert sy.dask.estimate(frame.right, by=frame.lang).compute() == sy.estimate(TABLE.right, by=TABLE.lang)
    probs = np.random.default_rng(1).dirichlet(np.ones(4), N)
    classes = da.from_array(TABLE.user.to_numpy() % 4, chunks=700)
    by_block = sy.dask.reliability(da.from_array(probs, chunks=(700, 3)), classes)  # cut along the classes as well
    assert by_block.compute() == sy.reliability(probs, TABLE.user.to_numpy() % 4)
    nll = np.random.default_rng(2).exponential(size=(90, 11))
    assert sy.dask.perplexity(da.from_array(nll, chunks=(40, 4))).compute() == sy.perplexity(nll)


def test_any_state_can_be_reduced_and_several_in_one_pass(client: Any) -> None:
    frame = dd.from_pandas(TABLE, npartitions=9)
    columns = {
        "preference": {**{name: name for name in PAIRS}, "clusters": "doc"},
        "shares": {"x": "right", "clusters": "user"},
        "bins": {"probs": "p", "targets": "right", "weights": "nll"},
    }
    made = {"preference": PreferenceState(), "shares": EstimateState(), "bins": ReliabilityState(5)}
    whole = sy.scan(TABLE, columns, {name: state.copy() for name, state in made.items()})
    assert sy.dask.scan(frame, columns, made).compute() == whole
    assert made["shares"] == EstimateState()
    found = sy.dask.scan(frame, {"x": "score"}, EstimateState(), by="user").compute()
    assert list(found) == sorted(set(TABLE.user))
    assert found[7] == EstimateState().update(TABLE.score[TABLE.user == 7])
    tokens = sy.token_scores(np.random.default_rng(0).normal(size=(6, 4, 9)), np.arange(24).reshape(6, 4) % 9)
    state = TokenState(["nll"]).update(tokens, clusters=np.arange(6))
    assert TokenState.from_bytes(client.submit(TokenState.to_bytes, state).result()) == state  # states travel


def test_the_graph_is_lazy_named_and_a_tree(client: Any) -> None:
    asked = sy.dask.estimate(dd.from_pandas(TABLE, npartitions=64), "score", clusters="doc")
    keys = [key_split(key) for key in dict(asked.dask)]
    assert keys.count("steelyard-update") == 64
    assert keys.count("steelyard-merge") == 8
    assert keys.count("steelyard-compute") == 1
    assert asked.compute() == asked.compute()
    again = sy.dask.estimate(dd.from_pandas(TABLE, npartitions=64), "score", clusters="doc")
    assert again.key == asked.key  # an equal question is the same task
    assert sy.dask.estimate(dd.from_pandas(TABLE, npartitions=64), "score", clusters="user").key != asked.key
    assert client.compute(asked).result() == client.compute(again).result()


def test_only_the_columns_that_are_asked_for_are_read(client: Any, tmp_path: Path) -> None:
    dd.from_pandas(TABLE, npartitions=4).to_parquet(tmp_path / "table")
    frame = dd.read_parquet(tmp_path / "table")
    parts = sy.dask._pieces._projected(frame, ["right"])
    assert list(parts.partitions[0].compute().columns) == ["right"]
    assert sy.dask.estimate(frame, "right").compute() == sy.estimate(TABLE.right)


def _begun(frame: Any, killing: Killing) -> Any:
    killing.begin()
    return frame


def test_a_worker_that_is_killed_changes_nothing(client: Any, tmp_path: Path) -> None:
    killing = Killing(tmp_path)
    frame = dd.from_pandas(SHUFFLED, npartitions=20).map_partitions(_begun, killing, meta=SHUFFLED[:0])
    future = client.compute(sy.dask.estimate(frame, "score", clusters="doc", where="counted"))
    killed = killing.kill_one(after=3)
    assert future.result(timeout=120) == CALLS["clustered mean"][3]
    assert len(killing.begun) > 20  # what that worker was at, and what was in its memory, was computed again
    assert killed in killing.begun


def two(first: Any, second: Any) -> Any:
    """A frame of two partitions that dask does not look into."""
    return dd.from_delayed([dask.delayed(first), dask.delayed(second)], meta=first[:0], verify_meta=False)


BAD = {
    "a value": (
        lambda: sy.dask.estimate(two(TABLE, TABLE.assign(score=np.nan)), "score"),
        "column 'score': expected finite values; .* of partition 1",
    ),
    "no such column": (
        lambda: sy.dask.estimate(two(TABLE, TABLE.drop(columns="doc")), "score", clusters="doc"),
        "columns: expected columns of partition 1; got 'doc'",
    ),
    "another kind": (
        lambda: sy.dask.estimate(two(TABLE, TABLE.assign(doc=5)), "score", clusters="doc"),
        "column 'doc': expected texts, as in partition 0; got numbers in partition 1",
    ),
    "a null id": (
        lambda: sy.dask.estimate(two(TABLE, TABLE.assign(doc=None)), "score", clusters="doc"),
        "column 'doc': expected an id .* of partition 1",
    ),
    "a null group": (
        lambda: sy.dask.estimate(two(TABLE, TABLE.assign(lang=None)), "score", by="lang"),
        "column 'lang': expected an id for every row; got none at index 0; .* of partition 1",
    ),
    "nothing": (lambda: sy.dask.estimate(two(TABLE[:0], TABLE[:0]), "score"), "x: expected at least one value"),
    "no group": (lambda: sy.dask.estimate(two(TABLE[:0], TABLE[:0]), "score", by="lang"), "by: expected at least one"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_partitions_are_named(client: Any, case: str) -> None:
    asked, said = BAD[case]
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        asked().compute()
    assert "\n" not in str(caught.value)


FRAME = dd.from_pandas(TABLE, npartitions=2)
REFUSED = {
    "a name that is not there": (lambda: sy.dask.estimate(FRAME, "scroe"), "got 'scroe', .* did you mean 'score'"),
    "no column": (lambda: sy.dask.estimate(FRAME), "x: expected the name of a column"),
    "pandas": (lambda: sy.dask.estimate(TABLE, "score"), "source: expected a dask DataFrame, .* got pandas DataFrame"),
    "an array beside a frame": (lambda: sy.dask.estimate(FRAME, "score", clusters=FRAME.doc), "clusters.*: expected the"),
    "a name beside an array": (lambda: sy.dask.estimate(FRAME.score, clusters="doc"), "clusters: expected a dask array"),
    "other partitions": (
        lambda: sy.dask.estimate(FRAME.score, clusters=dd.from_pandas(TABLE, npartitions=3).doc),
        "clusters: expected 2 partitions, as x has; got 3",
    ),
    "no documents": (lambda: sy.dask.perplexity(FRAME, "nll"), "clusters: expected the document of each token"),
    "a state with data": (
        lambda: sy.dask.scan(FRAME, "score", EstimateState().update([1.0])),
        "state: expected a state to which nothing has been added",
    ),
    "groups by two": (lambda: sy.dask.scan(FRAME, "score", EstimateState(), by=["lang"]), "by: expected the name"),
    "an option": (lambda: sy.dask.estimate(FRAME, "score", confidence_level=95), "confidence_level: expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_be_refused_before_anything_runs_is(case: str) -> None:
    asked, said = REFUSED[case]
    with pytest.raises((TypeError, ValueError), match=said):
        asked()


def test_empty_partitions_and_rows_without_a_group_are_counted_as_in_memory() -> None:
    partly = TABLE.assign(lang=TABLE.lang.where(TABLE.user != 3))
    frame = two(partly, partly[:0])
    found = sy.dask.estimate(frame, "right", by="lang", nan_policy="omit").compute(scheduler="sync")
    assert found == sy.estimate(partly.right, by=partly.lang, nan_policy="omit")
    assert found.left_out["no group"] == int((TABLE.user == 3).sum())
    where = TABLE.assign(counted=TABLE.lang != "en")
    asked = sy.dask.reliability(two(where[:1000], where[1000:]), "p", "right", by="lang", where="counted")
    assert asked.compute(scheduler="sync") == sy.reliability(where.p, where.right, by=where.lang, where=where.counted)
