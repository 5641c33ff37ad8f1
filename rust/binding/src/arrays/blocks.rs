//! Many arrays that one call reads but does not write. All of them are checked first, and then borrowed together.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::{data, element_type, no_array, owners};
use crate::call::no_memory;
use crate::give::{type_error, value_error};
use numpy::npyffi::NPY_BYTEORDER_CHAR;
use numpy::npyffi::flags::NPY_ARRAY_C_CONTIGUOUS;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use steelyard_kernels::dtype::{Dtype, Dtypes, Listed, TypedSlice};
use steelyard_kernels::{memory, with_dtype};

/// The address, length and type of the elements of a C-contiguous array, of which a slice can be made later.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Block<K = Dtype> {
    pub(super) data: *mut u8,
    pub(super) len: usize,
    pub(super) dtype: K,
}

// SAFETY: it is an address; by itself it reads and writes nothing.
unsafe impl<K: Send> Send for Block<K> {}
// SAFETY: as above.
unsafe impl<K: Sync> Sync for Block<K> {}

impl<K: Dtypes> Block<K> {
    /// The size in bytes.
    pub(super) fn size(&self) -> usize {
        self.len * self.dtype.into().size()
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.data.addr()..self.data.addr() + self.size()
    }

    /// The elements as a slice. `T` must be their type, or else this panics.
    ///
    /// # Safety
    ///
    /// The array lives for `'a`, and nothing writes it.
    pub(super) unsafe fn shared<'a, T: Listed>(&self) -> &'a [T] {
        assert!(self.dtype.into() == T::DTYPE, "an array is read as what it is");
        // SAFETY: it is an aligned, C-contiguous array of `T`; the caller promises the rest. The pointer of an empty
        // NumPy array need not be aligned, so no slice is made from it.
        if self.len == 0 { &[] } else { unsafe { from_raw_parts(self.data.cast(), self.len) } }
    }

    /// The elements as a slice to write to. `T` must be their type, or else this panics.
    ///
    /// # Safety
    ///
    /// The array lives for `'a`, and nothing else reads or writes it.
    pub(super) unsafe fn exclusive<'a, T: Listed>(&self) -> &'a mut [T] {
        assert!(self.dtype.into() == T::DTYPE, "an array is written as what it is");
        // SAFETY: as in `shared`.
        if self.len == 0 { &mut [] } else { unsafe { from_raw_parts_mut(self.data.cast(), self.len) } }
    }
}

/// An aligned array of floats in native byte order.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    array: &'a Bound<'a, PyUntypedArray>,
    pub(super) dtype: Dtype,
}

