//! Two models compared by counts of right answers, many problems in one call.

use crate::arrays::{Fresh, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::{confidence, same_length};
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::uncertainty::counts::{self as kernels, Columns};

/// For each i, the difference of the shares `k[i]` of `n[i]` and `base_k[i]` of `base_n[i]` of two samples: arrays
/// `value`, `standard_error`, `low`, `high` and `p`.
#[pyfunction]
#[pyo3(signature = (*, k, n, base_k, base_n, method, test, confidence_level, alternative))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn unpaired_counts<'py>(
    py: Python<'py>,
    k: &Bound<'_, PyAny>,
    n: &Bound<'_, PyAny>,
    base_k: &Bound<'_, PyAny>,
    base_n: &Bound<'_, PyAny>,
    method: &str,
    test: &str,
    confidence_level: f64,
    alternative: &str,
) -> Record<'py> {
    let counts = four(["k", "n", "base_k", "base_n"], [k, n, base_k, base_n])?;
    let by = (named(method)?, named(test)?);
    let confidence = confidence(confidence_level, alternative)?;
    let expected = "k, n: expected 0 <= k <= n and n >= 1 on both sides";
    columns(py, counts[0].len(), expected, move |columns, progress| {
        kernels::of_samples(counts, by, confidence, columns, progress)
    })
}

/// The same for pairs: of `n[i]` rows the new model got `k[i]` right, the baseline `base_k[i]`, and both models
/// `both[i]`.
#[pyfunction]
#[pyo3(signature = (*, k, base_k, both, n, method, test, confidence_level, alternative))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn paired_counts<'py>(
    py: Python<'py>,
    k: &Bound<'_, PyAny>,
    base_k: &Bound<'_, PyAny>,
    both: &Bound<'_, PyAny>,
    n: &Bound<'_, PyAny>,
    method: &str,
    test: &str,
    confidence_level: f64,
    alternative: &str,
) -> Record<'py> {
    let counts = four(["k", "base_k", "both", "n"], [k, base_k, both, n])?;
    let by = (named(method)?, named(test)?);
    let confidence = confidence(confidence_level, alternative)?;
    let expected = "both: expected at most k and base_k, and k + base_k - both <= n, n >= 1";
    columns(py, counts[0].len(), expected, move |columns, progress| {
        kernels::of_pairs(counts, by, confidence, columns, progress)
    })
}

fn four<'a>(names: [&str; 4], given: [&'a Bound<'_, PyAny>; 4]) -> PyResult<[&'a [i64]; 4]> {
    let mut counts = [&[][..]; 4];
    for (i, (name, given)) in names.into_iter().zip(given).enumerate() {
        counts[i] = slice::<i64>(given, name)?;
        same_length(counts[0].len(), counts[i].len(), &format!("{}, {name}", names[0]))?;
    }
    Ok(counts)
}

/// The columns that `fill` writes; a row that it refuses is no row of counts as `expected`.
fn columns<'py>(
    py: Python<'py>,
    rows: usize,
    expected: &str,
    fill: impl FnOnce(Columns<'_>, Progress<'_>) -> Result<Option<usize>, Stopped> + Send,
) -> Record<'py> {
    let fresh = || Fresh::new(py, rows);
    let mut columns = [fresh()?, fresh()?, fresh()?, fresh()?, fresh()?];
    let parts = columns.each_mut().map(Fresh::elements);
    if let Some(i) = call(py, None, rows, move |progress| fill(parts, progress))? {
        return Err(value_error(format!("{expected}; got others at index {i}")));
    }
    let [value, standard_error, low, high, p] = columns.map(Fresh::array);
    record!(py, { value, standard_error, low, high, p })
}
