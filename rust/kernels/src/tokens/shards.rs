//! Shards of a vocabulary: the rows of some of its classes, read apart from those of the others, and put together.
//!
//! What is kept of a row of a shard is what is kept of one part of a long row: its largest logit, and sums relative to it.
//! So shards are put together as such parts are, and the columns are computed from the whole.

use super::columns::{Beside, Folds};
use super::entropy::EntropySums;
use super::fold::{Fold, Folded, KEPT};
use super::log_sum_exp::SumExp;
use super::moments::MomentSums;
use super::passes::{Held, Reading, Results};
use super::ranks::Sought;
use super::reading::{Finish, Plan, Request};
use super::scores::{Asked, TokenScores, Unscorable, read};
use super::targets::Targets;
use super::terms::Logit;
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, fill_chunks};
use crate::memory::{self, NoMemory};
use crate::rows::Source;
use crate::simd::{Isa, Kernel, dispatch};
use std::ops::Range;

/// What was found in the rows of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shard {
    /// Of each row, what its classes leave; NaN where no target of it counts.
    pub rows: Vec<[f64; KEPT]>,
    /// The logit of each target; NaN where it does not count.
    pub logits: Vec<f64>,
    /// Whether each target counts.
    pub counted: Vec<bool>,
}

impl Shard {
    pub(super) fn empty(rows: usize, targets: usize) -> Result<Shard, NoMemory> {
        let (rows, logits) = (memory::filled(rows, [f64::NAN; KEPT])?, memory::filled(targets, f64::NAN)?);
        Ok(Shard { rows, logits, counted: Vec::new() })
    }

    /// The same, of which each target counts or not.
    pub(super) fn with(mut self, counted: Vec<bool>) -> Self {
        self.counted = counted;
        self
    }
}

/// Reads the rows of a shard, whose targets are classes of the shard. A row whose classes are all masked is no error.
pub fn token_shard<T: Logit>(
    source: Source<'_, T>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    progress: Progress<'_>,
) -> Result<Result<Shard, Unscorable>, Stopped> {
    if let Some(index) = targets.out_of_range(source.width()) {
        return Ok(Err(Unscorable::Target { index }));
    }
    let counted = targets.counted()?;
    let request = Request { targets, counted: &counted, asked };
    let plan = Plan { source, request, beside: Beside::serving(asked.columns) };
    let mut shard = Shard::empty(plan.rows(), targets.classes.len())?;
    if let Some(refused) = read(plan, &mut shard, progress)? {
        return Ok(Err(refused));
    }
    Ok(Ok(shard.with(counted)))
}

impl Results for Shard {
    type Piece<'a> = (&'a mut [[f64; KEPT]], &'a mut [f64]);

    fn pieces(
        &mut self,
        rows: usize,
        size: usize,
        per_row: usize,
    ) -> impl ExactSizeIterator<Item = Self::Piece<'_>> {
        let (mut parts, mut logits) = (self.rows.chunks_mut(size), self.logits.chunks_mut(size * per_row));
        (0..chunks(rows, size))
            .map(move |_| (parts.next().unwrap_or_default(), logits.next().unwrap_or_default()))
    }

    fn fill<T: Logit, F: Fold<T>>(
        plan: Plan<'_, T>,
        first: usize,
        read: Reading<'_, T, F>,
        (rows, logits): Self::Piece<'_>,
    ) -> Option<usize> {
        dispatch(Keep { request: plan.request, first, read, rows, logits })
    }
}

/// Keeps what was found in rows from `first` on. Returns the first row with a NaN or +inf.
struct Keep<'a, T: Logit, F> {
    request: Request<'a>,
    first: usize,
    read: Reading<'a, T, F>,
    rows: &'a mut [[f64; KEPT]],
    logits: &'a mut [f64],
}

impl<T: Logit, F: Fold<T>> Kernel for Keep<'_, T, F> {
    type Out = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let Keep { request, first, read, rows, logits } = self;
        let per_row = request.targets.per_row;
        for (i, (folded, row)) in read.rows.iter().zip(rows).enumerate() {
            if !request.row_counts(first + i) {
                continue;
            }
            let Some(kept) = folded.kept() else { return Some(first + i) };
            *row = kept;
            for j in i * per_row..(i + 1) * per_row {
                if request.counted[first * per_row + j] {
                    logits[j] = read.sought[j].finish().logit;
                }
            }
        }
        None
    }
}

