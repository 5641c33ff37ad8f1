//! Many arrays in one call, some of them written: checked first, claimed together, then borrowed.
//!
//! A [`Block`] is an array that has been checked; it is not yet a slice. A [`Claim`] hands out the slices of all
//! blocks, each once, after [`claim`] has made sure that no written block overlaps any other.
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

// SAFETY: a block is an address that nothing is read or written through; a claim or `borrow` makes slices of it.
unsafe impl Send for Block<'_> {}
// SAFETY: as above.
unsafe impl Sync for Block<'_> {}

impl Block<'_> {
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

/// Whether the object is an array of floats, and no subclass of one, that can be read as it stands.
pub fn is_readable(object: &Bound<'_, PyAny>) -> bool {
    object.cast_exact::<PyUntypedArray>().is_ok_and(|array| {
        let kind = kind_of(array).filter(|kind| *kind != Kind::Bf16);
        kind.is_some() && flag(array, NPY_ARRAY_C_CONTIGUOUS)
    })
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

/// A block of an array that is kept alive, checked once: nobody else is to move or resize it.
pub struct Held {
    block: Block<'static>,
    _array: Py<PyAny>,
}

impl Held {
    /// An array that will be written, like `param` in type and shape.
    pub fn new(array: &Bound<'_, PyAny>, param: &Block<'_>, name: impl Fn() -> String) -> PyResult<Held> {
        let block = writable(array, &name)?;
        same_kind_and_shape(&block, param, &name)?;
        // The shape is the array's own and may change; the memory is what `_array` keeps.
        let block =
            Block { data: block.data, len: block.len, kind: block.kind, shape: &[], array: PhantomData };
        Ok(Held { block, _array: array.clone().unbind() })
    }
}

/// Refuses a block unlike its parameter.
pub fn same_kind_and_shape(block: &Block<'_>, param: &Block<'_>, name: &impl Fn() -> String) -> PyResult<()> {
    if block.kind == param.kind && block.shape == param.shape {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{}: expected {} of shape {}, like the parameter; got {} of shape {}",
        name(),
        param.kind.name(),
        python_shape(param.shape),
        block.kind.name(),
        python_shape(block.shape)
    )))
}

fn python_shape(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Two blocks that share memory, at least one of them written: indices into writes, then what is held, then reads.
pub struct Overlap(pub usize, pub usize);

/// Written blocks that were found not to overlap: those that are held, and by address those that each call checks
/// anew.
#[derive(Default)]
pub struct Disjoint {
    held: Vec<Held>,
    /// Where the others lay, in their order.
    ranges: Vec<Range<usize>>,
    /// All of them by address, with their positions: the others', then those that are held.
    sorted: Vec<(Range<usize>, usize)>,
}

impl Disjoint {
    /// Makes sure that no two of the written blocks, nor of those that are held, overlap.
    pub fn of(writes: &[Block<'_>], held: Vec<Held>) -> Result<Disjoint, Overlap> {
        let ranges: Vec<_> = writes.iter().map(Block::range).collect();
        let all = ranges.iter().cloned().chain(held.iter().map(|held| held.block.range()));
        let mut sorted: Vec<_> = all.zip(0..).filter(|(range, _)| !range.is_empty()).collect();
        sorted.sort_by_key(|(range, _)| range.start);
        match sorted.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
            Some(pair) => Err(Overlap(pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1))),
            None => Ok(Disjoint { held, ranges, sorted }),
        }
    }

    /// How many blocks are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether these are the blocks that were checked, and of the types of those that are held with them.
    fn still(&self, writes: &[Block<'_>]) -> bool {
        self.ranges.len() == writes.len()
            && self.ranges.iter().zip(writes).all(|(range, w)| *range == w.range())
            && writes.iter().zip(&self.held).all(|(w, held)| w.kind == held.block.kind)
    }

    /// The first written block that `read` overlaps. `place` is where the last read stood among the sorted ones: the
    /// next one most often stands there too.
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

/// Blocks of which the written ones are known to overlap nothing: they may become slices, once.
pub struct Claim<'b, 'a> {
    writes: &'b [Block<'a>],
    held: &'a [Held],
    reads: &'b [Block<'a>],
}

/// Why blocks cannot be claimed.
pub enum Refusal {
    /// They are not where they were when they were found disjoint.
    Moved,
    /// What is read overlaps what is written.
    Overlap(Overlap),
}

/// Claims all blocks, and what `disjoint` holds.
pub fn claim<'b, 'a>(
    writes: &'b [Block<'a>],
    reads: &'b [Block<'a>],
    disjoint: &'a Disjoint,
) -> Result<Claim<'b, 'a>, Refusal> {
    if !disjoint.still(writes) {
        return Err(Refusal::Moved);
    }
    let mut place = 0;
    for (index, read) in reads.iter().enumerate() {
        if let Some(write) = disjoint.hit(&read.range(), &mut place) {
            return Err(Refusal::Overlap(Overlap(write, writes.len() + disjoint.held() + index)));
        }
    }
    Ok(Claim { writes, held: &disjoint.held, reads })
}

impl<'b, 'a> Claim<'b, 'a> {
    /// The written blocks that are not held.
    pub fn writes(self) -> impl Iterator<Item = TypedSliceMut<'a>> + use<'b, 'a> {
        // SAFETY: every block was checked to be an aligned, C-contiguous, writeable array of its kind that lives for
        // 'a and overlaps nothing else that was claimed; each becomes a slice once, since the claim is used up.
        self.writes.iter().map(|block| unsafe { exclusive(block) })
    }

    /// For each read block, it, its written block and its held ones, when these are one list a role, each as long as
    /// `writes` and `reads`.
    pub fn rows(
        self,
    ) -> impl Iterator<Item = (TypedSlice<'a>, TypedSliceMut<'a>, [Option<TypedSliceMut<'a>>; 3])> + use<'b, 'a>
    {
        let Claim { writes, held, reads } = self;
        reads.iter().zip(writes).enumerate().map(move |(index, (read, write))| {
            let role = |role: usize| {
                // SAFETY: as above, and no two rows have a held block in common.
                held.get(role * reads.len() + index).map(|held| unsafe { exclusive(&held.block) })
            };
            // SAFETY: as above; nothing that is written overlaps what is read.
            let (read, write) = unsafe { (shared(read), exclusive(write)) };
            (read, write, [role(0), role(1), role(2)])
        })
    }
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
