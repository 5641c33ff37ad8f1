//! Anchored preference optimization, `(1 - s(beta x)) + s(beta y)`: it makes the chosen answer more likely than under
//! the reference and the rejected answer less likely, independently of each other.

use super::logistic::Logistic;
use super::{Constants, Formula, larger};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct ApoZero;

impl Formula for ApoZero {
    const OF_MARGIN: bool = false;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let beta = constants.beta;
        let (chosen, rejected) = (Logistic::at::<I>(beta * x), Logistic::at::<I>(beta * y));
        // 1 - s(t) is computed as s(-t), without cancellation.
        let value = chosen.of_minus_z + rejected.of_z;
        (value, -beta * chosen.slope(), beta * rejected.slope())
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        larger((constants.beta * x).abs(), (constants.beta * y).abs())
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        // The slope s(t) s(-t) is at most 1/4, and smaller than the loss's term s(-beta x) or s(beta y).
        constants.beta * if largest < 0.25 { largest } else { 0.25 }
    }
}
