"""Reports on evaluation records: terminal table, page, data.

>>> from steelyard import records, report
>>> page = report.build(records.read("answers.jsonl"))          # doctest: +SKIP
>>> page.to_html("report.html")                                 # doctest: +SKIP
"""

from .build import Report, build, comparison
from .results import ModelResult, PairResult

__all__ = ["ModelResult", "PairResult", "Report", "build", "comparison"]
