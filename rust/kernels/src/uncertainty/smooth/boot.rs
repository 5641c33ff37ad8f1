//! The bootstrap of a statistic of sums.

use super::super::bootstrap::{About, Bootstrap, Options, resampled, root_mean_square};
use super::super::design::Design;
use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::super::statistic::Statistic;
use super::Sums;
use super::closed::{Linear, prepare};
use super::units::Table;
use crate::grid::{Progress, Stopped};
use crate::simd::scalar;

/// How many sums a table of the bootstrap may have; a statistic takes the smallest that holds its own.
const WIDTHS: [usize; 7] = [1, 2, 4, 6, 8, 12, 24];

/// The width of the table for a statistic of `width` sums.
pub(super) fn stride(width: usize) -> usize {
    WIDTHS.into_iter().find(|&wide| wide >= width).unwrap_or(width)
}

/// The bootstrap of a statistic, by rows or by clusters. `progress` gets the number of replicates done.
pub fn bootstrap(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    design: Design<'_>,
    options: Options,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(bootstrap_or_ended(statistic, columns, design, options, progress))
}

fn bootstrap_or_ended(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    design: Design<'_>,
    options: Options,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let prepared = prepare(statistic, columns, None, design, &mut |_| progress(0))?;
    if let Design::Clusters { count, .. } = design
        && count < 2
    {
        return Err(NoEstimate::OneCluster.into());
    }
    let count = prepared.units.count;
    if prepared.value.is_infinite() {
        return Err(NoEstimate::Infinite.into());
    }
    let linear = prepared.linear(statistic, &mut |_| progress(0))?;
    if count < 2 || linear.still(options.confidence, &mut |_| progress(0))? {
        return Err(match design {
            Design::Rows => NoEstimate::EqualValues { n: count }.into(),
            Design::Clusters { .. } => NoEstimate::EqualMeans { n: count }.into(),
        });
    }
    let sums = &prepared.units.sums[..];
    let reach = linear.reach;
    match prepared.units.stride {
        1 => of_width::<1>(sums, statistic, prepared.value, &linear, reach, options, progress),
        2 => of_width::<2>(sums, statistic, prepared.value, &linear, reach, options, progress),
        4 => of_width::<4>(sums, statistic, prepared.value, &linear, reach, options, progress),
        6 => of_width::<6>(sums, statistic, prepared.value, &linear, reach, options, progress),
        8 => of_width::<8>(sums, statistic, prepared.value, &linear, reach, options, progress),
        12 => of_width::<12>(sums, statistic, prepared.value, &linear, reach, options, progress),
        _ => of_width::<24>(sums, statistic, prepared.value, &linear, reach, options, progress),
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
}

fn of_width<const K: usize>(
    sums: &[f64],
    statistic: &dyn Sums,
    value: f64,
    linear: &Linear,
    reach: f64,
    options: Options,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let mut gradient = [0.0; K];
    gradient[..linear.gradient.len()].copy_from_slice(&linear.gradient);
    let units = Table(sums.as_chunks::<K>().0);
    let statistic = OfWidth { statistic, gradient, mean: linear.mean };
    let scale = root_mean_square(units, statistic, value, &mut |_| progress(0))?;
    // The rounding of the sums moves a replicate by at most a share of `reach`.
    let size = scalar(|| scale / reach);
    let about = About { value, scale, size, exact: false, range: (f64::NAN, f64::NAN) };
    resampled(units, statistic, about, options, progress)
}
