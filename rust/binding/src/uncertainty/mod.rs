//! The room of uncertainty.

mod columns;
mod paired;
mod ratio;
mod resample;

pub use paired::*;
pub use ratio::*;
pub use resample::*;
