//! Arrays that are written, some of which are kept between calls.
//!
//! When arrays are handed over, [`Written`] checks that they can be written and do not overlap. Each later call checks
//! them again, together with the arrays that it only [`Reads`], before any slice is made. A [`Claim`] then makes
//! exactly one slice of each array that is written.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::apart::{Apart, Overlap};
use super::blocks::{
    AHEAD, Block, Header, Place, Reads, SliceMut, alike, borrow, codes, exclusive, held, is_codes,
    prefetch_shape, readable, shape_of, shared,
};
use super::owners::TensorPlace;
use crate::call::no_memory;
use crate::callback::call_back;
use crate::give::value_error;
use numpy::PyUntypedArray;
use numpy::npyffi::flags::{NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::dtype::{Dtype, RealDtype, TypedSlice, TypedSliceMut};
use steelyard_kernels::memory;
use steelyard_kernels::optim::BLOCK;

/// The most roles that arrays can have: a parameter, three moments with their scales, what a parameter in 16 bits lacks,
/// and a copy.
pub const MOST_ROLES: usize = 9;

/// Whose the arrays of a role are, and what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The caller's: floats.
    Given,
    /// Of the code that made the object, in the shape of the first array of the row: floats, or codes of 8 bits.
    Own,
    /// Of that code too: float32 scales, one for each block of the row's elements.
    Scales,
}

/// Checks an array that will be written: it must be writeable. Returns its header.
fn writable<'a>(object: &'a Bound<'_, PyAny>, name: impl Fn() -> String) -> PyResult<Header<'a>> {
    let header = readable(object, &name)?;
    if !header.has(NPY_ARRAY_WRITEABLE) {
        return Err(value_error(format!(
            "{}: expected a writeable array; got a read-only one; use numpy.array to copy it",
            name()
        )));
    }
    held(header, name)?;
    Ok(header)
}

fn overlap(array: &str, other: &str, fix: &str) -> PyErr {
    value_error(format!("{array}: expected memory of its own; it overlaps {other}{fix}"))
}

/// Arrays that are written, and kept alive. They have roles (parameters, first moments, ...), and there is one list of
/// arrays per role, one after another; every row has an array of the first role, and may lack one of another. The arrays
/// of one row have the same shape, except for scales; where the first is of float64 those that are not the caller's are
/// too, and otherwise none of them is. No array overlaps another.
///
/// The arrays of the caller are those of the first role, and perhaps of the last. Their memory may have moved by the
/// next call; [`Written::take`] and [`Written::beside`] check this again and use the new place. The arrays of the other
/// roles belong to the code that made this object, and nobody else may have access to them. No Python code may run from
/// the last check until the slices are no longer used, except the code by which owners of memory answer a check.
pub struct Written {
    pub(super) rows: usize,
    roles: Vec<Role>,
    arrays: Vec<Option<Py<PyAny>>>,
    /// The tensors whose memory arrays of the caller show, each with the array's index, in ascending order.
    tensors: Vec<(usize, TensorPlace)>,
    /// The types and shapes that the caller's arrays had when they were handed over.
    forms: Forms,
    pub(super) places: Places,
}

/// Types and shapes of arrays, one after another. Arrays of the caller may be given others in place.
#[derive(Default)]
struct Forms {
    /// The type of each array, and where its axes end.
    dtypes: Vec<(Dtype, usize)>,
    axes: Vec<usize>,
}

impl Forms {
    fn add(&mut self, dtype: Dtype, shape: &[usize]) -> PyResult<()> {
        memory::reserve(&mut self.axes, shape.len()).map_err(no_memory)?;
        self.axes.extend_from_slice(shape);
        memory::push(&mut self.dtypes, (dtype, self.axes.len())).map_err(no_memory)
    }

    #[inline]
    fn of(&self, position: usize) -> (Dtype, &[usize]) {
        let start = if position == 0 { 0 } else { self.dtypes[position - 1].1 };
        let (dtype, end) = self.dtypes[position];
        (dtype, &self.axes[start..end])
    }
}

/// The places of the arrays in memory.
pub(super) struct Places {
    pub(super) targets: Vec<Option<Place>>,
    /// Their address ranges.
    apart: Apart,
}

