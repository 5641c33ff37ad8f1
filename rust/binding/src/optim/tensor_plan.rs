//! The core's part of a torch optimizer: one step over the tensors of all groups, in one call.

use super::compute::{Computed, Treatment, compute};
use super::detail::{Changes, Detail, columns};
use super::gate::{Gate, locked};
use super::norm::counted;
use super::policy::{Limiter, MaxNorm};
use super::stored::{self, Beside};
use super::{Tell, options};
use crate::arrays::blocks::MomentSlice;
use crate::arrays::tensor_claim::{TensorClaim, TensorRow};
use crate::arrays::tensor_names::{KeptTensor, Keys, Position};
use crate::arrays::tensor_rows::{Looked, TensorRows};
use crate::arrays::tensors::{Learned, Tensors};
use crate::call::{call_quick, no_memory};
use crate::callback::call_back;
use crate::give::{Give, Record, ToPython, record, value_error};
use crate::take::listed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use steelyard_kernels::dtype::{Dtype, Exclusive, RealDtype, Typed};
use steelyard_kernels::memory::{self, NoMemory};
use steelyard_kernels::optim::{self, Hyper, NonFinite};

/// Knows where the tensors of an optimizer were in its last step, so that the next step need only compare, and what
/// that step did.
#[pyclass(frozen, module = "steelyard._core")]
pub struct TensorPlan {
    rows: Gate<TensorRows>,
    last: Mutex<Option<(Outcome, Option<Changes>)>>,
    /// The number of updates made, as schedules count them: parameters may have made fewer steps.
    updates: AtomicU64,
}

/// What a step did.
#[derive(Clone, Copy)]
struct Outcome {
    /// The number of updates made, with this one if it was made.
    step: u64,
    /// The learning rate of the first group.
    lr: f64,
    grad_norm: Option<f64>,
    clip_factor: f64,
    nonfinite: usize,
    first: Option<Position>,
    /// The index of the first such element, in the order in memory.
    element: Option<usize>,
    overflow: bool,
    applied: bool,
    /// The number of parameters without a gradient.
    left_out: usize,
}

impl Outcome {
    fn record<'py>(self, py: Python<'py>, unready: Vec<Position>, changes: Option<&Changes>) -> Record<'py> {
        let tensors = columns(py, changes)?;
        let Outcome { step, lr, grad_norm, clip_factor, .. } = self;
        let Outcome { nonfinite, first, element, overflow, applied, left_out, .. } = self;
        record!(py, { step, lr, grad_norm, clip_factor, nonfinite, first, element, overflow, applied, left_out, unready, tensors })
    }
}

/// How a step treats the gradients of all rows together.
#[derive(Clone, Copy)]
struct Gradients {
    /// The norm of all gradients, where it is known already (of those of other processes too, say).
    norm: Option<f64>,
    /// Whether the norm is computed, and gradients are checked.
    scan: bool,
    /// Whether a step is left out whose gradients are not finite, or whose moments would not be.
    stop_nonfinite: bool,
    /// Gradients are divided by this first.
    scale: f64,
    /// Whether the step is left out in any case.
    skip: bool,
    /// The seed of random numbers by which 16-bit floats are rounded; `None`: they are rounded to nearest.
    seed: Option<u64>,
    /// How parameters of 16 bits keep more digits than their tensors hold.
    kept: Option<KeptTensor>,
}

#[pymethods]
impl TensorPlan {
    /// `shim` is, where tensors can be asked by torch's C functions, the path of the library through which torch was
    /// loaded, and tensors with the addresses of what they hold; `plain` are the classes of plain tensors; `dtypes` are
    /// torch's element types with our names; `strided` is the layout of dense tensors.
    #[new]
    #[pyo3(signature = (*, shim, plain, dtypes, strided))]
    fn new(
        shim: Option<Learned<'_>>,
        plain: &Bound<'_, PyAny>,
        dtypes: &Bound<'_, PyAny>,
        strided: Py<PyAny>,
    ) -> PyResult<Self> {
        let tensors = Tensors::new(shim, listed(plain)?, listed(dtypes)?, strided)?;
        Ok(TensorPlan {
            rows: Gate::new(TensorRows::new(tensors)),
            last: Mutex::new(None),
            updates: AtomicU64::new(0),
        })
    }

    /// The number of updates made.
    #[getter]
    fn updates(&self) -> Give<u64> {
        Give(self.updates.load(Relaxed))
    }

    #[setter]
    fn set_updates(&self, updates: u64) {
        self.updates.store(updates, Relaxed);
    }

