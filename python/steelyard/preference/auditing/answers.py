"""Texts of preference pairs: the prompt, given or recovered from what both answers begin with, and the two answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Answers", "answers_of", "short", "text_of"]

# How an assistant's turn begins in transcripts and in chat templates. Where both answers have one in what they share,
# the last one is the end of the prompt.
TURN = re.compile(
    r"(?:\A|\n)[ \t]*(?:Assistant|AI|Bot|Model|Chatbot)[ \t]*:[ \t]?"
    r"|(?:\A|\n)[ \t]*###[ \t]*(?:Response|Assistant|Answer)[ \t]*:?[ \t]*\n?"
    r"|<\|im_start\|>assistant\n?"
    r"|<\|start_header_id\|>assistant<\|end_header_id\|>\s*"
    r"|<start_of_turn>model\n?"
    r"|<\|assistant\|>\n?"
    r"|\[/INST\][ \t]?"
)
LEAST_WORDS = 5  # a beginning without such a mark is a prompt only from so many words on: "I am" is none
LONGEST = 90  # characters of a text that a table shows

Message = tuple[str, str]


class Malformed(Exception):
    """A value is no text of an answer; the message says what is wrong with it."""


class Pair(NamedTuple):
    """The texts of one pair."""

    prompt: str | None
    """None where it is not known: the pair is then a prompt of its own."""
    chosen: str
    rejected: str
    implicit: bool
    """Whether the prompt was recovered from the answers."""


@dataclass(frozen=True)
class Answers:
    """The pairs whose texts are well formed, in the order of the rows."""

    rows: list[int]
    pairs: list[Pair]
    left_out: dict[str, int]


def answers_of(prompts: Sequence[Any] | None, chosen: Sequence[Any], rejected: Sequence[Any]) -> Answers:
    """The texts of all pairs; those that are malformed are counted by what is wrong with them."""
    rows: list[int] = []
    pairs: list[Pair] = []
    left_out: Counter[str] = Counter()
    for row, (better, worse) in enumerate(zip(chosen, rejected, strict=True)):
        try:
            pairs.append(pair_of(None if prompts is None else prompts[row], better, worse))
        except Malformed as error:
            left_out[str(error)] += 1
        else:
            rows.append(row)
    return Answers(rows, pairs, dict(left_out))


def pair_of(prompt: Any, chosen: Any, rejected: Any) -> Pair:
    """The texts of one pair; raises Malformed."""
    first, second = _read(chosen, "chosen"), _read(rejected, "rejected")
    if isinstance(first, str) != isinstance(second, str):
        raise Malformed("one answer is a text and the other a conversation")
    given = None if _is_missing(prompt) else text_of(prompt, "prompt")
    if isinstance(first, str):
        assert isinstance(second, str)
        return _of_strings(given, first, second)
    assert not isinstance(second, str)
    return _of_messages(given, first, second)


def text_of(value: Any, name: str) -> str:
    """A text, or a conversation as one; raises Malformed."""
    read = _read(value, name)
    return read if isinstance(read, str) else _joined(read)


def short(text: str) -> str:
    """The beginning of a text on one line, as a table shows it; lone surrogates, which no file takes, are escaped."""
    line = " ".join(text[: 4 * LONGEST].split()).encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= LONGEST and len(text) <= 4 * LONGEST else f"{line[: LONGEST - 1].rstrip()}…"


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _read(value: Any, name: str) -> str | list[Message]:
    if _is_missing(value):
        raise Malformed(f"no {name}")
    if isinstance(value, str):
        return value
    several = [value] if isinstance(value, dict) else value
    if hasattr(several, "tolist"):
        several = several.tolist()  # Parquet through pandas has lists as arrays
    if not isinstance(several, list | tuple) or not several:
        raise Malformed(f"{name} is no text and no conversation")
    return [_message(one, name) for one in several]


def _message(value: Any, name: str) -> Message:
    """The role and the text of a message, as ``role`` and ``content`` or as ShareGPT's ``from`` and ``value``."""
    if isinstance(value, dict):
        for of, said in (("role", "content"), ("from", "value")):
            if isinstance(value.get(of), str) and said in value:
                return value[of], _content(value[said], name)
    raise Malformed(f"{name} is no text and no conversation")


def _content(value: Any, name: str) -> str:
    if value is None:
        return ""  # a message of a tool call has none
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        return "".join(part["text"] for part in value if isinstance(part.get("text"), str))
    raise Malformed(f"{name} is no text and no conversation")


def _joined(messages: Sequence[Message]) -> str:
    """Messages as one text: of one message its content, of several each with its role."""
    if len(messages) == 1:
        return messages[0][1]
    return "\n\n".join(f"{role}: {content}" for role, content in messages)


def _of_messages(given: str | None, chosen: list[Message], rejected: list[Message]) -> Pair:
    """The prompt is what both conversations share, and the answers are what follows."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    if shared == len(chosen) == len(rejected):
        shared -= 1  # one answer twice: its last message
    prompt = _joined(chosen[:shared]) if shared else None
    if given is not None:
        prompt = given
    return Pair(prompt, _joined(chosen[shared:]), _joined(rejected[shared:]), given is None and shared > 0)


def _of_strings(given: str | None, chosen: str, rejected: str) -> Pair:
    """The prompt, where none is given, is what both texts begin with, cut back to where a turn or a word begins."""
    if given is not None:
        if given.strip() and chosen.startswith(given) and rejected.startswith(given):
            return Pair(given, chosen[len(given) :], rejected[len(given) :], False)
        return Pair(given, chosen, rejected, False)
    end = _shared(chosen, rejected)
    turns = list(TURN.finditer(chosen, 0, end))
    if turns:
        cut = turns[-1].end()
    elif end == len(chosen) == len(rejected):
        cut = 0  # one text twice, and nothing says where an answer in it begins
    else:
        cut = 0 if end == 0 else _word(chosen, end)
        cut = cut if len(chosen[:cut].split()) >= LEAST_WORDS else 0
    return Pair(chosen[:cut] or None, chosen[cut:], rejected[cut:], cut > 0)


def _shared(a: str, b: str) -> int:
    """How many characters two texts share at their beginnings."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _word(text: str, end: int) -> int:
    """The last place up to ``end`` at which a word begins."""
    while end and not text[end - 1].isspace():
        end -= 1
    return end
