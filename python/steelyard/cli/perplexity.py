"""``steelyard perplexity``: the perplexity of models from dumps of logits and from records of log-likelihoods."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer

from .. import records, report
from ..errors import value_error
from ..records.places import find
from ..records.roles import NONE, ROLES
from ..report.dumps import is_dump
from . import options
from .examples import epilog
from .output import hand_over, outputs

NAME = "perplexity"
DUMPS = "Dumps of logits"
# What records are read for: the columns that say which text is whose, and how likely and how long it is.
COLUMNS = [role for role in ROLES.values() if role.only_for == "perplexity" or role.name in ("id", "model", "cluster")]

Read = Callable[..., records.Runs]
Sentences = Callable[[bool], AbstractContextManager[None]]


def register(app: typer.Typer, *, cls: Any, sentences: Sentences, read: Read) -> None:
    """Add the command to the others, which give it what they share."""

    @app.command(NAME, cls=cls, epilog=epilog(NAME))
    @options.columns_of(*COLUMNS)
    def perplexity(
        files: Annotated[
            list[str],
            typer.Argument(
                help="Logits with their targets (.safetensors, .npz, .npy), or records with log-likelihoods (JSONL, "
                "JSON, CSV, Parquet, logs of tools); each a model.",
                metavar="FILE...",
                show_default=False,
            ),
        ],
        *,
        targets: Annotated[
            str | None,
            typer.Option(help="The targets of logits in .npy files.", metavar="FILE", rich_help_panel=DUMPS),
        ] = None,
        documents: Annotated[
            str | None,
            typer.Option(
                help="The document of each token or row of logits, in a file.", metavar="FILE", rich_help_panel=DUMPS
            ),
        ] = None,
        tensors: Annotated[
            str | None,
            typer.Option(
                help="What arrays are called that are not named so: logits=..., targets=..., documents=..., "
                "n_words=..., n_bytes=...",
                metavar="ROLE=NAME,...",
                rich_help_panel=DUMPS,
            ),
        ] = None,
        ignore_index: Annotated[
            int, typer.Option(help="The target that does not count.", rich_help_panel=DUMPS)
        ] = -100,
        html: options.Html = None,
        json_to: options.Json = None,
        confidence_level: options.Level = 0.95,
        filter: options.Filter = None,
        names: options.Names = None,
        where: options.Where = None,
        exclude: options.Exclude = None,
        title: options.Title = None,
        date: options.Date = None,
        quiet: options.Quiet = False,
        debug: options.Debug = False,
        **columns: str | None,
    ) -> None:
        """Print the perplexity of models, per token, word and byte, and the mean of the documents' perplexities."""
        with sentences(debug):
            dumps = [file for file in files if is_dump(file)]
            paths = ["/dev/stdin" if file == "-" else file for file in files if not is_dump(file)]
            sources = [*dumps, *([] if not paths else find(paths, exclude or ()).files)]
            beside = [file for file in (targets, documents) if file is not None]
            out = outputs([*sources, *beside], json_to, html)
            of_dumps, of_records = _names(files, names)
            runs = None
            if paths:
                how: dict[str, Any] = {"filter": filter, "where": where or (), "exclude": exclude or (), **columns}
                runs = read(paths, names=of_records, score=NONE, confidence=NONE, **how)
            made = report.perplexity(
                runs, dumps=dumps, names=of_dumps, targets=targets, documents=documents, tensors=_tensors(tensors),
                ignore_index=ignore_index, confidence_level=confidence_level, title=title, date=date,
                progress=sys.stderr is not None and sys.stderr.isatty(),
            )  # fmt: skip
            hand_over(made, out, quiet=quiet)


def _names(files: list[str], names: list[str] | None) -> tuple[list[str] | None, list[str] | None]:
    """The names of the dumps and of the files of records, of those that were given for all files in their order."""
    if names is None:
        return None, None
    given = names if len(names) == len(files) else [part.strip() for name in names for part in name.split(",")]
    if len(given) != len(files):
        raise value_error("names", f"{len(files)} names, one for each file", str(len(given)))
    pairs = list(zip(files, given, strict=True))
    of_dumps = [name for file, name in pairs if is_dump(file)]
    return of_dumps, [name for file, name in pairs if not is_dump(file)]


def _tensors(given: str | None) -> dict[str, str]:
    """The pairs in ``logits=lm_logits,targets=labels``."""
    found = {}
    for pair in [] if given is None else given.split(","):
        role, is_, name = pair.partition("=")
        if not (is_ and role.strip() and name.strip()):
            raise value_error("tensors", "pairs such as logits=NAME,targets=NAME", repr(given))
        found[role.strip()] = name.strip()
    return found
