//! Many arrays in one call, some of them written: checked first, then borrowed together.
//!
//! [`Written`] arrays are found sound and disjoint when they are handed over. Each call looks at them again, side by
//! side with what it [`Reads`], before there are slices of any; a [`Claim`] makes one of each that is written.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::{Item, data};
use numpy::npyffi::flags::{NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE};
use numpy::npyffi::{NPY_BYTEORDER_CHAR, NPY_TYPES};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use steelyard_kernels::optim::{TypedSlice, TypedSliceMut};

/// The element types of optimizer arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// float32
    F32,
    /// float64
    F64,
    /// bfloat16, as uint16
    Bf16,
    /// float16
    F16,
}

impl Kind {
    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::F32 => "float32",
            Kind::F64 => "float64",
            Kind::Bf16 => "bfloat16",
            Kind::F16 => "float16",
        }
    }

    /// In bytes; each type is aligned to it.
    fn size(self) -> usize {
        match self {
            Kind::F64 => 8,
            Kind::F32 => 4,
            Kind::Bf16 | Kind::F16 => 2,
        }
    }
}

/// Where the elements of a C-contiguous array lie: an address, not yet a slice.
#[derive(Clone, Copy, PartialEq)]
struct Block {
    data: *mut u8,
    len: usize,
    kind: Kind,
}

// SAFETY: an address, through which nothing is read or written.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn range(&self) -> Range<usize> {
        self.data.addr()..self.data.addr() + self.len * self.kind.size()
    }
}

/// An aligned array of floats in native byte order.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    array: &'a Bound<'a, PyUntypedArray>,
    kind: Kind,
}

impl<'a> Header<'a> {
    /// `None` for other dtypes. A step asks thousands of arrays: two fields are read, and the shape is not looked at.
    #[inline]
    fn of(array: &'a Bound<'a, PyUntypedArray>) -> Option<Self> {
        // SAFETY: a live array has a dtype; the fields that are read of it are plain.
        let (number, order) = unsafe {
            let dtype = &(*(*array.as_array_ptr()).fields.descr).fields;
            (dtype.type_num, dtype.byteorder as u8)
        };
        let kind = match number {
            FLOAT => Kind::F32,
            DOUBLE => Kind::F64,
            HALF => Kind::F16,
            USHORT => Kind::Bf16,
            // Where long double is double, as on Windows, it is a type of its own all the same.
            LONG_DOUBLE if array.dtype().itemsize() == 8 => Kind::F64,
            _ => return None,
        };
        let native = order == NATIVE || order == NATBYTE;
        (native && data(array).addr().is_multiple_of(kind.size())).then_some(Header { array, kind })
    }

    #[inline]
    fn has(self, flags: i32) -> bool {
        // SAFETY: the pointer is to a live array object, whose `flags` field is plain.
        unsafe { (*self.array.as_array_ptr()).fields.flags & flags == flags }
    }

    #[inline]
    fn shape(self) -> &'a [usize] {
        self.array.shape()
    }

    #[inline]
    fn block(self) -> Block {
        Block { data: data(self.array), len: self.shape().iter().product(), kind: self.kind }
    }
}

const FLOAT: i32 = NPY_TYPES::NPY_FLOAT as i32;
const DOUBLE: i32 = NPY_TYPES::NPY_DOUBLE as i32;
const HALF: i32 = NPY_TYPES::NPY_HALF as i32;
const USHORT: i32 = NPY_TYPES::NPY_USHORT as i32;
const LONG_DOUBLE: i32 = NPY_TYPES::NPY_LONGDOUBLE as i32;
const NATIVE: u8 = NPY_BYTEORDER_CHAR::NPY_NATIVE as u8;
const NATBYTE: u8 = NPY_BYTEORDER_CHAR::NPY_NATBYTE as u8;

/// How many arrays ahead of the one that is checked a shape is asked for.
const AHEAD: usize = 24;

