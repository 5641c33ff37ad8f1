//! How long the blocks of a series should be.

use super::blocks::Kind;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::sums::sums_at;
use crate::math::{exp, log};
use crate::memory;
use crate::simd::scalar;

/// A correlation counts as 0 below so many times `sqrt(log10(n) / n)`.
const CRITICAL: f64 = 2.0;

/// The length of blocks that makes the error of the variance of a series' mean least (Politis and White 2004, with the
/// correction of Patton, Politis and White 2009): a whole number except for stationary blocks.
///
/// With R(k) the autocovariances, m the smallest lag after which K = max(5, sqrt(log10 n)) correlations are all below
/// `2 sqrt(log10(n)/n)`, M = 2 max(m, 1) (at most sqrt(n) + K, both rounded up, and this where there is no such m), and
/// weights w of 1 up to M/2 and falling to 0 at M: `G = sum w |k| R(k)`, `g = sum w R(k)` over lags of both signs, and
/// the length is `(2 G^2 n / (D g^2))^(1/3)` with D = 2 for stationary blocks and 4/3 for the others; at least 1, and at
/// most 3 sqrt(n) and n/3, rounded up.
pub fn block_length(series: &[f64], kind: Kind, progress: Progress<'_>) -> Result<f64, Stopped> {
    let n = series.len();
    let pace = &mut Pace::new(progress);
    if n < 2 {
        return Ok(1.0);
    }
    let [sum] = sums_at(n, pace, |i| [series[i]])?;
    let mean = scalar(|| sum / n as f64);
    let mut covariance = |lag: usize| {
        let [sum] = sums_at(n - lag, pace, |i| [(series[i] - mean) * (series[i + lag] - mean)])?;
        Ok::<f64, Stopped>(scalar(|| sum / n as f64))
    };
    let (few, most, critical) = scalar(|| {
        let rows = n as f64;
        let digits = log(rows) / log(10.0);
        let few = digits.sqrt().ceil();
        let few = if few > 5.0 { few } else { 5.0 };
        (few as usize, (rows.sqrt().ceil() + few) as usize, CRITICAL * (digits / rows).sqrt())
    });
    let most = most.min(n - 1);
    let mut covariances = memory::filled(1, covariance(0)?)?;
    if covariances[0] <= 0.0 {
        return Ok(1.0);
    }
    let (mut small, mut lags) = (0, most);
    for lag in 1..=most {
        memory::push(&mut covariances, covariance(lag)?)?;
        small = if scalar(|| covariances[lag].abs() < critical * covariances[0]) { small + 1 } else { 0 };
        if small == few {
            lags = most.min(2 * (lag - few).max(1));
            break;
        }
    }
    while covariances.len() <= lags {
        let lag = covariances.len();
        memory::push(&mut covariances, covariance(lag)?)?;
    }
    Ok(scalar(|| {
        let (mut bend, mut level) = (0.0, covariances[0]);
        for (lag, covariance) in covariances.iter().enumerate().take(lags + 1).skip(1) {
            let share = lag as f64 / lags as f64;
            let weight = if share <= 0.5 { 1.0 } else { 2.0 * (1.0 - share) };
            bend += 2.0 * weight * lag as f64 * covariance;
            level += 2.0 * weight * covariance;
        }
        let divisor = if kind == Kind::Stationary { 2.0 } else { 4.0 / 3.0 };
        let (rows, ratio) = (n as f64, bend / level);
        let cubed = 2.0 * ratio * ratio * rows / divisor;
        let length = if cubed > 0.0 { exp(log(cubed) / 3.0) } else { 1.0 };
        let longest = if rows > 81.0 { 3.0 * rows.sqrt() } else { rows / 3.0 }.ceil();
        let length = if length > longest { longest } else { length };
        let length = if kind == Kind::Stationary { length } else { (length + 0.5).floor() };
        if length > 1.0 { length } else { 1.0 }
    }))
}
