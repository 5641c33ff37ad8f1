"""The arguments of a plan, checked and made into the columns of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from .._options import Confidence, choice, confidence_of, flag, whole
from .._registries import names
from .._result import Result
from ..errors import shown, type_error, value_error
from ._pilot import pilot_of
from ._shares import broadcast, place
from ._study import Decision, Floats, Kind, Study

__all__ = ["Planned", "planned"]

MOST_ROWS = 1e15
# Newcombe's interval of pairs depends on how many both models got right, which no plan knows.
OF_PAIRS = ("tango", "bonett-price")


@dataclass(frozen=True, eq=False)
class Planned(Result):
    """A study, the numbers that were asked about, each ``[settings]``, and the shape of the settings."""

    study: Study
    n: Floats | None
    difference: Floats | None
    power: Floats | None
    shape: tuple[int, ...]
    limits: tuple[Study, ...]
    """The same study at both limits of a pilot's spread."""
    mirrored: bool
    """For ``alternative="less"``: differences have the other sign."""
    confidence: Confidence
    comparisons: int
    assumed: dict[str, Any]


def planned(
    asked: dict[str, Any],
    *,
    baseline: Any,
    discordance: Any,
    sd: Any,
    pilot: Any,
    paired: Any,
    ratio: Any,
    clusters: Any,
    cluster_size: Any,
    icc: Any,
    answers: Any,
    answer_icc: Any,
    margin: Any,
    method: Any,
    test: Any,
    confidence_level: float,
    alternative: str,
    comparisons: Any,
) -> Planned:
    """Check every argument; ``asked`` holds two of n, difference and power."""
    pairs = flag(paired, "paired")
    kind = _kind({"baseline": baseline, "discordance": discordance, "sd": sd, "pilot": pilot}, pairs)
    level = confidence_of(confidence_level, alternative)
    many = whole(comparisons, "comparisons", 1)
    given = _given(asked, baseline=baseline, discordance=discordance, sd=sd, paired=pairs)
    given |= {"margin": _floats(margin, "margin"), "answers": _integers(answers, "answers")}
    given |= {"cluster_size": _floats(cluster_size, "cluster_size"), "ratio": _floats(ratio, "ratio")}
    given |= {name: _floats(x, name) for name, x in (("icc", icc), ("answer_icc", answer_icc)) if x is not None}
    columns = dict(zip(given, broadcast(given), strict=True))
    shape = np.shape(next(iter(columns.values())))
    flat = {name: np.array(column, np.float64).reshape(-1) for name, column in columns.items()}
    _check_ranges(flat, shape)
    if clusters is not None and pilot is None:
        fix = "say cluster_size= and icc= of the clusters to come"
        raise value_error("clusters", "None without a pilot, whose rows they group", shown(clusters), fix)
    inflation = _inflation(flat, shape, {"icc": icc, "answer_icc": answer_icc}, pilot)
    strict = Confidence(1.0 - (1.0 - level.level) / many, "two-sided" if alternative == "two-sided" else "greater")
    of = {name: flat[name] for name in ("margin", "cluster_size", "ratio")}
    of |= {"inflation": inflation, "known": np.ones_like(inflation)}
    of |= {name: flat[name] for name in ("baseline", "discordance") if name in flat}
    if "sd" in flat:
        of["variance"] = flat["sd"] * flat["sd"]
    if "sd[1]" in flat:
        of["variance"], of["variance_base"] = flat["sd[0]"] * flat["sd[0]"], flat["sd[1]"] * flat["sd[1]"]
    assumed = _assumed(columns, {"icc": icc, "answer_icc": answer_icc}, pairs)
    limits: tuple[dict[str, Floats], ...] = ()
    if pilot is not None:
        found = pilot_of(pilot, clusters, flat["answers"], paired=pairs, level=level.level)
        kind, limits = found.kind, found.limits
        of |= found.value
        assumed = found.said | {name: value for name, value in assumed.items() if name not in found.said}
    mirrored = alternative == "less"
    if mirrored and "baseline" in of:
        of["baseline"] = 1.0 - of["baseline"]
        limits = tuple(one | ({"baseline": 1.0 - one["baseline"]} if "baseline" in one else {}) for one in limits)
    plain = bool(((of["inflation"] == 1.0) & (of["cluster_size"] == 1.0)).all())
    study = Study(
        kind, of, _decision(kind, strict, method=method, test=test, plain=plain, margin=of["margin"]), pilot is not None
    )
    n, difference, power = (flat.get(name) for name in ("n", "difference", "power"))
    if difference is not None and mirrored:
        difference = 0.0 - difference
    _check_differences(study, difference, shape, mirrored, solve=n is None)
    if power is not None and (low := power <= study.decision.tail * (2.0 if study.decision.turns else 1.0)).any():
        i, at = _place(low, shape)
        raise value_error("power", "more than the chance of a false alarm", f"{power.reshape(shape)[i]:g}{at}")
    others = tuple(study.at(**one).holding(difference) for one in limits)
    return Planned(study, n, difference, power, shape, others, mirrored, level, many, assumed)


