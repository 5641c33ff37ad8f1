"""Campaigns: randomised tests that run for any length of time and try something new each time.

Each file is one campaign and can be run alone: ``python -m tests.campaigns.NAME --seconds 3600``. It prints a count of
what it tried, and at the first failure it stops and prints the command that repeats it. ``make test-campaigns
SECONDS=10`` runs each campaign for that many seconds (those of files for six times as long). They share only
``_frame.run``.
"""
