//! Odds ratio preference optimization, `-log p - beta log s(x - y)` of log-odds x and y, where p is the probability of a
//! token of the chosen answer (the geometric mean), which is `s(x)`. Beta is the paper's lambda.

use super::logistic::Logistic;
use super::{Constants, Formula, larger};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Orpo;

impl Formula for Orpo {
    const OF_MARGIN: bool = false;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let (likelihood, odds) = (Logistic::at::<I>(x), Logistic::at::<I>(x - y));
        let slope = constants.beta * odds.of_minus_z;
        let value = likelihood.softplus_of_minus_z + constants.beta * odds.softplus_of_minus_z;
        (value, -(likelihood.of_minus_z + slope), slope)
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, _: Constants) -> f64 {
        larger(x.abs(), (x - y).abs())
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        1.0 + constants.beta
    }
}
