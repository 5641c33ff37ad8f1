//! The tables of named variants, as Python data.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use steelyard_kernels::named::{About, Parameter};
use steelyard_kernels::registries::REGISTRIES;

/// Every table: its key to its rows, each a dictionary with the fields of `named::About`. A parameter's `low` and
/// `high` are pairs: the number, and whether it is allowed itself.
#[pyfunction]
pub fn registries(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let tables = PyDict::new(py);
    for table in REGISTRIES {
        let rows: PyResult<Vec<_>> = table.about.iter().map(|about| row(py, about)).collect();
        tables.set_item(table.key, PyList::new(py, rows?)?)?;
    }
    Ok(tables)
}

fn row<'py>(py: Python<'py>, about: &About) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    row.set_item("name", about.name)?;
    row.set_item("title", about.title)?;
    row.set_item("summary", about.summary)?;
    row.set_item("source", about.source)?;
    row.set_item("columns", about.columns)?;
    let parameters: PyResult<Vec<_>> = about.parameters.iter().map(|of| parameter(py, of)).collect();
    row.set_item("parameters", PyList::new(py, parameters?)?)?;
    Ok(row)
}

fn parameter<'py>(py: Python<'py>, of: &Parameter) -> PyResult<Bound<'py, PyDict>> {
    let parameter = PyDict::new(py);
    parameter.set_item("name", of.name)?;
    parameter.set_item("low", of.low.parts())?;
    parameter.set_item("high", of.high.parts())?;
    parameter.set_item("default", of.default)?;
    Ok(parameter)
}
