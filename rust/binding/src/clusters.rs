//! The codes of ids.

use crate::arrays::{Fresh, copied, slice};
use crate::call::call;
use crate::give::record;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::clusters::near;

/// The `codes` of `ids`, the smallest id (`low`) and by how much the id of each code is larger (`above`); `None` where the
/// ids lie too far apart for a table, or where somebody else writes to them meanwhile.
#[pyfunction]
pub fn near_codes<'py>(py: Python<'py>, ids: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let ids = slice::<i64>(ids, "ids")?;
    let mut codes = Fresh::<i64>::new(py, ids.len())?;
    let to = codes.elements();
    let Some(found) = call(py, None, ids.len(), |progress| near(ids, to, progress))? else { return Ok(None) };
    let above = copied(py, &found.above)?;
    record!(py, { codes: codes.array(), low: found.low, above }).map(Some)
}
