//! Poisson laws with means just below 1, by random bytes: how often each slot of a leaf counts, independently of the
//! others.

use super::layout::{LEAF, ROWS};
use super::philox::{Stream, WORDS};
use crate::simd::high_bits;

/// Slots in a leaf.
pub const SLOTS: usize = 1 << LEAF;
/// How often each slot of a leaf counts.
pub type Counts = [u8; SLOTS];

/// The Poisson law with mean `1 - 2^-gap`.
///
/// A count of k has the probability `(w_k + r_k)/256` with a whole number `w_k` and a rest `r_k` below 1. A slot reads one
/// byte: `w_0` bytes say that it counts 0, the next `w_1` that it counts 1, and so on. The last few bytes, about one in a
/// hundred, decide nothing; there, 64 bits more draw a count with probabilities that are proportional to the rests. So a
/// probability is right to 2^-70.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Bytes from `from[k]` on count more than k.
    from: [u8; BYTES],
    /// Bytes from here on decide nothing.
    undecided: u8,
    /// Of these, 64 bits from `bounds[k]` on count more than k.
    bounds: [u64; MOST],
}

/// Counts below this one have bytes that say so; from here on a single one has, if any.
const BYTES: usize = 4;
/// The largest count; a larger one has a probability of 2^-70 at most.
const MOST: usize = 21;
/// Counts up to this one are nearly all that undecided bytes give.
const USUAL: usize = 6;
/// The batches of words whose bytes the slots of a leaf read, in the order of the slots. The next one has 64 bits for each
/// undecided slot, in the same order, and further ones follow where there are more such slots.
const BATCHES: usize = SLOTS / (4 * WORDS);
/// The undecided slots for which a batch suffices.
const FINE: usize = WORDS / 2;
/// The batches of a leaf in one round: none needs more, even if every slot were undecided.
const ROUND: u64 = (BATCHES + SLOTS / FINE).next_power_of_two() as u64;

/// The fixed point of probabilities: 1 is `2^POINT`.
const POINT: u32 = 112;

impl Law {
    /// The law whose mean is `1 - 2^-gap`, by terms that are shifted and divided by small numbers.
    const fn of(gap: u32) -> Law {
        let mut probability = exp_of_minus_mean(gap);
        let (mut from, mut bytes, mut rest, mut rests, mut k) = ([0; BYTES], 0, 0, [0; MOST], 0);
        while k < MOST {
            let whole = probability >> (POINT - 8);
            bytes += whole as u32;
            rest += (probability << 8) - (whole << POINT);
            rests[k] = rest;
            if k < BYTES {
                from[k] = bytes as u8;
            }
            assert!(k <= BYTES || whole == 0);
            probability = (probability - (probability >> gap)) / (k as u128 + 1);
            k += 1;
        }
        let (mut bounds, all) = ([u64::MAX; MOST], 256 - bytes as u128);
        k = 0;
        while k < MOST {
            let share = (rests[k] / all) >> (POINT - 64);
            if share < 1 << 64 {
                bounds[k] = share as u64;
            }
            k += 1;
        }
        Law { from, undecided: bytes as u8, bounds }
    }

