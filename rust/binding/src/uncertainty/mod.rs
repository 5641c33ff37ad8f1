//! The room of uncertainty.

mod columns;
mod compare;
mod mean_state;
mod paired;
mod ratio;
mod resample;

pub use compare::*;
pub use mean_state::EstimateTotals;
pub use paired::*;
pub use ratio::*;
pub use resample::*;
