"""Groups of parameters that have options of their own, and the mask of weight decay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import shown, type_error, value_error
from ._tree import Outline, matching

__all__ = ["Groups"]

Predicate = Callable[[str, Any], bool]
# A pattern or a predicate, with the options of the parameters that it selects.
Given = Sequence[tuple[str | Predicate, Mapping[str, Any]]]


@dataclass(frozen=True)
class Leaves:
    """What patterns and predicates see of the parameters."""

    keys: list[str]
    params: tuple[Any, ...]
    outline: Outline | None


@dataclass(frozen=True)
class Group:
    """One group: how it was selected, and the options in which it differs."""

    match: str
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of an optimizer, and which parameters belong to them.

    Attributes
    ----------
    groups : the groups, as they were given
    group_of : for each parameter the number of its group, from 1; 0 where it has none
    decays : for each parameter whether its weight decays; None without a mask
    kinds : the different pairs of a group and of whether weights decay; the first is that of no group
    of_row : for each parameter the index of its kind
    """

    groups: tuple[Group, ...]
    group_of: NDArray[np.uint32]
    decays: NDArray[np.bool_] | None
    kinds: tuple[tuple[int, bool], ...]
    of_row: NDArray[np.uint32]

    @classmethod
    def of(
        cls, groups: tuple[Group, ...], group_of: NDArray[np.uint32], decays: NDArray[np.bool_] | None
    ) -> Groups | None:
        """None where there is neither a group nor a mask."""
        if not groups and decays is None:
            return None
        decaying = np.ones(len(group_of), np.bool_) if decays is None else decays
        pairs = list(zip(group_of.tolist(), decaying.tolist(), strict=True))
        kinds = ((0, True), *sorted(set(pairs) - {(0, True)}))
        index = {kind: number for number, kind in enumerate(kinds)}
        of_row = np.array([index[pair] for pair in pairs], np.uint32)
        return cls(groups, group_of, decays, kinds, of_row)

    def given(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The groups as a caller writes them; a predicate is shown by its name."""
        return tuple((group.match, MappingProxyType(group.options)) for group in self.groups)

    def mask(self, keys: list[str]) -> Mapping[str, bool] | None:
        """The mask of weight decay, by the path of each parameter."""
        return None if self.decays is None else MappingProxyType(dict(zip(keys, self.decays.tolist(), strict=True)))

    def shown(self) -> str:
        """The groups in a few words, for a repr."""
        parts = []
        for number, group in enumerate(self.groups, 1):
            options = ", ".join(f"{name}={value}" for name, value in group.options.items())
            parts.append(f"{group.match!r} ({int((self.group_of == number).sum())}): {options}")
        if self.decays is not None:
            parts.append(f"decaying: {int(self.decays.sum())}")
        return "; ".join(parts)

    def to_dict(self, keys: list[str]) -> dict[str, Any]:
        """Which parameters belong to which group, as it is saved."""
        no_decay = None if self.decays is None else sorted(
            key for key, decays in zip(keys, self.decays.tolist(), strict=True) if not decays
        )  # fmt: skip
        group_of = {key: number for key, number in zip(keys, self.group_of.tolist(), strict=True) if number}
        return {"match": [group.match for group in self.groups], "group_of": group_of, "no_decay": no_decay}


def selected(given: Given, leaves: Leaves) -> tuple[tuple[Group, ...], NDArray[np.uint32]]:
    """Check the groups, and find which parameters belong to each; the first one that matches takes a parameter."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        fix = "pass list(groups.items())" if isinstance(given, Mapping) else ""
        raise type_error("groups", "a list of pairs of a pattern and options", shown(given), fix)
    groups: list[Group] = []
    group_of = np.zeros(len(leaves.keys), np.uint32)
    for index, pair in enumerate(given):
        name = f"groups[{index}]"
        if not (isinstance(pair, Sequence) and len(pair) == 2 and isinstance(pair[1], Mapping)):
            raise type_error(name, "a pair of a pattern or predicate and a dictionary of options", shown(pair))
        found = _matches(pair[0], leaves, name)
        new = found & (group_of == 0)
        if isinstance(pair[0], str) and not new.any():
            got = f"{pair[0]!r}, all of whose parameters are in an earlier group"
            raise value_error(name, "a pattern that selects a parameter", got, "the first that matches wins")
        group_of[new] = index + 1
        groups.append(Group(_text(pair[0]), dict(pair[1])))
    return tuple(groups), group_of


def decaying(mask: Any, leaves: Leaves) -> NDArray[np.bool_] | None:
    """For each parameter whether its weight decays; None without a mask."""
    name = "decay_mask"
    if mask is None:
        return None
    if callable(mask):
        return _matches(mask, leaves, name)
    if isinstance(mask, str):
        mask = [mask]
    if isinstance(mask, bool):
        fix = "weight_decay=0.0 turns all decay off" if not mask else "all weights decay without a mask"
        raise type_error(name, "patterns, a function, or a tree of True and False", shown(mask), fix)
    if isinstance(mask, Sequence) and mask and all(isinstance(item, str) for item in mask):
        return _by_patterns(mask, leaves, name)
    flags = matching(mask, leaves.outline, name)
    for key, value in zip(leaves.keys, flags, strict=True):
        if not isinstance(value, bool | np.bool_):
            raise type_error(f"{name} of {key!r}", "True (the weight decays) or False", shown(value))
    return np.array(flags, np.bool_)


def _by_patterns(patterns: Sequence[str], leaves: Leaves, name: str) -> NDArray[np.bool_]:
    """All patterns name what decays, or, with a leading "!", all name what does not."""
    negative = [pattern.startswith("!") for pattern in patterns]
    if any(negative) != all(negative):
        fix = 'write "!" before all of them to name what does not decay, or before none'
        raise value_error(name, "patterns that all begin with '!', or none", repr(list(patterns)), fix)
    found = np.zeros(len(leaves.keys), np.bool_)
    for index, pattern in enumerate(patterns):
        found |= _matches(pattern.removeprefix("!"), leaves, f"{name}[{index}]")
    return ~found if all(negative) else found


def _matches(match: str | Predicate, leaves: Leaves, name: str) -> NDArray[np.bool_]:
    """Which parameters a pattern or a predicate selects."""
    if callable(match):
        return np.array([_told(match(key, x), key, name) for key, x in zip(leaves.keys, leaves.params, strict=True)])
    if not isinstance(match, str):
        raise type_error(name, "a pattern such as '*.bias', or a function of a path and an array", shown(match))
    # A pattern that names a container selects all that is in it.
    whole = re.compile(translate(match).removesuffix(r"\Z").removesuffix(r"\z") + r"(?:[/.].*)?\Z", re.DOTALL)
    found = np.array([bool(whole.match(key) or whole.match(key.replace("/", "."))) for key in leaves.keys])
    if not found.any():
        some = ", ".join(map(repr, leaves.keys[:3]))
        raise value_error(name, f"a pattern that matches a parameter, such as {some}", repr(match))
    return found


def _told(answer: Any, key: str, name: str) -> bool:
    if not isinstance(answer, bool | np.bool_):
        raise type_error(name, "a function that returns True or False", f"{shown(answer)} for {key!r}")
    return bool(answer)


def _text(match: str | Predicate) -> str:
    name = match if isinstance(match, str) else str(getattr(match, "__name__", type(match).__name__))
    return name if isinstance(match, str) or name.startswith("<") else f"<{name}>"
