//! The Brier score of probabilities.

use super::super::{Domain, Scale, Smooth};

/// `sum (p - t)^2 / n`, from `[n, sum of squares]`.
#[derive(Clone, Copy)]
pub struct Brier;

impl Smooth<2, 2> for Brier {
    const DOMAINS: [Domain; 2] = [Domain::Share, Domain::Binary];
    const SCALE: Scale = Scale::Share;

    #[inline(always)]
    fn terms(self, [probability, target]: [f64; 2]) -> [f64; 2] {
        let error = probability - target;
        [1.0, error * error]
    }

    fn value(self, [n, squares]: [f64; 2]) -> f64 {
        squares / n
    }

    fn gradient(self, [n, squares]: [f64; 2]) -> [f64; 2] {
        [-squares / n / n, 1.0 / n]
    }
}
