//! The bootstrap of a statistic of sums.

use super::super::beside;
use super::super::bootstrap::{About, Bootstrap, Options, resampled, root_mean_square};
use super::super::design::{Design, Table};
use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::super::statistic::{Line, Statistic};
use super::closed::{Linear, Prepared, prepare};
use super::width::{stride, with_width};
use super::{Formula, Sums, statistic};
use crate::grid::{Progress, Stopped};
use crate::memory;
use crate::simd::scalar;

/// The bootstrap of a statistic, by rows or by clusters. `progress` gets the number of replicates done.
pub fn bootstrap(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    design: Design<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(bootstrap_or_ended(statistic, columns, design, options, progress))
}

/// The bootstrap of a statistic of each of some columns, each with the bits of [`bootstrap`] of it alone; their
/// replicates share the random numbers. `progress` gets the number of replicates done.
pub fn bootstrap_each(
    formula: Formula,
    columns: &[&dyn Wide],
    design: Design<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Vec<Result<Bootstrap, NoEstimate>>, Stopped> {
    let mut before = |_| progress(0);
    let mut statistics = memory::with_capacity(columns.len())?;
    for column in columns {
        statistics.push(statistic(formula, &[*column], &mut before)?);
    }
    let mut ready = memory::with_capacity(columns.len())?;
    for (statistic, column) in statistics.iter().zip(columns) {
        ready.push(match statistic {
            Ok(statistic) => answer(Ready::of(&**statistic, &[*column], design, options, &mut before))?,
            Err(refused) => Err(*refused),
        });
    }
    let width = statistics.iter().flatten().next().map_or(1, |statistic| stride(statistic.width()));
    with_width!(width, K => each_of_width::<K>(&ready, options, progress))
}

fn each_of_width<const K: usize>(
    ready: &[Result<Ready<'_>, NoEstimate>],
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Vec<Result<Bootstrap, NoEstimate>>, Stopped> {
    let mut problems = memory::with_capacity(ready.len())?;
    for ready in ready {
        problems.push(match ready {
            Ok(ready) => answer(ready.problem::<K>(&mut |_| progress(0)))?,
            Err(refused) => Err(*refused),
        });
    }
    beside::each(problems, options, progress)
}

fn bootstrap_or_ended(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    design: Design<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let ready = Ready::of(statistic, columns, design, options, &mut |_| progress(0))?;
    with_width!(ready.prepared.units.stride, K => ready.of_width::<K>(options, progress))
}

/// A statistic with the sums of its units, which can be resampled.
struct Ready<'a> {
    statistic: &'a dyn Sums,
    prepared: Prepared,
    linear: Linear,
}

impl<'a> Ready<'a> {
    fn of(
        statistic: &'a dyn Sums,
        columns: &[&dyn Wide],
        design: Design<'_>,
        options: Options<'_>,
        progress: Progress<'_>,
    ) -> Result<Ready<'a>, Ended> {
        let prepared = prepare(statistic, columns, None, design, &mut *progress)?;
        if let Design::Clusters { count, .. } = design
            && count < 2
        {
            return Err(NoEstimate::OneCluster.into());
        }
        let count = prepared.units.count;
        if prepared.value.is_infinite() {
            return Err(NoEstimate::Infinite.into());
        }
        let linear = prepared.linear(statistic, &mut *progress)?;
        if count < 2 || linear.still(options.confidence, progress)? {
            return Err(match design {
                Design::Rows => NoEstimate::EqualValues { n: count }.into(),
                Design::Clusters { .. } => NoEstimate::EqualMeans { n: count }.into(),
            });
        }
        Ok(Ready { statistic, prepared, linear })
    }

    /// The statistic as one of K sums, and what is known about it.
    fn problem<const K: usize>(
        &self,
        progress: Progress<'_>,
    ) -> Result<(Table<'_, K>, OfWidth<'_, K>, About), Ended> {
        let (value, linear) = (self.prepared.value, &self.linear);
        let mut gradient = [0.0; K];
        gradient[..linear.gradient.len()].copy_from_slice(&linear.gradient);
        let units = Table(self.prepared.units.sums.as_chunks::<K>().0);
        let statistic = OfWidth { statistic: self.statistic, gradient, mean: linear.mean };
        let scale = root_mean_square(units, statistic, value, progress)?;
        // The rounding of the sums moves a replicate by at most a share of `reach`.
        let size = scalar(|| scale / linear.reach);
        Ok((units, statistic, About { value, scale, size, exact: false, range: (f64::NAN, f64::NAN) }))
    }

    fn of_width<const K: usize>(
        &self,
        options: Options<'_>,
        progress: Progress<'_>,
    ) -> Result<Bootstrap, Ended> {
        let (units, statistic, about) = self.problem::<K>(&mut |_| progress(0))?;
        resampled(units, statistic, about, options, progress)
    }
}

/// A statistic of K sums, of which the last may be unused.
#[derive(Clone, Copy)]
struct OfWidth<'a, const K: usize> {
    statistic: &'a dyn Sums,
    gradient: [f64; K],
    /// The mean influence for a unit of size 1, which is 0 except for a sum.
    mean: f64,
}

impl<const K: usize> Statistic<K> for OfWidth<'_, K> {
    fn value(self, sums: [f64; K]) -> f64 {
        self.statistic.value(&sums)
    }

    #[inline(always)]
    fn influence(self, unit: [f64; K], _value: f64) -> f64 {
        let mut influence = 0.0;
        for k in 0..K {
            influence += self.gradient[k] * unit[k];
        }
        if self.mean == 0.0 { influence } else { influence - self.mean * self.statistic.size(&unit) }
    }

    fn line(self, sums: [f64; K], units: f64) -> Line<K> {
        let mut gradient = [0.0; K];
        self.statistic.gradient(&sums, &mut gradient);
        let line = Line { gradient, constant: 0.0 };
        // The influences of a statistic of degree 0 add up to 0; those of a sum are about their mean.
        if self.statistic.degree() == 0 { line } else { Line { constant: -line.at(&sums) / units, ..line } }
    }
}
