//! The room of uncertainty: what takes more than a closed form. (Those are in [`crate::intervals`].)

mod influence;
mod limits;
mod replicates;
mod sums;

pub use influence::{mean_acceleration, ratio_acceleration};
pub use limits::{Limit, Limits, Method, Refused, limits};
pub use replicates::{mean_replicates, ratio_replicates};
