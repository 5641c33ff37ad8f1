//! Intervals that several rooms use: moments of columns, and the intervals of proportions, of means, and of means of
//! clusters. Also the adjustment of p-values.

use crate::arrays::{Fresh, floats, given, slice};
use crate::call::{call, call_quick};
use crate::give::{Give, Given, Record, record, value_error};
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::intervals::cluster::{self, Clustered, SumFacts};
use steelyard_kernels::intervals::crossed::{Cells, Crossed, crossed};
use steelyard_kernels::intervals::few_clusters::{self, MOST_WILD, few_clusters as few_clusters_mean};
use steelyard_kernels::intervals::mean::{self, MeanInterval};
use steelyard_kernels::intervals::moments::{Column, Moments, moments};
use steelyard_kernels::intervals::multinomial;
use steelyard_kernels::intervals::proportion::{self, Method};
use steelyard_kernels::intervals::spread::ValueFacts;
use steelyard_kernels::intervals::strata::{self, Average, Form, StrataFacts, Stratified, Units};
use steelyard_kernels::intervals::{self as kernels, Adjust, Alternative, Confidence, Interval};
use steelyard_kernels::named::Named;
use steelyard_kernels::with_dtype;

type Array<'py> = Bound<'py, PyArray1<f64>>;

pub(crate) fn confidence(level: f64, alternative: &str) -> PyResult<Confidence> {
    if !(level > 0.0 && level < 1.0) {
        return Err(value_error(format!("confidence_level: expected a number inside (0, 1); got {level}")));
    }
    let alternative = named::<Alternative>(alternative)?;
    Ok(Confidence { level, alternative })
}

pub(crate) fn same_length(a: usize, b: usize, names: &str) -> PyResult<()> {
    if a == b {
        return Ok(());
    }
    Err(value_error(format!("{names}: expected arrays of one length; got {a} and {b}")))
}

/// What an interval of the mean needs to know about a column: the fields of the kernel's `Moments`, with `ones` None
/// where the values are not all 0 or 1. Where a value is not finite, only `bad`, the index of the first such value.
#[pyfunction]
#[pyo3(signature = (x, *, progress=None))]
pub fn column_moments<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    with_dtype!(floats(x, "x")?, x => {
        if x.is_empty() {
            return Err(value_error("x: expected at least one value; got none"));
        }
        match call(py, progress, x.len(), |progress| moments(x, progress))? {
            Column::Bad(index) => record!(py, { bad: index }),
            Column::Finite(of) => record_of_moments(py, of),
        }
    })
}

/// A column's moments as a dictionary.
pub(crate) fn record_of_moments(py: Python<'_>, of: Moments) -> Record<'_> {
    let Moments { mean, squares, min, max, step, binary, ones } = of;
    record!(py, { mean, squares, low: min, high: max, step, ones: binary.then_some(ones) })
}

/// The interval of a mean: `standard_error`, `low` and `high`, which are NaN where there is no interval, and
/// `unspread`, whether the values do not vary. The arguments `low`, `high`, `step`, `rows` and `range` say what is
/// known about the values (the kernel's `ValueFacts`).
#[pyfunction]
#[pyo3(signature = (
    *, mean, squares, n, confidence_level, alternative, low, high, step, rows, range="unknown"
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn mean_interval<'py>(
    py: Python<'py>,
    mean: f64,
    squares: f64,
    n: u64,
    confidence_level: f64,
    alternative: &str,
    low: f64,
    high: f64,
    step: f64,
    rows: f64,
    range: &str,
) -> Record<'py> {
    let confidence = confidence(confidence_level, alternative)?;
    let values = ValueFacts { low, high, step, rows, range: named(range)? };
    let found = call_quick(py, || Ok(mean::mean_interval(mean, squares, n, &values, confidence)))?;
    let nowhere = Interval { low: f64::NAN, high: f64::NAN };
    let none = (MeanInterval { standard_error: f64::NAN, interval: nowhere }, false);
    let (MeanInterval { standard_error, interval }, unspread) = found.unwrap_or(none);
    record!(py, { standard_error, low: interval.low, high: interval.high, unspread })
}

