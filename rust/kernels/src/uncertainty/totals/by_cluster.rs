//! The exact sums of each cluster of a batch.

use super::super::no_estimate::Ended;
use super::super::paired::Wide;
use super::super::smooth::Sums;
use super::few::OwnSums;
use super::products::{Products, each_block, places};
use super::recipe::Recipe;
use crate::clusters::{ClusterTotals, exact_sums, units_of};
use crate::exact::{Packed, Sum, Units};
use crate::grid::{CHUNK, Progress, chunks};
use crate::intervals::moments::Moments;
use crate::memory::{self, NoMemory};
use std::borrow::Cow;

/// A column of what is added up, with the place of its sum among those of the products.
pub(super) struct Term<'a> {
    place: usize,
    values: Cow<'a, [f64]>,
    units: Units,
}

/// The terms of a recipe whose products are the columns themselves.
pub(super) fn bare_terms<'a>(
    recipe: &Recipe,
    columns: &[&'a dyn Wide],
    units: &[Units],
) -> Result<Vec<Term<'a>>, NoMemory> {
    let mut terms = Vec::new();
    for (place, powers) in recipe.products().iter().enumerate() {
        // The first product is 1, whose sum is the number of rows.
        let Some(part) = powers.iter().position(|&power| power > 0) else { continue };
        let values = if let Some(values) = columns[part].as_f64() {
            Cow::Borrowed(values)
        } else {
            let mut values = memory::filled(columns[part].len(), 0.0)?;
            columns[part].widen(0, &mut values);
            Cow::Owned(values)
        };
        memory::push(&mut terms, Term { place, values, units: units[part] })?;
    }
    Ok(terms)
}

/// The terms of any recipe, in whole columns.
pub(super) fn terms(
    statistic: &dyn Sums,
    recipe: &Recipe,
    columns: &[&dyn Wide],
    moments: &[Moments],
    progress: Progress<'_>,
) -> Result<Vec<Term<'static>>, Ended> {
    let rows = columns[0].len();
    let mut whole: Vec<(usize, Vec<f64>)> = Vec::new();
    for place in places(recipe).skip(1) {
        memory::push(&mut whole, (place, memory::filled(rows, 0.0)?))?;
    }
    let mut parts: Vec<Vec<&mut [f64]>> = memory::collected((0..chunks(rows, CHUNK)).map(|_| Vec::new()))?;
    for (_, column) in &mut whole {
        for (part, column) in parts.iter_mut().zip(column.chunks_mut(CHUNK)) {
            memory::push(part, column)?;
        }
    }
    let copy = |part: &mut Vec<&mut [f64]>, start: usize, length: usize, products: &Products| {
        for (part, (_, column)) in part.iter_mut().zip(&products.columns[1..]) {
            part[start..start + length].copy_from_slice(&column[..length]);
        }
        Ok(())
    };
    each_block(statistic, recipe, columns, moments, parts, &mut *progress, copy)?;
    let mut terms = memory::with_capacity(whole.len())?;
    for (place, column) in whole {
        let units = units_of(&column, &mut *progress)?;
        terms.push(Term { place, values: Cow::Owned(column), units });
    }
    Ok(terms)
}

/// The sums of the products of each cluster.
pub(super) struct ByCluster {
    totals: ClusterTotals,
    /// For each product the columns that are added up.
    columns: Vec<Vec<usize>>,
}

impl ByCluster {
    /// Of rows in the clusters with these codes, inside `0..count`.
    pub fn of(
        terms: &[Term<'_>],
        width: usize,
        (codes, count): (&[i64], usize),
        progress: Progress<'_>,
    ) -> Result<ByCluster, Ended> {
        let mut columns = vec![Vec::new(); width];
        for (column, term) in terms.iter().enumerate() {
            columns[term.place].push(column);
        }
        let values: Vec<(&[f64], Units)> = terms.iter().map(|term| (&*term.values, term.units)).collect();
        Ok(ByCluster { totals: exact_sums(&values, codes, count, progress)?, columns })
    }

    /// Whether a cluster has rows.
    pub fn has(&self, code: usize) -> bool {
        self.totals.rows(code) > 0
    }

    /// The sums over all rows, of which the first is their number.
    pub fn all(&self, rows: usize) -> Result<Vec<Packed>, NoMemory> {
        memory::collected(self.columns.iter().map(|columns| match columns[..] {
            [] => Packed::whole(rows as u64),
            ref some => added(some.iter().map(|&column| self.totals.total(column))),
        }))
    }

    /// The sums of a cluster; the first is its number of rows.
    pub fn sums(&self, code: usize) -> OwnSums {
        OwnSums::of(self.columns.len(), |place| match self.columns[place][..] {
            [] => Packed::whole(self.totals.rows(code)),
            [one] => self.totals.sum(one, code),
            ref some => added(some.iter().map(|&column| self.totals.sum(column, code))),
        })
    }
}

fn added(sums: impl Iterator<Item = Packed>) -> Packed {
    sums.fold(Packed::ZERO, |all, sum| all.plus::<{ Sum::PLACES }, -1074>(&sum))
}
