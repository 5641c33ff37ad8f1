//! The log-odds `log(p / (1-p))` of a probability `p = exp(r)`.

use crate::math::{expm1_64, log64};
use crate::simd::Isa;

/// A probability above `1 - 1e-300` counts as that, since the odds of 1 are infinite.
const CERTAIN: f64 = -1e-300;
/// Below this, p is too small beside 1 to change the log-odds.
const SMALL: f64 = -40.0;

/// With `v = expm1(-r)`, the log-odds are `-log v` and their derivative is `1 / (1-p) = 1 + 1/v`.
#[inline(always)]
pub(super) fn scores<I: Isa>(scores: &mut [f64], slopes: &mut [f64]) {
    for (score, slope) in scores.iter_mut().zip(slopes) {
        let r = if *score > CERTAIN { CERTAIN } else { *score };
        let small = r < SMALL;
        let v = expm1_64::<I>(if small { -SMALL } else { -r });
        *score = if small { r } else { -log64::<I>(v) };
        *slope *= if small { 1.0 } else { 1.0 + 1.0 / v };
    }
}
