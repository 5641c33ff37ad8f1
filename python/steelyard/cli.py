"""The command: reads records, prints the report, decides with an exit code. What it computes, ``report`` computes."""

from __future__ import annotations

import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text
from typer.core import TyperCommand

from . import _exit, _files, records, report
from ._exit import Exit
from ._mode import standard_mode
from ._text import printable
from .config import show_config
from .errors import called, is_ours, keyword, sentence, value_error
from .records.source import name_of
from .report.html import check_needs, page
from .report.results import MIN_MATCHED

app = typer.Typer(
    name="steelyard",
    help="Weigh evaluation results: every score with its interval, every comparison paired.",
    epilog="Exit codes: " + "; ".join(f"{code}: {meaning}" for code, meaning in _exit.CODES.items()) + ".",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Command(TyperCommand):
    """A command that keeps no option in silence: what takes one value is given once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what is given twice, then read the words."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(order).items():
            one = not (getattr(option, "multiple", False) or getattr(option, "is_flag", False))
            if times > 1 and one and option.param_type_name == "option":
                said = sentence(option.opts[0], "one value", str(times), "leave all but one out")
                raise typer.Exit(_exit.refuse(said))
        return super().parse_args(ctx, args)


class FailOn(StrEnum):
    """Which verdicts make ``compare`` exit with 1."""

    worse = "worse"
    undecided = "undecided"
    never = "never"


COLUMNS = "Columns of the records (dotted paths; guessed by name where left out)"


def _column(flag: str, text: str) -> Any:
    return typer.Option(flag, help=text, metavar="COLUMN", rich_help_panel=COLUMNS)


Id = Annotated[str | None, _column("--id", "What pairs the records of two models; 'row' for the row number.")]
ModelColumn = Annotated[str | None, _column("--model", "The model's name.")]
Score = Annotated[str | None, _column("--score", "The score; 'a==b' makes one of two columns.")]
Confidence = Annotated[str | None, _column("--confidence", "Probability that the answer is right.")]
Loglikelihood = Annotated[str | None, _column("--loglikelihood", "Log-likelihood of the text, in nats.")]
NTokens = Annotated[str | None, _column("--n-tokens", "How many tokens the log-likelihood is of.")]
Cluster = Annotated[str | None, _column("--cluster", "Records that belong together: a document, a subject.")]
Epoch = Annotated[str | None, _column("--epoch", "Which repetition of the same question this is.")]
Filter = Annotated[str | None, typer.Option(help="Which filter of an lm-evaluation-harness file to read.")]
Names = Annotated[
    list[str] | None, typer.Option("--names", help="The models' names, one a file: repeated or with commas.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models", help="Only these models, or columns that are one each: repeated or with commas.", metavar="NAME"
    ),
]
Repeats = Annotated[
    str | None, typer.Option(help="'epochs': equal ids are repetitions of one question.", metavar="epochs")
]
Missing = Annotated[
    str, typer.Option(help="What a record without a score gets: left out, 0 or a number.", metavar="drop|wrong|VALUE")
]
Margin = Annotated[float, typer.Option(help="A loss up to this much does not count as worse.")]
Level = Annotated[float, typer.Option("--confidence-level", help="Of all intervals.")]
MinMatched = Annotated[
    float,
    typer.Option(help="How many ids have to match: a share of the side that has fewer.", metavar="SHARE"),
]
LowerIsBetter = Annotated[bool, typer.Option("--lower-is-better", help="The score is a loss or an error.")]
Debug = Annotated[bool, typer.Option(_exit.DEBUG, help="Show the traceback of an error.")]
Json = Annotated[
    str | None, typer.Option("--json", help="Write the report as data; '-' to standard output.", metavar="FILE|-")
]
Html = Annotated[
    str | None, typer.Option("--html", help="Write the report as one page; '-' to standard output.", metavar="PAGE|-")
]


@app.callback(invoke_without_command=True)
def main(context: typer.Context, *, debug: Debug = False) -> None:
    """Weigh evaluation results: every score with its interval, every comparison paired."""
    _exit.show_tracebacks(debug)
    if context.invoked_subcommand is None:  # help; but a script whose words got lost has decided nothing
        _print(context.get_help() or "")
        raise typer.Exit(Exit.BAD_INPUT)


@app.command("report", cls=Command)
def report_command(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Records: JSONL, JSON, CSV or Parquet, also gzipped; '-' is standard input.",
            metavar="FILE...",
            show_default=False,
        ),
    ],
    *,
    html: Html = None,
    json_to: Json = None,
    baseline: Annotated[str | None, typer.Option(help="Compare every model with this one.", metavar="NAME")] = None,
    models: Models = None,
    margin: Margin = 0.0,
    confidence_level: Level = 0.95,
    lower_is_better: LowerIsBetter = False,
    id: Id = None,
    model: ModelColumn = None,
    score: Score = None,
    confidence: Confidence = None,
    loglikelihood: Loglikelihood = None,
    n_tokens: NTokens = None,
    cluster: Cluster = None,
    epoch: Epoch = None,
    filter: Filter = None,
    names: Names = None,
    repeats: Repeats = None,
    missing: Missing = "drop",
    debug: Debug = False,
) -> None:
    """Print what the records say: scores, paired comparisons, calibration, perplexity."""
    with _sentences(debug):
        columns = {
            "id": id, "model": model, "score": score, "confidence": confidence, "loglikelihood": loglikelihood,
            "n_tokens": n_tokens, "cluster": cluster, "epoch": epoch,
        }  # fmt: skip
        paths = _paths(files)
        out = _outputs(paths, json_to, html)
        how = _missing(missing, lower_is_better)
        chosen = _Chosen(name_of(paths[0]), baseline, models)
        asked = None if baseline is None and models is None else chosen
        runs = _read(paths, names=names, models=asked, filter=filter, repeats=repeats, missing=how, **columns)
        made = report.build(
            runs,
            confidence_level=confidence_level,
            margin=margin,
            baseline=chosen.baseline,
            higher_is_better=not lower_is_better,
        )
        _hand_over(made, out)


@app.command(cls=Command)
def compare(
    files: Annotated[
        list[str],
        typer.Argument(help="BASE NEW..., or one FILE of several models.", metavar="BASE NEW...", show_default=False),
    ],
    *,
    margin: Margin = 0.0,
    min_matched: MinMatched = MIN_MATCHED,
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 1 if any is worse; or worse or undecided.")] = FailOn.worse,
    baseline: Annotated[
        str | None, typer.Option(help="The model to compare with; the first file's otherwise.", metavar="NAME")
    ] = None,
    models: Models = None,
    html: Html = None,
    json_to: Json = None,
    confidence_level: Level = 0.95,
    lower_is_better: LowerIsBetter = False,
    id: Id = None,
    model: ModelColumn = None,
    score: Score = None,
    cluster: Cluster = None,
    epoch: Epoch = None,
    filter: Filter = None,
    names: Names = None,
    repeats: Repeats = None,
    missing: Missing = "drop",
    debug: Debug = False,
) -> None:
    """Compare models with a baseline on the records that both answered.

    Exits with 1 where a verdict is one that --fail-on names, and only there.
    """
    with _sentences(debug):
        paths = _paths(files)
        out = _outputs(paths, json_to, html)
        how = _missing(missing, lower_is_better)
        unused = dict.fromkeys(("confidence", "loglikelihood", "n_tokens"), "none")
        columns = {"id": id, "model": model, "score": score, "cluster": cluster, "epoch": epoch}
        chosen = _Compared(name_of(paths[0]), baseline, models)
        runs = _read(
            paths, names=names, models=chosen, filter=filter, repeats=repeats, missing=how, **columns, **unused
        )
        made = report.comparison(
            runs,
            baseline=chosen.baseline or "",
            models=chosen.models,
            confidence_level=confidence_level,
            margin=margin,
            higher_is_better=not lower_is_better,
            min_matched=min_matched,
        )
        _hand_over(made, out)
        _job_summary(made, out)
    verdicts = {pair.verdict for pair in made.pairs}
    bad = {FailOn.worse: {"worse"}, FailOn.undecided: {"worse", "undecided"}, FailOn.never: set[str]()}[fail_on]
    raise typer.Exit(Exit.VERDICT if verdicts & bad else Exit.FINE)


@app.command(cls=Command)
def config(*, debug: Debug = False) -> None:
    """Print versions, numerics, instruction set and threads."""
    with _sentences(debug):
        with redirect_stdout(io.StringIO()) as shown:
            show_config()
        _print(shown.getvalue())


@standard_mode
def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these words, or those of the process; return the code to end with."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name is shown on any terminal
    try:
        code = app(arguments, prog_name="steelyard", standalone_mode=False)
    except typer.Abort:
        return Exit.INTERRUPTED
    except SystemExit:  # Rich and Typer leave so where the reader of the help has gone; no verdict comes this way
        return Exit.FINE
    except Exception as error:
        if (usage := _usage(error)) is None:
            raise
        return _exit.refuse(usage)
    return code if isinstance(code, int) else Exit.FINE


def _usage(error: Exception) -> str | None:
    """What Typer, or the Click below it, says of words that are no command; None for any other error."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    context = getattr(error, "ctx", None)
    said = str(message()).strip().replace(": Value error, ", ": ", 1)  # Pydantic's word, below Typer
    return f"{said} (see {context.command_path if context is not None else 'steelyard'} --help)"


def _paths(files: list[str]) -> list[str]:
    """The files to read; ``-`` is standard input."""
    return ["/dev/stdin" if file == "-" else file for file in files]


def _missing(missing: str, lower_is_better: bool) -> str | float:
    """What a record without a score gets: a word, or a number."""
    if missing == "wrong" and lower_is_better:
        expected = "drop or the number of a bad score where lower is better"
        raise value_error("missing", expected, "wrong", "0 would be the best of all")
    if missing in ("drop", "wrong"):
        return missing
    try:
        return float(missing)
    except ValueError:
        raise value_error("missing", "drop, wrong or a number", repr(missing)) from None


def _read(paths: list[str], *, names: list[str] | None, **options: Any) -> records.Runs:
    """Read the records, with a progress bar where someone watches."""
    of_files = _names(names, paths)
    if sys.stderr is None or not sys.stderr.isatty():
        return records.read(paths, names=of_files, progress=False, **options)
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return records.read(paths, names=of_files, progress=progress, **options)


def _names(names: list[str] | None, paths: list[str]) -> list[str] | None:
    """One name a file: ``--names a --names b`` as they stand, or ``--names a,b``."""
    return names if names is None or len(names) == len(paths) else _split(names)


def _split(names: list[str]) -> list[str]:
    """``--models a --models b`` and ``--models a,b`` are the same."""
    return [part.strip() for name in names for part in name.split(",")]


def _all_names(of_files: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for of_file in of_files for name in of_file))


