//! Sums over resampled units.
//!
//! Up to [`SLOTS`] units are copied into a table, and the drawn ones are added up draw by draw. Of up to [`COMPLETE`] units,
//! the counts are completed first, and each leaf of them is multiplied with a copy of its units. Of more units, whose
//! counts would not stay in the cache, each leaf is multiplied as soon as it is counted, and the draws that are left are
//! added up at the end; so replicates can be divided.

use super::design::Units;
use crate::memory::{self, NoMemory};
use crate::random::{Counts, FIELDS, Few, Leaves, SLOTS, Stream, draw_few, field, leaves_into};
use crate::simd::{Isa, Kernel, tree64};

/// Words whose draws fill the lanes of draws once.
const GROUP: usize = 4;
/// Draw `i` of a call of [`Few::words`] or [`Few::offsets`] is added to lane `i % DRAWN`. This fixes the order of
/// the additions, and so many independent lanes hide the latency of an addition.
pub(super) const DRAWN: usize = GROUP * FIELDS;
/// Row `i` of a leaf, times its count, is added to lane `i % COUNTED`.
const COUNTED: usize = 16;

/// The most units whose counts are completed before they are multiplied.
pub(super) const COMPLETE: usize = 1 << 17;
/// Replicates that are multiplied with a leaf after each other, so that it is read once for all of them.
pub(super) const TOGETHER: usize = 8;
/// Leaves whose sums are added up before they join the others', so that a piece of a large replicate can be computed by
/// itself.
pub(super) const PIECE: usize = 1 << 10;

/// The K sums of whole replicates: `totals[r]` from `streams[r]`.
pub(super) struct Whole<'a, U, const K: usize> {
    pub units: U,
    pub streams: &'a [Stream],
    pub totals: &'a mut [[f64; K]],
    /// Room of [`room`].
    pub counts: &'a mut [Counts],
}

/// Room for the counts of [`TOGETHER`] replicates of `units` units, where they are counted.
pub(super) fn room(units: usize) -> Result<Vec<Counts>, NoMemory> {
    let counted = (SLOTS + 1..=COMPLETE).contains(&units);
    memory::filled(if counted { units.div_ceil(SLOTS) * TOGETHER } else { 0 }, [0; SLOTS])
}

impl<U: Units<K>, const K: usize> Kernel for Whole<'_, U, K> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        if self.units.count() <= SLOTS {
            return few(self.units, self.streams, self.totals);
        }
        for (streams, totals) in self.streams.chunks(TOGETHER).zip(self.totals.chunks_mut(TOGETHER)) {
            if self.units.count() <= COMPLETE {
                complete(self.units, streams, totals, self.counts);
            } else {
                at_once(self.units, streams, totals);
            }
        }
    }
}

/// The sums of replicates of few units.
#[inline(always)]
fn few<U: Units<K>, const K: usize>(units: U, streams: &[Stream], totals: &mut [[f64; K]]) {
    let n = units.count();
    let mut table = Rows([[0.0; K]; SLOTS]);
    units.read(0, &mut table.0[..n]);
    for (&stream, total) in streams.iter().zip(totals) {
        let mut sink = Sink { table: &table.0, lanes: [[0.0; K]; DRAWN] };
        draw_few(stream, n, &mut sink);
        for k in 0..K {
            let mut lanes = [0.0; DRAWN.next_power_of_two()];
            for i in 0..DRAWN {
                lanes[i] = sink.lanes[i][k];
            }
            total[k] = tree64(lanes);
        }
    }
}

/// The sums of up to [`TOGETHER`] replicates whose counts are completed first.
#[inline(always)]
fn complete<U: Units<K>, const K: usize>(
    units: U,
    streams: &[Stream],
    totals: &mut [[f64; K]],
    counts: &mut [Counts],
) {
    let n = units.count();
    let leaves = n.div_ceil(SLOTS);
    for (&stream, counts) in streams.iter().zip(counts.chunks_exact_mut(leaves)) {
        leaves_into(stream, n, counts).add_to(counts);
    }
    let mut table = Leaf::new();
    totals.fill([0.0; K]);
    for leaf in 0..leaves {
        table.read(units, leaf);
        for (r, total) in totals.iter_mut().enumerate() {
            add(total, &table.times(&counts[r * leaves + leaf]));
        }
    }
}

/// The sums of up to [`TOGETHER`] replicates whose leaves are multiplied as soon as they are counted.
#[inline(always)]
fn at_once<U: Units<K>, const K: usize>(units: U, streams: &[Stream], totals: &mut [[f64; K]]) {
    let mut drawn = [0; TOGETHER];
    add_pieces(units, streams, 0, totals, &mut drawn);
    for (r, total) in totals.iter_mut().enumerate() {
        let mut of = Divided { units, stream: streams[r], round: 0 };
        loop {
            if let Some(left) = left(of, drawn[r]) {
                add(total, &left);
                break;
            }
            of.round += 1;
            add_pieces(units, &streams[r..=r], of.round, std::slice::from_mut(total), &mut drawn[r..=r]);
        }
    }
}

