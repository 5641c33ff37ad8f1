"""The options that the commands share, and the option that each argument of the package has on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from .. import _exit
from .._exit import Exit
from ..errors import value_error
from ..records.preferences import HELP
from ..records.roles import ROLES, Role

RECORDS = "Which records are read, and what they are worth"
OUTPUT = "Where the report goes"
COLUMNS = "Columns of the records (dotted paths; guessed by name where left out)"


Command = TypeVar("Command", bound=Callable[..., None])


class FailOn(StrEnum):
    """Which verdicts make a comparison exit with 1."""

    worse = "worse"
    undecided = "undecided"
    never = "never"

    def code(self, verdicts: Iterable[str]) -> Exit:
        """The exit code for these verdicts."""
        bad = {"worse": {"worse"}, "undecided": {"worse", "undecided"}, "never": set[str]()}[self.value]
        return Exit.VERDICT if bad.intersection(verdicts) else Exit.FINE


def columns_of(*roles: Role) -> Callable[[Command], Command]:
    """Give a command an option for the column of each role; it takes them as ``**columns``.

    Typer makes the options of a command from its signature, so that is where they are written.
    """
    return _with_options(_column(role.name, role.option, role.help) for role in roles)


def named_columns(columns: Mapping[str, str]) -> Callable[[Command], Command]:
    """The same for columns by their names, with the help of each."""
    return _with_options(_column(name, f"--{name.replace('_', '-')}", said) for name, said in columns.items())


def _with_options(options: Iterable[inspect.Parameter]) -> Callable[[Command], Command]:
    added = list(options)

    def with_options(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return command

    return with_options


def _column(name: str, option: str, said: str) -> inspect.Parameter:
    kind = Annotated[str | None, typer.Option(option, help=said, metavar="COLUMN", rich_help_panel=COLUMNS)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def whole_numbers(given: str | None, name: str) -> tuple[int, ...]:
    """The numbers in ``1,5,10``."""
    if given is None:
        return ()
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise value_error(name, "whole numbers with commas between them, such as 1,5,10", repr(given))
    return tuple(map(int, parts))


def numbers(given: str, name: str) -> tuple[float, ...]:
    """The numbers in ``0.01,0.02``."""
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise value_error(name, "numbers with commas between them, such as 0.01,0.02", repr(given)) from None


Filter = Annotated[
    str | None, typer.Option(help="Which filter of an lm-evaluation-harness file to read.", rich_help_panel=RECORDS)
]
Names = Annotated[
    list[str] | None,
    typer.Option("--names", help="The models' names, one per file: repeated or with commas.", rich_help_panel=RECORDS),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        help="Only these models, or columns that are a model each: repeated or with commas.",
        metavar="NAME",
        rich_help_panel=RECORDS,
    ),
]
Repeats = Annotated[
    str | None,
    typer.Option(
        help="'epochs': equal ids are repetitions of one question.", metavar="epochs", rich_help_panel=RECORDS
    ),
]
Missing = Annotated[
    str,
    typer.Option(
        help="What a record without a score gets: left out, 0 or a number.",
        metavar="drop|wrong|VALUE",
        rich_help_panel=RECORDS,
    ),
]
Title = Annotated[
    str | None,
    typer.Option("--title", help="What the report is called.", metavar="TEXT", rich_help_panel=OUTPUT),
]
Date = Annotated[
    str | None,
    typer.Option(
        "--date",
        help="A date for the top of the page, which has none by itself.",
        metavar="TEXT",
        rich_help_panel=OUTPUT,
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics", help="Further columns to grade the same records by: repeated or with commas.", metavar="COLUMN"
    ),
]
Bins = Annotated[int, typer.Option("--bins", help="Bins of equal width of the calibration.")]
PassAt = Annotated[
    str | None,
    typer.Option(
        "--pass-at", help="pass@k and maj@k of records that repeat their ids, such as 1,5,10.", metavar="K,..."
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only such records: 'split==test and n<100' (== != < <= > >=).",
        metavar="CONDITION",
        rich_help_panel=RECORDS,
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        help="Columns whose values make groups, such as a subject: scores and differences of each. Repeated or with "
        "commas: groups inside groups.",
        metavar="COLUMN",
    ),
]
Show = Annotated[
    list[str] | None,
    typer.Option("--show", help="Columns to show beside the items that flipped.", metavar="COLUMN"),
]
Errors = Annotated[
    str | None,
    typer.Option(
        "--errors",
        help="Write the items that flipped, losses first, as JSON Lines; '-' to standard output.",
        metavar="FILE|-",
        rich_help_panel=OUTPUT,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Files not to read: a name, a folder or a pattern.",
        metavar="PATTERN",
        rich_help_panel=RECORDS,
    ),
]
Values = Annotated[
    str | None,
    typer.Option(
        "--values",
        help="What words of the score are worth, such as 'C=1,I=0,P=0.5'.",
        metavar="WORD=NUMBER,...",
        rich_help_panel=RECORDS,
    ),
]
Margin = Annotated[float, typer.Option(help="A loss up to this much does not count as worse.")]
Failing = Annotated[FailOn, typer.Option(help="Exit with 1 if any is worse; or worse or undecided.")]
Level = Annotated[float, typer.Option("--confidence-level", help="Of all intervals.")]
MinMatched = Annotated[
    float,
    typer.Option(help="How many ids have to match: a share of the side that has fewer.", metavar="SHARE"),
]
Unpaired = Annotated[
    bool, typer.Option("--unpaired", help="The models answered different questions: no ids are matched.")
]
Sequential = Annotated[
    bool,
    typer.Option(
        "--sequential",
        help="Intervals that hold at every time, for records that still come in: look as often as you like, and stop "
        "at any look. Ids in the order of the new model's file.",
    ),
]
Bounds = Annotated[
    str | None, typer.Option(help="With --sequential: the range of the scores; 0,1 otherwise.", metavar="LOW,HIGH")
]
LowerIsBetter = Annotated[bool, typer.Option("--lower-is-better", help="The score is a loss or an error.")]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        help="Print no tables: files are written, and the exit code says the verdict.",
        rich_help_panel=OUTPUT,
    ),
]
Debug = Annotated[bool, typer.Option(_exit.DEBUG, help="Show the traceback of an error.", rich_help_panel=OUTPUT)]
Json = Annotated[
    str | None,
    typer.Option(
        "--json", help="Write the report as data; '-' to standard output.", metavar="FILE|-", rich_help_panel=OUTPUT
    ),
]
Html = Annotated[
    str | None,
    typer.Option(
        "--html", help="Write the report as one page; '-' to standard output.", metavar="PAGE|-", rich_help_panel=OUTPUT
    ),
]

# An error names an argument of a Python call; in the command it names the option instead (errors.called).
ARGUMENTS = (
    "answers",
    "baseline",
    "beta",
    "bins",
    "bounds",
    "by",
    "comparisons",
    "confidence_level",
    "date",
    "discordance",
    "documents",
    "doubts",
    "exclude",
    "filter",
    "folds",
    "ignore_index",
    "margin",
    "margin_flips",
    "margin_kl",
    "min_matched",
    "metrics",
    "missing",
    "models",
    "names",
    "pass_at",
    "power",
    "seed",
    "sequential",
    "show",
    "targets",
    "tensors",
    "title",
    "errors",
    "repeats",
    "values",
    "vocabulary",
    "where",
)
OPTIONS = (
    {
        "paths": "FILE",
        "dumps": "FILE",
        "runs": "FILE",
        "higher_is_better": "--lower-is-better",
        "difference": "--difference",
        "differences": "--difference",
        "pilot": "FILE",
        "n_bins": "--bins",
        "paired": "--unpaired",
    }
    | {name: f"--{name.replace('_', '-')}" for name in (*ARGUMENTS, *HELP)}
    | {role.name: role.option for role in ROLES.values()}
)
