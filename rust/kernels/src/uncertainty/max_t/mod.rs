//! All pairs of many models on the same units, tested together: the step-down max-t test over shared sign flips.
//!
//! With scores `x[u][k]` of unit u (an item, or the sum over a cluster) and model k, the difference of models i and j is
//! `d_u = x[u][i] - x[u][j]`, its statistic `r_ij = sum_u d_u / sqrt(sum_u d_u^2)`. A pattern s of signs, the same for
//! every model, gives `r*_ij = sum_u s_u d_u / sqrt(sum_u d_u^2)`. Flipping signs leaves the sum of squares as it is, so
//! that Student's t is an increasing function of r, and the maximum over pairs is that of t. As `sum_u s_u d_u` is the
//! difference of two models' sums, a pattern costs one sum per model, not one per pair.
//!
//! The hypotheses are one-sided, two for each pair: "i is not better than j" and "j is not better than i". They are
//! rejected step by step, the largest r first; the reference distribution of a step is the maximum over all hypotheses
//! not yet rejected, which always include the opposite of those that are (Romano and Wolf, JASA 100 (2005); for ranks:
//! Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91 (2024)). With probability 1 - alpha no claim
//! "i is better than j" is false, whatever the true differences are.

mod baseline;
mod draws;

pub use baseline::{AgainstBaseline, against_baseline};
pub use draws::{Errors, by_draws};

use super::sign_flip::{scaled, scaling};
use crate::grid::{self, Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::random::{BITS, Domain, Stream, WORDS};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Patterns that are drawn where there are too many to count all.
pub const DRAWN: usize = 9_999;
/// Patterns that are computed side by side.
const LANES: usize = 32;
/// A number for each of these patterns, in whole lines of the cache: loads that lie across two lines take so much longer
/// that AVX-512 took twice the time of AVX2.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lanes([f64; LANES]);

impl Lanes {
    const ZERO: Lanes = Lanes([0.0; LANES]);
}

/// Units whose signs stand in one word of a pattern.
const UNITS: usize = u32::BITS as usize;
/// Blocks of patterns that are handed to the threads together.
const TOGETHER: usize = 16;
/// Units in a chunk of work are as many as make this many scores, rounded to whole batches of signs.
const SCORES: usize = 1 << 21;
/// Values of r that are closer than this times sqrt(units) are equal: 2^-40.
const SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// The tests of all pairs of models.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxT {
    /// `r[i * models + j]`: positive where model i is better; 0 on the diagonal and for models without a difference.
    pub statistics: Vec<f64>,
    /// `p[i * models + j]`, symmetric: the adjusted p of the claim that the better one of the pair is better.
    pub p: Vec<f64>,
    /// How many patterns were used, with the one that was observed.
    pub patterns: usize,
    /// Whether these are all patterns.
    pub all: bool,
}

/// How far [`max_t`] has to go, in units of its `progress`.
pub fn steps(units: usize) -> usize {
    blocks(patterns(units).0)
}

/// The tests of all pairs of the `models` columns of `x`, which holds the scores unit by unit. Scores that differ by at
/// most `tie` times the larger one are equal.
///
/// All `2^units` patterns are counted where there are at most 9,999 (units on which all models agree do not count);
/// else 9,999 random ones and the observed one.
pub fn max_t(x: &[f64], models: usize, tie: f64, seed: u64, progress: Progress<'_>) -> Result<MaxT, Stopped> {
    scalar(|| tested(x, models, tie, seed, progress))
}

fn tested(x: &[f64], models: usize, tie: f64, seed: u64, progress: Progress<'_>) -> Result<MaxT, Stopped> {
    let scores = Scores::new(x, models, tie, progress)?;
    let pairs = scores.pairs(tie, progress)?;
    let (patterns, all) = patterns(scores.units());
    let signs = Signs { seed, all };
    let work = |sums: &[Lanes], live: usize, counts: &mut [u32]| {
        dispatch(Reached { sums, pairs: &pairs, live, counts });
    };
    let counts = scores.counted(signs, patterns, pairs.len(), work, progress)?;
    Ok(gathered(&pairs, &counts, models, patterns, all)?)
}

/// How many patterns are used for this many units beside the observed one, and whether they are all there are.
fn patterns(units: usize) -> (usize, bool) {
    let few = units < usize::BITS as usize && 1 << units <= DRAWN;
    if few { (1 << units, true) } else { (DRAWN, false) }
}

fn blocks(patterns: usize) -> usize {
    grid::chunks(patterns, LANES)
}

/// The patterns that are used beside the observed one: it is one of all patterns, and is added to those that are drawn.
#[derive(Clone, Copy)]
struct Used {
    patterns: usize,
    all: bool,
}

impl Used {
    /// How many there are with the observed one.
    fn count(self) -> usize {
        self.patterns + usize::from(!self.all)
    }

