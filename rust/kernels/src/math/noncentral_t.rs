//! The noncentral t distribution, which is that of Student's t where the mean is not that of the hypothesis.

use super::{bend, exp, normal};
use crate::simd::scalar;

/// `P(T > t)` for `T = (Z + delta) / sqrt(X / df)` with a standard normal `Z` and a chi-squared `X`, `df >= 1` (infinity
/// included), at finite `t` and `delta` (NaN otherwise); absolute error below 1e-13, and below 1e-4 for `t` beyond 1e4.
///
/// With `u = log sqrt(X / df)` it is the mean of `P(Z > t e^u - delta)` over `u`, whose density is proportional to
/// `exp(-df (e^(2u) - 1 - 2u) / 2)`. Both are smooth and the density vanishes exponentially on both sides, so that the sum
/// over equal steps converges faster than any power of the step (Trefethen and Weideman 2014). Dividing by the same sum of
/// the density alone leaves no gamma function to be computed.
///
/// ```
/// let power = steelyard_kernels::math::noncentral_t::sf(2.2, 9.0, 2.8);
/// assert!((power - 0.7225515044652348).abs() < 1e-14);
/// ```
pub fn sf(t: f64, df: f64, delta: f64) -> f64 {
    scalar(|| {
        if !(df >= 1.0 && t.is_finite() && delta.is_finite()) {
            return f64::NAN;
        }
        if df >= NEARLY_NORMAL {
            return normal::sf(t - delta);
        }
        // Far out, which takes one or two degrees of freedom, Z is nothing beside delta, and the quotient decides.
        let far = if t.abs() > FAR { FAR / t.abs() } else { 1.0 };
        let (t, delta) = (far * t, far * delta);
        // sqrt(X / df) is below 10 but for weights that are left out, and Z between -10 and 10.
        if delta - 10.0 * t.abs() > 10.0 || (t <= 0.0 && delta > 10.0) {
            return 1.0;
        }
        if delta < -10.0 && t >= 0.0 {
            return 0.0;
        }
        // The frequencies of the density and of the normal tail reach about sqrt(2 df) and t or delta; 64 is for the
        // density of few degrees of freedom, which is not analytic beyond a quarter turn.
        let step = STEP / (2.0 * df + t * t + delta * delta + 64.0).sqrt();
        let (up, all_up) = half(t, df, delta, step, 0.0);
        let (down, all_down) = half(t, df, delta, -step, 1.0);
        (up + down) / (all_up + all_down)
    })
}

/// From so many degrees of freedom on the spread of `u` changes no digit of the result.
const NEARLY_NORMAL: f64 = 1e16;

/// Beyond it as many steps would be needed as `t` is large.
const FAR: f64 = 1e4;

/// The step, as a share of the reciprocal of the highest frequency: larger ones leave errors above the rounding.
const STEP: f64 = 0.7;

/// Weights below this change no digit of the sums.
const LEAST: f64 = 1e-19;

/// The sums over the points `i step`, `i = first, first + 1, ...`, of the weights times the tail, and of the weights.
fn half(t: f64, df: f64, delta: f64, step: f64, first: f64) -> (f64, f64) {
    let (mut sum, mut all, mut i) = (0.0, 0.0, first);
    loop {
        let u = i * step;
        let weight = exp(-0.5 * df * bend(2.0 * u));
        if weight < LEAST {
            return (sum, all);
        }
        sum += weight * normal::sf(t * exp(u) - delta);
        all += weight;
        i += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::student_t;
    use super::sf;

    /// 30-digit values by quadrature, rounded.
    #[test]
    fn known_tails() {
        for (t, df, delta, want) in [
            (12.7, 1.0, 5.0, 0.305_300_819_123_482_5),
            (1.97, 199.0, 2.8, 0.796_292_590_174_040_5),
            (1.96, 1e4, 2.8, 0.799_536_929_714_763_4),
            (-2.0, 5.0, 1.0, 0.994_103_537_710_158_2),
            (63.6, 1.0, 30.0, 0.362_816_098_963_194),
            (9.9, 2.0, 40.0, 0.999_999_888_417_375_6),
        ] {
            assert!((sf(t, df, delta) - want).abs() < 1e-13, "{t} {df} {delta}: {}", sf(t, df, delta));
        }
    }

    #[test]
    fn without_a_difference_it_is_students() {
        for df in [1.0, 1.5, 7.0, 200.0, 1e6, f64::INFINITY] {
            for t in [-4.0, -0.3, 0.0, 1.0, 2.5] {
                assert!((sf(t, df, 0.0) - student_t::sf(t, df)).abs() < 1e-13, "{t} {df}");
            }
        }
    }

    #[test]
    fn edges() {
        assert_eq!(sf(1e3, 50.0, 0.0), 0.0);
        assert!(sf(-1e6, 5.0, 30.0) > 1.0 - 1e-12);
        assert_eq!((sf(2.0, 5.0, 1e300), sf(2.0, 5.0, -1e300)), (1.0, 0.0));
        assert!(sf(1e300, 5.0, 0.0) < 1e-12 && sf(1e300, 1.0, 1e300) > 0.3);
        assert!(sf(1.0, 0.5, 0.0).is_nan() && sf(f64::NAN, 3.0, 0.0).is_nan());
        assert!(sf(1.0, 3.0, f64::INFINITY).is_nan() && sf(1.0, f64::NAN, 0.0).is_nan());
    }
}
