"""The members of a zip archive, read one by one without unpacking anything to the disk.

``zipfile`` reads the directory of the archive and the members that are stored or deflated. Inspect also writes members
that are compressed with zstandard (method 93), which ``zipfile`` reads from Python 3.14 on only: their bytes are found
by the header that stands before them, and unpacked as a .zst file is.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from ...errors import RecordError
from ..json_values import DuplicateKey, decode
from ..packing import is_damage, unpacked_zstd
from ..source import LARGE_UNPACKED, MOST_UNPACKED
from ..table import record_error

ZSTD = 93  # the number of the method in the zip format
_LOCAL = struct.Struct("<4s22xHH")  # the header before a member: its mark, the lengths of the name and of what follows
_ENCRYPTED = 1  # the bit of a member's flags
_PIECE = 1 << 20
# What zipfile raises for archives that are damaged, or that use a method it does not know.
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, struct.error, UnicodeError, ValueError)


class Archive:
    """A zip archive whose members hold JSON; what is wrong with it becomes one sentence about the file."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = file
        self._unpacked = 0
        self._packed = 0
        with self._whole(""):
            self._zip = zipfile.ZipFile(file)
        # A member that was written again stands in the directory twice; the last one counts.
        self._members = {member.filename: member for member in self._zip.infolist()}

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return list(self._members)

    def __contains__(self, member: str) -> bool:
        return member in self._members

    def json(self, member: str) -> Any:
        """The JSON value that a member holds."""
        data = self.read(member)
        try:
            return decode(data)
        except DuplicateKey as error:
            where = f"{self.name}, {member}"
            found = f"the key {str(error)!r} twice"
            raise record_error(where, "each key once", found, "write the log again") from error
        except (ValueError, RecursionError) as error:
            found = f"something else ({str(error).partition(':')[0]})"
            raise record_error(f"{self.name}, {member}", "JSON", found, "write or fetch the file again") from error

    def read(self, member: str) -> bytes:
        """What a member holds, checked by its size and checksum."""
        found = self._members[member]
        self._check(found)
        with self._whole(member):
            data = self._zstd(found) if found.compress_type == ZSTD else self._zip.read(found)
        return data

    def _check(self, member: zipfile.ZipInfo) -> None:
        """Refuse what cannot be read, and what unpacks to far more than logs do."""
        if member.flag_bits & _ENCRYPTED:
            where = f"{self.name}, {member.filename}"
            raise record_error(where, "a member that is not encrypted", "an encrypted one", "decrypt the archive first")
        self._unpacked += member.file_size
        self._packed += member.compress_size
        if self._unpacked > LARGE_UNPACKED and self._unpacked > MOST_UNPACKED * self._packed:
            expected = f"a zip archive that unpacks to at most {MOST_UNPACKED} times its size"
            raise record_error(self.name, expected, f"more ({self._unpacked:,} bytes)", "unpack it and look at it")

    def _zstd(self, member: zipfile.ZipInfo) -> bytes:
        self._file.seek(member.header_offset)
        mark, name, extra = _LOCAL.unpack(self._file.read(_LOCAL.size))
        if mark != b"PK\x03\x04":
            raise zipfile.BadZipFile("no header before a member")
        self._file.seek(name + extra, io.SEEK_CUR)
        stream = unpacked_zstd(io.BytesIO(self._file.read(member.compress_size)), self.name)
        pieces, size = [], 0
        while size <= member.file_size and (piece := stream.read(_PIECE)):
            pieces.append(piece)
            size += len(piece)
        data = b"".join(pieces)
        if size != member.file_size or zlib.crc32(data) != member.CRC:
            raise zipfile.BadZipFile("a member differs from its size or checksum")
        return data

    @contextmanager
    def _whole(self, member: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if isinstance(error, RecordError) or not (isinstance(error, _UNREADABLE) or is_damage(error)):
                raise
            where = f"{self.name}, {member}" if member else self.name
            found = f"a damaged or truncated one ({error})"
            raise record_error(where, "a whole zip archive", found, "fetch or write it again") from error