impl Written {
    /// Checks all arrays, which are the caller's: one role. `given` are the arrays as the caller has them: the arrays
    /// themselves, or torch tensors and other objects whose memory the arrays show.
    pub fn new(
        py: Python<'_>,
        arrays: Vec<Py<PyAny>>,
        given: &[Py<PyAny>],
        name: impl Fn(usize) -> String,
    ) -> PyResult<Self> {
        let roles = memory::collected([Role::Given].into_iter()).map_err(no_memory)?;
        let rows = arrays.len();
        let arrays = memory::collected(arrays.into_iter().map(Some)).map_err(no_memory)?;
        Written::with_roles(py, rows, roles, arrays, given, name)
    }

    /// [`Self::new`] for arrays of several roles, the first of which is the caller's. `given` has those of the first
    /// role, and where the last role is the caller's too, those of that one behind them.
    pub fn with_roles(
        py: Python<'_>,
        rows: usize,
        roles: Vec<Role>,
        arrays: Vec<Option<Py<PyAny>>>,
        given: &[Py<PyAny>],
        name: impl Fn(usize) -> String,
    ) -> PyResult<Self> {
        let theirs = (0..arrays.len()).filter(|index| roles[index / rows] == Role::Given);
        let mut places = Vec::new();
        for (index, given) in theirs.zip(given) {
            if arrays[index].as_ref().is_some_and(|array| !given.is(array))
                && let Some(place) = TensorPlace::of(given.bind(py))?
            {
                memory::push(&mut places, (index, place)).map_err(no_memory)?;
            }
        }
        let nowhere = Places { targets: Vec::new(), apart: Apart::default() };
        let forms = Forms::default();
        let mut written = Written { rows, roles, arrays, tensors: places, forms, places: nowhere };
        written.places = written.look(py, &name)?;
        written.forms = written.formed(py)?;
        Ok(written)
    }

    /// The types and shapes of the caller's arrays: those of the first role, then those of the last.
    fn formed(&self, py: Python<'_>) -> PyResult<Forms> {
        let mut forms = Forms::default();
        for (index, array) in self.arrays.iter().enumerate() {
            if self.roles[index / self.rows] == Role::Given {
                let block = self.places.targets[index].as_ref().and_then(Place::floats);
                let shape = array.as_ref().map_or(&[][..], |array| shape_of(array.bind(py)));
                // In the place of an array that is not there any type will do.
                forms.add(block.map_or(Dtype::F32, |block| block.dtype), shape)?;
            }
        }
        Ok(forms)
    }

    /// The type and the shape that one of the caller's arrays was handed over with.
    #[inline]
    fn form(&self, index: usize) -> (Dtype, &[usize]) {
        self.forms.of(if index < self.rows { index } else { self.rows + index % self.rows })
    }

    /// Finds where every array is, and checks that it may be written and overlaps no other.
    fn look(&self, py: Python<'_>, name: &impl Fn(usize) -> String) -> PyResult<Places> {
        let mut headers: Vec<Header<'_>> = memory::with_capacity(self.rows).map_err(no_memory)?;
        let mut targets = memory::with_capacity(self.arrays.len()).map_err(no_memory)?;
        for (index, array) in self.arrays.iter().enumerate() {
            if let Some(ahead) = self.arrays.get(index + AHEAD).and_then(Option::as_ref) {
                prefetch_shape(ahead.bind(py));
            }
            targets.push(match (array, headers.get(index % self.rows)) {
                (None, _) => None,
                (Some(array), Some(param)) if index >= self.rows => {
                    Some(placed(array.bind(py), self.roles[index / self.rows], *param, || name(index))?)
                }
                (Some(array), _) => {
                    let header = writable(array.bind(py), || name(index))?;
                    headers.push(header);
                    Some(Place::Floats(header.block()))
                }
            });
        }
        for (index, tensor) in &self.tensors {
            if !targets[*index].is_some_and(|target| tensor.is_at(target.range())) {
                return Err(moving(&name(*index)));
            }
        }
        let ranges =
            targets.iter().enumerate().filter_map(|(index, target)| Some((target.as_ref()?.range(), index)));
        match Apart::of(ranges)? {
            Ok(apart) => Ok(Places { targets, apart }),
            Err(Overlap(a, b)) => Err(overlap(&name(a), &name(b), " (tied arrays: pass one of them only)")),
        }
    }

