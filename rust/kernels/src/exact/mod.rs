//! Sums whose bits do not depend on the order of their terms.

mod by_exponent;
mod fixed;
mod natural;
mod packed;
mod squares;
mod units;
mod wide;

pub(crate) use by_exponent::{sum_and_squares, sum_of};
pub use fixed::Fixed;
pub use packed::Packed;
pub use squares::{are_moments, centred_squares};
pub(crate) use units::Units;
pub(crate) use wide::parts;
pub use wide::{Sum, SumOfSquares, Wide};
