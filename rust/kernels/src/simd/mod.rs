//! A kernel is written once and compiled once per instruction-set level: dispatch, element types, lanes.
//!
//! The only `unsafe` code here is the call of a function whose target features have been detected, the instructions that
//! read and write the floating-point control and status registers, and what AVX-512 does with tables: look-ups, and
//! rounding to the steps of a staircase; and the highest bits of bytes.

mod element;
mod fma;
mod fpenv;
mod lanes;
mod level;
mod lookup;
mod mask;
mod pair;
mod real;
mod stairs;

pub use element::{Bf16, Element, F16, Precision};
pub use fpenv::{FpEnv, standard};
pub use lanes::{padded, tree32, tree64};
pub(crate) use level::Soft;
pub use level::{Isa, Kernel, Level, available, dispatch, force, level, scalar};
pub use lookup::Table;
pub use mask::high_bits;
pub use pair::{Bf16Pair, Pack};
pub use real::Real;
pub use stairs::{GROUP, OCTAVES, Stairs, Steps};

#[doc(hidden)]
pub use fpenv::{Rounding, set_mode_for_tests};
