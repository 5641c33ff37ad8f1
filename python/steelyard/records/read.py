"""``records.read``: files become runs, one per model."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from .._mode import standard_mode
from .._progress import Progress, reporter
from ..errors import keyword, shown, type_error, value_error
from . import copies, keys, lm_eval, words
from .assembly import Choice
from .formats import read_table
from .names import default_names, shortened_note
from .places import Places, find
from .reading import Reading
from .roles import NONE
from .runs import Runs
from .source import name_of, size_of
from .table import Table, first_of
from .where import conditions, none_left, selected

AnyPath = str | os.PathLike[str]
Content = TypeVar("Content")
Choose = Callable[[Sequence[Sequence[str]]], Sequence[str] | None]


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
    n_words: str | None = None,
    n_bytes: str | None = None,
    cluster: str | None = None,
    epoch: str | None = None,
    filter: str | None = None,
    names: Sequence[str] | None = None,
    models: Sequence[str] | Choose | None = None,
    repeats: str | None = None,
    missing: str | float = "drop",
    where: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    values: Mapping[str, float] | str | None = None,
    progress: Progress = False,
) -> Runs:
    """Read evaluation records: one run per model, with what was left out and what was guessed.

    JSON Lines, a JSON array, CSV, TSV or Parquet, plain or compressed (gzip, bzip2, xz, zstd), told apart by their
    content, and logs of evaluation tools: Inspect (``.eval`` and ``.json``), HELM, OpenAI evals, AlpacaEval, EvalPlus,
    dictionaries of records by id or task, promptfoo (JSON and CSV), tables of MLflow, wandb and pandas (``columns`` and
    ``data``), details of lighteval, rolling log-likelihoods of lm-evaluation-harness, responses of servers with
    log-probabilities of tokens (OpenAI, vLLM, llama.cpp), what ``llama-perplexity`` prints. A file holds one model; or
    many, named by a column; or many side by side (``a.is_correct``, ``b.is_correct``). Columns are named by dotted path
    (``doc.subject``); the ones that no option names are guessed by their usual names. Where several columns can be the
    score or the id, the file is an error that lists them; so is a cluster that some records lack, since intervals
    without it would be too narrow. Any other guess that does not fit is dropped, and said in ``notes``. ``"none"`` for
    an option switches its guess off.

    Parameters
    ----------
    paths
        One file or several, directories, or patterns (``runs/**/*.jsonl``). Of a directory and all in it the files
        are read whose names end as those of records do. What holds none (a README, a summary, settings) is passed over
        and counted in ``notes``; a file of records that cannot be read is an error.
    id
        Column that says which records of two models belong together; ``"a,b"`` joins several columns to one key, and
        ``"row"`` declares the row number. Guessed:
        ``id``, ``doc_id``, ``question_id``, ``sample_id``, ``example_id``, ``instance_id``, ``item_id``, ``task_id``.
    model
        Column of the model's name, for files that hold several models. Guessed: ``model``, ``model_name``.
    score
        Column of the score: numbers, bools, or such as text; or words (see ``values``). Numbers that are all float32
        (in Parquet also float16) are read as the shortest decimals that are the same in it: 0.1 is 0.1 in every file.
        ``"a==b"`` scores 1 where two columns agree, whatever their types, length and outer blanks. Beside a target no
        answer (null, blanks, ``n/a``, ``None``, in CSV also ``NA``) is a wrong one, counted as ``no_answer``; a word
        that a target of the model is counts as an answer. The names say which is the target (``label==prediction``);
        otherwise it is the first. Guessed: ``correct``, ``is_correct``, ``acc``, ``exact_match``, ``score``; the only
        metric below ``metrics`` or ``scores``; else a pair such as ``true_label`` and ``pred_label``.
    confidence
        Column of the probability that the model gave its answer, from 0 to 1; or of lists with one log-likelihood,
        logit or probability per choice (``filtered_resps``), whose largest softmax it is. Guessed: ``confidence``,
        ``prob``.
    loglikelihood
        Column of the log-likelihood of the record's text, in nats. Guessed: ``loglikelihood``.
    n_tokens
        Column of the number of tokens that ``loglikelihood`` is over; 1 without one. Guessed beside a
        log-likelihood: ``n_tokens``.
    n_words
        Column of the number of words in the text that ``loglikelihood`` is of, for perplexity per word. Guessed beside
        a log-likelihood: ``n_words``.
    n_bytes
        Column of the number of bytes in that text, for perplexity per byte and bits per byte. Guessed beside a
        log-likelihood: ``n_bytes``.
    cluster
        Column of what records belong to together: a document, a user; or several (``"a,b"``). Every record needs a
        value, and all records of one id the same: two clusters for one id are an error. Guessed: ``cluster``.
    epoch
        Column that tells repetitions of one id apart. Guessed: ``epoch``.
    filter
        The filter to read from lm-evaluation-harness files that hold several, such as ``"strict-match"``.
    names
        The run's name for each path; files of one name are one run. Default: the file's name, or its folder's.
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
    where
        Only the records that meet a condition, or several: ``"split==test and length<100"``. A condition is a column,
        one of ``== != < <= > >=`` and a value; names and values that hold such marks or ``and`` stand in quotes. Values
        are equal as in a score ``"a==b"`` (1, 1.0, ``"1"`` and true are one; blanks around text do not count); ``<``
        and ``>`` compare numbers. The others, and those without a value, are left out and counted.
    exclude
        Patterns of files not to read, such as ``"old"`` or ``"results_*.json"``: of a name, of a folder or of a path.
    values
        What words of the score are worth: a mapping, or text such as ``"C=1,I=0,P=0.5"``. Words are compared whole, as
        they are written but for outer blanks; numbers stay, and a word that is not mapped is an error. Guessed, and
        told among ``guesses``, where all values are of one known set: ``pass`` and ``fail``, ``correct`` and
        ``incorrect``, ``yes`` and ``no``, Inspect's C, I, P and N, ...; and ``87%`` is 0.87 where every value has the
        sign.
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
    places = find(paths_of(paths), patterns_of(exclude))
    options = {
        "id": id, "model": model, "score": score, "confidence": confidence, "loglikelihood": loglikelihood,
        "n_tokens": n_tokens, "n_words": n_words, "n_bytes": n_bytes, "cluster": cluster, "epoch": epoch,
    }  # fmt: skip
    check_columns(options | {"filter": filter})
    if repeats not in (None, "epochs"):
        raise value_error("repeats", "'epochs' or None", repr(repeats))
    filled, worth = _missing(missing), words.parsed(values)
    wanted = conditions(where)
    names = _names(names, places)
    if names is not None and model is None:
        options["model"] = NONE  # the caller has named the runs
    if names is not None and options["model"] != NONE:
        expected = f"no names where {keyword('model')} names a column"
        raise value_error("names", expected, repr(list(names)), "leave one out")
    chosen = None if callable(models) else _models(models)
    asked = _asked(options) | frozenset(chosen or ()) | {one.column for one in wanted}

    def prepared(table: Table) -> Table:
        return keys.with_keys(selected(lm_eval.with_task(table), wanted), options)

    all_tables = _read_all(places, progress, asked, prepared)
    tables = {index: table for index, table in all_tables.items() if len(table) or not table.whole}
    if not tables:
        raise none_left([*all_tables.values()], wanted)
    whole: dict[str, str] = {}
    if names is None:
        all_names, whole = default_names([*all_tables.values()], searched=places.searched)
        of_files = [name for name, index in zip(all_names, all_tables, strict=True) if index in tables]
    else:
        of_files = [names[index] for index in tables]
    choice = Choice(None, filter, repeats, filled, worth)
    reading = Reading([*tables.values()], options, of_files, choice, places, [*tables])
    if callable(models):
        inside = reading.inside()
        chosen = _models(models(places.of_places([*tables], inside) if places.searched else inside))
    runs = replace(reading, choice=replace(reading.choice, models=reading.as_written(chosen))).runs()
    copy_of = copies.copies(table.file for table in tables.values())
    copies.check(runs.runs, copy_of)
    said = [*shortened_note(whole, runs.names), *copies.notes(copy_of)]
    emptied = [table for index, table in all_tables.items() if index not in tables]
    return _with_emptied(replace(runs, notes=(*runs.notes, *said, *places.notes())), emptied)


