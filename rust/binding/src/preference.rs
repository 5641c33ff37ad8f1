//! The binding of preference: the losses of pairs from four columns of log-probabilities, in one call.

use crate::arrays::{Fresh, floats};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::preference::{self, Constants, Loss, Output, Pairs, Smoothing};
use steelyard_kernels::simd::{Element, standard};
use steelyard_kernels::with_dtype;

const COLUMNS: [&str; 4] = ["policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"];

/// The loss of every pair: the columns `losses`, `rewards_chosen` and `rewards_rejected`; `grad_chosen` and
/// `grad_rejected`, which are None unless `gradients` is true; and the numbers of pairs that are `saturated` or have an
/// `empty` answer.
///
/// All four columns have the same dtype and length. `crossing` is `log((1-e)/e)` as a sum of two doubles, `e` being
/// `label_smoothing`.
#[pyfunction]
#[pyo3(signature = (columns, *, loss, beta, label_smoothing, crossing, gradients, progress=None))]
#[allow(clippy::too_many_arguments)] // one call, spelled out in the Python face
pub fn preference_loss<'py>(
    py: Python<'py>,
    columns: [Bound<'py, PyAny>; 4],
    loss: &str,
    beta: f64,
    label_smoothing: f64,
    crossing: (f64, f64),
    gradients: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let loss = named(loss)?;
    let smoothing = Smoothing { rate: label_smoothing, crossing: crossing.0, crossing_rest: crossing.1 };
    let constants = Constants { beta, smoothing };
    with_dtype!(floats(&columns[0], COLUMNS[0])?, first => {
        let pairs = same_columns(first, &columns)?;
        let column = || Fresh::new(py, first.len());
        let mut scored = [column()?, column()?, column()?];
        let mut gradients = if gradients { Some([column()?, column()?]) } else { None };
        let [losses, rewards_chosen, rewards_rejected] = scored.each_mut().map(Fresh::elements);
        let output = Output {
            losses,
            rewards_chosen,
            rewards_rejected,
            gradients: gradients.as_mut().map(|columns| columns.each_mut().map(Fresh::elements).into()),
        };
        let counts = call(py, progress, first.len(), move |progress| {
            preference::preference_loss_into(pairs, loss, constants, output, progress)
        })?;
        if counts.nonfinite > 0 {
            return Err(refused_nonfinite(pairs, beta));
        }
        if counts.positive > 0 && let Some(found) = preference::first_positive(pairs) {
            return Err(refused_positive(found, counts.positive));
        }
        let [losses, rewards_chosen, rewards_rejected] = scored.map(Fresh::array);
        let [grad_chosen, grad_rejected] =
            gradients.map_or([None, None], |columns| columns.map(|column| Some(column.array())));
        let (saturated, empty) = (counts.saturated, counts.empty);
        record!(py, { losses, rewards_chosen, rewards_rejected, grad_chosen, grad_rejected, saturated, empty })
    })
}

/// A bound on the absolute derivative of the loss with respect to a log-probability, for losses of at most `largest`.
#[pyfunction]
#[pyo3(signature = (loss, *, largest, beta, label_smoothing))]
pub fn preference_steepest(loss: &str, largest: f64, beta: f64, label_smoothing: f64) -> PyResult<f64> {
    let smoothing = Smoothing { rate: label_smoothing, ..Smoothing::NONE };
    let loss: Loss = named(loss)?;
    Ok(standard(|| loss.steepest(largest, Constants { beta, smoothing })))
}

/// The exception for a log-probability that is not finite; where all are finite, for the overflow of a result.
fn refused_nonfinite<T: Element>(pairs: Pairs<'_, T>, beta: f64) -> PyErr {
    value_error(match preference::first_nonfinite(pairs) {
        Some((index, column)) => format!(
            "{}: expected finite log-probabilities; got a NaN or infinity at index {index}; leave such pairs out \
             with where=",
            COLUMNS[column]
        ),
        None => format!(
            "beta: expected margins, rewards, losses and gradients that float64 holds; got larger ones of these \
             log-probabilities with beta = {beta:?}"
        ),
    })
}

/// The exception for a log-probability that is clearly positive.
fn refused_positive((index, column, value): (usize, usize, f64), count: usize) -> PyErr {
    let pairs = if count == 1 { "1 pair".to_owned() } else { format!("{count} pairs") };
    value_error(format!(
        "{}: expected log-probabilities, at most 0; got {value:?} at index {index} (clearly positive in {pairs}); \
         negate it, if it is a negative log-likelihood",
        COLUMNS[column]
    ))
}

/// The four columns as slices of the first one's type.
fn same_columns<'a, T: crate::arrays::Item>(
    first: &'a [T],
    columns: &'a [Bound<'_, PyAny>; 4],
) -> PyResult<Pairs<'a, T>> {
    let column = |index: usize| {
        let values = crate::arrays::slice::<T>(&columns[index], COLUMNS[index])?;
        if values.len() == first.len() {
            return Ok(values);
        }
        Err(value_error(format!(
            "{}: expected {} values, one per pair; got {}",
            COLUMNS[index],
            first.len(),
            values.len()
        )))
    };
    Ok(Pairs {
        policy_chosen: first,
        policy_rejected: column(1)?,
        reference_chosen: column(2)?,
        reference_rejected: column(3)?,
    })
}
