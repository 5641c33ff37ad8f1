//! Conversions of results to Python objects that return an error where there is no memory for the object.
//!
//! pyo3's own conversions assume that Python's constructors succeed, and panic where they do not. These return the
//! `MemoryError` that Python has set.
#![allow(unsafe_code)] // new references from Python's own constructors

use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::convert::Infallible;

/// A result of a function: numbers, texts and objects, in tuples and lists.
pub struct Give<T>(pub T);

/// A result, or an exception.
pub type Given<T> = PyResult<Give<T>>;

impl<'py, T: ToPython<'py>> IntoPyObject<'py> for Give<T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;
    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        self.0.to_python(py)
    }
}

/// A value that may become a Python object.
pub trait ToPython<'py> {
    /// The object, or Python's exception.
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
}

/// The object that a constructor returns, or the exception that it has set where it returns null.
fn made(py: Python<'_>, new: impl FnOnce() -> *mut ffi::PyObject) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: every caller passes one call of a constructor that returns a new reference, or null with an exception
    // set; `py` says that this thread is attached.
    unsafe { Bound::from_owned_ptr_or_err(py, new()) }
}

macro_rules! numbers {
    ($($t:ty => $constructor:ident;)*) => {$(
        impl<'py> ToPython<'py> for $t {
            fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                // SAFETY: the thread is attached; the argument is a number.
                made(py, || unsafe { ffi::$constructor(self) })
            }
        }
    )*};
}
numbers! {
    f64 => PyFloat_FromDouble;
    u64 => PyLong_FromUnsignedLongLong;
    i64 => PyLong_FromLongLong;
    usize => PyLong_FromSize_t;
}

impl<'py> ToPython<'py> for i32 {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        i64::from(self).to_python(py)
    }
}

impl<'py> ToPython<'py> for i128 {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let high = ((self >> 64) as i64).to_python(py)?.lshift(64i64.to_python(py)?)?;
        high.bitor((self as u64).to_python(py)?)
    }
}

impl<'py> ToPython<'py> for bool {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Ok(only) = self.into_pyobject(py).map_err(|never: Infallible| match never {});
        Ok(only.to_owned().into_any())
    }
}

impl<'py> ToPython<'py> for &str {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the thread is attached; the text is UTF-8, of the length that is passed.
        made(py, || unsafe {
            ffi::PyUnicode_FromStringAndSize(self.as_ptr().cast(), self.len().cast_signed())
        })
    }
}

impl<'py, T> ToPython<'py> for Bound<'py, T> {
    fn to_python(self, _: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.into_any())
    }
}

impl<'py, T> ToPython<'py> for Py<T> {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.into_bound(py).into_any())
    }
}

impl<'py, T: ToPython<'py>> ToPython<'py> for Option<T> {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.map_or_else(|| Ok(py.None().into_bound(py)), |value| value.to_python(py))
    }
}

impl<'py, T: ToPython<'py>, const N: usize> ToPython<'py> for [T; N] {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the thread is attached.
        let tuple = made(py, || unsafe { ffi::PyTuple_New(N.cast_signed()) })?;
        for (place, value) in (0..).zip(self) {
            let value = value.to_python(py)?.into_ptr();
            // SAFETY: the tuple is new and nobody else has it; the place is inside it and empty; the call takes the
            // reference.
            unsafe { ffi::PyTuple_SetItem(tuple.as_ptr(), place, value) };
        }
        Ok(tuple)
    }
}

impl<'py, A: ToPython<'py>, B: ToPython<'py>> ToPython<'py> for (A, B) {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        [self.0.to_python(py)?, self.1.to_python(py)?].to_python(py)
    }
}

impl<'py, T: ToPython<'py>> ToPython<'py> for Vec<T> {
    fn to_python(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the thread is attached.
        let list = made(py, || unsafe { ffi::PyList_New(self.len().cast_signed()) })?;
        for (place, value) in (0..).zip(self) {
            let value = value.to_python(py)?.into_ptr();
            // SAFETY: the list is new and nobody else has it; the place is inside it and empty; the call takes the
            // reference.
            unsafe { ffi::PyList_SetItem(list.as_ptr(), place, value) };
        }
        Ok(list)
    }
}

/// A tuple of any number of objects.
pub fn tuple<'py>(py: Python<'py>, objects: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyTuple>> {
    let list = objects.to_python(py)?;
    // SAFETY: the list is an object, and the thread is attached.
    Ok(made(py, || unsafe { ffi::PyList_AsTuple(list.as_ptr()) })?.cast_into()?)
}

/// A result of several parts: a dictionary that has a name for each part.
pub type Record<'py> = PyResult<Bound<'py, PyDict>>;

/// Makes a [`Record`], with fields written as those of a struct: `record!(py, { value, low: interval.low })`. Results
/// of three parts or more are never tuples: who reads a part of a tuple by its position may read the wrong one, and no
/// type checker notices.
macro_rules! record {
    ($py:expr, { $($name:ident $(: $value:expr)?),+ $(,)? }) => {
        $crate::give::dict($py, [$((
            stringify!($name),
            $crate::give::ToPython::to_python($crate::give::record!(@ $name $($value)?), $py)?,
        )),+])
    };
    (@ $name:ident) => { $name };
    (@ $name:ident $value:expr) => { $value };
}
pub(crate) use record;

/// A dictionary of named values.
pub fn dict<'py, const N: usize>(py: Python<'py>, items: [(&str, Bound<'py, PyAny>); N]) -> Record<'py> {
    // SAFETY: the thread is attached.
    let dict = made(py, || unsafe { ffi::PyDict_New() })?.cast_into::<PyDict>()?;
    for (name, value) in items {
        dict.set_item(name.to_python(py)?, value)?;
    }
    Ok(dict)
}

/// A Python bytes object with this data.
pub fn bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, data.len(), |bytes| {
        bytes.copy_from_slice(data);
        Ok(())
    })
}

/// An exception with a message. The Python object is created at once; pyo3 would create it later, where a lack of
/// memory for it cannot be caught.
fn saying<T: PyTypeInfo>(sentence: &str) -> PyErr {
    Python::attach(|py| match sentence.to_python(py) {
        Ok(sentence) => PyErr::new::<T, _>(sentence.unbind()),
        Err(error) => error,
    })
}

/// A `MemoryError`.
pub fn memory_error(sentence: &str) -> PyErr {
    saying::<PyMemoryError>(sentence)
}

/// A `ValueError`.
pub fn value_error(sentence: impl AsRef<str>) -> PyErr {
    saying::<PyValueError>(sentence.as_ref())
}

/// A `TypeError`.
pub fn type_error(sentence: impl AsRef<str>) -> PyErr {
    saying::<PyTypeError>(sentence.as_ref())
}

/// A `RuntimeError`.
pub fn runtime_error(sentence: impl AsRef<str>) -> PyErr {
    saying::<PyRuntimeError>(sentence.as_ref())
}