/// The sums over the leaves of replicates in one round, piece by piece, and how often their units count.
#[inline(always)]
fn add_pieces<U: Units<K>, const K: usize>(
    units: U,
    streams: &[Stream],
    round: u64,
    totals: &mut [[f64; K]],
    drawn: &mut [u64],
) {
    let (mut table, mut piece, mut counts) = (Leaf::new(), [[0.0; K]; TOGETHER], [0; SLOTS]);
    totals.fill([0.0; K]);
    drawn.fill(0);
    let leaves = units.count().div_ceil(SLOTS);
    for leaf in 0..leaves {
        table.read(units, leaf);
        let ends = ends_piece(leaf, leaves);
        for (r, total) in totals.iter_mut().enumerate() {
            drawn[r] += Leaves::of(streams[r], units.count(), round).counts(leaf, &mut counts);
            add(&mut piece[r], &table.times(&counts));
            if ends {
                add(total, &piece[r]);
                piece[r] = [0.0; K];
            }
        }
    }
}

/// Whether a leaf is the last one of a piece.
#[inline(always)]
pub(super) fn ends_piece(leaf: usize, leaves: usize) -> bool {
    (leaf + 1).is_multiple_of(PIECE) || leaf + 1 == leaves
}

/// A part of a replicate that is divided, in one round of counting.
#[derive(Clone, Copy)]
pub(super) struct Divided<U, const K: usize> {
    pub units: U,
    pub stream: Stream,
    pub round: u64,
}

/// The K sums over one piece, and how often its units count in all.
pub(super) struct Piece<U, const K: usize>(pub Divided<U, K>, pub usize);

impl<U: Units<K>, const K: usize> Kernel for Piece<U, K> {
    type Out = ([f64; K], u64);

    #[inline(always)]
    fn run<I: Isa>(self) -> ([f64; K], u64) {
        let Piece(Divided { units, stream, round }, piece) = self;
        let leaves = Leaves::of(stream, units.count(), round);
        let (mut table, mut sum, mut drawn, mut counts) = (Leaf::new(), [0.0; K], 0, [0; SLOTS]);
        for leaf in piece * PIECE..leaves.count().min((piece + 1) * PIECE) {
            table.read(units, leaf);
            drawn += leaves.counts(leaf, &mut counts);
            add(&mut sum, &table.times(&counts));
        }
        (sum, drawn)
    }
}

/// The K sums over the draws that are left after those of all leaves, of which there were so many; `None` where the
/// leaves have more draws than there are.
pub(super) struct Left<U, const K: usize>(pub Divided<U, K>, pub u64);

impl<U: Units<K>, const K: usize> Kernel for Left<U, K> {
    type Out = Option<[f64; K]>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<[f64; K]> {
        left(self.0, self.1)
    }
}

#[inline(always)]
fn left<U: Units<K>, const K: usize>(of: Divided<U, K>, drawn: u64) -> Option<[f64; K]> {
    let Divided { units, stream, round } = of;
    let (mut sum, mut row) = ([0.0; K], [[0.0; K]]);
    let mut rest = Leaves::of(stream, units.count(), round).rest(drawn)?;
    while let Some(unit) = rest.draw() {
        units.read(unit, &mut row);
        add(&mut sum, &row[0]);
    }
    Some(sum)
}

/// Some units, at most those of a leaf. (A row of up to eight numbers lies in one line of the cache.)
#[repr(align(64))]
struct Rows<const K: usize>([[f64; K]; SLOTS]);

/// One number of each unit of a leaf, and a line of the cache: with columns 8 KiB apart, those of a leaf would take the
/// same places of the first cache (15 instead of 5 ns for a unit of twelve numbers that is written to its columns).
#[derive(Clone, Copy)]
#[repr(align(64))]
#[allow(dead_code)] // the line only takes room
pub(super) struct Column(pub [f64; SLOTS], [f64; 8]);

impl Column {
    pub const ZERO: Column = Column([0.0; SLOTS], [0.0; 8]);

    /// Becomes the counts.
    #[inline(always)]
    pub fn widen(&mut self, counts: &Counts) {
        for i in 0..SLOTS {
            self.0[i] = f64::from(counts[i]);
        }
    }
}

/// Rows of a leaf that are multiplied at a time: the compiler widens so many counts with the level's instructions.
const RUN: usize = 128;

