//! The order in which rows of logits are read: chunk by chunk, in parts where rows are long, or strip by strip where they
//! are computed from what they share.

use super::fold::{BLOCK, Fold, Folded};
use super::ranks::Sought;
use super::reading::{MergeParts, Plan, Read, TILE};
use super::scores::Unscorable;
use super::terms::Logit;
use crate::grid::{Pace, Progress, Stopped, chunk, chunks, fill_chunks};
use crate::memory::{self, NoMemory};
use crate::rows::Source;
use crate::simd::dispatch;
use std::ops::Range;

/// Bytes of logits per chunk: enough that handing it to a thread costs little beside it, and read far more quickly than
/// Ctrl-C must be answered.
const CHUNK_BYTES: usize = 1 << 20;
/// The most rows per chunk: their sums are kept until the chunk is done.
const CHUNK_ROWS: usize = 1 << 12;
/// Chunks that are listed at a time.
const BUNCH: usize = 1 << 12;
/// Elements of a row that are read by one thread. The sums of the parts of a longer row are put together in their order,
/// so that they do not depend on the number of threads.
pub(super) const PART: usize = 1 << 18;
/// Elements of all rows that are read before the next, where rows are computed from what they share.
const STRIP: usize = 4 * BLOCK;
const _: () = assert!(PART.is_multiple_of(STRIP) && STRIP.is_multiple_of(BLOCK));

/// As [`fill_chunks`], for so many chunks that to list them all would take longer than Ctrl-C may wait.
pub(super) fn fill_bunches<T: Send, R: Send>(
    mut items: impl ExactSizeIterator<Item = T>,
    bytes: usize,
    progress: Progress<'_>,
    f: impl Fn(usize, T) -> R + Sync,
) -> Result<Vec<R>, Stopped> {
    let count = items.len();
    let mut found = memory::with_capacity(count)?;
    for first in (0..count).step_by(BUNCH) {
        let some = memory::collected(items.by_ref().take(BUNCH))?;
        let bytes = bytes / count * some.len();
        let mut done = |done: usize| progress(first + done);
        found.extend(fill_chunks(some, bytes, &mut done, |index, item| f(first + index, item))?);
    }
    Ok(found)
}

/// What becomes of rows that were read.
pub(super) trait Results {
    /// What becomes of some of them.
    type Piece<'a>: Send
    where
        Self: 'a;

    /// The results in pieces of `size` rows, for all of `rows`.
    fn pieces(
        &mut self,
        rows: usize,
        size: usize,
        per_row: usize,
    ) -> impl ExactSizeIterator<Item = Self::Piece<'_>>;

    /// Fills the piece of the rows from `first` on. Returns the first row that is refused.
    fn fill<T: Logit, F: Fold<T>>(
        plan: Plan<'_, T>,
        first: usize,
        read: Reading<'_, T, F>,
        piece: Self::Piece<'_>,
    ) -> Option<usize>;
}

/// Reads the rows of a plan with one fold, and fills the results. Returns why they cannot be had.
pub(super) fn score<T: Logit, F: Fold<T>, R: Results>(
    plan: Plan<'_, T>,
    results: &mut R,
    progress: Progress<'_>,
) -> Result<Option<Unscorable>, Stopped> {
    let refused = match plan.source {
        Source::Made(rows) if rows.shares() => in_strips::<T, F, R>(plan, results, progress)?,
        _ if plan.source.width() > PART => in_parts::<T, F, R>(plan, results, progress)?,
        _ => at_once::<T, F, R>(plan, results, progress)?,
    };
    refused.map(|row| offender(plan.source, row, progress)).transpose()
}

/// What is known of some rows that were read, one after another.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a, T: Logit, F> {
    pub rows: &'a [Folded<T, F>],
    pub sought: &'a [Sought<T::Real>],
}

/// What is known of some rows, or of one part of each, while they are read.
pub(super) struct Held<T: Logit, F> {
    pub rows: Vec<Folded<T, F>>,
    pub sought: Vec<Sought<T::Real>>,
}

