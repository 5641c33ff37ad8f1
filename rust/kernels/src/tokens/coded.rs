//! Rows of log-probabilities in 16 bits, as the files hold that llama.cpp writes under `--kl-divergence-base`.
//!
//! A row of V classes is 2 ceil(V / 2) + 4 numbers of 16 bits. The first four hold two f32, the step s and the least
//! log-probability m; then there is a code c for each class, and log p = s c + m. Classes more than 16 nats below the
//! largest have code 0 like the lowest that is not. The format is that of ggml-org/llama.cpp,
//! `tools/perplexity/perplexity.cpp` at 050fc7f3; numbers are in the byte order of the machine that wrote them.

use super::columns::{Beside, Column};
use super::fold::{BLOCK, Folded};
use super::log_sum_exp::SumExp;
use super::passes::{Held, held, offender, rows_per_chunk, tile};
use super::reading::{Plan, Request};
use super::scores::{Asked, Unscorable};
use super::targets::Targets;
use super::terms::{LANES, Logit};
use crate::grid::{Progress, Stopped, chunk, fill_chunks};
use crate::math::log64;
use crate::memory::{self, NoMemory};
use crate::rows::{MadeRows, Source};
use crate::simd::{Isa, Kernel, Real, dispatch};
use std::ops::Range;

/// Numbers of 16 bits before the codes of a row.
const HEAD: usize = 4;
/// How far below the largest logit codes reach, in nats.
const REACH: f32 = 16.0;
/// The largest code.
const LARGEST: f32 = 65535.0;
/// A logarithm of a probability is at most 0, and that of the largest may be rounded up.
const ROUNDED_UP: f32 = 1e-3;

/// Numbers of 16 bits in a row of that many classes.
pub fn coded_length(width: usize) -> usize {
    2 * width.div_ceil(2) + HEAD
}

/// The step and the least log-probability of a row; NaN where they cannot be those of one.
fn head(row: &[u16]) -> [f32; 2] {
    let number = |i: usize| {
        let [[a, b], [c, d]] = [row[i].to_ne_bytes(), row[i + 1].to_ne_bytes()];
        f32::from_ne_bytes([a, b, c, d])
    };
    let [step, least] = [number(0), number(2)];
    let largest = step * LARGEST + least;
    if step >= 0.0 && least > f32::NEG_INFINITY && largest <= ROUNDED_UP {
        [step, least]
    } else {
        [f32::NAN; 2]
    }
}

/// Rows of such codes, decoded while they are read: in f32, as llama.cpp decodes them. A row whose head cannot be that of
/// log-probabilities is NaN.
#[derive(Clone, Copy)]
pub struct CodedRows<'a> {
    codes: &'a [u16],
    width: usize,
}

impl<'a> CodedRows<'a> {
    /// Rows of `width` classes; `None` where the codes do not divide into them.
    pub fn new(codes: &'a [u16], width: usize) -> Option<Self> {
        let whole = width > 0 && codes.len().is_multiple_of(coded_length(width));
        whole.then_some(CodedRows { codes, width })
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.codes.len() / coded_length(self.width)
    }

    fn row(&self, index: usize) -> &[u16] {
        let length = coded_length(self.width);
        &self.codes[index * length..(index + 1) * length]
    }
}

impl<R: Real> MadeRows<R> for CodedRows<'_> {
    fn count(&self) -> usize {
        CodedRows::count(self)
    }

    fn width(&self) -> usize {
        self.width
    }

    fn make(&self, rows: &[usize], columns: Range<usize>, tile: &mut [R]) {
        for (&row, tile) in rows.iter().zip(tile.chunks_mut(columns.len().max(1))) {
            let row = self.row(row);
            let codes = &row[HEAD + columns.start..HEAD + columns.end];
            dispatch(Decode { codes, row, tile });
        }
    }
}

/// Decodes some codes of a row.
struct Decode<'a, R> {
    codes: &'a [u16],
    row: &'a [u16],
    tile: &'a mut [R],
}

impl<R: Real> Kernel for Decode<'_, R> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let [step, least] = head(self.row);
        for (out, &code) in self.tile.iter_mut().zip(self.codes) {
            *out = R::widen(step * f32::from(code) + least);
        }
    }
}

