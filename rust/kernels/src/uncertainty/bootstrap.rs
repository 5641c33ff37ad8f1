//! The bootstrap of a statistic, from the columns of data to the confidence limits.

use super::beside;
use super::beta_t::beta_t;
use super::design::{Design, Pairs, Rows, Units, WideRows};
use super::double::double;
use super::influence::acceleration;
use super::limits::{Correction, Limits, Method, limits};
use super::no_estimate::{Ended, NoEstimate, answer, finite};
use super::paired::Wide;
use super::replicates::{Run, replicates};
use super::statistic::{Mean, Quotient, Statistic};
use super::studentized::{Studentized, studentized};
use crate::grid::{CHUNK, Pace, Progress, Stopped};
use crate::intervals::Confidence;
use crate::intervals::cluster::{self, ClusterSums, SumFacts};
use crate::intervals::moments::{Column, Moments, moments};
use crate::intervals::spread::{Range, ValueFacts};
use crate::memory::{self, NoMemory};
use crate::simd::{Element, scalar};

/// A replicate counts as equal to the value where it differs by no more than rounding: the error of its sums is below
/// (4300 + n/2^20) 2^-53 of the mean absolute influence (about 5e-13 up to n = 10^8), that of the last addition below
/// 2^-52 of the value.
pub(super) const SUM_ERROR: f64 = 1e-12;
pub(super) const LAST_ROUNDING: f64 = 2.0 * f64::EPSILON;

/// The options of a bootstrap.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The method that computes limits from replicates.
    pub method: Method,
    /// The number of replicates.
    pub count: u32,
    /// The seed of the random counts.
    pub seed: u64,
    /// The confidence level of the interval, and its sides.
    pub confidence: Confidence,
    /// The first replicates, where an earlier call made them; only the others are made. Read by the methods whose limits
    /// follow from replicates alone, for one problem; the others make all.
    pub known: &'a [f64],
}

impl Options<'_> {
    /// The replicates that are not known.
    pub(super) fn to_make(self) -> Run {
        let first = u32::try_from(self.known.len()).unwrap_or(u32::MAX).min(self.count);
        Run { seed: self.seed, first, count: self.count - first }
    }

    /// All replicates, where those that were not known are `made`.
    pub(super) fn with_known(self, made: Vec<f64>) -> Result<Vec<f64>, NoMemory> {
        if self.known.is_empty() {
            return Ok(made);
        }
        let known = &self.known[..self.to_make().first as usize];
        memory::gathered(known.iter().copied().chain(made))
    }
}

/// A statistic with its replicates and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// The statistic of all rows.
    pub value: f64,
    /// The standard deviation of the replicates; NaN where there is only one.
    pub standard_error: f64,
    /// The limits, each with its Monte-Carlo error.
    pub limits: Limits,
    /// The statistic in each resample.
    pub replicates: Vec<f64>,
    /// BCa's acceleration; 0 for the other methods, which do not use it.
    pub acceleration: f64,
    /// Replicates that differ from the value by at most this count as equal to it, for the methods that correct bias; 0
    /// for the others.
    pub tie: f64,
    /// The number of units of which a sample is drawn at a time.
    pub units: usize,
    /// Whether every value is 0 or 1.
    pub binary: bool,
    /// The number of resamples of each resample; 0 for the methods that make none.
    pub inner: u32,
}

/// The bootstrap of the mean of `x` under a design. `progress` gets the number of replicates done.
///
/// For rows in clusters, a replicate is the quotient of the sums and sizes of the resampled clusters. The mean is
/// subtracted from the values first, so that their sums lose the fewest digits, except from zeros and ones, whose sums
/// are exact anyway.
pub fn mean<T: Element>(
    x: &[T],
    design: Design<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(mean_or_ended(x, design, options, progress))
}

fn mean_or_ended<T: Element>(
    x: &[T],
    design: Design<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let found = BeforeMean::of(&x, design, options.confidence, &mut |_| progress(0))?;
    match &found.clusters {
        None => {
            let (shift, n) = (found.shift, x.len() as f64);
            resampled(Rows { x, shift }, Mean { shift, n }, found.about, options, progress)
        }
        Some(unit_sums) => quotient(unit_sums, found.shift, found.about, options, progress),
    }
}

