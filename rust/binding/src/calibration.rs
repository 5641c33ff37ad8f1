//! Reliability: tallies of probabilities, their sums, errors and bytes.

use crate::arrays::{float_rows, floats, slice};
use crate::call::{call, no_memory, unreadable};
use crate::each_float;
use crate::give::{self, Give, Given, ToPython, type_error, value_error};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use steelyard_kernels::calibration::{
    self as room, Fault, Labels, LeftOut, Limits, MAX_BINS, Options, Row, Scores, Source, Summary, Tally,
    TopLabels,
};
use steelyard_kernels::grid::{Stopped, Watch};
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::memory;

/// Counts and exact sums of a reliability diagram; it never changes.
#[pyclass(frozen, module = "steelyard._core")]
pub struct ReliabilityTally(Tally);

#[pymethods]
impl ReliabilityTally {
    #[new]
    fn new(n_bins: usize) -> PyResult<Self> {
        if n_bins == 0 || n_bins > MAX_BINS {
            return Err(value_error(format!("n_bins: expected 1 to {MAX_BINS}; got {n_bins}")));
        }
        Ok(ReliabilityTally(Tally::new(n_bins).map_err(no_memory)?))
    }

    /// Adds `probs` with 0/1 `targets` (one axis), or rows of class probabilities with their classes (two).
    #[pyo3(signature = (probs, targets, keep, omit_nan, progress))]
    fn updated(
        &self,
        py: Python<'_>,
        probs: &Bound<'_, PyAny>,
        targets: &Bound<'_, PyAny>,
        keep: Option<&Bound<'_, PyAny>>,
        omit_nan: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let labels = labels(targets)?;
        let keep = keep.map(|keep| slice::<u8>(keep, "where")).transpose()?;
        let options = Options { n_bins: self.0.rows.len(), omit_nan };
        let axes = probs.cast::<PyUntypedArray>().map_or(0, PyUntypedArrayMethods::ndim);
        let (outcome, width) = if axes == 2 {
            let rows = float_rows(probs, "probs")?;
            each_float!(FloatRows, &rows, rows => {
                let source = TopLabels::new(rows, labels, keep);
                (run(py, progress, &source, labels, keep, options)?, Some(source.width()))
            })
        } else {
            each_float!(Floats, floats(probs, "probs")?, probs => {
                (run(py, progress, &Scores { probs, labels, keep }, labels, keep, options)?, None)
            })
        };
        let added = outcome.map_err(|fault| refusal(fault, width))?;
        self.plus(&added)
    }

    fn merged(&self, other: &Self) -> PyResult<Self> {
        self.plus(&other.0)
    }

    /// `(excluded by where, omitted for a NaN, counted as 1)`.
    fn left_out(&self) -> Give<(u64, u64, u64)> {
        let LeftOut { excluded, nan, clamped } = self.0.left_out;
        Give((excluded, nan, clamped))
    }

    /// `(count, correct, sum of floor(p * 2^64))` of every bin.
    fn rows(&self) -> Given<Vec<(u64, u64, i128)>> {
        let rows = self.0.rows.iter().map(|&Row { count, correct, sum }| (count, correct, sum));
        memory::collected(rows).map(Give).map_err(no_memory)
    }

    /// Errors, intervals and filled bins, or None where no row counts.
    fn summary<'py>(
        &self,
        py: Python<'py>,
        confidence_level: f64,
        alternative: &str,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(alternative) = Alternative::from_name(alternative) else {
            return Err(value_error(format!("alternative: unknown {alternative:?}")));
        };
        let confidence = Confidence { level: confidence_level, alternative };
        let summary = call(py, None, 0, |watch| room::summarise(&self.0, confidence, watch))?;
        summary.map(|summary| in_python(py, &summary)).transpose()
    }

    fn to_bytes<'py>(&self, py: Python<'py>, config: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        give::bytes(py, &room::to_bytes(&self.0, config).map_err(no_memory)?)
    }

    /// The tally, and the configuration beside it.
    #[staticmethod]
    fn from_bytes<'py>(py: Python<'py>, data: &[u8]) -> Given<(Bound<'py, Self>, Bound<'py, PyBytes>)> {
        let (tally, config) = room::from_bytes(data).map_err(unreadable)?;
        Ok(Give((Bound::new(py, ReliabilityTally(tally))?, give::bytes(py, &config)?)))
    }
}

