"""Readers of evaluation records: files become runs, and runs become scores matched by id.

A record is one graded answer: id, model, epoch, score, confidence, loglikelihood (nats), n_tokens, cluster.
Files may be JSON Lines, a JSON array, CSV, TSV or Parquet, plain or compressed; lm-evaluation-harness
``samples_*`` files and wide files (one column a model) are known. Nothing is dropped in silence: what is left
out is counted by reason, and what was guessed is said.
"""

from .read import read
from .reading import Offered as Offered  # the command asks what it was offered
from .run import Run
from .runs import Runs
from .scores import Scores
from .table import find_name as find_name  # the command and the report find models by it

__all__ = ["Run", "Runs", "Scores", "read"]
