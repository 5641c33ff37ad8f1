//! The comparison of two models on the same rows, from the scores to the interval and the p-value.

use super::answers::{Difference, Test};
use super::no_estimate::{Ended, NoEstimate, answer, finite};
use super::paired::{Method, Table, Wide, differences, paired_binary, unspread_difference};
use super::sign_flip::{self, SignFlip, sign_flip};
use super::stages::Stages;
use crate::grid::{CHUNK, Progress, Stopped, chunks};
use crate::intervals::cluster::{self, ClusterSums, Clustered, SumFacts};
use crate::intervals::mean::mean_interval;
use crate::intervals::moments::Moments;
use crate::intervals::spread::{Range, STEPS, ValueFacts};
use crate::intervals::strata::{Average, Form, StrataFacts, Stratified, Units, stratified};
use crate::intervals::{Alternative, Confidence, Interval};
use crate::memory;
use crate::simd::scalar;

/// The scores of both models; as many of each, and at least one.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// The scores of the new model and of the baseline.
    pub sides: [&'a dyn Wide; 2],
    /// Which of the two are booleans: these were not rounded.
    pub booleans: [bool; 2],
    /// See [`differences`].
    pub coarse: (f64, f64),
    /// The cluster of each row and the number of clusters, where rows have clusters.
    pub clusters: Option<(&'a [i64], usize)>,
    /// The strata of the clusters, or of the rows where there are no clusters.
    pub strata: Option<Strata<'a>>,
    /// The interval and the test of 0/1 answers of independent rows.
    pub answers: (Method, Test),
}

/// The strata of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Strata<'a> {
    /// The stratum of each unit, inside `0..count`.
    pub codes: &'a [i64],
    /// The number of strata.
    pub count: usize,
    /// How the differences of the strata become one.
    pub average: Average,
}

/// The mean difference at one level of confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The mean difference.
    pub value: f64,
    /// Its standard error; NaN where it is unknown.
    pub standard_error: f64,
    /// Its interval; NaN where there is none.
    pub interval: Interval,
    /// The degrees of freedom; NaN where there are none, and for 0/1 answers of independent rows.
    pub df: f64,
    /// Whether the differences (with clusters: their means) are equal except for rounding.
    pub unspread: bool,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Whether all scores lie in [0, 1].
    pub shares: bool,
    /// How many rows there are.
    pub rows: usize,
    /// The smallest and the largest difference.
    pub extremes: (f64, f64),
    /// The number of rows where the new model is larger.
    pub wins: u64,
    /// The number of rows where the baseline is larger.
    pub losses: u64,
    /// The mean difference at each level that was asked for.
    pub levels: Vec<Level>,
    /// With clusters: whether the means of all of them are the same number, without any rounding.
    pub same: bool,
    /// Clusters of 0/1 answers that show no spread: the intervals are Tango's with the clusters as pairs.
    pub tango: bool,
    /// With strata: how many of them show no spread.
    pub still: usize,
    /// With strata: the width of the range by which these add to the variance.
    pub width: f64,
    /// The p-value of McNemar's test for independent 0/1 answers.
    pub p: Option<f64>,
    /// The sign-flip test of all others; `None` also where a level is beyond the range of f64.
    pub flip: Option<SignFlip>,
}

/// How many steps `progress` counts for `rows` rows.
pub fn steps(rows: usize) -> usize {
    STAGES * chunks(rows, CHUNK) + sign_flip::steps(rows)
}

/// The moments of both sides, the differences and their moments, and the sums of the clusters.
const STAGES: usize = 5;

/// Compares the new model with the baseline at each of the levels of `confidences`, which have one alternative.
///
/// 0/1 answers of independent rows: an interval and a test by name ([`paired_binary`]). Otherwise the mean difference with Student's interval, or with its clustered (CR2) interval, and the sign-flip test of the differences,
/// or of their sums over clusters.
pub fn compare(
    scores: Sides<'_>,
    confidences: &[Confidence],
    progress: Progress<'_>,
) -> Result<Result<Comparison, NoEstimate>, Stopped> {
    answer(compared(scores, confidences, Stages::new(progress)))
}

