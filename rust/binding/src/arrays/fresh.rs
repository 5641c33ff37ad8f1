//! Arrays for results, which reuse the memory of earlier results.
//!
//! The operating system provides memory page by page, set to zero, when it is first touched. For a result of several
//! megabytes this costs more than the arithmetic that fills it (`docs/decisions/0005-result-memory.md`), and it would
//! be paid in every call. So the memory of a large result that Python has freed is kept here for later results.

use crate::call::no_memory;
use numpy::npyffi::{self, NpyTypes, PY_ARRAY_API, flags::NPY_ARRAY_WRITEABLE};
use numpy::{Element, PyArray1, PyArrayDescrMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::alloc::{Layout, alloc_zeroed};
use std::ptr::{copy_nonoverlapping, null_mut};
use std::slice::from_raw_parts_mut;
use std::sync::Mutex;
use steelyard_kernels::dtype::Listed;
use steelyard_kernels::memory::{self, Alarm, NoMemory};

/// The most bytes that are kept. Beyond that, the memory that has been kept longest is freed.
const KEPT_BYTES: usize = 64 << 20;
/// Smaller results are not kept, since the allocator reuses such memory by itself.
const LARGE_BYTES: usize = 128 << 10;

/// The number of elements in a cache line. Arrays begin at the start of one; otherwise wide stores would touch two.
const LINE: usize = 8;

/// The memory that is kept. Its lock is only tried, never waited for: in a child that was forked while another thread
/// held it, it stays locked for ever, and the child allocates new memory instead.
static SPARE: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());

/// The owner of an array's memory, which is the array's `base` in NumPy.
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

/// Memory for at least `n` elements and a cache line more. The elements may have any values.
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

/// `vec![0.0; n]`, but with an error where there is no memory for it; the macro would end the process.
#[allow(clippy::cast_ptr_alignment, clippy::same_length_and_capacity)] // the layout is of f64, and of no more than n
fn zeroed(n: usize) -> Result<Vec<f64>, NoMemory> {
    let none = NoMemory { bytes: n.saturating_mul(size_of::<f64>()) };
    let layout = Layout::array::<f64>(n).map_err(|_| none)?;
    let alarm = Alarm::set();
    // SAFETY: `n` is at least LINE, so the size of the layout is not 0.
    let data = unsafe { alloc_zeroed(layout) }.cast::<f64>();
    if data.is_null() {
        return Err(none);
    }
    // SAFETY: the allocation is `n` zeros, with the layout that a Vec has.
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

/// An element of at most eight bytes, any of which are a value of it.
pub trait Word: Element + Copy {}

impl Word for f64 {}
impl Word for f32 {}
impl Word for i64 {}

/// A new array that nobody else has access to yet. Its elements have arbitrary values until the caller's kernel
/// overwrites all of them.
pub struct Fresh<'py, T: Word = f64> {
    array: Bound<'py, PyArray1<T>>,
    data: *mut T,
    n: usize,
}

impl<'py, T: Word> Fresh<'py, T> {
    /// An array of `n` elements.
    pub fn new(py: Python<'py>, n: usize) -> PyResult<Self> {
        let mut elements = take(n.div_ceil(size_of::<f64>() / size_of::<T>())).map_err(no_memory)?;
        let offset = elements.as_ptr().align_offset(LINE * size_of::<f64>()).min(LINE);
        let data = elements[offset..].as_mut_ptr().cast();
        let memory = Bound::new(py, ResultMemory(elements))?.into_any();
        // SAFETY: `data` points to initialised words, as many as `n` elements fill, which `memory` keeps where they are.
        let array = unsafe { array(py, n, data, Some(memory)) }?;
        Ok(Fresh { array, data, n })
    }

    /// The elements, for writing.
    pub fn elements(&mut self) -> &mut [T] {
        // SAFETY: as above; the array keeps the memory alive, and nobody else has it while `self` is borrowed.
        unsafe { from_raw_parts_mut(self.data, self.n) }
    }

    /// The memory as `n` elements of another type, of which it must have room for at least as many bytes.
    pub fn floats<F: Listed>(&mut self, n: usize) -> &mut [F] {
        assert!(n.saturating_mul(size_of::<F>()) <= self.n * size_of::<T>());
        // SAFETY: the memory is large enough by the line above, aligned to a cache line, and initialised; every pattern of
        // bits is a value of a listed type; nobody else has it while `self` is borrowed.
        unsafe { from_raw_parts_mut(self.data.cast(), n) }
    }

    /// The array, to be returned to Python.
    pub fn array(self) -> Bound<'py, PyArray1<T>> {
        self.array
    }
}

/// An array of values that were computed elsewhere. It takes over their memory, without a copy.
pub fn given(py: Python<'_>, mut values: Vec<f64>) -> PyResult<Bound<'_, PyArray1<f64>>> {
    let (n, data) = (values.len(), values.as_mut_ptr());
    let memory = Bound::new(py, ResultMemory(values))?.into_any();
    // SAFETY: `data` points to `n` elements, which `memory` keeps where they are.
    unsafe { array(py, n, data, Some(memory)) }
}

/// An array of values of any type, copied to memory that NumPy allocates.
pub fn copied<'py, T: Element + Copy>(py: Python<'py>, values: &[T]) -> PyResult<Bound<'py, PyArray1<T>>> {
    // SAFETY: where `data` is null, NumPy allocates memory for the elements.
    let array = unsafe { array(py, values.len(), null_mut::<T>(), None) }?;
    // SAFETY: the array is new: nobody else reads or writes its `n` elements.
    unsafe { copy_nonoverlapping(values.as_ptr(), (*array.as_array_ptr()).fields.data.cast(), values.len()) };
    Ok(array)
}

/// An array of `n` elements at `data`, which `memory` owns. (The functions of the numpy crate do not check whether
/// NumPy had memory for the array object itself.)
unsafe fn array<'py, T: Element>(
    py: Python<'py>,
    n: usize,
    data: *mut T,
    memory: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let mut shape = n.cast_signed();
    let descr = T::get_dtype(py).into_dtype_ptr();
    // SAFETY: the shape is one axis of `n` elements; NumPy takes the reference to the element type.
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
    // SAFETY: the call returns a new reference, or null with an exception set.
    let array = unsafe { Bound::from_owned_ptr_or_err(py, array) }?;
    // SAFETY: the array was made with this element type and one axis.
    let array: Bound<'py, PyArray1<T>> = unsafe { array.cast_into_unchecked() };
    if let Some(memory) = memory {
        // SAFETY: the array is new and has no base; the call takes the reference even where it fails.
        let set = unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_array_ptr(), memory.into_ptr()) };
        if set < 0 {
            return Err(PyErr::fetch(py));
        }
    }
    Ok(array)
}
