//! Tokens: totals per cluster and their perplexity.

use crate::arrays::{floats, slice};
use crate::call::{call, call_quick, no_memory, unreadable};
use crate::each_float;
use crate::give;
use crate::tokens::coordinates;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::memory;
use steelyard_kernels::tokens::{Batch, LONGEST_TEXT, Names, Per, Refused, Totals, Unit, sum_batch};

/// Exact sums of NLL per cluster.
#[pyclass(frozen, module = "steelyard._core")]
pub struct PerplexityTotals(Mutex<Totals>);

/// value, standard error, low, high, degrees of freedom; counted tokens, units, clusters.
type Result8 = (f64, Option<f64>, Option<f64>, Option<f64>, Option<f64>, u64, f64, usize);

#[pymethods]
impl PerplexityTotals {
    #[new]
    fn new() -> Self {
        PerplexityTotals(Mutex::default())
    }

    /// Adds the NLL of rows of `length` tokens. `codes` and `per` have one number a token or one a row;
    /// `names` (int64 array or list of str) names the clusters of the codes; `status` is 1 where a token counts, 0
    /// where it is excluded, 2 where it was never scored. All of it or nothing is added.
    #[pyo3(signature = (nll, length, codes, clusters, *, status=None, names=None, per=None, omit_nan=false, progress=None))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update(
        &self,
        py: Python<'_>,
        nll: &Bound<'_, PyAny>,
        length: usize,
        codes: &Bound<'_, PyAny>,
        clusters: usize,
        status: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
        per: Option<&Bound<'_, PyAny>>,
        omit_nan: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let values = floats(nll, "x")?;
        let status = status.map(|status| slice::<u8>(status, "where")).transpose()?;
        let codes = slice::<i64>(codes, "clusters")?;
        let divisor = per.map(|per| slice::<f64>(per, "per")).transpose()?;
        let texts = names.filter(|names| !names.is_instance_of::<PyUntypedArray>());
        let texts = texts.map(texts_of).transpose()?;
        if texts.iter().flatten().any(|text| text.len() > LONGEST_TEXT) {
            return Err(PyValueError::new_err(format!(
                "clusters: expected ids of at most {LONGEST_TEXT} bytes"
            )));
        }
        let names = match (names, &texts) {
            (None, _) => Names::None,
            (_, Some(texts)) => Names::Texts(texts),
            (Some(names), None) => Names::Numbers(slice(names, "clusters")?),
        };
        let summed = each_float!(Floats, values, x => {
            let (n, rows) = (x.len(), x.len().checked_div(length).unwrap_or(0));
            let batch = Batch {
                nll: x,
                status,
                length,
                codes: by(codes, n, rows, "clusters")?,
                clusters,
                per: divisor.map_or(Ok(Per::Nothing), |per| by(per, n, rows, "per"))?,
                omit_nan,
            };
            if rows * length != n || status.is_some_and(|status| status.len() != n) {
                return Err(PyValueError::new_err(format!("where: expected one a token, {n}")));
            }
            call(py, progress, n, |watch| sum_batch(&batch, watch))
        })?;
        let added = match summed {
            Ok(summed) => self.lock().absorb(&summed, names).map_err(no_memory)?,
            Err(refused) => Err(refused),
        };
        added.map_err(|refused| sentence(refused, nll, per))
    }

    /// Adds another state's totals.
    fn merge(&self, py: Python<'_>, other: &PerplexityTotals) -> PyResult<()> {
        // Copied first: two states that merge each other must not wait for each other.
        let other = other.lock().copied().map_err(no_memory)?;
        let merged = call_quick(py, || self.lock().merge(&other))?;
        merged.map_err(|refused| sentence(refused, &py.None().into_bound(py), None))
    }

    /// The perplexity so far; `None` without tokens.
    fn result(
        &self,
        py: Python<'_>,
        unit: &str,
        confidence_level: f64,
        alternative: &str,
    ) -> PyResult<Option<Result8>> {
        let unit = match unit {
            "perplexity" => Unit::Perplexity,
            "bits" => Unit::Bits,
            "nats" => Unit::Nats,
            _ => return Err(PyValueError::new_err(format!("unit: got {unit:?}"))),
        };
        let alternative = Alternative::from_name(alternative)
            .ok_or_else(|| PyValueError::new_err(format!("alternative: got {alternative:?}")))?;
        let confidence = Confidence { level: confidence_level, alternative };
        let totals = self.lock().copied().map_err(no_memory)?;
        let known = |x: f64| (!x.is_nan()).then_some(x);
        Ok(call_quick(py, || totals.perplexity(unit, confidence))?.map(|found| {
            let (low, high) = (found.interval.low, found.interval.high);
            let error = known(found.standard_error);
            (
                found.value,
                error,
                known(low),
                known(high),
                known(found.df),
                found.tokens,
                found.units,
                found.clusters,
            )
        }))
    }

    /// Counted tokens, and clusters that have some.
    fn size(&self) -> (u64, usize) {
        self.lock().size()
    }

    /// Counted tokens with an infinite NLL; what was left out: NaN, excluded by the caller, never scored.
    fn counts(&self) -> (u64, u64, u64, u64) {
        let totals = self.lock();
        (totals.infinite, totals.nan, totals.excluded, totals.ignored)
    }

    /// A copy that goes its own way.
    fn copy(&self) -> PyResult<Self> {
        Ok(PerplexityTotals(Mutex::new(self.lock().copied().map_err(no_memory)?)))
    }

    /// The bytes of the state, with the caller's configuration.
    fn to_bytes<'py>(&self, py: Python<'py>, config: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.lock().to_bytes(config).map_err(no_memory)?;
        let bytes =
            bytes.ok_or_else(|| PyValueError::new_err("to_bytes: expected fewer than 2**32 clusters"))?;
        give::bytes(py, &bytes)
    }

    /// The state of these bytes, and its configuration.
    #[staticmethod]
    fn from_bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<(Self, Bound<'py, PyBytes>)> {
        let (totals, config) = Totals::from_bytes(data).map_err(unreadable)?;
        Ok((PerplexityTotals(Mutex::new(totals)), give::bytes(py, &config)?))
    }
}

