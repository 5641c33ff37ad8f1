//! Quantiles of many plain resamples at once: only the rows near the quantile are counted one by one.
//!
//! The quantile of a resample lies within a few standard deviations of the ranks around the quantile of the data. So it
//! is enough to know how often each row of that window was drawn, and how many draws lie below it: no count is written
//! for the other rows, and none is read in the order of the values.

use super::near::{ABOVE, BELOW, Near};
use super::quantile::{between, position};
use crate::grid::{Pace, Progress, Stopped, chunk, chunks, map_chunks, threads};
use crate::memory::{self, NoMemory};
use crate::random::{Counts, Domain, Many, SLOTS, Stream, draw_many, total};
use crate::simd::{Isa, Kernel, dispatch, scalar};
use crate::uncertainty::Run;
use crate::uncertainty::paired::Wide;

/// Half the width of the window in standard deviations of the number of draws below a rank: a quantile is outside once
/// in 10^15 resamples, and is then found as in any other resample.
const WIDE: f64 = 8.0;
/// Draws per chunk of work: so many are worth handing to a thread.
const DRAWS: usize = 1 << 19;

/// The window of a quantile.
pub(super) struct Window {
    /// The rows inside.
    near: Near,
    /// The rank of the first of them.
    first: usize,
    /// For each row, all bits where it is below the window and none elsewhere.
    below: Vec<Counts>,
    /// The rows inside, leaf by leaf: the slot in the leaf, and the place.
    inside: Vec<(u16, u16)>,
    /// Where those of each leaf end.
    ends: Vec<usize>,
    rows: usize,
    rank: u64,
    part: f64,
}

impl Window {
    /// The window of the quantile at level `q` of a column whose values lie in `range`; `None` where it would not be
    /// much narrower than the data.
    pub(super) fn of(
        x: &dyn Wide,
        range: (f64, f64),
        q: f64,
        progress: Progress<'_>,
    ) -> Result<Option<Window>, Stopped> {
        let rows = x.len();
        let (rank, part) = scalar(|| position(rows as u64, q));
        let half = scalar(|| WIDE * (rows as f64 * q * (1.0 - q)).sqrt()) as usize + 64;
        let first = (rank as usize).saturating_sub(half);
        let end = (rank as usize + 2 + half).min(rows);
        if rows <= SLOTS || 8 * (end - first) > rows || end - first > usize::from(BELOW) {
            return Ok(None);
        }
        let near = Near::of(x, first..end, range, &mut Pace::new(progress))?;
        let mut below = memory::filled(near.places.len(), [0; SLOTS])?;
        let (mut inside, mut ends) =
            (memory::with_capacity(end - first)?, memory::with_capacity(near.places.len())?);
        for (places, below) in near.places.iter().zip(&mut below) {
            for slot in 0..SLOTS {
                below[slot] = if places[slot] == BELOW { u8::MAX } else { 0 };
                if places[slot] < BELOW {
                    inside.push((slot as u16, places[slot]));
                }
            }
            ends.push(inside.len());
        }
        Ok(Some(Window { near, first, below, inside, ends, rows, rank, part }))
    }

    /// The quantile of the data.
    pub(super) fn of_all(&self) -> f64 {
        let at = |rank: usize| self.near.values[rank.min(self.rows - 1) - self.first];
        scalar(|| between(at(self.rank as usize), at(self.rank as usize + 1), self.part))
    }

    /// The quantile of each replicate; NaN where it is outside the window.
    pub(super) fn replicates(&self, run: Run, progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
        let count = run.count as usize;
        let each = (DRAWS / self.rows).min(count / (4 * threads())).max(1);
        let bytes = count * self.rows * size_of::<u64>();
        let mut progress = |done: usize| progress((done * each).min(count));
        let parts = map_chunks(chunks(count, each), bytes, &mut progress, |part| {
            let mut room = self.room()?;
            let mut values = memory::with_capacity(each)?;
            for replicate in chunk(part, count, each) {
                let stream = run.stream(Domain::Bootstrap, replicate);
                values.push(self.value(stream, &mut room).unwrap_or(f64::NAN));
            }
            Ok(values)
        })?;
        Ok(memory::joined(parts)?)
    }

