//! The table of battles, and the rows of battles by their cluster.

use super::existence::Graph;
use super::matrix::padded;
use super::totals::Totals;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::scalar;

/// The number of a cell without battles.
pub(super) const NONE: u32 = u32::MAX;
/// From here on f64 has not all whole numbers: 2^53.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// The model of a battle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// Whether ties have a probability of their own (Davidson); else a tie is half a win for each side.
    pub davidson: bool,
    /// So many battles are added to each model, spread over all others evenly, half of them won; 0 or more.
    pub prior: f64,
}

/// What can happen in a battle: the first of two models beats the second, or they tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub first: u32,
    pub second: u32,
    pub tie: bool,
}

impl Cell {
    /// The place of the pair in a matrix above its diagonal.
    #[inline(always)]
    pub fn pair(self, stride: usize) -> usize {
        let (i, j) = (self.first as usize, self.second as usize);
        if i < j { i * stride + j } else { j * stride + i }
    }
}

/// Battles of `models` models, collapsed.
#[derive(Clone, Debug)]
pub struct Battles {
    pub(super) models: usize,
    /// The cells with battles.
    pub(super) cells: Vec<Cell>,
    /// How many battles (or which sum of weights) each of them has.
    pub(super) counts: Vec<f64>,
    /// The number of each entry of the tables among the cells; [`NONE`] for those without battles.
    pub(super) index: Vec<u32>,
}

impl Battles {
    /// From a table of `2 models^2` counts, all finite and none below 0: `table[i * models + j]` battles that i won
    /// against j, and then as many entries of ties, whose order of models does not matter. The diagonals are 0.
    pub fn of(table: &[f64], models: usize) -> Result<Battles, NoMemory> {
        let many = table.iter().filter(|&&count| count > 0.0).count();
        let (mut cells, mut counts) = (memory::with_capacity(many)?, memory::with_capacity(many)?);
        let mut index = memory::filled(table.len(), NONE)?;
        for (place, &count) in table.iter().enumerate() {
            if count > 0.0 {
                index[place] = cells.len() as u32;
                let (of_kind, tie) = (place % (models * models), place >= models * models);
                let (first, second) = ((of_kind / models) as u32, (of_kind % models) as u32);
                cells.push(Cell { first, second, tie });
                counts.push(count);
            }
        }
        Ok(Battles { models, cells, counts, index })
    }

    /// Whether all counts are whole numbers, so that battles can be drawn one by one.
    pub fn whole(&self) -> bool {
        let mut total = 0.0;
        scalar(|| {
            for &count in &self.counts {
                total += count;
            }
        });
        total < LARGEST && !self.counts.is_empty() && self.counts.iter().all(|&count| count.fract() == 0.0)
    }

    /// What the likelihood of these counts of the cells depends on.
    pub(super) fn totals(&self, law: Law) -> Result<(Totals, Graph), NoMemory> {
        let mut totals = Totals::new(self.models)?;
        let mut graph = Graph::new(self.models)?;
        scalar(|| totals.add(&self.cells, &self.counts, law, &mut graph));
        Ok((totals, graph))
    }

    /// The distance of the rows of matrices.
    pub(super) fn stride(&self) -> usize {
        padded(self.models)
    }
}

/// The rows of battles, cluster after cluster.
#[derive(Clone, Debug)]
pub struct Grouped {
    /// The cell of each row.
    pub(super) cells: Vec<u32>,
    /// The weight of each row; empty where all are 1.
    pub(super) weights: Vec<f64>,
    /// Where the rows of each cluster end.
    pub(super) ends: Vec<usize>,
}

impl Grouped {
    /// From the place of each row in the table of `battles`, its cluster in `0..clusters`, and its weight; `None` where a
    /// place has no battle, or a cluster does not exist. All have one length.
    pub fn of(
        battles: &Battles,
        [places, codes]: [&[i64]; 2],
        clusters: usize,
        weights: Option<&[f64]>,
        progress: Progress<'_>,
    ) -> Result<Option<Grouped>, Stopped> {
        let mut pace = Pace::new(progress);
        let mut next = memory::filled(clusters + 1, 0usize)?;
        let mut cells = memory::filled(places.len(), 0u32)?;
        let mut sorted = memory::filled(weights.map_or(0, <[f64]>::len), 0.0)?;
        for (&place, &code) in places.iter().zip(codes) {
            let cell = usize::try_from(place).ok().and_then(|place| battles.index.get(place));
            match usize::try_from(code) {
                Ok(code) if code < clusters && cell.is_some_and(|&cell| cell != NONE) => next[code + 1] += 1,
                _ => return Ok(None),
            }
            pace.step()?;
        }
        for cluster in 0..clusters {
            next[cluster + 1] += next[cluster];
        }
        for (row, (&place, &code)) in places.iter().zip(codes).enumerate() {
            let to = &mut next[code as usize];
            cells[*to] = battles.index[place as usize];
            if let Some(weights) = weights {
                sorted[*to] = weights[row];
            }
            *to += 1;
            pace.step()?;
        }
        next.truncate(clusters);
        Ok(Some(Grouped { cells, weights: sorted, ends: next }))
    }

    /// How many clusters there are.
    pub fn clusters(&self) -> usize {
        self.ends.len()
    }

    /// The rows of a cluster.
    #[inline(always)]
    pub(super) fn rows(&self, cluster: usize) -> std::ops::Range<usize> {
        let first = if cluster == 0 { 0 } else { self.ends[cluster - 1] };
        first..self.ends[cluster]
    }

    #[inline(always)]
    pub(super) fn weight(&self, row: usize) -> f64 {
        if self.weights.is_empty() { 1.0 } else { self.weights[row] }
    }
}
