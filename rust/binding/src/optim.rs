//! The optimizer room: check every array, then one call for all of them.

use crate::arrays::blocks::{Reads, Written, is_plain};
use crate::arrays::{Fresh, slice};
use crate::call::{call, call_quick, no_memory, unreadable};
use crate::give;
use numpy::PyArray1;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::sync::{Mutex, TryLockError};
use steelyard_kernels::exact::bytes::{BytesError, Kind as StateKind, Reader, Writer};
use steelyard_kernels::grid::Stopped;
use steelyard_kernels::memory;
use steelyard_kernels::optim::{
    self, Decay, Hyper, Scaled, Schedule, Tensor, TypedSlice, TypedSliceMut, TypedTensor,
};

/// The arrays that an optimizer writes, by role: parameters first, then one list a moment.
const ROLES: [&str; 4] = ["params", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

/// What an AdamW step writes: parameters and their moments, checked once and held.
///
/// `paths` are the places of the arrays in the caller's tree (`["layers"][3]["w"]`), for messages.
#[pyclass(frozen, module = "steelyard._core")]
pub struct AdamWPlan {
    paths: Vec<String>,
    /// Locked while a step runs: two threads must not write the same arrays.
    written: Mutex<Written>,
}

/// What a step did: (`grad_norm`, `clip_factor`, non-finite count, index of the first array that has one, applied).
type StepOutcome = (Option<f64>, f64, usize, Option<usize>, bool);

#[pymethods]
impl AdamWPlan {
    #[new]
    #[pyo3(signature = (paths, params, exp_avg, exp_avg_sq, max_exp_avg_sq=None))]
    fn new(
        py: Python<'_>,
        paths: Vec<String>,
        params: Vec<Py<PyAny>>,
        exp_avg: Vec<Py<PyAny>>,
        exp_avg_sq: Vec<Py<PyAny>>,
        max_exp_avg_sq: Option<Vec<Py<PyAny>>>,
    ) -> PyResult<Self> {
        let rows = paths.len();
        let mut arrays = Vec::new();
        for role in [Some(params), Some(exp_avg), Some(exp_avg_sq), max_exp_avg_sq].into_iter().flatten() {
            if role.len() != rows {
                return Err(PyValueError::new_err("params: expected one array of each kind for every path"));
            }
            arrays.extend(role);
        }
        let written = Written::new(py, rows, arrays, |index| written_name(&paths, index))?;
        Ok(AdamWPlan { paths, written: Mutex::new(written) })
    }

    /// One update from `grads`, one array a path, in order. `max_norm` None: no clipping; `scan` false: the gradients
    /// are not looked at first. With `stop_nonfinite` a step with non-finite gradients is left out, and the caller
    /// sees their count.
    #[allow(clippy::too_many_arguments)] // one call a step, spelled out in the Python face
    #[pyo3(signature = (grads, *, step, lr, beta1, beta2, eps, weight_decay, maximize, max_norm, scan, stop_nonfinite))]
    fn step(
        &self,
        grads: Bound<'_, PyTuple>,
        step: u64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        maximize: bool,
        max_norm: Option<f64>,
        scan: bool,
        stop_nonfinite: bool,
    ) -> PyResult<StepOutcome> {
        let mut written = match self.written.try_lock() {
            Ok(written) => written,
            Err(TryLockError::Poisoned(written)) => written.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(PyRuntimeError::new_err(
                    "another thread is inside this optimizer's step; call it from one thread at a time",
                ));
            }
        };
        let py = grads.py();
        let written_name = |index| written_name(&self.paths, index);
        let mut operands =
            written.beside(grads, written_name, |index| format!("grads{}", self.paths[index]))?;
        let claim = operands.claim();
        let gradients = claim.reads();
        let hyper = Hyper { lr, beta1, beta2, eps, weight_decay, clip_factor: 1.0, maximize, step };
        call_quick(py, move || {
            let (mut hyper, mut norm, mut nonfinite) = (hyper, None, None);
            if scan {
                let scaled = match optim::sum_of_squares(&gradients, &mut |_| true) {
                    Ok(scaled) => scaled,
                    Err(Stopped::NoMemory(error)) => return Err(error),
                    Err(Stopped::Cancelled) => Scaled::default(), // nobody watches
                };
                if !scaled.is_finite() {
                    nonfinite = optim::count_nonfinite(&gradients);
                }
                norm = Some(scaled.root());
                hyper.clip_factor = optim::clip_factor(scaled.root(), max_norm);
            }
            let (bad, first) = nonfinite.map_or((0, None), |found| (found.count, Some(found.array)));
            let applied = bad == 0 || !stop_nonfinite;
            if applied {
                optim::adamw(claim.rows().filter_map(tensor), &hyper)?;
            }
            Ok((norm, hyper.clip_factor, bad, first, applied))
        })
    }
}

/// A written array as the caller would write it.
fn written_name(paths: &[String], index: usize) -> String {
    format!("{}{}", ROLES[index / paths.len()], paths[index % paths.len()])
}

/// The values, each that cannot be read as it stands replaced by what `convert(index)` returns.
///
/// This runs Python code, which may change any array: nothing that it could undo is to be checked before.
#[pyfunction]
pub fn convert_unreadable<'py>(
    values: Bound<'py, PyTuple>,
    convert: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    if values.iter_borrowed().all(|value| is_plain(&value)) {
        return Ok(values);
    }
    let array = |(index, value)| if is_plain(&value) { Ok(value) } else { convert.call1((index,)) };
    let arrays = values.iter().enumerate().map(array).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(values.py(), arrays)
}