    /// What the last step did, whether it was made or left out; None before the first.
    #[getter]
    fn last<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let last = locked(&self.last).clone();
        last.map(|(outcome, changes)| outcome.record(py, Vec::new(), changes.as_ref())).transpose()
    }

    /// Makes one step for every parameter of `groups` (a list of parameters for each group) that has a gradient, with
    /// the state that it has in `state`. `hypers` are the options of each group, and the keys of its
    /// parameters' moments in their state.
    ///
    /// Where parameters have to be prepared, their positions are in `unready` of the result and nothing has been done;
    /// `instead` then has, for some of them, by the number of the parameter among all, another parameter, gradient and
    /// state to use, and whether the momentum begins with this step, after steps without one. `name(group, index)`
    /// returns what messages call a parameter. `tell` is called with the list of parameters that were written. `kept`
    /// is the key of what states hold beside parameters of 16 bits: "low", "rest" or "master". `copies` are, for each
    /// group, the tensors to which its parameters are copied (None: to none), as long as the group; with them, states
    /// hold nothing beside parameters.
    #[pyo3(signature = (groups, state, *, hypers, name, tell, instead, max_norm, norm, scan, stop_nonfinite, grad_scale, skip, seed=None, kept=None, copies=None, detail=false))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // one call a step, spelled out in the Python face
    fn step<'py>(
        &self,
        groups: &Bound<'py, PyAny>,
        state: &Bound<'py, PyDict>,
        hypers: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        tell: Py<PyAny>,
        instead: Option<&Bound<'py, PyDict>>,
        max_norm: Option<MaxNorm>,
        norm: Option<f64>,
        scan: bool,
        stop_nonfinite: bool,
        grad_scale: f64,
        skip: bool,
        seed: Option<u64>,
        kept: Option<&str>,
        copies: Option<Vec<Bound<'py, PyList>>>,
        detail: bool,
    ) -> Record<'py> {
        let py = state.py();
        let groups: Vec<Bound<'_, PyList>> = listed(groups)?;
        let hypers: Vec<(Bound<'_, PyDict>, Vec<Bound<'_, PyString>>)> = listed(hypers)?;
        if hypers.len() != groups.len() || hypers.iter().any(|(_, keys)| keys.len() > optim::MOMENTS) {
            return Err(value_error(
                "hypers: expected the options of every group, and at most three moments",
            ));
        }
        let (mut options, mut moments) = (Vec::new(), Vec::new());
        for (given, keys) in hypers {
            memory::push(&mut options, options::hyper(&given, 1)?).map_err(no_memory)?;
            memory::push(&mut moments, keys).map_err(no_memory)?;
        }
        let kept = match &copies {
            None => kept.map(KeptTensor::of).transpose()?,
            Some(copies) => {
                let pairs = || copies.iter().zip(&groups);
                if copies.len() != groups.len() || pairs().any(|(copies, group)| copies.len() != group.len())
                {
                    return Err(value_error(
                        "copies: expected one, or None, for each parameter of every group",
                    ));
                }
                Some(KeptTensor::Copy)
            }
        };
        let gradients = Gradients { norm, scan, stop_nonfinite, scale: grad_scale, skip, seed, kept };
        let name = |position: Position| {
            let asked = position.to_python(py).and_then(|at| call_back(name, &at.cast_into()?, None));
            let (group, index) = position;
            asked
                .and_then(|name| name.extract::<String>())
                .unwrap_or_else(|_| format!("param_groups[{group}]['params'][{index}]"))
        };
        let mut entered = self.rows.enter(py)?;
        let lr = options.first().map_or(0.0, |group| group.lr);
        let outcome = Outcome {
            step: self.updates.load(Relaxed),
            lr,
            grad_norm: None,
            clip_factor: 1.0,
            nonfinite: 0,
            first: None,
            element: None,
            overflow: false,
            applied: false,
            left_out: groups.iter().map(PyListMethods::len).sum(),
        };
        let mut claim = match entered.look(
            (&groups, copies.as_deref()),
            state,
            Keys { moments: &moments, kept },
            instead,
            &name,
        )? {
            Looked::Ready(claim) => claim,
            Looked::Unready(positions) => return outcome.record(py, positions, None),
        };
        let tell = Tell::of(py, Some((tell, claim.params(py)?.unbind())))?;
        let mut limiter = Limiter::of(max_norm.as_ref())?;
        let count = detail.then(|| groups.iter().map(PyListMethods::len).sum());
        let (outcome, changes) = stepped(py, &mut claim, &options, gradients, &mut limiter, outcome, count)?;
        *locked(&self.last) = Some((outcome, changes.clone()));
        if outcome.applied {
            self.updates.fetch_add(1, Relaxed);
            limiter.keep();
        }
        drop(claim);
        drop(entered);
        if outcome.applied {
            tell.map_or(Ok(()), |tell| tell.written(py))?;
        }
        outcome.record(py, Vec::new(), changes.as_ref())
    }
}

