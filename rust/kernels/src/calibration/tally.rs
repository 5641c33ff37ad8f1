//! The counts of each bin, and the kernel that adds rows to them.

use super::bins::{Probability, Work};
use super::block::{BLOCK, Block, Fault, LeftOut};
use super::sink::{EqualWidth, Gather, Sink};
use super::sources::Source;
use crate::exact::Fixed;
use crate::grid::{self, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::dispatch;

/// One bin: the number of its predictions, how many of them came true, and the sum of their probabilities in units of
/// 2^-64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bin {
    /// The number of predictions.
    pub count: u64,
    /// How many of them came true.
    pub correct: u64,
    /// The sum of `floor(p * 2^64)`.
    pub sum: i128,
}

impl Bin {
    /// The sums of both; `None` where a count or the sum would exceed its range.
    pub(super) fn plus(&self, other: &Bin) -> Option<Bin> {
        Some(Bin {
            count: self.count.checked_add(other.count)?,
            correct: self.correct.checked_add(other.correct)?,
            sum: self.sum.checked_add(other.sum)?,
        })
    }

    /// Adds rows where the sums are known to stay in range. The rows are in memory, so there are fewer than 2^63 of
    /// them, or they are part of a state, whose sums over all rows are in range.
    pub(super) fn add(&mut self, other: &Bin) {
        let sum = self.plus(other);
        debug_assert!(sum.is_some(), "rows beyond what a state holds");
        *self = sum.unwrap_or(*self);
    }

    /// The sum of the probabilities minus the number of predictions that came true. The difference is exact in units of
    /// 2^-64 and is rounded once, to f64.
    pub(super) fn excess(&self) -> f64 {
        units(self.sum - (i128::from(self.correct) << 64))
    }
}

/// A sum in units of 2^-64, rounded to the nearest f64.
pub(super) fn units(sum: i128) -> f64 {
    Fixed::from_bytes(sum.to_le_bytes()).value()
}

/// The bins of all rows, and the counts of what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The bins, in the order of their probabilities.
    pub bins: Vec<Bin>,
    /// Counts of what was left out.
    pub left_out: LeftOut,
}

/// The number of bins, and what happens to rows with a NaN.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The number of bins, 1 to [`super::MAX_BINS`].
    pub n_bins: usize,
    /// Whether rows with a NaN are left out and counted instead of refused.
    pub omit_nan: bool,
}

impl Tally {
    /// A tally without rows.
    pub fn new(n_bins: usize) -> Result<Self, NoMemory> {
        Ok(Tally { bins: memory::filled(n_bins, Bin::default())?, left_out: LeftOut::default() })
    }

    /// The number of rows that count.
    pub(super) fn count(&self) -> u64 {
        self.bins.iter().map(|bin| bin.count).sum()
    }

    /// The bins that hold rows, each with its index.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, &Bin)> {
        self.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0)
    }

    /// Whether there are fewer than 2^63 rows, counted or left out, so that no sum over the bins exceeds its range; and
    /// whether no more rows were clamped or rounded than there are.
    pub(super) fn fits(&self) -> bool {
        let LeftOut { excluded, nan, weightless, clamped, rounded } = self.left_out;
        let counts = self.bins.iter().map(|bin| bin.count);
        let counted = counts.map(u128::from).sum::<u128>();
        let all = counted + [excluded, nan, weightless].map(u128::from).iter().sum::<u128>();
        all < 1 << 63 && u128::from(clamped.max(rounded)) <= counted
    }

    /// The sum of two tallies with the same number of bins. Only integers are added, so the order does not matter.
    /// `None` where the numbers of bins differ or there would be 2^63 rows or more.
    pub fn plus(&self, other: &Tally) -> Result<Option<Tally>, NoMemory> {
        let bins = memory::with_capacity(self.bins.len())?;
        Ok(if self.bins.len() == other.bins.len() { self.added(other, bins) } else { None })
    }

    /// The sum, whose bins are written to `bins`, which is empty and has room for them.
    fn added(&self, other: &Tally, mut bins: Vec<Bin>) -> Option<Tally> {
        for (a, b) in self.bins.iter().zip(&other.bins) {
            bins.push(a.plus(b)?);
        }
        let sum = Tally { bins, left_out: self.left_out.plus(other.left_out)? };
        sum.fits().then_some(sum)
    }
}

