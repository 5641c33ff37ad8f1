"""Writing a report to its destinations: the terminal, files, standard output, the job summary of GitHub Actions."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from .. import _exit, _files, report
from .._text import printable
from ..errors import value_error
from ..report.forms import Forms
from ..report.html import check_needs, page

Made = report.Report | report.LogitsReport | report.PreferencesReport | report.Plan


@dataclass(frozen=True)
class Outputs:
    """The destinations of the options that write: for each one given a file name, or None for standard output."""

    sources: Sequence[str]
    places: dict[str, str | None]

    def write(self, option: str, text: str) -> None:
        """Write what an option asked for to its place."""
        place = self.places[option]
        if place is None:
            show(text, data=True)
        else:
            _files.write(place, text, sources=self.sources, name=option)

    @property
    def names(self) -> list[str]:
        """The files that are written."""
        return [place for place in self.places.values() if place is not None]

    @property
    def on_standard_output(self) -> bool:
        """Whether standard output holds data, so that nothing else may be printed there."""
        return None in self.places.values()


def outputs(sources: Sequence[str], json_to: str | None, html: str | None, errors: str | None = None) -> Outputs:
    """Check before anything is read that no place is an input, no two are the same and each can be written."""
    given = {"--json": json_to, "--html": html, "--errors": errors}
    asked = {option: place for option, place in given.items() if place is not None}
    places: dict[str, str | None] = {}
    for option, place in asked.items():
        places[option] = None if place == "-" or _files.is_standard_output(place) else place
        if places[option] is not None:
            _files.check_target(place, sources=sources, name=option)
        for other in list(places)[:-1]:
            if places[other] is places[option] is None or _files.same_target(asked[other], place):
                raise value_error(option, "a place of its own", f"that of {other}, {place!r}", "choose another name")
    if "--html" in asked:
        try:
            check_needs()
        except ModuleNotFoundError as error:
            raise typer.Exit(_exit.refuse(str(error), error)) from None
    return Outputs(sources, places)


def hand_over(made: Made, out: Outputs, *, quiet: bool = False) -> None:
    """Write the report in every form that was asked for.

    Files come first, since whoever reads the tables may close the pipe early. With ``-`` standard output holds that
    form and nothing else, and where ``quiet`` it holds only what ``-`` asks for. Where the page was written is said on
    standard error.
    """
    texts = {
        "--json": lambda: json.dumps(made.to_dict(), ensure_ascii=False, allow_nan=False, indent=2) + "\n",
        "--html": lambda: "" if isinstance(made, report.Plan) else _page(made),  # a plan has no page
        "--errors": lambda: made.errors() if isinstance(made, report.Report) else "",
    }
    ready = {option: texts[option]() for option in out.places}
    for option, text in ready.items():
        out.write(option, text)
    if not out.on_standard_output and not quiet:
        show(_coloured(made.to_text(min(Console().width, 100))))
    if (place := out.places.get("--html")) is not None:
        _exit.say(f"page written to {printable(place)}\n", raw=True)


def _page(made: report.Report | Forms) -> str:
    return made.page() if isinstance(made, Forms) else page(made)


def _coloured(text: str) -> str:
    """The text with colour codes for a terminal. We print it ourselves, since Rich exits on a closed pipe."""
    terminal = Console()
    out = io.StringIO()
    settings: dict[str, Any] = {"force_terminal": terminal.is_terminal, "color_system": terminal.color_system}
    Console(file=out, highlight=False, **settings).print(_styled(text), soft_wrap=True)
    return out.getvalue()


def _styled(text: str) -> Text:
    """The text with its headings, verdicts and cautions marked; without a terminal Rich leaves the marks out."""
    styled = Text(text)
    styled.highlight_regex(r"(?m)(?<=\n\n).+$|\A.+$", "bold")
    styled.highlight_regex(r"(?m)(?<=  )(better|not worse)$", "green")
    styled.highlight_regex(r"(?m)(?<=  )worse$", "red")
    styled.highlight_regex(r"(?m)(?<=  )undecided$", "yellow")
    styled.highlight_regex(r"(?m)^Caution: .*(\n  .*)*", "bold yellow")
    styled.highlight_regex(r"(?m)^-+(  -+)+$", "dim")
    return styled


def show(text: str, *, data: bool = False) -> None:
    """Print the text, data as UTF-8 whatever the terminal's encoding. A closed pipe is no error."""
    if sys.stdout is None:  # the caller closed it
        return
    try:
        if data and hasattr(sys.stdout, "buffer"):
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        else:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _exit.silence(sys.stdout)
    except OSError as error:
        _exit.silence(sys.stdout)
        error.filename = "standard output"
        raise


def add_to_job_summary(made: report.Report | Forms, out: Outputs) -> None:
    """Add the report to the summary of a GitHub Actions job. Where that fails it is said, and changes no exit code."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        _files.append(path, made.to_markdown(), others=[*out.sources, *out.names])
    except (OSError, ValueError) as error:
        _exit.say(f"the job summary was not written: {error}")
