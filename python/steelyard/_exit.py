"""How the command ends: one table of exit codes, and a hook that keeps 1 for the verdict.

Python ends with 1 after an exception that nobody caught, and a script would read that as "worse".
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

TRACEBACK = "STEELYARD_TRACEBACK"  # what --debug is to what fails before options are read
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
    Exit.VERDICT: "`compare` found the verdict that --fail-on names; nothing else ends with 1",
    Exit.BAD_INPUT: "an option, a record, a file, a folder or an environment variable that cannot be used",
    Exit.FAILURE: f"an unexpected failure ({DEBUG} shows where), or no memory left",
    Exit.INTERRUPTED: "interrupted",
}


def is_command() -> bool:
    """Whether this process is the command, rather than a program that imports the package."""
    arguments, all_words = sys.argv, sys.orig_argv
    if not arguments or len(all_words) < len(arguments):
        return False
    if arguments[0] == "-m":  # Python is still looking for the module
        return all_words[-len(arguments)] in ("steelyard", "-msteelyard")
    folder, name = os.path.split(arguments[0])
    return name in ("steelyard", "steelyard.exe", "steelyard-script.py") or (
        name == "__main__.py" and os.path.basename(folder) == "steelyard"
    )


_traceback = False


def show_tracebacks(yes: bool = True) -> None:
    """Show where errors come from, beside the sentence."""
    global _traceback  # noqa: PLW0603 - one process, one command
    _traceback = yes


def _shows_tracebacks() -> bool:
    return _traceback or bool(os.environ.get(TRACEBACK)) or (is_command() and DEBUG in sys.argv[1:])


def guard() -> None:
    """From the first import on, an exception that nobody catches ends the command with a code of its own."""
    if is_command():
        sys.excepthook = _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    code = because_of(error.with_traceback(trace))
    _flush()
    os._exit(code)


def because_of(error: BaseException) -> int:
    """Say in one sentence on standard error why the command ends, and return the code."""
    # A verdict is returned, never raised: a SystemExit(1) is somebody else's.
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
    """Say what cannot be used, and return the code for it."""
    if error is not None:
        _trace(error)
    say(str(sentence))
    return Exit.BAD_INPUT


def say(text: str, *, raw: bool = False) -> None:
    """Write to standard error, if there is one: where no message can be shown, the exit code still tells."""
    try:
        sys.stderr.write(text if raw else f"steelyard: {printable(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        silence(sys.stderr)


def leave(code: int) -> int:
    """The code to end with, once all that was printed is out; what could not be printed is bad for a good code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has what it wanted
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
    """Send what is still in a stream's buffer nowhere, so that Python does not fail on it when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        return


guard()
