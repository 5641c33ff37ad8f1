//! Sums over resampled units, one leaf of the multinomial tree at a time.

use super::design::Units;
use crate::random::{FIELDS, Node, SLOTS, Stream, Visit, blocks, field, walk};
use crate::simd::{Isa, Kernel, tree64};

/// Words whose draws fill the lanes once.
const GROUP: usize = 4;
/// Draw `i` of a call of [`Visit::words`] or [`Visit::offsets`] is added to lane `i % LANES`. This fixes the order of
/// the additions, and so many independent lanes hide the latency of an addition.
pub(super) const LANES: usize = GROUP * FIELDS;

/// The K sums of whole replicates: `totals[r]` from `streams[r]`.
///
/// The units of a leaf are first copied into a table. The copy reads memory in order, so that the random accesses hit
/// the first-level cache even where the columns are larger than the caches. Of the `m` draws in a leaf, each lane adds
/// `m / 12`; leaves are added in order within a block (a perfect subtree), and blocks in order.
pub(super) struct Whole<'a, U, const K: usize> {
    pub units: U,
    pub streams: &'a [Stream],
    pub totals: &'a mut [[f64; K]],
}

impl<U: Units<K>, const K: usize> Kernel for Whole<'_, U, K> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut table = [[0.0; K]; SLOTS];
        for (&stream, total) in self.streams.iter().zip(self.totals) {
            let mut sum = [0.0; K];
            for node in blocks(stream, self.units.count() as u64) {
                add(&mut sum, &below(self.units, stream, node, &mut table));
            }
            *total = sum;
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
        below(self.units, self.stream, self.node, &mut [[0.0; K]; SLOTS])
    }
}

#[inline(always)]
fn below<U: Units<K>, const K: usize>(
    units: U,
    stream: Stream,
    node: Node,
    table: &mut [[f64; K]; SLOTS],
) -> [f64; K] {
    let mut sink = Sink { units, table, lanes: [[0.0; K]; LANES], sum: [0.0; K] };
    walk(stream, units.count() as u64, node, &mut sink);
    sink.sum
}

struct Sink<'a, U, const K: usize> {
    units: U,
    table: &'a mut [[f64; K]; SLOTS],
    lanes: [[f64; K]; LANES],
    sum: [f64; K],
}

impl<U: Units<K>, const K: usize> Visit for Sink<'_, U, K> {
    #[inline(always)]
    fn enter(&mut self, start: u64, slots: usize) {
        self.units.read(start as usize, &mut self.table[..slots]);
        // Draws beyond the end of a ragged leaf must add nothing.
        self.table[slots..slots.next_power_of_two()].fill([0.0; K]);
        self.lanes = [[0.0; K]; LANES];
    }
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        add_words(&mut self.lanes, self.table, words, take);
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        add_offsets(&mut self.lanes, self.table, offsets);
    }
    #[inline(always)]
    fn leave(&mut self) {
        for k in 0..K {
            let mut lanes = [0.0; LANES.next_power_of_two()];
            for i in 0..LANES {
                lanes[i] = self.lanes[i][k];
            }
            self.sum[k] += tree64(lanes);
        }
    }
}

/// Not inlined, so that it is compiled without the level's wide instructions: with them, the compiler turns these loads
/// into gather instructions, which take twice as long (0.41 against 0.21 ns per draw, AVX-512).
#[inline(never)]
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
        for (i, &word) in group.iter().enumerate() {
            for number in 0..FIELDS {
                add(&mut sums[FIELDS * i + number], &table[field(word, number)]);
            }
        }
    }
    let last = groups.get(whole).map_or(rest, |group| group);
    for (draw, sum) in sums.iter_mut().enumerate().take(over) {
        add(sum, &table[field(last[draw / FIELDS], draw % FIELDS)]);
    }
    *lanes = sums;
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
