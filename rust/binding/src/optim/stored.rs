//! Arrays in the forms in which an optimizer may store them.

use crate::arrays::blocks::MomentSlice;
use crate::arrays::{copied, slice};
use crate::call::{call_quick, no_memory};
use crate::give::{Record, record, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Typed, TypedSliceMut};
use steelyard_kernels::memory;
use steelyard_kernels::optim::{
    self, BLOCK, Blocks8, Codes, Copied, Kahan, PerHalf, Plain, Random, Split, Stored,
};
use steelyard_kernels::random::{Halves, ROUNDED_STEPS, STRATA};
use steelyard_kernels::simd::{Bf16, F16};

fn kind(signed: bool) -> Codes {
    if signed { Codes::Signed } else { Codes::Unsigned }
}

/// Whether the codes of a rule's moment stand for numbers of either sign. The first moment has the index 0.
#[pyfunction]
pub fn blocks8_signed(moment: usize) -> bool {
    Codes::of_moment(moment) == Codes::Signed
}

/// An array of floats as it is stored, with a seed where those of 16 bits are rounded at random.
pub fn floats(array: TypedSliceMut<'_>, seed: Option<u64>) -> Stored<'_> {
    match (array, seed) {
        (Typed::Bf16(array), Some(seed)) => Stored::Random(Random { array: PerHalf::Bf16(array), seed }),
        (Typed::F16(array), Some(seed)) => Stored::Random(Random { array: PerHalf::F16(array), seed }),
        (array, _) => Stored::plain(array),
    }
}

/// A moment as it is stored, by its index among those of a row.
pub fn moment(index: usize, slice: MomentSlice<'_>, seed: Option<u64>) -> Stored<'_> {
    match slice {
        MomentSlice::Floats(array) => floats(array, seed),
        MomentSlice::Blocks8(codes, scales) => {
            Stored::Blocks8(Blocks8 { kind: Codes::of_moment(index), codes, scales })
        }
    }
}

/// What is kept or written beside a parameter.
pub enum Beside<'a> {
    /// The lower halves of float32 values, the upper ones being the parameter.
    Low(TypedSliceMut<'a>),
    /// What rounding the parameter has lost.
    Rest(TypedSliceMut<'a>),
    /// The values of which the parameter is a copy.
    Master(TypedSliceMut<'a>),
    /// A copy of the parameter.
    Copy(TypedSliceMut<'a>),
}

/// A parameter as it is stored.
pub fn param<'a>(param: TypedSliceMut<'a>, beside: Option<Beside<'a>>, seed: Option<u64>) -> Stored<'a> {
    match (param, beside) {
        (Typed::Bf16(high), Some(Beside::Low(Typed::Bf16(low)))) => {
            Stored::Split(Split { high, low: Bf16::bits_of(low) })
        }
        (Typed::Bf16(value), Some(Beside::Rest(Typed::Bf16(rest)))) => {
            Stored::Kahan(Kahan::bf16(value, rest))
        }
        (Typed::F16(value), Some(Beside::Rest(Typed::F16(rest)))) => Stored::Kahan(Kahan::f16(value, rest)),
        (copy, Some(Beside::Master(master))) => Stored::Copied(Copied { array: Plain(master), copy }),
        (array, Some(Beside::Copy(copy))) => Stored::Copied(Copied { array: Plain(array), copy }),
        (array, _) => floats(array, seed),
    }
}

/// Raises an exception where there are no random numbers for the steps of rows, given by their numbers and the steps
/// that they have made.
pub fn have_numbers(mut rows: impl Iterator<Item = (usize, u64)>) -> PyResult<()> {
    let beyond = |(number, steps): &(usize, u64)| *number as u64 >= STRATA || *steps >= ROUNDED_STEPS;
    let Some((number, steps)) = rows.find(beyond) else { return Ok(()) };
    Err(value_error(format!(
        "rounding: expected fewer than {STRATA} parameters and at most {ROUNDED_STEPS} steps to round at random; got \
         parameter {number} at step {}",
        steps + 1
    )))
}

/// The numbers that the codes of 8-bit blocks stand for.
#[pyfunction]
pub fn blocks8_map(py: Python<'_>, signed: bool) -> PyResult<Bound<'_, PyArray1<f32>>> {
    copied(py, kind(signed).values())
}

/// The codes (uint8) of float32 values, and the scales (float32) of their blocks of 256.
#[pyfunction]
#[pyo3(signature = (values, *, signed))]
pub fn to_blocks8<'py>(py: Python<'py>, values: &Bound<'py, PyAny>, signed: bool) -> Record<'py> {
    let values: &[f32] = slice(values, "values")?;
    let mut codes = memory::filled(values.len(), 0u8).map_err(no_memory)?;
    let mut scales = memory::filled(values.len().div_ceil(BLOCK), 0f32).map_err(no_memory)?;
    call_quick(py, || optim::to_blocks8(values, kind(signed), &mut codes, &mut scales))?;
    let (codes, scales) = (copied(py, &codes)?, copied(py, &scales)?);
    record!(py, { codes, scales })
}

/// The values of codes, with the scales of their blocks.
#[pyfunction]
#[pyo3(signature = (codes, scales, *, signed))]
pub fn from_blocks8<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    scales: &Bound<'py, PyAny>,
    signed: bool,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let (codes, scales): (&[u8], &[f32]) = (slice(codes, "codes")?, slice(scales, "scales")?);
    let blocks = codes.len().div_ceil(BLOCK);
    if scales.len() != blocks {
        return Err(value_error(format!(
            "scales: expected {blocks}, one for each block of {BLOCK} codes; got {}",
            scales.len()
        )));
    }
    let mut values = memory::filled(codes.len(), 0f32).map_err(no_memory)?;
    call_quick(py, || optim::from_blocks8(codes, scales, kind(signed), &mut values))?;
    copied(py, &values)
}

/// The bits (uint16) of float32 values that are rounded to bfloat16, or with `half` to float16, at random. The random
/// numbers are those of the elements from `first` on of an array (0 is the parameter) of a tensor, at a step.
#[pyfunction]
#[pyo3(signature = (values, *, half, seed, tensor, step, array, first=0))]
#[allow(clippy::too_many_arguments)] // what the random numbers are keyed by
pub fn round_at_random<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    half: bool,
    seed: u64,
    tensor: u64,
    step: u64,
    array: u32,
    first: u64,
) -> PyResult<Bound<'py, PyArray1<u16>>> {
    let values: &[f32] = slice(values, "values")?;
    let numbers = Halves::new(seed, tensor, step, array).ok_or_else(|| {
        value_error(format!(
            "step, tensor: expected at most {ROUNDED_STEPS} and below {STRATA}; got {step} and {tensor}"
        ))
    })?;
    if half {
        let mut to = memory::filled(values.len(), F16(0)).map_err(no_memory)?;
        call_quick(py, || optim::round_at_random(values, numbers, first, PerHalf::F16(&mut to)))?;
        copied(py, &memory::collected(to.iter().map(|x| x.0)).map_err(no_memory)?)
    } else {
        let mut to = memory::filled(values.len(), Bf16(0)).map_err(no_memory)?;
        call_quick(py, || optim::round_at_random(values, numbers, first, PerHalf::Bf16(&mut to)))?;
        copied(py, &memory::collected(to.iter().map(|x| x.0)).map_err(no_memory)?)
    }
}
