//! The optimizer room: check every array, then one call for all of them.

use crate::arrays::blocks::{Block, Disjoint, Overlap, borrow, claim, readable, writable};
use crate::arrays::{Fresh, slice};
use crate::call::{call, call_quick};
use numpy::PyArray1;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release};
use steelyard_kernels::exact::bytes::{BytesError, Kind as StateKind, Reader, Writer};
use steelyard_kernels::optim::{
    self, Decay, Hyper, Schedule, Tensor, TypedSlice, TypedSliceMut, TypedTensor,
};

/// The arrays that an optimizer writes, by role: parameters first, then one list a moment.
const ROLES: [&str; 4] = ["params", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

/// What an AdamW step writes: parameters and their moments, checked once and held.
///
/// `paths` are the places of the arrays in the caller's tree (`["layers"][3]["w"]`), for messages.
#[pyclass(frozen, module = "steelyard._core")]
pub struct AdamWPlan {
    paths: Vec<String>,
    /// One list a role, all of one length.
    arrays: Vec<Vec<Py<PyAny>>>,
    disjoint: Disjoint,
    /// Set while a step runs: two threads must not write the same arrays.
    busy: AtomicBool,
}

/// Clears the flag also when the step fails.
struct Busy<'a>(&'a AtomicBool);

impl<'a> Busy<'a> {
    fn claim(flag: &'a AtomicBool) -> PyResult<Self> {
        if flag.swap(true, AcqRel) {
            return Err(PyRuntimeError::new_err(
                "another thread is inside this optimizer's step; call it from one thread at a time",
            ));
        }
        Ok(Busy(flag))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
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
        let mut arrays = vec![params, exp_avg, exp_avg_sq];
        arrays.extend(max_exp_avg_sq);
        if arrays.iter().any(|role| role.len() != paths.len()) {
            return Err(PyValueError::new_err("params: expected one array of each kind for every path"));
        }
        let mut plan =
            AdamWPlan { paths, arrays, disjoint: Disjoint::default(), busy: AtomicBool::new(false) };
        let disjoint = {
            let blocks = plan.blocks(py)?;
            Disjoint::of(&blocks).map_err(|overlap| plan.overlap(&overlap))?
        };
        plan.disjoint = disjoint;
        Ok(plan)
    }

    /// One update from `grads`, one array a path, in order. `max_norm` None: no clipping; `scan` false: the
    /// gradients are not looked at first. With `skip` a step with non-finite gradients is left out; without
    /// it the caller sees the count before anything was written when `stop_nonfinite` is set.
    #[allow(clippy::too_many_arguments)] // one call a step, spelled out in the Python face
    #[pyo3(signature = (grads, *, step, lr, beta1, beta2, eps, weight_decay, maximize, max_norm, scan, stop_nonfinite))]
    fn step(
        &self,
        py: Python<'_>,
        grads: Vec<Bound<'_, PyAny>>,
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
        let _busy = Busy::claim(&self.busy)?;
        let writes = self.blocks(py)?;
        if !self.disjoint.still(&writes) {
            return Err(PyValueError::new_err(
                "params: an array was moved or resized since the optimizer was made; make a new one",
            ));
        }
        let reads = self.gradients(&grads, &writes)?;
        let claimed = claim(&writes, &reads, &self.disjoint).map_err(|overlap| self.overlap(&overlap))?;
        let hyper = Hyper { lr, beta1, beta2, eps, weight_decay, clip_factor: 1.0, maximize, step };
        let count = self.paths.len();
        call_quick(py, move || {
            let (mut hyper, mut norm, mut nonfinite) = (hyper, None, None);
            if scan {
                let scaled = optim::sum_of_squares(&claimed.reads, &mut |_| true).unwrap_or_default();
                if !scaled.is_finite() {
                    nonfinite = optim::count_nonfinite(&claimed.reads);
                }
                norm = Some(scaled.root());
                hyper.clip_factor = optim::clip_factor(scaled.root(), max_norm);
            }
            let (bad, first) = nonfinite.map_or((0, None), |found| (found.count, Some(found.array)));
            let applied = bad == 0 || !stop_nonfinite;
            if applied {
                optim::adamw(tensors(claimed.writes, &claimed.reads, count), &hyper);
            }
            (norm, hyper.clip_factor, bad, first, applied)
        })
    }
}

