//! The arithmetic of steelyard: no Python, no platform libm, the same bits everywhere.
//!
//! The contract of every function here: a result depends on the data, the parameters and the seed, and on
//! nothing else: not on threads, instruction set, batch split, machine or the caller's floating-point mode.
//! Kernels therefore use only what IEEE 754 and two's complement fix (`+ - * / sqrt`, `mul_add` where the
//! formula says so, comparison and select, bit and integer operations, casts), fixed lanes, a fixed chunk
//! grid and a fixed reduction tree. The sign and payload of a NaN are outside the promise; where it stands
//! is inside.
//!
//! The rooms ([`calibration`], [`optim`], [`preference`], [`tokens`], [`uncertainty`]) build on the other modules,
//! which are the foundation. A room never uses another room.

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
compile_error!(
    "steelyard promises its bits on x86-64 and little-endian aarch64; other targets are not proven"
);

mod bisection;
pub mod calibration;
pub mod clusters;
pub mod dtype;
pub mod exact;
pub mod grid;
pub mod intervals;
pub mod json_lines;
pub mod math;
pub mod memory;
pub mod named;
pub mod optim;
mod pool;
pub mod preference;
pub mod random;
pub mod registries;
pub mod rows;
pub mod simd;
pub mod sorting;
pub mod state;
pub mod tokens;
pub mod uncertainty;

/// Version of the package's arithmetic: it rises by one whenever any published bit changes.
///
/// Saved states carry the value that this number had when *their own* arithmetic last changed
/// ([`state::bytes::Kind::numerics`], [`optim::NUMERICS`]), so that they stay readable when other arithmetic changes.
pub const NUMERICS: u16 = 1;
