//! Anchored preference optimization for a policy that is better than both answers, `s(beta x) + (1 - s(z))`: the chosen
//! answer becomes less likely than under the reference, and the rejected one less likely than the chosen one.

use super::logistic::Logistic;
use super::{Constants, Formula, larger};
use crate::math::{exp64_nonpositive, expm1_64};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct ApoDown;

impl Formula for ApoDown {
    const OF_MARGIN: bool = false;

    /// The derivative with respect to x, `s'(beta x) - s'(z)`, vanishes where `|beta x| = |z|`. With `p = exp(-|beta x|)`
    /// and `q = exp(-|z|)` it is `(p - q) (1 - p q) / ((1+p) (1+q))^2`, where both differences are computed with `expm1`.
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let beta = constants.beta;
        let (t, z) = (beta * x, constants.margin(x, y));
        let (chosen, both) = (Logistic::at::<I>(t), Logistic::at::<I>(z));
        let (t, z) = (t.abs(), z.abs());
        let (p, q) = (exp64_nonpositive::<I>(-t), exp64_nonpositive::<I>(-z));
        let nearer = t < z;
        let bend = if nearer { p } else { -q };
        let differences = expm1_64::<I>(-(z - t).abs()) * expm1_64::<I>(-(z + t));
        let root = (1.0 + p) * (1.0 + q);
        let slope = bend * differences / (root * root);
        (chosen.of_z + both.of_minus_z, beta * slope, beta * both.slope())
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        larger((constants.beta * x).abs(), constants.margin(x, y).abs())
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        // The slopes s' are at most 1/4, have one sign, and are smaller than the loss's terms s(beta x) and s(-z).
        constants.beta * if largest < 0.25 { largest } else { 0.25 }
    }
}
