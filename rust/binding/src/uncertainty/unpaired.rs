//! Two models on different rows: everything that a comparison needs of their scores, in one call.

use super::columns::{design, refusal};
use super::compare::level;
use crate::arrays::floats;
use crate::call::{call, no_memory};
use crate::give::{Record, record, value_error};
use crate::intervals::confidence;
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::memory;
use steelyard_kernels::uncertainty::Design;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::unpaired::{self as kernels, By, Sample, Side, Test, Unpaired};
use steelyard_kernels::with_dtype;

/// Compares the samples `new` and `base`, at each of `confidence_levels`: the fields of the kernel's `Unpaired`, or of
/// the kind of refusal. `booleans` says which of the two were booleans. `codes`, for both sides or for none, are the
/// clusters of the rows, each in `0..clusters` of its side. `method` and `test` are the names of the interval and of the
/// test of 0/1 answers without clusters, `scores_test` that of the test of graded scores.
#[pyfunction]
#[pyo3(signature = (
    *, new, base, booleans, codes=None, clusters=None, method="newcombe", test="mid-p", scores_test="t",
    confidence_levels, alternative, progress=None
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn unpaired_comparison<'py>(
    py: Python<'py>,
    new: &Bound<'py, PyAny>,
    base: &Bound<'py, PyAny>,
    booleans: (bool, bool),
    codes: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    clusters: Option<(usize, usize)>,
    method: &str,
    test: &str,
    scores_test: &str,
    confidence_levels: &Bound<'py, PyAny>,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let levels = listed::<f64>(confidence_levels)?;
    if levels.is_empty() {
        return Err(value_error("confidence_levels: expected at least one; got none"));
    }
    let mut confidences = memory::with_capacity(levels.len()).map_err(no_memory)?;
    for level in levels {
        confidences.push(confidence(level, alternative)?);
    }
    let (new, base) = (floats(new, "new")?, floats(base, "baseline")?);
    let new: &dyn Wide = with_dtype!(&new, x => x);
    let base: &dyn Wide = with_dtype!(&base, x => x);
    let clusters = clusters.unwrap_or_default();
    let (of_new, of_base) = codes.as_ref().map_or((None, None), |(a, b)| (Some(a), Some(b)));
    let samples =
        [sample(new, booleans.0, of_new, clusters.0)?, sample(base, booleans.1, of_base, clusters.1)?];
    let by = By { method: named(method)?, answers: named(test)?, scores: named(scores_test)? };
    let total = kernels::steps([new.len(), base.len()]);
    match call(py, progress, total, |progress| kernels::compare(samples, by, &confidences, progress))? {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    }
}

fn sample<'a>(
    scores: &'a dyn Wide,
    boolean: bool,
    codes: Option<&'a Bound<'_, PyAny>>,
    count: usize,
) -> PyResult<Sample<'a>> {
    let clusters = match design(codes, count, scores.len())? {
        Design::Rows => None,
        Design::Clusters { codes, count } => Some((codes, count)),
    };
    Ok(Sample { scores, boolean, clusters })
}

fn fields(py: Python<'_>, found: Unpaired) -> Record<'_> {
    let Unpaired { shares, binary, sides, levels, test, p } = found;
    let side = |of: Side| {
        let Side { rows, mean, unspread, same, alone } = of;
        record!(py, { rows, mean, unspread, same, alone })
    };
    let mut all = memory::with_capacity(levels.len()).map_err(no_memory)?;
    for of in &levels {
        all.push(level(py, of)?);
    }
    let test = match test {
        Test::Answers => "answers",
        Test::Fisher => "fisher",
        Test::Permutation => "permutation",
        Test::Dealt => "dealt",
        Test::T => "t",
        Test::None => "none",
    };
    let [new, base] = sides;
    record!(py, { shares, binary, new: side(new)?, base: side(base)?, levels: all, test, p })
}
