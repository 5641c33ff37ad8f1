//! Scores of tokens from logits, and their sums over sequences.

use crate::arrays::{copied, float_rows, given, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use crate::take::{listed, named};
use numpy::{PyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::named::Named;
use steelyard_kernels::rows::{Rows, Source};
use steelyard_kernels::tokens::{
    self, Asked, Column, Logit, Placed, Shard, Targets, TokenScores, Transform, Transformed, Unscorable,
};
use steelyard_kernels::with_dtype;

pub type PyScores<'py> = (Bound<'py, PyArray1<bool>>, Vec<Bound<'py, PyArray1<f64>>>);

/// Scores each row of `[..., V]` logits and its targets, as many per row as `targets` has for each. Returns whether each
/// target counts, and the requested columns, in the order of `columns`, with one entry per target or per row. With `part`
/// the logits are those of some classes, and what `join_shards` takes is returned instead: what is kept of each row, and
/// the logits of the targets.
#[pyfunction]
#[pyo3(signature = (
    logits, targets, *, ignore_index, columns, counted=None, bias=None, scale=None, softcap=None, temperature=None,
    label_smoothing=0.0, part=false, progress=None
))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn token_scores<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    ignore_index: Option<i64>,
    columns: &Bound<'py, PyAny>,
    counted: Option<&Bound<'py, PyAny>>,
    bias: Option<&Bound<'py, PyAny>>,
    scale: Option<f64>,
    softcap: Option<f64>,
    temperature: Option<f64>,
    label_smoothing: f64,
    part: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<PyScores<'py>> {
    let columns: Vec<Column> = names(columns)?;
    let rows = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: shape_of(targets) };
    let classes = slice::<i64>(targets, "targets")?;
    let (targets, bias) = shapes.checked(classes, ignore_index, counted, bias)?;
    let asked = Asked { columns: &columns, label_smoothing };
    let transform = Transform { bias, scale, softcap, temperature };
    let outcome = with_dtype!(rows, x => {
        call(py, progress, x.count(), |progress| {
            if transform.is_nothing() {
                return scored(Source::Lent(&x), targets, asked, part, progress);
            }
            scored_as_made(&x, transform, targets, asked, part, progress)
        })
    })?;
    let scores = outcome.map_err(|refusal| refused(refusal, "logits", &shapes, classes, ignore_index))?;
    Ok(Give(scores.handed(py, &columns)?))
}

/// Computes the columns of rows of `width` classes from what was kept of shards, whose first classes are `starts`, and
/// from the logits of the targets, NaN where one does not count. Returns what `token_scores` does.
#[pyfunction]
#[pyo3(signature = (shards, logits, targets, *, starts, width, columns, counted, per_row, label_smoothing=0.0))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn join_shards<'py>(
    py: Python<'py>,
    shards: &Bound<'py, PyAny>,
    logits: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    starts: &Bound<'py, PyAny>,
    width: usize,
    columns: &Bound<'py, PyAny>,
    counted: &Bound<'py, PyAny>,
    per_row: usize,
    label_smoothing: f64,
) -> Given<PyScores<'py>> {
    let columns: Vec<Column> = names(columns)?;
    let (shards, starts) = (listed::<Bound<'_, PyAny>>(shards)?, listed::<usize>(starts)?);
    let (classes, logits) = (slice::<i64>(targets, "targets")?, slice::<f64>(logits, "logits")?);
    let mask = slice::<u8>(counted, "counted")?;
    let rows = classes.len() / per_row.max(1);
    let kept: PyResult<Vec<_>> =
        shards.iter().map(|shard| Ok(slice::<f64>(shard, "shards")?.as_chunks().0)).collect();
    let kept = kept?;
    if kept.iter().any(|kept| kept.len() != rows) || starts.len() != kept.len() {
        return Err(value_error(format!("shards: expected what is kept of {rows} rows in each")));
    }
    if [logits.len(), mask.len(), rows * per_row] != [classes.len(); 3] {
        return Err(value_error("logits: expected one logit and one mark per target"));
    }
    let placed = starts.iter().zip(kept).map(|(&start, rows)| Placed { start, rows });
    let placed: Vec<_> = placed.collect();
    let targets = Targets { classes, per_row, ignore: None, mask: Some(mask) };
    let asked = Asked { columns: &columns, label_smoothing };
    let outcome = call(py, None, rows, |progress| {
        tokens::join_shards(&placed, logits, width, targets, asked, progress)
    })?;
    let shapes = Shapes { logits: vec![rows, width], targets: Vec::new() };
    let scores = outcome.map_err(|refusal| refused(refusal, "logits", &shapes, classes, None))?;
    Ok(Give(handed(py, scores, &columns)?))
}

/// The scores of rows, or what is kept of a shard of them.
#[allow(clippy::large_enum_variant)] // one of them, which is handed over at once
pub enum Found {
    Whole(TokenScores),
    Part(Shard),
}

