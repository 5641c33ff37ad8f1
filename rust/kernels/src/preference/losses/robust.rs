//! DPO with a loss that is unbiased if labels are wrong with probability e: `(-(1-e) log s(z) + e log s(-z)) / (1-2e)`.

use super::logistic::Logistic;
use super::{Constants, Formula};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Robust;

impl Formula for Robust {
    const OPPOSITE: bool = true;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let e = constants.smoothing.rate;
        let scale = 1.0 - 2.0 * e;
        let s = Logistic::at::<I>(constants.margin(x, y));
        let value = ((1.0 - e) * s.softplus_of_minus_z - e * s.softplus) / scale;
        let slope = constants.beta * -((e * s.of_z + (1.0 - e) * s.of_minus_z) / scale);
        (value, slope, -slope)
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        let e = constants.smoothing.rate;
        constants.beta * (1.0 - e) / (1.0 - 2.0 * e)
    }
}
