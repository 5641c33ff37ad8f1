//! The bootstrap, and the random counts that it draws.

use super::columns::{all_columns, design, formula, refusal, two_columns};
use super::drawing::{Asked, Draws, Lists};
use crate::arrays::{copied, floats, given, slice};
use crate::call::{call, call_quick};
use crate::give::{Give, Given, Record, record, value_error};
use crate::intervals::confidence;
use crate::take::{listed, named};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::named::Named;
use steelyard_kernels::random::{Domain, STRATA, Stream, counts};
use steelyard_kernels::uncertainty::designs::{self, Kind, Simple};
use steelyard_kernels::uncertainty::ordered::ordered_bootstrap;
use steelyard_kernels::uncertainty::smooth::{self, Formula};
use steelyard_kernels::uncertainty::{self as kernels, Bootstrap, Columns, Name, Options};
use steelyard_kernels::with_dtype;

/// How often each of `n` rows of a stratum is drawn in a bootstrap replicate.
#[pyfunction]
#[pyo3(signature = (n, seed, replicate, stratum=0))]
pub fn resampling_counts(
    py: Python<'_>,
    n: usize,
    seed: u64,
    replicate: u32,
    stratum: u64,
) -> PyResult<Bound<'_, PyArray1<u32>>> {
    let stream = Stream::new(seed, Domain::Bootstrap, replicate)
        .stratum(stratum)
        .ok_or_else(|| value_error(format!("stratum: expected a number below {STRATA}; got {stratum}")))?;
    let counts = call_quick(py, || counts(stream, n))?;
    copied(py, &counts)
}

/// Bootstraps a statistic of `columns`. Returns a dictionary of the fields of the kernel's `Bootstrap` or, where there
/// is no estimate, of the reason (`refused`) and its fields. `codes`, in `0..clusters`, are the clusters of the rows
/// where they have some; `parameters` are the numbers that the statistic takes. `stratum_codes`, in `0..strata`, are the
/// strata of the clusters (or rows), each of which is resampled within itself; `weights` of the rows are above 0;
/// `blocks` is the kind of blocks in which the rows are drawn, with their `block_length`; else `sampling` is how units
/// are drawn, with its numbers. Where clusters nest, `codes`
/// are the innermost ones, `outermost` is the number of the outermost ones, whose strata `stratum_codes` then are, and
/// `parents` has for each level inside the cluster around each one, in ascending order. Where they are of two kinds,
/// `codes` are the pairs of them that rows have, and `crossed` has the cluster of each pair of either kind, `kinds` how
/// many there are. `known` are the first replicates, where they were made before.
#[pyfunction]
#[pyo3(signature = (
    columns, statistic, *, parameters=Vec::new(), codes=None, clusters=0, weights=None, stratum_codes=None, strata=0,
    average="micro", blocks=None, block_length=1.0, outermost=0, parents=None, crossed=None, kinds=Vec::new(),
    sampling=None, sampling_parameters=Vec::new(), method, n_resamples, seed, known=None, confidence_level, alternative,
    progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn bootstrap<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    statistic: &str,
    parameters: Vec<f64>,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    weights: Option<&Bound<'py, PyAny>>,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
    average: &str,
    blocks: Option<&str>,
    block_length: f64,
    outermost: usize,
    parents: Option<&Bound<'py, PyAny>>,
    crossed: Option<&Bound<'py, PyAny>>,
    kinds: Vec<usize>,
    sampling: Option<&str>,
    sampling_parameters: Vec<f64>,
    method: &str,
    n_resamples: u32,
    seed: u64,
    known: Option<&Bound<'py, PyAny>>,
    confidence_level: f64,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let known = known.map_or(Ok(&[][..]), |known| slice::<f64>(known, "known"))?;
    let options = Options { method: named(method)?, count: n_resamples, seed, confidence, known };
    let statistic = formula(statistic)?;
    let columns = listed::<Bound<'_, PyAny>>(columns)?;
    check_length("columns", statistic.columns().len(), columns.len())?;
    let taken = if let Formula::One(name) = statistic { name.about().parameters.len() } else { 0 };
    check_length("parameters", taken, parameters.len())?;
    let total = n_resamples as usize;
    let (parents, crossed) = (Lists::of(parents)?, Lists::of(crossed)?);
    let asked = Asked {
        statistic,
        parameters: &parameters,
        weights: weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?,
        average: named::<Average>(average)?,
        draws: Draws::new(
            stratum_codes,
            strata,
            (blocks, block_length),
            (outermost, &parents),
            (&crossed, &kinds),
            (sampling, &sampling_parameters),
        )?,
    };
    if weights.is_some() || asked.draws.any() {
        let found = all_columns(&columns, |columns| {
            let design = design(codes, clusters, columns[0].len())?;
            asked.check(columns, design)?;
            call(py, progress, total, |progress| asked.bootstrap(columns, design, options, progress))
        })?;
        return found.map_or_else(|refused| refusal(py, refused), |found| fields(py, found));
    }
    let found = match statistic {
        Formula::One(Name::Mean) => with_dtype!(floats(&columns[0], "columns")?, x => {
            let design = design(codes, clusters, x.len())?;
            call(py, progress, total, |progress| kernels::mean(x, design, options, progress))?
        }),
        Formula::One(Name::Ratio) => two_columns(&columns, |x, y| {
            let columns = Columns { x, y, weights: None, design: design(codes, clusters, x.len())? };
            call(py, progress, total, |progress| kernels::ratio_bootstrap(columns, options, progress))
        })?,
        formula => all_columns(&columns, |columns| {
            let design = design(codes, clusters, columns[0].len())?;
            call(py, progress, total, |progress| {
                if let Some((statistic, second)) = formula.ordered(&parameters) {
                    return ordered_bootstrap(
                        &*statistic,
                        columns,
                        second,
                        design,
                        &Simple,
                        options,
                        progress,
                    );
                }
                let statistic = match smooth::statistic(formula, columns, &mut |_| progress(0))? {
                    Ok(statistic) => statistic,
                    Err(refused) => return Ok(Err(refused)),
                };
                smooth::bootstrap(&*statistic, columns, design, options, progress)
            })
        })?,
    };
    match found {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    }
}

