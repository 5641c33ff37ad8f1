//! Where probabilities come from: one probability per row with an outcome of 0 or 1, or the top label of a row of class
//! probabilities.

use super::bins::{Probability, SHORT_SUM_TOLERANCE, SUM_TOLERANCE, Work};
use super::block::{Block, Fault, LeftOut};
use super::labels::Labels;
use crate::rows::Rows;
use crate::simd::tree64;
use std::marker::PhantomData;

/// How many values the pass over a row takes at a time.
const LANES: usize = 16;

/// Rows of probabilities and labels.
pub trait Source: Sync {
    /// The element type of the probabilities.
    type Item: Probability;
    /// The number of rows.
    fn count(&self) -> usize;
    /// The number of probabilities in a row.
    fn width(&self) -> usize;
    /// Reads rows `start..start + n` into `block` and adds what is left out of them to `left_out`.
    fn read(
        &self,
        start: usize,
        n: usize,
        omit_nan: bool,
        block: &mut Block<<Self::Item as Probability>::Work>,
        left_out: &mut LeftOut,
    ) -> Result<(), Fault>;
}

/// One probability per row, and whether its prediction came true (0 or 1).
pub struct Scores<'a, T> {
    /// The probabilities.
    pub probs: &'a [T],
    /// The outcome of each row, 0 or 1.
    pub labels: Labels<'a>,
    /// The rows that count, those that are not 0 here; `None` where all of them do.
    pub keep: Option<&'a [u8]>,
}

impl<T: Probability> Source for Scores<'_, T> {
    type Item = T;

    fn count(&self) -> usize {
        self.probs.len()
    }

    fn width(&self) -> usize {
        1
    }

    #[inline(always)]
    fn read(
        &self,
        start: usize,
        n: usize,
        omit_nan: bool,
        block: &mut Block<T::Work>,
        left_out: &mut LeftOut,
    ) -> Result<(), Fault> {
        let mut excluded = 0;
        let probs = self.probs[start..start + n].iter().zip(&mut block.probability);
        let mut good = self.labels.binary(start, &mut block.flags[..n]);
        for flags in &mut block.flags[..n] {
            *flags = *flags << 1 | 1;
        }
        if let Some(keep) = self.keep {
            let mut kept = 0;
            for ((&keep, (&p, out)), flags) in keep[start..start + n].iter().zip(probs).zip(&mut block.flags)
            {
                let (p, counts) = (p.widen(), keep != 0);
                *out = if counts { p } else { T::Work::ZERO };
                *flags *= u8::from(counts);
                kept += u32::from(counts);
            }
            excluded = n as u64 - u64::from(kept);
        } else {
            for (&p, out) in probs {
                *out = p.widen();
            }
        }
        for &p in &block.probability[..n] {
            good &= p >= T::Work::ZERO;
            good &= p <= T::Work::ONE;
        }
        if good {
            left_out.excluded += excluded;
            return Ok(());
        }
        self.read_with_care(start, n, omit_nan, block, left_out)
    }
}

impl<T: Probability> Scores<'_, T> {
    /// Reads the rows one by one and decides for each whether it counts, is treated as 1, is left out, or is refused.
    /// The fast path above comes here only where a block has a value outside [0, 1] or a label other than 0 and 1.
    #[inline(never)]
    fn read_with_care(
        &self,
        start: usize,
        n: usize,
        omit_nan: bool,
        block: &mut Block<T::Work>,
        left_out: &mut LeftOut,
    ) -> Result<(), Fault> {
        for i in 0..n {
            let row = start + i;
            (block.probability[i], block.flags[i]) = (T::Work::ZERO, 0);
            if self.keep.is_some_and(|keep| keep[row] == 0) {
                left_out.excluded += 1;
                continue;
            }
            let Some(p) = judge::<T>(self.probs[row].widen(), row, 0, omit_nan)? else {
                left_out.nan += 1;
                continue;
            };
            let label = self.labels.get(row);
            if label & !1 != 0 {
                return Err(Fault::Label { row, value: label });
            }
            (block.probability[i], block.flags[i]) = (clamp::<T>(p, left_out), (label << 1 | 1) as u8);
        }
        Ok(())
    }
}

/// The value, if it lies in [0, 1 + 1e-6]; `None` where it is a NaN and those are omitted. Everything else is a fault.
#[inline(always)]
fn judge<T: Probability>(
    p: T::Work,
    row: usize,
    column: usize,
    omit_nan: bool,
) -> Result<Option<T::Work>, Fault> {
    if p >= T::Work::ZERO && p <= T::Work::LIMIT {
        return Ok(Some(p));
    }
    let value = p.wide();
    match (value.is_nan(), omit_nan) {
        (true, true) => Ok(None),
        (true, false) => Err(Fault::Nan { row, column }),
        (false, _) => Err(Fault::Range { row, column, value }),
    }
}

/// Replaces a value that rounding has put above 1 by 1, and counts it in `left_out`.
#[inline(always)]
fn clamp<T: Probability>(p: T::Work, left_out: &mut LeftOut) -> T::Work {
    let above = p > T::Work::ONE;
    left_out.clamped += u64::from(above);
    if above { T::Work::ONE } else { p }
}

