"""What a comparison refuses: options that do not go together."""

from __future__ import annotations

from typing import Any

from .._options import Confidence, choice
from .._registries import names as names_in
from ..errors import keyword, type_error, value_error
from ._joint import JOINT

__all__ = ["check_adjustment", "check_for_judge", "check_for_ranks", "no_groups"]


def check_for_ranks(confidence: Confidence, adjust: str | None, *, paired: bool, **groups: Any) -> None:
    """Refuse what has no meaning where all models are compared with each other."""
    if not paired:
        expected = "True where models are ranked, which needs pairs of the same rows"
        raise value_error("paired", expected, "False", "pass a baseline")
    no_groups("a baseline to compare with", "ranks are of all rows together", **groups)
    choice(confidence.alternative, "alternative", ("two-sided",))
    if adjust != "holm":
        expected, fix = "'holm' where no baseline is given", "ranks hold for all pairs together"
        raise value_error("adjust", expected, repr(adjust), fix)


def check_for_judge(statistic: str, baseline: Any, *, paired: bool, **words: Any) -> None:
    """Refuse what does not go with a judge's scores."""
    if statistic != "mean":
        raise value_error("judge", "None but for statistic='mean'", f"a judge with {statistic!r}")
    if not paired:
        raise value_error("judge", f"None with {keyword('paired', False)}", "a judge", "estimate each side with judge=")
    if baseline is None:
        raise type_error("baseline", f"an array of labels, or a model's name, with {keyword('judge')}", "None")
    for name, value in words.items():
        if value is not None:
            raise value_error(name, f"None with {keyword('judge')}", f"both {keyword(name)} and {keyword('judge')}")


def check_adjustment(adjust: str | None, *, shared: bool) -> None:
    """Refuse an unknown adjustment, and one by shared sign flips where the models share none."""
    if adjust is None:
        return
    alone = names_in("adjust.method")
    if choice(adjust, "adjust", (*alone, *JOINT)) in JOINT and not shared:
        expected = f"one of {', '.join(alone)} but for pairs of scores without by and strata"
        raise value_error("adjust", expected, repr(adjust))


def no_groups(expected: str, fix: str, **words: Any) -> None:
    """Refuse keywords that a kind of comparison does not have."""
    for name, value in words.items():
        if value is not None:
            raise value_error(name, expected, f"{keyword(name)} without", fix)
