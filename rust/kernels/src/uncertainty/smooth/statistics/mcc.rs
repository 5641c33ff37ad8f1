//! Matthews' correlation coefficient of answers.

use super::super::frame::{balance, means, of_means, within_one};
use super::super::{Domain, Scale, Smooth};

/// The correlation of predictions and targets, from `[n, predicted ones, ones, TP]`; NaN where one of them is constant.
#[derive(Clone, Copy)]
pub struct Mcc;

impl Smooth<2, 4> for Mcc {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::AtanhOfCounts;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 4] {
        [1.0, prediction, target, prediction * target]
    }

    fn value(self, sums: [f64; 4]) -> f64 {
        let [_, p, t, both] = means(sums);
        let r = (both - p * t) / (p * (1.0 - p) * (t * (1.0 - t))).sqrt();
        within_one(r)
    }

    fn gradient(self, sums: [f64; 4]) -> [f64; 4] {
        let [_, p, t, _] = means(sums);
        let (r, vp, vt) = (self.value(sums), p * (1.0 - p), t * (1.0 - t));
        let root = (vp * vt).sqrt();
        let by_p = -t / root - r * (1.0 - 2.0 * p) / (2.0 * vp);
        let by_t = -p / root - r * (1.0 - 2.0 * t) / (2.0 * vt);
        of_means(sums, [0.0, by_p, by_t, 1.0 / root])
    }

    /// As for the balanced accuracy, which bounds it where all answers are right.
    fn effective(self, [n, _, ones, _]: [f64; 4]) -> f64 {
        balance(ones, n)
    }
}