def _with_emptied(runs: Runs, tables: Sequence[Table]) -> Runs:
    """Count the files of which ``where`` leaves nothing."""
    read = {**runs.read, **{table.file: table.whole for table in tables}}
    left_out = {**runs.left_out, **{table.file: table.left_out for table in tables}}
    notes = [f"{first_of([table.file for table in tables])}: no record is left by {keyword('where')}"] if tables else []
    return replace(runs, read=read, left_out=left_out, notes=(*runs.notes, *notes))


def paths_of(paths: AnyPath | Sequence[AnyPath]) -> list[str]:
    """The paths, named as the caller wrote them."""
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


def check_columns(options: Mapping[str, object]) -> None:
    """Raise unless each option is the name of a column, or None."""
    for name, option in options.items():
        if option is not None and not isinstance(option, str):
            raise type_error(name, "a column's name", type(option).__name__)


def _check_pipes(files: Sequence[str]) -> None:
    """Refuse a pipe that is given twice: the second time it is empty, and a named one would block for ever."""
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


def patterns_of(exclude: str | Sequence[str]) -> list[str]:
    """The patterns of files that are left out."""
    patterns = [exclude] if isinstance(exclude, str) else exclude
    if not isinstance(patterns, Sequence) or not all(isinstance(one, str) and one for one in patterns):
        raise type_error("exclude", "patterns of files' names", shown(exclude))
    return list(patterns)