    /// The share of these that `count` of the patterns are, with the observed one.
    fn share(self, count: u32) -> f64 {
        (count as usize + usize::from(!self.all)) as f64 / self.count() as f64
    }
}

/// Adds sums of differences and of their squares.
fn add_to(totals: &mut [[f64; 2]], more: &[[f64; 2]]) {
    for (total, more) in totals.iter_mut().zip(more) {
        *total = [total[0] + more[0], total[1] + more[1]];
    }
}

/// 1 / sqrt(sum d^2); 0 where all differences are 0.
fn inverse_root(squares: f64) -> f64 {
    if squares > 0.0 { 1.0 / squares.sqrt() } else { 0.0 }
}

/// The p-values of all pairs: a pair has at least the p of every pair whose r is larger.
fn gathered(
    pairs: &[Pair],
    counts: &[u32],
    models: usize,
    patterns: usize,
    all: bool,
) -> Result<MaxT, NoMemory> {
    let mut statistics = memory::filled(models * models, 0.0)?;
    let mut p = memory::filled(models * models, 1.0)?;
    let used = Used { patterns, all };
    let mut largest = 0.0;
    for (pair, &count) in pairs.iter().zip(counts).rev() {
        let own = used.share(count);
        largest = if own > largest { own } else { largest };
        let [one, other] =
            [[pair.better, pair.worse], [pair.worse, pair.better]].map(|[i, j]| i * models + j);
        (statistics[one], statistics[other]) = (pair.r, -pair.r);
        (p[one], p[other]) = (largest, largest);
    }
    Ok(MaxT { statistics, p, patterns: used.count(), all })
}

/// Two models, the better one first.
#[derive(Clone, Copy)]
struct Pair {
    better: usize,
    worse: usize,
    /// 1 / sqrt(sum d^2); 0 where all differences are 0.
    inverse: f64,
    r: f64,
    /// What a flipped r must reach in order to count.
    bar: f64,
}

/// The scores of the units on which not all models agree, scaled by a power of two so that squares do not overflow.
struct Scores {
    models: usize,
    plain: Vec<f64>,
    /// The same without the median of each unit. This changes no difference, and keeps what all models have in common
    /// out of the rounding of the sums.
    centred: Vec<f64>,
}

impl Scores {
    fn new(x: &[f64], models: usize, tie: f64, progress: Progress<'_>) -> Result<Self, Stopped> {
        let mut pace = Pace::new(progress);
        let largest = x.iter().fold(0.0, |top, v| if v.abs() > top { v.abs() } else { top });
        let scale = scaling(largest);
        let (mut plain, mut centred) = (memory::with_capacity(x.len())?, memory::with_capacity(x.len())?);
        let mut sorted = memory::filled(models, 0.0)?;
        for row in x.chunks_exact(models) {
            pace.stride(models)?;
            sorted.copy_from_slice(row);
            sorted.sort_unstable_by(f64::total_cmp);
            if tied(sorted[0], sorted[models - 1], tie) {
                continue;
            }
            let median = scaled(sorted[(models - 1) / 2], scale);
            centred.extend(row.iter().map(|&v| scaled(v, scale) - median));
            plain.extend(row.iter().map(|&v| scaled(v, scale)));
        }
        Ok(Scores { models, plain, centred })
    }

    fn units(&self) -> usize {
        self.plain.len() / self.models
    }

    /// Scores in a chunk of work: whole units, and whole batches of signs.
    fn chunk(&self) -> usize {
        let batch = BITS as usize;
        (SCORES / self.models / batch).max(1) * batch * self.models
    }

    /// All pairs, in ascending order of r.
    fn pairs(&self, tie: f64, progress: Progress<'_>) -> Result<Vec<Pair>, Stopped> {
        let m = self.models;
        let mut totals = memory::filled(m * m, [0.0; 2])?;
        for part in self.plain.chunks(self.chunk()) {
            let rows = grid::map_chunks(m, size_of_val(part) * m, progress, |i| {
                let mut row = memory::filled(m - i, [0.0; 2])?;
                dispatch(Differences { x: part, models: m, i, tie, row: &mut row });
                Ok::<_, NoMemory>(row)
            })?;
            for (i, row) in rows.into_iter().enumerate() {
                add_to(&mut totals[i * m + i..(i + 1) * m], &row?);
            }
        }
        let slack = SLACK * (self.units() as f64).sqrt();
        let mut pairs = memory::with_capacity(m * (m - 1) / 2)?;
        for i in 0..m {
            for j in i + 1..m {
                let [sum, squares] = totals[i * m + j];
                let inverse = inverse_root(squares);
                let r = sum.abs() * inverse;
                let (better, worse) = if sum < 0.0 { (j, i) } else { (i, j) };
                pairs.push(Pair { better, worse, inverse, r, bar: r - slack });
            }
        }
        pairs.sort_by(|one, other| one.r.total_cmp(&other.r));
        Ok(pairs)
    }

