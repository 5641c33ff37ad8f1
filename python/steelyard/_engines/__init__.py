"""States over the partitions of an engine (Dask, Spark, and whatever else can carry bytes).

Each partition is scanned into bytes (:func:`of_partition`), bytes are merged in any order and grouping
(:func:`merged`), and the last ones become states (:func:`states_of`) or an answer for each group (:func:`answer_of`).
Nothing here knows an engine.
"""

from .answers import answer_of, states_of
from .job import Job, job_of, of_partition
from .share import merged

__all__ = ["Job", "answer_of", "job_of", "merged", "of_partition", "states_of"]
