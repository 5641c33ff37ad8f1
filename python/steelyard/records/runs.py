"""All runs of one reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .._mode import standard_mode_methods
from .._text import printable
from .matching import match
from .run import Run
from .scores import Scores


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of one reading, one per model: iterate over them, or pick one by name."""

    runs: tuple[Run, ...]
    left_out: Mapping[str, Mapping[str, int]]
    """For every file from which something was left out: the number of records by reason."""
    guesses: tuple[str, ...]
    """What was guessed because no option said it, such as ``score = acc``."""
    read: Mapping[str, int]
    """For every file, how many records it holds: those of the runs, and those left out."""
    notes: tuple[str, ...] = ()
    """One sentence for each thing that a reader of the results has to know, such as a guess that did not fit."""

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, name: str) -> Run:
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"no run {name!r}; the runs are {', '.join(map(repr, self.names))}")

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names."""
        return tuple(run.name for run in self.runs)

    def scores(self, name: str | None = None, *, models: Sequence[str] | None = None) -> Scores:
        """Every model's scores on the records that all of them have, matched by id.

        An id with several epochs counts once, with the mean over its epochs. The ids are sorted, so that the
        order of the rows in the files does not matter.

        Parameters
        ----------
        name
            Column of the score, by dotted path, or ``a==b``; without it the one that was read.
        models
            Only these models; ids that others lack then match too.

        Raises
        ------
        RecordError
            If there is no id to match by, no id in common, or no such score.
        """
        runs = self.runs if models is None else tuple(self[model] for model in models)
        if name is None:
            return match(runs)
        graded = [run.graded_by(name) for run in runs]
        read = dict.fromkeys(run._words.said for run in graded if run._words.said is not None)
        return match(graded, [f"the words of {name!r} are read as {said}" for said in read])

    def __repr__(self) -> str:
        lines = [repr(run) for run in self.runs]
        lines += [f"guessed: {printable(guess)}" for guess in self.guesses]
        return "\n".join(lines + [f"note: {printable(note)}" for note in self.notes])
