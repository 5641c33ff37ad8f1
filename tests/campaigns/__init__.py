"""Campaigns: tests that never end by themselves, and try something new each time.

Each file is one, and runs alone: ``python -m tests.campaigns.NAME --seconds 3600``. It prints a count of what it tried
and fails at the first difference, with the command that repeats it. ``make test-campaigns SECONDS=10`` runs them all,
so many seconds each. ``_frame.run`` is all that they share.
"""
