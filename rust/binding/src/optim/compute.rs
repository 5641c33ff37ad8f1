//! One step over checked rows: their norm, the clip factor, and the update, or why there is none.

use super::norm::nonfinite;
use super::policy::Limiter;
use steelyard_kernels::dtype::{Dtype, TypedSlice};
use steelyard_kernels::grid::unwatched;
use steelyard_kernels::memory::{self, NoMemory};
use steelyard_kernels::optim::{self, Clip, Hyper, NonFinite, Row};

/// How a step treats the gradients of all rows together.
#[derive(Clone, Copy)]
pub struct Treatment {
    /// Whether their norm is computed, and whether they are finite.
    pub scan: bool,
    /// Whether a step is left out whose gradients are not finite, or whose moments would not be.
    pub stop_nonfinite: bool,
    /// The narrowest type that moments are stored in.
    pub narrow: Dtype,
}

/// What was found and done.
pub struct Computed {
    pub grad_norm: Option<f64>,
    pub clip_factor: f64,
    /// The elements that are not finite; `array` is the position of the row among those that took part.
    pub bad: Option<NonFinite>,
    /// Whether these elements are of moments.
    pub overflow: bool,
    /// Whether the step was made.
    pub applied: bool,
}

/// Makes the step. `gradients` are those of `rows`, in order.
pub fn compute<'a>(
    rows: impl Iterator<Item = Row<'a>>,
    gradients: &[TypedSlice<'_>],
    mut hypers: Vec<Hyper>,
    treatment: Treatment,
    limits: &mut Limiter<'_>,
) -> Result<Computed, NoMemory> {
    let Treatment { scan, stop_nonfinite, narrow } = treatment;
    if !scan {
        optim::step(rows, &hypers)?;
        return Ok(Computed { grad_norm: None, clip_factor: 1.0, bad: None, overflow: false, applied: true });
    }
    let scaled = unwatched(optim::sum_of_squares(gradients, &mut |_| true))?;
    let norm = scaled.root();
    let clip = Clip::to(limits.limit(norm)?, scaled);
    for hyper in &mut hypers {
        hyper.clip = clip;
    }
    let mut bad = unwatched(nonfinite(gradients, scaled.is_finite(), &mut |_| true))?;
    let mut overflow = false;
    let may_overflow = || hypers.iter().any(|hyper| optim::may_overflow(norm, hyper, narrow));
    if stop_nonfinite && bad.is_none() && may_overflow() {
        let rows = memory::gathered(rows)?;
        bad = optim::count_overflow(&rows, &hypers)?;
        overflow = bad.is_some();
        if !overflow {
            optim::step(rows, &hypers)?;
        }
    } else if !stop_nonfinite || bad.is_none() {
        optim::step(rows, &hypers)?;
    }
    let applied = !stop_nonfinite || bad.is_none();
    Ok(Computed { grad_norm: Some(norm), clip_factor: clip.value(), bad, overflow, applied })
}
