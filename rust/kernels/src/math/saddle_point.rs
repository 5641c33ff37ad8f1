//! The saddle-point form of binomial probabilities and of the beta density, which both come from one function.

use super::gamma::stirling;
use super::log;

const TWO_PI: f64 = std::f64::consts::TAU;

/// `x log(x/m) + m - x`: half the Poisson deviance of a count `x` with mean `m`, without cancellation near `x = m`.
///
/// C. Loader, "Fast and accurate computation of binomial probabilities" (2000), where it is called D0.
pub(crate) fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    if difference.abs() >= 0.1 * (x + m) {
        return x * log(x / m) - difference;
    }
    // With v = (x - m)/(x + m): log(x/m) = 2 atanh(v), hence (x - m) v + 2 x (v^3/3 + v^5/5 + ...).
    let v = difference / (x + m);
    let mut sum = difference * v;
    let mut term = 2.0 * x * v;
    for k in 1..=12 {
        term *= v * v; // v^2 <= 0.01, so that the twelfth term is below 1e-24 of the first
        sum += term / f64::from(2 * k + 1);
    }
    sum
}

/// The logarithm of `x^a y^b / B(a, b)` for `x + y = 1`; absolute error about 1e-15 times its magnitude, but at least
/// 3e-15.
pub(crate) fn log_power(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let correction = stirling(n) - stirling(a) - stirling(b);
    correction - deviance(a, n * x) - deviance(b, n * y) + 0.5 * log(a * (b / n) / TWO_PI)
}

#[cfg(test)]
mod tests {
    use super::{deviance, log};

    #[test]
    fn the_deviance_is_smooth_where_its_two_forms_meet() {
        for ratio in [1.222_222, 1.222_223, 0.818_181, 0.818_182] {
            let direct = ratio * log(ratio) + 1.0 - ratio;
            assert!((deviance(ratio, 1.0) - direct).abs() < 1e-16);
        }
        assert_eq!(deviance(7.0, 7.0), 0.0);
    }
}
