//! More than [`SLOTS`] units: the counts of a leaf in some replicates are multiplied with the leaf of each column while
//! both are in the cache.

use super::super::design::Units;
use super::super::sums::{COMPLETE, Column, counted_abreast, ends_piece};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::random::{Counts, SLOTS, Stream, leaves_into};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Replicates that are multiplied with a column at the same time, so that it is loaded once for all of them.
const ABREAST: usize = 4;

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
        let mut counts = memory::filled(self.units.div_ceil(SLOTS) * ABREAST, [0; SLOTS])?;
        let mut totals = memory::filled(streams.len() * self.columns, 0.0)?;
        let mut piece = memory::filled(ABREAST * self.columns, 0.0)?;
        let mut wide = memory::filled(ABREAST, Column::ZERO)?;
        for (streams, totals) in streams.chunks(ABREAST).zip(totals.chunks_mut(ABREAST * self.columns)) {
            let wide = &mut wide.as_chunks_mut().0[0];
            dispatch(Multiply { of: self, streams, counts: &mut counts, wide, piece: &mut piece, totals });
        }
        Ok(totals)
    }
}

/// Multiplies the leaves of all columns with the counts of up to [`ABREAST`] replicates.
struct Multiply<'a> {
    of: &'a Table,
    streams: &'a [Stream],
    counts: &'a mut [Counts],
    /// The counts of a leaf in each replicate.
    wide: &'a mut [Column; ABREAST],
    /// As long as `totals` of [`ABREAST`] replicates.
    piece: &'a mut [f64],
    totals: &'a mut [f64],
}

impl Kernel for Multiply<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Multiply { of, streams, counts, wide, piece, totals } = self;
        let (columns, leaves) = (of.columns, of.units.div_ceil(SLOTS));
        let mut rests = [const { None }; ABREAST];
        for (r, counts) in counts.chunks_exact_mut(leaves).enumerate().take(streams.len()) {
            let rest = leaves_into(streams[r], of.units, counts);
            if of.units <= COMPLETE {
                rest.add_to(counts);
            } else {
                rests[r] = Some(rest);
            }
        }
        add_leaves(of, &counts[..streams.len() * leaves], wide, piece, totals);
        for (rest, totals) in rests.into_iter().zip(totals.chunks_exact_mut(columns)) {
            let Some(mut rest) = rest else { continue };
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
        for (wide, counts) in wide.iter_mut().zip(counts.chunks_exact(leaves)) {
            wide.widen(&counts[index]);
        }
        for (place, column) in leaf.iter().enumerate() {
            let sums = counted_abreast(wide, column);
            for r in 0..ABREAST {
                piece[r * columns + place] += sums[r];
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
