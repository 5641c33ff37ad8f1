//! torch's C functions that answer where a tensor is: its "shim", whose ABI torch keeps stable.
//!
//! They take the address of a tensor of torch's, which lies inside the tensor's Python object. Where in it is not part
//! of any ABI, so it is found out by tensors whose address Python tells, and without it there is no [`Shim`].
#![allow(unsafe_code)] // the C functions of torch

use super::blocks::prefetch;
use super::tensors::{Kind, Seen};
use pyo3::intern;
use pyo3::prelude::*;
use std::ffi::{CStr, CString, c_int, c_void};
use std::slice::from_raw_parts;
use steelyard_kernels::dtype::Dtype;

/// A function that answers one question about a tensor. It returns 0, or another number where it cannot.
type Ask<T> = unsafe extern "C" fn(tensor: *const c_void, answer: *mut T) -> i32;

/// A function without arguments that returns torch's number for a device, a layout or an element type.
type Constant = unsafe extern "C" fn() -> i32;

/// The size of a line of the cache, in bytes.
const LINE: usize = 64;

/// Of torch's tensor no more than this many bytes are read here.
const TOUCHED: usize = 64;

/// How to ask tensors of plain classes.
pub(super) struct Shim {
    /// How far into the Python object torch's tensor lies, in bytes.
    offset: usize,
    /// How far into torch's tensor the address of its storage stands, in bytes, if it was found.
    storage: Option<usize>,
    data_ptr: Ask<*mut u8>,
    dim: Ask<i64>,
    numel: Ask<i64>,
    sizes: Ask<*const i64>,
    strides: Ask<*const i64>,
    dtype: Ask<i32>,
    device_type: Ask<i32>,
    layout: Ask<i32>,
    storage_size: Ask<i64>,
    storage_offset: Ask<i64>,
    cpu: i32,
    strided: i32,
    dtypes: [(i32, Kind); 6],
}

/// What is known of torch: the path of the library through which it was loaded, and tensors, each with the addresses of
/// what it holds and of its storage.
#[derive(FromPyObject)]
pub struct Learned<'py>(String, pub(super) Vec<Sample<'py>>);

type Sample<'py> = (Bound<'py, PyAny>, usize, usize);

impl Shim {
    /// `None` where the functions are missing, or tensors are made otherwise. The samples are of plain classes.
    pub(super) fn new(Learned(library, samples): &Learned<'_>) -> PyResult<Option<Self>> {
        Ok(offset(samples)?
            .and_then(|offset| Shim::found(&Library::open(library)?, offset, storage(samples))))
    }

    fn found(library: &Library, offset: usize, storage: Option<usize>) -> Option<Self> {
        // SAFETY: torch declares these functions so; they take nothing, and return a number.
        let constant = |name| unsafe { Some(library.function::<Constant>(name)?()) };
        // SAFETY: torch declares these functions as the fields are declared here.
        unsafe {
            Some(Shim {
                offset,
                storage,
                data_ptr: library.function(c"aoti_torch_get_data_ptr")?,
                dim: library.function(c"aoti_torch_get_dim")?,
                numel: library.function(c"aoti_torch_get_numel")?,
                sizes: library.function(c"aoti_torch_get_sizes")?,
                strides: library.function(c"aoti_torch_get_strides")?,
                dtype: library.function(c"aoti_torch_get_dtype")?,
                device_type: library.function(c"aoti_torch_get_device_type")?,
                layout: library.function(c"aoti_torch_get_layout")?,
                storage_size: library.function(c"aoti_torch_get_storage_size")?,
                storage_offset: library.function(c"aoti_torch_get_storage_offset")?,
                cpu: constant(c"aoti_torch_device_type_cpu")?,
                strided: constant(c"aoti_torch_layout_strided")?,
                dtypes: [
                    (constant(c"aoti_torch_dtype_float32")?, Kind::Float(Dtype::F32)),
                    (constant(c"aoti_torch_dtype_float64")?, Kind::Float(Dtype::F64)),
                    (constant(c"aoti_torch_dtype_bfloat16")?, Kind::Float(Dtype::Bf16)),
                    (constant(c"aoti_torch_dtype_float16")?, Kind::Float(Dtype::F16)),
                    (constant(c"aoti_torch_dtype_uint8")?, Kind::Code),
                    (constant(c"aoti_torch_dtype_int16")?, Kind::Bits),
                ],
            })
        }
    }

