"""Report on three versions of a made-up model: write records, read them, make a page.

    python examples/report.py [folder]

A record says which question it answers, whether the answer is right, how sure the model was, the log-likelihood of
the reference answer and its number of tokens, the document that the question is about and its subject.
"""

import json
import sys
from pathlib import Path

import numpy as np

from steelyard import records, report

# How much better than base each model is, and how overconfident.
MODELS = {"base": (0.0, 0.14), "tuned": (0.055, 0.12), "quantised": (-0.004, 0.05)}
DOCUMENTS, QUESTIONS = 240, 8
SUBJECTS = ("law", "medicine", "physics", "history")


def write_records(path: Path) -> None:
    """Write the answers of all models to the same questions; those about one document are similarly hard."""
    rng = np.random.default_rng(2024)
    n = DOCUMENTS * QUESTIONS
    document = np.arange(n) // QUESTIONS
    ease = 0.66 + 0.17 * rng.standard_normal(DOCUMENTS)[document] + 0.1 * rng.standard_normal(n)
    luck = rng.random(n)
    with path.open("w", encoding="utf-8") as out:
        for model, (gain, overconfidence) in MODELS.items():
            chance = np.clip(ease + gain, 0.02, 0.98)
            own = np.where(rng.random(n) < 0.85, luck, rng.random(n))
            sure = np.clip(chance + overconfidence * (1.1 - chance) + 0.05 * rng.standard_normal(n), 0.05, 1.0)
            tokens = rng.integers(4, 40, n)
            nats = tokens * (2.1 - 0.9 * chance + 0.1 * rng.standard_normal(n))
            for i in range(n):
                record = {
                    "id": i,
                    "model": model,
                    "correct": bool(own[i] < chance[i]),
                    "confidence": round(float(sure[i]), 4),
                    "loglikelihood": round(-abs(float(nats[i])), 4),
                    "n_tokens": int(tokens[i]),
                    "cluster": f"document {document[i]}",
                    "subject": SUBJECTS[document[i] % len(SUBJECTS)],
                }
                out.write(json.dumps(record) + "\n")


def main(folder: str = "demo-output") -> None:
    """Write the records and the page, and print the report."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    write_records(out / "answers.jsonl")
    made = report.build(records.read(out / "answers.jsonl"), baseline="base", margin=0.01)
    made.to_html(out / "example.html")
    print(made)


if __name__ == "__main__":
    main(*sys.argv[1:])
