//! The kernels that read rows of logits block by block, put the parts of long rows together, and fill the columns.

use super::columns::{Beside, Column};
use super::fold::{BLOCK, Fold, Folded, block_max};
use super::passes::PART;
use super::ranks::Sought;
use super::scores::Asked;
use super::targets::Targets;
use super::terms::Logit;
use crate::named::Named;
use crate::rows::Source;
use crate::simd::{Isa, Kernel};
use std::ops::Range;

/// The most rows whose blocks are computed together.
pub const TILE: usize = 64;

/// What is asked of each row.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub targets: Targets<'a>,
    /// Whether each target counts: [`Targets::counts`], evaluated once.
    pub counted: &'a [bool],
    pub asked: Asked<'a>,
}

impl Request<'_> {
    /// Whether a target of the row is scored; the others are not even read.
    #[inline(always)]
    pub fn row_counts(&self, row: usize) -> bool {
        let per_row = self.targets.per_row;
        let mut any = false;
        for &counts in &self.counted[row * per_row..(row + 1) * per_row] {
            any |= counts;
        }
        any
    }
}

/// The arguments of one call.
#[derive(Clone, Copy)]
pub struct Plan<'a, T> {
    pub source: Source<'a, T>,
    pub request: Request<'a>,
    /// What its columns need beside sums.
    pub beside: Beside,
}

impl<T: Logit> Plan<'_, T> {
    /// How many rows have targets.
    pub fn rows(&self) -> usize {
        self.source.count().min(self.request.targets.classes.len() / self.request.targets.per_row.max(1))
    }

    /// Finds the logits of the targets of a row.
    #[inline(always)]
    fn seek(&self, row: usize, sought: &mut [Sought<T::Real>], made: &mut [T]) {
        for (j, sought) in sought.iter_mut().enumerate() {
            let index = row * self.request.targets.per_row + j;
            // Another thread may change the targets meanwhile, so their range is checked again.
            let class = self.request.targets.classes[index] as usize;
            if self.request.counted[index] && class < self.source.width() {
                let logit = self.source.part(row, class..class + 1, made)[0];
                *sought = Sought::new(class, logit.real());
            }
        }
    }
}

/// Reads the elements `columns` of the rows from `first` on.
pub struct Read<'a, T: Logit, F> {
    pub plan: Plan<'a, T>,
    pub first: usize,
    pub columns: Range<usize>,
    pub folded: &'a mut [Folded<T, F>],
    pub sought: &'a mut [Sought<T::Real>],
    /// The memory in which blocks are computed; empty where the rows lie in memory.
    pub tile: &'a mut [T],
}

impl<T: Logit, F: Fold<T>> Kernel for Read<'_, T, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Read { plan, first, columns, folded, sought, tile } = self;
        let per_row = plan.request.targets.per_row;
        // A row in memory is read alone, to its end; rows that are computed are read together, block by block.
        let (together, step) = match plan.source.together(TILE) {
            0 => (1, columns.len()),
            rows => (rows, BLOCK),
        };
        // A part of a row is read in one call, or in several of which the first looks up the targets.
        let seeks = columns.start.is_multiple_of(PART);
        let mut next = 0;
        while next < folded.len() {
            let (mut rows, mut n) = ([0; TILE], 0);
            while n < together && next < folded.len() {
                if plan.request.row_counts(first + next) {
                    if seeks {
                        plan.seek(first + next, &mut sought[next * per_row..(next + 1) * per_row], tile);
                    }
                    rows[n] = first + next;
                    n += 1;
                }
                next += 1;
            }
            let mut start = columns.start;
            while n > 0 && start < columns.end {
                let here = start..columns.end.min(start + step);
                if let Source::Made(source) = plan.source {
                    source.make(&rows[..n], here.clone(), &mut tile[..n * here.len()]);
                }
                for (i, &row) in rows[..n].iter().enumerate() {
                    let logits = match plan.source {
                        Source::Lent(source) => &source.row(row)[here.clone()],
                        Source::Made(_) => &tile[i * here.len()..(i + 1) * here.len()],
                    };
                    let place = row - first;
                    let sought = &mut sought[place * per_row..(place + 1) * per_row];
                    read_row::<I, T, F>(&mut folded[place], sought, logits, start, plan.beside);
                }
                start = here.end;
            }
        }
    }
}

/// Reads a stretch of a row, which starts at class `start`.
#[inline(always)]
fn read_row<I: Isa, T: Logit, F: Fold<T>>(
    folded: &mut Folded<T, F>,
    sought: &mut [Sought<T::Real>],
    logits: &[T],
    mut start: usize,
    beside: Beside,
) {
    let mut state = *folded;
    for block in logits.chunks(BLOCK) {
        let top = block_max(block);
        state.read::<I>(block, top, start, beside);
        if beside.ranks {
            for sought in &mut *sought {
                sought.count(block, top, start);
            }
        }
        start += block.len();
    }
    *folded = state;
}

/// Puts the parts of every row together, the first part of all rows coming before the second of all.
pub struct MergeParts<'a, T: Logit, F> {
    pub rows: usize,
    pub per_row: usize,
    pub folded: &'a mut [Folded<T, F>],
    pub sought: &'a mut [Sought<T::Real>],
}

impl<T: Logit, F: Fold<T>> Kernel for MergeParts<'_, T, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (whole, parts) = self.folded.split_at_mut(self.rows);
        for (i, part) in parts.iter().enumerate() {
            whole[i % self.rows].merge::<I>(part);
        }
        let targets = self.rows * self.per_row;
        let (whole, parts) = self.sought.split_at_mut(targets);
        for (i, part) in parts.iter().enumerate() {
            whole[i % targets].merge(part);
        }
    }
}

/// Fills the columns that were asked for from the rows that were read; the others are empty. Returns the first row that
/// has no softmax.
pub struct Finish<'a, T: Logit, F> {
    pub request: Request<'a>,
    /// How many classes a row has.
    pub width: usize,
    pub first: usize,
    pub folded: &'a [Folded<T, F>],
    pub sought: &'a [Sought<T::Real>],
    pub out: [&'a mut [f64]; Column::ALL.len()],
}

impl<T: Logit, F: Fold<T>> Kernel for Finish<'_, T, F> {
    type Out = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let Finish { request, width, first, folded, sought, out } = self;
        let Request { targets: Targets { per_row, .. }, counted, asked } = request;
        for (i, folded) in folded.iter().enumerate() {
            if !request.row_counts(first + i) {
                continue;
            }
            let Some(row) = folded.finish(width) else { return Some(first + i) };
            for j in 0..per_row {
                if !counted[(first + i) * per_row + j] {
                    continue;
                }
                let target = sought[i * per_row + j].finish();
                // Columns in the innermost loop: a loop over rows for each of them would be compiled once per column.
                for &column in asked.columns {
                    // One entry a target, or one a row.
                    let place = if column.of_target() { i * per_row + j } else { i };
                    out[column as usize][place] = column.value::<I>(&row, &target, asked.label_smoothing);
                }
            }
        }
        None
    }
}
