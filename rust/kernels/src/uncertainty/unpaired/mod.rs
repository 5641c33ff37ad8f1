//! The comparison of two samples of different rows, from the scores to the interval and the p-value.
//!
//! | scores | interval | p |
//! |---|---|---|
//! | 0/1, independent rows | by [`Method`]: Newcombe's is [`square_and_add`] of two Wilson intervals | Fisher's test, by its name |
//! | graded, independent rows | Welch's t | Welch's t, or the permutation test |
//! | 0/1, clusters | [`square_and_add`] of two clustered Wilson intervals | t of the CR2 variances |
//! | graded, clusters | t of the CR2 variances | the same |
//!
//! A side without spread takes its limits and its standard error from [`spread::unspread`], so that no width is 0.

mod agresti_caffo;
mod answers;
mod fisher;
mod miettinen_nurminen;
mod newcombe;
mod permutation;

pub use answers::{Method, two_samples};
pub use fisher::fisher;
pub use newcombe::square_and_add;
pub use permutation::{ScoresTest, WAYS, permutation};

use super::answers::Test as Answers;
use super::comparison::Level;
use super::no_estimate::{Ended, NoEstimate, answer, finite};
use super::paired::Wide;
use super::shuffles::Shuffled;
use super::stages::Stages;
use crate::grid::{CHUNK, Progress, Stopped, chunks};
use crate::intervals::cluster::{self, ClusterSums, Clustered, SumFacts};
use crate::intervals::mean::t_interval;
use crate::intervals::moments::Moments;
use crate::intervals::proportion::{self, proportion, wilson};
use crate::intervals::spread::{self, Range, STEPS, ValueFacts};
use crate::intervals::{Alternative, Confidence, Interval};
use crate::math::student_t;
use crate::memory;
use crate::simd::scalar;

/// The scores of one side.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// The scores, at least one.
    pub scores: &'a dyn Wide,
    /// Whether they are booleans: these were not rounded.
    pub boolean: bool,
    /// The cluster of each row and the number of clusters. Either both sides have clusters or none has.
    pub clusters: Option<(&'a [i64], usize)>,
}

/// What is known of one side, apart from its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    /// The number of rows.
    pub rows: usize,
    /// The mean score.
    pub mean: f64,
    /// Whether the scores (with clusters: their means) are equal except for rounding.
    pub unspread: bool,
    /// Whether they are equal without any rounding.
    pub same: bool,
    /// Whether nothing is known of its spread: one graded score, or one cluster.
    pub alone: bool,
}

/// How the p-value was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Fisher's test of 0/1 answers, by the name that was asked for.
    Answers,
    /// The mid-p of Fisher's conditional test of two graded values, each held by all units of one side.
    Fisher,
    /// The permutation test of graded scores, counted; p is NaN where there are too many scores for it.
    Permutation,
    /// The same from random ways to deal them.
    Dealt,
    /// Student's t of the difference over its standard error, with Satterthwaite's degrees of freedom.
    T,
    /// No test, since the spread of a side is unknown; p is 1.
    None,
}

/// A comparison of two samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Unpaired {
    /// Whether all scores lie in [0, 1].
    pub shares: bool,
    /// Whether all scores are 0 or 1.
    pub binary: bool,
    /// The new model and the baseline.
    pub sides: [Side; 2],
    /// The difference at each level that was asked for.
    pub levels: Vec<Level>,
    /// How p was computed.
    pub test: Test,
    /// The p-value, at least the smallest normal f64.
    pub p: f64,
}

/// How many steps `progress` counts for samples of so many rows: the moments and the clusters of each.
pub fn steps(rows: [usize; 2]) -> usize {
    2 * (chunks(rows[0], CHUNK) + chunks(rows[1], CHUNK))
}

/// What is used where rows are independent, by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct By {
    /// The interval of 0/1 answers.
    pub method: Method,
    /// The test of 0/1 answers.
    pub answers: Answers,
    /// The test of graded scores.
    pub scores: ScoresTest,
}

impl By {
    /// What is used where nothing is said.
    pub const DEFAULT: By = By { method: Method::Newcombe, answers: Answers::MidP, scores: ScoresTest::T };
}

