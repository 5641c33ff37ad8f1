"""What is unusual about a schedule, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["findings"]

# A schedule of any kind. The class is not imported, because it imports this file for its method `lint`.
Rates = Any

# Steps that are looked at; between them a schedule that is not constant changes slowly.
SAMPLES = 10_000
# Rates that differ by less are the same.
SAME = 1e-6


def findings(schedule: Rates, saved: tuple[int, float] | None) -> list[str]:
    """Everything that is found, in the order of the steps."""
    last = schedule._end() or _period(schedule) or max(4 * max(schedule._seams(), default=0), 1000)
    found = [*_parts(schedule), *_beginning(schedule, last), *_jumps(schedule, last), *_ending(schedule, last)]
    return found + (_resume(schedule, *saved) if saved else [])


def _period(schedule: Rates) -> int | None:
    """The step that a wave is at its end first, though it goes on."""
    found: int | None = schedule.total_steps - schedule.offset if schedule.shape == "cosine_wave" else None
    return None if found is None else max(found, 1)


def _sample(schedule: Rates, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    steps = np.unique(np.linspace(first, max(first, last), SAMPLES).astype(np.int64))
    return steps, schedule(steps)


def _leaves(schedule: Rates) -> Iterator[Rates]:
    """The single shapes that a schedule is made of."""
    if schedule.shape in ("chain", "product"):
        for part in schedule.schedules:
            yield from _leaves(part)
    else:
        yield schedule


def _parts(schedule: Rates) -> Iterator[str]:
    """What single shapes say about themselves."""
    if schedule.shape == "chain":
        lengths = [after - before for before, after in pairwise((0, *schedule.at))]
        for i, (part, length) in enumerate(zip(schedule.schedules[:-1], lengths, strict=True)):
            for leaf in _leaves(part):
                if leaf.warmup_steps > length:
                    yield (
                        f"schedules[{i}]: the warm-up of {leaf.warmup_steps} steps is longer than the {length} steps "
                        "of its part of the chain"
                    )
    for leaf in _leaves(schedule):
        if leaf.end > leaf.lr and leaf is schedule:
            yield f"end = {leaf.end:g} is above lr = {leaf.lr:g}: the rate rises"
        if leaf.low is not None and leaf.low > leaf.lr:
            yield f"low = {leaf.low:g} is above lr = {leaf.lr:g}"
        if leaf.start is not None and leaf.start > leaf.lr:
            yield f"start = {leaf.start:g} is above lr = {leaf.lr:g}: the warm-up falls"
        if leaf.gamma is not None and leaf.gamma > 1:
            yield f"gamma = {leaf.gamma:g} is above 1: the rate grows"
        if leaf.total_steps is not None and 2 * leaf.warmup_steps > leaf.total_steps:
            yield f"the warm-up takes {leaf.warmup_steps} of {leaf.total_steps} steps"


def _beginning(schedule: Rates, last: int) -> Iterator[str]:
    """Updates without effect, and rates above the highest one."""
    if schedule(0) == 0 and schedule.lr > 0:
        yield "the rate is 0 at step 0: that update changes nothing (start=None begins above 0)"
    steps, rates = _sample(schedule, 1, last - 1)
    if len(zeros := steps[rates == 0]) and schedule.lr > 0:
        yield f"the rate is 0 at step {zeros[0]}, before the end at step {last}"
    if len(high := steps[rates > schedule.lr * (1 + SAME)]):
        yield f"the rate is above lr = {schedule.lr:g} at step {high[0]}: {schedule(int(high[0])):g}"


def _jumps(schedule: Rates, last: int) -> Iterator[str]:
    """Rates that change at a seam by much more than they do around it."""
    for seam in schedule._seams():
        if 2 <= seam <= last and seam < 2**53 - 3:
            a, b, c, d = schedule(np.arange(seam - 2, seam + 2)).tolist()
            if abs(c - b) > 0.02 * schedule.lr and abs(c - b) > 3 * max(abs(b - a), abs(d - c)):
                yield f"the rate jumps from {b:g} to {c:g} at step {seam}"


def _ending(schedule: Rates, last: int) -> Iterator[str]:
    """Rates that rise towards the end or after it."""
    if (end := _period(schedule)) is not None:
        again = end + int((last + schedule.offset - schedule.warmup_steps) / (2 * schedule.waves))
        if schedule(again) > schedule(end) + SAME * schedule.lr:
            yield f"the rate rises again after its end at step {end}: it is {schedule(again):g} at step {again}"
    if last >= 10 and not _goes_on(schedule):
        before = schedule(last - 1)
        _, rates = _sample(schedule, last - last // 10, last - 1)
        if before > rates.min() + 0.02 * schedule.lr:
            yield (
                f"the rate rises towards the end: it is {before:g} at step {last - 1}, and was {rates.min():g} shortly "
                "before"
            )


def _goes_on(schedule: Rates) -> bool:
    """Whether there is no end."""
    return schedule._end() is None and _period(schedule) is None


def _resume(schedule: Rates, step: int, rate: float) -> list[str]:
    now = schedule(step)
    if abs(now - rate) <= SAME * max(abs(rate), abs(now)):
        return []
    return [f"resuming at step {step} changes the rate from {rate:g} to {now:g}"]
