//! Exact draws from Multinomial(n; 1/n, ..., 1/n) for any n: how often each of n slots (rows) is drawn in n draws with
//! replacement.
//!
//! Up to [`SLOTS`] slots are drawn one by one: a field of [`LEAF`] random bits is one draw, and one beyond the slots is
//! drawn again.
//!
//! Of more slots, each first counts independently of the others, with a Poisson law whose mean is just below 1
//! ([`Law`]). Given their total N, such counts are those of N draws with replacement, so that n - N draws more, of any
//! slot each, complete the replicate. Where N is above n, which happens once in tens of thousands of replicates, all slots
//! count anew in the next round: that leaves the counts given N as they are.
//!
//! The counts of a leaf of [`SLOTS`] slots depend on its place alone, so that any thread can compute any part of a
//! replicate.

use super::laws::{Counts, Law, SLOTS};
use super::layout::LEAF;
use super::philox::{Stream, WORDS};
use super::reader::Reader;
use crate::memory::{self, NoMemory};
use crate::simd::{Isa, Kernel, dispatch};

/// Draws per 32-bit word: three fields of ten bits, the lowest first; the upper two bits are not used.
pub const FIELDS: usize = 3;
/// Draws per batch of words, in the order of the words.
const DRAWS: usize = FIELDS * WORDS;
/// Batches that are handed to a visitor at a time: enough for the draws of [`SLOTS`] slots.
const BATCHES: usize = 6;

/// The slot in field `number` of a word.
#[inline(always)]
pub fn field(word: u32, number: usize) -> usize {
    (word >> (LEAF as usize * number)) as usize % SLOTS
}

/// Receives the draws of a replicate of at most [`SLOTS`] slots, in their order.
pub trait Few {
    /// The first `take` fields of `words`. A field that is not below the number of slots (but below the next power of two)
    /// is no draw and must be ignored.
    fn words(&mut self, words: &[u32], take: usize);
    /// Draws that are all below the number of slots.
    fn offsets(&mut self, offsets: &[u16]);
}

/// Receives the counts of a replicate of more than [`SLOTS`] slots.
pub trait Many {
    /// A replicate begins; what was received of it before is void.
    fn begin(&mut self);
    /// How often each slot of leaf `index` counts, in the order of the leaves. Slots beyond the last one count 0.
    fn leaf(&mut self, index: usize, counts: &Counts);
    /// One draw more of a slot, after all leaves.
    fn slot(&mut self, slot: usize);
}

/// Hands the draws of a replicate of `n` slots, up to [`SLOTS`], to the visitor.
#[inline(always)]
pub fn draw_few<V: Few>(stream: Stream, n: usize, visit: &mut V) {
    let stream = stream.leaf(0);
    if n == SLOTS {
        throw(stream, n, visit);
    } else {
        throw_again(stream, n, n, visit);
    }
}

/// Hands the counts of a replicate of `n` slots, more than [`SLOTS`], to the visitor.
#[inline(always)]
pub fn draw_many<V: Many>(stream: Stream, n: usize, visit: &mut V) {
    let mut rest = rounds(stream, n, &mut Handed { visit, counts: [0; SLOTS] });
    while let Some(slot) = rest.draw() {
        visit.slot(slot);
    }
}

/// What becomes of the counts of a replicate's leaves.
trait Leafwise {
    /// A round begins; the counts before it are void.
    fn begin(&mut self);
    /// Draws leaf `index`; returns the sum of its counts.
    fn draw(&mut self, leaves: Leaves, index: usize) -> u64;
}

/// Draws the leaves in rounds until they have no more draws than there are; returns those that are left.
#[inline(always)]
fn rounds<L: Leafwise>(stream: Stream, n: usize, to: &mut L) -> Rest {
    let mut round = 0;
    loop {
        let (leaves, mut drawn) = (Leaves::of(stream, n, round), 0);
        to.begin();
        for index in 0..leaves.count() {
            drawn += to.draw(leaves, index);
        }
        if let Some(rest) = leaves.rest(drawn) {
            return rest;
        }
        round += 1;
    }
}

/// Hands the counts of one leaf after the other to a visitor.
struct Handed<'a, V> {
    visit: &'a mut V,
    counts: Counts,
}

impl<V: Many> Leafwise for Handed<'_, V> {
    #[inline(always)]
    fn begin(&mut self) {
        self.visit.begin();
    }
    #[inline(always)]
    fn draw(&mut self, leaves: Leaves, index: usize) -> u64 {
        let drawn = leaves.counts(index, &mut self.counts);
        self.visit.leaf(index, &self.counts);
        drawn
    }
}

/// Draws every leaf into its place.
struct Placed<'a>(&'a mut [Counts]);

impl Leafwise for Placed<'_> {
    #[inline(always)]
    fn begin(&mut self) {}
    #[inline(always)]
    fn draw(&mut self, leaves: Leaves, index: usize) -> u64 {
        leaves.counts(index, &mut self.0[index])
    }
}

