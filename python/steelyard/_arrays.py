"""Conversion of every array argument: objects of other libraries become NumPy arrays that the core can borrow.

NumPy arrays, torch CPU tensors (including bfloat16) and whatever ``numpy.asarray`` can share (JAX arrays on the CPU,
Arrow arrays, columns of frames) are taken without a copy. Lists, tuples, object arrays, columns with nulls, bit-packed
booleans and categorical columns are copied. NumPy has no bfloat16, so such an array is passed on as the uint16 view of
its bits: where the core expects floats, uint16 means bfloat16.

A missing value is treated alike in every container (a null, None, NaN, ``pandas.NA``, NaT or a masked entry): it
becomes NaN where numbers are expected, and is refused with its index where NaN has no meaning (integers, masks, ids).
See ``docs/decisions/0009-containers.md``.

Some arguments are refused with an explanation, because guessing could misread them: tensors that are not on the CPU or
that require grad, tables where one column is expected, complex and extended-precision arrays, and objects that are
not numbers, texts or dates.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._foreign import is_refusal
from ._frames import aligned, column, library, names_of, one_of
from ._objects import comparable, kinds_of, numbers_alone, typed
from ._strides import coded, coded_objects, converted, kept, listed, near, side_by_side, strides
from .errors import shown, type_error, value_error

__all__ = [
    "aligned", "booleans", "codes", "describe", "first_index", "flat_ids", "floats", "id_column", "integers",
    "is_tensor", "items", "labels", "names_of", "one_of", "plain", "shape_of", "to_float64",
]  # fmt: skip

Array = NDArray[Any]
Mask = NDArray[np.bool_]
# NumPy has no bfloat16. Inside this module its bits are a two-byte void, which keeps shape and strides and
# cannot be mistaken for numbers.
BF16: np.dtype[Any] = np.dtype("V2")
FLOATS = ("float32", "float64", "float16", "bfloat16")
# What error messages call the content of an array, by the kind of its NumPy dtype.
WORDS = {"U": "texts", "S": "bytes", "M": "dates"}
# What to pass instead of a result object of this package, for the error message when one is passed as an array.
COLUMNS_OF = {
    "Run": "pass one of its columns, such as run.score",
    "Runs": "pass a column of one of its runs, such as runs.runs[0].score",
    "Scores": 'pass one of its columns, such as scores["name"]',
    "TokenScores": "pass t.nll, with where=t.counted",
    "PreferenceLoss": "pass one of its columns, such as out.losses",
    "PolicyLoss": "pass out.losses, or out.gradient",
    "Advantages": "pass out.advantages",
    "Reliability": "pass the probabilities themselves",
    "Estimate": "pass the values that it is the mean of",
    "BootstrapEstimate": "pass the values that it is the mean of",
    "Comparison": "pass the scores that it compares",
}


def describe(x: Any) -> str:
    """Say what arrived: ``float32 array of shape (3, 4)``, ``torch.float32 tensor on cuda:0``, ``list``."""
    if is_tensor(x):
        return f"{x.dtype} tensor of shape {tuple(x.shape)} on {x.device}"
    if isinstance(x, np.ndarray | np.generic):
        return f"{x.dtype} array of shape {x.shape}"
    return shown(x) if isinstance(x, str | int | float) or x is None else type(x).__name__


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a torch tensor or parameter, without importing torch."""
    # Called for every leaf of a tree of parameters: `any` over a generator takes several times as long.
    for kind in type(x).__mro__:  # noqa: SIM110
        if kind.__name__ == "Tensor" and kind.__module__.partition(".")[0] == "torch":
            return True
    return False


def _from_tensor(x: Any, name: str, weights: bool) -> Array:
    """Return an array that shares the memory of a torch CPU tensor; bfloat16 as its bits."""
    if x.device.type != "cpu":
        raise type_error(name, "a tensor on the CPU", describe(x), f"pass {name}.cpu()")
    if x.requires_grad and not weights:
        fix = f"pass {name}.detach(): results are NumPy arrays, through which no gradient flows"
        raise type_error(name, "a tensor that does not require grad", describe(x), fix)
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


def _as_array(x: Any, name: str) -> tuple[Array, Mask | None]:
    """The values of a list, of a frame's column or of any other object as an array, and a mask of its nulls if any."""
    try:
        if isinstance(x, list | tuple):
            return listed(x), None
        return column(x) if library(x) else (np.asarray(x), None)
    except Exception as error:
        if not is_refusal(error):
            raise
        if not isinstance(x, list | tuple):
            raise type_error(name, "an array", shown(x)) from None
        if x and is_tensor(x[0]):
            raise type_error(name, "an array", "a list of tensors", f"pass torch.stack({name}).detach()") from None
        raise type_error(name, "an array", "rows of unequal length") from None


