"""From the paths that a caller gives to the files to read: files, directories and patterns such as ``runs/**/*.jsonl``.

In a directory, files are chosen by the ending of their names, so that a README or a picture is passed over. A file with
such an ending that turns out to be of another kind (a summary, settings) is passed over when it is read
(:class:`NotRecords`). All that is passed over is counted and said.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import PurePath

from ..errors import RecordError, keyword
from .packing import without_suffix
from .source import name_of
from .table import NotRecords, Summary, record_error

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".eval")
_EXPECTED = f"files of records ({', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, also compressed)"
HELM_RECORDS = "per_instance_stats.json"
# What HELM writes beside the records of a run.
_BESIDE_HELM = frozenset(
    {"run_spec.json", "stats.json", "scenario.json", "scenario_state.json", "instances.json"}
    | {"display_predictions.json", "display_requests.json"}
)
_OUR_REPORT = b'{\n  "steelyard": {'  # how what ``--json`` writes begins
_MOST_NAMED = 4  # files that one note lists


@dataclass(frozen=True)
class Place:
    """One path as the caller gave it, and what it stands for."""

    path: str
    files: tuple[str, ...]
    searched: bool
    """Whether it is a directory or a pattern, so that the caller named none of the files."""
    root: str = ""
    """The directory that the names of files in messages, and the patterns of ``exclude``, start from."""
    passed_over: tuple[str, ...] = ()
    """The files in it that hold no records by their names, and the folders that are hidden."""
    excluded: tuple[str, ...] = ()
    """The files in it that the caller leaves out."""

    def named(self, file: str) -> str:
        """A file's name from the root on."""
        return os.path.relpath(file, self.root or ".")


@dataclass(frozen=True)
class Places:
    """All paths of one reading."""

    given: tuple[Place, ...]
    exclude: tuple[str, ...]
    files: tuple[str, ...]
    """The files to read; one that several paths lead to is there once if a directory or a pattern did."""
    sources: tuple[Place, ...]
    """For each of the files, the path that led to it."""
    _not_records: dict[int, RecordError] = field(default_factory=dict)
    _unreadable: dict[int, RecordError] = field(default_factory=dict)

    @property
    def searched(self) -> bool:
        """Whether any path is a directory or a pattern."""
        return any(place.searched for place in self.given)

    def of_places(self, read: Sequence[int], values: Sequence[Sequence[str]]) -> list[list[str]]:
        """What belongs to each of the files at ``read``, as one list for each path, without repetitions."""
        of: dict[int, dict[str, None]] = {}
        for index, several in zip(read, values, strict=True):
            of.setdefault(id(self.sources[index]), {}).update(dict.fromkeys(several))
        return [list(one) for one in of.values()]

    @contextmanager
    def reading(self, index: int) -> Iterator[None]:
        """Inside the block, an error about a file that the caller did not name is kept for :meth:`check`.

        There may be more such files, and whoever leaves them out wants to know all of them.
        """
        try:
            yield
        except RecordError as error:
            if not self.sources[index].searched:
                raise
            (self._not_records if isinstance(error, NotRecords) else self._unreadable)[index] = error

    @contextmanager
    def resolving(self, index: int) -> Iterator[None]:
        """Inside the block, an error about a file that the caller did not name says how to leave it out."""
        try:
            yield
        except RecordError as error:
            if not self.sources[index].searched:
                raise
            raise self._with_a_way_out(index, error) from error

    def _with_a_way_out(self, index: int, error: RecordError, others: Sequence[int] = ()) -> RecordError:
        first, *more = (self.sources[one].named(self.files[one]) for one in (index, *others))
        what = f", and {len(more):,} more that cannot be read: {_some(more)}" if more else ""
        return RecordError(f"{error}; or leave the file out with {keyword('exclude', first)}{what}")

    def check(self, read: Sequence[int]) -> None:
        """Raise where a file cannot be read, all were passed over, or a summary has no records beside it."""
        if self._unreadable:
            first, *others = self._unreadable
            if others and not read:
                raise self._unreadable[first]  # what is wrong with all of them is not mended by leaving them out
            raise self._with_a_way_out(first, self._unreadable[first], others)
        if not read:
            raise next(iter(self._not_records.values()))
        folders = {part for index in read for part in PurePath(os.path.abspath(self.files[index])).parts[:-1]}
        for index, error in self._not_records.items():
            if isinstance(error, Summary) and PurePath(os.path.abspath(self.files[index])).parent.name not in folders:
                raise self._with_a_way_out(index, error)

    def notes(self) -> list[str]:
        """What is said of files that are not read."""
        said = []
        for place in self.given:
            others = [self.files[index] for index in self._not_records if self.sources[index] is place]
            passed_over = sorted({*place.passed_over, *others}, key=_key)
            if passed_over:
                names = _some([place.named(file) for file in passed_over])
                said.append(f"{place.path}: {_files(passed_over)} without records passed over ({names})")
            if place.excluded:
                said.append(f"{place.path}: {_files(place.excluded)} left out with {keyword('exclude')}")
        unused = [one for one in self.exclude if not any(_excluded(place, [one]) for place in self.given)]
        return said + [f"{keyword('exclude', one)} leaves no file out" for one in unused]


def _excluded(place: Place, patterns: Sequence[str]) -> bool:
    return any(_matches(file, place.root, patterns) for file in place.excluded)