def _names(names: Sequence[str] | None, places: Places) -> list[str] | None:
    """The run's name for each file; the files of one directory or pattern have one name."""
    if names is None:
        return None
    given = places.given
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(name, str) for name in names):
        raise type_error("names", "a sequence of names, one per file", shown(names))
    if len(names) != len(given):
        what = "directories, patterns and files" if places.searched else "files"
        raise value_error("names", f"one name for each of the {len(given)} {what}", str(len(names)))
    of_place = {id(place): name for place, name in zip(given, names, strict=True)}
    return [of_place[id(place)] for place in places.sources]


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
    given = [option for option in options.values() if option]
    return frozenset(side.strip() for option in given for side in (option, *option.split("=="), *keys.parts(option)))


def _read_all(
    places: Places, progress: Progress, asked: frozenset[str], prepared: Callable[[Table], Table]
) -> dict[int, Table]:
    """The tables of the files, by their place among them; those that turn out to hold no records are not there."""
    return each_file(places, progress, lambda file, on_read: prepared(read_table(file, on_read, asked)))


def each_file(
    places: Places, progress: Progress, read: Callable[[str, Callable[[int], None]], Content]
) -> dict[int, Content]:
    """What ``read`` makes of each file, by its place among them, without those that turn out to hold no records.

    It is given the path and what to tell the bytes read; ``progress`` is told them, and the total once, when all is
    read.
    """
    tell = reporter(progress) or (lambda done, total: None)
    sizes = [size_of(file) for file in places.files]
    total, before = sum(sizes), 0
    found: dict[int, Content] = {}
    for index, (file, size) in enumerate(zip(places.files, sizes, strict=True)):

        def on_read(read: int, before: int = before) -> None:
            if total:
                tell(min(before + read, total - 1), total)

        with places.reading(index):
            found[index] = read(file, on_read)
        on_read(size)
        before += size
    places.check([*found])
    tell(total, total)
    return found
