"""Tensors of a safetensors file as arrays over a memory map, so that nothing is read before it is used.

The file is a little-endian number of 8 bytes, that many bytes of JSON (for each tensor its ``dtype``, its ``shape`` and
the ``data_offsets`` of its first byte and of the byte after its last one, counted from the end of the JSON), and the
data. The header may come from anybody: it is checked as a whole before an array is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._foreign import is_refusal
from ._mode import standard_mode
from .errors import shown, type_error, value_error

__all__ = ["is_safetensors", "tensors"]

Array = NDArray[Any]
Path = str | os.PathLike[str]

# NumPy has no bfloat16 and no float8. Their bytes are voids, which cannot be mistaken for numbers; the calls of this
# package take voids of two bytes as bfloat16, which is also what `numpy.save` writes for it.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "V2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "F8_E4M3": "V1", "F8_E5M2": "V1",
    "F8_E8M0": "V1", "F8_E4M3FNUZ": "V1", "F8_E5M2FNUZ": "V1",
}  # fmt: skip
SIZE = 8  # bytes of the number at the beginning
LONGEST = 100_000_000  # the longest header that the format allows
METADATA = "__metadata__"


@standard_mode
def tensors(path: Path) -> dict[str, Array]:
    """Open a safetensors file as arrays over a memory map.

    Nothing is read but the header; the system reads a part of the file when a call comes to it, and may forget it
    afterwards. So logits may be larger than the memory.

    Parameters
    ----------
    path : str or path-like
        The file. While arrays of it are in use it must not be made shorter.

    Returns
    -------
    dict
        The array of each tensor by its name, in the order of the header, all read-only. bfloat16, which NumPy lacks,
        has the dtype ``V2`` (two bytes without a meaning to NumPy), which all calls of this package take as bfloat16;
        ``array.view(ml_dtypes.bfloat16)`` makes numbers of it. float8 has the dtype ``V1``, which no call takes. A
        tensor that does not begin at a multiple of its elements' size is copied by the calls that take it; files that
        the safetensors library writes have none.

    Raises
    ------
    TypeError
        Where ``path`` is no path.
    ValueError
        For a file that is cut short or is no safetensors file, and for elements smaller than a byte.
    OSError
        Where the file cannot be opened.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> import numpy as np
    >>> import steelyard as sy
    >>> logits = np.array([[0.5, 2.0, -1.0], [1.0, 1.0, 3.0]], dtype="<f4")
    >>> header = {"logits": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    ...           "targets": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]}}
    >>> said = json.dumps(header).encode()
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "dump.safetensors"
    >>> parts = [len(said).to_bytes(8, "little"), said, logits.tobytes(), np.array([1, 2], dtype="<i8").tobytes()]
    >>> _ = path.write_bytes(b"".join(parts))
    >>> dump = sy.tokens.tensors(path)
    >>> sy.token_scores(dump["logits"], dump["targets"]).nll.round(4).tolist()
    [0.2413, 0.2395]

    References
    ----------
    The format: https://github.com/huggingface/safetensors#format. Its own library copies each tensor for NumPy, and has
    no bfloat16 there.
    """
    raw = _mapped(path)
    begin, header = _header(raw, path)
    found = {}
    for name, entry in header.items():
        if name != METADATA:
            found[name] = _tensor(raw[begin:], name, entry, path)
    return found


def is_safetensors(path: Path) -> bool:
    """Whether the name of a file says that it is one."""
    return os.fspath(path).lower().endswith(".safetensors")


def _mapped(path: Path) -> Array:
    """The bytes of the file."""
    try:
        named = os.fspath(path)
    except TypeError as error:
        if not is_refusal(error):
            raise
        raise type_error("path", "a path", shown(path)) from None
    if os.path.getsize(named) < SIZE:
        raise _foreign(path, f"a file of {os.path.getsize(named)} bytes")
    return np.memmap(named, np.uint8, "r")


def _header(raw: Array, path: Path) -> tuple[int, Mapping[str, Any]]:
    """The place of the first byte of data, and what is said of each tensor."""
    import json

    length = int.from_bytes(raw[:SIZE].tobytes(), "little")
    if length > min(LONGEST, len(raw) - SIZE):
        raise _foreign(path, f"a header of {length} bytes in a file of {len(raw)}")
    try:
        header = json.loads(raw[SIZE : SIZE + length].tobytes(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _foreign(path, "a header that is no JSON object, or has a name twice") from None
    if not isinstance(header, dict):
        raise _foreign(path, "a header that is no JSON object")
    return SIZE + length, header


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The dictionary of these pairs, unless a key occurs twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _tensor(data: Array, name: str, entry: Any, path: Path) -> Array:
    """The array of one tensor, if its entry in the header agrees with itself and with the file."""
    fields = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = fields.get("dtype"), _whole(fields.get("shape")), _whole(fields.get("data_offsets"))
    if not isinstance(kind, str) or shape is None or offsets is None or len(offsets) != 2:
        raise _foreign(path, f"no dtype, shape and data_offsets of the tensor {name!r}")
    if kind not in DTYPES:
        raise value_error("path", f"tensors of {', '.join(DTYPES)}", f"the dtype {kind!r} of {name!r}")
    dtype, (first, last) = np.dtype(DTYPES[kind]), offsets
    if last > len(data):
        missing = f"{last - len(data)} bytes less than the tensor {name!r} needs"
        raise value_error("path", "a whole safetensors file", missing, "it was cut short")
    if last - first != reduce(mul, shape, 1) * dtype.itemsize:
        raise _foreign(path, f"{last - first} bytes for the tensor {name!r} of {kind} and shape {tuple(shape)}")
    return data[first:last].view(dtype).reshape(shape)


def _whole(numbers: Any) -> list[int] | None:
    """The numbers, if this is a list of whole ones that are at least 0."""
    if not isinstance(numbers, list) or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        return None
    return numbers


def _foreign(path: Path, got: str) -> ValueError:
    return value_error("path", "a safetensors file", f"{got}: {os.fspath(path)!r}")
