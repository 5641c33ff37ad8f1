"""What is said about arguments that the command cannot parse: the message of Typer, and what was probably meant."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def usage(error: Exception, arguments: Sequence[str], commands: AbstractSet[str]) -> str | None:
    """The message of Typer, or of Click below it, about wrong arguments; None for any other error."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "steelyard"
    said = str(message()).strip().replace(": Value error, ", ": ", 1)  # Pydantic's word, below Typer
    near = getattr(error, "possibilities", None)
    if command == "steelyard" and (meant := _with_command(arguments, commands)):
        said = f"{said.partition(' (')[0].rstrip('.')}; did you mean `{meant}`?"
    elif near:
        said = f"{str(getattr(error, 'message', said)).rstrip('.')}; did you mean {' or '.join(sorted(near))}?"
    return f"{said} (see {command} --help)"


def _with_command(arguments: Sequence[str], commands: AbstractSet[str]) -> str | None:
    """The arguments with the command that was left out, where they name files to read."""
    if commands.isdisjoint(arguments) and any(os.path.exists(word) for word in arguments):
        return shlex.join(["steelyard", "report", *arguments])
    return None