/// Proportions k/n, each with its interval: `value`, `standard_error`, `low` and `high`, all arrays.
#[pyfunction]
#[pyo3(signature = (*, k, n, method, confidence_level, alternative))]
pub fn proportion_intervals<'py>(
    py: Python<'py>,
    k: &Bound<'_, PyAny>,
    n: &Bound<'_, PyAny>,
    method: &str,
    confidence_level: f64,
    alternative: &str,
) -> Record<'py> {
    let (k, n) = (slice::<i64>(k, "k")?, slice::<i64>(n, "n")?);
    same_length(k.len(), n.len(), "k, n")?;
    let method = named::<Method>(method)?;
    let confidence = confidence(confidence_level, alternative)?;
    let fresh = || Fresh::new(py, k.len());
    let mut columns = [fresh()?, fresh()?, fresh()?, fresh()?];
    let parts = columns.each_mut().map(Fresh::elements);
    let refused = call(py, None, k.len(), move |progress| {
        proportion::proportions(k, n, method, confidence, parts, progress)
    })?;
    if let Some(i) = refused {
        return Err(value_error(format!(
            "k, n: expected 0 <= k <= n and n >= 1; got k = {}, n = {} at index {i}",
            k[i], n[i]
        )));
    }
    let [value, standard_error, low, high] = columns.map(Fresh::array);
    record!(py, { value, standard_error, low, high })
}

/// The shares of problems with `categories` counts each, one problem after another in `counts`, with intervals that hold
/// together: `value`, `standard_error`, `low` and `high`, all arrays like `counts`.
#[pyfunction]
#[pyo3(signature = (*, counts, categories, method, confidence_level, alternative))]
pub fn multinomial_intervals<'py>(
    py: Python<'py>,
    counts: &Bound<'_, PyAny>,
    categories: usize,
    method: &str,
    confidence_level: f64,
    alternative: &str,
) -> Record<'py> {
    let counts = slice::<i64>(counts, "counts")?;
    if categories < 2 || !counts.len().is_multiple_of(categories) {
        return Err(value_error(format!(
            "counts: expected rows of {categories} counts, two or more; got {}",
            counts.len()
        )));
    }
    let method = named::<multinomial::Method>(method)?;
    let confidence = confidence(confidence_level, alternative)?;
    let fresh = || Fresh::new(py, counts.len());
    let mut columns = [fresh()?, fresh()?, fresh()?, fresh()?];
    let parts = columns.each_mut().map(Fresh::elements);
    let refused = call(py, None, counts.len(), move |progress| {
        multinomial::multinomials(counts, categories, method, confidence, parts, progress)
    })?;
    if let Some(i) = refused {
        return Err(value_error(format!(
            "counts: expected counts of at least two kinds of rows; got others in row {i}"
        )));
    }
    let [value, standard_error, low, high] = columns.map(Fresh::array);
    record!(py, { value, standard_error, low, high })
}

/// The p-value `p` of the hypothesis that the proportion `k[i]` of `n[i]` is `p0[i]`, for each i, by the test that the
/// interval of `method` inverts, whose title is `test`.
#[pyfunction]
#[pyo3(signature = (*, k, n, p0, method, alternative))]
pub fn proportion_tests<'py>(
    py: Python<'py>,
    k: &Bound<'_, PyAny>,
    n: &Bound<'_, PyAny>,
    p0: &Bound<'_, PyAny>,
    method: &str,
    alternative: &str,
) -> Record<'py> {
    let (k, n, p0) = (slice::<i64>(k, "k")?, slice::<i64>(n, "n")?, slice::<f64>(p0, "test")?);
    same_length(k.len(), n.len(), "k, n")?;
    same_length(k.len(), p0.len(), "k, test")?;
    let test = named::<Method>(method)?.test();
    let alternative = named::<Alternative>(alternative)?;
    let mut p = Fresh::new(py, k.len())?;
    let part = p.elements();
    let refused = call(py, None, k.len(), move |progress| {
        proportion::tests(k, n, p0, test, alternative, part, progress)
    })?;
    if let Some(i) = refused {
        return Err(value_error(format!(
            "k, n, test: expected 0 <= k <= n, n >= 1 and 0 < test < 1; got k = {}, n = {}, test = {} at index {i}",
            k[i], n[i], p0[i]
        )));
    }
    record!(py, { p: p.array(), test: test.about().title })
}