/// The bootstrap of the means of several columns, each with the bits of [`mean`] of it alone; their replicates share the
/// random numbers. `progress` gets the number of replicates done.
pub fn means(
    columns: &[&dyn Wide],
    design: Design<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Vec<Result<Bootstrap, NoEstimate>>, Stopped> {
    let mut before = |_| progress(0);
    let mut found = memory::with_capacity(columns.len())?;
    for column in columns {
        found.push(answer(BeforeMean::of(*column, design, options.confidence, &mut before))?);
    }
    match design {
        Design::Rows => {
            let problems = columns.iter().zip(&found).map(|(x, found)| {
                let BeforeMean { shift, about, .. } = found.as_ref().map_err(|refused| *refused)?;
                let (shift, n) = (*shift, x.len() as f64);
                Ok((WideRows { x: *x, shift }, Mean { shift, n }, *about))
            });
            beside::each(memory::collected(problems)?, options, progress)
        }
        Design::Clusters { .. } => {
            let mut problems = memory::with_capacity(columns.len())?;
            for found in &found {
                problems.push(match found {
                    Ok(BeforeMean { shift, about, clusters: Some(unit_sums) }) => {
                        answer(with_scale(unit_sums, *shift, *about, &mut before))?
                    }
                    Ok(BeforeMean { clusters: None, .. }) => Err(NoEstimate::OneCluster),
                    Err(refused) => Err(*refused),
                });
            }
            beside::each(problems, options, progress)
        }
    }
}

/// What is known about a mean before resampling.
struct BeforeMean {
    shift: f64,
    about: About,
    /// The sums over the clusters where there are some; then the scale is not known yet.
    clusters: Option<ClusterSums>,
}

impl BeforeMean {
    fn of(
        x: &dyn Wide,
        design: Design<'_>,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<BeforeMean, Ended> {
        let Moments { mean, squares, min, max, step, binary, .. } = finite(x.moments(&mut *progress)?, 0)?;
        let n = x.len() as f64;
        let values = ValueFacts { low: min, high: max, step, rows: n, range: Range::Unknown };
        if x.len() < 2 || values.equal() {
            return Err(NoEstimate::EqualValues { n: x.len() }.into());
        }
        let shift = if binary { 0.0 } else { mean };
        match design {
            Design::Rows => {
                let scale = scalar(|| (squares / n).sqrt());
                let about = About { value: mean, scale, size: 1.0, exact: binary, range: (min, max) };
                Ok(BeforeMean { shift, about, clusters: None })
            }
            Design::Clusters { codes, count } => {
                let (unit_sums, value) = clustered(x, (codes, count), shift, &values, confidence, progress)?;
                let size = scalar(|| n / count as f64);
                let about = About { value, scale: f64::NAN, size, exact: binary, range: (min, max) };
                Ok(BeforeMean { shift, about, clusters: Some(unit_sums) })
            }
        }
    }
}

/// The sums of `x - shift` over clusters, and the mean; refused where there is one cluster, or all have the same mean.
pub(super) fn clustered(
    x: &dyn Wide,
    (codes, count): (&[i64], usize),
    shift: f64,
    values: &ValueFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<(ClusterSums, f64), Ended> {
    if count < 2 {
        return Err(NoEstimate::OneCluster.into());
    }
    let unit_sums = x.cluster_sums(codes, count, shift, &mut *progress)?.ok_or(NoEstimate::Outside)?;
    // Zeros and ones are not shifted, and their sums are exact.
    let noise = if shift == 0.0 { 0.0 } else { values.noise(shift) };
    let facts = SumFacts { noise, range: Range::Unknown, weighted: None };
    let fit = cluster::ratio(&unit_sums.sums, &unit_sums.sizes, shift, facts, confidence, progress)?;
    if fit.unspread { Err(NoEstimate::EqualMeans { n: count }.into()) } else { Ok((unit_sums, fit.value)) }
}

/// What is known about the statistic before resampling.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub value: f64,
    /// The root mean square of the units' influences.
    pub scale: f64,
    /// The mean size of a unit, which is its part in the denominator.
    pub size: f64,
    /// Whether all values are 0 or 1: then sums are exact, and a replicate that equals the value does so to the bit.
    pub exact: bool,
    /// The smallest and the largest value of the first column.
    pub range: (f64, f64),
}

impl About {
    /// By how much rounding may move a replicate that equals the value.
    pub fn tie(&self) -> f64 {
        let About { value, scale, size, exact, .. } = *self;
        if exact { 0.0 } else { scalar(|| SUM_ERROR * scale / size + LAST_ROUNDING * value.abs()) }
    }
}

/// The bootstrap of a quotient of sums over units.
pub(super) fn quotient(
    unit_sums: &ClusterSums,
    shift: f64,
    about: About,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let (units, statistic, about) = with_scale(unit_sums, shift, about, &mut |_| progress(0))?;
    resampled(units, statistic, about, options, progress)
}

/// A quotient of sums over units, with the scale of its influences.
fn with_scale<'a>(
    unit_sums: &'a ClusterSums,
    shift: f64,
    about: About,
    progress: Progress<'_>,
) -> Result<(Pairs<'a>, Quotient, About), Ended> {
    let (units, statistic) = (Pairs { sums: &unit_sums.sums, sizes: &unit_sums.sizes }, Quotient { shift });
    let scale = root_mean_square(units, statistic, about.value, progress)?;
    Ok((units, statistic, About { scale, ..about }))
}

