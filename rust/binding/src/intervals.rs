//! Intervals for every room: columns summarised, proportions, means, clusters; and Holm's adjustment.

use crate::arrays::{Fresh, floats, given, slice};
use crate::call::{call, call_quick};
use crate::give::{Give, Given, value_error};
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::intervals::cluster::{self, Clustered, SumFacts};
use steelyard_kernels::intervals::moments::{Column, moments};
use steelyard_kernels::intervals::proportion::{self, Method};
use steelyard_kernels::intervals::spread::ValueFacts;
use steelyard_kernels::intervals::{self as kernels, Alternative, Confidence, mean};
use steelyard_kernels::with_dtype;

type Array<'py> = Bound<'py, PyArray1<f64>>;

pub(crate) fn confidence(level: f64, alternative: &str) -> PyResult<Confidence> {
    if !(level > 0.0 && level < 1.0) {
        return Err(value_error(format!("confidence_level: expected a number inside (0, 1); got {level}")));
    }
    let alternative = named::<Alternative>(alternative)?;
    Ok(Confidence { level, alternative })
}

pub(crate) fn same_length(a: usize, b: usize, names: &str) -> PyResult<()> {
    if a == b {
        return Ok(());
    }
    Err(value_error(format!("{names}: expected arrays of one length; got {a} and {b}")))
}

/// `bounds` (low, high, step, rows) and the name of the range of the values behind a mean.
fn values((low, high, step, rows): (f64, f64, f64, f64), range: &str) -> PyResult<ValueFacts> {
    Ok(ValueFacts { low, high, step, rows, range: named(range)? })
}

/// `(mean, squares, min, max, step, ones, bad)` of a column: `step` is a unit in the last place of the largest
/// magnitude, `ones` is -1 where it is not 0/1, `bad` the index of the first value that is not finite, or -1.
#[pyfunction]
#[pyo3(signature = (x, progress=None))]
pub fn column_moments(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Given<(f64, f64, f64, f64, f64, i64, i64)> {
    let nan = f64::NAN;
    with_dtype!(floats(x, "x")?, x => {
        if x.is_empty() {
            return Err(value_error("x: expected at least one value; got none"));
        }
        Ok(Give(match call(py, progress, x.len(), |progress| moments(x, progress))? {
            Column::Bad(index) => (nan, nan, nan, nan, nan, -1, index as i64),
            Column::Finite(m) => {
                let ones = if m.binary { m.ones as i64 } else { -1 };
                (m.mean, m.squares, m.min, m.max, m.step, ones, -1)
            }
        }))
    })
}

/// `(standard error, low, high, without spread)` of the mean of values with these `bounds`, `(low, high, step, rows)`, in
/// `range`; NaN where there is none.
#[pyfunction]
#[pyo3(signature = (mean, squares, n, confidence_level, alternative, bounds, range="unknown"))]
#[allow(clippy::too_many_arguments)] // the formula's symbols
pub fn mean_interval(
    py: Python<'_>,
    mean: f64,
    squares: f64,
    n: u64,
    confidence_level: f64,
    alternative: &str,
    bounds: (f64, f64, f64, f64),
    range: &str,
) -> Given<(f64, f64, f64, bool)> {
    let confidence = confidence(confidence_level, alternative)?;
    let values = values(bounds, range)?;
    let nan = f64::NAN;
    let got = call_quick(py, || Ok(mean::mean_interval(mean, squares, n, &values, confidence)))?;
    Ok(Give(got.map_or((nan, nan, nan, false), |(m, equal)| {
        (m.standard_error, m.interval.low, m.interval.high, equal)
    })))
}

/// `(value, standard error, low, high)` of proportions k/n, each an array.
#[pyfunction]
pub fn proportion_intervals<'py>(
    py: Python<'py>,
    k: &Bound<'_, PyAny>,
    n: &Bound<'_, PyAny>,
    method: &str,
    confidence_level: f64,
    alternative: &str,
) -> Given<(Array<'py>, Array<'py>, Array<'py>, Array<'py>)> {
    let (k, n) = (slice::<i64>(k, "k")?, slice::<i64>(n, "n")?);
    same_length(k.len(), n.len(), "k, n")?;
    let method = named::<Method>(method)?;
    let confidence = confidence(confidence_level, alternative)?;
    let fresh = || Fresh::new(py, k.len());
    let mut columns = [fresh()?, fresh()?, fresh()?, fresh()?];
    let parts = columns.each_mut().map(Fresh::elements);
    let refused = call(py, None, k.len(), move |progress| {
        proportion::proportions(k, n, method, confidence, parts, progress)
    })?;
    if let Some(i) = refused {
        return Err(value_error(format!(
            "k, n: expected 0 <= k <= n and n >= 1; got k = {}, n = {} at index {i}",
            k[i], n[i]
        )));
    }
    let [value, error, low, high] = columns.map(Fresh::array);
    Ok(Give((value, error, low, high)))
}

