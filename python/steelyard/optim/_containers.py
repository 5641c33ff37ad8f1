"""What a tree of arrays can be made of, and what is inside each container.

A dictionary (any ``Mapping``), a list or tuple, an iterator, a named tuple, a dataclass, and any class that is
registered with JAX as a pytree (those of equinox and flax are). JAX is asked only where the program has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from .._arrays import is_tensor

# The types of dictionaries. dict comes first because most are dicts and isinstance with Mapping is slow.
DICTIONARY = (dict, Mapping)
LIST = (list, tuple)
ONCE = (Iterator, ValuesView)


class Field(str):
    """The name of a field of a named tuple, a dataclass or another object."""

    __slots__ = ()


class Inside(NamedTuple):
    """The keys of a container (for a list, the indices) and its items."""

    keys: Any
    values: Iterable[Any]


def inside(tree: Any) -> Inside | None:
    """Return the keys and items of a container, None for a leaf. An iterator is consumed."""
    if type(tree) is np.ndarray:  # the most common case, tested first because the other tests are slow
        return None
    if isinstance(tree, DICTIONARY):
        return Inside(tree.keys(), tree.values())
    if isinstance(tree, LIST):
        return Inside(tuple_fields(tree) or range(len(tree)), tree)
    if isinstance(tree, ONCE):
        items = tuple(tree)
        return Inside(range(len(items)), items)
    return node(tree)


def tuple_fields(tree: Any) -> tuple[Field, ...]:
    """Return the fields of a named tuple; an empty tuple for other sequences."""
    names = getattr(tree, "_fields", None) if isinstance(tree, tuple) else None
    named = isinstance(names, tuple) and len(names) == len(tree) and all(isinstance(name, str) for name in names)
    return tuple(map(Field, names)) if named and names else ()


def node(tree: Any) -> Inside | None:
    """Return the fields of a dataclass, or the children of a pytree that JAX knows; None for a leaf.

    JAX is asked first, because what it calls static is no parameter.
    """
    if isinstance(tree, np.ndarray | np.generic | type) or is_tensor(tree):
        return None
    found = _pytree(tree) if "jax" in sys.modules else None
    if found is None and is_dataclass(tree) and not type(tree).__module__.startswith("steelyard."):
        names = [item.name for item in fields(tree)]
        found = Inside(tuple(map(Field, names)), [getattr(tree, name) for name in names])
    return found


def _pytree(tree: Any) -> Inside | None:
    """The children of a node that is registered with JAX; None where ``tree`` is a leaf to JAX."""
    from jax import tree_util

    below = iter((False,))  # the first object asked about is the tree itself; everything below it counts as a leaf
    flat, _ = tree_util.tree_flatten_with_path(tree, is_leaf=lambda _: next(below, True))
    if len(flat) == 1 and not flat[0][0]:
        return None
    keys = [path[0] for path, _ in flat]
    values = [value for _, value in flat]
    if all(type(key) is tree_util.GetAttrKey for key in keys):
        return Inside(tuple(Field(key.name) for key in keys), values)
    return Inside(range(len(keys)), values)