class _Chosen:
    """Which models are read: it is asked when their names are known and nothing is checked yet."""

    def __init__(self, first: str, baseline: str | None, models: list[str] | None) -> None:
        self.first, self.baseline, self.given = first, baseline, models
        self.models: list[str] | None = None

    def __call__(self, of_files: Sequence[Sequence[str]]) -> Sequence[str] | None:
        names = _all_names(of_files)
        if self.given is None and isinstance(of_files[0], records.Offered):
            raise self._no_models(of_files[0])
        if self.baseline is not None:
            found = records.find_name(self.baseline, names)
            if found is None and (self.given is None or len(names) > 1):  # else all may be columns
                expected = f"one of the models {', '.join(map(repr, names))}"
                raise value_error("baseline", expected, repr(self.baseline))
            self.baseline = found or self.baseline
        if self.given is None:
            return None
        self.models = [name for one in self.given for name in _named(one, names)]
        return self.models if self.baseline is None else [self.baseline, *self.models]

    def _no_models(self, offered: records.Offered) -> Exception:
        """A file without a score, whose columns may be the models: which of them is not guessed."""
        if self.baseline is None:
            return offered.why
        others = [name for name in offered if name != records.find_name(self.baseline, offered)]
        if len(others) == len(offered):
            expected = f"one of the columns {', '.join(map(repr, offered))}, since {self.first} has no score column"
            fix = f"name those to compare it with by {keyword('models')}, or the score's column with {keyword('score')}"
            return value_error("baseline", expected, repr(self.baseline), fix)
        expected = f"the columns to compare with {self.baseline!r}, since {self.first} has no score column"
        return value_error("models", expected, "none", f"choose from {', '.join(map(repr, others))}")


