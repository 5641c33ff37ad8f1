//! Refuses compiler flags under which the arithmetic would no longer follow IEEE 754.

/// LLVM options that allow it to fuse, reorder or approximate floating-point operations.
const FORBIDDEN: [&str; 5] =
    ["fp-contract", "unsafe-fp-math", "fast-math", "no-signed-zeros-fp-math", "denormal-fp-math"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    for option in FORBIDDEN.into_iter().filter(|option| flags.contains(option)) {
        println!(
            "cargo::error=RUSTFLAGS contains {option}: steelyard promises the same bits on every machine, \
             which that option breaks; build without it"
        );
    }
}
