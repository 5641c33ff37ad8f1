//! The beta distribution: the regularised incomplete beta function `I_x(a, b)` and its inverse.
//!
//! The tail on the side of the mean where the point lies is computed by a continued fraction; the other one is its
//! complement. A point is kept as a pair `(x, y)` with `x + y = 1`, so that no precision is lost near 1.

use super::saddle_point::log_power;
use super::{exp, log, log1p, normal};
use crate::simd::scalar;

/// `P(X <= x) = I_x(a, b)` for finite `a, b > 0`, NaN otherwise.
///
/// Relative error of the smaller tail below 1e-12 down to 1e-300 for `a` and `b` up to 1e6; at 1e9 the
/// rounding of `1 - x` alone moves the far tails by 1e-10.
///
/// ```
/// let p = steelyard_kernels::math::beta::cdf(2.0, 3.0, 0.5);
/// assert!((p - 0.6875).abs() < 1e-15);
/// ```
pub fn cdf(a: f64, b: f64, x: f64) -> f64 {
    scalar(|| tails(a, b, x, 1.0 - x).0)
}

/// `P(X > x) = I_(1-x)(b, a)`; error as for [`cdf`].
pub fn sf(a: f64, b: f64, x: f64) -> f64 {
    scalar(|| tails(a, b, x, 1.0 - x).1)
}

/// The `x` with `P(X <= x) = p`; relative error below 1e-12. NaN outside `0 <= p <= 1`.
pub fn quantile(a: f64, b: f64, p: f64) -> f64 {
    scalar(|| solve(a, b, p, 1.0 - p).0)
}

/// The `x` with `P(X > x) = q`; relative error below 1e-12. NaN outside `0 <= q <= 1`.
pub fn isf(a: f64, b: f64, q: f64) -> f64 {
    scalar(|| solve(a, b, 1.0 - q, q).0)
}

/// Both tails `(P(X <= x), P(X > x))` at the point `(x, y)`, `x + y = 1`.
pub(crate) fn tails(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if !legal(a, b) || x.is_nan() || y.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    if left_of_mean(a, b, x, y) {
        let lower = exp(log_power(a, b, x, y)) / fraction(a, b, x, y);
        (lower, 1.0 - lower)
    } else {
        let upper = exp(log_power(a, b, x, y)) / fraction(b, a, y, x);
        (1.0 - upper, upper)
    }
}

fn legal(a: f64, b: f64) -> bool {
    a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()
}

pub(crate) fn left_of_mean(a: f64, b: f64, x: f64, y: f64) -> bool {
    x * b <= y * a
}

/// `x^a y^b / (B(a, b) I_x(a, b))` for `x` up to the mean: the contracted continued fraction of
/// A. R. Didonato and A. H. Morris, "Significant digit computation of the incomplete beta function ratios",
/// ACM TOMS 18 (1992), evaluated by Lentz's method. About `sqrt(max(a, b))` terms near the mean, few elsewhere.
pub(crate) fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let start = a * (a * y - b * x + 1.0) / (a + 1.0);
    let mut value = if start == 0.0 { f64::MIN_POSITIVE } else { start };
    let (mut c, mut d) = (value, 0.0);
    let (mut m, mut step) = (1.0, 0.0);
    while f64::abs(step - 1.0) > f64::EPSILON && m < LONGEST {
        let odd = a + 2.0 * m - 1.0;
        let up = m * (b - m) * x;
        let partial = (a + m - 1.0) / odd * ((a + b + m - 1.0) / odd) * up * x;
        let level = m + up / odd + (a + m) * (a * y - b * x + 1.0 + m * (1.0 + y)) / (odd + 2.0);
        d = 1.0 / (level + partial * d);
        c = level + partial / c;
        step = c * d;
        value *= step;
        m += 1.0;
    }
    value
}

/// The largest number of terms, more than any parameters up to 1e12 need.
const LONGEST: f64 = 1e7;

/// The point `(x, y)` with the tails `lower` and `upper`; it is solved for the smaller of the two.
pub(crate) fn solve(a: f64, b: f64, lower: f64, upper: f64) -> (f64, f64) {
    if !(legal(a, b) && lower >= 0.0 && upper >= 0.0) {
        return (f64::NAN, f64::NAN);
    }
    if lower <= upper {
        solve_lower(a, b, lower)
    } else {
        let (y, x) = solve_lower(b, a, upper);
        (x, y)
    }
}

