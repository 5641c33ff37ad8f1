//! The room of uncertainty.

mod columns;
mod mean_state;
mod paired;
mod ratio;
mod resample;

pub use mean_state::EstimateTotals;
pub use paired::*;
pub use ratio::*;
pub use resample::*;
