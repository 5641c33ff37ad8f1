"""The one door for arrays: foreign objects become NumPy arrays that the core can borrow.

Taken without a copy: NumPy arrays, torch CPU tensors (bfloat16 too), and whatever ``numpy.asarray`` shares
(JAX arrays on the CPU, Arrow arrays, frame columns). Lists, tuples, object arrays, columns with nulls, bits and
categories are copied. A bfloat16 array travels as the uint16 view of its bits: in the core, uint16 where floats are
expected *is* bfloat16.

What is missing is one thing in every container (a null, None, NaN, ``pandas.NA``, NaT, a masked entry): NaN where
numbers are expected, and refused with its index where NaN has no meaning (integers, masks, ids). See
``docs/decisions/0009-containers.md``.

Refused by name rather than misread: tensors that are not on the CPU or require grad, tables where one column belongs,
complex and extended-precision arrays, and objects that are no numbers, texts or dates.
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
from ._strides import coded, coded_objects, converted, kept, listed, side_by_side, strides
from .errors import shown, type_error, value_error

__all__ = [
    "aligned", "booleans", "codes", "describe", "flat_ids", "floats", "id_column", "integers", "is_tensor", "items",
    "labels", "names_of",
    "one_of", "plain", "shape_of", "to_float64",
]  # fmt: skip

Array = NDArray[Any]
Mask = NDArray[np.bool_]
# NumPy has no bfloat16. Inside this module its bits are a two-byte void, which keeps shape and strides and
# cannot be mistaken for numbers.
BF16: np.dtype[Any] = np.dtype("V2")
FLOATS = ("float32", "float64", "float16", "bfloat16")
# What an array of such a kind holds: the same word whatever it came in.
WORDS = {"U": "texts", "S": "bytes", "M": "dates"}
# What a result of ours holds that is an array, for who passes the result itself.
COLUMNS_OF = {
    "Run": "pass one of its columns, such as run.score",
    "Runs": "pass a column of one of its runs, such as runs.runs[0].score",
    "Scores": 'pass one of its columns, such as scores["name"]',
    "TokenScores": "pass t.nll, with where=t.counted",
    "PreferenceLoss": "pass one of its columns, such as out.losses",
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
    # Asked for every leaf of a tree: `any` over a generator takes several times as long.
    for kind in type(x).__mro__:  # noqa: SIM110
        if kind.__name__ == "Tensor" and kind.__module__.partition(".")[0] == "torch":
            return True
    return False


def _from_tensor(x: Any, name: str, weights: bool) -> Array:
    """Share the memory of a torch CPU tensor; bfloat16 as its bits."""
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
    """What NumPy makes of a list, of a column of a frame or of any other object, and where it says that it is null."""
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
    """The values of anything but a plain NumPy array, and where they are missing."""
    if isinstance(x, np.ma.MaskedArray):
        if weights:
            raise type_error(name, "a plain array", "a masked array", f"pass {name}.filled(...)")
        mask = np.ma.getmaskarray(x)  # of records it is one of records
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
    """What to pass instead of a result of this package, or ""."""
    kind = type(x)
    return COLUMNS_OF.get(kind.__name__, "") if kind.__module__.partition(".")[0] == "steelyard" else ""


def _nulls(x: Any) -> int:
    """How many nulls a column says it has that is of no library known here, and whose nulls NumPy would misread."""
    count = getattr(x, "null_count", 0) if not library(x) else 0
    return int(count() if callable(count) else count)


def _read(x: Any, name: str, weights: bool = False, exact: bool = False) -> tuple[Array, Mask | None]:
    """``x`` as a native-endian, aligned array, and where it holds nothing (None: nowhere, but for NaN and NaT)."""
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
    """What an array of objects holds, for a sentence."""
    found = ", ".join(sorted(kind.__name__ for kind in kinds_of(array.reshape(-1))))
    return f"Python objects ({found})"


def _what(array: Array) -> str:
    """What an array that is refused holds."""
    kind = array.dtype.kind
    return _objects(array) if kind == "O" else WORDS.get(kind) or describe(array)


def _present(missing: Mask | None, name: str, expected: str, fix: str = "", rows: Mask | None = None) -> None:
    """Refuse what is missing, with its first index; ``rows`` are those of the caller's that ``missing`` is of."""
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
        For tables, tensors off the CPU or that require grad, and what NumPy can only hold as objects.
    ValueError
        For what is missing; for memory that its owner has moved or given up.
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
        Copy what is not C-contiguous; ``False`` leaves strides as they are.
    numbers : bool
        Take integers, booleans and decimals too, as float64.
    bits : bool
        Leave booleans as they are, where none is missing.
    table : bool
        Take a frame or an Arrow table too, as rows ``[n, K]``.
    weights : bool
        What an optimizer reads or writes: tensors that require grad too, and nothing that could be missing.
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
    array = np.array(array)  # the caller's stays as it is
    array[missing] = np.nan
    return array


