//! What the statistics of uncertainty have in common: their columns, the design, and the reasons why there is no
//! estimate.

use crate::arrays::{floats, slice};
use crate::give::{Record, record, value_error};
use crate::intervals::same_length;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::smooth::Formula;
use steelyard_kernels::uncertainty::{Design, NoEstimate};
use steelyard_kernels::with_dtype;

/// Runs `work` on columns of the same length, which may have different types.
pub fn all_columns<R>(
    columns: &[Bound<'_, PyAny>],
    work: impl FnOnce(&[&dyn Wide]) -> PyResult<R>,
) -> PyResult<R> {
    let columns = columns.iter().map(|column| floats(column, "columns")).collect::<PyResult<Vec<_>>>()?;
    let columns: Vec<&dyn Wide> =
        columns.iter().map(|column| with_dtype!(column, x => x as &dyn Wide)).collect();
    for column in &columns {
        same_length(columns[0].len(), column.len(), "columns")?;
    }
    work(&columns)
}

/// Runs `work` on two columns of the same length.
pub fn two_columns<R>(
    columns: &[Bound<'_, PyAny>],
    work: impl FnOnce(&dyn Wide, &dyn Wide) -> PyResult<R>,
) -> PyResult<R> {
    all_columns(&columns[..2], |columns| work(columns[0], columns[1]))
}

/// The statistic of that name, the quotient of two of them, such as `mean/std`, or the difference of one between two
/// groups of columns, such as `difference of f1`.
pub fn formula(statistic: &str) -> PyResult<Formula> {
    Formula::parse(statistic).map_err(|unknown| value_error(unknown.to_string()))
}

/// The design of the rows: clusters where `codes` are given, one per row, or else independent rows.
pub fn design<'a>(codes: Option<&'a Bound<'_, PyAny>>, count: usize, rows: usize) -> PyResult<Design<'a>> {
    if rows == 0 {
        return Err(value_error("columns: expected at least one row; got none"));
    }
    let Some(codes) = codes else { return Ok(Design::Rows) };
    let codes = slice::<i64>(codes, "codes")?;
    same_length(rows, codes.len(), "columns, codes")?;
    Ok(Design::Clusters { codes, count })
}

/// The reason why there is no estimate. Where the message needs names that only the caller knows, Python is given the
/// reason and its fields and writes the message; the others are raised as exceptions here.
pub fn refusal(py: Python<'_>, refused: NoEstimate) -> Record<'_> {
    match refused {
        NoEstimate::NotFinite { column, index } => record!(py, { refused: "not finite", column, index }),
        NoEstimate::TooLarge { column, low, high } => {
            record!(py, { refused: "too large", column, low, high })
        }
        NoEstimate::TooSmall { column, low, high } => {
            record!(py, { refused: "too small", column, low, high })
        }
        NoEstimate::Blurred { column, low, high } => record!(py, { refused: "blurred", column, low, high }),
        NoEstimate::EqualValues { n } => record!(py, { refused: "equal values", n }),
        NoEstimate::EqualMeans { n } => record!(py, { refused: "equal means", n }),
        NoEstimate::NotLabel { column, index } => record!(py, { refused: "not a label", column, index }),
        NoEstimate::OneLabel { label } => record!(py, { refused: "one label", label }),
        NoEstimate::EqualReplicates { n } => record!(py, { refused: "equal replicates", n }),
        NoEstimate::ZeroDenominator => record!(py, { refused: "zero denominator" }),
        NoEstimate::Doubtful => record!(py, { refused: "uncertain denominator" }),
        NoEstimate::EmptyResample => record!(py, { refused: "empty resample" }),
        NoEstimate::Domain { column, domain, low, high } => {
            record!(py, { refused: "domain", column, expected: domain.words(), low, high })
        }
        NoEstimate::NoAnswer => record!(py, { refused: "no answer" }),
        NoEstimate::Infinite => record!(py, { refused: "infinite" }),
        NoEstimate::Outside
        | NoEstimate::OneCluster
        | NoEstimate::TooManyRows { .. }
        | NoEstimate::TooManyStrata { .. }
        | NoEstimate::UnevenShares { .. }
        | NoEstimate::SortedRows
        | NoEstimate::NoQuotient
        | NoEstimate::Beyond { .. }
        | NoEstimate::Undefined
        | NoEstimate::NeedsReplicates
        | NoEstimate::NoReplicates
        | NoEstimate::Bent
        | NoEstimate::NeedsInfluences
        | NoEstimate::NoSpread { .. }
        | NoEstimate::TooManyResamples { .. }
        | NoEstimate::StillResamples { .. }
        | NoEstimate::UnevenUnits
        | NoEstimate::Uncertified { .. } => Err(value_error(refused.to_string())),
    }
}
