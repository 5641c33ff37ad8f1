//! Bootstrap replicates: a statistic of resampled units. Replicates are computed in parallel, and large ones are
//! divided.

use super::design::Units;
use super::statistic::Statistic;
use super::sums::{Divided, Left, PIECE, Piece, TOGETHER as ALONGSIDE, Whole, room};
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks, threads};
use crate::memory;
use crate::random::{Domain, SLOTS, Stream};
use crate::simd::{dispatch, scalar};

/// The number of draws per chunk of work: so many are worth handing to a thread.
const DRAWS: usize = 1 << 18;
/// A replicate of up to this many units is computed in one piece (3 ms).
pub(super) const WHOLE: usize = 1 << 22;
/// How many of the larger replicates are divided and computed at the same time.
const TOGETHER: u32 = 16;

/// Some of the replicates of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The seed of the random counts.
    pub seed: u64,
    /// The number of the first one.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

impl Run {
    /// The first `count` replicates.
    pub fn of_first(count: u32, seed: u64) -> Self {
        Self { seed, first: 0, count }
    }

    /// The number of replicate `i` of these among all, which is also how many there are when it is about to be made.
    pub(super) fn number(self, i: usize) -> usize {
        self.first as usize + i
    }

    /// The random numbers of replicate `i` of these.
    pub(super) fn stream(self, domain: Domain, i: usize) -> Stream {
        Stream::new(self.seed, domain, self.number(i) as u32)
    }
}

/// The statistic of `units` resampled with replacement, in each replicate of `run`.
///
/// Unit i counts `c_ri` times in replicate r, with `c_r` the counts of [`crate::random::counts`]`(Stream::new(seed,
/// Domain::Bootstrap, r), n)`, exactly multinomial. Error of each of the K sums: at most `(4300 + n / 2^20) 2^-53 sum_i
/// c_ri |part_i|`. There must be 1 to 2^40 units. `progress` gets the number of replicates done.
pub fn replicates<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    run: Run,
    progress: Progress<'_>,
) -> Result<Vec<f64>, Stopped> {
    let sums = sums(units, run, progress)?;
    Ok(scalar(|| memory::collected(sums.into_iter().map(|sums| statistic.value(sums))))?)
}

/// The K sums over resampled units, of each replicate.
pub(super) fn sums<U: Units<K>, const K: usize>(
    units: U,
    run: Run,
    progress: Progress<'_>,
) -> Result<Vec<[f64; K]>, Stopped> {
    let stream = |i: u32| run.stream(Domain::Bootstrap, i as usize);
    let fits = units.count() <= WHOLE;
    if fits {
        whole(units, &stream, run.count, progress)
    } else {
        pieces(units, &stream, run.count, progress)
    }
}

/// One sum over the `n` resampled units of each replicate, where what they add differs between replicates:
/// `units(r)`.
pub(super) fn sum_each<U: Units<1>>(
    n: usize,
    units: impl Fn(usize) -> U + Sync,
    run: Run,
    progress: Progress<'_>,
) -> Result<Vec<f64>, Stopped> {
    let stream = |i: usize| run.stream(Domain::Bootstrap, i);
    let count = run.count as usize;
    if n > WHOLE {
        let mut all = memory::with_capacity(count)?;
        for r in 0..count {
            let of_one = pieces(units(r), &|_| stream(r), 1, &mut |_| progress(r))?;
            all.push(of_one[0][0]);
        }
        return Ok(all);
    }
    let each = (DRAWS / n.max(1)).max(1);
    let mut progress = |done: usize| progress((done * each).min(count));
    let parts = map_chunks(chunks(count, each), count * n * size_of::<f64>(), &mut progress, |part| {
        let mut counts = room(n)?;
        memory::collected(chunk(part, count, each).map(|r| {
            let (mut totals, counts) = ([[0.0]], &mut counts[..]);
            dispatch(Whole { units: units(r), streams: &[stream(r)], totals: &mut totals, counts });
            totals[0][0]
        }))
    })?;
    Ok(memory::joined(parts)?)
}

