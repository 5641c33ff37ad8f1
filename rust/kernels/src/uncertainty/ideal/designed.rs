//! The ideal bootstrap with weights and in strata, of means, sums, ratios and weighted means.
//!
//! Each stratum draws as many of its units as it has, so that its sums are independent of those of the others: a further
//! part of the sum of all draws. Where the denominators of all units of a stratum are equal, they are in every resample,
//! and the statistic is such a sum itself; otherwise it is a ratio of two.

use super::columns::MANY;
use super::lattice::Lattice;
use super::law::Law;
use super::mixed::mixed;
use super::sum::{Part, Sum};
use super::units::{Stratum, Terms, strata, total};
use super::{Found, GOOD, Ideal, Question, by_t, limits, linear, ratio, reads_quantiles};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::cluster::ClusterSums;
use crate::intervals::moments::Moments;
use crate::memory;
use crate::simd::standard;
use crate::uncertainty::design::Design;
use crate::uncertainty::influence::skewness;
use crate::uncertainty::limits::Method;
use crate::uncertainty::no_estimate::{Ended, NoEstimate, answer, finite};
use crate::uncertainty::paired::Wide;
use crate::uncertainty::smooth::Domain;
use crate::uncertainty::statistic::Name;

/// Below this share of the sums of the units, their standard error is rounding.
const NO_SPREAD: f64 = 1e-13;
/// A mean that is so many standard deviations from 0 is subtracted from all values before they are added up.
const DISTANT: f64 = 1e6;
/// So many values are looked at before all are, for a lattice.
const SAMPLE: usize = 2000;

/// How the strata become one statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// That of all rows.
    Pooled,
    /// The mean of those of the strata.
    Mean,
    /// That of the first stratum minus that of the second.
    Difference,
}

/// How rows become one statistic, and how they are resampled.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The weights of the rows, above 0.
    pub weights: Option<&'a [f64]>,
    /// What the units are.
    pub design: Design<'a>,
    /// The stratum of each unit, inside `0..count`, and the number of strata.
    pub strata: Option<(&'a [i64], usize)>,
    /// How they become one statistic.
    pub together: Together,
}

/// The ideal bootstrap of a mean, a sum, a ratio or a weighted mean under a plan. `progress` gets 0 as long as it works.
pub fn designed(
    name: Name,
    columns: &[&dyn Wide],
    plan: Plan<'_>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Result<Ideal, NoEstimate>, Stopped> {
    standard(|| answer(designed_or_ended(name, columns, plan, question, &mut |_| progress(0))))
}

fn designed_or_ended(
    name: Name,
    columns: &[&dyn Wide],
    plan: Plan<'_>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    reads_quantiles(question.method)?;
    if question.method == Method::Studentized && (plan.strata.is_some() || plan.weights.is_some()) {
        return Err(NoEstimate::NeedsInfluences.into());
    }
    let x = finite(columns[0].moments(&mut *progress)?, 0)?;
    if let Some(second) = columns.get(1) {
        let Moments { min: low, max: high, .. } = finite(second.moments(&mut *progress)?, 1)?;
        if low < 0.0 {
            return Err(NoEstimate::Domain { column: 1, domain: Domain::NonNegative, low, high }.into());
        }
    }
    let own = if name == Name::WeightedMean {
        Some(weights(columns[1], plan.weights, &mut *progress)?)
    } else {
        None
    };
    let distant = x.mean.abs() * (columns[0].len() as f64).sqrt() > DISTANT * x.squares.sqrt();
    let mut first = [0.0];
    columns[0].widen(0, &mut first);
    let terms = Terms {
        x: columns[0],
        y: if name == Name::Ratio { Some(columns[1]) } else { None },
        weights: own.as_deref().or(plan.weights),
        shift: if distant && matches!(name, Name::Mean | Name::WeightedMean) { first[0] } else { 0.0 },
        cancels: name != Name::Sum,
    };
    let strata = strata(terms, plan, &mut *progress)?;
    let units = strata.iter().map(|stratum| stratum.units.sums.len()).sum::<usize>();
    if units < 2 {
        return Err(match plan.design {
            Design::Rows => NoEstimate::EqualValues { n: units }.into(),
            Design::Clusters { .. } => NoEstimate::OneCluster.into(),
        });
    }
    // What a limit by Student's t counts: see [`crate::uncertainty::designs::Drawing::sample`].
    let sample = if plan.strata.is_some() { (units / strata.len()).max(2) } else { units };
    let about = About { shift: terms.shift, sample, question };
    if name == Name::Sum || strata.iter().all(Stratum::even) {
        let shares = shares(&strata, name, plan.together)?;
        let shift = if plan.together == Together::Difference { 0.0 } else { terms.shift };
        return of_sum(strata, &shares, About { shift, ..about }, progress);
    }
    if plan.together == Together::Pooled {
        return of_ratio(strata, about, progress);
    }
    Err(NoEstimate::UnevenUnits.into())
}

