//! The bootstrap of a statistic that is computed elsewhere: resamples to compute it of, and the limits that follow from
//! its replicates.

use super::bootstrap::{Bootstrap, Options, concluded};
use super::designs::{Blocks, Drawing, Parts};
use super::influence::left_out_acceleration;
use super::limits::{Correction, Method};
use super::no_estimate::{Ended, NoEstimate, answer};
use super::ordered::GROUPS;
use super::smoothed::noise;
use crate::grid::{Progress, Stopped, fill_chunks};
use crate::intervals::moments::{Column, moments};
use crate::memory::{self, NoMemory};
use crate::random::{Counts, FIELDS, Few, Many, SLOTS, Stream, draw_few, draw_many, field};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Draws per chunk of work: so many are worth handing to a thread.
const DRAWS: usize = 1 << 16;

/// How often each of `n` units counts in some replicates of a drawing, one replicate after the other: `to` has room for
/// n numbers of each of the `streams`.
pub fn counts_of(
    drawing: &dyn Drawing,
    streams: &[Stream],
    n: usize,
    to: &mut [f64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let write = |(counts, room): &mut (Vec<u32>, Vec<u32>), streams: &[Stream], to: &mut [f64]| {
        for (&stream, to) in streams.iter().zip(to.chunks_mut(n)) {
            drawing.count(stream, room, counts);
            let unit = drawing.unit();
            scalar(|| to.iter_mut().zip(&*counts).for_each(|(to, &count)| *to = f64::from(count) * unit));
        }
    };
    let scratch = || Ok((memory::filled(n, 0)?, memory::filled(drawing.room(n), 0)?));
    each_replicate(streams, n, to, progress, write, scratch)
}

/// The rows of some replicates, one replicate after the other: row i stands there as often as it counts. Rows stand in
/// the order of their blocks, or else in that in which [`crate::random`] draws them. `to` has room for n numbers of each of the `streams`.
pub fn rows_of(
    blocks: Option<Blocks>,
    streams: &[Stream],
    n: usize,
    to: &mut [i64],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let write = |(): &mut (), streams: &[Stream], to: &mut [i64]| match blocks {
        None => dispatch(Draw { streams, n, to }),
        Some(blocks) => {
            for (&stream, to) in streams.iter().zip(to.chunks_mut(n)) {
                blocks.rows(stream, to);
            }
        }
    };
    each_replicate(streams, n, to, progress, write, || Ok(()))
}

/// The normal deviates of some replicates of a smoothed bootstrap, one replicate after the other, each in the order of
/// the rows. `to` has room for n numbers of each of the `streams`.
pub fn noise_of(streams: &[Stream], n: usize, to: &mut [f64], progress: Progress<'_>) -> Result<(), Stopped> {
    let write = |(): &mut (), streams: &[Stream], to: &mut [f64]| {
        for (&stream, to) in streams.iter().zip(to.chunks_mut(n)) {
            noise(stream, to);
        }
    };
    each_replicate(streams, n, to, progress, write, || Ok(()))
}

/// Runs `write` for some replicates and their part of `to` at a time, in parallel, with the scratch memory of its chunk.
fn each_replicate<T: Send, S>(
    streams: &[Stream],
    n: usize,
    to: &mut [T],
    progress: Progress<'_>,
    write: impl Fn(&mut S, &[Stream], &mut [T]) + Sync,
    scratch: impl Fn() -> Result<S, NoMemory> + Sync,
) -> Result<(), Stopped> {
    if n == 0 || streams.is_empty() {
        return Ok(());
    }
    let each = (DRAWS / n).max(1);
    let bytes = size_of_val(to);
    let parts = memory::collected(streams.chunks(each).zip(to.chunks_mut(each * n)))?;
    let mut progress = |done: usize| progress((done * each).min(streams.len()));
    let done = fill_chunks(parts, bytes, &mut progress, |_, (streams, to)| {
        write(&mut scratch()?, streams, to);
        Ok(())
    })?;
    Ok(done.into_iter().collect::<Result<(), NoMemory>>()?)
}

/// Writes the `n` rows of each replicate: of few rows, entering the level once for each would take as long as the draws.
struct Draw<'a> {
    streams: &'a [Stream],
    n: usize,
    to: &'a mut [i64],
}

