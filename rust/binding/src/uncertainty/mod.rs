//! The room of uncertainty.

mod resample;

pub use resample::*;
