"""How libraries differ in what they mean by a preference loss, told with numbers of a fixed example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from .._mode import standard_mode, standard_mode_methods
from .._registries import REGISTRIES, names
from .._result import Result
from ..errors import shown, type_error, value_error
from .dialects import DIALECTS, LACKING, LIBRARIES, Dialect
from .losses import preference_loss

__all__ = ["Explanation", "explain"]

OWN = "steelyard"
COLUMNS = ([-0.5, -10.0, -1.0], [-0.1, -30.0, -21.0], [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1])
"""The log-probabilities of the example, those of torchtune's tests of its DPO loss."""
LENGTHS = ([2, 9, 4], [1, 20, 30])
"""The numbers of tokens of the example's answers."""
SMOOTHING = 0.1
NEEDED = {"label_smoothing": SMOOTHING, "gamma": 0.5, "alpha": 0.25}
"""What is given where a library has no default."""


class Told(NamedTuple):
    """What is told of one library's loss."""

    library: str
    """The library as ``convention=`` names it."""
    name: str
    """Its name of the loss."""
    loss: str | None
    """The loss of this package that it is; None where it cannot be computed here."""
    value: float | None
    """The mean loss of the example, with the library's defaults."""
    smoothed: float | None
    """The same with ``label_smoothing=0.1``; None where the loss takes none."""
    reward_margin: float | None
    """The mean margin of its rewards in the example."""
    ignores: tuple[str, ...]
    """The parameters that the library has and this loss does not read."""
    spelt: dict[str, str]
    """What the library calls parameters that have another name here."""
    note: str
    """What else to know."""


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Explanation(Result):
    """What libraries mean by a loss, or the losses of one library; ``str`` shows it as a table.

    Attributes
    ----------
    name : str
        What was asked for: the name of a loss or of a library.
    rows : tuple of named tuples
        For each library and name: ``library``, ``name``, ``loss`` (of this package; None where it cannot be computed
        here), and of three pairs at beta 0.1 ``value`` (the mean loss), ``smoothed`` (with ``label_smoothing=0.1``),
        ``reward_margin``; then ``ignores``, ``spelt`` (parameters by their names there) and ``note``.

    Examples
    --------
    >>> import steelyard as sy
    >>> [(row.library, row.loss) for row in sy.preference.explain("ipo").rows if row.name == "ipo"][:4]
    [('steelyard', 'ipo'), ('reference', 'ipo'), ('openrlhf', 'ipo'), ('trl', 'ipo_norm')]
    """

    name: str
    rows: tuple[Told, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the example and the rows in types that JSON has."""
        columns = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")
        example = {name: list(column) for name, column in zip(columns, COLUMNS, strict=True)}
        rows = [{**row._asdict(), "ignores": list(row.ignores), "spelt": dict(row.spelt)} for row in self.rows]
        return {"name": self.name, "example": example | {"lengths": [list(n) for n in LENGTHS]}, "rows": rows}

    def __str__(self) -> str:
        head = ("library", "name", "loss here", "mean loss", "smoothed", "reward margin")
        cells = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
        # Words to the left, numbers to the right.
        lines = [
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in cells
        ]
        said = [f"{row.library} {row.name}: {text}" for row in self.rows if (text := _remarks(row))]
        return "\n".join([*(line.rstrip() for line in lines), *said])

    def __repr__(self) -> str:
        return f"<Explanation of {self.name!r}: {len(self.rows)} rows>\n{self}"


@standard_mode
def explain(name: str) -> Explanation:
    """Tell how libraries differ in what they mean by a preference loss, with the numbers of a fixed example.

    The example is three pairs, ``L = log-probability`` under the policy and the reference and ``n`` tokens::

        chosen    L = -0.5, -10, -1 and -0.5, -10.1, -0.1     n = 2, 9, 4
        rejected  L = -0.1, -30, -21 and -0.1, -20.1, -0.1    n = 1, 20, 30

    Each row is computed by ``preference_loss(..., convention=library)`` when it is asked for, with the library's
    defaults, beta 0.1, and label smoothing 0.1 and gamma 0.5 where the library has no default of them.

    Parameters
    ----------
    name : str
        A loss by the name that it has here or in a library, or a library as ``convention=`` names it ("steelyard" for
        this package's losses).

    Returns
    -------
    Explanation
        A row for each library and name: this package's loss, the mean loss, that with label smoothing, the reward
        margin, and what differs.

    Raises
    ------
    TypeError, ValueError
        For what is no text, and for a name that neither a loss nor a library has.

    Examples
    --------
    >>> import steelyard as sy
    >>> for row in sy.preference.explain("sigmoid").rows:
    ...     smoothed = "ignored" if "label_smoothing" in row.ignores else f"{row.smoothed:.4f}"
    ...     print(f"{row.library:10} {row.name:8} {row.value:.4f} {smoothed}")
    steelyard  dpo      0.3778 0.4778
    reference  dpo      0.3778 0.4778
    torchtune  DPOLoss  0.3778 0.4778
    openrlhf   dpo      0.3778 0.4778
    trl        sigmoid  0.3778 ignored
    liger      sigmoid  0.3778 ignored
    axolotl    dpo      0.3778 ignored
    axolotl    sigmoid  0.3778 ignored
    """
    known = [*LIBRARIES, OWN, *dict.fromkeys([*names("preference.loss"), *(name for _, name, _ in _all())])]
    if not isinstance(name, str):
        raise type_error("name", "the name of a loss or of a library", shown(name))
    if name not in known:
        near = get_close_matches(name, known, 1)
        fix = f"did you mean {near[0]!r}?" if near else ""
        raise value_error("name", f"one of {', '.join(known)}", repr(name), fix)
    if name in LIBRARIES:
        return Explanation(name=name, rows=tuple(_told(*one) for one in _all() if one[0] == name))
    if name == OWN:
        return Explanation(name=name, rows=tuple(_told(OWN, loss, Dialect(loss)) for loss in names("preference.loss")))
    # All that is the same loss here as anything of that name.
    same = {row.loss for _, spelt, row in _all() if spelt == name and row is not None}
    same |= {name} & set(names("preference.loss"))
    found: list[tuple[str, str, Dialect | None]] = [
        (OWN, loss, Dialect(loss)) for loss in names("preference.loss") if loss in same
    ]
    found += [one for one in _all() if one[1] == name or (one[2] is not None and one[2].loss in same)]
    return Explanation(name=name, rows=tuple(_told(*one) for one in found))


def _all() -> Iterator[tuple[str, str, Dialect | None]]:
    """Every library's names, with their rows; None for what cannot be computed here."""
    for library, rows in DIALECTS.items():
        yield from ((library, name, row) for name, row in rows.items())
        yield from ((library, name, None) for name in LACKING.get(library, {}))


def _told(library: str, name: str, row: Dialect | None) -> Told:
    """One row, with its numbers."""
    if row is None:
        return Told(library, name, None, None, None, None, (), {}, LACKING[library][name])
    variant = REGISTRIES["preference.loss"][row.loss]
    options: dict[str, Any] = {"loss": name, "convention": library}
    if "lengths" in variant.columns or row.likelihood:
        options["lengths"] = LENGTHS
    columns = COLUMNS if "reference" in variant.columns else COLUMNS[:2]
    needed: dict[str, Any] = {need: NEEDED[need] for need in row.needs}
    plain = preference_loss(*columns, **options | needed)
    smooths = "label_smoothing" in (variant.parameters if library == OWN else row.takes)
    smoothed = None
    if smooths:
        needed["label_smoothing"] = SMOOTHING
        smoothed = float(preference_loss(*columns, **options | needed).loss)
    return Told(
        library, name, row.loss, float(plain.loss), smoothed, float(plain.reward_margin), row.ignores,
        dict(row.spelt), row.note,
    )  # fmt: skip


def _cells(row: Told) -> tuple[str, ...]:
    """The cells of a row of the table."""
    if row.loss is None:
        return row.library, row.name, "none", "", "", ""
    smoothed = "ignored" if "label_smoothing" in row.ignores else ""
    numbers = (
        f"{row.value:.6g}", smoothed if row.smoothed is None else f"{row.smoothed:.6g}", f"{row.reward_margin:.6g}",
    )  # fmt: skip
    return row.library, row.name, row.loss, *numbers


def _remarks(row: Told) -> str:
    """What is said below the table."""
    spelt = [f"{own} is {theirs}" for own, theirs in row.spelt.items() if own not in row.ignores]
    return "; ".join([*([row.note] if row.note else []), *spelt])
