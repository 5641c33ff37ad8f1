"""The command ``steelyard``: it reads records, prints a report and ends with an exit code.

The work is done by ``records`` and ``report``.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .. import _exit, records, report
from .._exit import Exit
from .._mode import standard_mode
from .._numbers import plural
from ..config import show_config
from ..errors import sentence, value_error
from ..records.places import find
from ..records.roles import NONE, ROLES
from ..records.source import name_of
from ..report.results import MIN_MATCHED
from . import logits, options, perplexity, preferences
from .chosen import Chosen, Compared, split
from .examples import epilog
from .options import FailOn
from .output import add_to_job_summary, hand_over, outputs
from .output import show as print_text
from .progress import bar
from .sentences import sentences
from .usage import usage

app = typer.Typer(
    name="steelyard",
    help="Weigh evaluation results: every score with its interval, every comparison paired.",
    epilog="Exit codes: " + "; ".join(f"{code}: {meaning}" for code, meaning in _exit.CODES.items()) + ".",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Command(TyperCommand):
    """A command that refuses a single-valued option given twice; Click would silently drop the first value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse options given twice, then parse the arguments as usual."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(order).items():
            one = not (getattr(option, "multiple", False) or getattr(option, "is_flag", False))
            if times > 1 and one and option.param_type_name == "option":
                said = sentence(option.opts[0], "one value", str(times), "leave all but one out")
                raise typer.Exit(_exit.refuse(said))
        return super().parse_args(ctx, args)


@app.callback(invoke_without_command=True)
def main(context: typer.Context, *, debug: options.Debug = False) -> None:
    """Weigh evaluation results: every score with its interval, every comparison paired."""
    _exit.show_tracebacks(debug)
    if context.invoked_subcommand is None:  # a script that lost its arguments must not end with 0
        print_text(context.get_help() or "")
        raise typer.Exit(Exit.BAD_INPUT)


@app.command("report", cls=Command, epilog=epilog("report"))
@options.columns_of(*ROLES.values())
def report_command(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Records: JSONL, JSON, CSV or Parquet, also compressed; directories; patterns ('runs/**/*.jsonl'); "
            "'-' is standard input.",
            metavar="FILE...",
            show_default=False,
        ),
    ],
    *,
    html: options.Html = None,
    json_to: options.Json = None,
    baseline: Annotated[str | None, typer.Option(help="Compare every model with this one.", metavar="NAME")] = None,
    models: options.Models = None,
    margin: options.Margin = 0.0,
    confidence_level: options.Level = 0.95,
    lower_is_better: options.LowerIsBetter = False,
    unpaired: options.Unpaired = False,
    filter: options.Filter = None,
    names: options.Names = None,
    repeats: options.Repeats = None,
    missing: options.Missing = "drop",
    where: options.Where = None,
    exclude: options.Exclude = None,
    by: options.By = None,
    show: options.Show = None,
    errors: options.Errors = None,
    pass_at: options.PassAt = None,
    bins: options.Bins = 15,
    title: options.Title = None,
    date: options.Date = None,
    metrics: options.Metrics = None,
    values: options.Values = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    **columns: str | None,
) -> None:
    """Print what the records say: scores, paired comparisons, calibration, perplexity."""
    with sentences(debug):
        paths = _paths(files)
        _check_items(errors, unpaired)
        out = outputs(find(paths, exclude or ()).files, json_to, html, errors)
        how = _missing(missing, lower_is_better)
        chosen = Chosen(name_of(paths[0]), baseline, models)
        again = "epochs" if pass_at is not None and repeats is None else repeats  # pass@k is of repeated ids
        rows: dict[str, Any] = {"filter": filter, "repeats": again, "missing": how, "values": values}
        rows |= {"where": where or (), "exclude": exclude or ()}
        runs = _read(paths, names=names, models=chosen.or_all(), **rows, **columns)
        made = report.build(
            runs,
            confidence_level=confidence_level,
            margin=margin,
            baseline=chosen.baseline,
            higher_is_better=not lower_is_better,
            paired=not unpaired,
            by=split(by or []),
            show=split(show or []),
            pass_at=options.whole_numbers(pass_at, "pass_at"),
            n_bins=bins,
            title=title,
            date=date,
            metrics=split(metrics or []),
        )
        hand_over(made, out, quiet=quiet)


