//! The recall of answers.

use super::super::{Domain, Scale, Smooth};

/// The share of the ones that are predicted as ones, from `[ones, true positives]`; NaN where there are no ones.
#[derive(Clone, Copy)]
pub struct Recall;

impl Smooth<2, 2> for Recall {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::Share;
    const ANSWERS: bool = true;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        [target, prediction * target]
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
