"""Trees of arrays: an array, or dictionaries, lists and tuples of them, nested as the caller likes.

A leaf is named by its path as the caller would write it, ``["layers"][3]["w"]``, and stands in a saved
state under ``layers/3/w``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import describe, floats, is_tensor
from ..errors import type_error, value_error

Array = NDArray[Any]

# The containers. Most dictionaries are dicts, and the question whether one is a Mapping takes its time.
DICTIONARY = (dict, Mapping)
LIST = (list, tuple)


@dataclass(frozen=True)
class Leaf:
    """One array of a tree: its path, its key in a saved state, and the object that was there."""

    path: str
    key: str
    value: Any


def leaves(tree: Any, path: str = "", key: str = "") -> Iterator[Leaf]:
    """Every leaf, depth first, in the order of the caller's containers."""
    inside = _inside(tree)
    if inside is None:
        yield Leaf(path, key, tree)
        return
    for name, item in zip(*inside, strict=True):
        yield from leaves(item, f"{path}[{_literal(name)}]", _join(key, str(name)))


def _literal(name: Any) -> str:
    if not isinstance(name, str):
        return repr(name)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _join(key: str, name: str) -> str:
    return f"{key}/{name}" if key else name


def flattened(tree: Any) -> tuple[Any, ...]:
    """Return the leaves without their paths, in the order of :func:`leaves`."""
    inside = _inside(tree)
    return (tree,) if inside is None else tuple(chain.from_iterable(map(flattened, inside[1])))


def _inside(tree: Any) -> tuple[Iterable[Any], Iterable[Any]] | None:
    """Return the keys of a container (the indices of a list) and what stands there; None for a leaf."""
    if type(tree) is np.ndarray:  # most often, and the other questions take their time
        return None
    if isinstance(tree, DICTIONARY):
        return tree.keys(), tree.values()
    return (range(len(tree)), tree) if isinstance(tree, LIST) else None


@dataclass(frozen=True)
class Outline:
    """A container of a tree, without what is in it.

    Attributes
    ----------
    keys : the keys of a dictionary in their order, or the indices of a list or a tuple
    items : the outline of what stands at each; None for a leaf
    """

    keys: tuple[Any, ...] | range
    items: tuple[Outline | None, ...]

    @cached_property
    def names(self) -> frozenset[Any]:
        """The keys, to be looked up."""
        return frozenset(self.keys)

    @cached_property
    def flat(self) -> bool:
        """Whether all items are leaves."""
        return not any(self.items)


def outline(tree: Any) -> Outline | None:
    """Return the containers of ``tree``, to be compared with those of other trees; None for a leaf."""
    inside = _inside(tree)
    if inside is None:
        return None
    keys, values = inside
    return Outline(keys if isinstance(keys, range) else tuple(keys), tuple(map(outline, values)))


def matching(tree: Any, like: Outline | None, name: str) -> tuple[Any, ...]:
    """Return the leaves of ``tree``, whose containers must be those of ``like``, in that order."""
    if like is not None and like.flat:  # as they stand: of ten thousand, even a list of their own takes its time
        return tuple(_values(tree, like, (name,)))
    found: list[Any] = []
    _match(tree, like, (name,), found)
    return tuple(found)


def _match(tree: Any, like: Outline | None, place: tuple[Any, ...], found: list[Any]) -> None:
    """Add the leaves to ``found``; ``place`` is the name and the keys on the way, written out only in an error."""
    if like is None:
        found.append(tree)
        return
    values = _values(tree, like, place)
    if like.flat:
        found.extend(values)
        return
    for value, item, key in zip(values, like.items, like.keys, strict=True):
        _match(value, item, (*place, key), found)


def _values(tree: Any, like: Outline, place: tuple[Any, ...]) -> Iterable[Any]:
    """Return what is in one container, in the order of the outline."""
    if isinstance(like.keys, range):
        if isinstance(tree, LIST) and len(tree) == len(like.keys):
            return tree
        raise _no_such_list(tree, like, _written(place))
    if isinstance(tree, DICTIONARY) and (tree.keys() == like.names or set(tree) == like.names):
        return map(tree.__getitem__, like.keys)
    raise _no_such_dictionary(tree, like, _written(place))


def _no_such_list(tree: Any, like: Outline, name: str) -> Exception:
    if not isinstance(tree, LIST):
        return type_error(name, "a list or tuple, like the parameters", describe(tree))
    count = len(like.keys)
    return value_error(name, f"{count} item{'s' * (count != 1)}, like the parameters", f"{len(tree)}")


def _no_such_dictionary(tree: Any, like: Outline, name: str) -> Exception:
    if not isinstance(tree, DICTIONARY):
        return type_error(name, "a dictionary, like the parameters", describe(tree))
    lacking = [repr(key) for key in like.keys if key not in tree]
    extra = [repr(key) for key in tree if key not in like.names]
    groups = (("without", lacking), ("also", extra))
    got = "; ".join(f"{word} {', '.join(keys[:3])}" for word, keys in groups if keys)
    return value_error(name, "the keys of the parameters", f"a dictionary {got}")


def _written(place: tuple[Any, ...]) -> str:
    """A place as the caller would write it."""
    name, *keys = place
    return str(name) + "".join(f"[{_literal(key)}]" for key in keys)


def to_write(value: Any, name: str) -> Array:
    """A NumPy array that shares memory with ``value``, so that writing it writes ``value``."""
    if type(value) is np.ndarray:
        return value
    if is_tensor(value):
        return floats(value, name, contiguous=False)
    fix = f"copy it once with numpy.array({name})" if hasattr(value, "__array__") else ""
    raise type_error(name, "a NumPy array or a torch CPU tensor, to update in place", describe(value), fix)


def all_to_read(values: tuple[Any, ...], path: Callable[[int], str]) -> tuple[Array, ...]:
    """:func:`to_read` of many; the core looks for the few that are no ordinary arrays."""
    return _core.convert_unreadable(values, lambda i: to_read(values[i], path(i)))


def to_read(value: Any, name: str) -> Array:
    """The values as a C-contiguous NumPy array, without a copy wherever they already are one."""
    if value is None:
        raise type_error(name, "a gradient for every parameter", "None")
    return floats(value, name)


def tensors(values: Iterable[Any]) -> list[Any]:
    """The torch tensors among them."""
    return [value for value in values if type(value) is not np.ndarray and is_tensor(value)]


def wrote(written: list[Any]) -> None:
    """Tell autograd which tensors were written behind its back, so that a stale backward raises."""
    if written:
        sys.modules["torch"].autograd.graph.increment_version(written)