    /// Checks whether tensors have moved, and replaces the array of each that has by what `again(index)` returns. A
    /// tensor whose new array cannot be used is refused with an exception. This may run Python code.
    pub fn take(
        &mut self,
        py: Python<'_>,
        again: impl Fn(usize) -> PyResult<Py<PyAny>>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<()> {
        let mut moved = Vec::new();
        for (position, (index, tensor)) in self.tensors.iter().enumerate() {
            if !tensor.stayed(py)? {
                memory::push(&mut moved, (position, *index)).map_err(no_memory)?;
            }
        }
        for &(position, index) in &moved {
            let array = again(index)?;
            let tensor = self.tensors[position].1.again(py)?;
            let header = writable(array.bind(py), || name(index))?;
            self.as_given(index, header, &name)?;
            (self.arrays[index], self.tensors[position].1) = (Some(array), tensor);
        }
        if moved.is_empty() {
            return Ok(());
        }
        for (row, tensor) in &self.tensors {
            if !tensor.stayed(py)? {
                return Err(moving(&name(*row)));
            }
        }
        self.places = self.look(py, &name)?;
        Ok(())
    }

    /// Raises an exception where an array of the caller's no longer has the type and the shape that it had.
    fn as_given(&self, index: usize, header: Header<'_>, name: &impl Fn(usize) -> String) -> PyResult<()> {
        let why = "as when the optimizer was made; make a new one for another shape or type";
        let (dtype, shape) = self.form(index);
        alike(header, dtype, shape, || name(index), why)
    }

    /// The indices of the caller's arrays that are no row's first.
    fn others_given(&self, row: usize) -> impl Iterator<Item = usize> + use<'_> {
        let last = self.roles.len() - 1;
        let theirs = last > 0 && self.roles[last] == Role::Given;
        theirs.then_some(last * self.rows + row).into_iter().filter(|index| self.arrays[*index].is_some())
    }

    /// Checks the caller's arrays again, since their owner may have changed them, and for each row the array that is
    /// read with it. Where None is given in the place of the latter, the row takes no part in what
    /// follows. `name` names the arrays that are written, `read_name` those that are read.
    pub fn beside<'w, 'py>(
        &'w mut self,
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
        read_name: impl Fn(usize) -> String,
    ) -> PyResult<Operands<'w, 'py>> {
        let py = arrays.py();
        if arrays.len() != self.rows {
            let message = format!(
                "arrays: expected {}, one beside each that is written; got {}",
                self.rows,
                arrays.len()
            );
            return Err(value_error(message));
        }
        let mut moved = false;
        let reads = self.with_reads(arrays.clone(), &mut moved, &name, &read_name);
        if !moved {
            return Ok(Operands { reads: reads?, written: self });
        }
        for index in (0..self.rows).flat_map(|row| std::iter::once(row).chain(self.others_given(row))) {
            if let Some(array) = &self.arrays[index] {
                let header = writable(array.bind(py), || name(index))?;
                self.as_given(index, header, &name)?;
            }
        }
        self.places = self.look(py, &name)?;
        let reads = self.with_reads(arrays, &mut false, &name, &read_name)?;
        Ok(Operands { reads, written: self })
    }

