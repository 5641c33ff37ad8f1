//! The gradient of a cross-entropy with respect to its logits, and the products by which it goes on to what they are
//! made of.

use super::scores::{Shapes, refused, shape_of};
use crate::arrays::{Fresh, float_rows, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtype, Listed};
use steelyard_kernels::rows::Rows;
use steelyard_kernels::simd::Element;
use steelyard_kernels::tokens::{Exponential, Loss, Transform, products, token_gradients as gradients};
use steelyard_kernels::with_dtype;

/// The gradient of `sum(factors * loss)` with respect to `[..., V]` logits, of which `log_z` was found with the same
/// transformation, one target a row. Its elements have the type of the logits; they come as the bytes of an int64 array,
/// whose last word may have room for more. With `shard`, the first class and the number of all, the logits are those of
/// some classes only; `log_z` is that of all.
#[pyfunction]
#[pyo3(signature = (
    logits, targets, *, log_z, factors, ignore_index, bias=None, scale=None, softcap=None, temperature=None,
    label_smoothing=0.0, z_loss=0.0, shard=None
))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn token_gradients<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    log_z: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    ignore_index: Option<i64>,
    bias: Option<&Bound<'py, PyAny>>,
    scale: Option<f64>,
    softcap: Option<f64>,
    temperature: Option<f64>,
    label_smoothing: f64,
    z_loss: f64,
    shard: Option<(usize, usize)>,
) -> Given<Bound<'py, PyArray1<i64>>> {
    let rows = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: shape_of(targets) };
    let classes = slice::<i64>(targets, "targets")?;
    let (targets, bias) = shapes.checked(classes, ignore_index, None, bias)?;
    let (log_z, factors) = (slice::<f64>(log_z, "log_z")?, slice::<f64>(factors, "factors")?);
    if targets.per_row != 1 || [log_z.len(), factors.len()] != [classes.len(); 2] {
        return Err(value_error("factors: expected one target, one log_z and one factor per row of logits"));
    }
    let transform = Transform { bias, scale, softcap, temperature };
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

/// The products of each row of `a`, `[n, L]`, with each of `b`, `[m, L]`: float64 where one of both is, else float32. They
/// come as the bytes of an int64 array, as gradients do.
#[pyfunction]
pub fn row_products<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
) -> Given<Bound<'py, PyArray1<i64>>> {
    let (rows, others) = (float_rows(a, "a")?, float_rows(b, "b")?);
    with_dtype!(rows, x: T => with_dtype!(others, y: U => {
        if x.width() != y.width() {
            let lengths = (x.width(), y.width());
            return Err(value_error(format!("b: expected rows as long as those of a, {}; got {}", lengths.0, lengths.1)));
        }
        if T::DTYPE == Dtype::F64 || U::DTYPE == Dtype::F64 {
            written::<T, U, f64>(py, &x, &y)
        } else {
            written::<T, U, f32>(py, &x, &y)
        }
    }))
}

/// The products in `R`.
fn written<'py, T: Element, U: Element, R: Exponential + Listed>(
    py: Python<'py>,
    a: &dyn Rows<T>,
    b: &dyn Rows<U>,
) -> Given<Bound<'py, PyArray1<i64>>> {
    let n = a.count() * b.count();
    let mut fresh = Fresh::<i64>::new(py, (n * size_of::<R>()).div_ceil(size_of::<i64>()))?;
    let to = fresh.floats::<R>(n);
    call(py, None, a.count(), |progress| products(a, b, to, progress))?;
    Ok(Give(fresh.array()))
}
