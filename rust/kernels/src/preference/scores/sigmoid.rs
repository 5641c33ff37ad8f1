//! The scores `log(2 s(r))` of the Jensen-Shannon divergence, with the logistic function s.

use crate::math::{exp64_nonpositive, expm1_64, log1p_64};
use crate::simd::Isa;

/// `log(2 s(r))` is `-log(1 + expm1(-r)/2)`, or below 0 `r - log(1 + expm1(r)/2)`; its derivative is `s(-r)`.
#[inline(always)]
pub(super) fn scores<I: Isa>(scores: &mut [f64], slopes: &mut [f64]) {
    for (score, slope) in scores.iter_mut().zip(slopes) {
        let r = *score;
        let negative = r < 0.0;
        let log = log1p_64::<I>(0.5 * expm1_64::<I>(-r.abs()));
        let u = exp64_nonpositive::<I>(-r.abs());
        *score = if negative { r - log } else { -log };
        *slope *= if negative { 1.0 } else { u } / (1.0 + u);
    }
}
