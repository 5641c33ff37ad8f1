#!/usr/bin/env bash
# The kernels' golden digests as real aarch64 code, and on an x86-64 processor without AVX and FMA, under QEMU.
#
# Needs a Debian (apt-get, dpkg) on x86-64. About 250 MB of Debian's packages are unpacked into .foreign/; nothing is
# installed. The compiler for aarch64 is Debian's rustc-web; the linker is the local toolchain's rust-lld.
set -euo pipefail
cd "$(dirname "$0")/../.."
TREE=$PWD/.foreign
GOLDEN=tests/golden.json
EXAMPLE=(--quiet --locked --package steelyard-kernels --example digests)

[ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    { echo "test-foreign needs x86-64 and Debian's apt-get and dpkg to fetch QEMU and an aarch64 toolchain" >&2; exit 1; }

fetch() { # Debian's packages, by an apt of our own whose lists and cache lie in .foreign
    rm -rf "$TREE"; mkdir -p "$TREE"/{lists/partial,cache/archives/partial,deb,host,arm64}
    local apt=(-qq -o "Dir::State::Lists=$TREE/lists" -o "Dir::Cache=$TREE/cache" -o APT::Sandbox::User=
        -o "APT::Architectures::=amd64" -o "APT::Architectures::=arm64")
    apt-get "${apt[@]}" update
    candidate() { apt-cache "${apt[@]}" policy "$1" | sed -n 's/^ *Candidate: //p'; }
    depends() { apt-cache "${apt[@]}" depends "$1" | sed -n "s/^ *Depends: \($2\)/\1/p" | head -1; }
    local rustc std llvm gcc
    rustc=$(candidate rustc-web)
    [ -n "$rustc" ] || { echo "test-foreign: this distribution has no rustc-web (Debian's current stable does)" >&2; exit 1; }
    std=$(depends libstd-rust-web-dev 'libstd-rust-web-.*')
    llvm=$(depends "$std" 'libllvm.*')
    gcc=$(apt-cache "${apt[@]}" depends gcc | sed -n 's/^ *Depends: gcc-\([0-9]*\)$/\1/p' | head -1)
    (cd "$TREE/deb" && apt-get "${apt[@]}" download "rustc-web=$rustc" "$std":{amd64,arm64} "$llvm":amd64 \
        "libstd-rust-web-dev:amd64=$rustc" "libstd-rust-web-dev:arm64=$rustc" \
        libc6:arm64 libc6-dev:arm64 libgcc-s1:arm64 "libgcc-$gcc-dev:arm64" qemu-user-static:amd64)
    for deb in "$TREE"/deb/*_amd64.deb; do dpkg -x "$deb" "$TREE/host"; done
    for deb in "$TREE"/deb/*_arm64.deb; do dpkg -x "$deb" "$TREE/arm64"; done
    rm -rf "$TREE"/{deb,lists,cache}
    ln -sfn "$TREE/arm64/usr/lib/rustlib/aarch64-unknown-linux-gnu" \
        "$TREE/host/usr/lib/rustlib/aarch64-unknown-linux-gnu"
    # The linker script names absolute paths of a system where arm64 is installed.
    local lib=$TREE/arm64/usr/lib/aarch64-linux-gnu base=$TREE/arm64/lib/aarch64-linux-gnu
    sed -i "s#^GROUP.*#GROUP ( $base/libc.so.6 $lib/libc_nonshared.a AS_NEEDED ( $base/ld-linux-aarch64.so.1 ) )#" \
        "$lib/libc.so"
    echo "$TREE" >"$TREE/.unpacked"
}

arm_flags() { # what gcc would tell the linker
    local lib=$TREE/arm64/usr/lib/aarch64-linux-gnu base=$TREE/arm64/lib/aarch64-linux-gnu gcc
    gcc=$(echo "$TREE"/arm64/usr/lib/gcc/aarch64-linux-gnu/*)
    local linker
    linker=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
    local flags=("-Clinker=$linker" -Clinker-flavor=ld.lld)
    for argument in "$lib/crt1.o" "$lib/crti.o" "-L$lib" "-L$gcc" "-L$base" -lc -lm -lgcc "$gcc/libgcc_eh.a" \
        "$lib/crtn.o" --dynamic-linker=/lib/ld-linux-aarch64.so.1; do
        flags+=("-Clink-arg=$argument")
    done
    (IFS=$'\x1f'; echo "${flags[*]}")
}

# The symbolic link and the linker script hold absolute paths: a moved tree is fetched anew.
[ "$(cat "$TREE/.unpacked" 2>/dev/null || true)" = "$TREE" ] || fetch

echo "building for aarch64 (NEON) and for x86-64"
RUSTC=$TREE/host/usr/bin/rustc LD_LIBRARY_PATH=$TREE/host/usr/lib/x86_64-linux-gnu CARGO_ENCODED_RUSTFLAGS=$(arm_flags) \
    CARGO_TARGET_DIR=$TREE/target cargo build "${EXAMPLE[@]}" --release --target aarch64-unknown-linux-gnu \
    --config 'profile.release.lto=false' --config 'profile.release.codegen-units=16'
cargo build "${EXAMPLE[@]}" --profile quick

"$TREE/host/usr/bin/qemu-aarch64-static" -L "$TREE/arm64" \
    "$TREE/target/aarch64-unknown-linux-gnu/release/examples/digests" --brief $GOLDEN >"$TREE/aarch64.log" 2>&1 &
arm=$!
# Nehalem: SSE4.2, neither AVX nor a fused multiply-add.
"$TREE/host/usr/bin/qemu-x86_64-static" -cpu Nehalem \
    "${CARGO_TARGET_DIR:-target}/quick/examples/digests" --brief $GOLDEN >"$TREE/x86-64.log" 2>&1 &
x86=$!
failed=0
wait $arm || failed=1
wait $x86 || failed=1
for run in aarch64 x86-64; do sed "s/^/$run: /" "$TREE/$run.log"; done
exit $failed
