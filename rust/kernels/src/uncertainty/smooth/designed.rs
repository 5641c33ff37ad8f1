//! The bootstrap of a statistic of sums under a design of resampling, with weights, or of strata that count once.
//!
//! (The plain bootstrap in [`super::boot`] draws and adds at once; here the counts of all units come first.)

use super::super::bootstrap::{Bootstrap, LAST_ROUNDING, Options, SUM_ERROR, concluded};
use super::super::design::Design;
use super::super::designs::{Drawing, Simple, centred, rescaled};
use super::super::influence::skewness;
use super::super::limits::{Correction, Method};
use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::Sums;
use super::closed::{Prepared, prepare};
use super::width::with_width;
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory::{self, NoMemory};
use crate::random::Domain;
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// The number of draws per chunk of work.
const DRAWS: usize = 1 << 18;
/// Units that are added into the lanes at a time, and those whose sums are added up before they join the others': no
/// number is the sum of many more than a thousand.
const RUN: usize = 1 << 10;
const RUNS: usize = 1 << 20;
const LANES: usize = 4;

/// How rows become one statistic, and how they are resampled.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// The weights of the rows, above 0.
    pub weights: Option<&'a [f64]>,
    /// What the units are.
    pub design: Design<'a>,
    /// How the units are drawn.
    pub drawing: &'a dyn Drawing,
    /// The stratum of each unit, inside `0..count`, and the number of strata, where the statistic is the mean of those
    /// of the strata.
    pub once: Option<(&'a [i64], usize)>,
}

/// The bootstrap of a statistic under a plan. `progress` gets the number of replicates done.
///
/// A replicate is the statistic of `sum c_g s_g` over the units' sums (with weights, of `w` times what a row adds), or
/// the mean of the statistics of the strata. The influences of which BCa's acceleration is made are added up over the
/// parts of the drawing, and centred in its strata.
pub fn designed(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    plan: Plan<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(designed_or_ended(statistic, columns, plan, options, progress))
}

/// The influence of each row on a statistic, up to a common factor.
pub fn influences(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    progress: Progress<'_>,
) -> Result<Result<Vec<f64>, NoEstimate>, Stopped> {
    answer(influences_or_ended(statistic, columns, progress))
}

fn influences_or_ended(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    progress: Progress<'_>,
) -> Result<Vec<f64>, Ended> {
    fn of_width<const K: usize>(statistic: &dyn Sums, prepared: &Prepared) -> Result<Vec<f64>, Ended> {
        let table = prepared.units.sums.as_chunks::<K>().0;
        let plan = Plan { weights: None, design: Design::Rows, drawing: &Simple, once: None };
        Ok(Work { statistic, table, plan }.influences()?.0)
    }
    let prepared = prepare(statistic, columns, None, Design::Rows, progress)?;
    with_width!(prepared.units.stride, K => of_width::<K>(statistic, &prepared))
}

fn designed_or_ended(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    plan: Plan<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    if options.method.reads_units() {
        return Err(NoEstimate::NeedsInfluences.into());
    }
    let prepared = prepare(statistic, columns, plan.weights, plan.design, &mut |_| progress(0))?;
    with_width!(prepared.units.stride, K => of_width::<K>(statistic, &prepared, plan, options, progress))
}

fn of_width<const K: usize>(
    statistic: &dyn Sums,
    prepared: &Prepared,
    plan: Plan<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let table = prepared.units.sums.as_chunks::<K>().0;
    if table.len() < 2 {
        return Err(match plan.design {
            Design::Rows => NoEstimate::EqualValues { n: 1 }.into(),
            Design::Clusters { .. } => NoEstimate::OneCluster.into(),
        });
    }
    let work = Work { statistic, table, plan };
    let value = work.value(&memory::filled(table.len(), 1u32)?)?;
    if !value.is_finite() {
        return Err(if value.is_nan() { NoEstimate::NoAnswer } else { NoEstimate::Infinite }.into());
    }
    let mut replicates = work.replicates(options, &mut *progress)?;
    rescaled(plan.drawing, table.len(), value, &mut replicates);
    let replicates = options.with_known(replicates)?;
    if replicates.iter().any(|value| !value.is_finite()) {
        return Err(NoEstimate::EmptyResample.into());
    }
    let (pulls, reach) = work.influences()?;
    let tie = scalar(|| SUM_ERROR * reach + LAST_ROUNDING * value.abs());
    if replicates.len() > 1 && scalar(|| replicates.iter().all(|other| (other - value).abs() <= tie)) {
        return Err(NoEstimate::EqualReplicates { n: replicates.len() }.into());
    }
    let units = plan.drawing.sample(table.len());
    let mut correction = Correction { tie, units, ..Correction::default() };
    if options.method == Method::Bca {
        let parts = plan.drawing.parts(table.len(), usize::MAX)?;
        correction.acceleration = scalar(|| {
            let mut pulls = parts.sums(&pulls)?;
            // The influences of a sum add up to it, others to 0.
            if parts.strata.is_some() || statistic.degree() == 1 {
                centred(&parts, &mut pulls)?;
            }
            Ok::<f64, NoMemory>(skewness(&pulls, 0.0))
        })?;
    }
    let mut after = |_| progress(options.count as usize);
    concluded(value, (replicates, None), correction, (f64::NAN, f64::NAN), false, options, &mut after)
}