    /// Checks the arrays that are read, each together with the array of the first role in its row. Where one of the
    /// latter has moved, this stops there with an error and sets `moved`.
    fn with_reads<'py>(
        &self,
        arrays: Bound<'py, PyTuple>,
        moved: &mut bool,
        name: &impl Fn(usize) -> String,
        read_name: &impl Fn(usize) -> String,
    ) -> PyResult<Reads<'py>> {
        let py = arrays.py();
        let mut place = 0;
        Reads::checked(arrays, read_name, true, |row, read| {
            if let Some(ahead) = self.arrays[..self.rows].get(row + AHEAD).and_then(Option::as_ref) {
                prefetch_shape(ahead.bind(py));
            }
            let Some(param) = self.still(py, row, name)? else {
                *moved = true;
                return Err(moving(&name(row)));
            };
            for other in self.others_given(row) {
                if self.still(py, other, name)?.is_none() {
                    *moved = true;
                    return Err(moving(&name(other)));
                }
            }
            alike(read, read.dtype, param.shape(), || read_name(row), "like the parameter")?;
            match self.places.apart.hit(&read.block().range(), &mut place) {
                Some(hit) => Err(overlap(&name(hit), &read_name(row), "")),
                None => Ok(()),
            }
        })
    }

    /// The header of an array of the caller's; `None` where it is not in its recorded place, has not the shape that it
    /// had, or may not be written.
    #[inline]
    fn still<'a>(
        &'a self,
        py: Python<'a>,
        index: usize,
        name: &impl Fn(usize) -> String,
    ) -> PyResult<Option<Header<'a>>> {
        let Some(array) = &self.arrays[index] else { return Ok(None) };
        let header = array.bind(py).cast::<PyUntypedArray>().ok().and_then(Header::of);
        let same = |header: &Header<'_>| {
            header.has(NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_WRITEABLE)
                && self.places.targets[index] == Some(Place::Floats(header.block()))
                && header.shape().iter().eq(self.form(index).1)
        };
        let Some(header) = header.filter(same) else { return Ok(None) };
        // The tensors have been checked already, by `take`.
        if self.tensors.is_empty() || self.tensors.binary_search_by_key(&index, |(row, _)| *row).is_err() {
            held(header, || name(index))?;
        }
        Ok(Some(header))
    }

    /// Whether a row has an array of this role.
    pub fn has(&self, role: usize, row: usize) -> bool {
        self.places.targets.get(role * self.rows + row).is_some_and(Option::is_some)
    }

    /// The element type of a row's array of this role; None where it has none, or codes.
    pub fn dtype(&self, role: usize, row: usize) -> Option<Dtype> {
        let place = self.places.targets.get(role * self.rows + row)?.as_ref()?;
        place.floats().map(|block| block.dtype)
    }

    /// Slices of all arrays, for reading.
    pub fn reads(&self) -> PyResult<Vec<TypedSlice<'_>>> {
        let blocks = self.places.targets.iter().flatten().filter_map(Place::floats);
        // SAFETY: `arrays` keeps each array alive, and nothing writes it while `self` is borrowed.
        memory::gathered(blocks.map(|block| unsafe { shared(block) })).map_err(no_memory)
    }

    /// The places of all arrays, of which slices for writing can be made. Arrays that have not moved since they were
    /// found not to overlap still do not; where one has moved, all are checked anew. No Python code may run after this
    /// until the arrays have been written.
    fn targets(&mut self, py: Python<'_>, name: impl Fn(usize) -> String) -> PyResult<&[Option<Place>]> {
        self.take(py, |index| Err(moving(&name(index))), &name)?;
        if !self.stayed(py, &name)? {
            self.places = self.look(py, &name)?;
        }
        Ok(&self.places.targets)
    }

    /// Whether every array of the first role is still in its recorded place.
    fn stayed(&self, py: Python<'_>, name: &impl Fn(usize) -> String) -> PyResult<bool> {
        for index in 0..self.rows {
            if let Some(ahead) = self.arrays[..self.rows].get(index + AHEAD).and_then(Option::as_ref) {
                prefetch_shape(ahead.bind(py));
            }
            if self.still(py, index, name)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The arrays that are not the caller's, one role after another; None where a row has none.
    pub(super) fn own(&self) -> &[Option<Py<PyAny>>] {
        let theirs = self.roles.iter().skip(1).filter(|role| **role == Role::Given).count();
        &self.arrays[self.rows..(self.roles.len() - theirs).max(1) * self.rows]
    }

    /// The arrays that are not the caller's, one role after another; None where a row has none.
    pub fn moments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let arrays = self.own().iter().map(|array| array.as_ref().map(|array| array.bind(py).clone()));
        memory::collected(arrays).map_err(no_memory)
    }

    /// Copies of them.
    pub fn copies<'py>(&self, py: Python<'py>) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let copied = |array: Bound<'py, PyAny>| {
            // NumPy releases the interpreter while it copies. If the interpreter ends meanwhile, this thread does not
            // get it back, so the call goes through `call_back`.
            let copy = array.getattr(intern!(py, "copy"))?;
            call_back(&copy, &PyTuple::empty(py), None)
        };
        let moments = self.moments(py)?;
        let mut copies = memory::with_capacity(moments.len()).map_err(no_memory)?;
        for array in moments {
            copies.push(array.map(copied).transpose()?);
        }
        Ok(copies)
    }
}

/// The place of an array that belongs to the row of the array `param`.
fn placed(
    array: &Bound<'_, PyAny>,
    role: Role,
    param: Header<'_>,
    name: impl Fn() -> String,
) -> PyResult<Place> {
    let why = "like the parameter";
    if role == Role::Own && is_codes(array) {
        return codes(array, param.shape(), true, name).map(Place::Codes);
    }
    let header = writable(array, &name)?;
    match role {
        Role::Given => alike(header, header.dtype, param.shape(), name, why)?,
        Role::Own => alike(header, moment_type(param.dtype, header.dtype), param.shape(), name, why)?,
        Role::Scales => {
            alike(header, Dtype::F32, &[param.block().len.div_ceil(BLOCK)], name, "one for each block")?;
        }
    }
    Ok(Place::Floats(header.block()))
}

