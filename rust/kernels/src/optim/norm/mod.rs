//! Norms of many arrays together and of each of them, in one pass, and clipping by them.
//!
//! The orders are p = 1, p = 2 and infinity, each with a loop at the speed of memory, and every other p > 0, through the
//! logarithm and the exponential. Each order is one [`Rule`](measure::Rule): the part of a norm that belongs to a span,
//! how two parts are joined, and the norm of the whole. Lanes, chunks and the order in which parts are joined are fixed,
//! so that the bits do not depend on threads.
//!
//! No order overflows or vanishes on the way: parts are kept as numbers with a scale of their own. A NaN makes every
//! norm NaN; without one, an infinity makes it infinite.

use crate::simd::tree64;

mod adaptive;
mod clamp;
mod clip;
mod columns;
mod lanes;
mod largest;
mod measure;
mod nonfinite;
mod one;
mod power;
mod scale;
mod scaled;
#[cfg(test)]
mod tests;
mod torch;
mod two;

pub use adaptive::{Adaptive, Clips, UnitShape, scale_units};
pub use clamp::clamp_in_place;
pub use clip::Clip;
pub(in crate::optim) use lanes::{Growing, Lanes};
pub(in crate::optim) use measure::Measured;
pub use measure::{Norms, Order, norms, sum_of_squares, sum_of_squares_and_each, sums_of_squares};
pub use nonfinite::{NonFinite, count_nonfinite};
pub use scale::scale_in_place;
pub(in crate::optim) use scaled::exp2i;
pub use scaled::{Norm, Scaled};
pub use torch::TorchNorm;

/// The number of lanes of a sum of f64.
pub(in crate::optim) const LANES: usize = 32;

/// The reduction tree. It is not inlined, because the compiler would then arrange the lanes in the loop for the tree's
/// first step, in pairs, instead of filling the vector registers.
#[inline(never)]
fn sum(lanes: &[f64; LANES]) -> f64 {
    tree64(*lanes)
}
