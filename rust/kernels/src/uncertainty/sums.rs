//! Sums over resampled rows, a leaf of the multinomial tree at a time.

use crate::random::{FIELDS, Node, SLOTS, Stream, Visit, blocks, field, walk};
use crate::simd::{Element, Isa, Kernel, tree64};

/// Words whose draws fill the lanes once.
const GROUP: usize = 4;
/// Draw `i` of a hand-over goes to lane `i % LANES`: a fixed order of additions, and enough of them in flight.
const LANES: usize = GROUP * FIELDS;

/// What is resampled: rows of K columns, less a shift a column.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T, const K: usize> {
    pub values: &'a [[T; K]],
    pub shift: [f64; K],
}

/// The sums of whole replicates, column by column: `totals[r]` from `streams[r]`.
///
/// A leaf's rows are first copied together: the copy streams, so that even columns larger than the cache are
/// gathered from the nearest one. With `m` draws in a leaf a lane takes `m / 12` of them; leaves are added in
/// order within a block, and blocks in order.
pub(super) struct Whole<'a, T, const K: usize> {
    pub rows: Rows<'a, T, K>,
    pub streams: &'a [Stream],
    pub totals: &'a mut [[f64; K]],
}

impl<T: Element, const K: usize> Kernel for Whole<'_, T, K> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut table = [[0.0; K]; SLOTS];
        for (&stream, total) in self.streams.iter().zip(self.totals) {
            let mut sum = [0.0; K];
            for node in blocks(stream, self.rows.values.len() as u64) {
                add(&mut sum, &below(self.rows, stream, node, &mut table));
            }
            *total = sum;
        }
    }
}

/// The sums over the rows below one node of a replicate.
pub(super) struct Piece<'a, T, const K: usize> {
    pub rows: Rows<'a, T, K>,
    pub stream: Stream,
    pub node: Node,
}

impl<T: Element, const K: usize> Kernel for Piece<'_, T, K> {
    type Out = [f64; K];

    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; K] {
        below(self.rows, self.stream, self.node, &mut [[0.0; K]; SLOTS])
    }
}

#[inline(always)]
fn below<T: Element, const K: usize>(
    rows: Rows<'_, T, K>,
    stream: Stream,
    node: Node,
    table: &mut [[f64; K]; SLOTS],
) -> [f64; K] {
    let mut sink = Sink { rows, table, lanes: [[0.0; K]; LANES], sum: [0.0; K] };
    walk(stream, rows.values.len() as u64, node, &mut sink);
    sink.sum
}

struct Sink<'a, T, const K: usize> {
    rows: Rows<'a, T, K>,
    table: &'a mut [[f64; K]; SLOTS],
    lanes: [[f64; K]; LANES],
    sum: [f64; K],
}

impl<T: Element, const K: usize> Visit for Sink<'_, T, K> {
    #[inline(always)]
    fn enter(&mut self, start: u64, slots: usize) {
        let start = start as usize;
        let rows = &self.rows.values[start..start + slots];
        for (to, from) in self.table.iter_mut().zip(rows) {
            for k in 0..K {
                to[k] = from[k].to_f64() - self.rows.shift[k];
            }
        }
        // Draws beyond a ragged leaf's end count for nothing.
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

/// Kept out of the wide function on purpose: there, the compiler makes gather instructions of these loads,
/// which take twice as long (0.41 against 0.21 ns a draw, AVX-512).
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
