"""Readers of evaluation records: files become runs, and runs become scores matched by id.

A record is one graded answer. What its columns can mean (id, model, score, confidence, ...) stands in ``roles``.
Files may be JSON Lines, a JSON array, CSV, TSV or Parquet, plain or compressed; lm-evaluation-harness
``samples_*`` files, wide files (one column per model) and the logs of ``records.logs`` are known. What is left out is
counted by reason, and what was guessed is said beside the results.
"""

from .naming import near as near  # the command looks for names that are alike
from .preferences import Preferences, preferences
from .read import read
from .reading import Offered as Offered  # the command asks what it was offered
from .run import Run
from .runs import Runs
from .scores import Scores
from .table import find_name as find_name  # the command and the report find models by it

__all__ = ["Preferences", "Run", "Runs", "Scores", "preferences", "read"]
