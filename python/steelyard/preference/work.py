"""What the core computes of a checked call: the columns of one setting, or the metrics of many without columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._estimate import Estimate
from .._options import Confidence
from .._progress import Progress, reporter
from .._rows import Rows
from ..errors import value_error
from .given import step, step_at
from .terms import Terms

__all__ = [
    "Metrics", "Work", "accuracy_of", "displaced", "halves_of", "largest_slope", "margin_of", "margins_of", "metrics",
    "shift_of", "steepest",
]  # fmt: skip

Floats = NDArray[np.float64]
Column = NDArray[Any]


class Work(NamedTuple):
    """A call whose arguments are checked."""

    terms: Terms
    columns: Sequence[Column]
    """The columns that the loss reads, in one dtype, with a number that is harmless where a pair does not count."""
    beside: dict[str, Any]
    """Lengths, margin and weights as the core takes them."""
    rows: Rows
    types: Sequence[np.dtype[Any]]
    """The dtype in which each column came."""
    progress: Progress

    def scored(self, setting: dict[str, Any], *, gradients: bool, single: bool) -> Any:
        """The results of every pair at one setting, from the core."""

        def with_weights(beside: dict[str, Any]) -> Any:
            return _core.preference_loss(
                self.columns, terms=self.terms.weights, parameters=setting, beside=beside, gradients=gradients,
                single=single, progress=reporter(self.progress),
            )  # fmt: skip

        weights = self.beside["weights"]
        try:
            return with_weights(self.beside)
        except ValueError:
            if weights is None:
                raise
        with_weights({**self.beside, "weights": None})  # raises where it is not for the weights
        largest = f"{float(weights.max()):g}"
        raise value_error("weights", "weights whose products with gradients float64 holds", largest)

    def nats(self, scored: Any) -> float:
        """One rounding step of the largest log-probability, which the core has found while it computed ``scored``."""
        if len(set(self.types)) == 1:
            return step_at(scored["largest"], self.types[0])
        return max(step(column, dtype) for column, dtype in zip(self.columns, self.types, strict=True))

    @property
    def of_scores(self) -> bool:
        """Whether the losses are not one function of the log-ratios themselves with a known bound of its slope."""
        return self.terms.mixed or self.terms.reads("lengths") or not self.terms.reads("reference")

    def matched(self) -> Work:
        """The pairs with the reference's log-probabilities of the pairs of equal rank, for "aot"."""
        if not self.terms.reads("batch"):
            return self
        columns = [np.ascontiguousarray(self.rows.of(column)) for column in self.columns]
        partners = _core.preference_ranks(columns, progress=reporter(self.progress))
        moved = []
        for column, counted in zip(self.columns[2:], columns[2:], strict=True):
            if self.rows.keep is None:
                moved.append(counted[partners])
            else:
                whole = column.copy()
                whole[self.rows.keep] = counted[partners]
                moved.append(whole)
        return self._replace(columns=[*self.columns[:2], *moved])

    def counted(self) -> Work:
        """The pairs that count alone."""
        if self.rows.keep is None:
            return self

        def of(column: Column) -> Column:
            return np.ascontiguousarray(self.rows.of(column))

        lengths = self.beside["lengths"]
        beside = {
            "lengths": None if lengths is None else tuple(map(of, lengths)),
            **{name: None if self.beside[name] is None else of(self.beside[name]) for name in ("margin", "weights")},
        }
        return self._replace(columns=[of(column) for column in self.columns], beside=beside)


def largest_slope(gradients: Sequence[Column | None], weights: Floats | None) -> float:
    """How steep a loss is at most, the weight of its pair left aside."""
    found = 0.0
    for gradient in gradients:
        if gradient is not None:
            size = np.abs(gradient).astype(np.float64)
            if weights is not None:
                size = np.divide(size, weights, out=np.zeros(len(size)), where=weights > 0)
            found = max(found, float(size.max(initial=0.0)))
    return found


