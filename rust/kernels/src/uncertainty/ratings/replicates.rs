//! The bootstrap of ratings: battles, or clusters of them, are drawn with replacement, and every resample is fitted.

use super::battles::{Battles, Grouped, Law};
use super::existence::Graph;
use super::fit::{Fit, Work};
use super::ladder::Multinomial;
use super::totals::Totals;
use crate::grid::{Pace, Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory::{self, NoMemory};
use crate::random::{Domain, Stream, count_into};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// What is drawn.
pub enum Units<'a> {
    /// Battles, each on its own; the counts of the table are whole numbers.
    Battles,
    /// Clusters of battles.
    Clusters(&'a Grouped),
}

/// Elementary operations in a chunk of work, about 10 ms of them.
const OPERATIONS: usize = 1 << 24;

/// The ratings of `count` resamples, row by row, each row followed by its `log nu`: NaN in all places of a row whose
/// resample has no ratings. `found` are the ratings of the battles themselves, from which each fit begins.
pub fn replicates(
    (battles, law): (&Battles, Law),
    found: &Fit,
    units: &Units<'_>,
    (count, seed): (u32, u64),
    progress: Progress<'_>,
) -> Result<Vec<f64>, Stopped> {
    let drawn = match units {
        Units::Battles => {
            let whole = battles.counts.iter().map(|&count| count as u64);
            Drawn::Cells(Multinomial::of(&memory::collected(whole)?)?)
        }
        Units::Clusters(grouped) => Drawn::Clusters(grouped),
    };
    let (models, total) = (battles.models, count as usize);
    let rows = match units {
        Units::Battles => 0,
        Units::Clusters(grouped) => grouped.cells.len() + grouped.clusters(),
    };
    let each = 2 * models * models * models + 20 * battles.cells.len() + 4 * rows;
    let size = (OPERATIONS / each.max(1)).clamp(1, 64);
    let mut made = |done: usize| progress((done * size).min(total));
    let parts = map_chunks(chunks(total, size), total.saturating_mul(each), &mut made, |part| {
        let mut room = Room::new(battles)?;
        let mut rows = memory::with_capacity(size * (models + 1))?;
        for replicate in chunk(part, total, size) {
            let stream = Stream::new(seed, Domain::Battles, replicate as u32);
            drawn.draw(stream, &mut room)?;
            let Room { totals, graph, counts, work, .. } = &mut room;
            scalar(|| totals.add(&battles.cells, counts, law, graph));
            let exists = work.refused(totals, graph)?.is_none();
            if exists {
                work.start(&found.ratings, found.log_nu, totals.ties > 0.0);
            }
            if exists && dispatch(Climb { work, totals }) {
                rows.extend_from_slice(&work.x[..models]);
                rows.push(work.log_nu);
            } else {
                rows.resize(rows.len() + models + 1, f64::NAN);
            }
        }
        Ok::<_, NoMemory>(rows)
    })?;
    Ok(memory::joined(parts)?)
}

/// The covariance of the ratings of replicates, as [`replicates`] returns them, row by row, with the divisor of one less
/// than the replicates that have ratings; and how many have none.
pub fn spread(
    replicates: &[f64],
    models: usize,
    progress: Progress<'_>,
) -> Result<(Vec<f64>, usize), Stopped> {
    let mut pace = Pace::new(progress);
    let mut covariance = memory::filled(models * models, 0.0)?;
    let mut means = memory::filled(models, 0.0)?;
    let mut away = memory::filled(models, 0.0)?;
    let rows = || replicates.chunks_exact(models + 1).filter(|row| !row[0].is_nan());
    let (all, count) = (replicates.len() / (models + 1), rows().count());
    for row in rows() {
        scalar(|| means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count as f64));
    }
    for row in rows() {
        dispatch(Products { row, means: &means, away: &mut away, sums: &mut covariance });
        pace.stride(1 + models / 16)?;
    }
    // One replicate, or none, has no spread: 0/0.
    scalar(|| covariance.iter_mut().for_each(|sum| *sum /= count as f64 - 1.0));
    Ok((covariance, all - count))
}

/// Adds the products of a row's deviations from the means.
struct Products<'a> {
    row: &'a [f64],
    means: &'a [f64],
    away: &'a mut [f64],
    sums: &'a mut [f64],
}

impl Kernel for Products<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let models = self.means.len();
        for i in 0..models {
            self.away[i] = self.row[i] - self.means[i];
        }
        for i in 0..models {
            let own = self.away[i];
            for (sum, &other) in self.sums[i * models..][..models].iter_mut().zip(&*self.away) {
                *sum += own * other;
            }
        }
    }
}

enum Drawn<'a> {
    Cells(Multinomial),
    Clusters(&'a Grouped),
}

/// What a replicate is computed in.
struct Room {
    counts: Vec<f64>,
    clusters: Vec<u32>,
    totals: Totals,
    graph: Graph,
    work: Work,
}

impl Room {
    fn new(battles: &Battles) -> Result<Room, NoMemory> {
        Ok(Room {
            counts: memory::filled(battles.cells.len(), 0.0)?,
            clusters: Vec::new(),
            totals: Totals::new(battles.models)?,
            graph: Graph::new(battles.models)?,
            work: Work::new(battles.models)?,
        })
    }
}

impl Drawn<'_> {
    /// Draws how many battles each cell has.
    fn draw(&self, stream: Stream, room: &mut Room) -> Result<(), NoMemory> {
        match self {
            Drawn::Cells(law) => dispatch(Draw { law, stream, to: &mut room.counts }),
            Drawn::Clusters(grouped) => {
                if room.clusters.is_empty() {
                    room.clusters = memory::filled(grouped.clusters(), 0)?;
                }
                count_into(stream, &mut room.clusters);
                dispatch(Gather { grouped, often: &room.clusters, to: &mut room.counts });
            }
        }
        Ok(())
    }
}

struct Draw<'a> {
    law: &'a Multinomial,
    stream: Stream,
    to: &'a mut [f64],
}

impl Kernel for Draw<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.law.draw(self.stream, self.to);
    }
}

/// Adds the battles of clusters, each as often as it was drawn.
struct Gather<'a> {
    grouped: &'a Grouped,
    often: &'a [u32],
    to: &'a mut [f64],
}

impl Kernel for Gather<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.to.fill(0.0);
        for (cluster, &often) in self.often.iter().enumerate() {
            if often > 0 {
                for row in self.grouped.rows(cluster) {
                    self.to[self.grouped.cells[row] as usize] += f64::from(often) * self.grouped.weight(row);
                }
            }
        }
    }
}

struct Climb<'a> {
    work: &'a mut Work,
    totals: &'a Totals,
}

impl Kernel for Climb<'_> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        self.work.climb::<I>(self.totals)
    }
}
