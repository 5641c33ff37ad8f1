"""``python -m examples.demo``, which ``make demo`` runs."""

from .run import main

if __name__ == "__main__":
    main()
