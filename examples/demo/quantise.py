"""The network with weights of fewer bits, its logits beside the original's on disk, and the reports on both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard import report

from .corpus import ALPHABET, Document
from .evaluate import places
from .network import Floats, Network, contexts

GROUP = 32  # weights that share a scale in 4 bits
MARGIN = 0.01  # the share by which the perplexity may rise
ORIGINAL = "float32"


def in_16_bits(weights: Floats) -> Floats:
    """The weights as float16 holds them."""
    return weights.astype(np.float16).astype(weights.dtype)


def in_4_bits(weights: Floats) -> Floats:
    """The weights as whole multiples, -7 to 7, of a scale that a group of weights shares."""
    flat = weights.reshape(-1)
    groups = np.concatenate([flat, np.zeros(-len(flat) % GROUP, flat.dtype)]).reshape(-1, GROUP)
    scales = np.abs(groups).max(axis=1, keepdims=True) / 7
    codes = np.round(groups / np.where(scales > 0, scales, 1))
    return (codes * scales).reshape(-1)[: len(flat)].reshape(weights.shape).astype(weights.dtype)


STORED = {"float16": in_16_bits, "int4": in_4_bits}


def quantised(network: Network, name: str) -> Network:
    """A copy of the network whose weights are stored so; biases stay as they are."""
    made = network.named(name)
    made.params["embedding"] = STORED[name](made.params["embedding"])
    for layer in made.params["layers"]:
        layer["w"] = STORED[name](layer["w"])
    return made


def dump(network: Network, documents: Sequence[Document], every: int, path: Path) -> None:
    """Write the logits of each ``every``-th held-out character."""
    logits = [network.forward(contexts(document.codes, network.sizes.context)).logits for document in documents]
    np.save(path, np.concatenate(logits)[::every].astype(np.float32))


def dumps(network: Network, documents: Sequence[Document], every: int, folder: Path) -> dict[str, Path]:
    """Write the logits of the network and of its quantised copies, what comes next, and the documents."""
    folder.mkdir(exist_ok=True)
    paths = {name: folder / f"{name}.npy" for name in (ORIGINAL, *STORED)}
    dump(network, documents, every, paths[ORIGINAL])
    for name in STORED:
        dump(quantised(network, name), documents, every, paths[name])
    np.save(folder / "targets.npy", np.concatenate([document.codes for document in documents])[::every])
    np.save(folder / "documents.npy", places(documents, every)[1])
    return paths


def reports(paths: dict[str, Path], folder: Path) -> dict[str, report.LogitsReport]:
    """Compare each quantised copy with the original, from the files: their logits are mapped, not loaded."""
    mapped: dict[str, NDArray[np.float32]] = {name: np.load(path, mmap_mode="r") for name, path in paths.items()}
    targets, documents = np.load(folder / "targets.npy"), np.load(folder / "documents.npy")
    return {
        name: report.compare_logits(
            mapped[name], mapped[ORIGINAL], targets, documents=documents, vocabulary=list(ALPHABET),
            names=(ORIGINAL, name), margin=MARGIN, title=f"The demo's network in {name}",
        )
        for name in STORED
    }  # fmt: skip
