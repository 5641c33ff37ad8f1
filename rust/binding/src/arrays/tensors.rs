//! Torch tensors: where their elements are, of which type and in which layout.
//!
//! A step asks this of every tensor, because a tensor's memory can be moved, replaced or freed between two steps. Where
//! torch's C functions are found (`shim.rs`) a tensor answers in 15 to 20 ns; otherwise its attributes are read, which
//! takes about twenty times as long.

pub use super::shim::Learned;

use super::shim::Shim;
use crate::call::no_memory;
use crate::give::value_error;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use steelyard_kernels::dtype::{Dtype, Dtypes};
use steelyard_kernels::memory;

/// How to ask tensors where they are.
pub struct Tensors {
    shim: Option<Shim>,
    /// The classes whose objects are plain tensors, such as `torch.Tensor` and `torch.nn.Parameter`. Objects of other
    /// classes may keep their elements elsewhere.
    plain: Vec<Py<PyAny>>,
    dtypes: Vec<(Py<PyAny>, Kind)>,
    strided: Py<PyAny>,
}

/// What the elements of a tensor can be.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Float(Dtype),
    /// Codes of 8 bits: torch's uint8.
    Code,
    /// The lower halves of float32 values: torch's int16.
    Bits,
}

impl Kind {
    fn of(name: &str) -> Option<Kind> {
        let dtype = || Dtype::ALL.iter().copied().find(|dtype| dtype.name() == name);
        match name {
            "uint8" => Some(Kind::Code),
            "int16" => Some(Kind::Bits),
            _ => dtype().map(Kind::Float),
        }
    }

    /// The size of an element in bytes.
    #[inline]
    pub(super) fn size(self) -> usize {
        match self {
            Kind::Float(dtype) => dtype.size(),
            Kind::Code => 1,
            Kind::Bits => 2,
        }
    }

    /// How many bytes a storage of `size` bytes has behind its first `before` elements.
    #[inline]
    pub(super) fn room(self, size: usize, before: usize) -> usize {
        size.saturating_sub(before.saturating_mul(self.size()))
    }
}

impl<'a> Seen<'a, Kind> {
    /// `None` where the elements are no floats, or not aligned. The alignment of each type of floats is its size.
    #[inline]
    fn floats(self) -> Option<Seen<'a>> {
        let Seen { data, dtype: Kind::Float(dtype), shape, strides, room } = self else { return None };
        data.addr().is_multiple_of(dtype.size()).then_some(Seen { data, dtype, shape, strides, room })
    }

    /// `None` where the elements are no codes.
    fn codes(self) -> Option<Seen<'a, ()>> {
        let Seen { data, dtype: Kind::Code, shape, strides, room } = self else { return None };
        Some(Seen { data, dtype: (), shape, strides, room })
    }

    /// `None` where the elements are no lower halves, or not aligned. The kernel takes them for bits of bfloat16.
    fn bits(self) -> Option<Seen<'a>> {
        let Seen { data, dtype: Kind::Bits, shape, strides, room } = self else { return None };
        Seen { data, dtype: Kind::Float(Dtype::Bf16), shape, strides, room }.floats()
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
    /// How many bytes its storage has from `data` on. Storages can be emptied or shortened under a tensor.
    pub room: usize,
}

/// Memory for what [`Tensors::see`] reads of a tensor that is asked by its attributes.
#[derive(Default)]
pub struct Scratch {
    shape: Vec<i64>,
    strides: Vec<i64>,
}

impl Tensors {
    /// `learned` is what torch's C functions are found by; `dtypes` are torch's types by our names.
    pub fn new(
        learned: Option<Learned<'_>>,
        plain: Vec<Py<PyAny>>,
        dtypes: Vec<(Py<PyAny>, String)>,
        strided: Py<PyAny>,
    ) -> PyResult<Self> {
        let known = |(object, name): (Py<PyAny>, String)| {
            let kind = Kind::of(&name);
            kind.map(|kind| (object, kind)).ok_or_else(|| value_error(format!("dtypes: no type {name}")))
        };
        let dtypes = dtypes.into_iter().map(known).collect::<PyResult<_>>()?;
        let mut tensors = Tensors { shim: None, plain, dtypes, strided };
        if let Some(learned) = learned
            && learned.1.iter().all(|(sample, ..)| tensors.is_plain(sample))
        {
            tensors.shim = Shim::new(&learned)?;
        }
        Ok(tensors)
    }