/// The type that a moment must have: f64 beside an f64 parameter, and otherwise any other.
fn moment_type(param: Dtype, moment: Dtype) -> Dtype {
    match (param, moment) {
        (Dtype::F64, _) => Dtype::F64,
        (_, Dtype::F64) => Dtype::F32,
        _ => moment,
    }
}

fn moving(name: &str) -> PyErr {
    value_error(format!(
        "{name}: expected memory that stays where it is during the call; it was moved meanwhile; call again"
    ))
}

impl Written {
    /// Checks all arrays once more, and returns slices of them for writing.
    pub fn slices(
        &mut self,
        py: Python<'_>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Vec<TypedSliceMut<'_>>> {
        let blocks = self.targets(py, name)?.iter().flatten().filter_map(Place::floats);
        // SAFETY: each is a writeable array that `arrays` keeps alive, and it overlaps no other; one slice is made of
        // each while `self` is borrowed.
        memory::gathered(blocks.map(|block| unsafe { exclusive(block) })).map_err(no_memory)
    }
}

/// The arrays that are written and those that are read with them, checked together.
pub struct Operands<'w, 'py> {
    written: &'w mut Written,
    reads: Reads<'py>,
}

impl Operands<'_, '_> {
    /// The right to make slices of all these arrays.
    pub fn claim(&mut self) -> Claim<'_> {
        let Written { rows, places, .. } = &*self.written;
        let Reads { blocks, rows: present, .. } = &self.reads;
        Claim { rows: *rows, written: &places.targets, reads: blocks, present: present.as_deref() }
    }
}

/// Blocks to read and places to write to, of which the latter overlap nothing. Slices may be made of them once.
pub struct Claim<'a> {
    rows: usize,
    written: &'a [Option<Place>],
    reads: &'a [Block],
    /// The row of each array that is read, where some rows have none.
    present: Option<&'a [usize]>,
}

/// The slices of a row: the one that is read, and those that are written, of the first role and of the others.
pub struct Row<'a> {
    /// Its index among all rows.
    pub number: usize,
    pub read: TypedSlice<'a>,
    pub first: TypedSliceMut<'a>,
    pub others: [Option<SliceMut<'a>>; MOST_ROLES - 1],
}

impl<'a> Claim<'a> {
    /// Slices of the arrays that are read.
    pub fn reads(&self) -> PyResult<Vec<TypedSlice<'a>>> {
        borrow(self.reads.iter())
    }

    /// The rows that take part, where some do not.
    pub fn present(&self) -> Option<&'a [usize]> {
        self.present
    }

    /// The row of the array that is read at a position.
    pub fn row(&self, position: usize) -> usize {
        self.present.map_or(position, |present| present[position])
    }

    /// The number of rows that take part.
    pub fn len(&self) -> usize {
        self.reads.len()
    }

    /// The type of the computation of a row.
    pub fn computed_in(&self, row: usize) -> RealDtype {
        let block = self.written[row].as_ref().and_then(Place::floats);
        if block.is_some_and(|block| block.dtype == Dtype::F64) { RealDtype::F64 } else { RealDtype::F32 }
    }

    /// Whether an array of another role than the first has this type.
    pub fn has_moments_of(&self, dtype: Dtype) -> bool {
        let mut blocks = self.written[self.rows..].iter().flatten().filter_map(Place::floats);
        blocks.any(|block| block.dtype == dtype)
    }

    /// The slices of every row that takes part.
    pub fn slices(self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let Claim { rows, written, reads, present } = self;
        reads.iter().enumerate().filter_map(move |(position, read)| {
            let number = present.map_or(position, |present| present[position]);
            let first = written[number].as_ref()?.floats()?; // every row has one
            let others: [_; MOST_ROLES - 1] =
                std::array::from_fn(|role| written.get((1 + role) * rows + number).and_then(Option::as_ref));
            // SAFETY: each array lives for 'a, and nothing writes what is read. Every target was found to be a writeable
            // array that overlaps nothing else. One slice is made of each, because there is only one claim while the
            // arrays are borrowed, and this consumes it.
            unsafe {
                Some(Row {
                    number,
                    read: shared(read),
                    first: exclusive(first),
                    others: others.map(|target| target.map(|target| target.exclusive())),
                })
            }
        })
    }
}
