//! Many arrays in one call, some of them written: checked first, claimed together, then borrowed.
//!
//! A [`Block`] is an array that has been checked; it is not yet a slice. [`claim`] makes the slices of all
//! blocks at once, after it has made sure that no written block overlaps any other.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::{Item, data};
use numpy::npyffi::flags::{NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::marker::PhantomData;
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
}

/// A checked, C-contiguous array, borrowed for `'a`, not yet a slice.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    data: *mut u8,
    len: usize,
    kind: Kind,
    shape: &'a [usize],
    array: PhantomData<&'a [u8]>,
}

impl<'a> Block<'a> {
    /// The element type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The shape.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    fn range(&self) -> Range<usize> {
        let size = match self.kind {
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Bf16 | Kind::F16 => 2,
        };
        self.data.addr()..self.data.addr() + self.len * size
    }
}

fn flag(array: &Bound<'_, PyUntypedArray>, flag: i32) -> bool {
    // SAFETY: the pointer is to a live array object, whose `flags` field is plain.
    unsafe { (*array.as_array_ptr()).fields.flags & flag != 0 }
}

/// The kind of an aligned array in native byte order; one look at the dtype, since a step asks for thousands.
fn kind_of(array: &Bound<'_, PyUntypedArray>) -> Option<Kind> {
    let dtype = array.dtype();
    let size = dtype.itemsize();
    let kind = match (dtype.kind(), size) {
        (b'f', 4) => Kind::F32,
        (b'f', 8) => Kind::F64,
        (b'f', 2) => Kind::F16,
        (b'u', 2) => Kind::Bf16,
        _ => return None,
    };
    // Each of these types is aligned to its size.
    let sound = dtype.is_native_byteorder() != Some(false) && data(array).addr().is_multiple_of(size);
    sound.then_some(kind)
}

/// An array that will be read. `name` is only called for a message.
pub fn readable<'a>(object: &'a Bound<'_, PyAny>, name: impl Fn() -> String) -> PyResult<Block<'a>> {
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        let got = object.get_type().name().map_or_else(|_| "an unknown type".into(), |n| n.to_string());
        return Err(PyTypeError::new_err(format!("{}: expected a NumPy array; got {got}", name())));
    };
    let Some(kind) = kind_of(array) else {
        return Err(PyTypeError::new_err(format!(
            "{}: expected an aligned array of floats in native byte order; got dtype {}",
            name(),
            array.dtype()
        )));
    };
    if !flag(array, NPY_ARRAY_C_CONTIGUOUS) {
        return Err(PyValueError::new_err(format!(
            "{}: expected a C-contiguous array; got strides {:?}; use numpy.ascontiguousarray",
            name(),
            array.strides()
        )));
    }
    Ok(Block { data: data(array), len: array.len(), kind, shape: array.shape(), array: PhantomData })
}

/// An array that will be written: float32 or float64, and writeable.
pub fn writable<'a>(object: &'a Bound<'_, PyAny>, name: impl Fn() -> String) -> PyResult<Block<'a>> {
    let block = readable(object, &name)?;
    if !matches!(block.kind, Kind::F32 | Kind::F64) {
        return Err(PyTypeError::new_err(format!(
            "{}: expected float32 or float64 to write to; got {}",
            name(),
            block.kind.name()
        )));
    }
    let array = object.cast::<PyUntypedArray>()?;
    if !flag(array, NPY_ARRAY_WRITEABLE) {
        return Err(PyValueError::new_err(format!(
            "{}: expected a writeable array; got a read-only one; use numpy.array to copy it",
            name()
        )));
    }
    Ok(block)
}

/// Two blocks that share memory, at least one of them written: indices into writes, then reads.
pub struct Overlap(pub usize, pub usize);

/// Written blocks that were found not to overlap, remembered by address so that the next call need not sort.
#[derive(Default)]
pub struct Disjoint {
    ranges: Vec<Range<usize>>,
    sorted: Vec<(Range<usize>, usize)>,
}

impl Disjoint {
    /// Makes sure that no two of the written blocks overlap.
    pub fn of(writes: &[Block<'_>]) -> Result<Disjoint, Overlap> {
        let ranges: Vec<_> = writes.iter().map(Block::range).collect();
        let mut sorted: Vec<_> =
            ranges.iter().cloned().zip(0..).filter(|(range, _)| !range.is_empty()).collect();
        sorted.sort_by_key(|(range, _)| range.start);
        match sorted.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
            Some(pair) => Err(Overlap(pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1))),
            None => Ok(Disjoint { ranges, sorted }),
        }
    }

    /// Whether these are the blocks that were checked.
    pub fn still(&self, writes: &[Block<'_>]) -> bool {
        self.ranges.len() == writes.len()
            && self.ranges.iter().zip(writes).all(|(range, w)| *range == w.range())
    }

    /// The first written block that `read` overlaps.
    fn hit(&self, read: &Range<usize>) -> Option<usize> {
        let after = self.sorted.partition_point(|(range, _)| range.end <= read.start);
        let (range, index) = self.sorted.get(after)?;
        (!read.is_empty() && range.start < read.end).then_some(*index)
    }
}

/// Every block as a slice, in order: the written ones exclusively.
pub struct Claimed<'a> {
    /// Slices to write.
    pub writes: Vec<TypedSliceMut<'a>>,
    /// Slices to read.
    pub reads: Vec<TypedSlice<'a>>,
}

/// Borrows all blocks. What `disjoint` remembers spares a sort; when it is of other blocks they are checked anew.
pub fn claim<'a>(
    writes: &[Block<'a>],
    reads: &[Block<'a>],
    disjoint: &Disjoint,
) -> Result<Claimed<'a>, Overlap> {
    let fresh;
    let disjoint = if disjoint.still(writes) {
        disjoint
    } else {
        fresh = Disjoint::of(writes)?;
        &fresh
    };
    for (index, read) in reads.iter().enumerate() {
        if let Some(write) = disjoint.hit(&read.range()) {
            return Err(Overlap(write, writes.len() + index));
        }
    }
    // SAFETY: every block was checked to be an aligned, C-contiguous array of its kind that lives for 'a;
    // written blocks are writeable and overlap nothing else in this call.
    Ok(unsafe {
        Claimed {
            writes: writes.iter().map(|block| exclusive(block)).collect(),
            reads: reads.iter().map(|block| shared(block)).collect(),
        }
    })
}

/// Borrows blocks that are only read.
pub fn borrow<'a>(reads: &[Block<'a>]) -> Vec<TypedSlice<'a>> {
    // SAFETY: as in `claim`; nothing is written.
    reads.iter().map(|block| unsafe { shared(block) }).collect()
}

unsafe fn shared<'a>(block: &Block<'a>) -> TypedSlice<'a> {
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

unsafe fn typed<'a, T: Item>(block: &Block<'a>) -> &'a [T] {
    // SAFETY: the caller's. NumPy gives an empty array a pointer too, but not always an aligned one.
    if block.len == 0 { &[] } else { unsafe { from_raw_parts(block.data.cast(), block.len) } }
}

unsafe fn exclusive<'a>(block: &Block<'a>) -> TypedSliceMut<'a> {
    // SAFETY: the caller's.
    unsafe {
        match block.kind {
            Kind::F64 => TypedSliceMut::F64(typed_mut(block)),
            _ => TypedSliceMut::F32(typed_mut(block)),
        }
    }
}

unsafe fn typed_mut<'a, T: Item>(block: &Block<'a>) -> &'a mut [T] {
    // SAFETY: the caller's.
    if block.len == 0 { &mut [] } else { unsafe { from_raw_parts_mut(block.data.cast(), block.len) } }
}
