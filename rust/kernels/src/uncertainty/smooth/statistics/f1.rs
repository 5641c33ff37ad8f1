//! The F1 score of answers.

use super::super::{Domain, Scale, Smooth};

/// `2 TP / (2 TP + FP + FN)`, from `[predicted ones + ones, TP]`; NaN where there are none. It is 2J/(1 + J) with J the
/// share TP / (TP + FP + FN) of the rows that are predicted or true ones.
#[derive(Clone, Copy)]
pub struct F1;

impl Smooth<2, 2> for F1 {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::Jaccard;
    const SIZED: bool = true;
    const ANSWERS: bool = true;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 2] {
        [prediction + target, prediction * target]
    }

    fn value(self, [both, hits]: [f64; 2]) -> f64 {
        2.0 * hits / both
    }

    fn gradient(self, [both, hits]: [f64; 2]) -> [f64; 2] {
        [-2.0 * hits / both / both, 2.0 / both]
    }

    fn size(self, [both, hits]: [f64; 2]) -> f64 {
        both - hits
    }

    fn hits(self, [_, hits]: [f64; 2]) -> f64 {
        hits
    }
}
