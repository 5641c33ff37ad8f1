//! Thread counts, instruction sets, and versions.

use crate::call::call;
use crate::give::{self, ToPython, value_error};
use crate::reserve;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::simd::{self, Level};
use steelyard_kernels::state::bytes::Kind;
use steelyard_kernels::{grid, optim};

/// The version of the package.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The version of the package's arithmetic. Packages with the same number compute the same bits.
#[pyfunction]
pub fn numerics() -> u16 {
    steelyard_kernels::NUMERICS
}

/// The version of the arithmetic of each class that can be saved.
#[pyfunction]
pub fn state_numerics(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let numbers = give::dict(py, [("AdamW", u64::from(optim::NUMERICS).to_python(py)?)])?;
    for kind in Kind::ALL {
        numbers.set_item(kind.name().to_python(py)?, u64::from(kind.numerics()).to_python(py)?)?;
    }
    Ok(numbers)
}

/// The instruction-set level that kernels use.
#[pyfunction]
pub fn isa() -> &'static str {
    simd::level().name()
}

/// The levels that this processor supports, slowest first.
#[pyfunction]
pub fn isa_available() -> Vec<&'static str> {
    Level::ALL.into_iter().filter(|&level| simd::available(level)).map(Level::name).collect()
}

/// Makes kernels use the level of that name; `None` returns to the best one.
#[pyfunction]
#[pyo3(signature = (name=None))]
pub fn force_isa(name: Option<&str>) -> PyResult<()> {
    let level = name.map(|name| Level::from_name(name).ok_or(name)).transpose();
    match level {
        Ok(level) if simd::force(level) => Ok(()),
        _ => Err(value_error(format!(
            "isa: expected one of {:?}, the levels this processor has; got {:?}",
            isa_available(),
            name.unwrap_or_default()
        ))),
    }
}

/// The number of threads that a large call uses.
#[pyfunction]
pub fn threads() -> usize {
    grid::threads()
}

/// The number of threads that this process has set, if it has.
#[pyfunction]
pub fn asked_threads() -> Option<usize> {
    grid::asked_threads()
}

/// Sets the number of threads for this process; `None` returns to the default.
#[pyfunction]
#[pyo3(signature = (n=None))]
pub fn set_threads(n: Option<usize>) {
    grid::set_threads(n);
}

/// Called once, at import: records that worker threads belong to this process, and the number that the environment
/// sets.
#[pyfunction]
#[pyo3(signature = (n=None))]
pub fn set_default_threads(n: Option<usize>) {
    grid::set_default_threads(n);
}

/// Makes the core's allocations fail: `failures` of those of at least `least` bytes, after `successes` of them have
/// succeeded. Returns how many failures of the previous request have not happened. For tests.
#[pyfunction]
pub fn fail_allocations_for_tests(successes: usize, failures: usize, least: usize) -> usize {
    reserve::fail_for_tests(successes, failures, least)
}

/// Panics inside a call, on a worker of the pool or on the calling thread. For tests.
#[pyfunction]
#[allow(clippy::panic)] // panicking is its purpose
pub fn panic_for_tests(py: Python<'_>, pooled: bool) -> PyResult<()> {
    let bytes = if pooled { usize::MAX } else { 0 };
    let boom = |_| panic!("asked for by a test");
    call(py, None, 4, |progress| grid::map_chunks(4, bytes, progress, boom)).map(|_: Vec<()>| ())
}
