//! Tokens: totals per cluster and their perplexity.

use crate::arrays::{floats, slice};
use crate::call::{call, no_memory, unreadable};
use crate::give::{self, Give, Given, type_error, value_error};
use crate::names::texts;
use crate::take::named;
use crate::tokens::scores::coordinates;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};
use steelyard_kernels::exact::bytes::BytesError;
use steelyard_kernels::grid::{Stopped, Watch};
use steelyard_kernels::intervals::Confidence;
use steelyard_kernels::tokens::{Batch, Per, Refused, Totals, Unit, sum_batch};
use steelyard_kernels::with_dtype;

/// Exact sums of NLL per cluster.
///
/// The lock is held only while the thread has the interpreter, and never while it computes: no fork and no interrupt
/// finds it held.
#[pyclass(frozen, module = "steelyard._core")]
pub struct PerplexityTotals(Mutex<Current>);

/// The totals of now, and how many changes they have seen.
struct Current {
    totals: Totals,
    changes: u64,
}

/// value, standard error, low, high, degrees of freedom; counted tokens, units, clusters.
type Result8 = (f64, Option<f64>, Option<f64>, Option<f64>, Option<f64>, u64, f64, usize);

#[pymethods]
impl PerplexityTotals {
    #[new]
    fn new() -> Self {
        PerplexityTotals::of(Totals::new())
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
        let texts = texts(names)?;
        let names = crate::names::names(names, texts.as_ref())?;
        let summed = with_dtype!(values, x => {
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
                return Err(value_error(format!("where: expected one a token, {n}")));
            }
            call(py, progress, n, |watch| sum_batch(&batch, watch))
        })?;
        let added = match summed {
            Ok(summed) => self.change(py, |totals, watch| totals.with(&summed, names, watch))?,
            Err(refused) => Err(refused),
        };
        added.map_err(|refused| sentence(refused, nll, per))
    }

    /// Adds another state's totals.
    fn merge(&self, py: Python<'_>, other: &PerplexityTotals) -> PyResult<()> {
        let other = other.now()?;
        let merged = self.change(py, |totals, watch| totals.merged(&other, watch))?;
        merged.map_err(|refused| sentence(refused, &py.None().into_bound(py), None))
    }

    /// The perplexity so far; `None` without tokens.
    fn result(
        &self,
        py: Python<'_>,
        unit: &str,
        confidence_level: f64,
        alternative: &str,
    ) -> Given<Option<Result8>> {
        let unit = match unit {
            "perplexity" => Unit::Perplexity,
            "bits" => Unit::Bits,
            "nats" => Unit::Nats,
            _ => return Err(value_error(format!("unit: got {unit:?}"))),
        };
        let confidence = Confidence { level: confidence_level, alternative: named(alternative)? };
        let totals = self.now()?;
        let known = |x: f64| (!x.is_nan()).then_some(x);
        let found = call(py, None, 0, |watch| totals.perplexity(unit, confidence, watch))?;
        Ok(Give(found.map(|found| {
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
        })))
    }

    /// Counted tokens, and clusters that have some.
    fn size(&self) -> Give<(u64, usize)> {
        Give(self.lock().totals.size())
    }

    /// Counted tokens with an infinite NLL; what was left out: NaN, excluded by the caller, never scored.
    fn counts(&self) -> Give<(u64, u64, u64, u64)> {
        let totals = &self.lock().totals;
        Give((totals.infinite, totals.nan, totals.excluded, totals.ignored))
    }

    /// The name of the coarsest type that counted tokens came in.
    fn precision(&self) -> &'static str {
        self.lock().totals.precision.name()
    }

    /// A copy that goes its own way.
    fn copy(&self) -> PyResult<Self> {
        Ok(PerplexityTotals::of(self.now()?))
    }

    /// The bytes of the state, with the caller's configuration.
    fn to_bytes<'py>(&self, py: Python<'py>, config: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let totals = self.now()?;
        let bytes = call(py, None, 0, |watch| totals.to_bytes(config, watch))?;
        let bytes = bytes.ok_or_else(|| value_error("to_bytes: expected fewer than 2**32 clusters"))?;
        give::bytes(py, &bytes)
    }

    /// The state of these bytes, and its configuration.
    #[staticmethod]
    fn from_bytes<'py>(py: Python<'py>, data: &[u8]) -> Given<(Bound<'py, Self>, Bound<'py, PyBytes>)> {
        let read = call(py, None, 0, |watch| match Totals::from_bytes(data, watch) {
            Err(BytesError::Stopped(stopped)) => Err(stopped),
            read => Ok(read),
        })?;
        let (totals, config) = read.map_err(unreadable)?;
        Ok(Give((Bound::new(py, PerplexityTotals::of(totals))?, give::bytes(py, &config)?)))
    }
}

