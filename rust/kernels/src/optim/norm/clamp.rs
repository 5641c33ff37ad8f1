//! Clipping of each element by its magnitude.

use super::largest::Magnitude;
use crate::dtype::{Listed, TypedSliceMut};
use crate::grid::{CHUNK, write_chunks};
use crate::memory::NoMemory;
use crate::optim::units::Units;
use crate::simd::{Element, Isa, Kernel, dispatch};
use crate::with_dtype;

/// The spans of one unit of work.
struct ClampUnit<'x> {
    spans: Vec<TypedSliceMut<'x>>,
    limit: f64,
}

impl Kernel for ClampUnit<'_> {
    type Out = usize;
    #[inline(always)]
    fn run<I: Isa>(self) -> usize {
        let mut clipped = 0;
        for span in self.spans {
            clipped += with_dtype!(span, x: T => clamp(x, T::from_f64(self.limit).magnitude()));
        }
        clipped
    }
}

#[inline(always)]
fn clamp<T: Magnitude>(x: &mut [T], limit: T::Bits) -> usize {
    let infinity = T::infinity();
    let mut clipped = 0;
    for x in x {
        let magnitude = x.magnitude();
        let beyond = magnitude > limit && magnitude <= infinity;
        *x = if beyond { T::with_sign_of(limit, *x) } else { *x };
        clipped += usize::from(beyond);
    }
    clipped
}

/// Moves every element whose magnitude is above `limit` to `limit`, with its sign; the number of elements that were
/// moved. `limit`, at least 0, is first rounded to the array's type, to nearest. A NaN stays.
pub fn clamp_in_place(arrays: Vec<TypedSliceMut<'_>>, limit: f64) -> Result<usize, NoMemory> {
    let mut units: Units<TypedSliceMut<'_>> = Units::new(CHUNK);
    for array in arrays {
        with_dtype!(array, x: T => {
            x.chunks_mut(CHUNK).for_each(|span| units.push(span.len(), T::typed(span)));
        });
    }
    let bytes = units.elements() * 8;
    let clipped = write_chunks(units.finish()?, bytes, |_, spans| dispatch(ClampUnit { spans, limit }))?;
    Ok(clipped.into_iter().sum())
}
