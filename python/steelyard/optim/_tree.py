"""Trees of arrays: an array, or dictionaries, lists and tuples of them, nested as the caller likes.

A leaf is named by its path as the caller would write it, ``["layers"][3]["w"]``, and stands in a saved
state under ``layers/3/w``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import describe, floats, is_tensor
from ..errors import type_error, value_error

Array = NDArray[Any]


@dataclass(frozen=True)
class Leaf:
    """One array of a tree: its path, its key in a saved state, and the object that was there."""

    path: str
    key: str
    value: Any


def leaves(tree: Any, path: str = "", key: str = "") -> Iterator[Leaf]:
    """Every leaf, depth first, in the order of the caller's containers."""
    if isinstance(tree, Mapping):
        for name, item in tree.items():
            yield from leaves(item, f"{path}[{_literal(name)}]", _join(key, str(name)))
    elif isinstance(tree, list | tuple):
        for i, item in enumerate(tree):
            yield from leaves(item, f"{path}[{i}]", _join(key, str(i)))
    else:
        yield Leaf(path, key, tree)


def _literal(name: Any) -> str:
    if not isinstance(name, str):
        return repr(name)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _join(key: str, name: str) -> str:
    return f"{key}/{name}" if key else name


@dataclass(frozen=True)
class Outline:
    """A container of a tree, without what is in it.

    Attributes
    ----------
    keys : the keys of a dictionary; None for a list or a tuple
    items : the outline of what stands at each key or index; None for an array
    flat : whether all of them are arrays
    """

    keys: tuple[Any, ...] | None
    items: tuple[Outline | None, ...]
    flat: bool


def outline(tree: Any) -> Outline | None:
    """Return the containers of ``tree``, to be compared with those of other trees; None for an array."""
    if type(tree) is np.ndarray:  # most often, and the other questions take their time
        return None
    keys: tuple[Any, ...] | None
    values: Iterable[Any]
    if isinstance(tree, Mapping):
        keys, values = tuple(tree), tree.values()
    elif isinstance(tree, list | tuple):
        keys, values = None, tree
    else:
        return None
    items = tuple(map(outline, values))
    return Outline(keys, items, flat=not any(items))


def matching(tree: Any, like: Outline | None, name: str) -> tuple[Any, ...]:
    """Return the leaves of ``tree``, whose containers must be those of ``like``, in that order."""
    return tuple(_matching(tree, like, name))


def _matching(tree: Any, like: Outline | None, name: str) -> Iterable[Any]:
    if like is None:
        return (tree,)
    values = _values(tree, like, name)
    # All at once: a call for each of ten thousand arrays would cost more than their update.
    return values if like.flat else _each_matching(values, like, name)


def _each_matching(values: Iterable[Any], like: Outline, name: str) -> Iterator[Any]:
    places = range(len(like.items)) if like.keys is None else like.keys
    for value, item, place in zip(values, like.items, places, strict=True):
        yield from _matching(value, item, f"{name}[{_literal(place)}]")


def _values(tree: Any, like: Outline, name: str) -> Iterable[Any]:
    """Return what is in one container, in the order of the outline."""
    if like.keys is not None:
        _check_keys(tree, like.keys, name)
        return map(tree.__getitem__, like.keys)
    if not isinstance(tree, list | tuple):
        raise type_error(name, "a list or tuple, like the parameters", describe(tree))
    if len(tree) != len(like.items):
        raise value_error(name, f"{len(like.items)} items, like the parameters", f"{len(tree)}")
    return tree


def _check_keys(tree: Any, keys: tuple[Any, ...], name: str) -> None:
    if not isinstance(tree, Mapping):
        raise type_error(name, "a dictionary, like the parameters", describe(tree))
    if set(tree) != set(keys):
        lacking = [repr(key) for key in keys if key not in tree]
        extra = [repr(key) for key in tree if key not in keys]
        groups = (("without", lacking), ("also", extra))
        got = "; ".join(f"{word} {', '.join(keys[:3])}" for word, keys in groups if keys)
        raise value_error(name, "the keys of the parameters", f"a dictionary {got}")


def to_write(value: Any, name: str) -> Array:
    """A NumPy array that shares memory with ``value``, so that writing it writes ``value``."""
    if type(value) is np.ndarray:
        return value
    if is_tensor(value):
        return floats(value, name, contiguous=False)
    fix = f"copy it once with numpy.array({name})" if hasattr(value, "__array__") else ""
    raise type_error(name, "a NumPy array or a torch CPU tensor, to update in place", describe(value), fix)


def reader(values: Sequence[Any], path: Callable[[int], str]) -> Callable[[int], Array]:
    """Return what the core asks for an array in the place of a value that is no ordinary one."""
    return lambda i: to_read(values[i], path(i))


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
