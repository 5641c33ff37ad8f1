//! Exact draws from Multinomial(n; 1/n, ..., 1/n) for any n: how often each of n slots (rows) is drawn in n draws with
//! replacement. A draw is called a ball that falls into a slot.
//!
//! The slots `0..n` are the left part of the 2^k leaves of a binary tree. The spine is the path from the root along
//! which the tree is cut at `n`; the subtrees left of it are perfect and lie inside `0..n`, those right of it lie
//! outside. At each node of the spine one random bit sends a ball left or right. A ball that enters a perfect subtree
//! inside `0..n` stays there; one that leaves `0..n` is thrown again from the top in the next round. Every node of a
//! perfect subtree splits its balls by fair coins, down to leaves of 2^[`LEAF`] slots, where a field of [`LEAF`] random
//! bits is one draw. Only the last leaf may be ragged (have fewer slots): a field beyond its slots is drawn again.
//! (Divide and conquer as in Sanders, Lamm, Huebschle-Schneider, Schrade, Dachsbacher, "Efficient parallel random
//! sampling", TOMS 2018; with a fair coin at every node no binomial is ever approximated.)
//!
//! The random numbers of a node depend on its place alone, so that any thread can compute any part of a replicate.

use super::layout::{LEAF, TREE};
use super::philox::{Stream, WORDS};
use crate::memory::{self, NoMemory};
use crate::simd::{Isa, Kernel, dispatch};

/// Slots per full leaf.
pub const SLOTS: usize = 1 << LEAF;
/// Draws per 32-bit word: three fields of ten bits, the lowest first; the upper two bits are not used.
pub const FIELDS: usize = 3;
/// Draws per batch of words, in the order of the words.
const DRAWS: usize = FIELDS * WORDS;
/// Batches that are handed to a visitor at a time: enough for a typical leaf of about [`SLOTS`] draws.
const BATCHES: usize = 6;

/// The slot in field `number` of a word.
#[inline(always)]
pub fn field(word: u32, number: usize) -> usize {
    (word >> (LEAF as usize * number)) as usize % SLOTS
}

/// A subtree and the number of balls that fell into it. Its slots are `index << level .. (index + 1) << level`, or as
/// many of them as lie in `0..n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// log2 of the number of slots, at least `LEAF`.
    pub level: u32,
    /// The index among the nodes of this level, from the left.
    pub index: u64,
    /// The number of draws in this subtree.
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

/// The perfect subtrees and the ragged leaf that make up `0..n`, in slot order, with the balls of one
/// replicate; `n` is at least 1.
///
/// # Panics
/// For more than 2^[`TREE`] rows, which no machine holds today.
#[inline(always)]
pub fn blocks(stream: Stream, n: u64) -> impl Iterator<Item = Node> {
    assert!(n <= 1 << TREE, "more rows than the tree of a replicate holds");
    let (perfect, ragged) = spine(stream, n);
    let trees = (LEAF..u64::BITS).rev().filter(move |&level| n >> level & 1 == 1);
    // Above bit `level`, the set bits of n are the slots before this tree.
    let trees =
        trees.map(move |level| Node { level, index: (n >> level) - 1, balls: perfect[level as usize] });
    let last = Node { level: LEAF, index: n >> LEAF, balls: ragged };
    trees.chain((!n.is_multiple_of(SLOTS as u64)).then_some(last))
}

/// How many of the `n` balls fall into each perfect subtree (indexed by its level), and how many into the ragged leaf.
#[inline(always)]
fn spine(stream: Stream, n: u64) -> ([u64; u64::BITS as usize], u64) {
    let (mut perfect, mut ragged) = ([0; u64::BITS as usize], 0);
    let rest = n % SLOTS as u64;
    if n.is_power_of_two() && rest == 0 {
        perfect[n.trailing_zeros() as usize] = n;
        return (perfect, 0);
    }
    if n < SLOTS as u64 {
        return (perfect, n);
    }
    let (mut thrown, mut round) = (n, 0);
    while thrown > 0 {
        let (mut here, mut outside) = (thrown, 0);
        for level in (LEAF..u64::BITS - n.leading_zeros()).rev() {
            let left = stream.spine(level, round).fair(here);
            if n >> level & 1 == 1 {
                perfect[level as usize] += left;
                here -= left;
            } else {
                outside += here - left;
                here = left;
            }
        }
        let inside = if rest > 0 { below(stream.spine(0, round), here, rest as usize) } else { 0 };
        ragged += inside;
        thrown = outside + here - inside;
        round += 1;
    }
    (perfect, ragged)
}

/// How many of the stream's first `balls` draws are below `slots`.
#[inline(always)]
fn below(stream: Stream, balls: u64, slots: usize) -> u64 {
    let (mut left, mut batch, mut inside) = (balls, 0, 0);
    while left > 0 {
        for (i, word) in stream.batch(batch).into_iter().enumerate() {
            for number in 0..FIELDS {
                let drawn = ((FIELDS * i + number) as u64) < left;
                inside += u64::from(drawn && field(word, number) < slots);
            }
        }
        left = left.saturating_sub(DRAWS as u64);
        batch += 1;
    }
    inside
}

