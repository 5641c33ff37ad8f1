//! Values without spread: when values count as equal, and which interval replaces the one of width 0 that they would
//! give.

use super::mean::MeanInterval;
use super::{Confidence, Interval};
use crate::named;
use crate::simd::scalar;

/// Values that differ by at most this many steps (units in the last place) count as equal. A difference new - base
/// carries a rounding error of half a step from each score and from the subtraction, and a mean over 20 epochs up to
/// 3.6 steps that depend on the order of addition.
pub const STEPS: f64 = 8.0;

named! {
    /// The range in which every score is known to lie.
    pub enum Range: "scores.range" {
        /// Anywhere.
        Unknown = "unknown",
        /// In [0, 1].
        Share = "share",
        /// The values are differences of scores in [0, 1].
        Difference = "difference",
    }
}

/// What is known about the values behind a mean, apart from their moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueFacts {
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// A unit in the last place of the largest magnitude among the inputs; where the values are differences, these are
    /// the scores on both sides. 0 where nothing was rounded.
    pub step: f64,
    /// The number of values.
    pub rows: f64,
    /// The range in which the scores lie.
    pub range: Range,
}

impl ValueFacts {
    /// Whether the values may differ by rounding alone, that is by at most [`STEPS`] steps.
    pub fn equal(&self) -> bool {
        scalar(|| self.high - self.low <= STEPS * self.step)
    }

    /// The width of the range in which the values lie; where it is not known, the distance of the smallest value from
    /// the largest.
    pub fn width(&self) -> f64 {
        match self.range {
            Range::Unknown => scalar(|| self.high - self.low),
            Range::Share => 1.0,
            Range::Difference => 2.0,
        }
    }

    /// How far rounding can move two equal cluster means apart: [`STEPS`] steps of the values, and for each of the two
    /// means a relative rounding error of 2^-53 per row in the sum about `shift` and in the sum of weights.
    pub fn noise(&self, shift: f64) -> f64 {
        scalar(|| {
            let (up, down) = (self.high - shift, shift - self.low);
            let reach = if up > down { up } else { down };
            STEPS * self.step + self.rows * (2.0 * f64::EPSILON) * reach
        })
    }
}

/// The standard error and interval of a mean whose `n` values (or clusters) all equal `value`.
///
/// With q = z^2/(n + z^2), Wilson's upper limit for 0 of n: a common score c in [0, 1] gives [c (1 - q), c + q (1 -
/// c)], a common difference d of such scores gives [d - q (1 + d), d + q (1 - d)]. That is as if a share q of the
/// population, of which the sample shows nothing, lay at the far end of the range. The standard error is the width of
/// the two-sided interval divided by 2z. All are NaN where the range is not known.
pub fn unspread(value: f64, n: f64, range: Range, confidence: Confidence) -> MeanInterval {
    scalar(|| {
        let sides = limits(value, n, range, confidence.two_sided().z());
        let standard_error = (sides.high - sides.low) / (2.0 * confidence.two_sided().z());
        let both = limits(value, n, range, confidence.z());
        let interval = match range {
            Range::Unknown => both,
            Range::Share => confidence.open(both, 0.0, 1.0),
            Range::Difference => confidence.open(both, -1.0, 1.0),
        };
        MeanInterval { standard_error, interval }
    })
}

/// Both limits of [`unspread`] for the critical value `z`.
pub fn limits(value: f64, n: f64, range: Range, z: f64) -> Interval {
    scalar(|| {
        // For a one-sided interval at a level of 1/2 or less, Wilson's upper limit for 0 of n is 0.
        let q = if z > 0.0 { z * z / (n + z * z) } else { 0.0 };
        let high = value + q * (1.0 - value);
        match range {
            Range::Unknown => Interval { low: f64::NAN, high: f64::NAN },
            Range::Share => Interval { low: value * (1.0 - q), high },
            Range::Difference => Interval { low: value - q * (1.0 + value), high },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Alternative;
    use super::super::proportion::wilson;
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    #[test]
    fn two_differences_of_a_tenth() {
        let got = unspread(-0.1, 2.0, Range::Difference, TWO);
        assert!(
            (got.interval.low + 0.692).abs() < 5e-4 && (got.interval.high - 0.623).abs() < 5e-4,
            "{got:?}"
        );
        let many = unspread(0.0, 200.0, Range::Difference, TWO);
        assert!((many.interval.high - 0.019).abs() < 5e-4 && many.interval.low == -many.interval.high);
    }

    #[test]
    fn at_the_ends_it_is_wilsons_interval() {
        for n in [2.0, 20.0, 1e6] {
            let (none, all) = (wilson(0.0, n, TWO.z()), wilson(n, 0.0, TWO.z()));
            let (at0, at1) = (unspread(0.0, n, Range::Share, TWO), unspread(1.0, n, Range::Share, TWO));
            assert!((at0.interval.high - none.high).abs() < 1e-15 && at0.interval.low == 0.0);
            assert!((at1.interval.low - all.low).abs() < 1e-15 && at1.interval.high == 1.0);
            assert!((at0.standard_error - none.high / (2.0 * TWO.z())).abs() < 1e-15);
        }
    }

    #[test]
    fn limits_stay_inside_the_range_and_contain_the_value() {
        for n in [2.0, 3.0, 50.0, 1e9] {
            for i in 0..=1000 {
                let c = f64::from(i) / 1000.0;
                for (value, range, lowest) in
                    [(c, Range::Share, 0.0), (2.0 * c - 1.0, Range::Difference, -1.0)]
                {
                    let Interval { low, high } = unspread(value, n, range, TWO).interval;
                    assert!(lowest <= low && low <= value && value <= high && high <= 1.0 && low < high);
                }
            }
        }
    }

    #[test]
    fn one_side_is_open_to_the_end_of_the_range() {
        let less = Confidence { level: 0.975, alternative: Alternative::Less };
        let greater = Confidence { level: 0.975, alternative: Alternative::Greater };
        let two = unspread(0.25, 9.0, Range::Difference, TWO);
        let (down, up) = (
            unspread(0.25, 9.0, Range::Difference, less).interval,
            unspread(0.25, 9.0, Range::Share, greater).interval,
        );
        assert_eq!((down.low, up.high), (-1.0, 1.0));
        assert!((down.high - two.interval.high).abs() < 1e-14);
        assert!(unspread(0.25, 9.0, Range::Difference, less).standard_error > 0.0);
    }

    #[test]
    fn an_unknown_range_gives_no_limits() {
        let got = unspread(7.0, 20.0, Range::Unknown, TWO);
        assert!(got.standard_error.is_nan() && got.interval.low.is_nan() && got.interval.high.is_nan());
    }

    #[test]
    fn differences_that_rounding_moved_apart_are_equal() {
        let (low, high) = (0.6 - 0.5, 0.4 - 0.3);
        let facts = |step| ValueFacts { low, high, step, rows: 4.0, range: Range::Difference };
        assert!(low < high && facts(0.9 * f64::EPSILON).equal() && !facts(0.0).equal());
    }
}
