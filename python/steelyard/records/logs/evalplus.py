"""Results of EvalPlus, BigCodeBench and HumanEval: which completions of a programming task pass its tests.

``eval_results.json`` is one object whose ``eval`` gives for each task its completions with ``base_status`` (the tests
of the benchmark) and ``plus_status`` (the tests that EvalPlus adds), in older versions lists ``base`` and ``plus``, in
BigCodeBench ``status``. HumanEval writes one completion per line with ``passed``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..table import record_error
from .document import Document

_PASS = "pass"


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object gives the completions of tasks."""
    tasks = one.get("eval")
    return isinstance(tasks, dict) and bool(tasks) and all(_completions(one) is not None for one in tasks.values())


def is_completion(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is one completion that HumanEval has graded."""
    return {"task_id", "completion", "passed"} <= one.keys() and "epoch" not in one


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per completion, which is an epoch of its task."""
    document.unit = "completion"
    number = 0
    for results, line in document.objects:
        if not recognised(results, alone=False):
            where = f"{document.name}, line {line}"
            raise record_error(where, "results of EvalPlus", "something else", "give one file of results at a time")
        for task, listed in results["eval"].items():
            for epoch, completion in enumerate(_completions(listed) or ()):
                number += 1
                scores = _scores(completion)
                if not scores:
                    where = f"{document.name}, completion {number}"
                    raise record_error(where, "the status of a completion", "none", "evaluate the samples again")
                document.scores |= {name: None for name, value in scores.items() if value is not None}
                yield {"id": task, "epoch": epoch, **scores}, number
    if len(document.scores) > 1:
        document.note(
            "'plus' counts completions that pass the added tests and those of the benchmark, as EvalPlus does"
        )


def completions(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """The lines of HumanEval, each an epoch of its task."""
    document.scores["passed"] = None
    met: Counter[tuple[str, str]] = Counter()
    for one, line in document.objects:
        of = str(one.get("model")), str(one.get("task_id"))
        yield {**one, "epoch": met[of]}, line
        met[of] += 1


def _completions(listed: Any) -> list[Any] | None:
    """The completions of one task, as the newer versions write them; None where it is something else."""
    if isinstance(listed, list):
        return listed if all(isinstance(one, dict) for one in listed) else None
    if not isinstance(listed, dict) or not isinstance(listed.get("base"), list):
        return None
    base, plus = listed["base"], listed.get("plus") or []
    if not isinstance(plus, list) or (plus and len(plus) != len(base)):
        return None
    plus = plus or [None] * len(base)
    return [{"base_status": _first(a), "plus_status": _first(b)} for a, b in zip(base, plus, strict=True)]


def _first(result: Any) -> Any:
    """The status of a result of the older versions, which has the outcome of every test after it."""
    return result[0] if isinstance(result, list) and result else None


def _scores(completion: Mapping[str, Any]) -> dict[str, bool | None]:
    """Which tests a completion passes."""
    if "base_status" not in completion:
        return {"passed": completion["status"] == _PASS} if isinstance(completion.get("status"), str) else {}
    base = _passes(completion["base_status"])
    plus = _passes(completion.get("plus_status"))
    return {"base": base, "plus": None if plus is None else bool(base and plus)}


def _passes(status: object) -> bool | None:
    return status == _PASS if isinstance(status, str) else None