/// The sum of `x - shift` and the number of rows of each cluster, as `(sums, sizes)`. `codes`, in `0..clusters`, are
/// the clusters of the rows. With `weights`, which are above 0, each row is multiplied by its weight in both.
#[pyfunction]
#[pyo3(signature = (x, codes, *, clusters, shift=0.0, weights=None, progress=None))]
pub fn cluster_sums<'py>(
    py: Python<'py>,
    x: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    clusters: usize,
    shift: f64,
    weights: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Given<(Array<'py>, Array<'py>)> {
    let codes = slice::<i64>(codes, "codes")?;
    let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
    with_dtype!(floats(x, "x")?, x => {
        same_length(x.len(), codes.len(), "x, codes")?;
        same_length(x.len(), weights.map_or(x.len(), <[f64]>::len), "x, weights")?;
        let work =
            |progress: steelyard_kernels::grid::Progress<'_>| cluster::cluster_sums(x, codes, clusters, shift, weights, progress);
        match call(py, progress, x.len(), work)? {
            Some(of) => Ok(Give((given(py, of.sums)?, given(py, of.sizes)?))),
            None => Err(value_error(format!("codes: expected values in 0..{clusters}"))),
        }
    })
}

/// Kish's effective sample size of rows with these positive weights.
#[pyfunction]
pub fn effective_weights(py: Python<'_>, weights: &Bound<'_, PyAny>) -> PyResult<f64> {
    let weights = slice::<f64>(weights, "weights")?;
    call(py, None, weights.len(), |progress| cluster::effective_weights(weights, progress))
}

steelyard_kernels::named! {
    /// What the interval of a clustered mean is made of.
    enum Score: "cluster.score" {
        /// The mean and its standard error, with Student's t.
        T = "t",
        /// Wilson's interval with the effective number of rows that are 0 or 1.
        Answers = "answers",
        /// The same of rows in [0, 1].
        Shares = "shares",
    }
}

/// The interval of sum `sums` / sum `sizes` over clusters: the fields of the kernel's `Clustered`, with NaN for a
/// number that does not exist.
///
/// `score` is "t" for Student's t interval; for Wilson's interval with the effective number of rows it is "answers"
/// where the rows are 0 or 1, or "shares" where they are in [0, 1]. `low`, `high`, `step`, `rows` and `range` say what
/// is known about the values that were added, as in `mean_interval`; without them the sums are taken to be exact.
/// `weighted` says that the sizes are sums of weights.
#[pyfunction]
#[pyo3(signature = (
    *, sums, sizes, confidence_level, alternative, shift=0.0, score="t", low=0.0, high=0.0, step=0.0, rows=0.0,
    range="unknown", weighted=false
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn clustered_interval<'py>(
    py: Python<'py>,
    sums: &Bound<'py, PyAny>,
    sizes: &Bound<'py, PyAny>,
    confidence_level: f64,
    alternative: &str,
    shift: f64,
    score: &str,
    low: f64,
    high: f64,
    step: f64,
    rows: f64,
    range: &str,
    weighted: bool,
) -> Record<'py> {
    let (sums, sizes) = (slice::<f64>(sums, "sums")?, slice::<f64>(sizes, "sizes")?);
    same_length(sums.len(), sizes.len(), "sums, sizes")?;
    let score = named::<Score>(score)?;
    let confidence = confidence(confidence_level, alternative)?;
    let values = ValueFacts { low, high, step, rows, range: named(range)? };
    let facts = facts_of(&values, shift, score, weighted);
    let found = call(py, None, sums.len(), |progress| match score {
        Score::Answers => cluster::proportion(sums, sizes, facts, confidence, progress),
        Score::Shares => cluster::share(sums, sizes, facts, confidence, progress),
        Score::T => cluster::ratio(sums, sizes, shift, facts, confidence, progress),
    })?;
    let Clustered { value, standard_error, interval, df, n_effective, unspread } = found;
    record!(py, { value, standard_error, low: interval.low, high: interval.high, df, n_effective, unspread })
}

