//! The double bootstrap: percentile limits at levels that a second resampling calibrates.

use super::bootstrap::{About, Bootstrap, Options, concluded};
use super::design::{Table, Units};
use super::limits::{Correction, Level};
use super::no_estimate::{Ended, NoEstimate};
use super::replicates::{Run, WHOLE, replicates};
use super::statistic::Statistic;
use super::sums::{Whole, room};
use crate::grid::{CHUNK, Progress, chunk, chunks, map_chunks};
use crate::memory::{self, NoMemory};
use crate::random::{Domain, Stream, count_into};
use crate::simd::{dispatch, scalar};

/// Draws per chunk of work: so many are worth handing to a thread, and few enough for a prompt interrupt.
const DRAWS: usize = 1 << 18;
/// Inner resamples for the square root of the number of outer ones.
const INNER: f64 = 8.0;

/// The number of inner resamples of each of `count` outer ones, `8 sqrt(count)` rounded up: of the order that is best
/// (Booth and Presnell, "Allocation of Monte Carlo resources for the iterated bootstrap", JCGS 7, 1998).
pub fn inner_resamples(count: u32) -> u32 {
    let wanted = scalar(|| INNER * f64::from(count).sqrt());
    let whole = wanted as u32;
    if f64::from(whole) < wanted { whole + 1 } else { whole }
}

/// The calibrated percentile interval (Beran, "Prepivoting to reduce level error of confidence sets", Biometrika 74, 1987;
/// Hall, "The Bootstrap and Edgeworth Expansion", 1992, section 3.11).
///
/// Of the C resamples of resample b, `below` have a statistic below the value of the data and `equal` one within rounding
/// of it (or none, which may lie anywhere): `u_b` is any number between `below/(C + 1)` and `(below + equal + 1)/(C + 1)`,
/// all alike. Where the value were a draw like the others, it would be uniform, for any C. The limit at level a is that
/// of the percentile bootstrap at the level which is the a-quantile of the `u_b`.
///
/// A chunk of work is some outer resamples, or a part of the inner ones of one; it takes about 1 ms. Inner counts have
/// random numbers of their own: the replicate b and, as the stratum, the number of the inner resample.
pub(super) fn double<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    about: About,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let About { value, exact, range, .. } = about;
    let Options { count, seed, confidence, .. } = options;
    let replicates = replicates(units, statistic, Run::of_first(count, seed), &mut |_| progress(0))?;
    if replicates.iter().any(|value| !value.is_finite()) {
        return Err(NoEstimate::EmptyResample.into());
    }
    let tie = about.tie();
    let mut table = memory::filled(units.count(), [0.0; K])?;
    for (place, parts) in table.chunks_mut(CHUNK).enumerate() {
        scalar(|| units.read(place * CHUNK, parts));
    }
    let inner = inner_resamples(count);
    let beside = Beside { table: &table, statistic, seed, limits: scalar(|| (value - tie, value + tie)) };
    let found = beside.counted(count as usize, inner as usize, &mut *progress)?;
    let tail = scalar(|| confidence.tail());
    let levels = scalar(|| {
        Shares::of(&found, inner as usize).map(|shares| [shares.level(tail), shares.level(1.0 - tail)])
    })?;
    let correction = Correction { tie, units: units.count(), levels, inner, ..Correction::default() };
    let mut after = |_| progress(count as usize);
    concluded(value, (replicates, None), correction, range, exact, options, &mut after)
}

/// How many inner statistics are below the value, and how many equal to it.
type Counted = [u32; 2];

/// What inner resamples are drawn from, and compared with.
struct Beside<'a, S, const K: usize> {
    table: &'a [[f64; K]],
    statistic: S,
    seed: u64,
    /// Between these a statistic is equal to the value.
    limits: (f64, f64),
}

