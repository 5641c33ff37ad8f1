//! The bootstrap of a statistic that Python computes: its resamples, and the limits that follow from its replicates.

use super::columns::refusal;
use super::drawing::{Draws, Lists, blocks_of};
use super::resample::fields;
use crate::arrays::{Fresh, copied, floats, slice};
use crate::call::{call, call_quick, no_memory};
use crate::give::{Record, record, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::memory;
use steelyard_kernels::random::{Domain, STRATA, Stream};
use steelyard_kernels::uncertainty::designs::{Drawing, Simple, Strata};
use steelyard_kernels::uncertainty::{
    self as kernels, Computed, Known, NoEstimate, Options, counts_of, noise_of, of_replicates, rows_of,
};
use steelyard_kernels::with_dtype;

/// The random numbers of `count` replicates of a stratum, from the replicate `first` on.
fn streams(domain: Domain, seed: u64, stratum: u64, first: u32, count: u32) -> PyResult<Vec<Stream>> {
    let last = first.checked_add(count).ok_or_else(|| {
        value_error(format!("first: expected replicates below 2**32; got {count} from {first} on"))
    })?;
    let of = |replicate| Stream::new(seed, domain, replicate).stratum(stratum);
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
/// drawn as `bootstrap` draws them with the same keywords.
#[pyfunction]
#[pyo3(signature = (
    n, *, seed, first, count, stratum=0, stratum_codes=None, strata=0, blocks=None, block_length=1.0, outermost=0,
    parents=None, crossed=None, kinds=Vec::new(), sampling=None, sampling_parameters=Vec::new(), total=u32::MAX
))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn resampled_counts<'py>(
    py: Python<'py>,
    n: usize,
    seed: u64,
    first: u32,
    count: u32,
    stratum: u64,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
    blocks: Option<&str>,
    block_length: f64,
    outermost: usize,
    parents: Option<&Bound<'py, PyAny>>,
    crossed: Option<&Bound<'py, PyAny>>,
    kinds: Vec<usize>,
    sampling: Option<&str>,
    sampling_parameters: Vec<f64>,
    total: u32,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (parents, crossed) = (Lists::of(parents)?, Lists::of(crossed)?);
    let draws = Draws::new(
        stratum_codes,
        strata,
        (blocks, block_length),
        (outermost, &parents),
        (&crossed, &kinds),
        (sampling, &sampling_parameters),
    )?;
    draws.check(n)?;
    let units = draws.units(total).map_err(no_memory)?;
    let (drawing, _) = units.map_err(|refused| value_error(refused.to_string()))?;
    let streams = streams(Domain::Bootstrap, seed, stratum, first, count)?;
    let mut fresh = Fresh::new(py, size(n, count)?)?;
    let to = fresh.elements();
    call(py, None, streams.len(), |progress| counts_of(&*drawing, &streams, n, to, progress))?;
    Ok(fresh.array())
}

/// The rows of `count` replicates of `n` rows, one replicate after the other, each as often as it counts; in the
/// order of the draws where they are blocks of a kind and length.
#[pyfunction]
#[pyo3(signature = (n, *, seed, first, count, stratum=0, blocks=None, block_length=1.0))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn resampled_rows<'py>(
    py: Python<'py>,
    n: usize,
    seed: u64,
    first: u32,
    count: u32,
    stratum: u64,
    blocks: Option<&str>,
    block_length: f64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let blocks = blocks_of(blocks, block_length)?;
    let streams = streams(Domain::Bootstrap, seed, stratum, first, count)?;
    let mut fresh = Fresh::new(py, size(n, count)?)?;
    let to = fresh.elements();
    call(py, None, streams.len(), |progress| rows_of(blocks, &streams, n, to, progress))?;
    Ok(fresh.array())
}

/// The normal deviates that `count` replicates of a smoothed bootstrap add to their `n` rows, as `resampled_rows` has
/// these.
#[pyfunction]
#[pyo3(signature = (n, *, seed, first, count))]
pub fn smoothing_noise(
    py: Python<'_>,
    n: usize,
    seed: u64,
    first: u32,
    count: u32,
) -> PyResult<Bound<'_, PyArray1<f64>>> {
    let streams = streams(Domain::Smoothing, seed, 0, first, count)?;
    let mut fresh = Fresh::new(py, size(n, count)?)?;
    let to = fresh.elements();
    call(py, None, streams.len(), |progress| noise_of(&streams, n, to, progress))?;
    Ok(fresh.array())
}

/// The standard deviation of the noise that suits the density of a column, by Silverman's rule: a dictionary with
/// `bandwidth`, or of the reason (`refused`) why there is none.
#[pyfunction]
#[pyo3(signature = (x, *, progress=None))]
pub fn bandwidth<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let found = with_dtype!(floats(x, "x")?, x => {
        call(py, progress, x.len(), |progress| kernels::bandwidth(&x, progress))?
    });
    match found {
        Ok(bandwidth) => record!(py, { bandwidth }),
        Err(refused) => refusal(py, refused),
    }
}

/// The units of strata, if there are some, or of one sample.
fn drawing(units: usize, codes: Option<&Bound<'_, PyAny>>, strata: usize) -> PyResult<Box<dyn Drawing>> {
    let Some(codes) = codes else { return Ok(Box::new(Simple)) };
    let codes = slice::<i64>(codes, "stratum_codes")?;
    same_length(units, codes.len(), "units, stratum_codes")?;
    match Strata::new(codes, strata, 0, vec![Box::new(Simple)]).map_err(no_memory)? {
        Ok(strata) => Ok(Box::new(strata)),
        Err(refused) => Err(value_error(refused.to_string())),
    }
}

/// The part of each of `n` units that the acceleration of a function leaves out at a time: each unit by itself, or one of
/// about 500 groups of them, which lie in one stratum each. `stratum_codes`, in `0..strata`, are the strata of the units.
#[pyfunction]
#[pyo3(signature = (n, *, stratum_codes=None, strata=0))]
pub fn left_out_parts<'py>(
    py: Python<'py>,
    n: usize,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let drawing = drawing(n, stratum_codes, strata)?;
    let parts = call_quick(py, || kernels::left_out_parts(&*drawing, n))?;
    let of = memory::collected(parts.of[0].iter().map(|&part| i64::from(part))).map_err(no_memory)?;
    copied(py, &of)
}

/// The limits of a statistic of which there are replicates already. `before`: the acceleration and the tie that another
/// bootstrap of the data found, in place of what `left_out` and `rounding` would give. `stratum_codes`, in `0..strata`,
/// are the strata of the `units`. Returns what `bootstrap` does.
#[pyfunction]
#[pyo3(signature = (
    replicates, *, value, left_out, units, stratum_codes=None, strata=0, rounding, method, confidence_level, alternative,
    before=None
))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn replicates_interval<'py>(
    py: Python<'py>,
    replicates: &Bound<'py, PyAny>,
    value: f64,
    left_out: &Bound<'py, PyAny>,
    units: usize,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
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
    let options = Options { method: named(method)?, count, seed: 0, confidence, known: &[] };
    let known = match before {
        Some((acceleration, tie)) => Known::Before { acceleration, tie },
        None => Known::LeftOut { values: left_out, rounding },
    };
    let drawing = &*drawing(units, stratum_codes, strata)?;
    let computed = Computed { value, replicates, drawing, units, known };
    match call(py, None, replicates.len(), |progress| of_replicates(computed, options, progress))? {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    }
}