def steepest(work: Work, setting: dict[str, Any], largest: float) -> float:
    """A bound on the slope of losses of at most ``largest``, for one loss of log-ratios."""
    return _core.preference_steepest(work.terms.names[0], largest=largest, parameters=setting)


def margins_of(chosen: Column, rejected: Column) -> Floats:
    """The reward margin of each pair."""
    with np.errstate(over="ignore"):  # an overflow is refused by the mean, which must be finite
        margins: Floats = np.subtract(chosen, rejected, dtype=np.float64)
    return margins


def halves_of(chosen: Column, rejected: Column | float) -> Floats:
    """1 for a pair whose chosen answer has the higher reward, 1/2 for a tie, else 0."""
    # Counted in halves (2, 1 or 0) in one-byte integers; float64 intermediates would take three times as long.
    halves: Floats = 0.5 * np.add(chosen > rejected, chosen >= rejected, dtype=np.uint8)
    return halves


def margin_of(
    chosen: Column, rejected: Column, confidence: Confidence, rows: Rows, *, step: float, name: str
) -> Estimate:
    """The mean reward margin."""
    margins = margins_of(chosen, rejected)
    if chosen.dtype == np.float32:
        largest = max(float(np.fmax.reduce(np.abs(column), initial=0.0)) for column in (chosen, rejected))
        step = max(step, float(np.spacing(np.float32(largest))))
    return _intervals.mean(margins, confidence, rows, name=name, kind="graded", bounded=False, step=step)


def accuracy_of(chosen: Column, rejected: Column, confidence: Confidence, rows: Rows, *, name: str) -> Estimate:
    """The share of pairs whose chosen answer has the higher reward; a tie counts one half."""
    return _intervals.mean(halves_of(chosen, rejected), confidence, rows, name=name, kind="ties")


def shift_of(rewards: Column, beta: float, confidence: Confidence, rows: Rows, *, step: float, name: str) -> Estimate:
    """The mean of what the loss compares on one side: rewards over beta."""
    moves = np.divide(rewards, beta, dtype=np.float64)
    return _intervals.mean(moves, confidence, rows, name=name, kind="graded", bounded=False, step=step)


def displaced(chosen: Column, rejected: Column) -> NDArray[np.bool_]:
    """The pairs whose chosen answer has become less likely while the margin rose."""
    found: NDArray[np.bool_] = (chosen < 0) & (chosen > rejected)
    return found


class Metrics(NamedTuple):
    """The Estimates of settings without columns, of a sweep each of shape ``(K,)``, and their counts."""

    loss: Estimate
    reward_accuracy: Estimate
    reward_margin: Estimate
    chosen_shift: Estimate | None
    rejected_shift: Estimate | None
    displacement: Estimate | None
    saturated: list[int]
    empty: int


def metrics(work: Work, settings: Sequence[dict[str, Any]], confidence: Confidence, *, sweep: bool) -> Metrics:
    """The metrics at every setting (``sweep``; else of the only one); no column outlives a setting.

    Rewards are proportional to beta, so that those of the first setting serve all that compare the same scores.
    """
    losses: list[Estimate | None] = [None] * len(settings)
    accuracies, margins, lost = losses.copy(), losses.copy(), losses.copy()
    shifts = (losses.copy(), losses.copy())
    saturated, empty = [0] * len(settings), 0
    matched = work.matched()
    for places in _same_scores(settings):
        here = [settings[place] for place in places]
        first = work.scored(here[0], gradients=False, single=False)
        empty = first["empty"]
        sides = first["rewards_chosen"], first["rewards_rejected"]
        nats = work.nats(first)
        moved = nats * (first["stretch"] or 1.0)
        accuracy = accuracy_of(*sides, confidence, work.rows, name="x")
        margin = margin_of(*sides, confidence, work.rows, step=here[0]["beta"] * moved, name="reward margins")
        if work.terms.reads("reference"):
            share = _intervals.mean(displaced(*sides), confidence, work.rows, name="x")
            of_sides = [
                shift_of(side, here[0]["beta"], confidence, work.rows, step=moved, name="log-ratios") for side in sides
            ]
            for place in places:
                lost[place], shifts[0][place], shifts[1][place] = share, *of_sides
        one_by_one = work.rows.clusters is not None or work.rows.weights is not None
        swept = (_one_by_one if one_by_one else _together)(matched, here, confidence, nats)
        for place, setting, (loss, far) in zip(places, here, swept, strict=True):
            losses[place], saturated[place], accuracies[place] = loss, far, accuracy
            margins[place] = _times(margin, setting["beta"] / here[0]["beta"])
    loss, accuracy, margin = (_stacked(parts, sweep) for parts in (losses, accuracies, margins))
    chosen, rejected, displacement = (
        _stacked(parts, sweep) if work.terms.reads("reference") else None for parts in (*shifts, lost)
    )
    return Metrics(loss, accuracy, margin, chosen, rejected, displacement, saturated, empty)


