//! The state of a reliability diagram: what is added to it, and its bins and errors.

use crate::arrays::{copied, float_rows, floats, slice};
use crate::call::{call, no_memory};
use crate::give::{Give, Record, record, type_error, value_error};
use crate::names::texts;
use crate::state_class;
use crate::take::named;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::calibration::{
    self as room, BinEstimate, BinTotals, Clusters, Fault, Labels, LeftOut, Limits, MAX_BINS, Options,
    Refused, RowSums, Scores, Source, Summary, TopLabels,
};
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::intervals::Confidence;
use steelyard_kernels::memory;
use steelyard_kernels::state::State as _;
use steelyard_kernels::with_dtype;

state_class!(
    /// Counts and exact sums of a reliability diagram.
    ReliabilityTotals of BinTotals, made of (n_bins: usize) by empty, refused by not_taken, {
    /// Adds `probs` of one axis with `targets` of 0 and 1, or rows of class probabilities (two axes) with the classes
    /// that came true. `codes`, one per row, are positions in `names` (an int64 array or a list of str), the names of
    /// the clusters. `weights` has one weight per row or, where there are codes, one per code. `weightless` is how many
    /// of the rows that `keep` leaves out have the weight 0.
    #[pyo3(signature = (
        probs, targets, *, keep=None, omit_nan=false, codes=None, names=None, weights=None, weightless=0, progress=None
    ))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update(
        &self,
        py: Python<'_>,
        probs: &Bound<'_, PyAny>,
        targets: &Bound<'_, PyAny>,
        keep: Option<&Bound<'_, PyAny>>,
        omit_nan: bool,
        codes: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
        weights: Option<&Bound<'_, PyAny>>,
        weightless: u64,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let labels = labels(targets)?;
        let keep = keep.map(|keep| slice::<u8>(keep, "where")).transpose()?;
        let options = Options { n_bins: self.0.look(|totals| totals.tally.bins.len()), omit_nan };
        let texts = texts(names)?;
        let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
        let clusters = match codes {
            None => None,
            Some(codes) => {
                let names = crate::names::names(names, texts.as_ref())?;
                Some(Clusters { codes: slice::<i64>(codes, "clusters")?, names, weights })
            }
        };
        let rows = Beside { labels, keep, clusters, weights, options };
        let axes = probs.cast::<PyUntypedArray>().map_or(0, PyUntypedArrayMethods::ndim);
        let (outcome, width) = if axes == 2 {
            let table = float_rows(probs, "probs")?;
            with_dtype!(&table, table => {
                let source = TopLabels::new(table, labels, keep);
                (run(py, progress, &source, rows)?, Some(source.width()))
            })
        } else {
            with_dtype!(floats(probs, "probs")?, probs => {
                (run(py, progress, &Scores { probs, labels, keep }, rows)?, None)
            })
        };
        let added = outcome.map_err(|fault| refusal(fault, width))?.with_weightless(weightless);
        self.0.change(py, |totals, progress| totals.merged(&added, progress))?.map_err(not_taken)
    }

    /// The numbers of rows that `where` excluded, that had the weight 0 (`weightless`), that were left out for a NaN,
    /// whose probability was treated as 1 (`clamped`), and whose sum was accepted because its values are 16-bit floats
    /// (`rounded`).
    fn left_out<'py>(&self, py: Python<'py>) -> Record<'py> {
        let left_out = self.0.look(|totals| totals.tally.left_out);
        let LeftOut { excluded, nan, weightless, clamped, rounded } = left_out;
        record!(py, { excluded, weightless, nan, clamped, rounded })
    }

    /// Lists of the `count`, `correct` and `sum` of every bin, where `sum` is the sum of floor(p * 2^64).
    fn bins<'py>(&self, py: Python<'py>) -> Record<'py> {
        let bins = self.0.now()?.tally.bins;
        record!(py, {
            count: list(&bins, |bin| bin.count)?,
            correct: list(&bins, |bin| bin.correct)?,
            sum: list(&bins, |bin| bin.sum)?,
        })
    }

    /// Whether its rows have clusters.
    fn clustered(&self) -> Give<bool> {
        Give(self.0.look(BinTotals::is_clustered))
    }

    /// Whether its rows have weights.
    fn weighted(&self) -> Give<bool> {
        Give(self.0.look(BinTotals::is_weighted))
    }

    /// The errors with their intervals, and the bins that hold rows; None where no row counts.
    #[pyo3(signature = (*, confidence_level, alternative))]
    fn summary<'py>(
        &self,
        py: Python<'py>,
        confidence_level: f64,
        alternative: &str,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let confidence = Confidence { level: confidence_level, alternative: named(alternative)? };
        let totals = self.0.now()?;
        let summary = call(py, None, 0, |progress| room::summarise(&totals, confidence, progress))?;
        summary.map(|summary| in_python(py, &summary)).transpose()
    }
});

