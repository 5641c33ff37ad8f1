//! Blocks of neighbouring units, which keep the dependence of a series.

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
        let n = to.len();
        if n == 0 {
            return;
        }
        let (mut reader, starts, length) = (Reader::new(stream), self.starts(n) as u64, self.whole(n));
        let mut at = 0;
        for (drawn, to) in to.iter_mut().enumerate() {
            let begins = match self.kind {
                Kind::Moving | Kind::Circular => drawn % length == 0,
                Kind::Stationary => drawn == 0 || self.length <= 1.0 || reader.draw() < anew(self.length),
            };
            at = if begins { reader.below(starts) as usize } else { at + 1 };
            if at == n {
                at = 0;
            }
            *to = at as i64;
        }
    }
}

/// What a random number of 64 bits is below with the probability 1/`length`, for a length above 1.
fn anew(length: f64) -> u64 {
    (1.0 / length * 18_446_744_073_709_551_616.0) as u64
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
        let n = self.counts.len();
        let mut reader = Reader::new(self.stream);
        let mut added = Added { steps: self.steps, wrapped: 0 };
        added.steps.fill(0);
        if self.blocks.kind == Kind::Stationary {
            stationary(&mut reader, self.blocks.length, &mut added);
        } else {
            let (length, starts) = (self.blocks.whole(n), self.blocks.starts(n));
            let mut left = n;
            while left > 0 {
                let (start, take) = (reader.below(starts as u64), if length < left { length } else { left });
                added.block(start as usize, take);
                left -= take;
            }
        }
        let mut count = added.wrapped;
        for (to, &step) in self.counts.iter_mut().zip(&*added.steps) {
            count = step.wrapping_add(count);
            *to = count;
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

/// Blocks each of whose units is followed by the next one, or with the probability 1/`length` by a new block.
#[inline(always)]
fn stationary(reader: &mut Reader, length: f64, added: &mut Added<'_>) {
    let n = added.steps.len();
    let anew = anew(length);
    let mut left = n;
    while left > 0 {
        let start = reader.below(n as u64) as usize;
        let more = if length <= 1.0 { 0 } else { reader.until_below(anew, left - 1) };
        added.block(start, 1 + more);
        left -= 1 + more;
    }
}
