"""What ``llama-perplexity`` of llama.cpp prints: the perplexity of all chunks so far, after each chunk.

``[1]9.6667,[2]11.4286,...`` are running values P_1, P_2, ... of chunks with equally many tokens, so that the mean NLL
of chunk i is i log P_i - (i - 1) log P_{i-1}. Each chunk becomes a record. The tool itself takes all tokens as
independent for its ``+/-``; here chunks are clusters, and two logs of the same text are compared chunk by chunk.

Of a context of n tokens the last n - n/2 - 1 are scored, where the log says how long it is (``n_ctx``). Source:
ggml-org/llama.cpp, ``tools/perplexity/perplexity.cpp``.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import IO, NamedTuple

from ..._logarithm import logarithms
from ..builder import TableBuilder
from ..table import Table, record_error

__all__ = ["read", "recognised"]

_VALUE = r"\[(\d+)\](-?(?:nan|inf|\d+\.\d+)),"
# How a log begins: with the values alone, or with what the tool says before them.
_BEGINS = re.compile(
    rb"^(?:[\d.]+ [IW] )?(?:perplexity: \w|main: build = \d|build: \d+ \(|llama_model_load\w*: |"
    rb"llama_load_model_from_file: |ggml_\w+: |system_info: |\[1\]-?(?:nan|inf|\d+\.\d+),)",
    re.MULTILINE,
)
_VALUES = re.compile(_VALUE)
_CHUNKS = re.compile(r"calculating perplexity over (\d+) chunks(?:, n_ctx=(\d+))?")
_FINAL = re.compile(r"Final estimate: PPL = (\d+\.\d+)")
_HALF = 0.00005  # how far a printed value may be from the value, by its four decimals
_EXPECTED = "the perplexities of chunks that llama-perplexity prints ([1]4.2,[2]5.1,...)"
_AGAIN = "write the log again"


class _Chunks(NamedTuple):
    """The running perplexities, the line of each, and what the log says of all."""

    values: list[float]
    lines: list[int]
    expected: int | None
    context: int | None


def recognised(head: bytes) -> bool:
    """Whether a file begins as such a log does; text in quotes, as a table has it, is none."""
    found = _BEGINS.search(head)
    return found is not None and b'"' not in head[: found.start()]


def read(name: str, file: IO[bytes]) -> Table:
    """The table of a log: a record for each chunk."""
    chunks = _chunks(name, file.read().decode("utf-8", "replace"))
    means, within = _means(name, chunks)
    scored = None if chunks.context is None else chunks.context - chunks.context // 2 - 1
    table = TableBuilder(name)
    for number, (mean, line) in enumerate(zip(means, chunks.lines, strict=True), 1):
        record = {"id": number, "loglikelihood": 0.0 - mean * (scored or 1)}
        table.append(record | ({"n_tokens": scored} if scored else {}), line)
    notes = [
        f"a record is a chunk; its mean NLL is worked out from printed perplexities, to within {within:.2g} nats, and "
        "which chunks are of one document is not known"
    ]
    if chunks.expected is not None and chunks.expected != len(means):
        notes.append(f"{len(means):,} of {chunks.expected:,} chunks are there: the run was cut off")
    return replace(table.finish(), notes=tuple(f"{name}: {note}" for note in notes))


def _chunks(name: str, text: str) -> _Chunks:
    """The running perplexities of one run, which count from 1 on."""
    values: list[float] = []
    lines: list[int] = []
    line, counted = 1, 0
    for match in _VALUES.finditer(text):
        line, counted = line + text.count("\n", counted, match.start()), match.start()
        where = f"{name}, line {line}"
        if int(match[1]) != len(values) + 1:
            got = f"[{match[1]}] after [{len(values)}]"
            raise record_error(where, "the chunks of one run in their order", got, "write one run to a file")
        value = float(match[2])
        if not 1 <= value < math.inf:
            raise record_error(
                where, "a perplexity of at least 1", match[2], "look for what the model could not compute"
            )
        values.append(value)
        lines.append(line)
    if not values:
        raise record_error(name, _EXPECTED, "none", "run it without --ppl-output-type and --kl-divergence")
    said = _CHUNKS.search(text)
    final = _FINAL.search(text)
    if final is not None and abs(float(final[1]) - values[-1]) > 2 * _HALF:
        got = f"{values[-1]} and a final estimate of {final[1]}"
        raise record_error(name, "the last perplexity as the final estimate", got, _AGAIN)
    expected, context = (None, None) if said is None else (int(said[1]), said[2] and int(said[2]))
    return _Chunks(values, lines, expected, context if context and context > 2 else None)


def _means(name: str, chunks: _Chunks) -> tuple[list[float], float]:
    """The mean NLL of each chunk, and how far one may be off because the perplexities are rounded."""
    totals = [number * log for number, log in enumerate(logarithms(chunks.values), 1)]
    errors = [number * _HALF / value for number, value in enumerate(chunks.values, 1)]
    means, most, before, error = [], 0.0, 0.0, 0.0
    for total, own, line in zip(totals, errors, chunks.lines, strict=True):
        mean, within = total - before, own + error
        if mean < -2 * within:
            expected = "perplexities that can follow each other"
            raise record_error(f"{name}, line {line}", expected, f"a chunk with a mean NLL of {mean:.3g}", _AGAIN)
        means.append(max(mean, 0.0))
        most = max(most, within)
        before, error = total, own
    return means, most
