"""The one door for arrays: foreign objects become NumPy arrays that the core can borrow.

Taken without a copy: NumPy arrays, torch CPU tensors (bfloat16 too), and whatever ``numpy.asarray`` shares
(JAX arrays on the CPU, Arrow arrays, frame columns). Lists and tuples are copied. A bfloat16 array travels
as the uint16 view of its bits: in the core, uint16 where floats are expected *is* bfloat16.

Refused by name rather than misread: masked arrays and nulls (``asarray`` drops them silently), tensors that
are not on the CPU, object, complex and extended-precision arrays.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._foreign import is_refusal
from ._strides import coded, converted, kept, listed, strides
from .errors import shown, type_error, value_error

__all__ = ["booleans", "codes", "describe", "floats", "integers", "plain", "to_float64"]

Array = NDArray[Any]
# NumPy has no bfloat16. Inside this module its bits are a two-byte void, which keeps shape and strides and
# cannot be mistaken for numbers.
BF16: np.dtype[Any] = np.dtype("V2")
FLOATS = ("float32", "float64", "float16", "bfloat16")


def describe(x: Any) -> str:
    """Say what arrived: ``float32 array of shape (3, 4)``, ``torch.float32 tensor on cuda:0``, ``list``."""
    if is_tensor(x):
        return f"{x.dtype} tensor of shape {tuple(x.shape)} on {x.device}"
    if isinstance(x, np.ndarray | np.generic):
        return f"{x.dtype} array of shape {x.shape}"
    return shown(x) if isinstance(x, str | int | float) or x is None else type(x).__name__


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a torch tensor or parameter, without importing torch."""
    # Asked for every leaf of a tree: `any` over a generator takes several times as long.
    for kind in type(x).__mro__:  # noqa: SIM110
        if kind.__name__ == "Tensor" and kind.__module__.partition(".")[0] == "torch":
            return True
    return False


def _from_tensor(x: Any, name: str) -> Array:
    """Share the memory of a torch CPU tensor; bfloat16 as its bits."""
    if x.device.type != "cpu":
        raise type_error(name, "a tensor on the CPU", describe(x), f"pass {name}.cpu()")
    torch = sys.modules["torch"]
    try:
        if x.dtype == torch.bfloat16:
            bits: Array = x.detach().view(torch.uint16).numpy()
            return bits.view(BF16)
        shared: Array = x.detach().numpy()
    except (TypeError, RuntimeError) as error:
        if not is_refusal(error):
            raise
        raise type_error(name, "a dense CPU tensor that NumPy can share", describe(x), f"torch says: {error}") from None
    return shared


def _nulls(x: Any) -> int:
    """How many nulls an Arrow array or a frame column says it has."""
    count = getattr(x, "null_count", 0)
    return int(count() if callable(count) else count)


def _as_array(x: Any, name: str) -> Array:
    try:
        return listed(x) if isinstance(x, list | tuple) else np.asarray(x)
    except Exception as error:
        if not is_refusal(error):
            raise
        got = "rows of unequal length" if isinstance(x, list | tuple) else shown(x)
        raise type_error(name, "an array", got) from None


def plain(x: Any, name: str) -> Array:
    """Turn ``x`` into a native-endian, aligned NumPy array of its own dtype, copying only where it must.

    Raises
    ------
    TypeError
        For masked arrays, tensors off the CPU, and what NumPy can only hold as objects.
    ValueError
        For nulls; for memory that its owner has moved or given up.
    """
    if isinstance(x, np.ma.MaskedArray):
        raise type_error(name, "a plain array", "a masked array", f"pass {name}.filled(...) or use where=")
    if is_tensor(x):
        return _from_tensor(x, name)
    if isinstance(x, str | bytes | dict | set) or x is None:
        raise type_error(name, "an array", describe(x))
    if nulls := _nulls(x):
        raise value_error(name, "no nulls", f"{nulls} of them", "drop or fill those rows first")
    array = _as_array(x, name)
    if array.base is not None:
        _core.check_memory(array, name)
    if array.dtype.name == "bfloat16":  # ml_dtypes, JAX
        array = array.view(BF16)
    if array.dtype == object:
        raise type_error(name, "numbers, booleans or strings", "an array of Python objects", "convert it first")
    if not array.dtype.isnative or not array.flags.aligned:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _check_ndim(array: Array, name: str, ndim: int | tuple[int, ...] | None) -> None:
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(str(n) for n in allowed)
        raise value_error(name, f"{axes} {'axis' if axes == '1' else 'axes'}", f"shape {array.shape}")


def floats(
    x: Any,
    name: str,
    *,
    ndim: int | tuple[int, ...] | None = None,
    contiguous: bool = True,
    numbers: bool = False,
) -> Array:
    """Floating-point values as float32, float64, float16, or uint16 holding the bits of bfloat16.

    Parameters
    ----------
    ndim : int or tuple of int, optional
        The number of axes that is allowed.
    contiguous : bool
        Copy what is not C-contiguous; ``False`` leaves strides as they are.
    numbers : bool
        Take integers and booleans too, as float64.
    """
    array = plain(x, name)
    bf16 = array.dtype == BF16
    if numbers and array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if not bf16 and array.dtype.name not in FLOATS:
        fix = "for bfloat16 pass a torch or ml_dtypes array" if array.dtype == np.uint16 else ""
        kinds = "numbers" if numbers else " or ".join(FLOATS)
        raise type_error(name, kinds, describe(array), fix)
    _check_ndim(array, name, ndim)
    if contiguous:
        array = _contiguous(array)
    return array.view(np.uint16) if bf16 else array


