//! Wald's interval of the log-odds.

use crate::math::beta::moved;

/// The lower limit of p whose log-odds are log(k/(n - k)) - z sqrt(1/k + 1/(n - k)). Where one of the counts is 0, 1/2
/// is added to both (Haldane 1956; Anscombe 1956).
pub(super) fn lower(hits: f64, misses: f64, z: f64) -> f64 {
    let more = if hits == 0.0 || misses == 0.0 { 0.5 } else { 0.0 };
    let (h, m) = (hits + more, misses + more);
    let n = h + m;
    moved(h / n, m / n, -z * (1.0 / h + 1.0 / m).sqrt()).0
}
