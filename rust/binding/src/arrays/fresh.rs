//! Arrays for results, in memory that earlier results have left.
//!
//! The operating system gives memory page by page, zeroed, when it is first touched. For a result of megabytes
//! that costs more than the arithmetic that fills it (`docs/decisions/0005-result-memory.md`), and every call
//! would pay it again. So the memory of a large result that Python has dropped waits here for the next result.

use numpy::PyArray1;
use numpy::ndarray::ArrayView1;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::alloc::{Layout, alloc_zeroed};
use std::slice::from_raw_parts_mut;
use std::sync::Mutex;

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
fn take(n: usize) -> PyResult<Vec<f64>> {
    let n = n + LINE;
    if let Ok(mut spare) = SPARE.try_lock() {
        let fits = |elements: &Vec<f64>| (n..=2 * n).contains(&elements.len());
        let smallest = (0..spare.len()).filter(|&i| fits(&spare[i])).min_by_key(|&i| spare[i].len());
        if let Some(index) = smallest {
            return Ok(spare.remove(index));
        }
    }
    zeroed(n).ok_or_else(|| PyMemoryError::new_err(format!("no memory for a result of {} bytes", 8 * n)))
}

/// `vec![0.0; n]`, or None where there is no memory: the macro would end the process.
#[allow(clippy::cast_ptr_alignment, clippy::same_length_and_capacity)] // the layout is of f64, and of no more than n
fn zeroed(n: usize) -> Option<Vec<f64>> {
    let layout = Layout::array::<f64>(n).ok()?;
    // SAFETY: `n` is at least LINE, so the layout has a size; what is allocated is `n` zeros, in a Vec's own layout.
    unsafe {
        let data = alloc_zeroed(layout).cast::<f64>();
        (!data.is_null()).then(|| Vec::from_raw_parts(data, n, n))
    }
}

fn leave(elements: Vec<f64>) {
    if !(LARGE_BYTES..=KEPT_BYTES).contains(&bytes(&elements)) {
        return;
    }
    if let Ok(mut spare) = SPARE.try_lock() {
        spare.push(elements);
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
        let mut elements = take(n)?;
        let offset = elements.as_ptr().align_offset(LINE * size_of::<f64>()).min(LINE);
        let data = elements[offset..].as_mut_ptr();
        let memory = Bound::new(py, ResultMemory(elements))?.into_any();
        // SAFETY: `data` points to at least `n` initialised elements, which `memory` keeps where they are.
        let array = unsafe { PyArray1::borrow_from_array(&ArrayView1::from_shape_ptr(n, data), memory) };
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
