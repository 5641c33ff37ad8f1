//! Sums that do not depend on the order of their terms, and the bytes that carry them.

pub mod bytes;
mod crc;
mod fixed;

pub use fixed::Fixed;
