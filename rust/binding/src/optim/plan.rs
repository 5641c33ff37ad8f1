//! The core's part of an optimizer. It holds the optimizer's arrays between steps; each step checks again where they
//! are, updates all of them in one call, and counts the step in the same call.

use super::compute::{Computed, Treatment, compute};
use super::detail::{Changes, Detail, columns};
use super::gate::{Gate, another_thread, locked};
use super::gathered::{Gathered, Saved};
use super::hypers::{Hypers, Member};
use super::kept::{Kept, damage_sentence, damaged, fits, row};
use super::norm::counted;
use super::policy::{Limiter, MaxNorm};
use super::stored;
use super::{Tell, name, options};
use crate::arrays::slice;
use crate::arrays::written::{Claim, MOST_ROLES, Role, Written};
use crate::call::{call_quick, no_memory};
use crate::callback::call_with;
use crate::give::{Record, record, value_error};
use crate::take::listed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use steelyard_kernels::dtype::Dtype;
use steelyard_kernels::memory;
use steelyard_kernels::optim::{self, Hyper};

/// The names of the moments of AdamW, in the order of the kernel.
const ADAMW: [&str; optim::MOMENTS] = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

/// The state of an optimizer: the arrays that a step writes, the number of steps made, the options, and what the last
/// step did. A step changes all of it in one call, between two instructions of Python, so that no interrupt can come
/// between the update and its count.
///
/// `paths` say where each array is in the caller's tree (`["layers"][3]["w"]`). They are used in messages.
#[pyclass(frozen, module = "steelyard._core")]
pub struct OptimizerPlan {
    paths: Vec<String>,
    /// The names of the arrays that are kept of each parameter: one list of arrays each.
    names: Vec<String>,
    /// What these arrays are.
    kinds: Vec<Kept>,
    /// Entered while a step runs, since two threads must not write the same arrays.
    written: Gate<Written>,
    steps: AtomicU64,
    // These are locked only for a moment, by a thread that is attached to the interpreter. So no fork happens while one
    // is locked.
    options: Mutex<Py<PyAny>>,
    /// How many steps each row has made, where some were left out of a step; None where all have made all of them.
    counts: Mutex<Option<Vec<u64>>>,
    last: Mutex<Option<(StepOutcome, Option<Changes>)>>,
    /// Gradients that wait for a step. Touched only while `written` is entered.
    gathered: Mutex<Option<Gathered>>,
    /// Increments torch's version counters once arrays have been written.
    tell: Option<Tell>,
}

/// What a step did.
#[derive(Clone, Copy)]
struct StepOutcome {
    /// The number of steps made, with this one if it was made.
    step: u64,
    lr: f64,
    /// The norm of the gradients, if it was computed.
    grad_norm: Option<f64>,
    clip_factor: f64,
    /// The number of elements of the gradients, or of the moments that they would produce, that are not finite.
    nonfinite: usize,
    /// The index of the first array that has such an element.
    first: Option<usize>,
    /// The index of the element there.
    element: Option<usize>,
    /// Whether these elements are of moments.
    overflow: bool,
    /// Whether the step was made.
    applied: bool,
    /// The number of rows that took no part.
    left_out: usize,
}

impl StepOutcome {
    fn record<'py>(self, py: Python<'py>, changes: Option<&Changes>) -> Record<'py> {
        let tensors = columns(py, changes)?;
        let StepOutcome { step, lr, grad_norm, clip_factor, .. } = self;
        let StepOutcome { nonfinite, first, element, overflow, applied, left_out, .. } = self;
        record!(py, { step, lr, grad_norm, clip_factor, nonfinite, first, element, overflow, applied, left_out, tensors })
    }
}

