//! The tests of many models together: of all pairs, or against a baseline.

use crate::arrays::{given, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::max_t as kernels;

/// Tests all pairs of the `models` columns of `x` together: the matrices `statistics` and `p`, row by row, the number of
/// `patterns` of signs and whether they are `all` that there are. Scores that differ by at most `tie` times the larger
/// one are equal.
#[pyfunction]
#[pyo3(signature = (x, *, models, tie, seed, progress=None))]
pub fn max_t<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    models: usize,
    tie: f64,
    seed: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let x = slice::<f64>(x, "x")?;
    if models == 0 || x.is_empty() || !x.len().is_multiple_of(models) {
        return Err(value_error(format!("x: expected rows of {models} scores; got {}", x.len())));
    }
    let total = kernels::steps(x.len() / models);
    let found = call(py, progress, total, |progress| kernels::max_t(x, models, tie, seed, progress))?;
    record!(py, {
        statistics: given(py, found.statistics)?,
        p: given(py, found.p)?,
        patterns: found.patterns,
        all: found.all,
    })
}

/// Tests the `columns` - 1 models of `x`, whose first column is the baseline, against it together: `statistics`, and the
/// adjusted p of each model by the `single` step and by `step_down` ones; otherwise as `max_t`.
#[pyfunction]
#[pyo3(signature = (x, *, columns, tie, alternative, seed, progress=None))]
pub fn max_t_baseline<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    columns: usize,
    tie: f64,
    alternative: &str,
    seed: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let x = slice::<f64>(x, "x")?;
    if columns < 2 || x.is_empty() || !x.len().is_multiple_of(columns) {
        return Err(value_error(format!(
            "x: expected rows of {columns} scores, two or more; got {}",
            x.len()
        )));
    }
    let alternative = named(alternative)?;
    let total = kernels::steps(x.len() / columns);
    let found = call(py, progress, total, |progress| {
        kernels::against_baseline(x, columns, tie, alternative, seed, progress)
    })?;
    record!(py, {
        statistics: given(py, found.statistics)?,
        single: given(py, found.single)?,
        step_down: given(py, found.step_down)?,
        patterns: found.patterns,
        all: found.all,
    })
}