def _doubles(array: Array, name: str) -> Array:
    """Integers and booleans as float64; objects too where they are integers of more than 64 bits."""
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

    It is a copy: a mask is looked at more than once (counted, applied, passed on), and the caller's may be rewritten by
    another thread between two looks.
    """
    array, missing = _read(x, name)
    if array.dtype != np.bool_ and not (missing is not None and missing.all()):
        raise type_error(name, "booleans", _what(array))
    _present(missing, name, "True or False in every place", "fill the others with False to leave those rows out")
    if shape is not None and array.shape != shape:
        raise value_error(name, f"shape {shape}", f"shape {array.shape}")
    return np.array(array, order="C")


def codes(ids: Any, name: str, n: int, keep: Mask | None = None) -> tuple[NDArray[np.int64], Array]:
    """Cluster ids as codes: ``ids == unique[codes]``, the unique ids sorted.

    Ids are numbers (equal where Python's ``==`` says so: 1, 1.0 and True are one id), texts, bytes, or dates and
    moments; of one kind in one call. A row that counts must have one.

    Parameters
    ----------
    ids : array or list, shape [n]
        What rows with one id have in common: a document, a user.
    keep : boolean array, shape [n], optional
        Code these rows alone; the others may lack an id.

    Returns
    -------
    codes : int64, one per row that is kept
    unique : array
        Sorted, so that the codes do not depend on the order of the rows. Of Python objects where NumPy has no type that
        keeps the ids apart: texts that end in a NUL, whole numbers of more than 64 bits.
    """
    array, missing = id_column(ids, name)
    if array.shape != (n,):
        raise value_error(name, f"one id per row, shape ({n},)", f"shape {array.shape}")
    if keep is not None:
        array, missing = kept(array, keep), None if missing is None else kept(missing, keep)
    _present(missing, name, "an id for every row", "drop those rows with where=", keep)
    kind = array.dtype.kind
    if kind == "O":
        if not comparable(array):
            raise _no_ids(array, name)
        return coded_objects(array)
    if kind not in "iubSUfM":
        raise _no_ids(array, name)
    return coded(array)


def id_column(ids: Any, name: str) -> tuple[Array, Mask | None]:
    """Ids in memory of our own, each as what it is, and which rows have none (None: all have one)."""
    array, missing = _id_array(ids, name)
    if array.dtype.kind in "fM":
        none = np.isnan(array) if array.dtype.kind == "f" else np.isnat(array)
        missing = none if missing is None else missing | none
    return array, missing if missing is not None and missing.any() else None


def _id_array(ids: Any, name: str) -> tuple[Array, Mask | None]:
    """Ids of any shape, each as what it is, in memory of our own, and where there is none.

    They are read more than once, and the caller's may be rewritten by another thread meanwhile.
    """
    if isinstance(ids, list | tuple):  # nobody rewrites a tuple
        return _read(_boxed(tuple(ids), name), name, exact=True)
    array, missing = _read(ids, name, exact=True)
    return (array if array is not ids and array.base is None else np.array(array)), missing


def _boxed(ids: list[Any] | tuple[Any, ...], name: str) -> Array:
    """A list as an array of its objects: NumPy makes texts of numbers beside texts, and floats of large integers."""
    if not ids:
        return np.zeros(0, np.int64)
    if isinstance(ids[0], list | tuple | np.ndarray):
        nested = np.array(ids, object)
        if nested.ndim < 2:
            raise type_error(name, "an array", "rows of unequal length")
        return nested
    if type(ids[0]) is int:  # most often, and quickly made; NumPy makes int64 of nothing that is not whole
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
    """Ids of several axes in one."""
    return (_boxed(tuple(ids), name) if isinstance(ids, list) else ids).reshape(-1)


def shape_of(x: Any, name: str) -> tuple[int, ...]:
    """The shape of an array, of nested lists, or of one thing."""
    if type(x) is not np.ndarray and (names := names_of(x)) is not None:
        raise one_of(x, names, name)
    try:
        return listed(x).shape if isinstance(x, list | tuple) else np.shape(x)
    except Exception as error:
        if not is_refusal(error):
            raise
        raise type_error(name, "an array", shown(x)) from None
