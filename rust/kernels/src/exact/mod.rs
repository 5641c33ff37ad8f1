//! Sums whose bits do not depend on the order of their terms.

mod fixed;
mod wide;

pub use fixed::Fixed;
pub(crate) use wide::Units;
pub(crate) use wide::parts;
pub use wide::{Packed, Sum, SumOfSquares, Wide, are_moments, centred_squares};
