//! A float32 array in two halves: its upper 16 bits are an array of bfloat16, which a model uses, its lower 16 bits an
//! array of their own.
//!
//! The value that is updated is the float32, bit for bit; the bfloat16 is what is left of it without its lower half,
//! that is, rounded toward 0.

use super::{Place, Storage};
use crate::dtype::ListedReal;
use crate::simd::{Bf16, Isa};
use std::ops::Range;

/// The halves of a float32 array.
pub struct Split<'a> {
    /// The upper halves.
    pub high: &'a mut [Bf16],
    /// The lower halves.
    pub low: &'a mut [u16],
}

impl<'a> Storage<'a> for Split<'a> {
    #[inline(always)]
    fn split(self, n: usize) -> (Self, Self) {
        let ((high, highs), (low, lows)) = (self.high.split_at_mut(n), self.low.split_at_mut(n));
        (Split { high, low }, Split { high: highs, low: lows })
    }

    #[inline(always)]
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
        let halves = self.high[tile.clone()].iter().zip(&self.low[tile]);
        for (to, (high, low)) in buffer.iter_mut().zip(halves) {
            *to = T::widen(f32::from_bits(u32::from(high.0) << 16 | u32::from(*low)));
        }
    }

    #[inline(always)]
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], _: Place) {
        let halves = self.high[tile.clone()].iter_mut().zip(&mut self.low[tile]);
        for (from, (high, low)) in buffer.iter().zip(halves) {
            let bits = from.to_f32().to_bits();
            *high = Bf16((bits >> 16) as u16);
            *low = bits as u16;
        }
    }

    #[inline(always)]
    fn holds<T: ListedReal>(&self, value: T) -> bool {
        value.to_f32().is_finite()
    }
}
