//! Scores of tokens from logits, and their sums over sequences.

use crate::arrays::{copied, float_rows, given, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use crate::take::{listed, named};
use numpy::{PyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use steelyard_kernels::rows::{Rows, Source};
use steelyard_kernels::tokens::{self, Column, Unscorable};
use steelyard_kernels::with_dtype;

type PyScores<'py> = (Bound<'py, PyArray1<bool>>, Vec<Bound<'py, PyArray1<f64>>>);

/// Scores each row of `[..., V]` logits and its target. Returns whether each row counts, and the requested columns, in
/// the order of `columns`.
#[pyfunction]
#[pyo3(signature = (logits, targets, *, ignore_index, columns, progress=None))]
pub fn token_scores<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    ignore_index: Option<i64>,
    columns: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<PyScores<'py>> {
    let columns = column_names(columns)?;
    let rows = float_rows(logits, "logits")?;
    let classes = slice::<i64>(targets, "targets")?;
    let outcome = with_dtype!(rows, x => {
        if x.count() != classes.len() {
            return Err(value_error(format!(
                "targets: expected one per row of logits, {}; got {}", x.count(), classes.len()
            )));
        }
        let source = Source::Lent(&x);
        call(py, progress, x.count(), |progress| {
            tokens::token_scores(source, classes, ignore_index, &columns, progress)
        })
    })?;
    let mut scores = outcome.map_err(|refusal| refused(refusal, logits, classes, ignore_index))?;
    let counted = copied(py, &scores.counted)?;
    let values: PyResult<Vec<_>> = columns.iter().map(|&column| given(py, scores.take(column))).collect();
    Ok(Give((counted, values?)))
}

fn column_names(names: &Bound<'_, PyAny>) -> PyResult<Vec<Column>> {
    listed::<String>(names)?.iter().map(|name| named(name)).collect()
}

/// For each of `rows` sequences of equal length, the exact sum of the NLL of its tokens that count.
#[pyfunction]
#[pyo3(signature = (nll, counted, *, rows))]
pub fn sequence_nll<'py>(
    py: Python<'py>,
    nll: &Bound<'py, PyAny>,
    counted: &Bound<'py, PyAny>,
    rows: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (x, mask) = (slice::<f64>(nll, "nll")?, slice::<u8>(counted, "counted")?);
    if x.len() != mask.len() || !x.len().is_multiple_of(rows.max(1)) {
        return Err(value_error(format!(
            "counted: expected one per token in {rows} equal rows; got {} for {} tokens",
            mask.len(),
            x.len()
        )));
    }
    let sums = call(py, None, rows, |progress| tokens::sequence_nll(x, mask, rows, progress))?;
    given(py, sums)
}

/// The exception for logits or targets that cannot be scored.
fn refused(
    refusal: Unscorable,
    logits: &Bound<'_, PyAny>,
    targets: &[i64],
    ignore_index: Option<i64>,
) -> PyErr {
    let shape = logits.cast::<PyUntypedArray>().map(|array| array.shape().to_vec()).unwrap_or_default();
    let (leading, width) = shape.split_at(shape.len().saturating_sub(1));
    let place = |row| coordinates(row, leading);
    value_error(match refusal {
        Unscorable::Target { row } => {
            let ignored = ignore_index.map_or(String::new(), |index| format!(", or ignore_index = {index}"));
            let classes = width.first().copied().unwrap_or(0);
            format!(
                "targets: expected class indices from 0 up to, not including, V = {classes}{ignored}; got {} \
                 at index [{}]",
                targets[row],
                place(row)
            )
        }
        Unscorable::Logit { row, column, value } => format!(
            "logits: expected finite numbers, or -inf for a class that is masked; got {} at index [{}{}{column}]",
            value.to_string().to_lowercase(),
            place(row),
            if leading.is_empty() { "" } else { ", " }
        ),
        Unscorable::NoMass { row } => format!(
            "logits: expected at least one class above -inf in every row that counts; got none in row [{}]; \
             leave the row out by ignore_index",
            place(row)
        ),
    })
}

/// The coordinates of element `row` of an array of that shape, as NumPy would print them.
pub fn coordinates(row: usize, shape: &[usize]) -> String {
    let mut rest = row;
    let mut places: Vec<String> = shape
        .iter()
        .rev()
        .map(|&length| {
            let place = rest % length.max(1);
            rest /= length.max(1);
            place.to_string()
        })
        .collect();
    places.reverse();
    places.join(", ")
}