/// Receives the draws of a replicate, leaf by leaf.
pub trait Visit {
    /// Begins a leaf of `slots` slots, the first of which is `start`.
    fn enter(&mut self, start: u64, slots: usize);
    /// Draws in the leaf: the first `take` fields of `words`, as offsets from `start`. A field that is not below
    /// `slots` (but below the next power of two) is no draw and must be ignored.
    fn words(&mut self, words: &[u32], take: usize);
    /// Draws in the leaf, as offsets from `start`, all below `slots`.
    fn offsets(&mut self, offsets: &[u16]);
    /// Ends the leaf.
    fn leave(&mut self);
}

/// Whether leaf `index` is the last one of a block of [`blocks`].
#[inline(always)]
pub fn ends_block(index: usize, n: usize) -> bool {
    let full = n / SLOTS;
    // The block of a full leaf is that of the highest bit in which its index and the number of full leaves differ.
    let cut = (index ^ full).checked_ilog2().unwrap_or(0);
    index >= full || index + 1 == full >> cut << cut
}

/// The leaves below a node of a replicate's tree, in slot order, each with its balls.
pub struct Leaves {
    stream: Stream,
    /// The right half of a node waits while its left half is gone through: at most one node per level.
    waiting: [Node; u64::BITS as usize],
    depth: usize,
}

impl Leaves {
    /// The leaves below `root`.
    #[inline(always)]
    pub fn below(stream: Stream, root: Node) -> Leaves {
        let mut waiting = [Node::default(); u64::BITS as usize];
        waiting[0] = root;
        Leaves { stream, waiting, depth: 1 }
    }
}

impl Iterator for Leaves {
    type Item = Node;

    #[inline(always)]
    fn next(&mut self) -> Option<Node> {
        self.depth = self.depth.checked_sub(1)?;
        let mut node = self.waiting[self.depth];
        while node.level > LEAF {
            let [left, right] = node.split(self.stream);
            self.waiting[self.depth] = right;
            self.depth += 1;
            node = left;
        }
        Some(node)
    }
}

/// Visits every draw below a node of the tree over `0..n`, leaf by leaf in slot order.
#[inline(always)]
pub fn walk<V: Visit>(stream: Stream, n: u64, root: Node, visit: &mut V) {
    for leaf in Leaves::below(stream, root) {
        visit.enter(leaf.start(), slots(n, leaf));
        throw_into(stream, n, leaf, visit);
        visit.leave();
    }
}

/// The number of slots of a leaf.
#[inline(always)]
fn slots(n: u64, leaf: Node) -> usize {
    let left = n - leaf.start();
    if left < SLOTS as u64 { left as usize } else { SLOTS }
}

/// Hands the draws of a leaf to the visitor, without [`Visit::enter`] and [`Visit::leave`].
#[inline(always)]
pub fn throw_into<V: Visit>(stream: Stream, n: u64, leaf: Node, visit: &mut V) {
    let (slots, balls) = (slots(n, leaf), leaf.balls as usize);
    let stream = stream.node(LEAF, leaf.index);
    if slots == SLOTS {
        throw(stream, balls, visit);
    } else {
        throw_again(stream, balls, slots, visit);
    }
}

/// Hands the draws of a full leaf to the visitor.
#[inline(always)]
fn throw<V: Visit>(stream: Stream, balls: usize, visit: &mut V) {
    let (mut left, mut batch, mut words) = (balls, 0, [0; BATCHES * WORDS]);
    while left > 0 {
        let batches = left.div_ceil(DRAWS).min(BATCHES);
        for to in &mut words.as_chunks_mut::<WORDS>().0[..batches] {
            *to = stream.batch(batch);
            batch += 1;
        }
        let take = left.min(batches * DRAWS);
        visit.words(&words, take);
        left -= take;
    }
}

/// Hands the draws of a ragged leaf to the visitor: a field beyond its slots is skipped, and the next one is used.
///
/// Batches that are used completely are handed over as they are; only from the last one the draws are picked one by
/// one.
#[inline(always)]
fn throw_again<V: Visit>(stream: Stream, balls: usize, slots: usize, visit: &mut V) {
    let mask = (slots.next_power_of_two() - 1) as u32;
    let fields = mask | mask << LEAF | mask << (2 * LEAF);
    let (mut left, mut batch) = (balls, 0);
    while left > 0 {
        let words = stream.batch(batch).map(|word| word & fields);
        let inside = inside(&words, slots);
        if inside <= left {
            visit.words(&words, DRAWS);
            left -= inside;
        } else {
            sift(&words, slots, left, visit);
            left = 0;
        }
        batch += 1;
    }
}

/// How many fields of a batch are below `slots`.
#[inline(always)]
fn inside(words: &[u32; WORDS], slots: usize) -> usize {
    let mut inside = 0;
    for &word in words {
        for number in 0..FIELDS {
            inside += u32::from(field(word, number) < slots);
        }
    }
    inside as usize
}

