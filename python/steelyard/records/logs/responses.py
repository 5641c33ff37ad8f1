"""Responses of servers with the log-probabilities of tokens: OpenAI's API, vLLM, llama.cpp.

One response per line, as a program or OpenAI's Batch API writes them, or one alone. A response may stand inside a
record of the caller's, as ``response`` or ``body``, whose other fields are kept. Each text becomes one record: the sum
of its log-probabilities, how many tokens it has, and how many bytes where the file says so.

What the model was given is told apart from what it wrote itself: a prompt that was echoed, or ``prompt_logprobs``,
counts without the tokens that follow it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import keyword
from ..table import record_error
from . import token_logprobs
from .document import Document, Object
from .token_logprobs import Text

_INSIDE = ("response", "body")
# What a server says of itself and of the request; the rest of a record is the caller's.
_SERVERS = frozenset({
    "choices", "content", "created", "completion_probabilities", "error", "generation_settings", "has_new_line",
    "id_slot", "index", "kv_transfer_params", "object", "prompt_logprobs", "prompt_token_ids", "request_id",
    "service_tier", "stop", "stop_type", "stopping_word", "system_fingerprint", "timings", "tokens", "tokens_cached",
    "tokens_evaluated", "tokens_predicted", "truncated", "usage",
})  # fmt: skip
_SERVERS_ID = ("cmpl-", "chatcmpl-", "batch_req_")  # how the ids begin that a server gives, other ones in every run
_FAILED, _NONE, _MIXED = "without a response", "without log-probabilities", "with a text that cannot be told apart"


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is, or has inside, a response with log-probabilities; or one that failed, of a batch."""
    found = _body(one)
    if found is None:
        return {"custom_id", "response", "error"} <= one.keys() and one["response"] is None
    return _has_logprobs(found[1])


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per text: ``loglikelihood``, ``n_tokens``, ``n_bytes``, and how many tokens have probability 0."""
    seen = _Seen()
    kept: list[tuple[dict[str, Any], int, int]] = []
    for number, (one, line) in enumerate(document.objects):
        where = f"{document.name}, line {line}"
        found = _body(one)
        if found is None:
            if not any(key in one for key in _INSIDE):
                raise record_error(where, "a response of a server", "something else", "write the file again")
            document.left_out[_FAILED] += 1
            continue
        texts = list(_texts(found[1], one, where))
        for at, text in enumerate(texts):
            if isinstance(text, str):
                document.left_out[text] += 1
                continue
            record = _described(one, *found) | seen.add(text)
            if len(texts) > 1:
                seen.several = True
                record |= {"id": f"{record['id']}/{at}"} if "id" in record else {}
            kept.append((record, number, line))
    if not kept:
        fix = "ask the server for them: logprobs, or echo or prompt_logprobs for a text that you give"
        raise record_error(document.name, "log-probabilities of tokens", "none", fix)
    for said in seen.said(len(kept)):
        document.note(said)
    for record, number, line in kept:
        # Texts of one request depend on each other: they may be answers to one prompt.
        yield record | ({"cluster": f"request {number + 1}"} if seen.several and "cluster" not in record else {}), line


@dataclass
class _Seen:
    """What the texts of a file have in common, for the notes."""

    counts: Counter[str] = field(default_factory=Counter)
    several: bool = False

    def add(self, text: Text) -> dict[str, Any]:
        """The numbers of a text."""
        self.counts.update(
            own=text.own, unscored=text.unscored, after=text.after, impossible=text.impossible,
            certain=text.impossible > 0,
        )  # fmt: skip
        found: dict[str, Any] = {"loglikelihood": math.fsum(text.logprobs), "n_tokens": len(text.logprobs)}
        found |= {"n_bytes": text.n_bytes} if text.n_bytes else {}
        return found | {"impossible_tokens": text.impossible}

    def said(self, texts: int) -> Iterator[str]:
        """What a reader of the perplexity has to know."""
        count = self.counts
        if own := count["own"]:
            yield f"{own:,} of {texts:,} texts were written by the model itself: their perplexity is how sure it was"
        if count["unscored"]:
            yield f"{count['unscored']:,} tokens have no log-probability, as the first of a text, and do not count"
        if count["after"]:
            yield f"{count['after']:,} tokens that the model wrote after its text do not count"
        if count["impossible"]:
            of = f"{count['impossible']:,} tokens of {count['certain']:,} texts"
            why = "which stands for probability 0 (or for one too small to be told): the perplexity is infinite"
            fix = f"leave these texts out with {keyword('where', 'impossible_tokens==0')}"
            yield f"{of} have the log-probability -9999 or -Infinity, {why}; {fix}"


def _body(one: Any) -> tuple[tuple[str, ...], Object] | None:
    """Where in an object the response is, and the response: the object itself, or inside ``response`` or ``body``."""
    path: tuple[str, ...] = ()
    while isinstance(one, dict):
        if _is_response(one):
            return path, one
        inside = next((key for key in _INSIDE if isinstance(one.get(key), dict)), None)
        if inside is None:
            return None
        path, one = (*path, inside), one[inside]
    return None


def _is_response(one: Object) -> bool:
    choices = one.get("choices")
    is_list = isinstance(choices, list) and bool(choices) and all(isinstance(each, dict) for each in choices)
    return is_list or any(isinstance(one.get(key), list) for key in ("prompt_logprobs", "completion_probabilities"))


def _has_logprobs(response: Object) -> bool:
    held = [response, *_choices(response)]
    return any(
        isinstance(one.get(key), kind)
        for one in held
        for key, kind in (("logprobs", dict), ("prompt_logprobs", list), ("completion_probabilities", list))
    )


def _choices(response: Object) -> list[Any]:
    choices = response.get("choices")
    return [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []


def _texts(response: Object, one: Object, where: str) -> Iterator[Text | str]:
    """The texts of a response; the reason for each that has to be left out."""
    if isinstance(response.get("completion_probabilities"), list):
        yield _scored(token_logprobs.of_entries(response["completion_probabilities"], where))
        return
    choices = _choices(response) or [{}]
    for choice in choices:
        of_choice = choice.get("prompt_logprobs")
        of_prompt = of_choice if of_choice is not None else response.get("prompt_logprobs")
        if isinstance(of_prompt, list):
            ids = choice.get("prompt_token_ids") or response.get("prompt_token_ids")
            prompt = response.get("prompt") if isinstance(response.get("prompt"), str) else one.get("prompt")
            yield _scored(token_logprobs.of_prompt(of_prompt, ids, prompt, where))
            if of_choice is None:
                return  # it is the same prompt for all choices
            continue
        logprobs = choice.get("logprobs")
        if not isinstance(logprobs, dict):
            yield _NONE
        elif "token_logprobs" in logprobs:
            given = _given(response, logprobs["token_logprobs"], len(choices))
            found = token_logprobs.of_completion(logprobs, choice.get("text"), given, where)
            yield _MIXED if given is None and not found.own else _scored(found)
        elif isinstance(logprobs.get("content"), list):
            yield _scored(token_logprobs.of_entries(logprobs["content"], where))
        else:
            yield _NONE


def _scored(text: Text) -> Text | str:
    return text if text.logprobs else _NONE


def _given(response: Object, logprobs: Any, choices: int) -> int | None:
    """How many tokens of an echoed prompt a choice has before those that the model wrote; None: it cannot be told."""
    usage, tokens = response.get("usage"), len(logprobs) if isinstance(logprobs, list) else 0
    if not isinstance(usage, dict):
        return tokens
    prompt, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not written:
        return tokens
    if choices == 1 and type(prompt) is int and 0 < prompt <= tokens:
        return prompt
    return tokens - 1 if written == choices else None  # one token each


def _described(one: Object, path: tuple[str, ...], response: Object) -> dict[str, Any]:
    """What the caller and the server say of a text, without lists."""
    dropped = {path[0], "error"} if path else _SERVERS
    own = {key: value for key, value in one.items() if key not in dropped and not isinstance(value, list)}
    if str(own.get("id", "")).startswith(_SERVERS_ID):
        own["response_id"] = own.pop("id")
    if isinstance(one.get("custom_id"), str):
        own["id"] = own.pop("custom_id")
    if isinstance(response.get("model"), str):
        own.setdefault("model", response["model"])
    return own
