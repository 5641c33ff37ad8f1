//! The sign-flip test: is the mean of paired differences zero?

use super::Alternative;
use super::sums::sums;
use crate::grid::{self, Stopped, Watch};
use crate::memory;
use crate::random::{Domain, Stream, WORDS};
use crate::simd::{self, Isa, Kernel, padded, tree64};

/// Up to so many non-zero values every pattern of signs is tried.
const EXACT: usize = 16;
/// Otherwise so many random patterns, beside the observed one.
const PATTERNS: usize = 9_999;
/// At most so many patterns share one reading of the values.
const GROUP: usize = 16;
/// Signs given between two looks at the clock, about: 20 ms of work.
const STEP: usize = 1 << 26;
const LANES: usize = 16;
/// Values whose signs one batch of random words gives.
const BITS: usize = 32 * WORDS;
/// Values read at a time by all patterns of a group: 32 KiB, the nearest cache.
const TILE: usize = 4 * BITS;
/// Sums this close, as a share of sum |x|, count as equal: 2^-40.
const SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// What the test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// The p-value.
    pub p: f64,
    /// Values that are not zero.
    pub nonzero: usize,
    /// Whether every pattern was tried.
    pub exact: bool,
}

/// Patterns that share one reading of `n` values.
fn group(n: usize) -> usize {
    match STEP / (n + 1) {
        0 => 1,
        few if few < GROUP => few,
        _ => GROUP,
    }
}

/// The steps that progress counts for `n` values.
pub fn steps(n: usize) -> usize {
    grid::chunks(PATTERNS, group(n))
}

/// Under the hypothesis each difference (of a row, or the sum over a cluster) is as likely positive as
/// negative. With S the sum and S* the sum with signs flipped, p is the share of patterns with |S*| >= |S|
/// (`Greater`: S* >= S, `Less`: S* <= S): of all 2^m patterns for m <= 16 non-zero values, else
/// (1 + #)/10,000 with 9,999 patterns from Philox, seed 0, domain "sign-flip".
///
/// Sums that differ by less than 2^-40 of sum |x| count as equal, so that rounding does not decide ties.
/// Differences are independent of each other; `x` holds no NaN.
pub fn sign_flip(x: &[f64], alternative: Alternative, watch: Watch<'_>) -> Result<SignFlip, Stopped> {
    // Counts and sums become one number at the end: all of it on the calling thread, the patterns where they are.
    simd::standard(|| of_patterns(x, alternative, watch))
}

fn of_patterns(x: &[f64], alternative: Alternative, watch: Watch<'_>) -> Result<SignFlip, Stopped> {
    let (size, steps) = (group(x.len()), steps(x.len()));
    let x = memory::gathered(x.iter().copied().filter(|&v| v != 0.0))?;
    let [observed, total] = sums(x.len(), |i| [x[i], x[i].abs()]);
    let far = Far { observed, slack: total * SLACK, alternative };
    let exact = x.len() <= EXACT;
    let (extreme, all) = if exact {
        ((0..1u32 << x.len()).filter(|&signs| far.holds(flipped(&x, signs))).count(), 1 << x.len())
    } else {
        let work = |step: usize| {
            let patterns = grid::chunk(step, PATTERNS, size);
            let group = Group { x: &x, first: patterns.start as u32, count: patterns.len() };
            simd::dispatch(CountFar { group, far })
        };
        // A pattern costs a value about as much as reading eight bytes.
        let counts = grid::map_chunks(steps, PATTERNS * x.len() * 8, watch, work)?;
        (1 + counts.iter().sum::<usize>(), PATTERNS + 1)
    };
    Ok(SignFlip { p: extreme as f64 / all as f64, nonzero: x.len(), exact })
}

/// Whether a sum is at least as far out as the observed one.
#[derive(Clone, Copy)]
struct Far {
    observed: f64,
    slack: f64,
    alternative: Alternative,
}

impl Far {
    fn holds(self, sum: f64) -> bool {
        match self.alternative {
            Alternative::TwoSided => sum.abs() >= self.observed.abs() - self.slack,
            Alternative::Greater => sum >= self.observed - self.slack,
            Alternative::Less => sum <= self.observed + self.slack,
        }
    }
}

/// The sum with x[i] negated where bit i is set.
fn flipped(x: &[f64], signs: u32) -> f64 {
    x.iter().enumerate().map(|(i, &v)| if signs >> i & 1 == 1 { -v } else { v }).sum()
}

/// The flipped sums of `count` random patterns, from pattern `first` on.
struct Group<'a> {
    x: &'a [f64],
    first: u32,
    count: usize,
}

impl Kernel for Group<'_> {
    type Out = [f64; GROUP];
    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; GROUP] {
        let mut lanes = [[0.0; LANES]; GROUP];
        for (t, tile) in self.x.chunks(TILE).enumerate() {
            for (p, lanes) in lanes.iter_mut().take(self.count).enumerate() {
                let stream = signs(self.first + p as u32);
                for (b, block) in tile.chunks(BITS).enumerate() {
                    add_flipped(lanes, block, &stream.batch((t * TILE / BITS + b) as u64));
                }
            }
        }
        lanes.map(tree64)
    }
}

