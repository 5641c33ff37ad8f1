//! The bootstrap of a statistic of sorted rows.

use super::data::{Checked, Data, Second, reach};
use super::window::Window;
use super::{OrderStatistic, Sample};
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory::{self, NoMemory};
use crate::random::Domain;
use crate::simd::scalar;
use crate::uncertainty::bootstrap::concluded;
use crate::uncertainty::designs::{Drawing, MOST_COUNTED, Parts, Simple, rescaled};
use crate::uncertainty::influence::left_out_acceleration;
use crate::uncertainty::no_estimate::{Ended, answer};
use crate::uncertainty::paired::Wide;
use crate::uncertainty::{Bootstrap, Correction, Design, Method, NoEstimate, Options, Run};

/// Row visits per chunk of work: so many are worth handing to a thread.
const VISITS: usize = 1 << 17;
/// The most groups of units that the acceleration leaves out in turn. With fewer units each is left out alone.
pub(in crate::uncertainty) const GROUPS: usize = 500;

/// The bootstrap of an order statistic of one or two columns under a design. `progress` gets the number of replicates
/// done.
///
/// Each unit counts as often as `drawing` says: under [`crate::uncertainty::designs::Simple`] as often as in the
/// bootstrap of a mean with the same seed. BCa's acceleration is that of the jackknife, which leaves out one unit at a
/// time, or one of about 500 groups of units.
pub fn ordered_bootstrap(
    statistic: &dyn OrderStatistic,
    columns: &[&dyn Wide],
    second: Second,
    design: Design<'_>,
    drawing: &dyn Drawing,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(bootstrap_or_ended(statistic, columns, second, design, drawing, options, progress))
}

/// The statistic of some columns.
pub(in crate::uncertainty) fn value_of(
    statistic: &dyn OrderStatistic,
    columns: &[&dyn Wide],
    second: Second,
    progress: Progress<'_>,
) -> Result<f64, Ended> {
    let data = Data::of_columns(columns, second, Design::Rows, progress)?;
    let of_type = statistic.of_column(columns[0])?;
    let statistic = of_type.as_deref().unwrap_or(statistic);
    let work = Work { statistic, data: &data, design: Design::Rows, drawing: &Simple };
    Ok(work.value(|_, counts| counts.fill(1))?)
}

fn bootstrap_or_ended(
    statistic: &dyn OrderStatistic,
    columns: &[&dyn Wide],
    second: Second,
    design: Design<'_>,
    drawing: &dyn Drawing,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    if options.method.reads_units() {
        return Err(NoEstimate::NeedsInfluences.into());
    }
    if !drawing.proportional() {
        return Err(NoEstimate::UnevenShares { most: MOST_COUNTED }.into());
    }
    let checked = Checked::of_columns(columns, second, design, &mut |_| progress(0))?;
    let of_type = statistic.of_column(columns[0])?;
    let statistic = of_type.as_deref().unwrap_or(statistic);
    let (count, run) = (options.count as usize, options.to_make());
    let plain = matches!(design, Design::Rows) && drawing.plain();
    let window = match statistic.level().filter(|_| plain) {
        Some(level) => Window::of(columns[0], checked.range, level, &mut |_| progress(0))?,
        None => None,
    };
    let near = match &window {
        Some(window) => {
            Some((window.of_all(), window.replicates(run, &mut |done| progress(run.number(done)))?))
        }
        None => None,
    };
    // All rows are sorted only where not all replicates are in the window, or some rows have to be left out.
    let sorted = match &near {
        Some((_, replicates))
            if options.method != Method::Bca && replicates.iter().all(|x| x.is_finite()) =>
        {
            None
        }
        Some(_) | None => Some(checked.sorted(columns, &mut |_| progress(0))?),
    };
    let work = sorted.as_ref().map(|data| Work { statistic, data, design, drawing });
    let (value, mut replicates) = match (near, &work) {
        (Some(near), None) => near,
        (near, Some(work)) => {
            let replicates = near.map(|(_, replicates)| replicates);
            (
                work.value(|_, counts| counts.fill(1))?,
                work.replicates(run, replicates, &mut |done| progress(run.number(done)))?,
            )
        }
        (None, None) => return Err(NoEstimate::NoReplicates.into()), // without a window rows are sorted
    };
    if replicates.iter().any(|value| !value.is_finite()) {
        return Err(NoEstimate::EmptyResample.into());
    }
    let rows = columns[0].len();
    let units = if let Design::Clusters { count, .. } = design { count } else { rows };
    rescaled(drawing, units, value, &mut replicates);
    let replicates = options.with_known(replicates)?;
    if count > 1 && replicates.iter().all(|&other| other == replicates[0]) {
        return Err(NoEstimate::EqualReplicates { n: count }.into());
    }
    let mut after = |_| progress(count);
    let tie = scalar(|| statistic.rounding(reach(checked.range)));
    let mut correction = Correction { tie, units: drawing.sample(units), ..Correction::default() };
    if let (Method::Bca, Some(work)) = (options.method, &work) {
        let parts = drawing.parts(units, GROUPS)?;
        correction.acceleration = work.acceleration(&parts, value, tie, &mut after)?;
    }
    concluded(value, (replicates, None), correction, checked.range, false, options, &mut after)
}

