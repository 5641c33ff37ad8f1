//! What a step did to each tensor, where that is asked for.

use crate::arrays::Fresh;
use crate::give::{Record, record};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use steelyard_kernels::dtype::TypedSlice;
use steelyard_kernels::grid::unwatched;
use steelyard_kernels::memory::{self, NoMemory};
use steelyard_kernels::optim::{self, Change, Hyper, Row, Scaled};

/// What a step did to each of an optimizer's tensors.
pub type Changes = Arc<Vec<Change>>;

/// Makes a step, with the changes of each tensor where they are asked for.
pub struct Detail<'a> {
    /// One for each tensor of the optimizer. They have their place before a step writes anything.
    changes: Option<Vec<Change>>,
    /// The tensors of the rows of the step; `None`: all of them, in order.
    tensors: Option<&'a [usize]>,
    /// Whether the norms of the gradients are known.
    measured: bool,
}

impl<'a> Detail<'a> {
    /// `count` is the number of the optimizer's tensors, or `None` where nothing is asked for.
    pub fn new(count: Option<usize>, tensors: Option<&'a [usize]>) -> Result<Self, NoMemory> {
        let changes = count.map(|count| memory::filled(count, Change::NONE)).transpose()?;
        Ok(Detail { changes, tensors, measured: false })
    }

    /// The sum of squares of all gradients, which are divided by `scale` before a step.
    pub fn sum_of_squares(&mut self, gradients: &[TypedSlice<'_>], scale: f64) -> Result<Scaled, NoMemory> {
        if self.changes.is_none() {
            return unwatched(optim::sum_of_squares(gradients, &mut |_| true));
        }
        let (all, each) = unwatched(optim::sum_of_squares_and_each(gradients, &mut |_| true))?;
        for (row, squares) in each.into_iter().enumerate() {
            if let Some(change) = self.of_row(row) {
                change.grad_norm = squares.root() / scale;
            }
        }
        self.measured = true;
        Ok(all)
    }

    /// Makes the step.
    pub fn step<'r>(
        &mut self,
        rows: impl IntoIterator<Item = Row<'r>>,
        hypers: &[Hyper],
    ) -> Result<(), NoMemory> {
        if self.changes.is_none() {
            return optim::step(rows, hypers);
        }
        let found = optim::watched_step(rows, hypers, !self.measured)?;
        let measured = self.measured;
        for (row, found) in found.into_iter().enumerate() {
            if let Some(change) = self.of_row(row) {
                let grad_norm = if measured { change.grad_norm } else { found.grad_norm };
                *change = Change { grad_norm, ..found };
            }
        }
        Ok(())
    }

    fn of_row(&mut self, row: usize) -> Option<&mut Change> {
        let tensor = self.tensors.map_or(row, |tensors| tensors[row]);
        self.changes.as_mut()?.get_mut(tensor)
    }

    /// What was found.
    pub fn finish(self) -> Option<Changes> {
        self.changes.map(Arc::new)
    }
}

/// The changes as arrays, one element for each tensor.
pub fn columns<'py>(py: Python<'py>, changes: Option<&Changes>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(changes) = changes else { return Ok(None) };
    let column = |of: fn(&Change) -> f64| {
        let mut array = Fresh::new(py, changes.len())?;
        for (to, change) in array.elements().iter_mut().zip(changes.iter()) {
            *to = of(change);
        }
        Ok::<_, PyErr>(array.array())
    };
    let record: Record<'py> = record!(py, {
        grad_norm: column(|change| change.grad_norm)?,
        param_norm: column(|change| change.param_norm)?,
        update_norm: column(|change| change.update_norm)?,
        ratio: column(|change| change.ratio)?,
        lost: column(|change| change.lost)?,
    });
    record.map(Some)
}