/// The sums of the products of counts with columns.
#[inline(always)]
fn counted<const K: usize>(counts: &Counts, columns: &[Column; K]) -> [f64; K] {
    let mut lanes = [[0.0; COUNTED]; K];
    for (run, counts) in counts.as_chunks::<RUN>().0.iter().enumerate() {
        let mut wide = [0.0; RUN];
        for i in 0..RUN {
            wide[i] = f64::from(counts[i]);
        }
        for k in 0..K {
            add_products(&mut lanes[k], &wide, &columns[k].0.as_chunks().0[run]);
        }
    }
    sums(&lanes)
}

/// [`counted`] of one column in several replicates, whose counts are widened already.
#[inline(always)]
pub(super) fn counted_abreast<const N: usize>(counts: &[Column; N], column: &Column) -> [f64; N] {
    let mut lanes = [[0.0; COUNTED]; N];
    // Run by run: row by row, the compiler arranges the lanes across replicates (2.2 instead of 0.19 ns for four, AVX-512).
    for (run, column) in column.0.as_chunks::<RUN>().0.iter().enumerate() {
        for r in 0..N {
            add_products(&mut lanes[r], &counts[r].0.as_chunks().0[run], column);
        }
    }
    sums(&lanes)
}

/// Adds the product of row i to lane `i % COUNTED`.
#[inline(always)]
fn add_products(lanes: &mut [f64; COUNTED], a: &[f64; RUN], b: &[f64; RUN]) {
    for (a, b) in a.as_chunks::<COUNTED>().0.iter().zip(b.as_chunks::<COUNTED>().0) {
        for lane in 0..COUNTED {
            lanes[lane] += a[lane] * b[lane];
        }
    }
}

/// The sums of lanes. Not inlined, because the compiler would then arrange the lanes in the loops for the tree's first
/// step, in pairs, instead of filling the vector registers.
#[inline(never)]
fn sums<const N: usize>(lanes: &[[f64; COUNTED]; N]) -> [f64; N] {
    let mut sums = [0.0; N];
    for i in 0..N {
        sums[i] = tree64(lanes[i]);
    }
    sums
}

/// The parts of the units of a leaf, column by column.
struct Leaf<const K: usize> {
    columns: [Column; K],
}

/// Units that are read at a time, before they are written to the columns: few stay in the first cache, and fewer than
/// these the compiler would gather.
const READ: usize = 64;

impl<const K: usize> Leaf<K> {
    #[inline(always)]
    fn new() -> Self {
        Leaf { columns: [Column::ZERO; K] }
    }

    /// Reads the units of a leaf.
    #[inline(always)]
    fn read<U: Units<K>>(&mut self, units: U, leaf: usize) {
        let n = units.count();
        for run in 0..SLOTS / READ {
            // Rows beyond the last one count 0; what they are multiplied with must be a number.
            let (start, mut rows) = (leaf * SLOTS + run * READ, [[0.0; K]; READ]);
            if start + READ <= n {
                units.read(start, &mut rows);
            } else if start < n {
                units.read(start, &mut rows[..n - start]);
            }
            for k in 0..K {
                let column = &mut self.columns[k].0.as_chunks_mut::<READ>().0[run];
                for i in 0..READ {
                    column[i] = rows[i][k];
                }
            }
        }
    }

    /// The sums over the units, each as often as it counts.
    #[inline(always)]
    fn times(&self, counts: &Counts) -> [f64; K] {
        counted(counts, &self.columns)
    }
}

struct Sink<'a, const K: usize> {
    table: &'a [[f64; K]; SLOTS],
    lanes: [[f64; K]; DRAWN],
}

impl<const K: usize> Few for Sink<'_, K> {
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
}

/// The widest rows that are added without the level's wide instructions: the lanes of wider ones no longer fit the
/// registers of the floor.
const NARROW: usize = 2;

/// Not inlined, so that it is compiled without the level's wide instructions: with them, the compiler turns these loads
/// into gather instructions, which take twice as long (0.41 against 0.21 ns per draw, AVX-512).
#[inline(never)]
fn add_words_narrow<const K: usize>(
    lanes: &mut [[f64; K]; DRAWN],
    table: &[[f64; K]; SLOTS],
    words: &[u32],
    take: usize,
) {
    add_words(lanes, table, words, take);
}

#[inline(always)]
fn add_words<const K: usize>(
    lanes: &mut [[f64; K]; DRAWN],
    table: &[[f64; K]; SLOTS],
    words: &[u32],
    take: usize,
) {
    let mut sums = *lanes;
    let (groups, rest) = words[..take.div_ceil(FIELDS)].as_chunks::<GROUP>();
    let (whole, over) = (take / DRAWN, take % DRAWN);
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
fn add_offsets<const K: usize>(lanes: &mut [[f64; K]; DRAWN], table: &[[f64; K]; SLOTS], offsets: &[u16]) {
    let mut sums = *lanes;
    for group in offsets.chunks(DRAWN) {
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