fn compared(
    scores: Sides<'_>,
    confidences: &[Confidence],
    mut stages: Stages<'_>,
) -> Result<Comparison, Ended> {
    let [new, base] = scores.sides;
    let rows = new.len();
    let new_moments = finite(new.moments(&mut stages.next(rows))?, 0)?;
    let base_moments = finite(base.moments(&mut stages.next(rows))?, 1)?;
    let sides = [new_moments, base_moments];
    let d = differences(new, base, scores.coarse, &mut stages.next(rows))?;
    let binary = sides.iter().all(|side| side.binary);
    let mut found = Comparison {
        shares: scalar(|| sides.iter().all(|side| side.min >= 0.0 && side.max <= 1.0)),
        rows,
        extremes: (f64::NAN, f64::NAN),
        wins: d.wins,
        losses: d.losses,
        levels: memory::with_capacity(confidences.len())?,
        same: false,
        tango: false,
        still: 0,
        width: f64::NAN,
        p: None,
        flip: None,
    };
    if binary && scores.clusters.is_none() && scores.strata.is_none() {
        of_answers(&mut found, new_moments.ones, scores.answers, confidences);
        return Ok(found);
    }
    let moments = finite(d.values.as_slice().moments(&mut stages.next(rows))?, sides.len())?;
    found.extremes = (moments.min, moments.max);
    let facts = facts(&moments, found.rows, found.shares, steps_of(&sides, scores.booleans));
    let alternative = confidences.first().map_or(Alternative::TwoSided, |confidence| confidence.alternative);
    let graded = Graded { d: &d.values, moments, facts, binary, confidences, alternative };
    if let Some(strata) = scores.strata {
        graded.of_strata(&mut found, scores.clusters, strata, stages)?;
        return Ok(found);
    }
    match scores.clusters {
        None => graded.of_rows(&mut found, stages)?,
        Some((codes, count)) => graded.of_clusters(&mut found, codes, count, stages)?,
    }
    Ok(found)
}

/// The levels and the p-value of 0/1 answers of independent rows.
fn of_answers(found: &mut Comparison, ones: u64, (method, test): (Method, Test), confidences: &[Confidence]) {
    let table = Table::of(ones, found.wins, found.losses, found.rows as u64);
    for &confidence in confidences {
        let Difference { value, standard_error, interval, p } =
            paired_binary(table, method, test, confidence);
        found.p.get_or_insert(p);
        found.levels.push(Level { value, standard_error, interval, df: f64::NAN, unspread: false });
    }
}

/// The differences of graded scores, or of any scores whose rows have clusters, and what is known of them.
struct Graded<'a> {
    d: &'a [f64],
    moments: Moments,
    facts: ValueFacts,
    binary: bool,
    confidences: &'a [Confidence],
    alternative: Alternative,
}