    /// The law of the counts that make up most draws of `n` rows, where `n` is above [`SLOTS`]: the one with the largest
    /// mean among those whose total is above n in fewer than one of 20,000 replicates. (The total has a mean of `n - n
    /// 2^-gap`, and `n 2^-gap` is four to eight of its standard deviations.)
    pub fn below(n: u64) -> &'static Law {
        &LAWS[((n.ilog2() - 4) / 2 - FIRST) as usize]
    }

    /// Writes how often each slot of a leaf counts in one round; returns the sum. `stream` is that of the leaf, and
    /// slots from `slots` on do not count.
    #[inline(always)]
    pub fn counts(&self, stream: Stream, round: u64, slots: usize, counts: &mut Counts) -> u64 {
        let first = round * ROUND;
        let mut words = [[0; WORDS]; BATCHES + 1];
        for batch in 0..=BATCHES {
            words[batch] = stream.batch(first + batch as u64);
        }
        let mut undecided = Undecided { masks: [0; SLOTS / RUN], first: [0; ROOM], many: 0 };
        self.by_bytes(&words[..BATCHES], counts, &mut undecided);
        if undecided.many <= FINE {
            self.decide(&words[BATCHES], &undecided.first[..undecided.many], counts);
        } else {
            self.decide_more(stream, first + BATCHES as u64, &undecided.masks, counts);
        }
        if slots < SLOTS {
            counts[slots..].fill(0);
        }
        total(counts)
    }

    /// Counts by the bytes, and says which slots they do not decide.
    #[inline(always)]
    fn by_bytes(&self, words: &[[u32; WORDS]], counts: &mut Counts, undecided: &mut Undecided) {
        let runs = words.as_flattened().as_chunks::<{ RUN / 4 }>().0;
        for (run, (words, counts)) in runs.iter().zip(counts.as_chunks_mut::<RUN>().0).enumerate() {
            let mut bytes = [0; RUN];
            for i in 0..RUN / 4 {
                bytes.as_chunks_mut().0[i] = words[i].to_le_bytes();
            }
            let mut flags = [0; RUN];
            for i in 0..RUN {
                let mut count = 0;
                for from in self.from {
                    count += u8::from(bytes[i] >= from);
                }
                counts[i] = count;
                flags[i] = if bytes[i] >= self.undecided { u8::MAX } else { 0 };
            }
            undecided.add(run, high_bits(&flags));
        }
    }

    /// Decides by 64 bits for each of these slots.
    #[inline(always)]
    fn decide(&self, words: &[u32; WORDS], undecided: &[u16], counts: &mut Counts) {
        for (pair, &slot) in words.as_chunks::<2>().0.iter().zip(undecided) {
            let bits = u64::from(pair[0]) | u64::from(pair[1]) << 32;
            let mut count = 0;
            for k in 0..USUAL {
                count += usize::from(bits >= self.bounds[k]);
            }
            while (USUAL..MOST).contains(&count) && bits >= self.bounds[count] {
                count += 1;
            }
            counts[usize::from(slot) % SLOTS] = count as u8;
        }
    }

    /// Decides where one batch does not suffice, which is rare; not inlined, so that it does not stand in the way.
    #[inline(never)]
    fn decide_more(&self, stream: Stream, first: u64, masks: &[u64; SLOTS / RUN], counts: &mut Counts) {
        let (mut slots, mut many) = ([0; SLOTS], 0);
        for slot in 0..SLOTS {
            slots[many] = slot as u16;
            many += (masks[slot / RUN] >> (slot % RUN)) as usize % 2;
        }
        for (batch, slots) in slots[..many].chunks(FINE).enumerate() {
            self.decide(&stream.batch(first + batch as u64), slots, counts);
        }
    }
}

/// The slots of a leaf that their bytes leave undecided.
struct Undecided {
    /// The slots of each run, a bit for each.
    masks: [u64; SLOTS / RUN],
    /// The slots in their order, where there are no more than [`FINE`]; else, any.
    first: [u16; ROOM],
    /// How many there are.
    many: usize,
}

impl Undecided {
    /// The bits of a mask are slots of a run.
    #[inline(always)]
    fn add(&mut self, run: usize, mask: u64) {
        self.masks[run] = mask;
        let (mut left, start) = (mask, (run * RUN) as u16);
        // Nearly all runs have few: a fixed number of steps takes no branches.
        for _ in 0..FEW {
            self.first[self.many % ROOM] = start + left.trailing_zeros() as u16;
            self.many += usize::from(left != 0);
            left &= left.wrapping_sub(1);
        }
        while left != 0 {
            self.first[self.many % ROOM] = start + left.trailing_zeros() as u16;
            self.many += 1;
            left &= left - 1;
        }
    }
}

