//! Clipping in place. All arrays are checked and measured before anything is written, and checked again before it.

use super::norm::{counted, measured, nonfinite, order_of};
use super::{Tell, items};
use crate::arrays::blocks::Reads;
use crate::arrays::written::Written;
use crate::call::{call, call_quick, no_memory};
use crate::callback::call_with;
use crate::give::{Record, ToPython, record, value_error};
use crate::take::listed;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::dtype::TypedSlice;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::memory::{self, NoMemory};
use steelyard_kernels::optim::{
    self, Adaptive, Clip, NonFinite, Norm, Order, TorchNorm, TypedSliceMut, UnitShape,
};

/// The arrays of a call that clips.
///
/// `given` are the arrays as the caller has them; `name(index)` returns what a message calls an array; `tell` is a pair
/// of a function and the tensors that it is called with once arrays have been written.
struct Edit<'a, 'py> {
    written: Written,
    name: &'a Bound<'py, PyAny>,
    tell: Option<Tell>,
}

impl<'a, 'py> Edit<'a, 'py> {
    fn new(
        given: &Bound<'py, PyTuple>,
        arrays: &Bound<'py, PyTuple>,
        name: &'a Bound<'py, PyAny>,
        tell: Option<(Py<PyAny>, Py<PyAny>)>,
    ) -> PyResult<Self> {
        let py = given.py();
        // Where nothing was converted both are the same tuple, and there is no tensor whose memory could have moved.
        let given = if given.is(arrays) { Vec::new() } else { items(given)? };
        let arrays = items(arrays)?;
        let tell = Tell::of(py, tell)?;
        let written = Written::new(py, arrays, &given, |index| called(name, index))?;
        Ok(Edit { written, name, tell })
    }

