//! Anchored preference optimization, `(1 - s(beta x)) + s(beta y)`: it makes the chosen answer likelier than the
//! reference has it and the rejected one less likely, each by itself.

use super::logistic::Logistic;
use super::{Constants, Formula};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct ApoZero;

impl Formula for ApoZero {
    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let beta = constants.beta;
        let (chosen, rejected) = (Logistic::at::<I>(beta * x), Logistic::at::<I>(beta * y));
        // 1 - s(t) is s(-t), which keeps its digits.
        let value = chosen.of_minus + rejected.of;
        (value, -beta * chosen.slope(), beta * rejected.slope())
    }

    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        let (chosen, rejected) = ((constants.beta * x).abs(), (constants.beta * y).abs());
        if chosen > rejected { chosen } else { rejected }
    }

    fn steepest(self, largest: f64, constants: Constants) -> f64 {
        // s(t) s(-t) is at most 1/4, and below each term of the loss.
        constants.beta * if largest < 0.25 { largest } else { 0.25 }
    }
}
