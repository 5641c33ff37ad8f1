"""Memory that moves between the steps of an optimizer: followed, or refused; never another result.

Each trial trains twice: once on arrays whose memory is moved, resized, mapped, closed or replaced at random between
the steps, once on arrays that stay where they are. Where torch is installed, tensors are among them.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from weakref import finalize

import numpy as np

import steelyard as sy

from ._frame import run

try:
    import torch
except ImportError:
    torch = None

REFUSALS = ("still there", "as when the optimizer was made", "C-contiguous", "writeable", "it overlaps")
FOLDER = Path(tempfile.mkdtemp(prefix="moving"))
COUNT = itertools.count()


class Leaf:
    """A parameter of some kind, how its memory can move, and how it can be taken away."""

    def __init__(self, random: Random, start: np.ndarray) -> None:
        self.values: Callable[[], np.ndarray] = lambda: np.asarray(self.param)
        makers = [self.plain, self.view, self.mapped] + ([self.tensor, self.parameter] if torch else [])
        random.choice(makers)(start)

    def plain(self, start: np.ndarray) -> None:
        self.kind, self.param = "array", start.copy()

        def filled_with(values: np.ndarray) -> None:
            self.param.__setstate__((1, values.shape, values.dtype, False, values.tobytes()))

        self.moves: list[Callable[[], Any]] = [lambda: filled_with(self.param)]
        self.losses: list[Callable[[], Any]] = [lambda: filled_with(np.ones(start.size + 7, start.dtype))]

    def view(self, start: np.ndarray) -> None:
        base = np.zeros(start.size + 9, start.dtype)
        self.kind, self.param = "view", base[5 : 5 + start.size].reshape(start.shape)
        self.param[...] = start
        self.moves, self.losses = [], [lambda: base.resize(2, refcheck=False)]

    def mapped(self, start: np.ndarray) -> None:
        path = FOLDER / str(next(COUNT))
        start.tofile(path)
        self.kind, self.param = "memory map", np.memmap(path, start.dtype, "r+", shape=start.shape)
        finalize(self.param, path.unlink)
        self.moves, self.losses = [], [lambda: os.truncate(path, 0), self.param._mmap.close]

    def tensor(self, start: np.ndarray) -> None:
        self._torch(torch.from_numpy(start.copy()).clone(), "tensor")

    def parameter(self, start: np.ndarray) -> None:
        self._torch(torch.nn.Parameter(torch.from_numpy(start.copy()).clone()), "parameter")

    def _torch(self, param: Any, kind: str) -> None:
        self.kind, self.param = kind, param
        self.values = lambda: param.detach().numpy()

        def replace() -> None:
            param.data = param.data.clone()

        def through_double() -> None:
            kept = param.data.dtype
            param.data = param.data.to(torch.float64).clone()
            param.data = param.data.to(kept)

        self.moves = [param.share_memory_, replace, through_double]
        self.losses = [lambda: setattr(param, "data", param.data.flatten()[:-1].clone())]


def refusal(optimizer: sy.AdamW, grads: list[np.ndarray]) -> str:
    try:
        optimizer.step(grads)
    except (ValueError, TypeError) as error:
        return str(error)
    return "not refused"


def trial(random: Random) -> str:
    rng = np.random.default_rng(random.getrandbits(32))
    starts = []
    for _ in range(random.randint(1, 5)):
        n = random.choice([1, 3, 100, 70_001, 200_000])
        starts.append(rng.standard_normal(n).astype(random.choice([np.float32, np.float64])))
    options: dict[str, Any] = {
        "lr": 0.01, "max_norm": random.choice([None, 1.0]), "amsgrad": random.random() < 0.3,
    }  # fmt: skip
    leaves = [Leaf(random, start) for start in starts]
    still = [start.copy() for start in starts]
    moving, reference = sy.AdamW([leaf.param for leaf in leaves], **options), sy.AdamW(still, **options)
    for _ in range(random.randint(1, 6)):
        grads = [rng.standard_normal(start.size).astype(start.dtype) for start in starts]
        for leaf in leaves:
            if leaf.moves and random.random() < 0.5:
                random.choice(leaf.moves)()
        moving.step(grads)
        reference.step(grads)
        for leaf, want in zip(leaves, still, strict=True):
            assert leaf.values().tobytes() == want.tobytes(), f"a {leaf.kind} that moved was updated otherwise"
    lost = random.choice(leaves)
    random.choice(lost.losses)()
    others = [leaf for leaf in leaves if leaf is not lost]
    before = [leaf.values().tobytes() for leaf in others]
    said = refusal(moving, grads)
    assert any(word in said for word in REFUSALS), f"a {lost.kind} that is gone: {said}"
    assert [leaf.values().tobytes() for leaf in others] == before, "something was written before the refusal"
    assert moving.state_dict()["step"] == reference.state_dict()["step"]
    return lost.kind


if __name__ == "__main__":
    sys.exit(run("moving", trial))
