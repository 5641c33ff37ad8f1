"""Single answers with a label each: those of one prompt make pairs, the desirable against the undesirable."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core, _intervals
from ..._estimate import Estimate
from ..._options import Confidence
from ..._strides import coded
from ..._text import listed_counts
from ...errors import value_error
from .answers import Malformed, Pair, text_of
from .copies import prompt_codes
from .given import Given
from .measured import Measured

__all__ = ["Labelled", "clusters", "couples", "desirable", "longer", "read"]

MOST_OF_PROMPT = 64  # pairs that one prompt may make: more would say the same again

EQUAL = "all answers are equally long"

WORDS = {"true": True, "1": True, "yes": True, "desirable": True, "good": True} | {
    "false": False, "0": False, "-1": False, "no": False, "undesirable": False, "bad": False
}  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """The answers that are well formed, with their labels."""

    rows: list[int]
    prompts: list[str | None]
    texts: list[str]
    labels: list[bool]
    left_out: dict[str, int]


def read(of: Given) -> Labelled:
    """The answers with their labels; those that are malformed are counted by what is wrong with them."""
    rows: list[int] = []
    asked: list[str | None] = []
    texts: list[str] = []
    found: list[bool] = []
    left_out: Counter[str] = Counter()
    prompts = of.texts.get("prompts")
    for row in np.flatnonzero(of.keep).tolist():
        try:
            text, good = text_of(of.texts["chosen"][row], "completion"), label_of(of.texts["labels"][row])
            prompt = None if prompts is None or prompts[row] is None else text_of(prompts[row], "prompt")
        except Malformed as error:
            left_out[str(error)] += 1
            continue
        rows.append(row)
        asked.append(prompt)
        texts.append(text)
        found.append(good)
    if not rows:
        got = f"none in {of.n} rows ({listed_counts(left_out)})"
        raise value_error("chosen", "at least one answer with a label", got)
    return Labelled(rows, asked, texts, found, dict(left_out))


def label_of(value: Any) -> bool:
    """A label as yes or no; raises Malformed."""
    if value is None or value != value:
        raise Malformed("no label")
    if isinstance(value, str):
        if (word := value.strip().lower()) in WORDS:
            return WORDS[word]
    elif value in (0, 1, -1):
        return bool(value == 1)
    raise Malformed("label is no yes or no")


def couples(of: Labelled) -> tuple[list[int], list[int], list[Pair]]:
    """The pairs of each prompt: the places of the desirable and of the undesirable answer, and their texts."""
    by_prompt: dict[str, tuple[list[int], list[int]]] = {}
    for place, (prompt, good) in enumerate(zip(of.prompts, of.labels, strict=True)):
        if prompt is not None:
            by_prompt.setdefault(prompt, ([], []))[not good].append(place)
    better: list[int] = []
    worse: list[int] = []
    pairs: list[Pair] = []
    for prompt, (good_ones, bad_ones) in by_prompt.items():
        many = [(i, j) for i in good_ones[:MOST_OF_PROMPT] for j in bad_ones[:MOST_OF_PROMPT]][:MOST_OF_PROMPT]
        for i, j in many:
            better.append(i)
            worse.append(j)
            pairs.append(Pair(prompt, of.texts[i], of.texts[j], False))
    return better, worse, pairs


def clusters(of: Labelled) -> NDArray[np.int64] | None:
    """The prompt of each answer; None where each has its own."""
    codes = np.array(prompt_codes(of.prompts), np.int64)
    return codes if len(coded(codes)[1]) < len(codes) else None


def desirable(of: Labelled, confidence: Confidence) -> Estimate:
    """The share of desirable answers, clustered by prompt."""
    return Measured(confidence, clusters(of)).share(np.array(of.labels, np.float64))


def longer(given: Given, of: Labelled, confidence: Confidence) -> Estimate | None:
    """The chance that a desirable answer is longer than an undesirable one, ties half; None where one kind lacks."""
    sizes = np.array([len(text) for text in of.texts], np.float64)
    if "length_chosen" in given.numbers:
        sizes = given.numbers["length_chosen"][np.array(of.rows, np.int64)]
    good, known, codes = np.array(of.labels, np.bool_), ~np.isnan(sizes), clusters(of)
    if not 0 < np.count_nonzero(good[known]) < np.count_nonzero(known):
        return None
    by = Measured(confidence, None if codes is None else codes[known]).clusters
    alone = by is not None and by.total == 1
    found = _core.auc_interval(
        [np.ascontiguousarray(sizes[known]), good[known].astype(np.float64)],
        codes=None if by is None or alone else by.codes, clusters=0 if by is None or alone else by.total,
        **confidence.keywords,
    )  # fmt: skip
    equal = "refused" in found  # of finite lengths and both labels: all lengths are equal
    reason = EQUAL if equal else _intervals.ONE_CLUSTER if alone else "AUC of the length"
    limits: list[float | None] = [None] * 3
    if not (alone or equal):
        limits = [_intervals.maybe(found[name]) for name in ("standard_error", "low", "high")]
    return Estimate(
        value=0.5 if equal else found["value"], standard_error=limits[0], low=limits[1], high=limits[2],
        confidence_level=confidence.level, n=int(np.count_nonzero(known)), n_clusters=None if by is None else by.total,
        method="DeLong" if limits[1] is not None else "no interval",
        reason=reason,
    )  # fmt: skip
