"""Comparison of two samples of different rows: which rows of each side count, and the words of the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import _core, _intervals
from .._arrays import aligned
from .._columns import Array, Columns
from .._estimate import Estimate
from .._options import Confidence, NanPolicy
from .._progress import OnProgress
from .._registries import titles
from .._rows import Clusters, Rows, Selection
from ..errors import called, shown, type_error, value_error
from ._answers import Asked
from ._samples import ideal_difference
from ._statistics import for_core, refusal
from .comparison import Pair

__all__ = ["unpaired"]

SIDES = ("new", "baseline")
METHODS = titles("unpaired.method")
ANSWERS = {"mid-p": "Fisher mid-p", "exact": "Fisher exact", "chi-squared": "chi-squared"}
TESTS = {
    "fisher": "Fisher mid-p",
    **titles("scores.test"),
    "dealt": "permutation, 9,999 random deals",
    "none": "no test: the spread of a side is unknown",
}


def of_sides(value: Any, name: str) -> dict[str, Any]:
    """The values of a keyword that has one for each side; None where a side has none.

    It is a mapping and no tuple: a tuple of ids means nested clusters, and which side comes first would be a guess.
    """
    if value is None:
        return dict.fromkeys(SIDES)
    expected = 'a mapping {"new": ..., "baseline": ...} with paired=False, since each side has rows of its own'
    if not isinstance(value, Mapping):
        raise type_error(name, expected, shown(value))
    unknown = [key for key in value if key not in SIDES]
    if unknown or not value:
        raise value_error(name, expected, f"the key {unknown[0]!r}" if unknown else "an empty mapping")
    return {side: value.get(side) for side in SIDES}


class Side(NamedTuple):
    """One side of a comparison: the caller's name of its scores, the scores, and which of them count."""

    name: str
    scores: Array
    rows: Rows

    @property
    def counted(self) -> Array:
        return self.rows.of(self.scores)


def unpaired(
    new: Any,
    found: Columns,
    baseline: tuple[str, Any, Array],
    *,
    where: Any,
    clusters: Any,
    nan_policy: NanPolicy,
    asked: Asked,
    resampled: str | None,
    confidence: Confidence,
    models: int,
    progress: OnProgress,
) -> Iterator[Pair]:
    """Compare each column of ``found``, made from ``new``, with the baseline: its name, as it was given, its scores.

    ``resampled`` is the method of the ideal bootstrap, where its limits are asked for.
    """
    base_name, given, base_scores = baseline
    masks, ids = of_sides(where, "where"), of_sides(clusters, "clusters")

    def side(at: str, whole: Any, name: str, scores: Array, left_out: Mapping[str, int]) -> Side:
        where_of, clusters_of = f"where[{at!r}]", f"clusters[{at!r}]"
        aligned(**{at: whole, where_of: masks[at], clusters_of: ids[at]})
        with called({"where": where_of, "clusters": clusters_of}):
            return Side(name, scores, Selection(masks[at], ids[at], nan_policy, left_out).rows(name, scores))

    base = side("baseline", given, base_name, base_scores, {})
    for name, scores in found.items:
        of_model = side("new", new, name, scores, found.left_out)
        yield _pair(of_model, base, asked, resampled, confidence, models=models, progress=progress)


