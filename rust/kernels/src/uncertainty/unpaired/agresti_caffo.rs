//! Wald's interval of a difference of shares after a right and a wrong answer are added on each side.

use crate::intervals::Interval;
use crate::uncertainty::smooth::within_one;

/// With p = (k + 1)/(n + 2) on each side, p - q +- z sqrt(p (1 - p)/(n + 2) + q (1 - q)/(m + 2)), cut off at -1 and 1
/// (Agresti and Caffo 2000).
pub(super) fn interval(hits: [f64; 2], rows: [f64; 2], z: f64) -> Interval {
    let [new, base] = [0, 1].map(|side| {
        let (k, n) = (hits[side] + 1.0, rows[side] + 2.0);
        (k / n, k * ((n - k) / n) / n / n)
    });
    let (difference, half) = (new.0 - base.0, z * (new.1 + base.1).sqrt());
    Interval { low: within_one(difference - half), high: within_one(difference + half) }
}
