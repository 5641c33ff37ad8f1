//! How arrays of parameters and moments are stored.
//!
//! A rule works on spans of the type of the computation. A span that is stored so already is updated where it lies; any
//! other is widened into a buffer, one tile at a time, and narrowed back after the rule. The way of storing is chosen
//! at run time, for each array by itself, so that the number of compiled bodies is the sum of rules and ways, not their
//! product.
//!
//! A new way (8-bit blocks with a scale, a 16-bit value with its rounding error beside it, an f32 array with a bf16
//! copy, ...) is a struct that implements [`Storage`] in a file of its own, a variant of [`Stored`] and an arm of
//! `stored!`.

mod blocks8;
mod convert;
mod copied;
mod dynamic_map;
mod half;
mod kahan;
mod plain;
mod random;
mod split;

use crate::dtype::{Dtype, Listed, ListedReal, TypedSliceMut};
use crate::simd::Isa;
use std::ops::Range;

pub use blocks8::{BLOCK, Blocks8, Codes};
pub use convert::{from_blocks8, round_at_random, to_blocks8};
pub use copied::Copied;
pub use half::{Halves, PerHalf};
pub use kahan::Kahan;
pub use plain::Plain;
pub(super) use plain::widen;
pub use random::Random;
pub use split::Split;

/// Elements per tile: five buffers of f32 fit the first-level cache. A tile begins at a multiple of this in its tensor.
pub(super) const TILE: usize = 1024;

/// Where a tile stands: what a random rounding is keyed by, since the same element must get the same random number
/// however a tensor is divided among threads and calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The row's [`key`](super::Row::key).
    pub key: u64,
    /// The number of the step.
    pub step: u64,
    /// The array within the row: 0 is the parameter, from 1 on follow the moments.
    pub array: usize,
    /// The index in its tensor of the tile's first element.
    pub element: u64,
}

/// A way of storing an array of which a rule needs the values in the type `T` of the computation.
///
/// Everything is `#[inline(always)]`, because it is compiled for each instruction-set level. Nothing allocates.
pub(super) trait Storage<'a>: Sized {
    /// The first `n` elements and the rest. `n` is a multiple of [`TILE`], so blocks of elements that share something
    /// stay whole as long as their size divides it.
    fn split(self, n: usize) -> (Self, Self);

    /// Widens the elements `tile` into `buffer`, which has their number of elements.
    fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]);

    /// The elements `tile` for a rule to update: where they lie, if they are stored as `T`, and otherwise widened into
    /// `buffer`, which has their number of elements.
    #[inline(always)]
    fn open<'s, T: ListedReal, I: Isa>(&'s mut self, tile: Range<usize>, buffer: &'s mut [T]) -> &'s mut [T] {
        self.read::<T, I>(tile, buffer);
        buffer
    }

    /// Stores the elements `tile` after the update. `buffer` is that of [`Self::open`]; where `open` returned the
    /// elements themselves it holds nothing of use.
    fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], place: Place);

    /// Whether the array can hold this value without it becoming infinite or NaN.
    fn holds<T: ListedReal>(&self, value: T) -> bool;
}

macro_rules! stored {
    ($($Way:ident: $type:ty),+ $(,)?) => {
        /// An array of a row, stored in one of several ways.
        pub enum Stored<'a> {
            $(#[doc = concat!("See [`", stringify!($Way), "`].")] $Way($type)),+
        }

        impl<'a> Storage<'a> for Stored<'a> {
            #[inline(always)]
            fn split(self, n: usize) -> (Self, Self) {
                match self {
                    $(Stored::$Way(x) => {
                        let (head, tail) = x.split(n);
                        (Stored::$Way(head), Stored::$Way(tail))
                    }),+
                }
            }

            #[inline(always)]
            fn read<T: ListedReal, I: Isa>(&self, tile: Range<usize>, buffer: &mut [T]) {
                match self {
                    $(Stored::$Way(x) => x.read::<T, I>(tile, buffer)),+
                }
            }

            #[inline(always)]
            fn open<'s, T: ListedReal, I: Isa>(
                &'s mut self,
                tile: Range<usize>,
                buffer: &'s mut [T],
            ) -> &'s mut [T] {
                match self {
                    $(Stored::$Way(x) => x.open::<T, I>(tile, buffer)),+
                }
            }

            #[inline(always)]
            fn close<T: ListedReal, I: Isa>(&mut self, tile: Range<usize>, buffer: &[T], place: Place) {
                match self {
                    $(Stored::$Way(x) => x.close::<T, I>(tile, buffer, place)),+
                }
            }

            #[inline(always)]
            fn holds<T: ListedReal>(&self, value: T) -> bool {
                match self {
                    $(Stored::$Way(x) => x.holds(value)),+
                }
            }
        }
    };
}

stored! {
    Plain: Plain<'a>,
    Blocks8: Blocks8<'a>,
    Copied: Copied<'a>,
    Kahan: Kahan<'a>,
    Random: Random<'a>,
    Split: Split<'a>,
}

impl<'a> Stored<'a> {
    /// An array of one of the element types.
    pub fn plain(array: TypedSliceMut<'a>) -> Self {
        Stored::Plain(Plain(array))
    }

    /// The element type, of an array that is nothing but its elements.
    #[inline(always)]
    pub(super) fn dtype(&self) -> Option<Dtype> {
        match self {
            Stored::Plain(Plain(array)) => Some(array.dtype()),
            _ => None,
        }
    }

    /// Whether it is stored in f64.
    #[inline(always)]
    pub(super) fn is_double(&self) -> bool {
        match self {
            Stored::Plain(Plain(array)) | Stored::Copied(Copied { array: Plain(array), .. }) => {
                array.dtype() == Dtype::F64
            }
            _ => false,
        }
    }

    /// The elements, where they are stored as `E` and nothing else belongs to them.
    #[inline(always)]
    pub(super) fn own<E: Listed>(self) -> Option<&'a mut [E]> {
        match self {
            Stored::Plain(Plain(array)) => E::own(array).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
