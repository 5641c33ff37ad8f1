//! Wald's interval, which takes the variance from the estimate, and Agresti and Coull's, which adds answers first.

/// The lower limit p - z sqrt(p(1-p)/n), inside [0, 1].
pub(super) fn wald_lower(hits: f64, misses: f64, z: f64) -> f64 {
    let n = hits + misses;
    let p = hits / n;
    let low = p - z * (p * (misses / n) / n).sqrt();
    // For z far below 0 the limit would exceed 1.
    let low = if low < 1.0 { low } else { 1.0 };
    if low > 0.0 { low } else { 0.0 }
}

/// Wald's lower limit at (k + z^2/2) of (n + z^2).
pub(super) fn agresti_coull_lower(hits: f64, misses: f64, z: f64) -> f64 {
    wald_lower(hits + z * z / 2.0, misses + z * z / 2.0, z)
}
