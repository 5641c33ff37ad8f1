"""The examples of both engines' docstrings print what they show."""

from __future__ import annotations

import doctest
from typing import Any

import pyarrow as pa
import pytest

import steelyard as sy
import steelyard.dask
import steelyard.spark

FINDER = doctest.DocTestFinder(exclude_empty=True)
DASK, SPARK = ([test for test in FINDER.find(engine) if test.examples] for engine in (sy.dask, sy.spark))


def failures(test: doctest.DocTest) -> str:
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted == len(test.examples)
    return "".join(said) if result.failed else ""


@pytest.mark.parametrize("test", DASK, ids=lambda test: test.name)
def test_of_dask(test: doctest.DocTest) -> None:
    assert failures(test) == ""


def test_of_spark(spark: Any) -> None:
    right, users = [1, 0, 1, 1, 0, 1], ["ann", "ann", "bob", "cyd", "cyd", "dan"]
    tables = {
        "table": {"right": right, "before": [1, 0, 0, 1, 0, 1], "user": users},
        "tokens": {"nll": [2.0, 2.5, 1.0, 3.5, 2.0, 1.5], "doc": list("aabbcc")},
        "predictions": {"p": [0.9, 0.2, 0.8, 0.6], "right": [1, 0, 1, 0]},
    }
    frames = {name: spark.createDataFrame(pa.table(columns)) for name, columns in tables.items()}
    assert [test.name.rpartition(".")[2] for test in SPARK] == sorted(sy.spark.__all__)
    for test in SPARK:
        test.globs = {"sy": sy, **frames}
        assert failures(test) == ""


def test_every_call_has_an_example() -> None:
    assert {test.name.rpartition(".")[2] for test in DASK} == {*sy.dask.__all__}
