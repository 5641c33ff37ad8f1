//! Blocks of neighbouring units, which keep the dependence of a series.

use super::geometric::Geometric;
use super::{Drawing, Parts};
use crate::memory::{self, NoMemory};
use crate::named;
use crate::random::{Reader, Stream};
use crate::simd::{Isa, Kernel, dispatch};

named! {
    /// The kinds of blocks.
    pub enum Kind: "bootstrap.blocks" {
        /// Blocks of one length that lie inside the series.
        Moving = "moving" { title: "moving block", source: "Künsch 1989" },
        /// Blocks of one length; the beginning of the series follows its end.
        Circular = "circular" { title: "circular block", source: "Politis and Romano 1992" },
        /// Blocks of random lengths with a mean; the beginning of the series follows its end.
        Stationary = "stationary" { title: "stationary block", source: "Politis and Romano 1994" },
    }
}

/// A series that is drawn in blocks until it has as many units as before; what the last one has too many is left off.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// The kind of blocks.
    pub kind: Kind,
    /// Their length, a whole number of at least 1; of stationary ones the mean length, at least 1.
    pub length: f64,
}

impl Blocks {
    fn whole(&self, units: usize) -> usize {
        (self.length as usize).clamp(1, units.max(1))
    }

    /// The units in which a block may begin.
    fn starts(&self, units: usize) -> usize {
        if self.kind == Kind::Moving { units - self.whole(units) + 1 } else { units }
    }

    /// Writes the rows of the replicate of `stream` in the order of the blocks: for a statistic of a series, for which
    /// their order counts. They are the rows that [`Drawing::count`] counts.
    pub fn rows(&self, stream: Stream, to: &mut [i64]) {
        if !to.is_empty() {
            dispatch(Write { blocks: *self, stream, to });
        }
    }
}

/// The blocks of a replicate, one after another: where each begins, and how many units it has. They have `left` units
/// in all.
struct Drawn {
    reader: Reader,
    starts: u64,
    length: usize,
    random: Option<Geometric>,
    left: usize,
}

impl Drawn {
    #[inline(always)]
    fn new(blocks: Blocks, stream: Stream, n: usize) -> Drawn {
        let random = blocks.kind == Kind::Stationary;
        Drawn {
            reader: Reader::new(stream),
            starts: blocks.starts(n) as u64,
            length: blocks.whole(n),
            random: if random { Some(Geometric::new(blocks.length, n)) } else { None },
            left: n,
        }
    }
}

impl Iterator for Drawn {
    type Item = (usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.left == 0 {
            return None;
        }
        let start = self.reader.below(self.starts) as usize;
        let take = match &self.random {
            Some(law) => law.draw(&mut self.reader, self.left),
            None if self.length < self.left => self.length,
            None => self.left,
        };
        self.left -= take;
        Some((start, take))
    }
}

impl Drawing for Blocks {
    fn room(&self, units: usize) -> usize {
        units
    }

    fn count(&self, stream: Stream, steps: &mut [u32], counts: &mut [u32]) {
        if !counts.is_empty() {
            dispatch(Draw { blocks: *self, stream, steps, counts });
        }
    }

    fn sample(&self, units: usize) -> usize {
        units.div_ceil(self.whole(units)).max(2)
    }

    /// Blocks side by side; where these are too many, every so many of them are one part.
    fn parts(&self, units: usize, most: usize) -> Result<Parts, NoMemory> {
        let length = self.whole(units);
        let count = units.div_ceil(length).min(most);
        let of = memory::collected((0..units).map(|unit| (unit / length % count) as u32))?;
        Parts::of_units(of, count, None)
    }
}

/// Draws the blocks of a replicate and counts the units in them.
struct Draw<'a> {
    blocks: Blocks,
    stream: Stream,
    /// Room for a number for each unit.
    steps: &'a mut [u32],
    counts: &'a mut [u32],
}

impl Kernel for Draw<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut added = Added { steps: self.steps, wrapped: 0 };
        added.steps.fill(0);
        for (start, take) in Drawn::new(self.blocks, self.stream, self.counts.len()) {
            added.block(start, take);
        }
        let mut count = added.wrapped;
        for (to, &step) in self.counts.iter_mut().zip(&*added.steps) {
            count = step.wrapping_add(count);
            *to = count;
        }
    }
}

/// Writes the rows of a replicate, block after block.
struct Write<'a> {
    blocks: Blocks,
    stream: Stream,
    to: &'a mut [i64],
}

impl Kernel for Write<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (n, mut rest) = (self.to.len(), self.to);
        for (start, take) in Drawn::new(self.blocks, self.stream, n) {
            let (block, after) = rest.split_at_mut(take);
            for i in 0..take {
                let row = start + i;
                block[i] = if row < n { row } else { row - n } as i64;
            }
            rest = after;
        }
    }
}

/// The blocks that were drawn.
struct Added<'a> {
    /// At each unit, how many more blocks begin there than have ended before it.
    steps: &'a mut [u32],
    /// The blocks that go on at the beginning of the series.
    wrapped: u32,
}

impl Added<'_> {
    #[inline(always)]
    fn block(&mut self, start: usize, length: usize) {
        let n = self.steps.len();
        self.steps[start] = self.steps[start].wrapping_add(1);
        let end = start + length;
        let end = if end < n {
            end
        } else {
            self.wrapped += 1;
            end - n
        };
        self.steps[end] = self.steps[end].wrapping_sub(1);
    }
}
