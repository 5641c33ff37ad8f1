//! Numbers that lie within few binary orders, as whole multiples of one power of two.

use super::packed::Packed;
use super::wide::{parts, signed_parts};

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

    /// Of numbers whose magnitudes, where they are not 0, lie between these; of zeros or no number where the largest one
    /// is not above 0.
    pub(crate) fn between(least: f64, most: f64) -> Units {
        if most > 0.0 { Units { least: parts(least).1, most: parts(most).1 } } else { Units::NONE }
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
        let (significand, exponent) = signed_parts(x);
        // The exponent of 0 may be below the unit's; its shift does not matter.
        i128::from(significand).wrapping_shl(exponent.wrapping_sub(self.least) as u32)
    }

    /// A sum of such multiples.
    pub(crate) fn packed(self, sum: i128) -> Packed {
        if sum == 0 { Packed::default() } else { Packed::of_integer(sum, (self.least + 1074) as u32) }
    }
}
