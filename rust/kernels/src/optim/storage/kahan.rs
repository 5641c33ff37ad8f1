//! A 16-bit array with a second one of the same type beside it, which holds what rounding the first has lost.
//!
//! The value is the sum of both, so that it has twice the digits of the type: 16 for bfloat16, 22 for float16 where the
//! rest is not subnormal. What a step adds is lost only where it is too small for these. (Kahan, "Pracniques: further
//! remarks on reducing truncation errors", CACM 1965. There the rest is added to the next update; here it belongs to the
//! value, so that weight decay acts on it too.)

use super::half::{PerHalf, with_half};
use super::{Place, Storage};
use crate::dtype::ListedReal;
use crate::simd::{Bf16, Element, F16, Isa};
use std::ops::Range;

/// The nearest values of an array, and what is left of each.
pub struct Kahan<'a>(Pair<'a>);

type Pair<'a> = PerHalf<(&'a mut [Bf16], &'a mut [Bf16]), (&'a mut [F16], &'a mut [F16])>;

impl<'a> Kahan<'a> {
    /// An array of bfloat16.
    pub fn bf16(value: &'a mut [Bf16], rest: &'a mut [Bf16]) -> Self {
        Kahan(PerHalf::Bf16((value, rest)))
    }

    /// An array of float16.
    pub fn f16(value: &'a mut [F16], rest: &'a mut [F16]) -> Self {
        Kahan(PerHalf::F16((value, rest)))
    }
}

impl<'a> Storage<'a> for Kahan<'a> {
    #[inline(always)]
    fn split(self, n: usize) -> (Self, Self) {
        match self.0 {
            PerHalf::Bf16((value, rest)) => {
                let ((v, vs), (r, rs)) = (value.split_at_mut(n), rest.split_at_mut(n));
                (Kahan::bf16(v, r), Kahan::bf16(vs, rs))
            }
            PerHalf::F16((value, rest)) => {
                let ((v, vs), (r, rs)) = (value.split_at_mut(n), rest.split_at_mut(n));
                (Kahan::f16(v, r), Kahan::f16(vs, rs))
            }
        }
    }

    #[inline(always)]
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
        with_half!(&self.0, pair => {
            for (to, (value, rest)) in buffer.iter_mut().zip(pair.0[tile.clone()].iter().zip(&pair.1[tile])) {
                *to = T::widen(*value) + T::widen(*rest);
            }
        });
    }

    #[inline(always)]
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], _: Place) {
        with_half!(&mut self.0, pair => {
            let pairs = pair.0[tile.clone()].iter_mut().zip(&mut pair.1[tile]);
            for (from, (value, rest)) in buffer.iter().zip(pairs) {
                *value = from.narrow();
                let left = *from - T::widen(*value);
                // Of an infinite value the difference would be NaN; nothing is left of it.
                *rest = if left.is_nan() { T::default() } else { left }.narrow();
            }
        });
    }

    #[inline(always)]
    fn holds<T: ListedReal>(&self, value: T) -> bool {
        match self.0 {
            PerHalf::Bf16(_) => value.narrow::<Bf16>().to_f32().is_finite(),
            PerHalf::F16(_) => value.narrow::<F16>().to_f32().is_finite(),
        }
    }
}
