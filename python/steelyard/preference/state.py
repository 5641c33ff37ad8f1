"""The means of a preference loss over data that come in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core, _intervals
from .._arrays import aligned
from .._clusters import codes_and_names
from .._column_totals import PairTotals
from .._estimate import Estimate
from .._intervals import Sums
from .._mode import standard_mode_methods
from .._options import Alternative, NanPolicy, confidence_of, number, omits_nan
from .._progress import Progress
from .._rows import Selection, nonzero, nothing_counts
from .._state import State
from ..errors import value_error
from .conventions import spoken
from .dialects import Convention, Spelt
from .given import COLUMNS, as_columns, columns_given, lengths_by_name
from .losses import Divergence, Loss, preference_loss
from .result import ALWAYS, BESIDE_REFERENCE, PreferenceLoss
from .terms import settings_of, terms_of
from .work import displaced, halves_of, margins_of

__all__ = ["PreferenceState"]

Floats = NDArray[np.float64]
NUMBERS = ("beta", "label_smoothing", "shift", "temperature", "gamma", "alpha", "sft")


@standard_mode_methods
class PreferenceState(State):
    """The means of a preference loss over batches: update, merge, save and continue.

    ``PreferenceState(**o).update(*columns, clusters=c).compute()`` has the ``loss``, ``reward_accuracy`` and
    ``reward_margin`` of ``preference_loss(*columns, clusters=c, **o)``, and for losses with a reference its
    ``chosen_shift``, ``rejected_shift`` and ``displacement``, up to the rounding of sums there; of float32 columns the
    means are those of float64 results (``dtype="float64"``). Every pair counts the same, whatever its batch: a mean of
    the means of batches depends on how the pairs were split, and has no error. The sums are exact, so every split,
    every order and every merge gives the same bits. With ``clusters`` a state keeps some sums for each id,
    whose pairs may be spread over several updates; a state takes ids in all updates or in none.

    Parameters
    ----------
    loss, beta, label_smoothing, shift, temperature, gamma, alpha, sft, divergence, convention
        As in :func:`steelyard.preference_loss`; one number each. A convention that adds a mean over the tokens of a
        batch takes ``sft=0`` alone.
    nan_policy, confidence_level, alternative
        As in :func:`steelyard.preference_loss`.

    Examples
    --------
    Three pairs of which the policy has two right, in batches of two and one:

    >>> import steelyard as sy
    >>> state = sy.preference.PreferenceState(beta=0.1)
    >>> _ = state.update([-1.0, -2.0], [-3.0, -1.0], [-2.0, -2.0], [-2.0, -2.0])
    >>> _ = state.update([-1.5], [-2.5], [-2.0], [-2.0])
    >>> print(state.compute()["reward_accuracy"])
    0.67 [0.21, 0.94] (95 %, Wilson, n = 3)
    >>> state.compute().names
    ('loss', 'reward_accuracy', 'reward_margin', 'chosen_shift', 'rejected_shift', 'displacement')
    """

    _CORE = PairTotals

    def __init__(
        self,
        *,
        loss: Loss | Spelt | Mapping[Loss, float] = "dpo",
        beta: float = 0.1,
        label_smoothing: float | None = None,
        shift: float | None = None,
        temperature: float | None = None,
        gamma: float | None = None,
        alpha: float | None = None,
        sft: float | None = None,
        divergence: Divergence = "reverse-kl",
        convention: Convention | None = None,
        nan_policy: NanPolicy = "raise",
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        given = (beta, label_smoothing, shift, temperature, gamma, alpha, sft)
        numbers = {
            name: None if value is None else number(value, name) for name, value in zip(NUMBERS, given, strict=True)
        }
        said = spoken(convention, loss, numbers, divergence, ((), ()))
        row = said.dialect
        if row is not None and said.adds:
            fix = "pass sft=0" if "sft" in row.takes else ""
            got = f"a mean over the tokens of the batch, which {convention!r} adds"
            raise value_error("sft", f"0 with loss={loss!r}, since a state has no batches", got, fix)
        self._terms = terms_of(said.loss)
        if self._terms.reads("batch"):
            raise value_error("loss", "a loss of each pair by itself, since a state has no batches", repr(loss))
        settings_of(self._terms, said.divergence, **said.parameters)  # checks the parameters
        # What the library ignores has been warned of; it is not kept, so that no update warns again.
        ignored = () if row is None else row.ignores
        self._asked: dict[str, Any] = {
            "loss": loss, **numbers, "divergence": divergence, "convention": convention, **dict.fromkeys(ignored),
        }  # fmt: skip
        omits_nan(nan_policy)
        self._nan_policy = nan_policy
        self._confidence = confidence_of(confidence_level, alternative)
        self._lengths = said.counts_tokens or self._terms.reads("lengths")
        super().__init__()

    @property
    def _names(self) -> tuple[str, ...]:
        """The names of the means."""
        return (*ALWAYS, *BESIDE_REFERENCE) if self._terms.reads("reference") else ALWAYS

    def _empty(self) -> PairTotals:
        return PairTotals(len(self._names))

    def _options(self) -> dict[str, Any]:
        return {**self._asked, "nan_policy": self._nan_policy, **self._confidence.keywords}

    @classmethod
    def _read(cls, totals: PairTotals, header: dict[str, Any]) -> PreferenceState:
        state = super()._read(totals, header)
        if len(totals.parts) != len(state._names):
            raise value_error("data", f"{len(state._names)} columns", str(len(totals.parts)))
        return state

    def update(
        self,
        policy_chosen: ArrayLike,
        policy_rejected: ArrayLike,
        reference_chosen: ArrayLike | None = None,
        reference_rejected: ArrayLike | None = None,
        *,
        lengths: tuple[ArrayLike, ArrayLike] | None = None,
        where: Any = None,
        clusters: Any = None,
        progress: Progress = False,
    ) -> PreferenceState:
        """Add pairs and return the state; parameters as in :func:`steelyard.preference_loss`.

        Where the call raises, nothing has been added.
        """
        columns = (policy_chosen, policy_rejected, reference_chosen, reference_rejected)
        given = columns_given(self._terms, columns, lengths if self._lengths else None, None, None)
        aligned(**given, **lengths_by_name(lengths), where=where, clusters=clusters)
        checked = as_columns(given)
        n = len(checked[0])
        if not n:
            return self
        rows = Selection(where, None, self._nan_policy, unit="pair").rows(COLUMNS[0], *checked, some=False)
        counts = {"excluded": rows.left_out.get("where", 0), "nan": rows.left_out.get("nan", 0)}
        if rows.keep is not None and not rows.keep.any():
            nothing = [np.empty(0)] * len(self._names)
            self._totals.update(nothing, None, None, **counts)
            return self
        found = preference_loss(
            *columns, lengths=lengths, where=where, nan_policy=self._nan_policy, gradients=False, dtype="float64",
            progress=progress, **self._asked,
        )  # fmt: skip
        codes, names = None, None
        if clusters is not None:
            of_all, names = codes_and_names(clusters, "clusters", n, rows.keep)
            codes = rows.of(of_all)
        self._totals.update([rows.of(column) for column in self._columns(found)], codes, names, **counts)
        return self

    def _columns(self, found: PreferenceLoss) -> list[Floats]:
        """The values of each mean."""
        chosen, rejected = found.rewards_chosen, found.rewards_rejected
        assert found.losses is not None
        assert chosen is not None
        assert rejected is not None
        always = [found.losses, halves_of(chosen, rejected), margins_of(chosen, rejected)]
        if len(self._names) == len(ALWAYS):
            return always
        moves = [rewards / found._betas[0] for rewards in (chosen, rejected)]
        return [*always, *moves, displaced(chosen, rejected).astype(np.float64)]

    def compute(self) -> Estimate:
        """The means of all pairs added so far, one Estimate with their ``names``.

        Raises
        ------
        ValueError
            Where no pair counts.
        """
        size = self._totals.size()
        left_out = nonzero({"where": size.excluded, "nan": size.nan})
        if not size.rows:
            raise nothing_counts(COLUMNS[0], "pair", left_out)
        means = [
            self._mean(name, totals, size.rows, left_out)
            for name, totals in zip(self._names, self._totals.parts, strict=True)
        ]
        return _intervals.stack(means, self._names)

    def _mean(self, name: str, totals: _core.EstimateTotals, n: int, left_out: dict[str, int]) -> Estimate:
        """The mean of one column."""
        found = _intervals.whole_column(n, totals.moments(), name)
        clustered = totals.clustered()
        shares = name in ("reward_accuracy", "displacement")

        def summed(shift: float) -> Sums:
            if not clustered:  # asked for by ties alone
                return _rows_of(found)
            sums, sizes = totals.cluster_sums(shift)
            return Sums(sums, sizes, shift)

        return _intervals.mean_of(
            found, self._confidence, summed, name=name, grouped="clusters" if clustered else None,
            values=_intervals.value_facts(found, bounded=shares),
            kind="ties" if name == "reward_accuracy" else None if shares else "graded", left_out=left_out,
        )  # fmt: skip

    def __repr__(self) -> str:
        size = self._totals.size()
        clusters = f" in {size.clusters} clusters" if size.clusters else ""
        return f"<PreferenceState of {self._asked['loss']}: {size.rows} pairs{clusters}>"


def _rows_of(found: _intervals.Column) -> Sums:
    """Wins, ties and losses as rows again; their numbers follow from the mean and the squared deviations."""
    n, total = found.n, found.mean * found.n
    squares = found.squares + total * found.mean  # the sum of the squares: wins + ties / 4
    ties = round(4 * (total - squares))
    wins = round(total - ties / 2)
    values = np.repeat([0.0, 0.5, 1.0], [n - ties - wins, ties, wins])
    return Sums(values, np.ones(n), rows=True)
