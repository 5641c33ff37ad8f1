//! The balanced accuracy of answers.

use super::super::frame::balance;
use super::super::{Domain, Scale, Smooth};

/// `(TP/P + TN/N)/2` with P ones and N zeros among the targets, from `[n, predicted ones, P, TP]`; NaN where a class is
/// missing.
#[derive(Clone, Copy)]
pub struct BalancedAccuracy;

impl Smooth<2, 4> for BalancedAccuracy {
    const DOMAINS: [Domain; 2] = [Domain::Binary; 2];
    const SCALE: Scale = Scale::Share;

    #[inline(always)]
    fn terms(self, [prediction, target]: [f64; 2]) -> [f64; 4] {
        [1.0, prediction, target, prediction * target]
    }

    fn value(self, sums: [f64; 4]) -> f64 {
        let [ones, zeros] = shares(sums);
        0.5 * (ones + zeros)
    }

    fn gradient(self, sums: [f64; 4]) -> [f64; 4] {
        let [n, _, ones, _] = sums;
        let [right_ones, right_zeros] = shares(sums);
        let (one, zero) = (1.0 / (2.0 * ones), 1.0 / (2.0 * (n - ones)));
        let missed = (1.0 - right_zeros) * zero;
        [missed, -zero, -right_ones * one - missed, one + zero]
    }

    /// Two classes of one size say as much as all units; others say as much as twice the harmonic mean of their sizes.
    fn effective(self, [n, _, ones, _]: [f64; 4]) -> f64 {
        balance(ones, n)
    }

    /// A class that is all right or all wrong adds the square of the standard error of values without spread, as a
    /// stratum does.
    fn unseen(self, sums: [f64; 4], ratio: f64, z: f64) -> f64 {
        let [n, _, ones, _] = sums;
        let mut added = 0.0;
        for (share, rows) in shares(sums).into_iter().zip([ones, n - ones]) {
            if share <= 0.0 || share >= 1.0 {
                let error = z / (rows * ratio + z * z) / 4.0;
                added += error * error;
            }
        }
        added
    }
}

/// TP/P and TN/N.
fn shares([n, predicted, ones, hits]: [f64; 4]) -> [f64; 2] {
    let zeros = n - ones;
    [hits / ones, if zeros > 0.0 { (n - predicted - ones + hits) / zeros } else { f64::NAN }]
}