def _foreign(x: Any, name: str, weights: bool) -> tuple[Array, Mask | None]:
    """The values of anything but a plain NumPy array, and a mask of the missing ones (None: none is missing)."""
    if isinstance(x, np.ma.MaskedArray):
        if weights:
            raise type_error(name, "a plain array", "a masked array", f"pass {name}.filled(...)")
        mask = np.ma.getmaskarray(x)  # the mask of a structured array is structured too, not boolean
        return np.asarray(x.data), np.array(mask) if mask.dtype == np.bool_ and mask.any() else None
    if is_tensor(x):
        return _from_tensor(x, name, weights), None
    if fix := _of_ours(x):
        raise type_error(name, "an array", f"a {type(x).__name__}", fix)
    names = names_of(x)
    if names is not None:
        raise one_of(x, names, name)
    if isinstance(x, str | bytes | set) or x is None:
        raise type_error(name, "an array", describe(x))
    values, missing = _as_array(x, name)
    if missing is None and (nulls := _nulls(x)):
        raise value_error(name, "no nulls", f"{nulls} of them", "drop or fill those rows first")
    return values, missing


def _of_ours(x: Any) -> str:
    """What to pass instead of ``x`` where it is a result object of this package; else an empty text."""
    kind = type(x)
    return COLUMNS_OF.get(kind.__name__, "") if kind.__module__.partition(".")[0] == "steelyard" else ""


def _nulls(x: Any) -> int:
    """The number of nulls that a column of an unknown library reports; NumPy would misread them as values."""
    count = getattr(x, "null_count", 0) if not library(x) else 0
    return int(count() if callable(count) else count)


def _read(x: Any, name: str, weights: bool = False, exact: bool = False) -> tuple[Array, Mask | None]:
    """``x`` as a native-endian, aligned array, and a mask of its missing values.

    The mask is None where nothing is missing. NaN and NaT that are already in the array are not in the mask.
    """
    array, missing = (x, None) if type(x) is np.ndarray else _foreign(x, name, weights)
    if array.base is not None:
        _core.check_memory(array, name)
    kind = array.dtype.kind
    if kind == "V" and array.dtype.name == "bfloat16":  # ml_dtypes, JAX
        array = array.view(BF16)
    elif kind in "OT":
        objects = array if kind == "O" else array.astype(object)
        try:
            array, missing = typed(objects, missing, exact=exact)
        except Exception as error:
            if not is_refusal(error):
                raise
            raise type_error(name, "numbers, booleans or strings", _objects(objects)) from None
    if not array.dtype.isnative or not array.flags.aligned:
        array = array.astype(array.dtype.newbyteorder("="))
    return array, missing


def _objects(array: Array) -> str:
    """Describe for an error message which types an object array holds."""
    found = ", ".join(sorted(kind.__name__ for kind in kinds_of(array.reshape(-1))))
    return f"Python objects ({found})"


def _what(array: Array) -> str:
    """Describe for an error message what a refused array holds."""
    kind = array.dtype.kind
    return _objects(array) if kind == "O" else WORDS.get(kind) or describe(array)


def first_index(bad: Mask) -> tuple[int, ...]:
    """The index of the first entry of a mask that is True; that of a single one is 0."""
    bad = np.atleast_1d(bad)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def _present(missing: Mask | None, name: str, expected: str, fix: str = "", rows: Mask | None = None) -> None:
    """Raise for the first missing value, naming its index.

    Where ``missing`` covers only some of the caller's rows, ``rows`` is the mask that selected them, so that the
    message can name the index in the caller's array.
    """
    if missing is None or not missing.any():
        return
    found = np.unravel_index(int(np.argmax(missing)), missing.shape)
    index: Any = tuple(map(int, found))
    if len(index) == 1:
        index = index[0] if rows is None else int(np.flatnonzero(rows)[index[0]])
    raise value_error(name, expected, f"none at index {index}" if index != () else "none", fix)


