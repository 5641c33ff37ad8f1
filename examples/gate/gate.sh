#!/bin/sh
# Decide whether the model whose records are in NEW may replace the one whose records are in BASE.
#
#     sh gate.sh BASE NEW [MARGIN]
#
# Exit code 0: NEW is not worse by more than MARGIN; 1: it is; 2: the records cannot be compared (the message says why).
# The page gate.html and the numbers gate.json are written in every case but the last.
set -u
base=$1 new=$2 margin=${3:-0.01}

steelyard compare "$base" "$new" --names base --names new --margin "$margin" --fail-on worse \
    --html gate.html --json gate.json
