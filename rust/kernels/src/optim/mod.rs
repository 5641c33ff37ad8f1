//! The room of optimizers: AdamW, gradient norms and clipping, learning-rate schedules.

mod adamw;
mod norm;
mod norm_state;
mod saved;
mod schedule;
mod units;

pub use adamw::{Hyper, Tensor, Tensors, TypedTensor, Unfit, adamw, count_overflow, may_overflow};
pub use norm::{Clip, NonFinite, Scaled, TypedSliceMut, count_nonfinite, scale_in_place, sum_of_squares};
pub use norm_state::{NormTotals, TooLarge};
pub use saved::{Damage, Moment, NUMERICS, damage};
pub use schedule::{Decay, Schedule};
