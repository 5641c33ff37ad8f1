"""Logs of evaluation tools: what they hold becomes records, one per graded answer.

Some tools write no plain records. Their file is one document with a header and the samples inside (Inspect), an array
whose elements hold lists of metrics (HELM), or a sequence of events. Each such kind of log is one row of ``LOGS`` and
one file in this folder: how it is recognised by its content, and a function that yields its records. How to add one:
``docs/recipes/add-a-log.md``; a program that uses steelyard may append to ``LOGS`` itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ...errors import sentence
from ..builder import TableBuilder
from ..table import EXPECTED, Summary, Table
from . import alpaca_eval, evalplus, helm, inspect, keyed, openai_evals, promptfoo, responses, rolling, table_json
from .archive import Archive
from .document import Document, Log, Object

__all__ = ["LOGS", "Archive", "Document", "Log", "log_of", "read", "read_archive"]

LOGS = [
    Log("an Inspect log", inspect.recognised, inspect.records, unpacked=inspect.unpacked),
    Log("results of promptfoo", promptfoo.recognised, promptfoo.records),
    Log("a table", table_json.recognised, table_json.records),
    Log("HELM's metrics of instances", helm.recognised, helm.records),
    Log("another file of a HELM run", helm.is_beside, instead="give the per_instance_stats.json beside it"),
    Log("an event log of OpenAI evals", openai_evals.recognised, openai_evals.records),
    Log("annotations of AlpacaEval", alpaca_eval.recognised, alpaca_eval.records),
    Log("results of EvalPlus", evalplus.recognised, evalplus.records),
    Log("results of HumanEval", evalplus.is_completion, evalplus.completions),
    Log("responses with log-probabilities", responses.recognised, responses.records),
    Log("rolling log-likelihoods of lm-evaluation-harness", rolling.recognised, rolling.records),
    Log(
        "an lm-evaluation-harness results file",
        lambda one, alone: isinstance(one.get("results"), dict) and ("configs" in one or "versions" in one),
        instead="give the samples_*.jsonl beside it",
    ),
    Log(
        "a dictionary of records", keyed.recognised, keyed.records
    ),  # the last: some of the others are dictionaries too
]


def log_of(first: Object, *, alone: bool) -> Log | None:
    """The kind of log that a file is by its first JSON object; None where it holds plain records, or something else."""
    return next((log for log in LOGS if log.recognised(first, alone)), None)


def read(log: Log, name: str, objects: Iterable[tuple[Object, int]], asked: Collection[str]) -> Table:
    """The table of a log; ``asked`` are the columns that options name."""
    if log.records is None:
        raise Summary(sentence(name, EXPECTED, log.name, log.instead))
    document = Document(name, objects)
    builder = TableBuilder(name, asked)
    for record, number in log.records(document):
        builder.append(record, number)
    table = builder.finish()
    return replace(
        table,
        unit=document.unit,
        scores=tuple(document.scores),
        apart=document.apart,
        notes=tuple(document.notes),
        left_out={**table.left_out, **document.left_out},
    )


def read_archive(archive: Archive, asked: Collection[str]) -> Table | None:
    """The table of a log that is a zip archive; None where no kind of log knows the archive."""
    for log in LOGS:
        document = log.unpacked(archive) if log.unpacked is not None else None
        if document is not None:
            return read(log, archive.name, [(document, 1)], asked)
    return None
