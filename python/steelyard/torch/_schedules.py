"""Options that are functions of the number of updates: they stand beside the groups, which hold numbers as in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Scheduled", "Schedules"]

# A number, or a function of the number of updates already made.
Scheduled = float | Callable[[int], float]

# The options that may be functions, or (betas) a pair of which one is.
SCHEDULED = ("lr", "weight_decay", "betas")
# Checks an option's value. It takes the option's name, the index of its group (None: the optimizer), and the value.
Check = Callable[[str, int | None, Any], Any]


class Schedules:
    """The functions of the groups that have some.

    ``group["lr"]`` stays a number, so that torch's schedulers, loggers and ``torch.load(weights_only=True)`` can read
    it. While another number stands there that somebody wrote, it holds and not the function; a function that is written
    there takes the other's place. Numbers are compared by their value, which a copy or a pickle keeps.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._of: dict[tuple[int, str], Any] = {}
        self._given: dict[tuple[int, str], Any] = {}
        self._defaults: dict[str, Any] = {}

    def take_defaults(self, defaults: dict[str, Any]) -> None:
        """Keep the functions among the options of an optimizer, and put their first values in their places."""
        for option in SCHEDULED:
            if _has_function(given := defaults.get(option)):
                self._defaults[option] = given
                defaults[option] = self._check(option, None, _value(given, 0))

    def give_defaults(self, group: dict[str, Any]) -> None:
        """Give a new group the functions of the optimizer, for what it does not say itself."""
        for option, function in self._defaults.items():
            group.setdefault(option, function)

    def drop(self, index: int) -> None:
        """Forget the last group, which was not added."""
        for option in SCHEDULED:
            self._of.pop((index, option), None)

    def set(self, groups: list[dict[str, Any]], updates: int) -> None:
        """Write what the functions give after this many updates."""
        for index, group in enumerate(groups):
            for option in SCHEDULED:
                value, key = group.get(option), (index, option)
                if _has_function(value):
                    self._of[key] = value
                elif key not in self._of or not _is_same(value, self._given.get(key)):
                    continue
                group[option] = self._given[key] = self._check(option, index, _value(self._of[key], updates))

    def keep(self, groups: list[dict[str, Any]]) -> None:
        """Take the numbers of groups that were just loaded as those of the functions."""
        for index, option in self._of:
            self._given[index, option] = groups[index][option]


def _has_function(value: Any) -> bool:
    return callable(value) or (isinstance(value, tuple | list) and any(map(callable, value)))


def _value(given: Any, updates: int) -> Any:
    """The value of a function, or of a pair of which one is, after this many updates."""
    if callable(given):
        return given(updates)
    return tuple(item(updates) if callable(item) else item for item in given)


def _is_same(value: Any, given: Any) -> bool:
    return type(value) is type(given) and bool(value == given)
