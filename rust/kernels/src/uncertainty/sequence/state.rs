//! The state of a confidence sequence: the values in their order or, where the limits follow from them, the counts.

use super::beta_binomial;
use super::values::Refused;
use super::{Method, bets, betting, bytes, looks};
use crate::exact::Sum;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::Interval;
use crate::memory::{self, NoMemory};
use crate::simd::standard;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind};
use std::sync::Arc;

/// Values of a block. A change copies what is not yet a whole block, and shares the blocks.
const BLOCK: usize = 1 << 12;
/// Counts are exact in f64 up to here.
pub(super) const MOST: u64 = 1 << 53;

/// Values in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    blocks: Vec<Arc<Vec<f64>>>,
    rest: Vec<f64>,
}

impl Stream {
    pub(super) fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.rest.len()
    }

    fn copied(&self) -> Result<Self, NoMemory> {
        let mut blocks = memory::with_capacity(self.blocks.len())?;
        blocks.extend(self.blocks.iter().cloned());
        Ok(Stream { blocks, rest: memory::copied(&self.rest)? })
    }

    /// Appends values.
    pub(super) fn append(&mut self, mut y: &[f64], pace: &mut Pace<'_>) -> Result<(), Stopped> {
        while !y.is_empty() {
            let (now, later) = y.split_at(y.len().min(BLOCK - self.rest.len()));
            memory::reserve(&mut self.rest, now.len())?;
            self.rest.extend_from_slice(now);
            if self.rest.len() == BLOCK {
                memory::push(&mut self.blocks, Arc::new(std::mem::take(&mut self.rest)))?;
            }
            y = later;
            pace.step()?;
        }
        Ok(())
    }

    /// The parts of the values, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[f64]> {
        self.blocks.iter().map(|block| &block[..]).chain(std::iter::once(&self.rest[..]))
    }

    fn whole(&self, pace: &mut Pace<'_>) -> Result<Vec<f64>, Stopped> {
        let mut all = memory::with_capacity(self.len())?;
        for part in self.parts() {
            all.extend_from_slice(part);
            pace.step()?;
        }
        Ok(all)
    }
}

/// What is kept of the values.
#[derive(Debug)]
pub(super) enum Kept {
    Stream(Stream),
    Counts { n: u64, ones: u64 },
}

/// The state.
#[derive(Debug)]
pub struct SequenceTotals {
    pub(super) kept: Kept,
    /// Whether the values are differences; `None` before the first value.
    pub(super) differences: Option<bool>,
    /// The number of values that the caller excluded.
    pub excluded: u64,
    /// The number of values that were NaN and left out.
    pub nan: u64,
}

/// Mean and limits at some times.
#[derive(Debug, Default)]
pub struct Looks {
    /// The mean of the values up to each time.
    pub means: Vec<f64>,
    /// The intervals, each with the limits of all times up to its own.
    pub intervals: Vec<Interval>,
}

impl SequenceTotals {
    /// A state without values that keeps them in their order, or only counts them.
    pub fn new(ordered: bool) -> Self {
        let kept = if ordered { Kept::Stream(Stream::default()) } else { Kept::Counts { n: 0, ones: 0 } };
        SequenceTotals { kept, differences: None, excluded: 0, nan: 0 }
    }

    /// This state with values in [0, 1] added. `excluded` and `nan` say how many were left out beforehand.
    pub fn with(
        &self,
        y: &[f64],
        differences: bool,
        [excluded, nan]: [u64; 2],
        progress: Progress<'_>,
    ) -> Result<Result<Self, Refused>, Stopped> {
        let of = (!y.is_empty()).then_some(differences);
        let kept = match &self.kept {
            Kept::Stream(stream) => {
                let mut stream = stream.copied()?;
                stream.append(y, &mut Pace::new(progress))?;
                Kept::Stream(stream)
            }
            Kept::Counts { n, ones } => {
                if let Some(bad) = y.iter().position(|&y| y != 0.0 && y != 1.0) {
                    return Ok(Err(Refused::NotAnAnswer(bad)));
                }
                let more = y.iter().filter(|&&y| y == 1.0).count() as u64;
                Kept::Counts { n: n + y.len() as u64, ones: ones + more }
            }
        };
        Ok(self.joined(kept, of, [excluded, nan]))
    }

    fn joined(&self, kept: Kept, of: Option<bool>, more: [u64; 2]) -> Result<Self, Refused> {
        if let (Some(here), Some(there)) = (self.differences, of)
            && here != there
        {
            return Err(Refused::Mixed);
        }
        let [excluded, nan] = [self.excluded.checked_add(more[0]), self.nan.checked_add(more[1])];
        let (Some(excluded), Some(nan)) = (excluded, nan) else { return Err(Refused::TooMany) };
        let joined = SequenceTotals { kept, differences: self.differences.or(of), excluded, nan };
        if joined.size() > MOST { Err(Refused::TooMany) } else { Ok(joined) }
    }

    /// The number of values.
    pub fn size(&self) -> u64 {
        match &self.kept {
            Kept::Stream(stream) => stream.len() as u64,
            Kept::Counts { n, .. } => *n,
        }
    }

    /// Whether the values are kept in their order.
    pub fn ordered(&self) -> bool {
        matches!(self.kept, Kept::Stream(_))
    }

    /// Whether the values are differences.
    pub fn differences(&self) -> bool {
        self.differences == Some(true)
    }

