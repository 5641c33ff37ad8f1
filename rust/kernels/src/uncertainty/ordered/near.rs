//! The rows of some ranks of a column, found without sorting the others.

use crate::grid::{Pace, Stopped};
use crate::memory;
use crate::random::SLOTS;
use crate::sorting::{key, of_key};
use crate::uncertainty::paired::Wide;
use std::ops::Range;

/// The places of rows of lower ranks, and of higher ones; the last leaf is filled up with the latter.
pub(super) const BELOW: u16 = u16::MAX - 1;
pub(super) const ABOVE: u16 = u16::MAX;

/// Bins of equal width in the bits of the values, from the smallest to the largest: those of the column's own digits,
/// so that a bin of real data has few rows. Where nearly all values share one, that one is sorted.
const BINS: usize = 1 << 11;
/// Values that are read at a time: they stay in the first cache.
const BLOCK: usize = 1 << 10;

/// Rows of neighbouring ranks.
pub(super) struct Near {
    /// Their values in ascending order, -0 as 0.
    pub values: Vec<f64>,
    /// For each row of the column, in the order of the data, its place among them, or [`BELOW`] or [`ABOVE`].
    pub places: Vec<[u16; SLOTS]>,
}

impl Near {
    /// The rows of `ranks`, which are fewer than [`BELOW`], of a column without NaN whose smallest and largest values are
    /// given.
    pub fn of(
        x: &dyn Wide,
        ranks: Range<usize>,
        (least, most): (f64, f64),
        pace: &mut Pace<'_>,
    ) -> Result<Near, Stopped> {
        let bins = Bins::between(least, most);
        let mut counts = memory::filled(BINS, 0)?;
        each_block(x, pace, |_, values| values.iter().for_each(|&value| counts[bins.of(value)] += 1))?;
        let (low, before) = bin_of_rank(&counts, ranks.start);
        let (high, _) = bin_of_rank(&counts, ranks.end - 1);
        let mut candidates = memory::with_capacity(counts[low..=high].iter().sum())?;
        let mut places = memory::filled(x.len().div_ceil(SLOTS), [ABOVE; SLOTS])?;
        each_block(x, pace, |start, values| {
            for (row, &value) in (start..).zip(values) {
                let bin = bins.of(value);
                if bin < low {
                    places[row / SLOTS][row % SLOTS] = BELOW;
                } else if bin <= high {
                    candidates.push((key(value), row));
                }
            }
        })?;
        candidates.sort_unstable();
        let mut values = memory::with_capacity(ranks.len())?;
        for (rank, &(key, row)) in (before..).zip(&candidates) {
            let place = &mut places[row / SLOTS][row % SLOTS];
            if rank < ranks.start {
                *place = BELOW;
            } else if rank < ranks.end {
                *place = (rank - ranks.start) as u16;
                values.push(of_key(key));
            }
        }
        Ok(Near { values, places })
    }
}

/// Numbers by their leading bits above the smallest one.
struct Bins {
    least: u64,
    shift: u32,
}

impl Bins {
    fn between(least: f64, most: f64) -> Bins {
        let least = key(least + 0.0);
        let bits = u64::BITS - (key(most + 0.0) - least).leading_zeros();
        Bins { least, shift: bits.saturating_sub(BINS.ilog2()) }
    }

    #[inline(always)]
    fn of(&self, value: f64) -> usize {
        ((key(value) - self.least) >> self.shift) as usize % BINS
    }
}

/// The bin of a rank, and the number of rows in the bins below.
fn bin_of_rank(counts: &[usize], rank: usize) -> (usize, usize) {
    let mut before = 0;
    for (bin, &count) in counts.iter().enumerate() {
        if before + count > rank {
            return (bin, before);
        }
        before += count;
    }
    (counts.len() - 1, before)
}

/// Calls `read` with the values of a column, block by block, and the row of the first one of each. -0 becomes 0: they
/// are one value.
fn each_block(x: &dyn Wide, pace: &mut Pace<'_>, mut read: impl FnMut(usize, &[f64])) -> Result<(), Stopped> {
    let mut values = [0.0; BLOCK];
    for start in (0..x.len()).step_by(BLOCK) {
        let here = &mut values[..BLOCK.min(x.len() - start)];
        x.widen(start, here);
        for value in &mut *here {
            *value += 0.0;
        }
        read(start, here);
        pace.stride(here.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::TICK;

    /// Ties, both signs and zeros, numbers that share one bin but for one far away, and a range that a bin ends in.
    #[test]
    fn they_are_those_of_the_sorted_column() {
        let far = |i: usize| if i == 3 { 1e300 } else { 1.0 + (i * 7919 % 5000) as f64 * f64::EPSILON };
        let signs = |i: usize| [0.0, -0.0, -1.5, 2.0, 7.0, -1e-300][i * 31 % 6] * (i % 5) as f64;
        let plain = |i: usize| (i * 7919 % 10_007) as f64 - 3000.0;
        for of in [&far as &dyn Fn(usize) -> f64, &signs, &plain] {
            let x: Vec<f64> = (0..5003).map(of).collect();
            let mut sorted: Vec<f64> = x.iter().map(|x| x + 0.0).collect();
            sorted.sort_by(f64::total_cmp);
            let range = (sorted[0], sorted[5002]);
            for ranks in [0..5003, 0..1, 5002..5003, 2400..2600, 17..700] {
                let mut go_on = |_| true;
                let near = Near::of(&&x[..], ranks.clone(), range, &mut Pace::new(&mut go_on)).unwrap();
                let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&near.values), bits(&sorted[ranks.clone()]));
                let places = near.places.as_flattened();
                assert_eq!(places[..5003].iter().filter(|&&place| place == BELOW).count(), ranks.start);
                assert!(places[5003..].iter().all(|&place| place == ABOVE));
                let mut seen = vec![false; ranks.len()];
                for (place, value) in places.iter().zip(&x).filter(|(place, _)| **place < BELOW) {
                    assert_eq!(near.values[usize::from(*place)], *value);
                    seen[usize::from(*place)] = true;
                }
                assert!(seen.iter().all(|&seen| seen));
            }
        }
    }

    #[test]
    fn it_can_be_stopped() {
        let x: Vec<f64> = (0..1 << 22).map(f64::from).collect();
        let range = (0.0, f64::from((1 << 22) - 1));
        let mut stop = |_| false;
        let mut pace = Pace::new(&mut stop);
        // So that it is time to ask, however fast the machine is.
        std::thread::sleep(2 * TICK);
        let found = Near::of(&&x[..], 5..9, range, &mut pace);
        assert!(matches!(found, Err(Stopped::Cancelled)));
    }
}
