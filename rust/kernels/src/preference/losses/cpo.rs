//! Contrastive preference optimization, `-log s(z) - w x` of log-probabilities without a reference: DPO with a uniform
//! reference, and with the negative log-likelihood of the chosen answer at the weight w.

use super::logistic::Logistic;
use super::{Constants, Formula};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Cpo;

impl Formula for Cpo {
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let s = Logistic::at::<I>(constants.margin(x, y));
        let slope = constants.beta * s.of_minus_z;
        (s.softplus_of_minus_z - constants.sft * x, -(slope + constants.sft), slope)
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        constants.beta + constants.sft
    }
}
