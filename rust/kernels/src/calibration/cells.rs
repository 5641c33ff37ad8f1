//! The state of calibration. Beside the tally of all rows, a state with clusters has the counts of each cluster (and
//! weight) in each bin where it has rows. A state with weights but without clusters keeps every row by itself.

use super::alone::Alone;
use super::tally::{Bin, Tally};
use super::weights::Weight;
use crate::clusters::{Id, Keyed, Shards};
use crate::grid::{Pace, Stopped};
use crate::memory::{self, NoMemory};

/// The most bins of a state with clusters or weights. It is lower than [`super::MAX_BINS`] because the covariance of
/// the bins has a row and a column for each of them.
pub const MAX_CLUSTERED_BINS: usize = 1_000;

/// The rows of one cluster in one bin; only those of one weight where `W` is [`Weight`] and not `()`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell<W> {
    /// The cluster, the weight, and the index of the bin.
    pub key: (Id, W, u32),
    /// The counts of these rows, of which there is at least one.
    pub bin: Bin,
}

impl<W: Ord + Copy + Send + Sync> Keyed for Cell<W> {
    type Key = (Id, W, u32);
    fn key(&self) -> &(Id, W, u32) {
        &self.key
    }
    fn join(&mut self, other: &Self) -> bool {
        self.bin.plus(&other.bin).map(|sum| self.bin = sum).is_some()
    }
}

/// Why two states cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They have different numbers of bins, or there would be 2^63 rows or more.
    Range,
    /// The rows of one have clusters, those of the other have none.
    MixedClusters,
    /// The rows of one have weights, those of the other have none.
    MixedWeights,
}

/// The state: counts of the rows by bin and, where rows have clusters or weights, also by cluster, weight and bin.
#[derive(Debug, Default)]
pub struct BinTotals {
    /// The tally of all rows.
    pub tally: Tally,
    /// The counts of each cluster and bin, sorted by both; they add up to the tally. Empty where rows have no clusters,
    /// or have weights.
    pub(super) cells: Shards<Cell<()>>,
    /// The same for rows with clusters and weights: the counts of each cluster, weight and bin, sorted by these.
    pub(super) weighted: Shards<Cell<Weight>>,
    /// The rows with weights but without clusters, one by one in the order of their arrival; they add up to the tally.
    /// Empty where rows have no weights, or have clusters.
    pub(super) alone: Shards<Alone>,
}

impl From<Tally> for BinTotals {
    fn from(tally: Tally) -> Self {
        BinTotals { tally, ..BinTotals::default() }
    }
}

impl BinTotals {
    /// A state without rows.
    pub fn new(n_bins: usize) -> Result<Self, NoMemory> {
        Tally::new(n_bins).map(BinTotals::from)
    }

    /// Whether its rows have clusters.
    pub fn is_clustered(&self) -> bool {
        !self.cells.is_empty() || !self.weighted.is_empty()
    }

    /// Whether its rows have weights. It is also true where every row so far had the weight 0.
    pub fn is_weighted(&self) -> bool {
        !self.weighted.is_empty() || !self.alone.is_empty() || self.tally.left_out.weightless > 0
    }

    /// Refuses a state that cannot be merged with this one: rows with clusters do not mix with rows without, nor do
    /// rows with weights. States without rows mix with all.
    pub(super) fn takes(&self, other: &BinTotals) -> Result<(), Refused> {
        let mixed = |has: fn(&BinTotals) -> bool| {
            let lacks = |state: &BinTotals| !has(state) && state.tally.count() > 0;
            (has(self) && lacks(other)) || (has(other) && lacks(self))
        };
        if mixed(BinTotals::is_weighted) {
            return Err(Refused::MixedWeights);
        }
        if mixed(BinTotals::is_clustered) { Err(Refused::MixedClusters) } else { Ok(()) }
    }

    /// Adds a row with a weight but without a cluster.
    pub(super) fn add_alone(&mut self, row: Alone) -> Result<(), NoMemory> {
        self.alone.push(row)?;
        self.tally.bins[row.index as usize].add(&row.in_bin());
        Ok(())
    }

