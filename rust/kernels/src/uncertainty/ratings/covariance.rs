//! The covariance of ratings that is right whether or not the model is: the sandwich of the curvature and of the scores'
//! own scatter (Huber 1967; White, Econometrica 50 (1982)), of battles or of clusters of them.
//!
//! With the curvature H and the score `s_g` of cluster g (the gradient of the logarithm of its battles' likelihood), it is
//! `H^-1 (sum s_g s_g') H^-1`, times G/(G - 1) with clusters. Without clusters each battle is its own, so that the table
//! suffices.

use super::battles::{Battles, Cell, Grouped, Law, NONE};
use super::fit::{Fit, Work};
use super::matrix::{padded, solve};
use super::totals::Totals;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// The covariance matrix of the ratings of `found`, row by row. `squares` are the sums of squared weights of the entries of
/// the table, where they have weights; with `clusters` they are not read.
pub fn covariance(
    (battles, law): (&Battles, Law),
    found: &Fit,
    squares: Option<&[f64]>,
    clusters: Option<&Grouped>,
    progress: Progress<'_>,
) -> Result<Vec<f64>, Stopped> {
    let models = battles.models;
    let (totals, _) = battles.totals(law)?;
    let mut work = Work::new(models)?;
    work.start(&found.ratings, found.log_nu, totals.ties > 0.0);
    let mut pace = Pace::new(progress);
    dispatch(Factor { work: &mut work, totals: &totals });
    let (order, stride) = (work.order(), battles.stride());
    let mut scatter = Scatter { order, sums: memory::filled(order * order, 0.0)? };
    let scores = memory::collected(battles.cells.iter().map(|&cell| Score::of(cell, &work, order > models)))?;
    match clusters {
        None => scalar(|| {
            for (place, &cell) in battles.index.iter().enumerate() {
                if cell != NONE {
                    let count = squares.map_or(battles.counts[cell as usize], |squares| squares[place]);
                    let score = scores[cell as usize];
                    scatter.add(&score.by_place(1.0)[..score.entries()], count);
                }
            }
        }),
        Some(grouped) => clustered(grouped, &scores, &mut scatter, &mut pace)?,
    }
    let mut column = memory::filled(padded(models), 0.0)?;
    let mut half = memory::filled(order * order, 0.0)?;
    let u = &work.likelihood.curvature;
    for _ in 0..2 {
        for j in 0..order {
            for i in 0..order {
                column[i] = scatter.sums[i * order + j];
            }
            dispatch(Solve { u, order, stride, x: &mut column });
            for i in 0..order {
                half[j * order + i] = column[i];
            }
            pace.stride(order)?;
        }
        std::mem::swap(&mut half, &mut scatter.sums);
    }
    let mut covariance = memory::with_capacity(models * models)?;
    for i in 0..models {
        for j in 0..models {
            // Both halves were rounded on their own: their mean is symmetric.
            let (one, other) = (scatter.sums[i * order + j], scatter.sums[j * order + i]);
            covariance.push(scalar(|| 0.5 * (one + other)));
        }
    }
    Ok(covariance)
}

fn clustered(
    grouped: &Grouped,
    scores: &[Score],
    scatter: &mut Scatter,
    pace: &mut Pace<'_>,
) -> Result<(), Stopped> {
    let mut sums = memory::filled(scatter.order, 0.0)?;
    // The last cluster, counted from 1, that has an entry at each place.
    let mut latest = memory::filled(scatter.order, 0usize)?;
    let mut entries = memory::with_capacity(scatter.order)?;
    let total = grouped.clusters() as f64;
    let small = scalar(|| total / (total - 1.0));
    for cluster in 0..grouped.clusters() {
        entries.clear();
        for row in grouped.rows(cluster) {
            let (score, weight) = (scores[grouped.cells[row] as usize], grouped.weight(row));
            for &(place, value) in &score.by_place(weight)[..score.entries()] {
                if latest[place] == cluster + 1 {
                    scalar(|| sums[place] += value);
                } else {
                    (latest[place], sums[place]) = (cluster + 1, value);
                    entries.push((place, 0.0));
                }
            }
            pace.step()?;
        }
        for (place, value) in &mut entries {
            *value = sums[*place];
        }
        scalar(|| scatter.add(&entries, small));
        pace.stride(1 + entries.len() * entries.len() / 1024)?;
    }
    Ok(())
}

/// The gradient of the logarithm of one battle's probability: `by` for the first model, `-by` for the second one.
#[derive(Clone, Copy)]
struct Score {
    cell: Cell,
    by: f64,
    tie: Option<f64>,
    last: usize,
}

impl Score {
    fn of(cell: Cell, work: &Work, ties: bool) -> Score {
        let kind = if cell.tie { 0.5 } else { 1.0 };
        scalar(|| {
            let chances = work.likelihood.chances(cell.first as usize, cell.second as usize);
            let by = kind - (chances.win + chances.tie / 2.0);
            let tie = ties.then(|| f64::from(u8::from(cell.tie)) - chances.tie);
            Score { cell, by, tie, last: work.order() - 1 }
        })
    }

    fn entries(self) -> usize {
        2 + usize::from(self.tie.is_some())
    }

    /// The entries of the score of a battle with this weight.
    fn by_place(self, weight: f64) -> [(usize, f64); 3] {
        let by = scalar(|| weight * self.by);
        let of_tie = scalar(|| weight * self.tie.unwrap_or(0.0));
        [(self.cell.first as usize, by), (self.cell.second as usize, -by), (self.last, of_tie)]
    }
}

/// The sum of the squares of scores.
struct Scatter {
    order: usize,
    sums: Vec<f64>,
}

impl Scatter {
    /// Adds `factor` times the products of the entries of a score, all in different places.
    fn add(&mut self, entries: &[(usize, f64)], factor: f64) {
        for &(i, one) in entries {
            for &(j, other) in entries {
                self.sums[i * self.order + j] += factor * (one * other);
            }
        }
    }
}

struct Factor<'a> {
    work: &'a mut Work,
    totals: &'a Totals,
}

impl Kernel for Factor<'_> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        self.work.factored::<I>(self.totals)
    }
}

struct Solve<'a> {
    u: &'a [f64],
    order: usize,
    stride: usize,
    x: &'a mut [f64],
}

impl Kernel for Solve<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        solve(self.u, self.order, self.stride, self.x);
    }
}
