//! Norms of gradients, and the state that adds them up.

use crate::arrays::Fresh;
use crate::arrays::blocks::Reads;
use crate::call::{call, no_memory};
use crate::give::{Give, Record, record, value_error};
use crate::state_class;
use crate::take::listed;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::dtype::TypedSlice;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::memory;
use steelyard_kernels::optim::{self, NonFinite, NormTotals, Norms, Order, Scaled, TooLarge};

/// Counts the elements of gradients that are not finite. It looks for them only where the norm is not `finite`.
pub fn nonfinite(
    gradients: &[TypedSlice<'_>],
    finite: bool,
    progress: Progress<'_>,
) -> Result<Option<NonFinite>, Stopped> {
    if finite { Ok(None) } else { optim::count_nonfinite(gradients, progress) }
}

/// The norms of an order, and the elements that are not finite where there are some.
pub fn measured(
    order: Order,
    arrays: &[TypedSlice<'_>],
    progress: Progress<'_>,
) -> Result<(Norms, Option<NonFinite>), Stopped> {
    let norms = optim::norms(order, arrays, &mut *progress)?;
    let bad = nonfinite(arrays, norms.total.is_finite(), progress)?;
    Ok((norms, bad))
}

/// The number of elements that are not finite, and the index of the first array that has one.
pub fn counted(bad: Option<NonFinite>) -> (usize, Option<usize>) {
    bad.map_or((0, None), |found| (found.count, Some(found.array)))
}

/// The order of a norm. The Python face has refused others already, with a better sentence.
pub fn order_of(p: f64) -> PyResult<Order> {
    Order::of(p).ok_or_else(|| value_error(format!("norm_type: expected a number above 0; got {p}")))
}

/// The sum of squares of all elements, as `sum * 4^exponent`; the number of elements that are not finite, `nonfinite`;
/// and `first`, the index of the first array that has such an element, with the `element`'s index there.
#[pyfunction]
#[pyo3(signature = (arrays, *, progress=None))]
pub fn sum_of_squares<'py>(arrays: Bound<'py, PyTuple>, progress: Option<&Bound<'py, PyAny>>) -> Record<'py> {
    let py = arrays.py();
    let reads = Reads::new(arrays, |index| format!("arrays[{index}]"))?;
    let slices = reads.slices()?;
    let (scaled, bad) = call(py, progress, slices.len(), move |progress| {
        let scaled = optim::sum_of_squares(&slices, &mut *progress)?;
        Ok((scaled, nonfinite(&slices, scaled.is_finite(), progress)?))
    })?;
    let (nonfinite, first) = counted(bad);
    let element = bad.map(|found| found.element);
    record!(py, { sum: scaled.sum, exponent: scaled.exponent, nonfinite, first, element })
}

/// The `norm` of order `norm_type` of all elements of all arrays, and that of `each` array; and what is not finite, as
/// in `sum_of_squares`.
#[pyfunction]
#[pyo3(signature = (arrays, *, norm_type, progress=None))]
pub fn global_norms<'py>(
    arrays: Bound<'py, PyTuple>,
    norm_type: f64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let py = arrays.py();
    let order = order_of(norm_type)?;
    let reads = Reads::new(arrays, |index| format!("arrays[{index}]"))?;
    let slices = reads.slices()?;
    let mut each = Fresh::new(py, slices.len())?;
    let (norms, bad) = call(py, progress, slices.len(), move |progress| measured(order, &slices, progress))?;
    for (out, norm) in each.elements().iter_mut().zip(norms.each) {
        *out = norm.value();
    }
    let (nonfinite, first) = counted(bad);
    let element = bad.map(|found| found.element);
    record!(py, { norm: norms.total.value(), each: each.array(), nonfinite, first, element })
}

state_class!(
    /// The exact sum of sums of squares.
    GlobalNormTotals of NormTotals, refused by not_taken, {
    /// Adds `sum * 4^exponent`, as `sum_of_squares` returns it.
    fn add(&self, py: Python<'_>, sum: f64, exponent: i32) -> PyResult<()> {
        let term = Scaled { sum, exponent };
        self.0.change(py, |totals, _| Ok(totals.with(term)))?.map_err(|refused| beyond("grads", refused))
    }

    /// Adds the squares of arrays of which each is a matrix, stored row by row, with rows of a length: the sum of a
    /// row's squares is one float64 or, where the row is long, a few; these are added exactly. So arrays that are split
    /// between rows give the same bits as the whole. Where an element is not finite, nothing is added and False returned.
    fn add_rows(&self, py: Python<'_>, arrays: Bound<'_, PyTuple>, lengths: &Bound<'_, PyAny>) -> PyResult<bool> {
        let lengths: Vec<usize> = listed(lengths)?;
        let reads = Reads::new(arrays, |index| format!("arrays[{index}]"))?;
        let slices = reads.slices()?;
        if lengths.len() != slices.len() || lengths.contains(&0) {
            return Err(value_error("lengths: expected one per array, at least 1"));
        }
        let mut rows = Vec::new();
        for (slice, length) in slices.iter().zip(lengths) {
            memory::reserve(&mut rows, slice.len().div_ceil(length)).map_err(no_memory)?;
            let starts = (0..slice.len()).step_by(length);
            rows.extend(starts.map(|start| slice.part(start..slice.len().min(start.saturating_add(length)))));
        }
        let sums = call(py, None, rows.len(), move |progress| optim::sums_of_squares(&rows, progress))?;
        if !sums.iter().all(|sum| sum.is_finite()) {
            return Ok(false);
        }
        let added = self.0.change(py, |totals, _| Ok(totals.with_all(&sums)))?;
        added.map(|()| true).map_err(|refused| beyond("grads", refused))
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
