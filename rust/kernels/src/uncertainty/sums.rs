//! Sums over resampled units, one leaf of the multinomial tree at a time.

use super::design::Units;
use crate::memory::{self, NoMemory};
use crate::random::{
    FIELDS, LEAF, Leaves, Node, SLOTS, Stream, Visit, blocks, ends_block, field, throw_into,
};
use crate::simd::{Isa, Kernel, tree64};

/// Words whose draws fill the lanes once.
const GROUP: usize = 4;
/// Draw `i` of a call of [`Visit::words`] or [`Visit::offsets`] is added to lane `i % LANES`. This fixes the order of
/// the additions, and so many independent lanes hide the latency of an addition.
pub(super) const LANES: usize = GROUP * FIELDS;

/// Replicates whose draws of a leaf follow each other, so that the leaf is read once for all of them.
pub(super) const TOGETHER: usize = 8;

/// The K sums of whole replicates: `totals[r]` from `streams[r]`.
///
/// The units of a leaf are first copied into a table. The copy reads memory in order, so that the random accesses hit
/// the first-level cache even where the columns are larger than the caches. Of the `m` draws in a leaf, each lane adds
/// `m / 12`; leaves are added in order within a block (a perfect subtree), and blocks in order.
pub(super) struct Whole<'a, U, const K: usize> {
    pub units: U,
    pub streams: &'a [Stream],
    pub totals: &'a mut [[f64; K]],
    /// Room of [`Whole::room`].
    pub balls: &'a mut [u32],
}

impl<U: Units<K>, const K: usize> Whole<'_, U, K> {
    /// Room for the draws in each leaf of [`TOGETHER`] replicates of `units` units.
    pub(super) fn room(units: usize) -> Result<Vec<u32>, NoMemory> {
        memory::filled(units.div_ceil(SLOTS) * TOGETHER, 0)
    }
}

impl<U: Units<K>, const K: usize> Kernel for Whole<'_, U, K> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let n = self.units.count();
        let leaves = n.div_ceil(SLOTS);
        let mut table = Table([[0.0; K]; SLOTS]);
        for (streams, totals) in self.streams.chunks(TOGETHER).zip(self.totals.chunks_mut(TOGETHER)) {
            for (&stream, balls) in streams.iter().zip(self.balls.chunks_exact_mut(leaves)) {
                for block in blocks(stream, n as u64) {
                    for leaf in Leaves::below(stream, block) {
                        balls[leaf.index as usize] = leaf.balls as u32;
                    }
                }
            }
            totals.fill([0.0; K]);
            let mut partial = [[0.0; K]; TOGETHER];
            for leaf in 0..leaves {
                table.read(self.units, leaf * SLOTS);
                for (r, (&stream, total)) in streams.iter().zip(&mut *totals).enumerate() {
                    let balls = u64::from(self.balls[r * leaves + leaf]);
                    let node = Node { level: LEAF, index: leaf as u64, balls };
                    add(&mut partial[r], &table.sum(stream, n as u64, node));
                    if ends_block(leaf, n) {
                        add(total, &partial[r]);
                        partial[r] = [0.0; K];
                    }
                }
            }
        }
    }
}

/// The K sums over the units below one node of a replicate's tree.
pub(super) struct Piece<U, const K: usize> {
    pub units: U,
    pub stream: Stream,
    pub node: Node,
}

impl<U: Units<K>, const K: usize> Kernel for Piece<U, K> {
    type Out = [f64; K];

    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; K] {
        let mut table = Table([[0.0; K]; SLOTS]);
        let mut sum = [0.0; K];
        for leaf in Leaves::below(self.stream, self.node) {
            table.read(self.units, leaf.start() as usize);
            add(&mut sum, &table.sum(self.stream, self.units.count() as u64, leaf));
        }
        sum
    }
}

/// The parts of the units of one leaf. (A row of up to eight numbers lies in one line of the cache.)
#[repr(align(64))]
struct Table<const K: usize>([[f64; K]; SLOTS]);

