//! What Python is given, where making it may fail.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bytes; `PyBytes::new` would panic where there is no memory for them.
pub fn bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, data.len(), |bytes| {
        bytes.copy_from_slice(data);
        Ok(())
    })
}
