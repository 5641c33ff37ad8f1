//! Binary classifier optimization of a pair, `-log s(beta x - D) - log s(-(beta y - D))`: each answer by itself is told
//! from the shift `D`, which its authors take from the mean reward.

use super::logistic::Logistic;
use super::{Constants, Formula, larger};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct BcoPair;

impl Formula for BcoPair {
    const OF_MARGIN: bool = false;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let Constants { beta, shift, .. } = constants;
        let (chosen, rejected) = (Logistic::at::<I>(beta * x - shift), Logistic::at::<I>(beta * y - shift));
        let value = chosen.softplus_of_minus_z + rejected.softplus;
        (value, -beta * chosen.of_minus_z, beta * rejected.of_z)
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        let Constants { beta, shift, .. } = constants;
        larger((beta * x - shift).abs(), (beta * y - shift).abs())
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        // Each slope is smaller than its term of the loss.
        constants.beta * if largest < 1.0 { largest } else { 1.0 }
    }
}