def to_float64(array: Array) -> NDArray[np.float64]:
    """What :func:`floats` returned as float64, exactly; uint16 is bfloat16."""
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float64, copy=False)


def _contiguous(array: Array) -> Array:
    """C-contiguous, keeping zero axes zero."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def integers(x: Any, name: str, *, ndim: int | tuple[int, ...] | None = None, native: bool = False) -> Array:
    """Whole numbers as contiguous int64, or in their own integer dtype with ``native=True``."""
    array = plain(x, name)
    if array.dtype.kind not in "iu":
        raise type_error(name, "integers", describe(array))
    _check_ndim(array, name, ndim)
    if native:
        return _contiguous(array)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise value_error(name, "integers below 2**63", str(array.max()))
    return _contiguous(array.astype(np.int64, copy=False))


def booleans(x: Any, name: str, shape: tuple[int, ...] | None = None) -> NDArray[np.bool_]:
    """A contiguous boolean array of the given shape (a mask, say).

    It is a copy: a mask is looked at more than once (counted, applied, passed on), and the caller's may be rewritten by
    another thread between two looks.
    """
    array = plain(x, name)
    if array.dtype != np.bool_:
        raise type_error(name, "booleans", describe(array))
    if shape is not None and array.shape != shape:
        raise value_error(name, f"shape {shape}", f"shape {array.shape}")
    return np.array(array, order="C")


def codes(ids: Any, name: str, n: int, keep: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int64], Array]:
    """Cluster ids as codes: ``ids == unique[codes]``, the unique ids sorted.

    Parameters
    ----------
    ids : array of int, bool, str, float or bytes, shape [n]
        What rows with one id have in common: a document, a user.
    keep : boolean array, shape [n], optional
        Code these rows alone; the others may lack an id.

    Returns
    -------
    codes : int64, one a row that is kept
    unique : array
        Sorted, so that the codes do not depend on the order of the rows.
    """
    array = _id_array(ids, name, n, keep)
    if array.dtype.kind not in "iubSUfM":
        raise type_error(name, "integers or strings", describe(array))
    if array.dtype.kind == "f" and np.isnan(array).any():
        first = int(np.flatnonzero(np.isnan(array))[0])
        raise value_error(name, "an id for every row", f"NaN at index {first}", "drop those rows with where=")
    if array.dtype.kind == "M" and np.isnat(array).any():
        first = int(np.flatnonzero(np.isnat(array))[0])
        raise value_error(name, "an id for every row", f"NaT at index {first}", "drop those rows with where=")
    return coded(array)


def _listed(ids: Any, name: str) -> Array:
    """Ids as an array that keeps what each one is: NumPy makes the text "nan" of a NaN beside texts."""
    if isinstance(ids, np.ma.MaskedArray) or not (isinstance(ids, list | tuple) or hasattr(ids, "__array__")):
        return plain(ids, name)
    array = _as_array(ids, name)
    mixed = isinstance(ids, list | tuple) and array.ndim == 1 and array.dtype.kind in "US"
    if mixed and not all(isinstance(item, str | bytes) for item in ids):
        array = np.empty(len(ids), object)
        for step in strides(len(ids)):
            array[step] = ids[step]
    return array


def shape_of(x: Any, name: str) -> tuple[int, ...]:
    """The shape of an array, of nested lists, or of one thing."""
    try:
        return listed(x).shape if isinstance(x, list | tuple) else np.shape(x)
    except Exception as error:
        if not is_refusal(error):
            raise
        raise type_error(name, "an array", shown(x)) from None


def _id_array(ids: Any, name: str, n: int, keep: NDArray[np.bool_] | None) -> Array:
    """Ids as an array; strings in an object array (a frame column) become a string array."""
    given = _listed(ids, name)
    if given.shape != (n,):
        raise value_error(name, f"one id a row, shape ({n},)", f"shape {given.shape}")
    if keep is not None:
        given = kept(given, keep)
    if given.dtype != object:
        return plain(given, name)
    kinds = {type(item) for step in strides(len(given)) for item in given[step].tolist()}
    if kinds == {str}:
        return converted(given, np.str_)
    if kinds <= {int, bool}:
        try:
            return converted(given, np.int64)
        except OverflowError:
            raise value_error(name, "whole numbers below 2**63", "larger ones", "pass them as strings") from None
    first = next((i for i, item in enumerate(given.tolist()) if item is None or item != item), None)
    if first is not None:
        raise value_error(name, "an id for every row", f"none at index {first}", "drop those rows with where=")
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise type_error(name, "ids of one type, integers or strings", found)
