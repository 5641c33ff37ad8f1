//! Calling Python code from the core.
//!
//! While an interpreter before 3.14 ends, it stops a daemon thread that runs Python code by `pthread_exit`, which
//! unwinds the thread's stack. Destructors in Rust frames would then release objects and the interpreter without being
//! attached, and the process would abort. So the frame that called Python sleeps for ever instead of being unwound.
//! Python 3.14 does this by itself, and pyo3 does it wherever a thread attaches.
#![allow(unsafe_code)] // a call that may unwind, which pyo3's own declaration rules out

use crate::give::ToPython;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Calls `function(*arguments, **keywords)`.
#[cfg(unix)]
pub fn call_back<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    use pyo3::ffi::PyObject;
    unsafe extern "C-unwind" {
        fn PyObject_Call(
            callable: *mut PyObject,
            args: *mut PyObject,
            kwargs: *mut PyObject,
        ) -> *mut PyObject;
    }
    struct Stay;
    impl Drop for Stay {
        fn drop(&mut self) {
            loop {
                std::thread::park();
            }
        }
    }
    let keywords = keywords.map_or(std::ptr::null_mut(), Bound::as_ptr);
    let stay = Stay;
    // SAFETY: the objects outlive the call; the arguments are a tuple, the keywords a dictionary or null; and `Bound`
    // shows that this thread is attached.
    let result = unsafe { PyObject_Call(function.as_ptr(), arguments.as_ptr(), keywords) };
    std::mem::forget(stay);
    // SAFETY: the call returns a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), result) }
}

/// Calls `function(*arguments, **keywords)`.
#[cfg(not(unix))]
pub fn call_back<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    function.call(arguments, keywords)
}

/// Calls `function(index)`.
pub fn call_with<'py>(function: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyAny>> {
    call_back(function, &[index].to_python(function.py())?.cast_into()?, None)
}
