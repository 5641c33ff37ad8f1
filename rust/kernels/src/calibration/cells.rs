//! The state with clusters: beside the tally of all rows, one of each cluster, bin by bin where it has rows.

use super::tally::{Row, Tally};
use crate::clusters::{Id, Keyed, Shards};
use crate::grid::{Pace, Stopped, Watch};
use crate::memory::{self, NoMemory};

/// The most bins of a state with clusters: their covariance has so many rows and columns.
pub const MAX_CLUSTERED_BINS: usize = 1_000;

/// What one cluster has in one bin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// The cluster, and the bin.
    pub key: (Id, u32),
    /// Its rows there, one at least.
    pub row: Row,
}

impl Keyed for Cell {
    type Key = (Id, u32);
    fn key(&self) -> &(Id, u32) {
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
}

/// A state: rows by bin, and by cluster and bin where they have clusters.
#[derive(Debug, Default)]
pub struct State {
    /// All rows.
    pub tally: Tally,
    /// In the order of clusters and bins; empty where rows have no clusters. They add up to the tally.
    pub(super) cells: Shards<Cell>,
}

impl From<Tally> for State {
    fn from(tally: Tally) -> Self {
        State { tally, cells: Shards::default() }
    }
}

impl State {
    /// No rows yet.
    pub fn new(n_bins: usize) -> Result<Self, NoMemory> {
        Tally::new(n_bins).map(State::from)
    }

    /// Whether its rows have clusters.
    pub fn is_clustered(&self) -> bool {
        !self.cells.is_empty()
    }

    /// A copy that goes its own way; the clusters are shared until one of both changes them.
    pub fn copied(&self) -> Result<State, NoMemory> {
        let tally = Tally { rows: memory::copied(&self.tally.rows)?, left_out: self.tally.left_out };
        Ok(State { tally, cells: self.cells.copied()? })
    }

    /// Both states together: integers, so the order does not matter.
    pub fn plus(&self, other: &State, watch: Watch<'_>) -> Result<Result<State, Refused>, Stopped> {
        let rows_of_none = |state: &State| !state.is_clustered() && state.tally.count() > 0;
        if (self.is_clustered() && rows_of_none(other)) || (other.is_clustered() && rows_of_none(self)) {
            return Ok(Err(Refused::MixedClusters));
        }
        let Some(tally) = self.tally.plus(&other.tally)? else { return Ok(Err(Refused::Range)) };
        let merged = self.cells.merged(&other.cells, &mut Pace::new(watch))?;
        Ok(merged.map(|cells| State { tally, cells }).ok_or(Refused::Range))
    }

    /// The rows of each cluster by their bins, cluster by cluster.
    pub(super) fn each_cluster(
        &self,
        pace: &mut Pace<'_>,
        mut visit: impl FnMut(&[(usize, Row)]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let mut rows = memory::with_capacity(self.tally.rows.len())?;
        let mut cells = self.cells.iter().peekable();
        while let Some(cell) = cells.next() {
            rows.push((cell.key.1 as usize, cell.row)); // at most one a bin
            if cells.peek().is_none_or(|next| next.key.0 != cell.key.0) {
                visit(&rows)?;
                rows.clear();
            }
            pace.step()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cells: &[(i64, u32, u64)]) -> State {
        let mut state = State::new(4).unwrap();
        for &(id, bin, count) in cells {
            let row = Row { count, correct: count / 2, sum: i128::from(count) << 62 };
            assert!(state.cells.add(&Cell { key: (Id::Number(id), bin), row }).unwrap());
            state.tally.rows[bin as usize] = state.tally.rows[bin as usize].plus(&row).unwrap();
        }
        state
    }

    fn plus(a: &State, b: &State) -> Result<State, Refused> {
        a.plus(b, &mut |_| true).unwrap()
    }

    fn cells(state: &State) -> Vec<Cell> {
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
        let visit = |rows: &[(usize, Row)]| {
            seen.push(rows.iter().map(|(bin, row)| (*bin, row.count)).collect::<Vec<_>>());
            Ok(())
        };
        state(&[(1, 0, 3), (1, 2, 4), (5, 1, 2)]).each_cluster(&mut Pace::new(&mut |_| true), visit).unwrap();
        assert_eq!(seen, [vec![(0, 3), (2, 4)], vec![(1, 2)]]);
    }
}