/// The interval of a mean of few clusters by one of the names of `cluster.method`: the fields of `clustered_interval`, or
/// `most`, the most clusters that the method takes. The arguments are those of `clustered_interval`.
#[pyfunction]
#[pyo3(signature = (
    *, sums, sizes, method, confidence_level, alternative, shift=0.0, low=0.0, high=0.0, step=0.0, rows=0.0,
    range="unknown", weighted=false, progress=None
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn few_clusters_interval<'py>(
    py: Python<'py>,
    sums: &Bound<'py, PyAny>,
    sizes: &Bound<'py, PyAny>,
    method: &str,
    confidence_level: f64,
    alternative: &str,
    shift: f64,
    low: f64,
    high: f64,
    step: f64,
    rows: f64,
    range: &str,
    weighted: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let (sums, sizes) = (slice::<f64>(sums, "sums")?, slice::<f64>(sizes, "sizes")?);
    same_length(sums.len(), sizes.len(), "sums, sizes")?;
    let method = named::<few_clusters::Method>(method)?;
    let confidence = confidence(confidence_level, alternative)?;
    let values = ValueFacts { low, high, step, rows, range: named(range)? };
    let facts = facts_of(&values, shift, Score::T, weighted);
    let found = call(py, progress, sums.len(), |progress| {
        few_clusters_mean(sums, sizes, shift, method, facts, confidence, progress)
    })?;
    let Some(Clustered { value, standard_error, interval, df, n_effective, unspread }) = found else {
        return record!(py, { most: MOST_WILD });
    };
    record!(py, { value, standard_error, low: interval.low, high: interval.high, df, n_effective, unspread })
}

/// The mean of rows in clusters of two kinds that cross: the fields of `clustered_interval`, and `a` and `b`, the
/// variances by the clusters of either kind, and `ruled`, whether the larger one of these is used.
///
/// `sums` and `sizes` are those of the pairs of clusters that rows have; `a`, in `0..count_a`, and `b`, in `0..count_b`,
/// are the clusters of each pair. The other arguments are those of `clustered_interval`.
#[pyfunction]
#[pyo3(signature = (
    *, sums, sizes, a, count_a, b, count_b, confidence_level, alternative, shift=0.0, score="t", low=0.0, high=0.0,
    step=0.0, rows=0.0, range="unknown", weighted=false, progress=None
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn crossed_interval<'py>(
    py: Python<'py>,
    sums: &Bound<'py, PyAny>,
    sizes: &Bound<'py, PyAny>,
    a: &Bound<'py, PyAny>,
    count_a: usize,
    b: &Bound<'py, PyAny>,
    count_b: usize,
    confidence_level: f64,
    alternative: &str,
    shift: f64,
    score: &str,
    low: f64,
    high: f64,
    step: f64,
    rows: f64,
    range: &str,
    weighted: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let (sums, sizes) = (slice::<f64>(sums, "sums")?, slice::<f64>(sizes, "sizes")?);
    let (a, b) = (slice::<i64>(a, "a")?, slice::<i64>(b, "b")?);
    same_length(sums.len(), sizes.len(), "sums, sizes")?;
    same_length(sums.len(), a.len(), "sums, a")?;
    same_length(sums.len(), b.len(), "sums, b")?;
    let score = named::<Score>(score)?;
    let confidence = confidence(confidence_level, alternative)?;
    let values = ValueFacts { low, high, step, rows, range: named(range)? };
    let facts = facts_of(&values, shift, score, weighted);
    let cells = Cells { sums, sizes, of: [a, b], counts: [count_a, count_b] };
    let found = call(py, progress, sums.len(), |progress| {
        crossed(cells, shift, form_of(score), facts, confidence, progress)
    })?;
    let Some(Crossed { mean, variances: [a, b], ruled }) = found else {
        return Err(value_error("a, b: expected codes below count_a and count_b; got another"));
    };
    let Clustered { value, standard_error, interval, df, n_effective, unspread } = mean;
    record!(py, {
        value, standard_error, low: interval.low, high: interval.high, df, n_effective, unspread, a, b, ruled,
    })
}