impl Found {
    /// Which targets count, and the columns or what is kept, as arrays.
    pub fn handed<'py>(self, py: Python<'py>, columns: &[Column]) -> PyResult<PyScores<'py>> {
        match self {
            Found::Whole(scores) => handed(py, scores, columns),
            Found::Part(Shard { rows, logits, counted }) => {
                Ok((copied(py, &counted)?, vec![given(py, rows.into_flattened())?, given(py, logits)?]))
            }
        }
    }
}

/// Scores rows, or keeps what is needed of a `part` of their classes.
fn scored<T: Logit>(
    source: Source<'_, T>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    part: bool,
    progress: Progress<'_>,
) -> Result<Result<Found, Unscorable>, Stopped> {
    Ok(if part {
        tokens::token_shard(source, targets, asked, progress)?.map(Found::Part)
    } else {
        tokens::token_scores(source, targets, asked, progress)?.map(Found::Whole)
    })
}

/// Which targets count, and the columns in their order, as arrays.
fn handed<'py>(py: Python<'py>, mut scores: TokenScores, columns: &[Column]) -> PyResult<PyScores<'py>> {
    let counted = copied(py, &scores.counted)?;
    let values: PyResult<Vec<_>> = columns.iter().map(|&column| given(py, scores.take(column))).collect();
    Ok((counted, values?))
}

/// Scores logits that are transformed while they are read.
fn scored_as_made<T: Logit>(
    rows: &dyn Rows<T>,
    transform: Transform<'_>,
    targets: Targets<'_>,
    asked: Asked<'_>,
    part: bool,
    progress: Progress<'_>,
) -> Result<Result<Found, Unscorable>, Stopped> {
    let made = Transformed::<T, T::Real>::new(rows, transform)?;
    scored(Source::Made(&made), targets, asked, part, progress)
}

pub fn names<T: Named>(names: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
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

/// The shapes of the arrays, for the places that messages name.
pub struct Shapes {
    pub logits: Vec<usize>,
    pub targets: Vec<usize>,
}

impl Shapes {
    /// The targets and the bias, where they and `counted` have as many entries as the logits ask for.
    pub fn checked<'a>(
        &self,
        classes: &'a [i64],
        ignore: Option<i64>,
        counted: Option<&'a Bound<'_, PyAny>>,
        bias: Option<&'a Bound<'_, PyAny>>,
    ) -> PyResult<(Targets<'a>, Option<&'a [f64]>)> {
        let (leading, width) = self.split();
        let mask = counted.map(|counted| slice::<u8>(counted, "counted")).transpose()?;
        let bias = bias.map(|bias| slice::<f64>(bias, "bias")).transpose()?;
        if mask.is_some_and(|mask| mask.len() != classes.len()) {
            return Err(value_error("counted: expected one per target"));
        }
        let per_row = per_row(leading.iter().product(), classes.len())?;
        if bias.is_some_and(|bias| bias.len() != width) {
            return Err(value_error(format!("bias: expected one number per class, {width}")));
        }
        Ok((Targets { classes, per_row, ignore, mask }, bias))
    }

    /// The shape of the rows of logits, and how many classes a row has.
    pub fn split(&self) -> (&[usize], usize) {
        self.logits.split_last().map_or((&[], 0), |(&width, leading)| (leading, width))
    }
}

/// How many targets each of `rows` rows has.
fn per_row(rows: usize, targets: usize) -> PyResult<usize> {
    let each = targets.checked_div(rows).unwrap_or(1);
    if each * rows != targets || each == 0 {
        return Err(value_error(format!(
            "targets: expected one per row of logits, {rows}, or the same number for each; got {targets}"
        )));
    }
    Ok(each)
}

pub fn shape_of(array: &Bound<'_, PyAny>) -> Vec<usize> {
    array.cast::<PyUntypedArray>().map(|array| array.shape().to_vec()).unwrap_or_default()
}

/// The exception for logits or targets that cannot be scored.
pub fn refused(
    refusal: Unscorable,
    name: &str,
    shapes: &Shapes,
    targets: &[i64],
    ignore_index: Option<i64>,
) -> PyErr {
    let (leading, classes) = shapes.split();
    let place = |row| coordinates(row, leading);
    value_error(match refusal {
        Unscorable::Target { index } => {
            let ignored = ignore_index.map_or(String::new(), |index| format!(", or ignore_index = {index}"));
            format!(
                "targets: expected class indices from 0 up to, not including, V = {classes}{ignored}; got {} \
                 at index [{}]",
                targets[index],
                coordinates(index, &shapes.targets)
            )
        }
        Unscorable::Logit { row, column, value } => format!(
            "{name}: expected finite numbers, or -inf for a class that is masked; got {} at index [{}{}{column}]",
            value.to_string().to_lowercase(),
            place(row),
            if leading.is_empty() { "" } else { ", " }
        ),
        Unscorable::NoMass { row } => format!(
            "{name}: expected at least one class above -inf in every row that counts; got none in row [{}]; \
             leave the row out by where",
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
