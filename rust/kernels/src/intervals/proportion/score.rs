//! Intervals that invert a normal test of p, whose variance is that of the hypothesis: Wilson's, with a correction for
//! continuity or for skewness.

use super::super::Interval;

/// Wilson's interval for any critical value `z` and for counts that need not be whole numbers, such as shares of an
/// effective number of rows: the p with (hits - n p)^2 <= z^2 n p (1 - p).
pub fn wilson(hits: f64, misses: f64, z: f64) -> Interval {
    Interval { low: wilson_lower(hits, misses, z), high: 1.0 - wilson_lower(misses, hits, z) }
}

/// The smaller root of (n + z^2) p^2 - (2k + z^2) p + k^2/n, by the form without cancellation, which is exactly 0 at k
/// = 0. For z below 0 (a one-sided interval at a level below one half) the limit is the larger root; for few hits that
/// form would cancel then, and the usual formula for the roots does not.
pub(super) fn wilson_lower(hits: f64, misses: f64, z: f64) -> f64 {
    let n = hits + misses;
    let root = (z * z + 4.0 * hits * (misses / n)).sqrt();
    let limit = if z <= 0.0 && hits <= z * z {
        (2.0 * hits + z * z - z * root) / (2.0 * (n + z * z))
    } else {
        2.0 * hits * (hits / n) / (2.0 * hits + z * z + z * root)
    };
    if limit < 1.0 { limit } else { 1.0 }
}

/// Wilson's lower limit with a correction for continuity: that of half a success less (Newcombe 1998, method 4). It is
/// 0 at k = 0.
pub(super) fn corrected_lower(hits: f64, misses: f64, z: f64) -> f64 {
    if hits == 0.0 { 0.0 } else { wilson_lower(hits - 0.5, misses + 0.5, z) }
}

/// The lower limit of the score interval corrected for skewness: the p with
/// k/n - p = z sqrt(p(1-p)/n) + (z^2 - 1)(1 - 2p)/(6n) (Laud 2017; Gart and Nam 1988).
///
/// With h = k - c, m = n - k - c and N = h + m, where c = (z^2 - 1)/6, that is (h - N p)^2 = z^2 n p (1 - p), of which
/// the limit is the smaller root. It is 0 where h is below 0, since then even p = 0 passes the test, and at k = 0. For z
/// below 0 the limit is the upper one at -z.
pub(super) fn skewed_lower(hits: f64, misses: f64, z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - skewed_lower(misses, hits, -z);
    }
    let (n, c) = (hits + misses, (z * z - 1.0) / 6.0);
    let (h, m) = (hits - c, misses - c);
    if hits == 0.0 || h <= 0.0 {
        return 0.0;
    }
    let inside = z * z + 4.0 * h * (m / n);
    let root = (if inside > 0.0 { inside } else { 0.0 }).sqrt();
    let limit = 2.0 * h * (h / n) / (2.0 * h * ((h + m) / n) + z * z + z * root);
    if limit < 1.0 { limit } else { 1.0 }
}