/// The interval of a stratified mean: the fields of `clustered_interval`, and `still`, the number of strata whose units
/// all have one mean, and `width`, the width of the range by which these add to the variance.
///
/// `strata`, in `0..count`, holds the stratum of each unit; `average` is "micro" or "macro". The other arguments are
/// those of `clustered_interval`.
#[pyfunction]
#[pyo3(signature = (
    *, sums, sizes, strata, count, average, confidence_level, alternative, shift=0.0, score="t", low=0.0,
    high=0.0, step=0.0, rows=0.0, range="unknown", weighted=false, progress=None
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn stratified_interval<'py>(
    py: Python<'py>,
    sums: &Bound<'py, PyAny>,
    sizes: &Bound<'py, PyAny>,
    strata: &Bound<'py, PyAny>,
    count: usize,
    average: &str,
    confidence_level: f64,
    alternative: &str,
    shift: f64,
    score: &str,
    low: f64,
    high: f64,
    step: f64,
    rows: f64,
    range: &str,
    weighted: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let (sums, sizes) = (slice::<f64>(sums, "sums")?, slice::<f64>(sizes, "sizes")?);
    let codes = slice::<i64>(strata, "strata")?;
    same_length(sums.len(), sizes.len(), "sums, sizes")?;
    same_length(sums.len(), codes.len(), "sums, strata")?;
    let (score, average) = (named::<Score>(score)?, named::<Average>(average)?);
    let confidence = confidence(confidence_level, alternative)?;
    let values = ValueFacts { low, high, step, rows, range: named(range)? };
    let facts = StrataFacts::of(&values, shift, is_exact(score, weighted), weighted);
    let form = form_of(score);
    let units = Units { sums, sizes, strata: codes, count };
    let found = call(py, progress, sums.len(), |progress| {
        strata::stratified(units, average, shift, form, facts, confidence, progress)
    })?;
    let Some(Stratified { mean, still }) = found else {
        return Err(value_error(format!("strata: expected values in 0..{count}")));
    };
    let Clustered { value, standard_error, interval, df, n_effective, unspread } = mean;
    record!(py, {
        value, standard_error, low: interval.low, high: interval.high, df, n_effective, unspread, still,
        width: facts.width,
    })
}

/// Whether sums are counts, which are not rounded: those of 0 and 1 without weights.
fn is_exact(score: Score, weighted: bool) -> bool {
    score == Score::Answers && !weighted
}

fn form_of(score: Score) -> Form {
    match score {
        Score::T => Form::Student,
        Score::Answers => Form::Answers,
        Score::Shares => Form::Shares,
    }
}

fn facts_of(values: &ValueFacts, shift: f64, score: Score, weighted: bool) -> SumFacts {
    SumFacts {
        noise: if is_exact(score, weighted) { 0.0 } else { values.noise(shift) },
        range: values.range,
        weighted: weighted.then_some(values.rows),
    }
}

/// The p-values adjusted for their number.
#[pyfunction]
#[pyo3(signature = (p, *, method))]
pub fn adjusted<'py>(py: Python<'py>, p: &Bound<'_, PyAny>, method: &str) -> PyResult<Array<'py>> {
    let (p, method) = (slice::<f64>(p, "p")?, named::<Adjust>(method)?);
    given(py, call(py, None, p.len(), |progress| kernels::adjust(p, method, progress))?)
}
