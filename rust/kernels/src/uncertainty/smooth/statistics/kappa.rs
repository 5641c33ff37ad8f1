//! Cohen's kappa of answers.

use super::super::frame::{balance, means, of_means};
use super::super::{Domain, Scale, Smooth};

/// `(a - c)/(1 - c)` with a the share of equal answers and c the share that independent answers of the same frequencies
/// would have, from `[n, predicted ones, ones, TP]`; NaN where all answers and targets are one value.
#[derive(Clone, Copy)]
pub struct Kappa;

impl Smooth<2, 4> for Kappa {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::AtanhOfCounts;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 4] {
        [1.0, prediction, target, prediction * target]
    }

    /// With two values, `kappa = 2 (both - p t)/(p + t - 2 p t)`.
    fn value(self, sums: [f64; 4]) -> f64 {
        let [_, p, t, both] = means(sums);
        2.0 * (both - p * t) / (p * (1.0 - t) + t * (1.0 - p))
    }

    fn gradient(self, sums: [f64; 4]) -> [f64; 4] {
        let [_, p, t, _] = means(sums);
        let (kappa, below) = (self.value(sums), p * (1.0 - t) + t * (1.0 - p));
        let by_p = (-2.0 * t - kappa * (1.0 - 2.0 * t)) / below;
        let by_t = (-2.0 * p - kappa * (1.0 - 2.0 * p)) / below;
        of_means(sums, [0.0, by_p, by_t, 2.0 / below])
    }

    /// As for the balanced accuracy, which bounds it where all answers are right.
    fn effective(self, [n, _, ones, _]: [f64; 4]) -> f64 {
        balance(ones, n)
    }
}
