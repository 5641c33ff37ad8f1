//! An array with a copy of another type beside it: the float32 parameters of an optimizer, and the bfloat16 ones that a
//! model uses. The copy is only written, rounded to nearest, while the tile is still in the first-level cache.

use super::plain::{Plain, narrow};
use super::{Place, Storage};
use crate::dtype::{ListedReal, TypedSliceMut};
use crate::simd::Isa;
use crate::with_dtype;
use std::ops::Range;

/// An array, and where its values are written to as well.
pub struct Copied<'a> {
    /// The array, updated.
    pub array: Plain<'a>,
    /// The copy, written.
    pub copy: TypedSliceMut<'a>,
}

impl<'a> Storage<'a> for Copied<'a> {
    #[inline(always)]
    fn split(self, n: usize) -> (Self, Self) {
        let ((array, arrays), (copy, copies)) = (self.array.split(n), self.copy.split(n));
        (Copied { array, copy }, Copied { array: arrays, copy: copies })
    }

    #[inline(always)]
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
        self.array.read::<T, I>(tile, buffer);
    }

    #[inline(always)]
    fn open<'s, T: ListedReal, I: Isa>(&'s mut self, tile: Range<usize>, buffer: &'s mut [T]) -> &'s mut [T] {
        self.array.open::<T, I>(tile, buffer)
    }

    #[inline(always)]
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], place: Place) {
        self.array.close::<T, I>(tile.clone(), buffer, place);
        let own = T::own(self.array.0.part_mut(tile.clone()));
        let values = if let Ok(own) = &own { own } else { buffer };
        with_dtype!(&mut self.copy, x => narrow(values, &mut x[tile]));
    }

    #[inline(always)]
    fn holds<T: ListedReal>(&self, value: T) -> bool {
        self.array.holds(value)
    }
}