impl<T: Logit, F: Fold<T>> Held<T, F> {
    pub fn new(rows: usize, per_row: usize) -> Result<Self, NoMemory> {
        let sought = memory::filled(rows.saturating_mul(per_row), Sought::none())?;
        Ok(Held { rows: memory::filled(rows, Folded::new())?, sought })
    }

    /// What was found in all rows.
    pub fn all(&self) -> Reading<'_, T, F> {
        Reading { rows: &self.rows, sought: &self.sought }
    }

    /// What was found in some of the rows, each of which has `per_row` targets.
    pub fn reading(&self, rows: Range<usize>, per_row: usize) -> Reading<'_, T, F> {
        Reading {
            rows: &self.rows[rows.clone()],
            sought: &self.sought[rows.start * per_row..rows.end * per_row],
        }
    }
}

/// Reads the rows from `rows.start` on, in parts where they are long.
pub(super) fn held<T: Logit, F: Fold<T>>(
    plan: Plan<'_, T>,
    rows: Range<usize>,
) -> Result<Held<T, F>, NoMemory> {
    let (width, per_row) = (plan.source.width(), plan.request.targets.per_row);
    let parts = chunks(width, PART).max(1);
    let mut held = Held::<T, F>::new(rows.len() * parts, per_row)?;
    let mut tile = tile(plan.source)?;
    let (mut folded, mut sought) = (&mut held.rows[..], &mut held.sought[..]);
    for part in 0..parts {
        let (these, rest) = folded.split_at_mut(rows.len());
        let (those, others) = sought.split_at_mut(rows.len() * per_row);
        let columns = chunk(part, width, PART);
        dispatch(Read { plan, first: rows.start, columns, folded: these, sought: those, tile: &mut tile });
        (folded, sought) = (rest, others);
    }
    if parts > 1 {
        dispatch(MergeParts { rows: rows.len(), per_row, folded: &mut held.rows, sought: &mut held.sought });
        held.rows.truncate(rows.len());
        held.sought.truncate(rows.len() * per_row);
    }
    Ok(held)
}

/// The memory in which the blocks of rows are computed; empty where the rows lie in memory.
pub(super) fn tile<T: Logit>(source: Source<'_, T>) -> Result<Vec<T>, NoMemory> {
    memory::filled(source.together(TILE) * BLOCK, T::default())
}

/// How many rows of that size are a chunk.
pub(super) fn rows_per_chunk(row_bytes: usize) -> usize {
    (CHUNK_BYTES / row_bytes.max(1)).clamp(1, CHUNK_ROWS)
}

/// Reads chunk after chunk of rows, and fills its results. Returns the first row that cannot be scored.
fn at_once<T: Logit, F: Fold<T>, R: Results>(
    plan: Plan<'_, T>,
    results: &mut R,
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let (count, width, per_row) = (plan.rows(), plan.source.width(), plan.request.targets.per_row);
    let row_bytes = (width * size_of::<T>()).max(1);
    let size = rows_per_chunk(row_bytes);
    let pieces = results.pieces(count, size, per_row);
    let mut rows_done = |done: usize| progress((done * size).min(count));
    let bytes = count.saturating_mul(row_bytes);
    let refused = fill_bunches(pieces, bytes, &mut rows_done, |index, out| -> Result<_, NoMemory> {
        let rows = chunk(index, count, size);
        let held = held::<T, F>(plan, rows.clone())?;
        Ok(R::fill(plan, rows.start, held.all(), out))
    })?;
    Ok(refused.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next())
}

