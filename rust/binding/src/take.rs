//! What is taken from Python, where there may be no memory for it.

use crate::call::no_memory;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use steelyard_kernels::memory::{self, Alarm};

/// A list of things. (`Vec` ends the process where it cannot grow.)
pub struct Listed<T>(pub Vec<T>);

impl<'py, T: FromPyObjectOwned<'py>> FromPyObject<'_, 'py> for Listed<T> {
    type Error = PyErr;
    fn extract(list: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let alarm = Alarm::set();
        let mut items = memory::with_capacity(list.len()?).map_err(no_memory)?;
        for item in list.try_iter()? {
            memory::push(&mut items, item?.extract().map_err(Into::into)?).map_err(no_memory)?;
            alarm.check().map_err(no_memory)?;
        }
        Ok(Listed(items))
    }
}
