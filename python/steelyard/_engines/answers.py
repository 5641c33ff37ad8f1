"""The answers of merged states: that of all rows, or one for each group with limits that hold for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from .._estimate import Estimate
from .._intervals import simultaneous, stack, stricter
from .._mode import standard_mode
from .._rows import nothing_counts
from .._state import State
from .job import Job
from .share import Key, Share, joined

__all__ = ["answer_of", "states_of"]


@standard_mode
def states_of(job: Job, shares: Iterable[bytes]) -> Any:
    """The state of all shares, or the mapping of states; with groups one such for each id, in the order of the ids."""
    share = joined(job.states, shares)
    if job.by is not None:
        return {key: _named(job, share.groups[key][1]) for key in _in_order(share.groups)}
    return _named(job, _of_all(job, share))


def _of_all(job: Job, share: Share) -> list[State]:
    """The states of all rows; Spark may find that there are no partitions, so that there is no share of any."""
    return share.groups[None][1] if share.groups else [state.copy() for state in job.states]


def _named(job: Job, states: list[State]) -> Any:
    return states[0] if job.names is None else dict(zip(job.names, states, strict=True))


def _in_order(groups: dict[Key, Any]) -> list[Any]:
    """The ids in their order: whole numbers, then texts (of truth values, where other partitions hold numbers)."""
    return sorted(groups, key=lambda key: (isinstance(key, str), key))


@standard_mode
def answer_of(job: Job, shares: Iterable[bytes]) -> Any:
    """What the state computes from all shares.

    With groups it is what the call on arrays returns with ``by=``: estimates as one Estimate, other results in a
    mapping, both named by the ids as text, with additional limits that hold for all groups at once. A group of which
    ``where`` leaves no row is omitted.
    """
    share = joined(job.states, shares)
    if job.by is None:
        return _of_all(job, share)[0].compute()  # type: ignore[attr-defined]
    present = {key: share.groups[key][1][0] for key in _in_order(share.groups) if share.groups[key][0]}
    if not present:
        raise nothing_counts("by", "row with a group", {"no group": share.nameless})
    together = getattr(type(job.states[0]), "_together", None)
    if together is not None:
        return together({str(key): state for key, state in present.items()}, share.nameless)
    found = {str(key): _of_group(state, len(present), share.nameless) for key, state in present.items()}
    if all(isinstance(one, Estimate) for one in found.values()):
        return stack(list(found.values()), tuple(found))
    return found


def _of_group(state: Any, groups: int, nameless: int) -> Any:
    """The answer of one of several groups."""
    shown = _counting(state.compute(), nameless)
    if groups == 1:
        return shown
    strict = state._with(confidence_level=stricter(state._confidence, groups).level).compute()
    if isinstance(shown, Estimate):
        return simultaneous(shown, strict)
    return replace(shown, **{
        name: simultaneous(one, getattr(strict, name)) for name, one in _estimates(shown).items()
    })  # fmt: skip


def _counting(shown: Any, nameless: int) -> Any:
    """An answer that also counts the rows without a group, of the whole table."""
    if not nameless:
        return shown
    left_out = {**shown.left_out, "no group": nameless}
    if isinstance(shown, Estimate):
        return replace(shown, left_out=left_out)
    inside = {name: _counting(one, nameless) for name, one in _estimates(shown).items()}
    return replace(shown, left_out=left_out, **inside)


def _estimates(result: Any) -> dict[str, Estimate]:
    """The estimates that a result has."""
    every = {item.name: getattr(result, item.name) for item in fields(result)}
    return {name: one for name, one in every.items() if isinstance(one, Estimate)}
