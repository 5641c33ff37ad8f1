//! More than [`SLOTS`] units: the counts of a leaf in some replicates are multiplied with the leaf of each column while
//! both are in the cache.

use super::super::design::Units;
use super::super::sums::{COMPLETE, Column, counted_abreast, ends_piece};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::random::{Counts, Rest, SLOTS, Stream, leaves_into};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Replicates that are multiplied with a column at the same time, so that it is loaded once for all of them.
const ABREAST: usize = 4;

/// Columns whose leaf (8 KiB each) stays in the second cache while all replicates are multiplied with it. Where four
/// replicates went through all leaves before the next four, a table above that cache was read from the third one for each
/// of them: 0.13 instead of 0.05 ns for a row of a column (100 columns of 10,000 rows).
const NEAR: usize = 64;

/// The parts of the units of several problems, column by column.
pub(super) struct Table {
    /// The leaves of the units, each as one [`Column`] after the other. The last leaf is filled up with zeros.
    leaves: Vec<Column>,
    units: usize,
    columns: usize,
}

impl Table {
    /// The columns of problems of the same design: problem p has those from `p K` on.
    pub fn of<U: Units<K>, const K: usize>(problems: &[U], progress: Progress<'_>) -> Result<Self, Stopped> {
        let units = problems.first().map_or(0, |problem| problem.count());
        let columns = problems.len() * K;
        let mut leaves = memory::filled(units.div_ceil(SLOTS) * columns, Column::ZERO)?;
        let mut pace = Pace::new(progress);
        let mut parts = [[0.0; K]; SLOTS];
        for (place, problem) in problems.iter().enumerate() {
            for (leaf, start) in (0..units).step_by(SLOTS).enumerate() {
                let parts = &mut parts[..SLOTS.min(units - start)];
                scalar(|| problem.read(start, parts));
                for (k, column) in leaves[leaf * columns + place * K..][..K].iter_mut().enumerate() {
                    column.0.iter_mut().zip(&*parts).for_each(|(to, part)| *to = part[k]);
                }
                pace.stride(parts.len())?;
            }
        }
        Ok(Table { leaves, units, columns })
    }

    /// The sums of all columns in each replicate.
    pub fn sums(&self, streams: &[Stream]) -> Result<Vec<f64>, NoMemory> {
        // Room for whole groups of replicates; what counts beyond the last one, 0 times, is not read.
        let room = streams.len().next_multiple_of(ABREAST);
        let mut counts = memory::filled(self.units.div_ceil(SLOTS) * room, [0; SLOTS])?;
        let mut piece = memory::filled(self.columns * room, 0.0)?;
        let mut totals = memory::filled(self.columns * streams.len(), 0.0)?;
        let mut rests = memory::with_capacity(streams.len())?;
        let mut wide = memory::filled(ABREAST, Column::ZERO)?;
        let wide = &mut wide.as_chunks_mut().0[0];
        for (&stream, counts) in streams.iter().zip(counts.chunks_exact_mut(self.units.div_ceil(SLOTS))) {
            rests.extend(dispatch(Draw { of: self, stream, counts }));
        }
        let totals_of = &mut totals[..];
        dispatch(Multiply { of: self, counts: &counts, rests, wide, piece: &mut piece, totals: totals_of });
        Ok(totals)
    }
}

/// Counts the units in a replicate. The draws that are left where the counts are not completed.
struct Draw<'a> {
    of: &'a Table,
    stream: Stream,
    counts: &'a mut [Counts],
}

impl Kernel for Draw<'_> {
    type Out = Option<Rest>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<Rest> {
        let Draw { of, stream, counts } = self;
        let rest = leaves_into(stream, of.units, counts);
        if of.units > COMPLETE {
            return Some(rest);
        }
        rest.add_to(counts);
        None
    }
}

/// Multiplies the leaves of all columns with the counts of some replicates.
struct Multiply<'a> {
    of: &'a Table,
    /// The leaves of the first replicate, then those of the next; whole groups of [`ABREAST`] replicates.
    counts: &'a [Counts],
    /// The draws that are left of each replicate, where counts are not completed.
    rests: Vec<Rest>,
    /// The counts of a leaf in each replicate of a group.
    wide: &'a mut [Column; ABREAST],
    /// As long as the totals of whole groups.
    piece: &'a mut [f64],
    totals: &'a mut [f64],
}

impl Kernel for Multiply<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Multiply { of, counts, rests, wide, piece, totals } = self;
        let columns = of.columns;
        add_leaves(of, counts, wide, piece, totals);
        for (mut rest, totals) in rests.into_iter().zip(totals.chunks_exact_mut(columns)) {
            let sums = &mut piece[..columns];
            sums.fill(0.0);
            while let Some(unit) = rest.draw() {
                let leaf = &of.leaves[unit / SLOTS * columns..][..columns];
                for (sum, column) in sums.iter_mut().zip(leaf) {
                    *sum += column.0[unit % SLOTS];
                }
            }
            for (total, sum) in totals.iter_mut().zip(&*sums) {
                *total += sum;
            }
        }
    }
}

/// The sums over all leaves, piece by piece, of the replicates with these counts.
#[inline(always)]
fn add_leaves(
    of: &Table,
    counts: &[Counts],
    wide: &mut [Column; ABREAST],
    piece: &mut [f64],
    totals: &mut [f64],
) {
    let (columns, leaves) = (of.columns, of.units.div_ceil(SLOTS));
    totals.fill(0.0);
    piece.fill(0.0);
    for (index, leaf) in of.leaves.chunks_exact(columns).enumerate() {
        for (near, block) in leaf.chunks(NEAR).enumerate() {
            for (group, piece) in piece.chunks_exact_mut(ABREAST * columns).enumerate() {
                for r in 0..ABREAST {
                    wide[r].widen(&counts[(group * ABREAST + r) * leaves + index]);
                }
                for (place, column) in block.iter().enumerate() {
                    let sums = counted_abreast(wide, column);
                    for r in 0..ABREAST {
                        piece[r * columns + near * NEAR + place] += sums[r];
                    }
                }
            }
        }
        if ends_piece(index, leaves) {
            for (total, sum) in totals.iter_mut().zip(&*piece) {
                *total += sum;
            }
            piece.fill(0.0);
        }
    }
}
