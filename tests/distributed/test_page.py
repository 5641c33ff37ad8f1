"""The code of docs/distributed.md for both engines prints what the page shows."""

from __future__ import annotations

import doctest
from typing import Any

import pyarrow as pa

import steelyard as sy
import steelyard.spark
from tests.test_docs import ROOT, blocks, failures

PAGE = ROOT / "docs" / "distributed.md"


def session(of: str, names: dict[str, Any]) -> doctest.DocTest:
    """The interactive blocks of the page that speak of an engine, as one session."""
    found = [text for text in blocks("python", PAGE) if text.startswith(">>> ") and of in text]
    assert len(found) == 1
    return doctest.DocTestParser().get_doctest(found[0], names, f"{PAGE.name}: {of}", str(PAGE), 0)


def test_both_engines_say_what_the_page_shows(client: Any, spark: Any) -> None:
    of_dask = session("sy.dask.", {})
    assert failures(of_dask) == (len(of_dask.examples), "")
    table = pa.Table.from_pandas(of_dask.globs["table"])
    of_spark = session("sy.spark.", {"sy": sy, "scores": spark.createDataFrame(table).repartition(3)})
    assert failures(of_spark) == (len(of_spark.examples), "")
