//! Philox4x32-10, with several blocks computed side by side, and the streams of random words that it gives.

use super::layout::{self, BLOCK_HIGH, BLOCK_LOW, DOMAIN, Domain, PLACE, REPLICATE, STRATA, STRATUM};

/// Blocks of four words that are computed side by side; with fewer, compilers emit no wide code below AVX-512.
///
/// This constant is part of the definition of the random numbers: a batch gives word 0 of every block, then word 1 of
/// every block, and so on.
pub const BLOCKS: usize = 16;
/// Words in a batch.
pub const WORDS: usize = 4 * BLOCKS;
/// Bits in a batch.
pub const BITS: u64 = 32 * WORDS as u64;

const MULTIPLIERS: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;
const LOW: u64 = 0xffff_ffff;

/// `N` blocks of Philox4x32-10: `counter[word][block]` under one key.
///
/// The 32-bit words are kept in 64-bit lanes. A widening multiplication reads only the low half of each lane, so that
/// the high halves may hold anything until the end.
#[inline(always)]
pub fn philox<const N: usize>(key: [u32; 2], counter: [[u32; N]; 4]) -> [[u32; N]; 4] {
    // Loops in place of `map`, which is a call to code without the level's wide instructions where it is not inlined.
    let [mut c0, mut c1, mut c2, mut c3] = [[0; N]; 4];
    for i in 0..N {
        [c0[i], c1[i], c2[i], c3[i]] = [
            u64::from(counter[0][i]),
            u64::from(counter[1][i]),
            u64::from(counter[2][i]),
            u64::from(counter[3][i]),
        ];
    }
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        for i in 0..N {
            let a = (c0[i] & LOW) * MULTIPLIERS[0];
            let b = (c2[i] & LOW) * MULTIPLIERS[1];
            c0[i] = (b >> 32) ^ c1[i] ^ u64::from(k0);
            c2[i] = (a >> 32) ^ c3[i] ^ u64::from(k1);
            c1[i] = b;
            c3[i] = a;
        }
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    let mut words = [[0; N]; 4];
    for i in 0..N {
        words[0][i] = c0[i] as u32;
        words[1][i] = c1[i] as u32;
        words[2][i] = c2[i] as u32;
        words[3][i] = c3[i] as u32;
    }
    words
}

/// A sequence of up to [`super::PLACE_BLOCKS`] blocks: one purpose, one stratum, one replicate, one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Stream {
    key: [u32; 2],
    replicate: u32,
    /// The domain and the stratum, at their positions in the third word of the counter.
    tag: u32,
    place: u32,
}

impl Stream {
    /// The stream of a purpose and replicate, at stratum 0 and place 0.
    pub fn new(seed: u64, domain: Domain, replicate: u32) -> Self {
        let key = [seed as u32, (seed >> 32) as u32];
        Stream { key, replicate, tag: DOMAIN.put(domain as u64), place: 0 }
    }

    /// The stream of another stratum, at place 0; `None` from [`STRATA`] on.
    pub fn stratum(self, index: u64) -> Option<Self> {
        let domain = self.tag & !STRATUM.mask();
        (index < STRATA).then(|| Stream { tag: domain | STRATUM.put(index), place: 0, ..self })
    }

    /// The replicate whose stream it is.
    pub fn replicate(self) -> u32 {
        self.replicate
    }

    /// The stream of another replicate, at the same place.
    pub fn of_replicate(self, replicate: u32) -> Self {
        Stream { replicate, ..self }
    }

    /// The stream of leaf `index` of the rows, below 2^(ROWS - LEAF).
    #[inline(always)]
    pub fn leaf(self, index: u64) -> Self {
        Stream { place: layout::leaf(index), ..self }
    }

    /// The stream of array `index` of a tensor, or of place `index` where no leaves are drawn.
    #[inline(always)]
    pub fn array(self, index: u32) -> Self {
        Stream { place: index, ..self }
    }

    /// The counter of a block.
    #[inline(always)]
    fn counter(self, block: u64) -> [u32; 4] {
        let low = BLOCK_LOW.put(block % BLOCK_LOW.limit());
        let high = BLOCK_HIGH.put(block / BLOCK_LOW.limit());
        [low, REPLICATE.put(self.replicate.into()), self.tag | high, PLACE.put(self.place.into())]
    }