/// A gradient with the arrays of every role, as they are updated together. The kinds agree: they were checked against
/// the parameter's.
fn tensor<'a>(
    (grad, param, moments): (TypedSlice<'a>, TypedSliceMut<'a>, [Option<TypedSliceMut<'a>>; 3]),
) -> Option<TypedTensor<'a>> {
    match grad {
        TypedSlice::F32(grad) => of_kind(grad, param, moments, TypedSliceMut::f32).map(TypedTensor::F32),
        TypedSlice::F64(grad) => of_kind(grad, param, moments, TypedSliceMut::f64).map(TypedTensor::F64),
        _ => None,
    }
}

fn of_kind<'a, T>(
    grad: &'a [T],
    param: TypedSliceMut<'a>,
    moments: [Option<TypedSliceMut<'a>>; 3],
    typed: impl Fn(TypedSliceMut<'a>) -> Option<&'a mut [T]>,
) -> Option<Tensor<'a, T>> {
    let [exp_avg, exp_avg_sq, max_exp_avg_sq] = moments.map(|slice| slice.and_then(&typed));
    Some(Tensor { param: typed(param)?, grad, exp_avg: exp_avg?, exp_avg_sq: exp_avg_sq?, max_exp_avg_sq })
}

/// The sum of squares over all arrays, as (sum, exponent): `sum * 4^exponent`; then the norm, the non-finite
/// count and the index of the first array that has one.
type NormOutcome = (f64, i32, f64, usize, Option<usize>);

/// The global norm of arrays that are only read.
#[pyfunction]
#[pyo3(signature = (arrays, progress=None))]
pub fn sum_of_squares(
    arrays: Bound<'_, PyTuple>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NormOutcome> {
    let py = arrays.py();
    let reads = Reads::new(arrays, |index| format!("arrays[{index}]"), |_, _| Ok(()))?;
    let slices = reads.slices();
    call(py, progress, slices.len(), move |watch| {
        let scaled = optim::sum_of_squares(&slices, watch)?;
        let bad = if scaled.is_finite() { None } else { optim::count_nonfinite(&slices) };
        let (count, first) = bad.map_or((0, None), |found| (found.count, Some(found.array)));
        Ok((scaled.sum, scaled.exponent, scaled.root(), count, first))
    })
}

/// Multiplies every element of every array by `factor`, in place, once all of them have been checked.
#[pyfunction]
pub fn scale_in_place(
    py: Python<'_>,
    arrays: Vec<Py<PyAny>>,
    names: Vec<String>,
    factor: f64,
) -> PyResult<()> {
    let mut written = Written::new(py, arrays.len(), arrays, |index| name(&names, index))?;
    let slices = written.slices(py, |index| name(&names, index))?;
    call_quick(py, move || optim::scale_in_place(slices, factor))
}

/// Checks arrays that will be written, without writing.
#[pyfunction]
pub fn check_writable(py: Python<'_>, arrays: Vec<Py<PyAny>>, names: Vec<String>) -> PyResult<()> {
    Written::new(py, arrays.len(), arrays, |index| name(&names, index)).map(|_| ())
}

fn name(names: &[String], index: usize) -> String {
    names.get(index).cloned().unwrap_or_else(|| format!("arrays[{index}]"))
}

/// The learning rate at each step (uint64: updates already made).
#[pyfunction]
#[pyo3(signature = (decay, peak, end, start, warmup, total, steps))]
#[allow(clippy::too_many_arguments)] // the formula's symbols
pub fn schedule_rates<'py>(
    py: Python<'py>,
    decay: &str,
    peak: f64,
    end: f64,
    start: Option<f64>,
    warmup: u64,
    total: u64,
    steps: &Bound<'_, PyAny>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let decay = match decay {
        "constant" => Decay::Constant,
        "linear" => Decay::Linear,
        "cosine" => Decay::Cosine,
        other => {
            return Err(PyValueError::new_err(format!(
                "decay: expected constant, linear or cosine; got {other:?}"
            )));
        }
    };
    let steps: &[u64] = slice(steps, "steps")?;
    let schedule = Schedule { decay, peak, end, start, warmup, total };
    let mut rates = Fresh::new(py, steps.len())?;
    let elements = rates.elements();
    call_quick(py, || schedule.rates_into(steps, elements))?;
    Ok(rates.array())
}

/// The layout of a saved global norm: one row a limb of 64 bits, the least significant first.
const NORM_LAYOUT: u8 = 1;

/// The bytes of a `GlobalNormState`, whose exact total is given in limbs of 64 bits.
#[pyfunction]
pub fn global_norm_to_bytes(py: Python<'_>, limbs: Vec<u64>) -> PyResult<Bound<'_, PyBytes>> {
    let mut writer = Writer::new(StateKind::GlobalNorm, NORM_LAYOUT, b"{}", limbs.len() as u32);
    for &limb in &limbs {
        writer.u64(limb);
    }
    give::bytes(py, &writer.finish().map_err(no_memory)?)
}

/// The limbs of a saved `GlobalNormState`.
#[pyfunction]
pub fn global_norm_from_bytes(data: &[u8]) -> PyResult<Vec<u64>> {
    let read = || {
        let mut reader = Reader::open(data, StateKind::GlobalNorm, NORM_LAYOUT)?;
        if !reader.holds(8) {
            return Err(BytesError::Malformed);
        }
        let mut limbs = memory::with_capacity(reader.rows() as usize)?;
        for _ in 0..reader.rows() {
            limbs.push(reader.u64()?);
        }
        reader.finish()?;
        Ok(limbs)
    };
    read().map_err(unreadable)
}
