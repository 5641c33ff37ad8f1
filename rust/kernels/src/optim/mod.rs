//! Update the weights: AdamW, gradient norms and clipping, learning-rate schedules.

mod adamw;
mod norm;
mod schedule;
mod units;

pub use adamw::{Hyper, Tensor, TypedTensor, adamw};
pub use norm::{
    NonFinite, Scaled, TypedSlice, TypedSliceMut, clip_factor, count_nonfinite, scale_in_place,
    sum_of_squares,
};
pub use schedule::{Decay, Schedule};
