//! The standard normal distribution.

use super::double::product;
use super::{erfc, exp, log};
use crate::simd::scalar;

const INV_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;
const INV_SQRT_2: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// `1/sqrt(2) - INV_SQRT_2`
const INV_SQRT_2_LOW: f64 = -4.833_646_656_726_457e-17;

/// The density `exp(-x^2/2) / sqrt(2 pi)`; relative error below 5e-16 while the result is normal.
pub fn pdf(x: f64) -> f64 {
    scalar(|| {
        if x.abs() > 39.0 {
            return 0.0;
        }
        let (square, lost) = product(x, x);
        exp(-0.5 * square) * (1.0 - 0.5 * lost) * INV_SQRT_2PI
    })
}

/// `P(X <= x)`, relative error below 1e-15 in the lower tail down to 1e-307.
///
/// ```
/// assert_eq!(steelyard_kernels::math::normal::cdf(0.0), 0.5);
/// ```
pub fn cdf(x: f64) -> f64 {
    sf(-x)
}

/// `P(X > x) = erfc(x / sqrt 2) / 2`, relative error below 1e-15 in the upper tail down to 1e-307.
///
/// The rounding of `x / sqrt 2` would be magnified by `x^2`; it is carried along to first order.
pub fn sf(x: f64) -> f64 {
    scalar(|| {
        if x > 39.0 {
            return 0.0;
        }
        if x < -39.0 {
            return 1.0;
        }
        let (t, lost) = product(x, INV_SQRT_2);
        let lost = lost + x * INV_SQRT_2_LOW;
        0.5 * (erfc(t) - TWO_OVER_SQRT_PI * exp(-t * t) * lost)
    })
}

/// The `x` with `P(X <= x) = p`, relative error below 1e-15: -infinity at 0, infinity at 1, NaN outside.
///
/// Wichura's rational approximations (Algorithm AS 241, Applied Statistics 37, 1988), one around the middle,
/// two in `sqrt(-log p)` for the tails. The upper tail is as good as `1 - p` is; where the upper tail `q` is
/// what is known, use `-quantile(q)`.
///
/// ```
/// let z = steelyard_kernels::math::normal::quantile(0.975);
/// assert!((z - 1.959963984540054).abs() < 2e-15);
/// ```
pub fn quantile(p: f64) -> f64 {
    scalar(|| {
        let middle = p - 0.5;
        if (-0.425..=0.425).contains(&middle) {
            return middle * ratio(&MIDDLE, 0.180_625 - middle * middle);
        }
        let tail = if middle < 0.0 { p } else { 1.0 - p };
        let size = if tail > 0.0 {
            let r = (-log(tail)).sqrt();
            if r <= 5.0 { ratio(&NEAR, r - 1.6) } else { ratio(&FAR, r - 5.0) }
        } else if tail == 0.0 {
            f64::INFINITY
        } else {
            f64::NAN
        };
        if middle < 0.0 { -size } else { size }
    })
}

/// Coefficients of numerator and denominator, highest power first.
type Rational = [[f64; 8]; 2];

fn ratio([numerator, denominator]: &Rational, x: f64) -> f64 {
    let polynomial = |c: &[f64; 8]| c.iter().fold(0.0, |sum, c| sum * x + c);
    polynomial(numerator) / polynomial(denominator)
}

/// 0.075 <= p <= 0.925, in 0.180625 - (p - 1/2)^2.
const MIDDLE: Rational = [
    [
        2509.0809287301227,
        33430.57558358813,
        67265.7709270087,
        45921.95393154987,
        13731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ],
    [
        5226.495278852854,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ],
];

/// sqrt(-log p) up to 5, less 1.6.
const NEAR: Rational = [
    [
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ],
    [
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ],
];

/// sqrt(-log p) beyond 5, less 5.
const FAR: Rational = [
    [
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ],
    [
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ],
];

#[cfg(test)]
mod tests {
    use super::super::check::nans64;
    use super::{cdf, pdf, quantile, sf};

    /// 30-digit values, rounded.
    #[test]
    fn known_tails() {
        for (x, want) in [
            (1.0, 0.158_655_253_931_457_05),
            (5.0, 2.866_515_718_791_939e-7),
            (10.0, 7.619_853_024_160_525e-24),
            (37.5, 4.605_353_009_581_955e-308),
        ] {
            assert!((sf(x) - want).abs() <= 1e-15 * want, "{x}");
            assert_eq!(cdf(-x).to_bits(), sf(x).to_bits());
        }
    }

    /// 30-digit values for the f64 nearest to p, rounded.
    #[test]
    fn known_quantiles() {
        for (p, want) in [
            (0.975, 1.959_963_984_540_053_8),
            (0.8, 0.841_621_233_572_914_4),
            (1e-10, -6.361_340_902_404_057),
        ] {
            let got: f64 = quantile(p);
            assert!((got - want).abs() <= 1e-15 * want.abs(), "{p}: {got}");
        }
    }

    #[test]
    fn the_quantile_inverts_the_tail() {
        let mut p = 0.5;
        while p > 1e-300 {
            let x = quantile(p);
            // An error of 1e-15 in x becomes one of x^2 e-15 in p.
            assert!((cdf(x) - p).abs() <= p * 1e-15 * (3.0 + 2.0 * x * x), "{p:e}");
            p *= 0.37;
        }
    }

    #[test]
    fn edges() {
        assert_eq!((cdf(f64::NEG_INFINITY), cdf(f64::INFINITY)), (0.0, 1.0));
        assert_eq!((cdf(-39.5), sf(-39.5), pdf(40.0), pdf(f64::NEG_INFINITY)), (0.0, 1.0, 0.0, 0.0));
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(quantile(0.5), 0.0);
        assert!(quantile(f64::from_bits(1)) < -38.0);
        assert!(quantile(-1e-300).is_nan() && quantile(1.0 + f64::EPSILON).is_nan());
        for x in nans64() {
            assert!(cdf(x).is_nan() && sf(x).is_nan() && pdf(x).is_nan() && quantile(x).is_nan());
        }
    }
}