/// Asks for the shape of an array that is soon to be checked. NumPy allots shapes one by one, between the elements of
/// one array and the next: each is on a page of its own that nobody has touched since the last step.
#[inline]
fn prefetch_shape(object: &Bound<'_, PyAny>) {
    #[cfg(target_arch = "x86_64")]
    if let Ok(array) = object.cast_exact::<PyUntypedArray>() {
        // SAFETY: the pointer is to a live array object, whose `dimensions` field is plain; a prefetch is a hint that
        // any address may be given to.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((*array.as_array_ptr()).fields.dimensions.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = object;
}

/// An array that will be read. `name` is only called for a message.
fn readable<'a>(object: &'a Bound<'_, PyAny>, name: impl Fn() -> String) -> PyResult<Header<'a>> {
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        let got = object.get_type().name().map_or_else(|_| "an unknown type".into(), |n| n.to_string());
        return Err(PyTypeError::new_err(format!("{}: expected a NumPy array; got {got}", name())));
    };
    let Some(header) = Header::of(array) else {
        return Err(PyTypeError::new_err(format!(
            "{}: expected an aligned array of floats in native byte order; got dtype {}",
            name(),
            array.dtype()
        )));
    };
    if !header.has(NPY_ARRAY_C_CONTIGUOUS) {
        return Err(PyValueError::new_err(format!(
            "{}: expected a C-contiguous array; got strides {:?}; use numpy.ascontiguousarray",
            name(),
            array.strides()
        )));
    }
    Ok(header)
}

/// Whether the object is an array of floats, and no subclass of one, that can be read as it stands: uint16 might be
/// anything.
pub fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    let header = object.cast_exact::<PyUntypedArray>().ok().and_then(Header::of);
    header.is_some_and(|header| header.has(NPY_ARRAY_C_CONTIGUOUS) && header.kind != Kind::Bf16)
}

/// An array that will be written: float32 or float64, and writeable.
pub fn writable<'a>(object: &'a Bound<'_, PyAny>, name: impl Fn() -> String) -> PyResult<Header<'a>> {
    let header = readable(object, &name)?;
    if !matches!(header.kind, Kind::F32 | Kind::F64) {
        return Err(PyTypeError::new_err(format!(
            "{}: expected float32 or float64 to write to; got {}",
            name(),
            header.kind.name()
        )));
    }
    if !header.has(NPY_ARRAY_WRITEABLE) {
        return Err(PyValueError::new_err(format!(
            "{}: expected a writeable array; got a read-only one; use numpy.array to copy it",
            name()
        )));
    }
    Ok(header)
}

/// Refuses an array unlike the parameter of its row.
fn alike(array: Header<'_>, param: Header<'_>, name: impl Fn() -> String) -> PyResult<()> {
    // Element by element: the comparison of slices is a call, and most shapes have one axis.
    if array.kind == param.kind && array.shape().iter().eq(param.shape()) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{}: expected {} of shape {}, like the parameter; got {} of shape {}",
        name(),
        param.kind.name(),
        python_shape(param.shape()),
        array.kind.name(),
        python_shape(array.shape())
    )))
}

fn python_shape(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn overlap(array: &str, other: &str, fix: &str) -> PyErr {
    PyValueError::new_err(format!("{array}: expected memory of its own; it overlaps {other}{fix}"))
}

/// Arrays that are only read, and kept alive.
pub struct Reads<'py> {
    blocks: Vec<Block>,
    _arrays: Bound<'py, PyTuple>,
}

impl<'py> Reads<'py> {
    /// Checks all of them; `check` has the last word on each.
    pub fn new(
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
        mut check: impl FnMut(usize, Header<'_>) -> PyResult<()>,
    ) -> PyResult<Self> {
        let mut blocks = Vec::with_capacity(arrays.len());
        let mut ahead = arrays.iter_borrowed().skip(AHEAD);
        for (index, array) in arrays.iter_borrowed().enumerate() {
            if let Some(array) = ahead.next() {
                prefetch_shape(&array);
            }
            let header = readable(&array, || name(index))?;
            check(index, header)?;
            blocks.push(header.block());
        }
        Ok(Reads { blocks, _arrays: arrays })
    }

    /// All of them, borrowed.
    pub fn slices(&self) -> Vec<TypedSlice<'_>> {
        borrow(&self.blocks)
    }
}

