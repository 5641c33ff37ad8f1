//! The statistics of sums over rows, with their intervals in closed form.

use super::columns::{all_columns, design, formula, refusal};
use crate::arrays::slice;
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::intervals::Confidence;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::smooth::{self, Abc, Closed, Strata, Sums};
use steelyard_kernels::uncertainty::{Design, NoEstimate};

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
    let asked =
        Asked { codes, clusters, weights, stratum_codes, strata, average, confidence_level, alternative };
    let (found, kind) = asked
        .answered(py, columns, statistic, progress, |rows, progress| {
            let Rows { statistic, columns, weights, design, strata, confidence } = rows;
            let found = smooth::closed(statistic, columns, weights, design, strata, confidence, progress)?;
            Ok(found.map(|found| (found, statistic.scale().words())))
        })?
        .map_or_else(|refused| (Err(refused), ""), |(found, kind)| (Ok(found), kind));
    match found {
        Ok(found) => fields(py, found, kind),
        Err(refused) => refusal(py, refused),
    }
}

/// The ABC interval of a statistic of `columns`: a dictionary of the fields of the kernel's `Abc`; else as
/// `statistic_interval`.
#[pyfunction]
#[pyo3(signature = (
    columns, statistic, *, codes=None, clusters=0, weights=None, stratum_codes=None, strata=0, average="micro",
    confidence_level, alternative, progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of an interval
pub fn abc_interval<'py>(
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
    let asked =
        Asked { codes, clusters, weights, stratum_codes, strata, average, confidence_level, alternative };
    let found = asked.answered(py, columns, statistic, progress, |rows, progress| {
        let Rows { statistic, columns, weights, design, strata, confidence } = rows;
        smooth::abc(statistic, columns, weights, design, strata, confidence, progress)
    })?;
    match found {
        Ok(found) => {
            let Abc { value, standard_error, low, high, acceleration, z0, curvature, bias } = found;
            record!(py, { value, standard_error, low, high, acceleration, z0, curvature, bias })
        }
        Err(refused) => refusal(py, refused),
    }
}

/// The arguments of an interval, as they come.
struct Asked<'a, 'py> {
    codes: Option<&'a Bound<'py, PyAny>>,
    clusters: usize,
    weights: Option<&'a Bound<'py, PyAny>>,
    stratum_codes: Option<&'a Bound<'py, PyAny>>,
    strata: usize,
    average: &'a str,
    confidence_level: f64,
    alternative: &'a str,
}

/// A statistic with what it is computed of.
struct Rows<'a> {
    statistic: &'a dyn Sums,
    columns: &'a [&'a dyn Wide],
    weights: Option<&'a [f64]>,
    design: Design<'a>,
    strata: Option<Strata<'a>>,
    confidence: Confidence,
}

impl Asked<'_, '_> {
    /// Checks the arguments and runs `work`, without the interpreter.
    fn answered<R: Send>(
        &self,
        py: Python<'_>,
        columns: &Bound<'_, PyAny>,
        statistic: &str,
        progress: Option<&Bound<'_, PyAny>>,
        work: impl FnOnce(Rows<'_>, Progress<'_>) -> Result<Result<R, NoEstimate>, Stopped> + Send,
    ) -> PyResult<Result<R, NoEstimate>> {
        let confidence = confidence(self.confidence_level, self.alternative)?;
        let formula = formula(statistic)?;
        let average = named::<Average>(self.average)?;
        let columns = listed::<Bound<'_, PyAny>>(columns)?;
        let expected = formula.columns().len();
        if columns.len() != expected {
            return Err(value_error(format!("columns: expected {expected}; got {}", columns.len())));
        }
        let weights = self.weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
        let codes = self.stratum_codes.map(|codes| slice::<i64>(codes, "stratum_codes")).transpose()?;
        let strata = codes.map(|codes| Strata { codes, count: self.strata, average });
        all_columns(&columns, |columns| {
            let rows = columns[0].len();
            let design = design(self.codes, self.clusters, rows)?;
            same_length(rows, weights.map_or(rows, <[f64]>::len), "columns, weights")?;
            let units = if let Design::Clusters { count, .. } = design { count } else { rows };
            same_length(units, codes.map_or(units, <[i64]>::len), "units, stratum_codes")?;
            call(py, progress, rows, |progress| {
                let statistic = match smooth::statistic(formula, columns, &mut *progress)? {
                    Ok(statistic) => statistic,
                    Err(refused) => return Ok(Err(refused)),
                };
                work(Rows { statistic: &*statistic, columns, weights, design, strata, confidence }, progress)
            })
        })
    }
}

pub(super) fn fields<'py>(py: Python<'py>, found: Closed, kind: &str) -> Record<'py> {
    let Closed { value, standard_error, interval, df, n_effective, unspread, still, plain } = found;
    record!(py, {
        value, standard_error, low: interval.low, high: interval.high, df, n_effective, unspread, still, plain, kind,
    })
}
