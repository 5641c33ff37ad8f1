//! Arrays in the forms in which an optimizer may store them.

use crate::arrays::{copied, slice};
use crate::call::{call_quick, no_memory};
use crate::give::{Record, record, value_error};
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::memory;
use steelyard_kernels::optim::{self, BLOCK, Codes, PerHalf};
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