/// A statistic with the sums of its units.
struct Work<'a, const K: usize> {
    statistic: &'a dyn Sums,
    table: &'a [[f64; K]],
    plan: Plan<'a>,
}

impl<const K: usize> Work<'_, K> {
    /// The statistic where the units count as `counts` says.
    fn value<C: Copy>(&self, counts: &[C]) -> Result<f64, NoMemory>
    where
        f64: From<C>,
    {
        let Some((_, count)) = self.plan.once else {
            let sums = dispatch(Counted { table: self.table, counts });
            return Ok(scalar(|| self.statistic.value(&sums)));
        };
        let totals = self.by_stratum(counts)?;
        Ok(scalar(|| {
            totals.iter().fold(0.0, |sum, totals| sum + self.statistic.value(totals)) / count as f64
        }))
    }

    /// The sums over each stratum, in the order of the units.
    fn by_stratum<C: Copy>(&self, counts: &[C]) -> Result<Vec<[f64; K]>, NoMemory>
    where
        f64: From<C>,
    {
        let (codes, count) = self.plan.once.unwrap_or_default();
        let mut totals = memory::filled(count, [0.0; K])?;
        scalar(|| {
            for ((&code, sums), &count) in codes.iter().zip(self.table).zip(counts) {
                let total = &mut totals[code as usize];
                for k in 0..K {
                    total[k] += f64::from(count) * sums[k];
                }
            }
        });
        Ok(totals)
    }

    fn replicates(&self, options: Options<'_>, progress: Progress<'_>) -> Result<Vec<f64>, Ended> {
        let (run, units) = (options.to_make(), self.table.len());
        let count = run.count as usize;
        let each = (DRAWS / units).max(1);
        let mut progress = |done: usize| progress(run.number((done * each).min(count)));
        let bytes = count * size_of_val(self.table);
        let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
            let drawing = self.plan.drawing;
            let (mut room, mut counts) = (memory::filled(drawing.room(units), 0)?, memory::filled(units, 0)?);
            let mut weights = memory::filled(if drawing.fixed() { 0 } else { units }, 0.0)?;
            let mut values = memory::with_capacity(each)?;
            for replicate in chunk(part, count, each) {
                let stream = run.stream(Domain::Bootstrap, replicate);
                drawing.count(stream, &mut room, &mut counts);
                values.push(if drawing.fixed() {
                    self.value(&counts)?
                } else {
                    drawing.level(&counts, &mut weights);
                    self.value(&weights)?
                });
            }
            Ok(values)
        })?;
        Ok(memory::joined(parts)?)
    }

    /// The influence of each unit, and how far a relative error of 1 in all sums can move the statistic.
    fn influences(&self) -> Result<(Vec<f64>, f64), NoMemory> {
        let ones = memory::filled(self.table.len(), 1u32)?;
        let (codes, totals) = match self.plan.once {
            Some((codes, _)) => (Some(codes), self.by_stratum(&ones)?),
            None => (None, memory::copied(&[dispatch(Counted { table: self.table, counts: &ones })])?),
        };
        let mut gradients = memory::filled(totals.len(), [0.0; K])?;
        let mut pulls = memory::with_capacity(self.table.len())?;
        Ok(scalar(|| {
            for (gradient, total) in gradients.iter_mut().zip(&totals) {
                self.statistic.gradient(total, &mut gradient[..self.statistic.width()]);
            }
            let (mut reach, strata) = (0.0, totals.len() as f64);
            for (unit, sums) in self.table.iter().enumerate() {
                let gradient = &gradients[codes.map_or(0, |codes| codes[unit] as usize)];
                let mut pull = 0.0;
                for k in 0..K {
                    pull += gradient[k] * sums[k];
                    reach += (gradient[k] * sums[k]).abs() / strata;
                }
                pulls.push(pull);
            }
            (pulls, reach)
        }))
    }
}

/// `sum c_g s_g` over the units of a table.
struct Counted<'a, C, const K: usize> {
    table: &'a [[f64; K]],
    counts: &'a [C],
}