impl<const K: usize> Table<K> {
    /// Reads the leaf that begins at unit `start`.
    #[inline(always)]
    fn read<U: Units<K>>(&mut self, units: U, start: usize) {
        let left = units.count() - start;
        let slots = if left < SLOTS { left } else { SLOTS };
        units.read(start, &mut self.0[..slots]);
        // Draws beyond the end of a ragged leaf must add nothing.
        self.0[slots..slots.next_power_of_two()].fill([0.0; K]);
    }

    /// The sums over the draws in this leaf.
    #[inline(always)]
    fn sum(&self, stream: Stream, n: u64, leaf: Node) -> [f64; K] {
        let mut sink = Sink { table: &self.0, lanes: [[0.0; K]; LANES] };
        throw_into(stream, n, leaf, &mut sink);
        let mut sum = [0.0; K];
        for k in 0..K {
            let mut lanes = [0.0; LANES.next_power_of_two()];
            for i in 0..LANES {
                lanes[i] = sink.lanes[i][k];
            }
            sum[k] = tree64(lanes);
        }
        sum
    }
}

struct Sink<'a, const K: usize> {
    table: &'a [[f64; K]; SLOTS],
    lanes: [[f64; K]; LANES],
}

impl<const K: usize> Visit for Sink<'_, K> {
    #[inline(always)]
    fn enter(&mut self, _: u64, _: usize) {}
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        if K <= NARROW {
            add_words_narrow(&mut self.lanes, self.table, words, take);
        } else {
            add_words(&mut self.lanes, self.table, words, take);
        }
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        add_offsets(&mut self.lanes, self.table, offsets);
    }
    #[inline(always)]
    fn leave(&mut self) {}
}

/// The widest rows that are added without the level's wide instructions: the lanes of wider ones no longer fit the
/// registers of the floor.
const NARROW: usize = 2;

/// Not inlined, so that it is compiled without the level's wide instructions: with them, the compiler turns these loads
/// into gather instructions, which take twice as long (0.41 against 0.21 ns per draw, AVX-512).
#[inline(never)]
fn add_words_narrow<const K: usize>(
    lanes: &mut [[f64; K]; LANES],
    table: &[[f64; K]; SLOTS],
    words: &[u32],
    take: usize,
) {
    add_words(lanes, table, words, take);
}

#[inline(always)]
fn add_words<const K: usize>(
    lanes: &mut [[f64; K]; LANES],
    table: &[[f64; K]; SLOTS],
    words: &[u32],
    take: usize,
) {
    let mut sums = *lanes;
    let (groups, rest) = words[..take.div_ceil(FIELDS)].as_chunks::<GROUP>();
    let (whole, over) = (take / LANES, take % LANES);
    for group in &groups[..whole] {
        for i in 0..GROUP {
            for number in 0..FIELDS {
                add(&mut sums[FIELDS * i + number], &table[field(group[i], number)]);
            }
        }
    }
    *lanes = sums; // before a lane is chosen at run time, which would keep all of them in memory
    let last = groups.get(whole).map_or(rest, |group| group);
    for (draw, sum) in lanes.iter_mut().enumerate().take(over) {
        add(sum, &table[field(last[draw / FIELDS], draw % FIELDS)]);
    }
}

#[inline(never)]
fn add_offsets<const K: usize>(lanes: &mut [[f64; K]; LANES], table: &[[f64; K]; SLOTS], offsets: &[u16]) {
    let mut sums = *lanes;
    for group in offsets.chunks(LANES) {
        for (sum, &offset) in sums.iter_mut().zip(group) {
            add(sum, &table[usize::from(offset) % SLOTS]);
        }
    }
    *lanes = sums;
}

#[inline(always)]
fn add<const K: usize>(sum: &mut [f64; K], row: &[f64; K]) {
    for k in 0..K {
        sum[k] += row[k];
    }
}