impl AdamWPlan {
    /// Every array that is written, checked again: a flag may have changed since.
    fn blocks<'a>(&'a self, py: Python<'a>) -> PyResult<Vec<Block<'a>>> {
        let mut blocks: Vec<Block<'a>> = Vec::with_capacity(self.arrays.len() * self.paths.len());
        for (role, arrays) in self.arrays.iter().enumerate() {
            for (index, array) in arrays.iter().enumerate() {
                let name = || format!("{}{}", ROLES[role], self.paths[index]);
                let block = writable(array.bind(py), name)?;
                if let Some(param) = blocks.get(index)
                    && role > 0
                {
                    same_kind_and_shape(&block, param, &name)?;
                }
                blocks.push(block);
            }
        }
        Ok(blocks)
    }

    fn gradients<'a>(&self, grads: &'a [Bound<'_, PyAny>], params: &[Block<'_>]) -> PyResult<Vec<Block<'a>>> {
        if grads.len() != self.paths.len() {
            return Err(PyValueError::new_err(format!(
                "grads: expected {} arrays, one for every parameter; got {}",
                self.paths.len(),
                grads.len()
            )));
        }
        let check = |(index, grad): (usize, &'a Bound<'_, PyAny>)| {
            let name = || format!("grads{}", self.paths[index]);
            let block = readable(grad, name)?;
            same_kind_and_shape(&block, &params[index], &name)?;
            Ok(block)
        };
        grads.iter().enumerate().map(check).collect()
    }

    /// The sentence for two arrays that share memory.
    fn overlap(&self, Overlap(a, b): &Overlap) -> PyErr {
        let count = self.paths.len();
        let name = |i: usize| {
            let role = ROLES.get(i / count).filter(|_| i < count * self.arrays.len()).unwrap_or(&"grads");
            format!("{role}{}", self.paths[i % count])
        };
        PyValueError::new_err(format!(
            "{}: expected memory of its own; it overlaps {} (tied arrays: pass one of them only)",
            name(*a),
            name(*b)
        ))
    }
}

fn same_kind_and_shape(block: &Block<'_>, param: &Block<'_>, name: &impl Fn() -> String) -> PyResult<()> {
    if block.kind() == param.kind() && block.shape() == param.shape() {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{}: expected {} of shape {}, like the parameter; got {} of shape {}",
        name(),
        param.kind().name(),
        python_shape(param.shape()),
        block.kind().name(),
        python_shape(block.shape())
    )))
}

fn python_shape(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Puts the claimed slices, role by role, back together as tensors.
fn tensors<'a>(
    writes: Vec<TypedSliceMut<'a>>,
    grads: &[TypedSlice<'a>],
    count: usize,
) -> Vec<TypedTensor<'a>> {
    let mut rest = writes.into_iter();
    let mut roles: Vec<Vec<TypedSliceMut<'a>>> = Vec::new();
    while rest.len() > 0 {
        roles.push(rest.by_ref().take(count).collect());
    }
    let mut roles = roles.into_iter().map(Vec::into_iter);
    let (Some(params), Some(first), Some(second)) = (roles.next(), roles.next(), roles.next()) else {
        return Vec::new();
    };
    let mut largest = roles.next();
    let zipped = params.zip(grads).zip(first.zip(second));
    zipped
        .filter_map(|((p, g), (m, v))| tensor(p, *g, m, v, largest.as_mut().and_then(Iterator::next)))
        .collect()
}

