//! Many arrays in one call that are only read: checked first, then borrowed together.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::{Item, data, no_array, owners};
use crate::call::no_memory;
use crate::give::{type_error, value_error};
use numpy::npyffi::flags::NPY_ARRAY_C_CONTIGUOUS;
use numpy::npyffi::{NPY_BYTEORDER_CHAR, NPY_TYPES};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;
use std::slice::from_raw_parts;
use steelyard_kernels::memory;
use steelyard_kernels::optim::TypedSlice;

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
    pub(super) fn size(self) -> usize {
        match self {
            Kind::F64 => 8,
            Kind::F32 => 4,
            Kind::Bf16 | Kind::F16 => 2,
        }
    }
}

/// Where the elements of a C-contiguous array lie: an address, not yet a slice.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Block {
    pub(super) data: *mut u8,
    pub(super) len: usize,
    pub(super) kind: Kind,
}

// SAFETY: an address, through which nothing is read or written.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    pub(super) fn range(&self) -> Range<usize> {
        self.data.addr()..self.data.addr() + self.len * self.kind.size()
    }
}

/// An aligned array of floats in native byte order.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    array: &'a Bound<'a, PyUntypedArray>,
    pub(super) kind: Kind,
}

impl<'a> Header<'a> {
    /// `None` for other dtypes. A step asks thousands of arrays: two fields are read, and the shape is not looked at.
    #[inline]
    pub(super) fn of(array: &'a Bound<'a, PyUntypedArray>) -> Option<Self> {
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
    pub(super) fn has(self, flags: i32) -> bool {
        // SAFETY: the pointer is to a live array object, whose `flags` field is plain.
        unsafe { (*self.array.as_array_ptr()).fields.flags & flags == flags }
    }

    #[inline]
    fn shape(self) -> &'a [usize] {
        self.array.shape()
    }

    #[inline]
    pub(super) fn block(self) -> Block {
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
pub(super) const AHEAD: usize = 24;

/// Asks for the shape of an array that is soon to be checked. NumPy allots shapes one by one, between the elements of
/// one array and the next: each is on a page of its own that nobody has touched since the last step.
#[inline]
pub(super) fn prefetch_shape(object: &Bound<'_, PyAny>) {
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
pub(super) fn readable<'a>(object: &'a Bound<'_, PyAny>, name: impl Fn() -> String) -> PyResult<Header<'a>> {
    let array = object.cast::<PyUntypedArray>().map_err(|_| no_array(object, &name()))?;
    let Some(header) = Header::of(array) else {
        return Err(type_error(format!(
            "{}: expected an aligned array of floats in native byte order; got dtype {}",
            name(),
            array.dtype()
        )));
    };
    if !header.has(NPY_ARRAY_C_CONTIGUOUS) {
        return Err(value_error(format!(
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

/// Refuses an array whose memory its owner has moved or given up since it was made.
#[inline]
pub(super) fn held(header: Header<'_>, name: impl Fn() -> String) -> PyResult<()> {
    owners::held(header.array, name)
}

/// Refuses an array unlike another; `why` says what that is to it.
pub(super) fn alike(
    array: Header<'_>,
    like: Header<'_>,
    name: impl Fn() -> String,
    why: &str,
) -> PyResult<()> {
    // Element by element: the comparison of slices is a call, and most shapes have one axis.
    if array.kind == like.kind && array.shape().iter().eq(like.shape()) {
        return Ok(());
    }
    Err(value_error(format!(
        "{}: expected {} of shape {}, {why}; got {} of shape {}",
        name(),
        like.kind.name(),
        python_shape(like.shape()),
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

/// Arrays that are only read, and kept alive.
pub struct Reads<'py> {
    pub(super) blocks: Vec<Block>,
    _arrays: Bound<'py, PyTuple>,
}

impl<'py> Reads<'py> {
    /// Checks all of them.
    pub fn new(arrays: Bound<'py, PyTuple>, name: impl Fn(usize) -> String) -> PyResult<Self> {
        Reads::checked(arrays, name, |_, _| Ok(()))
    }

    /// Checks all of them; `check` has the last word on each.
    pub(super) fn checked(
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
        mut check: impl FnMut(usize, Header<'_>) -> PyResult<()>,
    ) -> PyResult<Self> {
        let mut blocks = memory::with_capacity(arrays.len()).map_err(no_memory)?;
        let mut ahead = arrays.iter_borrowed().skip(AHEAD);
        for (index, array) in arrays.iter_borrowed().enumerate() {
            if let Some(array) = ahead.next() {
                prefetch_shape(&array);
            }
            let header = readable(&array, || name(index))?;
            held(header, || name(index))?;
            check(index, header)?;
            blocks.push(header.block());
        }
        Ok(Reads { blocks, _arrays: arrays })
    }

    /// All of them, borrowed.
    pub fn slices(&self) -> PyResult<Vec<TypedSlice<'_>>> {
        borrow(&self.blocks)
    }
}

/// Borrows blocks that are only read.
pub(super) fn borrow(blocks: &[Block]) -> PyResult<Vec<TypedSlice<'_>>> {
    // SAFETY: each is an aligned, C-contiguous array of its kind that outlives the slice, and nothing writes it.
    memory::collected(blocks.iter().map(|block| unsafe { shared(block) })).map_err(no_memory)
}

unsafe fn shared<'a>(block: &Block) -> TypedSlice<'a> {
    let Block { data, len, kind } = *block;
    // SAFETY: the caller's.
    unsafe {
        match kind {
            Kind::F32 => TypedSlice::F32(typed(data, len)),
            Kind::F64 => TypedSlice::F64(typed(data, len)),
            Kind::Bf16 => TypedSlice::Bf16(typed(data, len)),
            Kind::F16 => TypedSlice::F16(typed(data, len)),
        }
    }
}

pub(super) unsafe fn typed<'a, T: Item>(data: *mut u8, len: usize) -> &'a [T] {
    // SAFETY: the caller's. NumPy gives an empty array a pointer too, but not always an aligned one.
    if len == 0 { &[] } else { unsafe { from_raw_parts(data.cast(), len) } }
}