/// A shard among others.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// Its first class.
    pub start: usize,
    /// Of each row, what its classes leave.
    pub rows: &'a [[f64; KEPT]],
}

/// Computes the columns of rows of `width` classes from their shards, which are given in the order of their classes and
/// hold the sums that the columns need, and from the logits of the targets. Ranks are not known.
pub fn join_shards(
    shards: &[Placed<'_>],
    logits: &[f64],
    width: usize,
    targets: Targets<'_>,
    asked: Asked<'_>,
    progress: Progress<'_>,
) -> Result<Result<TokenScores, Unscorable>, Stopped> {
    let counted = targets.counted()?;
    let joined = Joined { shards, logits, width, request: Request { targets, counted: &counted, asked } };
    let found = match Folds::serving(asked.columns) {
        Folds::SumExp => joined.columns::<SumExp>(progress),
        Folds::EntropySums => joined.columns::<EntropySums>(progress),
        Folds::MomentSums => joined.columns::<MomentSums>(progress),
    }?;
    Ok(found.map(|scores| scores.with(counted)))
}

/// The arguments of [`join_shards`].
#[derive(Clone, Copy)]
struct Joined<'a> {
    shards: &'a [Placed<'a>],
    logits: &'a [f64],
    width: usize,
    request: Request<'a>,
}

impl Joined<'_> {
    fn columns<F: Fold<f64>>(
        self,
        progress: Progress<'_>,
    ) -> Result<Result<TokenScores, Unscorable>, Stopped> {
        let Joined { shards, logits, width, request } = self;
        let per_row = request.targets.per_row;
        let count = request.targets.classes.len() / per_row.max(1);
        let mut scores = TokenScores::empty(count, request.targets, request.asked.columns)?;
        let pieces = memory::collected(scores.pieces(count, CHUNK, per_row))?;
        let bytes = shards.len() * count * KEPT * size_of::<f64>();
        let mut rows_done = |done: usize| progress((done * CHUNK).min(count));
        let refused =
            fill_chunks(pieces, bytes, &mut rows_done, |index, out| -> Result<Option<usize>, NoMemory> {
                let rows = chunk(index, count, CHUNK);
                let mut held = Held::<f64, F>::new(rows.len(), per_row)?;
                for (j, sought) in held.sought.iter_mut().enumerate() {
                    let place = rows.start * per_row + j;
                    *sought = Sought::new(request.targets.classes[place] as usize, logits[place]);
                }
                let first = rows.start;
                dispatch(Join { shards, rows, folded: &mut held.rows });
                let Held { rows: folded, sought } = &held;
                Ok(dispatch(Finish { request, width, first, folded, sought, out }))
            })?;
        let refused = refused.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(match refused.into_iter().flatten().next() {
            Some(row) => Err(Unscorable::NoMass { row }),
            None => Ok(scores),
        })
    }
}

/// Puts the shards of rows together.
struct Join<'a, F> {
    shards: &'a [Placed<'a>],
    rows: Range<usize>,
    folded: &'a mut [Folded<f64, F>],
}

