"""Every claim about speed, as a script: ``make bench``, or ``python -m benches.run [WORD]``."""
