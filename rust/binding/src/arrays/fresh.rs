//! Arrays for results, in memory that earlier results have left.
//!
//! The operating system gives memory page by page, zeroed, when it is first touched. For a result of megabytes
//! that costs more than the arithmetic that fills it (`docs/decisions/0005-result-memory.md`), and every call
//! would pay it again. So the memory of a large result that Python has dropped waits here for the next result.

use crate::call::no_memory;
use numpy::npyffi::{self, NpyTypes, PY_ARRAY_API, flags::NPY_ARRAY_WRITEABLE};
use numpy::{Element, PyArray1, PyArrayDescrMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::alloc::{Layout, alloc_zeroed};
use std::ptr::{copy_nonoverlapping, null_mut};
use std::slice::from_raw_parts_mut;
use std::sync::Mutex;
use steelyard_kernels::memory::{self, Alarm, NoMemory};

/// What waits is at most this much, the latest first.
const KEPT_BYTES: usize = 64 << 20;
/// What is smaller than this is the allocator's own business: it keeps such memory itself.
const LARGE_BYTES: usize = 128 << 10;

/// Elements in a cache line. Arrays begin on one, or else every wide store would touch two.
const LINE: usize = 8;

/// Tried and never waited for: a child forked while another thread was in here finds it locked for ever, and does
/// without.
static SPARE: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());

/// The owner of an array's memory: its `base`.
#[pyclass(frozen, module = "steelyard._core")]
struct ResultMemory(Vec<f64>);

impl Drop for ResultMemory {
    fn drop(&mut self) {
        leave(std::mem::take(&mut self.0));
    }
}

fn bytes(elements: &Vec<f64>) -> usize {
    size_of_val(elements.as_slice())
}

/// At least `n` elements and a cache line's worth more, of any value.
fn take(n: usize) -> Result<Vec<f64>, NoMemory> {
    let n = n.saturating_add(LINE);
    if let Ok(mut spare) = SPARE.try_lock() {
        let fits = |elements: &Vec<f64>| (n..=2 * n).contains(&elements.len());
        let smallest = (0..spare.len()).filter(|&i| fits(&spare[i])).min_by_key(|&i| spare[i].len());
        if let Some(index) = smallest {
            return Ok(spare.remove(index));
        }
    }
    zeroed(n)
}

/// `vec![0.0; n]`, where there is memory for it: the macro would end the process.
#[allow(clippy::cast_ptr_alignment, clippy::same_length_and_capacity)] // the layout is of f64, and of no more than n
fn zeroed(n: usize) -> Result<Vec<f64>, NoMemory> {
    let none = NoMemory { bytes: n.saturating_mul(size_of::<f64>()) };
    let layout = Layout::array::<f64>(n).map_err(|_| none)?;
    let alarm = Alarm::set();
    // SAFETY: `n` is at least LINE, so the layout has a size.
    let data = unsafe { alloc_zeroed(layout) }.cast::<f64>();
    if data.is_null() {
        return Err(none);
    }
    // SAFETY: what was allocated is `n` zeros, in a Vec's own layout.
    let elements = unsafe { Vec::from_raw_parts(data, n, n) };
    alarm.check().map(|()| elements)
}

fn leave(elements: Vec<f64>) {
    if !(LARGE_BYTES..=KEPT_BYTES).contains(&bytes(&elements)) {
        return;
    }
    if let Ok(mut spare) = SPARE.try_lock() {
        let _ = memory::push(&mut spare, elements);
        while spare.iter().map(bytes).sum::<usize>() > KEPT_BYTES {
            spare.remove(0);
        }
    }
}

/// A new float64 array that nobody else knows yet. Its values are anything: the caller's kernel fills all of it.
pub struct Fresh<'py> {
    array: Bound<'py, PyArray1<f64>>,
    data: *mut f64,
    n: usize,
}

impl<'py> Fresh<'py> {
    /// An array of `n` elements.
    pub fn new(py: Python<'py>, n: usize) -> PyResult<Self> {
        let mut elements = take(n).map_err(no_memory)?;
        let offset = elements.as_ptr().align_offset(LINE * size_of::<f64>()).min(LINE);
        let data = elements[offset..].as_mut_ptr();
        let memory = Bound::new(py, ResultMemory(elements))?.into_any();
        // SAFETY: `data` points to at least `n` initialised elements, which `memory` keeps where they are.
        let array = unsafe { array(py, n, data, Some(memory)) }?;
        Ok(Fresh { array, data, n })
    }

    /// The elements, to be written.
    pub fn elements(&mut self) -> &mut [f64] {
        // SAFETY: as above; the array keeps the memory alive, and nobody else has it while `self` is borrowed.
        unsafe { from_raw_parts_mut(self.data, self.n) }
    }

    /// The array, for Python.
    pub fn array(self) -> Bound<'py, PyArray1<f64>> {
        self.array
    }
}

/// An array of values that were computed elsewhere; they stay where they are.
pub fn given(py: Python<'_>, mut values: Vec<f64>) -> PyResult<Bound<'_, PyArray1<f64>>> {
    let (n, data) = (values.len(), values.as_mut_ptr());
    let memory = Bound::new(py, ResultMemory(values))?.into_any();
    // SAFETY: `data` points to `n` elements, which `memory` keeps where they are.
    unsafe { array(py, n, data, Some(memory)) }
}

/// An array, in memory of NumPy's own, of values of any type.
pub fn copied<'py, T: Element + Copy>(py: Python<'py>, values: &[T]) -> PyResult<Bound<'py, PyArray1<T>>> {
    // SAFETY: without data NumPy allocates as many elements.
    let array = unsafe { array(py, values.len(), null_mut::<T>(), None) }?;
    // SAFETY: the array is new: nobody else reads or writes its `n` elements.
    unsafe { copy_nonoverlapping(values.as_ptr(), (*array.as_array_ptr()).fields.data.cast(), values.len()) };
    Ok(array)
}

/// An array of `n` elements at `data`, which `memory` keeps. (The numpy crate does not look whether NumPy had memory for
/// the array itself.)
unsafe fn array<'py, T: Element>(
    py: Python<'py>,
    n: usize,
    data: *mut T,
    memory: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let mut shape = n.cast_signed();
    let descr = T::get_dtype(py).into_dtype_ptr();
    // SAFETY: one axis of `n` elements of the type; the reference to the type is handed over.
    let array = unsafe {
        let class = npyffi::get_type_object(py, NpyTypes::PyArray_Type);
        let (strides, flags, like) = (null_mut(), NPY_ARRAY_WRITEABLE, null_mut());
        PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            class,
            descr,
            1,
            &raw mut shape,
            strides,
            data.cast(),
            flags,
            like,
        )
    };
    // SAFETY: a new reference, or null with an exception set.
    let array = unsafe { Bound::from_owned_ptr_or_err(py, array) }?;
    // SAFETY: it was made of this type, with one axis.
    let array: Bound<'py, PyArray1<T>> = unsafe { array.cast_into_unchecked() };
    if let Some(memory) = memory {
        // SAFETY: a new array without a base; the reference is handed over, whatever comes of it.
        let set = unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_array_ptr(), memory.into_ptr()) };
        if set < 0 {
            return Err(PyErr::fetch(py));
        }
    }
    Ok(array)
}
