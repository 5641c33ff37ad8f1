//! The bootstrap of a statistic that is computed elsewhere: resamples to compute it of, and the limits that follow from
//! its replicates.

use super::bootstrap::{Bootstrap, Options, concluded};
use super::influence::jackknife_acceleration;
use super::limits::{Correction, Method};
use super::no_estimate::{Ended, NoEstimate, answer};
use crate::grid::{Progress, Stopped, fill_chunks};
use crate::intervals::moments::{Column, moments};
use crate::memory;
use crate::random::{Stream, count_into};
use crate::simd::scalar;

/// Draws per chunk of work: so many are worth handing to a thread.
const DRAWS: usize = 1 << 16;
/// As many copies of a row are written together; seldom does a row count more often.
const COPIES: usize = 4;

/// How often each of `n` units counts in some replicates, one replicate after the other: `to` has room for n numbers of
/// each of the `streams`.
pub fn counts_of(
    streams: &[Stream],
    n: usize,
    to: &mut [f64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    each_replicate(streams, n, to, progress, |counts, to| {
        for (to, &count) in to.iter_mut().zip(counts) {
            *to = f64::from(count);
        }
    })
}

/// The rows of some replicates, one replicate after the other: row i stands there as often as it counts, and rows stand
/// in their order. `to` has room for n numbers of each of the `streams`.
pub fn rows_of(streams: &[Stream], n: usize, to: &mut [i64], progress: Progress<'_>) -> Result<(), Stopped> {
    each_replicate(streams, n, to, progress, repeat)
}

/// Runs `write` with the counts of each replicate and its part of `to`, in parallel.
fn each_replicate<T: Send>(
    streams: &[Stream],
    n: usize,
    to: &mut [T],
    progress: Progress<'_>,
    write: impl Fn(&[u32], &mut [T]) + Sync,
) -> Result<(), Stopped> {
    if n == 0 || streams.is_empty() {
        return Ok(());
    }
    let each = (DRAWS / n).max(1);
    let bytes = size_of_val(to);
    let parts = memory::collected(streams.chunks(each).zip(to.chunks_mut(each * n)))?;
    let mut progress = |done: usize| progress((done * each).min(streams.len()));
    let done = fill_chunks(parts, bytes, &mut progress, |_, (streams, to)| {
        let mut counts = memory::filled(n, 0)?;
        for (&stream, to) in streams.iter().zip(to.chunks_mut(n)) {
            count_into(stream, &mut counts);
            write(&counts, to);
        }
        Ok(())
    })?;
    Ok(done.into_iter().collect::<Result<(), memory::NoMemory>>()?)
}

/// Writes each index as often as it counts.
fn repeat(counts: &[u32], to: &mut [i64]) {
    let mut at = 0;
    for (row, &count) in (0..).zip(counts) {
        let count = count as usize;
        match to.get_mut(at..at + COPIES) {
            // What is written too much is overwritten by the rows that follow.
            Some(copies) if count <= COPIES => copies.fill(row),
            _ => to[at..at + count].fill(row),
        }
        at += count;
    }
}

/// A statistic, with what was computed of it elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// The statistic of all rows.
    pub value: f64,
    /// The statistic of each resample, finite.
    pub replicates: &'a [f64],
    /// The statistic without each unit, or group of units, in turn, finite; BCa alone needs it.
    pub left_out: &'a [f64],
    /// How far rounding may move a replicate, as a share of the value's size and of the replicates' spread.
    pub rounding: f64,
}

/// The bootstrap of a statistic that was computed elsewhere. `options.count` is the number of its replicates, at least
/// 1; the seed is not used.
pub fn of_replicates(
    computed: Computed<'_>,
    options: Options,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(of_replicates_or_ended(computed, options, progress))
}

fn of_replicates_or_ended(
    computed: Computed<'_>,
    options: Options,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let Computed { value, replicates, left_out, rounding } = computed;
    let range = match moments(replicates, &mut *progress)? {
        Column::Finite(moments) => moments,
        Column::Bad(_) => return Err(NoEstimate::EmptyResample.into()),
    };
    let n = replicates.len();
    if n > 1 && range.min >= range.max {
        return Err(NoEstimate::EqualReplicates { n }.into());
    }
    let mut correction = Correction::default();
    if options.method == Method::Bca {
        let spread = scalar(|| (range.squares / n as f64).sqrt());
        correction.tie = scalar(|| rounding * (value.abs() + spread));
        correction.acceleration = jackknife_acceleration(left_out, correction.tie);
    }
    let replicates = memory::copied(replicates)?;
    concluded(value, (replicates, None), correction, (range.min, range.max), false, options, progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, counts};

    fn streams(count: u32) -> Vec<Stream> {
        (0..count).map(|replicate| Stream::new(7, Domain::Bootstrap, replicate)).collect()
    }

    #[test]
    fn rows_stand_as_often_as_they_count() {
        for n in [1, 2, 3, 5, 1000, 1025, 70_000] {
            let streams = streams(5);
            let (mut rows, mut often) = (vec![-1; 5 * n], vec![-1.0; 5 * n]);
            rows_of(&streams, n, &mut rows, &mut |_| true).unwrap();
            counts_of(&streams, n, &mut often, &mut |_| true).unwrap();
            for (r, &stream) in streams.iter().enumerate() {
                let want = counts(stream, n).unwrap();
                let repeated: Vec<i64> =
                    (0i64..).zip(&want).flat_map(|(row, &count)| vec![row; count as usize]).collect();
                assert_eq!(rows[r * n..(r + 1) * n], repeated);
                let want: Vec<f64> = want.into_iter().map(f64::from).collect();
                assert_eq!(often[r * n..(r + 1) * n], want);
            }
        }
    }

    #[test]
    fn a_row_may_count_more_often_than_is_written_together() {
        let mut to = [-1; 9];
        repeat(&[0, 7, 0, 2], &mut to);
        assert_eq!(to, [1, 1, 1, 1, 1, 1, 1, 3, 3]);
    }

    #[test]
    fn equal_replicates_are_refused() {
        let confidence =
            crate::intervals::Confidence { level: 0.5, alternative: crate::intervals::Alternative::TwoSided };
        let options = Options { method: Method::Percentile, count: 9, seed: 0, confidence };
        let computed = Computed { value: 1.0, replicates: &[1.0; 9], left_out: &[], rounding: 1e-12 };
        let found = of_replicates(computed, options, &mut |_| true).unwrap();
        assert_eq!(found, Err(NoEstimate::EqualReplicates { n: 9 }));
    }
}
