//! The state with clusters or weights: beside the tally of all rows, one of each cluster and weight, bin by bin where it
//! has rows; and the rows with weights that have no cluster, one by one.

use super::alone::Alone;
use super::tally::{Row, Tally};
use super::weights::Weight;
use crate::clusters::{Id, Keyed, Shards};
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};

/// The most bins of a state with clusters or weights: their covariance has so many rows and columns.
pub const MAX_CLUSTERED_BINS: usize = 1_000;

/// What one cluster has in one bin; of one weight, where `W` is a [`Weight`] and not `()`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell<W> {
    /// The cluster, the weight, and the bin.
    pub key: (Id, W, u32),
    /// Its rows there, one at least.
    pub row: Row,
}

impl<W: Ord + Copy> Keyed for Cell<W> {
    type Key = (Id, W, u32);
    fn key(&self) -> &(Id, W, u32) {
        &self.key
    }
    fn join(&mut self, other: &Self) -> bool {
        self.row.plus(&other.row).map(|sum| self.row = sum).is_some()
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
pub struct State {
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

impl From<Tally> for State {
    fn from(tally: Tally) -> Self {
        State { tally, ..State::default() }
    }
}

impl State {
    /// No rows yet.
    pub fn new(n_bins: usize) -> Result<Self, NoMemory> {
        Tally::new(n_bins).map(State::from)
    }

    /// Whether its rows have clusters.
    pub fn is_clustered(&self) -> bool {
        !self.cells.is_empty() || !self.weighted.is_empty()
    }

    /// Whether its rows have weights. Only weights make rows of weight 0.
    pub fn is_weighted(&self) -> bool {
        !self.weighted.is_empty() || !self.alone.is_empty() || self.tally.left_out.weightless > 0
    }

    /// Adds a row that has no cluster.
    pub(super) fn add_alone(&mut self, row: Alone) -> Result<(), NoMemory> {
        self.alone.push(row)?;
        self.tally.rows[row.bin as usize].add(&row.row());
        Ok(())
    }

    /// The same, of whose rows that `where` excluded so many have the weight 0 instead.
    #[must_use]
    pub fn with_weightless(mut self, count: u64) -> State {
        self.tally.left_out.excluded -= count.min(self.tally.left_out.excluded);
        self.tally.left_out.weightless += count;
        self
    }

    /// A copy that goes its own way; the clusters are shared until one of both changes them.
    pub fn copied(&self) -> Result<State, NoMemory> {
        let tally = Tally { rows: memory::copied(&self.tally.rows)?, left_out: self.tally.left_out };
        let (cells, weighted) = (self.cells.copied()?, self.weighted.copied()?);
        Ok(State { tally, cells, weighted, alone: self.alone.copied()? })
    }

    /// Both states together: integers, so the order does not matter.
    pub fn plus(&self, other: &State, progress: Progress<'_>) -> Result<Result<State, Refused>, Stopped> {
        let unweighted = |state: &State| !state.is_weighted() && state.tally.count() > 0;
        if (self.is_weighted() && unweighted(other)) || (other.is_weighted() && unweighted(self)) {
            return Ok(Err(Refused::MixedWeights));
        }
        let rows_of_none = |state: &State| !state.is_clustered() && state.tally.count() > 0;
        if (self.is_clustered() && rows_of_none(other)) || (other.is_clustered() && rows_of_none(self)) {
            return Ok(Err(Refused::MixedClusters));
        }
        let Some(tally) = self.tally.plus(&other.tally)? else { return Ok(Err(Refused::Range)) };
        let mut pace = Pace::new(progress);
        let alone = self.alone.joined(&other.alone, &mut pace)?;
        let cells = self.cells.merged(&other.cells, &mut pace)?;
        let weighted = self.weighted.merged(&other.weighted, &mut pace)?;
        let both = cells.zip(weighted);
        Ok(both.map(|(cells, weighted)| State { tally, cells, weighted, alone }).ok_or(Refused::Range))
    }

    /// The rows of each cluster by their weights and bins, cluster by cluster; then those that have no cluster.
    pub(super) fn each_cluster(
        &self,
        pace: &mut Pace<'_>,
        mut visit: impl FnMut(&[(Weight, usize, Row)]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        each_in(&self.cells, |()| Weight::NONE, pace, &mut visit)?;
        each_in(&self.weighted, |weight| weight, pace, &mut visit)?;
        for row in self.alone.iter() {
            visit(&[(row.weight, row.bin as usize, row.row())])?;
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
    visit: &mut impl FnMut(&[(Weight, usize, Row)]) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut rows = Vec::new();
    let mut cells = cells.iter().peekable();
    while let Some(cell) = cells.next() {
        memory::push(&mut rows, (weight(cell.key.1), cell.key.2 as usize, cell.row))?;
        if cells.peek().is_none_or(|next| next.key.0 != cell.key.0) {
            visit(&rows)?;
            rows.clear();
        }
        pace.step()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cells: &[(i64, u32, u64)]) -> State {
        let mut state = State::new(4).unwrap();
        for &(id, bin, count) in cells {
            let row = Row { count, correct: count / 2, sum: i128::from(count) << 62 };
            assert!(state.cells.add(&Cell { key: (Id::Number(id), (), bin), row }).unwrap());
            state.tally.rows[bin as usize] = state.tally.rows[bin as usize].plus(&row).unwrap();
        }
        state
    }

    fn plus(a: &State, b: &State) -> Result<State, Refused> {
        a.plus(b, &mut |_| true).unwrap()
    }

    fn cells(state: &State) -> Vec<Cell<()>> {
        state.cells.iter().cloned().collect()
    }

    #[test]
    fn merging_adds_up_clusters_in_both_ways() {
        let (a, b) = (state(&[(1, 0, 3), (1, 2, 4), (5, 1, 2)]), state(&[(0, 3, 1), (1, 2, 6)]));
        let whole = state(&[(0, 3, 1), (1, 0, 3), (1, 2, 10), (5, 1, 2)]);
        for sum in [plus(&a, &b).unwrap(), plus(&b, &a).unwrap()] {
            assert_eq!((cells(&sum), &sum.tally), (cells(&whole), &whole.tally));
        }
        assert_eq!(cells(&plus(&a, &State::new(4).unwrap()).unwrap()), cells(&a));
    }

    #[test]
    fn rows_with_and_without_clusters_do_not_mix() {
        let clustered = state(&[(1, 0, 3)]);
        let mut plain = State::new(4).unwrap();
        plain.tally.left_out.excluded = 7;
        assert!(plus(&clustered, &plain).is_ok(), "no row counts, so none lacks a cluster");
        plain.tally.rows[2].count = 1;
        for (a, b) in [(&clustered, &plain), (&plain, &clustered)] {
            assert_eq!(plus(a, b).unwrap_err(), Refused::MixedClusters);
        }
        assert_eq!(plus(&clustered, &State::new(5).unwrap()).unwrap_err(), Refused::Range);
    }

    #[test]
    fn clusters_are_visited_one_after_another() {
        let mut seen = Vec::new();
        let visit = |rows: &[(Weight, usize, Row)]| {
            seen.push(rows.iter().map(|(_, bin, row)| (*bin, row.count)).collect::<Vec<_>>());
            Ok(())
        };
        state(&[(1, 0, 3), (1, 2, 4), (5, 1, 2)]).each_cluster(&mut Pace::new(&mut |_| true), visit).unwrap();
        assert_eq!(seen, [vec![(0, 3), (2, 4)], vec![(1, 2)]]);
    }
}
