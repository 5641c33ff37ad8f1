"""Reports on evaluation records: tables for the terminal, an HTML page, Markdown, and plain data.

>>> from pathlib import Path
>>> from steelyard import records, report
>>> _ = Path("answers.json").write_text('[{"id": 1, "correct": true}, {"id": 2, "correct": false}]')
>>> made = report.build(records.read("answers.json"))
>>> made.to_html("report.html")
>>> Path("report.html").exists()
True
"""

from .build import Report, build, comparison
from .logits import LogitsReport, compare_logits
from .perplexity_report import perplexity
from .plan import Plan, Planned, plan
from .preferences import PreferencesReport, preferences
from .results import ModelResult, PairResult
from .section import Section

__all__ = [
    "LogitsReport", "ModelResult", "PairResult", "Plan", "Planned", "PreferencesReport", "Report", "Section", "build",
    "compare_logits", "comparison", "perplexity", "plan", "preferences",
]  # fmt: skip
