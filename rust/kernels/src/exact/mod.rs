//! Sums that do not depend on the order of their terms, and the bytes that carry them.

pub mod bytes;
mod crc;
mod fixed;
mod wide;

pub use fixed::Fixed;
pub use wide::{Packed, Sum, SumOfSquares, Wide, are_moments, centred_squares};
