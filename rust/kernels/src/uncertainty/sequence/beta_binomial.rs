//! The confidence sequence of 0/1 values by a beta mixture (Robbins 1970; the two-sided beta-binomial one of Howard and
//! others 2021, with both parameters 1/2).
//!
//! The mean p is left out where B(k + 1/2, n - k + 1/2) / (B(1/2, 1/2) p^k (1 - p)^(n - k)) >= 1/alpha. This ratio is
//! a martingale of mean 1 if p is the mean, and a function of the counts alone.

use crate::bisection::edge;
use crate::intervals::Interval;
use crate::math::log;
use crate::math::saddle_point::log_power;
use crate::simd::scalar;
use std::f64::consts::PI;

/// More than the rounding error of the logarithm of the ratio, by which the limits are moved outwards.
const ROUNDING: f64 = 1e-12;

/// The interval after `hits` ones among `n` values.
pub fn limits(hits: u64, n: u64, alpha: f64) -> Interval {
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (k, rest) = (hits as f64, (n - hits) as f64);
    scalar(|| {
        let most = log(1.0 / alpha) + ROUNDING;
        Interval { low: lower(k, rest, most), high: 1.0 - lower(rest, k, most) }
    })
}

/// The largest f64 below which every mean is left out.
fn lower(k: f64, rest: f64, most: f64) -> f64 {
    if k == 0.0 {
        return 0.0;
    }
    edge(0.0, k / (k + rest), |p| p > 0.0 && log_ratio(k, rest, p) < most)
}

/// The logarithm of the ratio for 0 < p < 1.
fn log_ratio(k: f64, rest: f64, p: f64) -> f64 {
    let q = 1.0 - p;
    0.5 * log(p * q) - log(PI) - log_power(k + 0.5, rest + 0.5, p, q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::lgamma;

    #[test]
    fn the_limits_solve_the_definition() {
        for (k, n) in [(0, 1), (1, 1), (3, 10), (50, 100), (999, 1000), (400_000, 1_000_000)] {
            let found = limits(k, n, 0.05);
            let (k, rest) = (k as f64, (n - k) as f64);
            let log_b = lgamma(k + 0.5) + lgamma(rest + 0.5) - lgamma(k + rest + 1.0) - log(PI);
            for p in [found.low, found.high] {
                if p > 0.0 && p < 1.0 {
                    let ratio = log_b - k * log(p) - rest * log(1.0 - p);
                    assert!((ratio - log(20.0)).abs() < 1e-6, "{k} of {n}: {ratio}");
                }
            }
            assert!(found.low <= k / n as f64 && k / n as f64 <= found.high && found.low < found.high);
            assert!((k == 0.0) == (found.low == 0.0) && (rest == 0.0) == (found.high == 1.0));
        }
        assert_eq!(limits(0, 0, 0.05), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn swapping_the_answers_mirrors() {
        let (a, b) = (limits(7, 40, 0.1), limits(33, 40, 0.1));
        assert!((a.low - (1.0 - b.high)).abs() < 1e-15 && (a.high - (1.0 - b.low)).abs() < 1e-15);
    }
}
