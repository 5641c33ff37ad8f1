"""The exit codes of the command, and a hook that reserves exit code 1 for the verdict of ``compare``.

Python itself exits with 1 after an uncaught exception, which a script would read as the verdict "worse".
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from types import TracebackType
from typing import Any

from ._text import printable

__all__ = [
    "CODES", "Exit", "because_of", "guard", "is_command", "leave", "refuse", "say", "show_tracebacks", "silence",
]  # fmt: skip

TRACEBACK = "STEELYARD_TRACEBACK"  # environment variable with the effect of --debug, also before options are read
DEBUG = "--debug"


class Exit(IntEnum):
    """The exit codes of the command."""

    FINE = 0
    VERDICT = 1
    BAD_INPUT = 2
    FAILURE = 3
    INTERRUPTED = 130


CODES = {
    Exit.FINE: "all went well",
    Exit.VERDICT: "`compare` or `compare-logits` found the verdict that --fail-on names; nothing else ends with 1",
    Exit.BAD_INPUT: "an option, a record, a file, a folder or an environment variable that cannot be used",
    Exit.FAILURE: f"an unexpected failure ({DEBUG} shows where), or no memory left",
    Exit.INTERRUPTED: "interrupted",
}


def is_command() -> bool:
    """Whether this process is the command, rather than a program that imports the package."""
    arguments, all_words = sys.argv, sys.orig_argv
    if not arguments or len(all_words) < len(arguments):
        return False
    if arguments[0] == "-m":  # argv[0] is "-m" while Python is still locating the module to run
        return all_words[-len(arguments)] in ("steelyard", "-msteelyard")
    folder, name = os.path.split(arguments[0])
    return name in ("steelyard", "steelyard.exe", "steelyard-script.py") or (
        name == "__main__.py" and os.path.basename(folder) == "steelyard"
    )


_traceback = False


def show_tracebacks(yes: bool = True) -> None:
    """Print the traceback of an error in addition to its message."""
    global _traceback  # noqa: PLW0603 - a process runs one command
    _traceback = yes


def _shows_tracebacks() -> bool:
    return _traceback or bool(os.environ.get(TRACEBACK)) or (is_command() and DEBUG in sys.argv[1:])


def guard() -> None:
    """Install the hook that gives uncaught exceptions of the command an exit code other than 1."""
    if is_command():
        sys.excepthook = _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    code = because_of(error.with_traceback(trace))
    _flush()
    os._exit(code)


def because_of(error: BaseException) -> int:
    """Say in one sentence on standard error why the command ends, and return the code."""
    # A verdict is returned, never raised, so a SystemExit(1) comes from other code and is a failure.
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code != Exit.VERDICT:
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    _trace(error)
    where = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, MemoryError):
        say(f"not enough memory{where}: {str(error) or 'the records and the report have to fit in it'}")
    else:
        kind = type(error).__name__
        say(
            f"unexpected failure{where}, {kind}: {_first_line(error)}; please report it, with the traceback that "
            f"{DEBUG} shows and what `steelyard config` prints"
        )
    return Exit.FAILURE


def _trace(error: BaseException) -> None:
    if _shows_tracebacks():
        import traceback

        say("".join(traceback.format_exception(error)), raw=True)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:400] if text else "no message"


def refuse(sentence: object, error: BaseException | None = None) -> int:
    """Print which input cannot be used, and return the exit code for bad input."""
    if error is not None:
        _trace(error)
    say(str(sentence))
    return Exit.BAD_INPUT


def say(text: str, *, raw: bool = False) -> None:
    """Write to standard error, if it is open; otherwise the exit code alone reports the outcome."""
    try:
        sys.stderr.write(text if raw else f"steelyard: {printable(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        silence(sys.stderr)


def leave(code: int) -> int:
    """Flush standard output and return the exit code: that of bad input where a successful run could not print."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has read what it wanted: not an error
        silence(sys.stdout)
    except (OSError, ValueError) as error:
        silence(sys.stdout)
        say(f"standard output: expected a place to write; got: {getattr(error, 'strerror', None) or error}")
        code = code if code > Exit.VERDICT else Exit.BAD_INPUT
    return code


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def silence(stream: Any) -> None:
    """Redirect a stream to the null device, so that Python's flush of its buffer at exit cannot fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        return


guard()
