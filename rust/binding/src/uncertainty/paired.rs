//! Two models on the same rows: differences, Tango's interval, McNemar's and the sign-flip test.

use crate::arrays::{floats, given, slice};
use crate::call::{call, call_quick};
use crate::give::{Give, Given, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::intervals::Alternative;
use steelyard_kernels::uncertainty::paired::{self, Wide};
use steelyard_kernels::uncertainty::sign_flip as flips;
use steelyard_kernels::with_dtype;

type Array<'py> = Bound<'py, PyArray1<f64>>;

/// `(new - base, wins, losses)` row by row; `coarse`: the step of 1 and the smallest number of the coarser type.
#[pyfunction]
#[pyo3(signature = (new, base, progress=None, *, coarse=None))]
pub fn paired_differences<'py>(
    py: Python<'py>,
    new: &Bound<'_, PyAny>,
    base: &Bound<'_, PyAny>,
    progress: Option<&Bound<'_, PyAny>>,
    coarse: Option<(f64, f64)>,
) -> Given<(Array<'py>, u64, u64)> {
    let coarse = coarse.unwrap_or((0.0, 0.0));
    let (new, base) = (floats(new, "new")?, floats(base, "baseline")?);
    let new: &dyn Wide = with_dtype!(&new, x => x);
    let base: &dyn Wide = with_dtype!(&base, x => x);
    same_length(new.len(), base.len(), "new, baseline")?;
    let got = call(py, progress, new.len(), |progress| paired::differences(new, base, coarse, progress))?;
    Ok(Give((given(py, got.values)?, got.wins, got.losses)))
}

/// `(value, standard error, low, high, mid-p, exact p)` of n pairs of 0/1 answers.
#[pyfunction]
pub fn paired_binary(
    py: Python<'_>,
    wins: u64,
    losses: u64,
    n: u64,
    confidence_level: f64,
    alternative: &str,
) -> Given<(f64, f64, f64, f64, f64, f64)> {
    if n == 0 || wins.checked_add(losses).is_none_or(|discordant| discordant > n) {
        return Err(value_error(format!(
            "n: expected at least one pair and wins + losses <= n; got {wins}, {losses} and {n}"
        )));
    }
    let confidence = confidence(confidence_level, alternative)?;
    let got = call_quick(py, || Ok(paired::paired_binary(wins, losses, n, confidence)))?;
    let (low, high) = (got.interval.low, got.interval.high);
    Ok(Give((got.value, got.standard_error, low, high, got.p_mid, got.p_exact)))
}

/// `(standard error, low, high)` of a difference of 0/1 answers whose `clusters` clusters show no spread:
/// Tango's interval with the clusters as pairs and Student's t for z.
#[pyfunction]
pub fn unspread_difference(
    py: Python<'_>,
    value: f64,
    clusters: u64,
    df: f64,
    confidence_level: f64,
    alternative: &str,
) -> Given<(f64, f64, f64)> {
    let confidence = confidence(confidence_level, alternative)?;
    let (error, interval) =
        call_quick(py, || Ok(paired::unspread_difference(value, clusters as f64, df, confidence)))?;
    Ok(Give((error, interval.low, interval.high)))
}

/// `(p, non-zero values, relative error of p)`; `resolution`: how far each value, or all, may be off by rounding.
#[pyfunction]
#[pyo3(signature = (x, alternative, progress=None, *, resolution=None))]
pub fn sign_flip(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    alternative: &str,
    progress: Option<&Bound<'_, PyAny>>,
    resolution: Option<&Bound<'_, PyAny>>,
) -> Given<(f64, usize, f64)> {
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
    Ok(Give((got.p, got.nonzero, got.error)))
}
