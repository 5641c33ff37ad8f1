//! Self-play preference optimization with hard labels, `(x - 1/(2 beta))^2 + (y + 1/(2 beta))^2`: the log-ratio of each
//! answer is fitted to half of `1/beta` or of `-1/beta`.

use super::{Constants, Formula, larger};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct SppoHard;

impl Formula for SppoHard {
    const OF_MARGIN: bool = false;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let beta = constants.beta;
        let (chosen, rejected) = ((beta * x - 0.5) / beta, (beta * y + 0.5) / beta);
        (chosen * chosen + rejected * rejected, 2.0 * chosen, 2.0 * rejected)
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        larger((constants.beta * x).abs(), (constants.beta * y).abs())
    }

    fn steepest(self, largest: f64, _: Constants) -> f64 {
        2.0 * largest.sqrt()
    }
}
