//! Many arrays that one call reads but does not write. All of them are checked first, and then borrowed together.
#![allow(unsafe_code)] // slices over memory that NumPy owns

use super::{data, element_type, holds, no_array, owners};
use crate::call::no_memory;
use crate::give::{type_error, value_error};
use numpy::npyffi::NPY_BYTEORDER_CHAR;
use numpy::npyffi::flags::{NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use steelyard_kernels::dtype::{Dtype, Listed, TypedSlice, TypedSliceMut};
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

impl Block {
    /// The size in bytes.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.len * self.dtype.size()
    }

    #[inline]
    pub(super) fn range(&self) -> Range<usize> {
        self.data.addr()..self.data.addr() + self.size()
    }

    /// The elements as a slice. `T` must be their type, or else this panics.
    ///
    /// # Safety
    ///
    /// The array lives for `'a`, and nothing writes it.
    pub(super) unsafe fn shared<'a, T: Listed>(&self) -> &'a [T] {
        assert!(self.dtype == T::DTYPE, "an array is read as what it is");
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
        assert!(self.dtype == T::DTYPE, "an array is written as what it is");
        // SAFETY: as in `shared`.
        if self.len == 0 { &mut [] } else { unsafe { from_raw_parts_mut(self.data.cast(), self.len) } }
    }
}

impl Block<()> {
    /// Codes of 8 bits, to write.
    ///
    /// # Safety
    ///
    /// As of [`Block::exclusive`].
    pub(super) unsafe fn codes_mut<'a>(&self) -> &'a mut [u8] {
        // SAFETY: the caller promises the rest; a code is a byte, and every byte is one.
        if self.len == 0 { &mut [] } else { unsafe { from_raw_parts_mut(self.data, self.len) } }
    }
}

/// Where the elements of an array are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Floats(Block),
    /// Codes of 8 bits.
    Codes(Block<()>),
}

impl Place {
    pub(super) fn range(&self) -> Range<usize> {
        match self {
            Place::Floats(block) => block.range(),
            Place::Codes(block) => block.data.addr()..block.data.addr() + block.len, // a byte each
        }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> usize {
        self.range().len()
    }

    pub(super) fn data(&self) -> *mut u8 {
        match self {
            Place::Floats(block) => block.data,
            Place::Codes(block) => block.data,
        }
    }

    /// The block of floats.
    pub(super) fn floats(&self) -> Option<&Block> {
        match self {
            Place::Floats(block) => Some(block),
            Place::Codes(_) => None,
        }
    }

    /// The elements as a slice to write to.
    ///
    /// # Safety
    ///
    /// As of [`Block::exclusive`].
    pub(super) unsafe fn exclusive<'a>(&self) -> SliceMut<'a> {
        match self {
            // SAFETY: the caller promises it.
            Place::Floats(block) => SliceMut::Floats(unsafe { exclusive(block) }),
            // SAFETY: as above.
            Place::Codes(block) => SliceMut::Codes(unsafe { block.codes_mut() }),
        }
    }
}

/// The elements of an array that an optimizer keeps, to write.
pub enum SliceMut<'a> {
    Floats(TypedSliceMut<'a>),
    Codes(&'a mut [u8]),
}

/// The elements of a moment, to write.
pub enum MomentSlice<'a> {
    Floats(TypedSliceMut<'a>),
    /// Codes of 8 bits, and the scales of their blocks.
    Blocks8(&'a mut [u8], &'a mut [f32]),
}

/// A slice of floats to write to.
///
/// # Safety
///
/// As of [`Block::exclusive`].
pub(super) unsafe fn exclusive<'a>(block: &Block) -> TypedSliceMut<'a> {
    // SAFETY: the caller promises it.
    with_dtype!(block.dtype, type T => T::typed(unsafe { block.exclusive::<T>() }))
}

/// A slice of floats.
///
/// # Safety
///
/// As of [`Block::shared`].
pub(super) unsafe fn shared<'a>(block: &Block) -> TypedSlice<'a> {
    // SAFETY: the caller promises it.
    with_dtype!(block.dtype, type T => T::typed(unsafe { block.shared::<T>() }))
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
    pub(super) fn shape(self) -> &'a [usize] {
        self.array.shape()
    }

    /// The block of its elements.
    #[inline]
    pub(super) fn block(self) -> Block {
        Block { data: data(self.array), len: self.shape().iter().product(), dtype: self.dtype }
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
    if let Ok(array) = object.cast_exact::<PyUntypedArray>() {
        // SAFETY: the pointer is to a live array object, whose `dimensions` field is plain.
        prefetch(unsafe { (*array.as_array_ptr()).fields.dimensions.cast() });
    }
}

/// Begins to bring into the cache what is at an address, which may be any.
#[inline]
pub(super) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is only a hint, and any address is allowed.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
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

/// Whether the object is an array of bytes, which may be codes.
pub(super) fn is_codes(object: &Bound<'_, PyAny>) -> bool {
    object.cast::<PyUntypedArray>().is_ok_and(holds::<u8>)
}

/// The place of an array of codes that has this `shape`, and is to be `written` or only read.
pub(super) fn codes(
    object: &Bound<'_, PyAny>,
    shape: &[usize],
    written: bool,
    name: impl Fn() -> String,
) -> PyResult<Block<()>> {
    let array = object.cast::<PyUntypedArray>().map_err(|_| no_array(object, &name()))?;
    let wanted = NPY_ARRAY_C_CONTIGUOUS | if written { NPY_ARRAY_WRITEABLE } else { 0 };
    // SAFETY: the pointer is to a live array object, whose `flags` field is plain.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    if !holds::<u8>(array) || array.shape() != shape || flags & wanted != wanted {
        return Err(value_error(format!(
            "{}: expected C-contiguous codes (uint8) of shape {}; got {} of shape {}",
            name(),
            python_shape(shape),
            array.dtype(),
            python_shape(array.shape())
        )));
    }
    owners::held(array, name)?;
    Ok(Block { data: data(array), len: array.len(), dtype: () })
}

/// The shape of an array of any type.
pub(super) fn shape_of<'a>(object: &'a Bound<'_, PyAny>) -> &'a [usize] {
    object.cast::<PyUntypedArray>().map_or(&[], |array| array.shape())
}

/// Raises an exception where the array has not the type `dtype` and the shape `like`; `why` says in the message why
/// it must.
pub(super) fn alike(
    array: Header<'_>,
    dtype: Dtype,
    like: &[usize],
    name: impl Fn() -> String,
    why: &str,
) -> PyResult<()> {
    // The shapes are compared by an iterator: comparing slices is a function call, and most shapes have only one axis.
    if array.dtype == dtype && array.shape().iter().eq(like) {
        return Ok(());
    }
    Err(value_error(format!(
        "{}: expected {} of shape {}, {why}; got {} of shape {}",
        name(),
        dtype.name(),
        python_shape(like),
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
            blocks.push(header.block());
            if let Some(rows) = &mut rows {
                rows.push(index);
            }
        }
        Ok(Reads { blocks, rows, _arrays: arrays })
    }

    /// Slices of all arrays.
    pub fn slices(&self) -> PyResult<Vec<TypedSlice<'_>>> {
        borrow(self.blocks.iter())
    }
}

/// Slices of blocks that are only read.
pub(super) fn borrow<'a>(blocks: impl ExactSizeIterator<Item = &'a Block>) -> PyResult<Vec<TypedSlice<'a>>> {
    // SAFETY: the owner of `blocks` keeps each array alive, and nothing writes it.
    memory::collected(blocks.map(|block| unsafe { shared(block) })).map_err(no_memory)
}
