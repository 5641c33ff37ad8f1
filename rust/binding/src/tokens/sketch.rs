//! Sketches of rows of logits, and the divergence of other logits from them.

use super::scores::{Shapes, refused, shape_of};
use crate::arrays::{copied, float_rows, given, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::rows::Rows;
use steelyard_kernels::tokens::{self, Sketched, Unscorable};
use steelyard_kernels::with_dtype;

type PySketch<'py> = (Bound<'py, PyArray1<i32>>, Vec<Bound<'py, PyArray1<f64>>>);

/// For each row of `[..., V]` logits, the classes of its `k` largest, and in a list these logits, log Z, the probability
/// of all other classes, and the entropy.
#[pyfunction]
#[pyo3(signature = (logits, *, k, counted=None, progress=None))]
pub fn token_sketch<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    k: usize,
    counted: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<PySketch<'py>> {
    let rows = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: Vec::new() };
    let (leading, width) = shapes.split();
    let count: usize = leading.iter().product();
    let mask = counted.map(|counted| slice::<u8>(counted, "counted")).transpose()?;
    if mask.is_some_and(|mask| mask.len() != count) {
        return Err(value_error("counted: expected one per row"));
    }
    if k == 0 || k > width || i32::try_from(width).is_err() {
        return Err(value_error(format!("k: expected 1 to the number of classes, {width}; got {k}")));
    }
    let outcome = with_dtype!(rows, x => {
        call(py, progress, x.count(), |progress| tokens::token_sketch(&x, k, mask, progress))
    })?;
    let sketch = outcome.map_err(|refusal| of_logits(refusal, &shapes))?;
    let ids = copied(py, &sketch.ids)?;
    let numbers = [sketch.logits, sketch.log_z, sketch.tail, sketch.entropy];
    let numbers: PyResult<Vec<_>> = numbers.into_iter().map(|values| given(py, values)).collect();
    Ok(Give((ids, numbers?)))
}

/// A lower bound of the KL divergence of each row of `[..., V]` logits from the sketch of its place.
#[pyfunction]
#[pyo3(signature = (logits, *, ids, kept, log_z, tail, progress=None))]
pub fn sketch_kl<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    ids: &Bound<'py, PyAny>,
    kept: &Bound<'py, PyAny>,
    log_z: &Bound<'py, PyAny>,
    tail: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let rows = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: Vec::new() };
    let (leading, width) = shapes.split();
    let count: usize = leading.iter().product();
    let ids = slice::<i32>(ids, "ids")?;
    let [kept, log_z, tail] =
        [slice::<f64>(kept, "kept")?, slice::<f64>(log_z, "log_z")?, slice::<f64>(tail, "tail")?];
    let k = ids.len().checked_div(count).unwrap_or(1);
    if ids.len() != k * count || kept.len() != ids.len() || log_z.len() != count || tail.len() != count {
        return Err(value_error(format!("ids: expected the sketch of {count} rows; got {} ids", ids.len())));
    }
    let known = |id: &i32| usize::try_from(*id).is_ok_and(|id| id < width);
    let rows_of_ids = ids.chunks(k.max(1)).zip(log_z);
    if !rows_of_ids.into_iter().all(|(ids, log_z)| log_z.is_nan() || ids.iter().all(known)) {
        return Err(value_error(format!("ids: expected classes from 0 up to, not including, V = {width}")));
    }
    let base = Sketched { k, ids, logits: kept, log_z, tail };
    let outcome = with_dtype!(rows, x => {
        call(py, progress, x.count(), |progress| tokens::sketch_kl(&x, base, progress))
    })?;
    given(py, outcome.map_err(|refusal| of_logits(refusal, &shapes))?)
}

/// The exception for logits without a softmax.
fn of_logits(refusal: Unscorable, shapes: &Shapes) -> PyErr {
    refused(refusal, "logits", shapes, &[], None)
}
