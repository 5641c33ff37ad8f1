"""Event logs of OpenAI evals: JSON Lines that begin with the specification of the run.

Every other line is an event of a sample: what was asked (``sampling``), whether the answer is right (``match``),
metrics (``metrics``). One line is the final report: it may stand before the events that were written at the exit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..table import record_error
from .document import Document

_GRADED = ("match", "metrics")


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is the specification of a run, or an event."""
    spec = one.get("spec")
    if isinstance(spec, dict):
        return "completion_fns" in spec or "eval_name" in spec or "base_eval" in spec
    return _is_event(one) and "event_id" in one and "run_id" in one


def _is_event(one: Mapping[str, Any]) -> bool:
    return "sample_id" in one and isinstance(one.get("type"), str)


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per match, with the metrics of its sample; one without a score where a sample has neither."""
    of_run: dict[str, str] = {}
    has_report = False
    graded: dict[str, list[tuple[dict[str, Any], int]]] = {}
    lines: dict[str, int] = {}
    columns: dict[str, dict[str, None]] = {kind: {} for kind in _GRADED}
    for event, line in document.objects:
        if isinstance(event.get("spec"), dict):
            of_run = _of_run(event["spec"])
            continue
        if "final_report" in event:
            has_report = True
            continue
        if not _is_event(event):
            where = f"{document.name}, line {line}"
            raise record_error(where, "an event of OpenAI evals", "something else", "write the log again")
        sample, data = str(event["sample_id"]), event.get("data")
        lines.setdefault(sample, line)
        if event["type"] in _GRADED and isinstance(data, dict):
            columns[event["type"]] |= dict.fromkeys(_numbers(data))
            _add(graded.setdefault(sample, []), event["type"], data, line)
    if not graded:
        fix = "give the log of an eval that records them"
        raise record_error(document.name, f"events of the type {' or '.join(_GRADED)}", "none", fix)
    if not has_report:
        document.note("there is no final report: the run was interrupted; the samples that it got to are read")
    document.scores |= {f"data.{name}": None for name in columns["match"] or columns["metrics"]}
    for sample, first in lines.items():
        for data, line in graded.get(sample) or [({}, first)]:
            yield {"id": sample, **of_run, "data": data}, line


def _add(of_sample: list[tuple[dict[str, Any], int]], kind: str, data: Mapping[str, Any], line: int) -> None:
    """Add what an event says to the record of its sample; what it has already begins a new one."""
    if of_sample and of_sample[-1][0].keys().isdisjoint(data):
        of_sample[-1][0].update(data)
    else:
        of_sample.append((dict(data), line))


def _numbers(data: Mapping[str, Any]) -> list[str]:
    """What an event says in numbers: ``correct`` alone where it is there."""
    return ["correct"] if "correct" in data else [key for key, one in data.items() if isinstance(one, int | float)]


def _of_run(spec: Mapping[str, Any]) -> dict[str, str]:
    """The model and the task of a run."""
    models = spec.get("completion_fns")
    found = {}
    if isinstance(models, list) and models and all(isinstance(one, str) for one in models):
        found["model"] = ", ".join(models)
    task = spec.get("eval_name") or spec.get("base_eval")
    return found | ({"task": task} if isinstance(task, str) else {})
