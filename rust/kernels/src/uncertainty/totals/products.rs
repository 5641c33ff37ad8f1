//! The products of the parts of rows, each as a number and what rounding took from it.

use super::super::no_estimate::{Ended, NoEstimate};
use super::super::paired::Wide;
use super::super::smooth::Sums;
use super::recipe::{Powers, Recipe, multiplied};
use crate::grid::{Pace, Progress};
use crate::intervals::moments::Moments;
use crate::memory;
use crate::simd::scalar;

/// Rows whose products are computed together.
pub const BLOCK: usize = 1 << 10;

/// The products of up to [`BLOCK`] rows.
pub struct Products {
    /// For each product of more than one factor two columns: the rounded numbers, and what is missing in them; for the
    /// others one. Each column has its place among the sums.
    pub columns: Vec<(usize, Vec<f64>)>,
    parts: Vec<f64>,
    wide: Vec<f64>,
}

fn degree(powers: &Powers) -> u32 {
    powers.iter().map(|&power| u32::from(power)).sum()
}

impl Products {
    /// Room for the products of a block.
    pub fn of(recipe: &Recipe, columns: usize) -> Result<Products, memory::NoMemory> {
        let mut of = Vec::new();
        for (place, powers) in recipe.products().iter().enumerate() {
            for _ in 0..if degree(powers) > 1 { 2 } else { 1 } {
                memory::push(&mut of, (place, memory::filled(BLOCK, 0.0)?))?;
            }
        }
        Ok(Products {
            columns: of,
            parts: memory::filled(BLOCK * recipe.parts(), 0.0)?,
            wide: memory::filled(BLOCK * columns, 0.0)?,
        })
    }

    /// Computes the products of `rows` rows from `start` on, which must be finite. Where rows have weights these are the
    /// last of the columns.
    pub fn fill(
        &mut self,
        statistic: &dyn Sums,
        recipe: &Recipe,
        columns: &[&dyn Wide],
        start: usize,
        rows: usize,
    ) -> Result<(), NotFinite> {
        scalar(|| {
            let blocks: Vec<&[f64]> = (self.wide.chunks_mut(BLOCK).zip(columns))
                .map(|(block, column)| {
                    column.widen(start, &mut block[..rows]);
                    &block[..rows]
                })
                .collect();
            let parts = &mut self.parts[..rows * recipe.parts()];
            statistic.parts(&blocks, parts);
            if let (Some(part), Some(weights)) = (recipe.weight(), blocks.last()) {
                parts[part * rows..].copy_from_slice(weights);
            }
            let mut at = 0;
            let (mut finite, mut small) = (true, true);
            for powers in recipe.products() {
                if degree(powers) < 2 {
                    let part = powers.iter().position(|&power| power == 1);
                    let column = &mut self.columns[at].1;
                    for i in 0..rows {
                        column[i] = part.map_or(1.0, |part| parts[part * rows + i]);
                        finite &= column[i].is_finite();
                    }
                    at += 1;
                } else {
                    let [(_, high), (_, low)] = &mut self.columns[at..at + 2] else { continue };
                    for i in 0..rows {
                        [high[i], low[i]] = raised(powers, |part| parts[part * rows + i]);
                        small &= high[i].is_finite() && low[i].is_finite();
                    }
                    at += 2;
                }
            }
            match (finite, small) {
                (true, true) => Ok(()),
                (true, false) => Err(NotFinite::Power),
                (false, _) => Err(NotFinite::Part),
            }
        })
    }
}

/// What leaves the range of f64.
#[derive(Clone, Copy, Debug)]
pub enum NotFinite {
    /// A part of a row: a probability of 0 was given to what happened.
    Part,
    /// A power of one.
    Power,
}

impl NotFinite {
    /// The refusal of columns with these moments; names the one with the largest values.
    pub fn refusal(self, columns: &[Moments]) -> NoEstimate {
        if let NotFinite::Part = self {
            return NoEstimate::Infinite;
        }
        let reach = |of: &Moments| if -of.min > of.max { -of.min } else { of.max };
        let mut column = 0;
        for (place, of) in columns.iter().enumerate() {
            if reach(of) > reach(&columns[column]) {
                column = place;
            }
        }
        NoEstimate::TooLarge { column, low: columns[column].min, high: columns[column].max }
    }
}

/// The product of the powers of a row's parts.
fn raised(powers: &Powers, part: impl Fn(usize) -> f64) -> [f64; 2] {
    let mut product = [1.0, 0.0];
    for (p, &power) in powers.iter().enumerate() {
        for _ in 0..power {
            product = multiplied(product, part(p));
        }
    }
    product
}

/// Calls `each` with the products of all rows, block by block, and the first row of the block.
pub fn each_block(
    statistic: &dyn Sums,
    recipe: &Recipe,
    columns: &[&dyn Wide],
    moments: &[Moments],
    progress: Progress<'_>,
    mut each: impl FnMut(usize, usize, &Products) -> Result<(), memory::NoMemory>,
) -> Result<(), Ended> {
    let (rows, mut pace) = (columns[0].len(), Pace::new(progress));
    let mut products = Products::of(recipe, columns.len())?;
    for start in (0..rows).step_by(BLOCK) {
        let length = BLOCK.min(rows - start);
        if let Err(found) = products.fill(statistic, recipe, columns, start, length) {
            return Err(found.refusal(moments).into());
        }
        each(start, length, &products)?;
        pace.stride(length)?;
    }
    Ok(())
}
