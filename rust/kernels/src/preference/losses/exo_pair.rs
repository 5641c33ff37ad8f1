//! Exact preference optimization of a pair: the divergence of the smoothed label from the policy's preference,
//! `s(z) log(s(z) / (1-e)) + s(-z) log(s(-z) / e)`, which is 0 where `s(z)` is `1 - e`. Label smoothing is what keeps it
//! finite.

use super::logistic::Logistic;
use super::{Constants, Formula};
use crate::math::{log, log1p};
use crate::simd::Isa;

/// The formula with the logarithms that are the same for every pair.
#[derive(Clone, Copy)]
pub(super) struct ExoPair {
    /// `log(1-e)`
    log_right: f64,
    /// `log e`
    log_wrong: f64,
}

impl ExoPair {
    pub(super) fn of(constants: Constants) -> ExoPair {
        let e = constants.smoothing.rate;
        ExoPair { log_right: log1p(-e), log_wrong: log(e) }
    }
}

impl Formula for ExoPair {
    const OPPOSITE: bool = true;

    /// The derivative with respect to z is `s(z) s(-z) (z - log((1-e)/e))`.
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let z = constants.margin(x, y);
        let s = Logistic::at::<I>(z);
        let right = s.of_z * (-s.softplus_of_minus_z - self.log_right);
        let wrong = s.of_minus_z * (-s.softplus - self.log_wrong);
        let value = right + wrong;
        let distance = (z - constants.smoothing.crossing) - constants.smoothing.crossing_rest;
        let slope = constants.beta * (s.slope() * distance);
        // Rounding may leave less than 0 of a divergence that vanishes.
        (if value < 0.0 { 0.0 } else { value }, slope, -slope)
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        // s(z) s(-z) is at most 1/4, and s(z) s(-z) |z| below 0.224.
        constants.beta * (0.224 + 0.25 * (self.log_right - self.log_wrong))
    }
}