    /// What `measure` finds out about the arrays.
    fn look<R: Send>(
        &self,
        py: Python<'py>,
        measure: impl FnOnce(&[TypedSlice<'_>], Progress<'_>) -> Result<R, Stopped> + Send,
    ) -> PyResult<R> {
        let reads = self.written.reads()?;
        call(py, None, reads.len(), move |progress| measure(&reads, progress))
    }

    /// Checks all arrays again, and lets `write` change them.
    fn write<R: Send>(
        mut self,
        py: Python<'py>,
        write: impl FnOnce(Vec<TypedSliceMut<'_>>) -> Result<R, NoMemory> + Send,
    ) -> PyResult<R> {
        let name = self.name;
        let slices = self.written.slices(py, |index| called(name, index))?;
        let result = call_quick(py, move || write(slices))?;
        self.tell.map_or(Ok(()), |tell| tell.written(py))?;
        Ok(result)
    }
}

/// What a message calls an array. This calls Python code. It is only called for an error message, after which nothing
/// is written.
fn called(name: &Bound<'_, PyAny>, index: usize) -> String {
    let asked = call_with(name, index).and_then(|name| name.extract::<String>());
    asked.unwrap_or_else(|_| format!("arrays[{index}]"))
}

/// Whether arrays may be written although these elements are not finite.
fn goes_on(bad: Option<NonFinite>, stop_nonfinite: bool) -> bool {
    bad.is_none() || !stop_nonfinite
}

/// The `shapes` of arrays each of which is one unit.
fn whole(arrays: &[TypedSlice<'_>]) -> Result<Vec<UnitShape>, NoMemory> {
    let shape = |array: &TypedSlice<'_>| UnitShape { rows: 1, columns: array.len(), by_column: false };
    memory::collected(arrays.iter().map(shape))
}

/// Scales arrays in place to a global norm of at most `max_norm`. Returns the `norm` before, the number of elements that
/// were not finite, `nonfinite`, and `first`, the index of the first array that had such an element, with the
/// `element`'s index there. With `stop_nonfinite` the arrays are left unchanged where any element is not finite.
///
/// Where `norm` is given, it is taken for the norm, and the elements are not looked at. With `torch` the norm, which is of
/// order 2, and the factor are those of torch.
#[pyfunction]
#[pyo3(signature = (*, given, arrays, name, max_norm, norm_type, norm, stop_nonfinite, torch=false, tell=None))]
#[allow(clippy::too_many_arguments)] // one call, spelled out in the Python face
pub fn clip_in_place<'py>(
    py: Python<'py>,
    given: &Bound<'py, PyTuple>,
    arrays: &Bound<'py, PyTuple>,
    name: &Bound<'py, PyAny>,
    max_norm: f64,
    norm_type: f64,
    norm: Option<f64>,
    stop_nonfinite: bool,
    torch: bool,
    tell: Option<(Py<PyAny>, Py<PyAny>)>,
) -> Record<'py> {
    let order = order_of(norm_type)?;
    let edit = Edit::new(given, arrays, name, tell)?;
    let clipped = |norm| Clip::to(Some(max_norm), norm);
    let (norm, clip, bad) = match norm.map(Norm::of) {
        Some(norm) => (norm, clipped(norm), None),
        None if torch => edit.look(py, move |arrays, progress| {
            let norm = TorchNorm::of(arrays)?;
            let bad = nonfinite(arrays, norm.value.is_finite(), progress)?;
            Ok((Norm::of(norm.value), norm.clip(Some(max_norm)), bad))
        })?,
        None => edit.look(py, move |arrays, progress| {
            let (norms, bad) = measured(order, arrays, progress)?;
            Ok((norms.total, clipped(norms.total), bad))
        })?,
    };
    if clip != Clip::NONE && goes_on(bad, stop_nonfinite) {
        edit.write(py, move |arrays| optim::scale_in_place(arrays, clip))?;
    }
    let (nonfinite, first) = counted(bad);
    let element = bad.map(|found| found.element);
    record!(py, { norm: norm.value(), nonfinite, first, element })
}

/// Scales each array in place to a norm of at most `max_norm`. Returns how many were `clipped`, and what is not finite,
/// as `clip_in_place` does.
#[pyfunction]
#[pyo3(signature = (*, given, arrays, name, max_norm, norm_type, stop_nonfinite, tell=None))]
#[allow(clippy::too_many_arguments)] // one call, spelled out in the Python face
pub fn clip_each_in_place<'py>(
    py: Python<'py>,
    given: &Bound<'py, PyTuple>,
    arrays: &Bound<'py, PyTuple>,
    name: &Bound<'py, PyAny>,
    max_norm: f64,
    norm_type: f64,
    stop_nonfinite: bool,
    tell: Option<(Py<PyAny>, Py<PyAny>)>,
) -> Record<'py> {
    let order = order_of(norm_type)?;
    let edit = Edit::new(given, arrays, name, tell)?;
    let found = edit.look(py, move |arrays, progress| {
        let (norms, bad) = measured(order, arrays, progress)?;
        // An array without elements has no unit.
        let some = arrays.iter().zip(&norms.each).filter(|(array, _)| array.len() > 0);
        let clips = memory::gathered(some.map(|(_, norm)| Clip::to(Some(max_norm), *norm)))?;
        Ok((whole(arrays)?, clips, bad))
    })?;
    scaled_units(py, edit, found, stop_nonfinite)
}