/// The most rows that packed counters take before they are added to the bins and emptied; see [`pack`].
const FLUSH: usize = 1 << 14;
/// Each bin has this many independent counters, so that an addition need not wait for the one before it where
/// successive rows fall into the same bin.
const LANES: usize = 4;
/// The packed counters of one bin. The first word of each holds count, correct and the low part of the sum, the second
/// the high part of the sum.
type Packed = [[i64; 2]; LANES];

/// Splits `floor(p * 2^64)`, for `p` in [0, 1], into `high` and `low`: it is exactly `high * 2^16 + low`.
///
/// Adding 16 rounds `p` to a multiple of 2^-48, which gives `high`. The remainder is exact (fast two-sum); adding
/// 1.5 * 2^-12 to it rounds it to a multiple of 2^-64, and one compare turns that into a floor. `|low| <= 2^15`.
#[inline(always)]
pub(super) fn fixed(p: f64) -> (i64, i64) {
    const FINE: f64 = 1.5 / 4096.0;
    let shifted = p + 16.0;
    let rest = p - (shifted - 16.0);
    let fine = rest + FINE;
    let up = i64::from(fine - FINE > rest);
    let units = |x: f64, zero: f64| x.to_bits() as i64 - zero.to_bits() as i64;
    (units(shifted, 16.0), units(fine, FINE) - up)
}

/// The high part of [`fixed`] for a multiple of 2^-48, whose low part is 0.
#[inline(always)]
fn coarse(p: f64) -> i64 {
    (p + 16.0).to_bits() as i64 - 16.0f64.to_bits() as i64
}

/// Packs what a row adds: to the count in bits 0-14, to the number that came true in bits 15-29, and to the low part of
/// the sum in the bits above. With at most 2^14 rows no part overflows into the next, and the high part of the sum, in
/// a word of its own, is at most 2^62.
#[inline(always)]
fn pack(flags: u8, low: i64) -> i64 {
    let flags = i64::from(flags);
    (flags & 1) + ((flags & 2) << 14) + (low << 30)
}

fn unpack(packed: [i64; 2]) -> Bin {
    let [mixed, high] = packed;
    Bin {
        count: (mixed & 0x7fff) as u64,
        correct: (mixed >> 15 & 0x7fff) as u64,
        sum: (i128::from(high) << 16) + i128::from(mixed >> 30),
    }
}

/// Counts the rows of a chunk by bin. It adds to packed counters, which are added to the bins and emptied before one of
/// them could overflow.
struct Counters<'a, P: Probability> {
    binning: &'a EqualWidth<P>,
    packed: &'a mut [Packed],
    bins: &'a mut [Bin],
    /// The number of rows added since the counters were last emptied.
    pending: usize,
}

impl<P: Probability> Sink<P::Work> for Counters<'_, P> {
    #[inline(always)]
    fn add(&mut self, block: &mut Block<P::Work>, n: usize) {
        self.binning.find(block, n);
        add_block(block, self.packed);
        self.pending += n;
        if self.pending + BLOCK > FLUSH {
            self.finish();
        }
    }

    #[inline(always)]
    fn finish(&mut self) {
        if self.pending > 0 {
            flush(self.packed, self.bins);
            self.pending = 0;
        }
    }
}

