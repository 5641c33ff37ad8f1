"""Examples that the help of each command ends with. ``tests/test_help.py`` runs them as they stand."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "report": (
        "steelyard report base.jsonl new.jsonl --html report.html",
        "steelyard report runs --baseline base",
        "steelyard report new.jsonl --score verdict --values 'good=1,fair=0.5,bad=0'",
        "steelyard report new.jsonl --score label==prediction --cluster document",
    ),
    "compare": (
        "steelyard compare base.jsonl new.jsonl --margin 0.01",
        "steelyard compare base.jsonl new.jsonl --fail-on undecided --quiet",
        "steelyard compare wide.csv --baseline gpt --models claude",
    ),
    "compare-logits": (
        "steelyard compare-logits base.npy new.npy --targets targets.npy",
        "steelyard compare-logits f16.kld q4.kld --margin-kl 0.05 --margin-flips 0.1",
    ),
    "plan": (
        "steelyard plan base.jsonl new.jsonl --difference 0.02",
        "steelyard plan --discordance 0.1,0.2",
    ),
    "perplexity": (
        "steelyard perplexity f16.safetensors q4.safetensors --html page.html",
        "steelyard perplexity logits.npy --targets targets.npy --documents docs.npy",
        "steelyard perplexity rolling.jsonl --cluster document",
    ),
    "preferences": (
        "steelyard preferences pairs.jsonl --html pairs.html",
        "steelyard preferences pairs.jsonl --where 'split==test' --source subset",
        "steelyard preferences scored.jsonl --beta 0.05 --doubts 50",
    ),
    "config": ("steelyard config",),
}


def epilog(command: str) -> str:
    """The examples of a command as the end of its help: Typer keeps lines apart that a blank line separates."""
    return "\n\n".join(("Examples:", *EXAMPLES[command]))