/// The weights of a weighted mean, times those of the rows.
fn weights(column: &dyn Wide, rows: Option<&[f64]>, progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
    let mut weights = memory::filled(column.len(), 0.0)?;
    column.widen(0, &mut weights);
    if let Some(rows) = rows {
        weights.iter_mut().zip(rows).for_each(|(weight, row)| *weight *= row);
    }
    Pace::new(progress).stride(weights.len())?;
    Ok(weights)
}

/// What is known beside the units.
#[derive(Clone, Copy)]
struct About<'a> {
    /// What was subtracted from the statistic.
    shift: f64,
    /// The number of units that are drawn together; the mean, where strata differ in it.
    sample: usize,
    question: Question<'a>,
}

/// What the sum of each stratum is multiplied by in the statistic, where its denominator does not vary.
fn shares(strata: &[Stratum], name: Name, together: Together) -> Result<Vec<f64>, Ended> {
    let sizes = strata.iter().map(|stratum| {
        let ClusterSums { sums, sizes } = &stratum.units;
        (stratum.weight, if name == Name::Sum { 1.0 / stratum.weight } else { sums.len() as f64 * sizes[0] })
    });
    let count = strata.len() as f64;
    let all: f64 = sizes.clone().map(|(weight, size)| weight * size).sum();
    let share = |(at, (weight, size)): (usize, (f64, f64))| match together {
        Together::Pooled if name == Name::Sum => weight,
        Together::Pooled => weight / all,
        Together::Mean => 1.0 / (count * size),
        Together::Difference => (if at == 0 { 1.0 } else { -1.0 }) / size,
    };
    let shares = memory::collected(sizes.enumerate().map(share))?;
    if shares.iter().all(|share| share.is_finite()) { Ok(shares) } else { Err(NoEstimate::NoAnswer.into()) }
}

/// The ideal bootstrap of the sum of all strata's sums, each times its share.
fn of_sum(
    strata: Vec<Stratum>,
    shares: &[f64],
    about: About<'_>,
    progress: Progress<'_>,
) -> Result<Ideal, Ended> {
    // In units of the first share, so that one stratum has whole steps where its values have.
    let per = 1.0 / shares[0];
    let (mut pulls, mut value, mut reach) = (Vec::new(), 0.0, 0.0);
    for (stratum, share) in strata.iter().zip(shares) {
        let sums = &stratum.units.sums;
        let mean = total(sums, &mut *progress)? / sums.len() as f64;
        value += share * (mean * sums.len() as f64);
        reach += share * share * sums.iter().map(|sum| sum * sum).sum::<f64>();
        memory::reserve(&mut pulls, sums.len())?;
        pulls.extend(sums.iter().map(|sum| share * (sum - mean)));
    }
    let value = about.shift + value;
    let found = found(&pulls, value, reach.sqrt(), about)?;
    if let (Method::Studentized, [stratum]) = (about.question.method, &strata[..]) {
        let ClusterSums { sums, .. } = &stratum.units;
        let one = 1.0 / (sums.len() as f64 * shares[0]);
        let even = ClusterSums { sums: memory::copied(sums)?, sizes: memory::filled(sums.len(), one)? };
        return by_t(&even, value - about.shift, found, about.question, progress);
    }
    if let Some(law) = many(&strata, shares, (value, per), &mut *progress)? {
        return limits(&*law, found, about.question, progress);
    }
    let mut parts = memory::with_capacity(strata.len())?;
    for (stratum, share) in strata.into_iter().zip(shares) {
        let pace = &mut Pace::new(&mut *progress);
        parts.push(Part::new(stratum.units.sums, None, share * per, pace)?);
    }
    let mut sum = Sum::new(parts, value, per);
    sum.constant += about.shift * per;
    let law = linear(&sum, 0.0, &mut *progress)?;
    limits(&*law, found, about.question, progress)
}

