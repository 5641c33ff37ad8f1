//! Numbers that lie within few binary orders, as whole multiples of one power of two.

use super::packed::Packed;
use super::wide::parts;

/// The binary orders of some finite numbers, which are whole multiples of a power of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Units {
    /// The exponents of the lowest bits of the numbers; the first is above the second where all numbers are 0.
    least: i32,
    most: i32,
}

impl Units {
    /// Of zeros, or of no number.
    pub(crate) const NONE: Units = Units { least: i32::MAX, most: i32::MIN };

    /// Of numbers other than 0 whose lowest bits have this exponent.
    pub(super) fn at(exponent: i32) -> Units {
        Units { least: exponent, most: exponent }
    }

    /// Of these numbers.
    #[inline(always)]
    pub(crate) fn of(x: impl Iterator<Item = f64>) -> Units {
        let Units { mut least, mut most } = Units::NONE;
        for x in x {
            let (significand, exponent) = parts(x);
            if significand != 0 {
                least = least.min(exponent);
                most = most.max(exponent);
            }
        }
        Units { least, most }
    }

    /// Of both.
    pub(crate) fn with(self, other: Units) -> Units {
        Units { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// Whether an integer of 128 bits holds the sum of `count` of the numbers.
    pub(crate) fn hold(self, count: usize) -> bool {
        let bits = usize::BITS - count.leading_zeros();
        self.least > self.most || (self.most - self.least) as u32 + 53 + bits <= 127
    }

    /// One of the numbers as a multiple of the unit.
    #[inline(always)]
    pub(crate) fn count(self, x: f64) -> i128 {
        let (significand, exponent) = parts(x);
        let of = i128::from(significand) << exponent.saturating_sub(self.least).clamp(0, 127);
        if x < 0.0 { -of } else { of }
    }

    /// A sum of such multiples.
    pub(crate) fn packed(self, sum: i128) -> Packed {
        if sum == 0 { Packed::default() } else { Packed::of_integer(sum, (self.least + 1074) as u32) }
    }
}
