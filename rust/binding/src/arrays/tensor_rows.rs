//! The tensors that a step of a torch optimizer reads and writes, looked at anew in every step.
//!
//! A row is a parameter with its gradient and its state. What was found in the last step is kept, so that in most steps
//! a tensor is only compared with it. No Python code may run from [`TensorRows::look`] until the slices of the
//! [`TensorClaim`] are no longer used.
#![allow(unsafe_code)] // slices over memory that torch owns

use super::apart::{Apart, Overlap};
use super::blocks::{Block, Place, prefetch};
use super::tensor_claim::TensorClaim;
use super::tensor_names::{KEPT, KeptTensor, Keys, Namer, Position, ROLES, SCALES, STEP, written_name};
use super::tensors::{Kind, Scratch, Seen, Tensors};
use crate::call::no_memory;
use crate::give::value_error;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use steelyard_kernels::dtype::Dtype;
use steelyard_kernels::memory;
use steelyard_kernels::optim::{BLOCK, MOMENTS};

/// A tensor that was looked at, and where it was.
pub(super) struct Held {
    object: Py<PyAny>,
    pub(super) place: Place,
}

/// A parameter and its state, as they were in the last step.
pub(super) struct Row {
    pub(super) param: Py<PyAny>,
    state: Option<Py<PyDict>>,
    pub(super) written: [Option<Held>; ROLES],
    shape: Vec<i64>,
    strides: Vec<i64>,
    /// Whether the last look found all these tensors to go together. The next one then need only find them unchanged.
    settled: bool,
}

/// A row that takes part in this step.
pub(super) struct Present<'py> {
    pub(super) row: usize,
    pub(super) position: Position,
    param: Bound<'py, PyAny>,
    grad: Bound<'py, PyAny>,
    /// `None` where the parameter has no state yet.
    state: Option<Bound<'py, PyDict>>,
    /// Whether its momentum begins with this step.
    begins: bool,
    /// The tensor that gets a copy of the parameter.
    copy: Option<Bound<'py, PyAny>>,
}

impl<'py> Present<'py> {
    /// What is kept or written beside the parameter, if it is there.
    fn beside(&self, kept: KeptTensor, state: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if kept == KeptTensor::Copy { Ok(self.copy.clone()) } else { state.get_item(kept.key()) }
    }
}

/// What a step does with a row.
pub(super) struct Ready {
    pub(super) row: usize,
    pub(super) group: usize,
    pub(super) grad: Block,
    /// The number of steps made so far.
    pub(super) steps: u64,
    pub(super) begins: bool,
}

/// The rows of an optimizer.
pub struct TensorRows {
    tensors: Tensors,
    pub(super) rows: Vec<Row>,
    /// The keys and values of the optimizer's `state`, by address, in its order.
    entries: Vec<(usize, usize)>,
    /// The rows whose tensors `apart` has.
    together: Vec<usize>,
    /// Whether a tensor has been recorded at another place than `apart` has. It stays so until all are compared again,
    /// also where a look ends before that.
    moved: bool,
    apart: Apart,
    pub(super) ready: Vec<Ready>,
}

/// The outcome of a look at all tensors.
pub enum Looked<'w, 'py> {
    /// All of them can be used.
    Ready(TensorClaim<'w, 'py>),
    /// These parameters have to be prepared first: they lack state, or a tensor is not in the parameter's layout.
    Unready(Vec<Position>),
}

/// The addresses of the keys and values of a dictionary, which are not touched.
struct Items<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    position: isize,
}

impl Iterator for Items<'_, '_> {
    type Item = (usize, usize);
    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the dictionary is alive; a position comes from the last call.
        let found = unsafe {
            ffi::PyDict_Next(self.dict.as_ptr(), &raw mut self.position, &raw mut key, &raw mut value)
        };
        (found != 0).then(|| (key.addr(), value.addr()))
    }
}

/// Rows are prefetched this many ahead, in three stages.
const AHEAD: usize = 4;

impl Row {
    fn place(&self, role: usize) -> Option<Place> {
        Some(self.written[role].as_ref()?.place)
    }
}

impl TensorRows {
    pub fn new(tensors: Tensors) -> Self {
        let (rows, entries, together, ready) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        TensorRows { tensors, rows, entries, together, moved: false, apart: Apart::default(), ready }
    }