/// For each row of class probabilities the largest of them, and whether the label is its class. Of equal largest ones
/// the first is taken.
pub struct TopLabels<'a, T, R> {
    rows: &'a R,
    labels: Labels<'a>,
    keep: Option<&'a [u8]>,
    item: PhantomData<T>,
}

impl<'a, T, R: Rows<T>> TopLabels<'a, T, R> {
    /// `labels` are the classes that came true; `keep` is not 0 for the rows that count, and `None` where all of them
    /// do.
    pub fn new(rows: &'a R, labels: Labels<'a>, keep: Option<&'a [u8]>) -> Self {
        TopLabels { rows, labels, keep, item: PhantomData }
    }
}

impl<T: Probability, R: Rows<T>> Source for TopLabels<'_, T, R> {
    type Item = T;

    fn count(&self) -> usize {
        self.rows.count()
    }

    fn width(&self) -> usize {
        self.rows.width()
    }

    #[inline(always)]
    fn read(
        &self,
        start: usize,
        n: usize,
        omit_nan: bool,
        block: &mut Block<T::Work>,
        left_out: &mut LeftOut,
    ) -> Result<(), Fault> {
        for i in 0..n {
            let index = start + i;
            (block.probability[i], block.flags[i]) = (T::Work::ZERO, 0);
            if self.keep.is_some_and(|keep| keep[index] == 0) {
                left_out.excluded += 1;
                continue;
            }
            let row = self.rows.row(index);
            let pass = pass::<T>(row);
            if !pass.good {
                match look_closely::<T>(row, pass.sum, index, omit_nan)? {
                    Found::Nan => {
                        left_out.nan += 1;
                        continue;
                    }
                    Found::Rounded => {}
                }
            }
            left_out.rounded += u64::from((pass.sum - 1.0).abs() > SUM_TOLERANCE);
            let label = self.labels.get(index);
            let class = usize::try_from(label).unwrap_or(usize::MAX);
            if class >= row.len() {
                return Err(Fault::Label { row: index, value: label });
            }
            let correct =
                row[class].widen() >= pass.top && !row[..class].iter().any(|p| p.widen() >= pass.top);
            block.probability[i] = clamp::<T>(pass.top, left_out);
            block.flags[i] = 1 | u8::from(correct) << 1;
        }
        Ok(())
    }
}

/// What one pass over a row of class probabilities finds: the largest, their sum, and whether they are valid.
struct Pass<W> {
    top: W,
    sum: f64,
    /// Every value is in [0, 1 + 1e-6], and the sum is within the tolerance of 1.
    good: bool,
}

#[inline(always)]
fn pass<T: Probability>(row: &[T]) -> Pass<T::Work> {
    let zero = T::Work::ZERO;
    let (mut top, mut sum, mut good) = ([zero; LANES], [0.0f64; LANES], [true; LANES]);
    let mut lanes = |values: [T::Work; LANES]| {
        for i in 0..LANES {
            let p = values[i];
            good[i] &= p >= zero;
            good[i] &= p <= T::Work::LIMIT;
            top[i] = if p > top[i] { p } else { top[i] };
            sum[i] += p.wide();
        }
    };
    let blocks = row.chunks_exact(LANES);
    let tail = blocks.remainder();
    for block in blocks {
        lanes(std::array::from_fn(|i| block[i].widen()));
    }
    if !tail.is_empty() {
        let mut values = [zero; LANES];
        for (value, p) in values.iter_mut().zip(tail) {
            *value = p.widen();
        }
        lanes(values);
    }
    let mut best = top[0];
    for value in top {
        best = if value > best { value } else { best };
    }
    let sum = tree64(sum);
    let near_one = (sum - 1.0).abs() <= T::SUM_TOLERANCE;
    Pass { top: best, sum, good: good.iter().all(|&good| good) & near_one }
}

/// Why a row that is not `good` need not be refused.
enum Found {
    /// It has a NaN, and rows with a NaN are omitted.
    Nan,
    /// Its values are 16-bit floats in a wider type, and rounding to 16 bits can move their sum as far from 1 as it is.
    Rounded,
}

#[inline(never)]
fn look_closely<T: Probability>(row: &[T], sum: f64, index: usize, omit_nan: bool) -> Result<Found, Fault> {
    let mut nan = false;
    for (column, p) in row.iter().enumerate() {
        nan |= judge::<T>(p.widen(), index, column, omit_nan)?.is_none();
    }
    if nan {
        return Ok(Found::Nan);
    }
    // Every value is valid, so it was the sum that was not within the tolerance.
    let short = row.iter().all(|p| p.widen().is_bf16()) || row.iter().all(|p| p.widen().is_f16());
    if short && (sum - 1.0).abs() <= SHORT_SUM_TOLERANCE {
        return Ok(Found::Rounded);
    }
    let tolerance = if short { SHORT_SUM_TOLERANCE } else { SUM_TOLERANCE };
    Err(Fault::Sum { row: index, value: sum, tolerance, short })
}
