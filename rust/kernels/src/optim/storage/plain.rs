//! An array of one of the element types, which a store rounds to nearest, ties to even.

use super::{Place, Storage};
use crate::dtype::{ListedReal, TypedSliceMut};
use crate::simd::{Element, Isa};
use crate::with_dtype;
use std::ops::Range;

/// An array of one of the element types.
pub struct Plain<'a>(pub TypedSliceMut<'a>);

impl<'a> Storage<'a> for Plain<'a> {
    #[inline(always)]
    fn split(self, n: usize) -> (Self, Self) {
        let (head, tail) = self.0.split(n);
        (Plain(head), Plain(tail))
    }

    #[inline(always)]
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
        with_dtype!(&self.0, x => widen(&x[tile], buffer));
    }

    #[inline(always)]
    fn open<'s, T: ListedReal, I: Isa>(&'s mut self, tile: Range<usize>, buffer: &'s mut [T]) -> &'s mut [T] {
        match T::own(self.0.part_mut(tile)) {
            Ok(own) => own,
            Err(other) => {
                with_dtype!(other, x => widen(x, buffer));
                buffer
            }
        }
    }

    #[inline(always)]
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], _: Place) {
        if self.0.dtype() != T::DTYPE {
            with_dtype!(&mut self.0, x => narrow(buffer, &mut x[tile]));
        }
    }

    #[inline(always)]
    fn holds<T: ListedReal>(&self, value: T) -> bool {
        with_dtype!(&self.0, _x: E => value.narrow::<E>().to_f64().is_finite())
    }
}

/// Widens elements to the type of the computation.
#[inline(always)]
pub(in super::super) fn widen<E: Element, T: ListedReal>(from: &[E], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::widen(*from);
    }
}

/// Rounds elements to the type that they are stored in.
#[inline(always)]
pub(in super::super) fn narrow<E: Element, T: ListedReal>(from: &[T], to: &mut [E]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.narrow();
    }
}
