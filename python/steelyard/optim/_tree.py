"""Trees of arrays: an array, or containers of them (see :mod:`._containers`), nested as the caller likes.

In messages a leaf is named by its path as the caller would write it, ``["layers"][3]["w"]``; in a saved state its key
is ``layers/3/w``. The items of a named tuple or a dataclass are named by its fields, ``.w``. An iterator, such as
``module.parameters()``, is treated as a list. None is a leaf that is not there: a frozen parameter, or the lack of a
gradient.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import describe, floats, is_tensor
from .._lazy import lazy
from ..errors import type_error, value_error
from ._containers import DICTIONARY, LIST, ONCE, Field, inside, node, tuple_fields

Array = NDArray[Any]

# The deepest nesting that is accepted, far more than real trees have: each level takes stack here, in pickles and in
# copies.
DEEPEST = 64


@dataclass(frozen=True)
class Outline:
    """The structure of a container, without its leaves.

    Attributes
    ----------
    keys : the keys of a dictionary in their order, the fields of a named tuple, or the indices of a list or a tuple
    items : for each key the outline of the container there, or None for a leaf
    """

    keys: tuple[Any, ...] | range
    items: tuple[Outline | None, ...]

    @lazy
    def names(self) -> frozenset[Any]:
        """The keys as a set, for fast comparison."""
        return frozenset(self.keys)

    @lazy
    def flat(self) -> bool:
        """Whether all items are leaves."""
        return not any(self.items)

    @lazy
    def count(self) -> int:
        """The number of leaves."""
        return sum(1 if item is None else item.count for item in self.items)

    @property
    def named(self) -> bool:
        """Whether the items are the fields of a named tuple, a dataclass or another object."""
        return bool(self.keys) and type(self.keys[0]) is Field


class Absent(Outline):
    """None in the place of a leaf or a container: there is no parameter here."""


ABSENT = Absent((), ())


def unfold(tree: Any, name: str, *, written: bool = False) -> tuple[Outline | None, tuple[Any, ...]]:
    """Return the structure of ``tree`` and its leaves, depth first, in the order of the containers.

    Each container is read once. With ``written``, each value of a mapping is read twice and must be the same object:
    into a mapping that makes a new object at each access, writing would have no effect.
    """
    found: list[Any] = []
    return _unfold(tree, (name,), (), found, written), tuple(found)


def _unfold(
    tree: Any, place: tuple[Any, ...], above: tuple[Any, ...], found: list[Any], written: bool
) -> Outline | None:
    """Append the leaves to ``found``.

    ``place`` is the argument's name and the keys that lead here; ``above`` the containers that lead here, by which a
    container inside itself is recognised.
    """
    if tree is None:
        return ABSENT
    found_inside = inside(tree)
    if found_inside is None:
        found.append(tree)
        return None
    if any(tree is outer for outer in above):
        raise value_error(_written(place), "a container that is not inside itself", f"the {_kind(tree)} around it")
    if len(above) == DEEPEST:
        raise value_error(str(place[0]), f"containers nested at most {DEEPEST} deep", "deeper ones")
    keys = found_inside.keys if isinstance(found_inside.keys, range) else tuple(found_inside.keys)
    values = tuple(found_inside.values)
    if written and isinstance(tree, DICTIONARY) and type(tree).__getitem__ is not dict.__getitem__:
        _refuse_copies(tree, keys, values, place)
    around = (*above, tree)
    items: list[Outline | None] = []
    for key, value in zip(keys, values, strict=True):
        if type(value) is np.ndarray:  # tested here too, because it saves a function call for most leaves
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
    """Return the path of each leaf as the caller would write it: ``["layers"][3]["w"]``."""
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
    """A path as the caller would write it."""
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
    """Return the leaves of ``tree`` in the order of ``like``; raise where its structure differs.

    None stands for a leaf that is not there, or for a container none of whose leaves are.
    """
    if like is not None and like.flat and tree is not None:
        # Returned without a copy: for ten thousand leaves even a new list costs time.
        return tuple(_values(tree, like, (name,)))
    found: list[Any] = []
    _match(tree, like, (name,), found)
    return tuple(found)


def _match(tree: Any, like: Outline | None, place: tuple[Any, ...], found: list[Any]) -> None:
    """Append the leaves to ``found``; ``place`` is the argument's name and the keys that lead here, for errors."""
    if like is None:
        found.append(tree)
        return
    if tree is None:
        found.extend([None] * like.count)
        return
    values = _values(tree, like, place)
    if like.flat:
        found.extend(values)
        return
    for value, item, key in zip(values, like.items, like.keys, strict=True):
        _match(value, item, (*place, key), found)