    /// The words of batch `index`.
    #[inline(always)]
    pub fn batch(self, index: u64) -> [u32; WORDS] {
        let [first, replicate, tag, place] = self.counter(index * BLOCKS as u64);
        let mut block = [first; BLOCKS];
        for i in 0..BLOCKS {
            block[i] |= i as u32;
        }
        let out = philox(self.key, [block, [replicate; BLOCKS], [tag; BLOCKS], [place; BLOCKS]]);
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
    use super::layout::{LEAF, PLACE_BLOCKS, ROWS};
    use super::*;

    /// The three vectors published with Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn published_vectors() {
        let one = |key, counter: [u32; 4]| philox::<1>(key, counter.map(|c| [c])).map(|[word]| word);
        assert_eq!(one([0; 2], [0; 4]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(one([u32::MAX; 2], [u32::MAX; 4]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            one([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn a_batch_is_its_blocks_word_by_word() {
        let stream = Stream::new(0x0123_4567_89ab_cdef, Domain::SignFlip, 9);
        let stream = stream.stratum(5).unwrap().leaf(77);
        let last = PLACE_BLOCKS / BLOCKS as u64 - 1;
        for (index, high) in [(0, 0), (5, 0), ((1 << 32) / BLOCKS as u64, 1), (last, 63)] {
            let words = stream.batch(index);
            for block in 0..BLOCKS {
                let number = (index * BLOCKS as u64) as u32 + block as u32;
                let counter = [[number], [9], [2 << 26 | 5 << 6 | high], [(1 << 30) + 77]];
                let alone = philox::<1>([0x89ab_cdef, 0x0123_4567], counter);
                for word in 0..4 {
                    assert_eq!(words[word * BLOCKS + block], alone[word][0]);
                }
            }
        }
    }

    /// Some of the `limit` values of a field: those at its ends and in the middle, and three pseudo-random ones.
    fn values(limit: u64, state: &mut u64) -> Vec<u64> {
        let mut next = || {
            *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state.rotate_left(32) % limit
        };
        let ends = [0, 1, limit / 2 - 1, limit / 2, limit - 2, limit - 1];
        let mut all: Vec<u64> = ends.into_iter().chain((0..3).map(|_| next())).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Places of every kind: place 0, nodes of a design, and leaves.
    fn places(stream: Stream, state: &mut u64) -> Vec<Stream> {
        let mut all = vec![stream];
        all.extend(values(1 << 20, state).into_iter().skip(1).map(|index| stream.array(index as u32)));
        all.extend(values(1 << (ROWS - LEAF), state).into_iter().map(|index| stream.leaf(index)));
        all
    }

    /// Blocks that differ in anything (purpose, stratum, replicate, place, block number) have different counters; since
    /// Philox permutes the counters of a key, their random numbers differ too.
    #[test]
    fn no_two_streams_share_a_block() {
        let (mut seen, mut total, mut state) = (std::collections::HashSet::new(), 0, 1);
        let (strata, replicates) = (values(STRATA, &mut state), values(1 << 32, &mut state));
        let blocks = values(PLACE_BLOCKS, &mut state);
        for domain in Domain::ALL {
            for &replicate in &replicates {
                let stream = Stream::new(7, domain, replicate as u32);
                for stream in strata.iter().map(|&index| stream.stratum(index).unwrap()) {
                    for place in places(stream, &mut 2) {
                        total += blocks.len();
                        seen.extend(blocks.iter().map(|&block| place.counter(block)));
                    }
                }
            }
        }
        assert!(total > 80_000);
        assert_eq!(seen.len(), total);
    }

    #[test]
    fn a_stratum_beyond_the_last_is_refused() {
        let stream = Stream::new(1, Domain::Bootstrap, 0).leaf(3);
        assert_eq!(stream.stratum(STRATA), None);
        assert_eq!(stream.stratum(5).unwrap().stratum(0), Some(Stream::new(1, Domain::Bootstrap, 0)));
    }
}
