//! Random words of a unit, which follow from its id.

use super::layout::{BLOCK_HIGH, DOMAIN, Domain, STRATUM};
use super::philox::{BLOCKS, WORDS, philox};

/// The words of the units of one seed and kind of ids.
///
/// The 64 bits of a unit's number stand where other purposes have their block and replicate: a counter is (number, its low
/// and its high half; domain, kind and round; group and lane). Different units therefore never share a word.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct UnitStream {
    key: [u32; 2],
    tag: u32,
}

/// Blocks of a group, side by side.
pub const UNIT_LANES: usize = BLOCKS;

impl UnitStream {
    /// The words of units whose ids are of one kind.
    pub fn new(seed: u64, kind: u8) -> Self {
        let tag = DOMAIN.put(Domain::Units as u64) | STRATUM.put(kind.into());
        UnitStream { key: [seed as u32, (seed >> 32) as u32], tag }
    }

    /// The words of a group (below 2^28) and round (below 64) of a unit: word 0 of every block, then word 1, as in a
    /// batch.
    #[inline(always)]
    pub fn words(self, number: u64, group: u32, round: u32) -> [u32; WORDS] {
        let (low, high) = (number as u32, (number >> 32) as u32);
        let tag = self.tag | BLOCK_HIGH.put(round.into());
        let mut place = [group << BLOCKS.trailing_zeros(); BLOCKS];
        for i in 0..BLOCKS {
            place[i] |= i as u32;
        }
        let out = philox(self.key, [[low; BLOCKS], [high; BLOCKS], [tag; BLOCKS], place]);
        let mut words = [0; WORDS];
        // Whole blocks are copied: word by word, the compiler would gather them.
        for (word, out) in out.iter().enumerate() {
            words[word * BLOCKS..][..BLOCKS].copy_from_slice(out);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn units_groups_rounds_and_kinds_have_words_of_their_own() {
        let mut seen = BTreeSet::new();
        for kind in 0..2 {
            for number in [0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX] {
                for (group, round) in [(0, 0), (1, 0), (0, 1)] {
                    let words = UnitStream::new(3, kind).words(number, group, round);
                    (0..BLOCKS).for_each(|i| {
                        seen.insert([
                            words[i],
                            words[i + BLOCKS],
                            words[i + 2 * BLOCKS],
                            words[i + 3 * BLOCKS],
                        ]);
                    });
                }
            }
        }
        assert_eq!(seen.len(), 2 * 5 * 3 * BLOCKS);
    }

    #[test]
    fn a_block_is_that_of_its_counter() {
        let words = UnitStream::new(0x1234_5678_9abc_def0, 1).words(0x0123_4567_89ab_cdef, 2, 1);
        let tag = DOMAIN.put(10) | STRATUM.put(1) | 1;
        let want =
            philox::<1>([0x9abc_def0, 0x1234_5678], [[0x89ab_cdef], [0x0123_4567], [tag], [2 * 16 + 5]]);
        for word in 0..4 {
            assert_eq!(words[word * BLOCKS + 5], want[word][0]);
        }
    }
}
