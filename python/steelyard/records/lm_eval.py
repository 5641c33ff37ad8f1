"""What is special to the samples files of lm-evaluation-harness.

One JSON object per line, also under a ``.json`` name: ``doc_id``, ``doc``, ``target``, ``resps``, one key per metric,
and from version 0.4.3 on ``filter``: the same ``doc_id`` then comes once for every filter. A corpus metric is
logged as a list. Field names: EleutherAI/lm-evaluation-harness, ``lm_eval/evaluator.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from .packing import without_suffix
from .roles import ROLES
from .table import Table, WithColumn

TASK = "task"  # the column that says of which task a record is
_MARKS = frozenset({"resps", "filtered_resps", "doc_hash", "arguments"})
_FIELDS = _MARKS | {"doc_id", "doc", "target", "filter", "metrics", "prompt_hash", "target_hash", TASK}
# What a log-likelihood and the length of its text are called: none of them is a metric.
_OF_TEXT = frozenset(name for role in ROLES.values() if role.only_for == "perplexity" for name in role.usual)
_NAME = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+)?\.jsonl?$")


def is_samples(table: Table) -> bool:
    """Whether a file was written by ``lm_eval --log_samples``."""
    return "doc_id" in table.columns and any(name.partition(".")[0] in _MARKS for name in table.columns)


def answers(table: Table, columns: Sequence[str]) -> list[str]:
    """Those of the columns that belong to the answer's grade, not to the question or the request."""
    if not is_samples(table):
        return list(columns)
    return [column for column in columns if column.partition(".")[0] not in _FIELDS]


def task(file: str) -> str | None:
    """The task in a name such as ``samples_gsm8k_2025-01-31T10-00-00.000000.jsonl``."""
    match = _NAME.fullmatch(without_suffix(PurePath(file).name))
    return match["task"] if match else None


def with_task(table: Table) -> Table:
    """The table with the column ``task``, which the name of a samples file gives, where it has none."""
    name = task(table.file)
    if name is None or TASK in table.columns or not is_samples(table):
        return table
    return replace(table, columns=WithColumn(table.columns, TASK, [name] * len(table)))


def metrics(table: Table) -> list[str]:
    """The metrics with one number per record."""
    free = [name for name in table.columns if name.partition(".")[0] not in _FIELDS | _OF_TEXT]
    return [name for name in free if table.kind(name) == "scalar"]


def lists(table: Table) -> dict[str, int]:
    """The list-valued metrics and in how many records they are."""
    counts = {name: table.lists(name) for name in table.columns if name not in _FIELDS and "." not in name}
    return {name: count for name, count in counts.items() if count}
