//! Quantiles of many plain resamples at once: only the rows near the quantile are counted one by one.
//!
//! The quantile of a resample lies within a few standard deviations of the ranks around the quantile of the data. So it
//! is enough to know how often each row of that window was drawn, and how many draws lie below it: no count is written
//! for the other rows, and none is read in the order of the values.

use super::Sorted;
use super::quantile::{between, position};
use crate::memory::{self, NoMemory};
use crate::random::{FIELDS, SLOTS, Stream, Visit, blocks, field, walk};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// Tallies for the rows below the window, and as many for those above it: draws that follow each other seldom meet in
/// one, where the second would wait for the first.
const APART: usize = 512;
/// A tally for each value of 16 bits, so that no index needs to be checked.
const TALLIES: usize = 1 << 16;
/// Half the width of the window in standard deviations of the number of draws below a rank: a quantile is outside once
/// in 10^15 resamples, and is then found as in any other resample.
const WIDE: f64 = 8.0;

/// The window of a quantile.
pub(super) struct Window<'a> {
    /// The values inside.
    values: &'a [f64],
    /// The tally of each row, in the order of the data: that of its value, or one of those for rows below and above. The
    /// last leaf is filled up with one that is not read.
    tallies: Vec<u16>,
    rows: usize,
    rank: u64,
    part: f64,
}

/// The tallies of a replicate.
pub(super) type Room = Box<[u32; TALLIES]>;

impl<'a> Window<'a> {
    /// The window of the quantile at level `q`; `None` where it would not be much narrower than the data.
    pub(super) fn of(x: &'a Sorted, q: f64) -> Result<Option<Window<'a>>, NoMemory> {
        let rows = x.values.len();
        let (rank, part) = scalar(|| position(rows as u64, q));
        let half = scalar(|| WIDE * (rows as f64 * q * (1.0 - q)).sqrt()) as usize + 64;
        let first = (rank as usize).saturating_sub(half);
        let end = (rank as usize + 2 + half).min(rows);
        let inside = end - first;
        if 8 * inside > rows || inside + 2 * APART >= TALLIES {
            return Ok(None);
        }
        let nowhere = (inside + 2 * APART) as u16;
        let mut tallies = memory::filled(rows.next_multiple_of(SLOTS), nowhere)?;
        for (place, entry) in x.entries.iter().enumerate() {
            let row = entry.row();
            tallies[row] = if place < first {
                inside + row % APART
            } else if place < end {
                place - first
            } else {
                inside + APART + row % APART
            } as u16;
        }
        Ok(Some(Window { values: &x.values[first..end], tallies, rows, rank, part }))
    }

    /// Room for [`Window::value`].
    pub(super) fn room() -> Result<Room, NoMemory> {
        let room = memory::filled(TALLIES, 0)?.into_boxed_slice();
        room.try_into().map_err(|_| NoMemory { bytes: TALLIES * size_of::<u32>() })
    }

    /// The quantile of the plain resample of `stream`; `None` where it is outside the window.
    pub(super) fn value(&self, stream: Stream, room: &mut Room) -> Option<f64> {
        let inside = self.values.len();
        room[..=inside + 2 * APART].fill(0);
        dispatch(Draw { tallies: &self.tallies, rows: self.rows, stream, counts: room });
        let mut up_to: u64 = room[inside..inside + APART].iter().map(|&count| u64::from(count)).sum();
        if up_to > self.rank {
            return None;
        }
        let mut found = None;
        for (&value, &count) in self.values.iter().zip(&room[..inside]) {
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

/// Counts the draws of a replicate.
struct Draw<'a> {
    tallies: &'a [u16],
    rows: usize,
    stream: Stream,
    counts: &'a mut [u32; TALLIES],
}

impl Kernel for Draw<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (leaves, n) = (self.tallies.as_chunks::<SLOTS>().0, self.rows as u64);
        let mut tally = Tally { leaves, leaf: &[0; SLOTS], counts: self.counts };
        for block in blocks(self.stream, n) {
            walk(self.stream, n, block, &mut tally);
        }
    }
}

struct Tally<'a> {
    leaves: &'a [[u16; SLOTS]],
    leaf: &'a [u16; SLOTS],
    counts: &'a mut [u32; TALLIES],
}

impl Visit for Tally<'_> {
    #[inline(always)]
    fn enter(&mut self, start: u64, _: usize) {
        self.leaf = &self.leaves[start as usize / SLOTS];
    }
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        let (whole, over) = (take / FIELDS, take % FIELDS);
        for &word in &words[..whole] {
            for number in 0..FIELDS {
                self.counts[usize::from(self.leaf[field(word, number)])] += 1;
            }
        }
        for number in 0..over {
            self.counts[usize::from(self.leaf[field(words[whole], number)])] += 1;
        }
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        for &offset in offsets {
            self.counts[usize::from(self.leaf[usize::from(offset) % SLOTS])] += 1;
        }
    }
    #[inline(always)]
    fn leave(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::super::quantile::quantile;
    use super::*;
    use crate::random::{Domain, counts};

    #[test]
    fn it_is_the_quantile_of_the_counts() {
        for n in [20_000usize, 40_001, 65_536] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 7919) % 10_007) as f64 * 0.5).collect();
            let sorted = Sorted::new(&&x[..], None, &mut |_| true).unwrap();
            for q in [0.0, 0.01, 0.25, 0.5, 0.9, 1.0] {
                let window = Window::of(&sorted, q).unwrap().unwrap();
                let mut room = Window::room().unwrap();
                for r in 0..5 {
                    let stream = Stream::new(7, Domain::Bootstrap, r);
                    let counts = counts(stream, n).unwrap();
                    let sample = Sample { x: &sorted, y: None, counts: &counts, total: n as u64 };
                    let got = window.value(stream, &mut room);
                    assert!(got.is_none_or(|got| got == quantile(sample, q)), "n = {n}, q = {q}");
                    assert!(got.is_some() || q == 1.0, "n = {n}, q = {q}");
                }
            }
        }
    }

    #[test]
    fn a_few_rows_have_no_window() {
        let x: Vec<f64> = (0..2000).map(f64::from).collect();
        let sorted = Sorted::new(&&x[..], None, &mut |_| true).unwrap();
        assert!(Window::of(&sorted, 0.5).unwrap().is_none());
    }
}