    /// Where a tensor of a plain class is; `None` where it is not dense, not on the CPU or of another type.
    #[inline]
    pub(super) fn see<'a>(&self, tensor: &'a Bound<'_, PyAny>) -> Option<Seen<'a, Kind>> {
        // The questions of the layout and the device come first, because the others are logged as errors where a tensor
        // has no memory.
        if self.ask(self.layout, tensor)? != self.strided || self.ask(self.device_type, tensor)? != self.cpu {
            return None;
        }
        let dtype = self.ask(self.dtype, tensor)?;
        let (_, dtype) = *self.dtypes.iter().find(|(number, _)| *number == dtype)?;
        let axes = usize::try_from(self.ask(self.dim, tensor)?).ok()?;
        let list = |start: *const i64| {
            // SAFETY: the lists have a number per axis, and live as long as the tensor keeps its shape.
            if axes == 0 { &[][..] } else { unsafe { from_raw_parts(start, axes) } }
        };
        let (shape, strides) = (list(self.ask(self.sizes, tensor)?), list(self.ask(self.strides, tensor)?));
        let (data, room) = self.memory(tensor, dtype)?;
        Some(Seen { data, dtype, shape, strides, room })
    }

    /// Where the elements of a tensor begin, and how many bytes its storage has from there on.
    #[inline]
    fn memory(&self, tensor: &Bound<'_, PyAny>, dtype: Kind) -> Option<(*mut u8, usize)> {
        let data = self.ask(self.data_ptr, tensor)?;
        let (size, before) = (self.ask(self.storage_size, tensor)?, self.ask(self.storage_offset, tensor)?);
        Some((data, dtype.room(size as usize, before as usize)))
    }

    /// Whether a tensor has the type, the number of elements and the place that are given, in a storage that has room
    /// for it; where `layout` is given, also that shape and these strides.
    #[inline]
    pub(super) fn is_at(
        &self,
        tensor: &Bound<'_, PyAny>,
        data: *mut u8,
        len: usize,
        dtype: Kind,
        layout: Option<(&[i64], &[i64])>,
    ) -> bool {
        let same = || {
            let number = self.ask(self.dtype, tensor)?;
            let known = self.dtypes.contains(&(number, dtype));
            let shaped = match layout {
                None => self.ask(self.numel, tensor)? == len as i64,
                Some((shape, strides)) => {
                    let alike = |ask: Ask<*const i64>, list: &[i64]| {
                        let start = self.ask(ask, tensor)?;
                        // SAFETY: the list has as many numbers as the tensor has axes, which are those of `list`.
                        Some((0..list.len()).all(|axis| unsafe { *start.add(axis) } == list[axis]))
                    };
                    self.ask(self.dim, tensor)? == shape.len() as i64
                        && alike(self.sizes, shape)?
                        && alike(self.strides, strides)?
                }
            };
            let (start, room) = self.memory(tensor, dtype)?;
            Some(known && shaped && start == data && room >= len * dtype.size())
        };
        same().unwrap_or(false)
    }

    /// Prefetches torch's tensor.
    #[inline]
    pub(super) fn prefetch(&self, tensor: &Bound<'_, PyAny>) {
        let held = self.held(tensor);
        for line in 0..3 {
            prefetch(held.wrapping_byte_add(line * LINE).cast());
        }
    }

    /// Prefetches the storage of a tensor.
    #[inline]
    pub(super) fn prefetch_storage(&self, tensor: &Bound<'_, PyAny>) {
        let held = self.held(tensor);
        let Some(offset) = self.storage.filter(|_| !held.is_null()) else { return };
        // SAFETY: torch's tensor is alive, and larger than this.
        let storage = unsafe { held.cast::<*const u8>().byte_add(offset).read() };
        prefetch(storage);
        prefetch(storage.wrapping_add(LINE));
    }

