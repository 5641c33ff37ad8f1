"""What servers say of the tokens of one text: three lists of log-probabilities, read into one form.

- ``content`` of a chat, and llama.cpp's ``completion_probabilities``: entries with ``token``, ``logprob``, ``bytes``;
- ``logprobs`` of a completion: ``tokens``, ``token_logprobs`` and ``text_offset`` side by side;
- vLLM's ``prompt_logprobs``: for each token of the prompt a dictionary by token id, of that token and the likeliest;
  other servers write the number alone.

Of each token its own log-probability is read, which is exact. The likeliest others (``top_logprobs``) are not all there
are, so that nothing is made of them. Field names: the API references of OpenAI and vLLM, and llama.cpp's server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..roles import ROUNDING
from ..table import record_error, shorten

__all__ = ["IMPOSSIBLE", "Text", "of_completion", "of_entries", "of_prompt"]

# JSON has no -Infinity, so that servers write this for a token of probability 0. No float32 logit comes near it.
IMPOSSIBLE = -9999.0
_AGAIN = "write or fetch the file again, or take the line out of a copy"


@dataclass
class Text:
    """The tokens of one text."""

    logprobs: list[float]
    """Of the tokens that have one."""
    unscored: int = 0
    """Tokens without a log-probability: the first of a text has none."""
    n_bytes: int | None = None
    """The bytes of the text that the log-probabilities are of, where they are known."""
    own: bool = True
    """Whether the model wrote the text itself."""
    after: int = 0
    """Tokens that the model wrote after a text that it was given: they do not count."""

    @property
    def impossible(self) -> int:
        """How many tokens have the probability 0."""
        return self.logprobs.count(-math.inf)


def of_entries(entries: Sequence[Any], where: str) -> Text:
    """The tokens of a chat's ``content``, or of llama.cpp's ``completion_probabilities``."""
    text = Text([])
    sizes: list[int | None] = []
    for entry in entries:
        if not isinstance(entry, dict) or "logprob" not in entry:
            raise _bad(where, "tokens with a 'logprob' each", entry)
        _add(text, entry["logprob"], where)
        held = entry.get("bytes")
        sizes.append(len(held) if isinstance(held, list) else None)
    return _with_bytes(text, sizes)


def of_completion(logprobs: Mapping[str, Any], text: Any, given: int | None, where: str) -> Text:
    """The tokens of a completion; ``given``: how many of them are the prompt's, None where that is not known.

    Where the first token has no log-probability, it is the first of a prompt that the server has echoed.
    """
    tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if tokens is None and isinstance(values, list):
        tokens = [None] * len(values)  # some servers give the log-probabilities alone
    if not isinstance(values, list) or not isinstance(tokens, list) or len(tokens) != len(values):
        raise _bad(where, "as many 'token_logprobs' as 'tokens'", {"tokens": tokens, "token_logprobs": values})
    echoed = bool(values) and values[0] is None
    end = given if echoed and given is not None else len(values)
    found = Text([], own=not echoed, after=len(values) - end)
    for value in values[:end]:
        _add(found, value, where)
    if all(one is not None for one in values[1:end]):
        found.n_bytes = _bytes(tokens, logprobs.get("text_offset"), text, (int(echoed), end))
    return found


def of_prompt(logprobs: Sequence[Any], ids: Any, prompt: Any, where: str) -> Text:
    """The tokens of a prompt by vLLM; ``ids`` are its tokens and ``prompt`` its text, where the file has them."""
    if all(one is None or isinstance(one, int | float) for one in logprobs):
        numbers = Text([], own=False)
        for one in logprobs:
            _add(numbers, one, where)
        return numbers
    for one in logprobs:
        if one is not None and (not isinstance(one, dict) or not one):
            raise _bad(where, "a dictionary by token, or null, for each token of 'prompt_logprobs'", one)
    text = Text([], own=False)
    decoded = ""
    for entry in _of_tokens(logprobs, ids, where):
        value = entry.get("logprob") if isinstance(entry, dict) else entry
        _add(text, value, where)
        if entry is not None:
            word = entry.get("decoded_token") if isinstance(entry, dict) else None
            decoded += word if isinstance(word, str) else "\ufffd"
    # Some tokenizers lose blanks where they decode a token alone. What the prompt ends with is what was scored.
    if isinstance(prompt, str) and decoded and prompt.endswith(decoded):
        text.n_bytes = _size(decoded)
    return text


def _of_tokens(logprobs: Sequence[Any], ids: Any, where: str) -> list[Any]:
    """The entry of the prompt's own token at each place, None where there is none.

    By its id where the file has the ids. Else the likeliest k are there, and the token beside them where it is none of
    them: then its rank is the largest. Where it is one of them, it is the first if the file writes it first elsewhere
    too, as newer versions do.
    """
    there = [one or {} for one in logprobs]
    if isinstance(ids, list) and len(ids) == len(there):
        if all(str(token) in one for token, one in zip(ids, there, strict=True) if one):
            return [one.get(str(token)) for token, one in zip(ids, there, strict=True)]
        raise _bad(where, "the id of each token of the prompt in 'prompt_logprobs'", ids)
    entries = [list(one.values()) for one in there]
    if all(len(one) <= 1 for one in entries):
        return [one[0] if one else None for one in entries]
    ranks = [_ranks(one) for one in entries]
    if all(known is not None for known in ranks):
        places = _places([known or [] for known in ranks])
        if places is not None:
            return [one[at] if one else None for one, at in zip(entries, places, strict=True)]
    expected = "to know which entry of 'prompt_logprobs' is the prompt's token"
    fix = "ask with prompt_logprobs=0 or 1, or with return_token_ids=True"
    raise record_error(where, expected, "neither 'prompt_token_ids' nor ranks that tell it", fix)


def _ranks(entries: Sequence[Any]) -> list[int] | None:
    """The ranks of entries; None where one has none."""
    ranks = [one.get("rank") if isinstance(one, dict) else None for one in entries]
    known = [rank for rank in ranks if type(rank) is int]
    return known if len(known) == len(ranks) else None


def _places(ranks: Sequence[list[int]]) -> list[int] | None:
    """Which entry is the prompt's token, by the ranks of all; None where they do not tell it."""
    least = min(len(one) for one in ranks if one)
    beside = any(len(one) == least < max(one) for one in ranks)
    likeliest = least - 1 if beside else least
    found = [one.index(max(one)) if len(one) > likeliest else None for one in ranks]
    known = [at for at in found if at is not None]
    if likeliest > 1 and len(known) < sum(map(bool, ranks)) and (not known or any(known)):
        return None
    return [at or 0 for at in found]


