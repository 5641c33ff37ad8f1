"""What a plan assumed and computed, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._numbers import percent
from .._registries import titles
from ._planned import Planned
from ._study import MOST, Floats, Study

__all__ = ["decision", "design", "how"]


def decision(planned: Planned) -> str:
    """What the power is the probability of."""
    of, confidence = planned.study.decision, planned.study.decision.confidence
    alpha = f"{1.0 - confidence.level:.4g}"
    if of.test is not None:
        name = titles("answers.test")[of.test]
        test = f"McNemar's {name}" if planned.study.kind == "pairs" else f"Fisher's {name}"
        return f"the p of {test} test is at most {alpha} ({planned.confidence.alternative})"
    margin = planned.study.of["margin"]
    side, beyond = ("upper", "below") if planned.mirrored else ("lower", "above")
    sign = "" if planned.mirrored else "-"
    if planned.study.kind == "share":
        limit = "the baseline" if not margin.any() else f"the baseline {'+' if planned.mirrored else '-'} margin"
    else:
        limit = "0" if not margin.any() else f"{sign}margin"
    level = percent(1.0 - float(alpha))
    kind = "" if confidence.alternative == "two-sided" else "one-sided "
    return f"the {side} limit of the {kind}{level} interval ({_interval(planned.study)}) lies {beyond} {limit}"


def _interval(study: Study) -> str:
    if study.decision.method is None or not study.independent.all():
        return "clustered t" if (study.of["cluster_size"] != 1.0).any() else "Student's t"
    key = {"share": "proportion.method", "samples": "unpaired.method", "pairs": "paired.method"}[study.kind]
    return titles(key)[study.decision.method]


def how(planned: Planned, n: Floats) -> str:
    """How the power was computed."""
    study = planned.study
    counted = study.independent & (n <= MOST)
    if study.kind == "samples":
        counted &= study.beside(np.arange(len(n)), n) <= MOST
    if counted.all():
        return "exact, the sum over all outcomes"
    if study.independent.all() and not counted.any():
        return f"by the normal distribution, beyond {MOST:,} rows"
    said = "by the noncentral t distribution, which takes means as normal"
    return f"{said}; the sum over all outcomes where rows are independent answers" if counted.any() else said


def design(planned: Planned) -> str:
    """What was assumed about the data."""
    return "".join((_data(planned), *_units(planned.assumed), *_more(planned)))


def _data(planned: Planned) -> str:
    """What is compared."""
    of, kind = planned.assumed, planned.study.kind
    if kind == "share":
        return f"0/1 answers against a known share of {_number(of['baseline'])}"
    if kind == "samples":
        return f"two samples of 0/1 answers, a share of {_number(of['baseline'])} right on the baseline's side"
    if kind == "pairs":
        return f"pairs of 0/1 answers, a share of {_number(of['discordance'])} answered differently"
    if kind == "scores":
        return f"differences of pairs with a standard deviation of {_number(of['sd'])}"
    sides = of["sd"] if isinstance(of["sd"], tuple) else (of["sd"],) * 2
    new, base = (_number(side) for side in sides)
    return f"two samples of scores with standard deviations of {new} and {base}"


def _units(of: dict[str, Any]) -> Iterator[str]:
    """What the rows are."""
    if "ratio" in of and not (isinstance(of["ratio"], float) and of["ratio"] == 1.0):
        yield f", {_number(of['ratio'])} rows of the baseline for each of new"
    if "answers" in of:
        yield f", the mean of {_number(of['answers'])} answers to each item"
    if "answer_icc" in of:
        yield f" (correlation {_number(of['answer_icc'])})"
    if "cluster_size" in of:
        yield f", in clusters of {_number(of['cluster_size'])} rows"
    if "icc" in of:
        yield f" (correlation {_number(of['icc'])})"
    if "design_effect" in of:
        yield f" (design effect {_number(of['design_effect'])})"


def _more(planned: Planned) -> Iterator[str]:
    if "pilot" in planned.assumed:
        yield f", as in the pilot of {planned.assumed['pilot']:,} rows"
    if planned.study.least_discordance and planned.study.kind == "pairs":
        yield " (at least the difference)"
    if planned.comparisons > 1:
        yield f"; {planned.comparisons} comparisons that hold together"


def _number(x: Any) -> str:
    """A number, or the range of several."""
    if isinstance(x, np.ndarray):
        return f"{x.min():.4g} to {x.max():.4g}" if x.size else "no setting"
    return f"{x:.4g}"
