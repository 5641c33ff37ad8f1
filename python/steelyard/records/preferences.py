"""``records.preferences``: files of preference data become columns for an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._mode import standard_mode, standard_mode_methods
from .._progress import Progress
from ..errors import RecordError, keyword
from .finder import missing_column, some_of
from .formats import read_whole
from .naming import near
from .places import find
from .read import AnyPath, check_columns, each_file, paths_of, patterns_of
from .roles import NONE
from .table import LIST, Selected, Table, first_of, record_error
from .values import numbers, text
from .where import Condition, conditions, none_left, selected

__all__ = ["Preferences", "preferences"]

# The usual names of a column of texts, by what it means.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "instruction", "question", "query", "input", "history"),
    "chosen": ("chosen", "chosen_response", "response_chosen", "chosen_answer", "answer_chosen", "preferred"),
    "rejected": (
        "rejected", "rejected_response", "response_rejected", "rejected_answer", "answer_rejected", "dispreferred"
    ),
    "completion": ("completion", "response"),
    "label": ("label",),
    "source": ("source", "subset", "dataset", "domain"),
    "id": ("id", "pair_id", "example_id", "uid", "uuid"),
    "cluster": (),
}  # fmt: skip
# The usual names of two columns of numbers, of the chosen and of the rejected answer.
NUMBERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "score": (
        ("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"), ("chosen_rating", "rejected_rating"),
        ("rating_chosen", "rating_rejected"), ("chosen-rating", "rejected-rating"),
        ("chosen_avg_rating", "rejected_avg_rating"), ("chosen_reward", "rejected_reward"),
    ),
    "length": (
        ("length_chosen", "length_rejected"), ("chosen_length", "rejected_length"), ("chosen_len", "rejected_len"),
        ("chosen_tokens", "rejected_tokens"), ("n_tokens_chosen", "n_tokens_rejected"),
        ("chosen_num_tokens", "rejected_num_tokens"), ("lengths/chosen", "lengths/rejected"),
    ),
    "policy": (
        ("policy_chosen_logps", "policy_rejected_logps"), ("policy_chosen", "policy_rejected"),
        ("policy_chosen_logprobs", "policy_rejected_logprobs"), ("logps/chosen", "logps/rejected"),
        ("policy_logps/chosen", "policy_logps/rejected"), ("logps_chosen", "logps_rejected"),
        ("chosen_logps", "rejected_logps"),
    ),
    "reference": (
        ("reference_chosen_logps", "reference_rejected_logps"), ("ref_chosen_logps", "ref_rejected_logps"),
        ("reference_chosen", "reference_rejected"), ("reference_chosen_logprobs", "reference_rejected_logprobs"),
        ("ref_logps/chosen", "ref_logps/rejected"), ("reference_logps/chosen", "reference_logps/rejected"),
        ("ref_chosen", "ref_rejected"),
    ),
}  # fmt: skip
MARGIN = ("score_margin", "margin", "score_diff", "score_difference")
MOST_SOURCES = 50  # a guessed column with more values is no source
SIDES = ("chosen", "rejected")
# What each column is, in the help of the command; one option a column.
HELP: Mapping[str, str] = {
    "prompt": "The prompts; recovered from the answers otherwise.",
    "chosen": "The chosen answers: texts or conversations.",
    "rejected": "The rejected answers.",
    "completion": "Single answers, which --label says to be good or bad.",
    "label": "Whether a single answer is desirable.",
    "policy_chosen": "Log-probabilities of the chosen answers under the policy, in nats.",
    "policy_rejected": "Log-probabilities of the rejected answers under the policy.",
    "reference_chosen": "Log-probabilities of the chosen answers under the reference.",
    "reference_rejected": "Log-probabilities of the rejected answers under the reference.",
    "score_chosen": "Scores of the chosen answers, such as ratings.",
    "score_rejected": "Scores of the rejected answers.",
    "score_margin": "The differences of the scores.",
    "length_chosen": "Lengths of the chosen answers in tokens.",
    "length_rejected": "Lengths of the rejected answers in tokens.",
    "source": "Where a row comes from: figures for each source.",
    "id": "What rows are called.",
    "cluster": "What belongs together; the pairs of one prompt otherwise.",
}


@standard_mode_methods
@dataclass(frozen=True)
class Preferences:
    """Preference data as columns, one entry a row.

    Attributes
    ----------
    texts : mapping of str to list
        By ``prompt``, ``chosen``, ``rejected``, ``completion``, ``label``, ``source``, ``id`` and ``cluster``: values
        as the files have them, None where there is none. Only those that there are.
    numbers : mapping of str to array
        By ``policy_chosen``, ``policy_rejected``, ``reference_chosen`` and so on, ``score_chosen``, ``score_margin``,
        ``length_chosen``: NaN where there is none. Only those that there are.
    columns : mapping of str to str
        The names of the columns.
    places : tuple of str
        ``file, line 7``, for each row.
    lines : tuple of int
        The line of each row, or its row in Parquet.
    files : tuple of str
    read : mapping
        How many rows each file has.
    left_out : mapping
        The rows that ``where`` leaves out, by reason.
    guesses, notes : tuple of str
    """

    texts: Mapping[str, list[Any]]
    numbers: Mapping[str, NDArray[np.float64]]
    columns: Mapping[str, str]
    places: tuple[str, ...]
    lines: tuple[int, ...]
    files: tuple[str, ...]
    read: Mapping[str, int]
    left_out: Mapping[str, int]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)


@standard_mode
def preferences(
    paths: AnyPath | Sequence[AnyPath],
    *,
    prompt: str | None = None,
    chosen: str | None = None,
    rejected: str | None = None,
    completion: str | None = None,
    label: str | None = None,
    policy_chosen: str | None = None,
    policy_rejected: str | None = None,
    reference_chosen: str | None = None,
    reference_rejected: str | None = None,
    score_chosen: str | None = None,
    score_rejected: str | None = None,
    score_margin: str | None = None,
    length_chosen: str | None = None,
    length_rejected: str | None = None,
    source: str | None = None,
    id: str | None = None,
    cluster: str | None = None,
    where: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    progress: Progress = False,
) -> Preferences:
    """Read preference data: pairs of a chosen and a rejected answer, or single answers with labels.

    JSON Lines, a JSON array or Parquet, plain or compressed, told apart by their content; texts and conversations are
    kept whole. Each keyword names a column by its dotted path. What no keyword names is guessed by usual names, which
    ``guesses`` lists; ``"none"`` switches a guess off.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, directories, or patterns such as ``"data/**/*.jsonl"``.
    prompt, chosen, rejected
        Texts or conversations. Without a prompt it is recovered from the answers by the audit.
    completion, label
        Single answers, and whether they are desirable; looked for where there are no pairs.
    policy_chosen, policy_rejected, reference_chosen, reference_rejected
        Log-probabilities of the answers, in nats.
    score_chosen, score_rejected, score_margin
        Scores of the answers, or their difference. Beside ``completion``, ``score_chosen`` is its score.
    length_chosen, length_rejected
        Their lengths in tokens.
    source, id, cluster
        Where a row comes from, what it is called, and what it belongs to.
    where, exclude, progress
        As for :func:`steelyard.records.read`.

    Returns
    -------
    Preferences

    Raises
    ------
    RecordError
        With the file, what was expected, what came and what to do.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from steelyard import records
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pairs.jsonl"
    >>> _ = path.write_text(json.dumps({"prompt": "Why?", "chosen": "So.", "rejected": "No.", "score_margin": 2}))
    >>> found = records.preferences(path)
    >>> found.texts["chosen"], found.guesses
    (['So.'], ('prompt = prompt', 'chosen = chosen', 'rejected = rejected', 'score_margin = score_margin'))
    """
    options = {
        "prompt": prompt, "chosen": chosen, "rejected": rejected, "completion": completion, "label": label,
        "policy_chosen": policy_chosen, "policy_rejected": policy_rejected, "reference_chosen": reference_chosen,
        "reference_rejected": reference_rejected, "score_chosen": score_chosen, "score_rejected": score_rejected,
        "score_margin": score_margin, "length_chosen": length_chosen, "length_rejected": length_rejected,
        "source": source, "id": id, "cluster": cluster,
    }  # fmt: skip
    places = find(paths_of(paths), patterns_of(exclude))
    check_columns(options)
    wanted = conditions(where)
    every = each_file(places, progress, lambda file, on_read: selected(read_whole(file, on_read), wanted))
    tables = [table for table in every.values() if len(table)]
    if not tables:
        raise _nothing([*every.values()], wanted)
    parts = [_Columns(table, options) for table in tables]
    for part in parts:
        part.look()
    return _joined([*every.values()], parts, places.notes())


def _nothing(tables: Sequence[Table], wanted: Sequence[Condition]) -> Exception:
    """The error for files without a row."""
    if wanted and any(table.whole for table in tables):
        return none_left(tables, wanted)
    return record_error(first_of([table.file for table in tables]), "at least one pair", "no rows", "check the file")


class _Columns:
    """The columns of one file by what they mean."""

    def __init__(self, table: Table, options: Mapping[str, str | None]) -> None:
        self.table = table
        self.options = options
        self.found: dict[str, str] = {}
        self.numbers: dict[str, NDArray[np.float64]] = {}
        self.guesses: list[str] = []
        self.notes: list[str] = []

    def look(self) -> None:
        """Find all columns; raise where answers are missing."""
        for role in TEXTS:
            if role not in ("completion", "label"):
                self._find(role, TEXTS[role])
        if not {"chosen", "rejected"} <= self.found.keys():
            for role in ("completion", "label"):
                self._find(role, TEXTS[role])
        for kind, usual in NUMBERS.items():
            self._find_two(kind, usual)
        if "score_chosen" not in self.found:
            self._find("score_margin", MARGIN)
        self._check_answers()
        for role in [*self.found]:
            if role not in TEXTS and (values := self._numbers(role)) is not None:
                self.numbers[role] = values
        self._check_two()
        self._check_source()

    def values(self, role: str) -> list[Any]:
        """What a column of texts holds, whole, in the rows that are selected."""
        whole = self.table.columns
        columns = whole.whole if isinstance(whole, Selected) else whole
        found: list[Any] = columns.whole(self.found[role])  # type: ignore[attr-defined]
        if role in ("source", "id", "cluster"):
            found = [text(value) for value in found]
        return found if self.table.numbers is None else [found[number - 1] for number in self.table.numbers]

    def _find(self, role: str, usual: Sequence[str]) -> None:
        option = self.options[role]
        if option == NONE and NONE not in self.table.columns:
            return
        if option is not None:
            if option not in self.table.columns:
                raise missing_column(self.table, keyword(role), option, lambda name: keyword(role, name))
            self.found[role] = option
        elif (name := self._there(usual)) is not None:
            self._guess(role, name)

    def _find_two(self, kind: str, usual: Sequence[tuple[str, str]]) -> None:
        """Two columns of numbers: those that options name, else the first two with usual names."""
        roles = [f"{kind}_{side}" for side in SIDES]
        if any(self.options[role] is not None for role in roles):
            for role in roles:
                self._find(role, ())
            return
        for names in usual:
            there = [self._there([name]) for name in names]
            if there[0] is not None and there[1] is not None:
                for role, name in zip(roles, there, strict=True):
                    assert name is not None
                    self._guess(role, name)
                return

    def _there(self, usual: Sequence[str]) -> str | None:
        """The first of these names that the file has, as it is written or in any case."""
        for name in usual:
            if name in self.table.columns and self.table.kind(name) != "empty":
                return name
        folded = {name.casefold(): name for name in self.table.columns}
        found = (folded[name.casefold()] for name in usual if name.casefold() in folded)
        return next((name for name in found if self.table.kind(name) != "empty"), None)

    def _guess(self, role: str, name: str) -> None:
        self.found[role] = name
        self.guesses.append(f"{role} = {name}")

    def _drop(self, role: str, why: str) -> None:
        """Take a guess back, and say why."""
        name = self.found.pop(role)
        self.guesses.remove(f"{role} = {name}")
        self.notes.append(f"{self.table.file}: {name!r} is not read as the {role.replace('_', ' ')}: {why}")

    def _check_answers(self) -> None:
        """Raise unless there are pairs, answers with labels, or log-probabilities."""
        found, columns = self.found, list(self.table.columns)
        if {"chosen", "rejected"} <= found.keys() or {"completion", "label"} <= found.keys():
            return
        if "policy_chosen" in found and not {"chosen", "rejected"} & found.keys():
            return
        one = next((role for role in ("chosen", "rejected", "completion", "label") if role in found), None)
        if one is None:
            expected = "answers in columns such as 'chosen' and 'rejected', or 'completion' and 'label'"
            typed = [keyword(role, _like(role, columns)) for role in ("chosen", "rejected")]
            fix = f"name them with {' '.join(typed)}"
            raise record_error(self.table.file, expected, f"the columns {some_of(columns)}", fix)
        other = {"chosen": "rejected", "rejected": "chosen", "completion": "label", "label": "completion"}[one]
        others = [name for name in columns if name != found[one]]
        fix = f"name it with {keyword(other, _like(other, others))}"
        raise record_error(
            self.table.file, f"a column for the {other} beside {found[one]!r}", f"the columns {some_of(columns)}", fix
        )

    def _numbers(self, role: str) -> NDArray[np.float64] | None:
        """A column as numbers; a guess that holds something else is taken back."""
        name = self.found[role]
        values = self.table.columns[name]
        asked = self.options[role] is not None
        try:
            found, missing = numbers(values, repr(name), self.table.where, f"name another column with {keyword(role)}")
        except RecordError:
            if asked:
                raise
            self._drop(role, "it does not hold numbers")
            return None
        found[missing] = np.nan
        return found

    def _check_two(self) -> None:
        """Take guesses back that lack what belongs to them, or that single answers do not have."""
        single = "completion" in self.found
        for kind in NUMBERS:
            roles = [f"{kind}_{side}" for side in SIDES]
            if any(self.options[role] is not None for role in roles):
                continue
            there = [role for role in roles if role in self.numbers]
            lone = len(there) == 1 or (kind == "reference" and "policy_chosen" not in self.numbers)
            for role in there if lone or single else ():
                del self.numbers[role]
                self._drop(role, "it is of pairs" if single else "what belongs to it is not there")

    def _check_source(self) -> None:
        """Take a guessed source back that has a value for nearly every row, or is no text."""
        if "source" not in self.found or self.options["source"] is not None:
            return
        values = self.table.columns[self.found["source"]]
        if LIST in values:
            self._drop("source", "it holds lists")
        elif len(set(map(str, values))) > MOST_SOURCES:
            self._drop("source", f"it has more than {MOST_SOURCES} values")


def _like(role: str, columns: Sequence[str]) -> str:
    """The column that is likeliest meant, or a word for it."""
    found = near(role, columns)
    return found[0] if found else "COLUMN"


def _joined(tables: Sequence[Table], parts: Sequence[_Columns], said: Sequence[str]) -> Preferences:
    """The columns of all files, one after the other; None or NaN where a file has no such column."""
    roles = list(dict.fromkeys(role for part in parts for role in part.found))
    texts: dict[str, list[Any]] = {role: [] for role in roles if role in TEXTS}
    columns: dict[str, list[NDArray[np.float64]]] = {role: [] for role in roles if role not in TEXTS}
    for part in parts:
        n = len(part.table)
        for role, column in texts.items():
            column.extend(part.values(role) if role in part.found else [None] * n)
        for role, arrays in columns.items():
            arrays.append(part.numbers.get(role, np.full(n, np.nan)))
    left_out: dict[str, int] = {}
    for table in tables:
        for why, count in table.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    lines = [line for part in parts for line in part.table.lines]
    return Preferences(
        texts=texts, numbers={role: np.concatenate(arrays) for role, arrays in columns.items()},
        columns={role: name for part in reversed(parts) for role, name in part.found.items()},
        places=tuple(part.table.where(row) for part in parts for row in range(len(part.table))), lines=tuple(lines),
        files=tuple(table.file for table in tables), read={table.file: table.whole or len(table) for table in tables},
        left_out=left_out, guesses=tuple(dict.fromkeys(guess for part in parts for guess in part.guesses)),
        notes=(*dict.fromkeys(note for part in parts for note in part.notes), *said),
    )  # fmt: skip