def _same_scores(settings: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The places of the settings, grouped by the parameter that makes scores."""
    groups: dict[float, list[int]] = {}
    for place, setting in enumerate(settings):
        groups.setdefault(setting["alpha"], []).append(place)
    return list(groups.values())


def _together(
    work: Work, settings: Sequence[dict[str, Any]], confidence: Confidence, nats: float
) -> list[tuple[Estimate, int]]:
    """The mean losses and the numbers of saturated pairs, folded by the core while it reads the pairs once."""
    counted = work.counted()
    slopes = work.of_scores or settings[0]["divergence"] != "reverse-kl"
    found = _core.preference_sweep(
        counted.columns, terms=work.terms.weights, settings=settings, beside=counted.beside, slopes=slopes,
        progress=reporter(work.progress),
    )  # fmt: skip
    n, made = len(counted.columns[0]), []
    for i, setting in enumerate(settings):
        mean, squares, low, high, slope = (
            float(found[name][i]) for name in ("mean", "squares", "low", "high", "slope")
        )
        moved = nats * (slope if slopes else steepest(work, setting, max(high, 0.0)))
        resolution = max(max(abs(low), abs(high)) * _intervals.STEP, moved)
        column = _intervals.Column(n, mean, squares, low, high, resolution, None)
        made.append((_intervals.mean_of(
            column, confidence, _no_sums, name="losses", grouped=None, kind="graded",
            values=_intervals.value_facts(column, bounded=False), left_out=work.rows.left_out,
        ), int(found["saturated"][i])))  # fmt: skip
    return made


def _no_sums(_: float) -> _intervals.Sums:
    raise AssertionError("rows without clusters and weights need no sums of clusters")


def _one_by_one(
    work: Work, settings: Sequence[dict[str, Any]], confidence: Confidence, nats: float
) -> list[tuple[Estimate, int]]:
    """The same with clusters or weights, whose sums are taken from the losses of one setting after another."""
    made = []
    slopes = work.of_scores or settings[0]["divergence"] != "reverse-kl"
    for setting in settings:
        found = work.scored(setting, gradients=slopes, single=False)
        slope = found["steepest"] if slopes else steepest(work, setting, found["highest"])
        loss = _intervals.mean(
            found["losses"], confidence, work.rows, name="losses", kind="graded", bounded=False, step=slope * nats
        )
        made.append((loss, found["saturated"]))
    return made


def _times(margin: Estimate, factor: float) -> Estimate:
    """The Estimate of a mean times a positive number."""
    if factor == 1.0:
        return margin
    error, low, high = (
        None if number is None else number * factor for number in (margin.standard_error, margin.low, margin.high)
    )
    return replace(margin, value=margin.value * factor, standard_error=error, low=low, high=high)


def _stacked(parts: Sequence[Estimate | None], many: bool) -> Estimate:
    found = [part for part in parts if part is not None]
    return _intervals.stack(found, None) if many else found[0]
