//! Statistics of sorted rows: quantiles, trimmed means, areas under curves, rank correlations.
//!
//! The rows are sorted once. In a resample each row counts a whole number of times, and an [`OrderStatistic`] is a scan
//! over the sorted rows with these counts: nothing is sorted, and no row is copied, in a replicate.

mod average_precision;
mod bootstrap;
mod calibration_error;
mod data;
mod deviation;
mod estimate;
mod ks;
mod near;
mod quantile;
mod roc;
mod sorted;
mod spearman;
mod trimmed_mean;
mod window;

pub use average_precision::AveragePrecision;
pub use bootstrap::ordered_bootstrap;
pub(super) use bootstrap::{GROUPS, value_of};
pub use calibration_error::CalibrationError;
pub use data::Second;
pub(super) use data::{Data, reach};
pub use deviation::{InterquartileRange, MedianAbsoluteDeviation};
pub(super) use estimate::exact_ranks;
pub use estimate::{OrderedEstimate, auc_estimate, quantile_estimate};
pub use ks::KolmogorovSmirnov;
pub use quantile::Quantile;
pub(super) use quantile::{between, position};
pub use roc::{Auc, Gini};
pub use sorted::{Entry, Sorted};
pub use spearman::Spearman;
pub use trimmed_mean::TrimmedMean;

use super::paired::Wide;
use crate::memory::NoMemory;

/// A resample of rows: the sorted data, and how often each row counts.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The first column.
    pub x: &'a Sorted,
    /// The second column, where the statistic ranks two.
    pub y: Option<&'a Sorted>,
    /// How often each row counts, in the order of the data.
    pub counts: &'a [u32],
    /// The sum of `counts`, at least 1.
    pub total: u64,
}

/// A statistic of sorted rows, each of which counts a whole number of times.
pub trait OrderStatistic: Sync {
    /// The statistic of a resample; NaN where it has no answer. `scratch` is room for a number for each row, whose
    /// content is arbitrary.
    fn value(&self, sample: Sample<'_>, scratch: &mut [i64]) -> f64;

    /// The statistic as it is of a column of this type, where the type matters.
    fn of_column(&self, _column: &dyn Wide) -> Result<Option<Box<dyn OrderStatistic>>, NoMemory> {
        Ok(None)
    }

    /// The level of a quantile; `None` of any other statistic.
    fn level(&self) -> Option<f64> {
        None
    }

    /// A bound of the rounding error of a value that was computed from a column whose largest magnitude is `reach`:
    /// replicates closer than this to the value are equal to it.
    fn rounding(&self, _reach: f64) -> f64 {
        4.0 * f64::EPSILON
    }
}
