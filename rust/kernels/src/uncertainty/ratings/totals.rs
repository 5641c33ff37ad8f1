//! What the likelihood depends on: the battles of each pair, the score of each model and the number of ties.

use super::battles::{Cell, Law};
use super::existence::Graph;
use super::matrix::padded;
use crate::memory::{self, NoMemory};

/// The totals of a table of battles, or of a resample of it.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub models: usize,
    /// The battles of each pair, above the diagonal of a matrix with [`padded`] rows; 0 elsewhere.
    pub pairs: Vec<f64>,
    /// The wins of each model and half its ties, in [`padded`] places.
    pub scores: Vec<f64>,
    /// The ties that have a probability of their own.
    pub ties: f64,
    /// All battles.
    pub battles: f64,
}

impl Totals {
    pub fn new(models: usize) -> Result<Totals, NoMemory> {
        let stride = padded(models);
        Ok(Totals {
            models,
            pairs: memory::filled(models * stride, 0.0)?,
            scores: memory::filled(stride, 0.0)?,
            ties: 0.0,
            battles: 0.0,
        })
    }

    /// Begins anew with the pseudo-battles of the prior, and adds `counts` battles of each cell.
    #[inline(always)]
    pub fn add(&mut self, cells: &[Cell], counts: &[f64], law: Law, graph: &mut Graph) {
        let (models, stride) = (self.models, padded(self.models));
        let each = law.prior / (models - 1) as f64;
        for i in 0..models {
            for j in 0..stride {
                self.pairs[i * stride + j] = if j > i && j < models { each } else { 0.0 };
            }
            self.scores[i] = law.prior / 2.0;
        }
        (self.ties, self.battles) = (0.0, law.prior * models as f64 / 2.0);
        graph.clear(law.prior > 0.0);
        for (&cell, &count) in cells.iter().zip(counts) {
            let (i, j) = (cell.first as usize, cell.second as usize);
            self.pairs[cell.pair(stride)] += count;
            self.battles += count;
            if cell.tie {
                self.scores[i] += count / 2.0;
                self.scores[j] += count / 2.0;
                self.ties += if law.davidson { count } else { 0.0 };
            } else {
                self.scores[i] += count;
            }
            if count > 0.0 {
                graph.add(cell);
            }
        }
    }
}
