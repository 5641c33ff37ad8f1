//! Calling Python code from the core.
//!
//! While an interpreter before 3.14 ends, a daemon thread that runs Python code is made to exit where it stands
//! (`pthread_exit`), which unwinds its stack: destructors would then give back objects and the interpreter without having
//! it, and the process aborts. So the frame next to Python sleeps for ever instead, as Python 3.14 does of itself and as
//! pyo3 does wherever a thread attaches.
#![allow(unsafe_code)] // a call that may unwind, which pyo3's own declaration rules out

use crate::give::ToPython;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// `function(*arguments, **keywords)`.
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
    // SAFETY: objects that outlive the call, a tuple and a dictionary or null, and `Bound` says that this thread is
    // attached.
    let result = unsafe { PyObject_Call(function.as_ptr(), arguments.as_ptr(), keywords) };
    std::mem::forget(stay);
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), result) }
}

/// `function(*arguments, **keywords)`.
#[cfg(not(unix))]
pub fn call_back<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    function.call(arguments, keywords)
}

/// `function(index)`.
pub fn call_with<'py>(function: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyAny>> {
    call_back(function, &[index].to_python(function.py())?.cast_into()?, None)
}
