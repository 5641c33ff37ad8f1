//! The loss that a language model proposed (DiscoPOP): `(1-m) (-log s(z)) + m exp(-z)` with `m = s(z/t)`. At the
//! temperature t it passes from the logistic loss, for margins below 0, to the exponential one.

use super::logistic::Logistic;
use super::{Constants, Formula};
use crate::math::exp64_nonpositive;
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Discopop;

impl Formula for Discopop {
    const OPPOSITE: bool = true;

    /// The derivative with respect to z is `(1-m) m/t (exp(-z) + log s(z)) - (1-m) s(-z) - m exp(-z)`. It vanishes at
    /// points that no formula gives; what it keeps there are the digits of its terms.
    ///
    /// Below 0, `m exp(-z)` is `(1-m) exp(z/t - z)`, which does not overflow for `t <= 1`.
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let t = constants.temperature;
        let z = constants.margin(x, y);
        let s = Logistic::at::<I>(z);
        let scaled = z / t;
        let negative = z < 0.0;
        let far = exp64_nonpositive::<I>(-scaled.abs());
        let (small, large) = (far / (1.0 + far), 1.0 / (1.0 + far));
        let mix = if negative { small } else { large };
        let rest = if negative { large } else { small };
        let exponential = large * exp64_nonpositive::<I>(if negative { scaled - z } else { -z });
        let logistic = s.softplus_of_minus_z;
        let steep = rest / t * (exponential - mix * logistic);
        let slope = constants.beta * (steep - (rest * s.of_minus_z + exponential));
        (rest * logistic + exponential, slope, -slope)
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        // The first term of the derivative is at most 1/t, since (1-m) m exp(-z) is at most 1 for t <= 1; each of the
        // others is at most 1.
        constants.beta * if constants.temperature < 0.5 { 1.0 / constants.temperature } else { 2.0 }
    }
}
