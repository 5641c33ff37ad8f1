//! The mean of graded values.

use super::spread::{ValueFacts, unspread};
use super::{Confidence, Interval};
use crate::simd::scalar;

/// The standard error and the interval of a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanInterval {
    /// s/sqrt(n), where s is the standard deviation with divisor n - 1.
    pub standard_error: f64,
    /// mean +- t s/sqrt(n), with the t quantile for n - 1 degrees of freedom.
    pub interval: Interval,
}

/// Student's t interval from the mean, the centred sum of squares sum (x - mean)^2 and n; `None` for n < 2.
pub fn t_interval(mean: f64, squares: f64, n: u64, confidence: Confidence) -> Option<MeanInterval> {
    if n < 2 {
        return None;
    }
    Some(scalar(|| {
        let (n, df) = (n as f64, (n - 1) as f64);
        let standard_error = (squares / df / n).sqrt();
        let interval = confidence.around(mean, confidence.t(df) * standard_error);
        MeanInterval { standard_error, interval }
    }))
}

/// [`t_interval`], or [`unspread`] where the values are equal except for rounding; and whether they are.
pub fn mean_interval(
    mean: f64,
    squares: f64,
    n: u64,
    values: &ValueFacts,
    confidence: Confidence,
) -> Option<(MeanInterval, bool)> {
    if n > 1 && values.equal() {
        return Some((unspread(mean, n as f64, values.range, confidence), true));
    }
    t_interval(mean, squares, n, confidence).map(|interval| (interval, false))
}

#[cfg(test)]
mod tests {
    use super::super::Alternative;
    use super::*;

    #[test]
    fn the_interval_of_zero_to_nine() {
        let two = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        let got = t_interval(4.5, 82.5, 10, two).unwrap();
        assert!((got.standard_error - 0.9574271077563381).abs() < 1e-15);
        assert!((got.interval.low - 2.334149410332).abs() < 1e-11);
        assert!((got.interval.high - 6.665850589668).abs() < 1e-11);
        assert_eq!(t_interval(4.5, 0.0, 1, two), None);
    }
}
