"""Bytes of saved states, changed and sealed again: a state that works, or one sentence.

What Rust reads is fuzzed in ``rust/fuzz`` too; here the options in JSON are read as well, and what comes of a state.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import numpy as np

from steelyard.calibration import ReliabilityState
from steelyard.optim import GlobalNormState
from steelyard.tokens import PerplexityState, TokenState
from tests.campaigns._frame import run
from tests.states import body_of, sealed

EDGES = [0, 1, 2**32 - 1, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
WORDS = [b'"unit":', b"null", b"NaN", b"-Infinity", b"1e999", b"true", b"{}", b"[[]]", b'"form":', b",", b"}", b"\xff"]


def states(random: Random) -> Any:
    """A state that some data made."""
    n = random.randrange(1, 6)
    if random.random() < 0.2:
        return GlobalNormState().update(np.array([random.random() * 10.0 ** random.randrange(-300, 300)]))
    how: Any = {"alternative": random.choice(["two-sided", "less"]), "confidence_level": random.choice([0.95, 0.3])}
    if random.random() < 0.1:
        logits, targets = np.array([[random.gauss(0, 3) for _ in range(4)] for _ in range(n)]), np.zeros(n, int)
        state = TokenState(random.choice(["nll", ("correct", "entropy")]), **how)
        return state.update(logits, targets, clusters=[random.choice("ab") for _ in range(n)])
    if random.random() < 0.5:
        classes = random.choice([None, ["no", "yes"]])
        made = ReliabilityState(random.choice([1, 3]), classes=classes, **how)
        labels = [random.choice(classes or [0, 1]) for _ in range(n)]
        ids = random.choice([None, [random.randrange(3) for _ in range(n)], [random.choice("abc") for _ in range(n)]])
        return made.update([random.random() for _ in range(n)], labels, clusters=ids)
    ids = random.choice([None, [random.randrange(3) for _ in range(n)], [random.choice("abc") for _ in range(n)]])
    per = random.choice([None, [random.randrange(1, 5) for _ in range(n)]])
    rows = [[random.expovariate(1)] for _ in range(n)]
    return PerplexityState(unit=random.choice(["nats", "bits"]), **how).update(
        rows, clusters=ids, per=None if per is None else np.array(per, float)
    )


def changed(body: bytes, random: Random) -> bytes:
    """The body, with something else in one to four places."""
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(len(body) + 1)
        end = min(len(body), at + random.randrange(24))
        new = random.choice(
            [
                b"",
                random.randbytes(1),
                body[at:end] * 2,
                random.choice(EDGES).to_bytes(8, "little"),
                random.choice(WORDS),
            ]
        )
        body = body[:at] + new + body[end if random.random() < 0.5 else min(len(body), at + len(new)) :]
    return body


def one_sentence(said: str, of: str = "") -> None:
    """What a refusal is."""
    assert said.startswith(of), said
    assert "expected" in said, said
    assert "\n" not in said, said


def trial(random: Random) -> str:
    """One state, and what is made of it."""
    state = states(random)
    of = type(state)
    whole = state.to_bytes()
    data = sealed(of, changed(body_of(whole), random), layout=whole[5])
    try:
        read = of.from_bytes(data)
    except ValueError as error:
        one_sentence(str(error), "data: ")
        return f"{of.__name__} refused"
    assert read.to_bytes() == data, "what is accepted is canonical"
    try:
        twice = read + read
        assert of.from_bytes(twice.to_bytes()) == twice
    except ValueError as error:
        one_sentence(str(error))
    assert read.to_bytes() == data, "adding leaves both as they were"
    try:
        repr(read.compute())
    except ValueError as error:
        one_sentence(str(error))
    return f"{of.__name__} read"


if __name__ == "__main__":
    sys.exit(run("states", trial))
