//! The tables of named variants (losses, statistics, methods and others), as Python data.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use steelyard_kernels::named::{About, Parameter};
use steelyard_kernels::registries::REGISTRIES;

/// A dictionary from the key of each table to its rows, each of which is a dictionary with the fields of
/// `named::About`. The `low` and `high` of a parameter are pairs of the bound and whether the bound itself is allowed.
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
    row.set_item("needs", about.needs)?;
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