/// A state without rows.
fn empty(n_bins: usize) -> PyResult<BinTotals> {
    if n_bins == 0 || n_bins > MAX_BINS {
        return Err(value_error(format!("n_bins: expected 1 to {MAX_BINS}; got {n_bins}")));
    }
    BinTotals::new(n_bins).map_err(no_memory)
}

/// The exception for a batch or another state that cannot be added.
fn not_taken(refused: Refused) -> PyErr {
    match refused {
        Refused::Range => value_error("states: expected as many bins and fewer than 2**63 rows; got others"),
        Refused::MixedWeights => type_error(
            "weights: expected weights in every update of a state or in none; this state has the other kind",
        ),
        Refused::MixedClusters => type_error(
            "clusters: expected ids in every update of a state or in none; this state has the other kind",
        ),
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

/// The arguments of an update other than the probabilities.
#[derive(Clone, Copy)]
struct Beside<'a> {
    labels: Labels<'a>,
    keep: Option<&'a [u8]>,
    clusters: Option<Clusters<'a>>,
    /// One weight per row. Not used where there are clusters, since `clusters` then has the weights.
    weights: Option<&'a [f64]>,
    options: Options,
}

/// Counts the rows of a source, in one call of a kernel.
fn run<S: Source>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    source: &S,
    beside: Beside<'_>,
) -> PyResult<Result<BinTotals, Fault>> {
    let Beside { labels, keep, clusters, weights, options } = beside;
    let count = source.count();
    let of_clusters = clusters.map(|clusters| clusters.codes.len());
    let of_weights = weights.map(<[f64]>::len).filter(|_| clusters.is_none());
    let lengths = [Some(labels.len()), keep.map(<[u8]>::len), of_clusters, of_weights];
    if let Some(other) = lengths.into_iter().flatten().find(|&length| length != count) {
        return Err(value_error(format!("targets: expected {count} of them; got {other}")));
    }
    let work = |progress: Progress<'_>| -> Result<Result<BinTotals, Fault>, Stopped> {
        match (clusters, weights) {
            (Some(clusters), _) => room::tally_clusters(source, options, clusters, progress),
            (None, Some(weights)) => room::tally_weighted(source, options, weights, progress),
            (None, None) => Ok(room::tally(source, options, progress)?.map(BinTotals::from)),
        }
    };
    call(py, progress, room::chunks(count, source.width(), options.n_bins), work)
}

/// The exception for the first value that is not valid. `width` is the number of classes where rows are class
/// probabilities.
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
        Fault::Code { row, value } => format!("clusters: code {value} out of range at {row}"),
        Fault::Weight { at, value } => {
            format!("weights: expected finite numbers above 0; got {value:?} at index {at}")
        }
        Fault::Sum { row, value, tolerance, short } => format!(
            "probs: expected each row of class probabilities to sum to 1 within {tolerance}; got {value} in row {row}; \
             {}logits are never guessed: apply softmax first{}",
            if short {
                "all its values are 16-bit floats, and rounding to 16 bits alone may move a sum by so much: apply \
                 softmax in float32, or divide each row by its sum; "
            } else {
                ""
            },
            if width == Some(1) { "; for one probability per row pass shape [n]" } else { "" }
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

/// A list of one value of each item.
fn list<A, B>(all: &[A], of: impl Fn(&A) -> B) -> PyResult<Vec<B>> {
    memory::collected(all.iter().map(of)).map_err(no_memory)
}

/// The summary as a dictionary. `bins` and `clusters` are dictionaries with one list or array per field.
fn in_python<'py>(py: Python<'py>, summary: &Summary) -> Record<'py> {
    let known = |x: f64| (!x.is_nan()).then_some(x);
    let error = |Limits { value, standard_error, low, high }: Limits| record!(py, { value, standard_error, low: known(low), high: known(high) });
    let of_bins = |of: fn(&BinEstimate) -> f64| copied(py, &list(&summary.bins, of)?);
    let bins = record!(py, {
        index: list(&summary.bins, |bin| bin.index)?,
        mean_probability: of_bins(|bin| bin.mean_probability)?,
        accuracy: of_bins(|bin| bin.accuracy)?,
        gap: of_bins(|bin| bin.gap)?,
        low: of_bins(|bin| bin.low)?,
        high: of_bins(|bin| bin.high)?,
        weight: of_bins(|bin| bin.weight)?,
    })?;
    let of_clusters = |rows: &Vec<RowSums>| {
        record!(py, {
            correct: copied(py, &list(rows, |sums| sums.correct)?)?,
            n: copied(py, &list(rows, |sums| sums.n)?)?,
        })
    };
    record!(py, {
        ece: error(summary.ece)?,
        rmsce: error(summary.rmsce)?,
        mce: error(summary.mce)?,
        gap: error(summary.gap)?,
        noise_floor: known(summary.noise_floor),
        certain: summary.certain,
        clusters: summary.clusters.as_ref().map(of_clusters).transpose()?,
        effective: summary.effective,
        bins,
    })
}
