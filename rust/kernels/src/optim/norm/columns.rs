//! The Euclidean norm of each column of a matrix that is stored row by row.
//!
//! A piece of work is up to 64 columns side by side, over so many rows that it has up to a chunk of elements. Relative
//! error: below 2^-53 * (rows of a piece / 2 + log2(pieces) + 2).

use super::largest::Magnitude;
use super::measure::{Measured, fold};
use super::scaled::{Norm, Scaled, exp2i, scale_of};
use super::two::Two;
use crate::dtype::TypedSlice;
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory;
use crate::simd::{Isa, Kernel, Precision, dispatch, standard};
use crate::with_dtype;
use std::ops::Range;

/// Columns that one piece of work goes through side by side.
const WIDTH: usize = 64;

/// A matrix of `width` columns, and some of them.
struct Columns<'a> {
    x: TypedSlice<'a>,
    width: usize,
    range: Range<usize>,
}

impl Kernel for Columns<'_> {
    type Out = [Scaled; WIDTH];
    #[inline(always)]
    fn run<I: Isa>(self) -> [Scaled; WIDTH] {
        with_dtype!(self.x, x => sums_of_squares(x, self.width, self.range))
    }
}

/// Each column is summed from the first row to the last; a column of f64 is scaled as a chunk of f64 is.
#[inline(always)]
fn sums_of_squares<T: Measured>(x: &[T], columns: usize, range: Range<usize>) -> [Scaled; WIDTH] {
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
    std::array::from_fn(|i| Scaled { sum: sums[i], exponent: exponents[i] })
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
    let (rows, tiles) = (x.len() / columns, chunks(columns, WIDTH));
    let most_rows = CHUNK / if columns < WIDTH { columns } else { WIDTH };
    let blocks = chunks(rows, most_rows);
    let sums = map_chunks(blocks * tiles, x.bytes(), progress, |i| {
        let rows = chunk(i / tiles, rows, most_rows);
        let x = x.part(rows.start * columns..rows.end * columns);
        dispatch(Columns { x, width: columns, range: chunk(i % tiles, columns, WIDTH) })
    })?;
    let mut parts = memory::filled(blocks, Scaled::default())?;
    let mut norms = memory::with_capacity(columns)?;
    standard(|| {
        for column in 0..columns {
            let mine = sums.iter().skip(column / WIDTH).step_by(tiles);
            for (part, sums) in parts.iter_mut().zip(mine) {
                *part = sums[column % WIDTH];
            }
            norms.push(fold(Two, &parts).into());
        }
    });
    Ok(norms)
}
