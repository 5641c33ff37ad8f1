//! Losses of answers that are not paired, and of margins that were made elsewhere.

use crate::arrays::{Fresh, given, slice};
use crate::call::call;
use crate::give::{Give, Given, Record, record, value_error};
use pyo3::prelude::*;
use steelyard_kernels::preference::unpaired;

/// The loss of each margin, `-log s(z)`, or where `bounded` `1 - s(z)`: the columns `losses` and `slopes`, their
/// derivatives.
#[pyfunction]
#[pyo3(signature = (margins, *, bounded, progress=None))]
pub fn logistic_losses<'py>(
    py: Python<'py>,
    margins: &Bound<'py, PyAny>,
    bounded: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let margins = slice::<f64>(margins, "margins")?;
    let mut columns = [Fresh::new(py, margins.len())?, Fresh::new(py, margins.len())?];
    let to = columns.each_mut().map(Fresh::elements);
    call(py, progress, margins.len(), move |progress| unpaired::terms_into(margins, bounded, to, progress))?;
    let [losses, slopes] = columns.map(Fresh::array);
    record!(py, { losses, slopes })
}

/// The logistic loss of the quantiles of two samples. For each of `chosen` and `rejected` a dictionary of the columns
/// `losses`, `slopes` (the derivative of the sum of all losses of both), `potentials` and `extents`.
#[pyfunction]
#[pyo3(signature = (chosen, rejected, *, beta, progress=None))]
pub fn sorted_losses<'py>(
    py: Python<'py>,
    chosen: &Bound<'py, PyAny>,
    rejected: &Bound<'py, PyAny>,
    beta: f64,
    progress: Option<&Bound<'py, PyAny>>,
) -> Given<[Bound<'py, PyAny>; 2]> {
    let samples = [slice::<f64>(chosen, "chosen")?, slice::<f64>(rejected, "rejected")?];
    for (sample, name) in samples.iter().zip(["chosen", "rejected"]) {
        if sample.is_empty() || u32::try_from(sample.len()).is_err() {
            return Err(value_error(format!(
                "{name}: expected at least one value and fewer than 2^32; got {}",
                sample.len()
            )));
        }
    }
    let total = samples[0].len() + samples[1].len();
    let [chosen, rejected] =
        call(py, progress, total, move |progress| unpaired::sorted_losses(samples, beta, progress))?;
    let side = |side: unpaired::Side| {
        let unpaired::Side { losses, slopes, potentials, extents } = side;
        let [losses, slopes] = [given(py, losses)?, given(py, slopes)?];
        let [potentials, extents] = [given(py, potentials)?, given(py, extents)?];
        PyResult::Ok(record!(py, { losses, slopes, potentials, extents })?.into_any())
    };
    Ok(Give([side(chosen)?, side(rejected)?]))
}

/// The mean of finite numbers, of their exact sum: no order of them changes it.
#[pyfunction]
pub fn exact_mean(py: Python<'_>, values: &Bound<'_, PyAny>) -> Given<f64> {
    let values = slice::<f64>(values, "values")?;
    call(py, None, values.len(), move |progress| unpaired::exact_mean(values, progress)).map(Give)
}