impl Graded<'_> {
    /// The levels and the p-value of independent rows.
    fn of_rows(&self, found: &mut Comparison, mut stages: Stages<'_>) -> Result<(), Ended> {
        for &confidence in self.confidences {
            found.levels.push(student(&self.moments, found.rows, &self.facts, confidence));
        }
        let off = STEPS * self.facts.step;
        let off = [if whole(self.d, off) { 0.0 } else { off }];
        found.flip = Some(sign_flip(self.d, &off, self.alternative, &mut stages.next(self.d.len()))?);
        Ok(())
    }

    /// The levels and the p-value of rows in `count` clusters.
    fn of_clusters(
        &self,
        found: &mut Comparison,
        codes: &[i64],
        count: usize,
        mut stages: Stages<'_>,
    ) -> Result<(), Ended> {
        let sums = cluster::cluster_sums(self.d, codes, count, 0.0, None, &mut stages.next(self.d.len()))?;
        let sums = sums.ok_or(NoEstimate::Outside)?;
        found.same = sums.same_means();
        for &confidence in self.confidences {
            let level = self.clustered(&sums, confidence, &mut stages.between())?;
            found.tango = self.binary && found.same && !level.df.is_nan();
            found.levels.push(if found.tango { tango(level, count, confidence) } else { level });
        }
        if found.levels.iter().all(|level| level.is_finite(self.alternative)) {
            let off =
                if self.binary { memory::filled(1, 0.0)? } else { sums_off(self.d, &sums, &self.facts)? };
            found.flip = Some(sign_flip(&sums.sums, &off, self.alternative, &mut stages.next(self.d.len()))?);
        }
        Ok(())
    }

    /// The mean difference with its clustered (CR2) interval.
    fn clustered(
        &self,
        of: &ClusterSums,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<Level, Stopped> {
        let known = SumFacts { noise: self.facts.noise(0.0), range: self.facts.range, weighted: None };
        let Clustered { value, standard_error, interval, df, unspread, .. } =
            cluster::ratio(&of.sums, &of.sizes, 0.0, known, confidence, progress)?;
        Ok(Level { value, standard_error, interval, df, unspread })
    }
}

impl Graded<'_> {
    /// The levels and the p-value of strata, whose units are clusters or, without these, rows.
    fn of_strata(
        &self,
        found: &mut Comparison,
        clusters: Option<(&[i64], usize)>,
        strata: Strata<'_>,
        mut stages: Stages<'_>,
    ) -> Result<(), Ended> {
        let sums = match clusters {
            Some((codes, count)) => {
                let sums =
                    cluster::cluster_sums(self.d, codes, count, 0.0, None, &mut stages.next(self.d.len()))?;
                sums.ok_or(NoEstimate::Outside)?
            }
            None => ClusterSums {
                sums: memory::collected(self.d.iter().copied())?,
                sizes: memory::filled(self.d.len(), 1.0)?,
            },
        };
        let Strata { codes, count, average } = strata;
        let units = Units { sums: &sums.sums, sizes: &sums.sizes, strata: codes, count };
        let facts = StrataFacts::of(&self.facts, 0.0, self.binary, false);
        found.width = facts.width;
        for &confidence in self.confidences {
            let progress = &mut stages.between();
            let of = stratified(units, average, 0.0, Form::Student, facts, confidence, progress)?;
            let Stratified { mean, still } = of.ok_or(NoEstimate::Outside)?;
            let Clustered { value, standard_error, interval, df, unspread, .. } = mean;
            found.still = still;
            found.levels.push(Level { value, standard_error, interval, df, unspread });
        }
        if found.levels.iter().all(|level| level.is_finite(self.alternative)) {
            let mut off =
                if self.binary { memory::filled(1, 0.0)? } else { sums_off(self.d, &sums, &self.facts)? };
            let mut flipped = sums.sums;
            if average == Average::Macro {
                off = counting_once(&mut flipped, &sums.sizes, strata, &off)?;
            }
            found.flip = Some(sign_flip(&flipped, &off, self.alternative, &mut stages.next(self.d.len()))?);
        }
        Ok(())
    }
}

/// Multiplies the sum of each unit by `L/N_h`, with `N_h` the rows of its stratum and L the most that a stratum has, so
/// that every stratum counts alike in their total. Returns how far `off` the products may be.
fn counting_once(
    sums: &mut [f64],
    sizes: &[f64],
    strata: Strata<'_>,
    off: &[f64],
) -> Result<Vec<f64>, Stopped> {
    let mut rows = memory::filled(strata.count, 0.0)?;
    let stratum = |unit: usize| strata.codes[unit] as usize;
    scalar(|| sizes.iter().enumerate().for_each(|(unit, size)| rows[stratum(unit)] += size));
    let largest = scalar(|| rows.iter().fold(0.0, |a, &b| if b > a { b } else { a }));
    if scalar(|| rows.iter().all(|&of| of == largest)) {
        return Ok(memory::collected(off.iter().copied())?);
    }
    let products = (0..sums.len()).map(|unit| {
        let factor = largest / rows[stratum(unit)];
        let of = off[if off.len() == 1 { 0 } else { unit }];
        // The quotient and the product are rounded once each.
        factor * of + 2.0 * f64::EPSILON * (factor * sums[unit]).abs()
    });
    let off = scalar(|| memory::collected(products))?;
    scalar(|| {
        sums.iter_mut().enumerate().for_each(|(unit, sum)| *sum *= largest / rows[stratum(unit)]);
    });
    Ok(off)
}

