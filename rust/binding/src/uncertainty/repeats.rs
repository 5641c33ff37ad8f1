//! What k of the answers to each problem would give: pass@k and maj@k.

use crate::arrays::{given, slice};
use crate::call::call;
use crate::give::value_error;
use crate::intervals::same_length;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::grid::Pace;
use steelyard_kernels::memory;
use steelyard_kernels::uncertainty::{self as kernels, Votes};

type Array<'py> = Bound<'py, PyAny>;

/// The chance that at least one of `k` answers is right, for each problem with `right` of `tried` answers right.
#[pyfunction]
#[pyo3(signature = (right, tried, *, k))]
pub fn pass_at<'py>(
    py: Python<'py>,
    right: &Array<'py>,
    tried: &Array<'py>,
    k: u64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (right, tried) = (slice::<u64>(right, "right")?, slice::<u64>(tried, "tried")?);
    same_length(right.len(), tried.len(), "right, tried")?;
    given(py, call(py, None, right.len(), |progress| kernels::pass_at(right, tried, k, progress))?)
}

/// The chance that the right answer has the most votes among `k`, for each problem. `wrong` holds, problem after problem,
/// how often each wrong answer was given; those of problem i end before `ends[i]`.
#[pyfunction]
#[pyo3(signature = (right, tried, *, wrong, ends, k))]
pub fn majority_at<'py>(
    py: Python<'py>,
    right: &Array<'py>,
    tried: &Array<'py>,
    wrong: &Array<'py>,
    ends: &Array<'py>,
    k: u64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (right, tried) = (slice::<u64>(right, "right")?, slice::<u64>(tried, "tried")?);
    let (wrong, ends) = (slice::<u64>(wrong, "wrong")?, slice::<u64>(ends, "ends")?);
    same_length(right.len(), tried.len(), "right, tried")?;
    same_length(right.len(), ends.len(), "right, ends")?;
    let inside = ends.iter().all(|&end| end <= wrong.len() as u64) && ends.is_sorted();
    if !inside {
        return Err(value_error("ends: expected places in wrong, in ascending order"));
    }
    let chances = call(py, None, right.len(), |progress| {
        let mut pace = Pace::new(progress);
        let mut chances = memory::with_capacity(right.len())?;
        let mut from = 0;
        for ((&right, &tried), &end) in right.iter().zip(tried).zip(ends) {
            let votes = Votes { right, wrong: &wrong[from..end as usize], tried };
            chances.push(kernels::majority_at(votes, k, &mut pace)?);
            from = end as usize;
        }
        Ok(chances)
    })?;
    given(py, chances)
}
