"""Write made-up logs of six models on three benchmarks, and of one model that answered every question eight times.

    python examples/benchmarks.py [folder]

The logs look like those of lm-evaluation-harness: a folder per model, a file per task. ``attempts.jsonl`` has a target
and a prediction for each attempt.
"""

import json
import sys
from pathlib import Path

import numpy as np

MODELS = {"ash-7b": 0.58, "birch-7b": 0.60, "cedar-13b": 0.66, "elm-13b": 0.67, "fir-70b": 0.74, "oak-70b": 0.75}
TASKS = {"arc": 0.0, "gsm8k": -0.15, "piqa": 0.1}
QUESTIONS, ATTEMPTS = 300, 8


def write_logs(folder: Path, rng: np.random.Generator) -> None:
    """One file per model and task; all models answer the same questions, some of which are harder than others."""
    for task, easier in TASKS.items():
        ease = easier + 0.25 * rng.standard_normal(QUESTIONS)
        for model, skill in MODELS.items():
            chance = np.clip(skill + ease, 0.02, 0.98)
            (folder / model).mkdir(parents=True, exist_ok=True)
            with (folder / model / f"samples_{task}_2026-01-31T10-00-00.000000.jsonl").open(
                "w", encoding="utf-8"
            ) as out:
                for i, right in enumerate(rng.random(QUESTIONS) < chance):
                    record = {"doc_id": i, "doc": {"question": f"{task} {i}"}, "resps": [], "acc": float(right)}
                    out.write(json.dumps(record) + "\n")


def write_attempts(path: Path, rng: np.random.Generator) -> None:
    """Eight answers to each of 100 questions: the right one, or one of three wrong ones."""
    with path.open("w", encoding="utf-8") as out:
        for i in range(100):
            chance = rng.beta(1.2, 1.5)
            for epoch in range(ATTEMPTS):
                answer = "42" if rng.random() < chance else str(rng.choice(["17", "23", "99"]))
                out.write(json.dumps({"id": i, "epoch": epoch, "target": "42", "prediction": answer}) + "\n")


def main(folder: str = "runs") -> None:
    """Write everything into a folder."""
    rng = np.random.default_rng(7)
    write_logs(Path(folder), rng)
    write_attempts(Path(folder).parent / "attempts.jsonl", rng)
    print(f"written: {folder} and attempts.jsonl beside it")


if __name__ == "__main__":
    main(*sys.argv[1:])