    /// Finds the parameters that have a gradient, and looks at their tensors. `instead` has, by row, the parameter,
    /// gradient and state to use instead of those that the optimizer has, and whether the momentum begins with this
    /// step. Each group may have a list, of the same length, of tensors that get copies.
    pub fn look<'py>(
        &mut self,
        groups: (&[Bound<'py, PyList>], Option<&[Bound<'py, PyList>]>),
        state: &Bound<'py, PyDict>,
        keys: Keys<'_, 'py>,
        instead: Option<&Bound<'py, PyDict>>,
        name: Namer<'_>,
    ) -> PyResult<Looked<'_, 'py>> {
        let present = self.present(groups, state, instead)?;
        // An error ends this look anywhere; tensors may then have been recorded that were not compared.
        let mut changed = std::mem::replace(&mut self.moved, true);
        let mut unready = Vec::new();
        let mut scratch = Scratch::default();
        self.ready.clear();
        memory::reserve(&mut self.ready, present.len()).map_err(no_memory)?;
        for (index, row) in present.iter().enumerate() {
            self.prefetch(&present, index);
            match self.look_at(row, keys, &mut changed, &mut scratch, name)? {
                Some(ready) => self.ready.push(ready),
                None => memory::push(&mut unready, row.position).map_err(no_memory)?,
            }
        }
        if !unready.is_empty() {
            self.moved = changed;
            return Ok(Looked::Unready(unready));
        }
        let together = self.ready.iter().map(|ready| ready.row);
        if changed || !together.clone().eq(self.together.iter().copied()) {
            self.together = memory::gathered(together).map_err(no_memory)?;
            self.separate(&present, keys, name)?;
        }
        self.moved = false;
        let mut place = 0;
        for (ready, row) in self.ready.iter().zip(&present) {
            if let Some(hit) = self.apart.hit(&ready.grad.range(), &mut place) {
                let grad = format!("{}.grad", name(row.position));
                return Err(overlap(&grad, &written_name(hit, &present, keys, name), false));
            }
        }
        Ok(Looked::Ready(TensorClaim { rows: self, present }))
    }

    /// Prefetches what will be read of the rows that come next: first the Python objects, then what is found by them.
    /// The tensors of a step are scattered over the memory, and most of the time is spent waiting for it.
    #[inline]
    fn prefetch(&self, present: &[Present<'_>], index: usize) {
        let each = |distance: usize, fetch: &dyn Fn(&Bound<'_, PyAny>)| {
            let Some(row) = present.get(index + distance * AHEAD) else { return };
            fetch(&row.grad);
            for held in self.rows[row.row].written[..SCALES].iter().flatten() {
                fetch(held.object.bind(row.param.py()));
            }
        };
        each(3, &|tensor| prefetch(tensor.as_ptr().cast()));
        each(2, &|tensor| self.tensors.prefetch(tensor));
        each(1, &|tensor| self.tensors.prefetch_storage(tensor));
    }

    /// The parameters that have a gradient. This may run Python code, such as torch's hash of a tensor.
    fn present<'py>(
        &mut self,
        (groups, copies): (&[Bound<'py, PyList>], Option<&[Bound<'py, PyList>]>),
        state: &Bound<'py, PyDict>,
        instead: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Present<'py>>> {
        let py = state.py();
        let remembered = self.remembered(state)?;
        let mut present =
            memory::with_capacity(groups.iter().map(PyListMethods::len).sum()).map_err(no_memory)?;
        let mut next = 0;
        for (group, params) in groups.iter().enumerate() {
            for (index, param) in params.iter().enumerate() {
                let row = next;
                next += 1;
                if let Some(ahead) = self.rows.get(row + 2 * AHEAD) {
                    prefetch(ahead.param.as_ptr().cast());
                }
                if let Some(ahead) = self.rows.get(row + AHEAD) {
                    self.tensors.prefetch(ahead.param.bind(py));
                }
                self.is_row(row, &param)?;
                let grad = param.getattr(intern!(py, "grad"))?;
                let own = &mut self.rows[row];
                if !remembered {
                    own.state = None; // looked up again by the next step in which there is a gradient
                }
                if grad.is_none() {
                    continue;
                }
                if own.state.is_none() {
                    let found = state.get_item(&param)?;
                    own.state = found.and_then(|found| found.cast_into::<PyDict>().ok()).map(Bound::unbind);
                }
                let state = own.state.as_ref().map(|state| state.bind(py).clone());
                let copy = copies.map(|copies| copies[group].get_item(index)).transpose()?;
                let copy = copy.filter(|copy| !copy.is_none());
                let position = (group, index);
                let mut used = Present { row, position, param, grad, state, begins: false, copy };
                if let Some(other) = instead.map(|instead| instead.get_item(row)).transpose()?.flatten() {
                    (used.param, used.grad, used.state, used.begins) = other.cast::<PyTuple>()?.extract()?;
                }
                present.push(used);
            }
        }
        self.rows.truncate(next);
        Ok(present)
    }

    /// Makes the row one of this parameter, if it was not.
    fn is_row(&mut self, row: usize, param: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.rows.get(row).is_some_and(|row| row.param.is(param)) {
            return Ok(());
        }
        let fresh = Row {
            param: param.clone().unbind(),
            state: None,
            written: [const { None }; ROLES],
            shape: Vec::new(),
            strides: Vec::new(),
            settled: false,
        };
        match self.rows.get_mut(row) {
            Some(own) => *own = fresh,
            None => memory::push(&mut self.rows, fresh).map_err(no_memory)?,
        }
        Ok(())
    }

    /// Whether the optimizer's `state` has the keys and values that it had in the last step. Going through it takes a
    /// tenth of the time of looking up each parameter, whose hash torch computes in Python.
    fn remembered(&mut self, state: &Bound<'_, PyDict>) -> PyResult<bool> {
        let mut items = Items { dict: state, position: 0 };
        if self.entries.len() == state.len() && self.entries.iter().copied().eq(&mut items) {
            return Ok(true);
        }
        self.entries.clear();
        memory::reserve(&mut self.entries, state.len()).map_err(no_memory)?;
        self.entries.extend(Items { dict: state, position: 0 });
        Ok(false)
    }

    /// Looks at the tensors of a row; `None` where one of them has to be prepared.
    fn look_at(
        &mut self,
        row: &Present<'_>,
        keys: Keys<'_, '_>,
        changed: &mut bool,
        scratch: &mut Scratch,
        name: Namer<'_>,
    ) -> PyResult<Option<Ready>> {
        let Some(state) = &row.state else { return Ok(None) };
        if !self.is_unchanged(row, state, keys, scratch)?
            && !self.settle(row, state, keys, changed, scratch, name)?
        {
            return Ok(None);
        }
        let own = &mut self.rows[row.row];
        let (Some(Place::Floats(param)), Some(Place::Floats(counter))) = (own.place(0), own.place(STEP))
        else {
            return Ok(None);
        };
        let Some(steps) = counted(&counter, || name(row.position))? else { return Ok(None) };
        let Some(seen) = self.tensors.see(&row.grad, scratch)? else { return Ok(None) };
        if !goes_with(param.dtype, seen.dtype) || !seen.is_laid_out_like(&own.shape, &own.strides) {
            return Ok(None);
        }
        let grad = block(&seen);
        if !seen.has_memory(grad.size()) {
            return Err(without_memory(&format!("{}.grad", name(row.position))));
        }
        Ok(Some(Ready { row: row.row, group: row.position.0, grad, steps, begins: row.begins }))
    }

    /// Whether a row that was settled has the same tensors as then, of the same types and layouts, and in the same
    /// places.
    fn is_unchanged(
        &self,
        row: &Present<'_>,
        state: &Bound<'_, PyDict>,
        keys: Keys<'_, '_>,
        scratch: &mut Scratch,
    ) -> PyResult<bool> {
        let (own, moments) = (&self.rows[row.row], &keys.moments[row.position.0]);
        let layout = Some((&own.shape[..], &own.strides[..]));
        let mut stayed = |tensor: Option<&Bound<'_, PyAny>>, role: usize, layout| {
            let (Some(tensor), Some(held)) = (tensor, &own.written[role]) else { return Ok(false) };
            let Place::Floats(Block { data, len, dtype }) = held.place else { return Ok(false) };
            let low = role == KEPT && keys.kept == Some(KeptTensor::Low);
            let kind = if low { Kind::Bits } else { Kind::Float(dtype) };
            Ok(held.object.is(tensor) && self.tensors.stayed(tensor, scratch, (data, len, kind), layout)?)
        };
        if !own.settled || !stayed(Some(&row.param), 0, layout)? {
            return Ok(false);
        }
        for index in 0..MOMENTS {
            let same = match moments.get(index) {
                Some(key) => stayed(state.get_item(key)?.as_ref(), 1 + index, layout)?,
                None => own.written[1 + index].is_none(),
            };
            if !same {
                return Ok(false);
            }
        }
        let beside = match (keys.kept, &own.written[KEPT]) {
            (Some(kept), Some(_)) => stayed(row.beside(kept, state)?.as_ref(), KEPT, layout)?,
            (_, None) => row.copy.is_none(),
            (None, Some(_)) => false,
        };
        if !beside {
            return Ok(false);
        }
        stayed(state.get_item(intern!(state.py(), "step"))?.as_ref(), STEP, None)
    }

    /// Looks at all that is written of a row; `false` where one of the tensors has to be prepared.
    fn settle(
        &mut self,
        row: &Present<'_>,
        state: &Bound<'_, PyDict>,
        keys: Keys<'_, '_>,
        changed: &mut bool,
        scratch: &mut Scratch,
        name: Namer<'_>,
    ) -> PyResult<bool> {
        let py = row.param.py();
        let (own, moments) = (&mut self.rows[row.row], &keys.moments[row.position.0]);
        own.settled = false;
        let Some(seen) = self.tensors.see(&row.param, scratch)? else { return Ok(false) };
        let same = seen.shape == own.shape && seen.strides == own.strides;
        if !same {
            if !seen.is_dense() {
                return Ok(false);
            }
            (own.shape, own.strides) = (
                memory::copied(seen.shape).map_err(no_memory)?,
                memory::copied(seen.strides).map_err(no_memory)?,
            );
        }
        let element = seen.dtype;
        hold(&mut own.written[0], &row.param, &seen, changed, || name(row.position))?;
        for index in 0..MOMENTS {
            let Some(key) = moments.get(index) else {
                *changed |= own.written[1 + index].take().is_some();
                *changed |= own.written[SCALES + index].take().is_some();
                continue;
            };
            let Some(moment) = state.get_item(key)? else { return Ok(false) };
            let called = || format!("{key} of {}", name(row.position));
            if let Some(seen) = self.tensors.see(&moment, scratch)? {
                if !goes_with(element, seen.dtype) || !seen.is_laid_out_like(&own.shape, &own.strides) {
                    return Ok(false);
                }
                hold(&mut own.written[1 + index], &moment, &seen, changed, called)?;
                *changed |= own.written[SCALES + index].take().is_some();
                continue;
            }
            let Some(seen) = self.tensors.see_codes(&moment, scratch)? else { return Ok(false) };
            if element == Dtype::F64 || !seen.is_laid_out_like(&own.shape, &own.strides) {
                return Ok(false);
            }
            let codes = Place::Codes(Block { data: seen.data, len: seen.len(), dtype: () });
            let blocks = seen.len().div_ceil(BLOCK);
            if !seen.has_memory(codes.size()) {
                return Err(without_memory(&called()));
            }
            hold_at(&mut own.written[1 + index], &moment, codes, changed);
            let Some(scales) = state.get_item(format!("{key}_scale"))? else { return Ok(false) };
            let Some(seen) = self.tensors.see(&scales, scratch)? else { return Ok(false) };
            if seen.dtype != Dtype::F32
                || seen.len() != blocks
                || !seen.is_laid_out_like(&[blocks as i64], &[1])
            {
                return Ok(false);
            }
            let scale_name = || format!("{key}_scale of {}", name(row.position));
            hold(&mut own.written[SCALES + index], &scales, &seen, changed, scale_name)?;
        }
        let kept = keys.kept.map(|kept| Ok::<_, PyErr>((kept, row.beside(kept, state)?))).transpose()?;
        match kept {
            Some((kept, Some(tensor))) => {
                let param = (element, &own.shape[..], &own.strides[..]);
                let Some(seen) = kept.see(&self.tensors, &tensor, scratch, param)? else { return Ok(false) };
                let called = || format!("{} of {}", kept.key(), name(row.position));
                hold(&mut own.written[KEPT], &tensor, &seen, changed, called)?;
            }
            Some((kept, None)) if kept.kind(element).is_some() => return Ok(false),
            _ => *changed |= own.written[KEPT].take().is_some(),
        }
        let Some(steps) = state.get_item(intern!(py, "step"))? else { return Ok(false) };
        let Some(seen) = self.tensors.see(&steps, scratch)? else { return Ok(false) };
        if seen.len() != 1 {
            return Ok(false);
        }
        hold(&mut own.written[STEP], &steps, &seen, changed, || format!("step of {}", name(row.position)))?;
        own.settled = own.written[SCALES..].iter().all(Option::is_none);
        Ok(true)
    }

    /// Checks that no tensor that is written overlaps another one.
    fn separate(&mut self, present: &[Present<'_>], keys: Keys<'_, '_>, name: Namer<'_>) -> PyResult<()> {
        let rows = &self.rows;
        let ranges = self.ready.iter().flat_map(|ready| {
            let written = rows[ready.row].written.iter().enumerate();
            written.filter_map(move |(role, held)| {
                Some((held.as_ref()?.place.range(), ready.row * ROLES + role))
            })
        });
        match Apart::of(ranges)? {
            Ok(apart) => self.apart = apart,
            Err(Overlap(first, second)) => {
                self.together.clear();
                let names = [first, second].map(|index| written_name(index, present, keys, name));
                let tied = [first, second].iter().all(|index| index % ROLES == 0);
                return Err(overlap(&names[0], &names[1], tied));
            }
        }
        Ok(())
    }
}

