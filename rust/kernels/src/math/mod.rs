//! Elementary and special functions with the same bits everywhere.
//!
//! There are two kinds. The functions for hot kernels (`exp32`, `exp64_nonpositive`, `log64`, ...) are branch-free,
//! generic over the instruction set and meant to be inlined into a kernel's loop. The scalar ones (`exp`,
//! `normal::quantile`, `beta::cdf`, ...) are for intervals and schedules, which need a few values per call. Every
//! function states its error bound; `docs/decisions/0003-math.md` says how the error was measured.

pub mod beta;
pub mod binomial;
#[cfg(test)]
mod check;
pub(crate) mod double;
mod erf;
mod exp;
pub(crate) mod gamma;
pub mod hypergeometric;
mod log;
mod map;
pub mod noncentral_t;
pub mod normal;
mod pow;
pub(crate) mod saddle_point;
pub mod student_t;
mod tanh;
mod trig;
mod whole;

pub use erf::erfc;
pub use exp::{
    bend64, exp_and_bend32, exp_and_bend64, exp32, exp32_nonpositive, exp64, exp64_nonpositive, expm1_64,
};
pub use gamma::lgamma;
pub use log::{log1p_64, log1p64_unit, log64};
pub use map::{Bend, Exp, Exp32, Expm1, Function, Log, Log1p, bend, exp, expm1, log, log1p, map};
pub use pow::{Powers, exceeds, powi};
pub use tanh::{tanh32, tanh64};
pub(crate) use trig::{angle, sin};
pub use trig::{cos, cos_sin_turns};
pub(crate) use whole::{ROUND_32, ROUND_64};
