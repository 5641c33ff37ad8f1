"""Options that are functions of the number of updates: they stand beside the groups, which hold numbers as in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Scheduled", "Schedules"]

# A number, or a function of the number of updates already made.
Scheduled = float | Callable[[int], float]

# The options that may be functions, or (betas) a pair of which one is.
SCHEDULED = ("lr", "weight_decay", "betas")
# The entry of a saved group in which a number holds in place of a function: what the function gave last, by option.
_GAVE = "schedule_gave"
# Checks an option's value. It takes the option's name, the index of its group (None: the optimizer), and the value.
Check = Callable[[str, int | None, Any], Any]


@dataclass
class _Driven:
    """A group that has functions. It is known by its identity, which pickles and deep copies of an optimizer keep."""

    group: dict[str, Any]
    functions: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    """What each function gave last."""

    def held(self) -> dict[str, Any]:
        """What the functions gave last in whose places other numbers hold, by option."""
        return {key: given for key, given in self.given.items() if not _is_same(self.group.get(key), given)}


class Schedules:
    """The functions of the groups that have some.

    ``group["lr"]`` stays a number, so that torch's schedulers, loggers and ``torch.load(weights_only=True)`` can read
    it. While another number stands there that somebody wrote, it holds and not the function; a function that is written
    there takes the other's place. Numbers are compared by their value, which a copy or a pickle keeps. Functions belong
    to the group, wherever in ``param_groups`` it stands, and leave with it.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._driven: list[_Driven] = []
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

    def set(self, groups: list[dict[str, Any]], updates: int) -> None:
        """Write what the functions give after this many updates."""
        self.take(groups, updates)
        places = {id(group): index for index, group in enumerate(groups)}
        self._driven = [driven for driven in self._driven if id(driven.group) in places]
        for driven in self._driven:
            index = places[id(driven.group)]
            for option in driven.functions:
                if _is_same(driven.group.get(option), driven.given[option]):
                    self._write(driven, option, index, updates)

    def take(self, groups: list[dict[str, Any]], updates: int) -> None:
        """Take functions that somebody has written into groups, and put their values in their places."""
        for index, group in enumerate(groups):
            for option in SCHEDULED:
                if _has_function(value := group.get(option)):
                    found = [driven for driven in self._driven if driven.group is group]
                    driven = found[0] if found else _Driven(group)
                    given = self._check(option, index, _value(value, updates))
                    driven.functions[option], driven.given[option], group[option] = value, given, given
                    if not found:
                        self._driven.append(driven)

    def _write(self, driven: _Driven, option: str, index: int, updates: int) -> None:
        value = self._check(option, index, _value(driven.functions[option], updates))
        driven.group[option] = driven.given[option] = value

    def save(self, groups: list[dict[str, Any]], saved: list[dict[str, Any]]) -> None:
        """Note in the groups that are saved where a number holds in place of a function."""
        for driven in self._driven:
            for group, packed in zip(groups, saved, strict=True):
                if group is driven.group and (held := driven.held()):
                    packed[_GAVE] = held

    def load(self, before: list[dict[str, Any]], groups: list[dict[str, Any]]) -> None:
        """Let groups that are loaded follow the functions of the groups whose places they take.

        A loaded number is the function's, whoever saved it, unless the note of :meth:`save` says that it holds instead.
        """
        notes = [group.pop(_GAVE, None) for group in groups]
        for driven in self._driven:
            for old, new, note in zip(before, groups, notes, strict=True):
                if old is driven.group:
                    held = note if isinstance(note, Mapping) else {}
                    driven.group = new
                    driven.given = {option: held.get(option, new[option]) for option in driven.functions}
                    break


def _has_function(value: Any) -> bool:
    return callable(value) or (isinstance(value, tuple | list) and any(map(callable, value)))


def _value(given: Any, updates: int) -> Any:
    """The value of a function, or of a pair of which one is, after this many updates."""
    if callable(given):
        return given(updates)
    return tuple(item(updates) if callable(item) else item for item in given)


def _is_same(value: Any, given: Any) -> bool:
    return type(value) is type(given) and bool(value == given)
