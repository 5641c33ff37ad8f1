//! Products of arrays and factors, in place.

use super::clip::Clip;
use crate::dtype::{Listed, TypedSliceMut};
use crate::grid::{CHUNK, write_chunks};
use crate::memory::NoMemory;
use crate::optim::units::Units;
use crate::simd::{Bf16, Element, F16, Isa, Kernel, dispatch};
use crate::with_dtype;

/// The factors of [`Clip::factors`] in the types in which products are computed.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    single: [f32; 2],
    double: [f64; 2],
}

impl Factors {
    pub(super) fn of(clip: Clip) -> Factors {
        Factors { single: clip.factors(), double: clip.factors() }
    }
}

/// The product of an element and the factors, in the element's own type.
pub(super) trait Scale: Element {
    fn times(self, factors: &Factors) -> Self;
}

impl Scale for f32 {
    #[inline(always)]
    fn times(self, Factors { single: [first, second], .. }: &Factors) -> f32 {
        self * *first * *second
    }
}

impl Scale for f64 {
    #[inline(always)]
    fn times(self, Factors { double: [first, second], .. }: &Factors) -> f64 {
        self * *first * *second
    }
}

/// The 16-bit types are multiplied in f64 and rounded once: a factor rounded to their 8 or 11 bits could itself make
/// the norm exceed the limit by as much as the rounding of the elements does.
macro_rules! scale_stored {
    ($($t:ty),*) => {
        $(impl Scale for $t {
            #[inline(always)]
            fn times(self, factors: &Factors) -> $t {
                <$t>::from_f64(self.to_f64().times(factors))
            }
        })*
    };
}
scale_stored!(Bf16, F16);

/// A span and what it is multiplied by: one factor, or one per column where the span is whole rows of a matrix.
struct Product<'a, 'x> {
    span: TypedSliceMut<'x>,
    factors: &'a [Factors],
}

/// The products of one unit of work.
struct ScaleUnit<'a, 'x>(Vec<Product<'a, 'x>>);

impl Kernel for ScaleUnit<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for Product { span, factors } in self.0 {
            with_dtype!(span, x => match factors {
                [factors] => scale_all(x, *factors),
                _ => scale_columns(x, factors),
            });
        }
    }
}

#[inline(always)]
fn scale_all<T: Scale>(x: &mut [T], factors: Factors) {
    for x in x {
        *x = x.times(&factors);
    }
}

#[inline(always)]
fn scale_columns<T: Scale>(x: &mut [T], factors: &[Factors]) {
    for row in x.chunks_exact_mut(factors.len()) {
        for (x, factors) in row.iter_mut().zip(factors) {
            *x = x.times(factors);
        }
    }
}

/// Products to be computed in one parallel region, by the rule of [`scale_in_place`].
pub(super) struct Products<'a, 'x>(Units<Product<'a, 'x>>);

impl<'a, 'x> Products<'a, 'x> {
    pub(super) fn new() -> Self {
        Products(Units::new(CHUNK))
    }

    /// Adds an array and its factor, or one factor per column. Missing memory is reported by [`Products::write`].
    pub(super) fn push(&mut self, array: TypedSliceMut<'x>, factors: &'a [Factors]) {
        let columns = factors.len();
        if columns == 0 {
            return;
        }
        with_dtype!(array, x: T => {
            for span in x.chunks_mut(CHUNK.div_ceil(columns) * columns) {
                self.0.push(span.len(), Product { span: T::typed(span), factors });
            }
        });
    }

    /// Writes all products, or nothing where memory is missing.
    pub(super) fn write(self) -> Result<(), NoMemory> {
        let bytes = self.0.elements() * 8;
        write_chunks(self.0.finish()?, bytes, |_, products| dispatch(ScaleUnit(products)))?;
        Ok(())
    }
}

/// Multiplies every element of every array by the factor `clip`. The factor is first rounded to the type in which the
/// product is computed, which is the array's own, or f64 for 16-bit types; where the rounded factor would be subnormal,
/// it is split into two. The product is rounded to the array's type, to nearest, ties to even.
pub fn scale_in_place(arrays: Vec<TypedSliceMut<'_>>, clip: Clip) -> Result<(), NoMemory> {
    let factors = [Factors::of(clip)];
    let mut products = Products::new();
    for array in arrays {
        products.push(array, &factors);
    }
    products.write()
}
