//! The ratio of the sums of two columns, with its interval.

use super::columns::{design, refusal, two_columns};
use crate::arrays::slice;
use crate::call::call;
use crate::give::{Record, record};
use crate::intervals::{confidence, same_length};
use crate::take::listed;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::{self as kernels, Columns, Ratio, Spread};

/// sum x / sum y of two `columns`: a dictionary of the fields of the kernel's `Ratio`, with NaN for a number that does
/// not exist; or, where there is no estimate, of the reason (`refused`) and its fields. `codes`, in `0..clusters`, are
/// the clusters of the rows where they have some; `weights` are above 0.
#[pyfunction]
#[pyo3(signature = (
    columns, *, codes=None, clusters=0, weights=None, confidence_level, alternative, progress=None
))]
#[allow(clippy::too_many_arguments)] // the options of an interval
pub fn ratio_interval<'py>(
    py: Python<'py>,
    columns: &Bound<'py, PyAny>,
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    weights: Option<&Bound<'py, PyAny>>,
    confidence_level: f64,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
    let found = two_columns(&listed::<Bound<'_, PyAny>>(columns)?, |x, y| {
        let (rows, design) = (x.len(), design(codes, clusters, x.len())?);
        same_length(rows, weights.map_or(rows, <[f64]>::len), "columns, weights")?;
        let columns = Columns { x, y, weights, design };
        call(py, progress, rows, |progress| kernels::ratio(columns, confidence, progress))
    })?;
    match found {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    }
}

fn fields(py: Python<'_>, found: Ratio) -> Record<'_> {
    let Ratio { value, standard_error, interval, df, n_effective, units, spread, doubtful, share } = found;
    let spread = match spread {
        Spread::Some => "some",
        Spread::Rounding => "rounding",
        Spread::None => "none",
    };
    record!(py, {
        value, standard_error, low: interval.low, high: interval.high, df, n_effective, units, spread, doubtful, share,
    })
}
