//! The products of the parts of rows, each as a number and what rounding took from it.

use super::super::no_estimate::{Ended, NoEstimate};
use super::super::paired::Wide;
use super::super::smooth::Sums;
use super::recipe::{Powers, Recipe, multiplied};
use crate::grid::{CHUNK, Progress, chunk, fill_chunks};
use crate::intervals::moments::Moments;
use crate::memory::{self, NoMemory};
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

/// The places of the columns of [`Products`].
pub fn places(recipe: &Recipe) -> impl Iterator<Item = usize> {
    let columns = |powers: &Powers| if degree(powers) > 1 { 2 } else { 1 };
    let products = recipe.products().iter().enumerate();
    products.flat_map(move |(place, powers)| std::iter::repeat_n(place, columns(powers)))
}

impl Products {
    /// Room for the products of a block.
    pub fn of(recipe: &Recipe, columns: usize) -> Result<Products, NoMemory> {
        let mut of = Vec::new();
        for place in places(recipe) {
            memory::push(&mut of, (place, memory::filled(BLOCK, 0.0)?))?;
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

/// Calls `each` with the products of all rows, block by block: with the item of the chunk, the first row of the block
/// in the chunk, its rows and their products. There is one item for each chunk of the rows.
pub fn each_block<T: Send>(
    statistic: &dyn Sums,
    recipe: &Recipe,
    columns: &[&dyn Wide],
    moments: &[Moments],
    items: Vec<T>,
    progress: Progress<'_>,
    each: impl Fn(&mut T, usize, usize, &Products) -> Result<(), NoMemory> + Sync,
) -> Result<Vec<T>, Ended> {
    let rows = columns[0].len();
    let parts = fill_chunks(items, rows * 64, progress, |index, mut item| {
        let mut products = Products::of(recipe, columns.len())?;
        let within = chunk(index, rows, CHUNK);
        for start in within.clone().step_by(BLOCK) {
            let length = BLOCK.min(within.end - start);
            if let Err(found) = products.fill(statistic, recipe, columns, start, length) {
                return Ok(Err(found));
            }
            each(&mut item, start - within.start, length, &products)?;
        }
        Ok::<_, NoMemory>(Ok(item))
    })?;
    let mut filled = memory::with_capacity(parts.len())?;
    for part in parts {
        filled.push(part?.map_err(|found| found.refusal(moments))?);
    }
    Ok(filled)
}
