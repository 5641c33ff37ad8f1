//! Multinomial(n; 1/n, ..., 1/n), exactly, for any n: the counts of n draws with replacement from n slots.
//!
//! `0..n` is cut into dyadic blocks, one for each set bit of n, in falling order. Balls run down the spine of
//! the binary tree that pads n to a power of two: a ball that enters a block stays there, one that leaves
//! `0..n` is thrown again in the next round. Every block is then a perfect tree whose nodes send each ball
//! left or right by one random bit, down to leaves of 2^[`LEAF`] slots; there, a field of [`LEAF`] bits is
//! one draw. (Divide and conquer as in Sanders, Lamm, Huebschle-Schneider, Schrade, Dachsbacher, "Efficient
//! parallel random sampling", TOMS 2018; with a fair coin at every node no binomial is ever approximated.)
//!
//! A node's numbers depend on its place alone, so any worker can take any part.

use super::philox::{BITS, Stream, WORDS};

/// log2 of the slots in a leaf: 8 KiB of f64, which stay in the first-level cache. Three draws to a word.
pub const LEAF: u32 = 10;
const FIELDS: usize = 3;
/// Draws in a batch of words, field by field: field 0 of every word, then field 1, ...
pub const DRAWS: usize = FIELDS * WORDS;

/// The slots `index << level .. (index + 1) << level` and the balls that fell there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// log2 of the slots.
    pub level: u32,
    /// Which of the level's nodes.
    pub index: u64,
    /// How many draws fell here.
    pub balls: u64,
}

impl Node {
    /// The first slot.
    #[inline(always)]
    pub fn start(self) -> u64 {
        self.index << self.level
    }

    /// The two halves, each with its balls.
    #[inline(always)]
    pub fn split(self, stream: Stream) -> [Node; 2] {
        let left = stream.node(self.level, self.index).fair(self.balls);
        let half = |right, balls| Node { level: self.level - 1, index: 2 * self.index + right, balls };
        [half(0, left), half(1, self.balls - left)]
    }
}

/// The blocks of `0..n` in slot order, with the balls of one replicate; `n` from 1 to 2^40.
#[inline(always)]
pub fn blocks(stream: Stream, n: u64) -> impl Iterator<Item = Node> {
    let balls = spine(stream, n);
    let set = (0..u64::BITS).rev().filter(move |&level| n >> level & 1 == 1);
    // Above bit `level`, the set bits of n are the slots before this block.
    set.map(move |level| Node { level, index: (n >> level) - 1, balls: balls[level as usize] })
}

/// How many of `n` balls each block receives, by its level.
#[inline(always)]
fn spine(stream: Stream, n: u64) -> [u64; u64::BITS as usize] {
    let mut block = [0; u64::BITS as usize];
    let lowest = n.trailing_zeros();
    let top = u64::BITS - n.leading_zeros();
    if n.is_power_of_two() {
        block[lowest as usize] = n;
        return block;
    }
    let (mut thrown, mut round) = (n, 0);
    while thrown > 0 {
        let (mut here, mut outside) = (thrown, 0);
        for level in (lowest..top).rev() {
            let left = stream.spine(level, round).fair(here);
            if n >> level & 1 == 1 {
                block[level as usize] += left;
                here -= left;
            } else {
                outside += here - left;
                here = left;
            }
        }
        thrown = outside + here; // right of the last block, nothing is inside any more
        round += 1;
    }
    block
}

/// What is done with the draws.
pub trait Visit {
    /// The draws of one batch: slots `start + offsets[i]` for `i < take`; each offset is below 2^`level`.
    fn draws(&mut self, start: u64, level: u32, offsets: &[u16; DRAWS], take: usize);
    /// The leaf that began at `start` is complete.
    fn leaf(&mut self);
}

/// Visits every draw below a node, leaf by leaf in slot order.
#[inline(always)]
pub fn walk<V: Visit>(stream: Stream, root: Node, visit: &mut V) {
    // A node's right half waits while the left one is walked: at most one a level.
    let mut waiting = [Node::default(); u64::BITS as usize];
    let (mut node, mut depth) = (root, 0);
    loop {
        while node.level > LEAF {
            let [left, right] = node.split(stream);
            waiting[depth] = right;
            depth += 1;
            node = left;
        }
        throw(stream, node, visit);
        if depth == 0 {
            return;
        }
        depth -= 1;
        node = waiting[depth];
    }
}

/// The draws of a leaf.
#[inline(always)]
fn throw<V: Visit>(stream: Stream, leaf: Node, visit: &mut V) {
    let stream = stream.node(leaf.level, leaf.index);
    let mask = ((1u32 << leaf.level) - 1) as u16;
    let (mut left, mut batch) = (leaf.balls as usize, 0);
    while left > 0 {
        let words = stream.batch(batch);
        let mut offsets = [0u16; DRAWS];
        for (field, out) in offsets.as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
            for (offset, word) in out.iter_mut().zip(words) {
                *offset = (word >> (LEAF * field as u32)) as u16 & mask;
            }
        }
        let take = if left < DRAWS { left } else { DRAWS };
        visit.draws(leaf.start(), leaf.level, &offsets, take);
        left -= take;
        batch += 1;
    }
    visit.leaf();
}

