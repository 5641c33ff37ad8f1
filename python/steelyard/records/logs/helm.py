"""Logs of HELM: ``per_instance_stats.json``, an array with the metrics of each instance of a run.

An element is one instance in one trial, as it is or perturbed (with typing errors, in a dialect). Its metrics are a
list of statistics, each named by a metric and a split. Splits stand in one file, and so do perturbed copies of the
instances; HELM averages each of them by itself, and so the caller chooses. The model's name is in ``run_spec.json``
beside the file, or in the name of the folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..source import STANDARD_INPUT
from ..table import record_error, shorten
from .document import Document

RUN_SPEC = "run_spec.json"
UNPERTURBED = "none"
_LONGEST_SPEC = 1 << 24  # bytes of a run_spec.json that are read
_MODEL_IN_FOLDER = re.compile(r"[,:-]model=([^,]+)")  # where : is no part of a name, - stands for it

# Metrics that say how a run went, not how good an answer is.
_NO_SCORE = re.compile(
    r"num_.*|training_.*|inference_.*|finish_reason_.*|prompt_truncated|batch_size|max_prob|logprob|logprob_per_byte"
    r"|bits_per_byte|perplexity|predicted_index|.*_cost"
)


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is an instance with its metrics."""
    return "instance_id" in one and isinstance(one.get("stats"), list)


def is_beside(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether a file is another one of the same run: its settings, its requests or its averages."""
    is_average = isinstance(one.get("name"), dict) and "split" in one["name"] and "count" in one and "sum" in one
    return is_average or ("adapter_spec" in one and ("scenario_spec" in one or "request_states" in one))


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per instance, trial, perturbation and split, with the metrics as columns."""
    document.apart = ("split", "perturbation")
    of_run = _of_run(document.name)
    for instance, line in document.objects:
        where = f"{document.name}, line {line}"
        if not recognised(instance, alone=False):
            raise record_error(where, "an instance of HELM with its stats", "something else", "write the file again")
        perturbation = _perturbation(instance.get("perturbation"))
        identity = {
            "id": instance["instance_id"] if perturbation == UNPERTURBED else _copy(instance, perturbation),
            "instance_id": instance["instance_id"],
            "epoch": instance.get("train_trial_index", 0),
            "perturbation": perturbation,
        }
        for split, metrics in _metrics(instance["stats"], where).items():
            document.scores |= {
                name: None for name, value in metrics.items() if value is not None and not _NO_SCORE.fullmatch(name)
            }
            yield {**of_run, **identity, "split": split, **_without(metrics, of_run, identity)}, line


def _copy(instance: Mapping[str, Any], perturbation: str) -> str:
    """The id of a perturbed instance: another item than the instance as it is."""
    return f"{instance['instance_id']} ({perturbation})"


def _perturbation(described: object) -> str:
    """A perturbation in words: its name and what it was made with."""
    if not isinstance(described, dict):
        return UNPERTURBED
    known = ("name", "robustness", "fairness", "computed_on")
    made_with = [f"{key}={value}" for key, value in described.items() if key not in known and value is not None]
    return shorten(" ".join([str(described.get("name")), *made_with]))


def _metrics(stats: list[Any], where: str) -> dict[str | None, dict[str, float | None]]:
    """For each split the mean of every metric; None for one that counts nothing."""
    of_split: dict[str | None, dict[str, float | None]] = {}
    for stat in stats:
        name = stat.get("name") if isinstance(stat, dict) else None
        if not isinstance(name, dict) or not isinstance(name.get("name"), str):
            raise record_error(where, "stats of HELM, each with the name of a metric", "others", "write the file again")
        split = name.get("split")
        metrics = of_split.setdefault(split if isinstance(split, str) else None, {})
        sub_split = name.get("sub_split")
        metric = name["name"] + (f" ({sub_split})" if isinstance(sub_split, str) else "")
        if metric in metrics:
            raise record_error(where, "each metric once", f"{shorten(metric)!r} twice", "write the file again")
        metrics[metric] = _mean(stat)
    return of_split


def _mean(stat: Mapping[str, Any]) -> Any:
    """The mean of a statistic. Older files have only the sum and the count."""
    count = stat.get("count")
    if not count:
        return None
    if "mean" in stat or not isinstance(count, int):
        return stat.get("mean")
    total = stat.get("sum")
    return total / count if isinstance(total, int | float) else None


def _without(metrics: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics but for those that are called as another column is."""
    return {name: value for name, value in metrics.items() if not any(name in one for one in others)}


# ---- the run


def _of_run(file: str) -> dict[str, str]:
    """The model and the task of a run, as far as the settings beside the file or the name of its folder say them."""
    if file == STANDARD_INPUT:
        return {}
    beside = Path(file).with_name(RUN_SPEC)
    folder = Path(os.path.abspath(file)).parent.name
    spec = _spec(beside) if beside.is_file() else {}
    adapter = spec.get("adapter_spec")
    model = adapter.get("model") if isinstance(adapter, dict) else None
    name = spec.get("name")
    named = name if isinstance(name, str) else folder
    in_name = _MODEL_IN_FOLDER.search(named)
    if not isinstance(model, str) and in_name is not None:
        model = in_name[1]
    found = {"task": _MODEL_IN_FOLDER.sub("", named)} if name is not None or in_name is not None else {}
    return found | ({"model": model} if isinstance(model, str) else {})


def _spec(path: Path) -> dict[str, Any]:
    """The settings of a run; what is no such file is as good as none."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LONGEST_SPEC))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