/// The number of replicates in a chunk of work: enough draws, and where every thread still gets several chunks, as many
/// replicates as share the reading of the units.
fn each(units: usize, count: usize) -> usize {
    let few = (WHOLE / units.max(1)).min(ALONGSIDE).min(count / (4 * threads()));
    (DRAWS / units.max(1)).max(few).max(1)
}

fn whole<U: Units<K>, const K: usize>(
    units: U,
    stream: &(impl Fn(u32) -> Stream + Sync),
    count: u32,
    progress: Progress<'_>,
) -> Result<Vec<[f64; K]>, Stopped> {
    let (count, each) = (count as usize, each(units.count(), count as usize));
    let bytes = count * units.count() * units.bytes();
    let mut progress = |done: usize| progress((done * each).min(count));
    let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
        let streams = memory::collected(chunk(part, count, each).map(|r| stream(r as u32)))?;
        let mut totals = memory::filled(streams.len(), [0.0; K])?;
        let mut counts = room(units.count())?;
        dispatch(Whole { units, streams: &streams, totals: &mut totals, counts: &mut counts });
        Ok(totals)
    })?;
    Ok(memory::joined(parts)?)
}

fn pieces<U: Units<K>, const K: usize>(
    units: U,
    stream: &(impl Fn(u32) -> Stream + Sync),
    count: u32,
    progress: Progress<'_>,
) -> Result<Vec<[f64; K]>, Stopped> {
    let mut all = memory::with_capacity(count as usize)?;
    for first in (0..count).step_by(TOGETHER as usize) {
        let group = memory::collected((first..count.min(first + TOGETHER)).map(stream))?;
        let mut progress = |_| progress(first as usize);
        for (&stream, found) in group.iter().zip(in_pieces(units, &group, 0, &mut progress)?) {
            let (mut round, mut found) = (0, found);
            all.push(loop {
                if let Some(found) = found {
                    break found;
                }
                round += 1;
                found = in_pieces(units, &[stream], round, &mut progress)?[0];
            });
        }
    }
    Ok(all)
}

