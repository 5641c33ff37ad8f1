//! The bootstrap of a statistic that Python computes: its resamples, and the limits that follow from its replicates.

use super::columns::refusal;
use super::resample::fields;
use crate::arrays::{Fresh, copied, slice};
use crate::call::{call, no_memory};
use crate::give::{Record, value_error};
use crate::intervals::confidence;
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::memory;
use steelyard_kernels::named::Named;
use steelyard_kernels::random::{Domain, STRATA, Stream};
use steelyard_kernels::uncertainty::designs::Sampling;
use steelyard_kernels::uncertainty::{
    Computed, Known, NoEstimate, Options, counts_of, of_replicates, rows_of,
};

/// The random numbers of `count` replicates of a stratum, from the replicate `first` on.
fn streams(seed: u64, stratum: u64, first: u32, count: u32) -> PyResult<Vec<Stream>> {
    let last = first.checked_add(count).ok_or_else(|| {
        value_error(format!("first: expected replicates below 2**32; got {count} from {first} on"))
    })?;
    let of = |replicate| Stream::new(seed, Domain::Bootstrap, replicate).stratum(stratum);
    if of(first).is_none() {
        return Err(value_error(format!("stratum: expected a number below {STRATA}; got {stratum}")));
    }
    memory::gathered((first..last).filter_map(of)).map_err(no_memory)
}

/// The memory of the replicates, or that there is none.
fn size(n: usize, count: u32) -> PyResult<usize> {
    let size = n.checked_mul(count as usize).filter(|size| *size <= isize::MAX as usize / 16);
    size.ok_or_else(|| no_memory(memory::NoMemory { bytes: usize::MAX }))
}

/// How often each of `n` units counts in `count` of `total` replicates, one replicate after the other, where units are
/// drawn as `sampling` says.
#[pyfunction]
#[pyo3(signature = (n, *, seed, first, count, stratum=0, sampling="multinomial", total=u32::MAX))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn resampled_counts<'py>(
    py: Python<'py>,
    n: usize,
    seed: u64,
    first: u32,
    count: u32,
    stratum: u64,
    sampling: &str,
    total: u32,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let sampling = named::<Sampling>(sampling)?;
    if !sampling.about().parameters.is_empty() {
        return Err(value_error(format!(
            "sampling: expected one without parameters; got '{}'",
            sampling.name()
        )));
    }
    let drawing = sampling.drawing(total, &[]);
    let streams = streams(seed, stratum, first, count)?;
    let mut fresh = Fresh::new(py, size(n, count)?)?;
    let to = fresh.elements();
    call(py, None, streams.len(), |progress| counts_of(&*drawing, &streams, n, to, progress))?;
    Ok(fresh.array())
}

/// The rows of `count` replicates of `n` rows, one replicate after the other, each in the order of the draws.
#[pyfunction]
#[pyo3(signature = (n, *, seed, first, count, stratum=0))]
pub fn resampled_rows(
    py: Python<'_>,
    n: usize,
    seed: u64,
    first: u32,
    count: u32,
    stratum: u64,
) -> PyResult<Bound<'_, PyArray1<i64>>> {
    let streams = streams(seed, stratum, first, count)?;
    let mut rows = memory::filled(size(n, count)?, 0).map_err(no_memory)?;
    call(py, None, streams.len(), |progress| rows_of(&streams, n, &mut rows, progress))?;
    copied(py, &rows)
}

/// The limits of a statistic of which there are replicates already. `before`: the acceleration and the tie that another
/// bootstrap of the data found, in place of what `left_out` and `rounding` would give. Returns what `bootstrap` does.
#[pyfunction]
#[pyo3(signature = (replicates, *, value, left_out, units, rounding, method, confidence_level, alternative, before=None))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn replicates_interval<'py>(
    py: Python<'py>,
    replicates: &Bound<'py, PyAny>,
    value: f64,
    left_out: &Bound<'py, PyAny>,
    units: usize,
    rounding: f64,
    method: &str,
    confidence_level: f64,
    alternative: &str,
    before: Option<(f64, f64)>,
) -> Record<'py> {
    let replicates = slice::<f64>(replicates, "replicates")?;
    let left_out = slice::<f64>(left_out, "left_out")?;
    let count = u32::try_from(replicates.len()).ok().filter(|&count| count > 0);
    let count =
        count.ok_or_else(|| value_error("replicates: expected from 1 to 2**32 - 1; got another number"))?;
    if !value.is_finite() || left_out.iter().any(|value| !value.is_finite()) {
        return refusal(py, NoEstimate::Infinite);
    }
    let confidence = confidence(confidence_level, alternative)?;
    let options = Options { method: named(method)?, count, seed: 0, confidence };
    let known = match before {
        Some((acceleration, tie)) => Known::Before { acceleration, tie },
        None => Known::LeftOut { values: left_out, rounding },
    };
    let computed = Computed { value, replicates, units, known };
    match call(py, None, replicates.len(), |progress| of_replicates(computed, options, progress))? {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    }
}
