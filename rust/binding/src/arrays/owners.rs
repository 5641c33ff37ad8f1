//! Who owns the memory that an array looks at, and whether it is still there.
//!
//! NumPy keeps the owner of a view's memory alive, but it cannot keep that owner from moving or giving up the memory:
//! an array is resized with `refcheck=False`, a torch tensor goes into shared memory or its storage is emptied, a
//! memory map is closed or its file cut short. So whoever keeps an array across calls, or runs Python code between
//! taking an array and using it, asks here before the memory is touched.
//!
//! Asking runs code of the owner, which is believed not to move what others own.
#![allow(unsafe_code)] // fields of live array objects

use super::data;
use crate::give::value_error;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use pyo3::types::PyString;
use std::ops::Range;

/// The addresses that an array's elements lie in.
fn extent(array: &Bound<'_, PyUntypedArray>) -> Range<usize> {
    let axes = array.shape().iter().copied().zip(array.strides().iter().copied());
    reach(data(array).addr(), array.dtype().itemsize(), axes)
}

/// The addresses between the first and the last element, whatever the signs of the strides.
fn reach(start: usize, item: usize, axes: impl Iterator<Item = (usize, isize)>) -> Range<usize> {
    let (mut below, mut above) = (0usize, item);
    for (n, stride) in axes {
        let Some(steps) = n.checked_sub(1) else { return start..start };
        let far = stride.unsigned_abs().saturating_mul(steps);
        if stride < 0 { below = below.saturating_add(far) } else { above = above.saturating_add(far) }
    }
    start.saturating_sub(below)..start.saturating_add(above)
}

/// The object whose memory the array looks at; None: its own.
fn base<'py>(array: &Bound<'py, PyUntypedArray>) -> Option<Bound<'py, PyAny>> {
    // SAFETY: the pointer is to a live array object, whose `base` field is a borrowed reference or null.
    unsafe {
        let base = (*array.as_array_ptr()).fields.base;
        Bound::from_borrowed_ptr_or_opt(array.py(), base)
    }
}

/// Refuses an array whose memory its owner has moved or given up since it was made.
#[inline]
pub fn held(array: &Bound<'_, PyUntypedArray>, name: impl Fn() -> String) -> PyResult<()> {
    if holds_its_memory(array)? {
        return Ok(());
    }
    Err(value_error(format!(
        "{}: expected memory that is still there; got an array whose owner (an array that was resized, a tensor that was \
         moved, a memory map that was closed or shortened) has given it up; make the array anew",
        name()
    )))
}

/// Refuses an array whose memory is gone, for what reads it before the core does.
#[pyfunction]
pub fn check_memory(array: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    array.cast::<PyUntypedArray>().map_or(Ok(()), |array| held(array, || name.to_owned()))
}

/// Whether the memory that the array looks at still belongs to its owner: to the array, to one that it is a view of,
/// or to a foreign object, so far as that can be asked.
#[inline]
fn holds_its_memory(array: &Bound<'_, PyUntypedArray>) -> PyResult<bool> {
    // Most arrays own what they hold.
    base(array).map_or(Ok(true), |owner| within(array, &owner))
}

fn within(array: &Bound<'_, PyUntypedArray>, owner: &Bound<'_, PyAny>) -> PyResult<bool> {
    let inner = extent(array);
    if inner.is_empty() {
        return Ok(true);
    }
    if let Ok(owner) = owner.cast::<PyUntypedArray>() {
        let outer = extent(owner);
        return Ok(outer.start <= inner.start && inner.end <= outer.end && holds_its_memory(owner)?);
    }
    let py = array.py();
    if let Some(data_ptr) = owner.getattr_opt(intern!(py, "data_ptr"))? {
        // Most arrays of a tensor begin where it does; torch lets nobody shrink what NumPy has seen.
        let begins: usize = data_ptr.call0()?.extract()?;
        return Ok(begins == inner.start || in_storage(owner, &inner)?);
    }
    in_buffer(array, owner, &inner)
}

/// Whether a torch tensor's storage lies around these addresses.
pub fn in_storage(tensor: &Bound<'_, PyAny>, inner: &Range<usize>) -> PyResult<bool> {
    let py = tensor.py();
    let storage = tensor.call_method0(intern!(py, "untyped_storage"))?;
    let start: usize = storage.call_method0(intern!(py, "data_ptr"))?.extract()?;
    let size: usize = storage.call_method0(intern!(py, "nbytes"))?.extract()?;
    Ok(start <= inner.start && inner.end <= start.saturating_add(size))
}