/// Compares the new sample with the baseline at each of the levels of `confidences`, which have one alternative.
pub fn compare(
    samples: [Sample<'_>; 2],
    by: By,
    confidences: &[Confidence],
    progress: Progress<'_>,
) -> Result<Result<Unpaired, NoEstimate>, Stopped> {
    answer(compared(samples, by, confidences, Stages::new(progress)))
}

fn compared(
    samples: [Sample<'_>; 2],
    by: By,
    confidences: &[Confidence],
    mut stages: Stages<'_>,
) -> Result<Unpaired, Ended> {
    let mut moments_of = |side: usize| -> Result<Moments, Ended> {
        let scores = samples[side].scores;
        Ok(finite(scores.moments(&mut stages.next(scores.len()))?, side)?)
    };
    let moments = [moments_of(0)?, moments_of(1)?];
    let binary = moments.iter().all(|of| of.binary);
    let shares = scalar(|| moments.iter().all(|of| of.min >= 0.0 && of.max <= 1.0));
    let range = if shares { Range::Share } else { Range::Unknown };
    let known = [
        Known::of(0, samples[0], moments[0], binary, range, &mut stages)?,
        Known::of(1, samples[1], moments[1], binary, range, &mut stages)?,
    ];
    let mut levels = memory::with_capacity(confidences.len())?;
    let mut first = None;
    for &confidence in confidences {
        let parts = [known[0].part(confidence, &mut stages)?, known[1].part(confidence, &mut stages)?];
        let by_name = answers_limits(&known, by.method, confidence);
        levels.push(scalar(|| level(parts, by_name, binary, range, confidence)));
        first.get_or_insert(parts);
    }
    check_size(&levels, &moments)?;
    let parts = first.unwrap_or([Part::NONE; 2]);
    let alternative = confidences.first().map_or(Alternative::TwoSided, |confidence| confidence.alternative);
    let (test, p) = if by.scores == ScoresTest::Permutation && !binary && samples[0].clusters.is_none() {
        permuted(samples, &known, alternative, &mut stages.between())?
    } else {
        scalar(|| test(&known, parts, levels.first(), by.answers, alternative))
    };
    let side = |i: usize| Side {
        rows: known[i].rows,
        mean: known[i].moments.mean,
        unspread: parts[i].unspread,
        same: known[i].same(),
        alone: parts[i].standard_error.is_nan() && !parts[i].unspread,
    };
    Ok(Unpaired { shares, binary, sides: [side(0), side(1)], levels, test, p })
}

/// Refuses scores whose difference, or whose standard error, is beyond the range of f64.
fn check_size(levels: &[Level], moments: &[Moments; 2]) -> Result<(), NoEstimate> {
    let beyond = |of: &Level| !of.value.is_finite() || of.standard_error == f64::INFINITY;
    if !levels.iter().any(beyond) {
        return Ok(());
    }
    let largest = |of: &Moments| if -of.min > of.max { -of.min } else { of.max };
    let column = usize::from(scalar(|| largest(&moments[1]) > largest(&moments[0])));
    let Moments { min: low, max: high, .. } = moments[column];
    Err(NoEstimate::TooLarge { column, low, high })
}

/// One side: its moments and, where it has clusters, their sums.
struct Known {
    rows: usize,
    moments: Moments,
    facts: ValueFacts,
    binary: bool,
    /// The sums by cluster, and the number that was subtracted from each score.
    sums: Option<(ClusterSums, f64)>,
}

impl Known {
    fn of(
        place: usize,
        sample: Sample<'_>,
        moments: Moments,
        binary: bool,
        range: Range,
        stages: &mut Stages<'_>,
    ) -> Result<Known, Ended> {
        let rows = sample.scores.len();
        let step = if sample.boolean { f64::EPSILON } else { moments.step };
        let facts = ValueFacts { low: moments.min, high: moments.max, step, rows: rows as f64, range };
        // Sums of 0 and 1 are exact. Those of deviations from the mean keep the digits that a large mean would round
        // away.
        let shift = if moments.binary { 0.0 } else { moments.mean };
        let sums = match sample.clusters {
            None => None,
            Some((codes, count)) => {
                let sums = sample.scores.cluster_sums(codes, count, shift, &mut stages.next(rows))?;
                let sums = sums.ok_or(NoEstimate::Outside)?;
                let total: f64 = scalar(|| sums.sums.iter().sum());
                if !total.is_finite() {
                    let Moments { min: low, max: high, .. } = moments;
                    return Err(NoEstimate::TooLarge { column: place, low, high }.into());
                }
                Some((sums, shift))
            }
        };
        Ok(Known { rows, moments, facts, binary, sums })
    }

    /// The mean of this side at one level.
    fn part(&self, confidence: Confidence, stages: &mut Stages<'_>) -> Result<Part, Stopped> {
        match &self.sums {
            None => {
                Ok(scalar(|| if self.binary { self.answers(confidence) } else { self.scores(confidence) }))
            }
            Some((sums, shift)) => self.clustered(sums, *shift, confidence, &mut stages.between()),
        }
    }

    /// 0/1 answers of independent rows: Wilson's interval.
    fn answers(&self, confidence: Confidence) -> Part {
        let (ones, rows) = (self.moments.ones, self.rows as u64);
        let standard_error =
            proportion(ones, rows, proportion::Method::Wilson, confidence.two_sided()).standard_error;
        let limits = wilson(ones as f64, (rows - ones) as f64, confidence.z());
        let unspread = ones == 0 || ones == rows;
        Part { mean: self.moments.mean, standard_error, limits, df: f64::NAN, unspread }
    }

    /// Graded scores of independent rows: Student's interval.
    fn scores(&self, confidence: Confidence) -> Part {
        let Moments { mean, squares, .. } = self.moments;
        let Some(of) = t_interval(mean, squares, self.rows as u64, confidence.two_sided()) else {
            return Part { mean, ..Part::NONE };
        };
        let df = self.rows as f64 - 1.0;
        if self.facts.equal() {
            return self.unspread(mean, self.rows as f64, df, confidence);
        }
        Part::student(mean, of.standard_error, df, confidence)
    }

    /// Rows in clusters: Wilson's interval with the effective number of rows for 0/1 answers, else Student's.
    fn clustered(
        &self,
        of: &ClusterSums,
        shift: f64,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<Part, Stopped> {
        let ClusterSums { sums, sizes } = of;
        let sides = confidence.two_sided();
        if self.binary {
            let Clustered { value: mean, standard_error, df, n_effective, unspread, .. } =
                cluster::proportion(sums, sizes, SumFacts::EXACT, sides, progress)?;
            return Ok(scalar(|| {
                let limits = wilson(mean * n_effective, (1.0 - mean) * n_effective, confidence.t(df));
                Part { mean, standard_error, limits, df, unspread }
            }));
        }
        let facts = SumFacts { noise: self.facts.noise(shift), range: self.facts.range, weighted: None };
        let Clustered { value: mean, standard_error, df, unspread, .. } =
            cluster::ratio(sums, sizes, shift, facts, sides, progress)?;
        Ok(scalar(|| {
            if unspread {
                return self.unspread(mean, sizes.len() as f64, df, confidence);
            }
            Part::student(mean, standard_error, df, confidence)
        }))
    }

    /// `n` equal scores, or means of clusters.
    fn unspread(&self, mean: f64, n: f64, df: f64, confidence: Confidence) -> Part {
        let standard_error = spread::unspread(mean, n, self.facts.range, confidence).standard_error;
        let limits = spread::limits(mean, n, self.facts.range, confidence.z());
        Part { mean, standard_error, limits, df, unspread: true }
    }

    /// Whether the scores, or the means of all clusters, are one number without any rounding.
    fn same(&self) -> bool {
        match &self.sums {
            None => self.moments.min == self.moments.max,
            Some((of, _)) => of.same_means(),
        }
    }

    /// The number of rows, or of clusters.
    fn units(&self) -> u64 {
        self.sums.as_ref().map_or(self.rows, |(of, _)| of.sums.len()) as u64
    }
}

/// The mean of one side at one level. The standard error and the limits are NaN where they are not known.
#[derive(Clone, Copy)]
struct Part {
    mean: f64,
    standard_error: f64,
    /// Both limits at the critical value of the level, also for a one-sided interval.
    limits: Interval,
    df: f64,
    unspread: bool,
}

impl Part {
    const NONE: Part = Part {
        mean: f64::NAN,
        standard_error: f64::NAN,
        limits: Interval { low: f64::NAN, high: f64::NAN },
        df: f64::NAN,
        unspread: false,
    };

    fn student(mean: f64, standard_error: f64, df: f64, confidence: Confidence) -> Part {
        let half = confidence.t(df) * standard_error;
        let limits = Interval { low: mean - half, high: mean + half };
        Part { mean, standard_error, limits, df, unspread: false }
    }
}

/// The limits of the difference of 0/1 answers of independent rows; `None` for all others.
fn answers_limits([new, base]: &[Known; 2], method: Method, confidence: Confidence) -> Option<Interval> {
    let (hits, rows) = ([new.moments.ones, base.moments.ones], [new.rows as u64, base.rows as u64]);
    (new.binary && new.sums.is_none()).then(|| method.limits(hits, rows, confidence.z()))
}

/// The difference of the means at one level; `by_name` are the limits that a method for 0/1 answers gives.
fn level(
    parts: [Part; 2],
    by_name: Option<Interval>,
    binary: bool,
    range: Range,
    confidence: Confidence,
) -> Level {
    let [new, base] = parts;
    let [v, w] = parts.map(|of| of.standard_error * of.standard_error);
    let (value, standard_error) = (new.mean - base.mean, (v + w).sqrt());
    let df = satterthwaite([v, w], [new.df, base.df]);
    let unspread = new.unspread && base.unspread;
    let interval = if standard_error.is_nan() {
        Interval { low: f64::NAN, high: f64::NAN }
    } else if binary || new.unspread || base.unspread {
        let both =
            by_name.unwrap_or_else(|| square_and_add([new.mean, base.mean], [new.limits, base.limits]));
        let end = if let Range::Unknown = range { f64::INFINITY } else { 1.0 };
        confidence.open(both, -end, end)
    } else {
        confidence.around(value, confidence.t(df) * standard_error)
    };
    Level { value, standard_error, interval, df, unspread }
}

/// The degrees of freedom of the sum of two variances (Satterthwaite 1946): (v + w)^2 / (v^2/df + w^2/df').
fn satterthwaite([v, w]: [f64; 2], [a, b]: [f64; 2]) -> f64 {
    let (f, g) = (v / (v + w), w / (v + w));
    1.0 / (f * f / a + g * g / b)
}

/// The permutation test and its p-value; NaN where there are too many scores.
fn permuted(
    samples: [Sample<'_>; 2],
    known: &[Known; 2],
    alternative: Alternative,
    progress: Progress<'_>,
) -> Result<(Test, f64), Stopped> {
    let widened = |side: usize| -> Result<Vec<f64>, Stopped> {
        let mut scores = memory::filled(samples[side].scores.len(), 0.0)?;
        samples[side].scores.widen(0, &mut scores);
        Ok(scores)
    };
    let [a, b] = [0, 1].map(|side| known[side].facts.step);
    let off = STEPS * if a > b { a } else { b };
    let found = permutation(&widened(0)?, &widened(1)?, off, alternative, progress)?;
    let Some(Shuffled { p, drawn }) = found else { return Ok((Test::Permutation, f64::NAN)) };
    let test = if drawn == 0 { Test::Permutation } else { Test::Dealt };
    Ok((test, if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p }))
}

/// The test of no difference, and its p-value.
fn test(
    known: &[Known; 2],
    parts: [Part; 2],
    level: Option<&Level>,
    of_answers: Answers,
    alternative: Alternative,
) -> (Test, f64) {
    let [new, base] = known;
    let (test, p) = if new.binary && new.sums.is_none() {
        let (hits, rows) = ([new.moments.ones, base.moments.ones], [new.rows as u64, base.rows as u64]);
        (Test::Answers, fisher(hits, rows, alternative, of_answers))
    } else if parts[0].unspread && parts[1].unspread && !new.binary {
        // Of two values, each held by all units of one side, permutations of the units give Fisher's test.
        let (a, b) = (parts[0].mean, parts[1].mean);
        let step = if new.facts.step > base.facts.step { new.facts.step } else { base.facts.step };
        let units = [new.units(), base.units()];
        let high = if (a - b).abs() <= STEPS * step {
            [0, 0]
        } else if a > b {
            [units[0], 0]
        } else {
            [0, units[1]]
        };
        (Test::Fisher, fisher(high, units, alternative, Answers::MidP))
    } else {
        let t = level.map_or(f64::NAN, |of| of.value / of.standard_error);
        if t.is_nan() {
            (Test::None, 1.0)
        } else {
            (Test::T, student(t, level.map_or(1.0, |of| of.df), alternative))
        }
    };
    (test, if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p })
}

fn student(t: f64, df: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::Greater => student_t::sf(t, df),
        Alternative::Less => student_t::cdf(t, df),
        Alternative::TwoSided => 2.0 * student_t::sf(t.abs(), df),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn answers(hits: usize, rows: usize) -> Vec<f64> {
        (0..rows).map(|i| f64::from(u8::from(i < hits))).collect()
    }

    fn of(new: &[f64], base: &[f64], clusters: [Option<(&[i64], usize)>; 2]) -> Result<Unpaired, NoEstimate> {
        let sample = |i: usize| Sample {
            scores: if i == 0 { &new } else { &base },
            boolean: false,
            clusters: clusters[i],
        };
        let samples = [sample(0), sample(1)];
        compare(samples, By::DEFAULT, &[TWO], &mut |_| true).unwrap()
    }

    fn near(a: f64, b: f64, tolerance: f64) -> bool {
        (a - b).abs() <= tolerance
    }

    #[test]
    fn newcombes_table() {
        let got = of(&answers(56, 70), &answers(48, 80), [None; 2]).unwrap();
        let Interval { low, high } = got.levels[0].interval;
        assert!(near(low, 0.052_431_5, 5e-8) && near(high, 0.333_872_7, 5e-8), "{low} {high}");
        assert!(got.test == Test::Answers && got.levels[0].df.is_nan());
    }

    #[test]
    fn welchs_t_of_scores() {
        let (new, base) = ([1.0, 2.0, 3.0, 4.5], [2.0, 2.5, 4.0, 8.0, 9.0]);
        let got = of(&new, &base, [None; 2]).unwrap();
        // Variances 2.229/4 and 10.3/5.
        let (v, w) = (2.229_166_666_666_666_5 / 4.0, 10.3 / 5.0);
        let df = (v + w) * (v + w) / (v * v / 3.0 + w * w / 4.0);
        let level = &got.levels[0];
        assert!(
            near(level.df, df, 1e-12) && near(level.standard_error, f64::sqrt(v + w), 1e-14),
            "{level:?}"
        );
        assert!(
            got.test == Test::T
                && near(got.p, 2.0 * student_t::cdf(level.value / f64::sqrt(v + w), df), 1e-14)
        );
    }

    #[test]
    fn rows_that_are_clusters_of_their_own_are_independent() {
        let (new, base) = ([1.0, 2.0, 3.0, 4.5], [2.0, 2.5, 4.0, 8.0, 9.0]);
        let codes: Vec<i64> = (0..5).collect();
        let rows = of(&new, &base, [None; 2]).unwrap();
        let clusters = of(&new, &base, [Some((&codes[..4], 4)), Some((&codes, 5))]).unwrap();
        let (a, b) = (rows.levels[0], clusters.levels[0]);
        assert!(near(a.interval.low, b.interval.low, 1e-12) && near(rows.p, clusters.p, 1e-12));
    }

    #[test]
    fn no_side_without_spread_gives_a_width_of_zero() {
        let codes: Vec<i64> = (0..3).collect();
        let own = [Some((&codes[..], 3)), Some((&codes[..], 3))];
        for (new, base) in
            [([0.9; 3], [0.5; 3]), ([0.9; 3], [0.9; 3]), ([0.9; 3], [0.1, 0.5, 0.6]), ([1.0; 3], [1.0; 3])]
        {
            for clusters in [[None; 2], own] {
                let got = of(&new, &base, clusters).unwrap();
                let Level { value, standard_error, interval: Interval { low, high }, .. } = got.levels[0];
                assert!(low < value && value < high && standard_error > 0.0, "{new:?} {base:?} {got:?}");
                assert!(!got.levels[0].unspread || (-1.0 <= low && high <= 1.0));
                assert!(got.p >= 0.049, "{got:?}");
            }
        }
        // Outside [0, 1] nothing bounds what the sample does not show.
        let got = of(&[7.0; 3], &[5.0; 3], [None; 2]).unwrap();
        assert!(got.levels[0].interval.low.is_nan() && got.levels[0].value == 2.0);
        assert!(got.test == Test::Fisher && near(got.p, 2.0 * 0.5 / 20.0, 1e-15));
        let got = of(&[7.0; 3], &[5.0, 5.5, 6.0], [None; 2]).unwrap();
        assert!(got.levels[0].interval.low.is_nan() && got.test == Test::None && got.p == 1.0);
    }

    #[test]
    fn one_score_or_one_cluster_has_no_spread_to_speak_of() {
        let got = of(&[0.5], &[0.1, 0.4], [None; 2]).unwrap();
        assert!(got.sides[0].alone && !got.sides[1].alone && got.levels[0].interval.low.is_nan());
        let got = of(&[1.0, 0.0], &[1.0, 0.0], [Some((&[0, 0], 1)), Some((&[0, 1], 2))]).unwrap();
        assert!(got.sides[0].alone && got.levels[0].interval.low.is_nan() && got.p == 1.0);
        // One answer of 0 or 1 has Wilson's interval.
        assert!(of(&[1.0], &[0.0, 1.0], [None; 2]).unwrap().levels[0].interval.low < 0.5);
    }

    #[test]
    fn swapping_the_sides_swaps_the_bits() {
        let (a, b) = ([0.25, 0.75, 0.8], [0.1, 0.9, 0.6, 0.2]);
        let tables = [(answers(5, 9), answers(8, 11)), (a.to_vec(), b.to_vec()), (vec![0.3; 4], b.to_vec())];
        for (new, base) in tables {
            let (there, back) = (of(&new, &base, [None; 2]).unwrap(), of(&base, &new, [None; 2]).unwrap());
            let (x, y) = (there.levels[0], back.levels[0]);
            assert_eq!(
                (x.value, x.interval.low, x.interval.high),
                (-y.value, -y.interval.high, -y.interval.low)
            );
            assert_eq!(
                (there.p, x.standard_error, x.df.to_bits()),
                (back.p, y.standard_error, y.df.to_bits())
            );
        }
    }

    #[test]
    fn one_sided_p_values_add_up_to_one() {
        let fisher = |hits, rows, alternative| super::fisher(hits, rows, alternative, Answers::MidP);
        let of_table = |alternative| fisher([7, 3], [10, 12], alternative);
        let (less, greater) = (of_table(Alternative::Less), of_table(Alternative::Greater));
        assert!(
            near(less + greater, 1.0, 1e-14) && near(of_table(Alternative::TwoSided), 2.0 * greater, 1e-15)
        );
        assert_eq!(fisher([3, 7], [12, 10], Alternative::Less), greater);
        assert_eq!(
            fisher([4, 4], [4, 9], Alternative::TwoSided),
            2.0 * fisher([4, 4], [4, 9], Alternative::Greater)
        );
        assert_eq!(
            (fisher([5, 5], [5, 5], Alternative::TwoSided), fisher([0, 0], [4, 9], Alternative::TwoSided)),
            (1.0, 1.0)
        );
    }

    #[test]
    fn what_is_too_large_names_its_side() {
        let largest = f64::MAX;
        let got = of(&[largest; 2], &[-largest; 2], [None; 2]);
        assert_eq!(got, Err(NoEstimate::TooLarge { column: 0, low: largest, high: largest }));
        assert_eq!(of(&[1.0], &[f64::NAN], [None; 2]), Err(NoEstimate::NotFinite { column: 1, index: 0 }));
        let outside = [Some((&[1i64][..], 1)), Some((&[0i64][..], 1))];
        assert_eq!(of(&[1.0], &[0.5], outside), Err(NoEstimate::Outside));
    }
}