/// A statistic with the data and the units that are resampled.
struct Work<'a> {
    statistic: &'a dyn OrderStatistic,
    data: &'a Data,
    design: Design<'a>,
    drawing: &'a dyn Drawing,
}

impl Work<'_> {
    fn rows(&self) -> usize {
        self.data.x.entries.len()
    }

    fn units(&self) -> usize {
        match self.design {
            Design::Rows => self.rows(),
            Design::Clusters { count, .. } => count,
        }
    }

    /// The statistic of each replicate. Those of `near` that are numbers are known already.
    fn replicates(
        &self,
        run: Run,
        near: Option<Vec<f64>>,
        progress: Progress<'_>,
    ) -> Result<Vec<f64>, Ended> {
        let counting = |replicate: usize, room: &mut [u32], counts: &mut [u32]| {
            self.drawing.count(run.stream(Domain::Bootstrap, replicate), room, counts);
        };
        let Some(mut near) = near else { return self.values(run.count as usize, progress, counting) };
        for (replicate, value) in near.iter_mut().enumerate().filter(|(_, value)| value.is_nan()) {
            *value = self.value(|room, counts| counting(replicate, room, counts))?;
        }
        Ok(near)
    }

    /// The statistic where the units count as `count` says.
    fn value(&self, count: impl Fn(&mut [u32], &mut [u32])) -> Result<f64, NoMemory> {
        Ok(Room::new(self)?.value(self, count))
    }

    /// The statistic under `count` many countings of the units, in parallel.
    fn values(
        &self,
        count: usize,
        progress: Progress<'_>,
        counting: impl Fn(usize, &mut [u32], &mut [u32]) + Sync,
    ) -> Result<Vec<f64>, Ended> {
        let each = (VISITS / self.rows()).max(1);
        let bytes = count * self.rows() * size_of::<u64>();
        let mut progress = |done: usize| progress((done * each).min(count));
        let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
            let mut room = Room::new(self)?;
            memory::collected(
                chunk(part, count, each).map(|i| room.value(self, |kept, counts| counting(i, kept, counts))),
            )
        })?;
        Ok(memory::joined(parts)?)
    }

    /// BCa's acceleration from the statistics without each part of the units.
    fn acceleration(
        &self,
        parts: &Parts,
        value: f64,
        rounding: f64,
        progress: Progress<'_>,
    ) -> Result<f64, Ended> {
        let left_out = self.values(parts.count, &mut |_| progress(0), |left_out, _, counts| {
            for (unit, count) in counts.iter_mut().enumerate() {
                *count = u32::from(!parts.has(unit, left_out));
            }
        })?;
        if left_out.iter().any(|value| !value.is_finite()) {
            return Err(NoEstimate::Undefined.into());
        }
        Ok(left_out_acceleration(parts, value, left_out, rounding)?)
    }
}

/// The memory in which replicates are computed, one after another.
struct Room {
    units: Vec<u32>,
    /// What the drawing keeps.
    kept: Vec<u32>,
    /// How often each row counts, where units are not rows.
    rows: Vec<u32>,
    scratch: Vec<i64>,
}

impl Room {
    fn new(work: &Work<'_>) -> Result<Room, NoMemory> {
        let clustered = matches!(work.design, Design::Clusters { .. });
        Ok(Room {
            units: memory::filled(work.units(), 0)?,
            kept: memory::filled(work.drawing.room(work.units()), 0)?,
            rows: memory::filled(if clustered { work.rows() } else { 0 }, 0)?,
            scratch: memory::filled(if work.data.y.is_some() { work.rows() } else { 0 }, 0)?,
        })
    }

    fn value(&mut self, work: &Work<'_>, count: impl Fn(&mut [u32], &mut [u32])) -> f64 {
        let Room { units, kept, rows, scratch } = self;
        count(kept, units);
        let counts = match work.design {
            Design::Rows => &units[..],
            Design::Clusters { codes, .. } => {
                for (row, &code) in rows.iter_mut().zip(codes) {
                    *row = units[code as usize];
                }
                &rows[..]
            }
        };
        let total = counts.iter().map(|&count| u64::from(count)).sum();
        if total == 0 {
            return f64::NAN;
        }
        let sample = Sample { x: &work.data.x, y: work.data.y.as_ref(), counts, total };
        scalar(|| work.statistic.value(sample, scratch))
    }
}
