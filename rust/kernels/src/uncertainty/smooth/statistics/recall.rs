//! The recall of answers.

use super::super::{Domain, Scale, Smooth};
use super::precision::Precision;

/// The share of the ones that are predicted as ones, from `[ones, true positives]`: the precision with predictions and
/// targets exchanged. NaN where there are no ones.
#[derive(Clone, Copy)]
pub struct Recall;

impl Smooth<2, 2> for Recall {
    const DOMAINS: [Domain; 2] = Precision::DOMAINS;
    const SCALE: Scale = Precision::SCALE;
    const SIZED: bool = true;
    const ANSWERS: bool = Precision::ANSWERS;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        Precision.terms([target, prediction])
    }

    fn value(self, sums: [f64; 2]) -> f64 {
        Precision.value(sums)
    }

    fn gradient(self, sums: [f64; 2]) -> [f64; 2] {
        Precision.gradient(sums)
    }

    fn hits(self, sums: [f64; 2]) -> f64 {
        Precision.hits(sums)
    }
}
