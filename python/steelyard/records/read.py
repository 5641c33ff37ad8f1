"""The one call: files become runs, one per model."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .._mode import standard_mode
from .._progress import Progress, reporter
from ..errors import RecordError, keyword, shown, type_error, value_error, while_at
from . import columns, lm_eval
from .columns import Resolved, Unusable
from .finder import missing_column
from .formats import read_table
from .part import Part
from .roles import NONE, ROLES
from .run import Run, look_alikes, make_run
from .runs import Runs
from .source import STANDARD_INPUT, name_of
from .table import Table, find_name, record_error
from .values import text, texts

AnyPath = str | os.PathLike[str]
Choose = Callable[[Sequence[Sequence[str]]], Sequence[str] | None]
NOT_ASKED_FOR = "of a model not asked for"


@standard_mode
def read(
    paths: AnyPath | Sequence[AnyPath],
    *,
    id: str | None = None,
    model: str | None = None,
    score: str | None = None,
    confidence: str | None = None,
    loglikelihood: str | None = None,
    n_tokens: str | None = None,
    cluster: str | None = None,
    epoch: str | None = None,
    filter: str | None = None,
    names: Sequence[str] | None = None,
    models: Sequence[str] | Choose | None = None,
    repeats: str | None = None,
    missing: str | float = "drop",
    progress: Progress = False,
) -> Runs:
    """Read evaluation records: one run a model, with what was left out and what was guessed.

    JSON Lines, a JSON array, CSV, TSV or Parquet, plain or gzipped, told apart by their content. A file holds one
    model; or many, named by a column; or many side by side (``a.is_correct``, ``b.is_correct``). Columns are named
    by dotted path (``doc.subject``); the ones that no option names are guessed by their usual names. Where several
    columns can be the score or the id, the file is an error that lists them; so is a cluster that some records lack,
    since intervals without it would be too narrow. Any other guess that does not fit is dropped, and said in ``notes``.
    ``"none"`` for an option switches its guess off.

    Parameters
    ----------
    paths
        One file or several.
    id
        Column that says which records of two models belong together; ``"row"`` declares the row number. Guessed:
        ``id``, ``doc_id``, ``question_id``, ``sample_id``, ``example_id``, ``instance_id``, ``item_id``, ``task_id``.
    model
        Column of the model's name, for files that hold several models. Guessed: ``model``, ``model_name``.
    score
        Column of the score: numbers, bools, or such as text. Numbers that are all float32 (in Parquet also float16)
        are read as the shortest decimals that are the same in it: 0.1 is 0.1 in every file. ``"a==b"`` scores 1 where
        two columns agree, whatever their types, length and outer blanks. Beside a target no answer (null, blanks,
        ``n/a``, ``None``, in CSV also ``NA``) is a wrong one, counted as ``no_answer``; a word that a target of the
        model is counts as an answer. The names say which is the target
        (``label==prediction``); otherwise it is the first.
        Guessed: ``correct``, ``is_correct``, ``acc``, ``exact_match``, ``score``, else a pair such as
        ``true_label`` and ``pred_label``.
    confidence
        Column of the probability that the model gave its answer, from 0 to 1. Guessed: ``confidence``, ``prob``.
    loglikelihood
        Column of the log-likelihood of the record's text, in nats. Guessed: ``loglikelihood``.
    n_tokens
        Column of the number of tokens that ``loglikelihood`` is over; 1 without one. Guessed beside a
        log-likelihood: ``n_tokens``.
    cluster
        Column of what records belong to together: a document, a user. Every record needs a value, and all records
        of one id the same: two clusters for one id are an error. Guessed: ``cluster``.
    epoch
        Column that tells repetitions of one id apart. Guessed: ``epoch``.
    filter
        The filter to read from lm-evaluation-harness files that hold several, such as ``"strict-match"``.
    names
        The run's name for each file; files of one name are one run. Default: the file's name, or its folder's.
    models
        Only these runs, in this order, whatever blanks are around a name; what is wrong with others does not matter.
        In a file without any other score these may be columns, one for each model. A function is given a list of names
        for each file (of a single file without a score: its columns of numbers) and returns those to read, or None for
        all.
    repeats
        ``"epochs"``: ids may come more than once without an epoch column; they are epochs.
    missing
        What becomes of records whose score is null, empty or ``N/A``: ``"drop"`` leaves them out, ``"wrong"`` gives
        them 0 (the best of losses: give the number that is bad), a number gives them that. All are counted.
    progress
        True draws a line on standard error; a callable is told (bytes done, bytes in all).

    Returns
    -------
    Runs
        ``.runs``, ``.left_out``, ``.guesses``, ``.notes``, ``.scores()``.

    Raises
    ------
    RecordError
        With the file, the line, what was expected, what came and what to do.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from steelyard import records
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "base.jsonl"
    >>> _ = path.write_text("".join(json.dumps({"id": i, "correct": i % 3 > 0}) + chr(10) for i in range(6)))
    >>> runs = records.read(path)
    >>> runs["base"].score
    array([0., 1., 1., 0., 1., 1.])
    >>> runs.guesses
    ('id = id', 'score = correct')
    """
    files = _files(paths)
    options = {
        "id": id, "model": model, "score": score, "confidence": confidence, "loglikelihood": loglikelihood,
        "n_tokens": n_tokens, "cluster": cluster, "epoch": epoch,
    }  # fmt: skip
    for name, option in (options | {"filter": filter}).items():
        if option is not None and not isinstance(option, str):
            raise type_error(name, "a column's name", type(option).__name__)
    if repeats not in (None, "epochs"):
        raise value_error("repeats", "'epochs' or None", repr(repeats))
    filled = _missing(missing)
    names = _names(names, files)
    if names is not None and model is None:
        options["model"] = NONE  # the caller has named the runs
    if names is not None and options["model"] != NONE:
        expected = f"no names where {keyword('model')} names a column"
        raise value_error("names", expected, repr(list(names)), "leave one out")
    chosen = None if callable(models) else _models(models)
    tables = _read_all(files, progress, _asked(options) | frozenset(chosen or ()))
    names = names or _default_names([table.file for table in tables])
    reading = _Reading(tables, options, names, None, filter, repeats, filled)
    asked_for = _models(models(reading.inside())) if callable(models) else chosen
    return replace(reading, models=reading.as_written(asked_for)).runs()


def _files(paths: AnyPath | Sequence[AnyPath]) -> list[str]:
    """The files, named as the caller wrote them."""
    several: Iterable[AnyPath] = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(several, Iterable):
        raise type_error("paths", "a path or a sequence of paths", type(paths).__name__)
    files = []
    for path in several:
        if not isinstance(path, str | os.PathLike):
            raise type_error("paths", "a path or a sequence of paths", f"{type(path).__name__} among them")
        files.append(os.fsdecode(path))
        if not files[-1]:
            raise value_error("paths", "the name of a file", "''", "check how it is quoted")
    if not files:
        raise value_error("paths", "at least one file", "none")
    _check_pipes(files)
    return files


def _check_pipes(files: Sequence[str]) -> None:
    """A pipe is empty once it was read, and a named one would be waited for without end."""
    seen: set[tuple[int, int]] = set()
    for file in files:
        try:
            found = os.stat(file)
        except (OSError, ValueError):
            continue  # the reader says what is wrong
        key = found.st_dev, found.st_ino
        if (stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)) and key in seen:
            raise value_error("paths", "each pipe once", f"{name_of(file)!r} twice", "write its records to a file")
        seen.add(key)


def _names(names: Sequence[str] | None, files: Sequence[str]) -> list[str] | None:
    if names is None:
        return None
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(name, str) for name in names):
        raise type_error("names", "a sequence of names, one a file", shown(names))
    if len(names) != len(files):
        raise value_error("names", f"one name for each of the {len(files)} files", str(len(names)))
    return list(names)


def _missing(missing: str | float) -> float | None:
    """The score of a record that has none; None leaves it out."""
    if missing == "drop":
        return None
    if missing == "wrong":
        return 0.0
    if isinstance(missing, str) or not isinstance(missing, int | float) or isinstance(missing, bool):
        raise type_error("missing", "'drop', 'wrong' or a number", shown(missing))
    if not math.isfinite(missing):
        raise value_error("missing", "a finite number", repr(missing))
    return float(missing)


def _models(models: Sequence[str] | None) -> list[str] | None:
    if models is None:
        return None
    if isinstance(models, str) or not all(isinstance(name, str) for name in models):
        raise type_error("models", "a sequence of models' names", repr(models))
    return list(models)


def _asked(options: Mapping[str, str | None]) -> frozenset[str]:
    """The columns that options name."""
    return frozenset(side.strip() for option in options.values() if option for side in (option, *option.split("==")))


def _read_all(files: Sequence[str], progress: Progress, asked: frozenset[str]) -> list[Table]:
    """Read the files; ``progress`` is told the bytes read, and the total once, when all is read."""
    tell = reporter(progress)
    if tell is None:
        return [read_table(file, lambda read: None, asked) for file in files]
    sizes = [_size(file) for file in files]
    total, before = sum(sizes), 0
    tables = []
    for file, size in zip(files, sizes, strict=True):

        def watch(read: int, before: int = before) -> None:
            if total:
                tell(min(before + read, total - 1), total)

        tables.append(read_table(file, watch, asked))
        before += size
    tell(total, total)
    return tables


def _size(file: str) -> int:
    """Bytes of a regular file; of a pipe they are not known before they are read."""
    try:
        return os.path.getsize(file) if os.path.isfile(file) else 0
    except (OSError, ValueError):
        return 0  # the reader says what is wrong


class Offered(list[str]):
    """Columns that may be models, one each, in a file that says no score; ``why``: what is wrong with it otherwise."""

    def __init__(self, names: Sequence[str], why: RecordError) -> None:
        super().__init__(names)
        self.why = why


@dataclass(frozen=True)
class _Reading:
    """Reads all files by their columns' roles, and again without a guess that turned out to be none."""

    tables: Sequence[Table]
    options: Mapping[str, str | None]
    names: Sequence[str]
    models: Sequence[str] | None
    filter: str | None
    repeats: str | None
    missing: float | None
    unusable: dict[tuple[str, str], Unusable] = field(default_factory=dict)

    def runs(self) -> Runs:
        """All runs that were asked for."""
        while True:
            try:
                roles = [self._roles(*one) for one in zip(self.tables, self.names, strict=True)]
                self._check_same_guess(roles)
            except RecordError:
                for (role, _), error in self.unusable.items():
                    if role == "score":  # no other column is one
                        raise RecordError(str(error)) from error
                raise
            try:
                made = _Assembly(self, roles).runs()
            except Unusable as error:
                if (error.role, error.column) in self.unusable:
                    raise
                self.unusable[error.role, error.column] = error
                continue
            notes = [error.note() for error in self.unusable.values()]
            notes += [note for one in roles if one is not None for note in one.notes]
            return replace(made, notes=(*dict.fromkeys(notes), *made.notes))

    def inside(self) -> list[list[str]]:
        """The models of every file, whatever else is wrong with it."""
        return [self._inside(*one) for one in zip(self.tables, self.names, strict=True)]

    def as_written(self, models: Sequence[str] | None) -> list[str] | None:
        """The models that were asked for, each once and with the blanks that the files have around it."""
        if models is None:
            return None
        there = {name for names in self.inside() for name in names}
        for table in self.tables:
            there |= {*table.columns, *(column.rpartition(".")[0] for column in table.columns)}
        return list(dict.fromkeys(find_name(name, there) or name for name in models))

    def _inside(self, table: Table, name: str) -> list[str]:
        try:
            with while_at(table.file):
                roles = columns.resolve(table, self.options)
            column = roles["model"]
        except RecordError as error:
            roles, column = Resolved(), columns.model_column(table, self.options)
            offered = columns.models_by_column(table, self.options) if len(self.tables) == 1 and column is None else []
            if offered:
                return Offered(offered, error)
        if roles.wide:
            return list(roles.wide)
        if column is None:
            return [name]
        return list(dict.fromkeys(one for value in table.columns[column] if (one := text(value)) is not None))

    def _roles(self, table: Table, name: str) -> Resolved | None:
        """The roles of a file's columns; None where it holds none of the models that were asked for."""
        with while_at(table.file):
            if self.models is not None:
                there = {*self._inside(table, name), *table.columns, *(one.rpartition(".")[0] for one in table.columns)}
                if there.isdisjoint(self.models):
                    return None
            return columns.resolve(table, self.options, self.models, self.unusable)

    def _check_same_guess(self, found: Sequence[Resolved | None]) -> None:
        """Two files whose guessed scores differ would compare two different things."""
        pairs = zip(self.tables, found, strict=True)
        scores = {roles["score"]: table.file for table, roles in pairs if roles is not None}
        if len(scores) > 1:
            shown = ", ".join(f"{score!r} in {file}" for score, file in scores.items())
            fix = f"name it with {keyword('score')}"
            raise record_error(self.tables[0].file, "the same score column in every file", shown, fix)