/// Fills `out` with the rows of logits in 16 bits, as llama.cpp does: with x a row in f32, M its maximum and
/// a = max(min x, M - 16), the step is s = (M - a) / 65535, the least log-probability a - M - log(sum exp(x - M)), and
/// the code of a class is (x - a) (1 / s) rounded to the nearest whole number, ties to even, 0 where x <= a. All steps
/// are rounded in f32, but the sum is f64. A step so small that 1 / s overflows is 0.
///
/// `out` has [`coded_length`] numbers for each row. Where a row cannot be scored, what is in it is undefined.
pub fn encode_rows<T: Logit>(
    source: Source<'_, T>,
    out: &mut [u16],
    progress: Progress<'_>,
) -> Result<Result<(), Unscorable>, Stopped> {
    let (count, width) = (source.count(), source.width());
    let length = coded_length(width);
    debug_assert!(out.len() == count * length, "as many rows as there are");
    let (classes, counted) = (memory::filled(count, 0i64)?, memory::filled(count, true)?);
    let asked = Asked::from(&[Column::LogZ][..]);
    let beside = Beside::serving(asked.columns);
    let request = Request { targets: Targets::new(&classes), counted: &counted, asked };
    let plan = Plan { source, request, beside };
    let row_bytes = width * size_of::<T>();
    let size = rows_per_chunk(row_bytes);
    let items = memory::collected(out.chunks_mut(size * length))?;
    let mut rows_done = |done: usize| progress((done * size).min(count));
    let bytes = count.saturating_mul(row_bytes);
    let refused = fill_chunks(items, bytes, &mut rows_done, |index, out| -> Result<_, NoMemory> {
        let rows = chunk(index, count, size);
        let first = rows.start;
        let Held { rows, .. } = held::<T, SumExp>(plan, rows)?;
        Ok(dispatch(Encode { source, first, folded: &rows, out, tile: &mut tile(source)? }))
    })?;
    match refused.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next() {
        Some(row) => Ok(Err(offender(source, row, progress)?)),
        None => Ok(Ok(())),
    }
}

/// Encodes rows that were read, from `first` on. Returns the first one that cannot be scored.
struct Encode<'a, T: Logit> {
    source: Source<'a, T>,
    first: usize,
    folded: &'a [Folded<T, SumExp>],
    out: &'a mut [u16],
    tile: &'a mut [T],
}

impl<T: Logit> Kernel for Encode<'_, T> {
    type Out = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let Encode { source, first, folded, out, tile } = self;
        let width = source.width();
        let blocks = move || (0..width).step_by(BLOCK).map(move |start| start..width.min(start + BLOCK));
        for (i, (folded, out)) in folded.iter().zip(out.chunks_mut(coded_length(width))).enumerate() {
            let Some(row) = folded.finish(width) else { return Some(first + i) };
            let (max, log_sum) = (row.max as f32, log64::<I>(row.sums.sum_exp) as f32);
            let mut lowest = f32::INFINITY;
            for here in blocks() {
                lowest = smaller(block_min(source.part(first + i, here, tile)), lowest);
            }
            let floor = max - REACH;
            let lowest = if lowest < floor { floor } else { lowest };
            let step = (max - lowest) / LARGEST;
            let inverse = 1.0 / step;
            let codes_differ = inverse < f32::INFINITY;
            let step = if codes_differ { step } else { 0.0 };
            let (numbers, codes) = out.split_at_mut(HEAD);
            for (pair, number) in numbers.chunks_exact_mut(2).zip([step, lowest - max - log_sum]) {
                let [a, b, c, d] = number.to_ne_bytes();
                (pair[0], pair[1]) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
            }
            codes.fill(0); // the one that fills up an odd row, too
            if codes_differ {
                for here in blocks() {
                    let x = source.part(first + i, here.clone(), tile);
                    encode(x, lowest, inverse, &mut codes[here]);
                }
            }
        }
        None
    }
}

/// The codes of some logits.
#[inline(always)]
fn encode<T: Logit>(x: &[T], lowest: f32, inverse: f32, codes: &mut [u16]) {
    for (code, x) in codes.iter_mut().zip(x) {
        let above = x.to_f32() - lowest;
        // Adding 1.5 * 2^23 leaves the nearest whole number, ties to even, in the low bits.
        let nearest = (inverse * above + 12_582_912.0).to_bits() as u16;
        *code = if above > 0.0 { nearest } else { 0 };
    }
}