def _kind(given: dict[str, Any], paired: bool) -> Kind:
    """The design that the assumptions say."""
    said = [name for name, value in given.items() if value is not None]
    if len(said) != 1:
        expected = "one of baseline=, discordance=, sd= and pilot=, which says what is compared"
        got = " and ".join(f"{name}=" for name in said) or "none"
        raise value_error("baseline, discordance, sd, pilot", expected, got)
    if said[0] == "discordance" and not paired:
        fix = "two samples have a baseline= share or the sd= of their scores"
        raise value_error("discordance", "None with paired=False", shown(given["discordance"]), fix)
    kinds: dict[str, tuple[Kind, Kind]] = {
        "baseline": ("share", "samples"), "discordance": ("pairs", "pairs"), "sd": ("scores", "two scores"),
        "pilot": ("scores", "two scores"),
    }  # fmt: skip
    return kinds[said[0]][not paired]


def _given(asked: dict[str, Any], *, baseline: Any, discordance: Any, sd: Any, paired: bool) -> dict[str, NDArray[Any]]:
    read = {"n": _integers, "difference": _floats, "power": _floats}
    given = {name: read[name](value, name) for name, value in asked.items()}
    for name, value in (("baseline", baseline), ("discordance", discordance)):
        if value is not None:
            given[name] = _floats(value, name)
    if sd is not None and paired:
        if isinstance(sd, tuple):
            raise type_error(
                "sd", "the standard deviation of the differences", shown(sd), "two sides have paired=False"
            )
        given["sd"] = _floats(sd, "sd")
    elif sd is not None:
        sides = sd if isinstance(sd, tuple) else (sd, sd)
        if len(sides) != 2:
            raise type_error("sd", "one standard deviation or those of (new, base)", shown(sd))
        given |= {f"sd[{i}]": _floats(side, "sd") for i, side in enumerate(sides)}
    return given


def _floats(x: Any, name: str) -> Floats:
    return _arrays.to_float64(_arrays.floats(x, name, numbers=True))


def _integers(x: Any, name: str) -> NDArray[np.int64]:
    return _arrays.integers(x, name)


RANGES: dict[str, tuple[str, Any]] = {
    "n": ("at least 1 and below 1e15", lambda x: (x >= 1.0) & (x < MOST_ROWS)),
    "difference": ("finite numbers", np.isfinite),
    "power": ("a number inside (0, 1)", lambda x: (x > 0.0) & (x < 1.0)),
    "baseline": ("a share from 0 to 1", lambda x: (x >= 0.0) & (x <= 1.0)),
    "discordance": ("a share above 0 and at most 1", lambda x: (x > 0.0) & (x <= 1.0)),
    "sd": ("a finite number above 0", lambda x: (x > 0.0) & (x < 1e150)),
    "margin": ("a finite number, at least 0", lambda x: (x >= 0.0) & np.isfinite(x)),
    "answers": ("at least 1", lambda x: x >= 1.0),
    "cluster_size": ("a finite number, at least 1", lambda x: (x >= 1.0) & (x < MOST_ROWS)),
    "ratio": ("a finite number above 0", lambda x: (x > 0.0) & (x < MOST_ROWS)),
    "icc": ("a correlation of at most 1", lambda x: (x >= -1.0) & (x <= 1.0)),
    "answer_icc": ("a correlation of at most 1", lambda x: (x >= -1.0) & (x <= 1.0)),
}