/// The kinds agree: they were checked against the parameter's.
fn tensor<'a>(
    p: TypedSliceMut<'a>,
    g: TypedSlice<'a>,
    m: TypedSliceMut<'a>,
    v: TypedSliceMut<'a>,
    x: Option<TypedSliceMut<'a>>,
) -> Option<TypedTensor<'a>> {
    use {TypedSlice as R, TypedSliceMut as W};
    match (p, g, m, v, x) {
        (W::F32(param), R::F32(grad), W::F32(exp_avg), W::F32(exp_avg_sq), None) => {
            Some(TypedTensor::F32(Tensor { param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq: None }))
        }
        (W::F32(param), R::F32(grad), W::F32(exp_avg), W::F32(exp_avg_sq), Some(W::F32(x))) => {
            Some(TypedTensor::F32(Tensor { param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq: Some(x) }))
        }
        (W::F64(param), R::F64(grad), W::F64(exp_avg), W::F64(exp_avg_sq), None) => {
            Some(TypedTensor::F64(Tensor { param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq: None }))
        }
        (W::F64(param), R::F64(grad), W::F64(exp_avg), W::F64(exp_avg_sq), Some(W::F64(x))) => {
            Some(TypedTensor::F64(Tensor { param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq: Some(x) }))
        }
        _ => None,
    }
}

/// The sum of squares over all arrays, as (sum, exponent): `sum * 4^exponent`; then the norm, the non-finite
/// count and the index of the first array that has one.
type NormOutcome = (f64, i32, f64, usize, Option<usize>);

/// The global norm of arrays that are only read.
#[pyfunction]
#[pyo3(signature = (arrays, names, progress=None))]
pub fn sum_of_squares(
    py: Python<'_>,
    arrays: Vec<Bound<'_, PyAny>>,
    names: Vec<String>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NormOutcome> {
    let blocks = read_blocks(&arrays, &names)?;
    let slices = borrow(&blocks);
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
    arrays: Vec<Bound<'_, PyAny>>,
    names: Vec<String>,
    factor: f64,
) -> PyResult<()> {
    let blocks = write_blocks(&arrays, &names)?;
    let disjoint = Disjoint::of(&blocks).map_err(|Overlap(a, b)| {
        PyValueError::new_err(format!("{}: expected memory of its own; it overlaps {}", names[a], names[b]))
    })?;
    let claimed = claim(&blocks, &[], &disjoint).map_err(|_| PyValueError::new_err("arrays overlap"))?;
    call_quick(py, move || optim::scale_in_place(claimed.writes, factor))
}

/// Checks arrays that will be written, without writing.
#[pyfunction]
pub fn check_writable(arrays: Vec<Bound<'_, PyAny>>, names: Vec<String>) -> PyResult<()> {
    write_blocks(&arrays, &names).map(|_| ())
}

fn read_blocks<'a>(arrays: &'a [Bound<'_, PyAny>], names: &[String]) -> PyResult<Vec<Block<'a>>> {
    arrays.iter().zip(names).map(|(array, name)| readable(array, || name.clone())).collect()
}

fn write_blocks<'a>(arrays: &'a [Bound<'_, PyAny>], names: &[String]) -> PyResult<Vec<Block<'a>>> {
    arrays.iter().zip(names).map(|(array, name)| writable(array, || name.clone())).collect()
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
    let words = rates.words();
    call_quick(py, || schedule.rates_into(steps, words))?;
    Ok(rates.array())
}

/// The layout of a saved global norm: one row a limb of 64 bits, the least significant first.
const NORM_LAYOUT: u8 = 1;

/// The bytes of a `GlobalNormState`, whose exact total is given in limbs of 64 bits.
#[pyfunction]
pub fn global_norm_to_bytes(py: Python<'_>, limbs: Vec<u64>) -> Bound<'_, PyBytes> {
    let mut writer = Writer::new(StateKind::GlobalNorm, NORM_LAYOUT, b"{}", limbs.len() as u32);
    for &limb in &limbs {
        writer.u64(limb);
    }
    PyBytes::new(py, &writer.finish())
}

/// The limbs of a saved `GlobalNormState`.
#[pyfunction]
pub fn global_norm_from_bytes(data: &[u8]) -> PyResult<Vec<u64>> {
    let read = || {
        let mut reader = Reader::open(data, StateKind::GlobalNorm, NORM_LAYOUT)?;
        let limbs = (0..reader.rows()).map(|_| reader.u64()).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(limbs)
    };
    read().map_err(|error: BytesError| PyValueError::new_err(format!("data: {error}")))
}
