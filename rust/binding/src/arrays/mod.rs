//! Borrowed views of NumPy arrays, and arrays for results.
//!
//! The Python face (`_arrays.py`) has already turned foreign objects into native-endian, aligned arrays and
//! said its sentences; what is checked again here is what memory safety needs. The interpreter is released
//! while a view is in use: another thread that writes to the array meanwhile changes what is read, as with
//! any NumPy function, and the result is then unspecified.
#![allow(unsafe_code)] // slices over memory that NumPy owns

pub mod blocks;
mod fresh;
mod owners;
pub mod written;

pub use fresh::{Fresh, copied, given};
pub use owners::check_memory;

use crate::give::{type_error, value_error};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::marker::PhantomData;
use std::slice::from_raw_parts;
use steelyard_kernels::rows::Rows;
use steelyard_kernels::simd::{Bf16, F16};

/// An element type as NumPy describes it.
pub trait Item: Copy + Send + Sync + 'static {
    /// NumPy's kind letters that this type reads (`f`, `i`, `u`, `b`).
    const KINDS: &'static [u8];
    /// Its name in messages.
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

/// A NumPy array whose memory is still there, or the sentence that it is not one.
fn untyped<'a, 'py>(object: &'a Bound<'py, PyAny>, name: &str) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    let array = object.cast::<PyUntypedArray>().map_err(|_| no_array(object, name))?;
    owners::held(array, || name.to_owned())?;
    Ok(array)
}

fn no_array(object: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let got = object.get_type().name().map_or_else(|_| "an unknown type".into(), |n| n.to_string());
    type_error(format!("{name}: expected a NumPy array; got {got}"))
}

/// Whether the array holds `T`s in native byte order, aligned.
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

/// The elements of a floating array; uint16 in this position is the bits of bfloat16.
#[derive(Clone, Copy)]
pub enum Floats<'a> {
    /// float32
    F32(&'a [f32]),
    /// float64
    F64(&'a [f64]),
    /// bfloat16
    Bf16(&'a [Bf16]),
    /// float16
    F16(&'a [F16]),
}

/// A C-contiguous floating array of any shape.
pub fn floats<'a>(object: &'a Bound<'_, PyAny>, name: &str) -> PyResult<Floats<'a>> {
    let array = untyped(object, name)?;
    let dtype = array.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'f', 4) => Ok(Floats::F32(slice(object, name)?)),
        (b'f', 8) => Ok(Floats::F64(slice(object, name)?)),
        (b'f', 2) => Ok(Floats::F16(slice(object, name)?)),
        (b'u', 2) => Ok(Floats::Bf16(slice(object, name)?)),
        _ => Err(wrong_dtype(array, name, "float32, float64, float16 or bfloat16")),
    }
}

/// Runs `$body` with `$x` bound to the typed slice or rows, whatever the element type.
#[macro_export]
macro_rules! each_float {
    ($kind:ident, $floats:expr, $x:ident => $body:expr) => {
        match $floats {
            $crate::arrays::$kind::F32($x) => $body,
            $crate::arrays::$kind::F64($x) => $body,
            $crate::arrays::$kind::Bf16($x) => $body,
            $crate::arrays::$kind::F16($x) => $body,
        }
    };
}

/// The rows of an array `[..., width]`: any leading shape and strides, the last axis contiguous.
pub struct StridedRows<'a, T> {
    data: *const u8,
    shape: Vec<usize>,
    strides: Vec<isize>,
    width: usize,
    count: usize,
    array: PhantomData<&'a [T]>,
}

// SAFETY: the view only reads; it borrows the array for 'a.
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

/// The rows of a floating array `[..., width]`.
pub enum FloatRows<'a> {
    /// float32
    F32(StridedRows<'a, f32>),
    /// float64
    F64(StridedRows<'a, f64>),
    /// bfloat16
    Bf16(StridedRows<'a, Bf16>),
    /// float16
    F16(StridedRows<'a, F16>),
}

/// The rows of a floating array: at least one axis, the last one contiguous; nothing is copied.
pub fn float_rows<'a>(object: &'a Bound<'_, PyAny>, name: &str) -> PyResult<FloatRows<'a>> {
    let array = untyped(object, name)?;
    let dtype = array.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'f', 4) => Ok(FloatRows::F32(rows(array, name)?)),
        (b'f', 8) => Ok(FloatRows::F64(rows(array, name)?)),
        (b'f', 2) => Ok(FloatRows::F16(rows(array, name)?)),
        (b'u', 2) => Ok(FloatRows::Bf16(rows(array, name)?)),
        _ => Err(wrong_dtype(array, name, "float32, float64, float16 or bfloat16")),
    }
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
    // The strides of an empty array are whatever NumPy likes.
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
