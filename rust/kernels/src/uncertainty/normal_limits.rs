//! The normal interval of the bootstrap.

use super::NoEstimate;
use super::limits::{Limit, Limits};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::moments::{Column, moments};
use crate::intervals::sums::sums_at;
use crate::intervals::{Alternative, Confidence};
use crate::math::normal;
use crate::simd::scalar;

/// The limits `2 value - m + z s` with the mean m and the standard deviation s of the replicates and the normal
/// quantiles z: those of the value minus the bias `m - value` (Davison and Hinkley, "Bootstrap Methods and their
/// Application", 1997, section 5.2).
///
/// The Monte-Carlo error of a limit is the standard error of the mean of `z (d^2 - s^2)/(2 s) - d` over the replicates,
/// with their distances d from m: what each of them moves the limit by.
pub(super) fn normal_limits(
    replicates: &[f64],
    value: f64,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<Limits, NoEstimate>, Stopped> {
    let count = replicates.len();
    let Column::Finite(moments) = moments(replicates, &mut *progress)? else {
        return Ok(Err(NoEstimate::EmptyResample));
    };
    let tail = confidence.tail();
    if count < 2 {
        return Ok(Err(NoEstimate::Beyond { count, level: tail }));
    }
    if moments.min == moments.max {
        return Ok(Err(NoEstimate::EqualReplicates { n: count }));
    }
    let (mean, n) = (moments.mean, count as f64);
    let deviation = scalar(|| (moments.squares / (n - 1.0)).sqrt());
    let mut pace = Pace::new(progress);
    let mut limit = |open: Alternative, level: f64, infinite: f64| -> Result<Limit, Stopped> {
        if confidence.alternative == open {
            return Ok(Limit { value: infinite, error: 0.0 });
        }
        let z = normal::quantile(level);
        let [squares] = sums_at(count, &mut pace, |r| {
            let d = (replicates[r] - mean) / deviation;
            let moves = 0.5 * z * (d * d - 1.0) - d;
            [moves * moves]
        })?;
        Ok(scalar(|| Limit {
            value: 2.0 * value - mean + z * deviation,
            error: deviation * squares.sqrt() / n,
        }))
    };
    let low = limit(Alternative::Less, tail, f64::NEG_INFINITY)?;
    let high = limit(Alternative::Greater, 1.0 - tail, f64::INFINITY)?;
    Ok(Ok(Limits { low, high }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn limits(replicates: &[f64], value: f64) -> Result<Limits, NoEstimate> {
        normal_limits(replicates, value, TWO, &mut |_| true).unwrap()
    }

    #[test]
    fn the_bias_is_taken_off() {
        let replicates: Vec<f64> = (0..101).map(f64::from).collect();
        let got = limits(&replicates, 49.0).unwrap();
        let s = (101.0f64 * 102.0 / 12.0).sqrt();
        assert!((got.low.value - (48.0 - 1.959_963_984_540_054 * s)).abs() < 1e-10);
        assert!((got.low.value + got.high.value - 96.0).abs() < 1e-10);
        // d is symmetric, so that both errors are sqrt((s^2 + z^2/4 var(d^2)/s^2)/B).
        assert!((got.low.error / got.high.error - 1.0).abs() < 1e-12);
        assert!(got.low.error > s / 101f64.sqrt() && got.low.error < 2.0 * s / 101f64.sqrt());
    }

    #[test]
    fn one_replicate_or_equal_ones_are_refused() {
        assert!(matches!(limits(&[1.0], 1.0), Err(NoEstimate::Beyond { count: 1, .. })));
        assert_eq!(limits(&[1.0; 5], 1.0), Err(NoEstimate::EqualReplicates { n: 5 }));
    }
}