/// The smallest element of a block, in f32.
#[inline(always)]
fn block_min<T: Logit>(block: &[T]) -> f32 {
    let (body, tail) = block.as_chunks::<LANES>();
    let mut lanes = [f32::INFINITY; LANES];
    for chunk in body {
        for i in 0..LANES {
            lanes[i] = smaller(chunk[i].to_f32(), lanes[i]);
        }
    }
    let mut lowest = f32::INFINITY;
    for lane in lanes.into_iter().chain(tail.iter().map(|x| x.to_f32())) {
        lowest = smaller(lane, lowest);
    }
    lowest
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Table;
    use crate::simd::{Level, force};
    use crate::tokens::scores::tests::logits;

    fn encoded(x: &[f32], width: usize) -> Result<Vec<u16>, Unscorable> {
        let table = Table::new(x, width).unwrap();
        let mut out = vec![7; x.len() / width * coded_length(width)];
        encode_rows(Source::Lent(&table), &mut out, &mut |_| true).unwrap().map(|()| out)
    }

    fn decoded(codes: &[u16], width: usize) -> Vec<f32> {
        let rows = CodedRows::new(codes, width).unwrap();
        let (n, mut out) = (rows.count(), vec![0.0; rows.count() * width]);
        rows.make(&(0..n).collect::<Vec<_>>(), 0..width, &mut out);
        out
    }

    #[test]
    fn decoded_rows_are_within_a_step_and_clipped_at_sixteen_nats() {
        for width in [1usize, 2, 33, 1025, 5000] {
            let x: Vec<f32> = logits(3 * width, 12.0, 3).iter().map(|&x| x as f32).collect();
            let got = decoded(&encoded(&x, width).unwrap(), width);
            for (row, got) in x.chunks(width).zip(got.chunks(width)) {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, |m, x| if x > m { x } else { m });
                let sum: f64 = row.iter().map(|x| libm::exp(f64::from(x - max))).sum();
                for (x, got) in row.iter().zip(got) {
                    let exact = f64::from(x - max) - libm::log(sum);
                    let clipped = if x - max < -16.0 { -16.0 - libm::log(sum) } else { exact };
                    assert!(
                        (f64::from(*got) - clipped).abs() <= 16.0 / 65535.0 / 2.0 + 4e-6,
                        "{width} {x} {got}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_of_one_value_have_no_step_and_masked_classes_code_zero() {
        let even = encoded(&[2.5f32; 5], 5).unwrap();
        assert_eq!((even.len(), &even[..2], &even[4..]), (10, &[0u16, 0][..], &[0u16; 6][..]));
        assert!((decoded(&even, 5)[4] + libm::logf(5.0)).abs() < 1e-6);
        let masked = encoded(&[0.0, f32::NEG_INFINITY, -3.0], 3).unwrap();
        assert_eq!((masked[4], masked[5], masked[7]), (65535, 0, 0));
        assert!((decoded(&masked, 3)[1] + 16.0).abs() < 0.1);
        let tiny = encoded(&[0.0, 1e-40], 2).unwrap();
        assert_eq!(&tiny[4..], &[0, 0]);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let bad = encoded(&[0.0, 1.0, f32::NAN, 2.0], 2).unwrap_err();
        assert!(matches!(bad, Unscorable::Logit { row: 1, column: 0, .. }));
        assert_eq!(encoded(&[f32::NEG_INFINITY; 2], 2), Err(Unscorable::NoMass { row: 0 }));
        let good = encoded(&[0.0, 1.0], 2).unwrap();
        for (place, value) in [(1, 0x7fc0), (1, 0x8000 | good[1]), (3, 0x7f80), (3, 0xff80), (1, 0x4000)] {
            let mut codes = good.clone();
            codes[place] = value;
            assert!(decoded(&codes, 2).iter().all(|x| x.is_nan()), "{place} {value:x}");
        }
        assert!(CodedRows::new(&good[1..], 2).is_none() && CodedRows::new(&good, 0).is_none());
    }

    #[test]
    fn every_level_gives_the_same_codes() {
        let x: Vec<f32> = logits(4 * 4097, 8.0, 9).iter().map(|&v| v as f32).collect();
        force(Some(Level::Baseline));
        let want = encoded(&x, 4097);
        for level in Level::ALL {
            if force(Some(level)) {
                assert_eq!(encoded(&x, 4097), want, "{level:?}");
            }
        }
        force(None);
    }
}
