//! Calling Python from the middle of a kernel's call.
//!
//! While an interpreter before 3.14 ends, a daemon thread that runs Python code is made to exit where it stands
//! (`pthread_exit`), which unwinds its stack: destructors would then give back objects and the interpreter without having
//! it, and the process aborts. So the frame next to Python sleeps for ever instead, as Python 3.14 does of itself and as
//! pyo3 does wherever a thread attaches.
#![allow(unsafe_code)] // a call that may unwind, which pyo3's own declaration rules out

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// `callback(*arguments)`.
#[cfg(unix)]
pub fn call_back(callback: &Bound<'_, PyAny>, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    use pyo3::ffi::PyObject;
    unsafe extern "C-unwind" {
        fn PyObject_CallObject(callable: *mut PyObject, args: *mut PyObject) -> *mut PyObject;
    }
    struct Stay;
    impl Drop for Stay {
        fn drop(&mut self) {
            loop {
                std::thread::park();
            }
        }
    }
    let stay = Stay;
    // SAFETY: both are objects that outlive the call, the second a tuple, and `Bound` says that this thread is attached.
    let result = unsafe { PyObject_CallObject(callback.as_ptr(), arguments.as_ptr()) };
    std::mem::forget(stay);
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(callback.py(), result) }.map(|_| ())
}

/// `callback(*arguments)`.
#[cfg(not(unix))]
pub fn call_back(callback: &Bound<'_, PyAny>, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    callback.call1(arguments).map(|_| ())
}
