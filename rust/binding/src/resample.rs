//! Random counts, bootstrap replicates and their limits.

use crate::arrays::{copied, floats, given, slice};
use crate::call::{call, call_quick, no_memory};
use crate::give::{Give, Given, value_error};
use crate::intervals::{confidence, same_length};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::memory;
use steelyard_kernels::random::{Domain, Stream, counts};
use steelyard_kernels::uncertainty as kernels;
use steelyard_kernels::with_dtype;

type Array<'py> = Bound<'py, PyArray1<f64>>;

/// How often each of `n` rows is drawn in a bootstrap replicate.
#[pyfunction]
pub fn resampling_counts(
    py: Python<'_>,
    n: usize,
    seed: u64,
    replicate: u32,
) -> PyResult<Bound<'_, PyArray1<u32>>> {
    let counts = call_quick(py, || counts(Stream::new(seed, Domain::Bootstrap, replicate), n))?;
    copied(py, &counts)
}

/// The mean of `x` in each of `count` bootstrap replicates; `shift` is near the mean.
#[pyfunction]
#[pyo3(signature = (x, shift, seed, count, progress=None))]
pub fn mean_replicates<'py>(
    py: Python<'py>,
    x: &Bound<'_, PyAny>,
    shift: f64,
    seed: u64,
    count: u32,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Array<'py>> {
    with_dtype!(floats(x, "x")?, x => {
        at_least_one(x.len(), "x")?;
        let total = count as usize;
        let found = call(py, progress, total, |watch| kernels::mean_replicates(x, shift, seed, count, watch))?;
        given(py, found)
    })
}

/// `shift + sum(sums) / sum(sizes)` of clusters in each of `count` bootstrap replicates.
#[pyfunction]
#[pyo3(signature = (sums, sizes, shift, seed, count, progress=None))]
pub fn ratio_replicates<'py>(
    py: Python<'py>,
    sums: &Bound<'_, PyAny>,
    sizes: &Bound<'_, PyAny>,
    shift: f64,
    seed: u64,
    count: u32,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Array<'py>> {
    let rows = pairs(sums, sizes)?;
    let total = count as usize;
    let found =
        call(py, progress, total, |watch| kernels::ratio_replicates(&rows, shift, seed, count, watch))?;
    given(py, found)
}

/// BCa's acceleration of a mean; `scale` is a size of the deviations.
#[pyfunction]
pub fn mean_acceleration(py: Python<'_>, x: &Bound<'_, PyAny>, mean: f64, scale: f64) -> Given<f64> {
    with_dtype!(floats(x, "x")?, x => {
        call(py, None, x.len(), |watch| kernels::mean_acceleration(x, mean, scale, watch)).map(Give)
    })
}

/// BCa's acceleration of a ratio of cluster sums; `scale` is a size of the residuals.
#[pyfunction]
pub fn ratio_acceleration(
    py: Python<'_>,
    sums: &Bound<'_, PyAny>,
    sizes: &Bound<'_, PyAny>,
    ratio: f64,
    scale: f64,
) -> Given<f64> {
    let rows = pairs(sums, sizes)?;
    call(py, None, rows.len(), |watch| kernels::ratio_acceleration(&rows, ratio, scale, watch)).map(Give)
}

/// `(low, high, low error, high error)` of `value` from its replicates; method percentile, basic or bca.
#[pyfunction]
#[pyo3(signature = (replicates, value, method, confidence_level, alternative, acceleration=0.0, tie=0.0))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap interval
pub fn bootstrap_limits(
    py: Python<'_>,
    replicates: &Bound<'_, PyAny>,
    value: f64,
    method: &str,
    confidence_level: f64,
    alternative: &str,
    acceleration: f64,
    tie: f64,
) -> Given<(f64, f64, f64, f64)> {
    let replicates = slice::<f64>(replicates, "replicates")?;
    at_least_one(replicates.len(), "replicates")?;
    let method = match method {
        "percentile" => kernels::Method::Percentile,
        "basic" => kernels::Method::Basic,
        "bca" => kernels::Method::Bca { acceleration, tie },
        _ => {
            return Err(value_error(format!("method: expected percentile, basic or bca; got {method:?}")));
        }
    };
    let confidence = confidence(confidence_level, alternative)?;
    let found = call(py, None, replicates.len(), |watch| {
        kernels::limits(memory::copied(replicates)?, value, method, confidence, watch)
    })?;
    let limits = found.map_err(|refused| value_error(refused.to_string()))?;
    Ok(Give((limits.low.value, limits.high.value, limits.low.error, limits.high.error)))
}

fn at_least_one(n: usize, name: &str) -> PyResult<()> {
    if n > 0 {
        return Ok(());
    }
    Err(value_error(format!("{name}: expected at least one value; got none")))
}

/// Cluster sums and sizes, side by side.
fn pairs(sums: &Bound<'_, PyAny>, sizes: &Bound<'_, PyAny>) -> PyResult<Vec<[f64; 2]>> {
    let (sums, sizes) = (slice::<f64>(sums, "sums")?, slice::<f64>(sizes, "sizes")?);
    same_length(sums.len(), sizes.len(), "sums, sizes")?;
    at_least_one(sums.len(), "sums")?;
    memory::collected(sums.iter().zip(sizes).map(|(&sum, &size)| [sum, size])).map_err(no_memory)
}
