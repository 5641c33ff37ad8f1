//! Random numbers of 16 bits, one for each element of an array: what stochastic rounding adds before it cuts off.

use super::layout::Domain;
use super::philox::{Stream, WORDS};

/// Elements for which one batch of words has numbers: element `i` gets the lower half of word `i`, and element
/// `WORDS + i` its upper half.
pub const HALVES: usize = 2 * WORDS;

/// The numbers of the steps, from 1, for which there are random numbers.
pub const ROUNDED_STEPS: u64 = u32::MAX as u64;

/// The random numbers of one array of one tensor at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Halves(Stream);

impl Halves {
    /// `None` from [`STRATA`](super::STRATA) tensors on, and for steps after [`ROUNDED_STEPS`].
    #[inline(always)]
    pub fn new(seed: u64, tensor: u64, step: u64, array: u32) -> Option<Halves> {
        let step = u32::try_from(step).ok()?;
        let stream = Stream::new(seed, Domain::Rounding, step).stratum(tensor)?;
        Some(Halves(stream.array(array)))
    }

    /// The numbers of the elements from `first` on; `first` may be anything.
    #[inline(always)]
    pub fn fill(self, first: u64, to: &mut [u16]) {
        let skip = (first % HALVES as u64) as usize;
        let batch = first / HALVES as u64;
        let (head, rest) = to.split_at_mut(if skip == 0 { 0 } else { to.len().min(HALVES - skip) });
        if !head.is_empty() {
            head.copy_from_slice(&self.batch(batch)[skip..skip + head.len()]);
        }
        let next = batch + u64::from(skip > 0);
        let (whole, last) = rest.as_chunks_mut::<HALVES>();
        for (index, to) in whole.iter_mut().enumerate() {
            *to = self.batch(next + index as u64);
        }
        if !last.is_empty() {
            last.copy_from_slice(&self.batch(next + whole.len() as u64)[..last.len()]);
        }
    }

    #[inline(always)]
    fn batch(self, index: u64) -> [u16; HALVES] {
        let words = self.0.batch(index);
        let mut halves = [0; HALVES];
        let (low, high) = halves.split_at_mut(WORDS);
        for ((low, high), word) in low.iter_mut().zip(high).zip(words) {
            *low = word as u16;
            *high = (word >> 16) as u16;
        }
        halves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::STRATA;

    #[test]
    fn an_element_has_the_same_number_wherever_the_filling_begins() {
        let halves = Halves::new(5, 3, 7, 1).unwrap();
        let mut all = vec![0; 5 * HALVES];
        halves.fill(2 * HALVES as u64, &mut all);
        for first in 0..2 * HALVES + 3 {
            for n in [0, 1, 2, HALVES - 1, HALVES, HALVES + 1, 2 * HALVES + 5] {
                let mut part = vec![0; n];
                halves.fill((2 * HALVES + first) as u64, &mut part);
                assert_eq!(part, all[first..first + n]);
            }
        }
    }

    #[test]
    fn all_that_it_is_keyed_by_changes_the_numbers() {
        let numbers = |seed, tensor, step, array| {
            let mut to = [0; 8];
            Halves::new(seed, tensor, step, array).unwrap().fill(0, &mut to);
            to
        };
        let all = [(1, 0, 1, 0), (2, 0, 1, 0), (1, 1, 1, 0), (1, 0, 2, 0), (1, 0, 1, 1)];
        let all = all.map(|(seed, tensor, step, array)| numbers(seed, tensor, step, array));
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one));
        }
        assert_eq!(Halves::new(1, STRATA, 1, 0), None);
        assert_eq!(Halves::new(1, 0, ROUNDED_STEPS + 1, 0), None);
    }
}
