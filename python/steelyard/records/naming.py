"""What names say: a grade, the truth, a model's answer, or how much of something there was; and which are alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TRUTH = frozenset(
    {"true", "truth", "target", "gold", "golden", "reference", "ref", "expected", "correct", "ground", "groundtruth"}
    | {"ideal", "solution"}
)
_CLASS = frozenset({"label", "answer", "category", "class"})
_ANSWER = frozenset(
    {"pred", "predicted", "predict", "prediction", "response", "resp", "reply", "output", "out", "completion"}
    | {"generated", "generation", "hypothesis", "hyp", "hat", "model", "extracted", "parsed", "guess", "chosen"}
)
_GRADE = frozenset(
    {"score", "grade", "correct", "correctness", "verdict", "result", "status", "outcome", "pass", "passed", "right"}
    | {"judgment", "judgement", "rating", "match", "matched", "acc", "accuracy", "success", "metric", "em", "f"}  # f1
    | {"precision", "recall", "rouge", "bleu", "solved", "resolved", "reward", "eval", "evaluation", "winner"}
)
_AGAINST = frozenset(  # a high value is bad: yes is no 1
    {"incorrect", "wrong", "error", "fail", "failed", "failure", "not", "no", "non", "toxic", "hallucinated", "loss"}
    | {"wer", "cer", "mae", "mse", "rmse", "ppl", "perplexity", "nll", "distance", "toxicity", "penalty", "regret"}
)
_QUANTITY = frozenset(
    {"id", "idx", "index", "row", "line", "number", "num", "n", "count", "total", "length", "len", "size", "token"}
    | {"char", "character", "byte", "time", "timestamp", "date", "year", "month", "day", "hour", "second", "sec", "ms"}
    | {"duration", "latency", "elapsed", "cost", "price", "usage", "seed", "epoch", "step", "iteration", "attempt"}
    | {"trial", "session", "version", "temperature", "age", "created", "updated", "start", "end", "position", "rank"}
    | {"subj", "subject", "season", "completed", "turn", "prob", "probability", "confidence", "logprob", "logit"}
)
_IDENTITY = frozenset({"id", "idx", "index", "key", "uuid", "hash", "question", "prompt", "instance", "item", "number"})
_METRIC = re.compile(r"(?:.*\.)?(?:metrics?|scores?)\.(?P<metric>[^.]+)(?:\.value)?", re.IGNORECASE)


def near(asked: str, names: Iterable[str]) -> list[str]:
    """The names that one that is not there may mean, the likeliest first."""
    import difflib

    low = asked.strip().casefold()
    of = {name: name.casefold() for name in names}
    last: dict[str, list[str]] = {}
    for name, folded in of.items():
        last.setdefault(folded, []).append(name)
        last.setdefault(folded.rpartition(".")[2], []).append(name)
    found = [name for name, folded in of.items() if folded == low or folded.startswith(f"{low}.")]
    found += last.get(low, [])
    found += [name for folded in difflib.get_close_matches(low, last, n=5, cutoff=0.6) for name in last[folded]]
    found += [name for name, folded in of.items() if len(low) > 2 and folded.startswith(low)]
    return list(dict.fromkeys(found))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _singular(words: Iterable[str]) -> set[str]:
    """The words, each as it is written and without an s at its end."""
    return {form for word in words for form in (word, word.removesuffix("s"))}


def rank(name: str) -> int:
    """How much a name sounds like a target: from 2 (``gold``) over 1 (``label``) and 0 to -2 (``response``)."""
    words = _singular(_words(name))
    return (2 if words & _TRUTH else 1 if words & _CLASS else 0) - (2 if words & _ANSWER else 0)


def is_no_model(name: str) -> bool:
    """Whether a column of zeros and ones sounds like the truth (``label``) or a property (``is_math``), not a model."""
    return rank(name) > 0 or name.lower().startswith(("is_", "has_"))


def is_metric(name: str) -> bool:
    """Whether a column stands where evaluations keep their metrics: ``metrics.em``, ``scores.match.value``."""
    found = _METRIC.fullmatch(name)
    return found is not None and not _sounds_otherwise(_words(found["metric"]))


def says_grade(name: str) -> bool:
    """Whether a name says that the column grades an answer, so that ``yes`` means a right one."""
    if is_metric(name):
        return True
    words = _words(name.rpartition(".")[2])
    said = _singular(words)
    if not words or _sounds_otherwise(words) or said & (_TRUTH - {"correct"}):
        return False
    # "answer_correct" is a grade, and "correct_answer" an answer.
    return bool(_singular(words[-1:]) & _GRADE or (said & _GRADE and not said & (_CLASS | _ANSWER)))


def is_quantity(name: str) -> bool:
    """Whether a name says how much of something there was (time, tokens), or which record it is: no score."""
    words = _words(name.rpartition(".")[2])
    return bool(_singular(words) & _QUANTITY and not _singular(words[-1:]) & _GRADE)


def is_identity(name: str) -> bool:
    """Whether a name says which record it is."""
    return bool(_singular(_words(name.rpartition(".")[2])) & _IDENTITY)


def sounds_like_answer(name: str) -> bool:
    """Whether a column seems to hold answers, the model's or the right ones, and no grades."""
    last = name.rpartition(".")[2]
    return not says_grade(name) and bool(_singular(_words(last)) & (_TRUTH | _CLASS | _ANSWER))


def is_against(name: str) -> bool:
    """Whether a name says that a high value is bad (``incorrect``): there ``yes`` is no 1."""
    return _sounds_otherwise(_words(name.rpartition(".")[2]))


def _sounds_otherwise(words: list[str]) -> bool:
    return bool({*words} & _AGAINST)
