"""``convention=``: a loss by the name that another library has for it, as a loss of this package.

A convention is read first: the library's name becomes a loss of this package with its parameters, by a row of
:data:`~steelyard.preference.dialects.DIALECTS`. What the library adds to such a loss, and rewards that it computes
differently, follow when the loss is there (:func:`finish`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from numbers import Real
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import to_float64
from .._options import at_least_zero, choice
from .._registries import REGISTRIES
from ..errors import shown, type_error, value_error, warn
from .dialects import DIALECTS, LACKING, LIBRARIES, Convention, Dialect, Rewards
from .terms import is_column, numbers_of

__all__ = ["Spoken", "finish", "narrowed", "refuse_beside", "spoken"]

Floats = NDArray[np.float64]
OWN = "steelyard"
MEANINGLESS = (None, "reverse-kl")
"""The values of parameters that stand for nothing."""


class Spoken(NamedTuple):
    """A loss that was asked for by a convention, as this package computes it."""

    loss: str
    parameters: dict[str, Any]
    divergence: Any
    lengths: Any
    """The lengths that the loss itself reads; ``None`` where it reads none."""
    dialect: Dialect | None = None
    weights: tuple[float, ...] = ()
    """The weight of the chosen answers' negative log-likelihood over the tokens of the batch, if it is added: one, or
    one for each setting of a sweep."""
    several: bool = False
    """Whether that weight was given as a column."""

    @property
    def adds(self) -> bool:
        """Whether something is added to the loss."""
        return any(self.weights)

    @property
    def swept(self) -> dict[str, int]:
        """The parameter that is a sweep of what is added, with the number of its values, if there is one."""
        return {"sft": len(self.weights)} if self.several else {}

    @property
    def rewards(self) -> Rewards:
        """What beta is multiplied with to give a reward."""
        if self.dialect is None:
            return "compared"
        return "log-ratio" if self.divergence != "reverse-kl" else self.dialect.rewards

    @property
    def finishes(self) -> bool:
        """Whether :func:`finish` changes what the loss here gives."""
        return self.adds or self.rewards != "compared"

    @property
    def counts_tokens(self) -> bool:
        """Whether lengths are needed for what is added."""
        return self.adds or (self.dialect is not None and self.dialect.rewards == "mean")


def spoken(convention: Any, loss: Any, parameters: Mapping[str, Any], divergence: Any, lengths: Any) -> Spoken:
    """Read a loss and its parameters as the convention's library has them."""
    if convention is not None:
        choice(convention, "convention", get_args(Convention))
    if convention in (None, OWN):
        return Spoken(loss, dict(parameters), divergence, lengths)
    row = _row(convention, loss)
    said = _read(convention, loss, row, {**parameters, "divergence": divergence})
    weights: tuple[float, ...] = ()
    several = False
    if row.likelihood is not None:
        given = said.pop("sft")
        several = is_column(given)
        all_given = numbers_of(given, "sft").tolist() if several else [row.likelihood if given is None else given]
        weights = tuple(at_least_zero("sft", weight) for weight in all_given)
        said["sft"] = 0.0 if "sft" in REGISTRIES["preference.loss"][row.loss].parameters else None
    found = Spoken(row.loss, said, said.pop("divergence"), lengths, row, weights, several)
    reads = "lengths" in REGISTRIES["preference.loss"][row.loss].columns
    if found.counts_tokens and lengths is None:
        what = f"which {LIBRARIES[convention]} needs for {loss!r}"
        raise value_error("lengths", f"(chosen, rejected), numbers of tokens, {what}", "None")
    # A library whose loss adds a likelihood takes lengths also where its weight is 0.
    takes = found.counts_tokens or row.likelihood is not None
    return found if reads or not takes else found._replace(lengths=None)


def _row(convention: str, loss: Any) -> Dialect:
    """The row of a name, or an error that tells the names there are, and the one that was meant."""
    rows, lacking, library = DIALECTS[convention], LACKING.get(convention, {}), LIBRARIES[convention]
    expected = f"one of {', '.join(rows)} with convention={convention!r}"
    if not isinstance(loss, str):
        raise type_error("loss", expected, shown(loss))
    if loss in rows:
        return rows[loss]
    if loss in lacking:
        raise value_error("loss", expected, repr(loss), f"{library}'s {loss!r} cannot be had: {lacking[loss]}")
    meant = [name for name, row in rows.items() if row.loss == loss] or get_close_matches(loss, rows, 1)
    raise value_error("loss", expected, repr(loss), f"did you mean {meant[0]!r}?" if meant else "")


