"""Trees of arrays: an array, or dictionaries, lists and tuples of them, nested as the caller likes.

A leaf is named by its path as the caller would write it, ``["layers"][3]["w"]``, and stands in a saved
state under ``layers/3/w``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
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


def matching(tree: Any, like: Any, name: str) -> list[Any]:
    """The leaves of ``tree`` in the order of ``like``, which must have the same containers."""
    found: list[Any] = []
    _match(tree, like, name, "", found)
    return found


def _match(tree: Any, like: Any, name: str, path: str, found: list[Any]) -> None:
    if isinstance(like, Mapping):
        _check_keys(tree, like, f"{name}{path}")
        if _all_arrays(like.values()):
            found.extend(map(tree.__getitem__, like))
        else:
            for key, item in like.items():
                _match(tree[key], item, name, f"{path}[{_literal(key)}]", found)
    elif isinstance(like, list | tuple):
        if not isinstance(tree, list | tuple):
            raise type_error(f"{name}{path}", "a list or tuple, like the parameters", describe(tree))
        if len(tree) != len(like):
            raise value_error(f"{name}{path}", f"{len(like)} items, like the parameters", f"{len(tree)}")
        if _all_arrays(like):
            found.extend(tree)
        else:
            for i, (item, other) in enumerate(zip(tree, like, strict=True)):
                _match(item, other, name, f"{path}[{i}]", found)
    else:
        found.append(tree)


def _all_arrays(items: Iterable[Any]) -> bool:
    """Whether all are arrays, and so leaves: a call for each of ten thousand would cost more than their update."""
    return set(map(type, items)) == {np.ndarray}


def to_write(value: Any, name: str) -> Array:
    """A NumPy array that shares memory with ``value``, so that writing it writes ``value``."""
    if type(value) is np.ndarray:
        return value
    if is_tensor(value):
        return floats(value, name, contiguous=False)
    fix = f"copy it once with numpy.array({name})" if hasattr(value, "__array__") else ""
    raise type_error(name, "a NumPy array or a torch CPU tensor, to update in place", describe(value), fix)


def _check_keys(tree: Any, like: Mapping[Any, Any], name: str) -> None:
    if not isinstance(tree, Mapping):
        raise type_error(name, "a dictionary, like the parameters", describe(tree))
    if set(tree) != set(like):
        lacking = [repr(key) for key in like if key not in tree]
        extra = [repr(key) for key in tree if key not in like]
        groups = (("without", lacking), ("also", extra))
        got = "; ".join(f"{word} {', '.join(keys[:3])}" for word, keys in groups if keys)
        raise value_error(name, "the keys of the parameters", f"a dictionary {got}")


def all_to_read(values: list[Any], name: str, paths: list[str]) -> list[Array]:
    """:func:`to_read` of many: the core picks out those that are no ordinary arrays."""
    for i in _core.unreadable(values):
        values[i] = to_read(values[i], f"{name}{paths[i]}")
    return values


def to_read(value: Any, name: str) -> Array:
    """The values as a C-contiguous NumPy array, without a copy wherever they already are one."""
    if value is None:
        raise type_error(name, "a gradient for every parameter", "None")
    return floats(value, name)


def tensors(values: list[Any]) -> list[Any]:
    """The torch tensors among them."""
    return [value for value in values if type(value) is not np.ndarray and is_tensor(value)]


def wrote(written: list[Any]) -> None:
    """Tell autograd which tensors were written behind its back, so that a stale backward raises."""
    if written:
        sys.modules["torch"].autograd.graph.increment_version(written)
