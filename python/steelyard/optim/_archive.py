"""Saved states in files: ``.npz``, as ``numpy.savez`` writes it, and ``.safetensors``.

safetensors is written and read here, without the package of that name, because the format is small: eight bytes with
the length of a JSON header, the header (the type, the shape and the place of each tensor, and texts under
``__metadata__``), then the tensors, without gaps. The base install of this package needs NumPy only.
"""

from __future__ import annotations

import json
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Container, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .. import _files
from ..errors import shown, type_error, value_error

__all__ = ["read", "write"]

Array = NDArray[Any]
Put = Callable[[BinaryIO, Mapping[str, Array], Container[str]], None]
# The names of element types in safetensors. NumPy has no bfloat16: two bytes of no type stand for it.
NAMES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "V2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
DTYPES = {name: np.dtype(code) for name, code in NAMES.items()}
_NAME_OF = {dtype: name for name, dtype in DTYPES.items()}
TEXTS = "__metadata__"
# No header is longer; a larger number is a sign of another format. The limit is that of the safetensors package.
LONGEST_HEADER = 100_000_000
# What the readers of NumPy, of zip and of JSON raise where a file is not what they expect.
DAMAGED = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError, zipfile.BadZipFile,
    zlib.error, struct.error, tokenize.TokenError,
)  # fmt: skip


def write(path: Any, state: Mapping[str, Array], bf16: Container[str] = ()) -> None:
    """Write the state to ``path`` in the format that its suffix names: completely, or the old file stays.

    ``bf16`` are the keys of arrays of uint16 that hold the bits of bfloat16. Only safetensors has a name for it.
    """
    put = _format_of(path)[0]
    _files.write_with(path, lambda stream: put(stream, state, bf16))


def read(path: Any) -> dict[str, Array]:
    """Return the state that :func:`write` wrote."""
    take = _format_of(path)[1]
    try:
        return take(path)
    except DAMAGED as error:
        raise value_error("path", "a file that save() wrote", f"{os.fspath(path)!r}: {error}") from error


def _format_of(path: Any) -> tuple[Put, Callable[[Any], dict[str, Array]]]:
    if not isinstance(path, str | os.PathLike):
        raise type_error("path", "the name of a file", shown(path))
    suffix = os.path.splitext(os.fspath(path))[1]
    if suffix not in FORMATS:
        raise value_error("path", f"a name that ends in {' or '.join(FORMATS)}", repr(os.fspath(path)))
    return FORMATS[suffix]


def _put_npz(stream: BinaryIO, state: Mapping[str, Array], _: Container[str]) -> None:
    np.savez(stream, allow_pickle=False, **state)


def _take_npz(path: Any) -> dict[str, Array]:
    # Opened here: numpy.load leaves a file open that is no archive.
    with open(path, "rb") as stream:
        if not zipfile.is_zipfile(stream):  # numpy.load takes other bytes for a pickle, and advises to run it
            raise ValueError("no archive of arrays")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as archive:
            return {key: _array_of(archive, key) for key in archive.files}


def _array_of(archive: Mapping[str, Array], key: str) -> Array:
    try:
        return archive[key]
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise ValueError(f"{key!r} is an array of Python objects, which save() never writes") from None
        raise


def _put_safetensors(stream: BinaryIO, state: Mapping[str, Array], bf16: Container[str]) -> None:
    """Texts go into the metadata. Wide types come first, so that every tensor is aligned."""
    texts = {key: str(array.item()) for key, array in state.items() if array.dtype.kind == "U"}
    tensors = [(key, _plain(array, key in bf16)) for key, array in state.items() if key not in texts]
    tensors.sort(key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {TEXTS: texts}
    end = 0
    for key, array in tensors:
        begin, end = end, end + array.nbytes
        header[key] = {"dtype": _NAME_OF[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    stream.write(len(head).to_bytes(8, "little"))
    stream.write(head)
    for _, array in tensors:
        if array.size:  # what is empty has no bytes to show
            stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _plain(array: Array, bf16: bool) -> Array:
    """The array in a type of ``DTYPES``: in little-endian order, bfloat16 as two bytes."""
    if bf16 or array.dtype.name == "bfloat16":
        return array.view(DTYPES["BF16"])
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _take_safetensors(path: Any) -> dict[str, Array]:
    with open(path, "rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > min(LONGEST_HEADER, os.fstat(stream.fileno()).st_size - 8):
            raise ValueError("no header of safetensors")
        header = json.loads(stream.read(size), object_pairs_hook=_once)
        data = np.frombuffer(stream.read(), np.uint8)
    texts = header.pop(TEXTS, {})
    found: dict[str, Array] = {}
    end = 0
    for key, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        (begin, stop), dtype, shape = entry["data_offsets"], DTYPES[entry["dtype"]], tuple(entry["shape"])
        if begin != end or not begin <= stop <= data.size:
            raise ValueError(f"{key!r} does not begin where the tensor before it ends")
        found[key], end = data[begin:stop].view(dtype).reshape(shape), stop
    if end != data.size:
        raise ValueError(f"{data.size} bytes of tensors where the header says {end}")
    # Other programs may have added texts of their own.
    return found | {key: np.array(texts[key]) for key in ("options", "groups") if key in texts}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no key may stand twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in the header")
    return found


FORMATS = {".npz": (_put_npz, _take_npz), ".safetensors": (_put_safetensors, _take_safetensors)}
