//! Ratings of models from battles: the fit, its covariance, its replicates, and the tests of all pairs.

use crate::arrays::{copied, given, slice};
use crate::call::call;
use crate::give::{Record, record, value_error};
use crate::intervals::same_length;
use numpy::PyArray1;
use pyo3::prelude::*;
use steelyard_kernels::uncertainty::max_t::{Errors, by_draws};
use steelyard_kernels::uncertainty::ratings::{
    self as kernels, Battles, Fit, Grouped, Law, MODELS, NoFit, Units,
};

type Array<'py> = Bound<'py, PyAny>;

/// The table of battles: `2 models^2` numbers of at least 0, none on the diagonals.
fn battles(table: &Array<'_>, models: usize, prior: f64) -> PyResult<Battles> {
    let table = slice::<f64>(table, "table")?;
    if !(2..=MODELS).contains(&models) || table.len() != 2 * models * models {
        let expected = format!("table: expected 2 models^2 numbers for 2 to {MODELS} models");
        return Err(value_error(format!("{expected}; got {} for {models}", table.len())));
    }
    let counts = table.iter().all(|count| (0.0..f64::INFINITY).contains(count));
    let own = (0..2 * models).any(|i| table[i * models + i % models] != 0.0);
    if !counts || own || !(0.0..f64::INFINITY).contains(&prior) {
        return Err(value_error(
            "table, prior: expected finite numbers of at least 0, and 0 on the diagonals",
        ));
    }
    Battles::of(table, models).map_err(crate::call::no_memory)
}

/// The rows of battles by cluster, where they have clusters.
fn grouped(
    py: Python<'_>,
    battles: &Battles,
    (places, codes, clusters): (Option<&Array<'_>>, Option<&Array<'_>>, usize),
    weights: Option<&Array<'_>>,
) -> PyResult<Option<Grouped>> {
    let (Some(places), Some(codes)) = (places, codes) else { return Ok(None) };
    let (places, codes) = (slice::<i64>(places, "places")?, slice::<i64>(codes, "codes")?);
    let weights = weights.map(|weights| slice::<f64>(weights, "weights")).transpose()?;
    same_length(places.len(), codes.len(), "places, codes")?;
    same_length(places.len(), weights.map_or(places.len(), <[f64]>::len), "places, weights")?;
    let found = call(py, None, 2 * places.len(), |progress| {
        Grouped::of(battles, [places, codes], clusters, weights, progress)
    })?;
    let refused =
        || value_error("places, codes: expected places of the table with battles, and codes of clusters");
    found.map(Some).ok_or_else(refused)
}

fn fitted(ratings: &Array<'_>, log_nu: f64, models: usize) -> PyResult<Fit> {
    let ratings = slice::<f64>(ratings, "ratings")?;
    same_length(ratings.len(), models, "ratings, models")?;
    let ratings = steelyard_kernels::memory::copied(ratings).map_err(crate::call::no_memory)?;
    Ok(Fit { ratings, log_nu, steps: 0 })
}

/// The `ratings` of `models` models, in logits, with `log_nu` of Davidson's ties, from a table of the battles that each
/// won against each other and then of those that they tied; `refused` says why there are none, and `groups` which models
/// stand apart.
#[pyfunction]
#[pyo3(signature = (table, *, models, davidson, prior))]
pub fn ratings_fit<'py>(
    py: Python<'py>,
    table: &Array<'py>,
    models: usize,
    davidson: bool,
    prior: f64,
) -> Record<'py> {
    let (battles, law) = (battles(table, models, prior)?, Law { davidson, prior });
    let found = call(py, None, 1, |progress| kernels::fit(&battles, law, progress))?;
    let groups = kernels::groups(&battles, law).map_err(crate::call::no_memory)?;
    let refused = match &found {
        Ok(_) => "",
        Err(NoFit::Apart) => "apart",
        Err(NoFit::TiesAlone) => "ties",
        Err(NoFit::Unsettled) => "unsettled",
    };
    let found = found.unwrap_or(Fit { ratings: Vec::new(), log_nu: f64::NAN, steps: 0 });
    record!(py, {
        ratings: given(py, found.ratings)?,
        log_nu: found.log_nu,
        steps: found.steps,
        refused: refused,
        groups: copied(py, &groups)?,
    })
}