/// The leaves of a replicate of more than [`SLOTS`] slots in one round.
#[derive(Clone, Copy, Debug)]
pub struct Leaves {
    law: &'static Law,
    stream: Stream,
    n: usize,
    round: u64,
}

impl Leaves {
    /// The leaves of `n` slots; rounds are numbered from 0.
    #[inline(always)]
    pub fn of(stream: Stream, n: usize, round: u64) -> Leaves {
        Leaves { law: Law::below(n as u64), stream, n, round }
    }

    /// How many there are.
    #[inline(always)]
    pub fn count(self) -> usize {
        self.n.div_ceil(SLOTS)
    }

    /// Writes how often each slot of a leaf counts; returns the sum.
    #[inline(always)]
    pub fn counts(self, index: usize, counts: &mut Counts) -> u64 {
        let left = self.n - index * SLOTS;
        let slots = if left < SLOTS { left } else { SLOTS };
        self.law.counts(self.stream.leaf(index as u64), self.round, slots, counts)
    }

    /// The draws that are left after those of all leaves; `None` where the leaves have more than there are.
    #[inline(always)]
    pub fn rest(self, drawn: u64) -> Option<Rest> {
        let left = (self.n as u64).checked_sub(drawn)?;
        Some(Rest { reader: Reader::new(self.stream.array(REST)), n: self.n as u64, left })
    }
}

/// The place of the draws that are left; place 0 is that of designs which draw more than counts.
const REST: u32 = 1;

/// Draws of any slot, one by one.
pub struct Rest {
    reader: Reader,
    n: u64,
    left: u64,
}

impl Rest {
    /// The next draw, while some are left.
    #[inline(always)]
    pub fn draw(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        Some(self.reader.below(self.n) as usize)
    }

    /// Completes the counts of the leaves with these draws.
    #[inline(always)]
    pub fn add_to(mut self, counts: &mut [Counts]) {
        while let Some(slot) = self.draw() {
            counts[slot / SLOTS][slot % SLOTS] += 1;
        }
    }
}