def _read(convention: str, loss: str, row: Dialect, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters as this package's loss takes them, after a warning for each that the library does not read."""
    library = LIBRARIES[convention]
    for name, value in given.items():
        if name == "beta" or _stands_for_nothing(value):
            if name in row.needs:
                raise value_error(name, f"a number, since {library}'s {loss!r} has no default of it", shown(value))
            continue
        if name in (*row.ignores, *row.beyond) and _is_zero(value):
            given = given | {name: None}  # it would change nothing
        elif name in row.ignores:
            warn(f"{name}: {library} ignores it for {loss!r}, and so does convention={convention!r}")
            given = given | {name: None}
        elif name in row.beyond:
            what = f"None: {library} reads it for {loss!r}, but this package's {row.loss!r} has none"
            raise value_error(name, what, shown(value))
        elif name not in row.takes and name in row.spelt.values():
            own = next(own for own, theirs in row.spelt.items() if theirs == name)
            what = f"nothing: the {name!r} of {library}'s {loss!r} is {own!r} here"
            raise value_error(name, what, shown(value), f"pass {own}=")
        elif name not in row.takes:
            raise value_error(name, f"nothing: {library}'s {loss!r} has no such parameter", shown(value))
    return given


def _stands_for_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in MEANINGLESS)


def _is_zero(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value == 0


def finish(
    said: Spoken,
    scored: Sequence[_core._Scored],
    settings: Sequence[Mapping[str, Any]],
    columns: Sequence[NDArray[Any]],
    *,
    tokens: tuple[Floats, Floats] | None,
    counted: NDArray[np.bool_] | None,
) -> None:
    """Add to the losses, in place, what the library adds, and put its rewards in the place of this package's.

    ``scored`` holds the columns of each setting as the core made them, ``columns`` the log-probabilities, ``tokens``
    the lengths, and ``counted`` the pairs that count (None: all).
    """
    if said.adds:
        assert tokens is not None
        for of, weight in zip(scored, said.weights if said.several else said.weights * len(scored), strict=True):
            slopes = _slopes(said.loss, weight, tokens[0], counted)
            of["losses"] += slopes * to_float64(columns[0])
            if of["grad_chosen"] is not None:
                of["grad_chosen"] += slopes
    if said.rewards == "compared":
        return
    sides = []
    for side in (0, 1):
        base = to_float64(columns[side])
        if said.rewards == "log-ratio":
            base = base - to_float64(columns[side + 2])
        else:
            assert tokens is not None
            base = base / np.maximum(tokens[side], 1.0)
        sides.append(base)
    for of, setting in zip(scored, settings, strict=True):
        of["rewards_chosen"], of["rewards_rejected"] = (setting["beta"] * base for base in sides)


def refuse_beside(said: Spoken, convention: Any, *, margin: Any, weights: Any, columns: bool) -> None:
    """Raise for what the library's loss does not have beside its columns."""
    if said.dialect is None:
        return
    library = LIBRARIES[convention]
    if margin is not None:
        raise value_error("margin", f"nothing: {library} has no such column", shown(margin))
    if weights is not None and said.adds:
        what = f"{library} adds a likelihood that is averaged over the tokens of the batch, which have none"
        raise value_error("weights", f"nothing: {what}", shown(weights))
    if said.finishes and not columns:
        raise value_error("columns", f"True: what {library} adds, and its rewards, are made from columns", "False")


def narrowed(scored: _core._Scored) -> _core._Scored:
    """The same columns in float32, for what was finished in float64."""
    arrays = {name: x.astype(np.float32) for name, x in scored.items() if isinstance(x, np.ndarray)}
    return scored | arrays  # type: ignore[return-value]


def _slopes(loss: str, weight: float, lengths: Floats, counted: NDArray[np.bool_] | None) -> Floats:
    """The slope of each pair's added term in the log-probability of its chosen answer.

    The mean over n pairs of ``-w l_i n / T``, with T tokens in all chosen answers, is ``w`` times their mean negative
    log-likelihood of a token. "orpo" has one already, the mean over its own tokens, which is taken away.
    """
    all_tokens = float(np.add.reduce(lengths if counted is None else lengths[counted]))
    pairs = len(lengths) if counted is None else int(np.count_nonzero(counted))
    share = weight * (pairs / all_tokens) if all_tokens else 0.0
    per_token = 1.0 / np.maximum(lengths, 1.0) if loss == "orpo" else 0.0
    return np.where(lengths > 0, per_token - share, 0.0)