/// Slots whose bytes are compared together.
const RUN: usize = 64;
/// Undecided slots of a run for which no branch is taken.
const FEW: usize = 3;
/// Room for the undecided slots that one batch decides, and one more; a power of two needs no check.
const ROOM: usize = 2 * FINE;

/// `exp(-mean)` of the mean `1 - 2^-gap`, as `1 - mean + mean^2/2 - ...`
const fn exp_of_minus_mean(gap: u32) -> u128 {
    let (mut sum, mut term, mut k) = (1 << POINT, 1u128 << POINT, 0);
    while term > 0 {
        k += 1;
        term = (term - (term >> gap)) / k;
        sum = if k % 2 == 1 { sum - term } else { sum + term };
    }
    sum
}

/// The sum of the counts of a leaf, none of which is above 21.
#[inline(always)]
pub fn total(counts: &Counts) -> u64 {
    // Bytes hold the sum of eight counts.
    const _: () = assert!(8 * MOST < 256);
    let mut all = [0u32; RUN];
    for counts in counts.as_chunks::<{ 8 * RUN }>().0 {
        let mut some = [0u8; RUN];
        for counts in counts.as_chunks::<RUN>().0 {
            for i in 0..RUN {
                some[i] += counts[i];
            }
        }
        for i in 0..RUN {
            all[i] += u32::from(some[i]);
        }
    }
    let mut sum = 0;
    for i in 0..RUN {
        sum += all[i];
    }
    u64::from(sum)
}

/// The gap for the smallest number of rows above [`SLOTS`], and for the largest one.
const FIRST: u32 = (LEAF - 4) / 2;
const LAST: u32 = (ROWS - 4) / 2;

static LAWS: [Law; (LAST - FIRST + 1) as usize] = {
    let mut laws = [Law::of(FIRST); (LAST - FIRST + 1) as usize];
    let mut gap = FIRST;
    while gap <= LAST {
        laws[(gap - FIRST) as usize] = Law::of(gap);
        gap += 1;
    }
    laws
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::exp;
    use crate::random::Domain;

    /// The probability of each count that bytes and bounds give is that of the law.
    #[test]
    fn bytes_and_bounds_make_up_the_law() {
        for (gap, law) in (FIRST..=LAST).zip(&LAWS) {
            let mean = 1.0 - 1.0 / f64::from(1 << gap);
            let (mut want, mut below) = (exp(-mean), 0.0);
            let undecided = 256.0 - f64::from(law.undecided);
            for k in 0..MOST {
                let bytes = match k {
                    0..BYTES => {
                        f64::from(law.from[k]) - if k == 0 { 0.0 } else { f64::from(law.from[k - 1]) }
                    }
                    BYTES => f64::from(law.undecided) - f64::from(law.from[BYTES - 1]),
                    _ => 0.0,
                };
                let bound = law.bounds[k] as f64 / 18_446_744_073_709_551_616.0;
                let got = (bytes + undecided * (bound - below)) / 256.0;
                assert!((got - want).abs() < 1e-15, "gap {gap}: {k} has {got} and not {want}");
                want *= mean / (k + 1) as f64;
                below = bound;
            }
            assert!(law.bounds.is_sorted() && below == 1.0);
        }
    }

    /// More undecided slots than a batch has bits for follow in the next batches.
    #[test]
    fn every_undecided_slot_has_bits_of_its_own() {
        let (law, stream) = (Law::below(5000), Stream::new(1, Domain::Bootstrap, 2).leaf(3));
        let mut at_once = [9; SLOTS];
        law.decide_more(stream, 7, &[u64::MAX; SLOTS / RUN], &mut at_once);
        for (slot, &count) in at_once.iter().enumerate() {
            let words = stream.batch(7 + (slot / FINE) as u64);
            let bits = u64::from(words[2 * (slot % FINE)]) | u64::from(words[2 * (slot % FINE) + 1]) << 32;
            assert_eq!(usize::from(count), law.bounds.iter().filter(|&&bound| bits >= bound).count());
        }
    }
}
