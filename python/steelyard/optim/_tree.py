"""Trees of arrays: an array, or dictionaries, lists and tuples of them, nested as the caller likes.

A leaf is named by its path as the caller would write it, ``["layers"][3]["w"]``, and stands in a saved
state under ``layers/3/w``. A named tuple is known by its fields, ``.w``; what can be gone through once, such as
``module.parameters()``, is a list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import describe, floats, is_tensor
from .._lazy import lazy
from ..errors import type_error, value_error

Array = NDArray[Any]

# The containers. Most dictionaries are dicts, and the question whether one is a Mapping takes its time.
DICTIONARY = (dict, Mapping)
LIST = (list, tuple)
ONCE = (Iterator, ValuesView)

# Real trees are far flatter; each level takes stack here, and in pickles and copies.
DEEPEST = 64


class Field(str):
    """The name of a field of a named tuple."""

    __slots__ = ()


class _Inside(NamedTuple):
    """The keys of a container (the indices of a list) and what stands there."""

    keys: Any
    values: Iterable[Any]


def _inside(tree: Any) -> _Inside | None:
    """Return what is in a container; None for a leaf. What can be gone through once is used up by this."""
    if type(tree) is np.ndarray:  # most often, and the other questions take their time
        return None
    if isinstance(tree, DICTIONARY):
        return _Inside(tree.keys(), tree.values())
    if isinstance(tree, LIST):
        return _Inside(_fields(tree) or range(len(tree)), tree)
    if isinstance(tree, ONCE):
        items = tuple(tree)
        return _Inside(range(len(items)), items)
    return None


def _fields(tree: Any) -> tuple[Field, ...]:
    """Return the fields of a named tuple; none for other lists."""
    names = getattr(tree, "_fields", None) if isinstance(tree, tuple) else None
    named = isinstance(names, tuple) and len(names) == len(tree) and all(isinstance(name, str) for name in names)
    return tuple(map(Field, names)) if named and names else ()


@dataclass(frozen=True)
class Outline:
    """A container of a tree, without what is in it.

    Attributes
    ----------
    keys : the keys of a dictionary in their order, the fields of a named tuple, or the indices of a list or a tuple
    items : the outline of what stands at each; None for a leaf
    """

    keys: tuple[Any, ...] | range
    items: tuple[Outline | None, ...]

    @lazy
    def names(self) -> frozenset[Any]:
        """The keys, to be looked up."""
        return frozenset(self.keys)

    @lazy
    def flat(self) -> bool:
        """Whether all items are leaves."""
        return not any(self.items)

    @property
    def named(self) -> bool:
        """Whether this is a named tuple."""
        return bool(self.keys) and type(self.keys[0]) is Field


def unfold(tree: Any, name: str, *, written: bool = False) -> tuple[Outline | None, tuple[Any, ...]]:
    """Return the containers of ``tree`` and its leaves, depth first, in the order of the containers.

    Each container is looked into once; with ``written`` a mapping is asked twice for each of its values, since one that
    makes a new object each time would lose what is written.
    """
    found: list[Any] = []
    return _unfold(tree, (name,), (), found, written), tuple(found)


def _unfold(
    tree: Any, place: tuple[Any, ...], above: tuple[Any, ...], found: list[Any], written: bool
) -> Outline | None:
    """Add the leaves to ``found``; ``place`` is the name and the keys on the way, ``above`` the containers."""
    inside = _inside(tree)
    if inside is None:
        found.append(tree)
        return None
    if any(tree is outer for outer in above):
        raise value_error(_written(place), "a container that is not inside itself", f"the {_kind(tree)} around it")
    if len(above) == DEEPEST:
        raise value_error(str(place[0]), f"containers nested at most {DEEPEST} deep", "deeper ones")
    keys = inside.keys if isinstance(inside.keys, range) else tuple(inside.keys)
    values = tuple(inside.values)
    if written and isinstance(tree, DICTIONARY) and type(tree).__getitem__ is not dict.__getitem__:
        _refuse_copies(tree, keys, values, place)
    around = (*above, tree)
    items: list[Outline | None] = []
    for key, value in zip(keys, values, strict=True):
        if type(value) is np.ndarray:  # most often: said here once more, to save a call for each
            found.append(value)
            items.append(None)
        else:
            items.append(_unfold(value, (*place, key), around, found, written))
    return Outline(keys, tuple(items))


def _refuse_copies(tree: Any, keys: Any, values: tuple[Any, ...], place: tuple[Any, ...]) -> None:
    for key, value in zip(keys, values, strict=True):
        if tree[key] is not value:
            got = f"a {_kind(tree)}, which makes a new object each time it is asked"
            name = _written(place)
            raise type_error(
                _written((*place, key)),
                "a mapping that keeps its arrays, to update in place",
                got,
                f"pass dict({name})",
            )


def _kind(tree: Any) -> str:
    return type(tree).__name__


def paths(outline: Outline | None) -> list[str]:
    """Return where each leaf stands, as the caller would write it: ``["layers"][3]["w"]``."""
    return [_written(("", *place)) for place in _places(outline, ())]


def keys(outline: Outline | None) -> list[str]:
    """Return the key of each leaf in a saved state: ``layers/3/w``."""
    return ["/".join(str(key) for key in place) for place in _places(outline, ())]


def _places(outline: Outline | None, above: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if outline is None:
        yield above
        return
    for key, item in zip(outline.keys, outline.items, strict=True):
        yield from _places(item, (*above, key))


def _written(place: tuple[Any, ...]) -> str:
    """A place as the caller would write it."""
    name, *keys = place
    return str(name) + "".join(map(_literal, keys))


def _literal(key: Any) -> str:
    if isinstance(key, Field):
        return f".{key}"
    if not isinstance(key, str):
        return f"[{key!r}]"
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{escaped}"]'


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
    if isinstance(like.keys, range) or like.named:
        if isinstance(tree, ONCE):
            tree = tuple(tree)
        if like.named and (fields := _fields(tree)):
            return _by_field(tree, fields, like, place)
        if isinstance(tree, LIST) and len(tree) == len(like.keys):
            return tree
        raise _no_such_list(tree, like, _written(place))
    if isinstance(tree, DICTIONARY) and (tree.keys() == like.names or set(tree) == like.names):
        return map(tree.__getitem__, like.keys)
    raise _no_such_dictionary(tree, like, _written(place))


def _by_field(tree: Any, fields: tuple[Field, ...], like: Outline, place: tuple[Any, ...]) -> Iterable[Any]:
    """Return the values of a named tuple by the names of its fields, whatever their order."""
    if frozenset(fields) == like.names:
        return [getattr(tree, str(field)) for field in like.keys]
    expected = f"the fields {', '.join(map(str, like.keys))}, like the parameters"
    raise value_error(_written(place), expected, ", ".join(fields))


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


def to_write(value: Any, name: str) -> Array:
    """A NumPy array that shares memory with ``value``, so that writing it writes ``value``; bfloat16 as its bits."""
    if isinstance(value, np.memmap):
        value = value.view(np.ndarray)
    if type(value) is np.ndarray:
        if value.dtype.kind not in "Vu":
            return value
        return floats(value, name, contiguous=False, weights=True)  # not uint16, which might be anything
    if is_tensor(value):
        return floats(value, name, contiguous=False, weights=True)
    raise type_error(
        name, "a NumPy array or a torch CPU tensor, to update in place", describe(value), _fix(value, name)
    )


def all_to_write(values: tuple[Any, ...], path: Callable[[int], str]) -> tuple[Array, ...]:
    """:func:`to_write` of many; the core looks for the few that are no ordinary arrays."""
    return _core.convert_unreadable(values, lambda i: to_write(values[i], path(i)))


def _fix(value: Any, name: str) -> str:
    """What to do about something that is no array to be written."""
    if is_module(value):
        return "pass dict(module.named_parameters())"
    if isinstance(value, str):
        return f"of pairs of a name and an array pass dict({name.partition('[')[0]})"
    return f"copy it once with numpy.array({name})" if hasattr(value, "__array__") else ""


def is_module(x: Any) -> bool:
    """Whether ``x`` is a torch module, ``ParameterList`` and ``ParameterDict`` among them, without importing torch."""
    return any(c.__name__ == "Module" and c.__module__.startswith("torch.nn.") for c in type(x).__mro__)


def all_to_read(values: tuple[Any, ...], path: Callable[[int], str]) -> tuple[Array, ...]:
    """:func:`to_read` of many; the core looks for the few that are no ordinary arrays."""
    return _core.convert_unreadable(values, lambda i: to_read(values[i], path(i)))


def to_read(value: Any, name: str) -> Array:
    """The values as a C-contiguous NumPy array, without a copy wherever they already are one."""
    if value is None:
        raise type_error(name, "a gradient for every parameter", "None")
    refuse_parameter(value, name)
    return floats(value, name, weights=True)


def refuse_parameter(value: Any, name: str) -> None:
    """Refuse a tensor that has a gradient and is none: the weights, where their gradients belong."""
    if is_tensor(value) and value.requires_grad and value.is_leaf:
        fix = "pass p.grad of each parameter p (or p.detach(), if the parameter itself is meant)"
        raise type_error(name, "a gradient", f"a {describe(value)} that requires grad: a parameter", fix)
    if is_module(value):
        fix = "pass {name: p.grad for name, p in module.named_parameters()}"
        raise type_error(name, "gradients", type(value).__name__, fix)


def teller(values: Iterable[Any]) -> tuple[Callable[[Any], object], list[Any]] | None:
    """Return what tells autograd that tensors were written behind its back, and the tensors among ``values``.

    The core calls it: a stale backward pass must raise, whatever interrupts Python meanwhile.
    """
    tensors = [value for value in values if type(value) is not np.ndarray and is_tensor(value)]
    if not tensors:
        return None
    torch = sys.modules["torch"]
    # The function of C, where there is one, runs no Python code that a signal could stop.
    tell = getattr(torch._C, "_increment_version", None) or torch.autograd.graph.increment_version
    return tell, tensors