    /// Mean and limits at these times: numbers of values, ascending, from 1 to all of them. Where only counts are kept
    /// there is one time, now; and `method` must be one that suits what is kept.
    pub fn looks(
        &self,
        method: Method,
        alpha: f64,
        times: &[usize],
        progress: Progress<'_>,
    ) -> Result<Looks, Stopped> {
        let stream = match &self.kept {
            Kept::Stream(stream) => stream,
            Kept::Counts { n, ones } => {
                let mean = standard(|| *ones as f64 / *n as f64);
                let interval = beta_binomial::limits(*ones, *n, alpha);
                return Ok(Looks { means: vec![mean], intervals: vec![interval] });
            }
        };
        let y = stream.whole(&mut Pace::new(&mut *progress))?;
        let (mut means, mut sum, mut done) = (memory::with_capacity(times.len())?, Sum::new(), 0);
        let mut pace = Pace::new(&mut *progress);
        for &time in times {
            for y in &y[done..time] {
                sum.add(*y);
                pace.step()?;
            }
            done = time;
            means.push(sum.clone().over(time as u64));
        }
        Ok(Looks { means, intervals: looks(&y, method, alpha, times, progress)? })
    }

    /// The p-value of a mean by betting, at a state that keeps the values; 1 where it does not.
    pub fn p_value(&self, alpha: f64, mean: f64, progress: Progress<'_>) -> Result<f64, Stopped> {
        let Kept::Stream(stream) = &self.kept else { return Ok(1.0) };
        let mut pace = Pace::new(&mut *progress);
        let y = stream.whole(&mut pace)?;
        let bets = bets::bets(&y, alpha, &mut pace)?;
        betting::p_value(&y, &bets, mean, progress)
    }
}

impl State for SequenceTotals {
    const KIND: Kind = Kind::Sequence;
    type Refused = Refused;

    fn copied(&self) -> Result<Self, NoMemory> {
        let kept = match &self.kept {
            Kept::Stream(stream) => Kept::Stream(stream.copied()?),
            Kept::Counts { n, ones } => Kept::Counts { n: *n, ones: *ones },
        };
        Ok(SequenceTotals { kept, ..*self })
    }

    fn merged(&self, other: &Self, _: Progress<'_>) -> Result<Result<Self, Refused>, Stopped> {
        let kept = match (&self.kept, &other.kept) {
            (Kept::Counts { n, ones }, Kept::Counts { n: m, ones: more }) => {
                Kept::Counts { n: n + m, ones: ones + more }
            }
            (Kept::Stream(stream), Kept::Stream(none)) | (Kept::Stream(none), Kept::Stream(stream))
                if none.len() == 0 =>
            {
                Kept::Stream(stream.copied()?)
            }
            _ => return Ok(Err(Refused::Ordered)),
        };
        Ok(self.joined(kept, other.differences, [other.excluded, other.nan]))
    }

    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        bytes::write(self, config, progress)
    }

    fn from_bytes(written: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError> {
        bytes::read(written, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(_: usize) -> bool {
        true
    }

    fn filled(ordered: bool, parts: &[&[f64]]) -> SequenceTotals {
        parts.iter().fold(SequenceTotals::new(ordered), |state, y| {
            state.with(y, false, [1, 0], &mut go).unwrap().unwrap()
        })
    }

    fn written(state: &SequenceTotals) -> Vec<u8> {
        state.to_bytes(b"{}", &mut go).unwrap().unwrap()
    }

    fn values(n: usize) -> Vec<f64> {
        (0..n as u64).map(|i| (i.wrapping_mul(2654435761) % 1009) as f64 / 1008.0).collect()
    }

    #[test]
    fn every_split_is_one_stream() {
        let y = values(3 * BLOCK + 5);
        let whole = filled(true, &[&y, &[]]);
        for cut in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 7] {
            assert_eq!(written(&filled(true, &[&y[..cut], &y[cut..]])), written(&whole));
        }
        let found = whole.looks(Method::Betting, 0.05, &[5, y.len()], &mut go).unwrap();
        assert_eq!((found.means.len(), found.intervals.len()), (2, 2));
        assert!(found.intervals[1].low > found.intervals[0].low);
    }

    #[test]
    fn what_is_written_is_read() {
        for state in [
            filled(true, &[&values(BLOCK + 3)]),
            filled(true, &[]),
            filled(false, &[&[0.0, 1.0, 1.0]]),
            filled(false, &[]),
        ] {
            let bytes = written(&state);
            let (read, config) = SequenceTotals::from_bytes(&bytes, &mut go).unwrap();
            assert_eq!((written(&read), &config[..]), (bytes, &b"{}"[..]));
        }
    }

    #[test]
    fn counts_merge_and_streams_do_not() {
        let (a, b) = (filled(false, &[&[0.0, 1.0]]), filled(false, &[&[1.0]]));
        let merged = |a: &SequenceTotals, b: &SequenceTotals| a.merged(b, &mut go).unwrap();
        assert_eq!(written(&merged(&a, &b).unwrap()), written(&merged(&b, &a).unwrap()));
        let stream = filled(true, &[&[0.5]]);
        assert_eq!(merged(&stream, &stream).err(), Some(Refused::Ordered));
        let none = SequenceTotals::new(true);
        assert_eq!(written(&merged(&stream, &none).unwrap()), written(&stream));
        assert_eq!(written(&merged(&none, &stream).unwrap()), written(&stream));
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let counts = SequenceTotals::new(false);
        let refused =
            |state: &SequenceTotals, y: &[f64], of| state.with(y, of, [0, 0], &mut go).unwrap().err();
        assert_eq!(refused(&counts, &[1.0, 0.5], false), Some(Refused::NotAnAnswer(1)));
        let stream = filled(true, &[&[0.5]]);
        assert_eq!(refused(&stream, &[0.5], true), Some(Refused::Mixed));
        assert_eq!(refused(&stream, &[], true), None);
    }
}