/// The level of 0/1 answers whose `clusters` clusters show no spread.
fn tango(of: Level, clusters: usize, confidence: Confidence) -> Level {
    let (standard_error, interval) = unspread_difference(of.value, clusters as f64, of.df, confidence);
    Level { standard_error, interval, ..of }
}

impl Level {
    /// Whether the value is finite, and where the clusters show a spread, also the error and the limits that the
    /// alternative asks for.
    fn is_finite(&self, alternative: Alternative) -> bool {
        let Interval { low, high } = self.interval;
        let limits = match alternative {
            Alternative::TwoSided => [low, high],
            Alternative::Less => [high; 2],
            Alternative::Greater => [low; 2],
        };
        let spread = !self.df.is_nan() && !self.unspread;
        self.value.is_finite()
            && (!spread || (self.standard_error.is_finite() && limits.iter().all(|x| x.is_finite())))
    }
}

/// The larger unit in the last place of the two sides; a boolean counts as an f64.
fn steps_of(sides: &[Moments; 2], booleans: [bool; 2]) -> f64 {
    let step = |side: usize| if booleans[side] { f64::EPSILON } else { sides[side].step };
    scalar(|| if step(1) > step(0) { step(1) } else { step(0) })
}

/// What is known of the differences of scores with this `step`.
fn facts(moments: &Moments, rows: usize, shares: bool, step: f64) -> ValueFacts {
    let range = if shares { Range::Difference } else { Range::Unknown };
    ValueFacts { low: moments.min, high: moments.max, step, rows: rows as f64, range }
}

/// The mean difference of independent rows with Student's interval.
fn student(moments: &Moments, rows: usize, values: &ValueFacts, confidence: Confidence) -> Level {
    let (value, nan) = (moments.mean, f64::NAN);
    let df = if rows > 1 { (rows - 1) as f64 } else { nan };
    let found = mean_interval(value, moments.squares, rows as u64, values, confidence);
    found.map_or(
        Level { value, standard_error: nan, interval: Interval { low: nan, high: nan }, df, unspread: false },
        |(of, unspread)| Level {
            value,
            standard_error: of.standard_error,
            interval: of.interval,
            df,
            unspread,
        },
    )
}

/// Whether the differences are all whole numbers, though they might be `off` by more than half: then they, and their
/// sums, are not off at all.
fn whole(d: &[f64], off: f64) -> bool {
    scalar(|| off >= 0.5 && d.iter().all(|x| x.trunc() == *x))
}

