//! The cluster jackknife.

use super::residual;
use crate::grid::{Pace, Stopped};
use crate::intervals::cluster::Fit;
use crate::intervals::sums::sums_at;
use crate::simd;

/// `V = (G - 1)/G sum (m_g - m)^2` over the means `m_g` without each cluster, `m_g - m = -r_g/(N (1 - f_g))`, with
/// G - 1 degrees of freedom (CV3 of MacKinnon, Nielsen and Webb 2023).
pub(super) fn fit(sums: &[f64], sizes: &[f64], fit: Fit, pace: &mut Pace<'_>) -> Result<Fit, Stopped> {
    let [squares, filled] = sums_at(sums.len(), pace, |g| {
        let moved = residual(&fit, sums[g], sizes[g]) / (fit.all - sizes[g]);
        [moved * moved, f64::from(u8::from(sizes[g] != 0.0))]
    })?;
    Ok(simd::scalar(|| Fit { variance: squares * ((filled - 1.0) / filled), df: filled - 1.0, ..fit }))
}
