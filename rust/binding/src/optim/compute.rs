//! One step over checked rows: their norm, the clip factor, and the update, or why there is none.

use super::detail::Detail;
use super::norm::nonfinite;
use super::policy::Limiter;
use steelyard_kernels::dtype::{Dtype, TypedSlice};
use steelyard_kernels::grid::unwatched;
use steelyard_kernels::memory::{self, NoMemory};
use steelyard_kernels::optim::{self, Clip, Hyper, NonFinite, Norm, Row, TorchNorm};

/// How a step treats the gradients of all rows together.
#[derive(Clone, Copy)]
pub struct Treatment {
    /// Their norm, where it is known already (of those of other processes too, say).
    pub norm: Option<f64>,
    /// Whether their norm is computed, and whether they are finite.
    pub scan: bool,
    /// Whether a step is left out whose gradients are not finite, or whose moments would not be.
    pub stop_nonfinite: bool,
    /// Gradients are divided by this first; their norm and its limit are those of the quotients.
    pub scale: f64,
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
    detail: &mut Detail<'_>,
) -> Result<Computed, NoMemory> {
    let Treatment { norm: known, scan, stop_nonfinite, scale, narrow } = treatment;
    for hyper in &mut hypers {
        hyper.grad_scale = scale;
    }
    let (scaled, torchs, mut bad) = if let Some(norm) = known {
        let bad = if scan { unwatched(nonfinite(gradients, norm.is_finite(), &mut |_| true))? } else { None };
        (Norm::of(norm), None, bad)
    } else if scan && hypers.iter().any(|hyper| hyper.torch) {
        let norm = TorchNorm::of(gradients)?;
        let bad = unwatched(nonfinite(gradients, norm.value.is_finite(), &mut |_| true))?;
        (Norm::of(norm.value), Some(norm), bad)
    } else if scan {
        let scaled = detail.sum_of_squares(gradients, scale)?;
        (scaled.into(), None, unwatched(nonfinite(gradients, scaled.is_finite(), &mut |_| true))?)
    } else {
        detail.step(rows, &hypers)?;
        let (grad_norm, clip_factor, bad) = (None, 1.0, None);
        return Ok(Computed { grad_norm, clip_factor, bad, overflow: false, applied: true });
    };
    let norm = scaled.value() / scale;
    let limit = limits.limit(norm)?;
    let clip = match torchs {
        Some(norm) => norm.divided(scale).clip(limit),
        None => Clip::to(limit.map(|limit| limit * scale), scaled),
    };
    for hyper in &mut hypers {
        hyper.clip = clip;
    }
    let (grad_norm, clip_factor, mut overflow) = (Some(norm), clip.value(), false);
    if stop_nonfinite && known.is_some() && !norm.is_finite() {
        return Ok(Computed { grad_norm, clip_factor, bad, overflow, applied: false });
    }
    let may_overflow = || hypers.iter().any(|hyper| optim::may_overflow(norm * scale, hyper, narrow));
    if stop_nonfinite && bad.is_none() && may_overflow() {
        let rows = memory::gathered(rows)?;
        bad = optim::count_overflow(&rows, &hypers)?;
        overflow = bad.is_some();
        if !overflow {
            detail.step(rows, &hypers)?;
        }
    } else if !stop_nonfinite || bad.is_none() {
        detail.step(rows, &hypers)?;
    }
    let applied = !stop_nonfinite || bad.is_none();
    Ok(Computed { grad_norm, clip_factor, bad, overflow, applied })
}