    /// Room for [`Window::value`].
    fn room(&self) -> Result<Vec<u32>, NoMemory> {
        memory::filled(self.near.values.len(), 0)
    }

    /// The quantile of the plain resample of `stream`; `None` where it is outside the window.
    fn value(&self, stream: Stream, room: &mut [u32]) -> Option<f64> {
        let mut up_to = dispatch(Draw { stream, tally: Tally { window: self, below: 0, counts: room } });
        if up_to > self.rank {
            return None;
        }
        let mut found = None;
        for (&value, &count) in self.near.values.iter().zip(&*room) {
            up_to += u64::from(count);
            if up_to > self.rank {
                let first = *found.get_or_insert(value);
                if up_to > self.rank + 1 || self.part == 0.0 {
                    return Some(scalar(|| between(first, value, self.part)));
                }
            }
        }
        None
    }
}

/// Counts the draws of a replicate; returns how many are below the window.
struct Draw<'a> {
    stream: Stream,
    tally: Tally<'a>,
}

impl Kernel for Draw<'_> {
    type Out = u64;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> u64 {
        draw_many(self.stream, self.tally.window.rows, &mut self.tally);
        self.tally.below
    }
}

struct Tally<'a> {
    window: &'a Window,
    below: u64,
    /// The count of each row inside, at its place.
    counts: &'a mut [u32],
}

impl Many for Tally<'_> {
    #[inline(always)]
    fn begin(&mut self) {
        self.below = 0;
    }
    #[inline(always)]
    fn leaf(&mut self, index: usize, counts: &Counts) {
        let (window, mut below) = (self.window, [0; SLOTS]);
        for i in 0..SLOTS {
            below[i] = counts[i] & window.below[index][i];
        }
        self.below += total(&below);
        let start = if index == 0 { 0 } else { window.ends[index - 1] };
        for &(slot, place) in &window.inside[start..window.ends[index]] {
            self.counts[usize::from(place)] = u32::from(counts[usize::from(slot) % SLOTS]);
        }
    }
    #[inline(always)]
    fn slot(&mut self, slot: usize) {
        match self.window.near.places[slot / SLOTS][slot % SLOTS] {
            BELOW => self.below += 1,
            ABOVE => (),
            place => self.counts[usize::from(place)] += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantile::quantile;
    use super::super::{Sample, Sorted};
    use super::*;
    use crate::random::counts;

    #[test]
    fn it_is_the_quantile_of_the_counts() {
        for n in [20_000usize, 40_001, 65_536] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 7919) % 10_007) as f64 * 0.5).collect();
            let sorted = Sorted::new(&&x[..], None, &mut |_| true).unwrap();
            let range = (sorted.values[0], sorted.values[n - 1]);
            for q in [0.0, 0.01, 0.25, 0.5, 0.9, 1.0] {
                let window = Window::of(&&x[..], range, q, &mut |_| true).unwrap().unwrap();
                let ones = vec![1; n];
                let all = Sample { x: &sorted, y: None, counts: &ones, total: n as u64 };
                assert_eq!(window.of_all(), quantile(all, q), "n = {n}, q = {q}");
                let replicates = window.replicates(Run::of_first(5, 7), &mut |_| true).unwrap();
                let mut room = window.room().unwrap();
                for r in 0..5 {
                    let stream = Stream::new(7, Domain::Bootstrap, r);
                    let counts = counts(stream, n).unwrap();
                    let sample = Sample { x: &sorted, y: None, counts: &counts, total: n as u64 };
                    let got = window.value(stream, &mut room);
                    assert!(got.is_none_or(|got| got == quantile(sample, q)), "n = {n}, q = {q}");
                    assert!(got.is_some() || q == 1.0, "n = {n}, q = {q}");
                    let replicate = replicates[r as usize];
                    assert!(got.map_or(replicate.is_nan(), |got| got == replicate), "n = {n}, q = {q}");
                }
            }
        }
    }

    #[test]
    fn a_few_rows_have_no_window() {
        let x: Vec<f64> = (0..2000).map(f64::from).collect();
        assert!(Window::of(&&x[..], (0.0, 1999.0), 0.5, &mut |_| true).unwrap().is_none());
    }
}
