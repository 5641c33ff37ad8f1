//! The factor of gradients that are clipped to a norm.

use super::scaled::{Norm, exp2i};
use crate::simd::{Real, scalar};

/// The factor by which gradients are multiplied, as `factor * 2^exponent`.
///
/// The exponent is 0 unless the whole factor is below the range of f64, as it can be where the norm is above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    factor: f64,
    exponent: i32,
}

impl Clip {
    /// The factor 1: gradients are not clipped.
    pub const NONE: Clip = Clip::by(1.0);

    /// A factor within the range of f64.
    pub const fn by(factor: f64) -> Clip {
        Clip { factor, exponent: 0 }
    }

    /// The factor for gradients of this norm: exactly 1 for a norm up to `max_norm`, otherwise `max_norm / norm`; NaN
    /// where the norm is. 1 where `max_norm` is `None`.
    pub fn to(max_norm: Option<f64>, norm: impl Into<Norm>) -> Clip {
        let Some(limit) = max_norm else { return Clip::NONE };
        let norm = norm.into();
        scalar(|| {
            let root = norm.value();
            if root <= limit {
                return Clip::NONE;
            }
            let factor = limit / root;
            if factor.is_nan() || factor >= f64::MIN_POSITIVE || limit == 0.0 || !norm.is_finite() {
                return Clip::by(factor);
            }
            Clip { factor: limit / norm.mantissa, exponent: -norm.exponent }
        })
    }

    /// The factor as one f64; where it is below the normal range it is rounded to a subnormal number or 0.
    pub fn value(self) -> f64 {
        scalar(|| times_exp2(self.factor, self.exponent))
    }

    /// The factor as two numbers of the element type, by which gradients are multiplied one after the other. The second
    /// is 1 unless the factor is too small for a single number of full precision.
    pub(in crate::optim) fn factors<T: Real>(self) -> [T; 2] {
        scalar(|| {
            let one = T::from_f64(times_exp2(self.factor, self.exponent));
            if self.factor == 0.0 || self.factor.is_nan() || one.to_f64() >= exp2i(T::LOWEST_EXPONENT) {
                return [one, T::from_f64(1.0)];
            }
            let large = times_exp2(self.factor, self.exponent - T::LOWEST_EXPONENT);
            [T::from_f64(large), T::from_f64(exp2i(T::LOWEST_EXPONENT))]
        })
    }
}

/// `x * 2^e`, for -2044 <= e <= 2046.
fn times_exp2(x: f64, e: i32) -> f64 {
    x * exp2i(e / 2) * exp2i(e - e / 2)
}
