//! Arrays that are written, some of which are kept between calls.
//!
//! When arrays are handed over, [`Written`] checks that they can be written and do not overlap. Each later call checks
//! them again, together with the arrays that it only [`Reads`], before any slice is made. A [`Claim`] then makes
//! exactly one slice of each array that is written.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::apart::{Apart, Overlap};
use super::blocks::{AHEAD, Block, Header, Reads, alike, borrow, held, prefetch_shape, readable};
use super::owners::TensorPlace;
use crate::call::no_memory;
use crate::callback::call_back;
use crate::give::{type_error, value_error};
use numpy::PyUntypedArray;
use numpy::npyffi::flags::{NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ptr::copy_nonoverlapping;
use steelyard_kernels::dtype::{Dtype, Dtypes, Listed, RealDtype, TypedSlice, TypedSliceMut};
use steelyard_kernels::{memory, with_dtype};

/// The most roles that arrays can have: a parameter and three moments.
const MOST_ROLES: usize = 4;

/// Checks an array that will be written: its type must be one of `K`, and it must be writeable. Returns its header and
/// block.
fn writable<'a, K: Dtypes>(
    object: &'a Bound<'_, PyAny>,
    name: impl Fn() -> String,
) -> PyResult<(Header<'a>, Block<K>)> {
    let header = readable(object, &name)?;
    let Some(target) = header.block() else {
        return Err(type_error(format!(
            "{}: expected {} to write to; got {}",
            name(),
            K::names(),
            header.dtype.name()
        )));
    };
    if !header.has(NPY_ARRAY_WRITEABLE) {
        return Err(value_error(format!(
            "{}: expected a writeable array; got a read-only one; use numpy.array to copy it",
            name()
        )));
    }
    held(header, name)?;
    Ok((header, target))
}

fn overlap(array: &str, other: &str, fix: &str) -> PyErr {
    value_error(format!("{array}: expected memory of its own; it overlaps {other}{fix}"))
}

/// Arrays that are written, and kept alive. They have roles (parameters, first moments, ...), and there is one list of
/// arrays per role, one after another. The arrays of one row, one from each list, have the same shape; where the first
/// is of float64 the others are too, and otherwise none of them is. No array overlaps another.
///
/// The arrays of the first role are the caller's, and their memory may have moved by the next call; [`Written::take`]
/// and [`Written::beside`] check this again and use the new place. The arrays of the other roles belong to the code
/// that made this object, and nobody else may have access to them. No Python code may run from the last check until the
/// slices are no longer used, except the code by which owners of memory answer a check.
pub struct Written<K> {
    rows: usize,
    arrays: Vec<Py<PyAny>>,
    /// The tensors whose memory arrays of the first role show, each with its row, in ascending order.
    tensors: Vec<(usize, TensorPlace)>,
    places: Places<K>,
}

/// The places of the arrays in memory.
struct Places<K> {
    targets: Vec<Block<K>>,
    /// Their address ranges.
    apart: Apart,
}

impl<K: Dtypes> Written<K> {
    /// Checks all arrays. `rows` is the length of each role's list. `given` are the arrays of the first role as the
    /// caller has them: the arrays themselves, or torch tensors and other objects whose memory the arrays show.
    pub fn new(
        py: Python<'_>,
        rows: usize,
        arrays: Vec<Py<PyAny>>,
        given: &[Py<PyAny>],
        name: impl Fn(usize) -> String,
    ) -> PyResult<Self> {
        let others = given.iter().zip(&arrays).enumerate().filter(|(_, (given, array))| !given.is(*array));
        let mut places = Vec::new();
        for (index, (given, _)) in others {
            if let Some(place) = TensorPlace::of(given.bind(py))? {
                memory::push(&mut places, (index, place)).map_err(no_memory)?;
            }
        }
        let nowhere = Places { targets: Vec::new(), apart: Apart::default() };
        let mut written = Written { rows, arrays, tensors: places, places: nowhere };
        written.places = written.look(py, &name)?;
        Ok(written)
    }

