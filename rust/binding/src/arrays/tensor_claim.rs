//! What a step makes of the tensors that were found in order: slices, once.
#![allow(unsafe_code)] // slices over memory that torch owns

use super::blocks::{MomentSlice, SliceMut, shared};
use super::tensor_names::{KEPT, Position, SCALES, STEP};
use super::tensor_rows::{Present, Ready, TensorRows};
use crate::call::no_memory;
use crate::give::ToPython;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Exclusive, Typed, TypedSlice};
use steelyard_kernels::memory;
use steelyard_kernels::optim::MOMENTS;

/// The tensors of a step, of which slices may be made once. None that is written overlaps another one.
pub struct TensorClaim<'w, 'py> {
    pub(super) rows: &'w mut TensorRows,
    pub(super) present: Vec<Present<'py>>,
}

/// The slices of a row.
pub struct TensorRow<'a> {
    pub group: usize,
    /// The number of the parameter among all of the optimizer's.
    pub number: usize,
    pub param: Typed<Exclusive<'a>>,
    pub grad: TypedSlice<'a>,
    pub moments: [Option<MomentSlice<'a>>; MOMENTS],
    /// What is kept beside a parameter of 16 bits.
    pub kept: Option<Typed<Exclusive<'a>>>,
    /// The number of steps made so far.
    pub steps: u64,
    /// Whether its momentum begins with this step, after steps without one.
    pub begins: bool,
    /// Where that number is kept.
    pub counter: Typed<Exclusive<'a>>,
}

impl<'py> TensorClaim<'_, 'py> {
    /// The positions of the rows' parameters.
    pub fn positions(&self) -> PyResult<Vec<Position>> {
        memory::collected(self.present.iter().map(|row| row.position)).map_err(no_memory)
    }

    /// The parameters of the rows, as the optimizer has them.
    pub fn params(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let params = self.present.iter().map(|row| self.rows.rows[row.row].param.clone_ref(py));
        memory::collected(params).map_err(no_memory)?.to_python(py)
    }

    /// The slices of every row.
    pub fn slices(&mut self) -> PyResult<Vec<TensorRow<'_>>> {
        let rows = &self.rows.rows;
        let slices = |ready: &Ready| {
            let written = &rows[ready.row].written;
            // SAFETY: each tensor is kept alive by `written` and overlaps nothing else that is written or read. One
            // slice is made of it while `self` is borrowed.
            let slice = |role: usize| Some(unsafe { written[role].as_ref()?.place.exclusive() });
            let floats = |role: usize| match slice(role)? {
                SliceMut::Floats(floats) => Some(floats),
                SliceMut::Codes(_) => None,
            };
            let moment = |index: usize| {
                Some(match slice(1 + index)? {
                    SliceMut::Floats(floats) => MomentSlice::Floats(floats),
                    SliceMut::Codes(codes) => {
                        let Typed::F32(scales) = floats(SCALES + index)? else { return None };
                        MomentSlice::Blocks8(codes, scales)
                    }
                })
            };
            let (param, counter, kept) = (floats(0), floats(STEP), floats(KEPT));
            let moments = std::array::from_fn(moment);
            // SAFETY: the gradient is kept alive by `present`, and nothing writes it.
            let grad = unsafe { shared(&ready.grad) };
            Some(TensorRow {
                group: ready.group,
                number: ready.row,
                param: param?,
                grad,
                moments,
                kept,
                steps: ready.steps,
                begins: ready.begins,
                counter: counter?,
            })
        };
        // Every row that is ready has a parameter and a counter.
        let mut found = memory::with_capacity(self.rows.ready.len()).map_err(no_memory)?;
        found.extend(self.rows.ready.iter().filter_map(slices));
        Ok(found)
    }
}