/// The root mean square of the influences about their mean, which is 0 except for rounding.
pub(super) fn root_mean_square<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    value: f64,
    progress: Progress<'_>,
) -> Result<f64, Ended> {
    let count = units.count();
    let mut influences = memory::with_capacity(count)?;
    let mut pace = Pace::new(&mut *progress);
    for start in (0..count).step_by(CHUNK) {
        let mut parts = memory::filled(CHUNK.min(count - start), [0.0; K])?;
        scalar(|| {
            units.read(start, &mut parts);
            influences.extend(parts.iter().map(|part| statistic.influence(*part, value)));
        });
        pace.stride(parts.len())?;
    }
    Ok(match moments(&influences, progress)? {
        Column::Finite(moments) => scalar(|| (moments.squares / count as f64).sqrt()),
        Column::Bad(_) => f64::NAN,
    })
}

/// Computes replicates, acceleration, ties and limits, for any statistic and design.
pub(super) fn resampled<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    about: About,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let all = Run::of_first(options.count, options.seed);
    let found = match options.method {
        Method::Abc => return Err(NoEstimate::NoReplicates.into()),
        Method::Double => return double(units, statistic, about, options, progress),
        Method::Studentized => studentized(units, statistic, about.value, all, &mut *progress)?,
        Method::BetaT => beta_t(units, statistic, about.value, all, &mut *progress)?,
        _ => {
            let run = options.to_make();
            let made = replicates(units, statistic, run, &mut |done| progress(run.number(done)))?;
            Studentized::without_t(options.with_known(made)?)
        }
    };
    judged(units, statistic, about, found, options, progress)
}

/// Computes acceleration, ties and limits from replicates.
pub(super) fn judged<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    about: About,
    found: Studentized,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let About { value, scale, exact, range, .. } = about;
    let Options { method, count, .. } = options;
    let Studentized { replicates, t, error } = found;
    if replicates.iter().any(|value| !value.is_finite()) {
        return Err(NoEstimate::EmptyResample.into());
    }
    let mut after = |_| progress(count as usize);
    let mut correction = Correction { units: units.count(), error, ..Correction::default() };
    if method == Method::Bca {
        correction.acceleration = acceleration(units, statistic, value, scale, &mut after)?;
    }
    if method.corrects_bias() {
        correction.tie = about.tie();
    }
    concluded(value, (replicates, t), correction, range, exact, options, &mut after)
}

/// The limits and the standard error that follow from replicates, and from their t where these make the limits. `range`
/// is that of the first column, for the error where the squares of the replicates exceed the range of f64.
pub(super) fn concluded(
    value: f64,
    (replicates, t): (Vec<f64>, Option<Vec<f64>>),
    correction: Correction,
    range: (f64, f64),
    binary: bool,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let Options { method, count, confidence, .. } = options;
    let ordered = t.map_or_else(|| memory::copied(&replicates), Ok)?;
    let limits = limits(ordered, value, method, correction, confidence, &mut *progress)??;
    let squares = match moments(&replicates, progress)? {
        Column::Finite(moments) if moments.squares.is_finite() => moments.squares,
        Column::Finite(_) | Column::Bad(_) => {
            return Err(NoEstimate::TooLarge { column: 0, low: range.0, high: range.1 }.into());
        }
    };
    let standard_error = scalar(|| (squares / (f64::from(count) - 1.0)).sqrt());
    let standard_error = if count > 1 { standard_error } else { f64::NAN };
    let Correction { acceleration, tie, units, inner, .. } = correction;
    Ok(Bootstrap { value, standard_error, limits, replicates, acceleration, tie, units, binary, inner })
}