#[pymethods]
impl OptimizerPlan {
    /// `given` are the parameters as the caller has them: the arrays themselves, or the tensors whose memory the arrays
    /// show. `moments` are the arrays that are kept, a list for each of the `names` (`None`: the moments of AdamW), in
    /// which a parameter may have None: moments, in codes of 8 bits those that also have scales under the name
    /// "(moment)_scale"; and "low", "rest" or "master", with which a parameter in 16 bits keeps more. `copies` are arrays
    /// that get a copy of each parameter; those are then behind the parameters in `given`.
    /// `gathered` is as for [`Self::load`].
    #[new]
    #[pyo3(signature = (*, paths, given, params, moments, steps, options, names=None, counts=None, tell=None, copies=None, gathered=None))]
    #[allow(clippy::too_many_arguments)] // one call, spelled out in the Python face
    fn new(
        py: Python<'_>,
        paths: &Bound<'_, PyAny>,
        given: &Bound<'_, PyAny>,
        params: &Bound<'_, PyAny>,
        moments: &Bound<'_, PyAny>,
        steps: u64,
        options: Py<PyAny>,
        names: Option<&Bound<'_, PyAny>>,
        counts: Option<Vec<u64>>,
        tell: Option<(Py<PyAny>, Py<PyAny>)>,
        copies: Option<&Bound<'_, PyAny>>,
        gathered: Option<Saved<'_>>,
    ) -> PyResult<Self> {
        let (paths, given) = (listed::<String>(paths)?, listed::<Py<PyAny>>(given)?);
        let moments = listed::<Bound<'_, PyAny>>(moments)?;
        let rows = paths.len();
        let mut arrays = memory::with_capacity(rows * (1 + moments.len())).map_err(no_memory)?;
        let lists = moments.iter().chain(copies).map(listed::<Option<Py<PyAny>>>);
        let wanted = if copies.is_some() { 2 * rows } else { rows };
        for role in std::iter::once(listed_all(params)).chain(lists) {
            let role = role?;
            if role.len() != rows || given.len() != wanted {
                return Err(value_error("params: expected one array of each kind for every path"));
            }
            memory::reserve(&mut arrays, role.len()).map_err(no_memory)?;
            arrays.extend(role);
        }
        let names: Vec<String> = match names {
            Some(names) => listed(names)?,
            None => ADAMW[..moments.len().clamp(2, 3)].iter().map(ToString::to_string).collect(),
        };
        let kinds = Kept::all(&names)?;
        if names.len() != moments.len() || 1 + names.len() > MOST_ROLES - usize::from(copies.is_some()) {
            return Err(value_error("moments: expected one list of arrays for each of their names"));
        }
        let (first, last) = (std::iter::once(Role::Given), copies.map(|_| Role::Given));
        let roles = first.chain(kinds.iter().map(|kind| kind.role())).chain(last);
        let roles = memory::gathered(roles).map_err(no_memory)?;
        let called = |index| written_name(&names, &paths, index);
        let written = Written::with_roles(py, rows, roles, arrays, &given, called)?;
        for row in 0..rows {
            fits(&written, &kinds, row).map_err(|index| {
                let name = called(index * rows + row);
                value_error(format!("{name}: expected an array that goes with its parameter"))
            })?;
        }
        Ok(OptimizerPlan {
            paths,
            names,
            kinds,
            written: Gate::new(written),
            steps: AtomicU64::new(steps),
            options: Mutex::new(options),
            counts: Mutex::new(counted_rows(counts, rows)?),
            last: Mutex::new(None),
            gathered: Mutex::new(gathered.map(Gathered::of).transpose()?),
            tell: Tell::of(py, tell)?,
        })
    }

    /// The number of steps made.
    #[getter]
    fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// The options, in the form that the caller gave them.
    #[getter]
    fn options(&self, py: Python<'_>) -> Py<PyAny> {
        locked(&self.options).clone_ref(py)
    }

    #[setter]
    fn set_options(&self, options: Py<PyAny>) {
        let old = std::mem::replace(&mut *locked(&self.options), options);
        drop(old); // after the lock: dropping an object may run Python code
    }

