//! The state with clusters or weights: beside the tally of all rows, one of each cluster and weight, bin by bin where it
//! has rows; and the rows with weights that have no cluster, one by one.

use super::alone::Alone;
use super::tally::{Bin, Tally};
use super::weights::Weight;
use crate::clusters::{Id, Keyed, Shards};
use crate::grid::{Pace, Stopped};
use crate::memory::{self, NoMemory};

/// The most bins of a state with clusters or weights: their covariance has so many rows and columns.
pub const MAX_CLUSTERED_BINS: usize = 1_000;

/// What one cluster has in one bin; of one weight, where `W` is a [`Weight`] and not `()`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell<W> {
    /// The cluster, the weight, and the number of the bin.
    pub key: (Id, W, u32),
    /// Its rows there, one at least.
    pub bin: Bin,
}

impl<W: Ord + Copy> Keyed for Cell<W> {
    type Key = (Id, W, u32);
    fn key(&self) -> &(Id, W, u32) {
        &self.key
    }
    fn join(&mut self, other: &Self) -> bool {
        self.bin.plus(&other.bin).map(|sum| self.bin = sum).is_some()
    }
}

/// Why two states are not added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// One has other bins, or there would be 2^63 rows.
    Range,
    /// The rows of one have clusters, those of the other have none.
    MixedClusters,
    /// The rows of one have weights, those of the other have none.
    MixedWeights,
}

/// A state: rows by bin, and by cluster, weight and bin where they have clusters or weights.
#[derive(Debug, Default)]
pub struct BinTotals {
    /// All rows.
    pub tally: Tally,
    /// In the order of clusters and bins; empty where rows have no clusters, or weights. They add up to the tally.
    pub(super) cells: Shards<Cell<()>>,
    /// The same of rows with clusters and weights, in the order of clusters, weights and bins.
    pub(super) weighted: Shards<Cell<Weight>>,
    /// Rows with weights and without clusters, as they came; empty where rows have no weights, or clusters. They add up
    /// to the tally.
    pub(super) alone: Shards<Alone>,
}

impl From<Tally> for BinTotals {
    fn from(tally: Tally) -> Self {
        BinTotals { tally, ..BinTotals::default() }
    }
}

impl BinTotals {
    /// No rows yet.
    pub fn new(n_bins: usize) -> Result<Self, NoMemory> {
        Tally::new(n_bins).map(BinTotals::from)
    }

    /// Whether its rows have clusters.
    pub fn is_clustered(&self) -> bool {
        !self.cells.is_empty() || !self.weighted.is_empty()
    }

    /// Whether its rows have weights. Only weights make rows of weight 0.
    pub fn is_weighted(&self) -> bool {
        !self.weighted.is_empty() || !self.alone.is_empty() || self.tally.left_out.weightless > 0
    }

    /// Whether another state can be added: rows with clusters do not mix with others, nor do rows with weights.
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

    /// Adds a row that has no cluster.
    pub(super) fn add_alone(&mut self, row: Alone) -> Result<(), NoMemory> {
        self.alone.push(row)?;
        self.tally.bins[row.index as usize].add(&row.in_bin());
        Ok(())
    }

    /// The same, of whose rows that `where` excluded so many have the weight 0 instead.
    #[must_use]
    pub fn with_weightless(mut self, count: u64) -> BinTotals {
        self.tally.left_out.excluded -= count.min(self.tally.left_out.excluded);
        self.tally.left_out.weightless += count;
        self
    }

    /// The rows of each cluster by their weights and bins, cluster by cluster; then those that have no cluster.
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

/// The rows of each cluster of a list.
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
            assert!(state.cells.add(&Cell { key: (Id::Number(id), (), index), bin }).unwrap());
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