/// Adds the rows of a block, whose bins have been found, to the counters. Rows that do not count have the probability 0
/// and no flags, so they add 0 to bin 0.
#[inline(always)]
fn add_block<W: Work>(block: &mut Block<W>, packed: &mut [Packed]) {
    let Block { probability, flags, bin: bins, add } = block;
    // Few blocks of f32 have a value so small that it has bits below 2^-48; for the others the low part is 0 and is not
    // computed.
    let fine = probability.iter().fold(false, |any, p| any | p.is_fine());
    for i in 0..BLOCK {
        let (high, low) =
            if fine { fixed(probability[i].wide()) } else { (coarse(probability[i].wide()), 0) };
        add[i] = [pack(flags[i], low), high];
    }
    for (bins, add) in bins.as_chunks::<LANES>().0.iter().zip(add.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let counter = &mut packed[bins[lane] as usize][lane];
            counter[0] += add[lane][0];
            counter[1] += add[lane][1];
        }
    }
}

#[inline(always)]
fn flush(packed: &mut [Packed], bins: &mut [Bin]) {
    for (packed, bin) in packed.iter_mut().zip(bins) {
        for lane in packed {
            let part = unpack(std::mem::take(lane));
            bin.count += part.count;
            bin.correct += part.correct;
            bin.sum += part.sum;
        }
    }
}

/// The number of rows in a chunk: about 2^18 elements, but at least 16 elements per bin, so that emptying the counters
/// of many bins takes a small part of the time.
pub(super) fn chunk_rows(width: usize, n_bins: usize) -> usize {
    let width = width.max(1);
    ((1 << 18) / width).clamp(16, grid::CHUNK).max((16 * n_bins).div_ceil(width))
}

/// The number of chunks in a tally of `count` rows of `width` columns, which is the total that `progress` counts up to.
pub fn chunks(count: usize, width: usize, n_bins: usize) -> usize {
    grid::chunks(count, chunk_rows(width, n_bins))
}

