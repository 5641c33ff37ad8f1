"""The file of a sketch: a head, its arrays one after another, and a checksum of all of it.

All numbers are little-endian. The head is the magic word, the layout and the place of the dtype in ``FLOATS`` (32 bits
each), then k, n_classes and the number of axes (64 bits each) and the length of each axis. Logits are in the dtype of
those that were sketched, bfloat16 as the upper half of a float32.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import FLOATS
from .._strides import strides
from ..errors import value_error

__all__ = ["ORDER", "Head", "get", "narrowed", "put", "token_bytes", "widened"]

MAGIC, LAYOUT = b"SYSKETCH", 1
FIXED, CHECKSUM = struct.Struct("<8sIIQQQ"), struct.Struct("<I")
MOST_AXES = 32
ORDER = ("log_z", "tail", "entropy", "ids", "logits")
# Bytes that are added to a checksum, or read, at once.
STRIDE = 1 << 22
MAKE = "write one with tokens.sketch(logits).save(path)"
AGAIN = "it was not written to its end, or copied in part: make or copy it again"


class Head(NamedTuple):
    """What a file says before its arrays."""

    dtype: str
    k: int
    n_classes: int
    shape: tuple[int, ...]

    def arrays(self) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
        """The arrays of the file in their order, as they are stored."""
        stored = np.dtype("<u2" if self.dtype == "bfloat16" else self.dtype).newbyteorder("<")
        dtypes = {"ids": np.dtype("<i4"), "logits": stored}
        return [
            (name, dtypes.get(name, np.dtype("<f8")), (*self.shape, self.k) if name in dtypes else self.shape)
            for name in ORDER
        ]


def _entries(shape: Sequence[int]) -> int:
    """How many entries an array of that shape has, however many a file says."""
    n = 1
    for length in shape:
        n *= length
    return n


def token_bytes(k: int, dtype: str) -> int:
    """The bytes of a token of k logits of that type."""
    return sum(stored.itemsize * _entries(shape) for _, stored, shape in Head(dtype, k, k, ()).arrays())


def put(out: BinaryIO, head: Head, arrays: Sequence[NDArray[Any]]) -> None:
    """Write a file of these arrays, in the order of ``ORDER``."""
    numbers = (LAYOUT, FLOATS.index(head.dtype), head.k, head.n_classes, len(head.shape))
    start = FIXED.pack(MAGIC, *numbers) + struct.pack(f"<{len(head.shape)}Q", *head.shape)
    check = zlib.crc32(start)
    out.write(start)
    for (name, stored, _), array in zip(head.arrays(), arrays, strict=True):
        flat = array.reshape(-1)
        for step in strides(len(flat)):
            piece = (narrowed(flat[step], head.dtype) if name == "logits" else flat[step]).astype(stored).tobytes()
            check = zlib.crc32(piece, check)
            out.write(piece)
    out.write(CHECKSUM.pack(check))


def get(path: str) -> tuple[Head, dict[str, NDArray[Any]]]:
    """Read a file that is whole."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(FIXED.size)
        head, start = _head(start, file, path)
        expected = len(start) + _entries(head.shape) * token_bytes(head.k, head.dtype) + CHECKSUM.size
        if size != expected:
            got = f"{size} bytes in {path}"
            raise value_error("path", f"a sketch of {expected} bytes, as its head says", got, AGAIN)
        body, check = bytearray(), zlib.crc32(start)
        while len(body) < expected - len(start) and (piece := file.read(STRIDE)):
            body += piece
    content = memoryview(body)[: -CHECKSUM.size]
    for at in range(0, len(content), STRIDE):
        check = zlib.crc32(content[at : at + STRIDE], check)
    if body[-CHECKSUM.size :] != CHECKSUM.pack(check):
        raise value_error("path", "a sketch with the checksum that it was written with", f"another in {path}", AGAIN)
    arrays, at = {}, 0
    for name, stored, shape in head.arrays():
        found = np.frombuffer(content, stored, _entries(shape), at)
        at += found.nbytes
        if name == "logits":
            array = np.empty(len(found), np.float64 if head.dtype == "float64" else np.float32)
        else:
            array = np.empty(len(found), stored.newbyteorder("="))
        for step in strides(len(found)):
            array[step] = widened(found[step], head.dtype) if name == "logits" else found[step]
        arrays[name] = array.reshape(shape)
    return head, arrays


def _head(start: bytes, file: BinaryIO, path: str) -> tuple[Head, bytes]:
    """The head of a file, and its bytes."""
    if not start.startswith(MAGIC):
        got = f"{start[: len(MAGIC)]!r} at the beginning of {path}"
        raise value_error("path", f"a sketch, which begins with {MAGIC.decode()!r}", got, MAKE)
    if len(start) < FIXED.size:
        raise value_error("path", f"a head of at least {FIXED.size} bytes", f"{len(start)} bytes in {path}", AGAIN)
    _, layout, dtype, k, n_classes, axes = FIXED.unpack(start)
    if layout != LAYOUT:
        raise value_error("path", f"a sketch of layout {LAYOUT}", f"layout {layout} in {path}", MAKE)
    if dtype >= len(FLOATS) or not 1 <= k <= n_classes or n_classes >= 2**31 or axes > MOST_AXES:
        got = f"dtype {dtype}, k = {k}, n_classes = {n_classes} and {axes} axes in {path}"
        raise value_error("path", "the head of a sketch", got, "it is damaged: make or copy it again")
    lengths = file.read(8 * axes)
    if len(lengths) < 8 * axes:
        raise value_error("path", f"the lengths of {axes} axes", f"the end of {path}", AGAIN)
    return Head(FLOATS[dtype], k, n_classes, struct.unpack(f"<{axes}Q", lengths)), start + lengths


def narrowed(logits: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Logits of a sketch as they are stored."""
    if dtype == "bfloat16":
        return (logits.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    with np.errstate(over="ignore", under="ignore"):
        return logits.astype(dtype)


def widened(found: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Stored logits as a sketch has them."""
    if dtype == "bfloat16":
        return (found.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return found.astype(np.float64 if dtype == "float64" else np.float32)