def _pair(
    new: Side,
    base: Side,
    asked: Asked,
    resampled: str | None,
    confidence: Confidence,
    *,
    models: int,
    progress: OnProgress,
) -> Pair:
    """Compare one model with the baseline."""
    sides = (new, base)
    levels = _intervals.levels(confidence, models)
    clustered = any(side.rows.clusters for side in sides)
    groups = [_groups(side) for side in sides] if clustered else []
    columns = for_core([side.counted for side in sides])
    found = _core.unpaired_comparison(
        new=columns[0], base=columns[1], booleans=(_is_boolean(new), _is_boolean(base)),
        codes=(groups[0].codes, groups[1].codes) if groups else None,
        clusters=(groups[0].total, groups[1].total) if groups else None,
        confidence_levels=[level.level for level in levels], alternative=confidence.alternative, progress=progress,
        scores_test=asked.of_scores, **asked.of_answers,
    )  # fmt: skip
    if "refused" in found:
        side = sides[found["column"]]
        raise refusal({**found, "column": 0}, "mean", {side.name: side.scores}, side.rows)
    asked.fits("Welch's interval and test, or test='permutation'", binary=found["binary"])
    if found["p"] != found["p"]:
        expected = f"at most {_core.SHUFFLED_ROWS:,} scores for 'permutation'"
        got = f"{found['new']['rows']:,} and {found['base']['rows']:,} scores"
        raise value_error("test", expected, got, "use 't'")
    totals = [group.total for group in groups]
    named = METHODS[asked.method or "newcombe"]
    estimates = [_estimate(found, i, level, totals, named) for i, level in enumerate(levels)]
    if resampled is not None:
        of_both = partial(
            ideal_difference, sides=columns, groups=groups, names=[side.name for side in sides], method=resampled,
            progress=progress,
        )  # fmt: skip
        estimates = [of_both(estimate, confidence=at) for estimate, at in zip(estimates, levels, strict=True)]
    left_out: dict[str, int] = {}
    for side in sides:
        for why, count in side.rows.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    difference = replace(estimates[0], left_out=left_out)
    if models > 1:
        difference = _intervals.simultaneous(difference, estimates[1])
    return Pair(difference, found["p"], _test(found, asked, clustered=clustered), None, None, found["shares"])


def _is_boolean(side: Side) -> bool:
    return side.scores.dtype == np.bool_


def _groups(side: Side) -> Clusters:
    """The clusters of a side; where only the other side has some, each row is its own."""
    n = len(side.counted)
    return side.rows.clusters or Clusters(np.arange(n), n)


def _test(found: _core._Unpaired, asked: Asked, *, clustered: bool) -> str:
    if found["test"] == "answers":
        return ANSWERS[asked.test or "mid-p"]
    if found["test"] == "t" and clustered:
        return "clustered Welch's t"
    return TESTS[found["test"]]


def _estimate(
    found: _core._Unpaired, at: int, confidence: Confidence, clusters: list[int], of_answers: str
) -> Estimate:
    """The difference at one level of confidence, and how it was found.

    ``of_answers`` is the title of the interval that two samples of 0/1 answers have.
    """
    level, new, base = found["levels"][at], found["new"], found["base"]
    df = {"df": level["df"]} if level["df"] == level["df"] else {}
    sizes = {"n_new": float(new["rows"]), "n_baseline": float(base["rows"])}
    if clusters:
        sizes |= {"clusters_new": float(clusters[0]), "clusters_baseline": float(clusters[1])}
    return Estimate(
        value=level["value"], standard_error=_intervals.maybe(level["standard_error"]),
        low=_intervals.maybe(level["low"]), high=_intervals.maybe(level["high"]), confidence_level=confidence.level,
        n=new["rows"] + base["rows"], n_clusters=sum(clusters) if clusters else None,
        method=_method(found, level, of_answers, clustered=bool(clusters)), reason=_reason(found, level, clusters),
        detail=df | sizes,
    )  # fmt: skip


def _method(found: _core._Unpaired, level: _core._Level, of_answers: str, *, clustered: bool) -> str:
    graded = "no spread" if level["unspread"] else "Welch"
    method = of_answers if found["binary"] else graded
    return f"clustered {method}" if clustered else method


def _reason(found: _core._Unpaired, level: _core._Level, clusters: list[int]) -> str:
    """Why the interval was made in this way, or why there is none."""
    kind = f"two samples of {'0/1' if found['binary'] else 'graded'} values{' in clusters' if clusters else ''}"
    if found["new"]["alone"] or found["base"]["alone"]:
        return _intervals.ONE_CLUSTER if clusters else _intervals.ONE_VALUE
    said = [kind]
    for i, (name, side) in enumerate((("new", found["new"]), ("baseline", found["base"]))):
        if side["unspread"] and not found["binary"]:
            n, what = (clusters[i], "cluster means") if clusters else (side["rows"], "values")
            said.append(f"{name}: {_intervals.without_spread(found['shares'], side['same'], what, n)}")
        elif side["unspread"]:
            n, what = (clusters[i], "clusters show the same share") if clusters else (side["rows"], "answers are equal")
            said.append(f"{name}: all {n} {what}")
    return "; ".join(said)
