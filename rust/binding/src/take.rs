//! Conversions of arguments from Python that return an error where there is no memory for the result.

use crate::call::no_memory;
use crate::give::value_error;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use steelyard_kernels::memory::{self, Alarm};
use steelyard_kernels::named::Named;

/// The variant with that name.
pub fn named<T: Named>(name: &str) -> PyResult<T> {
    T::from_name(name).map_err(|unknown| value_error(unknown.to_string()))
}

/// The items of a list. A `Vec` as the type of an argument would end the process where it cannot grow, and pyo3 would
/// panic where it has no memory for the message that names the argument.
pub fn listed<'py, T: FromPyObjectOwned<'py>>(list: &Bound<'py, PyAny>) -> PyResult<Vec<T>> {
    let alarm = Alarm::set();
    let mut items = memory::with_capacity(list.len()?).map_err(no_memory)?;
    for item in list.try_iter()? {
        memory::push(&mut items, item?.extract().map_err(Into::into)?).map_err(no_memory)?;
        alarm.check().map_err(no_memory)?;
    }
    Ok(items)
}