class _Compared(_Chosen):
    """Which models ``compare`` reads: without a baseline the first file's, if that holds one."""

    def __call__(self, of_files: Sequence[Sequence[str]]) -> Sequence[str] | None:
        offered = self.given is None and isinstance(of_files[0], records.Offered)
        if self.baseline is None and not offered:
            if len(of_files[0]) != 1:
                expected = f"the name of a model, since {self.first} does not hold exactly one"
                found = ", ".join(map(repr, of_files[0])) or "none"
                raise value_error("baseline", expected, "none", f"choose from {found}")
            (self.baseline,) = of_files[0]
        return super().__call__(of_files)


def _named(given: str, names: Sequence[str]) -> list[str]:
    """The models that one --models names: a name with a comma may be one."""
    return [given] if records.find_name(given, names) is not None else _split([given])


@dataclass(frozen=True)
class _Outputs:
    """Where the report goes besides the terminal; the place None is standard output."""

    sources: list[str]
    places: dict[str, str | None]  # option -> place

    def write(self, option: str, text: str) -> None:
        place = self.places[option]
        if place is None:
            _print(text, data=True)
        else:
            _files.write(place, text, sources=self.sources, name=option)

    @property
    def names(self) -> list[str]:
        return [place for place in self.places.values() if place is not None]

    @property
    def on_standard_output(self) -> bool:
        return None in self.places.values()


