//! Two models on the same rows: everything that a comparison needs of their scores, in one call.

use super::columns::{design, refusal};
use crate::arrays::{floats, slice};
use crate::call::{call, no_memory};
use crate::give::{Record, record};
use crate::intervals::{confidence, same_length};
use crate::take::{listed, named};
use pyo3::prelude::*;
use steelyard_kernels::dtype::{Dtype, Listed};
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::memory;
use steelyard_kernels::uncertainty::Design;
use steelyard_kernels::uncertainty::answers::Test;
use steelyard_kernels::uncertainty::comparison::{self as kernels, Comparison, Level, Sides, Strata};
use steelyard_kernels::uncertainty::paired::{Method, Wide};
use steelyard_kernels::with_dtype;

/// Compares `new` with `base`, at each of `confidence_levels`: the fields of the kernel's `Comparison`, or of the kind of
/// refusal. `booleans` says which of the two were booleans. `codes` in `0..clusters` are the clusters of the rows, where
/// there are any; `stratum_codes` in `0..strata` the strata of the clusters (or rows), and `average` is "micro" or "macro".
/// `method` and `test` are the names of the interval and of the test of independent pairs of 0/1 answers.
#[pyfunction]
#[pyo3(signature = (
    *, new, base, booleans, codes=None, clusters=0, stratum_codes=None, strata=0, average="micro", method="tango",
    test="mid-p", confidence_levels, alternative, progress=None
))]
#[allow(clippy::too_many_arguments)] // keywords of a Python call
pub fn paired_comparison<'py>(
    py: Python<'py>,
    new: &Bound<'py, PyAny>,
    base: &Bound<'py, PyAny>,
    booleans: (bool, bool),
    codes: Option<&Bound<'py, PyAny>>,
    clusters: usize,
    stratum_codes: Option<&Bound<'py, PyAny>>,
    strata: usize,
    average: &str,
    method: &str,
    test: &str,
    confidence_levels: &Bound<'py, PyAny>,
    alternative: &str,
    progress: Option<&Bound<'py, PyAny>>,
) -> Record<'py> {
    let levels = listed::<f64>(confidence_levels)?;
    let mut confidences = memory::with_capacity(levels.len()).map_err(no_memory)?;
    for level in levels {
        confidences.push(confidence(level, alternative)?);
    }
    let (new, base) = (floats(new, "new")?, floats(base, "baseline")?);
    let booleans = [booleans.0, booleans.1];
    let coarse = coarser([with_dtype!(&new, x => dtype(x)), with_dtype!(&base, x => dtype(x))], booleans);
    let new: &dyn Wide = with_dtype!(&new, x => x);
    let base: &dyn Wide = with_dtype!(&base, x => x);
    same_length(new.len(), base.len(), "new, baseline")?;
    let clusters = match design(codes, clusters, new.len())? {
        Design::Rows => None,
        Design::Clusters { codes, count } => Some((codes, count)),
    };
    let average = named::<Average>(average)?;
    let stratum_codes = stratum_codes.map(|codes| slice::<i64>(codes, "stratum_codes")).transpose()?;
    if let Some(codes) = stratum_codes {
        same_length(clusters.map_or(new.len(), |(_, count)| count), codes.len(), "clusters, stratum_codes")?;
    }
    let strata = stratum_codes.map(|codes| Strata { codes, count: strata, average });
    let answers = (named::<Method>(method)?, named::<Test>(test)?);
    let scores = Sides { sides: [new, base], booleans, coarse, clusters, strata, answers };
    let total = kernels::steps(new.len());
    match call(py, progress, total, |progress| kernels::compare(scores, &confidences, progress))? {
        Ok(found) => fields(py, found),
        Err(refused) => refusal(py, refused),
    }
}

fn dtype<T: Listed>(_: &[T]) -> Dtype {
    T::DTYPE
}

/// The unit in the last place of 1 and the smallest number of the less precise type, where the scores came in two types
/// of floats: equal scores then differ by the rounding to that type, which says nothing about the models.
fn coarser(types: [Dtype; 2], booleans: [bool; 2]) -> (f64, f64) {
    let precision = |dtype| match dtype {
        Dtype::F64 => (f64::EPSILON, f64::from_bits(1)),
        Dtype::F32 => (f64::from(f32::EPSILON), f64::from(f32::from_bits(1))),
        Dtype::F16 => (1.0 / 1024.0, 1.0 / 16_777_216.0),
        Dtype::Bf16 => (1.0 / 128.0, f64::from(f32::from_bits(1 << 16))),
    };
    if types[0] == types[1] || booleans.contains(&true) {
        return (0.0, 0.0);
    }
    let [a, b] = types.map(precision);
    if a.0 > b.0 { a } else { b }
}

fn fields(py: Python<'_>, found: Comparison) -> Record<'_> {
    let Comparison { shares, rows, extremes, wins, losses, levels, same, tango, still, width, p, flip } =
        found;
    let mut all = memory::with_capacity(levels.len()).map_err(no_memory)?;
    for of in &levels {
        all.push(level(py, of)?);
    }
    let flip = flip.map(|of| record!(py, { p: of.p, nonzero: of.nonzero, error: of.error })).transpose()?;
    record!(py, {
        shares, rows, low: extremes.0, high: extremes.1, wins, losses, levels: all, same, tango, still, width,
        p, flip,
    })
}

/// The difference at one level.
pub(super) fn level<'py>(py: Python<'py>, of: &Level) -> Record<'py> {
    let Level { value, standard_error, interval, df, unspread } = *of;
    record!(py, { value, standard_error, low: interval.low, high: interval.high, df, unspread })
}
