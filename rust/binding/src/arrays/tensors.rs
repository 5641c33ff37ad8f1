//! Torch tensors: where their elements are, of which type and in which layout.
//!
//! A step asks this of every tensor, because a tensor's memory can be moved, replaced or freed between two steps. Where
//! torch offers `DLPack`'s exchange functions (2.10 and later) one call of C answers everything; otherwise the tensor's
//! attributes are read, which takes about ten times as long.
#![allow(unsafe_code)] // the C functions of `DLPack`

use crate::call::no_memory;
use crate::give::value_error;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods, PyTuple};
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice::from_raw_parts;
use steelyard_kernels::dtype::{Dtype, Dtypes};
use steelyard_kernels::memory;

/// `DLPack`'s description of a tensor (dlpack.h, version 1).
#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// `DLPack`'s table of exchange functions.
#[repr(C)]
struct DlExchange {
    major: u32,
    minor: u32,
    previous: *const c_void,
    allocate: *const c_void,
    managed_from_object: *const c_void,
    managed_to_object: *const c_void,
    describe: Option<Describe>,
    stream: *const c_void,
}

/// Describes a tensor without taking a reference to it. Returns 0, or -1 with an exception set.
type Describe = unsafe extern "C" fn(object: *mut c_void, out: *mut DlTensor) -> c_int;

const CAPSULE: &CStr = c"dlpack_exchange_api";
const CPU: i32 = 1;

/// How to ask tensors where they are.
pub struct Tensors {
    describe: Option<Describe>,
    /// The classes whose objects are plain tensors, such as `torch.Tensor` and `torch.nn.Parameter`. Objects of other
    /// classes may keep their elements elsewhere.
    plain: Vec<Py<PyAny>>,
    dtypes: Vec<(Py<PyAny>, Kind)>,
    strided: Py<PyAny>,
}

/// What the elements of a tensor can be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Float(Dtype),
    /// Codes of 8 bits: torch's uint8.
    Code,
}

impl Kind {
    const CODE: &'static str = "uint8";

    fn of(name: &str) -> Option<Kind> {
        let dtype = Dtype::ALL.iter().copied().find(|dtype| dtype.name() == name);
        if name == Kind::CODE { Some(Kind::Code) } else { dtype.map(Kind::Float) }
    }
}

impl<'a> Seen<'a, Kind> {
    /// `None` where the elements are no floats, or not aligned. The alignment of each type of floats is its size.
    fn floats(self) -> Option<Seen<'a>> {
        let Seen { data, dtype: Kind::Float(dtype), shape, strides } = self else { return None };
        data.addr().is_multiple_of(dtype.size()).then_some(Seen { data, dtype, shape, strides })
    }

    /// `None` where the elements are no codes.
    fn codes(self) -> Option<Seen<'a, ()>> {
        let Seen { data, dtype: Kind::Code, shape, strides } = self else { return None };
        Some(Seen { data, dtype: (), shape, strides })
    }
}

/// The place and the layout of a tensor's elements, as long as the tensor is not changed.
#[derive(Clone, Copy)]
pub struct Seen<'a, K = Dtype> {
    pub data: *mut u8,
    pub dtype: K,
    pub shape: &'a [i64],
    /// In elements.
    pub strides: &'a [i64],
}

/// Memory for what [`Tensors::see`] reads of a tensor that is asked by its attributes.
#[derive(Default)]
pub struct Scratch {
    shape: Vec<i64>,
    strides: Vec<i64>,
}

impl Tensors {
    /// `exchange` is torch's capsule of exchange functions, or None; `dtypes` are torch's types by our names.
    pub fn new(
        exchange: Option<&Bound<'_, PyAny>>,
        plain: Vec<Py<PyAny>>,
        dtypes: Vec<(Py<PyAny>, String)>,
        strided: Py<PyAny>,
    ) -> PyResult<Self> {
        let known = |(object, name): (Py<PyAny>, String)| {
            let kind = Kind::of(&name);
            kind.map(|kind| (object, kind)).ok_or_else(|| value_error(format!("dtypes: no type {name}")))
        };
        let describe = exchange.map(describing).transpose()?.flatten();
        Ok(Tensors {
            describe,
            plain,
            dtypes: dtypes.into_iter().map(known).collect::<PyResult<_>>()?,
            strided,
        })
    }