/// How far off the sum of each cluster may be, by the rounding of the scores and of the additions.
fn sums_off(d: &[f64], of: &ClusterSums, values: &ValueFacts) -> Result<Vec<f64>, Stopped> {
    let reach = scalar(|| if -values.low > values.high { -values.low } else { values.high });
    let off = of.sizes.iter().map(|n| n * (STEPS * values.step + n * (f64::EPSILON * reach)));
    let off = scalar(|| memory::collected(off))?;
    let largest = scalar(|| off.iter().fold(0.0, |a, &b| if b > a { b } else { a }));
    Ok(if whole(d, largest) { memory::filled(1, 0.0)? } else { off })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: (Method, Test) = (Method::Tango, Test::MidP);
    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn of(new: &[f64], base: &[f64], clusters: Option<(&[i64], usize)>) -> Result<Comparison, NoEstimate> {
        let scores = Sides {
            sides: [&new, &base],
            booleans: [false; 2],
            coarse: (0.0, 0.0),
            clusters,
            strata: None,
            answers: BY,
        };
        compare(scores, &[TWO], &mut |_| true).unwrap()
    }

    #[test]
    fn each_kind_of_scores_has_its_test() {
        let (new, base) = ([1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]);
        let rows = of(&new, &base, None).unwrap();
        assert_eq!((rows.p, rows.flip), (Some(0.25), None)); // half of 2 (1/2)^2
        assert_eq!(rows.wins, 2);
        let clusters = of(&new, &base, Some((&[0, 0, 1, 1], 2))).unwrap();
        assert!(clusters.p.is_none() && clusters.flip.is_some() && clusters.same && clusters.tango);
        let graded = of(&[0.5, 0.0, 1.0, 1.0], &base, None).unwrap();
        assert!(graded.flip.is_some() && graded.levels[0].df == 3.0 && !graded.tango);
    }

    #[test]
    fn strata_weigh_the_flipped_sums_of_a_macro_average() {
        let (new, base) = ([0.9, 0.2, 0.7, 0.6, 0.5, 0.8], [0.5, 0.4, 0.1, 0.2, 0.4, 0.5]);
        let codes = [0, 0, 1, 1, 1, 1];
        let with = |average| {
            let strata = Some(Strata { codes: &codes, count: 2, average });
            let sides: [&dyn Wide; 2] = [&new.as_slice(), &base.as_slice()];
            let scores = Sides {
                sides,
                booleans: [false; 2],
                coarse: (0.0, 0.0),
                clusters: None,
                strata,
                answers: BY,
            };
            compare(scores, &[TWO], &mut |_| true).unwrap().unwrap()
        };
        let (micro, plain) = (with(Average::Micro), of(&new, &base, None).unwrap());
        assert_eq!(micro.flip, plain.flip);
        let d: Vec<f64> = new.iter().zip(base).map(|(a, b)| a - b).collect();
        let weighted: Vec<f64> =
            d.iter().zip(codes).map(|(d, h)| if h == 0 { 2.0 * d } else { *d }).collect();
        let want = sign_flip(&weighted, &[1e-15], Alternative::TwoSided, &mut |_| true).unwrap();
        let found = with(Average::Macro);
        assert_eq!(found.flip.map(|flip| flip.p), Some(want.p));
        assert!(
            (found.levels[0].value - (d[0] + d[1]) / 4.0 - d[2..].iter().sum::<f64>() / 8.0).abs() < 1e-15
        );
    }

    #[test]
    fn what_is_not_finite_is_refused_by_column() {
        assert_eq!(of(&[1.0], &[f64::NAN], None), Err(NoEstimate::NotFinite { column: 1, index: 0 }));
        let largest = f64::MAX;
        assert_eq!(of(&[largest], &[-largest], None), Err(NoEstimate::NotFinite { column: 2, index: 0 }));
        let [low, high] = [-largest, largest];
        let too_large = Err(NoEstimate::TooLarge { column: 0, low, high });
        assert_eq!(of(&[high, low], &[0.0, 0.0], None), too_large);
        assert_eq!(of(&[1.0], &[0.5], Some((&[1], 1))), Err(NoEstimate::Outside));
    }

    #[test]
    fn sums_are_as_far_off_whichever_sign_the_values_have() {
        let sums = ClusterSums { sums: vec![0.5; 3], sizes: vec![1.0, 4.0, 9.0] };
        let off = |low, high| {
            sums_off(&[0.5], &sums, &ValueFacts { low, high, step: 1e-16, rows: 9.0, range: Range::Unknown })
                .unwrap()
        };
        assert_eq!(off(-1.0, 8.0), off(-8.0, 1.0));
        assert!(off(-1.0, 8.0).iter().zip(off(-1.0, 1.0)).all(|(far, near)| *far > near));
    }

    #[test]
    fn whole_numbers_are_not_off() {
        assert!(whole(&[1.0, -3.0], 0.5) && !whole(&[1.0, -3.0], 0.4) && !whole(&[1.0, 0.5], 0.5));
    }
}