    /// The address of what a tensor of a plain class holds.
    #[inline]
    fn held(&self, tensor: &Bound<'_, PyAny>) -> *const c_void {
        // SAFETY: the object is alive and of a plain class, so it has a pointer at this offset.
        unsafe { tensor.as_ptr().byte_add(self.offset).cast::<*const c_void>().read() }
    }

    #[inline]
    fn ask<T>(&self, question: Ask<T>, tensor: &Bound<'_, PyAny>) -> Option<T> {
        let mut answer = std::mem::MaybeUninit::<T>::uninit();
        // SAFETY: the object is alive and of a plain class, so torch's tensor lies in it at this offset.
        let failed =
            unsafe { question(tensor.as_ptr().cast::<c_void>().byte_add(self.offset), answer.as_mut_ptr()) };
        // SAFETY: a function that returns 0 has written its answer.
        (failed == 0).then(|| unsafe { answer.assume_init() })
    }
}

/// How far into a Python object torch's tensor lies, which is a pointer to what Python tells the address of. It stands
/// directly behind the object's head, or, before torch 2.10, behind one more word.
fn offset(samples: &[Sample<'_>]) -> PyResult<Option<usize>> {
    const WORD: usize = size_of::<usize>();
    let head = size_of::<pyo3::ffi::PyObject>();
    for (object, ..) in samples {
        let size: usize = object.get_type().getattr(intern!(object.py(), "__basicsize__"))?.extract()?;
        if size < head + 2 * WORD {
            return Ok(None);
        }
    }
    let is_at = |offset: usize| {
        samples.iter().all(|(object, held, _)| {
            // SAFETY: the object is alive and larger than this.
            let word = unsafe { object.as_ptr().byte_add(offset).cast::<usize>().read_unaligned() };
            word == *held
        })
    };
    let offsets = [head, head + WORD];
    Ok(offsets.into_iter().find(|offset| !samples.is_empty() && is_at(*offset)))
}

/// How far into torch's tensor the address of its storage stands. Nothing but prefetches depend on it.
fn storage(samples: &[Sample<'_>]) -> Option<usize> {
    // Behind its table of functions and its counts of references come the fields; every tensor is larger than this.
    let mut offsets = (0..TOUCHED).step_by(size_of::<usize>());
    // SAFETY: the samples hold a tensor at this address, as `offset` has found.
    let at = |held: usize, offset: usize| unsafe {
        std::ptr::with_exposed_provenance::<usize>(held).byte_add(offset).read()
    };
    offsets.find(|&offset| samples.iter().all(|(_, held, storage)| at(*held, offset) == *storage))
}

/// A library that is loaded. It is never unloaded.
struct Library(*mut c_void);

#[cfg(unix)]
impl Library {
    fn open(path: &str) -> Option<Self> {
        unsafe extern "C" {
            fn dlopen(path: *const std::ffi::c_char, flags: c_int) -> *mut c_void;
        }
        const LAZY: c_int = 1;
        const ONLY_IF_LOADED: c_int = if cfg!(target_os = "macos") { 0x10 } else { 4 };
        let path = CString::new(path).ok()?;
        // SAFETY: the path ends with a zero; a library that is loaded already is not run again.
        let handle = unsafe { dlopen(path.as_ptr(), LAZY | ONLY_IF_LOADED) };
        (!handle.is_null()).then_some(Library(handle))
    }

    /// The function of this name, also in the libraries that this one needs.
    ///
    /// # Safety
    ///
    /// `F` is the type of a pointer to this function.
    unsafe fn function<F>(&self, name: &CStr) -> Option<F> {
        unsafe extern "C" {
            fn dlsym(library: *mut c_void, name: *const std::ffi::c_char) -> *mut c_void;
        }
        // SAFETY: the library is loaded, and the name ends with a zero.
        let found = unsafe { dlsym(self.0, name.as_ptr()) };
        // SAFETY: the caller promises the type.
        (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
    }
}

#[cfg(not(unix))]
impl Library {
    fn open(_: &str) -> Option<Self> {
        None
    }

    /// # Safety
    ///
    /// None is needed.
    unsafe fn function<F>(&self, _: &CStr) -> Option<F> {
        None
    }
}