/// As [`at_once`], for rows so long that parts of a row are read by several threads.
fn in_parts<T: Logit, F: Fold<T>, R: Results>(
    plan: Plan<'_, T>,
    results: &mut R,
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let (count, width, per_row) = (plan.rows(), plan.source.width(), plan.request.targets.per_row);
    let parts = chunks(width, PART);
    let mut held = Held::<T, F>::new(count.saturating_mul(parts), per_row)?;
    // The first part of each row, then the second of each, and so on.
    let size = plan.source.together(TILE).max(1);
    let mut items = Vec::new();
    let (mut folded, mut sought) = (&mut held.rows[..], &mut held.sought[..]);
    for part in 0..parts {
        for rows in (0..chunks(count, size)).map(|index| chunk(index, count, size)) {
            let (these, rest) = folded.split_at_mut(rows.len());
            let (those, others) = sought.split_at_mut(rows.len() * per_row);
            let columns = chunk(part, width, PART);
            memory::push(&mut items, Stretch { columns, first: rows.start, folded: these, sought: those })?;
            (folded, sought) = (rest, others);
        }
    }
    let mut rows_done = |done: usize| progress((done * size).min(count * parts) / parts);
    read_all(plan, items, count.saturating_mul(width), &mut rows_done)?;
    finish_parts(plan, held, results, progress)
}

/// As [`at_once`], for rows that are computed from what they share: the same columns of all rows, and then the next.
fn in_strips<T: Logit, F: Fold<T>, R: Results>(
    plan: Plan<'_, T>,
    results: &mut R,
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let (count, width, per_row) = (plan.rows(), plan.source.width(), plan.request.targets.per_row);
    let parts = chunks(width, PART);
    let mut held = Held::<T, F>::new(count.saturating_mul(parts), per_row)?;
    let size = plan.source.together(TILE).max(1);
    for start in (0..width).step_by(STRIP) {
        let (part, columns) = (start / PART, start..width.min(start + STRIP));
        let folded = held.rows[part * count..][..count].chunks_mut(size);
        let sought = held.sought[part * count * per_row..][..count * per_row].chunks_mut(size * per_row);
        let stretch = |(index, (folded, sought))| Stretch {
            columns: columns.clone(),
            first: index * size,
            folded,
            sought,
        };
        let items = memory::collected(folded.zip(sought).enumerate().map(stretch))?;
        read_all(plan, items, count.saturating_mul(STRIP), &mut |_| progress(count * start / width))?;
    }
    finish_parts(plan, held, results, progress)
}

/// Some rows of which a thread reads some columns.
struct Stretch<'a, T: Logit, F> {
    columns: Range<usize>,
    first: usize,
    folded: &'a mut [Folded<T, F>],
    sought: &'a mut [Sought<T::Real>],
}

/// Reads stretches, which have that many logits.
fn read_all<T: Logit, F: Fold<T>>(
    plan: Plan<'_, T>,
    items: Vec<Stretch<'_, T, F>>,
    logits: usize,
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let bytes = logits.saturating_mul(size_of::<T>());
    let read = fill_chunks(items, bytes, progress, |_, item| -> Result<(), NoMemory> {
        let Stretch { columns, first, folded, sought } = item;
        dispatch(Read { plan, first, columns, folded, sought, tile: &mut tile(plan.source)? });
        Ok(())
    })?;
    Ok(read.into_iter().collect::<Result<(), _>>()?)
}

/// Puts the parts of rows together and fills the results.
fn finish_parts<T: Logit, F: Fold<T>, R: Results>(
    plan: Plan<'_, T>,
    mut held: Held<T, F>,
    results: &mut R,
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let (count, per_row) = (plan.rows(), plan.request.targets.per_row);
    dispatch(MergeParts { rows: count, per_row, folded: &mut held.rows, sought: &mut held.sought });
    let pieces = results.pieces(count, CHUNK_ROWS, per_row);
    let refused = fill_bunches(pieces, 0, &mut |_| progress(count), |index, out| {
        let rows = chunk(index, count, CHUNK_ROWS);
        R::fill(plan, rows.start, held.reading(rows, per_row), out)
    })?;
    Ok(refused.into_iter().flatten().next())
}

