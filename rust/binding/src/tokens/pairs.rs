//! Scores of the same targets under two models' logits.

use super::scores::{Shapes, names, refused, shape_of};
use crate::arrays::{Tables, copied, float_rows, given, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtype, Listed};
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::rows::{Rows, Source};
use steelyard_kernels::tokens::{
    Asked, Column, Exponential, Logit, Models, PairColumn, PairScores, Refusal, Targets, Transform,
    Transformed, pair_scores,
};
use steelyard_kernels::with_dtype;

type PyColumns<'py> = Vec<Bound<'py, PyArray1<f64>>>;
type PyPairs<'py> = (Bound<'py, PyArray1<bool>>, Vec<PyColumns<'py>>);

/// Scores targets as `token_scores` does under `logits` and under `baseline`, whose rows are those of the same places.
/// Returns whether each target counts, and three lists: the columns of both, and those of `pairs`.
#[pyfunction]
#[pyo3(signature = (
    logits, baseline, targets, *, ignore_index, columns, pairs, counted=None, bias=None, scale=None, softcap=None,
    temperature=None, label_smoothing=0.0, progress=None
))]
#[allow(clippy::too_many_arguments)] // the keywords of the Python function
pub fn token_pairs<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    baseline: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    ignore_index: Option<i64>,
    columns: &Bound<'py, PyAny>,
    pairs: &Bound<'py, PyAny>,
    counted: Option<&Bound<'py, PyAny>>,
    bias: Option<&Bound<'py, PyAny>>,
    scale: Option<f64>,
    softcap: Option<f64>,
    temperature: Option<f64>,
    label_smoothing: f64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<PyPairs<'py>> {
    let (columns, pairs): (Vec<Column>, Vec<PairColumn>) = (names(columns)?, names(pairs)?);
    let (new, base) = (float_rows(logits, "logits")?, float_rows(baseline, "baseline")?);
    let shapes = Shapes { logits: shape_of(logits), targets: shape_of(targets) };
    if shape_of(baseline) != shapes.logits {
        return Err(value_error(format!("baseline: expected the shape of logits, {:?}", shapes.logits)));
    }
    let classes = slice::<i64>(targets, "targets")?;
    let (targets, bias) = shapes.checked(classes, ignore_index, counted, bias)?;
    let rows = shapes.split().0.iter().product();
    let compared = Comparison {
        transform: Transform { bias, scale, softcap, temperature },
        targets,
        asked: Asked { columns: &columns, label_smoothing },
        pairs: &pairs,
    };
    let outcome = with_dtype!(new, x: T => match <T as Listed>::own::<Tables<'_>>(base) {
        Ok(y) => call(py, progress, rows, |progress| compared.alike::<T>(&x, &y, progress)),
        Err(other) => with_dtype!(other, y => {
            call(py, progress, rows, |progress| compared.made(&x, &y, progress))
        }),
    })?;
    let mut scores = outcome.map_err(|Refusal { base, reason }| {
        refused(reason, if base { "baseline" } else { "logits" }, &shapes, classes, ignore_index)
    })?;
    let counted = copied(py, &scores.new.counted)?;
    let new: PyResult<_> = columns.iter().map(|&column| given(py, scores.new.take(column))).collect();
    let base: PyResult<_> = columns.iter().map(|&column| given(py, scores.base.take(column))).collect();
    let pairs: PyResult<_> = pairs.iter().map(|&column| given(py, scores.take(column))).collect();
    Ok(Give((counted, vec![new?, base?, pairs?])))
}

/// What is asked of two tables of logits.
#[derive(Clone, Copy)]
struct Comparison<'a> {
    transform: Transform<'a>,
    targets: Targets<'a>,
    asked: Asked<'a>,
    pairs: &'a [PairColumn],
}

type Outcome = Result<Result<PairScores, Refusal>, Stopped>;

impl Comparison<'_> {
    /// For logits of one element type.
    fn alike<T: Logit + Listed>(&self, x: &dyn Rows<T>, y: &dyn Rows<T>, progress: Progress<'_>) -> Outcome {
        if self.transform.is_nothing() {
            return self.scores(Models { new: Source::Lent(x), base: Source::Lent(y) }, progress);
        }
        self.made(x, y, progress)
    }

    /// For logits that are transformed or converted while they are read: to float64 where one is.
    fn made<T: Logit + Listed, U: Logit + Listed>(
        &self,
        x: &dyn Rows<T>,
        y: &dyn Rows<U>,
        progress: Progress<'_>,
    ) -> Outcome {
        if T::DTYPE == Dtype::F64 || U::DTYPE == Dtype::F64 {
            self.converted::<f64, T, U>(x, y, progress)
        } else {
            self.converted::<f32, T, U>(x, y, progress)
        }
    }

    fn converted<R: Exponential + Logit, T: Logit, U: Logit>(
        &self,
        x: &dyn Rows<T>,
        y: &dyn Rows<U>,
        progress: Progress<'_>,
    ) -> Outcome {
        let new = Transformed::<T, R>::new(x, self.transform)?;
        let base = Transformed::<U, R>::new(y, self.transform)?;
        self.scores(Models { new: Source::Made(&new), base: Source::Made(&base) }, progress)
    }

    fn scores<T: Logit>(&self, models: Models<'_, T>, progress: Progress<'_>) -> Outcome {
        pair_scores(models, self.targets, self.asked, self.pairs, progress)
    }
}