@app.command(cls=Command, epilog=epilog("compare"))
@options.columns_of(*(role for role in ROLES.values() if role.only_for != "calibration"))
def compare(
    files: Annotated[
        list[str],
        typer.Argument(
            help="BASE NEW..., each a file, a directory or a pattern; or one of several models.",
            metavar="BASE NEW...",
            show_default=False,
        ),
    ],
    *,
    margin: options.Margin = 0.0,
    min_matched: options.MinMatched = MIN_MATCHED,
    fail_on: options.Failing = FailOn.worse,
    baseline: Annotated[
        str | None, typer.Option(help="The model to compare with; the first file's otherwise.", metavar="NAME")
    ] = None,
    models: options.Models = None,
    html: options.Html = None,
    json_to: options.Json = None,
    confidence_level: options.Level = 0.95,
    lower_is_better: options.LowerIsBetter = False,
    unpaired: options.Unpaired = False,
    sequential: options.Sequential = False,
    bounds: options.Bounds = None,
    filter: options.Filter = None,
    names: options.Names = None,
    repeats: options.Repeats = None,
    missing: options.Missing = "drop",
    where: options.Where = None,
    exclude: options.Exclude = None,
    by: options.By = None,
    show: options.Show = None,
    errors: options.Errors = None,
    values: options.Values = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    **columns: str | None,
) -> None:
    """Compare models with a baseline on the records that both answered.

    Exits with 1 where a verdict is one that --fail-on names, and only there. It is the verdict on all records: the
    verdicts by group (--by) are shown and change no exit code. With --loglikelihood perplexities are compared (and
    scores too where --score names them); their verdicts count as well. With --sequential the comparison may be repeated
    as records come in, and its exit code believed each time.
    """
    with sentences(debug):
        paths = _paths(files)
        _check_items(errors, unpaired)
        out = outputs(find(paths, exclude or ()).files, json_to, html, errors)
        how = _missing(missing, lower_is_better)
        chosen = Compared(name_of(paths[0]), baseline, models)
        columns = _compared_columns(columns)
        rows: dict[str, Any] = {"filter": filter, "repeats": repeats, "missing": how, "values": values}
        rows |= {"where": where or (), "exclude": exclude or ()}
        runs = _read(paths, names=names, models=chosen, **rows, **columns)
        made = report.comparison(
            runs,
            baseline=chosen.baseline or "",
            models=chosen.models,
            confidence_level=confidence_level,
            margin=margin,
            higher_is_better=not lower_is_better,
            paired=not unpaired,
            by=split(by or []),
            show=split(show or []),
            min_matched=min_matched,
            sequential=sequential,
            bounds=None if bounds is None else options.numbers(bounds, "bounds"),
        )
        hand_over(made, out, quiet=quiet)
        add_to_job_summary(made, out)
    verdicts = {pair.verdict for pair in made.pairs} | {pair.verdict for pair in made.perplexities}
    raise typer.Exit(fail_on.code(verdicts))