def plain(x: Any, name: str) -> Array:
    """Turn ``x`` into a native-endian, aligned NumPy array of its own dtype, copying only where it must.

    Raises
    ------
    TypeError
        For tables, for tensors that are not on the CPU or that require grad, and for values that NumPy can hold only
        as objects.
    ValueError
        For missing values, and for memory that its owner has meanwhile moved or released.
    """
    array, missing = _read(x, name)
    _present(missing, name, "no nulls", "drop or fill those rows first")
    if array.dtype == object:
        raise type_error(name, "numbers, booleans or strings", _objects(array))
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
    bits: bool = False,
    table: bool = False,
    weights: bool = False,
) -> Array:
    """Floating-point values as float32, float64, float16, or uint16 holding the bits of bfloat16; NaN where missing.

    Parameters
    ----------
    ndim : int or tuple of int, optional
        The number of axes that is allowed.
    contiguous : bool
        Copy an array that is not C-contiguous; ``False`` leaves strides as they are.
    numbers : bool
        Also accept integers, booleans and decimals, converted to float64.
    bits : bool
        Keep a boolean array boolean, where no value is missing.
    table : bool
        Also accept a frame or an Arrow table, as rows ``[n, K]``.
    weights : bool
        The array is read or written by an optimizer: accept tensors that require grad, and refuse missing values.
    """
    if table and type(x) is not np.ndarray and (names := names_of(x)) is not None and not isinstance(x, Mapping):
        array = _table(x, names, name, numbers)
    else:
        array, missing = _read(x, name, weights)
        if weights:
            _present(missing, name, "no nulls")
        if not (bits and missing is None and array.dtype == np.bool_):
            array = _floats(array, missing, name, numbers)
    if ndim is not None and array.ndim != ndim:
        _check_ndim(array, name, ndim)
    if contiguous and not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    return array.view(np.uint16) if array.dtype == BF16 else array


def _floats(array: Array, missing: Mask | None, name: str, numbers: bool) -> Array:
    """Numbers in a floating type, NaN where they are missing."""
    kind, bf16 = array.dtype.kind, array.dtype == BF16
    if numbers and kind in "iubO":
        array = _doubles(array, name)
    elif not bf16 and (kind != "f" or array.dtype.itemsize > 8):
        fix = "for bfloat16 pass a torch or ml_dtypes array" if array.dtype == np.uint16 else ""
        kinds = "numbers" if numbers else " or ".join(FLOATS)
        raise type_error(name, kinds, _what(array), fix)
    if missing is None:
        return array
    if bf16:
        array = to_float64(array.view(np.uint16))
    array = np.array(array)  # a copy, since the caller's array must not change
    array[missing] = np.nan
    return array


def _doubles(array: Array, name: str) -> Array:
    """Integers and booleans as float64; also Python integers of more than 64 bits, which come as objects."""
    if array.dtype != object:
        return array.astype(np.float64)
    if not numbers_alone(array.reshape(-1)):
        raise type_error(name, "numbers", _objects(array))
    try:
        return converted(array.reshape(-1), np.float64).reshape(array.shape)
    except OverflowError:
        raise value_error(name, "numbers that float64 holds", "larger ones") from None


def _table(x: Any, names: list[Any], name: str, numbers: bool) -> Array:
    """The columns of a frame side by side, in one floating type."""
    if not names:
        raise one_of(x, names, name)
    columns = [floats(x[key], f"{name}[{key!r}]", ndim=1, numbers=numbers) for key in names]
    if len({column.dtype for column in columns}) > 1:
        columns = [to_float64(column) for column in columns]
    return side_by_side(columns)


def to_float64(array: Array) -> NDArray[np.float64]:
    """What :func:`floats` returned as float64, exactly; uint16 is bfloat16."""
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float64, copy=False)


def _contiguous(array: Array) -> Array:
    """C-contiguous, keeping zero axes zero."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def labels(x: Any, name: str, keep: Mask | None, omit: bool) -> tuple[Array, Mask | None]:
    """Labels in their own type, and which rows have none (None: all have one); with ``omit`` these may count."""
    array, missing = _read(_boxed(x, name) if isinstance(x, list | tuple) else x, name, exact=True)
    gone = missing if missing is None or keep is None or keep.shape != missing.shape else missing & keep
    if not omit:
        _present(gone, name, "a label for every row", 'pass nan_policy="omit" to leave such rows out')
    return array, missing


def items(x: Any, name: str, expected: str) -> Any:
    """What a column holds, as a list of Python's; of what has no axis, the thing itself."""
    array, missing = _read(_boxed(x, name) if isinstance(x, list | tuple) else x, name, exact=True)
    if array.dtype.kind == "f":
        missing = np.isnan(array) if missing is None else missing | np.isnan(array)
    _present(missing, name, expected)
    return array.tolist()


def integers(x: Any, name: str, *, ndim: int | tuple[int, ...] | None = None, native: bool = False) -> Array:
    """Whole numbers as contiguous int64, or in their own integer dtype with ``native=True``."""
    array, missing = _read(x, name)
    if array.dtype.kind not in "iu" and not (missing is not None and missing.all()):
        raise type_error(name, "integers", _what(array))
    _present(missing, name, "an integer in every place", "leave those rows out")
    _check_ndim(array, name, ndim)
    if native:
        return _contiguous(array)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise value_error(name, "integers below 2**63", str(array.max()))
    return _contiguous(array.astype(np.int64, copy=False))


