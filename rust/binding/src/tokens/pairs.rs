//! Scores of the same targets under two models' logits.

use super::scores::{Shapes, coordinates, names, refused, shape_of};
use crate::arrays::{Tables, copied, float_rows, given, slice};
use crate::call::call;
use crate::give::{Give, Given, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtype, Listed, Typed};
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::memory;
use steelyard_kernels::rows::{Rows, Source};
use steelyard_kernels::tokens::{
    Asked, CodedRows, Column, Exponential, Logit, Models, PairColumn, PairScores, Refusal, Targets,
    Transform, Transformed, Unscorable, coded_length, encode_rows, pair_scores,
};
use steelyard_kernels::with_dtype;

type PyColumns<'py> = Vec<Bound<'py, PyArray1<f64>>>;
type PyPairs<'py> = (Bound<'py, PyArray1<bool>>, Vec<PyColumns<'py>>);

/// Scores targets as `token_scores` does under `logits` and under `baseline`, whose rows are those of the same places.
/// Returns whether each target counts, and three lists: the columns of both, and those of `pairs`. Where `coded`, the
/// baseline is an array of uint16 with the rows of [`coded_rows`], and logits are not transformed.
#[pyfunction]
#[pyo3(signature = (
    logits, baseline, targets, *, ignore_index, columns, pairs, counted=None, bias=None, scale=None, softcap=None,
    temperature=None, label_smoothing=0.0, coded=false, progress=None
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
    coded: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<PyPairs<'py>> {
    let (columns, pairs): (Vec<Column>, Vec<PairColumn>) = (names(columns)?, names(pairs)?);
    let new = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: shape_of(targets) };
    if !coded && shape_of(baseline) != shapes.logits {
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
    let outcome = if coded {
        let codes = slice::<u16>(baseline, "baseline")?;
        let Some(base) = CodedRows::new(codes, shapes.split().1).filter(|base| base.count() == rows) else {
            return Err(value_error("baseline: expected as many rows as logits, of as many classes"));
        };
        if !compared.transform.is_nothing() {
            return Err(value_error("coded: expected logits that are not transformed"));
        }
        call(py, progress, rows, |progress| compared.coded(&new, base, progress))
    } else {
        let base = float_rows(baseline, "baseline")?;
        with_dtype!(new, x: T => match <T as Listed>::own::<Tables<'_>>(base) {
            Ok(y) => call(py, progress, rows, |progress| compared.alike::<T>(&x, &y, progress)),
            Err(other) => with_dtype!(other, y => {
                call(py, progress, rows, |progress| compared.made(&x, &y, progress))
            }),
        })
    }?;
    let mut scores = outcome.map_err(|Refusal { base, reason }| match reason {
        Unscorable::Logit { row, .. } if coded && base => value_error(format!(
            "baseline: expected a row of 16-bit log-probabilities, its step 0 or more and none above 0; got \
             something else in row [{}]; the file is damaged, or of a machine with the other byte order",
            coordinates(row, shapes.split().0)
        )),
        _ => refused(reason, if base { "baseline" } else { "logits" }, &shapes, classes, ignore_index),
    })?;
    let counted = copied(py, &scores.new.counted)?;
    let new: PyResult<_> = columns.iter().map(|&column| given(py, scores.new.take(column))).collect();
    let base: PyResult<_> = columns.iter().map(|&column| given(py, scores.base.take(column))).collect();
    let pairs: PyResult<_> = pairs.iter().map(|&column| given(py, scores.take(column))).collect();
    Ok(Give((counted, vec![new?, base?, pairs?])))
}

/// The rows of logits as llama.cpp's base files hold them, in 16 bits: a flat array of uint16.
#[pyfunction]
#[pyo3(signature = (logits, *, progress=None))]
pub fn coded_rows<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<u16>>> {
    let rows = float_rows(logits, "logits")?;
    let shapes = Shapes { logits: shape_of(logits), targets: Vec::new() };
    let (leading, width) = shapes.split();
    let length = leading.iter().product::<usize>().saturating_mul(coded_length(width));
    let outcome = with_dtype!(rows, x => call(py, progress, x.count(), |progress| {
        let mut codes = memory::filled(length, 0u16)?;
        Ok::<_, Stopped>(encode_rows(Source::Lent(&x), &mut codes, progress)?.map(|()| codes))
    }))?;
    let codes = outcome.map_err(|reason| refused(reason, "logits", &shapes, &[], None))?;
    copied(py, &codes)
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

    /// Against rows in 16 bits, which are decoded while they are read.
    fn coded(&self, x: &Typed<Tables<'_>>, base: CodedRows<'_>, progress: Progress<'_>) -> Outcome {
        match x {
            Typed::F32(x) => {
                self.scores(Models { new: Source::Lent(x), base: Source::Made(&base) }, progress)
            }
            Typed::F64(x) => {
                self.scores(Models { new: Source::Lent(x), base: Source::Made(&base) }, progress)
            }
            Typed::Bf16(x) => self.widened(x, base, progress),
            Typed::F16(x) => self.widened(x, base, progress),
        }
    }

    fn widened<T: Logit>(&self, x: &dyn Rows<T>, base: CodedRows<'_>, progress: Progress<'_>) -> Outcome {
        let new = Transformed::<T, f32>::new(x, self.transform)?;
        self.scores(Models { new: Source::Made(&new), base: Source::Made(&base) }, progress)
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