impl<S: Statistic<K>, const K: usize> Beside<'_, S, K> {
    /// For each of `count` resamples, the counts of `inner` resamples of it.
    fn counted(&self, count: usize, inner: usize, progress: Progress<'_>) -> Result<Vec<Counted>, Ended> {
        let n = self.table.len().max(1);
        // Every chunk makes its outer resample again.
        let each = (DRAWS / n).max(if n > WHOLE { 1 } else { 4 }).min(inner);
        let (pieces, together) = (chunks(inner, each), (DRAWS / (n * inner)).max(1));
        let groups = chunks(count, together);
        let mut progress = |done: usize| progress((done / pieces * together).min(count));
        let bytes = count.saturating_mul(inner).saturating_mul(size_of_val(self.table));
        let parts = map_chunks(groups * pieces, bytes, &mut progress, |index| {
            let (group, piece) = (index / pieces, index % pieces);
            let within = chunk(piece, inner, each);
            let mut resample = memory::with_capacity(n)?;
            let mut counts = memory::filled(n, 0)?;
            let mut totals = memory::filled(within.len(), [0.0; K])?;
            let mut found = memory::with_capacity(together)?;
            for b in chunk(group, count, together) {
                self.resample(b as u32, &mut counts, &mut resample);
                found.push(self.of_one(b as u32, within.clone(), &resample, &mut totals)?);
            }
            Ok(found)
        })?;
        let mut all = memory::filled(count, [0; 2])?;
        for (index, part) in parts.into_iter().enumerate() {
            let part: Result<Vec<Counted>, NoMemory> = part;
            for (all, found) in all[index / pieces * together..].iter_mut().zip(part?) {
                (all[0], all[1]) = (all[0] + found[0], all[1] + found[1]);
            }
        }
        Ok(all)
    }

    /// The units of outer resample b, each as often as it counts.
    fn resample(&self, b: u32, counts: &mut [u32], to: &mut Vec<[f64; K]>) {
        count_into(Stream::new(self.seed, Domain::Bootstrap, b), counts);
        to.clear();
        for (unit, &count) in self.table.iter().zip(&*counts) {
            to.extend(std::iter::repeat_n(*unit, count as usize));
        }
    }

    fn of_one(
        &self,
        b: u32,
        within: std::ops::Range<usize>,
        resample: &[[f64; K]],
        totals: &mut [[f64; K]],
    ) -> Result<Counted, NoMemory> {
        let outer = Stream::new(self.seed, Domain::Inner, b);
        let streams = memory::gathered(within.filter_map(|c| outer.stratum(c as u64)))?;
        let mut counts = room(resample.len())?;
        dispatch(Whole { units: Table(resample), streams: &streams, totals, counts: &mut counts });
        Ok(scalar(|| {
            let mut found = [0; 2];
            for &mut sums in totals {
                let inner = self.statistic.value(sums);
                if inner < self.limits.0 {
                    found[0] += 1;
                } else if inner.is_nan() || inner <= self.limits.1 {
                    found[1] += 1;
                }
            }
            found
        }))
    }
}

/// The distribution of the `u_b`: how much of it lies up to the end of each of C + 1 cells of equal width.
struct Shares {
    up_to: Vec<f64>,
    count: f64,
}

impl Shares {
    fn of(found: &[Counted], inner: usize) -> Result<Shares, NoMemory> {
        let mut up_to = memory::filled(inner + 1, 0.0)?;
        for &[below, equal] in found {
            let share = 1.0 / (f64::from(equal) + 1.0);
            for cell in &mut up_to[below as usize..=(below + equal) as usize] {
                *cell += share;
            }
        }
        let mut all = 0.0;
        for cell in &mut up_to {
            all += *cell;
            *cell = all;
        }
        Ok(Shares { up_to, count: found.len() as f64 })
    }

    /// The quantile at a level, with half the distance between those one binomial standard deviation above and below.
    fn level(&self, level: f64) -> Level {
        let spread = (level * (1.0 - level) / self.count).sqrt();
        let error = (self.quantile(level + spread) - self.quantile(level - spread)) / 2.0;
        Level { at: self.quantile(level), error }
    }