def _files(found: Sequence[str]) -> str:
    return f"{len(found):,} file{'s' * (len(found) != 1)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def find(paths: Sequence[str], exclude: Sequence[str] = ()) -> Places:
    """Find the files to read: a directory is searched with all that are in it, in the order of their names."""
    places = []
    for path in paths:
        if _is_directory(path):
            places.append(_of_directory(path, exclude))
        elif any(mark in path for mark in "*?[") and not os.path.lexists(path):
            places.append(_of_pattern(path, exclude))
        else:
            root = os.path.dirname(path)
            out = _matches(path, root, exclude)
            places.append(Place(path, () if out else (path,), searched=False, root=root, excluded=(path,) * out))
    files: list[str] = []
    sources: list[Place] = []
    seen: set[str] = set()
    for place in places:
        for file in place.files:
            if not (place.searched and file in seen):
                files.append(file)
                sources.append(place)
        seen.update(place.files)
    if not files:
        where = ", ".join(place.path for place in places)
        raise record_error(where, _EXPECTED, f"none that {keyword('exclude')} does not leave out", "leave out fewer")
    return Places(tuple(places), tuple(exclude), tuple(files), tuple(sources))


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False  # the reader says what is wrong


def _of_directory(path: str, exclude: Sequence[str]) -> Place:
    place = _sorted_out(path, path, *_walk(path), exclude, by_ending=True)
    if not place.files and not place.excluded:
        got = "an empty directory"
        if place.passed_over:
            got = f"none among {_some([place.named(file) for file in place.passed_over])}"
        raise record_error(path, _EXPECTED, got, "check the path, or give a file by its name")
    return place


def _of_pattern(pattern: str, exclude: Sequence[str]) -> Place:
    files: dict[str, None] = {}
    hidden: dict[str, None] = {}
    for found in sorted(glob.glob(pattern, recursive=True), key=_key):
        inside, more = _walk(found) if _is_directory(found) else ([found], [])
        files |= dict.fromkeys(map(os.path.normpath, inside))
        hidden |= dict.fromkeys(map(os.path.normpath, more))
    fixed = takewhile(lambda part: not glob.has_magic(part), PurePath(pattern).parts)
    # Whoever writes an ending means it.
    by_ending = "." not in PurePath(pattern).name
    place = _sorted_out(pattern, str(PurePath(*fixed)), list(files), list(hidden), exclude, by_ending=by_ending)
    if not place.files and not place.excluded:
        names = [place.named(file) for file in place.passed_over]
        got = f"none among {_some(names)}" if names else "no file of such a name"
        raise record_error(pattern, _EXPECTED, got, "check the pattern: ** stands for folders, * for a part of a name")
    return place


def _sorted_out(
    path: str, root: str, files: Sequence[str], hidden: Sequence[str], exclude: Sequence[str], *, by_ending: bool
) -> Place:
    """Which of the files that were found are read, which are passed over and which are left out."""
    read: list[str] = []
    others = list(hidden)
    excluded: list[str] = []
    of_helm = {os.path.dirname(file) for file in files if os.path.basename(file) == HELM_RECORDS}
    for file in files:
        beside = os.path.basename(file) in _BESIDE_HELM and os.path.dirname(file) in of_helm
        if _matches(file, root, exclude):
            excluded.append(file)
        elif beside or not os.path.isfile(file) or (by_ending and not _has_ending(file)) or _is_report(file):
            others.append(file)
        else:
            read.append(file)
    return Place(path, tuple(read), True, root, tuple(others), tuple(excluded))


def _has_ending(file: str) -> bool:
    return without_suffix(os.path.basename(file)).lower().endswith(ENDINGS)


def _is_report(file: str) -> bool:
    """Whether a file is a report of ours, which was written into the directory that is read."""
    try:
        with open(file, "rb") as opened:
            return opened.read(len(_OUR_REPORT)) == _OUR_REPORT
    except OSError:
        return False  # the reader says what is wrong


def _matches(file: str, root: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern is that of a file or folder: of its name, its path from the root on, or its path as written."""
    parts = PurePath(os.path.relpath(file, root or ".")).parts if patterns else ()
    names = {*parts, *_beginnings(parts)}
    paths = _beginnings(PurePath(file).parts)
    normal = [os.path.normpath(pattern) for pattern in patterns]
    return any(fnmatchcase(one, pattern) for pattern in normal for one in (names | paths if "/" in pattern else names))


def _beginnings(parts: Sequence[str]) -> set[str]:
    return {str(PurePath(*parts[:k])) for k in range(1, len(parts) + 1)}


def _key(path: str) -> tuple[str, ...]:
    """Paths are sorted by folder, then by name."""
    return PurePath(path).parts


def _walk(top: str) -> tuple[list[str], list[str]]:
    """All files under a directory, sorted, and what is hidden in it.

    A link to a folder is followed, unless the folder is searched anyway: links may form a circle.
    """
    files: list[str] = []
    hidden: list[str] = []
    links: list[str] = []
    seen = {_identity(top)}
    folders = [top]
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        if os.path.islink(folder) and folder != top:
            if _identity(folder) in seen:
                continue
            seen.add(_identity(folder))
        for entry in _entries(folder):
            if entry.name.startswith("."):
                hidden.append(entry.path)
            elif not entry.is_dir():
                files.append(entry.path)
            elif entry.is_symlink():
                links.append(entry.path)
            else:
                seen.add(_identity(entry.path))
                folders.append(entry.path)
    return sorted(files, key=_key), hidden


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        fix = "check its permissions"
        raise record_error(name_of(folder), "a readable directory", error.strerror or str(error), fix) from error


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