class _Assembly:
    """Sorts the rows of all files into runs."""

    def __init__(self, reading: _Reading, found: Sequence[Resolved | None]) -> None:
        self.reading = reading
        self.tables = reading.tables
        self.found = found
        self.names = reading.names
        self.parts: dict[str, list[tuple[Part, str | None]]] = {}
        self.left_out: dict[str, dict[str, int]] = {}
        tasks = [lm_eval.task(table.file) if lm_eval.is_samples(table) else None for table in self.tables]
        several = len(set(tasks)) > 1 and None not in tasks
        self.prefixes = [f"{task}/" if several else "" for task in tasks]

    def runs(self) -> Runs:
        for index, (table, roles) in enumerate(zip(self.tables, self.found, strict=True)):
            if roles is None:
                self._leave_out(table.file, NOT_ASKED_FOR, len(table))
            else:
                self._sort(table, roles, index)
        chosen = self._chosen(self.reading.models)
        made: list[Run] = []
        for name in chosen:
            parts = self.parts[name]
            of_parts, of_models = [part for part, _ in parts], [model for _, model in parts]
            run, by_part = make_run(name, of_parts, of_models, self.reading.repeats, self.reading.missing)
            made.append(run)
            for (file, counts), (_, model) in zip(by_part, parts, strict=True):
                for reason, count in counts.items():
                    self._leave_out(file, f"{reason} ({name})" if model is not None else reason, count)
        notes = tuple(dict.fromkeys(note for run in made for note in look_alikes(run)))
        read: dict[str, int] = {}
        for table in self.tables:
            read[table.file] = read.get(table.file, 0) + len(table)
        return Runs(tuple(made), self.left_out, self._guesses(), read, (*_alike(chosen), *notes))

    def _filtered(self, table: Table) -> Sequence[int]:
        rows, filter = range(len(table)), self.reading.filter
        if filter is None and not lm_eval.is_samples(table):
            return rows
        values = table.columns.get("filter")
        if values is None:
            if filter is not None:
                raise missing_column(table, keyword("filter", filter), "filter")
            return rows
        kinds = sorted({text(value) or "none" for value in values})
        if filter is None and len(kinds) > 1:
            fix = f"choose with {keyword('filter')}"
            raise record_error(table.file, "one filter", f"{len(kinds)}: {', '.join(kinds)}", fix)
        if filter is None:
            return rows
        if filter not in kinds:
            raise record_error(table.file, f"records with filter {filter!r}", ", ".join(kinds), "choose one of them")
        chosen = [row for row, value in enumerate(values) if text(value) == filter]
        self._leave_out(table.file, "with another filter", len(values) - len(chosen))
        return chosen

    def _sort(self, table: Table, roles: Resolved, index: int) -> None:
        name, prefix, models = self.names[index], self.prefixes[index], self.reading.models
        column = roles["model"]
        is_one = column is None and not roles.wide
        asked_for = models is None or not is_one or name in models
        rows = self._filtered(table) if asked_for else range(len(table))
        for reason, count in table.left_out.items():
            self._leave_out(table.file, reason, count)
        for metric, count in lm_eval.lists(table).items() if lm_eval.is_samples(table) else ():
            self._leave_out(table.file, f"with a list as {metric!r}", count)
        for metric in ROLES["score"].usual if not lm_eval.is_samples(table) and "score" in roles.guessed else ():
            if metric in table.columns:
                self._leave_out(table.file, f"with a list as {metric!r}", table.lists(metric))
        if roles.wide:
            for model in roles.wide:
                self._add(model, Part(table, rows, roles.of_model(table, model), prefix), model)
            if models is not None and not set(models).intersection(roles.wide):
                self._leave_out(table.file, NOT_ASKED_FOR, len(rows))
        elif column is None:
            self._add(name, Part(table, rows, roles, prefix), None)
        else:
            of_model: dict[str | None, list[int]] = {}
            with Part(table, rows, roles).reading("model"):
                names = texts(table.columns[column], f"model {column!r}", table.where)
            for row in rows:
                of_model.setdefault(names[row], []).append(row)
            self._leave_out(table.file, ROLES["model"].absent, len(of_model.pop(None, ())))
            for of, own in of_model.items():
                if of is not None:
                    self._add(of, Part(table, own, roles, prefix), None)

    def _add(self, name: str, part: Part, model: str | None) -> None:
        self.parts.setdefault(name, []).append((part, model))

    def _leave_out(self, file: str, reason: str, count: int) -> None:
        if count:
            counts = self.left_out.setdefault(file, {})
            counts[reason] = counts.get(reason, 0) + count

    def _chosen(self, models: Sequence[str] | None) -> list[str]:
        if models is None:
            if not self.parts:
                raise record_error(self.tables[0].file, "records", "none", "check how the file was written")
            return list(self.parts)
        for name in models:
            if name not in self.parts:
                raise self._no_such_model(name)
        for name, parts in self.parts.items():
            for part, model in parts if name not in models else ():
                if model is None:
                    self._leave_out(part.table.file, NOT_ASKED_FOR, len(part.rows))
        return list(dict.fromkeys(models))

    def _no_such_model(self, name: str) -> Exception:
        there = dict.fromkeys(one for names in self.reading.inside() for one in names)
        if name in there:  # the file names it, and none of its rows is read
            why = {reason for counts in self.left_out.values() for reason in counts}
            got = f"none of {name!r} (left out: {', '.join(sorted(why)) or 'all'})"
            return value_error("models", f"models with records, of {', '.join(map(repr, self.parts)) or 'none'}", got)
        return value_error("models", f"some of {', '.join(map(repr, there))}", repr(name))

    def _guesses(self) -> tuple[str, ...]:
        """Each guess once; with the file's name where files differ."""
        per_file = {table.file: of.guesses for table, of in zip(self.tables, self.found, strict=True) if of is not None}
        if len(set(per_file.values())) <= 1:
            return next(iter(per_file.values()), ())
        return tuple(f"{file}: {guess}" for file, guesses in per_file.items() for guess in guesses)