def _add(text: Text, value: Any, where: str) -> None:
    """Add the log-probability of one token."""
    if value is None:
        text.unscored += 1
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= ROUNDING:
        raise _bad(where, "log-probabilities of at most 0", value)
    text.logprobs.append(-math.inf if value <= IMPOSSIBLE else min(float(value), 0.0))


def _with_bytes(text: Text, sizes: Sequence[int | None]) -> Text:
    known = [size for size in sizes if size is not None]
    if known and len(known) == len(sizes) and not text.unscored:
        text.n_bytes = sum(known)
    return text


def _bytes(tokens: Sequence[Any], offsets: Any, text: Any, scored: tuple[int, int]) -> int | None:
    """The bytes of the tokens from the first of ``scored`` to before the second, from what they say of the text."""
    begin, end = scored
    if not isinstance(text, str) or begin >= end:
        return None
    words = [one for one in tokens if isinstance(one, str)]
    if "".join(words) == text and len(words) == len(tokens):
        return _size("".join(words[begin:end]))
    if not isinstance(offsets, list) or len(offsets) != len(tokens) or not all(type(one) is int for one in offsets):
        return None  # a token that is a part of a character is not its text
    places = [one - offsets[0] for one in offsets] + [len(text)]
    if sorted(places) != places:
        return None
    return _size(text[places[begin] : places[end]])


def _size(text: str) -> int | None:
    """The bytes of a text; None where it has characters that stand for unknown bytes."""
    try:
        return None if "\ufffd" in text else len(text.encode())
    except UnicodeEncodeError:
        return None


def _bad(where: str, expected: str, got: Any) -> Exception:
    return record_error(where, expected, shorten(repr(got))[:120], _AGAIN)
