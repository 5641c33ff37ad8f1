//! The ideal bootstrap.

use super::columns::{all_columns, design, refusal, two_columns};
use crate::arrays::{copied, floats, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::confidence;
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::named::Named;
use steelyard_kernels::uncertainty::ideal::{self as kernels, Ideal, Question};
use steelyard_kernels::uncertainty::{Columns, Name};
use steelyard_kernels::with_dtype;

/// The limits of a statistic of `columns` that infinitely many resamples would give, and in `up_to` the share of
/// resamples that are at most each number of `at`. `q` is the level of a quantile, of rows. Returns a dictionary of the fields of the kernel's `Ideal` or, where
/// there is no estimate, of the reason (`refused`) and its fields.
#[pyfunction]
#[pyo3(signature = (
    columns, statistic, *, q=None, codes=None, clusters=0, method, confidence_level, alternative, at=None, progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn ideal_bootstrap<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    statistic: &str,
    q: Option<f64>,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
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
    let found = match statistic {
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
            all_columns(&columns, |columns| {
                call(py, progress, 1, |progress| kernels::quantile(columns[0], q, question, progress))
            })?
        }
    };
    match found {
        Ok(found) => fields(py, &found),
        Err(refused) => refusal(py, refused),
    }
}

fn fields<'py>(py: Python<'py>, found: &Ideal) -> Record<'py> {
    let &Ideal { value, standard_error, low, high, engine, error, acceleration, bias, binary, .. } = found;
    let up_to = copied(py, &found.up_to)?;
    record!(py, {
        value, standard_error, low, high, engine: engine.name(), error, acceleration, bias, binary, up_to,
    })
}
