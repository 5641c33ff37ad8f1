"""A file's bytes, in one pass: a regular file, a pipe, standard input, plain or compressed."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .packing import LONGEST_MAGIC, Packing, is_damage, packing_of
from .table import record_error

STANDARD_INPUT = "standard input"
BUFFER = 1 << 18
LARGE_UNPACKED = 1 << 30  # bytes, from which on it is asked how many times its own size a file unpacks to
MOST_UNPACKED = 300  # records that repeat long prompts stay far below
LONGEST_LINE = 1 << 30  # bytes; without a line's end a file of zeros would fill the memory


def name_of(path: str) -> str:
    """What a file is called: as the caller wrote it, but for ``/dev/stdin``, which is what ``-`` stands for."""
    return STANDARD_INPUT if path == "/dev/stdin" else path


def size_of(path: str) -> int:
    """Bytes of a regular file; 0 for a pipe, of which they are not known before it is read."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) else 0
    except (OSError, ValueError):
        return 0  # the reader says what is wrong


class Stream(io.RawIOBase):
    """Reads forward and counts the bytes; ``head`` looks at the beginning without seeking, which a pipe cannot do."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._ahead = b""
        self.done = 0

    def head(self, n: int) -> bytes:
        """The next ``n`` bytes, or all there are."""
        while len(self._ahead) < n and (piece := self._file.read(n - len(self._ahead))):
            self._ahead += piece
        return self._ahead[:n]

    def readable(self) -> bool:
        """Whether it can be read, which the base class asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next."""
        if self._ahead:
            k = min(len(buffer), len(self._ahead))
            buffer[:k] = self._ahead[:k]
            self._ahead = self._ahead[k:]
        else:
            k = self._file.readinto(buffer) or 0
        self.done += k
        return k


class Unpacked(Stream):
    """What a compressed file holds; damage, and a size that only an attack has, are a sentence about the file."""

    def __init__(self, packed: Stream, packing: Packing, name: str) -> None:
        self._packed = packed
        self._packing = packing
        self._name = name
        super().__init__(packing.unpacked(io.BufferedReader(packed, BUFFER), name))

    def head(self, n: int) -> bytes:
        """The next ``n`` bytes, or all there are."""
        with self._whole():
            return super().head(n)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next."""
        with self._whole():
            k = super().readinto(buffer)
        if self.done > LARGE_UNPACKED and self.done > MOST_UNPACKED * self._packed.done:
            expected = f"a {self._packing.name} file that unpacks to at most {MOST_UNPACKED} times its size"
            raise record_error(self._name, expected, f"more ({self.done:,} bytes so far)", "unpack it and look at it")
        return k

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not is_damage(error):
                raise
            expected, got = f"a whole {self._packing.name} file", f"a damaged or truncated one ({error})"
            raise record_error(self._name, expected, got, "fetch or write it again") from error


class Source:
    """One file to read: ``head`` to tell its format by, ``file`` to read it from."""

    def __init__(self, path: str, name: str, raw: io.FileIO) -> None:
        self._packed = Stream(raw)
        self._stream = self._packed
        self.packing = packing_of(self._packed.head(LONGEST_MAGIC))
        self.is_regular = stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
        self.path = path
        if self.packing is not None:
            self._stream = Unpacked(self._packed, self.packing, name)
        self.head = self._stream.head(4096)
        self.file = io.BufferedReader(self._stream, BUFFER)

    @property
    def done(self) -> int:
        """Bytes of the file that have been read."""
        return self._packed.done


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open a file of records; whatever fails while it is opened or read is an error that names it."""
    name = name_of(path)
    try:
        _check_kind(path, name)
        with open(path, "rb", buffering=0) as raw:
            yield Source(path, name, raw)
    except FileNotFoundError:
        raise record_error(name, "a file", "nothing of that name", "check the path") from None
    except OSError as error:
        reason = "a socket or a device" if error.errno == errno.ENXIO else error.strerror or str(error)
        raise record_error(name, "a readable file", reason, "check the path") from error


def _check_kind(path: str, name: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL, or what the file system's encoding has no bytes for
        raise record_error(name, "a file", f"a name that no file can have ({error})", "check the path") from error
    if stat.S_ISDIR(mode):
        raise record_error(name, "a file", "a directory", "give the files in it")
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or _is_terminal_in(path) or os.path.samefile(path, os.devnull):
        return  # the null device is an empty file
    kind = "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise record_error(name, "a file or a pipe", kind, "write the records to a file")


def _is_terminal_in(path: str) -> bool:
    """Whether the path is the terminal that the process reads: records may be typed."""
    try:
        number = sys.stdin.fileno()
        return os.isatty(number) and os.path.samestat(os.stat(path), os.fstat(number))
    except (OSError, ValueError, AttributeError):
        return False
