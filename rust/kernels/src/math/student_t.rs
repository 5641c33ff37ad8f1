//! Student's t distribution with any number `df > 0` of degrees of freedom, infinity included.

use super::{beta, exp, lgamma, log, normal};
use crate::simd::scalar;

/// From this many degrees of freedom on, the distribution at `t` equals the normal one at a corrected argument, to
/// double precision.
const NEARLY_NORMAL: f64 = 1e8;

/// `P(T <= t)`, relative error below 1e-12 in the lower tail.
///
/// ```
/// let p = steelyard_kernels::math::student_t::cdf(1.0, 1.0); // Cauchy
/// assert!((p - 0.75).abs() < 1e-15);
/// ```
pub fn cdf(t: f64, df: f64) -> f64 {
    sf(-t, df)
}

/// `P(T > t) = I_x(df/2, 1/2) / 2` with `x = df / (df + t^2)` for `t >= 0`; relative error below 1e-12 in the
/// upper tail.
pub fn sf(t: f64, df: f64) -> f64 {
    scalar(|| {
        let tail = if df > 0.0 { tail(t.abs(), df) } else { f64::NAN };
        if t < 0.0 { 1.0 - tail } else { tail }
    })
}

fn tail(t: f64, df: f64) -> f64 {
    if df >= NEARLY_NORMAL {
        return normal::sf(normal_argument(t, df));
    }
    let (x, y) = point(t, df);
    if x >= f64::MIN_POSITIVE {
        return 0.5 * beta::tails(0.5 * df, 0.5, x, y).0;
    }
    let a = 0.5 * df;
    0.5 * exp(a * (log(df) - 2.0 * log(t)) - log_far(a))
}

/// `(df, t^2) / (df + t^2)` without overflow.
fn point(t: f64, df: f64) -> (f64, f64) {
    let ratio = t / df.sqrt();
    if ratio > 1.0 {
        let inverse = (1.0 / ratio) * (1.0 / ratio);
        (inverse / (1.0 + inverse), 1.0 / (1.0 + inverse))
    } else {
        let square = t * t / df;
        (1.0 / (1.0 + square), square / (1.0 + square))
    }
}

/// The normal deviate with the same tail as `t`: the inverse of Fisher's expansion (Abramowitz and Stegun 26.7.5),
/// whose next term is of the order `(t^2/df)^3`.
fn normal_argument(t: f64, df: f64) -> f64 {
    if df == f64::INFINITY || t > 1e3 {
        return t; // beyond 1e3 the tails of both distributions are zero in f64
    }
    let s = t * t;
    t - t * ((s + 1.0) / (4.0 * df) - ((13.0 * s + 8.0) * s + 3.0) / (96.0 * df * df))
}

/// The `t` with `P(T <= t) = p`; relative error below 1e-12. NaN outside `0 <= p <= 1`. Where the upper tail
/// `q` is what is known, use `-quantile(q, df)`.
///
/// ```
/// let t = steelyard_kernels::math::student_t::quantile(0.975, 10.0);
/// assert!((t - 2.228138851986274).abs() < 1e-14);
/// ```
pub fn quantile(p: f64, df: f64) -> f64 {
    scalar(|| {
        if !(df > 0.0 && (0.0..=1.0).contains(&p)) {
            return f64::NAN;
        }
        let upper = p > 0.5;
        let size = from_tail(if upper { 1.0 - p } else { p }, df);
        if upper { size } else { 0.0 - size } // zero, not -0, at one half
    })
}

/// The `t >= 0` with `P(T > t) = q <= 1/2`.
fn from_tail(q: f64, df: f64) -> f64 {
    if q == 0.0 {
        return f64::INFINITY;
    }
    if df >= NEARLY_NORMAL {
        let z = -normal::quantile(q);
        let s = z * z;
        let bend = ((5.0 * s + 16.0) * s + 3.0) / (96.0 * df * df);
        return z + z * ((s + 1.0) / (4.0 * df) + bend);
    }
    let (x, y) = beta::solve(0.5 * df, 0.5, 2.0 * q, 1.0 - 2.0 * q);
    if x >= f64::MIN_POSITIVE {
        return (df * (y / x)).sqrt();
    }
    let a = 0.5 * df;
    df.sqrt() * exp(-0.5 * (log(2.0 * q) + log_far(a)) / a)
}

/// `log(a B(a, 1/2))`, for points so far out that `x` is below the smallest normal f64: the tail there is a power,
/// `I_x(a, 1/2) = x^a / (a B(a, 1/2))`, and `a` is small.
fn log_far(a: f64) -> f64 {
    lgamma(a + 1.0) + lgamma(0.5) - lgamma(a + 0.5)
}

#[cfg(test)]
mod tests {
    use super::super::normal;
    use super::{NEARLY_NORMAL, cdf, quantile, sf};

    /// Two degrees of freedom: P(T > t) = 1/(u (u + t)), u^2 = 2 + t^2, free of cancellation.
    #[test]
    fn two_degrees_of_freedom() {
        for t in [1e-9, 0.3, 1.0, 4.3, 1e5, 1e80] {
            let u: f64 = f64::sqrt(2.0 + t * t);
            let want = 1.0 / (u * (u + t));
            assert!((sf(t, 2.0) - want).abs() <= 1e-12 * want, "{t}");
            assert_eq!(cdf(-t, 2.0).to_bits(), sf(t, 2.0).to_bits());
        }
    }

    #[test]
    fn far_out_the_tail_is_a_power() {
        for t in [1e140, 1e160, 1e250] {
            let cauchy = std::f64::consts::FRAC_1_PI / t;
            assert!((sf(t, 1.0) - cauchy).abs() <= 1e-12 * cauchy, "{t:e}");
            assert!((quantile(cauchy, 1.0) + t).abs() <= 1e-12 * t, "{t:e}");
        }
    }

    #[test]
    fn meets_the_normal_distribution() {
        for p in [1e-200, 1e-12, 0.025, 0.4] {
            let (below, above) = (quantile(p, NEARLY_NORMAL * 0.999_999), quantile(p, NEARLY_NORMAL));
            assert!((below - above).abs() < 1e-11 * above.abs());
            assert_eq!(quantile(p, f64::INFINITY).to_bits(), normal::quantile(p).to_bits());
            assert!((cdf(above, NEARLY_NORMAL) - p).abs() < 1e-12 * p);
        }
    }

    /// Tables: t(.975; 1, 5, 30) and a fractional df from Welch's formula.
    #[test]
    fn known_quantiles() {
        for (df, want) in
            [(1.0, 12.706_204_736), (5.0, 2.570_581_836), (30.0, 2.042_272_456), (9.3, 2.251_082_225)]
        {
            assert!((quantile(0.975, df) - want).abs() < 1e-9, "{df}");
        }
    }

    #[test]
    fn edges() {
        assert_eq!((sf(0.0, 3.0), sf(f64::INFINITY, 3.0), cdf(f64::INFINITY, 3.0)), (0.5, 0.0, 1.0));
        assert_eq!((quantile(0.0, 3.0), quantile(1.0, 3.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(quantile(0.5, 3.0).to_bits(), 0.0f64.to_bits());
        assert!(sf(f64::NAN, 3.0).is_nan() && sf(1.0, 0.0).is_nan() && sf(1.0, f64::NAN).is_nan());
        assert!(
            quantile(0.5, -1.0).is_nan() && quantile(1.5, 3.0).is_nan() && quantile(f64::NAN, 3.0).is_nan()
        );
    }
}
