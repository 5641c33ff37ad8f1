"""The command: reads records, prints the report, decides with an exit code. What it computes, ``report`` computes."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from . import records, report
from .config import show_config
from .errors import value_error
from .report.words import printable

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="steelyard",
    help="Weigh evaluation results: every score with its interval, every comparison paired.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
Repeats = Annotated[
    str | None, typer.Option(help="'epochs': equal ids are repetitions of one question.", metavar="epochs")
]
Margin = Annotated[float, typer.Option(help="A loss up to this much does not count as worse.")]
Level = Annotated[float, typer.Option("--confidence-level", help="Of all intervals.")]
LowerIsBetter = Annotated[bool, typer.Option("--lower-is-better", help="The score is a loss or an error.")]
Json = Annotated[
    str | None, typer.Option("--json", help="Write the report as data; '-' to standard output.", metavar="FILE|-")
]
Html = Annotated[Path | None, typer.Option("--html", help="Write the report as one page.", metavar="PAGE")]


@app.command("report")
def report_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Records: JSONL, JSON, CSV or Parquet, also gzipped.", metavar="FILE...", show_default=False
        ),
    ],
    *,
    html: Html = None,
    json_to: Json = None,
    baseline: Annotated[str | None, typer.Option(help="Compare every model with this one.", metavar="NAME")] = None,
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
) -> None:
    """Print what the records say: scores, paired comparisons, calibration, perplexity."""
    with _sentences():
        columns = {
            "id": id, "model": model, "score": score, "confidence": confidence, "loglikelihood": loglikelihood,
            "n_tokens": n_tokens, "cluster": cluster, "epoch": epoch,
        }  # fmt: skip
        runs = _read(files, names=names, filter=filter, repeats=repeats, **columns)
        made = report.build(
            runs,
            confidence_level=confidence_level,
            margin=margin,
            baseline=baseline,
            higher_is_better=not lower_is_better,
        )
        _hand_over(made, json_to, html)


@app.command()
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(help="BASE NEW..., or one FILE of several models.", metavar="BASE NEW...", show_default=False),
    ],
    *,
    margin: Margin = 0.0,
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 1 if any model is this.")] = FailOn.worse,
    baseline: Annotated[
        str | None, typer.Option(help="The model to compare with; the first file's otherwise.", metavar="NAME")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--models", help="Compare only these: repeated or with commas.", metavar="NAME")
    ] = None,
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
) -> None:
    """Compare models with a baseline on the records that both answered.

    Exits with 0, with 1 where --fail-on says so, and with 2 on bad input.
    """
    with _sentences():
        runs = _read(
            files,
            names=names,
            filter=filter,
            repeats=repeats,
            id=id,
            model=model,
            score=score,
            cluster=cluster,
            epoch=epoch,
        )
        made = report.comparison(
            runs,
            baseline=baseline if baseline is not None else _first(runs, files),
            models=_split(models),
            confidence_level=confidence_level,
            margin=margin,
            higher_is_better=not lower_is_better,
        )
        _hand_over(made, json_to, html)
        _job_summary(made)
    verdicts = {pair.verdict for pair in made.pairs}
    bad = {FailOn.worse: {"worse"}, FailOn.undecided: {"worse", "undecided"}, FailOn.never: set[str]()}[fail_on]
    raise typer.Exit(1 if verdicts & bad else 0)


@app.command()
def config() -> None:
    """Print versions, numerics, instruction set and threads."""
    show_config()


def run() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name is shown on any terminal
    app(prog_name="steelyard")


def _read(files: list[Path], *, names: list[str] | None, **options: str | None) -> records.Runs:
    """Read the records, with a progress bar where someone watches."""
    paths = [str(file) for file in files]
    if not sys.stderr.isatty():
        return records.read(paths, names=_split(names), progress=False, **options)
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return records.read(paths, names=_split(names), progress=progress, **options)


def _split(names: list[str] | None) -> list[str] | None:
    """``--names a --names b`` and ``--names a,b`` are the same."""
    return None if names is None else [part for name in names for part in name.split(",")]


def _first(runs: records.Runs, files: list[Path]) -> str:
    """The only model of the first file."""
    inside = [run.name for run in runs if str(files[0]) in run.files]
    if len(inside) != 1:
        found = ", ".join(map(repr, inside)) or "none"
        raise value_error(
            "--baseline",
            f"the name of a model, since {files[0]} does not hold exactly one",
            "none",
            f"choose from {found}",
        )
    return inside[0]


def _hand_over(made: report.Report, json_to: str | None, html: Path | None) -> None:
    """Give the report in every form that was asked for; where the page is stands on standard error."""
    _show(made, json_to)
    if html is not None:
        made.to_html(html)
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"page written to {html}", markup=False)


def _show(made: report.Report, json_to: str | None) -> None:
    """Print the tables, or write the data; with ``--json -`` standard output is JSON and nothing else."""
    if json_to is not None:
        text = json.dumps(made.to_dict(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        if json_to == "-":
            sys.stdout.write(text)
            return
        Path(json_to).write_text(text, encoding="utf-8")
    console = Console(highlight=False)
    console.print(_styled(made.to_text(min(console.width, 100))), soft_wrap=True)


def _styled(text: str) -> Text:
    """Colour for a terminal; without one Rich prints the text as it is."""
    styled = Text(text)
    styled.highlight_regex(r"(?m)(?<=\n\n).+$|\A.+$", "bold")
    styled.highlight_regex(r"(?m)(?<=  )(better|not worse)$", "green")
    styled.highlight_regex(r"(?m)(?<=  )worse$", "red")
    styled.highlight_regex(r"(?m)(?<=  )undecided$", "yellow")
    styled.highlight_regex(r"(?m)^-+(  -+)+$", "dim")
    return styled


def _job_summary(made: report.Report) -> None:
    """Add the report to the summary of a GitHub Actions job; a summary that cannot be written is no reason to fail."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(made.to_markdown())
    except OSError as error:
        sys.stderr.write(f"steelyard: the job summary was not written: {error}\n")


def _refuse(said: str) -> NoReturn:
    sys.stderr.write(f"steelyard: {printable(said)}\n")
    raise typer.Exit(BAD_INPUT) from None


ROLE = re.compile(r"\b(id|model|score|confidence|loglikelihood|n_tokens|cluster|epoch|filter|names|repeats)=")


@contextmanager
def _sentences() -> Iterator[None]:
    """Bad input is one sentence on standard error and exit code 2, in the words of the command's options."""
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _refuse(f"{place}expected a place to read or write; got: {error.strerror or error}")
    except (ValueError, TypeError, MemoryError) as error:
        _refuse(ROLE.sub(lambda m: f"--{m[1].replace('_', '-')} ", str(error) or type(error).__name__))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None  # 1 would say "worse"
