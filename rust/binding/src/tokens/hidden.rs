//! Scores of tokens from hidden states and the weights of the vocabulary.

use super::scores::{Found, PyScores, Shapes, names, refused, shape_of};
use crate::arrays::{float_rows, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtype, Listed};
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::rows::Rows;
use steelyard_kernels::simd::Element;
use steelyard_kernels::tokens::{
    self, Asked, Column, Exponential, Logit, Targets, Transform, Unscorable, token_shard_from_hidden,
};
use steelyard_kernels::with_dtype;

/// Scores targets as `token_scores` does under the logits `hidden @ weight.T`, with `[..., H]` hidden states and `[V, H]`
/// weights; with `part`, those of some classes.
#[pyfunction]
#[pyo3(signature = (
    hidden, weight, targets, *, ignore_index, columns, counted=None, bias=None, scale=None, softcap=None,
    temperature=None, label_smoothing=0.0, part=false, progress=None
))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn token_scores_from_hidden<'py>(
    py: Python<'py>,
    hidden: &Bound<'py, PyAny>,
    weight: &Bound<'py, PyAny>,
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
    let (states, weights) = (float_rows(hidden, "hidden")?, float_rows(weight, "weight")?);
    let (mut shape, of_weight) = (shape_of(hidden), shape_of(weight));
    let [classes, width] = of_weight[..] else {
        return Err(value_error(format!("weight: expected shape [V, H]; got {of_weight:?}")));
    };
    let length = shape.pop();
    if length != Some(width) {
        return Err(value_error(format!(
            "weight: expected rows as long as those of hidden, {length:?}; got {width}"
        )));
    }
    shape.push(classes);
    let shapes = Shapes { logits: shape, targets: shape_of(targets) };
    let given_targets = slice::<i64>(targets, "targets")?;
    let (targets, bias) = shapes.checked(given_targets, ignore_index, counted, bias)?;
    let transform = Transform { bias, scale, softcap, temperature };
    let asked = Asked { columns: &columns, label_smoothing };
    let outcome = with_dtype!(states, x: T => with_dtype!(weights, w: U => {
        call(py, progress, x.count(), |progress| {
            let products = Products { hidden: &x, weight: &w, transform, targets, asked };
            // In float64 where one of both is, else in float32.
            if T::DTYPE == Dtype::F64 || U::DTYPE == Dtype::F64 {
                products.scored::<f64>(part, progress)
            } else {
                products.scored::<f32>(part, progress)
            }
        })
    }))?;
    let scores = outcome
        .map_err(|refusal| refused(refusal, "hidden @ weight.T", &shapes, given_targets, ignore_index))?;
    Ok(Give(scores.handed(py, &columns)?))
}

/// The arguments of the core.
struct Products<'a, T, U> {
    hidden: &'a dyn Rows<T>,
    weight: &'a dyn Rows<U>,
    transform: Transform<'a>,
    targets: Targets<'a>,
    asked: Asked<'a>,
}

impl<T: Element, U: Element> Products<'_, T, U> {
    fn scored<R: Exponential + Logit<Real = R>>(
        &self,
        part: bool,
        progress: Progress<'_>,
    ) -> Result<Result<Found, Unscorable>, Stopped> {
        let Products { hidden, weight, transform, targets, asked } = *self;
        Ok(if part {
            token_shard_from_hidden::<T, U, R>(hidden, weight, transform, targets, asked, progress)?
                .map(Found::Part)
        } else {
            tokens::token_scores_from_hidden::<T, U, R>(hidden, weight, transform, targets, asked, progress)?
                .map(Found::Whole)
        })
    }
}
