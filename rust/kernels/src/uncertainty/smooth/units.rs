//! What the units of a design, rows or clusters, add to the sums of a statistic.

use super::super::design::Design;
use super::super::no_estimate::{Ended, NoEstimate};
use super::super::paired::Wide;
use super::Sums;
use super::width::stride;
use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::intervals::cluster::scale;
use crate::memory;
use crate::simd::{scalar, tree64};

/// Rows whose terms are computed together.
const BLOCK: usize = 1 << 10;
const LANES: usize = 16;
/// Units that are added in the lanes before these are reduced to one number.
const LANED: usize = 1 << 12;

/// The sums of each unit, one unit after the other.
pub(super) struct UnitSums {
    /// `count * stride` numbers.
    pub sums: Vec<f64>,
    /// The sums of a unit, filled up with zeros to the width of a table of the bootstrap.
    pub stride: usize,
    /// The number of units.
    pub count: usize,
    /// The largest number of rows in a unit.
    pub largest: f64,
}

impl UnitSums {
    /// The sums of one unit.
    pub fn of(&self, unit: usize) -> &[f64] {
        &self.sums[unit * self.stride..(unit + 1) * self.stride]
    }

    /// The sums over all units and over their magnitudes, in 16 lanes that a tree reduces every 4,096 units.
    pub fn totals(&self, pace: &mut Pace<'_>) -> Result<(Vec<f64>, Vec<f64>), Stopped> {
        let (mut totals, mut sizes) = (memory::filled(self.stride, 0.0)?, memory::filled(self.stride, 0.0)?);
        let mut lanes = memory::filled(self.stride, [[0.0; LANES]; 2])?;
        for start in (0..self.count).step_by(LANED) {
            let within = start..self.count.min(start + LANED);
            let length = within.len();
            scalar(|| {
                lanes.fill([[0.0; LANES]; 2]);
                for unit in within {
                    for (lanes, &sum) in lanes.iter_mut().zip(self.of(unit)) {
                        lanes[0][unit % LANES] += sum;
                        lanes[1][unit % LANES] += sum.abs();
                    }
                }
                for (k, [sum, size]) in lanes.iter().enumerate() {
                    totals[k] += tree64(*sum);
                    sizes[k] += tree64(*size);
                }
            });
            pace.stride(length)?;
        }
        Ok((totals, sizes))
    }
}

/// Adds up the terms of the rows of each unit, in the order of the rows, each multiplied by the weight of its row.
/// Weights are scaled by a power of two, which cancels, except in a statistic of degree 1.
pub(super) fn unit_sums(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    weights: Option<&[f64]>,
    design: Design<'_>,
    progress: Progress<'_>,
) -> Result<UnitSums, Ended> {
    let rows = columns[0].len();
    let (width, stride) = (statistic.width(), stride(statistic.width()));
    let factor = match weights {
        Some(weights) if statistic.degree() == 0 => scale(weights, &mut Pace::new(&mut *progress))?,
        Some(_) | None => 1.0,
    };
    let count = match design {
        Design::Rows => rows,
        Design::Clusters { count, .. } => count,
    };
    let mut sums = memory::filled(count * stride, 0.0)?;
    let mut members = memory::filled(if let Design::Rows = design { 0 } else { count }, 0u64)?;
    let mut inside = true;
    let mut wide = memory::filled(BLOCK * columns.len(), 0.0)?;
    let mut terms = memory::filled(BLOCK * width, 0.0)?;
    grid::each_chunk(grid::chunks(rows, CHUNK), progress, |index| {
        let within = grid::chunk(index, rows, CHUNK);
        for start in within.clone().step_by(BLOCK) {
            let length = BLOCK.min(within.end - start);
            let terms = &mut terms[..length * width];
            scalar(|| {
                let blocks: Vec<&[f64]> = wide
                    .chunks_mut(BLOCK)
                    .zip(columns)
                    .map(|(block, column)| {
                        column.widen(start, &mut block[..length]);
                        &block[..length]
                    })
                    .collect();
                statistic.terms(&blocks, width, terms);
                for (i, terms) in terms.chunks_exact(width).enumerate() {
                    let row = start + i;
                    let unit = match design {
                        Design::Rows => row,
                        // A negative code becomes a number that is too large.
                        Design::Clusters { codes, .. } => codes[row] as usize,
                    };
                    if unit >= count {
                        inside = false;
                        return;
                    }
                    let weight = weights.map_or(1.0, |weights| weights[row] * factor);
                    for (sum, term) in sums[unit * stride..].iter_mut().zip(terms) {
                        *sum += weight * term;
                    }
                    if let Some(members) = members.get_mut(unit) {
                        *members += 1;
                    }
                }
            });
        }
    })?;
    if !inside {
        return Err(NoEstimate::Outside.into());
    }
    let largest = members.iter().max().map_or(1.0, |&rows| rows as f64);
    Ok(UnitSums { sums, stride, count, largest })
}