@app.command(cls=Command, epilog=epilog("plan"))
@options.columns_of(*(role for role in ROLES.values() if not role.only_for))
def plan(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="A pilot: records of two models or more.", metavar="[FILE...]", show_default=False),
    ] = None,
    *,
    difference: Annotated[
        str, typer.Option(help="The differences of the mean scores that should be seen.", metavar="D,...")
    ] = "0.01,0.02,0.03,0.05,0.1",
    discordance: Annotated[
        str | None,
        typer.Option(help="Without a pilot: shares of the items on which two models differ.", metavar="SHARE,..."),
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            help="How many answers to an item (epochs) to plan for; 1 and the pilot's otherwise.", metavar="K,..."
        ),
    ] = None,
    power: Annotated[float, typer.Option(help="With what probability a difference should be seen.")] = 0.8,
    comparisons: Annotated[
        int | None, typer.Option(help="How many verdicts have to hold together; the pairs of the pilot otherwise.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The model to compare with; the first one otherwise.", metavar="NAME")
    ] = None,
    models: options.Models = None,
    json_to: options.Json = None,
    confidence_level: options.Level = 0.95,
    filter: options.Filter = None,
    names: options.Names = None,
    repeats: options.Repeats = None,
    missing: options.Missing = "drop",
    where: options.Where = None,
    exclude: options.Exclude = None,
    values: options.Values = None,
    debug: options.Debug = False,
    **columns: str | None,
) -> None:
    """Say how many items it takes to see a difference: from the records of a pilot, or from a discordance."""
    with sentences(debug):
        paths = _paths(files or [])
        out = outputs(find(paths, exclude or ()).files if paths else [], json_to, None)
        asked: dict[str, Any] = {"differences": options.numbers(difference, "differences")}
        if answers is not None:
            asked["answers"] = options.whole_numbers(answers, "answers")
        if discordance is not None:
            if paths:
                raise value_error(
                    "discordance", "no files beside it, since a pilot says it", plural(len(paths), "file")
                )
            asked["discordance"] = options.numbers(discordance, "discordance")
        runs = None
        if paths:
            columns |= {role.name: NONE for role in ROLES.values() if role.only_for}  # not looked for
            chosen = Chosen(name_of(paths[0]), baseline, models)
            how: dict[str, Any] = {"filter": filter, "repeats": repeats, "missing": _missing(missing, False), **columns}
            how |= {"where": where or (), "exclude": exclude or (), "values": values}
            runs = _read(paths, names=names, models=chosen.or_all(), **how)
            asked |= {"baseline": chosen.baseline, "models": chosen.models}
        made = report.plan(runs, power=power, confidence_level=confidence_level, comparisons=comparisons, **asked)
        hand_over(made, out)


@app.command(cls=Command, epilog=epilog("config"))
def config(*, debug: options.Debug = False) -> None:
    """Print versions, numerics, instruction set and threads."""
    with sentences(debug):
        with redirect_stdout(io.StringIO()) as shown:
            show_config()
        print_text(shown.getvalue())


@standard_mode
def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or those of the process, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name is shown on any terminal
    try:
        code = app(arguments, prog_name="steelyard", standalone_mode=False)
    except typer.Abort:
        return Exit.INTERRUPTED
    except SystemExit:  # how Rich and Typer end where the help goes into a closed pipe; verdicts end otherwise
        return Exit.FINE
    except Exception as error:
        given = sys.argv[1:] if arguments is None else list(arguments)
        if (said := usage(error, given, _COMMANDS)) is None:
            raise
        return _exit.refuse(said)
    if code == Exit.VERDICT and not isinstance(code, Exit):
        return Exit.BAD_INPUT  # Typer's own, such as for a shell that it cannot complete for
    return code if isinstance(code, int) else Exit.FINE


def _paths(files: list[str]) -> list[str]:
    """The files to read; ``-`` is standard input."""
    return ["/dev/stdin" if file == "-" else file for file in files]


def _compared_columns(columns: dict[str, str | None]) -> dict[str, str | None]:
    """What ``compare`` reads: scores; where log-likelihoods are named, these, and scores only if named too."""
    found = dict(columns)
    if columns["loglikelihood"] is None:
        found |= {role.name: NONE for role in ROLES.values() if role.only_for}  # not looked for
    else:
        found |= {"confidence": NONE, "score": columns["score"] or NONE}
    return found


def _check_items(errors: str | None, unpaired: bool) -> None:
    """Refuse to write the items that flipped where no item is compared with another."""
    if errors is not None and unpaired:
        raise value_error("errors", "models that answered the same questions", "--unpaired", "leave one of the two out")


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


def _read(paths: list[str], *, names: list[str] | None, **how: Any) -> records.Runs:
    """Read the records, with a progress bar where standard error is a terminal."""
    of_files = _names(names, paths)
    with bar("reading") as progress:
        return records.read(paths, names=of_files, progress=progress, **how)


def _names(names: list[str] | None, paths: list[str]) -> list[str] | None:
    """One name per file: ``--names a --names b`` as they stand, or ``--names a,b`` taken apart."""
    return names if names is None or len(names) == len(paths) else split(names)


app.command("compare-logits", cls=Command, epilog=epilog("compare-logits"))(logits.compare_logits)
app.command("preferences", cls=Command, epilog=epilog("preferences"))(preferences.preferences)
perplexity.register(app, cls=Command, sentences=sentences, read=_read)
_COMMANDS = frozenset(one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands)