    /// Where a tensor of floats is; `None` where it is no plain, aligned one in the memory of this computer.
    pub fn see<'a>(
        &self,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
    ) -> PyResult<Option<Seen<'a>>> {
        Ok(self.see_any(tensor, scratch)?.and_then(Seen::floats))
    }

    /// Where a tensor of 8-bit codes is; `None` where it is no plain one in the memory of this computer.
    pub fn see_codes<'a>(
        &self,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
    ) -> PyResult<Option<Seen<'a, ()>>> {
        Ok(self.see_any(tensor, scratch)?.and_then(Seen::codes))
    }

    fn see_any<'a>(
        &self,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
    ) -> PyResult<Option<Seen<'a, Kind>>> {
        // SAFETY: a live object has a type.
        let class = unsafe { pyo3::ffi::Py_TYPE(tensor.as_ptr()) }.cast();
        if !self.plain.iter().any(|plain| plain.as_ptr() == class) {
            return Ok(None);
        }
        match self.describe {
            Some(describe) => Ok(described(describe, tensor)),
            None => self.read(tensor, scratch),
        }
    }

    /// The same by the tensor's attributes.
    fn read<'a>(
        &self,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
    ) -> PyResult<Option<Seen<'a, Kind>>> {
        let py = tensor.py();
        let layout = tensor.getattr(intern!(py, "layout"))?;
        if !layout.is(&self.strided) || !tensor.getattr(intern!(py, "is_cpu"))?.is_truthy()? {
            return Ok(None);
        }
        let dtype = tensor.getattr(intern!(py, "dtype"))?;
        let Some(&(_, dtype)) = self.dtypes.iter().find(|(object, _)| dtype.is(object)) else {
            return Ok(None);
        };
        let data: usize = tensor.call_method0(intern!(py, "data_ptr"))?.extract()?;
        numbers(&tensor.getattr(intern!(py, "shape"))?, &mut scratch.shape)?;
        numbers(&tensor.call_method0(intern!(py, "stride"))?, &mut scratch.strides)?;
        let data = std::ptr::with_exposed_provenance_mut(data);
        Ok(Some(Seen { data, dtype, shape: &scratch.shape, strides: &scratch.strides }))
    }
}

fn numbers(tuple: &Bound<'_, PyAny>, into: &mut Vec<i64>) -> PyResult<()> {
    into.clear();
    let tuple = tuple.cast::<PyTuple>()?;
    memory::reserve(into, tuple.len()).map_err(no_memory)?;
    for item in tuple.iter_borrowed() {
        into.push(item.extract()?);
    }
    Ok(())
}

/// The function that describes tensors, if the capsule has one of a version that is known here.
fn describing(capsule: &Bound<'_, PyAny>) -> PyResult<Option<Describe>> {
    let table: NonNull<DlExchange> = capsule.cast::<PyCapsule>()?.pointer_checked(Some(CAPSULE))?.cast();
    // SAFETY: a capsule of this name holds a table that lives as long as the process, and begins with its version.
    // Every table of major version 1 has these fields.
    unsafe {
        let table = table.as_ptr();
        Ok(if (*table).major == 1 { (*table).describe } else { None })
    }
}

