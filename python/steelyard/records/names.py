"""What the runs are called where neither the caller nor the files say it: by what tells their paths apart."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import PurePath

from ..errors import keyword, value_error
from . import lm_eval
from .packing import without_suffix
from .places import HELM_RECORDS
from .source import STANDARD_INPUT
from .table import Table

LONGEST_NAME = 40  # characters; on an axis a longer name leaves no room for the chart
_DATE = re.compile(
    r"(?<![0-9])(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T_ -]?\d\d([-_:.]?)[0-5]\d(?:\2[0-5]\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d[-:]?\d\d)?)?(?![0-9])"
)
_BETWEEN = re.compile(r"(?<=[-_./ ,:=])(?!(?<=[0-9][-_.:])[0-9])")  # behind such a mark, but not inside a date
_MARKS = "-_. "


def default_names(tables: Sequence[Table], *, searched: bool) -> tuple[list[str], dict[str, str]]:
    """The run's name for each file, and of those that are shortened the whole names.

    Samples of lm-evaluation-harness in one folder are of one model, whatever their tasks. ``searched``: the files were
    found in a directory or by a pattern, where two files of one task are not taken for two models.
    """
    units = _units(tables, searched=searched)
    paths = list(dict.fromkeys(units))
    told_apart = _told_apart(paths)
    short = _shortened(told_apart)
    of_path = dict(zip(paths, short, strict=True))
    return [of_path[unit] for unit in units], {
        new: old for new, old in zip(short, told_apart, strict=True) if new != old
    }


def shortened_note(whole: Mapping[str, str], runs: Collection[str]) -> list[str]:
    """What is said of the runs whose names are shortened; a file that names its models has no use for its own name."""
    changed = [f"{new!r} for {old!r}" for new, old in whole.items() if new in runs]
    return [f"names of runs are shortened: {', '.join(changed)}"] if changed else []


Path = tuple[str, ...]


def _units(tables: Sequence[Table], *, searched: bool) -> list[Path]:
    """For each file what its run is called by, as the parts of a path: its folder or itself, without the ending."""
    files = [table.file for table in tables]
    absolute = [file if file == STANDARD_INPUT else os.path.abspath(file) for file in files]
    if len(set(absolute)) < len(files):
        repeated = next(file for file, path in zip(files, absolute, strict=True) if absolute.count(path) > 1)
        fix = f"leave one out, or pass {keyword('names')}"
        raise value_error("paths", "each file once", f"{repeated!r} twice", fix)
    samples = [lm_eval.is_samples(table) and lm_eval.task(table.file) is not None for table in tables]
    units = [_unit(file) for file in files]
    of_task = [unit for unit, of_samples in zip(units, samples, strict=True) if of_samples]
    by_folder = searched or (len(files) > 1 and len(set(of_task)) == len(of_task))
    times = Counter(units)
    return [
        unit[:-1] if of_samples and by_folder else unit if times[unit] == 1 else (*unit[:-1], PurePath(file).name)
        for file, unit, of_samples in zip(files, units, samples, strict=True)
    ]


def _unit(file: str) -> Path:
    """A file's folders and its name, but for one that says nothing: HELM's are all called the same."""
    stem = lm_eval.task(file) or _stem(file)
    return _folder(file) if PurePath(file).name == HELM_RECORDS and _folder(file) else (*_folder(file), stem)


def _folder(file: str) -> Path:
    return () if file == STANDARD_INPUT else PurePath(os.path.abspath(file)).parent.parts[1:]


def _stem(file: str) -> str:
    if file == STANDARD_INPUT:
        return "stdin"
    name = without_suffix(PurePath(file).name)
    return PurePath(name).stem or name


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """The shortest names that tell paths apart: a part of each path, else several, with dates only where needed."""
    if len(paths) == 1:
        return [paths[0][-1] if paths[0] else os.sep]
    for names in _candidates(paths):
        if len(set(names)) == len(names) and all(names):
            return names
    return ["/".join(path) for path in paths]


def _candidates(paths: Sequence[Path]) -> Iterator[list[str]]:
    """Names for the paths, the best first: one part before several, the last before others, undated before dated."""
    depth = max(map(len, paths))
    from_the_end = [[*reversed(path), *[""] * (depth - len(path))] for path in paths]
    dated = [[parts[place] for parts in from_the_end] for place in range(depth)]
    undated = [[_without_date(part) for part in column] for column in dated]
    for columns in (undated, dated):
        varying = [column for column in columns if len(set(column)) > 1]
        yield from varying
        pairs = combinations(range(len(varying)), 2)
        for last, first in sorted(pairs, key=sum):
            yield [f"{a}/{b}" if a and b else "" for a, b in zip(varying[first], varying[last], strict=True)]
        if varying:
            yield ["/".join(part for part in reversed(parts) if part) for parts in zip(*varying, strict=True)]


def _without_date(part: str) -> str:
    """A part of a path without the dates and times in it, and without the mark that stood before each."""
    found = _DATE.search(part)
    while found is not None:
        before, after = part[: found.start()].rstrip(_MARKS), part[found.end() :].lstrip(_MARKS)
        between = part[found.end()] if before and after and part[found.end()] in _MARKS else ""
        part = before + (between or "_" * bool(before and after)) + after
        found = _DATE.search(part)
    return part


# ---- long names


def _shortened(names: Sequence[str]) -> list[str]:
    """Names of a length that an axis has room for: without what all begin and end with, else without the middle."""
    if max(map(len, names)) <= LONGEST_NAME:
        return list(names)
    pieces = [_BETWEEN.split(name) for name in names]
    first, last = (0, 0) if len(names) == 1 else (_alike(pieces), _alike([one[::-1] for one in pieces]))
    cut = ["".join(one[first : len(one) - last]).strip(_MARKS + "/,:=") for one in pieces]
    if not all(cut) or len(set(cut)) < len(cut):
        cut = list(names)
    short = [_without_middle(name) for name in cut]
    return short if len(set(short)) == len(short) else list(names)


def _alike(pieces: Sequence[Sequence[str]]) -> int:
    """How many pieces at the beginning all have in common, but for the last of the shortest."""
    fewest = min(map(len, pieces)) - 1
    return next((k for k in range(fewest) if len({one[k] for one in pieces}) > 1), fewest)


def _without_middle(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    half = (LONGEST_NAME - 3) // 2
    return f"{name[:half]}...{name[-half:]}"