/// How many of a group's sums are far out.
struct CountFar<'a> {
    group: Group<'a>,
    far: Far,
}

impl Kernel for CountFar<'_> {
    type Out = usize;
    #[inline(always)]
    fn run<I: Isa>(self) -> usize {
        let (count, far) = (self.group.count, self.far);
        let sums = self.group.run::<I>();
        sums[..count].iter().filter(|&&sum| far.holds(sum)).count()
    }
}

/// The signs of a pattern: value i is negated where bit i mod 32 of word i/32 is set.
fn signs(pattern: u32) -> Stream {
    Stream::new(0, Domain::SignFlip, pattern)
}

/// Adds up to `BITS` values, each with its sign.
#[inline(always)]
fn add_flipped(lanes: &mut [f64; LANES], block: &[f64], words: &[u32; WORDS]) {
    let (parts, tail) = block.as_chunks::<LANES>();
    // A local copy of the lanes stays in registers.
    let mut sums = *lanes;
    for (k, part) in parts.iter().enumerate() {
        sums = flip_and_add(sums, part, half_word(words, k));
    }
    if !tail.is_empty() {
        sums = flip_and_add(sums, &padded(tail, 0.0), half_word(words, parts.len()));
    }
    *lanes = sums;
}

/// The signs of values 16 k to 16 k + 15.
#[inline(always)]
fn half_word(words: &[u32; WORDS], k: usize) -> u64 {
    u64::from(words[k / 2] >> (LANES * (k % 2)))
}

#[inline(always)]
fn flip_and_add(mut sums: [f64; LANES], values: &[f64; LANES], bits: u64) -> [f64; LANES] {
    for l in 0..LANES {
        sums[l] += f64::from_bits(values[l].to_bits() ^ (bits >> l << 63));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(x: &[f64], alternative: Alternative) -> SignFlip {
        sign_flip(x, alternative, &mut |_| true).unwrap()
    }

    #[test]
    fn few_values_are_enumerated() {
        // Four equal differences: 2 of 16 patterns are as far out.
        assert_eq!(test(&[1.0; 4], Alternative::TwoSided), SignFlip { p: 0.125, nonzero: 4, exact: true });
        assert_eq!(test(&[1.0; 4], Alternative::Greater).p, 1.0 / 16.0);
        assert_eq!(test(&[1.0; 4], Alternative::Less).p, 1.0);
        assert_eq!(test(&[0.0, 0.0], Alternative::TwoSided), SignFlip { p: 1.0, nonzero: 0, exact: true });
    }

    #[test]
    fn rounding_does_not_decide_ties() {
        // Added one after another, ten tenths are less than 1; added by halves, they are 1.
        assert_eq!(test(&[0.1; 10], Alternative::TwoSided).p, 2.0 / 1024.0);
        assert_eq!(test(&[0.1; 10], Alternative::Greater).p, 1.0 / 1024.0);
    }

    #[test]
    fn many_values_agree_with_the_binomial() {
        // 40 equal differences of which 28 are positive: P(|2X - 40| >= 16), X ~ Bin(40, 1/2), is .01659.
        let x: Vec<f64> = (0..40).map(|i| if i < 28 { 1.0 } else { -1.0 }).collect();
        let got = test(&x, Alternative::TwoSided);
        assert!(!got.exact && (got.p - 0.01659).abs() < 4.0 * (0.01659f64 / 9999.0).sqrt(), "{got:?}");
    }

    #[test]
    fn the_smallest_p_is_one_in_ten_thousand() {
        assert_eq!(test(&[1.0; 1000], Alternative::Greater).p, 1e-4);
    }

    #[test]
    fn how_many_share_a_reading_changes_nothing() {
        let x: Vec<f64> = (0..300).map(|i| f64::from(i % 7) - 2.5).collect();
        let all = simd::dispatch(Group { x: &x, first: 40, count: GROUP });
        for p in 0..GROUP {
            assert_eq!(simd::dispatch(Group { x: &x, first: 40 + p as u32, count: 1 })[0], all[p]);
        }
        assert_eq!((group(0), group(1000), group(10_000_000), group(1_000_000_000)), (16, 16, 6, 1));
        assert_eq!((steps(17), steps(1_000_000_000)), (625, 9999));
    }

    #[test]
    fn tails_and_tiles_use_every_value_once() {
        for n in [17, 31, 128, 129, BITS + 5, TILE, TILE + 1, 2 * TILE + 77] {
            let x: Vec<f64> = (0..n).map(|i| (i % 7) as f64 + 1.0).collect();
            let sums = simd::dispatch(Group { x: &x, first: 0, count: GROUP });
            let total: f64 = x.iter().sum();
            for (p, &sum) in sums.iter().enumerate() {
                let by_hand: f64 = x
                    .iter()
                    .enumerate()
                    .map(|(i, &v)| {
                        let words = signs(p as u32).batch((i / BITS) as u64);
                        if words[i % BITS / 32] >> (i % 32) & 1 == 1 { -v } else { v }
                    })
                    .sum();
                assert!(sum == by_hand && sum.abs() <= total, "{n} {p}");
            }
        }
    }
}