    /// What the last step did, whether it was made or left out; None before the first.
    #[getter]
    fn last<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let last = locked(&self.last).clone();
        last.map(|(outcome, changes)| outcome.record(py, changes.as_ref())).transpose()
    }

    /// Whether this process was forked while another thread was inside a step. That thread does not exist here, so the
    /// step will never end.
    #[getter]
    fn forked(&self) -> bool {
        self.written.forked()
    }

    /// The number of calls of [`Self::accumulate`] that wait for a step.
    #[getter]
    fn accumulated(&self) -> u64 {
        locked(&self.gathered).as_ref().map_or(0, |gathered| gathered.calls)
    }

    /// Adds gradients, one array per path or None, to those that wait for a step. `sums()` returns arrays for them, which
    /// nobody else may have access to; it is called once.
    fn accumulate(&self, grads: Bound<'_, PyTuple>, sums: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = grads.py();
        let entered = self.written.enter(py)?;
        let mut gathered = match locked(&self.gathered).take() {
            Some(gathered) => gathered,
            None => Gathered::new(sums.call0()?.cast()?)?,
        };
        let outcome = gathered.add(grads, |index| format!("grads{}", self.paths[index]));
        *locked(&self.gathered) = Some(gathered);
        drop(entered);
        outcome
    }

    /// Makes update number `step` from `grads`, one array per path, in order; a row that has None instead takes no part
    /// in the step: its moments and the number of its own steps stay.
    ///
    /// `groups` are the options by the names of the kernel's fields, one set for each group of rows; `of_row` is the index of each row's group (uint32), None
    /// where there is one group only. There is no clipping where `max_norm` is None; a policy has
    /// seen the norm where the step was made. Where `scan` is false the norm of
    /// the gradients is not computed, and they are not checked. With `stop_nonfinite` a step is left out whose gradients
    /// are not finite or whose moments would not be, and the result has their number. Where `grads` is None the mean of
    /// those that wait is used; they are forgotten then, also where the step is left out. With a `seed` floats of 16 bits are rounded at random. `array_of(index)` returns a new array for a
    /// tensor whose memory has moved: of a parameter, or behind all of these of a copy. With
    /// `detail` the result has what the step did to each tensor.
    #[allow(clippy::too_many_arguments)] // one call a step, spelled out in the Python face
    #[pyo3(signature = (grads, array_of, *, step, groups, of_row, max_norm, scan, stop_nonfinite, seed=None, detail=false))]
    fn step<'py>(
        &self,
        grads: Option<Bound<'py, PyTuple>>,
        array_of: &Bound<'py, PyAny>,
        step: u64,
        groups: Vec<Bound<'py, PyDict>>,
        of_row: Option<&Bound<'py, PyAny>>,
        max_norm: Option<MaxNorm>,
        scan: bool,
        stop_nonfinite: bool,
        seed: Option<u64>,
        detail: bool,
    ) -> Record<'py> {
        let py = array_of.py();
        let groups = groups.iter().map(|group| options::hyper(group, step)).collect::<PyResult<Vec<_>>>()?;
        let moments = self.kinds.iter().filter(|kind| matches!(kind, Kept::Moment(_))).count();
        if groups.is_empty() || groups.iter().any(|group| !group.rule.moments().contains(&moments)) {
            return Err(value_error(format!("groups: expected rules with {moments} moments")));
        }
        let of_row = of_row.map(|indices| slice::<u32>(indices, "of_row")).transpose()?;
        let mut entered = self.written.enter(py)?;
        if step != self.steps() + 1 {
            return Err(another_thread());
        }
        let (grads, grad_scale) = self.mean(py, grads)?;
        let written_name = |index| written_name(&self.names, &self.paths, index);
        let written = &mut *entered;
        let rows = self.paths.len();
        let asked = |index| if index < rows { index } else { rows + index % rows };
        written.take(py, |index| Ok(call_with(array_of, asked(index))?.unbind()), written_name)?;
        let mut operands =
            written.beside(grads, written_name, |index| format!("grads{}", self.paths[index]))?;
        let claim = operands.claim();
        let present = claim.present();
        let left_out = self.paths.len() - claim.len();
        if claim.len() == 0 && left_out > 0 {
            return Err(value_error("grads: expected a gradient for at least one parameter; got none"));
        }
        let counts = self.next_counts(present)?;
        let hypers = self.hypers(&claim, &groups, of_row, counts.as_deref())?;
        if let Some(refusal) =
            hypers.used().find_map(|(hyper, dtype)| options::unfit(hyper, dtype, str::to_owned))
        {
            return Err(refusal);
        }
        if seed.is_some() {
            let made = |row| counts.as_ref().map_or(step, |counts| counts[row]) - 1;
            stored::have_numbers((0..claim.len()).map(|at| claim.row(at)).map(|row| (row, made(row))))?;
        }
        let gradients = claim.reads()?;
        let narrow = if claim.has_moments_of(Dtype::F16) { Dtype::F16 } else { Dtype::F32 };
        let mut limiter = Limiter::of(max_norm.as_ref())?;
        let limits = &mut limiter;
        let mut changes = Detail::new(detail.then_some(self.paths.len()), present).map_err(no_memory)?;
        let watch = &mut changes;
        let treatment = Treatment { norm: None, scan, stop_nonfinite, scale: grad_scale, narrow };
        let kinds = &self.kinds;
        let Computed { grad_norm, clip_factor, bad, overflow, applied } = call_quick(py, move || {
            let Hypers { all, index, .. } = hypers;
            let hyper = |position: usize| index.as_ref().map_or(0, |index| index[position]);
            let rows = claim
                .slices()
                .enumerate()
                .map(|(position, slices)| row(slices, kinds, hyper(position), seed));
            compute(rows, &gradients, all, treatment, limits, watch)
        })?;
        let (nonfinite, first) = counted(bad);
        let first = first.map(|position| present.map_or(position, |present| present[position]));
        let element = bad.map(|found| found.element);
        let step = if applied { step } else { step - 1 };
        let lr = groups[0].lr;
        let outcome = StepOutcome {
            step,
            lr,
            grad_norm,
            clip_factor,
            nonfinite,
            first,
            element,
            overflow,
            applied,
            left_out,
        };
        if applied {
            self.steps.store(step, Relaxed);
            *locked(&self.counts) = counts;
            limiter.keep();
        }
        let changes = changes.finish();
        *locked(&self.last) = Some((outcome, changes.clone()));
        if let Some(gathered) = locked(&self.gathered).as_mut() {
            gathered.clear();
        }
        drop(entered);
        if applied {
            self.tell.as_ref().map_or(Ok(()), |tell| tell.written(py))?;
        }
        outcome.record(py, changes.as_ref())
    }

    /// The number of `steps` made; where rows have made fewer, `counts`, the number of each; the `options`; and the
    /// `moments`, one role after another. No step can come between
    /// them. Unless `copy` is asked for, the moments are the arrays that the next step writes: whoever gets them must
    /// not hand them out, only views that cannot be written or resized.
    ///
    /// `calls` is the number of calls whose gradients wait for a step; `sums` are then their sums, or None.
    #[pyo3(signature = (*, copy))]
    fn state<'py>(&self, py: Python<'py>, copy: bool) -> Record<'py> {
        let entered = self.written.wait(py)?;
        let gathered = locked(&self.gathered).take();
        let calls = gathered.as_ref().map_or(0, |gathered| gathered.calls);
        let sums = gathered.as_ref().filter(|_| calls > 0).map(|gathered| gathered.saved(py, copy));
        *locked(&self.gathered) = gathered;
        let sums = sums.transpose()?;
        let moments = if copy { entered.copies(py)? } else { entered.moments(py)? };
        let counts = locked(&self.counts).as_deref().map(memory::copied).transpose().map_err(no_memory)?;
        record!(py, { steps: self.steps(), counts, options: self.options(py), moments, calls, sums })
    }

    /// Loads saved moments, one array per path and one role after another, with the number of steps that produced them
    /// (and the number of each row, where rows have made fewer) and options. Either all of it is loaded or nothing. `names` are the names of the arrays, for messages.
    /// `gathered` are sums of gradients that wait for a step, to which nobody else may have access, whether each holds
    /// something, and the number of calls.
    /// `any_value` says that the moments may have NaN and infinities, since the optimizer's steps allow them.
    #[pyo3(signature = (moments, *, names, steps, counts, options, any_value, gathered))]
    #[allow(clippy::too_many_arguments)] // what a state holds
    fn load(
        &self,
        moments: Bound<'_, PyTuple>,
        names: &Bound<'_, PyAny>,
        steps: u64,
        counts: Option<Vec<u64>>,
        options: Py<PyAny>,
        any_value: bool,
        gathered: Option<Saved<'_>>,
    ) -> PyResult<()> {
        let (py, names) = (moments.py(), listed::<String>(names)?);
        let mut entered = self.written.wait(py)?;
        let mut loads = entered.loads(moments, |index| name(&names, index))?;
        let copies = loads.claim();
        let (rows, kinds, kept) = (self.paths.len(), &self.kinds, &self.names);
        let counts = counted_rows(counts, rows)?;
        let gathered = gathered.map(Gathered::of).transpose()?;
        let fresh = |row: usize| counts.as_ref().map_or(steps, |counts| counts[row]) == 0;
        let found = call_quick(py, move || {
            let found = damaged(&copies, (kept, kinds), rows, fresh, any_value);
            if found.is_none() {
                copies.make();
            }
            Ok(found)
        })?;
        if let Some((index, element, damage)) = found {
            let kind = self.kinds[index / rows];
            return Err(value_error(damage_sentence(&name(&names, index), kind, element, damage)));
        }
        self.steps.store(steps, Relaxed);
        *locked(&self.counts) = counts;
        self.set_options(options);
        *locked(&self.last) = None;
        let old = std::mem::replace(&mut *locked(&self.gathered), gathered);
        drop(old); // after the lock
        Ok(())
    }
}

