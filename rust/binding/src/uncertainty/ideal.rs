//! The ideal bootstrap.

use super::columns::{all_columns, design, refusal, two_columns};
use crate::arrays::{copied, floats, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::named::Named;
use steelyard_kernels::uncertainty::ideal::{self as kernels, Ideal, Plan, Question, Together};
use steelyard_kernels::uncertainty::{Columns, Design, Name};
use steelyard_kernels::with_dtype;

/// The limits of a statistic of `columns` that infinitely many resamples would give, and in `up_to` the share of
/// resamples that are at most each number of `at`. `q` is the level of a quantile, of rows. `weights` of the rows are
/// above 0; `stratum_codes`, in `0..strata`, are the strata of the clusters (or rows), each of which is resampled within
/// itself; their `average` is micro, macro or difference, which is the first less the second. Returns a dictionary of the
/// fields of the kernel's `Ideal` or, where there is no estimate, of the reason (`refused`) and its fields.
#[pyfunction]
#[pyo3(signature = (
    columns, statistic, *, q=None, codes=None, clusters=0, weights=None, stratum_codes=None, strata=0, average="micro",
    method, confidence_level, alternative, at=None, progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn ideal_bootstrap<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    statistic: &str,
    q: Option<f64>,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    weights: Option<&Bound<'py, PyAny>>,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
    average: &str,
    method: &str,
    confidence_level: f64,
    alternative: &str,
    at: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let at = at.map(|at| slice::<f64>(at, "at")).transpose()?.unwrap_or(&[]);
    let question = Question { method: named(method)?, confidence, at };
    let statistic = named::<Name>(statistic)?;
    let columns = listed::<Bound<'_, PyAny>>(columns)?;
    let expected = statistic.about().columns.len();
    if columns.len() != expected {
        return Err(value_error(format!("columns: expected {expected}; got {}", columns.len())));
    }
    let plain = weights.is_none() && stratum_codes.is_none();
    let found = match statistic {
        Name::Mean | Name::Ratio | Name::Sum | Name::WeightedMean
            if !plain || matches!(statistic, Name::Sum | Name::WeightedMean) =>
        {
            let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
            let stratum_codes =
                stratum_codes.map(|codes| slice::<i64>(codes, "stratum_codes")).transpose()?;
            let together = together(average)?;
            all_columns(&columns, |columns| {
                let rows = columns[0].len();
                let design = design(codes, clusters, rows)?;
                let units = if let Design::Clusters { count, .. } = design { count } else { rows };
                same_length(rows, weights.map_or(rows, <[f64]>::len), "columns, weights")?;
                same_length(units, stratum_codes.map_or(units, <[i64]>::len), "units, stratum_codes")?;
                let plan =
                    Plan { weights, design, strata: stratum_codes.map(|codes| (codes, strata)), together };
                call(py, progress, 1, |progress| {
                    kernels::designed(statistic, columns, plan, question, progress)
                })
            })?
        }
        Name::Mean => with_dtype!(floats(&columns[0], "columns")?, x => {
            let design = design(codes, clusters, x.len())?;
            call(py, progress, 1, |progress| kernels::mean(x, design, question, progress))?
        }),
        Name::Ratio => two_columns(&columns, |x, y| {
            let columns = Columns { x, y, weights: None, design: design(codes, clusters, x.len())? };
            call(py, progress, 1, |progress| kernels::ratio(columns, question, progress))
        })?,
        _ => {
            let q = q.ok_or_else(|| value_error("q: expected the level of a quantile; got None"))?;
            if weights.is_some() || (codes.is_some() && stratum_codes.is_some()) {
                return Err(value_error("weights, codes: expected none for a quantile of strata; got some"));
            }
            let stratum_codes =
                stratum_codes.map(|codes| slice::<i64>(codes, "stratum_codes")).transpose()?;
            all_columns(&columns, |columns| {
                let rows = columns[0].len();
                same_length(rows, stratum_codes.map_or(rows, <[i64]>::len), "columns, stratum_codes")?;
                let strata = stratum_codes.map(|codes| (codes, strata));
                call(py, progress, 1, |progress| kernels::quantile(columns[0], q, strata, question, progress))
            })?
        }
    };
    match found {
        Ok(found) => fields(py, &found),
        Err(refused) => refusal(py, refused),
    }
}

/// How strata become one statistic.
fn together(average: &str) -> PyResult<Together> {
    if average == "difference" {
        return Ok(Together::Difference);
    }
    Ok(match named::<Average>(average)? {
        Average::Micro => Together::Pooled,
        Average::Macro => Together::Mean,
    })
}

fn fields<'py>(py: Python<'py>, found: &Ideal) -> Record<'py> {
    let &Ideal { value, standard_error, low, high, engine, error, acceleration, bias, binary, .. } = found;
    let up_to = copied(py, &found.up_to)?;
    record!(py, {
        value, standard_error, low, high, engine: engine.name(), error, acceleration, bias, binary, up_to,
    })
}