impl PerplexityTotals {
    fn of(totals: Totals) -> Self {
        PerplexityTotals(Mutex::new(Current { totals, changes: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The totals of now: a copy that shares their memory.
    fn now(&self) -> PyResult<Totals> {
        self.lock().totals.copied().map_err(no_memory)
    }

    /// Puts new totals in the place of those that had seen so many changes, and returns them; none: there are others now.
    fn replace(&self, changes: u64, totals: Totals) -> Option<Totals> {
        let mut current = self.lock();
        let same = current.changes == changes;
        same.then(|| std::mem::replace(&mut *current, Current { totals, changes: changes + 1 }).totals)
    }

    /// Replaces the totals by what `next` makes of them: whole, or not at all. Where another thread has changed them
    /// meanwhile, it is made again of theirs.
    fn change(
        &self,
        py: Python<'_>,
        next: impl Fn(&Totals, Watch<'_>) -> Result<Result<Totals, Refused>, Stopped> + Sync,
    ) -> PyResult<Result<(), Refused>> {
        loop {
            let (old, changes) = {
                let current = self.lock();
                (current.totals.copied().map_err(no_memory)?, current.changes)
            };
            let new = match call(py, None, 0, |watch| next(&old, watch))? {
                Ok(new) => new,
                Err(refused) => return Ok(Err(refused)),
            };
            if let Some(before) = self.replace(changes, new) {
                // A large state takes a while to give its memory back.
                py.detach(move || drop((old, before)));
                return Ok(Ok(()));
            }
        }
    }
}

/// One number a token or one a row, told apart by how many there are.
fn by<'a, T>(values: &'a [T], tokens: usize, rows: usize, name: &str) -> PyResult<Per<'a, T>> {
    if values.len() == tokens {
        Ok(Per::Token(values))
    } else if values.len() == rows {
        Ok(Per::Row(values))
    } else {
        Err(value_error(format!(
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
        Refused::Nan(i) => value_error(format!(
            "x: expected negative log-likelihoods; got nan at index [{}]; use nan_policy=\"omit\" to leave it \
             out and count it, or where=",
            place(i)
        )),
        Refused::Negative(i, value) => value_error(format!(
            "x: expected negative log-likelihoods in nats, 0 or more; got {value} at index [{}]; of log-probabilities \
             pass the negative",
            place(i)
        )),
        Refused::TooLarge(i) => value_error(format!(
            "x: expected NLL below 2**62, and less than 2**63 in each cluster; got more at index [{}], as \
             a logit masked by the lowest finite number has; probability 0 is an NLL of inf: mask with -inf",
            place(i)
        )),
        Refused::Total => value_error(
            "state: expected fewer than 2**64 tokens, and sums of NLL and of what divides them below 2**63; got more \
             with what was to be added",
        ),
        Refused::Per(i, value) => value_error(format!(
            "per: expected counts, finite and 0 or more, that sum to less than 2**62; got {} at index [{}]",
            value.to_string().to_lowercase(),
            coordinates(i, &per.map(shape).unwrap_or_default())
        )),
        Refused::MixedNames => type_error(
            "clusters: expected ids in every update of a state or in none; this state has the other kind; without \
             ids each row is a cluster of its own and cannot be matched",
        ),
        Refused::MixedPer => {
            type_error("per: expected in every update of a state or in none; this state has the other kind")
        }
        Refused::Code(i) => value_error(format!("clusters: code out of range at {i}")),
    }
}
