"""The command ``compare-logits``: dumps of two models' logits for the same tokens, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import report
from ..errors import called, value_error
from ..report import logits_files
from . import options
from .options import FailOn
from .output import add_to_job_summary, hand_over, outputs
from .progress import bar
from .sentences import sentences

# The arguments of the Python call that are files here.
FILES = {"baseline": "BASE", "new": "NEW", "logits": "NEW", "path": "FILE"}


def compare_logits(
    base: Annotated[
        str,
        typer.Argument(
            help="The baseline: .npy logits, or a KL base file of llama.cpp.", metavar="BASE", show_default=False
        ),
    ],
    new: Annotated[str, typer.Argument(help="The model: likewise.", metavar="NEW", show_default=False)],
    *,
    targets: Annotated[
        str | None, typer.Option(help="The tokens that come next (.npy); a KL base file has its own.", metavar="FILE")
    ] = None,
    documents: Annotated[
        str | None, typer.Option(help="The document of each token or row (.npy): clusters.", metavar="FILE")
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(help="The tokens' texts: JSON, a list or text: id, or a tokenizer.json.", metavar="FILE"),
    ] = None,
    margin: Annotated[
        float, typer.Option(help="By which share the perplexity may rise without counting as worse.")
    ] = 0.0,
    margin_kl: Annotated[float | None, typer.Option("--margin-kl", help="Up to which mean KL, in nats.")] = None,
    margin_flips: Annotated[
        float | None, typer.Option("--margin-flips", help="Up to which share of flipped tokens.")
    ] = None,
    fail_on: options.Failing = FailOn.worse,
    names: options.Names = None,
    html: options.Html = None,
    json_to: options.Json = None,
    confidence_level: options.Level = 0.95,
    title: options.Title = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare two models' logits for the same tokens: a quantised model with its original.

    Exits with 1 where a verdict is one that --fail-on names: on the ratio of perplexities and, where their margins are
    given, on the mean KL divergence and the flips.
    """
    with sentences(debug), called(FILES):
        files = [base, new, *(file for file in (targets, documents, vocabulary) if file is not None)]
        out = outputs(files, json_to, html)
        given = _two_names(names, base, new)
        with bar("comparing") as progress:
            made = report.compare_logits(
                logits_files.logits(new, "NEW"),
                logits_files.logits(base, "BASE"),
                None if targets is None else logits_files.array(targets, "targets"),
                documents=None if documents is None else logits_files.array(documents, "documents"),
                vocabulary=None if vocabulary is None else logits_files.vocabulary(vocabulary),
                names=given,
                margin=margin,
                margin_kl=margin_kl,
                margin_flips=margin_flips,
                confidence_level=confidence_level,
                title=title,
                sources=files,
                progress=progress,
            )
        hand_over(made, out, quiet=quiet)
        add_to_job_summary(made, out)
    raise typer.Exit(fail_on.code(one.verdict for one in made.margins))


def _two_names(given: list[str] | None, base: str, new: str) -> tuple[str, str]:
    """What the models are called: by --names, else by their files, with folders where these are equal."""
    if given is not None:
        names = given if len(given) == 2 else [part.strip() for name in given for part in name.split(",")]
        if len(names) != 2:
            raise value_error("names", "two names, of BASE and NEW", f"{len(names)}")
        return names[0], names[1]
    stems = Path(base).stem, Path(new).stem
    return stems if stems[0] != stems[1] else (base, new)
