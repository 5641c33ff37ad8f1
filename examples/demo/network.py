"""A small neural language model in NumPy: the next character given the last few.

The embeddings of the last ``CONTEXT`` characters, one after the other, go through hidden layers to the logits:

    x_0 = E[c_1], ..., E[c_CONTEXT]      x_k = tanh(x_(k-1) W_k + b_k)      logits = x_last W + b

(Bengio et al., A neural probabilistic language model, Journal of Machine Learning Research 3, 2003.)
The backward pass is written out rather than left to a library, so that one can read how the gradient is made.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import steelyard as sy

from .corpus import ALPHABET, Document

V = len(ALPHABET)
Floats = NDArray[Any]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Sizes:
    """How large the network is."""

    context: int = 8
    embedding: int = 24
    hidden: tuple[int, ...] = (256,)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Rows and columns of each layer's weights."""
        widths = [self.context * self.embedding, *self.hidden, V]
        return list(pairwise(widths))


@dataclass(frozen=True)
class Pass:
    """What the forward pass leaves for the backward one: each layer's input, and the logits."""

    contexts: Codes
    inputs: list[Floats]
    logits: Floats


class Network:
    """Embedding, hidden layers, logits; ``params`` is the tree that the optimizer updates in place."""

    def __init__(self, sizes: Sizes, *, seed: int, name: str = "network", dtype: DTypeLike = np.float32) -> None:
        rng = np.random.default_rng(seed)
        self.name = name
        self.sizes = sizes
        layers = [
            {"w": (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(dtype), "b": np.zeros(shape[1], dtype)}
            for shape in sizes.layers
        ]
        self.params: dict[str, Any] = {
            "embedding": rng.standard_normal((V, sizes.embedding)).astype(dtype),
            "layers": layers,
        }

    def named(self, name: str) -> Network:
        """Return a copy under another name."""
        other = copy.deepcopy(self)
        other.name = name
        return other

    def forward(self, contexts: Codes) -> Pass:
        """Logits ``[n, V]`` after each of the contexts ``[n, context]``."""
        inputs = [self.params["embedding"][contexts].reshape(len(contexts), -1)]
        *hidden, last = self.params["layers"]
        for layer in hidden:
            inputs.append(np.tanh(inputs[-1] @ layer["w"] + layer["b"]))
        return Pass(contexts, inputs, inputs[-1] @ last["w"] + last["b"])

    def backward(self, made: Pass, slope: Floats) -> dict[str, Any]:
        """The gradients of a loss whose derivative by the logits is ``slope`` ``[n, V]``: a tree like ``params``."""
        grads = []
        for x, layer in zip(reversed(made.inputs), reversed(self.params["layers"]), strict=True):
            grads.append({"w": x.T @ slope, "b": slope.sum(axis=0)})
            slope = slope @ layer["w"].T
            if x is not made.inputs[0]:
                slope *= 1 - x * x  # through tanh
        shown = np.eye(V, dtype=slope.dtype)[made.contexts.reshape(-1)]  # one row per character of a context
        embedding = shown.T @ slope.reshape(len(shown), -1)
        return {"embedding": embedding, "layers": grads[::-1]}

    def log_probabilities(self, document: Document) -> Floats:
        """Log-probability of every character of the alphabet at every place: ``[len(text), V]``."""
        logits = self.forward(contexts(document.codes, self.sizes.context)).logits
        log_z = sy.token_scores(logits, document.codes).log_z
        return logits - log_z[:, None]


def contexts(codes: Codes, width: int) -> Codes:
    """The ``width`` characters before each place: ``[len(codes), width]``; the text begins after line breaks."""
    padded = np.concatenate([np.zeros(width, dtype=codes.dtype), codes[:-1]])
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def loglikelihood_slope(made: Pass, targets: Codes, log_z: NDArray[np.float64]) -> Floats:
    """The derivative of each target's log-probability by the logits: 1 at the target, less the probabilities."""
    slope = -np.exp(made.logits - log_z[:, None].astype(made.logits.dtype))
    slope[np.arange(len(targets)), targets] += 1
    return slope
