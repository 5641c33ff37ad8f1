//! The gradient of a cross-entropy with respect to its logits.

use super::scores::{Shapes, refused, shape_of};
use crate::arrays::{Fresh, float_rows, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::rows::Rows;
use steelyard_kernels::tokens::{Loss, Transform, token_gradients as gradients};
use steelyard_kernels::with_dtype;

/// The gradient of `sum(factors * loss)` with respect to `[..., V]` logits, of which `log_z` was found with the same
/// transformation, one target a row. Its elements have the type of the logits; they come as the bytes of an int64 array,
/// whose last word may have room for more. With `shard`, the first class and the number of all, the logits are those of
/// some classes only; `log_z` is that of all.
#[pyfunction]
#[pyo3(signature = (
    logits, targets, *, log_z, factors, ignore_index, softcap=None, label_smoothing=0.0, z_loss=0.0, shard=None
))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn token_gradients<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    log_z: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    ignore_index: Option<i64>,
    softcap: Option<f64>,
    label_smoothing: f64,
    z_loss: f64,
    shard: Option<(usize, usize)>,
) -> Given<Bound<'py, PyArray1<i64>>> {
    let rows = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: shape_of(targets) };
    let classes = slice::<i64>(targets, "targets")?;
    let (targets, _) = shapes.checked(classes, ignore_index, None, None)?;
    let (log_z, factors) = (slice::<f64>(log_z, "log_z")?, slice::<f64>(factors, "factors")?);
    if targets.per_row != 1 || [log_z.len(), factors.len()] != [classes.len(); 2] {
        return Err(value_error("factors: expected one target, one log_z and one factor per row of logits"));
    }
    let transform = Transform { softcap, ..Transform::default() };
    let loss = Loss { transform, label_smoothing, z_loss, shard };
    let (gradient, outcome) = with_dtype!(rows, x: T => {
        let n = x.count() * x.width();
        let mut fresh = Fresh::<i64>::new(py, (n * size_of::<T>()).div_ceil(size_of::<i64>()))?;
        let to = fresh.floats::<T>(n);
        let outcome = call(py, None, x.count(), |progress| {
            gradients::<T>(&x, targets, loss, log_z, factors, to, progress)
        })?;
        (fresh.array(), outcome)
    });
    outcome.map_err(|refusal| refused(refusal, "logits", &shapes, classes, ignore_index))?;
    Ok(Give(gradient))
}