/// The point with the lower tail `p <= 1/2`, by Newton's method for `log I = log p` in the logit of `x`.
///
/// The logit of a beta variable has a log-concave density, hence a log-concave distribution function. Therefore every
/// Newton step, whatever the start, ends left of the root, and the later ones approach it monotonically: no bracket is
/// needed.
fn solve_lower(a: f64, b: f64, p: f64) -> (f64, f64) {
    if p == 0.0 {
        return (0.0, 1.0);
    }
    let target = log(p);
    let spread = (1.0 / a + 1.0 / b).sqrt();
    let (mut x, mut y) = moved(a / (a + b), b / (a + b), spread * normal::quantile(p));
    let close = if spread < 1.0 { 1e-9 * spread } else { 1e-9 }; // the next error is about its square
    for _ in 0..100 {
        let (log_lower, inverse_slope) = log_tail(a, b, x, y);
        let step = (target - log_lower) * inverse_slope;
        (x, y) = moved(x, y, if step < -500.0 { -500.0 } else { step });
        if step.abs() <= close || x < f64::MIN_POSITIVE {
            break;
        }
    }
    (x, y)
}

/// The point whose logit is larger by `step`.
pub(crate) fn moved(x: f64, y: f64, step: f64) -> (f64, f64) {
    if step < 0.0 {
        let factor = exp(step);
        (x * factor / (x * factor + y), y / (x * factor + y))
    } else {
        let factor = exp(-step);
        (x / (x + y * factor), y * factor / (x + y * factor))
    }
}

/// `log I` at the point, and `I` divided by its derivative with respect to the logit; that derivative is
/// `x^a y^b / B(a, b)`.
fn log_tail(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    let log_slope = log_power(a, b, x, y);
    if left_of_mean(a, b, x, y) {
        let inverse = 1.0 / fraction(a, b, x, y);
        (log_slope + log(inverse), inverse)
    } else {
        let slope = exp(log_slope);
        let upper = slope / fraction(b, a, y, x);
        (log1p(-upper), (1.0 - upper) / slope)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{exp, log1p};
    use super::{cdf, isf, quantile, sf};

    fn close(got: f64, want: f64, relative: f64, what: &str) {
        assert!((got - want).abs() <= relative * want.abs(), "{what}: {got:e}, not {want:e}");
    }

    /// With a = 1 or b = 1 the integral is elementary: 1 - (1 - x)^b, x^a.
    #[test]
    fn closed_forms() {
        for b in [0.5, 1.0, 3.0, 250.0, 1e6] {
            for x in [1e-12, 0.01, 0.3, 0.9] {
                let survive = exp(b * log1p(-x));
                close(sf(1.0, b, x), survive, 1e-12, "sf");
                close(cdf(1.0, b, x), -super::super::expm1(b * log1p(-x)), 1e-12, "cdf");
                close(cdf(b, 1.0, 1.0 - x), exp(b * super::super::log(1.0 - x)), 1e-12, "mirrored");
            }
        }
    }

    /// 30-digit values, rounded.
    #[test]
    fn known_values() {
        close(cdf(2.5, 1.5, 0.3), 0.088_943_723_170_665_6, 1e-14, "(2.5, 1.5)");
        close(cdf(50.0, 60.0, 0.1), 7.837_081_131_970_005e-22, 1e-13, "(50, 60)");
        close(sf(870.5, 130.5, 0.9), 0.001_141_511_584_464_542, 1e-12, "(870.5, 130.5)");
    }

    #[test]
    fn the_quantile_inverts_both_tails() {
        for (a, b) in [(0.5, 0.5), (0.5, 20.5), (871.0, 130.0), (1.0, 1e6), (3e8, 2e8), (0.05, 0.5)] {
            for p in [1e-200, 1e-9, 0.025, 0.4, 0.5] {
                let (low, high) = (quantile(a, b, p), isf(a, b, p));
                if low > 1e-300 {
                    close(cdf(a, b, low), p, 1e-10, "lower");
                }
                // Near 1 the spacing of f64 is too coarse for the tail, so the point is compared with its mirror image.
                let mirror = quantile(b, a, p);
                assert!((1.0 - mirror - high).abs() <= 4e-15, "({a}, {b}) {p:e}: {high:e} + {mirror:e}");
            }
        }
        close(quantile(4.0, 1.0, 0.0081), 0.3, 1e-14, "fourth root");
    }

    #[test]
    fn edges() {
        assert_eq!(
            (cdf(2.0, 3.0, 0.0), cdf(2.0, 3.0, 1.0), cdf(2.0, 3.0, -1.0), cdf(2.0, 3.0, 2.0)),
            (0.0, 1.0, 0.0, 1.0)
        );
        assert_eq!((quantile(2.0, 3.0, 0.0), quantile(2.0, 3.0, 1.0), isf(2.0, 3.0, 0.0)), (0.0, 1.0, 1.0));
        for (a, b, p) in [
            (0.0, 1.0, 0.5),
            (1.0, -1.0, 0.5),
            (f64::NAN, 1.0, 0.5),
            (f64::INFINITY, 1.0, 0.5),
            (1.0, 1.0, f64::NAN),
        ] {
            assert!(cdf(a, b, p).is_nan() && quantile(a, b, p).is_nan());
        }
        assert!(quantile(1.0, 1.0, -0.1).is_nan() && quantile(1.0, 1.0, 1.1).is_nan());
    }
}
