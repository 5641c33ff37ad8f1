//! Blocks of neighbouring units, which keep the dependence of a series.

use super::{Drawing, Parts};
use crate::memory::{self, NoMemory};
use crate::named;
use crate::random::{Reader, Stream};

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
}

impl Drawing for Blocks {
    fn room(&self, units: usize) -> usize {
        units
    }

    fn count(&self, stream: Stream, scratch: &mut [u32], counts: &mut [u32]) {
        let n = counts.len();
        if n == 0 {
            return;
        }
        let mut reader = Reader::new(stream);
        if self.kind == Kind::Stationary {
            return stationary(&mut reader, self.length, counts);
        }
        let length = self.whole(n);
        let starts = if self.kind == Kind::Moving { n - length + 1 } else { n };
        // At each unit, how many more blocks begin there than have ended before it.
        scratch.fill(0);
        let (mut left, mut wrapped) = (n, 0);
        while left > 0 {
            let (start, take) = (reader.below(starts as u64) as usize, length.min(left));
            scratch[start] = scratch[start].wrapping_add(1);
            match (start + take).checked_sub(n) {
                None => scratch[start + take] = scratch[start + take].wrapping_sub(1),
                Some(over) => {
                    wrapped += 1;
                    scratch[over] = scratch[over].wrapping_sub(1);
                }
            }
            left -= take;
        }
        for (count, &step) in counts.iter_mut().zip(&*scratch) {
            wrapped = step.wrapping_add(wrapped);
            *count = wrapped;
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

/// Goes on to the next unit, or anywhere with the probability 1/`length`.
fn stationary(reader: &mut Reader, length: f64, counts: &mut [u32]) {
    let n = counts.len();
    let anew = (1.0 / length * 18_446_744_073_709_551_616.0) as u64;
    counts.fill(0);
    let mut at = reader.below(n as u64) as usize;
    for drawn in 0..n {
        if drawn > 0 {
            at = if length <= 1.0 || reader.draw() < anew {
                reader.below(n as u64) as usize
            } else if at + 1 < n {
                at + 1
            } else {
                0
            };
        }
        counts[at] += 1;
    }
}
