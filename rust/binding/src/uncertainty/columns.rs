//! What every statistic of the room takes and says: columns, the design, refusals.

use crate::arrays::{floats, slice};
use crate::give::{ToPython, dict, value_error};
use crate::intervals::same_length;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::{Design, NoEstimate};
use steelyard_kernels::with_dtype;

/// Runs `work` on two columns of one length, of whatever types.
pub fn two_columns<R>(
    columns: &[Bound<'_, PyAny>],
    work: impl FnOnce(&dyn Wide, &dyn Wide) -> PyResult<R>,
) -> PyResult<R> {
    let (x, y) = (floats(&columns[0], "columns")?, floats(&columns[1], "columns")?);
    let x: &dyn Wide = with_dtype!(&x, x => x);
    let y: &dyn Wide = with_dtype!(&y, y => y);
    same_length(x.len(), y.len(), "columns")?;
    work(x, y)
}

/// The design that codes of clusters make, one per row.
pub fn design<'a>(codes: Option<&'a Bound<'_, PyAny>>, count: usize, rows: usize) -> PyResult<Design<'a>> {
    if rows == 0 {
        return Err(value_error("columns: expected at least one row; got none"));
    }
    let Some(codes) = codes else { return Ok(Design::Rows) };
    let codes = slice::<i64>(codes, "codes")?;
    same_length(rows, codes.len(), "columns, codes")?;
    Ok(Design::Clusters { codes, count })
}

/// What the face has words for, with the names that the caller knows; the rest is said here.
pub fn refusal(py: Python<'_>, refused: NoEstimate) -> PyResult<Bound<'_, PyDict>> {
    match refused {
        NoEstimate::NotFinite { column, index } => dict(
            py,
            [
                ("refused", "not finite".to_python(py)?),
                ("column", column.to_python(py)?),
                ("index", index.to_python(py)?),
            ],
        ),
        NoEstimate::TooLarge { column, low, high } => dict(
            py,
            [
                ("refused", "too large".to_python(py)?),
                ("column", column.to_python(py)?),
                ("low", low.to_python(py)?),
                ("high", high.to_python(py)?),
            ],
        ),
        NoEstimate::EqualValues { n } => {
            dict(py, [("refused", "equal values".to_python(py)?), ("n", n.to_python(py)?)])
        }
        NoEstimate::EqualMeans { n } => {
            dict(py, [("refused", "equal means".to_python(py)?), ("n", n.to_python(py)?)])
        }
        NoEstimate::ZeroDenominator => dict(py, [("refused", "zero denominator".to_python(py)?)]),
        NoEstimate::Doubtful => dict(py, [("refused", "uncertain denominator".to_python(py)?)]),
        NoEstimate::EmptyResample => dict(py, [("refused", "empty resample".to_python(py)?)]),
        NoEstimate::Outside | NoEstimate::OneCluster | NoEstimate::Beyond { .. } | NoEstimate::Undefined => {
            Err(value_error(refused.to_string()))
        }
    }
}
