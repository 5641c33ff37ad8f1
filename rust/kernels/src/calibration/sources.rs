//! Where probabilities come from: one a row with a 0/1 outcome, or the top label of a row of classes.

use super::bins::{Probability, SHORT_SUM_TOLERANCE, SUM_TOLERANCE, Work};
use super::block::{Block, Fault, LeftOut};
use super::labels::Labels;
use crate::rows::Rows;
use crate::simd::tree64;
use std::marker::PhantomData;

/// Lanes of the pass over a row.
const LANES: usize = 16;

/// Rows to tally.
pub trait Source: Sync {
    /// The element type of the probabilities.
    type Item: Probability;
    /// How many rows.
    fn count(&self) -> usize;
    /// Probabilities in a row.
    fn width(&self) -> usize;
    /// Reads rows `start..start + n` into `block` and counts what is left out of them.
    fn read(
        &self,
        start: usize,
        n: usize,
        omit_nan: bool,
        block: &mut Block<<Self::Item as Probability>::Work>,
        left_out: &mut LeftOut,
    ) -> Result<(), Fault>;
}

/// One probability a row, and whether it came true (0 or 1).
pub struct Scores<'a, T> {
    /// Probabilities.
    pub probs: &'a [T],
    /// 0 or 1 for each.
    pub labels: Labels<'a>,
    /// Which rows count (not 0), or all.
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
    /// Bin by row: what counts, what is clamped, what is left out, what is refused.
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

/// A value in [0, 1 + 1e-6]; `None` where it is a NaN to omit.
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

/// What is above 1 by rounding counts as 1, and is counted.
#[inline(always)]
fn clamp<T: Probability>(p: T::Work, left_out: &mut LeftOut) -> T::Work {
    let above = p > T::Work::ONE;
    left_out.clamped += u64::from(above);
    if above { T::Work::ONE } else { p }
}

/// The largest probability of a row of classes, and whether the label is its class: the first of equals.
pub struct TopLabels<'a, T, R> {
    rows: &'a R,
    labels: Labels<'a>,
    keep: Option<&'a [u8]>,
    item: PhantomData<T>,
}

impl<'a, T, R: Rows<T>> TopLabels<'a, T, R> {
    /// Rows of class probabilities, the class of each, and which rows count (not 0), or all.
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

/// What one pass over a row finds.
struct Pass<W> {
    top: W,
    sum: f64,
    /// Every value is in [0, 1 + 1e-6] and they sum to 1.
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

/// What a row that does not pass is after all.
enum Found {
    /// One with a NaN to omit.
    Nan,
    /// One of 16-bit floats in a wider type, whose sum is off by no more than their rounding.
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
    // Every value can stand: it was the sum.
    let short = row.iter().all(|p| p.widen().is_bf16()) || row.iter().all(|p| p.widen().is_f16());
    if short && (sum - 1.0).abs() <= SHORT_SUM_TOLERANCE {
        return Ok(Found::Rounded);
    }
    let tolerance = if short { SHORT_SUM_TOLERANCE } else { SUM_TOLERANCE };
    Err(Fault::Sum { row: index, value: sum, tolerance, short })
}