impl Kernel for Draw<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let n = self.n;
        for (&stream, to) in self.streams.iter().zip(self.to.chunks_mut(n)) {
            let mut drawn = Drawn { to, at: 0 };
            if n > SLOTS {
                draw_many(stream, n, &mut drawn);
            } else {
                draw_few(stream, n, &mut drawn);
            }
        }
    }
}

struct Drawn<'a> {
    to: &'a mut [i64],
    at: usize,
}

impl Drawn<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize) {
        let n = self.to.len();
        if let Some(to) = self.to.get_mut(self.at) {
            *to = row as i64;
            // What is no draw is overwritten by the next one.
            self.at += usize::from(row < n);
        }
    }
}

/// Of few rows, each draw comes in its turn.
impl Few for Drawn<'_> {
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        let (whole, rest) = words.split_at(take / FIELDS);
        for &word in whole {
            for number in 0..FIELDS {
                self.put(field(word, number));
            }
        }
        for number in 0..take % FIELDS {
            self.put(field(rest[0], number));
        }
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        for (to, &offset) in self.to[self.at..].iter_mut().zip(offsets) {
            *to = i64::from(offset);
        }
        self.at += offsets.len();
    }
}

/// Rows that follow each other are written this many times without a branch; few count more often.
const OFTEN: usize = 4;

/// Of many rows, each stands as often as it counts, in the order of the rows, and the last draws follow.
impl Many for Drawn<'_> {
    #[inline(always)]
    fn begin(&mut self) {
        self.at = 0;
    }
    #[inline(always)]
    fn leaf(&mut self, index: usize, counts: &Counts) {
        for (slot, &count) in counts.iter().enumerate() {
            let (row, count) = ((index * SLOTS + slot) as i64, usize::from(count));
            // A round with too many draws is void, and may end at the end of the room.
            let Some(to) = self.to.get_mut(self.at..) else { return };
            if let (Some(to), true) = (to.first_chunk_mut(), count <= OFTEN) {
                *to = [row; OFTEN];
            } else {
                to.iter_mut().take(count).for_each(|to| *to = row);
            }
            self.at += count;
        }
    }
    #[inline(always)]
    fn slot(&mut self, slot: usize) {
        self.put(slot);
    }
}

/// The parts of the units that BCa's acceleration leaves out in turn, as for statistics of sorted rows.
pub fn left_out_parts(drawing: &dyn Drawing, units: usize) -> Result<Parts, NoMemory> {
    drawing.parts(units, GROUPS)
}

/// A statistic, with what was computed of it elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// The statistic of all rows.
    pub value: f64,
    /// The statistic of each resample, finite.
    pub replicates: &'a [f64],
    /// How the units were drawn that were resampled, and their number.
    pub drawing: &'a dyn Drawing,
    /// See `drawing`.
    pub units: usize,
    /// What the methods that correct bias need.
    pub known: Known<'a>,
}

/// How the correction of bias is known.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// By the jackknife.
    LeftOut {
        /// The statistic without each of the [`left_out_parts`] of the units in turn, finite; BCa alone needs it.
        values: &'a [f64],
        /// How far rounding may move a replicate, as a share of the value's size and of the replicates' spread.
        rounding: f64,
    },
    /// From another bootstrap of the same data.
    Before {
        /// See [`Bootstrap::acceleration`].
        acceleration: f64,
        /// See [`Bootstrap::tie`].
        tie: f64,
    },
}