def booleans(x: Any, name: str, shape: tuple[int, ...] | None = None) -> Mask:
    """A contiguous boolean array of the given shape (a mask, say).

    It is a copy: a mask is read more than once (counted, applied, passed on), and another thread could change the
    caller's array between two reads.
    """
    array, missing = _read(x, name)
    if array.dtype != np.bool_ and not (missing is not None and missing.all()):
        raise type_error(name, "booleans", _what(array))
    _present(missing, name, "True or False in every place", "fill the others with False to leave those rows out")
    if shape is not None and array.shape != shape:
        raise value_error(name, f"shape {shape}", f"shape {array.shape}")
    return np.array(array, order="C")


def codes(
    ids: Any, name: str, n: int, keep: Mask | None = None, *, fix: str = "drop those rows with where="
) -> tuple[NDArray[np.int64], Array]:
    """Encode cluster ids as integers: ``ids == unique[codes]``, with the unique ids sorted.

    Ids are numbers (equal where Python's ``==`` says so: 1, 1.0 and True are one id), texts, bytes, or dates and
    datetimes, all of one kind in one call. Every row that counts must have an id.

    Parameters
    ----------
    ids : array or list, shape [n]
        The cluster of each row, such as its document or user.
    keep : boolean array, shape [n], optional
        Encode only these rows; the others may lack an id.
    fix : str
        What to do about rows without an id.

    Returns
    -------
    codes : int64, one per row that is kept
    unique : array
        Sorted, so that the codes do not depend on the order of the rows. Of Python objects where NumPy has no type that
        keeps the ids apart: texts that end in a NUL, whole numbers of more than 64 bits.
    """
    if keep is None and isinstance(ids, np.ndarray) and ids.shape == (n,) and (found := near(ids)) is not None:
        return found
    array, missing = id_column(ids, name)
    if array.shape != (n,):
        raise value_error(name, f"one id per row, shape ({n},)", f"shape {array.shape}")
    if keep is not None:
        array, missing = kept(array, keep), None if missing is None else kept(missing, keep)
    _present(missing, name, "an id for every row", fix, keep)
    kind = array.dtype.kind
    if kind == "O":
        if not comparable(array):
            raise _no_ids(array, name)
        return coded_objects(array)
    if kind not in "iubSUfM":
        raise _no_ids(array, name)
    return coded(array)


def id_column(ids: Any, name: str) -> tuple[Array, Mask | None]:
    """A private copy of the ids, each in its own type, and a mask of the rows without one (None: all have one)."""
    array, missing = _id_array(ids, name)
    if array.dtype.kind in "fM":
        none = np.isnan(array) if array.dtype.kind == "f" else np.isnat(array)
        missing = none if missing is None else missing | none
    return array, missing if missing is not None and missing.any() else None


def _id_array(ids: Any, name: str) -> tuple[Array, Mask | None]:
    """A private copy of ids of any shape, each in its own type, and a mask of the missing ones.

    It is a copy because ids are read more than once, and another thread could change the caller's array meanwhile.
    """
    if isinstance(ids, list | tuple):  # tuple(ids) is the private copy: it cannot be changed
        return _read(_boxed(tuple(ids), name), name, exact=True)
    array, missing = _read(ids, name, exact=True)
    return (array if array is not ids and array.base is None else np.array(array)), missing


def _boxed(ids: list[Any] | tuple[Any, ...], name: str) -> Array:
    """A list as an array of its objects.

    ``numpy.array`` would turn numbers in a list with texts into texts, and large integers into floats, so that
    different ids could become equal.
    """
    if not ids:
        return np.zeros(0, np.int64)
    if isinstance(ids[0], list | tuple | np.ndarray):
        nested = np.array(ids, object)
        if nested.ndim < 2:
            raise type_error(name, "an array", "rows of unequal length")
        return nested
    if type(ids[0]) is int:  # the most common case, and fast: NumPy returns int64 only where all are whole numbers
        numbers, _ = _as_array(ids, name)
        if numbers.dtype == np.int64:
            return numbers
    boxes = np.empty(len(ids), object)
    for step in strides(len(boxes)):
        boxes[step] = np.fromiter(ids[step], object, step.stop - step.start)
    return boxes


def _no_ids(array: Array, name: str) -> TypeError:
    return type_error(name, "ids of one kind: numbers, texts, bytes or dates", _what(array))


def flat_ids(ids: Any, name: str) -> Any:
    """Ids of several axes, flattened to one axis."""
    return (_boxed(tuple(ids), name) if isinstance(ids, list) else ids).reshape(-1)


def shape_of(x: Any, name: str) -> tuple[int, ...]:
    """The shape of an array, of nested lists or of a scalar."""
    if type(x) is not np.ndarray and (names := names_of(x)) is not None:
        raise one_of(x, names, name)
    try:
        return listed(x).shape if isinstance(x, list | tuple) else np.shape(x)
    except Exception as error:
        if not is_refusal(error):
            raise
        raise type_error(name, "an array", shown(x)) from None
