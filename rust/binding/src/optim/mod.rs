//! The binding of optim: gradient norms, clipping, schedules, and AdamW. Each function checks all arrays first and then
//! makes one call of a kernel for all of them.

mod gate;
mod plan;
mod tensor_plan;

use crate::arrays::blocks::{Reads, is_plain};
use crate::arrays::written::Written;
use crate::arrays::{Fresh, slice};
use crate::call::{call, call_quick, no_memory};
use crate::callback::{call_back, call_with};
use crate::give::{self, Give, Record, record, value_error};
use crate::state_class;
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::dtype::{Dtype, TypedSlice};
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::memory;
use steelyard_kernels::optim::{self, Clip, NonFinite, NormTotals, Scaled, Schedule, TooLarge};

pub use plan::{AdamWPlan, check_eps};
pub use tensor_plan::TensorPlan;

/// Counts the elements of gradients that are not finite. It looks for them only where the sum of squares is not finite.
fn nonfinite(
    gradients: &[TypedSlice<'_>],
    scaled: Scaled,
    progress: Progress<'_>,
) -> Result<Option<NonFinite>, Stopped> {
    if scaled.is_finite() { Ok(None) } else { optim::count_nonfinite(gradients, progress) }
}

/// The sum of squares, and the elements that are not finite where there are some.
fn measured(
    arrays: &[TypedSlice<'_>],
    progress: Progress<'_>,
) -> Result<(Scaled, Option<NonFinite>), Stopped> {
    let scaled = optim::sum_of_squares(arrays, &mut *progress)?;
    Ok((scaled, nonfinite(arrays, scaled, progress)?))
}

/// The number of elements that are not finite, and the index of the first array that has one.
fn counted(bad: Option<NonFinite>) -> (usize, Option<usize>) {
    bad.map_or((0, None), |found| (found.count, Some(found.array)))
}

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

/// The global norm of arrays: the sum of their squares, as `sum * 4^exponent`; its square root, `norm`; the number of
/// elements that are not finite, `nonfinite`; and `first`, the index of the first array that has such an element.
#[pyfunction]
#[pyo3(signature = (arrays, *, progress=None))]
pub fn sum_of_squares<'py>(arrays: Bound<'py, PyTuple>, progress: Option<&Bound<'py, PyAny>>) -> Record<'py> {
    let py = arrays.py();
    let reads = Reads::new(arrays, |index| format!("arrays[{index}]"))?;
    let slices = reads.slices()?;
    let (scaled, bad) = call(py, progress, slices.len(), move |progress| measured(&slices, progress))?;
    let (nonfinite, first) = counted(bad);
    record!(py, { sum: scaled.sum, exponent: scaled.exponent, norm: scaled.root(), nonfinite, first })
}

/// The items of a tuple. Unlike [`listed`](crate::take::listed) it does not need an iterator of Python's.
fn items(tuple: &Bound<'_, PyTuple>) -> PyResult<Vec<Py<PyAny>>> {
    memory::collected(tuple.iter_borrowed().map(|item| item.to_owned().unbind())).map_err(no_memory)
}

/// Scales arrays in place to a global norm of at most `max_norm`. Returns the `norm` before, the number of elements
/// that were not finite, `nonfinite`, and `first`, the index of the first array that had such an element. With
/// `stop_nonfinite` the arrays are left unchanged where any element is not finite.
///
/// `given` are the arrays as the caller has them; `name(index)` returns what a message calls an array; `tell` is a pair
/// of a function and the tensors that it is called with once arrays have been written.
#[pyfunction]
#[pyo3(signature = (*, given, arrays, name, max_norm, stop_nonfinite, tell=None))]
pub fn clip_in_place<'py>(
    py: Python<'py>,
    given: &Bound<'py, PyTuple>,
    arrays: &Bound<'py, PyTuple>,
    name: &Bound<'py, PyAny>,
    max_norm: f64,
    stop_nonfinite: bool,
    tell: Option<(Py<PyAny>, Py<PyAny>)>,
) -> Record<'py> {
    // Where nothing was converted both are the same tuple, and there is no tensor whose memory could have moved.
    let given = if given.is(arrays) { Vec::new() } else { items(given)? };
    let arrays = items(arrays)?;
    // This calls Python code. It is only called for an error message, after which nothing is written.
    let name = |index| {
        let asked = call_with(name, index).and_then(|name| name.extract::<String>());
        asked.unwrap_or_else(|_| format!("arrays[{index}]"))
    };
    let tell = Tell::of(py, tell)?;
    let mut written = Written::<Dtype>::new(py, arrays.len(), arrays, &given, name)?;
    let reads = written.reads()?;
    let (scaled, bad) = call(py, None, reads.len(), move |progress| measured(&reads, progress))?;
    let (nonfinite, first) = counted(bad);
    let clip = Clip::to(Some(max_norm), scaled);
    let writes = clip != Clip::NONE && (nonfinite == 0 || !stop_nonfinite);
    if writes {
        let slices = written.slices(py, name)?;
        call_quick(py, move || optim::scale_in_place(slices, clip))?;
        tell.map_or(Ok(()), |tell| tell.written(py))?;
    }
    record!(py, { norm: scaled.root(), nonfinite, first })
}

fn name(names: &[String], index: usize) -> String {
    names.get(index).cloned().unwrap_or_else(|| format!("arrays[{index}]"))
}

/// The learning rate at each of `steps` (uint64), which are the numbers of updates already made.
#[pyfunction]
#[pyo3(signature = (steps, *, shape, peak, end, start, warmup, total))]
#[allow(clippy::too_many_arguments)] // the formula's symbols
pub fn schedule_rates<'py>(
    py: Python<'py>,
    steps: &Bound<'_, PyAny>,
    shape: &str,
    peak: f64,
    end: f64,
    start: Option<f64>,
    warmup: u64,
    total: u64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let decay = named(shape)?;
    let steps: &[u64] = slice(steps, "steps")?;
    let schedule = Schedule { decay, peak, end, start, warmup, total };
    let mut rates = Fresh::new(py, steps.len())?;
    let elements = rates.elements();
    call(py, None, steps.len(), |progress| schedule.rates_into(steps, elements, progress))?;
    Ok(rates.array())
}

state_class!(
    /// The exact sum of sums of squares.
    GlobalNormTotals of NormTotals, refused by not_taken, {
    /// Adds `sum * 4^exponent`, as `sum_of_squares` returns it.
    fn add(&self, py: Python<'_>, sum: f64, exponent: i32) -> PyResult<()> {
        let term = Scaled { sum, exponent };
        self.0.change(py, |totals, _| Ok(totals.with(term)))?.map_err(|refused| beyond("grads", refused))
    }

    /// The square root of the sum, rounded to the nearest float64; infinite where it exceeds the range of float64.
    fn norm(&self) -> Give<f64> {
        Give(self.0.look(NormTotals::norm))
    }
});

/// The exception for another state that cannot be merged.
fn not_taken(refused: TooLarge) -> PyErr {
    beyond("other", refused)
}

fn beyond(argument: &str, TooLarge: TooLarge) -> PyErr {
    value_error(format!(
        "{argument}: expected squares that sum to less than 2**2112 in one state; got more with what was to be added"
    ))
}
