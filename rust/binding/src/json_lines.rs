//! Lines of JSON as lists of Python values, one for each column.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use steelyard_kernels::json_lines::{Cell, Lines, Longest};

/// Values that are alike share one object where they come soon after each other: this many places to find them again.
const REMEMBERED: usize = 256;
/// Text of more bytes is seldom met again.
const LONGEST_REMEMBERED: usize = 64;

/// Reads the plain lines at the beginning of `data`, which are whole lines with one JSON object each.
///
/// Returns how many `rows` and `bytes` they are, in how many of them each dictionary was (`met`), and for each column
/// its values, or None where no row has it. A value is None where a row has none, and `list_mark` where it is a list.
/// Nothing is read of the first line that is not plain.
#[pyfunction]
#[pyo3(signature = (data, *, columns, dictionaries, list_mark, longest, beginning))]
pub fn json_lines<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyBytes>,
    columns: Vec<String>,
    dictionaries: Vec<String>,
    list_mark: Bound<'py, PyAny>,
    longest: usize,
    beginning: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let longest = Longest { whole: longest, beginning };
    let mut lines = Lines::new(data.as_bytes(), &columns, &dictionaries, longest);
    let mut made: Vec<Column<'py>> = columns.iter().map(|_| Column::new(py)).collect();
    let mut rows = 0;
    while let Some(cells) = lines.next_row() {
        for (column, cell) in cells.drain(..) {
            made[column].push(rows, cell, &list_mark);
        }
        rows += 1;
    }
    let found: PyResult<Vec<_>> = made.into_iter().map(|column| column.finish(rows)).collect();
    let out = PyDict::new(py);
    out.set_item("rows", rows)?;
    out.set_item("bytes", lines.read())?;
    out.set_item("met", lines.met())?;
    out.set_item("columns", found?)?;
    Ok(out)
}

/// The values of one column.
struct Column<'py> {
    py: Python<'py>,
    values: Vec<Bound<'py, PyAny>>,
    texts: Vec<Option<(String, Bound<'py, PyAny>)>>,
    floats: Vec<Option<(u64, Bound<'py, PyAny>)>>,
}

impl<'py> Column<'py> {
    fn new(py: Python<'py>) -> Self {
        Self { py, values: Vec::new(), texts: Vec::new(), floats: Vec::new() }
    }

    /// Adds the value of a row; rows before it that have none get None.
    fn push(&mut self, row: usize, cell: Cell<'_>, list_mark: &Bound<'py, PyAny>) {
        self.fill(row);
        let value = match cell {
            Cell::Null => self.none(),
            Cell::Bool(value) => PyBool::new(self.py, value).to_owned().into_any(),
            Cell::Int(value) => PyInt::new(self.py, value).into_any(),
            Cell::Float(value) => self.float(value),
            Cell::Text(text) => self.text(&text),
            Cell::List => list_mark.clone(),
        };
        self.values.push(value);
    }

    fn none(&self) -> Bound<'py, PyAny> {
        self.py.None().into_bound(self.py)
    }

    fn fill(&mut self, rows: usize) {
        while self.values.len() < rows {
            self.values.push(self.none());
        }
    }

    fn float(&mut self, value: f64) -> Bound<'py, PyAny> {
        let bits = value.to_bits();
        self.floats.resize(REMEMBERED, None);
        let place = &mut self.floats[hashed(bits)];
        match place {
            Some((known, object)) if *known == bits => object.clone(),
            _ => {
                let object = PyFloat::new(self.py, value).into_any();
                *place = Some((bits, object.clone()));
                object
            }
        }
    }

    fn text(&mut self, text: &str) -> Bound<'py, PyAny> {
        if text.len() > LONGEST_REMEMBERED {
            return PyString::new(self.py, text).into_any();
        }
        self.texts.resize(REMEMBERED, None);
        let place = &mut self.texts[hashed(mark(text))];
        match place {
            Some((known, object)) if known == text => object.clone(),
            _ => {
                let object = PyString::new(self.py, text).into_any();
                *place = Some((text.to_owned(), object.clone()));
                object
            }
        }
    }

    fn finish(mut self, rows: usize) -> PyResult<Option<Bound<'py, PyList>>> {
        if self.values.is_empty() {
            return Ok(None);
        }
        self.fill(rows);
        PyList::new(self.py, self.values).map(Some)
    }
}

/// A number that differs for texts that differ in length, in the first eight bytes or in the last.
fn mark(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let word = |piece: &[u8]| piece.iter().fold(0, |sum: u64, &one| (sum << 8) | u64::from(one));
    let first = word(&bytes[..bytes.len().min(8)]);
    let last = word(&bytes[bytes.len().saturating_sub(8)..]);
    first ^ last.rotate_left(17) ^ bytes.len() as u64
}

/// A place for a number among those that are remembered: Fibonacci hashing.
fn hashed(bits: u64) -> usize {
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % REMEMBERED
}