    /// The same state with `count` of its excluded rows counted as rows of weight 0. The caller excludes such rows
    /// together with those that `where` excludes, and says here how many they were.
    #[must_use]
    pub fn with_weightless(mut self, count: u64) -> BinTotals {
        self.tally.left_out.excluded -= count.min(self.tally.left_out.excluded);
        self.tally.left_out.weightless += count;
        self
    }

    /// Calls `visit` once per cluster with its counts by weight and bin; then once for each row without a cluster,
    /// which counts as a cluster of its own.
    pub(super) fn each_cluster(
        &self,
        pace: &mut Pace<'_>,
        mut visit: impl FnMut(&[(Weight, usize, Bin)]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        each_in(&self.cells, |()| Weight::NONE, pace, &mut visit)?;
        each_in(&self.weighted, |weight| weight, pace, &mut visit)?;
        for row in self.alone.iter() {
            visit(&[(row.weight, row.index as usize, row.in_bin())])?;
            pace.step()?;
        }
        Ok(())
    }
}

/// Calls `visit` for each cluster of sorted cells.
fn each_in<W: Copy>(
    cells: &Shards<Cell<W>>,
    weight: impl Fn(W) -> Weight,
    pace: &mut Pace<'_>,
    visit: &mut impl FnMut(&[(Weight, usize, Bin)]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut bins = Vec::new();
    let mut cells = cells.iter().peekable();
    while let Some(cell) = cells.next() {
        memory::push(&mut bins, (weight(cell.key.1), cell.key.2 as usize, cell.bin))?;
        if cells.peek().is_none_or(|next| next.key.0 != cell.key.0) {
            visit(&bins)?;
            bins.clear();
        }
        pace.step()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State as _;

    fn state(cells: &[(i64, u32, u64)]) -> BinTotals {
        let mut state = BinTotals::new(4).unwrap();
        for &(id, index, count) in cells {
            let bin = Bin { count, correct: count / 2, sum: i128::from(count) << 62 };
            assert!(state.cells.add(Cell { key: (Id::Number(id), (), index), bin }).unwrap());
            state.tally.bins[index as usize] = state.tally.bins[index as usize].plus(&bin).unwrap();
        }
        state
    }

    fn plus(a: &BinTotals, b: &BinTotals) -> Result<BinTotals, Refused> {
        a.merged(b, &mut |_| true).unwrap()
    }

    fn cells(state: &BinTotals) -> Vec<Cell<()>> {
        state.cells.iter().cloned().collect()
    }

    #[test]
    fn merging_adds_up_clusters_in_both_ways() {
        let (a, b) = (state(&[(1, 0, 3), (1, 2, 4), (5, 1, 2)]), state(&[(0, 3, 1), (1, 2, 6)]));
        let whole = state(&[(0, 3, 1), (1, 0, 3), (1, 2, 10), (5, 1, 2)]);
        for sum in [plus(&a, &b).unwrap(), plus(&b, &a).unwrap()] {
            assert_eq!((cells(&sum), &sum.tally), (cells(&whole), &whole.tally));
        }
        assert_eq!(cells(&plus(&a, &BinTotals::new(4).unwrap()).unwrap()), cells(&a));
    }

    #[test]
    fn rows_with_and_without_clusters_do_not_mix() {
        let clustered = state(&[(1, 0, 3)]);
        let mut plain = BinTotals::new(4).unwrap();
        plain.tally.left_out.excluded = 7;
        assert!(plus(&clustered, &plain).is_ok(), "no row counts, so none lacks a cluster");
        plain.tally.bins[2].count = 1;
        for (a, b) in [(&clustered, &plain), (&plain, &clustered)] {
            assert_eq!(plus(a, b).unwrap_err(), Refused::MixedClusters);
        }
        assert_eq!(plus(&clustered, &BinTotals::new(5).unwrap()).unwrap_err(), Refused::Range);
    }

    #[test]
    fn clusters_are_visited_one_after_another() {
        let mut seen = Vec::new();
        let visit = |bins: &[(Weight, usize, Bin)]| {
            seen.push(bins.iter().map(|(_, index, bin)| (*index, bin.count)).collect::<Vec<_>>());
            Ok(())
        };
        state(&[(1, 0, 3), (1, 2, 4), (5, 1, 2)]).each_cluster(&mut Pace::new(&mut |_| true), visit).unwrap();
        assert_eq!(seen, [vec![(0, 3), (2, 4)], vec![(1, 2)]]);
    }
}