impl OptimizerPlan {
    /// The gradients of a step and what they are divided by: those that are given, or the sums of those that wait and
    /// their number.
    fn mean<'py>(
        &self,
        py: Python<'py>,
        grads: Option<Bound<'py, PyTuple>>,
    ) -> PyResult<(Bound<'py, PyTuple>, f64)> {
        let gathered = locked(&self.gathered).take();
        let sums = gathered.as_ref().filter(|gathered| gathered.calls > 0);
        let sums = sums.map(|gathered| Ok::<_, PyErr>((gathered.grads(py)?, gathered.calls)));
        *locked(&self.gathered) = gathered;
        match (grads, sums.transpose()?) {
            (Some(grads), None) => Ok((grads, 1.0)),
            (None, Some((sums, calls))) => Ok((sums, calls as f64)),
            (None, None) => {
                Err(value_error("grads: expected a gradient for at least one parameter; got none"))
            }
            (Some(_), Some((_, calls))) => Err(value_error(format!(
                "grads: expected none, since the gradients of {calls} calls of accumulate() wait for this step; got some"
            ))),
        }
    }

    /// How many steps each row will have made after this one, in which the rows `present` take part (None: all of
    /// them); None where all rows will have made all steps.
    fn next_counts(&self, present: Option<&[usize]>) -> PyResult<Option<Vec<u64>>> {
        let counts = locked(&self.counts);
        let mut counts = match (counts.as_deref(), present) {
            (None, None) => return Ok(None),
            (None, Some(_)) => memory::filled(self.paths.len(), self.steps()),
            (Some(counts), _) => memory::copied(counts),
        }
        .map_err(no_memory)?;
        match present {
            None => {
                for count in &mut counts {
                    *count += 1;
                }
            }
            Some(present) => {
                for &row in present {
                    counts[row] += 1;
                }
            }
        }
        Ok(Some(counts))
    }

    /// The options of the rows that take part. `counts` is the number that the step has for each row.
    fn hypers(
        &self,
        claim: &Claim<'_>,
        groups: &[Hyper],
        of_row: Option<&[u32]>,
        counts: Option<&[u64]>,
    ) -> PyResult<Hypers> {
        let step = self.steps() + 1;
        let rows = (0..claim.len()).map(|position| claim.row(position));
        if let (None, None, [group]) = (of_row, counts, groups) {
            return Hypers::one(*group, rows.map(|row| claim.computed_in(row)));
        }
        if of_row.is_some_and(|groups| groups.len() != self.paths.len()) {
            return Err(value_error("of_row: expected the group of every row"));
        }
        let member = |row: usize| Member {
            group: of_row.map_or(0, |groups| groups[row]),
            step: counts.map_or(step, |counts| counts[row]),
            computed_in: claim.computed_in(row),
        };
        Hypers::of(groups, &memory::collected(rows.map(member)).map_err(no_memory)?)
    }
}

/// Checks that there is a number of steps for each row.
fn counted_rows(counts: Option<Vec<u64>>, rows: usize) -> PyResult<Option<Vec<u64>>> {
    match counts {
        Some(counts) if counts.len() != rows => Err(value_error("counts: expected a number for every path")),
        counts => Ok(counts),
    }
}

/// The items of a list of arrays, all of which there are.
fn listed_all(arrays: &Bound<'_, PyAny>) -> PyResult<Vec<Option<Py<PyAny>>>> {
    let arrays = listed::<Py<PyAny>>(arrays)?;
    memory::collected(arrays.into_iter().map(Some)).map_err(no_memory)
}

/// The name of a written array, as the caller would write it.
fn written_name(names: &[String], paths: &[String], index: usize) -> String {
    let (role, row) = (index / paths.len(), index % paths.len());
    let role = match role {
        0 => "params",
        role => names.get(role - 1).map_or("copy_to", String::as_str),
    };
    format!("{role}{}", paths[row])
}
