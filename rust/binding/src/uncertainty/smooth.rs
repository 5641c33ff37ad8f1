//! The statistics of sums over rows, with their intervals in closed form.

use super::columns::{all_columns, design, formula, refusal};
use crate::arrays::slice;
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::uncertainty::Design;
use steelyard_kernels::uncertainty::smooth::{self, Closed, Strata};

/// A statistic of `columns` with its interval: a dictionary of the fields of the kernel's `Closed`, with NaN for a
/// number that does not exist, and `kind`, the interval in words; or, where there is no estimate, of the reason
/// (`refused`) and its fields. `codes`, in `0..clusters`, are the clusters of the rows where they have some, and
/// `stratum_codes`, in `0..strata`, the strata of the clusters (or rows); `weights` are above 0.
#[pyfunction]
#[pyo3(signature = (
    columns, statistic, *, codes=None, clusters=0, weights=None, stratum_codes=None, strata=0, average="micro",
    confidence_level, alternative, progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of an interval
pub fn statistic_interval<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    statistic: &str,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    weights: Option<&Bound<'py, PyAny>>,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
    average: &str,
    confidence_level: f64,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let formula = formula(statistic)?;
    let average = named::<Average>(average)?;
    let columns = listed::<Bound<'_, PyAny>>(columns)?;
    let expected = formula.columns().len();
    if columns.len() != expected {
        return Err(value_error(format!("columns: expected {expected}; got {}", columns.len())));
    }
    let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
    let stratum_codes = stratum_codes.map(|codes| slice::<i64>(codes, "stratum_codes")).transpose()?;
    let (found, kind) = all_columns(&columns, |columns| {
        let rows = columns[0].len();
        let design = design(codes, clusters, rows)?;
        same_length(rows, weights.map_or(rows, <[f64]>::len), "columns, weights")?;
        let units = if let Design::Clusters { count, .. } = design { count } else { rows };
        same_length(units, stratum_codes.map_or(units, <[i64]>::len), "units, stratum_codes")?;
        let strata = stratum_codes.map(|codes| Strata { codes, count: strata, average });
        call(py, progress, rows, |progress| {
            let statistic = match smooth::statistic(formula, columns, &mut *progress)? {
                Ok(statistic) => statistic,
                Err(refused) => return Ok((Err(refused), "")),
            };
            let kind = statistic.scale().words();
            let found = smooth::closed(&*statistic, columns, weights, design, strata, confidence, progress)?;
            Ok((found, kind))
        })
    })?;
    match found {
        Ok(found) => fields(py, found, kind),
        Err(refused) => refusal(py, refused),
    }
}

fn fields<'py>(py: Python<'py>, found: Closed, kind: &str) -> Record<'py> {
    let Closed { value, standard_error, interval, df, n_effective, unspread, still, plain } = found;
    record!(py, {
        value, standard_error, low: interval.low, high: interval.high, df, n_effective, unspread, still, plain, kind,
    })
}
