"""Two models compared on few labelled rows, with the help of a judge's scores of both on all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import to_float64
from .._columns import Array
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Selection, is_nan
from ..errors import value_error
from ._answers import Asked
from ._judged import alone, estimate_of, refuse_designs, scores_of, summaries, variance_of
from ._paired import paired
from ._student import student_p
from ._tuned import Labelled, Tuned, labelled, tuned
from .comparison import Pair

__all__ = ["judged_pair"]

TEST = "prediction-powered t"
SIDES = ("new", "baseline")


def judged_pair(
    new: tuple[str, Array],
    base: tuple[str, Array],
    judge: Any,
    selection: Selection,
    *,
    names: tuple[str, str] | None,
    asked: Asked,
    confidence: Confidence,
    progress: OnProgress,
) -> Pair:
    """Compare one model with the baseline, by the labels of the rows that have them and the judge's scores of all.

    ``names`` are those of both models, if they have names, by which the judge's scores may go.
    """
    refuse_designs(selection)
    scores = _differences(judge, new, names)
    labels = _less(new[1], base[1])
    part = labelled(labels, scores, selection.rows("judge", scores))
    name = f"{new[0]} - {base[0]}"
    own = partial(paired, new, base, part.with_label, asked=asked, confidence=confidence, on_progress=progress)
    if not part.n_labelled:
        summaries(part, name, progress)  # says so
    by_labels = own(problems=1)
    of_labels, of_judge = summaries(part, name, progress)
    sides = [to_float64(part.with_label.of(side)) for _, side in (new, base)]
    of_labels = replace(of_labels, step=max(of_labels.step, *(_step(side) for _, side in (new, base))))
    answers = all(bool(((side == 0) | (side == 1)).all()) for side in sides)
    found = tuned(part, of_labels, of_judge, known=None, bounded=answers, name=name)
    half = _half_labelled(new[1], base[1], part)
    if isinstance(found, str):
        difference = alone(by_labels.difference, found)
        return by_labels._replace(difference=replace(difference, detail=difference.detail | half))
    kind = f"differences of {'0/1' if answers else 'graded'} labels"
    difference = estimate_of(found, part, confidence, answers=False, bounded=answers, known=False, kind=kind)
    return by_labels._replace(
        difference=replace(difference, detail=difference.detail | half),
        p=_p(found, variance_of(found, confidence, bounded=answers), confidence), test=TEST, units=part.n_labelled,
    )  # fmt: skip


def _differences(judge: Any, new: tuple[str, Array], names: tuple[str, str] | None) -> Array:
    """The judge's scores of the differences: as they are, or those of the new model less those of the baseline."""
    name, labels = new
    if not isinstance(judge, Mapping):
        return scores_of(judge, labels, name)
    by_name = {str(key): column for key, column in judge.items()}
    sides = names if names is not None and set(by_name) == set(names) else SIDES
    if set(by_name) != set(sides):
        expected = 'a mapping {"new": ..., "baseline": ...} of scores, or one column of scores of the difference'
        fix = "" if names is None else f"{names[0]!r} and {names[1]!r} are taken as well"
        raise value_error("judge", expected, f"the keys {list(by_name)}", fix)
    return _less(*(scores_of(by_name[side], labels, name, f"judge[{side!r}]") for side in sides))


def _less(a: Array, b: Array) -> NDArray[np.float64]:
    """``a - b``, NaN where either is missing, and infinite, so that it is refused, where both are."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = to_float64(a) - to_float64(b)
    found[np.isnan(found) & ~(is_nan(a) | is_nan(b))] = np.inf
    return found


def _step(x: Array) -> float:
    """One unit in the last place of the largest label, in the type that it came in."""
    if x.dtype == np.bool_:
        return 0.0
    found = _core.column_moments(np.ascontiguousarray(x[~is_nan(x)]))
    return 0.0 if "bad" in found else found["step"]


def _half_labelled(new: Array, base: Array, part: Labelled) -> dict[str, float]:
    """How many rows have a label on one side alone, which is not used."""
    one_side = part.rows.of(is_nan(new) ^ is_nan(base))
    count = int(np.count_nonzero(one_side))
    return {"half_labelled": float(count)} if count else {}


def _p(found: Tuned, variance: float, confidence: Confidence) -> float:
    """The p-value of the hypothesis that the mean difference is 0, by Student's t."""
    return student_p(found.value / float(np.sqrt(variance)), found.df, confidence)
