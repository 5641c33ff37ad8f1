"""Evaluate models on held-out documents, character by character, and write the records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import steelyard as sy

from .corpus import Document

DIGITS = 6  # of the numbers in the records: finer than any interval, and half the size of all digits


class Model(Protocol):
    """A model that predicts the next character."""

    name: str

    def log_probabilities(self, document: Document) -> NDArray[Any]:
        """Log-probability of every character of the alphabet at every place: ``[len(text), V]``."""
        ...


@dataclass(frozen=True)
class Evaluated:
    """One model's predictions, all held-out documents one after the other."""

    name: str
    tokens: sy.tokens.TokenScores
    calibration: sy.calibration.Reliability
    correct: NDArray[np.bool_]
    confidence: NDArray[Any]


def evaluate(model: Model, documents: Sequence[Document], every: int = 1) -> Evaluated:
    """Score the documents' characters (each ``every``-th of them) under a model."""
    targets = np.concatenate([document.codes for document in documents])[::every]
    log_p = np.concatenate([model.log_probabilities(document) for document in documents])[::every].astype(np.float64)
    p = np.exp(log_p)
    return Evaluated(
        name=model.name,
        tokens=sy.token_scores(log_p, targets),
        calibration=sy.reliability(p, targets),
        correct=p.argmax(axis=1) == targets,
        confidence=p.max(axis=1),
    )


def places(documents: Sequence[Document], every: int = 1) -> tuple[list[str], NDArray[np.str_]]:
    """For every character that is scored: an id (document and position) and its document."""
    ids = [f"{document.name}:{place}" for document in documents for place in range(len(document.codes))]
    names = [document.name for document in documents]
    return ids[::every], np.repeat(names, [len(document.codes) for document in documents])[::every]


def write_records(path: Path, evaluated: Sequence[Evaluated], documents: Sequence[Document], every: int = 1) -> None:
    """Write one JSON line per character and model, with the names that ``steelyard report`` knows."""
    ids, of_document = places(documents, every)
    with path.open("w", encoding="utf-8") as file:
        for model in evaluated:
            rows = zip(
                ids,
                of_document.tolist(),
                model.correct.tolist(),
                model.confidence.round(DIGITS).tolist(),
                (-model.tokens.nll).round(DIGITS).tolist(),
                strict=True,
            )
            for one, document, correct, confidence, loglikelihood in rows:
                record = {
                    "id": one,
                    "model": model.name,
                    "score": int(correct),
                    "confidence": confidence,
                    "loglikelihood": loglikelihood,
                    "cluster": document,
                }
                file.write(json.dumps(record) + "\n")