/// Arrays that are written, kept alive: one list a role after another, the same row in each alike in type and shape.
/// None overlaps another.
///
/// Only the arrays of the first role are the caller's to change. The others are not looked at again: nothing else may
/// move, resize or free their memory, nor may Python code run between the checks and the slices.
pub struct Written {
    rows: usize,
    arrays: Vec<Py<PyAny>>,
    blocks: Vec<Block>,
    /// The blocks by address, with their positions.
    sorted: Vec<(Range<usize>, usize)>,
}

impl Written {
    /// Checks all of them; `rows` is the length of a role's list.
    pub fn new(
        py: Python<'_>,
        rows: usize,
        arrays: Vec<Py<PyAny>>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Self> {
        let mut headers: Vec<Header<'_>> = Vec::with_capacity(arrays.len());
        for (index, array) in arrays.iter().enumerate() {
            let header = writable(array.bind(py), || name(index))?;
            if index >= rows {
                alike(header, headers[index % rows], || name(index))?;
            }
            headers.push(header);
        }
        let blocks: Vec<_> = headers.iter().map(|header| header.block()).collect();
        let ranges = blocks.iter().map(Block::range).zip(0..);
        let mut sorted: Vec<_> = ranges.filter(|(range, _)| !range.is_empty()).collect();
        sorted.sort_by_key(|(range, _)| range.start);
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
            let (a, b) = (pair[0].1, pair[1].1);
            let fix = " (tied arrays: pass one of them only)";
            return Err(overlap(&name(a.min(b)), &name(a.max(b)), fix));
        }
        Ok(Written { rows, arrays, blocks, sorted })
    }

    /// Checks the arrays of the first role again, whose owner may have changed them, and beside each the one that is
    /// read with it. The names are those of what is written, then of what is read.
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
            return Err(PyValueError::new_err(message));
        }
        let mut place = 0;
        let reads = Reads::new(arrays, &read_name, |index, read| {
            if let Some(ahead) = self.arrays[..self.rows].get(index + AHEAD) {
                prefetch_shape(ahead.bind(py));
            }
            alike(read, self.still(py, index, &name)?, || read_name(index))?;
            match self.hit(&read.block().range(), &mut place) {
                Some(hit) => Err(overlap(&name(hit), &read_name(index), "")),
                None => Ok(()),
            }
        })?;
        Ok(Operands { written: self, reads })
    }

    /// All of them, borrowed to write, checked once more.
    pub fn slices(
        &mut self,
        py: Python<'_>,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Vec<TypedSliceMut<'_>>> {
        for index in 0..self.arrays.len() {
            self.still(py, index, &name)?;
        }
        // SAFETY: each is an aligned, C-contiguous, writeable array of its kind that `arrays` keeps, and overlaps no
        // other; each becomes a slice once, while `self` is borrowed.
        Ok(self.blocks.iter().map(|block| unsafe { exclusive(block) }).collect())
    }

    /// The array's header, if it is still where it was and may be written.
    fn still<'a>(
        &'a self,
        py: Python<'a>,
        index: usize,
        name: &impl Fn(usize) -> String,
    ) -> PyResult<Header<'a>> {
        let array = self.arrays[index].bind(py);
        let header = array.cast::<PyUntypedArray>().ok().and_then(Header::of);
        let same = |header: &Header<'_>| {
            header.has(NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_WRITEABLE) && header.block() == self.blocks[index]
        };
        if let Some(header) = header.filter(same) {
            return Ok(header);
        }
        writable(array, || name(index))?;
        Err(PyValueError::new_err(format!(
            "{}: expected the array that was first given; it was moved, resized or given another type since; make a \
             new optimizer",
            name(index)
        )))
    }

    /// The first block that `read` overlaps. `place` is where the last read stood among the sorted ones: the next one
    /// most often stands there too.
    fn hit(&self, read: &Range<usize>, place: &mut usize) -> Option<usize> {
        let ends_before = |(range, _): &(Range<usize>, usize)| range.end <= read.start;
        let (before, after) = self.sorted.split_at((*place).min(self.sorted.len()));
        if !before.last().is_none_or(ends_before) || after.first().is_some_and(ends_before) {
            *place = self.sorted.partition_point(ends_before);
        }
        let (range, index) = self.sorted.get(*place)?;
        (!read.is_empty() && range.start < read.end).then_some(*index)
    }
}