/// The distribution of the sum of very many units, from power sums; `None` where these do not give it, or where there
/// may be a lattice.
fn many(
    strata: &[Stratum],
    shares: &[f64],
    place: (f64, f64),
    progress: Progress<'_>,
) -> Result<Option<Box<dyn Law>>, Stopped> {
    if strata.iter().map(|stratum| stratum.units.sums.len()).sum::<usize>() <= MANY {
        return Ok(None);
    }
    let mut on_lattice = true;
    for Stratum { units: ClusterSums { sums, .. }, .. } in strata {
        let mut some = memory::gathered(sums.iter().copied().step_by(sums.len().div_ceil(SAMPLE)))?;
        some.sort_unstable_by(f64::total_cmp);
        on_lattice &= some[0] == some[some.len() - 1] || Lattice::of(&some, 0.0)?.is_some();
    }
    if on_lattice {
        return Ok(None);
    }
    let columns = memory::collected(
        strata.iter().zip(shares).map(|(stratum, share)| (&stratum.units.sums[..], share * place.1)),
    )?;
    Ok(match mixed(&columns, place, progress)? {
        Some(law) if law.error <= GOOD => Some(Box::new(law)),
        Some(_) | None => None,
    })
}

/// The ideal bootstrap of a ratio of sums over all strata.
fn of_ratio(strata: Vec<Stratum>, about: About<'_>, progress: Progress<'_>) -> Result<Ideal, Ended> {
    let mut all = memory::with_capacity(strata.len())?;
    all.extend(strata.into_iter().map(|stratum| stratum.weighted().units));
    let [mut top, mut bottom, mut reach] = [0.0; 3];
    for ClusterSums { sums, sizes } in &all {
        top += total(sums, &mut *progress)?;
        bottom += total(sizes, &mut *progress)?;
        reach += sums.iter().map(|sum| sum * sum).sum::<f64>();
    }
    let near = top / bottom;
    if !near.is_finite() {
        return Err(NoEstimate::NoAnswer.into());
    }
    let sizes = memory::collected(all.iter().map(|units| &units.sizes[..]))?;
    if !ratio::denominators_hold(&sizes, &mut *progress)? {
        return Err(NoEstimate::EmptyResample.into());
    }
    top = 0.0;
    for ClusterSums { sums, sizes } in &mut all {
        sums.iter_mut().zip(sizes).for_each(|(sum, size)| *sum -= near * *size);
        top += total(sums, &mut *progress)?;
    }
    let (shift, rest) = (about.shift + near, top / bottom);
    let mut pulls = Vec::new();
    for ClusterSums { sums, sizes } in &all {
        let n = sums.len() as f64;
        let mean = (total(sums, &mut *progress)? - rest * total(sizes, &mut *progress)?) / n;
        memory::reserve(&mut pulls, sums.len())?;
        pulls.extend(sums.iter().zip(sizes).map(|(sum, size)| (sum - rest * size - mean) / bottom));
    }
    let found = found(&pulls, shift + rest, reach.sqrt() / bottom, about)?;
    if let (Method::Studentized, [units]) = (about.question.method, &all[..]) {
        return by_t(units, rest, found, about.question, progress);
    }
    let law = ratio::law(all, shift, found.value, found.standard_error, &mut *progress)?;
    limits(&*law, found, about.question, progress)
}

/// What the influences of the units about the mean of their stratum say; `reach` is the size of what they were computed
/// from.
fn found(pulls: &[f64], value: f64, reach: f64, about: About<'_>) -> Result<Found, Ended> {
    let standard_error = pulls.iter().map(|pull| pull * pull).sum::<f64>().sqrt();
    if standard_error <= NO_SPREAD * reach {
        return Err(NoEstimate::EqualReplicates { n: 0 }.into());
    }
    let acceleration = if about.question.method == Method::Bca { skewness(pulls, 0.0) } else { 0.0 };
    Ok(Found { value, standard_error, acceleration, binary: false, units: about.sample })
}
