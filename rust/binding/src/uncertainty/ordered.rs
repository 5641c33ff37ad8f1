//! Quantiles and areas under the ROC curve, with their intervals in closed form.

use super::columns::{all_columns, design, refusal, two_columns};
use crate::call::call;
use crate::give::{Record, record};
use crate::intervals::confidence;
use crate::take::listed;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::NoEstimate;
use steelyard_kernels::uncertainty::ordered::{OrderedEstimate, auc_estimate, quantile_estimate};

/// The quantile at level `q` of one of `columns`: a dictionary of the fields of the kernel's `OrderedEstimate`, or of
/// the reason (`refused`) why there is none. `codes`, in `0..clusters`, are the clusters of the rows where they have
/// some.
#[pyfunction]
#[pyo3(signature = (columns, q, *, codes=None, clusters=0, confidence_level, alternative, progress=None))]
#[allow(clippy::too_many_arguments)] // the options of an interval
pub fn quantile_interval<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    q: f64,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    confidence_level: f64,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let found = all_columns(&listed::<Bound<'_, PyAny>>(columns)?, |columns| {
        let x = columns[0];
        let design = design(codes, clusters, x.len())?;
        call(py, progress, x.len(), |progress| quantile_estimate(x, q, design, confidence, progress))
    })?;
    answer(py, found)
}

/// The area under the ROC curve of two `columns`, scores and targets: as `quantile_interval`.
#[pyfunction]
#[pyo3(signature = (columns, *, codes=None, clusters=0, confidence_level, alternative, progress=None))]
pub fn auc_interval<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    confidence_level: f64,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let found = two_columns(&listed::<Bound<'_, PyAny>>(columns)?, |scores, targets| {
        let design = design(codes, clusters, scores.len())?;
        call(py, progress, scores.len(), |progress| {
            auc_estimate(scores, targets, design, confidence, progress)
        })
    })?;
    answer(py, found)
}

fn answer(py: Python<'_>, found: Result<OrderedEstimate, NoEstimate>) -> Record<'_> {
    match found {
        Ok(OrderedEstimate { value, standard_error, interval, df, unspread }) => {
            record!(py, { value, standard_error, low: interval.low, high: interval.high, df, unspread })
        }
        Err(refused) => refusal(py, refused),
    }
}