/// Finds out why a row has no softmax.
#[cold]
pub(super) fn offender<T: Logit>(
    source: Source<'_, T>,
    row: usize,
    progress: Progress<'_>,
) -> Result<Unscorable, Stopped> {
    let mut pace = Pace::new(progress);
    let mut block = memory::filled(BLOCK, T::default())?;
    for start in (0..source.width()).step_by(BLOCK) {
        let columns = start..(start + BLOCK).min(source.width());
        let values = source.part(row, columns, &mut block).iter().map(|x| x.to_f64());
        if let Some((place, value)) = values.enumerate().find(|&(_, x)| x.is_nan() || x == f64::INFINITY) {
            return Ok(Unscorable::Logit { row, column: start + place, value });
        }
        pace.step()?;
    }
    Ok(Unscorable::NoMass { row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::rows::Table;
    use crate::tokens::columns::{Beside, Column};
    use crate::tokens::moments::MomentSums;
    use crate::tokens::reading::Request;
    use crate::tokens::scores::tests::logits;
    use crate::tokens::{Asked, Targets, TokenScores, token_scores};

    fn go(_: usize) -> bool {
        true
    }

    fn scored(data: &[f32], width: usize, targets: &[i64]) -> Result<TokenScores, Unscorable> {
        let table = Table::new(data, width).unwrap();
        let targets = Targets { ignore: Some(-100), ..Targets::new(targets) };
        token_scores(Source::Lent(&table), targets, Column::ALL.into(), &mut go).unwrap()
    }

    #[test]
    fn a_row_read_in_parts_is_that_of_one_read_at_once() {
        let width = 2 * PART + 12_345;
        let mut row: Vec<f32> = logits(width, 10.0, 7).into_iter().map(|v| v as f32).collect();
        row[width - 5] = 40.0;
        row[PART + 3] = 40.0;
        let table = Table::new(&row, width).unwrap();
        let classes = [width as i64 - 5];
        let targets = Targets::new(&classes);
        let asked = Asked::from(Column::ALL);
        let request = Request { targets, counted: &[true], asked };
        let plan = Plan { source: Source::Lent(&table), request, beside: Beside::serving(Column::ALL) };
        let mut whole = Held::<f32, MomentSums>::new(1, 1).unwrap();
        let (folded, sought) = (&mut whole.rows[..], &mut whole.sought[..]);
        dispatch(Read { plan, first: 0, columns: 0..width, folded, sought, tile: &mut [] });
        let mut scores = TokenScores::empty(1, targets, Column::ALL).unwrap();
        let mut want = TokenScores::empty(1, targets, Column::ALL).unwrap();
        assert_eq!(in_parts::<_, MomentSums, _>(plan, &mut scores, &mut go).unwrap(), None);
        let out = want.pieces(1, 1, 1).next().unwrap();
        assert_eq!(TokenScores::fill(plan, 0, whole.all(), out), None);
        for &column in Column::ALL {
            let (got, want) = (scores[column][0], want[column][0]);
            // Far below the maximum, the f32 exponentials depend on what they are relative to.
            let bound = if matches!(column, Column::Entropy | Column::Varentropy) { 1e-5 } else { 1e-12 };
            assert!((got - want).abs() <= bound * want.abs(), "{column:?} {got} {want}");
        }
        assert_eq!((scores[Column::Top][0], scores[Column::TopK][0]), ((PART + 3) as f64, 2.0));
        let skipped = scored(&row, width, &[-100]).unwrap();
        assert!(skipped[Column::Nll][0].is_nan() && !skipped.counted[0]);
        let mut bad = row.clone();
        bad[width - 2] = f32::NAN;
        let refused = scored(&bad, width, &[3]).unwrap_err();
        assert!(
            matches!(refused, Unscorable::Logit { row: 0, column, .. } if column == width - 2),
            "{refused:?}"
        );
        bad.fill(f32::NEG_INFINITY);
        assert_eq!(scored(&bad, width, &[3]), Err(Unscorable::NoMass { row: 0 }));
        bad[PART + 1] = 0.0;
        assert_eq!(scored(&bad, width, &[3]).unwrap()[Column::LogZ], [0.0]);
    }
}
