//! The binding of preference: the losses of pairs from four columns of log-probabilities, in one call.

pub mod policy;
pub mod ranked;
pub mod unpaired;

use crate::arrays::{Fresh, Word, copied, floats};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::grid::{CHUNK, chunks};
use steelyard_kernels::preference::{
    self, Constants, Divergence, Loss, Narrow, Output, Pairs, Smoothing, Term,
};
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

/// The loss: names with their weights, of which one alone has the weight 1.
fn terms(given: &[(String, f64)], constants: Constants) -> PyResult<Vec<Term>> {
    let term = |(name, weight): &(String, f64)| Ok(Term { loss: named(name)?, weight: *weight });
    let terms = given.iter().map(term).collect::<PyResult<Vec<Term>>>()?;
    if terms.is_empty() || !preference::share_scores(&terms, constants) {
        return Err(value_error("loss: expected losses that compare the same scores; got others"));
    }
    Ok(terms)
}

/// What there is beside the columns of log-probabilities, in float64: the numbers of tokens of the chosen and of the
/// rejected answers, what is subtracted from each pair's margin, and the factors of its gradients.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Beside<'py> {
    lengths: Option<[Bound<'py, PyAny>; 2]>,
    margin: Option<Bound<'py, PyAny>>,
    weights: Option<Bound<'py, PyAny>>,
}

/// The loss of every pair: the columns `losses`, `rewards_chosen` and `rewards_rejected`; `grad_chosen` and
/// `grad_rejected`, which are None unless `gradients` is true; and the numbers of pairs that are `saturated` or have an
/// `empty` answer; the largest derivative of a score by a log-ratio, `stretch`, which is 0 where scores are log-ratios or
/// their means; the `largest` magnitude of a log-probability, the `highest` loss (at least 0), and the `steepest` gradient
/// without its weight (0 without gradients, and where a loss is one of log-ratios alone, with nothing beside them).
///
/// All columns of log-probabilities have the same dtype and length; without a reference there are two. Results are
/// float64, or with `single` float32.
#[pyfunction]
#[pyo3(signature = (columns, *, terms, parameters, beside, gradients, single, progress=None))]
#[allow(clippy::too_many_arguments)]
pub fn preference_loss<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyAny>>,
    terms: Vec<(String, f64)>,
    parameters: Parameters,
    beside: Beside<'py>,
    gradients: bool,
    single: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let constants = parameters.constants()?;
    let terms = self::terms(&terms, constants)?;
    with_dtype!(floats(first_column(&columns)?, COLUMNS[0])?, first => {
        let pairs = same_columns(first, &columns, &beside)?;
        if single {
            scored::<_, f32>(py, pairs, &terms, constants, gradients, progress)
        } else {
            scored::<_, f64>(py, pairs, &terms, constants, gradients, progress)
        }
    })
}

/// The record of [`preference_loss`].
fn scored<'py, T: Element, O: Word + Narrow>(
    py: Python<'py>,
    pairs: Pairs<'_, T>,
    terms: &[Term],
    constants: Constants,
    gradients: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let n = pairs.policy_chosen.len();
    let column = || Fresh::<O>::new(py, n);
    let mut scored = [column()?, column()?, column()?];
    let mut gradients = if gradients { Some([column()?, column()?]) } else { None };
    let [losses, rewards_chosen, rewards_rejected] = scored.each_mut().map(Fresh::elements);
    let output = Output {
        losses,
        rewards_chosen,
        rewards_rejected,
        gradients: gradients.as_mut().map(|columns| columns.each_mut().map(Fresh::elements).into()),
    };
    let counts = call(py, progress, n, move |progress| {
        preference::preference_loss_into(pairs, terms, constants, output, progress)
    })?;
    if counts.nonfinite > 0 {
        return Err(refused_nonfinite(pairs, constants.beta));
    }
    if counts.positive > 0
        && let Some(found) = preference::first_positive(pairs)
    {
        return Err(refused_positive(found, counts.positive));
    }
    let [losses, rewards_chosen, rewards_rejected] = scored.map(Fresh::array);
    let [grad_chosen, grad_rejected] =
        gradients.map_or([None, None], |columns| columns.map(|column| Some(column.array())));
    let preference::Counts { saturated, empty, stretch, largest, highest, steepest, .. } = counts;
    record!(py, {
        losses, rewards_chosen, rewards_rejected, grad_chosen, grad_rejected,
        saturated, empty, stretch, largest, highest, steepest
    })
}