    /// Whether the object is a tensor of a plain class.
    #[inline]
    fn is_plain(&self, tensor: &Bound<'_, PyAny>) -> bool {
        let class = tensor.get_type_ptr().cast();
        self.plain.iter().any(|plain| plain.as_ptr() == class)
    }

    /// Prefetches what a tensor consists of. Its Python object is read for it.
    #[inline]
    pub fn prefetch(&self, tensor: &Bound<'_, PyAny>) {
        if let Some(shim) = self.shim.as_ref().filter(|_| self.is_plain(tensor)) {
            shim.prefetch(tensor);
        }
    }

    /// Prefetches the storage of a tensor. What the tensor consists of is read for it.
    #[inline]
    pub fn prefetch_storage(&self, tensor: &Bound<'_, PyAny>) {
        if let Some(shim) = self.shim.as_ref().filter(|_| self.is_plain(tensor)) {
            shim.prefetch_storage(tensor);
        }
    }

    /// Whether a tensor that was seen is still of that type, in that place and with room for its elements. Where
    /// `layout` is given, it has this shape and these strides, too.
    #[inline]
    pub(super) fn stayed(
        &self,
        tensor: &Bound<'_, PyAny>,
        scratch: &mut Scratch,
        (data, len, kind): (*mut u8, usize, Kind),
        layout: Option<(&[i64], &[i64])>,
    ) -> PyResult<bool> {
        if let Some(shim) = &self.shim {
            return Ok(self.is_plain(tensor) && shim.is_at(tensor, data, len, kind, layout));
        }
        let alike = |seen: Seen<'_, Kind>| {
            let alike = layout.is_none_or(|(shape, strides)| seen.shape == shape && seen.strides == strides);
            alike
                && (seen.data, seen.len(), seen.dtype) == (data, len, kind)
                && seen.has_memory(len * kind.size())
        };
        Ok(self.see_any(tensor, scratch)?.is_some_and(alike))
    }

    /// Where a tensor of floats is; `None` where it is no plain, aligned one in the memory of this computer.
    #[inline]
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

    /// Where a tensor of lower halves is; `None` where it is no plain, aligned one in the memory of this computer.
    pub(super) fn see_bits<'a>(
        &self,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
    ) -> PyResult<Option<Seen<'a>>> {
        Ok(self.see_any(tensor, scratch)?.and_then(Seen::bits))
    }

    fn see_any<'a>(
        &self,
        tensor: &'a Bound<'_, PyAny>,
        scratch: &'a mut Scratch,
    ) -> PyResult<Option<Seen<'a, Kind>>> {
        if !self.is_plain(tensor) {
            return Ok(None);
        }
        match &self.shim {
            Some(shim) => Ok(shim.see(tensor)),
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
        let storage = tensor.call_method0(intern!(py, "untyped_storage"))?;
        let size = storage.call_method0(intern!(py, "nbytes"))?.extract()?;
        let room = dtype.room(size, tensor.call_method0(intern!(py, "storage_offset"))?.extract()?);
        let data = std::ptr::with_exposed_provenance_mut(data);
        Ok(Some(Seen { data, dtype, shape: &scratch.shape, strides: &scratch.strides, room }))
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

impl<K> Seen<'_, K> {
    /// Whether its storage has memory for `size` bytes of elements without holes.
    #[inline]
    pub fn has_memory(&self, size: usize) -> bool {
        size == 0 || !self.data.is_null() && size <= self.room
    }

    /// The number of elements.
    #[inline]
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
    #[inline]
    pub fn is_laid_out_like(&self, shape: &[i64], strides: &[i64]) -> bool {
        let mut axes = self.shape.iter().zip(self.strides).zip(shape.iter().zip(strides));
        self.shape.len() == shape.len()
            && axes.all(|((n, stride), (m, other))| n == m && (stride == other || *n == 1))
    }
}