def _values(tree: Any, like: Outline, place: tuple[Any, ...]) -> Iterable[Any]:
    """Return the items of one container, in the order of the outline."""
    if isinstance(like.keys, range) or like.named:
        return _in_order(tree, like, place)
    if isinstance(like, Absent):
        raise value_error(_written(place), "None, as there is no parameter here", describe(tree))
    if isinstance(tree, DICTIONARY) and (tree.keys() == like.names or set(tree) == like.names):
        return map(tree.__getitem__, like.keys)
    raise _no_such_dictionary(tree, like, _written(place))


def _in_order(tree: Any, like: Outline, place: tuple[Any, ...]) -> Iterable[Any]:
    """Return the items of a list, or of an object with fields, in the order of the outline."""
    if isinstance(tree, ONCE):
        tree = tuple(tree)
    found = None if isinstance(tree, LIST) else node(tree)
    fields = tuple_fields(tree) if found is None else found.keys
    if like.named and fields and not isinstance(fields, range):
        return _by_field(tree, fields, like, place)
    if found is not None:
        tree = tuple(found.values)
    if isinstance(tree, LIST) and len(tree) == len(like.keys):
        return tree
    raise _no_such_list(tree, like, _written(place))


def _by_field(tree: Any, fields: tuple[Field, ...], like: Outline, place: tuple[Any, ...]) -> Iterable[Any]:
    """Return the values of an object, matched by the names of its fields, in the order of the outline."""
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
        return floats(value, name, contiguous=False, weights=True)  # refuses uint16, whose meaning is unknown
    if is_tensor(value):
        return floats(value, name, contiguous=False, weights=True)
    raise type_error(
        name, "a NumPy array or a torch CPU tensor, to update in place", describe(value), _fix(value, name)
    )


def all_to_write(values: tuple[Any, ...], path: Callable[[int], str]) -> tuple[Array, ...]:
    """:func:`to_write` for many values; the core finds the few that are not plain NumPy arrays."""
    return _core.convert_unreadable(values, lambda i: to_write(values[i], path(i)))


def _fix(value: Any, name: str) -> str:
    """The hint in the error for a value that cannot be written in place."""
    if is_module(value):
        return "pass dict(module.named_parameters())"
    if isinstance(value, str):
        return f"of pairs of a name and an array pass dict({name.partition('[')[0]})"
    if hasattr(type(value), "__attrs_attrs__"):
        return f"pass attrs.asdict({name}, recurse=False)"
    if hasattr(value, "__array__"):
        return f"copy it once with numpy.array({name})"
    if name.endswith('["lr"]') or name.endswith('["weight_decay"]'):
        return "options of some parameters are given with groups="
    return f"pass vars({name})" if hasattr(value, "__dict__") and not isinstance(value, type) else ""


def is_module(x: Any) -> bool:
    """Whether ``x`` is a torch module, ``ParameterList`` and ``ParameterDict`` among them, without importing torch."""
    return any(c.__name__ == "Module" and c.__module__.startswith("torch.nn.") for c in type(x).__mro__)


def all_to_read(values: tuple[Any, ...], path: Callable[[int], str]) -> tuple[Array, ...]:
    """:func:`to_read` for many values; the core finds the few that are not plain NumPy arrays."""
    return _core.convert_unreadable(values, lambda i: to_read(values[i], path(i)))


def all_that_there_are(values: tuple[Any, ...], path: Callable[[int], str]) -> tuple[Array | None, ...]:
    """:func:`all_to_read`, but None stays None: no gradient."""
    convert: Callable[[int], Any] = lambda i: None if values[i] is None else to_read(values[i], path(i))  # noqa: E731
    return _core.convert_unreadable(values, convert)


def to_read(value: Any, name: str) -> Array:
    """The values as a C-contiguous NumPy array; copied only where they are not one already."""
    refuse_parameter(value, name)
    return floats(value, name, weights=True)


def refuse_parameter(value: Any, name: str) -> None:
    """Refuse a torch parameter where a gradient is expected: the weights were passed instead of their gradients."""
    if is_tensor(value) and value.requires_grad and value.is_leaf:
        fix = "pass p.grad of each parameter p (or p.detach(), if the parameter itself is meant)"
        raise type_error(name, "a gradient", f"a {describe(value)} that requires grad: a parameter", fix)
    if is_module(value):
        fix = "pass {name: p.grad for name, p in module.named_parameters()}"
        raise type_error(name, "gradients", type(value).__name__, fix)


def teller(values: Iterable[Any]) -> tuple[Callable[[Any], object], list[Any]] | None:
    """Return the function that raises torch's version counters, and the tensors among ``values``; None without any.

    After a parameter was written in place, a backward pass that needs the old value must raise. The core calls the
    function as part of the update, so that an interrupt cannot come between the two.
    """
    tensors = [value for value in values if type(value) is not np.ndarray and is_tensor(value)]
    if not tensors:
        return None
    torch = sys.modules["torch"]
    # Where torch has this C function it is preferred: it runs no Python code, which a signal could interrupt.
    tell = getattr(torch._C, "_increment_version", None) or torch.autograd.graph.increment_version
    return tell, tensors