fn described<'a>(describe: Describe, tensor: &'a Bound<'_, PyAny>) -> Option<Seen<'a, Kind>> {
    let mut out = MaybeUninit::<DlTensor>::uninit();
    // SAFETY: the function takes a live tensor, and is called attached to the interpreter.
    let failed = unsafe { describe(tensor.as_ptr().cast(), out.as_mut_ptr()) } != 0;
    if failed {
        // A sparse tensor, or one on a device that `DLPack` does not know: it is looked at again in Python.
        drop(PyErr::take(tensor.py()));
        return None;
    }
    // SAFETY: the function has filled all of it.
    let found = unsafe { out.assume_init() };
    let dtype = match (found.code, found.bits, found.lanes) {
        (2, 32, 1) => Kind::Float(Dtype::F32),
        (2, 64, 1) => Kind::Float(Dtype::F64),
        (2, 16, 1) => Kind::Float(Dtype::F16),
        (4, 16, 1) => Kind::Float(Dtype::Bf16),
        (1, 8, 1) => Kind::Code,
        _ => return None,
    };
    if found.device_type != CPU || found.byte_offset != 0 {
        return None;
    }
    let axes = usize::try_from(found.ndim).ok()?;
    let list = |start: *const i64| {
        if axes == 0 || start.is_null() {
            return (axes == 0).then_some(&[][..]);
        }
        // SAFETY: the lists have `ndim` numbers and live as long as the tensor keeps its shape.
        Some(unsafe { from_raw_parts(start, axes) })
    };
    Some(Seen { data: found.data.cast(), dtype, shape: list(found.shape)?, strides: list(found.strides)? })
}

impl<K> Seen<'_, K> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|&n| n as usize).product()
    }

    /// Whether the elements fill their memory without holes, in some order of the axes.
    pub fn is_dense(&self) -> bool {
        let mut next = 1;
        loop {
            let axes = || self.shape.iter().zip(self.strides).filter(|(n, _)| **n != 1);
            // Without holes, exactly one axis has each of the strides 1, n, n m, ...
            match axes().find(|(_, stride)| **stride == next) {
                Some((n, _)) => next *= n,
                None => return self.len() == 0 || axes().map(|(n, _)| n).product::<i64>() == next,
            }
            if next == 0 {
                return true;
            }
        }
    }

    /// Whether both have the same shape and the same order of elements in memory. The strides of axes of one element
    /// have no meaning.
    pub fn is_laid_out_like(&self, shape: &[i64], strides: &[i64]) -> bool {
        let mut axes = self.shape.iter().zip(self.strides).zip(shape.iter().zip(strides));
        self.shape.len() == shape.len()
            && axes.all(|((n, stride), (m, other))| n == m && (stride == other || *n == 1))
    }
}

/// The memory that a tensor's elements are in, with its size when it was looked at. Storages can be emptied or shortened
/// under a tensor.
pub struct Storage {
    object: Py<PyAny>,
    size: usize,
}

impl Storage {
    pub fn of(tensor: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = tensor.py();
        let storage = tensor.call_method0(intern!(py, "untyped_storage"))?;
        let size = storage.call_method0(intern!(py, "nbytes"))?.extract()?;
        Ok(Storage { object: storage.unbind(), size })
    }

    /// Whether it has these addresses.
    pub fn has(&self, py: Python<'_>, range: &Range<usize>) -> PyResult<bool> {
        let start: usize = self.object.bind(py).call_method0(intern!(py, "data_ptr"))?.extract()?;
        let inside = start <= range.start && range.end <= start.saturating_add(self.size);
        Ok(range.is_empty() || start != 0 && inside)
    }

    /// Whether it still has the memory of a tensor that is where it was. A storage that is resized moves, and its
    /// tensors with it; only one that was resized twice may be at its old place again, and shorter.
    pub fn stayed(&self, py: Python<'_>) -> PyResult<bool> {
        let size: usize = self.object.bind(py).call_method0(intern!(py, "nbytes"))?.extract()?;
        Ok(size == self.size)
    }
}

/// Whether the tensor's storage has these addresses, for a tensor that is only read.
pub fn stored(tensor: &Bound<'_, PyAny>, range: &Range<usize>) -> PyResult<bool> {
    Storage::of(tensor)?.has(tensor.py(), range)
}
