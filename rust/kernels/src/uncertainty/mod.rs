//! The room of uncertainty: the bootstrap, ratios, the state of a mean, and comparisons, paired and unpaired.
//! (Intervals that other rooms need too are in [`crate::intervals`].)
//!
//! A [`Statistic`] is a function of a few sums over units, together with the influence of a unit on it; a [`Design`]
//! says what the units are. Replicates, acceleration, ties and limits are written once for any statistic and design.

pub mod answers;
mod beside;
mod beta_t;
mod beta_weights;
mod bootstrap;
pub mod comparison;
pub mod counts;
mod design;
pub mod designs;
mod double;
mod expanded;
pub mod ideal;
mod influence;
mod limits;
pub mod max_t;
mod mean_bytes;
pub mod mean_state;
mod no_estimate;
mod normal_limits;
pub mod ordered;
pub mod paired;
pub mod power;
pub mod ratings;
mod ratio;
mod repeats;
mod replicates;
mod resamples;
pub mod sequence;
pub mod shuffles;
pub mod sign_flip;
pub mod smooth;
mod smoothed;
mod stages;
mod statistic;
mod studentized;
mod sums;
pub mod totals;
pub mod unpaired;

pub use bootstrap::{Bootstrap, Options, mean, means};
pub use design::{Design, Pairs, Rows, Units};
pub use double::inner_resamples;
pub use influence::acceleration;
pub use limits::{Correction, Level, Limit, Limits, Method, limits};
pub use no_estimate::NoEstimate;
pub use ratio::{Columns, Ratio, Spread, ratio, ratio_bootstrap};
pub use repeats::{Votes, majority_at, pass_at};
pub use replicates::{Run, replicates};
pub use resamples::{Computed, Known, counts_of, left_out_parts, noise_of, of_replicates, rows_of};
pub use smoothed::{bandwidth, smoothed};
pub use statistic::{Line, Mean, Name, Quotient, Statistic};
