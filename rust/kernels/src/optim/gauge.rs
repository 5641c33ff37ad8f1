//! What some rules must know of a whole tensor before they update it: for cautious updates, how many elements move; for
//! `StableAdamW`, how large the update is. One pass reads the rows and writes nothing; the step then takes its result as
//! scalars, of which each row has its own.

use super::hyper::Hyper;
use super::norm::Lanes;
use super::row::{Row, Tiles};
use super::rules::Prepared;
use super::units::Units;
use crate::grid::{CHUNK, chunk, chunks, map_chunks, unwatched};
use crate::memory::{self, NoMemory};
use crate::simd::{Isa, Kernel, Real, dispatch, scalar, standard};
use std::ops::Range;

/// The smallest share of moving elements by which a cautious update is divided (the convention of timm).
const LEAST_SHARE: f64 = 1e-3;

/// What is counted and summed over the elements of a tensor.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    /// The elements whose update and gradient have the same sign.
    pub agreeing: usize,
    /// The sum of the squares of gradients in units of their second moment's root.
    squares: Lanes,
}

impl Tally {
    pub(super) const EMPTY: Tally = Tally { agreeing: 0, squares: Lanes::EMPTY };

    /// Adds the squares of a span. Spans are tiles, whose length is a multiple of the lanes, except for the last one.
    #[inline(always)]
    pub(super) fn add_squares<T: Real, I: Isa>(&mut self, x: &[T]) {
        self.squares.add::<T, I>(x, 0);
    }
}

/// What a step takes from a tensor's tally.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// The share of the elements that move, by which the update is divided.
    share: f64,
    /// The factor of the learning rate.
    pub(super) rate: f64,
}

impl Gauge {
    /// Changes nothing.
    pub const NONE: Gauge = Gauge { share: 1.0, rate: 1.0 };

    fn of(agreeing: usize, squares: f64, n: usize, hyper: &Hyper) -> Gauge {
        let (share, rms) = (agreeing as f64 / n as f64, (squares / n as f64).sqrt());
        let share = if share < LEAST_SHARE { LEAST_SHARE } else { share };
        Gauge {
            share: if hyper.cautious && n > 0 { share } else { 1.0 },
            // Not of a NaN.
            rate: if hyper.stable && rms > 1.0 { 1.0 / rms } else { 1.0 },
        }
    }

    /// The rate of the elements that move.
    pub(super) fn of_update(self, rate: f64) -> f64 {
        rate / self.share
    }
}

/// A part of a row, of at most a chunk.
struct Piece {
    row: usize,
    range: Range<usize>,
}

/// The tallies of the pieces of one unit of work.
struct Measure<'a, 'r> {
    pieces: &'a [Piece],
    rows: &'a [Row<'r>],
    rules: &'a [Prepared],
    hypers: &'a [Hyper],
}

/// What was found of a piece.
#[derive(Clone, Copy)]
struct Found {
    row: usize,
    agreeing: usize,
    squares: f64,
}

impl Kernel for Measure<'_, '_> {
    type Out = Result<Vec<Found>, NoMemory>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        let mut found = memory::with_capacity(self.pieces.len())?;
        let (mut single, mut double) = (Tiles::new(), Tiles::new());
        for piece in self.pieces {
            let row = &self.rows[piece.row];
            let rule = &self.rules[row.hyper];
            let (range, hyper) = (piece.range.clone(), &self.hypers[row.hyper]);
            let tally = if row.is_double() {
                row.measure::<f64, I>(range, rule, hyper, &mut double)
            } else {
                row.measure::<f32, I>(range, rule, hyper, &mut single)
            };
            found.push(Found { row: piece.row, agreeing: tally.agreeing, squares: tally.squares.total() });
        }
        Ok(found)
    }
}

/// Measures the rows that need it. Each of them gets a [`Hyper`] of its own, behind those that are given.
pub(super) fn gauged(rows: &mut [Row<'_>], hypers: &[Hyper]) -> Result<Vec<Hyper>, NoMemory> {
    let rules = memory::collected(hypers.iter().map(Prepared::of))?;
    let mut units = Units::new(CHUNK);
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| hypers[row.hyper].is_gauged()) {
        for part in 0..chunks(row.len(), CHUNK) {
            let range = chunk(part, row.len(), CHUNK);
            units.push(range.len(), Piece { row: index, range });
        }
    }
    let bytes = units.elements() * 12;
    let units = units.finish()?;
    let measure = |unit: usize| dispatch(Measure { pieces: &units[unit], rows, rules: &rules, hypers });
    let found = unwatched(map_chunks(units.len(), bytes, &mut |_| true, measure))?;
    let mut all = memory::with_capacity(hypers.len() + rows.len())?;
    all.extend_from_slice(hypers);
    let mut pieces = memory::joined(found)?.into_iter().peekable();
    for (index, row) in rows.iter_mut().enumerate().filter(|(_, row)| hypers[row.hyper].is_gauged()) {
        let (mut agreeing, mut squares) = (0, 0.0);
        while let Some(piece) = pieces.next_if(|piece| piece.row == index) {
            agreeing += piece.agreeing;
            squares = scalar(|| squares + piece.squares);
        }
        let hyper = &hypers[row.hyper];
        let gauge = standard(|| Gauge::of(agreeing, squares, row.len(), hyper));
        row.hyper = all.len();
        all.push(Hyper { gauge, ..*hyper });
    }
    Ok(all)
}