/// The sandwich covariance of such ratings, row by row. `squares` is a table of the sums of squared weights; with
/// `places` in the table, rows have the clusters `codes` in `0..clusters`, and `weights`.
#[pyfunction]
#[pyo3(signature = (
    table, ratings, *, log_nu, models, davidson, prior, squares=None, places=None, codes=None, clusters=0, weights=None,
    progress=None
))]
#[allow(clippy::too_many_arguments)] // the battles, the model and the ratings
pub fn ratings_covariance<'py>(
    py: Python<'py>,
    table: &Array<'py>,
    ratings: &Array<'py>,
    log_nu: f64,
    models: usize,
    davidson: bool,
    prior: f64,
    squares: Option<&Array<'py>>,
    places: Option<&Array<'py>>,
    codes: Option<&Array<'py>>,
    clusters: usize,
    weights: Option<&Array<'py>>,
    progress: Option<&Array<'py>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (battles, law) = (battles(table, models, prior)?, Law { davidson, prior });
    let found = fitted(ratings, log_nu, models)?;
    let grouped = grouped(py, &battles, (places, codes, clusters), weights)?;
    let squares = squares.map(|squares| slice::<f64>(squares, "squares")).transpose()?;
    same_length(squares.map_or(2 * models * models, <[f64]>::len), 2 * models * models, "squares, table")?;
    let total = grouped.as_ref().map_or(1, Grouped::clusters);
    let covariance = call(py, progress, total, |progress| {
        kernels::covariance((&battles, law), &found, squares, grouped.as_ref(), progress)
    })?;
    given(py, covariance)
}

/// The `ratings` of `n_resamples` resamples of the battles, or of the clusters, row by row, each with its log nu; NaN where
/// a resample has none, which `missing` counts; and the `covariance` of the others, row by row. Without clusters the table
/// has whole numbers.
#[pyfunction]
#[pyo3(signature = (
    table, ratings, *, log_nu, models, davidson, prior, places=None, codes=None, clusters=0, weights=None, n_resamples,
    seed, progress=None
))]
#[allow(clippy::too_many_arguments)] // the battles, the model and the ratings
pub fn ratings_replicates<'py>(
    py: Python<'py>,
    table: &Array<'py>,
    ratings: &Array<'py>,
    log_nu: f64,
    models: usize,
    davidson: bool,
    prior: f64,
    places: Option<&Array<'py>>,
    codes: Option<&Array<'py>>,
    clusters: usize,
    weights: Option<&Array<'py>>,
    n_resamples: u32,
    seed: u64,
    progress: Option<&Array<'py>>,
) -> Record<'py> {
    let (battles, law) = (battles(table, models, prior)?, Law { davidson, prior });
    let found = fitted(ratings, log_nu, models)?;
    let grouped = grouped(py, &battles, (places, codes, clusters), weights)?;
    if grouped.is_none() && !battles.whole() {
        return Err(value_error("table: expected whole numbers, at least one of them above 0, below 2^53"));
    }
    let units = grouped.as_ref().map_or(Units::Battles, Units::Clusters);
    let (replicates, (covariance, missing)) = call(py, progress, n_resamples as usize, |progress| {
        let replicates =
            kernels::replicates((&battles, law), &found, &units, (n_resamples, seed), &mut *progress)?;
        let spread = kernels::spread(&replicates, models, &mut |_| progress(n_resamples as usize))?;
        Ok((replicates, spread))
    })?;
    record!(py, {
        ratings: given(py, replicates)?,
        covariance: given(py, covariance)?,
        missing: missing,
    })
}

/// Tests all pairs of `values` with this `covariance` together: by the `replicates` of a bootstrap, row by row, or by
/// `count` draws of a normal law, or of Student's t with `df` degrees of freedom; the result is that of `max_t`.
#[pyfunction]
#[pyo3(signature = (values, covariance, *, replicates=None, count=0, df=None, progress=None))]
pub fn max_t_draws<'py>(
    py: Python<'py>,
    values: &Array<'py>,
    covariance: &Array<'py>,
    replicates: Option<&Array<'py>>,
    count: u32,
    df: Option<u64>,
    progress: Option<&Array<'py>>,
) -> Record<'py> {
    let (values, covariance) = (slice::<f64>(values, "values")?, slice::<f64>(covariance, "covariance")?);
    let replicates = replicates.map(|replicates| slice::<f64>(replicates, "replicates")).transpose()?;
    same_length(covariance.len(), values.len() * values.len(), "covariance, values")?;
    let made = replicates.map_or(0, <[f64]>::len);
    if values.is_empty() || !made.is_multiple_of(values.len()) || df == Some(0) {
        return Err(value_error(format!(
            "values, replicates, df: expected rows of {} numbers, and at least one degree of freedom",
            values.len()
        )));
    }
    let errors = replicates.map_or(Errors::Normal { count: count as usize, df }, Errors::Replicates);
    let total = (made / values.len()).max(count as usize);
    let found = call(py, progress, total, |progress| by_draws(values, covariance, errors, progress))?;
    record!(py, {
        statistics: given(py, found.statistics)?,
        p: given(py, found.p)?,
        patterns: found.patterns,
        all: found.all,
    })
}