/// Collects counts.
struct Counts<'a>(&'a mut [u32]);

impl Visit for Counts<'_> {
    fn draws(&mut self, start: u64, _level: u32, offsets: &[u16; DRAWS], take: usize) {
        for &offset in &offsets[..take] {
            self.0[start as usize + usize::from(offset)] += 1;
        }
    }
    fn leaf(&mut self) {}
}

/// The counts of one replicate: how often each of `n` slots is drawn in `n` draws.
pub fn counts(stream: Stream, n: usize) -> Vec<u32> {
    let mut counts = vec![0; n];
    if n > 0 {
        for block in blocks(stream, n as u64) {
            walk(stream, block, &mut Counts(&mut counts));
        }
    }
    counts
}

/// A leaf's draws never exceed what a batch counter holds, nor a node's balls the stream's 2^40 blocks.
const _: () = assert!(LEAF as usize * FIELDS <= 32 && BITS == 32 * WORDS as u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Domain;

    fn replicate(index: u32) -> Stream {
        Stream::new(11, Domain::Bootstrap, index)
    }

    #[test]
    fn every_replicate_has_n_draws() {
        for n in (1..300).chain([1023, 1024, 1025, 2047, 2048, 2049, 5000, 65_537, 100_000]) {
            for r in 0..3 {
                assert_eq!(counts(replicate(r), n).iter().map(|&c| c as usize).sum::<usize>(), n, "{n}");
            }
        }
    }

    #[test]
    fn the_blocks_tile_the_slots() {
        for n in [1u64, 2, 3, 7, 100, 1000, 4096, 100_000, (1 << 20) + 1] {
            let mut next = 0;
            let mut balls = 0;
            for node in blocks(replicate(0), n) {
                assert_eq!(node.start(), next);
                next += 1 << node.level;
                balls += node.balls;
            }
            assert_eq!((next, balls), (n, n));
        }
    }

    #[test]
    fn replicates_and_seeds_differ() {
        assert_ne!(counts(replicate(0), 100), counts(replicate(1), 100));
        let other = Stream::new(12, Domain::Bootstrap, 0);
        assert_ne!(counts(replicate(0), 100), counts(other, 100));
    }

    /// Pearson's statistic over all outcomes against the multinomial probabilities; the limits are the
    /// chi-square quantiles at .9999 with (outcomes - 1) degrees of freedom.
    #[test]
    fn the_joint_distribution_is_exact_for_small_n() {
        const REPLICATES: u32 = 100_000;
        for (n, limit) in [(2usize, 18.42), (3, 33.72), (4, 73.48), (5, 192.5)] {
            let mut seen = std::collections::BTreeMap::<Vec<u32>, f64>::new();
            for r in 0..REPLICATES {
                *seen.entry(counts(replicate(r), n)).or_default() += 1.0;
            }
            let factorial = |k: u32| (1..=k).map(f64::from).product::<f64>();
            let mut power = f64::from(REPLICATES) * factorial(n as u32);
            for _ in 0..n {
                power /= n as f64;
            }
            // An outcome that was never seen adds what was expected of it.
            let (mut statistic, mut unseen) = (0.0, f64::from(REPLICATES));
            for (outcome, observed) in &seen {
                let expected = power / outcome.iter().map(|&c| factorial(c)).product::<f64>();
                statistic += (observed - expected) * (observed - expected) / expected;
                unseen -= expected;
            }
            statistic += unseen;
            assert!(statistic < limit, "n = {n}: {statistic} over {} outcomes", seen.len());
        }
    }

    /// Every slot's total over many replicates, and the variance of a single count, 1 - 1/n.
    #[test]
    fn the_marginals_are_exact() {
        for n in [7usize, 257, 300, 1000, 1100] {
            let replicates = 2_000_000 / n as u32;
            let (mut total, mut squares) = (vec![0.0; n], 0.0);
            for r in 0..replicates {
                for (sum, &count) in total.iter_mut().zip(&counts(replicate(r), n)) {
                    *sum += f64::from(count);
                    squares += (f64::from(count) - 1.0) * (f64::from(count) - 1.0);
                }
            }
            let expected = f64::from(replicates);
            let statistic: f64 = total.iter().map(|t| (t - expected) * (t - expected) / expected).sum();
            let df = n as f64 - 1.0;
            assert!((statistic - df).abs() < 4.0 * (2.0 * df).sqrt(), "n = {n}: {statistic}");
            let variance = squares / (n as f64 * expected);
            assert!((variance - (1.0 - 1.0 / n as f64)).abs() < 0.005, "n = {n}: {variance}");
        }
    }
}
