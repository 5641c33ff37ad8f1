//! Moments of the absolute value of a normal variable (the folded normal distribution) and of its square, and the
//! covariances of two of them where the normal variables are correlated.

use crate::math::{exp, normal};

/// `sqrt(2 / pi)`, the mean of |N(0, 1)|.
pub(super) const MEAN_FOLDED: f64 = 0.797_884_560_802_865_4;
/// The number of terms in the series for the covariance of two folded normals.
pub(super) const SERIES: usize = 32;
/// Where the mean is this many standard deviations from 0, folding changes nothing that an f64 can show.
const FAR: f64 = 9.0;

/// The power of the gap that is averaged over bins.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Power {
    /// The absolute gap.
    One,
    /// The squared gap; the error is the root of the mean.
    Two,
}

impl Power {
    pub(super) fn of(self, h: f64) -> f64 {
        match self {
            Power::One => h,
            Power::Two => h * h,
        }
    }

    pub(super) fn root(self, mean: f64) -> f64 {
        match self {
            Power::One => mean,
            Power::Two => mean.sqrt(),
        }
    }

    /// The mean and variance of |N(h, s^2)|, or of the square of N(h, s^2), for `h >= 0`.
    pub(super) fn moments(self, h: f64, s: f64) -> (f64, f64) {
        let (hh, ss) = (h * h, s * s);
        if self == Power::Two {
            return (hh + ss, 2.0 * ss * ss + 4.0 * hh * ss);
        }
        if h >= FAR * s {
            return (h, ss);
        }
        let r = h / s;
        let mean = s * MEAN_FOLDED * exp(-0.5 * r * r) + h * (1.0 - 2.0 * normal::cdf(-r));
        (mean, hh + ss - mean * mean)
    }

    /// The coefficients of its expansion in Hermite polynomials, times `weight`; [`covariance`] needs those of two
    /// variables.
    ///
    /// With `r = h/s`, `|h + s Z|` is `sum_k c_k He_k(Z)/k!`, where `c_1 = s (2 Phi(r) - 1)` and, for k > 1,
    /// `c_k = 2 s phi(r) He_(k-2)(r)` up to the sign `(-1)^k`, which cancels in a product of two. The square is
    /// `h^2 + 2 h s Z + s^2 Z^2`, so that `c_1 = 2 h s`, `c_2 = 2 s^2`, and the others are 0. What is returned is
    /// `c_k / sqrt(k!)` for k from 1.
    pub(super) fn coefficients(self, h: f64, s: f64, weight: f64) -> [f64; SERIES] {
        let mut c = [0.0; SERIES];
        if s == 0.0 {
            return c;
        }
        let scale = s * weight;
        if self == Power::Two {
            (c[0], c[1]) = (2.0 * h * scale, std::f64::consts::SQRT_2 * s * scale);
            return c;
        }
        let r = h / s;
        if r >= FAR {
            c[0] = scale;
            return c;
        }
        c[0] = scale * (1.0 - 2.0 * normal::cdf(-r));
        let density = 2.0 * normal::pdf(r) * scale;
        let (mut before, mut he) = (0.0, 1.0); // He_(k-1)(r) / sqrt((k-1)!), from k = 1
        for (k, c) in c.iter_mut().enumerate().skip(1) {
            let j = k as f64; // c[k] is the coefficient of k + 1, which has He_(k-1)
            *c = density * he / (j * (j + 1.0)).sqrt();
            (before, he) = (he, (r * he - (j - 1.0).sqrt() * before) / j.sqrt());
        }
        c
    }
}

/// The covariance of two such variables, from their coefficients, where the underlying normal variables have the
/// correlation `rho`: `sum_k rho^k c_k c'_k / k!` (Mehler's formula). Cutting the series off costs at most
/// `.0014 s s'`, at `rho = 1`.
pub(super) fn covariance(rho: f64, a: &[f64; SERIES], b: &[f64; SERIES]) -> f64 {
    let mut sum = 0.0;
    for k in (0..SERIES).rev() {
        sum = (sum + a[k] * b[k]) * rho;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} {want}");
    }

    #[test]
    fn the_folded_normal_meets_the_plain_one() {
        for r in [0.0, 0.5, 3.0, 8.999, 9.0, 20.0] {
            let (mean, variance) = Power::One.moments(r * 0.1, 0.1);
            near(mean * mean + variance, 0.01 * (1.0 + r * r), 1e-15);
        }
        near(Power::One.moments(0.8999, 0.1).1, 0.01, 1e-15);
    }

    #[test]
    fn fully_correlated_with_itself_the_covariance_is_the_variance() {
        for r in [0.0, 0.3, 1.0, 2.0, 4.0, 8.9, 9.0, 1e100] {
            for (power, tolerance) in [(Power::One, 1.4e-3), (Power::Two, 1e-14)] {
                let c = power.coefficients(0.1 * r, 0.1, 1.0);
                let variance = power.moments(0.1 * r, 0.1).1;
                let scale = if power == Power::One { 0.01 } else { variance };
                near(covariance(1.0, &c, &c), variance, tolerance * scale);
            }
        }
    }

    #[test]
    fn about_zero_the_series_is_the_closed_form() {
        // Cov(|X|, |Y|) = 2/pi (sqrt(1 - rho^2) + rho asin(rho) - 1), here at rho = 1/2, asin(1/2) = pi/6.
        let c = Power::One.coefficients(0.0, 1.0, 1.0);
        let pi = std::f64::consts::PI;
        let want = 2.0 / pi * (0.75f64.sqrt() + 0.5 * pi / 6.0 - 1.0);
        near(covariance(0.5, &c, &c), want, 1e-12);
        near(covariance(-0.5, &c, &c), want, 1e-12);
    }
}
