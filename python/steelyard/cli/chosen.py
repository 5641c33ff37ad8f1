"""Which models are read, from ``--baseline`` and ``--models``.

Both may name models or columns, and only the files say which: ``records.read`` calls a :class:`Chosen` with the names
that it found, before it reads the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import records
from ..errors import keyword, value_error


def split(names: list[str]) -> list[str]:
    """The names in ``--models a --models b`` or ``--models a,b``, which mean the same."""
    return [part.strip() for name in names for part in name.split(",")]


def _all_names(of_files: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for of_file in of_files for name in of_file))


class Chosen:
    """What ``report`` reads: the models of ``--models`` and the baseline, or all where neither is given."""

    def __init__(self, first: str, baseline: str | None, models: list[str] | None) -> None:
        self.first, self.baseline, self.given = first, baseline, models
        self.models: list[str] | None = None

    def or_all(self) -> Chosen | None:
        """What ``records.read`` takes as ``models``: itself, or None where no model was named, so that all are read."""
        return None if self.baseline is None and self.given is None else self

    def __call__(self, of_files: Sequence[Sequence[str]]) -> Sequence[str] | None:
        """Return the models to read of these names, one list per file; None for all."""
        names = _all_names(of_files)
        if self.given is None and isinstance(of_files[0], records.Offered):
            raise self._no_models(of_files[0])
        if self.baseline is not None:
            found = records.find_name(self.baseline, names)
            if found is None and (self.given is None or len(names) > 1):  # else all may be columns
                expected = f"one of the models {', '.join(map(repr, names))}"
                alike = records.near(self.baseline, names)
                fix = f"did you mean {keyword('baseline', alike[0])}?" if alike else ""
                raise value_error("baseline", expected, repr(self.baseline), fix)
            self.baseline = found or self.baseline
        if self.given is None:
            return None
        self.models = [name for one in self.given for name in _named(one, names)]
        return self.models if self.baseline is None else [self.baseline, *self.models]

    def _no_models(self, offered: records.Offered) -> Exception:
        """The error for a file without a score column: its columns may be the models, but which is not guessed."""
        if self.baseline is None:
            return offered.why
        others = [name for name in offered if name != records.find_name(self.baseline, offered)]
        if len(others) == len(offered):
            expected = f"one of the columns {', '.join(map(repr, offered))}, since {self.first} has no score column"
            fix = f"name those to compare it with by {keyword('models')}, or the score's column with {keyword('score')}"
            return value_error("baseline", expected, repr(self.baseline), fix)
        expected = f"the columns to compare with {self.baseline!r}, since {self.first} has no score column"
        return value_error("models", expected, "none", f"choose from {', '.join(map(repr, others))}")


class Compared(Chosen):
    """What ``compare`` reads: without ``--baseline`` the only model of the first file is the baseline."""

    def __call__(self, of_files: Sequence[Sequence[str]]) -> Sequence[str] | None:
        """Return the models to read of these names, one list per file."""
        offered = self.given is None and isinstance(of_files[0], records.Offered)
        if self.baseline is None and not offered:
            if len(of_files[0]) != 1:
                expected = f"the name of a model, since {self.first} does not hold exactly one"
                found = ", ".join(map(repr, of_files[0])) or "none"
                raise value_error("baseline", expected, "none", f"choose from {found}")
            (self.baseline,) = of_files[0]
        return super().__call__(of_files)


def _named(given: str, names: Sequence[str]) -> list[str]:
    """The models that one ``--models`` names: the comma may be part of a name."""
    return [given] if records.find_name(given, names) is not None else split([given])
