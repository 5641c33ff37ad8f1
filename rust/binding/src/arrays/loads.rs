//! Saved arrays that are copied into those that an optimizer keeps.
#![allow(unsafe_code)] // copies into memory that NumPy owns

use super::blocks::{Place, alike, codes, held, readable, shape_of, shared};
use super::written::Written;
use crate::call::no_memory;
use crate::give::value_error;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ptr::copy;
use steelyard_kernels::dtype::TypedSlice;
use steelyard_kernels::memory;

/// Saved arrays, and those that they are to be copied into.
pub struct Loads<'w, 'py> {
    written: &'w mut Written,
    from: Vec<Option<Place>>,
    _arrays: Bound<'py, PyTuple>,
}

impl Written {
    /// Checks arrays that are to be copied into those that are not the caller's, in order, and returns both. Where a row
    /// has none of a role, what is given in its place is not looked at.
    pub fn loads<'w, 'py>(
        &'w mut self,
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Loads<'w, 'py>> {
        let (py, own) = (arrays.py(), self.own());
        if arrays.len() != own.len() {
            let message = format!("arrays: expected {}, one per moment; got {}", own.len(), arrays.len());
            return Err(value_error(message));
        }
        let mut from = memory::with_capacity(own.len()).map_err(no_memory)?;
        for (index, (given, own)) in arrays.iter_borrowed().zip(own).enumerate() {
            let (Some(own), Some(place)) = (own, &self.places.targets[self.rows + index]) else {
                from.push(None);
                continue;
            };
            let shape = shape_of(own.bind(py));
            from.push(Some(match place {
                Place::Codes(_) => Place::Codes(codes(&given, shape, false, || name(index))?),
                Place::Floats(block) => {
                    let header = readable(&given, || name(index))?;
                    held(header, || name(index))?;
                    alike(header, block.dtype, shape, || name(index), "like the moments of this optimizer")?;
                    Place::Floats(header.block())
                }
            }));
        }
        Ok(Loads { written: self, from, _arrays: arrays })
    }
}

impl Loads<'_, '_> {
    /// The arrays to copy, one role after another, and the right to copy them.
    pub fn claim(&mut self) -> Copies<'_> {
        let Written { rows, places, .. } = &*self.written;
        Copies { from: &self.from, to: &places.targets[*rows..] }
    }
}

/// Pairs of places to copy from and to; the two of a pair have the same type and length.
pub struct Copies<'a> {
    from: &'a [Option<Place>],
    to: &'a [Option<Place>],
}

impl<'a> Copies<'a> {
    /// The number of places for arrays to copy, of all roles together.
    pub fn len(&self) -> usize {
        self.from.len()
    }

    /// The elements to be copied into an array; None where there is no such array, or it holds codes.
    pub fn from(&self, index: usize) -> Option<TypedSlice<'a>> {
        let block = self.from[index].as_ref().and_then(Place::floats)?;
        // SAFETY: the array lives for 'a, and nothing writes it.
        Some(unsafe { shared(block) })
    }

    /// Copies all arrays.
    pub fn make(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            let (Some(from), Some(to)) = (from, to) else { continue };
            // SAFETY: both live for 'a and have the same type and length. They may be the same memory, where a live view of
            // the optimizer's own arrays is loaded.
            unsafe { copy(from.data(), to.data(), from.size()) };
        }
    }
}
