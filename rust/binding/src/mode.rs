//! The floating-point mode of the calling thread. The Python face calls its functions through [`in_standard_mode`];
//! tests set other modes.

use crate::callback::call_back;
use crate::give::value_error;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use steelyard_kernels::simd::{self, Rounding, standard};

/// Calls `function(*arguments, **keywords)` in the standard floating-point mode, and restores the caller's mode however
/// the call ends. It is done here because in Python a signal handler could raise between the call and the restoring.
#[pyfunction]
pub fn in_standard_mode<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    standard(|| call_back(function, arguments, Some(keywords)))
}

/// Sets the floating-point mode of the calling thread, as `torch.set_flush_denormal`, `fesetround` and `feenableexcept`
/// do. Without arguments it sets the standard mode. For tests.
#[pyfunction]
#[pyo3(signature = (flush_to_zero=false, rounding="nearest", trap=false))]
pub fn set_mode_for_tests(flush_to_zero: bool, rounding: &str, trap: bool) -> PyResult<()> {
    let rounding = match rounding {
        "nearest" => Rounding::Nearest,
        "down" => Rounding::Down,
        "up" => Rounding::Up,
        "toward zero" => Rounding::TowardZero,
        other => {
            return Err(value_error(format!(
                "rounding: expected nearest, down, up or toward zero; got {other:?}"
            )));
        }
    };
    simd::set_mode_for_tests(flush_to_zero, rounding, trap);
    Ok(())
}