/// The bootstrap of a statistic that was computed elsewhere. `options.count` is the number of its replicates, at least
/// 1; the seed is not used.
pub fn of_replicates(
    computed: Computed<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Result<Bootstrap, NoEstimate>, Stopped> {
    answer(of_replicates_or_ended(computed, options, progress))
}

fn of_replicates_or_ended(
    computed: Computed<'_>,
    options: Options<'_>,
    progress: Progress<'_>,
) -> Result<Bootstrap, Ended> {
    let Computed { value, replicates, drawing, units, known } = computed;
    let range = match moments(replicates, &mut *progress)? {
        Column::Finite(moments) => moments,
        Column::Bad(_) => return Err(NoEstimate::EmptyResample.into()),
    };
    let n = replicates.len();
    if n > 1 && range.min >= range.max {
        return Err(NoEstimate::EqualReplicates { n }.into());
    }
    let mut correction = Correction { units: drawing.sample(units), ..Correction::default() };
    match known {
        Known::Before { acceleration, tie } => correction = Correction { acceleration, tie, ..correction },
        Known::LeftOut { rounding, .. } if options.method.corrects_bias() => {
            let spread = scalar(|| (range.squares / n as f64).sqrt());
            correction.tie = scalar(|| rounding * (value.abs() + spread));
        }
        Known::LeftOut { .. } => {}
    }
    if let (Method::Bca, Known::LeftOut { values, .. }) = (options.method, known) {
        let parts = left_out_parts(drawing, units)?;
        if parts.strata.is_some() && values.len() != parts.count {
            return Err(NoEstimate::Outside.into());
        }
        correction.acceleration =
            left_out_acceleration(&parts, value, memory::copied(values)?, correction.tie)?;
    }
    let replicates = memory::copied(replicates)?;
    concluded(value, (replicates, None), correction, (range.min, range.max), false, options, progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, counts};
    use crate::uncertainty::designs::{Kind, Simple};

    fn streams(count: u32) -> Vec<Stream> {
        (0..count).map(|replicate| Stream::new(7, Domain::Bootstrap, replicate)).collect()
    }

    #[test]
    fn rows_stand_as_often_as_they_count() {
        for n in [1, 2, 3, 5, 1000, 1023, 1024, 1025, 3000, 70_000] {
            let streams = streams(5);
            let (mut rows, mut often) = (vec![-1; 5 * n], vec![-1.0; 5 * n]);
            rows_of(None, &streams, n, &mut rows, &mut |_| true).unwrap();
            counts_of(&Simple, &streams, n, &mut often, &mut |_| true).unwrap();
            for (r, &stream) in streams.iter().enumerate() {
                let want = counts(stream, n).unwrap();
                let repeated: Vec<i64> =
                    (0i64..).zip(&want).flat_map(|(row, &count)| vec![row; count as usize]).collect();
                rows[r * n..(r + 1) * n].sort_unstable();
                assert_eq!(rows[r * n..(r + 1) * n], repeated);
                let want: Vec<f64> = want.into_iter().map(f64::from).collect();
                assert_eq!(often[r * n..(r + 1) * n], want);
            }
        }
    }

    #[test]
    fn rows_in_blocks_stand_as_often_as_they_count_and_side_by_side() {
        for (kind, length) in [
            (Kind::Moving, 3.0),
            (Kind::Circular, 4.0),
            (Kind::Stationary, 2.5),
            (Kind::Stationary, 1.0),
            (Kind::Moving, 1.0),
        ] {
            let (blocks, n, streams) = (Blocks { kind, length }, 50, streams(5));
            let (mut rows, mut often) = (vec![-1; 5 * n], vec![-1.0; 5 * n]);
            rows_of(Some(blocks), &streams, n, &mut rows, &mut |_| true).unwrap();
            counts_of(&blocks, &streams, n, &mut often, &mut |_| true).unwrap();
            for (rows, often) in rows.chunks(n).zip(often.chunks(n)) {
                let mut found = vec![0.0; n];
                for &row in rows {
                    found[row as usize] += 1.0;
                }
                assert_eq!(found, often);
                for (place, pair) in rows.windows(2).enumerate() {
                    let begins = (place + 1) % length as usize == 0;
                    assert!(begins || kind == Kind::Stationary || pair[1] == (pair[0] + 1) % n as i64);
                }
            }
        }
    }

    #[test]
    fn equal_replicates_are_refused() {
        let confidence =
            crate::intervals::Confidence { level: 0.5, alternative: crate::intervals::Alternative::TwoSided };
        let options = Options { method: Method::Percentile, count: 9, seed: 0, confidence, known: &[] };
        let computed = Computed {
            value: 1.0,
            replicates: &[1.0; 9],
            drawing: &Simple,
            units: 9,
            known: Known::LeftOut { values: &[], rounding: 1e-12 },
        };
        let found = of_replicates(computed, options, &mut |_| true).unwrap();
        assert_eq!(found, Err(NoEstimate::EqualReplicates { n: 9 }));
    }
}