/// Bootstraps a statistic of one column for each of `columns`, with the same resamples. Returns for each what
/// `bootstrap` does.
#[pyfunction]
#[pyo3(signature = (
    columns, statistic, *, codes=None, clusters=0, method, n_resamples, seed, confidence_level, alternative, progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of a bootstrap
pub fn bootstrap_each<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    statistic: &str,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    method: &str,
    n_resamples: u32,
    seed: u64,
    confidence_level: f64,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<Vec<Bound<'py, PyDict>>> {
    let confidence = confidence(confidence_level, alternative)?;
    let options = Options { method: named(method)?, count: n_resamples, seed, confidence, known: &[] };
    let formula = formula(statistic)?;
    let columns = listed::<Bound<'_, PyAny>>(columns)?;
    check_length("columns of the statistic", 1, formula.columns().len())?;
    if columns.is_empty() {
        return Err(value_error("columns: expected at least one; got none"));
    }
    let found = all_columns(&columns, |columns| {
        let design = design(codes, clusters, columns[0].len())?;
        call(py, progress, n_resamples as usize, |progress| {
            if formula == Formula::One(Name::Mean) {
                return kernels::means(columns, design, options, progress);
            }
            smooth::bootstrap_each(formula, columns, design, options, progress)
        })
    })?;
    let found = found.into_iter().map(|found| match found {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    });
    Ok(Give(found.collect::<PyResult<Vec<_>>>()?))
}

/// The length of the blocks in which rows should be drawn, chosen by the influences of the rows on a statistic of sums,
/// or by the values of one column: a dictionary with `length`, or of the reason (`refused`) why there is none.
#[pyfunction]
#[pyo3(signature = (columns, statistic, *, kind, progress=None))]
pub fn block_length<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    statistic: &str,
    kind: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let (statistic, kind) = (formula(statistic)?, named::<Kind>(kind)?);
    let columns = listed::<Bound<'_, PyAny>>(columns)?;
    check_length("columns", statistic.columns().len(), columns.len())?;
    // A statistic of sorted rows reads its values as they are.
    let mean = Formula::One(Name::Mean);
    let statistic = if statistic.ordered(&[0.0]).is_none() { statistic } else { mean };
    let columns = if statistic == mean { &columns[..1] } else { &columns[..] };
    let found = all_columns(columns, |columns| {
        call(py, progress, columns[0].len(), |progress| {
            let statistic = match smooth::statistic(statistic, columns, &mut *progress)? {
                Ok(statistic) => statistic,
                Err(refused) => return Ok(Err(refused)),
            };
            Ok(match smooth::influences(&*statistic, columns, &mut *progress)? {
                Ok(series) => Ok(designs::block_length(&series, kind, progress)?),
                Err(refused) => Err(refused),
            })
        })
    })?;
    match found {
        Ok(length) => record!(py, { length }),
        Err(refused) => refusal(py, refused),
    }
}

pub(super) fn check_length(name: &str, expected: usize, got: usize) -> PyResult<()> {
    if got == expected { Ok(()) } else { Err(value_error(format!("{name}: expected {expected}; got {got}"))) }
}

pub(super) fn fields(py: Python<'_>, found: Bootstrap) -> Record<'_> {
    let Bootstrap { value, standard_error, limits, replicates, acceleration, tie, units, binary, inner } =
        found;
    let (low, high) = (limits.low, limits.high);
    let replicates = given(py, replicates)?;
    record!(py, {
        value, standard_error, low: low.value, high: high.value, low_error: low.error, high_error: high.error,
        acceleration, tie, units, binary, inner: inner as usize, replicates,
    })
}