/// Whether a parameter may have a gradient or a moment of this type: the step is computed in float64 where the parameter
/// is stored so, and in float32 otherwise.
fn goes_with(param: Dtype, other: Dtype) -> bool {
    other != Dtype::F64 || param == Dtype::F64
}

#[inline]
fn block(seen: &Seen<'_>) -> Block {
    Block { data: seen.data, len: seen.len(), dtype: seen.dtype }
}

/// `tied` says that both are parameters.
fn overlap(tensor: &str, other: &str, tied: bool) -> PyErr {
    let fix = if tied { "pass tied parameters once" } else { "put a .clone() in the place of one of them" };
    value_error(format!("{tensor}: expected memory of its own; it overlaps {other} ({fix})"))
}

/// Records where a tensor is, whose storage must have memory for it.
fn hold(
    held: &mut Option<Held>,
    tensor: &Bound<'_, PyAny>,
    seen: &Seen<'_>,
    changed: &mut bool,
    name: impl Fn() -> String,
) -> PyResult<()> {
    let block = block(seen);
    if !seen.has_memory(block.size()) {
        return Err(without_memory(&name()));
    }
    hold_at(held, tensor, Place::Floats(block), changed);
    Ok(())
}

/// Records where elements of any kind are.
fn hold_at(held: &mut Option<Held>, tensor: &Bound<'_, PyAny>, place: Place, changed: &mut bool) {
    if !held.as_ref().is_some_and(|held| held.object.is(tensor) && held.place == place) {
        *held = Some(Held { object: tensor.clone().unbind(), place });
        *changed = true;
    }
}

/// The exception for a tensor whose storage does not have its addresses.
fn without_memory(name: &str) -> PyErr {
    value_error(format!(
        "{name}: expected a tensor with memory for its elements; got one whose storage was emptied or shortened"
    ))
}

/// The last number of steps that float32 can count on from.
const LAST_SINGLE: f64 = 16_777_216.0;

/// The number of steps that a counter holds; `None` where it is of a type that cannot count on.
#[inline]
fn counted(counter: &Block, name: impl Fn() -> String) -> PyResult<Option<u64>> {
    let value = match counter.dtype {
        // SAFETY: the counter is a tensor of one element, which was just looked at.
        Dtype::F32 => unsafe { f64::from(counter.shared::<f32>()[0]) },
        // SAFETY: as above.
        Dtype::F64 => unsafe { counter.shared::<f64>()[0] },
        Dtype::F16 | Dtype::Bf16 => return Ok(None),
    };
    if !(0.0..9007199254740992.0).contains(&value) || value.fract() != 0.0 {
        return Err(value_error(format!(
            "step of {}: expected a whole number of at least 0 and below 2**53; got {value}",
            name()
        )));
    }
    Ok((counter.dtype == Dtype::F64 || value < LAST_SINGLE).then_some(value as u64))
}
