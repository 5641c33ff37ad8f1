//! How far a sum of independent draws can be from its mean, by Bennett's inequality.

use crate::math::log1p;

/// The probability that may lie beyond the range over which a distribution is computed, and so also what may come back
/// from a neighbouring period (aliasing).
pub const BEYOND: f64 = 1e-12;

/// The number `u` of standard deviations for which `P(X - E X >= u sd) <= BEYOND`, where no summand exceeds its mean by
/// more than `largest` standard deviations of the sum.
///
/// Bennett's inequality bounds the probability by `exp(-h(u b)/b^2)` with b = `largest` and
/// `h(x) = (1 + x) log(1 + x) - x` (G. Bennett, "Probability inequalities for the sum of independent random variables",
/// JASA 57, 1962). Newton's method on h, which is convex, from a starting point above the solution.
pub fn deviations(largest: f64) -> f64 {
    let b = if largest > 1e-6 { largest } else { 1e-6 };
    let target = -BEYOND_LOG * b * b;
    let mut y = (2.0 * target).sqrt() + target / 3.0;
    for _ in 0..80 {
        let log = log1p(y);
        let h = (1.0 + y) * log - y;
        let next = y - (h - target) / log;
        let done = (next - y).abs() <= 1e-13 * y;
        y = next;
        if done {
            break;
        }
    }
    y / b
}

/// The logarithm of [`BEYOND`].
const BEYOND_LOG: f64 = -27.631_021_115_928_547;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::{binomial, exp};

    #[test]
    fn small_summands_are_nearly_normal_and_large_ones_are_not() {
        // For a normal distribution, exp(-u^2/2) = 1e-12 at u = 7.43.
        assert!((deviations(1e-5) - 7.434).abs() < 1e-3);
        // h(14.4) = 27.6 = -log(1e-12).
        assert!((deviations(1.0) - 14.37).abs() < 0.05);
        assert!((exp(BEYOND_LOG) / BEYOND - 1.0).abs() < 1e-13);
    }

    #[test]
    fn the_bound_holds_for_a_binomial() {
        for (n, p) in [(1000u64, 0.003), (50, 0.5), (20, 0.95)] {
            let n_f = n as f64;
            let sd = (n_f * p * (1.0 - p)).sqrt();
            let u = deviations((1.0 - p) / sd);
            let k = (n_f * p + u * sd).ceil() as u64;
            assert!(k > n || binomial::sf(k - 1, n, p) <= BEYOND, "{n} {p}");
        }
    }
}
