//! The accuracy of answers.

use super::super::{Domain, Scale, Smooth};

/// The share of rows whose prediction is the target, from `[n, hits]`.
#[derive(Clone, Copy)]
pub struct Accuracy;

impl Smooth<2, 2> for Accuracy {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::Share;
    const ANSWERS: bool = true;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        [1.0, 1.0 - (prediction - target).abs()]
    }

    fn value(self, [n, hits]: [f64; 2]) -> f64 {
        hits / n
    }

    fn gradient(self, [n, hits]: [f64; 2]) -> [f64; 2] {
        [-hits / n / n, 1.0 / n]
    }

    fn hits(self, [_, hits]: [f64; 2]) -> f64 {
        hits
    }
}