def _place(bad: NDArray[np.bool_], shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """The first bad setting, and how a message says where it is."""
    return place(bad.reshape(shape)) if shape else ((), "")


def _check_ranges(flat: dict[str, Floats], shape: tuple[int, ...]) -> None:
    for name, column in flat.items():
        argument = name.partition("[")[0]
        expected, allows = RANGES[argument]
        bad = ~allows(column)
        if bad.any():
            i, at = _place(bad, shape)
            raise value_error(argument, expected, f"{column.reshape(shape)[i]:g}{at}")


def _inflation(flat: dict[str, Floats], shape: tuple[int, ...], correlated: dict[str, Any], pilot: Any) -> Floats:
    """By how much clusters multiply the variance of a row, and several answers to an item divide it."""
    found = np.ones_like(flat["margin"])
    parts = (("cluster_size", "icc", "rows of a cluster"), ("answers", "answer_icc", "answers to an item"))
    for size, correlation, of in parts:
        several = flat[size] > 1.0
        if pilot is not None:
            if size == "cluster_size" and several.any():
                raise value_error(size, "1 with a pilot", f"{flat[size][several][0]:g}", "pass the pilot's clusters=")
            if correlated[correlation] is not None:
                raise value_error(correlation, "None with a pilot, which shows it", shown(correlated[correlation]))
            continue
        if correlated[correlation] is None:
            if several.any():
                raise value_error(correlation, f"the correlation of two {of}", "None", f"{size}= is above 1")
            continue
        rho, many = flat[correlation], flat[size]
        together = 1.0 + (many - 1.0) * rho
        bad = ~(together > 0.0) & ((rho < 0.0) | (size == "cluster_size"))
        if bad.any():
            i, at = _place(bad, shape)
            expected = f"above -1/({size} - 1), since the {of} cannot all be as far apart as that"
            raise value_error(correlation, expected, f"{rho.reshape(shape)[i]:g}{at}")
        found = found * (together if size == "cluster_size" else together / many)
    return found


def _decision(kind: Kind, confidence: Confidence, *, method: Any, test: Any, plain: bool, margin: Floats) -> Decision:
    """The interval or the test by name; the defaults are those of ``proportion`` and ``compare``."""
    methods = {"share": names("proportion.method"), "samples": names("unpaired.method"), "pairs": OF_PAIRS}.get(kind)
    if methods is None or not plain:
        for name, value in (("method", method), ("test", test)):
            if value is not None:
                expected = "None where scores are graded, items have several answers or rows are in clusters"
                raise value_error(name, expected, repr(value), "the t interval decides there")
        return Decision(confidence, None if methods is None else methods[0], None)
    if test is not None:
        if kind == "share":
            raise value_error("test", "None for one share", repr(test), "method= names the interval that decides")
        if method is not None:
            raise value_error("test", "None with method=, since either the interval or the p decides", repr(test))
        if margin.any():
            raise value_error("margin", "0 with test=, which is of no difference", f"{margin[margin != 0.0][0]:g}")
        return Decision(confidence, methods[0], choice(test, "test", names("answers.test")))
    return Decision(confidence, methods[0] if method is None else choice(method, "method", methods), None)


def _check_differences(
    study: Study, difference: Floats | None, shape: tuple[int, ...], mirrored: bool, *, solve: bool
) -> None:
    """Refuse differences that cannot be, and where rows are to be found, those that no number of rows shows."""
    of = study.of
    sign = -1.0 if mirrored else 1.0

    def refuse(bad: NDArray[np.bool_], expected: str, name: str = "difference", values: Floats | None = None) -> None:
        if bad.any():
            i, at = _place(bad, shape)
            column = sign * difference if values is None and difference is not None else values
            assert column is not None
            raise value_error(name, expected, f"{column.reshape(shape)[i]:g}{at}")

    if study.kind == "share":
        high = of["margin"] > of["baseline"]
        refuse(high, "at most the baseline, which a share cannot fall below by more", "margin", of["margin"])
    if study.kind in ("samples", "pairs"):
        refuse(of["margin"] >= 1.0, "less than 1, since shares cannot differ by more", "margin", of["margin"])
    if difference is None:
        return
    if study.kind in ("share", "samples"):
        share = of["baseline"] + difference
        slack = 1.0 / (1 << 50)
        refuse((share < -slack) | (share > 1.0 + slack), "one that leaves baseline + difference in [0, 1]")
    if study.kind == "pairs":
        most = np.ones_like(difference) if study.least_discordance else of["discordance"]
        refuse(
            abs(difference) > most, "at most discordance, since models that differ on so few cannot be further apart"
        )
    if solve:
        if study.decision.turns:
            refuse(difference == 0.0, "a difference other than 0")
        else:
            refuse(difference + of["margin"] <= 0.0, "above -margin; no number of rows shows others" if not mirrored
                   else "below margin; no number of rows shows others")  # fmt: skip


def _assumed(columns: dict[str, Any], correlated: dict[str, Any], paired: bool) -> dict[str, Any]:
    """The assumptions as the result shows them: one number where all settings share it."""
    found: dict[str, Any] = {}
    for name in ("baseline", "discordance", "sd", "sd[0]", "sd[1]", "cluster_size", "icc", "answers", "answer_icc"):
        if name in columns:
            found[name] = _plain(columns[name])
    if "sd[0]" in found:
        found["sd"] = (found.pop("sd[0]"), found.pop("sd[1]"))
    if not paired:
        found["ratio"] = _plain(columns["ratio"])
    for size, correlation in (("cluster_size", "icc"), ("answers", "answer_icc")):
        if isinstance(found[size], float) and found[size] == 1.0:
            found.pop(size)
            found.pop(correlation, None)
    return found


def _plain(column: NDArray[Any]) -> Any:
    values = np.array(column, np.float64)
    first = values.reshape(-1)[:1]
    return float(first[0]) if len(first) and (values == first[0]).all() else values