impl<'a> Header<'a> {
    /// `None` where the array is not aligned or not of floats in native byte order. A step asks this of thousands of
    /// arrays, so only a few fields are read, and the shape is not among them.
    #[inline]
    pub(super) fn of(array: &'a Bound<'a, PyUntypedArray>) -> Option<Self> {
        let dtype = element_type(array)?;
        // SAFETY: a live array has a dtype, whose `byteorder` field is plain.
        let order = unsafe { (*(*array.as_array_ptr()).fields.descr).fields.byteorder } as u8;
        let native = order == NATIVE || order == NATBYTE;
        // The alignment of every one of these types is its size.
        (native && data(array).addr().is_multiple_of(dtype.size())).then_some(Header { array, dtype })
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

    /// The block of its elements; `None` where their type is not one of `K`.
    #[inline]
    pub(super) fn block<K: Dtypes>(self) -> Option<Block<K>> {
        let dtype = K::try_from(self.dtype).ok()?;
        Some(Block { data: data(self.array), len: self.shape().iter().product(), dtype })
    }
}

const NATIVE: u8 = NPY_BYTEORDER_CHAR::NPY_NATIVE as u8;
const NATBYTE: u8 = NPY_BYTEORDER_CHAR::NPY_NATBYTE as u8;

/// Shapes are prefetched this many arrays ahead of the one that is checked.
pub(super) const AHEAD: usize = 24;

/// Prefetches the shape of an array that will soon be checked. NumPy allocates each shape by itself, between the
/// elements of one array and those of the next, so each is on a different page that has not been touched since the last
/// step.
#[inline]
pub(super) fn prefetch_shape(object: &Bound<'_, PyAny>) {
    #[cfg(target_arch = "x86_64")]
    if let Ok(array) = object.cast_exact::<PyUntypedArray>() {
        // SAFETY: the pointer is to a live array object, whose `dimensions` field is plain; a prefetch is only a hint,
        // and any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((*array.as_array_ptr()).fields.dimensions.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = object;
}

/// Checks an array that will be read. `name` is called only for an error message.
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

/// Whether the object is an array of floats that the core can read directly. It must not be of a subclass, nor of
/// uint16, which may hold bfloat16 or integers.
pub fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    let header = object.cast_exact::<PyUntypedArray>().ok().and_then(Header::of);
    header.is_some_and(|header| header.has(NPY_ARRAY_C_CONTIGUOUS) && header.dtype != Dtype::Bf16)
}

/// Raises an exception where the array's memory has been moved or freed by its owner since the array was made.
#[inline]
pub(super) fn held(header: Header<'_>, name: impl Fn() -> String) -> PyResult<()> {
    owners::held(header.array, name)
}

/// Raises an exception where the array has not the type `dtype` and the shape of `like`; `why` says in the message why
/// it must.
pub(super) fn alike(
    array: Header<'_>,
    dtype: Dtype,
    like: Header<'_>,
    name: impl Fn() -> String,
    why: &str,
) -> PyResult<()> {
    // The shapes are compared by an iterator: comparing slices is a function call, and most shapes have only one axis.
    if array.dtype == dtype && array.shape().iter().eq(like.shape()) {
        return Ok(());
    }
    Err(value_error(format!(
        "{}: expected {} of shape {}, {why}; got {} of shape {}",
        name(),
        dtype.name(),
        python_shape(like.shape()),
        array.dtype.name(),
        python_shape(array.shape())
    )))
}

fn python_shape(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Arrays that are only read. They are kept alive as long as this is.
pub struct Reads<'py> {
    pub(super) blocks: Vec<Block>,
    /// The position of each array among those that were given, where None was given in some places.
    pub(super) rows: Option<Vec<usize>>,
    _arrays: Bound<'py, PyTuple>,
}

impl<'py> Reads<'py> {
    /// Checks all arrays.
    pub fn new(arrays: Bound<'py, PyTuple>, name: impl Fn(usize) -> String) -> PyResult<Self> {
        Reads::checked(arrays, name, false, |_, _| Ok(()))
    }

    /// Checks all arrays. `check` is called for each one last, and may refuse it. With `may_lack`, None in the place of
    /// an array is left out.
    pub(super) fn checked(
        arrays: Bound<'py, PyTuple>,
        name: impl Fn(usize) -> String,
        may_lack: bool,
        mut check: impl FnMut(usize, Header<'_>) -> PyResult<()>,
    ) -> PyResult<Self> {
        let mut blocks = memory::with_capacity(arrays.len()).map_err(no_memory)?;
        let mut rows: Option<Vec<usize>> = None;
        let mut ahead = arrays.iter_borrowed().skip(AHEAD);
        for (index, array) in arrays.iter_borrowed().enumerate() {
            if let Some(array) = ahead.next() {
                prefetch_shape(&array);
            }
            if may_lack && array.is_none() {
                if rows.is_none() {
                    let mut before = memory::with_capacity(arrays.len()).map_err(no_memory)?;
                    before.extend(0..index);
                    rows = Some(before);
                }
                continue;
            }
            let header = readable(&array, || name(index))?;
            held(header, || name(index))?;
            check(index, header)?;
            blocks.extend(header.block());
            if let Some(rows) = &mut rows {
                rows.push(index);
            }
        }
        Ok(Reads { blocks, rows, _arrays: arrays })
    }

    /// Slices of all arrays.
    pub fn slices(&self) -> PyResult<Vec<TypedSlice<'_>>> {
        borrow(&self.blocks)
    }
}

/// Slices of blocks that are only read.
pub(super) fn borrow<K: Dtypes>(blocks: &[Block<K>]) -> PyResult<Vec<TypedSlice<'_>>> {
    let slice = |block: &Block<K>| {
        // SAFETY: the owner of `blocks` keeps each array alive, and nothing writes it.
        with_dtype!(block.dtype.into(), type T => T::typed(unsafe { block.shared::<T>() }))
    };
    memory::collected(blocks.iter().map(slice)).map_err(no_memory)
}
