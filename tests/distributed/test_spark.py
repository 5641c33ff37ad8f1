"""Over Spark's partitions, in Python workers of their own, every answer has the bits of one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import steelyard as sy
import steelyard.spark
from steelyard.calibration import ReliabilityState
from steelyard.uncertainty import EstimateState

from .killing import Killing
from .table import CALLS, PARTITIONS, SHUFFLED, TABLE

FEW = ["clustered mean", "reliability by group"]


def given(spark: Any, table: pd.DataFrame) -> Any:
    return spark.createDataFrame(pa.Table.from_pandas(table, preserve_index=False))


def answer(frame: Any, name: str, **more: Any) -> Any:
    function, columns, options, _ = CALLS[name]
    return getattr(sy.spark, function)(frame, *columns, **options, **more)


@pytest.mark.parametrize(
    ("partitions", "names"),
    [(1, FEW[:1]), (2, FEW), (7, list(CALLS)), (64, FEW[:1])],
    ids=map(str, PARTITIONS),
)
def test_every_number_of_partitions_gives_the_bits_of_one_process(
    spark: Any, partitions: int, names: list[str]
) -> None:
    frame = given(spark, SHUFFLED).repartition(partitions).persist()
    assert [name for name in names if answer(frame, name) != CALLS[name][3]] == []
    frame.unpersist()


@pytest.mark.parametrize("depth", [1, 3])
def test_every_depth_of_merging_gives_the_same(spark: Any, depth: int) -> None:
    frame = given(spark, TABLE).repartition(5)
    assert answer(frame, "shares by group", depth=depth) == CALLS["shares by group"][3]


def test_several_states_in_one_pass_and_a_state_for_each_group(spark: Any) -> None:
    frame = given(spark, TABLE).repartition(3)
    columns = {"mean": {"x": "score", "clusters": "doc"}, "bins": {"probs": "p", "targets": "right"}}
    made = {"mean": EstimateState(), "bins": ReliabilityState(5)}
    whole = sy.scan(TABLE, columns, {name: state.copy() for name, state in made.items()})
    assert sy.spark.scan(frame, columns, made) == whole
    found = sy.spark.scan(frame, "score", EstimateState(), by="lang")
    assert list(found) == ["de", "en", "fr"]
    assert found["en"] == EstimateState().update(TABLE.score[TABLE.lang == "en"])


def test_columns_of_arrays_are_tables(spark: Any) -> None:
    probs = np.random.default_rng(1).dirichlet(np.ones(4), 300)
    table = pa.table({"probs": probs.tolist(), "a.`b": TABLE.user[:300].to_numpy() % 4})
    found = sy.spark.reliability(spark.createDataFrame(table).repartition(3), "probs", "a.`b")
    assert found == sy.reliability(probs, TABLE.user[:300].to_numpy() % 4)


def _begun(batches: Any, killing: Killing) -> Any:
    for batch in batches:
        killing.begin()
        yield batch


def test_a_worker_that_is_killed_changes_nothing(spark: Any, tmp_path: Path) -> None:
    killing = Killing(tmp_path)
    frame = given(spark, SHUFFLED).repartition(8)
    slow = frame.mapInArrow(lambda batches: _begun(batches, killing), frame.schema)
    with ThreadPoolExecutor(1) as beside:
        killed = beside.submit(killing.kill_one, after=2)
        assert answer(slow, "clustered mean") == CALLS["clustered mean"][3]
    assert killed.result() in killing.begun
    before = len(killing.begun)
    assert before > 8  # the task ran again
    # Spark keeps nothing: the same frame is evaluated anew.
    assert answer(slow, "shares by group") == CALLS["shares by group"][3]
    assert len(killing.begun) >= before + 8


def test_bad_values_are_named_and_do_not_fail_the_job_four_times(spark: Any) -> None:
    bad = TABLE.assign(score=TABLE.score.where(TABLE.user != 3))
    frame = given(spark, bad).repartition(3)
    with pytest.raises(
        ValueError, match=r"column 'score': expected finite values; .* of partition 0; an index"
    ) as caught:
        sy.spark.estimate(frame, "score")
    assert "\n" not in str(caught.value)
    tracker = spark.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(i) for job in tracker.getJobIdsForGroup() for i in tracker.getJobInfo(job).stageIds]
    assert stages
    assert all(stage is None or stage.numFailedTasks == 0 for stage in stages[-3:])


def test_nulls_are_left_out_or_refused(spark: Any) -> None:
    table = pa.table({"x": [1.0, None, 0.0, 1.0], "g": ["a", "a", None, "b"]})
    frame = spark.createDataFrame(table).repartition(2)
    with pytest.raises(ValueError, match="column 'g': expected an id for every row"):
        sy.spark.estimate(frame, "x", by="g")
    found = sy.spark.estimate(frame.where("g is not null"), "x", nan_policy="omit")
    assert (found.n, found.left_out) == (2, {"nan": 1})


def test_what_can_be_refused_before_anything_runs_is(spark: Any) -> None:
    frame = given(spark, TABLE)
    with pytest.raises(ValueError, match=r"got 'scroe', .* did you mean 'score'"):
        sy.spark.estimate(frame, "scroe")
    with pytest.raises(TypeError, match="source: expected a Spark DataFrame; got DataFrame"):
        sy.spark.estimate(TABLE, "score")
    with pytest.raises(ValueError, match="depth: expected a whole number from 1 to 6; got 0"):
        sy.spark.estimate(frame, "score", depth=0)
    with pytest.raises(ValueError, match="clusters: expected the column of documents"):
        sy.spark.perplexity(frame, "nll")


def test_empty_partitions_add_nothing(spark: Any) -> None:
    frame = given(spark, TABLE).where("user = 3").repartition(30)
    few = TABLE[TABLE.user == 3]
    assert sy.spark.estimate(frame, "right") == sy.estimate(few.right)
    with pytest.raises(ValueError, match="x: expected at least one value"):
        sy.spark.estimate(frame.where("user = 4"), "right")