    /// Adds up, over all blocks of `patterns`, the `columns` counts that `work` adds for the models' sums of a block, of which
    /// some lanes are live.
    fn counted(
        &self,
        signs: Signs,
        patterns: usize,
        columns: usize,
        work: impl Fn(&[Lanes], usize, &mut [u32]) + Sync,
        progress: Progress<'_>,
    ) -> Result<Vec<u32>, Stopped> {
        let mut counts = memory::filled(columns, 0u32)?;
        let count = blocks(patterns);
        for first in (0..count).step_by(TOGETHER) {
            let group = first..count.min(first + TOGETHER);
            let mut tell = |_| progress(first);
            let sums = self.flipped(signs, group.clone(), &mut tell)?;
            let bytes = group.len() * columns * LANES * 16;
            let found = grid::map_chunks(group.len(), bytes, &mut tell, |b| {
                let live = LANES.min(patterns - (first + b) * LANES);
                let mut counts = memory::filled(columns, 0u32)?;
                work(&sums[b], live, &mut counts);
                Ok::<_, NoMemory>(counts)
            })?;
            for found in found {
                counts.iter_mut().zip(found?).for_each(|(count, more)| *count += more);
            }
        }
        Ok(counts)
    }

    /// The models' sums under each block of patterns.
    fn flipped(
        &self,
        signs: Signs,
        blocks: std::ops::Range<usize>,
        progress: Progress<'_>,
    ) -> Result<Vec<Vec<Lanes>>, Stopped> {
        let (size, first) = (self.chunk(), blocks.start);
        let parts = grid::chunks(self.centred.len(), size);
        let bytes = size_of_val(&self.centred[..]) * blocks.len() * LANES;
        let sums = grid::map_chunks(blocks.len() * parts, bytes, progress, |task| {
            let (block, part) = (first + task / parts, task % parts);
            let mut sums = memory::filled(self.models, Lanes::ZERO)?;
            let x = &self.centred[grid::chunk(part, self.centred.len(), size)];
            dispatch(Flipped {
                x,
                signs,
                block,
                batch: (part * size / self.models) as u64 / BITS,
                sums: &mut sums,
            });
            Ok::<_, NoMemory>(sums)
        })?;
        let mut totals = memory::with_capacity(blocks.len())?;
        for _ in blocks {
            totals.push(memory::filled(self.models, Lanes::ZERO)?);
        }
        for (task, sums) in sums.into_iter().enumerate() {
            for (total, more) in totals[task / parts].iter_mut().zip(sums?) {
                total.0.iter_mut().zip(more.0).for_each(|(total, more)| *total += more);
            }
        }
        Ok(totals)
    }
}

/// Whether two scores differ by rounding alone.
#[inline(always)]
fn tied(a: f64, b: f64, tie: f64) -> bool {
    let larger = if a.abs() > b.abs() { a.abs() } else { b.abs() };
    (a - b).abs() <= tie * larger
}

/// For each model from `i` on, the sum of its differences from model `i` and the sum of their squares.
struct Differences<'a> {
    x: &'a [f64],
    models: usize,
    i: usize,
    tie: f64,
    row: &'a mut [[f64; 2]],
}

impl Kernel for Differences<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for unit in self.x.chunks_exact(self.models) {
            let own = unit[self.i];
            for (total, &other) in self.row.iter_mut().zip(&unit[self.i..]) {
                let d = if tied(own, other, self.tie) { 0.0 } else { own - other };
                total[0] += d;
                total[1] += d * d;
            }
        }
    }
}

/// Where the signs come from: with `all`, bit u of a pattern's number is the sign of unit u; else bit u of its stream.
#[derive(Clone, Copy)]
struct Signs {
    seed: u64,
    all: bool,
}

impl Signs {
    /// The bits of a batch of units, by word, for each of the patterns of a block.
    #[inline(always)]
    fn words(self, block: usize, batch: u64) -> [[u32; LANES]; WORDS] {
        let mut words = [[0; LANES]; WORDS];
        for lane in 0..LANES {
            let pattern = (block * LANES + lane) as u32;
            if self.all {
                words[0][lane] = pattern;
                continue;
            }
            let drawn = Stream::new(self.seed, Domain::SignFlip, pattern).batch(batch);
            for i in 0..WORDS {
                words[i][lane] = drawn[i];
            }
        }
        words
    }
}

/// Adds the scores `x` with the signs of each pattern of a block; its first unit is the first one of `batch`.
struct Flipped<'a> {
    x: &'a [f64],
    signs: Signs,
    block: usize,
    batch: u64,
    sums: &'a mut [Lanes],
}