/// What is written and what is read beside it, checked together.
pub struct Operands<'w, 'py> {
    written: &'w mut Written,
    reads: Reads<'py>,
}

impl Operands<'_, '_> {
    /// The right to make slices of all.
    pub fn claim(&mut self) -> Claim<'_> {
        Claim { rows: self.written.rows, written: &self.written.blocks, reads: &self.reads.blocks }
    }
}

/// Blocks of which the written ones overlap nothing: these may become slices, once.
pub struct Claim<'a> {
    rows: usize,
    written: &'a [Block],
    reads: &'a [Block],
}

impl<'a> Claim<'a> {
    /// What is read.
    pub fn reads(&self) -> Vec<TypedSlice<'a>> {
        borrow(self.reads)
    }

    /// For each row what is read, what is written in the first role, and in the others.
    pub fn rows(
        self,
    ) -> impl Iterator<Item = (TypedSlice<'a>, TypedSliceMut<'a>, [Option<TypedSliceMut<'a>>; 3])> + use<'a>
    {
        let Claim { rows, written, reads } = self;
        let (first, others) = written.split_at(rows);
        reads.iter().zip(first).enumerate().map(move |(index, (read, write))| {
            // SAFETY: every block was found to be an aligned, C-contiguous, writeable array of its kind that lives for
            // 'a and overlaps no other, and each becomes a slice once: the claim, of which there is one while the
            // arrays are borrowed, is used up.
            let role = |role: usize| others.get(role * rows + index).map(|block| unsafe { exclusive(block) });
            // SAFETY: as above; nothing that is written overlaps what is read.
            let (read, write) = unsafe { (shared(read), exclusive(write)) };
            (read, write, [role(0), role(1), role(2)])
        })
    }
}

/// Borrows blocks that are only read.
fn borrow(blocks: &[Block]) -> Vec<TypedSlice<'_>> {
    // SAFETY: each is an aligned, C-contiguous array of its kind that outlives the slice, and nothing writes it.
    blocks.iter().map(|block| unsafe { shared(block) }).collect()
}

unsafe fn shared<'a>(block: &Block) -> TypedSlice<'a> {
    // SAFETY: the caller's.
    unsafe {
        match block.kind {
            Kind::F32 => TypedSlice::F32(typed(block)),
            Kind::F64 => TypedSlice::F64(typed(block)),
            Kind::Bf16 => TypedSlice::Bf16(typed(block)),
            Kind::F16 => TypedSlice::F16(typed(block)),
        }
    }
}

unsafe fn typed<'a, T: Item>(block: &Block) -> &'a [T] {
    // SAFETY: the caller's. NumPy gives an empty array a pointer too, but not always an aligned one.
    if block.len == 0 { &[] } else { unsafe { from_raw_parts(block.data.cast(), block.len) } }
}

unsafe fn exclusive<'a>(block: &Block) -> TypedSliceMut<'a> {
    // SAFETY: the caller's.
    unsafe {
        match block.kind {
            Kind::F64 => TypedSliceMut::F64(typed_mut(block)),
            _ => TypedSliceMut::F32(typed_mut(block)),
        }
    }
}

unsafe fn typed_mut<'a, T: Item>(block: &Block) -> &'a mut [T] {
    // SAFETY: the caller's.
    if block.len == 0 { &mut [] } else { unsafe { from_raw_parts_mut(block.data.cast(), block.len) } }
}
