//! The binding of schedules: their description as Python gives it, and their rates.

use crate::arrays::{Fresh, slice};
use crate::call::call;
use crate::take::{listed, named};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyString;
use steelyard_kernels::optim::Schedule;

/// What describes a schedule, beside its name and its highest rate.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Description<'py> {
    numbers: Bound<'py, PyAny>,
    start: Option<f64>,
    warmup: Bound<'py, PyString>,
    offset: f64,
    cooldown: Bound<'py, PyString>,
    interpolate: Bound<'py, PyString>,
    at: Bound<'py, PyAny>,
    values: Bound<'py, PyAny>,
}

/// The rate at each of `steps` (uint64), which are the numbers of updates already made.
///
/// `description` has the parameters of the shape in the order of its row, `numbers`, and the other fields of
/// [`Schedule`]; `at` and `values` are as long as each other where the shape goes through points.
#[pyfunction]
#[pyo3(signature = (steps, *, shape, peak, description))]
pub fn schedule_rates<'py>(
    py: Python<'py>,
    steps: &Bound<'_, PyAny>,
    shape: &str,
    peak: f64,
    description: Description<'_>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let decay = named(shape)?;
    let (rise, cooldown) = (named(description.warmup.to_str()?)?, named(description.cooldown.to_str()?)?);
    let interpolate = named(description.interpolate.to_str()?)?;
    let (numbers, at, values) =
        (listed(&description.numbers)?, listed(&description.at)?, listed(&description.values)?);
    let steps: &[u64] = slice(steps, "steps")?;
    let schedule = Schedule {
        decay,
        peak,
        numbers: &numbers,
        start: description.start,
        rise,
        offset: description.offset,
        cooldown,
        interpolate,
        at: &at,
        values: &values,
    };
    let mut rates = Fresh::new(py, steps.len())?;
    let elements = rates.elements();
    call(py, None, steps.len(), |progress| schedule.rates_into(steps, elements, progress))?;
    Ok(rates.array())
}
