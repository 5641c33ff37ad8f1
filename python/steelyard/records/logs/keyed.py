"""Dictionaries of records: ``{"q1": {...}, "q2": {...}}`` by id, ``{"algebra": [{...}, ...], ...}`` by task.

OpenCompass writes its predictions so, with the numbers of the questions as keys, and the graded ones in ``details``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import naming
from ..table import shorten
from .document import Document

_DETAILS = "details"


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether the only object of a file is a dictionary of records."""
    return alone and (_by_id(one) is not None or _by_task(one))


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per key, or per element of the list of a key."""
    document.unit = "record"
    number = 0
    for one, _ in document.objects:
        by_id = _by_id(one)
        if by_id is not None:
            document.note(f"a dictionary of {len(by_id):,} records ({_some(by_id)}): its keys are the ids")
        else:
            document.note(f"a dictionary of {len(one):,} lists of records ({_some(one)}): its keys are the tasks")
        for record in _of_tasks(one) if by_id is None else ({"id": key} | value for key, value in by_id.items()):
            number += 1
            yield record, number


def _of_tasks(tasks: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for task, listed in tasks.items():
        for record in listed:
            yield {"task": task} | record


def _by_id(one: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The records by their ids; None where an object is something else."""
    details = one.get(_DETAILS)
    if isinstance(details, dict):
        one = {key: value for key, value in details.items() if isinstance(value, dict)}
    if len(one) < 2 or not all(isinstance(value, dict) for value in one.values()):
        return None
    shared = set.intersection(*(set(value) for value in one.values()))
    if any("stderr" in key for key in shared):
        return None  # averages of models or tasks
    return one if any(naming.says_grade(key) or naming.rank(key) for key in shared) else None


def _by_task(one: Mapping[str, Any]) -> bool:
    """Whether each value is a list of records."""
    lists = [value for value in one.values() if isinstance(value, list) and value]
    return len(lists) == len(one) > 1 and all(isinstance(record, dict) for value in lists for record in value)


def _some(keys: Mapping[str, Any]) -> str:
    first = ", ".join(repr(shorten(key)) for key in list(keys)[:3])
    return first + (", ..." if len(keys) > 3 else "")
