//! The state of a perplexity: totals of each cluster.

use super::scores::coordinates;
use crate::arrays::{floats, slice};
use crate::call::call;
use crate::give::{Give, Record, record, type_error, value_error};
use crate::names::texts;
use crate::state_class;
use crate::take::{listed, named};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use steelyard_kernels::intervals::Confidence;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::tokens::{
    Batch, Per, Perplexity, Refused, Totals, Unit, stratified_perplexity, sum_batch,
};
use steelyard_kernels::with_dtype;

state_class!(
    /// Exact sums of NLL per cluster.
    PerplexityTotals of Totals, refused by not_taken, {
    /// Adds the NLL of rows of `length` tokens. `codes` and `per` have one number per token or one per row. `names`, an
    /// int64 array or a list of str, has the names of the clusters that the codes stand for. `status` is 1 where a
    /// token counts, 0 where it is excluded, 2 where it was never scored. Either all of it is added or nothing.
    #[pyo3(signature = (nll, *, length, codes, clusters, status=None, names=None, per=None, omit_nan=false, progress=None))]
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
            let (n, rows) = (x.len(), x.len().checked_div(length).unwrap_or(0)); // rows without tokens count as no rows
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
                return Err(value_error(format!("where: expected one per token, {n}")));
            }
            call(py, progress, n, |progress| sum_batch(&batch, progress))
        })?;
        let added = match summed {
            Ok(summed) => self.0.change(py, |totals, progress| totals.with(&summed, names, progress))?,
            Err(refused) => Err(refused),
        };
        added.map_err(|refused| refusal(refused, &shape(nll), &per.map(shape).unwrap_or_default()))
    }

    /// The perplexity of what was added: the fields of the kernel's `Perplexity`, with None for a number that does not
    /// exist. None where no token counts.
    #[pyo3(signature = (*, unit, confidence_level, alternative))]
    fn result<'py>(
        &self,
        py: Python<'py>,
        unit: &str,
        confidence_level: f64,
        alternative: &str,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let unit: Unit = named(unit)?;
        let confidence = Confidence { level: confidence_level, alternative: named(alternative)? };
        let totals = self.0.now()?;
        fields(py, call(py, None, 0, |progress| totals.perplexity(unit, confidence, progress))?)
    }

    /// The perplexity of strata, each with `totals` of its own: the fields of `result`. `average` is "micro" or "macro".
    #[staticmethod]
    #[pyo3(signature = (totals, *, average, unit, confidence_level, alternative))]
    fn stratified<'py>(
        py: Python<'py>,
        totals: &Bound<'py, PyAny>,
        average: &str,
        unit: &str,
        confidence_level: f64,
        alternative: &str,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (unit, average): (Unit, Average) = (named(unit)?, named(average)?);
        let confidence = Confidence { level: confidence_level, alternative: named(alternative)? };
        let given = listed::<Bound<'py, PerplexityTotals>>(totals)?;
        let states = given.iter().map(|of| of.get().0.now()).collect::<PyResult<Vec<_>>>()?;
        let states: Vec<&Totals> = states.iter().collect();
        fields(py, call(py, None, 0, |progress| stratified_perplexity(&states, average, unit, confidence, progress))?)
    }

    /// The number of tokens that count, and of clusters that have such tokens.
    fn size(&self) -> Give<(u64, usize)> {
        Give(self.0.look(Totals::size))
    }

    /// The number of tokens that count and have an infinite NLL (`infinite`); and of those that were left out, because
    /// they are NaN, were excluded by the caller, or were never scored (`ignored`).
    fn counts<'py>(&self, py: Python<'py>) -> Record<'py> {
        let [infinite, nan, excluded, ignored] =
            self.0.look(|totals| [totals.infinite, totals.nan, totals.excluded, totals.ignored]);
        record!(py, { infinite, nan, excluded, ignored })
    }

    /// The name of the type of lowest precision among the tokens that count.
    fn precision(&self) -> Give<&'static str> {
        Give(self.0.look(|totals| totals.precision.name()))
    }
});

/// A perplexity as a dictionary, with None for a number that does not exist.
fn fields(py: Python<'_>, found: Option<Perplexity>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let known = |x: f64| (!x.is_nan()).then_some(x);
    let Some(Perplexity { value, standard_error, interval, df, tokens, units, clusters }) = found else {
        return Ok(None);
    };
    let (low, high) = (known(interval.low), known(interval.high));
    record!(py, { value, standard_error: known(standard_error), low, high, df: known(df), tokens, units, clusters })
        .map(Some)
}

/// Numbers of which there is one per token or one per row, as their count shows.
fn by<'a, T>(values: &'a [T], tokens: usize, rows: usize, name: &str) -> PyResult<Per<'a, T>> {
    if values.len() == tokens {
        Ok(Per::Token(values))
    } else if values.len() == rows {
        Ok(Per::Row(values))
    } else {
        Err(value_error(format!(
            "{name}: expected one per token, {tokens}, or one per row, {rows}; got {}",
            values.len()
        )))
    }
}

fn shape(array: &Bound<'_, PyAny>) -> Vec<usize> {
    array.cast::<PyUntypedArray>().map_or(vec![], |array| array.shape().to_vec())
}

/// The exception for another state that cannot be merged.
fn not_taken(refused: Refused) -> PyErr {
    refusal(refused, &[], &[])
}

/// The exception for a batch that cannot be added. The shapes of its arrays `x` and `per` are used to name places in
/// them.
fn refusal(refused: Refused, x: &[usize], per: &[usize]) -> PyErr {
    let place = |i| coordinates(i, x);
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
            coordinates(i, per)
        )),
        Refused::MixedNames => type_error(
            "clusters: expected ids in every update of a state or in none; this state has the other kind; without \
             ids each row is a cluster of its own and cannot be matched",
        ),
        Refused::MixedPer => {
            type_error("per: expected in every update of a state or in none; this state has the other kind")
        }
        Refused::Code(i) => value_error(format!("clusters: code out of range at {i}")),
        Refused::Status(i) => {
            value_error(format!("where: expected a status of 0, 1 or 2; got another at {i}"))
        }
        Refused::PerOfRows => {
            value_error("per: expected one number per token, as clusters has; got one per row")
        }
    }
}