    /// Finds where every array is, and checks that it may be written and overlaps no other.
    fn look(&self, py: Python<'_>, name: &impl Fn(usize) -> String) -> PyResult<Places<K>> {
        let mut headers: Vec<Header<'_>> = memory::with_capacity(self.arrays.len()).map_err(no_memory)?;
        let mut targets = memory::with_capacity(self.arrays.len()).map_err(no_memory)?;
        for (index, array) in self.arrays.iter().enumerate() {
            if let Some(ahead) = self.arrays.get(index + AHEAD) {
                prefetch_shape(ahead.bind(py));
            }
            let (header, target) = writable(array.bind(py), || name(index))?;
            if index >= self.rows {
                let param = headers[index % self.rows];
                let dtype = moment_type(param.dtype, header.dtype);
                alike(header, dtype, param, || name(index), "like the parameter")?;
            }
            headers.push(header);
            targets.push(target);
        }
        for (index, tensor) in &self.tensors {
            if !tensor.is_at(targets[*index].range()) {
                return Err(moving(&name(*index)));
            }
        }
        match Apart::of(targets.iter().map(Block::range).zip(0..))? {
            Ok(apart) => Ok(Places { targets, apart }),
            Err(Overlap(a, b)) => Err(overlap(&name(a), &name(b), " (tied arrays: pass one of them only)")),
        }
    }