/// Runs that are added up side by side, so that an addition need not wait for the one before it.
const BESIDE: usize = 4;

impl<C: Copy, const K: usize> Kernel for Counted<'_, C, K>
where
    f64: From<C>,
{
    type Out = [f64; K];

    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; K] {
        let mut all = [0.0; K];
        for (table, counts) in self.table.chunks(RUNS).zip(self.counts.chunks(RUNS)) {
            let mut some = [0.0; K];
            let (tables, last) = table.as_chunks::<{ RUN * BESIDE }>();
            let (of_tables, of_last) = counts.as_chunks::<{ RUN * BESIDE }>();
            for (table, counts) in tables.iter().zip(of_tables) {
                let mut lanes = [[[0.0; K]; LANES]; BESIDE];
                match K {
                    1 => add_runs::<C, K, 64>(&mut lanes, table, counts),
                    2 => add_runs::<C, K, 32>(&mut lanes, table, counts),
                    _ => add_runs::<C, K, LANES>(&mut lanes, table, counts),
                }
                for run in 0..BESIDE {
                    add_lanes(&mut some, &lanes[run]);
                }
            }
            for (table, counts) in last.chunks(RUN).zip(of_last.chunks(RUN)) {
                let mut lanes = [[0.0; K]; LANES];
                let (fours, rest) = table.as_chunks::<LANES>();
                let (of_fours, of_rest) = counts.as_chunks::<LANES>();
                for (units, counts) in fours.iter().zip(of_fours) {
                    add_units(&mut lanes, units, counts);
                }
                add_units(&mut lanes, rest, of_rest);
                add_lanes(&mut some, &lanes);
            }
            for k in 0..K {
                all[k] += some[k];
            }
        }
        all
    }
}

/// Adds the units of [`BESIDE`] runs to their lanes, unit i of a run to lane `i % LANES`, a step of each run after the other.
///
/// Up to two sums fill no register, so the units of a longer step are taken as one row of numbers, each with its count
/// beside it (0.30 instead of 0.67 ns a unit of two sums, AVX-512).
#[inline(always)]
fn add_runs<C: Copy, const K: usize, const STEP: usize>(
    lanes: &mut [[[f64; K]; LANES]; BESIDE],
    table: &[[f64; K]; RUN * BESIDE],
    counts: &[C; RUN * BESIDE],
) where
    f64: From<C>,
{
    let (steps, of_steps) = (table.as_chunks::<STEP>().0, counts.as_chunks::<STEP>().0);
    for step in 0..RUN / STEP {
        for run in 0..BESIDE {
            let at = run * (RUN / STEP) + step;
            if STEP == LANES {
                add_units(&mut lanes[run], &steps[at], &of_steps[at]);
            } else {
                add_flat(&mut lanes[run], &steps[at], &of_steps[at]);
            }
        }
    }
}

/// Adds the units of a step, whose counts are widened and repeated for each of the sums first.
#[inline(always)]
fn add_flat<C: Copy, const K: usize, const STEP: usize>(
    lanes: &mut [[f64; K]; LANES],
    units: &[[f64; K]; STEP],
    counts: &[C; STEP],
) where
    f64: From<C>,
{
    let (mut wide, mut each) = ([0.0; STEP], [[0.0; K]; STEP]);
    for i in 0..STEP {
        wide[i] = f64::from(counts[i]);
    }
    for i in 0..STEP {
        for k in 0..K {
            each[i][k] = wide[i];
        }
    }
    let lanes = lanes.as_flattened_mut();
    for (units, each) in units.as_chunks::<LANES>().0.iter().zip(each.as_chunks::<LANES>().0) {
        let (units, each) = (units.as_flattened(), each.as_flattened());
        for i in 0..LANES * K {
            lanes[i] += each[i] * units[i];
        }
    }
}

/// Adds one unit to each lane, of the first ones where there are fewer units.
#[inline(always)]
fn add_units<C: Copy, const K: usize>(lanes: &mut [[f64; K]; LANES], units: &[[f64; K]], counts: &[C])
where
    f64: From<C>,
{
    for i in 0..LANES {
        if i < units.len() {
            for k in 0..K {
                lanes[i][k] += f64::from(counts[i]) * units[i][k];
            }
        }
    }
}

/// Not inlined, because the compiler would then arrange the lanes in the loops for these additions.
#[inline(never)]
fn add_lanes<const K: usize>(sum: &mut [f64; K], lanes: &[[f64; K]; LANES]) {
    for k in 0..K {
        sum[k] += (lanes[0][k] + lanes[1][k]) + (lanes[2][k] + lanes[3][k]);
    }
}
