"""Learning rates that a schedule gives: the function stands beside the groups, which hold numbers as in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._options import at_least_zero

__all__ = ["Rates"]

Schedule = Callable[[int], float]


class Rates:
    """The schedules of the groups that have one.

    ``group["lr"]`` stays a number, so that torch's schedulers, loggers and ``torch.load(weights_only=True)`` can read
    it. A number that somebody else writes there takes the schedule's place; a function that is written there becomes
    the group's schedule.
    """

    def __init__(self) -> None:
        self._of: dict[int, Schedule] = {}
        self._given: dict[int, float] = {}

    def set(self, groups: list[dict[str, Any]], updates: int, place: Callable[[int], str]) -> None:
        """Write the rate of each group that has a schedule, after this many updates."""
        for index, group in enumerate(groups):
            rate = group["lr"]
            if callable(rate):
                self._of[index] = rate
            elif index in self._of and rate is not self._given.get(index):
                del self._of[index]
            if index in self._of:
                found = at_least_zero(f"{place(index)}['lr']", self._of[index](updates))
                group["lr"] = self._given[index] = found

    def keep(self, groups: list[dict[str, Any]]) -> None:
        """Take the rates of groups that were just loaded as the schedules' own."""
        for index in self._of:
            self._given[index] = groups[index]["lr"]