impl ReliabilityTally {
    fn plus(&self, other: &Tally) -> PyResult<Self> {
        let sum = self.0.plus(other).map_err(no_memory)?;
        let refused = || value_error("states: expected as many bins and fewer than 2**63 rows; got others");
        sum.map(ReliabilityTally).ok_or_else(refused)
    }
}

/// The labels of an integer or boolean array, in its own type.
fn labels<'a>(targets: &'a Bound<'_, PyAny>) -> PyResult<Labels<'a>> {
    let dtype = targets.cast::<PyUntypedArray>().map_err(|_| type_error("targets: expected an array"))?;
    let dtype = dtype.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'b' | b'u', 1) => Ok(Labels::U8(slice(targets, "targets")?)),
        (b'i', 1) => Ok(Labels::I8(slice(targets, "targets")?)),
        (b'u', 2) => Ok(Labels::U16(slice(targets, "targets")?)),
        (b'i', 2) => Ok(Labels::I16(slice(targets, "targets")?)),
        (b'u', 4) => Ok(Labels::U32(slice(targets, "targets")?)),
        (b'i', 4) => Ok(Labels::I32(slice(targets, "targets")?)),
        (b'u', 8) => Ok(Labels::U64(slice(targets, "targets")?)),
        (b'i', 8) => Ok(Labels::I64(slice(targets, "targets")?)),
        _ => Err(type_error(format!("targets: expected integers or booleans; got dtype {dtype}"))),
    }
}

/// Tallies one source through the chokepoint.
fn run<S: Source>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    source: &S,
    labels: Labels<'_>,
    keep: Option<&[u8]>,
    options: Options,
) -> PyResult<Result<Tally, Fault>> {
    let count = source.count();
    if labels.len() != count || keep.is_some_and(|keep| keep.len() != count) {
        return Err(value_error(format!("targets: expected {count} of them; got {}", labels.len())));
    }
    let work =
        |watch: Watch<'_>| -> Result<Result<Tally, Fault>, Stopped> { room::tally(source, options, watch) };
    call(py, progress, room::chunks(count, source.width(), options.n_bins), work)
}

/// The sentence for the first value that cannot be taken; `width` where rows hold classes.
fn refusal(fault: Fault, width: Option<usize>) -> PyErr {
    let at = |row: usize, column: usize| match width {
        Some(_) => format!("index ({row}, {column})"),
        None => format!("index {row}"),
    };
    value_error(match fault {
        Fault::Nan { row, column } => format!(
            "probs: expected no NaN; got one at {}; nan_policy=\"omit\" leaves such rows out and counts them",
            at(row, column)
        ),
        Fault::Range { row, column, value } => format!(
            "probs: expected probabilities in [0, 1]; got {value:?} at {}; logits are never guessed: apply softmax \
             or a sigmoid first",
            at(row, column)
        ),
        Fault::Sum { row, value, tolerance } => format!(
            "probs: expected each row of class probabilities to sum to 1 within {tolerance}; got {value} in row {row}; \
             logits are never guessed: apply softmax first{}",
            if width == Some(1) { "; for one probability a row pass shape [n]" } else { "" }
        ),
        Fault::Label { row, value } => match width {
            Some(width) => format!(
                "targets: expected a class from 0 to {}; got {value} at index {row}; where= leaves rows out",
                width.saturating_sub(1)
            ),
            None => format!("targets: expected 0 or 1; got {value} at index {row}; where= leaves rows out"),
        },
    })
}

fn in_python<'py>(py: Python<'py>, summary: &Summary) -> PyResult<Bound<'py, PyDict>> {
    let error = |limits: Limits| (limits.value, limits.standard_error, limits.low, limits.high).to_python(py);
    let bins = summary.bins.iter();
    let bins = bins.map(|bin| (bin.index, bin.mean_probability, bin.accuracy, bin.gap, bin.low, bin.high));
    let said = [
        ("ece", error(summary.ece)?),
        ("rmsce", error(summary.rmsce)?),
        ("mce", error(summary.mce)?),
        ("noise_floor", summary.noise_floor.to_python(py)?),
        ("certain", summary.certain.to_python(py)?),
        ("bins", memory::collected(bins).map_err(no_memory)?.to_python(py)?),
    ];
    give::dict(py, said)
}