impl<F: Fold<f64>> Kernel for Join<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for shard in self.shards {
            for (folded, kept) in self.folded.iter_mut().zip(&shard.rows[self.rows.clone()]) {
                folded.merge::<I>(&Folded::of(kept, shard.start));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::rows::Table;
    use crate::tokens::columns::Column;
    use crate::tokens::scores::tests::logits;
    use crate::tokens::token_scores;

    fn go(_: usize) -> bool {
        true
    }

    /// All columns but ranks.
    fn columns() -> Vec<Column> {
        let ranks = [Column::Rank, Column::RankTies, Column::TopK];
        Column::ALL.iter().copied().filter(|column| !ranks.contains(column)).collect()
    }

    /// The scores of the rows of `x`, read in shards that end at `ends`.
    fn in_shards(
        x: &[f32],
        width: usize,
        classes: &[i64],
        ends: &[usize],
    ) -> Result<TokenScores, Unscorable> {
        let columns = columns();
        let asked = Asked { columns: &columns, label_smoothing: 0.1 };
        let mut shards = Vec::new();
        let mut target_logits = vec![f64::NAN; classes.len()];
        let mut start = 0;
        for &end in ends {
            let own = |&class: &i64| (start..end).contains(&(class as usize));
            let part: Vec<f32> = x.chunks(width).flat_map(|row| &row[start..end]).copied().collect();
            let local: Vec<i64> =
                classes.iter().map(|class| if own(class) { class - start as i64 } else { 0 }).collect();
            let table = Table::new(&part, end - start).unwrap();
            let shard = token_shard(Source::Lent(&table), Targets::new(&local), asked, &mut go).unwrap()?;
            for (i, class) in classes.iter().enumerate() {
                if own(class) {
                    target_logits[i] = shard.logits[i];
                }
            }
            shards.push((start, shard));
            start = end;
        }
        let placed: Vec<Placed<'_>> =
            shards.iter().map(|(start, shard)| Placed { start: *start, rows: &shard.rows }).collect();
        join_shards(&placed, &target_logits, width, Targets::new(classes), asked, &mut go).unwrap()
    }

    #[test]
    fn shards_give_the_columns_of_the_whole() {
        let (width, columns) = (3000, columns());
        let mut x: Vec<f32> = logits(4 * width, 8.0, 3).into_iter().map(|v| v as f32).collect();
        x[width + 10] = 30.0; // twice the largest logit, in two shards
        x[width + 2500] = 30.0;
        x[2 * width..2 * width + 1024].fill(f32::NEG_INFINITY); // a shard without mass
        let classes = [5, 2500, 2999, 1024];
        let table = Table::new(&x, width).unwrap();
        let asked = Asked { columns: &columns, label_smoothing: 0.1 };
        let whole =
            token_scores(Source::Lent(&table), Targets::new(&classes), asked, &mut go).unwrap().unwrap();
        for ends in [&[width][..], &[1024, width], &[1, 1024, 2000, width]] {
            let got = in_shards(&x, width, &classes, ends).unwrap();
            for &column in &columns {
                for (row, (got, want)) in got[column].iter().zip(&whole[column]).enumerate() {
                    let bound = if ends.len() == 1 { 0.0 } else { 1e-5 };
                    let near = (got - want).abs() <= bound * want.abs() || got == want;
                    assert!(near, "{column:?} of row {row} in {ends:?}: {got} {want}");
                }
            }
            assert_eq!(got[Column::Top], whole[Column::Top]);
            assert_eq!(got.counted, [true; 4]);
        }
    }

    #[test]
    fn the_bits_are_those_of_the_parts_of_a_long_row() {
        let (part, columns) = (crate::tokens::passes::PART, columns());
        let width = 2 * part + 777;
        let x: Vec<f32> = logits(width, 8.0, 5).into_iter().map(|v| v as f32).collect();
        let classes = [part as i64 + 3];
        let table = Table::new(&x, width).unwrap();
        let asked = Asked { columns: &columns, label_smoothing: 0.1 };
        let whole =
            token_scores(Source::Lent(&table), Targets::new(&classes), asked, &mut go).unwrap().unwrap();
        let got = in_shards(&x, width, &classes, &[part, 2 * part, width]).unwrap();
        for &column in &columns {
            assert_eq!(got[column][0].to_bits(), whole[column][0].to_bits(), "{column:?}");
        }
    }

    #[test]
    fn a_row_without_mass_and_a_logit_that_is_none_are_refused() {
        let mut x = vec![f32::NEG_INFINITY; 20];
        assert_eq!(in_shards(&x, 10, &[1, 1], &[5, 10]), Err(Unscorable::NoMass { row: 0 }));
        x[3] = 0.0;
        assert_eq!(in_shards(&x, 10, &[1, 1], &[5, 10]), Err(Unscorable::NoMass { row: 1 }));
        x[17] = f32::NAN;
        let refused = in_shards(&x, 10, &[1, 1], &[5, 10]).unwrap_err();
        assert!(matches!(refused, Unscorable::Logit { row: 1, column: 2, .. }), "{refused:?}");
    }
}
