"""What a column of the records can mean: the table of roles.

The readers and the command know a role from its row alone: how its column is found, what its values have to be, which
words messages and help use. ``records.read`` has a keyword for each and ``Run`` a field, which
``tests/test_roles.py`` holds to the table. How to add one: ``docs/recipes/add-a-role.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan, nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import keyword

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]

NONE = "none"  # the value of an option that switches a guess off
ROW = "row"  # id="row": the row number is the id
ANOTHER = "name another column with {another}, or pass {off}"  # what to do about a column that does not fit
ROUNDING = 1e-6  # how far beyond its range a probability or its logarithm may lie, for how it was computed


def share(values: Floats) -> Rows:
    """Where values are at least 0 and at most 1, but for rounding."""
    return (values >= 0) & (values <= 1 + ROUNDING)


def countable(values: Floats) -> Rows:
    """Where values are whole numbers from 1 on that float64 holds exactly."""
    whole: Rows = values == np.floor(values)
    return whole & (values > 0) & (values < 2**53)


@dataclass(frozen=True)
class Role:
    """One meaning that a column can have."""

    name: str
    """The keyword of ``records.read`` and the option of the command; messages call the role so."""
    help: str
    """What it is, in the help of the command."""
    usual: tuple[str, ...]
    """The names of columns that are guessed to have this role."""

    kind: Literal["special", "number", "text"]
    """How values are read: as numbers that ``allowed`` takes, as text in every row, or by code of their own."""
    only_for: str = ""
    """The only part of a report that uses it; empty where comparisons do too: then ``compare`` has the option."""

    of_answer: bool = False
    """Whether it is about a model's answer: a wide file may have a column for each model, another score has no use
    for it, and a file without a score is read for it alone."""
    beside: str = ""
    """The role without which it means nothing. Where a guess of this one does not fit and the other one needs it
    (``needed_beside``), that one is dropped too."""
    asked: bool = False
    """Whether a file with several usual names is refused. It is read without the role otherwise, and a note says so."""
    droppable: bool = True
    """Whether a file is read without the role, and a note says so, where the values of a guessed column do not fit."""

    allowed: Callable[[Floats], Rows] = np.isfinite
    """Where numbers are possible values."""
    expected: str = "a finite number"
    """The same in words."""
    most: float = inf
    """What larger numbers, by rounding, are read as."""
    default: float = nan
    """The number of a row without one. Where it is not NaN, records have it without a column too."""
    fix: str = ANOTHER
    """What to do about a value that is not allowed, or a text that is missing: ``{another}`` stands for the option and
    ``{off}`` for ``off``."""
    without: str = ""
    """What becomes of records without this role, where somebody may not expect it."""

    @property
    def option(self) -> str:
        """The option of the command."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def absent(self) -> str:
        """Why a row is left out that has no value."""
        return f"no {self.name}"

    @property
    def needed_beside(self) -> bool:
        """Whether every row that has a value of the role ``beside`` needs one of this."""
        return bool(self.beside) and not isnan(self.default)

    def off(self) -> str:
        """How a caller reads without this role, as part of a sentence."""
        return keyword(self.name, NONE) + self.without

    def how_to_fix(self) -> str:
        """What to do about a value that is not allowed, or a text that is missing."""
        return self.fix.format(another=keyword(self.name), off=self.off())

    def name_another(self) -> str:
        """What to do about a column that holds something else than numbers."""
        return ANOTHER.format(another=keyword(self.name), off=self.off())

    def choose_another(self) -> str:
        """What to do about a column that cannot have this role."""
        return "choose another column" + ("" if self.droppable else f", or pass {self.off()}")


_TABLE = (
    Role(
        "id",
        "What pairs the records of two models: a column, several ('a,b'), or 'row' for the row number.",
        ("id", "doc_id", "question_id", "sample_id", "example_id", "instance_id", "item_id", "task_id"),
        kind="special",
        asked=True,
    ),
    Role("model", "The model's name.", ("model", "model_name"), kind="special", asked=True),
    Role(
        "score",
        "The score; 'a==b' makes one of two columns.",
        ("correct", "is_correct", "acc", "exact_match", "score"),
        kind="special",
        of_answer=True,
        asked=True,
        fix="choose another column with {another}",
    ),
    Role(
        "confidence",
        "Probability that the answer is right.",
        ("confidence", "prob"),
        kind="number",
        only_for="calibration",
        of_answer=True,
        allowed=share,
        expected="a probability from 0 to 1",
        fix="pass a probability, or {off}",
    ),
    Role(
        "loglikelihood",
        "Log-likelihood of the text, in nats.",
        ("loglikelihood",),
        kind="number",
        only_for="perplexity",
        of_answer=True,
        allowed=lambda values: values <= ROUNDING,
        expected="at most 0",
        most=0.0,
        fix="pass log-likelihoods in nats, not their negatives, or {off}",
    ),
    Role(
        "n_tokens",
        "How many tokens the log-likelihood is of.",
        ("n_tokens",),
        kind="number",
        only_for="perplexity",
        of_answer=True,
        beside="loglikelihood",
        allowed=countable,
        expected="a whole number from 1 on",
        default=1.0,
    ),
    Role(
        "n_words",
        "How many words the text of the log-likelihood has.",
        ("n_words",),
        kind="number",
        only_for="perplexity",
        of_answer=True,
        beside="loglikelihood",
        allowed=countable,
        expected="a whole number from 1 on",
    ),
    Role(
        "n_bytes",
        "How many bytes the text of the log-likelihood has.",
        ("n_bytes",),
        kind="number",
        only_for="perplexity",
        of_answer=True,
        beside="loglikelihood",
        allowed=countable,
        expected="a whole number from 1 on",
    ),
    Role(
        "cluster",
        "Records that belong together: a document, a subject; several columns as 'a,b'.",
        ("cluster",),
        kind="text",
        asked=True,
        droppable=False,  # without it intervals would be too narrow
        fix="give each row that belongs to no other a value of its own, or pass {off}",
        without=" to count all records as independent",
    ),
    Role(
        "epoch",
        "Which repetition of the same question this is.",
        ("epoch",),
        kind="text",
        fix="complete the column, or pass {off}",
    ),
)
ROLES = {role.name: role for role in _TABLE}
NUMBERS = tuple(role for role in _TABLE if role.kind == "number")
TEXTS = tuple(role for role in _TABLE if role.kind == "text")

# The score alone may be made of two columns, and two files that give it have to give the same.
SCORE_PAIRS = (
    ("true_label", "pred_label"),
    ("target", "prediction"),
    ("label", "prediction"),
    ("y_true", "y_pred"),
)
SHARES = frozenset({"correct", "is_correct", "exact_match"})  # under these names other values than shares are no scores
NO_SCORE = ROLES["score"].absent
NO_TARGET = "no target"
