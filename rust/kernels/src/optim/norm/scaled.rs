//! Sums that may exceed the range of f64, and norms, as a number and a power of two.

use crate::simd::standard;

/// A norm as `mantissa * 2^exponent`, which may exceed the range of f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Norm {
    /// The scaled norm; not finite where an element was not.
    pub mantissa: f64,
    /// The power of two.
    pub exponent: i32,
}

impl Norm {
    /// A norm within the range of f64.
    pub const fn of(norm: f64) -> Norm {
        Norm { mantissa: norm, exponent: 0 }
    }

    /// The norm as one f64: infinite only where it exceeds the range of f64.
    pub fn value(self) -> f64 {
        let half = self.exponent / 2;
        standard(|| self.mantissa * exp2i(half) * exp2i(self.exponent - half))
    }

    /// Whether the scaled norm is finite.
    pub fn is_finite(self) -> bool {
        self.mantissa.is_finite()
    }
}

impl From<Scaled> for Norm {
    /// The square root of a sum of squares.
    fn from(squares: Scaled) -> Norm {
        Norm { mantissa: standard(|| squares.sum.sqrt()), exponent: squares.exponent }
    }
}

/// A sum as `sum * 4^exponent`, which may exceed the range of f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scaled {
    /// The scaled sum; not finite where an element was not.
    pub sum: f64,
    /// The power of four.
    pub exponent: i32,
}

/// `2^e`, for -1022 <= e <= 1023.
#[inline(always)]
pub(in crate::optim) fn exp2i(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

impl Scaled {
    /// The sum of both, in the scale of the one with the larger exponent.
    pub(in crate::optim) fn plus(self, other: Scaled) -> Scaled {
        let (big, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if small.sum == 0.0 {
            return big;
        }
        if big.sum == 0.0 {
            return small;
        }
        let gap = big.exponent - small.exponent;
        // With a gap above 500 the smaller sum is far below half an ulp of the larger one. (Times 0, a NaN stays a
        // NaN.)
        let moved = if gap > 500 { small.sum * 0.0 } else { small.sum * exp2i(-2 * gap) };
        Scaled { sum: big.sum + moved, exponent: big.exponent }
    }

    /// The square root: infinite only where the norm itself exceeds the range of f64.
    pub fn root(self) -> f64 {
        Norm::from(self).value()
    }

    /// Whether every element was finite.
    pub fn is_finite(self) -> bool {
        self.sum.is_finite()
    }
}

/// The exponent of the power of two by which values up to `largest` are divided before they are squared or added: 0 for
/// ordinary values.
#[inline(always)]
pub(super) fn scale_of(largest: f64) -> i32 {
    let exponent = ((largest.to_bits() >> 52) as i32) - 1023;
    // Zero, NaN and infinity are not scaled; values within 2^-480 .. 2^480 can be squared and summed without.
    if largest == 0.0 || largest == f64::INFINITY || (-480..=480).contains(&exponent) {
        0
    } else {
        exponent.clamp(-1000, 1000)
    }
}
