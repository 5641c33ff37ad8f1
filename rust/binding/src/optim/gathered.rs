//! Gradients that an optimizer sums over several calls, for a step that uses their mean.

use super::items;
use crate::arrays::written::{Claim, Written};
use crate::call::{call_quick, no_memory};
use crate::give::{self, value_error};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::dtype::{Typed, TypedReal};
use steelyard_kernels::memory;
use steelyard_kernels::optim::{self, Summand};

/// Sums, which rows hold something, and the number of calls.
pub type Saved<'py> = (Bound<'py, PyTuple>, Vec<bool>, u64);

/// The sums. Nobody but the optimizer has these arrays.
pub struct Gathered {
    sums: Vec<Py<PyAny>>,
    /// The number of calls that they are of.
    pub calls: u64,
    /// The rows that had a gradient in one of them; the sums of the others hold nothing.
    rows: Vec<bool>,
}

impl Gathered {
    /// Arrays for sums that hold nothing yet.
    pub fn new(sums: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let sums = items(sums)?;
        let rows = memory::filled(sums.len(), false).map_err(no_memory)?;
        Ok(Gathered { sums, calls: 0, rows })
    }

    /// Sums that were saved.
    pub fn of((sums, rows, calls): Saved<'_>) -> PyResult<Self> {
        let sums = items(&sums)?;
        if rows.len() != sums.len() {
            return Err(value_error("gathered: expected to be told of every sum whether it holds something"));
        }
        Ok(Gathered { sums, calls, rows })
    }

    /// Adds gradients; None in the place of one counts as 0.
    pub fn add(&mut self, grads: Bound<'_, PyTuple>, name: impl Fn(usize) -> String) -> PyResult<()> {
        let py = grads.py();
        let sums = memory::collected(self.sums.iter().map(|sum| sum.clone_ref(py))).map_err(no_memory)?;
        let mut written = Written::new(py, sums, &[], &name)?;
        let mut operands = written.beside(grads, &name, &name)?;
        let claim = operands.claim();
        if claim.len() == 0 {
            return Err(value_error("grads: expected a gradient for at least one parameter; got none"));
        }
        let taken =
            memory::collected((0..claim.len()).map(|position| claim.row(position))).map_err(no_memory)?;
        let summands = summands(claim, &self.rows)?;
        call_quick(py, move || optim::accumulate(summands))?;
        for row in taken {
            self.rows[row] = true;
        }
        self.calls += 1;
        Ok(())
    }

    /// The sums as gradients of a step; None where there was no gradient.
    pub fn grads<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        give::tuple(py, self.each(py, Ok)?)
    }

    /// Copies of the sums, or without `copy` the sums themselves; None where there was no gradient.
    pub fn saved<'py>(&self, py: Python<'py>, copy: bool) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.each(py, |sum| if copy { sum.call_method0("copy") } else { Ok(sum) })
    }

    fn each<'py>(
        &self,
        py: Python<'py>,
        of: impl Fn(Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut found = memory::with_capacity(self.sums.len()).map_err(no_memory)?;
        for (sum, there) in self.sums.iter().zip(&self.rows) {
            found.push(if *there { of(sum.bind(py).clone())? } else { py.None().into_bound(py) });
        }
        Ok(found)
    }

    /// Forgets the sums; their memory is kept.
    pub fn clear(&mut self) {
        self.calls = 0;
        self.rows.fill(false);
    }
}

fn summands<'a>(claim: Claim<'a>, rows: &[bool]) -> PyResult<Vec<Summand<'a>>> {
    let mut summands = memory::with_capacity(claim.len()).map_err(no_memory)?;
    for row in claim.slices() {
        let sum = match row.first {
            Typed::F32(sum) => TypedReal::F32(sum),
            Typed::F64(sum) => TypedReal::F64(sum),
            Typed::F16(_) | Typed::Bf16(_) => {
                return Err(value_error("sums: expected float32 or float64"));
            }
        };
        summands.push(Summand { sum, grad: row.read, begins: !rows[row.number] });
    }
    Ok(summands)
}