impl Kernel for Flipped<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let models = self.sums.len();
        let mut signs = [Lanes::ZERO; UNITS];
        for (k, part) in self.x.chunks(BITS as usize * models).enumerate() {
            let words = self.signs.words(self.block, self.batch + k as u64);
            for (units, words) in part.chunks(UNITS * models).zip(&words) {
                for (u, signs) in signs.iter_mut().enumerate() {
                    for lane in 0..LANES {
                        let bit = u64::from(words[lane] >> u & 1);
                        signs.0[lane] = f64::from_bits(1f64.to_bits() | bit << 63);
                    }
                }
                // Model by model, so that its sums stay in registers.
                for (model, sums) in self.sums.iter_mut().enumerate() {
                    let mut sum = *sums;
                    for (unit, signs) in units.chunks_exact(models).zip(&signs) {
                        let value = unit[model];
                        for lane in 0..LANES {
                            sum.0[lane] += value * signs.0[lane];
                        }
                    }
                    *sums = sum;
                }
            }
        }
    }
}

/// Counts, for each pair, the patterns whose largest r over this pair, all pairs of smaller r and the opposite claims
/// of all pairs reaches the pair's own.
struct Reached<'a> {
    sums: &'a [Lanes],
    pairs: &'a [Pair],
    /// How many of the lanes hold a pattern.
    live: usize,
    counts: &'a mut [u32],
}

impl Kernel for Reached<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut largest = [0.0; LANES]; // |r| of any pair is at least that
        for pair in self.pairs {
            let flipped = flipped(self.sums, pair);
            for lane in 0..LANES {
                let opposite = -flipped[lane];
                largest[lane] = if opposite > largest[lane] { opposite } else { largest[lane] };
            }
        }
        let mut counts_as = [0; LANES];
        counts_as[..self.live].fill(1);
        for (pair, count) in self.pairs.iter().zip(self.counts) {
            let flipped = flipped(self.sums, pair);
            let mut reached = 0;
            for lane in 0..LANES {
                largest[lane] = if flipped[lane] > largest[lane] { flipped[lane] } else { largest[lane] };
                reached += if largest[lane] >= pair.bar { counts_as[lane] } else { 0 };
            }
            *count += reached;
        }
    }
}

#[inline(always)]
fn flipped(sums: &[Lanes], pair: &Pair) -> [f64; LANES] {
    let (better, worse) = (&sums[pair.better].0, &sums[pair.worse].0);
    let mut flipped = [0.0; LANES];
    for lane in 0..LANES {
        flipped[lane] = (better[lane] - worse[lane]) * pair.inverse;
    }
    flipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(x: &[f64], models: usize) -> MaxT {
        max_t(x, models, 1.0 / (1u64 << 49) as f64, 0, &mut |_| true).unwrap()
    }

    #[test]
    fn all_patterns_of_few_units_are_counted() {
        // Model 0 is better by 1 on each of four units: only the observed one of 16 patterns reaches r = 2, and the
        // opposite claim does so once more.
        let found = test(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2);
        assert_eq!((found.patterns, found.all), (16, true));
        assert_eq!(found.statistics, [0.0, 2.0, -2.0, 0.0]);
        assert_eq!(found.p, [1.0, 2.0 / 16.0, 2.0 / 16.0, 1.0]);
    }

    #[test]
    fn units_on_which_all_agree_change_nothing() {
        let few = [1.0, 0.0, 0.5, 0.0, 1.0, 0.0];
        let many: Vec<f64> = few.into_iter().chain(std::iter::repeat_n(0.7, 3000)).collect();
        assert_eq!(test(&few, 3), test(&many, 3));
    }

    #[test]
    fn models_without_a_difference_are_not_told_apart() {
        assert_eq!(test(&[0.5; 400], 4).p, [1.0; 16]);
        let third = 0.1 + 0.2;
        assert_eq!(test(&[third, 0.3].repeat(500), 2).p, [1.0; 4]);
    }

    #[test]
    fn a_common_offset_or_scale_changes_nothing() {
        let x: Vec<f64> = (0..300).map(|i| f64::from(i * i % 7)).collect();
        let moved: Vec<f64> = x.iter().enumerate().map(|(i, v)| v + (i / 3 % 11) as f64 * 1e6).collect();
        let large = f64::from_bits((1023 + 900) << 52); // 2^900
        let scaled: Vec<f64> = x.iter().map(|v| v * large).collect();
        assert_eq!(test(&x, 3), test(&moved, 3));
        assert_eq!(test(&x, 3), test(&scaled, 3));
    }

    #[test]
    fn it_stops_when_asked_to() {
        let x: Vec<f64> = (0..3_000_000).map(|i| f64::from(i * 31 % 7)).collect();
        assert_eq!(max_t(&x, 30, 0.0, 0, &mut |_| false), Err(Stopped::Cancelled));
    }
}