/// Hands the draws of as many slots as fields can say to the visitor.
#[inline(always)]
fn throw<V: Few>(stream: Stream, draws: usize, visit: &mut V) {
    let (mut left, mut batch, mut words) = (draws, 0, [0; BATCHES * WORDS]);
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

/// Hands the draws of fewer slots to the visitor: a field beyond them is skipped, and the next one is used.
///
/// Batches that are used completely are handed over as they are; only from the last one the draws are picked one by
/// one.
#[inline(always)]
fn throw_again<V: Few>(stream: Stream, draws: usize, slots: usize, visit: &mut V) {
    let mask = (slots.next_power_of_two() - 1) as u32;
    let fields = mask | mask << LEAF | mask << (2 * LEAF);
    let (mut left, mut batch) = (draws, 0);
    while left > 0 {
        let words = stream.batch(batch).map(|word| word & fields);
        if left <= EARLY && sift(&words, slots, left, visit) {
            break;
        }
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

/// So few draws are nearly always among the first words of a batch, at least half of whose fields are slots: whether all
/// its fields would be too few needs not be known first.
const EARLY: usize = 48;

/// Hands the first `draws` fields below `slots` to the visitor; says whether there are so many.
#[inline(always)]
fn sift<V: Few>(words: &[u32; WORDS], slots: usize, draws: usize, visit: &mut V) -> bool {
    let (mut kept, mut count) = ([0u16; DRAWS.next_power_of_two()], 0);
    for words in words.as_chunks::<8>().0 {
        if count >= draws {
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
    if count < draws {
        return false;
    }
    visit.offsets(&kept[..draws]);
    true
}

/// Writes the counts of the leaves of one replicate of `n` slots, more than [`SLOTS`]; returns the draws that are left.
#[inline(always)]
pub fn leaves_into(stream: Stream, n: usize, counts: &mut [Counts]) -> Rest {
    rounds(stream, n, &mut Placed(counts))
}

/// The counts of one replicate: how often each of `n` slots is drawn in `n` draws.
pub fn counts(stream: Stream, n: usize) -> Result<Vec<u32>, NoMemory> {
    let mut all = memory::filled(n, 0)?;
    count_into(stream, &mut all);
    Ok(all)
}

/// Writes the [`counts`] of one replicate of as many slots as `all` has.
pub fn count_into(stream: Stream, all: &mut [u32]) {
    dispatch(Count { stream, all });
}

struct Count<'a> {
    stream: Stream,
    all: &'a mut [u32],
}

impl Kernel for Count<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let n = self.all.len();
        if n > SLOTS {
            draw_many(self.stream, n, &mut Written(self.all));
        } else if n > 0 {
            let mut tally = Tally([0; SLOTS]);
            draw_few(self.stream, n, &mut tally);
            self.all.copy_from_slice(&tally.0[..n]);
        }
    }
}

/// The counts of few slots, with places for the fields beyond them.
struct Tally([u32; SLOTS]);

impl Few for Tally {
    #[inline(always)]
    fn words(&mut self, words: &[u32], take: usize) {
        let (whole, over) = (take / FIELDS, take % FIELDS);
        for &word in &words[..whole] {
            for number in 0..FIELDS {
                self.0[field(word, number)] += 1;
            }
        }
        for number in 0..over {
            self.0[field(words[whole], number)] += 1;
        }
    }
    #[inline(always)]
    fn offsets(&mut self, offsets: &[u16]) {
        for &offset in offsets {
            self.0[usize::from(offset) % SLOTS] += 1;
        }
    }
}

/// The counts of many slots.
struct Written<'a>(&'a mut [u32]);

impl Many for Written<'_> {
    #[inline(always)]
    fn begin(&mut self) {}
    #[inline(always)]
    fn leaf(&mut self, index: usize, counts: &Counts) {
        for (to, &count) in self.0[index * SLOTS..].iter_mut().zip(counts) {
            *to = u32::from(count);
        }
    }
    #[inline(always)]
    fn slot(&mut self, slot: usize) {
        self.0[slot] += 1;
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
        for n in (1..300).chain([1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 5000, 65_537, 100_000]) {
            for r in 0..3 {
                assert_eq!(
                    counts(replicate(r), n).unwrap().iter().map(|&c| c as usize).sum::<usize>(),
                    n,
                    "{n}"
                );
            }
        }
        assert!(counts(replicate(0), 0).unwrap().is_empty());
    }

    #[test]
    fn replicates_and_seeds_differ() {
        for n in [100, 2000] {
            assert_ne!(counts(replicate(0), n), counts(replicate(1), n));
            let other = Stream::new(12, Domain::Bootstrap, 0);
            assert_ne!(counts(replicate(0), n), counts(other, n));
        }
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
        for n in [7usize, 257, 300, 1000, 1100, 5000, 20_000] {
            let replicates = 4_000_000 / n as u32;
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

    /// How often a slot counts 0, 1, 2, ... is Bin(n, 1/n), and the counts of two parts of the slots have the covariance
    /// of a total that is fixed: the sum over half of them has the variance n/4.
    #[test]
    fn many_slots_count_as_binomials_with_a_fixed_total() {
        for n in [1025usize, 1500, 4096, 9000] {
            let replicates = 3_000_000 / n as u32;
            let (mut seen, mut halves) = ([0.0; 7], 0.0);
            for r in 0..replicates {
                let counts = counts(replicate(r), n).unwrap();
                for &count in &counts {
                    seen[(count as usize).min(6)] += 1.0;
                }
                let half: u32 = counts[..n / 2].iter().sum();
                let off = f64::from(half) - (n / 2) as f64;
                halves += off * off;
            }
            let (p, all) = (1.0 / n as f64, f64::from(n as u32 * replicates));
            let none = (0..n).map(|_| 1.0 - p).product::<f64>();
            let (mut probability, mut rest, mut statistic) = (none, 1.0, 0.0);
            for (k, &seen) in seen.iter().enumerate() {
                let expected = all * if k < 6 { probability } else { rest };
                statistic += (seen - expected) * (seen - expected) / expected;
                rest -= probability;
                probability *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
            }
            assert!(statistic < 27.9, "n = {n}: {statistic}"); // the 0.9999 quantile of 6 degrees of freedom
            let share = (n / 2) as f64 / n as f64;
            let ratio = halves / f64::from(replicates) / (n as f64 * share * (1.0 - share));
            assert!((ratio - 1.0).abs() < 4.0 * (2.0 / f64::from(replicates)).sqrt(), "n = {n}: {ratio}");
        }
    }

    /// Designs that draw more than counts (clusters inside clusters) read place 0 of the same replicate.
    #[test]
    fn the_draws_that_are_left_have_numbers_of_their_own() {
        let mut rest = Leaves::of(replicate(3), 5000, 0).rest(4900).unwrap();
        let mut others = Reader::new(replicate(3));
        let drawn: Vec<usize> = std::iter::from_fn(|| rest.draw()).collect();
        assert_eq!(drawn.len(), 100);
        assert_ne!(drawn, (0..100).map(|_| others.below(5000) as usize).collect::<Vec<_>>());
    }

    /// Rounds after the first: once in tens of thousands of replicates.
    #[test]
    fn leaves_with_too_many_draws_count_anew() {
        let too_many = |r: &u32| {
            let leaves = Leaves::of(replicate(*r), 1025, 0);
            let mut counts = [0; SLOTS];
            let drawn: u64 = (0..leaves.count()).map(|leaf| leaves.counts(leaf, &mut counts)).sum();
            leaves.rest(drawn).is_none()
        };
        let first = (0..400_000).find(too_many).expect("a replicate with too many draws");
        let counted = counts(replicate(first), 1025).unwrap();
        assert_eq!(counted.iter().sum::<u32>(), 1025);
        let mut second = [0; SLOTS];
        Leaves::of(replicate(first), 1025, 1).counts(0, &mut second);
        let more = counted.iter().zip(&second).map(|(&all, &own)| all - u32::from(own));
        assert!(more.sum::<u32>() < 300);
    }
}
