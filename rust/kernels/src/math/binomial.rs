//! The binomial distribution.

use super::saddle_point::log_power;
use super::{beta, exp, log, log1p};
use crate::simd::scalar;

/// `P(X = k)` of `n` trials with success probability `p`; relative error below 1e-12.
///
/// ```
/// let five_heads = steelyard_kernels::math::binomial::pmf(5, 10, 0.5);
/// assert!((five_heads - 252.0 / 1024.0).abs() < 1e-16);
/// ```
pub fn pmf(k: u64, n: u64, p: f64) -> f64 {
    scalar(|| {
        if !(0.0..=1.0).contains(&p) {
            return f64::NAN;
        }
        if k > n {
            return 0.0;
        }
        if n == 0 {
            return 1.0; // whatever p is: below, 0 log 0 would be NaN
        }
        let (k, n) = (k as f64, n as f64);
        let rest = n - k;
        // At the ends one power is left: q^n or p^n.
        if k == 0.0 {
            return exp(n * log1p(-p));
        }
        if rest == 0.0 {
            return exp(n * log(p));
        }
        if p == 0.0 || p == 1.0 {
            return 0.0;
        }
        let (power, factor) = inner(k, rest, n, p);
        exp(power) * factor
    })
}

/// `P(X = k)` as `exp(power) * factor`, for `0 < p < 1` and `k <= n`: products of several such probabilities add their
/// powers, so that none of them underflows alone.
pub(super) fn power_and_factor(k: u64, n: u64, p: f64) -> (f64, f64) {
    let (k, n) = (k as f64, n as f64);
    let rest = n - k;
    if k == 0.0 {
        (n * log1p(-p), 1.0)
    } else if rest == 0.0 {
        (n * log(p), 1.0)
    } else {
        inner(k, rest, n, p)
    }
}

/// The power and the factor where there are both successes and failures.
fn inner(k: f64, rest: f64, n: f64, p: f64) -> (f64, f64) {
    (log_power(k, rest, p, 1.0 - p), n / (k * rest))
}

/// `P(X <= k)` of `n` trials with success probability `p`; relative error below 1e-12 in the lower tail.
pub fn cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 1.0 } else { beta::sf((k + 1) as f64, (n - k) as f64, p) }
}

/// `P(X > k)` of `n` trials with success probability `p`; relative error below 1e-12 in the upper tail.
pub fn sf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 0.0 } else { beta::cdf((k + 1) as f64, (n - k) as f64, p) }
}

#[cfg(test)]
mod tests {
    use super::{cdf, pmf, sf};

    #[test]
    fn equals_exact_counts_for_a_fair_coin() {
        for n in [1u64, 2, 9, 30, 62] {
            let (mut ways, mut below) = (1u64, 0u64);
            for k in 0..=n {
                below += ways;
                let total = (1u64 << n) as f64;
                for (got, want) in [
                    (pmf(k, n, 0.5), ways as f64 / total),
                    (cdf(k, n, 0.5), below as f64 / total),
                    (sf(k, n, 0.5), (2u64.pow(n as u32) - below) as f64 / total),
                ] {
                    assert!((got - want).abs() <= 1e-13 * want, "{k} of {n}: {got:e}, not {want:e}");
                }
                ways = (u128::from(ways) * u128::from(n - k) / u128::from(k + 1)) as u64;
            }
        }
    }

    #[test]
    fn an_unfair_coin_sums_to_one() {
        for p in [0.01, 0.3, 0.999] {
            let total: f64 = (0..=500).map(|k| pmf(k, 500, p)).sum();
            assert!((total - 1.0).abs() < 1e-13);
        }
    }

    #[test]
    fn edges() {
        assert_eq!((pmf(0, 5, 0.0), pmf(5, 5, 1.0), pmf(3, 5, 0.0), pmf(6, 5, 0.5)), (1.0, 1.0, 0.0, 0.0));
        assert_eq!((pmf(0, 0, 0.0), pmf(0, 0, 1.0)), (1.0, 1.0));
        assert_eq!((pmf(0, 0, 0.3), cdf(0, 0, 0.3), sf(0, 0, 0.3)), (1.0, 1.0, 0.0));
        assert_eq!((cdf(5, 5, 0.2), cdf(4, 5, 1.0), sf(4, 5, 1.0)), (1.0, 0.0, 1.0));
        assert!(pmf(1, 2, 1.1).is_nan() && pmf(1, 2, f64::NAN).is_nan() && cdf(1, 2, f64::NAN).is_nan());
    }
}