def _outputs(sources: list[str], json_to: str | None, html: str | None) -> _Outputs:
    """Check the places to write before anything is read: none is an input, no two are one, all take a file."""
    asked = {option: place for option, place in (("--json", json_to), ("--html", html)) if place is not None}
    places: dict[str, str | None] = {}
    for option, place in asked.items():
        places[option] = None if place == "-" or _files.is_standard_output(place) else place
        if places[option] is not None:
            _files.check_target(place, sources=sources, name=option)
    if len(asked) == 2 and (places["--json"] is places["--html"] is None or _files.same_target(*asked.values())):
        raise value_error("--html", "a place of its own", f"that of --json, {html!r}", "choose another name")
    if "--html" in asked:
        try:
            check_needs()
        except ModuleNotFoundError as error:
            _refuse(str(error), error)
    return _Outputs(sources, places)


def _hand_over(made: report.Report, out: _Outputs) -> None:
    """Give the report in every form that was asked for, files first: a reader of the tables may leave early.

    With ``-`` standard output is that form and nothing else. Where the page is stands on standard error.
    """
    texts = {
        "--json": lambda: json.dumps(made.to_dict(), ensure_ascii=False, allow_nan=False, indent=2) + "\n",
        "--html": lambda: page(made),
    }
    ready = {option: texts[option]() for option in out.places}
    for option, text in ready.items():
        out.write(option, text)
    if not out.on_standard_output:
        _print(_coloured(made.to_text(min(Console().width, 100))))
    if (place := out.places.get("--html")) is not None:
        _exit.say(f"page written to {printable(place)}\n", raw=True)


def _coloured(text: str) -> str:
    """The text as the terminal takes it, if there is one. Rich does not print it: it has an exit code of its own."""
    terminal = Console()
    out = io.StringIO()
    settings: dict[str, Any] = {"force_terminal": terminal.is_terminal, "color_system": terminal.color_system}
    Console(file=out, highlight=False, **settings).print(_styled(text), soft_wrap=True)
    return out.getvalue()


def _styled(text: str) -> Text:
    """Colour for a terminal; without one Rich prints the text as it is."""
    styled = Text(text)
    styled.highlight_regex(r"(?m)(?<=\n\n).+$|\A.+$", "bold")
    styled.highlight_regex(r"(?m)(?<=  )(better|not worse)$", "green")
    styled.highlight_regex(r"(?m)(?<=  )worse$", "red")
    styled.highlight_regex(r"(?m)(?<=  )undecided$", "yellow")
    styled.highlight_regex(r"(?m)^Caution: .*(\n  .*)*", "bold yellow")
    styled.highlight_regex(r"(?m)^-+(  -+)+$", "dim")
    return styled


def _print(text: str, *, data: bool = False) -> None:
    """Print as it is, data in UTF-8 whatever the terminal's encoding; a reader that has left is no reason to fail."""
    if sys.stdout is None:  # closed by the caller
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


def _job_summary(made: report.Report, out: _Outputs) -> None:
    """Add the report to the summary of a GitHub Actions job; a summary that cannot be written is no reason to fail."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        _files.append(path, made.to_markdown(), others=[*out.sources, *out.names])
    except (OSError, ValueError) as error:
        _exit.say(f"the job summary was not written: {error}")


def _refuse(said: str, error: BaseException) -> NoReturn:
    raise typer.Exit(_exit.refuse(said, error)) from None


ARGUMENTS = (
    "baseline", "cluster", "confidence", "confidence_level", "epoch", "filter", "id", "loglikelihood", "margin",
    "min_matched", "missing", "model", "models", "n_tokens", "names", "repeats", "score",
)  # fmt: skip
OPTIONS = {"paths": "FILE", "runs": "FILE", "higher_is_better": "--lower-is-better"} | {
    name: f"--{name.replace('_', '-')}" for name in ARGUMENTS
}


@contextmanager
def _sentences(debug: bool) -> Iterator[None]:
    """Bad input is one sentence on standard error and exit code 2, in the words of the command's options."""
    if debug:
        _exit.show_tracebacks()
    try:
        with called(OPTIONS):
            yield
    except typer.Exit:
        raise
    except OSError as error:
        if error.filename is None:  # no place that the caller named
            raise typer.Exit(_exit.because_of(error)) from None
        got = error.strerror or error
        _refuse(f"{error.filename}: expected a place to read or write; got: {got}", error)
    except BaseException as error:
        if is_ours(error):
            _refuse(str(error), error)
        raise typer.Exit(_exit.because_of(error)) from None