    /// Linear inside a cell; 0 and 1 beyond the levels.
    fn quantile(&self, level: f64) -> f64 {
        let wanted = level * self.count;
        if wanted <= 0.0 {
            return 0.0;
        }
        let cell = self.up_to.partition_point(|&up_to| up_to < wanted);
        let Some(&end) = self.up_to.get(cell) else { return 1.0 };
        let start = if cell > 0 { self.up_to[cell - 1] } else { 0.0 };
        (cell as f64 + (wanted - start) / (end - start)) / self.up_to.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap::mean;
    use super::super::design::Design;
    use super::super::limits::Method;
    use super::*;
    use crate::intervals::{Alternative, Confidence};
    use crate::random::counts;

    #[test]
    fn inner_resamples_are_a_root_of_the_outer_ones() {
        assert_eq!([1, 4, 9, 999, 9999, u32::MAX].map(inner_resamples), [8, 16, 24, 253, 800, 524_288]);
    }

    #[test]
    fn a_uniform_share_has_its_own_levels() {
        let found: Vec<Counted> = (0..20).flat_map(|k| [[k, 0]; 50]).collect();
        let shares = Shares::of(&found, 19).unwrap();
        for level in [0.01, 0.025, 0.5, 0.99] {
            let got = shares.level(level);
            assert!(
                (got.at - level).abs() < 1e-12
                    && (got.error - (level * (1.0 - level) / 1000.0).sqrt()).abs() < 1e-9
            );
        }
        // Ties are spread over their cells.
        let tied = Shares::of(&[[0, 19]; 7], 19).unwrap();
        assert!((tied.quantile(0.3) - 0.3).abs() < 1e-12);
        assert_eq!((tied.quantile(-0.1), tied.quantile(1.1)), (0.0, 1.0));
    }

    /// The counts of inner resamples, drawn and added up by hand; also where they are divided into pieces.
    #[test]
    fn inner_resamples_are_drawn_from_outer_ones() {
        let x: Vec<f64> = (0..40).map(|i| f64::from(i * i % 23)).collect();
        let value = x.iter().sum::<f64>() / 40.0;
        let table: Vec<[f64; 1]> = x.iter().map(|&x| [x - value]).collect();
        let statistic = super::super::statistic::Mean { shift: value, n: 40.0 };
        let beside = Beside { table: &table, statistic, seed: 5, limits: (value - 1e-9, value + 1e-9) };
        let found = beside.counted(3, 50, &mut |_| true).ok().unwrap();
        for (b, found) in found.iter().enumerate() {
            let outer = counts(Stream::new(5, Domain::Bootstrap, b as u32), 40).unwrap();
            let drawn: Vec<f64> =
                x.iter().zip(&outer).flat_map(|(&x, &c)| std::iter::repeat_n(x, c as usize)).collect();
            let mut want = [0; 2];
            for c in 0..50 {
                let stream = Stream::new(5, Domain::Inner, b as u32).stratum(c).unwrap();
                let inner = counts(stream, 40).unwrap();
                let mean = drawn.iter().zip(&inner).map(|(x, &c)| x * f64::from(c)).sum::<f64>() / 40.0;
                want[0] += u32::from(mean < value - 1e-9);
                want[1] += u32::from((mean - value).abs() <= 1e-9);
            }
            assert_eq!(*found, want);
        }
        let wide: Vec<[f64; 1]> = (0..DRAWS / 2).map(|i| [f64::from(i as u32 % 97) - 48.0]).collect();
        let statistic = super::super::statistic::Mean { shift: 0.0, n: wide.len() as f64 };
        let beside = Beside { table: &wide, statistic, seed: 5, limits: (-1e-9, 1e-9) };
        let all = beside.counted(2, 5, &mut |_| true).ok().unwrap();
        assert!(all.iter().all(|[below, equal]| below + equal <= 5));
    }

    #[test]
    fn it_can_be_stopped() {
        let x: Vec<f64> = (0..1000).map(f64::from).collect();
        let confidence = Confidence { level: 0.9, alternative: Alternative::TwoSided };
        let options = Options { method: Method::Double, count: 9999, seed: 1, confidence, known: &[] };
        let mut calls = 0;
        let stopped = mean(&x, Design::Rows, options, &mut |_| {
            calls += 1;
            calls < 20
        });
        assert!(stopped.is_err());
    }
}
