//! Noise contrastive alignment of a pair, `-log s(beta x) - (log s(-beta x) + log s(-beta y)) / 2`: a term for each
//! answer by itself, so that the chosen answer does not become less likely along with the rejected one. In `x` the loss
//! is smallest where `s(beta x)` is 2/3.

use super::logistic::Logistic;
use super::{Constants, Formula, larger};
use crate::math::expm1_64;
use crate::simd::Isa;
use std::f64::consts::LN_2;

/// The rounding error of `LN_2`.
const LN_2_REST: f64 = 2.319_046_813_846_299_6e-17;

#[derive(Clone, Copy)]
pub(super) struct NcaPair;

impl Formula for NcaPair {
    const OF_MARGIN: bool = false;

    /// The derivative with respect to `t = beta x`, `s(t)/2 - s(-t)`, vanishes at `t = log 2`. It is computed as
    /// `s(-t) expm1(d)` with `d = t - log 2`, or for `d >= 0`, where that could overflow, as `-s(t)/2 expm1(-d)`.
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let beta = constants.beta;
        let t = beta * x;
        let (chosen, rejected) = (Logistic::at::<I>(t), Logistic::at::<I>(beta * y));
        let distance = (t - LN_2) - LN_2_REST;
        let weight = if distance < 0.0 { chosen.of_minus_z } else { -0.5 * chosen.of_z };
        let slope = weight * expm1_64::<I>(-distance.abs());
        let value = chosen.softplus_of_minus_z + 0.5 * (chosen.softplus + rejected.softplus);
        (value, beta * slope, beta * (0.5 * rejected.of_z))
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        larger((constants.beta * x).abs(), (constants.beta * y).abs())
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        // The derivative with respect to beta x lies in (-1, 1/2), that with respect to beta y in (0, 1/2). The loss is
        // at least 0.95, which gives no better bound.
        constants.beta
    }
}