/// Clips each unit of the gradients in place to `clip_factor` times the norm of the same unit of the parameter, which
/// counts as at least `eps`. `shapes` says of each array how many rows and columns it has as a matrix, and whether its
/// units are the columns; `params` are the parameters, of as many elements each. Returns what
/// `clip_each_in_place` does; with `of_params`, what is not finite is in the parameters.
#[pyfunction]
#[pyo3(signature = (*, given, arrays, params, shapes, name, clip_factor, eps, stop_nonfinite, tell=None))]
#[allow(clippy::too_many_arguments)] // one call, spelled out in the Python face
pub fn clip_units_in_place<'py>(
    py: Python<'py>,
    given: &Bound<'py, PyTuple>,
    arrays: &Bound<'py, PyTuple>,
    params: Bound<'py, PyTuple>,
    shapes: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    clip_factor: f64,
    eps: f64,
    stop_nonfinite: bool,
    tell: Option<(Py<PyAny>, Py<PyAny>)>,
) -> Record<'py> {
    let shapes: Vec<(usize, usize, bool)> = listed(shapes)?;
    let shape = |&(rows, columns, by_column): &_| UnitShape { rows, columns, by_column };
    let shapes = memory::collected(shapes.iter().map(shape)).map_err(no_memory)?;
    let edit = Edit::new(given, arrays, name, tell)?;
    let reads = Reads::new(params, |index| format!("params[{index}]"))?;
    let params = reads.slices()?;
    let fits = |arrays: &[TypedSlice<'_>]| {
        let full = |(array, shape): (&TypedSlice<'_>, &UnitShape)| array.len() == shape.rows * shape.columns;
        arrays.len() == shapes.len() && arrays.iter().zip(&shapes).all(full)
    };
    if !fits(&edit.written.reads()?) || !fits(&params) {
        return Err(value_error("shapes: expected one for each array and parameter, of as many elements"));
    }
    let (found, of_params) = edit.look(py, move |arrays, progress| {
        let clips = Adaptive { clip_factor, eps }.clips(arrays, &params, &shapes, &mut *progress)?;
        let of_grads = nonfinite(arrays, clips.grads_finite, &mut *progress)?;
        let of_params = nonfinite(&params, clips.params_finite, progress)?;
        Ok(((shapes, clips.each, of_grads.or(of_params)), of_grads.is_none() && of_params.is_some()))
    })?;
    let record = scaled_units(py, edit, found, stop_nonfinite)?;
    record.set_item("of_params".to_python(py)?, of_params.to_python(py)?)?;
    Ok(record)
}

/// Multiplies units by their factors, unless elements that are not finite forbid it.
fn scaled_units<'py>(
    py: Python<'py>,
    edit: Edit<'_, 'py>,
    (shapes, clips, bad): (Vec<UnitShape>, Vec<Clip>, Option<NonFinite>),
    stop_nonfinite: bool,
) -> Record<'py> {
    let writes = goes_on(bad, stop_nonfinite);
    let clipped = if writes { clips.iter().filter(|clip| **clip != Clip::NONE).count() } else { 0 };
    if clipped > 0 {
        edit.write(py, move |arrays| optim::scale_units(arrays, &shapes, &clips))?;
    }
    let (nonfinite, first) = counted(bad);
    let element = bad.map(|found| found.element);
    record!(py, { clipped, nonfinite, first, element })
}

/// Moves elements whose magnitude is above `limit` to `limit`, with their sign. Returns what `clip_each_in_place` does.
#[pyfunction]
#[pyo3(signature = (*, given, arrays, name, limit, stop_nonfinite, tell=None))]
pub fn clamp_in_place<'py>(
    py: Python<'py>,
    given: &Bound<'py, PyTuple>,
    arrays: &Bound<'py, PyTuple>,
    name: &Bound<'py, PyAny>,
    limit: f64,
    stop_nonfinite: bool,
    tell: Option<(Py<PyAny>, Py<PyAny>)>,
) -> Record<'py> {
    let edit = Edit::new(given, arrays, name, tell)?;
    let (largest, bad) = edit.look(py, |arrays, progress| {
        let (norms, bad) = measured(Order::Infinity, arrays, progress)?;
        Ok((norms.total.value(), bad))
    })?;
    // A NaN hides how large the others are.
    let writes = (largest > limit || largest.is_nan()) && goes_on(bad, stop_nonfinite);
    let clipped =
        if writes { edit.write(py, move |arrays| optim::clamp_in_place(arrays, limit))? } else { 0 };
    let (nonfinite, first) = counted(bad);
    let element = bad.map(|found| found.element);
    record!(py, { clipped, nonfinite, first, element })
}
