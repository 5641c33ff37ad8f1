"""Writing files atomically: a file is written completely or stays as it was, and an input is never overwritten.

The content is written to a temporary file in the folder of the target, synced to the disk and renamed over the target.
Whatever happens before the rename (no space left, an interrupt, a crash), the old file stays complete. The new file
has the mode of the old one, or the default of the umask. A symbolic link stays, and the file that it points to is
replaced. A target that is not a regular file (a pipe, a terminal, ``/dev/null``) has no content to preserve and is
written to directly, and so is the standard output of the process, whatever path names it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, BinaryIO

from .errors import value_error

__all__ = ["append", "check_target", "is_standard_output", "same_target", "write", "write_with"]

AnyPath = str | os.PathLike[str]
# The errors of fsync on a file system that does not support it; writing goes on without it.
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def write(path: AnyPath, text: str, *, sources: Iterable[AnyPath] = (), name: str = "path") -> None:
    r"""Write ``text`` to ``path`` as UTF-8.

    ``sources`` are files that must not be overwritten; ``name`` is the caller's argument, for error messages. A lone
    surrogate, which stands for a byte of a file name that is not UTF-8, is written as ``\udc80`` (JSON reads it back).
    """
    data = text.encode("utf-8", "backslashreplace")
    _write(path, lambda descriptor: _put(descriptor, data), sources, name)


def write_with(path: AnyPath, put: Callable[[BinaryIO], object], *, name: str = "path") -> None:
    """Write to ``path`` what ``put`` writes to the binary stream that it is called with."""

    def fill(descriptor: int) -> None:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            put(stream)

    _write(path, fill, (), name)


def _write(path: AnyPath, fill: Callable[[int], object], sources: Iterable[AnyPath], name: str) -> None:
    old = check_target(path, sources=sources, name=name)
    try:
        if old is not None and not stat.S_ISREG(old.st_mode):
            with open(path, "wb", buffering=0) as stream:
                fill(stream.fileno())
        elif (descriptor := _standard_stream(path)) is not None:
            fill(descriptor)
        else:
            _replace(os.path.realpath(path), fill, old)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None  # the caller's path, not that of the temporary file
        raise


def check_target(path: AnyPath, *, sources: Iterable[AnyPath] = (), name: str = "path") -> os.stat_result | None:
    """Return the status of the file at ``path``, links followed, or None where there is none.

    Raises where the path cannot be written to, so that the error comes before anything is computed.
    """
    old = _there(path)
    if old is None or stat.S_ISREG(old.st_mode):
        _check_folder(path)
    if old is None:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise _refused(errno.EISDIR, path)
    if stat.S_ISREG(old.st_mode) or stat.S_ISFIFO(old.st_mode):
        for source in sources:
            if (read := _there(source)) is not None and os.path.samestat(old, read):
                got = f"a file that is read, {os.fspath(path)!r}"
                raise value_error(name, "a file of its own to write", got, "choose another name")
    if not os.access(path, os.W_OK):  # a rename would replace a read-only file
        raise _refused(errno.EACCES, path)
    return old


def _check_folder(path: AnyPath) -> None:
    """Raise unless the folder exists and the temporary file can be created in it."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise _refused(errno.ENOTDIR if os.path.lexists(folder) else errno.ENOENT, path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "the folder takes no new file", os.fspath(path))


def _refused(number: int, path: AnyPath) -> OSError:
    return OSError(number, os.strerror(number), os.fspath(path))


def append(path: AnyPath, text: str, *, others: Iterable[AnyPath] = ()) -> None:
    """Append ``text`` to a file that several processes write; where a write fails midway, the file is cut back."""
    check_target(path, sources=others)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        before = os.fstat(descriptor)
        try:
            _put(descriptor, text.encode("utf-8", "backslashreplace"))
        except BaseException:
            if stat.S_ISREG(before.st_mode):
                os.ftruncate(descriptor, before.st_size)
            raise
    finally:
        os.close(descriptor)


def is_standard_output(path: AnyPath) -> bool:
    """Whether a path is the standard output of this process, as ``/dev/stdout`` is."""
    return _is_stream(path, sys.stdout)


def same_target(first: AnyPath, second: AnyPath) -> bool:
    """Whether two paths name the same file, whether or not it exists."""
    one, two = _there(first), _there(second)
    if one is None or two is None:
        return os.path.realpath(first) == os.path.realpath(second)
    return stat.S_ISREG(one.st_mode) and os.path.samestat(one, two)


def _standard_stream(path: AnyPath) -> int | None:
    """The descriptor of the standard stream that a path names, or None.

    Such a path is written to directly: whoever reads the stream has the old file open and would not see a new one.
    """
    for stream in (sys.stdout, sys.stderr):
        if _is_stream(path, stream):
            stream.flush()
            return stream.fileno()
    return None


def _is_stream(path: AnyPath, stream: Any) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
    except (OSError, ValueError, AttributeError):  # no file at the path; or the stream is closed or not a file
        return False


def _there(path: AnyPath) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _replace(target: str, fill: Callable[[int], object], old: os.stat_result | None) -> None:
    beside = os.path.join(os.path.dirname(target), f".steelyard-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            if old is not None:
                _like(descriptor, old)
            fill(descriptor)
            _sync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(os.path.dirname(target))


def _like(descriptor: int, old: os.stat_result) -> None:
    """Give the new file the mode of the old one and, where the process may do so, its owner."""
    new = os.fstat(descriptor)
    if hasattr(os, "fchown") and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _put(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def _sync_folder(folder: str) -> None:
    """Sync the folder, so that the rename survives a crash; without it the old or the new file is found complete."""
    with suppress(OSError):
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