/// Whether what the owner exports lies around these addresses. An owner that exports no buffer (a capsule, say) cannot
/// be asked, and is trusted.
fn in_buffer(
    array: &Bound<'_, PyUntypedArray>,
    owner: &Bound<'_, PyAny>,
    inner: &Range<usize>,
) -> PyResult<bool> {
    if !exports(owner) {
        return behind_strides(array, owner);
    }
    // A map that was closed, or a view that was released, says so by an exception. A view of its own, since not every
    // exporter tells strides.
    let Ok(buffer) = PyMemoryView::from(owner).and_then(|view| PyUntypedBuffer::get(view.as_any())) else {
        return Ok(false);
    };
    // A memory view that was made before only knows what its exporter once said.
    if let Ok(view) = owner.cast::<PyMemoryView>() {
        let exporter = view.getattr(intern!(array.py(), "obj"))?;
        if !exporter.is_none() {
            return within(array, &exporter);
        }
    }
    let shape = buffer.shape().iter().copied().zip(buffer.strides().iter().copied());
    let outer = reach(buffer.buf_ptr().addr(), buffer.item_size(), shape);
    let around = outer.start <= inner.start && inner.end <= outer.end;
    drop(buffer);
    Ok(around && in_file(array, owner)?)
}

/// Whether the memory is still there if the owner is what `numpy.lib.stride_tricks` puts between an array and the one
/// that it was made of (its `base`). The new strides may leave that array, not its owner.
fn behind_strides(array: &Bound<'_, PyUntypedArray>, owner: &Bound<'_, PyAny>) -> PyResult<bool> {
    let between = owner.getattr_opt(intern!(array.py(), "base"))?;
    let Some(view) = between.as_ref().and_then(|between| between.cast::<PyUntypedArray>().ok()) else {
        return by_interface(array, owner);
    };
    let mut last = view.clone().into_any();
    while let Some(next) = last.cast::<PyUntypedArray>().ok().and_then(base) {
        last = next;
    }
    Ok(holds_its_memory(view)? && within(array, &last)?)
}

/// Whether an array that NumPy makes of the owner now, by its `__array_interface__`, lies around this one; owners that
/// have none (capsules, Polars) are trusted.
fn by_interface(array: &Bound<'_, PyUntypedArray>, owner: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = array.py();
    if !owner.hasattr(intern!(py, "__array_interface__"))? {
        return Ok(true);
    }
    let Ok(now) = py.import("numpy")?.call_method1(intern!(py, "asarray"), (owner,)) else {
        return Ok(false);
    };
    let (inner, outer) = (extent(array), now.cast::<PyUntypedArray>().map(extent)?);
    Ok(outer.start <= inner.start && inner.end <= outer.end)
}

/// Whether the type of the object has memory to show.
fn exports(owner: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a call that only reads the type of a live object.
    unsafe { pyo3::ffi::PyObject_CheckBuffer(owner.as_ptr()) == 1 }
}

/// Whether the file behind a memory map still reaches as far as the map: beyond its end, memory cannot be touched.
fn in_file(array: &Bound<'_, PyUntypedArray>, map: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = array.py();
    if map.get_type().name()? != "mmap" {
        return Ok(true);
    }
    // A map of no file has no size to ask for.
    let Ok(size) = map.call_method0(intern!(py, "size")).and_then(|size| size.extract::<usize>()) else {
        return Ok(true);
    };
    // numpy.memmap knows where in the file it begins; the map itself does not say.
    let offset = match array.getattr_opt(intern!(py, "offset"))? {
        Some(offset) => offset.extract::<usize>().unwrap_or(0),
        None => 0,
    };
    let granularity: usize = map
        .get_type()
        .getattr(intern!(py, "__module__"))
        .and_then(|module| py.import(module.cast::<PyString>()?))
        .and_then(|module| module.getattr(intern!(py, "ALLOCATIONGRANULARITY")))?
        .extract()?;
    Ok(size >= offset - offset % granularity.max(1) + map.len()?)
}

/// A torch tensor that was handed over as a parameter, as it was when its memory was taken.
pub struct TensorPlace {
    object: Py<PyAny>,
    data: usize,
    dtype: Py<PyAny>,
    shape: Py<PyAny>,
}

impl TensorPlace {
    /// Remembers where the tensor is; `None` for what is no tensor.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let tensor = object.hasattr(intern!(object.py(), "data_ptr"))?;
        tensor.then(|| TensorPlace::new(object)).transpose()
    }

    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        Ok(TensorPlace {
            object: object.clone().unbind(),
            data: object.call_method0(intern!(py, "data_ptr"))?.extract()?,
            dtype: object.getattr(intern!(py, "dtype"))?.unbind(),
            shape: object.getattr(intern!(py, "shape"))?.unbind(),
        })
    }

    /// The same tensor as it is now.
    pub fn again(&self, py: Python<'_>) -> PyResult<Self> {
        TensorPlace::new(self.object.bind(py))
    }

    /// Whether an array at these addresses, made of this tensor, is its memory.
    pub fn is_at(&self, array: Range<usize>) -> bool {
        array.is_empty() || array.start == self.data
    }

    /// Whether address, type, shape and order are what they were.
    pub fn stayed(&self, py: Python<'_>) -> PyResult<bool> {
        let tensor = self.object.bind(py);
        let data: usize = tensor.call_method0(intern!(py, "data_ptr"))?.extract()?;
        Ok(data == self.data
            && tensor.getattr(intern!(py, "dtype"))?.is(&self.dtype)
            && tensor.getattr(intern!(py, "shape"))?.eq(&self.shape)?
            && tensor.call_method0(intern!(py, "is_contiguous"))?.is_truthy()?)
    }
}
