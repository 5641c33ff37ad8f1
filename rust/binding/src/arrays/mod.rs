//! Borrowed views of NumPy arrays, and arrays for results.
//!
//! The Python face (`_arrays.py`) has already converted foreign objects to native-endian, aligned arrays, and has
//! raised exceptions for those that cannot be used. Here, what memory safety needs is checked again. The interpreter is
//! released while a view is in use. As with any NumPy function, another thread may write to the array meanwhile, and
//! the result is then unspecified.
#![allow(unsafe_code)] // slices over memory that NumPy owns

mod apart;
pub mod blocks;
mod fresh;
pub mod loads;
mod owners;
mod shim;
pub mod tensor_claim;
pub mod tensor_names;
pub mod tensor_rows;
pub mod tensors;
pub mod written;

pub use fresh::{Fresh, Word, copied, given};
pub use owners::check_memory;

use crate::give::{type_error, value_error};
use numpy::npyffi::NPY_TYPES;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::marker::PhantomData;
use std::slice::from_raw_parts;
use steelyard_kernels::dtype::{Dtype, Dtypes, Listed, PerType, Typed, TypedSlice};
use steelyard_kernels::rows::Rows;
use steelyard_kernels::simd::{Bf16, Element, F16};
use steelyard_kernels::with_dtype;

/// An element type as NumPy describes it.
pub trait Item: Copy + Send + Sync + 'static {
    /// NumPy's kind letters that this type reads (`f`, `i`, `u`, `b`).
    const KINDS: &'static [u8];
    /// The name of the type in messages.
    const NAME: &'static str;
}

macro_rules! item {
    ($($t:ty, $kinds:literal, $name:literal;)*) => {
        $(impl Item for $t { const KINDS: &'static [u8] = $kinds; const NAME: &'static str = $name; })*
    };
}
item! {
    f32, b"f", "float32";
    f64, b"f", "float64";
    F16, b"f", "float16";
    Bf16, b"u", "bfloat16 (as uint16)";
    u8, b"ub", "uint8 or bool";
    i8, b"i", "int8";
    i16, b"i", "int16";
    i32, b"i", "int32";
    i64, b"i", "int64";
    u16, b"u", "uint16";
    u32, b"u", "uint32";
    u64, b"u", "uint64";
}

/// The object as a NumPy array. An exception where it is none, or where its memory has been freed or moved.
fn untyped<'a, 'py>(object: &'a Bound<'py, PyAny>, name: &str) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    let array = object.cast::<PyUntypedArray>().map_err(|_| no_array(object, name))?;
    owners::held(array, || name.to_owned())?;
    Ok(array)
}

fn no_array(object: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let got = object.get_type().name().map_or_else(|_| "an unknown type".into(), |n| n.to_string());
    type_error(format!("{name}: expected a NumPy array; got {got}"))
}

/// Whether the elements of the array are aligned `T`s in native byte order.
fn holds<T: Item>(array: &Bound<'_, PyUntypedArray>) -> bool {
    let dtype = array.dtype();
    T::KINDS.contains(&dtype.kind())
        && dtype.itemsize() == size_of::<T>()
        && dtype.is_native_byteorder() != Some(false)
        && data(array).addr().is_multiple_of(align_of::<T>())
}

fn data(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: the pointer is to a live array object, whose `data` field is plain.
    unsafe { (*array.as_array_ptr()).fields.data.cast() }
}

fn wrong_dtype(array: &Bound<'_, PyUntypedArray>, name: &str, expected: &str) -> PyErr {
    type_error(format!("{name}: expected {expected}; got dtype {}", array.dtype()))
}

/// The elements of a C-contiguous array of any shape, in order.
pub fn slice<'a, T: Item>(object: &'a Bound<'_, PyAny>, name: &str) -> PyResult<&'a [T]> {
    let array = untyped(object, name)?;
    if !holds::<T>(array) {
        return Err(wrong_dtype(array, name, T::NAME));
    }
    if !array.is_c_contiguous() {
        return Err(value_error(format!(
            "{name}: expected a C-contiguous array; got strides {:?}",
            array.strides()
        )));
    }
    if array.is_empty() {
        return Ok(&[]);
    }
    // SAFETY: dtype, byte order, alignment and contiguity were checked; the array object outlives 'a, and
    // every bit pattern is a valid T.
    Ok(unsafe { from_raw_parts(data(array).cast::<T>(), array.len()) })
}

/// NumPy's number for each element type. NumPy has no bfloat16; where floats are expected, a uint16 array holds its
/// bits.
const fn number(dtype: Dtype) -> NPY_TYPES {
    match dtype {
        Dtype::F32 => NPY_TYPES::NPY_FLOAT,
        Dtype::F64 => NPY_TYPES::NPY_DOUBLE,
        Dtype::Bf16 => NPY_TYPES::NPY_USHORT,
        Dtype::F16 => NPY_TYPES::NPY_HALF,
    }
}

