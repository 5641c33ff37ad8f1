//! The probability that 0/1 answers will decide, many settings at once.

use crate::arrays::{Fresh, slice};
use crate::call::call;
use crate::give::value_error;
use crate::intervals::{confidence, same_length};
use crate::take::named;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::grid::{Progress, Stopped};
use steelyard_kernels::named::Named;
use steelyard_kernels::uncertainty::power::{self as kernels, Decision};

type Powers<'py> = PyResult<Bound<'py, PyArray1<f64>>>;

/// For each i, the probability that the lower limit of `n[i]` answers, right with probability `p[i]`, exceeds `above[i]`.
#[pyfunction]
#[pyo3(signature = (*, n, p, above, method, confidence_level, alternative))]
pub fn proportion_power<'py>(
    py: Python<'py>,
    n: &Bound<'_, PyAny>,
    p: &Bound<'_, PyAny>,
    above: &Bound<'_, PyAny>,
    method: &str,
    confidence_level: f64,
    alternative: &str,
) -> Powers<'py> {
    let n = sizes(n, "n")?;
    let [p, above] = numbers(n.len(), ["p", "above"], [p, above])?;
    shares("p", p)?;
    let (method, confidence) = (named(method)?, confidence(confidence_level, alternative)?);
    filled(py, n.len(), move |out, progress| {
        kernels::of_shares(n, [p, above], method, confidence, out, progress)
    })
}

/// For each i, the probability of a decision on `n[i]` pairs, which are wins with probability `wins[i]` and losses with
/// `losses[i]`: that the lower limit of `method` exceeds `-margin[i]`, or that the p of `test` is at most alpha.
#[pyfunction]
#[pyo3(signature = (*, n, wins, losses, margin, method, test, confidence_level, alternative))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn paired_power<'py>(
    py: Python<'py>,
    n: &Bound<'_, PyAny>,
    wins: &Bound<'_, PyAny>,
    losses: &Bound<'_, PyAny>,
    margin: &Bound<'_, PyAny>,
    method: &str,
    test: Option<&str>,
    confidence_level: f64,
    alternative: &str,
) -> Powers<'py> {
    let n = sizes(n, "n")?;
    let [wins, losses, margin] = numbers(n.len(), ["wins", "losses", "margin"], [wins, losses, margin])?;
    shares("wins", wins)?;
    shares("losses", losses)?;
    let (decision, confidence) = (decision(method, test)?, confidence(confidence_level, alternative)?);
    filled(py, n.len(), move |out, progress| {
        kernels::of_pairs(n, [wins, losses, margin], decision, confidence, out, progress)
    })
}

/// The same for two samples of `n[i]` and `m[i]` answers, right with probabilities `p[i]` and `q[i]`.
#[pyfunction]
#[pyo3(signature = (*, n, m, p, q, margin, method, test, confidence_level, alternative))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn unpaired_power<'py>(
    py: Python<'py>,
    n: &Bound<'_, PyAny>,
    m: &Bound<'_, PyAny>,
    p: &Bound<'_, PyAny>,
    q: &Bound<'_, PyAny>,
    margin: &Bound<'_, PyAny>,
    method: &str,
    test: Option<&str>,
    confidence_level: f64,
    alternative: &str,
) -> Powers<'py> {
    let (n, m) = (sizes(n, "n")?, sizes(m, "m")?);
    same_length(n.len(), m.len(), "n, m")?;
    let [p, q, margin] = numbers(n.len(), ["p", "q", "margin"], [p, q, margin])?;
    shares("p", p)?;
    shares("q", q)?;
    let (decision, confidence) = (decision(method, test)?, confidence(confidence_level, alternative)?);
    filled(py, n.len(), move |out, progress| {
        kernels::of_samples([n, m], [p, q, margin], decision, confidence, out, progress)
    })
}

/// Numbers of rows, each at least 1 and few enough that all outcomes can be gone through.
fn sizes<'a>(given: &'a Bound<'_, PyAny>, name: &str) -> PyResult<&'a [i64]> {
    let sizes = slice::<i64>(given, name)?;
    if sizes.iter().all(|n| (1..=kernels::MOST).contains(n)) {
        return Ok(sizes);
    }
    Err(value_error(format!("{name}: expected numbers of rows from 1 to {}; got others", kernels::MOST)))
}

fn numbers<'a, const K: usize>(
    rows: usize,
    names: [&str; K],
    given: [&'a Bound<'_, PyAny>; K],
) -> PyResult<[&'a [f64]; K]> {
    let mut columns = [&[][..]; K];
    for (i, (name, given)) in names.into_iter().zip(given).enumerate() {
        columns[i] = slice::<f64>(given, name)?;
        same_length(rows, columns[i].len(), &format!("n, {name}"))?;
    }
    Ok(columns)
}

fn shares(name: &str, values: &[f64]) -> PyResult<()> {
    if values.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Ok(());
    }
    Err(value_error(format!("{name}: expected shares from 0 to 1; got others")))
}

fn decision<M: Named>(method: &str, test: Option<&str>) -> PyResult<Decision<M>> {
    Ok(match test {
        None => Decision::Interval(named(method)?),
        Some(test) => Decision::Test(named(test)?),
    })
}

fn filled(
    py: Python<'_>,
    rows: usize,
    fill: impl FnOnce(&mut [f64], Progress<'_>) -> Result<(), Stopped> + Send,
) -> Powers<'_> {
    let mut out = Fresh::new(py, rows)?;
    let part = out.elements();
    call(py, None, rows, move |progress| fill(part, progress))?;
    Ok(out.array())
}
