//! The room of optimizers: AdamW, gradient norms and clipping, learning-rate schedules.

mod accumulate;
mod gauge;
mod hyper;
mod norm;
mod norm_state;
mod policy;
mod row;
mod rules;
mod saved;
mod schedule;
mod step;
mod storage;
mod torch;
mod units;
mod watch;

pub use crate::dtype::TypedSliceMut;
pub use accumulate::{Summand, accumulate};
pub use gauge::Gauge;
pub use hyper::{Hyper, Unfit, WeightDecay};
pub use norm::{
    Adaptive, Clip, Clips, NonFinite, Norm, Norms, Order, Scaled, TorchNorm, UnitShape, clamp_in_place,
    count_nonfinite, norms, scale_in_place, scale_units, sum_of_squares, sum_of_squares_and_each,
    sums_of_squares,
};
pub use norm_state::{NormTotals, TooLarge};
pub use policy::{Policy, PolicyRule};
pub use row::{MOMENTS, Row};
pub use rules::Rule;
pub use saved::{Damage, Moment, NUMERICS, damage};
pub use schedule::{Cooldown, Decay, Interpolate, Rise, Schedule};
pub use step::{count_overflow, may_overflow, step, watched_step};
pub use storage::{
    BLOCK, Blocks8, Codes, Copied, Halves, Kahan, PerHalf, Plain, Random, Split, Stored, from_blocks8,
    round_at_random, to_blocks8,
};
pub use watch::Change;
