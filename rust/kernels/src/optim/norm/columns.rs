//! The Euclidean norm of each column of a matrix that is stored row by row.

use super::largest::Magnitude;
use super::measure::Measured;
use super::scaled::{Norm, Scaled, exp2i, scale_of};
use crate::dtype::TypedSlice;
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory;
use crate::simd::{Isa, Kernel, Precision, dispatch};
use crate::with_dtype;
use std::ops::Range;

/// Columns that one piece of work goes through side by side.
const WIDTH: usize = 64;

/// A matrix and some of its columns.
struct Columns<'a> {
    x: TypedSlice<'a>,
    columns: usize,
    range: Range<usize>,
}

impl Kernel for Columns<'_> {
    type Out = [Norm; WIDTH];
    #[inline(always)]
    fn run<I: Isa>(self) -> [Norm; WIDTH] {
        with_dtype!(self.x, x: T => norms::<I, T>(x, self.columns, self.range))
    }
}

/// Each column is summed from the first row to the last; a column of f64 is scaled as a chunk of f64 is.
#[inline(always)]
fn norms<I: Isa, T: Measured>(x: &[T], columns: usize, range: Range<usize>) -> [Norm; WIDTH] {
    let mut exponents = [0; WIDTH];
    if T::PRECISION == Precision::F64 {
        exponents = largest::<T>(x, columns, &range).map(scale_of);
    }
    let scales = exponents.map(|exponent| exp2i(-exponent));
    let mut sums = [0.0f64; WIDTH];
    for row in x.chunks_exact(columns) {
        for ((sum, x), scale) in sums.iter_mut().zip(&row[range.clone()]).zip(&scales) {
            let x = x.to_f64() * scale;
            *sum += x * x;
        }
    }
    std::array::from_fn(|i| Scaled { sum: sums[i], exponent: exponents[i] }.into())
}

#[inline(always)]
fn largest<T: Magnitude>(x: &[T], columns: usize, range: &Range<usize>) -> [f64; WIDTH] {
    let mut largest = [T::Bits::default(); WIDTH];
    for row in x.chunks_exact(columns) {
        for (largest, x) in largest.iter_mut().zip(&row[range.clone()]) {
            let x = x.magnitude();
            *largest = if x > *largest { x } else { *largest };
        }
    }
    largest.map(|bits| T::with_sign_of(bits, T::from_f64(0.0)).to_f64())
}

/// The norm of each column; there is at least one.
pub(super) fn column_norms(
    x: TypedSlice<'_>,
    columns: usize,
    progress: Progress<'_>,
) -> Result<Vec<Norm>, Stopped> {
    let pieces = chunks(columns, WIDTH);
    let norms = map_chunks(pieces, x.bytes(), progress, |i| {
        dispatch(Columns { x, columns, range: chunk(i, columns, WIDTH) })
    })?;
    let mut each = memory::with_capacity(pieces * WIDTH)?;
    each.extend(norms.into_iter().flatten());
    each.truncate(columns);
    Ok(each)
}
