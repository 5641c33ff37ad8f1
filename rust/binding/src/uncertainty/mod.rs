//! The room of uncertainty.

mod columns;
mod ratio;
mod resample;

pub use ratio::*;
pub use resample::*;
