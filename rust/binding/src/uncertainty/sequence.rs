//! The state of a confidence sequence: values in their order, or counts of answers.

use crate::arrays::{given, slice};
use crate::call::{call, no_memory};
use crate::give::{Give, Record, record, type_error, value_error};
use crate::intervals::same_length;
use crate::state_class;
use crate::take::named;
use pyo3::prelude::*;
use steelyard_kernels::memory;
use steelyard_kernels::uncertainty::sequence::{Method, Refused, SequenceTotals as Totals, on_unit};

state_class!(
    /// The values of a confidence sequence in their order (`ordered`), or the counts of 0/1 values.
    SequenceTotals of Totals, made of (ordered: bool) by empty, refused by refusal, {
    /// Adds scores between the two `bounds`, or their differences from those of `baseline`. `excluded` and `nan` are
    /// the numbers of values that the caller left out. Either all of it is added or nothing; where a score lies
    /// outside the bounds, or is neither 0 nor 1 where these are counted, the answer is its column (0, or 1 for the
    /// baseline) and its index.
    #[pyo3(signature = (x, baseline=None, *, bounds, excluded=0, nan=0, progress=None))]
    #[allow(clippy::too_many_arguments)] // keywords of a Python call
    fn update(
        &self,
        py: Python<'_>,
        x: &Bound<'_, PyAny>,
        baseline: Option<&Bound<'_, PyAny>>,
        bounds: (f64, f64),
        excluded: u64,
        nan: u64,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Give<Option<[usize; 2]>>> {
        let x = slice::<f64>(x, "x")?;
        let baseline = baseline.map(|baseline| slice::<f64>(baseline, "baseline")).transpose()?;
        if let Some(baseline) = baseline {
            same_length(x.len(), baseline.len(), "x, baseline")?;
        }
        let bounds: [f64; 2] = bounds.into();
        let y = match call(py, progress, x.len(), |progress| on_unit(x, baseline, bounds, progress))? {
            Ok(y) => y,
            Err(Refused::Outside(column, index)) => return Ok(Give(Some([column, index]))),
            Err(refused) => return Err(refusal(refused)),
        };
        let (differences, left_out) = (baseline.is_some(), [excluded, nan]);
        let added = self.0.change(py, |totals, progress| totals.with(&y, differences, left_out, progress))?;
        match added {
            Err(Refused::NotAnAnswer(index)) => Ok(Give(Some([0, index]))),
            added => added.map(|()| Give(None)).map_err(refusal),
        }
    }

    /// The number of values, how many values were excluded or NaN, whether values are kept in their order, and whether
    /// they are differences.
    fn size<'py>(&self, py: Python<'py>) -> Record<'py> {
        let (values, excluded, nan, ordered, differences) = self.0.look(|totals| {
            (totals.size(), totals.excluded, totals.nan, totals.ordered(), totals.differences())
        });
        record!(py, { values, excluded, nan, ordered, differences })
    }

    /// The mean of the first values and its limits, both from 0 to 1, at each of these times (numbers of values,
    /// ascending). Where values are only counted there is one time, now.
    #[pyo3(signature = (times, *, method, confidence_level, progress=None))]
    fn looks<'py>(
        &self,
        py: Python<'py>,
        times: &Bound<'_, PyAny>,
        method: &str,
        confidence_level: f64,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Record<'py> {
        let (times, method, alpha) = (slice::<i64>(times, "times")?, named::<Method>(method)?, alpha(confidence_level)?);
        let totals = self.0.now()?;
        let n = i64::try_from(totals.size()).unwrap_or(i64::MAX);
        let ascending = times.windows(2).all(|pair| pair[0] <= pair[1]);
        let within = times.first().is_none_or(|&first| first >= 1) && times.last().is_none_or(|&last| last <= n);
        let suits = totals.ordered() == method.of_order() && (totals.ordered() || times == [n]);
        if !(ascending && within && suits) {
            return Err(value_error("times: expected ascending numbers of values that the state can tell"));
        }
        let times = memory::collected(times.iter().map(|&time| time as usize)).map_err(no_memory)?;
        let found = call(py, progress, times.len(), |progress| totals.looks(method, alpha, &times, progress))?;
        let lows = memory::collected(found.intervals.iter().map(|of| of.low)).map_err(no_memory)?;
        let highs = memory::collected(found.intervals.iter().map(|of| of.high)).map_err(no_memory)?;
        let (mean, low, high) = (given(py, found.means)?, given(py, lows)?, given(py, highs)?);
        record!(py, { mean, low, high })
    }

    /// The p-value, by betting, of the hypothesis that the mean, from 0 to 1, is this one: valid whenever it is looked
    /// at. 1 where values are only counted.
    #[pyo3(signature = (mean, *, confidence_level, progress=None))]
    fn p_value(
        &self,
        py: Python<'_>,
        mean: f64,
        confidence_level: f64,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Give<f64>> {
        let alpha = alpha(confidence_level)?;
        if !(mean > 0.0 && mean < 1.0) {
            return Err(value_error(format!("mean: expected a number inside (0, 1); got {mean}")));
        }
        let totals = self.0.now()?;
        Ok(Give(call(py, progress, 0, |progress| totals.p_value(alpha, mean, progress))?))
    }
});

#[allow(clippy::unnecessary_wraps)] // one signature with the states whose options may be refused
fn empty(ordered: bool) -> PyResult<Totals> {
    Ok(Totals::new(ordered))
}

/// The probability that the intervals ever miss the mean.
fn alpha(confidence_level: f64) -> PyResult<f64> {
    if confidence_level > 0.0 && confidence_level < 1.0 {
        return Ok(steelyard_kernels::simd::standard(|| 1.0 - confidence_level));
    }
    Err(value_error(format!("confidence_level: expected a number inside (0, 1); got {confidence_level}")))
}

fn refusal(refused: Refused) -> PyErr {
    match refused {
        Refused::Outside(_, i) | Refused::NotAnAnswer(i) => {
            value_error(format!("x: expected scores within the bounds; got another at index {i}"))
        }
        Refused::Mixed => type_error(
            "baseline: expected one in every update of a state or in none; this state has the other kind, and a mean of \
             scores and differences together means nothing",
        ),
        Refused::Ordered => value_error(
            "other: expected a state without values, since by this method the limits depend on the order of all values; \
             update one state, or count 0/1 values with method='beta-binomial'",
        ),
        Refused::TooMany => value_error("state: expected at most 2**53 values"),
    }
}
