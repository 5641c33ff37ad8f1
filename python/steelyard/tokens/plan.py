"""Windows over a text that is longer than a model's context: what the model is given, and which tokens each scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from .._arrays import integers
from .._lazy import lazy
from .._mode import standard_mode, standard_mode_methods
from .._options import choice, whole
from .._result import Result
from .._rows import nonzero
from .._text import html_table
from ..errors import value_error
from ._protocols import MOST, PROTOCOLS, Bos, Convention, Score, numbers_of

__all__ = ["Window", "Windows", "windows"]


class _Extent(NamedTuple):
    """What one window reads and scores, as places in the text."""

    begin: int
    end: int
    first: int
    last: int


@standard_mode_methods
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Windows(Result):
    """A plan by which a model scores a text: a sequence of :class:`Window`, made by :func:`windows`.

    Attributes
    ----------
    n_tokens, context, stride : int
        The length of the text, the most tokens that a window has, and how far apart windows are.
    bos : {"none", "first", "every", "replace"}
        Which windows begin with a BOS token, and whether it stands before the tokens or replaces the first.
    score : "all" or int
        Which tokens are scored: see :func:`windows`.
    convention : str or None
        The tool whose protocol this is.
    least_context : int
        Every scored token has at least this many tokens of the text before it in its window, or all that the text has
        (with ``bos="replace"``: all but the one that is replaced).
    n_scored : int
        How many tokens of the text are scored, each by one window.
    left_out : dict
        How many are not, by reason.

    Examples
    --------
    >>> import steelyard as sy
    >>> plan = sy.tokens.windows(5000, context=2048, stride=1024)
    >>> plan
    <Windows: 4 of at most 2048 tokens, stride 1024; 4,999 of 5,000 tokens scored, each after at least 1024>
    >>> len(plan), plan.left_out
    (4, {'no token before it': 1})
    >>> plan[1]
    <Window: given tokens 1024:3072; scores 2048:3072 by rows 1023:2047 of its logits>
    """

    n_tokens: int
    context: int
    stride: int
    bos: Bos
    score: Score
    convention: Convention | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Window]:
        return (Window(self, k) for k in range(self._count))

    @overload
    def __getitem__(self, item: int) -> Window: ...

    @overload
    def __getitem__(self, item: slice) -> list[Window]: ...

    def __getitem__(self, item: int | slice) -> Window | list[Window]:
        if isinstance(item, slice):
            return [Window(self, k) for k in range(*item.indices(self._count))]
        place = index(item)
        if not -self._count <= place < self._count:
            raise IndexError(f"window {place} of a plan that has {self._count}")
        return Window(self, place % self._count)

    @lazy
    def n_scored(self) -> int:
        """How many tokens are scored."""
        some = {k: self._extent(k) for k in {0, 1, self._count - 1} if 0 <= k < self._count}
        each = {k: extent.last - extent.first for k, extent in some.items()}
        return sum(each.values()) + max(self._count - 3, 0) * each.get(1, 0)  # all between the ends are alike

    @lazy
    def least_context(self) -> int:
        """The tokens of the text that every scored token has before it in its window, if the text has them."""
        if self._rolling:
            return 1
        shared = self._body - self.stride - self._replaced
        return shared if self.score == "all" else max(shared, self.score, int(self.bos in ("none", "first")))

    @lazy
    def left_out(self) -> dict[str, int]:
        """How many tokens are not scored, by reason."""
        behind = self.n_tokens - self._count * self.context if self._whole else 0
        short = "no token before it" if self.score in ("all", 0, 1) else "too little context"
        return nonzero({short: self.n_tokens - self.n_scored - behind, "behind the last whole window": behind})

    def to_dict(self) -> dict[str, Any]:
        """The protocol and what it scores, ready for JSON: what to write beside a perplexity."""
        return {
            "convention": self.convention,
            "context": self.context,
            "stride": self.stride,
            "bos": self.bos,
            "score": self.score,
            "least_context": self.least_context,
            "n_tokens": self.n_tokens,
            "n_windows": self._count,
            "n_scored": self.n_scored,
            "left_out": dict(self.left_out),
        }

    @lazy
    def _whole(self) -> bool:
        """Whether a window that the text does not fill is left out."""
        return self.convention is not None and PROTOCOLS[self.convention].whole

    @lazy
    def _rolling(self) -> bool:
        """Whether the last token of a window is only predicted, never given."""
        return self.convention is not None and PROTOCOLS[self.convention].rolling

    @lazy
    def _body(self) -> int:
        """The most tokens of the text that a window has, but perhaps the first."""
        return self.context - (self.bos == "every")

    @lazy
    def _replaced(self) -> int:
        return int(self.bos == "replace")

    @lazy
    def _count(self) -> int:
        if self._whole:
            return self.n_tokens // self.context
        if self._rolling:
            return -(-self.n_tokens // self.context)
        if self.n_tokens == 0:
            return 0
        first = self.context - (self.bos in ("first", "every"))
        count = 1 + max(-(-(self.n_tokens - first) // self.stride), 0)
        extent = self._extent(count - 1)  # of all windows only the last may be too short to score a token
        return count - (extent.first >= extent.last)

    def _extent(self, k: int) -> _Extent:
        """What window ``k`` reads and scores."""
        n = self.n_tokens
        if self._rolling:
            first, last = k * self.context, min((k + 1) * self.context, n)
            return _Extent(max(last - 1 - self.context, 0), last - 1, first, last)
        new = self.context - (self.bos in ("first", "every")) + (k - 1) * self.stride  # where the last window ended
        begin = max(new + self.stride - self._body, 0)
        needs = int(self._before(k) == "none")  # without a BOS nothing predicts the first token
        needs = needs if self.score == "all" else max(needs, self.score)
        first = max(new if k else 0, begin + self._replaced + needs)
        return _Extent(begin, min(new + self.stride, n), first, min(new + self.stride, n))

    def _before(self, k: int) -> Literal["none", "before", "instead"]:
        """Whether a BOS stands before the tokens of window ``k``, or in place of the first."""
        if self.bos == "replace":
            return "instead"
        return "before" if self.bos == "every" or (self.bos == "first" and k == 0) else "none"

    def _repr_html_(self) -> str:
        """Render as the table a notebook shows."""
        rows = [[key.replace("_", " "), str(value)] for key, value in self.to_dict().items() if value is not None]
        return html_table(rows, caption="windows")

    def __repr__(self) -> str:
        named = "" if self.convention is None else f" by {self.convention}"
        bos = {"none": "", "first": ", BOS before the first", "every": ", BOS before each"}
        how = f"stride {self.stride}{bos.get(self.bos, ', BOS for the first token of each')}"
        scored = f"{self.n_scored:,} of {self.n_tokens:,} tokens scored, each after at least {self.least_context}"
        return f"<Windows{named}: {self._count:,} of at most {self.context} tokens, {how}; {scored}>"


@standard_mode_methods
@dataclass(frozen=True, eq=False, repr=False)
class Window(Result):
    """One call of the model: what it is given, and which rows of its logits score which tokens.

    Attributes
    ----------
    input : slice
        The tokens of the text that the model is given. See :meth:`prompt`, which adds the BOS.
    score : slice
        The rows of the logits of this window that are scored.
    targets : slice
        The tokens of the text that these rows predict: as many as ``score`` has rows.
    bos : {"none", "before", "instead"}
        Whether a BOS stands before the tokens, or in place of the first. ``score`` counts a row for it.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> w = sy.tokens.windows(10, context=4, stride=2, bos="every")[1]
    >>> w.input, w.score, w.targets
    (slice(2, 5, None), slice(1, 3, None), slice(3, 5, None))
    >>> w.prompt(np.arange(10), bos_id=99).tolist()
    [99, 2, 3, 4]
    """

    plan: Windows
    index: int

    @lazy
    def _extent(self) -> _Extent:
        return self.plan._extent(self.index)

    @property
    def input(self) -> slice:
        """The tokens of the text that the model is given."""
        return slice(self._extent.begin, self._extent.end)

    @property
    def score(self) -> slice:
        """The rows of the logits that are scored: row j follows token j of the prompt, and predicts the next one."""
        ahead = self._extent.begin + 1 - (self.bos == "before")
        return slice(self._extent.first - ahead, self._extent.last - ahead)

    @property
    def targets(self) -> slice:
        """The tokens of the text that these rows predict."""
        return slice(self._extent.first, self._extent.last)

    @property
    def bos(self) -> Literal["none", "before", "instead"]:
        """Whether a BOS stands before the tokens, or in place of the first."""
        return self.plan._before(self.index)

    def prompt(self, ids: Any, *, bos_id: int | None = None) -> NDArray[np.int64]:
        """The token ids that the model is given: those of the window, and the BOS where the plan has one.

        Parameters
        ----------
        ids : integer array, shape [n_tokens]
            The whole text, without the BOS that the plan adds.
        bos_id : int, optional
            The id of the BOS token. Asked for where a window of the plan has one, and refused where none has.

        Returns
        -------
        int64 ndarray
            At most ``context`` ids.

        Raises
        ------
        TypeError, ValueError
            For ids that are not those of the text, and for a BOS that is missing or not part of the plan.
        """
        text = integers(ids, "ids", ndim=1)
        n = self.plan.n_tokens
        if len(text) != n:
            raise value_error("ids", f"the {n} tokens of the whole text", f"{len(text)}", "the plan is of its length")
        given = text[self.input].copy()
        if self.plan.bos == "none":
            if bos_id is not None:
                fix = "make the plan with bos='every', 'first' or 'replace'"
                raise value_error("bos_id", "None, since the plan has no BOS", str(bos_id)[:80], fix)
            return given
        if bos_id is None:
            raise value_error("bos_id", f"the id of the BOS token, since the plan has bos={self.plan.bos!r}", "None")
        begin = whole(bos_id, "bos_id", 0, 2**63 - 1)
        if self.bos == "instead":
            given[0] = begin
        return np.concatenate([np.array([begin]), given]) if self.bos == "before" else given

    def __repr__(self) -> str:
        bos = {"none": "", "before": "BOS and ", "instead": "BOS for the first of "}[self.bos]
        given, targets, rows = (f"{part.start}:{part.stop}" for part in (self.input, self.targets, self.score))
        return f"<Window: given {bos}tokens {given}; scores {targets} by rows {rows} of its logits>"


@standard_mode
def windows(
    n_tokens: int,
    *,
    context: int | None = None,
    stride: int | None = None,
    bos: Bos | None = None,
    score: Score | None = None,
    convention: Convention | None = None,
) -> Windows:
    """Plan the windows by which a model with a limited context scores a text, each token by one window.

    Window k is given at most ``context`` tokens, and begins ``stride`` tokens after the one before it. It scores the
    tokens that none before it has scored, so that they are predicted after at least ``context - stride`` tokens (one
    less with a BOS), the beginning of the text apart. What was done stands in the plan, because perplexities under
    different plans cannot be compared.

    Row j of a model's logits follows token j of its prompt and predicts token j + 1. A :class:`Window` has the slices
    that this takes, so that nothing is shifted by hand::

        plan = sy.tokens.windows(len(ids), context=1024, stride=512)
        nll = np.full(len(ids), np.nan)
        for w in plan:
            logits = model(w.prompt(ids))                           # [tokens of the prompt, V]
            nll[w.targets] = sy.token_scores(logits[w.score], ids[w.targets]).nll
        sy.perplexity(nll, where=~np.isnan(nll), clusters=document_of_token)

    Parameters
    ----------
    n_tokens : int
        The number of tokens of the text, without a BOS that the plan adds.
    context : int
        The most tokens that the model is given at once, a BOS included. Default: that of the convention.
    stride : int, optional
        How many new tokens each window has: at most ``context - 1``, since every token needs one before it. Default:
        half the context.
    bos : {"none", "first", "every", "replace"}, optional
        A BOS token before the first window alone (``"first"``), before every one, or in place of the first token of
        every one. Default: ``"none"``, as where ``ids`` has all that the model is to see.
    score : "all" or int, optional
        ``"all"``, the default: every token, each once; without a BOS, not the first of the text, which nothing
        predicts. A number: only tokens with at least so many tokens of the text before them in their window; then the
        stride may be up to the whole context, and what no window scores is counted in ``left_out``.
    convention : {"transformers", "lm_eval_rolling", "llama_cpp", "gptq", "stride_1"}, optional
        The protocol of a tool; what it fixes cannot be given otherwise. ``"transformers"``: the page "Perplexity of
        fixed-length models", which is what this function does without a convention and without a BOS.
        ``"lm_eval_rolling"``: lm-evaluation-harness's ``loglikelihood_rolling``: disjoint targets, one token of
        context before them, BOS before the first window, the last window as long as the others. ``"llama_cpp"``:
        ``llama-perplexity``: disjoint chunks (512 tokens), of which the second half is scored; BOS in place of the
        first token, or ``bos="none"`` for models that have none. ``"gptq"``: disjoint windows (2048), of which all
        tokens but the first are scored; so do most papers on quantization. The last two leave out what does not fill a
        window. ``"stride_1"``: every token after as many as the context has room for, one call of the model each.

    Returns
    -------
    Windows
        The windows in their order, ``n_scored``, ``left_out``, ``least_context``; ``to_dict()`` for the record.

    Raises
    ------
    TypeError
        For an argument of the wrong kind.
    ValueError
        For numbers under which a token would have nothing before it, and for what a convention does not allow.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> ids = np.arange(40) % 3
    >>> model = lambda prompt: np.eye(3)[(prompt + 1) % 3]      # sure, to 1 nat, that 1 follows 0, 2 follows 1, ...
    >>> plan = sy.tokens.windows(len(ids), context=16, stride=8)
    >>> nll = np.full(len(ids), np.nan)
    >>> for w in plan:
    ...     nll[w.targets] = sy.token_scores(model(w.prompt(ids))[w.score], ids[w.targets]).nll
    >>> round(sy.perplexity(nll, where=~np.isnan(nll)).value, 4), plan.n_scored, plan.least_context
    (1.7358, 39, 8)
    >>> sy.tokens.windows(338_535, convention="llama_cpp")
    <Windows by llama_cpp: 661 of at most 512 tokens, stride 512, BOS for the first token of each; 168,555 of 338,535 \
tokens scored, each after at least 256>
    >>> sy.tokens.windows(40, context=16, stride=16)
    Traceback (most recent call last):
        ...
    ValueError: stride: expected at most 15, below context, so that every token has one before it in its window; got \
16; score=1 leaves out the first token of each window

    Notes
    -----
    Earlier versions of the page of transformers began with a window that is too short (issue 18887); with a stride of
    the whole context it leaves out the first token of every window (30975), which is refused here; it gives the loss
    of the later windows the weight of one token too few (34138), and no BOS to them (40524): ``bos="every"`` does.
    """
    n = whole(n_tokens, "n_tokens", 0, MOST)
    if convention is not None:
        choice(convention, "convention", tuple(PROTOCOLS))
    numbers = numbers_of(convention, context, stride, bos, score)
    return Windows(n_tokens=n, convention=convention, **numbers._asdict())
