//! The binding of preference: the losses of pairs from four columns of log-probabilities, in one call.

use crate::arrays::{Fresh, floats};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::preference::{self, Constants, Divergence, Loss, Output, Pairs, Smoothing};
use steelyard_kernels::simd::{Element, standard};
use steelyard_kernels::with_dtype;

const COLUMNS: [&str; 4] = ["policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"];

/// The parameters of a loss, the same for every pair; `crossing` is `log((1-e)/e)` as a sum of two doubles, `e` being
/// `label_smoothing`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Parameters {
    beta: f64,
    label_smoothing: f64,
    crossing: (f64, f64),
    shift: f64,
    temperature: f64,
    gamma: f64,
    alpha: f64,
    sft: f64,
    divergence: String,
}

impl Parameters {
    fn constants(&self) -> PyResult<Constants> {
        let (crossing, crossing_rest) = self.crossing;
        let smoothing = Smoothing { rate: self.label_smoothing, crossing, crossing_rest };
        let divergence: Divergence = named(&self.divergence)?;
        let Parameters { beta, shift, temperature, gamma, alpha, sft, .. } = *self;
        Ok(Constants { beta, smoothing, shift, temperature, gamma, alpha, sft, divergence })
    }
}

/// The loss of every pair: the columns `losses`, `rewards_chosen` and `rewards_rejected`; `grad_chosen` and
/// `grad_rejected`, which are None unless `gradients` is true; and the numbers of pairs that are `saturated` or have an
/// `empty` answer; and the largest derivative of a score by a log-ratio, `stretch`, which is 0 where scores are
/// log-ratios or their means.
///
/// All columns have the same dtype and length; without a reference there are two. `lengths` are the numbers of tokens
/// of the chosen and of the rejected answers, in float64.
#[pyfunction]
#[pyo3(signature = (columns, *, loss, parameters, gradients, lengths=None, progress=None))]
pub fn preference_loss<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyAny>>,
    loss: &str,
    parameters: Parameters,
    gradients: bool,
    lengths: Option<[Bound<'py, PyAny>; 2]>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let loss = named(loss)?;
    let constants = parameters.constants()?;
    with_dtype!(floats(first_column(&columns)?, COLUMNS[0])?, first => {
        let pairs = same_columns(first, &columns, lengths.as_ref())?;
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
            return Err(refused_nonfinite(pairs, constants.beta));
        }
        if counts.positive > 0 && let Some(found) = preference::first_positive(pairs) {
            return Err(refused_positive(found, counts.positive));
        }
        let [losses, rewards_chosen, rewards_rejected] = scored.map(Fresh::array);
        let [grad_chosen, grad_rejected] =
            gradients.map_or([None, None], |columns| columns.map(|column| Some(column.array())));
        let (saturated, empty, stretch) = (counts.saturated, counts.empty, counts.stretch);
        record!(py, { losses, rewards_chosen, rewards_rejected, grad_chosen, grad_rejected, saturated, empty, stretch })
    })
}

/// A bound on the absolute derivative of the loss with respect to a log-probability, for losses of at most `largest`.
#[pyfunction]
#[pyo3(signature = (loss, *, largest, parameters))]
pub fn preference_steepest(loss: &str, largest: f64, parameters: Parameters) -> PyResult<f64> {
    let loss: Loss = named(loss)?;
    let constants = parameters.constants()?;
    Ok(standard(|| loss.steepest(largest, constants)))
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

/// The first of two columns, without a reference, or of four.
fn first_column<'a, 'py>(columns: &'a [Bound<'py, PyAny>]) -> PyResult<&'a Bound<'py, PyAny>> {
    match columns {
        [first, _] | [first, _, _, _] => Ok(first),
        _ => Err(value_error(format!("columns: expected 2 or 4; got {}", columns.len()))),
    }
}

/// The columns as slices of the first one's type.
fn same_columns<'a, T: crate::arrays::Item>(
    first: &'a [T],
    columns: &'a [Bound<'_, PyAny>],
    lengths: Option<&'a [Bound<'_, PyAny>; 2]>,
) -> PyResult<Pairs<'a, T>> {
    let column = |index: usize| match columns.get(index) {
        Some(column) => {
            as_long(crate::arrays::slice::<T>(column, COLUMNS[index])?, first.len(), COLUMNS[index])
        }
        None => Ok(&[][..]),
    };
    let lengths = match lengths {
        Some([chosen, rejected]) => {
            let of = |column: &'a Bound<'_, PyAny>| {
                as_long(crate::arrays::slice::<f64>(column, "lengths")?, first.len(), "lengths")
            };
            Some([of(chosen)?, of(rejected)?])
        }
        None => None,
    };
    Ok(Pairs {
        policy_chosen: first,
        policy_rejected: column(1)?,
        reference_chosen: column(2)?,
        reference_rejected: column(3)?,
        lengths,
    })
}

/// The column, if it has one value per pair.
fn as_long<'a, T>(values: &'a [T], pairs: usize, name: &str) -> PyResult<&'a [T]> {
    if values.len() == pairs {
        return Ok(values);
    }
    Err(value_error(format!("{name}: expected {pairs} values, one per pair; got {}", values.len())))
}