/// The K sums of each replicate of a group in one round; `None` for one whose leaves have too many draws.
fn in_pieces<U: Units<K>, const K: usize>(
    units: U,
    group: &[Stream],
    round: u64,
    progress: Progress<'_>,
) -> Result<Vec<Option<[f64; K]>>, Stopped> {
    let bytes = units.count() * units.bytes();
    let pieces = units.count().div_ceil(SLOTS * PIECE);
    let parts = map_chunks(pieces * group.len(), bytes * group.len(), progress, |i| {
        dispatch(Piece(Divided { units, stream: group[i / pieces], round }, i % pieces))
    })?;
    let mut sums = memory::filled(group.len(), ([0.0; K], 0))?;
    for (i, (part, drawn)) in parts.into_iter().enumerate() {
        let (sum, all) = &mut sums[i / pieces];
        scalar(|| (0..K).for_each(|k| sum[k] += part[k]));
        *all += drawn;
    }
    map_chunks(group.len(), bytes, progress, |r| {
        let (mut sum, drawn) = sums[r];
        dispatch(Left(Divided { units, stream: group[r], round }, drawn)).map(|left| {
            scalar(|| (0..K).for_each(|k| sum[k] += left[k]));
            sum
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Leaves, counts};
    use crate::uncertainty::{Mean, Pairs, Quotient, Rows};

    fn column(n: usize) -> Vec<f64> {
        (0..n as u64).map(|i| (i.wrapping_mul(2654435761) % 1009) as f64 * 0.37 - 100.0).collect()
    }

    fn sums_of_rows(x: &[f64], seed: u64, count: u32) -> Vec<[f64; 2]> {
        sums(Pairs { sums: x, sizes: &vec![1.0; x.len()] }, Run::of_first(count, seed), &mut |_| true)
            .unwrap()
    }

    /// Compares the sums of a replicate with those of its multinomial counts in fixed-point arithmetic.
    fn check_one(x: &[f64], replicate: u32, got: [f64; 2]) {
        let n = x.len();
        let counts = counts(Stream::new(5, Domain::Bootstrap, replicate), n).unwrap();
        let (mut want, mut size) = (crate::exact::Fixed::new(), 0.0);
        for (x, &c) in x.iter().zip(&counts) {
            assert!(want.add(x * f64::from(c)));
            size += (x * f64::from(c)).abs();
        }
        let bound = (4300.0 + n as f64 / 1048576.0) * f64::EPSILON / 2.0 * size;
        assert!((got[0] - want.value()).abs() <= bound, "n = {n}, replicate {replicate}");
        assert_eq!(got[1], n as f64);
    }

    fn check(n: usize, count: u32) {
        let x = column(n);
        for (r, got) in sums_of_rows(&x, 5, count).into_iter().enumerate() {
            check_one(&x, r as u32, got);
        }
    }

    #[test]
    fn sums_are_those_of_the_counts() {
        for n in [1, 2, 3, 10, 100, 255, 256, 1000, 1023, 1024, 1025, 3000, 70_000] {
            check(n, 20);
        }
    }

    #[test]
    fn a_replicate_in_pieces_has_the_sums_of_its_counts() {
        check(WHOLE + 12_345, 2);
    }

    /// The replicates are the first ones with seed 5 whose leaves have more draws than there are in their first round.
    #[test]
    fn replicates_that_count_anew_have_the_sums_of_their_counts() {
        for (n, replicate) in [(1025, 82_967), (262_144, 42_604), (WHOLE + 1, 52_046)] {
            let stream = Stream::new(5, Domain::Bootstrap, replicate);
            let (leaves, mut counts) = (Leaves::of(stream, n, 0), [0; SLOTS]);
            let drawn = (0..leaves.count()).map(|leaf| leaves.counts(leaf, &mut counts)).sum();
            assert!(leaves.rest(drawn).is_none());
            let (x, ones) = (column(n), vec![1.0; n]);
            let units = Pairs { sums: &x, sizes: &ones };
            let (of, go_on) = (|_| stream, &mut |_| true);
            let found =
                if n > WHOLE { pieces(units, &of, 1, go_on) } else { whole(units, &of, 1, go_on) }.unwrap();
            check_one(&x, replicate, found[0]);
        }
    }

    #[test]
    fn a_replicate_does_not_depend_on_how_many_there_are() {
        let x = column(777);
        let all = sums_of_rows(&x, 3, 1000);
        assert_eq!(all[..10], sums_of_rows(&x, 3, 10));
        assert!(sums_of_rows(&x, 4, 10)[..] != all[..10]);
        let units = Pairs { sums: &x, sizes: &vec![1.0; x.len()] };
        assert_eq!(all[700..], sums(units, Run { seed: 3, first: 700, count: 300 }, &mut |_| true).unwrap());
        assert!(sums_of_rows(&x, 3, 0).is_empty());
    }

    #[test]
    fn it_can_be_stopped() {
        for n in [1000, WHOLE + 1] {
            let mean = Mean { shift: 0.0, n: n as f64 };
            let units = Rows { x: &column(n)[..], shift: 0.0 };
            let stopped = replicates(units, mean, Run::of_first(1_000_000, 1), &mut |_| false);
            assert_eq!(stopped, Err(Stopped::Cancelled));
            let stopped = sum_each(n, |_| units, Run::of_first(1_000_000, 1), &mut |_| false);
            assert_eq!(stopped, Err(Stopped::Cancelled));
        }
    }

    #[test]
    fn means_and_quotients_see_the_same_counts() {
        let x: Vec<f32> = column(5000).into_iter().map(|x| x as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let means = |shift| {
            let mean = Mean { shift, n: x.len() as f64 };
            replicates(Rows { x: &x[..], shift }, mean, Run::of_first(50, 9), &mut |_| true).unwrap()
        };
        let pairs = Pairs { sums: &wide, sizes: &vec![1.0; 5000] };
        let quotients =
            replicates(pairs, Quotient { shift: 0.0 }, Run::of_first(50, 9), &mut |_| true).unwrap();
        assert_eq!(means(0.0), quotients);
        assert!(means(0.0).iter().zip(&means(80.0)).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
