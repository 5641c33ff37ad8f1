//! The hinge loss of the margin, `max(0, 1 - z)`.

use super::{Constants, Formula};
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Hinge;

impl Formula for Hinge {
    const OPPOSITE: bool = true;

    #[inline(always)]
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64) {
        let z = constants.margin(x, y);
        let (value, slope) = if z < 1.0 { (1.0 - z, -constants.beta) } else { (0.0, 0.0) };
        (value, slope, -slope)
    }

    fn steepest(self, _: f64, constants: Constants) -> f64 {
        constants.beta
    }
}
