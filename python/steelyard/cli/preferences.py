"""The command ``preferences``: an audit of preference data."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import records, report
from ..records.places import find
from ..records.preferences import HELP
from . import options
from .output import add_to_job_summary, hand_over, outputs
from .progress import bar
from .sentences import sentences


@options.named_columns(HELP)
def preferences(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Pairs of a chosen and a rejected answer, or single answers with labels: JSONL, JSON or Parquet, also "
            "compressed; directories; patterns; '-' is standard input.",
            metavar="FILE...",
            show_default=False,
        ),
    ],
    *,
    beta: Annotated[float, typer.Option(help="The scale of the implicit reward.")] = 0.1,
    doubts: Annotated[int, typer.Option(help="How many pairs of each kind are listed to label again.")] = 20,
    folds: Annotated[int, typer.Option(help="Folds of the sweep over losses and scales.")] = 5,
    seed: Annotated[int, typer.Option(help="How prompts are dealt out to the folds.")] = 0,
    bins: Annotated[int, typer.Option("--bins", help="Bins of the calibration, an even number.")] = 20,
    html: options.Html = None,
    json_to: options.Json = None,
    confidence_level: options.Level = 0.95,
    where: options.Where = None,
    exclude: options.Exclude = None,
    title: options.Title = None,
    date: options.Date = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    **columns: str | None,
) -> None:
    """Say what preference data are worth: copies, contradictions, length, scores, and what log-probabilities say."""
    with sentences(debug):
        paths = ["/dev/stdin" if file == "-" else file for file in files]
        out = outputs(find(paths, exclude or ()).files, json_to, html)
        with bar("reading") as progress:
            data = records.preferences(paths, where=where or (), exclude=exclude or (), progress=progress, **columns)
        with bar("comparing") as progress:
            made = report.preferences(
                data,
                beta=beta,
                folds=folds,
                seed=seed,
                doubts=doubts,
                bins=bins,
                confidence_level=confidence_level,
                title=title,
                date=date,
                progress=progress,
            )
        hand_over(made, out, quiet=quiet)
        add_to_job_summary(made, out)
