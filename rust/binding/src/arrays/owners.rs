//! Checks whether the memory that an array shows still belongs to the array's owner.
//!
//! NumPy keeps the owner of a view's memory alive, but it cannot keep that owner from moving or freeing the memory: an
//! array may be resized with `refcheck=False`, a torch tensor may be moved to shared memory or its storage emptied, a
//! memory map may be closed or its file shortened. So code that keeps an array between calls, or that runs Python code
//! between receiving an array and using it, calls these functions before it touches the memory.
//!
//! They may run code of the owner. It is assumed that this code does not move memory of other objects.
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

/// The range of addresses that contains an array's elements.
fn extent(array: &Bound<'_, PyUntypedArray>) -> Range<usize> {
    let axes = array.shape().iter().copied().zip(array.strides().iter().copied());
    reach(data(array).addr(), array.dtype().itemsize(), axes)
}

/// The range of addresses from the lowest to the highest element; strides may be negative.
fn reach(start: usize, item: usize, axes: impl Iterator<Item = (usize, isize)>) -> Range<usize> {
    let (mut below, mut above) = (0usize, item);
    for (n, stride) in axes {
        let Some(steps) = n.checked_sub(1) else { return start..start };
        let far = stride.unsigned_abs().saturating_mul(steps);
        if stride < 0 { below = below.saturating_add(far) } else { above = above.saturating_add(far) }
    }
    start.saturating_sub(below)..start.saturating_add(above)
}

/// The object that owns the array's memory; `None` where the array itself does.
fn base<'py>(array: &Bound<'py, PyUntypedArray>) -> Option<Bound<'py, PyAny>> {
    // SAFETY: the pointer is to a live array object, whose `base` field is a borrowed reference or null.
    unsafe {
        let base = (*array.as_array_ptr()).fields.base;
        Bound::from_borrowed_ptr_or_opt(array.py(), base)
    }
}

/// Raises an exception where the array's memory has been moved or freed by its owner since the array was made.
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

/// The same for Python code that reads an array before the core does.
#[pyfunction]
pub fn check_memory(array: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    array.cast::<PyUntypedArray>().map_or(Ok(()), |array| held(array, || name.to_owned()))
}

/// Whether the array's memory still belongs to its owner: to the array itself, to another array that it is a view of,
/// or to a foreign object, as far as that object can be asked.
#[inline]
fn holds_its_memory(array: &Bound<'_, PyUntypedArray>) -> PyResult<bool> {
    // Most arrays own their memory, and then there is nothing to check.
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
        // Most arrays of a tensor begin where it does. The end need not be checked: torch does not let a tensor shrink
        // once NumPy has a view of it.
        let begins: usize = data_ptr.call0()?.extract()?;
        return Ok(begins == inner.start || in_storage(owner, &inner)?);
    }
    in_buffer(array, owner, &inner)
}

/// Whether these addresses are inside a torch tensor's storage.
pub fn in_storage(tensor: &Bound<'_, PyAny>, inner: &Range<usize>) -> PyResult<bool> {
    let py = tensor.py();
    let storage = tensor.call_method0(intern!(py, "untyped_storage"))?;
    let start: usize = storage.call_method0(intern!(py, "data_ptr"))?.extract()?;
    let size: usize = storage.call_method0(intern!(py, "nbytes"))?.extract()?;
    Ok(start <= inner.start && inner.end <= start.saturating_add(size))
}

/// Whether these addresses are inside the buffer that the owner exports. An owner that exports no buffer, such as a
/// capsule, cannot be asked and is trusted.
fn in_buffer(
    array: &Bound<'_, PyUntypedArray>,
    owner: &Bound<'_, PyAny>,
    inner: &Range<usize>,
) -> PyResult<bool> {
    if !exports(owner) {
        return behind_strides(array, owner);
    }
    // A map that was closed, or a view that was released, raises an exception here. The buffer is requested through a
    // new memory view because not every exporter provides strides.
    let Ok(buffer) = PyMemoryView::from(owner).and_then(|view| PyUntypedBuffer::get(view.as_any())) else {
        return Ok(false);
    };
    // An owner that is a memory view has only the addresses that its exporter had when the view was made, so the
    // exporter is checked.
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

/// The check for the object that `numpy.lib.stride_tricks` puts between an array and the array that it was made from,
/// which is the object's `base`. With its new strides the array may reach beyond that array, but not beyond that
/// array's owner.
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

/// Whether this array is inside the array that NumPy now makes from the owner's `__array_interface__`. Owners that have
/// none (capsules, Polars) are trusted.
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

/// Whether the object exports a buffer.
fn exports(owner: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the call only reads the type of a live object.
    unsafe { pyo3::ffi::PyObject_CheckBuffer(owner.as_ptr()) == 1 }
}

/// Whether the file of a memory map is still as long as the map needs. Touching the map beyond the end of the file
/// kills the process.
fn in_file(array: &Bound<'_, PyUntypedArray>, map: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = array.py();
    if map.get_type().name()? != "mmap" {
        return Ok(true);
    }
    // An anonymous map has no file, whose size could be asked for.
    let Ok(size) = map.call_method0(intern!(py, "size")).and_then(|size| size.extract::<usize>()) else {
        return Ok(true);
    };
    // numpy.memmap has the position in the file at which it begins; the map object itself does not.
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

/// A torch tensor that the caller gave as a parameter, with its address, type and shape at the time it was taken.
pub struct TensorPlace {
    object: Py<PyAny>,
    data: usize,
    dtype: Py<PyAny>,
    shape: Py<PyAny>,
}

impl TensorPlace {
    /// Records where the tensor is; `None` where the object is no tensor.
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

    /// The same tensor, recorded anew.
    pub fn again(&self, py: Python<'_>) -> PyResult<Self> {
        TensorPlace::new(self.object.bind(py))
    }

    /// Whether an array at these addresses, which was made from this tensor, shares its memory.
    pub fn is_at(&self, array: Range<usize>) -> bool {
        array.is_empty() || array.start == self.data
    }

    /// Whether its address, type and shape are as recorded, and it is still contiguous.
    pub fn stayed(&self, py: Python<'_>) -> PyResult<bool> {
        let tensor = self.object.bind(py);
        let data: usize = tensor.call_method0(intern!(py, "data_ptr"))?.extract()?;
        Ok(data == self.data
            && tensor.getattr(intern!(py, "dtype"))?.is(&self.dtype)
            && tensor.getattr(intern!(py, "shape"))?.eq(&self.shape)?
            && tensor.call_method0(intern!(py, "is_contiguous"))?.is_truthy()?)
    }
}