/// Computes the step, or finds out that it must be left out. `count` is the number of all parameters, where the changes
/// of each are asked for.
fn stepped(
    py: Python<'_>,
    claim: &mut TensorClaim<'_, '_>,
    options: &[Hyper],
    gradients: Gradients,
    limits: &mut Limiter<'_>,
    mut outcome: Outcome,
    count: Option<usize>,
) -> PyResult<(Outcome, Option<Changes>)> {
    let positions = claim.positions()?;
    let rows = claim.slices()?;
    outcome.left_out -= rows.len();
    let detailed = if count.is_some() { rows.as_slice() } else { &[] };
    let numbers = memory::collected(detailed.iter().map(|row| row.number)).map_err(no_memory)?;
    let mut detail = Detail::new(count, Some(&numbers)).map_err(no_memory)?;
    if gradients.skip || rows.is_empty() {
        return Ok((outcome, detail.finish()));
    }
    if gradients.seed.is_some() {
        stored::have_numbers(rows.iter().map(|row| (row.number, row.steps)))?;
    }
    let Different { options: hypers, groups, of_row } = hypers(options, &rows)?;
    for dtype in [RealDtype::F32, RealDtype::F64] {
        let double = dtype == RealDtype::F64;
        let occurs = |index| {
            let mut each = rows.iter().zip(&of_row);
            each.any(|(row, of)| *of == index && matches!(row.param, Typed::F64(_)) == double)
        };
        let called = |index, option: &str| format!("param_groups[{}]['{option}']", groups[index]);
        let unfit = |(index, hyper)| {
            occurs(index).then(|| options::unfit(hyper, dtype, |option| called(index, option))).flatten()
        };
        if let Some(refusal) = hypers.iter().enumerate().find_map(unfit) {
            return Err(refusal);
        }
    }
    let watch = &mut detail;
    let (outcome, bad) =
        call_quick(py, move || computed(rows, hypers, &of_row, gradients, limits, outcome, watch))?;
    let (nonfinite, first) = counted(bad);
    let element = bad.map(|found| found.element);
    let outcome = Outcome { nonfinite, first: first.map(|row| positions[row]), element, ..outcome };
    Ok((outcome, detail.finish()))
}

/// The different options that occur among rows.
struct Different {
    options: Vec<Hyper>,
    /// The group that each comes from.
    groups: Vec<usize>,
    /// Which of them each row has.
    of_row: Vec<usize>,
}

fn hypers(options: &[Hyper], rows: &[TensorRow<'_>]) -> PyResult<Different> {
    let (mut hypers, mut groups) = (Vec::<Hyper>::new(), Vec::new());
    let mut of_row = memory::with_capacity(rows.len()).map_err(no_memory)?;
    for row in rows {
        let step = row.steps + 1;
        // Most rows have the options of the row before.
        let known = groups
            .iter()
            .zip(&hypers)
            .rposition(|(group, hyper)| (*group, hyper.step, hyper.begins) == (row.group, step, row.begins));
        if known.is_none() {
            memory::push(&mut hypers, Hyper { step, begins: row.begins, ..options[row.group] })
                .map_err(no_memory)?;
            memory::push(&mut groups, row.group).map_err(no_memory)?;
        }
        of_row.push(known.unwrap_or(hypers.len() - 1));
    }
    Ok(Different { options: hypers, groups, of_row })
}

/// [`compute`] for these rows, and the count of the step.
fn computed(
    rows: Vec<TensorRow<'_>>,
    hypers: Vec<Hyper>,
    of_row: &[usize],
    gradients: Gradients,
    limits: &mut Limiter<'_>,
    mut outcome: Outcome,
    detail: &mut Detail<'_>,
) -> Result<(Outcome, Option<NonFinite>), NoMemory> {
    let half = |row: &TensorRow<'_>| {
        row.moments.iter().flatten().any(|moment| matches!(moment, MomentSlice::Floats(Typed::F16(_))))
    };
    let narrow = if rows.iter().any(half) { Dtype::F16 } else { Dtype::F32 };
    let Gradients { norm, scan, stop_nonfinite, scale, seed, kept, .. } = gradients;
    let read = memory::collected(rows.iter().map(|row| row.grad))?;
    let mut counters = memory::with_capacity(rows.len())?;
    let rows = rows.into_iter().zip(of_row).map(|(row, &hyper)| {
        counters.push((row.counter, row.steps + 1));
        let mut moments = row.moments.into_iter().enumerate();
        let mut moment =
            || moments.next().and_then(|(index, slice)| Some(stored::moment(index, slice?, seed)));
        let moments = [moment(), moment(), moment()];
        let beside = row.kept.zip(kept).map(|(slice, kept)| match kept {
            KeptTensor::Low => Beside::Low(slice),
            KeptTensor::Rest => Beside::Rest(slice),
            KeptTensor::Master => Beside::Master(slice),
            KeptTensor::Copy => Beside::Copy(slice),
        });
        let (param, key) = (stored::param(row.param, beside, seed), row.number as u64);
        optim::Row { param, grad: row.grad, moments, hyper, key }
    });
    let treatment = Treatment { norm, scan, stop_nonfinite, scale, narrow };
    let Computed { grad_norm, clip_factor, bad, overflow, applied } =
        compute(rows, &read, hypers, treatment, limits, detail)?;
    if applied {
        for (counter, steps) in counters {
            count(counter, steps);
        }
        outcome.step += 1;
    }
    Ok((Outcome { grad_norm, clip_factor, overflow, applied, ..outcome }, bad))
}

/// Writes the number of steps made.
fn count(counter: Typed<Exclusive<'_>>, steps: u64) {
    match counter {
        Typed::F32(counter) => counter[0] = steps as f32,
        Typed::F64(counter) => counter[0] = steps as f64,
        Typed::F16(_) | Typed::Bf16(_) => {}
    }
}