/// The moments of the losses at each setting, as columns with an entry a setting: `mean`, `squares`, `low`, `high`; the
/// largest `slope` of a pair's loss, 0 unless `slopes` is true; and the numbers of `saturated` pairs.
#[pyfunction]
#[pyo3(signature = (columns, *, terms, settings, beside, slopes, progress=None))]
pub fn preference_sweep<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyAny>>,
    terms: Vec<(String, f64)>,
    settings: Vec<Parameters>,
    beside: Beside<'py>,
    slopes: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let settings = settings.iter().map(Parameters::constants).collect::<PyResult<Vec<Constants>>>()?;
    let Some(&first) = settings.first() else {
        return Err(value_error("settings: expected at least one; got none"));
    };
    let terms = self::terms(&terms, first)?;
    with_dtype!(floats(first_column(&columns)?, COLUMNS[0])?, first => {
        let pairs = same_columns(first, &columns, &beside)?;
        let (terms, settings) = (&terms[..], &settings[..]);
        let total = chunks(first.len(), CHUNK) * chunks(settings.len(), preference::GROUP);
        let found = call(py, progress, total, move |progress| {
            preference::preference_sweep(pairs, terms, settings, slopes, progress)
        })?;
        let beyond = |of: &preference::Swept| !(of.squares.is_finite() && of.mean.is_finite() && of.slope.is_finite());
        if let Some(index) = found.iter().position(beyond) {
            return Err(refused_nonfinite(pairs, settings[index].beta));
        }
        let column = |of: fn(&preference::Swept) -> f64| filled(py, found.iter().map(of));
        let (mean, squares) = (column(|of| of.mean)?, column(|of| of.squares)?);
        let (low, high, slope) = (column(|of| of.low)?, column(|of| of.high)?, column(|of| of.slope)?);
        let saturated = filled(py, found.iter().map(|of| of.saturated as i64))?;
        record!(py, { mean, squares, low, high, slope, saturated })
    })
}

/// An array of these values.
fn filled<T: Word>(
    py: Python<'_>,
    values: impl ExactSizeIterator<Item = T>,
) -> PyResult<Bound<'_, PyArray1<T>>> {
    let mut array = Fresh::new(py, values.len())?;
    for (element, value) in array.elements().iter_mut().zip(values) {
        *element = value;
    }
    Ok(array.array())
}

/// For each pair the row of the pair whose rank under the reference equals its own under the policy, as `aot` pairs
/// them.
#[pyfunction]
#[pyo3(signature = (columns, *, progress=None))]
pub fn preference_ranks<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    with_dtype!(floats(first_column(&columns)?, COLUMNS[0])?, first => {
        let pairs = same_columns(first, &columns, &Beside { lengths: None, margin: None, weights: None })?;
        let rows = call(py, progress, 4 * first.len(), move |progress| preference::of_equal_rank(pairs, progress))?;
        copied(py, &rows)
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
    beside: &'a Beside<'_>,
) -> PyResult<Pairs<'a, T>> {
    let column = |index: usize| match columns.get(index) {
        Some(column) => {
            as_long(crate::arrays::slice::<T>(column, COLUMNS[index])?, first.len(), COLUMNS[index])
        }
        None => Ok(&[][..]),
    };
    let doubles = |column: &'a Bound<'_, PyAny>, name| {
        as_long(crate::arrays::slice::<f64>(column, name)?, first.len(), name)
    };
    let lengths = match &beside.lengths {
        Some([chosen, rejected]) => Some([doubles(chosen, "lengths")?, doubles(rejected, "lengths")?]),
        None => None,
    };
    let margins = beside.margin.as_ref().map(|margin| doubles(margin, "margin")).transpose()?;
    let weights = beside.weights.as_ref().map(|weights| doubles(weights, "weights")).transpose()?;
    let columns = [first, column(1)?, column(2)?, column(3)?];
    Ok(Pairs { lengths, margins, weights, ..Pairs::of(columns) })
}

/// The column, if it has one value per pair.
fn as_long<'a, T>(values: &'a [T], pairs: usize, name: &str) -> PyResult<&'a [T]> {
    if values.len() == pairs {
        return Ok(values);
    }
    Err(value_error(format!("{name}: expected {pairs} values, one per pair; got {}", values.len())))
}
