#!/usr/bin/env bash
# The tests of borrowed memory, with a core that AddressSanitizer watches: a read or a write of memory that is gone, or
# beyond its end, ends the process.
#
# Needs gcc's libasan and a nightly toolchain (the sanitizer is no part of the stable one); where there is none, this
# says so and tests nothing. PEERS names an interpreter with torch, whose tensors are tried too if it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."
HERE=$PWD
TARGET=x86_64-unknown-linux-gnu
BUILD=${CARGO_TARGET_DIR:-target}/sanitizer
SITE=$BUILD/site

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "test-sanitizer: nothing tested, for want of a nightly toolchain (rustup toolchain install nightly)"
    exit 0
fi
library() {
    local path
    path=$(gcc -print-file-name="$1")
    [ -e "$path" ] || { echo "test-sanitizer needs gcc with $1" >&2; exit 1; }
    realpath "$path"
}
# torch throws C++ exceptions, which the sanitizer must find when it is loaded.
PRELOAD="$(library libasan.so) $(library libstdc++.so)"

echo "building with AddressSanitizer"
PYO3_PYTHON=$HERE/.venv/bin/python RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=$BUILD \
    cargo +nightly build --quiet --locked --profile quick --target $TARGET --package steelyard-binding
rm -rf "$SITE"
mkdir -p "$SITE"
cp -r python/steelyard "$SITE/"
cp "$BUILD/$TARGET/quick/lib_core.so" "$SITE/steelyard/_core.abi3.so"

watched() { # an interpreter and its arguments
    # Python frees little at its end, and memory that is refused must be an exception and not an abort.
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 LD_PRELOAD=$PRELOAD \
        PYTHONPATH=$(realpath "$SITE") "$@"
}

# A sanitizer that finds nothing must first have found something.
if watched .venv/bin/python tests/sanitizer/use_after_free.py >"$BUILD/found.log" 2>&1 ||
    ! grep -q "AddressSanitizer: heap-use-after-free" "$BUILD/found.log"; then
    cat "$BUILD/found.log" >&2
    echo "test-sanitizer: a read of freed memory went unnoticed" >&2
    exit 1
fi

# Limits on memory mean nothing here: the sanitizer takes terabytes of addresses, and keeps what was freed. And gcc's
# allocator of the sanitizer (12 at least) holds its locks over a fork: a child that another thread's allocation
# locked out hangs, whatever it runs.
watched .venv/bin/python -m pytest --quiet -p no:cacheprovider \
    -k "not memory_that_waits and not beyond_memory and not never_decoded_whole and not forks_during" \
    tests/test_optim.py tests/test_optim_safety.py tests/test_foreign_arrays.py tests/test_process.py
if [ -n "${PEERS:-}" ] && "$PEERS" -c "import torch, pytest" 2>/dev/null; then
    watched "$PEERS" -m pytest --quiet -p no:cacheprovider tests/torch/test_memory.py tests/torch/test_tensors.py
else
    echo "test-sanitizer: torch's tensors are not tried: no interpreter with torch"
fi
