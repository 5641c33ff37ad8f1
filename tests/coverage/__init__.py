"""How often intervals and tests hold what they say: one file for each table of ``docs/coverage.md``.

Each file has ``section(scale=1.0)``, which computes its table and returns it as Markdown under a heading of its own:
what was drawn, from which seeds, how many sets, what was counted. ``scale`` below 1 makes fewer sets (a quick look).
``python -m tests.coverage`` writes the page (``make coverage``); ``python -m tests.coverage NAME...`` prints these alone.
"""