def _alike(names: Sequence[str]) -> tuple[str, ...]:
    """Names that look alike wherever they are printed: they are not one model, and that is said."""
    of: dict[str, list[str]] = {}
    for name in names:
        of.setdefault(name.strip(), []).append(name)
    alike = [" and ".join(map(repr, several)) for several in of.values() if len(several) > 1]
    return tuple(f"{several} are different models: their names differ in the blanks around them" for several in alike)


def _default_names(files: Sequence[str]) -> list[str]:
    """The shortest names that tell the files apart: the file's, its folder's, or the path."""
    stems = [lm_eval.task(file) or _stem(file) for file in files]
    folders = [Path(file).parent.name for file in files]
    for names in (stems, folders, [f"{folder}/{stem}" for folder, stem in zip(folders, stems, strict=True)]):
        if len(set(names)) == len(names) and all(names):
            return names
    if len(set(files)) < len(files):
        repeated = next(file for file in files if files.count(file) > 1)
        fix = f"leave one out, or pass {keyword('names')}"
        raise value_error("paths", "each file once", f"{repeated!r} twice", fix)
    return list(files)


def _stem(file: str) -> str:
    if file == STANDARD_INPUT:
        return "stdin"
    name = Path(file).name.removesuffix(".gz")
    return Path(name).stem or name
