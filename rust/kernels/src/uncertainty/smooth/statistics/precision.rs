//! The precision of answers.

use super::super::{Domain, Scale, Smooth};

/// The share of the predicted ones that are ones, from `[predicted ones, true positives]`; NaN where there are no predicted ones.
#[derive(Clone, Copy)]
pub struct Precision;

impl Smooth<2, 2> for Precision {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::Share;
    const SIZED: bool = true;
    const ANSWERS: bool = true;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        [prediction, prediction * target]
    }

    fn value(self, [all, hits]: [f64; 2]) -> f64 {
        hits / all
    }

    fn gradient(self, [all, hits]: [f64; 2]) -> [f64; 2] {
        [-hits / all / all, 1.0 / all]
    }

    fn hits(self, [_, hits]: [f64; 2]) -> f64 {
        hits
    }
}