/// `(sums, sizes)` of `x - shift` by cluster; `codes` in `0..clusters`. With positive `weights` rows count by them.
#[pyfunction]
#[pyo3(signature = (x, codes, clusters, shift=0.0, progress=None, weights=None))]
pub fn cluster_sums<'py>(
    py: Python<'py>,
    x: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    clusters: usize,
    shift: f64,
    progress: Option<&Bound<'_, PyAny>>,
    weights: Option<&Bound<'_, PyAny>>,
) -> Given<(Array<'py>, Array<'py>)> {
    let codes = slice::<i64>(codes, "codes")?;
    let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
    with_dtype!(floats(x, "x")?, x => {
        same_length(x.len(), codes.len(), "x, codes")?;
        same_length(x.len(), weights.map_or(x.len(), <[f64]>::len), "x, weights")?;
        let work =
            |progress: steelyard_kernels::grid::Progress<'_>| cluster::cluster_sums(x, codes, clusters, shift, weights, progress);
        match call(py, progress, x.len(), work)? {
            Some(of) => Ok(Give((given(py, of.sums)?, given(py, of.sizes)?))),
            None => Err(value_error(format!("codes: expected values in 0..{clusters}"))),
        }
    })
}

/// Kish's effective number of rows with these positive weights.
#[pyfunction]
pub fn effective_weights(py: Python<'_>, weights: &Bound<'_, PyAny>) -> PyResult<f64> {
    let weights = slice::<f64>(weights, "weights")?;
    call(py, None, weights.len(), |progress| cluster::effective_weights(weights, progress))
}

steelyard_kernels::named! {
    /// What the interval of a clustered mean is made of.
    enum Score: "cluster.score" {
        /// The mean and its standard error, with Student's t.
        T = "t",
        /// Wilson's interval with the effective number of rows that are 0 or 1.
        Answers = "answers",
        /// The same of rows in [0, 1].
        Shares = "shares",
    }
}

/// `(value, standard error, low, high, df, n effective, without spread)` of sum `sums` / sum `sizes` over clusters; NaN
/// where there is none. `score`: "t", or Wilson's interval with effective rows of "answers", which are 0 or 1, or of
/// "shares", in [0, 1]. `bounds` and `range`: of the values, as in `mean_interval`;
/// `weighted`: the sizes are sums of weights.
#[pyfunction]
#[pyo3(signature = (
    sums, sizes, confidence_level, alternative, *, shift=0.0, score="t", bounds=None, range="unknown", weighted=false
))]
#[allow(clippy::too_many_arguments)] // the formula's symbols
pub fn clustered_interval(
    py: Python<'_>,
    sums: &Bound<'_, PyAny>,
    sizes: &Bound<'_, PyAny>,
    confidence_level: f64,
    alternative: &str,
    shift: f64,
    score: &str,
    bounds: Option<(f64, f64, f64, f64)>,
    range: &str,
    weighted: bool,
) -> Given<(f64, f64, f64, f64, f64, f64, bool)> {
    let (sums, sizes) = (slice::<f64>(sums, "sums")?, slice::<f64>(sizes, "sizes")?);
    same_length(sums.len(), sizes.len(), "sums, sizes")?;
    let score = named::<Score>(score)?;
    let confidence = confidence(confidence_level, alternative)?;
    let values = bounds.map(|bounds| values(bounds, range)).transpose()?;
    let facts = values.map_or(SumFacts::EXACT, |values| SumFacts {
        // Counts are exact.
        noise: if score == Score::Answers && !weighted { 0.0 } else { values.noise(shift) },
        range: values.range,
        weighted: weighted.then_some(values.rows),
    });
    let found = call(py, None, sums.len(), |progress| match score {
        Score::Answers => cluster::proportion(sums, sizes, facts, confidence, progress),
        Score::Shares => cluster::share(sums, sizes, facts, confidence, progress),
        Score::T => cluster::ratio(sums, sizes, shift, facts, confidence, progress),
    })?;
    let Clustered { value, standard_error, interval, df, n_effective, unspread } = found;
    Ok(Give((value, standard_error, interval.low, interval.high, df, n_effective, unspread)))
}

/// Holm's adjusted p-values.
#[pyfunction]
pub fn holm<'py>(py: Python<'py>, p: &Bound<'_, PyAny>) -> PyResult<Array<'py>> {
    let p = slice::<f64>(p, "p")?;
    given(py, call(py, None, p.len(), |progress| kernels::holm(p, progress))?)
}
