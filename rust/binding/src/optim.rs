//! The optimizer room: check every array, then one call for all of them.

use crate::arrays::blocks::{
    Block, Disjoint, Held, Overlap, Refusal, borrow, claim, is_readable, readable, same_kind_and_shape,
    writable,
};
use crate::arrays::{Fresh, slice};
use crate::call::{call, call_quick};
use numpy::PyArray1;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
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
    params: Vec<Py<PyAny>>,
    /// Of the parameters, and of the moments, which it holds: one list a role after another, each as long as `params`.
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
        let mut roles = vec![exp_avg, exp_avg_sq];
        roles.extend(max_exp_avg_sq);
        if params.len() != paths.len() || roles.iter().any(|role| role.len() != paths.len()) {
            return Err(PyValueError::new_err("params: expected one array of each kind for every path"));
        }
        let mut plan =
            AdamWPlan { paths, params, disjoint: Disjoint::default(), busy: AtomicBool::new(false) };
        plan.disjoint = {
            let params = plan.params(py)?;
            let mut moments = Vec::with_capacity(roles.len() * params.len());
            for (role, arrays) in ROLES[1..].iter().zip(&roles) {
                for ((array, param), path) in arrays.iter().zip(&params).zip(&plan.paths) {
                    moments.push(Held::new(array.bind(py), param, || format!("{role}{path}"))?);
                }
            }
            Disjoint::of(&params, moments).map_err(|overlap| plan.overlap(&overlap))?
        };
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
        let writes = self.params(py)?;
        let reads = self.gradients(&grads, &writes)?;
        let claimed = claim(&writes, &reads, &self.disjoint).map_err(|refusal| match refusal {
            Refusal::Overlap(overlap) => self.overlap(&overlap),
            Refusal::Moved => PyValueError::new_err(
                "params: an array was moved, resized or given another type since the optimizer was made; make a new one",
            ),
        })?;
        let gradients = borrow(&reads);
        let hyper = Hyper { lr, beta1, beta2, eps, weight_decay, clip_factor: 1.0, maximize, step };
        call_quick(py, move || {
            let (mut hyper, mut norm, mut nonfinite) = (hyper, None, None);
            if scan {
                let scaled = optim::sum_of_squares(&gradients, &mut |_| true).unwrap_or_default();
                if !scaled.is_finite() {
                    nonfinite = optim::count_nonfinite(&gradients);
                }
                norm = Some(scaled.root());
                hyper.clip_factor = optim::clip_factor(scaled.root(), max_norm);
            }
            let (bad, first) = nonfinite.map_or((0, None), |found| (found.count, Some(found.array)));
            let applied = bad == 0 || !stop_nonfinite;
            if applied {
                optim::adamw(claimed.rows().filter_map(tensor), &hyper);
            }
            (norm, hyper.clip_factor, bad, first, applied)
        })
    }
}

impl AdamWPlan {
    /// The parameters, checked again: a flag may have changed since.
    fn params<'a>(&'a self, py: Python<'a>) -> PyResult<Vec<Block<'a>>> {
        let check = |(array, path): (&'a Py<PyAny>, &String)| {
            writable(array.bind(py), || format!("{}{path}", ROLES[0]))
        };
        self.params.iter().zip(&self.paths).map(check).collect()
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
        // While the plan is made nothing is held yet, and there are no gradients.
        let written = if self.disjoint.held() == 0 { usize::MAX } else { count + self.disjoint.held() };
        let name = |i: usize| {
            let role = ROLES.get(i / count).filter(|_| i < written).unwrap_or(&"grads");
            format!("{role}{}", self.paths[i % count])
        };
        PyValueError::new_err(format!(
            "{}: expected memory of its own; it overlaps {} (tied arrays: pass one of them only)",
            name(*a),
            name(*b)
        ))
    }
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

/// The positions of what is no plain array of floats that can be read as it stands.
#[pyfunction]
pub fn unreadable(objects: &Bound<'_, PyList>) -> Vec<usize> {
    objects.iter().enumerate().filter(|(_, object)| !is_readable(object)).map(|(index, _)| index).collect()
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
    let disjoint = Disjoint::of(&blocks, Vec::new()).map_err(|Overlap(a, b)| {
        PyValueError::new_err(format!("{}: expected memory of its own; it overlaps {}", names[a], names[b]))
    })?;
    let claimed = claim(&blocks, &[], &disjoint).map_err(|_| PyValueError::new_err("arrays overlap"))?;
    let slices = claimed.writes().collect();
    call_quick(py, move || optim::scale_in_place(slices, factor))
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
    let elements = rates.elements();
    call_quick(py, || schedule.rates_into(steps, elements))?;
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
