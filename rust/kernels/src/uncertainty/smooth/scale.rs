//! The scale on which the interval of a statistic is symmetric, and the range that its limits do not leave.

use crate::intervals::proportion::wilson;
use crate::intervals::spread::{Range, limits};
use crate::intervals::{Confidence, Interval};
use crate::math::{exp, expm1, log1p};

/// How an interval follows from the value, its standard error and Student's t. See `docs/decisions/0050-intervals.md`
/// for the coverage by which each statistic has the scale that it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// `value +- t se`; any number.
    Identity,
    /// Symmetric in the logarithm of the distance from the smallest possible value, which is given; at least that.
    LogFrom(f64),
    /// Symmetric in the logarithm of 1 - value; at most 1.
    LogRest,
    /// Symmetric in artanh (Fisher's z); in [-1, 1].
    Atanh,
    /// The same, of a statistic of counts, whose range also bounds what no row has shown.
    AtanhOfCounts,
    /// Wilson's interval with `value (1 - value) / V` rows and t in place of z; in [0, 1].
    Share,
    /// The same of value/100; in [0, 100].
    Percent,
    /// Wilson's interval of `J = value / (2 - value)`, turned back: F1 is 2J/(1 + J), and J = TP/(TP + FP + FN) is a
    /// share of rows; in [0, 1].
    Jaccard,
}

/// What an interval is made of.
#[derive(Clone, Copy)]
pub(super) struct Fit {
    pub value: f64,
    /// The standard error; 0 where there is no spread.
    pub error: f64,
    pub df: f64,
    /// The effective number of units, where there is no spread.
    pub still: f64,
    /// The most rows that the effective number of rows may be.
    pub rows: f64,
}

/// An interval with its standard error, and the number of rows in Wilson's interval (NaN elsewhere).
pub(super) struct Drawn {
    pub standard_error: f64,
    pub interval: Interval,
    pub n_effective: f64,
}

impl Scale {
    /// The name in words, as results show it before the kind of interval.
    pub fn words(self) -> &'static str {
        match self {
            Scale::Identity => "t",
            Scale::LogFrom(_) => "log t",
            Scale::LogRest => "log(1 - x) t",
            Scale::Atanh | Scale::AtanhOfCounts => "artanh t",
            Scale::Share | Scale::Percent | Scale::Jaccard => "Wilson",
        }
    }

    /// The ends of the range.
    fn ends(self) -> (f64, f64) {
        match self {
            Scale::Identity => (f64::NEG_INFINITY, f64::INFINITY),
            Scale::LogFrom(lowest) => (lowest, f64::INFINITY),
            Scale::LogRest => (f64::NEG_INFINITY, 1.0),
            Scale::Atanh | Scale::AtanhOfCounts => (-1.0, 1.0),
            Scale::Share | Scale::Jaccard => (0.0, 1.0),
            Scale::Percent => (0.0, 100.0),
        }
    }

    /// The interval of a fit whose degrees of freedom are known. Without a spread there are limits where the range
    /// bounds them, and NaN elsewhere.
    pub(super) fn draw(self, fit: Fit, confidence: Confidence) -> Drawn {
        let (lowest, highest) = self.ends();
        let open = |interval| confidence.open(interval, lowest, highest);
        if fit.error > 0.0 {
            let (both, n_effective) = self.around(fit, confidence.t(fit.df));
            return Drawn { standard_error: fit.error, interval: open(both), n_effective };
        }
        let sides = self.without_spread(fit, confidence.two_sided().t(fit.df));
        let width = 2.0 * confidence.two_sided().t(fit.df);
        let standard_error = (sides.high - sides.low) / width;
        let n_effective = if matches!(self, Scale::Share | Scale::Jaccard) { fit.still } else { f64::NAN };
        let interval = self.without_spread(fit, confidence.t(fit.df));
        let interval = if interval.low.is_nan() { interval } else { open(interval) };
        Drawn { standard_error, interval, n_effective }
    }

    /// Both limits for the critical value t.
    fn around(self, fit: Fit, t: f64) -> (Interval, f64) {
        let Fit { value, error, .. } = fit;
        let half = t * error;
        let interval = match self {
            Scale::Identity => Interval { low: value - half, high: value + half },
            Scale::LogFrom(lowest) => {
                let above = value - lowest;
                let factor = half / above;
                Interval { low: lowest + above * exp(-factor), high: lowest + above * exp(factor) }
            }
            Scale::LogRest => {
                let rest = 1.0 - value;
                let factor = half / rest;
                Interval { low: 1.0 - rest * exp(factor), high: 1.0 - rest * exp(-factor) }
            }
            Scale::Atanh | Scale::AtanhOfCounts => {
                // artanh v = log1p(2 v / (1 - v)) / 2, and tanh z = m / (m + 2) with m = exp(2 z) - 1.
                let z = log1p(2.0 * value / (1.0 - value)) / 2.0;
                let half = half / ((1.0 - value) * (1.0 + value));
                Interval { low: tanh(z - half), high: tanh(z + half) }
            }
            Scale::Share => return shared(value, error, fit, t),
            Scale::Percent => of_share_in_percent(shared(value / 100.0, error / 100.0, fit, t).0),
            Scale::Jaccard => {
                let (rest, half) = (2.0 - value, value / (2.0 - value));
                let (interval, n_effective) = shared(half, error * 2.0 / (rest * rest), fit, t);
                return (of_jaccard(interval), n_effective);
            }
        };
        (interval, f64::NAN)
    }

    /// Both limits where all units say the same.
    fn without_spread(self, fit: Fit, t: f64) -> Interval {
        let Fit { value, still, .. } = fit;
        match self {
            Scale::Share => wilson(value * still, (1.0 - value) * still, t),
            Scale::Percent => {
                let share = value / 100.0;
                of_share_in_percent(wilson(share * still, (1.0 - share) * still, t))
            }
            Scale::Jaccard => {
                let share = value / (2.0 - value);
                of_jaccard(wilson(share * still, (1.0 - share) * still, t))
            }
            Scale::AtanhOfCounts => limits(value, still, Range::Difference, t),
            Scale::Identity | Scale::LogFrom(_) | Scale::LogRest | Scale::Atanh => {
                limits(value, still, Range::Unknown, t)
            }
        }
    }
}

/// Wilson's interval with as many rows as give the standard error.
fn shared(value: f64, error: f64, fit: Fit, t: f64) -> (Interval, f64) {
    let effective = value * (1.0 - value) / (error * error);
    let n = if effective < fit.rows { effective } else { fit.rows };
    (wilson(value * n, (1.0 - value) * n, t), n)
}

fn of_share_in_percent(share: Interval) -> Interval {
    Interval { low: 100.0 * share.low, high: 100.0 * share.high }
}

pub(super) fn of_jaccard(share: Interval) -> Interval {
    let of = |share: f64| 2.0 * share / (1.0 + share);
    Interval { low: of(share.low), high: of(share.high) }
}

fn tanh(z: f64) -> f64 {
    if z > 20.0 {
        return 1.0;
    }
    let more = expm1(2.0 * z);
    more / (more + 2.0)
}
