"""The means of columns of token scores over data that come in parts, such as logits larger than the memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from .. import _intervals
from .._arrays import aligned
from .._column_totals import TokenTotals
from .._estimate import Estimate
from .._intervals import Sums
from .._mode import standard_mode_methods
from .._options import Alternative, Confidence, choice, confidence_of, fraction, whole
from .._progress import Progress, reporter
from .._registries import names
from .._rows import Selection, nonzero, nothing_counts
from .._state import State
from .._strides import kept
from ..errors import shown, type_error, value_error
from ._asked import Column, PairColumn
from ._batch import COUNTS, EXCLUDED, IGNORED, groups_of
from ._scored import Scored, scored
from ._stream import add_all, is_stream
from ._transform import transform_of

__all__ = ["TokenState"]

# The columns whose values are 0 or 1, and those that have other bounds; all others may take any value.
ANSWERS = frozenset(("correct", "same_top", "flips"))
SHARES = (*ANSWERS, "confidence", "probability", "collision", "tv")
RANGES = {**dict.fromkeys(SHARES, "share"), "delta_p": "difference"}
NO_MEAN = "top"  # an id


@standard_mode_methods
class TokenState(State):
    """The means of columns of token scores, with errors clustered by document: update, merge, save and continue.

    For each column x of :func:`steelyard.token_scores` the mean m of the N tokens that count is estimated, with the
    cluster-robust variance of :func:`steelyard.estimate`: V = sum r_g^2/(1 - f_g) / N^2 (CR2) from the sums S_g and
    sizes n_g of the documents, r_g = S_g - m n_g, f_g = n_g/N, and the interval m +- t sqrt(V); 0/1 columns
    (``correct``, ``same_top``, ``flips``) have Wilson's interval with p (1 - p)/V effective tokens. Nothing is kept of
    a token but its part in sums, which are exact: every split of the tokens into batches, every order and every merge
    gives the same bits, and a document may be spread over several batches. A state takes about 100 bytes for each
    document and column.

    ``TokenState("kl", **o).update(logits, targets, baseline=b, clusters=c).compute()`` is
    ``estimate(t.kl, where=t.counted, clusters=c)`` of ``t = token_scores(logits, targets, baseline=b, **o)`` up to the
    rounding of sums there.

    Parameters
    ----------
    columns : name or sequence of names
        The columns of which to estimate the mean, all of :func:`steelyard.token_scores` but ``top``; by position or
        keyword. A single name gives a single Estimate, a sequence one with these ``names``. Those that compare two
        models need a ``baseline`` in every update.
    ignore_index, scale, softcap, temperature, label_smoothing
        As in :func:`steelyard.token_scores`; of logits alone, not of scores that are made already.
    confidence_level, alternative
        As in :func:`steelyard.estimate`.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> logits = (np.arange(1200.0) % 97 % 13 % 5).astype(np.float32).reshape(12, 10, 10)
    >>> targets, documents = np.arange(120).reshape(12, 10) % 7, list("aabbccddeeff")
    >>> state = sy.tokens.TokenState(("nll", "correct"))
    >>> print(state.update(logits, targets, clusters=documents).compute())
    nll      3.24 [3.03, 3.46] (95 %, clustered t, n = 120, 6 clusters)
    correct  0.117 [0.061, 0.213] (95 %, clustered Wilson, n = 120, 6 clusters)

    In batches of any size, from an iterator:

    >>> batches = ((logits[i : i + 1], targets[i : i + 1], documents[i : i + 1]) for i in range(12))
    >>> sy.tokens.TokenState(("nll", "correct")).update(batches) == state
    True

    Interrupted and continued; ``n_positions`` says how far it came:

    >>> half = sy.tokens.TokenState("nll").update(logits[:5], targets[:5], clusters=documents[:5])
    >>> saved = half.to_bytes()
    >>> state = sy.tokens.TokenState.from_bytes(saved)
    >>> done = state.n_positions // 10
    >>> print(state.update(logits[done:], targets[done:], clusters=documents[done:]).compute())
    3.24 [3.03, 3.46] (95 %, clustered t, n = 120, 6 clusters)
    """

    _CORE = TokenTotals

    def __init__(
        self,
        columns: Column | PairColumn | Iterable[Column | PairColumn] = "nll",
        *,
        ignore_index: int | None = -100,
        scale: float | None = None,
        softcap: float | None = None,
        temperature: float | None = None,
        label_smoothing: float = 0.0,
        confidence_level: float = 0.95,
        alternative: Alternative = "two-sided",
    ) -> None:
        self._one = isinstance(columns, str)
        self._columns = _names(columns)
        pairs = names("tokens.pair_columns")
        self._compares = any(name in pairs for name in self._columns)
        if ignore_index is not None:
            ignore_index = whole(ignore_index, "ignore_index", -(2**63), 2**63 - 1, "a whole number or None")
        steps = transform_of(np.float32, 0, bias=None, scale=scale, softcap=softcap, temperature=temperature)
        self._scoring: dict[str, Any] = {
            "ignore_index": ignore_index,
            **{name: steps[name] for name in ("scale", "softcap", "temperature")},
            "label_smoothing": fraction(label_smoothing, "label_smoothing"),
        }
        self._confidence = confidence_of(confidence_level, alternative)
        super().__init__()

    def _empty(self) -> TokenTotals:
        return TokenTotals(len(self._columns))

    def _options(self) -> dict[str, Any]:
        columns = self._columns[0] if self._one else list(self._columns)
        return {"columns": columns, **self._scoring, **self._confidence.keywords}

    @classmethod
    def _read(cls, totals: TokenTotals, header: dict[str, Any]) -> Self:
        state = super()._read(totals, header)
        if len(totals.parts) != len(state._columns):
            raise value_error("columns", f"{len(totals.parts)} of them", str(len(state._columns)))
        return state

    @property
    def n_positions(self) -> int:
        """The number of positions added so far, whether they counted or not: where to go on after an interrupt."""
        size = self._totals.size()
        return int(size.rows + size.excluded + size.nan)

    def update(
        self,
        logits: Any,
        targets: Any = None,
        *,
        baseline: Any = None,
        where: Any = None,
        clusters: Any = None,
        progress: Progress = False,
    ) -> Self:
        """Add tokens and return the state. Where the call raises, nothing of the batch at hand has been added.

        Parameters
        ----------
        logits : float array [..., V], or TokenScores, or iterator of batches
            With ``targets`` as in :func:`steelyard.token_scores`: read once and not copied, also from a memory map
            (``numpy.load(path, mmap_mode="r")``, :func:`steelyard.tokens.tensors`). Or scores that have the columns of
            this state. Or an iterator, each item of which is a batch: a tuple ``(logits, targets, clusters)``
            (``map(tuple, loader)`` of a loader that makes lists), or a mapping of the arguments of this call by name.
            Batches are added one by one; after an interrupt, and where a batch is refused or the iterator raises, those
            before it have been added.
        targets : integer array [...], optional
            Class indices; those that are ``ignore_index`` do not count.
        baseline : float array, the shape of logits, optional
            The other model's logits, for columns that compare two.
        where : boolean array, the shape of targets, optional
            The tokens that count; the logits of others are not read.
        clusters : ids, one per token or one per row of tokens; for ``[T]`` also a single id
            The document of each, whole numbers or texts. They are needed, since tokens of one document are not
            independent, and a later batch may have more of it.
        progress : bool or callable
            ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)`` rows, or with
            batches of an iterator, where a total of 0 says that nobody knows it yet.

        Raises
        ------
        TypeError, ValueError
            As :func:`steelyard.token_scores`; without ``clusters``; for a baseline that no column needs, or none where
            one does; and for a value that is not finite, such as the NLL of a target at ``-inf``.
        """
        if is_stream(logits):
            beside = {"targets": targets, "baseline": baseline, "where": where, "clusters": clusters}
            add_all(logits, self.update, progress, first="logits", **beside)
            return self
        aligned(logits=logits, targets=targets, baseline=baseline, where=where, clusters=clusters)
        if clusters is None:
            fix = "tokens of one document are not independent; where they are, give each an id of its own"
            raise value_error("clusters", "the document of each token or row", "None", fix)
        self._check_baseline(logits, baseline)
        selection = Selection(where, clusters, "raise", unit="token")
        found = scored(
            logits, targets, selection, name="logits", progress=progress, columns=self._columns, baseline=baseline,
            **self._scoring,
        )  # fmt: skip
        self._add(found, selection, reporter(progress) if targets is None else None)
        return self

    def _check_baseline(self, logits: Any, baseline: Any) -> None:
        """Refuse a baseline that nothing needs, and logits without the one that a column needs."""
        if baseline is None:
            if self._compares and not hasattr(logits, "nll"):
                raise type_error("baseline", f"logits of another model for {', '.join(self._columns)}", "None")
        elif hasattr(logits, "nll") or not self._compares:
            got = "scores, which have theirs" if hasattr(logits, "nll") else f"the columns {', '.join(self._columns)}"
            raise type_error("baseline", "None where no column compares it with logits", got)

    def _add(self, found: Scored, selection: Selection, progress: Any) -> None:
        nll, status = found.scores.nll, found.status
        if not nll.size:
            return
        group = groups_of(selection, nll, status)
        codes = np.repeat(group.codes, nll.shape[-1]) if group.of_rows else group.codes
        counted = (status == COUNTS).reshape(-1)
        columns = [self._values(name, found, counted) for name in self._columns]
        self._totals.update(
            columns, kept(codes, counted), group.names, excluded=int(np.count_nonzero(status == EXCLUDED)),
            nan=int(np.count_nonzero(status == IGNORED)), progress=progress,
        )  # fmt: skip

    def _values(self, name: str, found: Scored, counted: Any) -> Any:
        """The values of one column for the tokens that count."""
        column = getattr(found.scores, name)
        if column is None:
            fix = f"make them by token_scores(..., columns={self._columns!r})"
            raise value_error("logits", f"scores with the column {name!r}", "scores without it", fix)
        values = kept(np.ascontiguousarray(column).reshape(-1), counted)
        finite = np.isfinite(values)
        if not finite.all():
            first = int(np.argmin(finite))
            place = np.unravel_index(int(np.flatnonzero(counted)[first]), column.shape)
            got = f"{values[first]} at index {list(map(int, place))}"
            raise value_error(name, "finite values where a token counts", got, "leave it out with where=")
        return values

    def compute(self) -> Estimate:
        """The means of the columns from all tokens added so far.

        Raises
        ------
        ValueError
            Where no token counts.
        """
        size = self._totals.size()
        left_out = nonzero({"ignored": size.nan, "where": size.excluded})
        if not size.rows:
            raise nothing_counts("logits", "token", left_out)
        means = [
            _mean(name, totals, size.rows, self._confidence, left_out)
            for name, totals in zip(self._columns, self._totals.parts, strict=True)
        ]
        return means[0] if self._one else _intervals.stack(means, self._columns)

    def __repr__(self) -> str:
        size = self._totals.size()
        return f"<TokenState of {', '.join(self._columns)}: {size.rows} tokens in {size.clusters} clusters>"


def _names(columns: Any) -> tuple[str, ...]:
    """The names of the columns, each once."""
    known = [name for name in (*names("tokens.columns"), *names("tokens.pair_columns")) if name != NO_MEAN]
    try:
        given = (columns,) if isinstance(columns, str) else tuple(columns)
    except TypeError:
        raise type_error("columns", f"names of columns, of {', '.join(known)}", shown(columns)) from None
    found = tuple(choice(name, "columns", known) for name in given)
    if not found or len(set(found)) < len(found):
        raise value_error("columns", "at least one name, each once", shown(columns))
    return found


def _mean(name: str, totals: Any, tokens: int, confidence: Confidence, left_out: dict[str, int]) -> Estimate:
    """The mean of one column."""
    found = _intervals.whole_column(tokens, totals.moments(), name)

    def summed(shift: float) -> Sums:
        sums, sizes = totals.cluster_sums(shift)
        return Sums(sums, sizes, shift)

    values = _intervals.value_facts(found)
    values["range"] = RANGES.get(name, "unknown")
    return _intervals.mean_of(
        found, confidence, summed, name=name, grouped="clusters", values=values,
        kind=None if name in ANSWERS else "graded", left_out=left_out,
    )  # fmt: skip
