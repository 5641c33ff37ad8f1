"""The options that the commands share, and the option that each argument of the package has on the command line."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .. import _exit

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

# An error names an argument of a Python call; in the command it names the option instead (errors.called).
ARGUMENTS = (
    "baseline", "cluster", "confidence", "confidence_level", "epoch", "filter", "id", "loglikelihood", "margin",
    "min_matched", "missing", "model", "models", "n_tokens", "names", "repeats", "score",
)  # fmt: skip
OPTIONS = {"paths": "FILE", "runs": "FILE", "higher_is_better": "--lower-is-better"} | {
    name: f"--{name.replace('_', '-')}" for name in ARGUMENTS
}
