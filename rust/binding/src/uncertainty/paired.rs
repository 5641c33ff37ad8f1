//! Two models on the same rows: their differences, Tango's interval, McNemar's test, and the sign-flip test.

use crate::arrays::{floats, given, slice};
use crate::call::{call, call_quick};
use crate::give::{Record, record, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::intervals::Alternative;
use steelyard_kernels::uncertainty::paired::{self, PairedBinary, Wide};
use steelyard_kernels::uncertainty::sign_flip as flips;
use steelyard_kernels::with_dtype;

/// The difference new - base of each row (`values`), and the numbers of rows in which new is larger (`wins`) and smaller
/// (`losses`). Where the two columns have different types, `coarse` describes the less precise one: its unit in the last
/// place of 1, and its smallest positive number.
#[pyfunction]
#[pyo3(signature = (*, new, base, coarse=None, progress=None))]
pub fn paired_differences<'py>(
    py: Python<'py>,
    new: &Bound<'_, PyAny>,
    base: &Bound<'_, PyAny>,
    coarse: Option<(f64, f64)>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Record<'py> {
    let coarse = coarse.unwrap_or((0.0, 0.0));
    let (new, base) = (floats(new, "new")?, floats(base, "baseline")?);
    let new: &dyn Wide = with_dtype!(&new, x => x);
    let base: &dyn Wide = with_dtype!(&base, x => x);
    same_length(new.len(), base.len(), "new, baseline")?;
    let got = call(py, progress, new.len(), |progress| paired::differences(new, base, coarse, progress))?;
    record!(py, { values: given(py, got.values)?, wins: got.wins, losses: got.losses })
}

/// The difference of n pairs of 0/1 answers: `value`, `standard_error`, Tango's limits `low` and `high`, and the mid-p
/// (`p_mid`) and exact (`p_exact`) p-values of McNemar's test.
#[pyfunction]
#[pyo3(signature = (*, wins, losses, n, confidence_level, alternative))]
pub fn paired_binary<'py>(
    py: Python<'py>,
    wins: u64,
    losses: u64,
    n: u64,
    confidence_level: f64,
    alternative: &str,
) -> Record<'py> {
    if n == 0 || wins.checked_add(losses).is_none_or(|discordant| discordant > n) {
        return Err(value_error(format!(
            "n: expected at least one pair and wins + losses <= n; got {wins}, {losses} and {n}"
        )));
    }
    let confidence = confidence(confidence_level, alternative)?;
    let PairedBinary { value, standard_error, interval, p_mid, p_exact } =
        call_quick(py, || Ok(paired::paired_binary(wins, losses, n, confidence)))?;
    record!(py, { value, standard_error, low: interval.low, high: interval.high, p_mid, p_exact })
}

/// The `standard_error`, `low` and `high` of a difference of 0/1 answers that is the same in each of `clusters`
/// clusters. It is Tango's interval with the clusters as pairs and a quantile of Student's t in place of z.
#[pyfunction]
#[pyo3(signature = (*, value, clusters, df, confidence_level, alternative))]
pub fn unspread_difference<'py>(
    py: Python<'py>,
    value: f64,
    clusters: u64,
    df: f64,
    confidence_level: f64,
    alternative: &str,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let (standard_error, interval) =
        call_quick(py, || Ok(paired::unspread_difference(value, clusters as f64, df, confidence)))?;
    record!(py, { standard_error, low: interval.low, high: interval.high })
}

/// The sign-flip test: the p-value `p`, its relative `error`, and the number of values that are not zero, `nonzero`.
/// `resolution` says how far rounding may have moved each value; a single number holds for all of them.
#[pyfunction]
#[pyo3(signature = (x, *, alternative, resolution=None, progress=None))]
pub fn sign_flip<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    alternative: &str,
    resolution: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let x = slice::<f64>(x, "x")?;
    let given = resolution.map(|resolution| slice::<f64>(resolution, "resolution")).transpose()?;
    let resolution = given.unwrap_or(&[0.0]);
    if resolution.len() != 1 {
        same_length(x.len(), resolution.len(), "x, resolution")?;
    }
    let alternative = named::<Alternative>(alternative)?;
    let got = call(py, progress, flips::steps(x.len()), |progress| {
        flips::sign_flip(x, resolution, alternative, progress)
    })?;
    record!(py, { p: got.p, nonzero: got.nonzero, error: got.error })
}
