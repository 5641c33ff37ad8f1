"""The table that promptfoo exports as CSV: columns of the tests' variables, then some for each provider and prompt.

The column of an output is headed ``[provider] prompt``. Newer files have columns ``Status`` (PASS, FAIL or ERROR),
``Score`` and others after each of them, all with the same headings; in older files the output begins with ``[PASS]``,
``[FAIL]`` or ``[ERROR]``. Either way the columns become ``<model>.correct``, ``<model>.output`` and so on: models side
by side. An ERROR is no answer of the model, and so it has no score.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..logs.promptfoo import model_names

_HEADING = re.compile(r"\[([^\]]+)\]\s*(.*)", re.DOTALL)
_OUTCOME = re.compile(r"\s*\[(PASS|FAIL|ERROR)\]\s*")
_OF_OUTPUT = ("Status", "Score")  # stand after the column of an output
_BESIDE = {"Status": "status", "Score": "graded", "Named Scores": "named scores", "Grader Reason": "reason"}
_BESIDE |= {"Comment": "comment"}
_METRIC = "Metric: "
_SCORES = {"PASS": "1", "FAIL": "0"}


def with_models(header: Sequence[str]) -> list[str]:
    """The header of a newer file, with the model before the name of each of its columns; others as they are."""
    at = [k for k in range(1, len(header) - 1) if tuple(header[k : k + 2]) == _OF_OUTPUT]
    if not at:
        return list(header)
    names = _models([header[k - 1] for k in at])
    renamed = list(header)
    for start, model in zip(at, names, strict=True):
        renamed[start - 1] = f"{model}.output"
        for k in range(start, len(header)):
            name = header[k]
            if name not in _BESIDE and not name.startswith(_METRIC):
                break
            renamed[k] = f"{model}.{_BESIDE.get(name, name)}"
    return renamed


def with_scores(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a file with those of PASS and FAIL as scores; of any other file as they are."""
    with_status = {f"{name.removesuffix('.status')}.output" for name in columns if name.endswith(".status")}
    outputs = [name for name in columns if name not in with_status and _begin_with_outcomes(columns[name])]
    models = dict(zip(outputs, _models(outputs), strict=True))
    found: dict[str, Any] = {}
    for name, values in columns.items():
        if name in models:
            outcomes = [value and _OUTCOME.match(value) for value in values]
            found[f"{models[name]}.output"] = [one and one.string[one.end() :] for one in outcomes]
            found[f"{models[name]}.correct"] = [one and _SCORES.get(one[1]) for one in outcomes]
        elif name.endswith(".status") and f"{name.removesuffix('.status')}.output" in columns:
            known = {"PASS", "FAIL", "ERROR", None}.issuperset(values)
            scores = [_SCORES.get(value) for value in values] if known else values
            found[f"{name.removesuffix('.status')}.correct"] = scores
        else:
            found[name] = values
    return found


def _begin_with_outcomes(values: Sequence[str | None]) -> bool:
    first = next((value for value in values if value is not None), None)
    if first is None or not _OUTCOME.match(first):
        return False
    return all(value is None or _OUTCOME.match(value) for value in values)


def _models(headings: Sequence[str]) -> list[str]:
    parts = [found.groups() if (found := _HEADING.fullmatch(one)) else ("", one) for one in headings]
    columns = [(provider, label.strip()) for provider, label in parts]
    if len(set(columns)) < len(columns):  # the same provider and prompt twice: told apart by their place
        columns = [(provider, f"{label} {k}") for k, (provider, label) in enumerate(columns, 1)]
    names = model_names(columns)
    return [names[column] or "output" for column in columns]
