//! The scores `(exp(k r) - 1) / k`: with k = -1 those of the forward Kullback-Leibler divergence, with k = alpha - 1
//! those of the alpha-divergence, and with k = -alpha the reward of `alphapo`.

use crate::math::{exp64, expm1_64};
use crate::simd::Isa;

/// From this exponent on, scores grow in a straight line: further than any margin that is not saturated, and still far
/// enough from overflow for the square of a score.
const END: f64 = 340.0;

#[inline(always)]
pub(super) fn scores<I: Isa>(k: f64, scores: &mut [f64], slopes: &mut [f64]) {
    for (score, slope) in scores.iter_mut().zip(slopes) {
        let exponent = k * *score;
        let beyond = exponent > END;
        let curved = if beyond { END } else { exponent };
        let rest = if beyond { exponent - END } else { 0.0 };
        let steepness = exp64::<I>(curved);
        *score = (expm1_64::<I>(curved) + steepness * rest) / k;
        *slope *= steepness;
    }
}
