"""How a file of records may be compressed: gzip, bzip2, xz, zstandard, each known by its first bytes.

gzip, bzip2 and xz are read by the standard library, zstandard by pyarrow, which reads Parquet too.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from .table import no_pyarrow


@dataclass(frozen=True)
class Packing:
    """One kind of compressed file."""

    name: str
    """What it is called in a sentence."""
    magic: bytes
    """Its first bytes."""
    suffix: str
    """How a file's name usually ends, which a run is not named by."""
    unpacked: Callable[[BinaryIO, str], Any]
    """Opens what is inside for reading; the file's name is for messages."""


def unpacked_zstd(file: BinaryIO, name: str) -> Any:
    """What a zstandard file holds, opened for reading."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise no_pyarrow(name, "zstd") from error
    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")


PACKINGS = (
    Packing("gzip", b"\x1f\x8b", ".gz", lambda file, name: gzip.GzipFile(fileobj=file)),
    Packing("bzip2", b"BZh", ".bz2", lambda file, name: bz2.BZ2File(file)),
    Packing("xz", b"\xfd7zXZ\x00", ".xz", lambda file, name: lzma.LZMAFile(file)),  # noqa: SIM115
    Packing("zstd", b"\x28\xb5\x2f\xfd", ".zst", unpacked_zstd),
)
LONGEST_MAGIC = max(len(packing.magic) for packing in PACKINGS)

# What reading a damaged file raises, and ``OSError`` without a number.
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError)


def is_damage(error: BaseException) -> bool:
    """Whether an error says that a compressed file is damaged or cut off; what the system reports has a number."""
    return isinstance(error, _DAMAGE) or (isinstance(error, OSError) and error.errno is None)


def packing_of(head: bytes) -> Packing | None:
    """How a file that begins so is compressed; None where it is not."""
    return next((packing for packing in PACKINGS if head.startswith(packing.magic)), None)


def without_suffix(name: str) -> str:
    """A file's name without the ending that says how it is compressed."""
    suffixes = (packing.suffix for packing in PACKINGS)
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)
