"""Records of several tasks: the column ``task``, and ids that count within a task.

Many tools number the records of every task from 0. The numbers of two tasks must never pair, nor look like repetitions
of one question, so where an id stands in two tasks the task becomes a part of it: ``gsm8k/7``.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import keys, lm_eval
from .columns import Resolved
from .labels import compared
from .lm_eval import TASK
from .part import Part, own_ids
from .run import Run, tasks_of
from .table import LIST, Table
from .values import text

_MOST_NAMED = 4  # tasks that a note lists


def count_ids(tables: Sequence[Table], found: Sequence[Resolved | None]) -> bool:
    """Whether an id counts within its task: some id stands in two tasks, or lm-evaluation-harness numbered them."""
    parts = [
        Part(table, range(len(table)), roles) for table, roles in zip(tables, found, strict=True) if roles is not None
    ]
    if not parts or not all(map(_has_tasks, parts)):
        return False
    if len({task for part in parts for task in part.values(TASK)}) < 2:
        return False
    return all(lm_eval.is_samples(part.table) for part in parts) or _in_two_tasks(parts)


def _has_tasks(part: Part) -> bool:
    """Whether each record has a task, in a column that is nothing else."""
    sides = compared(part.roles["score"], part.table.columns)
    taken = {*part.roles.columns.values(), *(() if sides is None else (sides.target, sides.prediction))}
    taken |= keys.named(part.roles["id"])
    if TASK not in part.table.columns or TASK in taken or TASK in part.roles.wide.values():
        return False
    return all(value is not LIST and text(value) is not None for value in set(part.values(TASK)))


def _in_two_tasks(parts: Sequence[Part]) -> bool:
    task_of: dict[str, str | None] = {}
    for part in parts:
        ids = own_ids(part) or []
        if task_of.keys().isdisjoint(ids) and len(set(ids)) == len(ids) and part is parts[-1]:
            return False  # no id comes again, which is much faster to find
        values = part.values(TASK)
        tasks = {value: text(value) for value in set(values)}
        for one, value in zip(ids, values if ids else [], strict=True):
            if one is not None and task_of.setdefault(one, tasks[value]) != tasks[value]:
                return True
    return False


def scores(tables: Sequence[Table], found: Sequence[Resolved | None]) -> dict[str | None, set[str]]:
    """The tasks that each score is of; empty where two scores are of one task, or a file does not say its task."""
    of: dict[str | None, set[str]] = {}
    for table, roles in zip(tables, found, strict=True):
        if roles is None:
            continue
        if not _has_tasks(Part(table, range(len(table)), roles)):
            return {}
        of.setdefault(roles["score"], set()).update(str(text(one)) for one in set(table.columns[TASK]))
    return of if len(set().union(*of.values())) == sum(map(len, of.values())) else {}


def scores_note(tables: Sequence[Table], found: Sequence[Resolved | None]) -> list[str]:
    """What is said where the tasks have different scores."""
    if len({roles["score"] for roles in found if roles is not None}) < 2:
        return []
    of = scores(tables, found)
    each = [f"{score!r} in {_named(sorted(of_score))}" for score, of_score in of.items()]
    return [f"the tasks have scores of different names: {', '.join(each)}"] if each else []


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def notes(runs: Sequence[Run]) -> list[str]:
    """How many tasks there are, where ids count within them."""
    names = dict.fromkeys(task for run in runs for task in tasks_of(run))
    if not names:
        return []
    return [f"{len(names):,} tasks ({_named([*names])}): an id counts within its task"]