/// The element types by NumPy's number.
const BY_NUMBER: [Option<Dtype>; 32] = {
    let mut found = [None; 32];
    let mut row = 0;
    while row < Dtype::ALL.len() {
        found[number(Dtype::ALL[row]) as usize] = Some(Dtype::ALL[row]);
        row += 1;
    }
    found
};

/// The element type of a floating array, whatever its byte order.
#[inline]
fn element_type(array: &Bound<'_, PyUntypedArray>) -> Option<Dtype> {
    // SAFETY: a live array has a dtype, whose `type_num` field is plain.
    let number = unsafe { (*(*array.as_array_ptr()).fields.descr).fields.type_num };
    // Where long double has the format of double, as on Windows, NumPy still gives it a number of its own.
    if number == NPY_TYPES::NPY_LONGDOUBLE as i32 && array.dtype().itemsize() == size_of::<f64>() {
        return Some(Dtype::F64);
    }
    BY_NUMBER.get(usize::try_from(number).ok()?).copied().flatten()
}

/// The element type of an array; an exception where it is not one of floats.
fn floating(array: &Bound<'_, PyUntypedArray>, name: &str) -> PyResult<Dtype> {
    element_type(array).ok_or_else(|| wrong_dtype(array, name, &Dtype::names()))
}

/// The elements of a C-contiguous floating array of any shape.
pub fn floats<'a>(object: &'a Bound<'_, PyAny>, name: &str) -> PyResult<TypedSlice<'a>> {
    let array = untyped(object, name)?;
    with_dtype!(floating(array, name)?, type T => Ok(T::typed(slice::<T>(object, name)?)))
}

/// The rows of an array `[..., width]`. Its leading axes may have any strides; its last axis is contiguous.
pub struct StridedRows<'a, T> {
    data: *const u8,
    shape: Vec<usize>,
    strides: Vec<isize>,
    width: usize,
    count: usize,
    array: PhantomData<&'a [T]>,
}

// SAFETY: the view is only read, and it borrows the array for 'a.
unsafe impl<T: Sync> Sync for StridedRows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for StridedRows<'_, T> {}

impl<T: Item> Rows<T> for StridedRows<'_, T> {
    fn count(&self) -> usize {
        self.count
    }
    fn width(&self) -> usize {
        self.width
    }
    fn row(&self, index: usize) -> &[T] {
        assert!(index < self.count, "row out of range");
        let (mut rest, mut offset) = (index, 0isize);
        for (&length, &stride) in self.shape.iter().zip(&self.strides).rev() {
            offset += (rest % length) as isize * stride;
            rest /= length;
        }
        // SAFETY: index < count, so every coordinate is inside its axis and the row lies inside the array;
        // the constructor checked dtype, alignment of base and strides, and the last axis.
        unsafe { from_raw_parts(self.data.offset(offset).cast::<T>(), self.width) }
    }
}

/// The type of the rows for each element type.
pub struct Tables<'a>(PhantomData<&'a ()>);

impl<'a> PerType for Tables<'a> {
    type Of<T: Element> = StridedRows<'a, T>;
}

/// The rows of a floating array, without a copy. It must have at least one axis, and the last one must be contiguous.
pub fn float_rows<'a>(object: &'a Bound<'_, PyAny>, name: &str) -> PyResult<Typed<Tables<'a>>> {
    let array = untyped(object, name)?;
    with_dtype!(floating(array, name)?, type T => Ok(T::typed(rows::<T>(array, name)?)))
}

fn rows<'a, T: Item>(array: &'a Bound<'_, PyUntypedArray>, name: &str) -> PyResult<StridedRows<'a, T>> {
    if !holds::<T>(array) {
        return Err(wrong_dtype(array, name, T::NAME));
    }
    let (shape, strides, size) = (array.shape(), array.strides(), size_of::<T>());
    let (Some(&width), Some(&step)) = (shape.last(), strides.last()) else {
        return Err(value_error(format!("{name}: expected at least one axis; got a scalar")));
    };
    let (shape, strides) = (&shape[..shape.len() - 1], &strides[..strides.len() - 1]);
    // The strides of an empty array have no meaning and may be anything.
    let contiguous = width <= 1 || array.is_empty() || step == size as isize;
    let aligned = array.is_empty()
        || strides.iter().all(|stride| stride.unsigned_abs().is_multiple_of(align_of::<T>()));
    if !contiguous || !aligned {
        return Err(value_error(format!(
            "{name}: expected the last axis to be contiguous; got strides {:?} for itemsize {size}; use \
             numpy.ascontiguousarray",
            array.strides()
        )));
    }
    Ok(StridedRows {
        data: data(array),
        shape: shape.to_vec(),
        strides: strides.to_vec(),
        width,
        count: shape.iter().product(),
        array: PhantomData,
    })
}
