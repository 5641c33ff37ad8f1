//! The binding of optim: gradient norms, clipping, schedules, and AdamW. Each function checks all arrays first and then
//! makes one call of a kernel for all of them.

mod clip;
mod compute;
mod detail;
mod gate;
mod gathered;
mod hypers;
mod kept;
mod norm;
mod options;
mod plan;
mod policy;
mod schedule;
mod stored;
mod tensor_plan;

use crate::arrays::blocks::is_plain;
use crate::call::no_memory;
use crate::callback::{call_back, call_with};
use crate::give;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::memory;

pub use clip::{clamp_in_place, clip_each_in_place, clip_in_place, clip_units_in_place};
pub use norm::{GlobalNormTotals, global_norms, sum_of_squares};
pub use options::check_eps;
pub use plan::OptimizerPlan;
pub use policy::ClipPolicy;
pub use schedule::schedule_rates;
pub use stored::{blocks8_map, blocks8_signed, from_blocks8, round_at_random, to_blocks8};
pub use tensor_plan::TensorPlan;

/// A function that tells torch which tensors were written, with its arguments. They are prepared before anything is
/// written, so that afterwards no allocation can fail.
struct Tell {
    function: Py<PyAny>,
    arguments: Py<PyTuple>,
}

impl Tell {
    /// Takes a function and the tensors that are its argument; `None` where there are none.
    fn of(py: Python<'_>, given: Option<(Py<PyAny>, Py<PyAny>)>) -> PyResult<Option<Tell>> {
        let Some((function, tensors)) = given else { return Ok(None) };
        let mut arguments = memory::with_capacity(1).map_err(no_memory)?;
        arguments.push(tensors.into_bound(py));
        Ok(Some(Tell { function, arguments: give::tuple(py, arguments)?.unbind() }))
    }

    /// Calls the function. A signal handler may raise an exception in the middle of it. So that the remaining tensors
    /// are not missed, the call is then made once more, and the exception is raised after it.
    fn written(&self, py: Python<'_>) -> PyResult<()> {
        let call = || call_back(self.function.bind(py), self.arguments.bind(py), None);
        let first = call();
        if first.is_err() {
            call()?;
        }
        first.map(|_| ())
    }
}

/// The values, where each one that the core cannot read directly is replaced by what `convert(index)` returns.
///
/// This runs Python code, which may change any array, so arrays must be checked after it and not before.
#[pyfunction]
pub fn convert_unreadable<'py>(
    values: Bound<'py, PyTuple>,
    convert: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    if values.iter_borrowed().all(|value| is_plain(&value)) {
        return Ok(values);
    }
    let array = |(index, value)| if is_plain(&value) { Ok(value) } else { call_with(convert, index) };
    let mut arrays = memory::with_capacity(values.len()).map_err(no_memory)?;
    for item in values.iter().enumerate() {
        arrays.push(array(item)?);
    }
    give::tuple(values.py(), arrays)
}

/// The items of a tuple. Unlike [`listed`](crate::take::listed) it does not need an iterator of Python's.
fn items(tuple: &Bound<'_, PyTuple>) -> PyResult<Vec<Py<PyAny>>> {
    memory::collected(tuple.iter_borrowed().map(|item| item.to_owned().unbind())).map_err(no_memory)
}

fn name(names: &[String], index: usize) -> String {
    names.get(index).cloned().unwrap_or_else(|| format!("arrays[{index}]"))
}