impl PerplexityTotals {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list of texts.
fn texts_of(list: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let mut texts = memory::with_capacity(list.len()?).map_err(no_memory)?;
    for item in list.try_iter()? {
        let item = item?;
        memory::push(&mut texts, memory::text(item.extract()?).map_err(no_memory)?).map_err(no_memory)?;
    }
    Ok(texts)
}

/// One number a token or one a row, told apart by how many there are.
fn by<'a, T>(values: &'a [T], tokens: usize, rows: usize, name: &str) -> PyResult<Per<'a, T>> {
    if values.len() == tokens {
        Ok(Per::Token(values))
    } else if values.len() == rows {
        Ok(Per::Row(values))
    } else {
        Err(PyValueError::new_err(format!(
            "{name}: expected one a token, {tokens}, or one a row, {rows}; got {}",
            values.len()
        )))
    }
}

fn sentence(refused: Refused, x: &Bound<'_, PyAny>, per: Option<&Bound<'_, PyAny>>) -> PyErr {
    let shape =
        |array: &Bound<'_, PyAny>| array.cast::<PyUntypedArray>().map_or(vec![], |a| a.shape().to_vec());
    let place = |i| coordinates(i, &shape(x));
    match refused {
        Refused::Nan(i) => PyValueError::new_err(format!(
            "x: expected negative log-likelihoods; got nan at index [{}]; use nan_policy=\"omit\" to leave it \
             out and count it, or where=",
            place(i)
        )),
        Refused::Negative(i, value) => PyValueError::new_err(format!(
            "x: expected negative log-likelihoods in nats, 0 or more; got {value} at index [{}]; of log-probabilities \
             pass the negative",
            place(i)
        )),
        Refused::TooLarge(i) => PyValueError::new_err(format!(
            "x: expected NLL and sums below 2**62; got more at index [{}]",
            place(i)
        )),
        Refused::Per(i, value) => PyValueError::new_err(format!(
            "per: expected counts, finite and 0 or more, that sum to less than 2**62; got {} at index [{}]",
            value.to_string().to_lowercase(),
            coordinates(i, &per.map(shape).unwrap_or_default())
        )),
        Refused::MixedNames => PyTypeError::new_err(
            "clusters: expected ids in every update of a state or in none; this state has the other kind; without \
             ids each row is a cluster of its own and cannot be matched",
        ),
        Refused::MixedPer => PyTypeError::new_err(
            "per: expected in every update of a state or in none; this state has the other kind",
        ),
        Refused::Code(i) => PyValueError::new_err(format!("clusters: code out of range at {i}")),
    }
}
