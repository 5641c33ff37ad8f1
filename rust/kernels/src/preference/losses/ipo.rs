//! Identity preference optimization, `((z - 1/2) / beta)^2`; beta is the paper's tau. As in the paper, the
//! log-probabilities are summed over tokens; TRL averages them.

use super::{Constants, Formula};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Ipo;

impl Formula for Ipo {
    const OPPOSITE: bool = true;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let gap = (constants.margin(x, y) - 0.5) / constants.beta;
        let slope = 2.0 * gap;
        (gap * gap, slope, -slope)
    }

    fn steepest(self, largest: f64, _: Constants) -> f64 {
        2.0 * largest.sqrt()
    }
}
