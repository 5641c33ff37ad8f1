//! The binding of uncertainty: the bootstrap, ratios, paired comparisons, and the state of an estimate.

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