/// Hands the first `balls` fields below `slots` to the visitor.
#[inline(always)]
fn sift<V: Visit>(words: &[u32; WORDS], slots: usize, balls: usize, visit: &mut V) {
    let (mut kept, mut count) = ([0u16; DRAWS.next_power_of_two()], 0);
    for words in words.as_chunks::<16>().0 {
        if count >= balls {
            break;
        }
        for &word in words {
            for number in 0..FIELDS {
                let offset = field(word, number);
                kept[count % kept.len()] = offset as u16;
                count += usize::from(offset < slots);
            }
        }
    }
    visit.offsets(&kept[..balls]);
}

/// The counts of one replicate: how often each of `n` slots is drawn in `n` draws.
pub fn counts(stream: Stream, n: usize) -> Result<Vec<u32>, NoMemory> {
    let mut all = memory::filled(n, 0)?;
    count_into(stream, &mut all);
    Ok(all)
}

/// Writes the [`counts`] of one replicate of as many slots as `all` has.
pub fn count_into(stream: Stream, all: &mut [u32]) {
    if !all.is_empty() {
        dispatch(Count { stream, all });
    }
}

struct Count<'a> {
    stream: Stream,
    all: &'a mut [u32],
}

impl Kernel for Count<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let n = self.all.len() as u64;
        let mut tally = Tally { all: self.all, start: 0, leaf: &mut [0; SLOTS] };
        for block in blocks(self.stream, n) {
            walk(self.stream, n, block, &mut tally);
        }
    }
}

/// Counts the draws of a leaf in a table of its own, since a table of a fixed size needs no checks of bounds, and has
/// places for the draws beyond the end of a ragged leaf.
struct Tally<'a> {
    all: &'a mut [u32],
    start: usize,
    leaf: &'a mut [u32; SLOTS],
}

impl Visit for Tally<'_> {
    #[inline(always)]
    fn enter(&mut self, start: u64, _: usize) {
        self.start = start as usize;
        self.leaf.fill(0);
    }
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        let (whole, over) = (take / FIELDS, take % FIELDS);
        for &word in &words[..whole] {
            for number in 0..FIELDS {
                self.leaf[field(word, number)] += 1;
            }
        }
        for number in 0..over {
            self.leaf[field(words[whole], number)] += 1;
        }
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        for &offset in offsets {
            self.leaf[usize::from(offset) % SLOTS] += 1;
        }
    }
    #[inline(always)]
    fn leave(&mut self) {
        for (count, &seen) in self.all[self.start..].iter_mut().zip(&*self.leaf) {
            *count = seen;
        }
    }
}

const _: () = assert!(LEAF as usize * FIELDS <= 32);

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
                assert_eq!(
                    counts(replicate(r), n).unwrap().iter().map(|&c| c as usize).sum::<usize>(),
                    n,
                    "{n}"
                );
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
                next = (next + (1 << node.level)).min(n);
                balls += node.balls;
            }
            assert_eq!((next, balls), (n, n));
        }
    }

    #[test]
    fn a_block_ends_with_its_last_leaf() {
        for n in [1usize, 1023, 1024, 1025, 5000, 7 << 10, (7 << 10) + 3, 100_000, 1 << 20] {
            let mut ends = vec![false; n.div_ceil(SLOTS)];
            for node in blocks(replicate(0), n as u64) {
                ends[(node.start() as usize + (1 << node.level)) / SLOTS - 1] = true;
            }
            assert!((0..ends.len()).map(|leaf| ends_block(leaf, n)).eq(ends), "{n}");
        }
    }

    #[test]
    fn replicates_and_seeds_differ() {
        assert_ne!(counts(replicate(0), 100), counts(replicate(1), 100));
        let other = Stream::new(12, Domain::Bootstrap, 0);
        assert_ne!(counts(replicate(0), 100), counts(other, 100));
    }

    /// Pearson's chi-square statistic over all outcomes against the multinomial probabilities; the limits are the
    /// 0.9999 quantiles of the chi-square distribution with (outcomes - 1) degrees of freedom.
    #[test]
    fn the_joint_distribution_is_exact_for_small_n() {
        const REPLICATES: u32 = 100_000;
        for (n, limit) in [(2usize, 18.42), (3, 33.72), (4, 73.48), (5, 192.5)] {
            let mut seen = std::collections::BTreeMap::<Vec<u32>, f64>::new();
            for r in 0..REPLICATES {
                *seen.entry(counts(replicate(r), n).unwrap()).or_default() += 1.0;
            }
            let factorial = |k: u32| (1..=k).map(f64::from).product::<f64>();
            let mut power = f64::from(REPLICATES) * factorial(n as u32);
            for _ in 0..n {
                power /= n as f64;
            }
            // An outcome that never occurred contributes (0 - expected)^2 / expected = expected.
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

    /// The total of every slot over many replicates, and the variance of a single count, which is 1 - 1/n.
    #[test]
    fn the_marginals_are_exact() {
        for n in [7usize, 257, 300, 1000, 1100] {
            let replicates = 2_000_000 / n as u32;
            let (mut total, mut squares) = (vec![0.0; n], 0.0);
            for r in 0..replicates {
                for (sum, &count) in total.iter_mut().zip(&counts(replicate(r), n).unwrap()) {
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