    /// Checks whether tensors have moved, and replaces the array of each that has by what `again(row)` returns. A
    /// tensor whose new array cannot be used is refused with an exception. This may run Python code.
    pub fn take(
        &mut self,
        py: Python<'_>,
        again: impl Fn(usize) -> PyResult<Py<PyAny>>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<()> {
        let mut moved = Vec::new();
        for (position, (row, tensor)) in self.tensors.iter().enumerate() {
            if !tensor.stayed(py)? {
                memory::push(&mut moved, (position, *row)).map_err(no_memory)?;
            }
        }
        for &(position, row) in &moved {
            let array = again(row)?;
            let tensor = self.tensors[position].1.again(py)?;
            let (header, _) = writable::<K>(array.bind(py), || name(row))?;
            self.like_its_moments(py, row, header, &name)?;
            (self.arrays[row], self.tensors[position].1) = (array, tensor);
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

    /// Raises an exception where an array of the first role no longer has the type and shape of the others of its row.
    fn like_its_moments(
        &self,
        py: Python<'_>,
        row: usize,
        header: Header<'_>,
        name: &impl Fn(usize) -> String,
    ) -> PyResult<()> {
        let why = "as when the optimizer was made; make a new one for another shape or type";
        let dtype = self.places.targets[row].dtype.into();
        for role in 1..self.arrays.len() / self.rows {
            let moment =
                readable(self.arrays[role * self.rows + row].bind(py), || name(role * self.rows + row))?;
            alike(header, dtype, moment, || name(row), why)?;
        }
        Ok(())
    }

    /// Checks the arrays of the first role again, since their owner may have changed them, and for each of them the
    /// array that is read with it. Where None is given in the place of the latter, the row takes no part in what
    /// follows. `name` names the arrays that are written, `read_name` those that are read.
    pub fn beside<'w, 'py>(
        &'w mut self,
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
        read_name: impl Fn(usize) -> String,
    ) -> PyResult<Operands<'w, 'py, K>> {
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
        for row in 0..self.rows {
            let (header, _) = writable::<K>(self.arrays[row].bind(py), || name(row))?;
            self.like_its_moments(py, row, header, &name)?;
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
            if let Some(ahead) = self.arrays[..self.rows].get(row + AHEAD) {
                prefetch_shape(ahead.bind(py));
            }
            let Some(param) = self.still(py, row, name)? else {
                *moved = true;
                return Err(moving(&name(row)));
            };
            alike(read, read.dtype, param, || read_name(row), "like the parameter")?;
            match read.block::<Dtype>().and_then(|read| self.places.apart.hit(&read.range(), &mut place)) {
                Some(hit) => Err(overlap(&name(hit), &read_name(row), "")),
                None => Ok(()),
            }
        })
    }

    /// The array's header; `None` where it is not in its recorded place, or may not be written.
    #[inline]
    fn still<'a>(
        &'a self,
        py: Python<'a>,
        index: usize,
        name: &impl Fn(usize) -> String,
    ) -> PyResult<Option<Header<'a>>> {
        let array = self.arrays[index].bind(py);
        let header = array.cast::<PyUntypedArray>().ok().and_then(Header::of);
        let same = |header: &Header<'_>| {
            header.has(NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_WRITEABLE)
                && header.block() == Some(self.places.targets[index])
        };
        let Some(header) = header.filter(same) else { return Ok(None) };
        // The tensors have been checked already, by `take`.
        if self.tensors.is_empty() || self.tensors.binary_search_by_key(&index, |(row, _)| *row).is_err() {
            held(header, || name(index))?;
        }
        Ok(Some(header))
    }

    /// Slices of all arrays, for reading.
    pub fn reads(&self) -> PyResult<Vec<TypedSlice<'_>>> {
        borrow(&self.places.targets)
    }

    /// The blocks of all arrays, of which slices for writing can be made. Arrays that have not moved since they were
    /// found not to overlap still do not; where one has moved, all are checked anew. No Python code may run after this
    /// until the arrays have been written.
    fn targets(&mut self, py: Python<'_>, name: impl Fn(usize) -> String) -> PyResult<&[Block<K>]> {
        self.take(py, |index| Err(moving(&name(index))), &name)?;
        if !self.stayed(py, &name)? {
            self.places = self.look(py, &name)?;
        }
        Ok(&self.places.targets)
    }

    /// Whether every array is still in its recorded place.
    fn stayed(&self, py: Python<'_>, name: &impl Fn(usize) -> String) -> PyResult<bool> {
        for index in 0..self.arrays.len() {
            if let Some(ahead) = self.arrays.get(index + AHEAD) {
                prefetch_shape(ahead.bind(py));
            }
            if self.still(py, index, name)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The arrays of every role but the first, one role after another.
    pub fn moments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        memory::collected(self.arrays[self.rows..].iter().map(|array| array.bind(py).clone()))
            .map_err(no_memory)
    }

    /// Copies of the arrays of every role but the first, one role after another.
    pub fn copies<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let moments = self.arrays[self.rows..].iter();
        let mut copies = memory::with_capacity(moments.len()).map_err(no_memory)?;
        for array in moments {
            // NumPy releases the interpreter while it copies. If the interpreter ends meanwhile, this thread does not
            // get it back, so the call goes through `call_back`.
            let copy = array.bind(py).getattr(intern!(py, "copy"))?;
            copies.push(call_back(&copy, &PyTuple::empty(py), None)?);
        }
        Ok(copies)
    }

    /// Checks arrays that are to be copied into the arrays of every role but the first, in order, and returns both.
    pub fn loads<'w, 'py>(
        &'w mut self,
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Loads<'w, 'py, K>> {
        let py = arrays.py();
        let own = &self.arrays[self.rows..];
        if arrays.len() != own.len() {
            let message = format!("arrays: expected {}, one per moment; got {}", own.len(), arrays.len());
            return Err(value_error(message));
        }
        let reads = Reads::checked(arrays, &name, false, |index, read| {
            let moment = readable(own[index].bind(py), || name(index))?;
            alike(read, moment.dtype, moment, || name(index), "like the moments of this optimizer")
        })?;
        Ok(Loads { written: self, reads })
    }
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

impl Written<Dtype> {
    /// Checks all arrays once more, and returns slices of them for writing.
    pub fn slices(
        &mut self,
        py: Python<'_>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Vec<TypedSliceMut<'_>>> {
        // SAFETY: each is a writeable array that `arrays` keeps alive, and it overlaps no other; one slice is made of
        // each while `self` is borrowed.
        let slice = |target: &Block| unsafe { exclusive(target) };
        memory::collected(self.targets(py, name)?.iter().map(slice)).map_err(no_memory)
    }
}

/// The arrays that are written and those that are read with them, checked together.
pub struct Operands<'w, 'py, K> {
    written: &'w mut Written<K>,
    reads: Reads<'py>,
}

impl<K: Dtypes> Operands<'_, '_, K> {
    /// The right to make slices of all these arrays.
    pub fn claim(&mut self) -> Claim<'_, K> {
        let Written { rows, places, .. } = &*self.written;
        let Reads { blocks, rows: present, .. } = &self.reads;
        Claim { rows: *rows, written: &places.targets, reads: blocks, present: present.as_deref() }
    }
}

/// Blocks to read and blocks to write, of which the latter overlap nothing. Slices may be made of them once.
pub struct Claim<'a, K> {
    rows: usize,
    written: &'a [Block<K>],
    reads: &'a [Block],
    /// The row of each array that is read, where some rows have none.
    present: Option<&'a [usize]>,
}

