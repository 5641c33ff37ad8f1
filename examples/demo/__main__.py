"""``python -m examples.demo``, which ``make demo`` runs; with ``losses`` what ``make demo-losses`` runs."""

import os
import sys

# The network's matrices are small: a second BLAS thread costs more than it brings, most of all on a busy machine.
# (Read when NumPy is loaded, so it stands before anything that loads it.)
for setting in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(setting, "1")

from . import losses, run  # noqa: E402

if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            run.main()
        case ["losses"]:
            losses.main()
        case other:
            sys.exit(f"expected nothing or 'losses'; got {' '.join(other)}")