/// Counts the rows of a source by bin. Where values are not valid, the first fault in row order is returned.
pub fn tally<S: Source>(
    source: &S,
    options: Options,
    progress: Progress<'_>,
) -> Result<Result<Tally, Fault>, Stopped> {
    let Options { n_bins, omit_nan } = options;
    let (count, size) = (source.count(), chunk_rows(source.width(), n_bins));
    let binning = EqualWidth::<S::Item>::new(n_bins)?;
    let bytes = count * source.width() * size_of::<S::Item>();
    let one = |index| -> Result<Result<Tally, Fault>, NoMemory> {
        let rows = grid::chunk(index, count, size);
        let (mut packed, mut tally) = (memory::filled(n_bins, Packed::default())?, Tally::new(n_bins)?);
        let sink = Counters { binning: &binning, packed: &mut packed, bins: &mut tally.bins, pending: 0 };
        let left_out = dispatch(Gather { source, rows, omit_nan, sink });
        Ok(left_out.map(|left_out| Tally { left_out, ..tally }))
    };
    let parts = grid::map_chunks(grid::chunks(count, size), bytes, progress, one)?;
    let mut whole = Tally::new(n_bins)?;
    for part in parts {
        match part? {
            // Memory holds fewer than 2^63 rows, so the sum is always in range.
            Ok(part) => whole = whole.plus(&part)?.unwrap_or(whole),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(whole))
}

#[cfg(test)]
mod tests {
    use super::super::{Labels, MAX_BINS, Scores, TopLabels, bin_by_edges, edges};
    use super::*;
    use crate::rows::Table;
    use crate::simd::{self, Bf16, F16, Level};

    fn go(_: usize) -> bool {
        true
    }

    fn run<S: Source>(source: &S, n_bins: usize) -> Result<Tally, Fault> {
        tally(source, Options { n_bins, omit_nan: false }, &mut go).unwrap()
    }

    /// `floor(p * 2^64)`, by the conversion that every exact sum shares.
    fn floored(p: f64) -> i128 {
        i128::from_le_bytes(Fixed::from_f64(p).unwrap().to_bytes())
    }

    /// The tally by its definition, row by row.
    fn by_definition<T: Probability>(probs: &[T], labels: &[u8], n_bins: usize) -> Tally {
        let (edges, mut tally) = (edges::<T>(n_bins).unwrap(), Tally::new(n_bins).unwrap());
        for (p, &label) in probs.iter().zip(labels) {
            let bin = &mut tally.bins[bin_by_edges(p.widen(), &edges)];
            bin.count += 1;
            bin.correct += u64::from(label);
            bin.sum += floored(p.to_f64());
        }
        tally
    }

    /// Pseudorandom words, by xorshift.
    fn words(n: usize, mut state: u64) -> impl Iterator<Item = u64> {
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
        .take(n)
    }

    /// Probabilities of every size: uniform, tiny, subnormal, 0, 1 and tenths.
    fn probabilities(n: usize) -> Vec<f64> {
        words(n, 9)
            .map(|w| {
                let u = (w >> 11) as f64 / 9_007_199_254_740_992.0;
                match w % 8 {
                    0 => f64::from_bits((w >> 2) % 1.0f64.to_bits()),
                    1 => (w >> 8) as f64 % 11.0 / 10.0,
                    2 => u / 16_777_216.0,
                    3 => 1.0 - u / 1e6,
                    _ => u,
                }
            })
            .collect()
    }

    fn equals_definition<T: Probability>(of: impl Fn(f64) -> T) {
        let lengths = [0, 1, 3, 255, 256, 257, 16_383, 16_385, 65_536, 70_001];
        for (n, m) in lengths.into_iter().zip([15, 1, 2, 10, 15, 7, 100, 15, MAX_BINS, 300]) {
            let probs: Vec<T> = probabilities(n).into_iter().map(&of).collect();
            let labels: Vec<u8> = words(n, 5).map(|w| (w >> 40 & 1) as u8).collect();
            let want = by_definition(&probs, &labels, m);
            for level in Level::ALL {
                if simd::force(Some(level)) {
                    let got = run(&Scores { probs: &probs, labels: Labels::U8(&labels), keep: None }, m);
                    assert_eq!(got, Ok(want.clone()), "{} n = {n} m = {m} {level:?}", T::NAME);
                }
            }
            simd::force(None);
        }
    }

    #[test]
    fn f32_rows() {
        equals_definition(|p| p as f32);
    }

    #[test]
    fn f64_rows() {
        equals_definition(|p| p);
    }

    #[test]
    fn bf16_rows() {
        equals_definition(|p| Bf16(((p as f32).to_bits() >> 16) as u16));
    }

    #[test]
    fn f16_rows() {
        // Any 16-bit code from 0 up to that of 1.0 is a valid probability.
        equals_definition(|p| F16((p * 15_360.0) as u16));
    }

    #[test]
    fn counts_do_not_stand_still_past_2_to_the_24() {
        let n = (1 << 24) + 1;
        let (probs, labels) = (vec![0.75f32; n], vec![1u8; n]);
        let row = run(&Scores { probs: &probs, labels: Labels::U8(&labels), keep: None }, 1).unwrap().bins[0];
        assert_eq!((row.count, row.correct, row.sum), (n as u64, n as u64, n as i128 * (3 << 62)));
    }

    #[test]
    fn what_does_not_count_is_counted() {
        let probs = [0.5f32, f32::NAN, 1.000_000_5, 7.0, 0.25];
        let (labels, keep) = ([1i64, 0, 1, -100, 0], [1u8, 1, 1, 0, 1]);
        let source = Scores { probs: &probs, labels: Labels::I64(&labels), keep: Some(&keep) };
        assert_eq!(run(&source, 2), Err(Fault::Nan { row: 1, column: 0 }));
        let omit = tally(&source, Options { n_bins: 2, omit_nan: true }, &mut go).unwrap().unwrap();
        assert_eq!(omit.left_out, LeftOut { excluded: 1, nan: 1, clamped: 1, ..LeftOut::default() });
        assert_eq!(omit.bins[0], Bin { count: 2, correct: 1, sum: 3 << 62 });
        assert_eq!(omit.bins[1], Bin { count: 1, correct: 1, sum: 1 << 64 });
        let all = Scores { keep: None, ..source };
        let refused = tally(&all, Options { n_bins: 2, omit_nan: true }, &mut go).unwrap();
        assert_eq!(refused, Err(Fault::Range { row: 3, column: 0, value: 7.0 }));
    }

    #[test]
    fn labels_of_every_type() {
        let probs = [0.5f64, 0.5];
        let try_label = |labels| run(&Scores { probs: &probs, labels, keep: None }, 1);
        let good = try_label(Labels::U8(&[1, 0]));
        for labels in [
            Labels::I8(&[1, 0]),
            Labels::U16(&[1, 0]),
            Labels::I16(&[1, 0]),
            Labels::U32(&[1, 0]),
            Labels::I32(&[1, 0]),
            Labels::U64(&[1, 0]),
            Labels::I64(&[1, 0]),
        ] {
            assert_eq!(try_label(labels), good);
        }
        assert_eq!(try_label(Labels::I8(&[0, -1])), Err(Fault::Label { row: 1, value: -1 }));
        assert_eq!(try_label(Labels::U64(&[u64::MAX, 0])), Err(Fault::Label { row: 0, value: i64::MAX }));
    }

    #[test]
    fn top_labels_take_the_first_of_equals() {
        let data = [0.4f32, 0.4, 0.2, 0.4, 0.4, 0.2, 0.1, 0.1, 0.8];
        let rows = Table::new(&data, 3).unwrap();
        let got = run(&TopLabels::new(&rows, Labels::I32(&[0, 1, 2]), None), 1).unwrap();
        assert_eq!((got.bins[0].count, got.bins[0].correct), (3, 2));
    }

    #[test]
    fn top_labels_are_found_in_wide_rows() {
        for width in [1usize, 15, 16, 17, 33, 1000] {
            for class in [0, width / 2, width - 1] {
                let mut data = vec![0.5 / width as f64; width];
                data[class] += 0.5;
                let rows = Table::new(&data, width).unwrap();
                let hit = run(&TopLabels::new(&rows, Labels::I64(&[class as i64]), None), 1).unwrap();
                assert_eq!(hit.bins[0], Bin { count: 1, correct: 1, sum: floored(data[class]) });
            }
        }
    }

    #[test]
    fn rows_that_are_no_distribution_are_refused() {
        let try_row = |data: [f32; 3], label| {
            let rows = Table::new(&data, 3).unwrap();
            run(&TopLabels::new(&rows, Labels::I64(&[label]), None), 1)
        };
        assert!(matches!(try_row([0.5, 0.3, 0.1], 0), Err(Fault::Sum { row: 0, .. })));
        assert!(matches!(try_row([2.0, -1.0, 0.0], 0), Err(Fault::Range { row: 0, column: 0, .. })));
        assert_eq!(try_row([0.5, f32::NAN, 0.5], 0), Err(Fault::Nan { row: 0, column: 1 }));
        assert_eq!(try_row([0.5, 0.3, 0.2], 3), Err(Fault::Label { row: 0, value: 3 }));
        assert_eq!(try_row([0.5, 0.3, 0.2], -100), Err(Fault::Label { row: 0, value: -100 }));
    }

    #[test]
    fn merging_is_addition() {
        let probs = probabilities(1000);
        let labels: Vec<u8> = words(1000, 3).map(|w| (w >> 20 & 1) as u8).collect();
        let part = |range: std::ops::Range<usize>| {
            run(&Scores { probs: &probs[range.clone()], labels: Labels::U8(&labels[range]), keep: None }, 15)
                .unwrap()
        };
        let (left, right) = (part(0..333), part(333..1000));
        assert_eq!(left.plus(&right), Ok(Some(part(0..1000))));
        assert_eq!(left.plus(&Tally::new(14).unwrap()), Ok(None));
    }
}