/// The slices of a row: the one that is read, and those that are written, of the first role and of the others.
pub struct Row<'a> {
    pub read: TypedSlice<'a>,
    pub first: TypedSliceMut<'a>,
    pub others: [Option<TypedSliceMut<'a>>; MOST_ROLES - 1],
}

impl<'a> Claim<'a, Dtype> {
    /// Slices of the arrays that are read.
    pub fn reads(&self) -> PyResult<Vec<TypedSlice<'a>>> {
        borrow(self.reads)
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
        if self.written[row].dtype == Dtype::F64 { RealDtype::F64 } else { RealDtype::F32 }
    }

    /// Whether an array of another role than the first has this type.
    pub fn has_moments_of(&self, dtype: Dtype) -> bool {
        self.written[self.rows..].iter().any(|target| target.dtype == dtype)
    }

    /// The slices of every row that takes part.
    pub fn slices(self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let Claim { rows, written, reads, present } = self;
        reads.iter().enumerate().map(move |(position, read)| {
            let row = present.map_or(position, |present| present[position]);
            let first = &written[row];
            let others: [_; MOST_ROLES - 1] =
                std::array::from_fn(|role| written.get((1 + role) * rows + row));
            // SAFETY: each array lives for 'a, and nothing writes what is read. Every target was found to be a writeable
            // array that overlaps nothing else. One slice is made of each, because there is only one claim while the
            // arrays are borrowed, and this consumes it.
            unsafe {
                Row {
                    read: with_dtype!(read.dtype, type T => T::typed(read.shared::<T>())),
                    first: exclusive(first),
                    others: others.map(|target| target.map(|target| exclusive(target))),
                }
            }
        })
    }
}

/// A slice to write to.
///
/// # Safety
///
/// As of [`Block::exclusive`].
unsafe fn exclusive<'a>(target: &Block) -> TypedSliceMut<'a> {
    // SAFETY: the caller promises it.
    with_dtype!(target.dtype, type T => T::typed(unsafe { target.exclusive::<T>() }))
}

/// Saved moments, and the arrays that they are to be copied into.
pub struct Loads<'w, 'py, K> {
    written: &'w mut Written<K>,
    reads: Reads<'py>,
}

impl<K: Dtypes> Loads<'_, '_, K> {
    /// The arrays to copy, one role after another, and the right to copy them.
    pub fn claim(&mut self) -> Copies<'_, K> {
        let Written { rows, places, .. } = &*self.written;
        Copies { from: &self.reads.blocks, to: &places.targets[*rows..] }
    }
}

/// Pairs of blocks to copy from and to; the two of a pair have the same type and length.
pub struct Copies<'a, K> {
    from: &'a [Block],
    to: &'a [Block<K>],
}

impl<'a> Copies<'a, Dtype> {
    /// The number of arrays to copy, of all roles together.
    pub fn len(&self) -> usize {
        self.from.len()
    }

    /// The elements to be copied into an array.
    pub fn from(&self, index: usize) -> TypedSlice<'a> {
        let block = self.from[index];
        // SAFETY: the array lives for 'a, and nothing writes it.
        with_dtype!(block.dtype, type T => T::typed(unsafe { block.shared::<T>() }))
    }

    /// Copies all arrays.
    pub fn make(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            // SAFETY: both live for 'a and have the same type and length. `to` belongs to the optimizer alone, so it
            // does not overlap what is read.
            unsafe { copy_nonoverlapping(from.data, to.data, from.size()) };
        }
    }
}
