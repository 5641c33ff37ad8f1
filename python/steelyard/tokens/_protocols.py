"""How tools score a text by windows: which numbers each protocol fixes, and the check of those that are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from .._options import choice, whole
from ..errors import shown, type_error, value_error

__all__ = ["PROTOCOLS", "Bos", "Convention", "Numbers", "Score", "numbers_of"]

Bos = Literal["none", "first", "every", "replace"]
Convention = Literal["transformers", "lm_eval_rolling", "llama_cpp", "gptq", "stride_1"]
Score = int | Literal["all"]
# No text has so many tokens; the limit keeps all sums far below the end of 64 bits.
MOST = 2**48


@dataclass(frozen=True)
class Protocol:
    """What a protocol fixes; None is the caller's choice."""

    context: int | None = None
    """The default context."""
    least: int = 2
    """The smallest context in which a token is scored."""
    bos: tuple[Bos, ...] = get_args(Bos)
    """The allowed places of a BOS, the default first."""
    stride: Literal["context"] | int | None = None
    score: Literal["half"] | Score | None = None
    """``"half"``: what the second half of a window's rows predict."""
    whole: bool = False
    """Whether a window that the text does not fill is left out."""
    rolling: bool = False
    """Whether the last token of a window is only predicted and never given, which makes room for one more before."""


ANY = Protocol()
# Sources: docs/source/en/perplexity.md of transformers; lm_eval/utils.py, get_rolling_token_windows with a context of 1
# and make_disjoint_window; tools/perplexity/perplexity.cpp of llama.cpp; opt.py and llama.py of GPTQ.
PROTOCOLS: dict[Convention, Protocol] = {
    "transformers": Protocol(bos=("none",), score="all"),
    "lm_eval_rolling": Protocol(bos=("first",), stride="context", score="all", rolling=True),
    "llama_cpp": Protocol(512, 3, ("replace", "none"), stride="context", score="half", whole=True),
    "gptq": Protocol(2048, bos=("none",), stride="context", score=1, whole=True),
    "stride_1": Protocol(stride=1, score="all"),
}


class Numbers(NamedTuple):
    """The numbers of a plan."""

    context: int
    stride: int
    bos: Bos
    score: Score


def numbers_of(convention: Convention | None, context: Any, stride: Any, bos: Any, score: Any) -> Numbers:
    """The numbers that are given and those of the convention, checked; None is what was not given."""
    protocol = ANY if convention is None else PROTOCOLS[convention]
    length = _context(context, protocol)
    begins = _bos(bos, protocol, convention)
    # Row c // 2 is the first that is scored; it predicts the token after c // 2 + 1 others, one of them perhaps a BOS.
    fixed = length // 2 + (begins == "none") if protocol.score == "half" else protocol.score
    asked = _agreed("score", _score(score, length, begins), fixed, convention)
    scored: Score = "all" if asked is None else asked
    apart = None if stride is None else whole(stride, "stride", 1, MOST)
    step = _agreed("stride", apart, length if protocol.stride == "context" else protocol.stride, convention)
    return Numbers(length, _stride(step, length, begins, scored, protocol), begins, scored)


def _context(value: Any, protocol: Protocol) -> int:
    if value is None:
        if protocol.context is None:
            raise type_error("context", "the most tokens that the model is given at once", "None")
        return protocol.context
    return whole(value, "context", protocol.least, MOST)


def _bos(value: Any, protocol: Protocol, convention: Convention | None) -> Bos:
    if value is None:
        return protocol.bos[0]
    choice(value, "bos", get_args(Bos))
    if value not in protocol.bos:
        expected = f"{' or '.join(map(repr, protocol.bos))} with convention={convention!r}"
        raise value_error("bos", expected, repr(value), "without the convention it is free")
    found: Bos = value
    return found


def _score(value: Any, context: int, bos: Bos) -> Score | None:
    if value is None:
        return None
    if isinstance(value, str):
        if value != "all":
            raise value_error("score", "'all' or a whole number", repr(value))
        return "all"
    # Inside a window at least one token is left that has so many before it.
    return whole(value, "score", 0, context - 1 - (bos != "none"), "'all' or a whole number")


def _agreed(name: str, given: Any, fixed: Any, convention: Convention | None) -> Any:
    """What is given, or what the convention fixes; the two may not differ."""
    if fixed is None or given is None or given == fixed:
        return given if fixed is None else fixed
    expected = f"{fixed!r} or nothing with convention={convention!r}"
    raise value_error(name, expected, shown(given).partition(" ")[2], "without the convention it is free")


def _stride(value: int | None, context: int, bos: Bos, score: Score, protocol: Protocol) -> int:
    if value is None:
        return max(context // 2, 1)
    if protocol.rolling:
        return value
    # With "all" a window begins with a token that is not scored, or with a BOS.
    most = context - 1 if score == "all" else context - (bos == "every")
    if value > most:
        if score == "all":
            expected = f"at most {most}, below context, so that every token has one before it in its window"
            raise value_error("stride", expected, str(value), "score=1 leaves out the first token of each window")
        raise value_error("stride", f"at most {most}, so that every token is in a window", str(value))
    return value
