//! The sign-flip test of paired differences, and the permutation test that two columns are independent.

use crate::arrays::slice;
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::same_length;
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::intervals::Alternative;
use steelyard_kernels::uncertainty::shuffles::{self, MOST, Shuffled};
use steelyard_kernels::uncertainty::sign_flip as flips;

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

/// The permutation test that the columns `x` and `y` are independent: the p-value `p` and how many random orders were
/// `drawn`; 0 where all were counted. `test` is its name.
#[pyfunction]
#[pyo3(signature = (x, y, *, test, alternative, seed, progress=None))]
pub fn independence<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    test: &str,
    alternative: &str,
    seed: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let (x, y) = (slice::<f64>(x, "x")?, slice::<f64>(y, "y")?);
    same_length(x.len(), y.len(), "x, y")?;
    let (of, alternative) = (named(test)?, named::<Alternative>(alternative)?);
    let found = call(py, progress, shuffles::steps(x.len()), |progress| {
        shuffles::independence(x, y, of, alternative, seed, progress)
    })?;
    let Some(Shuffled { p, drawn }) = found else {
        return Err(value_error(format!("x: expected at most {MOST} rows to shuffle; got {}", x.len())));
    };
    record!(py, { p, drawn })
}
