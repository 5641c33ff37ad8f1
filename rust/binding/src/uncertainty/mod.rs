//! The binding of uncertainty: the bootstrap, ratios, comparisons, and the state of an estimate.

mod columns;
mod compare;
mod counts;
mod drawing;
mod flips;
mod ideal;
mod mean_state;
mod models;
mod ordered;
mod power;
mod quantiles;
mod ratio;
mod repeats;
mod resample;
mod resamples;
mod sequence;
mod smooth;
mod totals;
mod unpaired;

pub use compare::*;
pub use counts::*;
pub use flips::*;
pub use ideal::*;
pub use mean_state::EstimateTotals;
pub use models::*;
pub use ordered::*;
pub use power::*;
pub use quantiles::QuantileTotals;
pub use ratio::*;
pub use repeats::*;
pub use resample::*;
pub use resamples::*;
pub use sequence::SequenceTotals;
pub use smooth::*;
pub use totals::{BootstrapTotals, StatisticTotals};
pub use unpaired::*;
