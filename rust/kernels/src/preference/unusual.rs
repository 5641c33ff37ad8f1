//! What is told of log-probabilities themselves, whatever the loss: how large they are, which answers are empty, and which
//! numbers are no log-probabilities.
//!
//! Nearly all chunks have finite numbers below 0 alone. That is seen in one pass over the columns, which are then in the
//! cache for the loss; the loops of losses look at what they compute, and not at this.

use super::{BOTH_POSITIVE, Counts, Pairs, larger, too_positive};
use crate::simd::{Element, Isa, Kernel, Precision, Real};
use std::ops::RangeInclusive;

const LANES: usize = 16;
/// The number of pairs that are looked at one by one where one of them is unusual.
const BLOCK: usize = 128;

/// The lowest and the highest log-probability of a chunk of pairs. A NaN is neither; the losses see it.
pub(super) struct Extremes<'a, T> {
    pub(super) pairs: Pairs<'a, T>,
}

/// See [`Extremes`].
#[derive(Clone, Copy)]
pub(super) struct Seen {
    lowest: f64,
    highest: f64,
}

impl Seen {
    #[inline(always)]
    fn add(&mut self, low: f64, high: f64) {
        self.lowest = if low < self.lowest { low } else { self.lowest };
        self.highest = if high > self.highest { high } else { self.highest };
    }

    /// The largest magnitude.
    pub(super) fn largest(self) -> f64 {
        larger(-self.lowest, self.highest)
    }

    /// Whether there may be something to count.
    pub(super) fn unusual(self) -> bool {
        self.highest >= 0.0 || self.lowest == f64::NEG_INFINITY
    }
}

impl<T: Element> Kernel for Extremes<'_, T> {
    type Out = Seen;
    #[inline(always)]
    fn run<I: Isa>(self) -> Seen {
        let [chosen, rejected, ..] = self.pairs.log_probabilities();
        // Where there is no reference, the policy's columns stand in its place.
        let alone = self.pairs.reference_chosen.is_empty();
        let columns =
            if alone { [chosen, rejected, chosen, rejected] } else { self.pairs.log_probabilities() };
        if const { matches!(T::PRECISION, Precision::F64) } {
            extremes::<T, f64>(columns, [f64::INFINITY, f64::NEG_INFINITY])
        } else {
            extremes::<T, f32>(columns, [f32::INFINITY, f32::NEG_INFINITY])
        }
    }
}

/// The four columns are read side by side, so that none waits for the comparisons of another.
#[inline(always)]
fn extremes<T: Element, R: Real>(columns: [&[T]; 4], [lowest, highest]: [R; 2]) -> Seen {
    let [a, b, c, d] = columns.map(|column| column.as_chunks::<LANES>());
    let (mut low, mut high) = ([[lowest; LANES]; 4], [[highest; LANES]; 4]);
    for (((a, b), c), d) in a.0.iter().zip(b.0).zip(c.0).zip(d.0) {
        look(a, &mut low[0], &mut high[0]);
        look(b, &mut low[1], &mut high[1]);
        look(c, &mut low[2], &mut high[2]);
        look(d, &mut low[3], &mut high[3]);
    }
    let mut seen = Seen { lowest: f64::INFINITY, highest: f64::NEG_INFINITY };
    for &value in [a.1, b.1, c.1, d.1].into_iter().flatten() {
        seen.add(value.to_f64(), value.to_f64());
    }
    // By index: a slice of the lanes would keep them in memory, also in the loop above.
    for column in 0..4 {
        for l in 0..LANES {
            seen.add(low[column][l].to_f64(), high[column][l].to_f64());
        }
    }
    seen
}

#[inline(always)]
fn look<T: Element, R: Real>(values: &[T; LANES], low: &mut [R; LANES], high: &mut [R; LANES]) {
    for l in 0..LANES {
        let value = R::widen(values[l]);
        low[l] = if value < low[l] { value } else { low[l] };
        high[l] = if value > high[l] { value } else { high[l] };
    }
}

/// The numbers of empty answers, and of what is no log-probability, of a chunk of pairs.
pub(super) struct Unusual<'a, T> {
    pub(super) pairs: Pairs<'a, T>,
}

impl<T: Element> Kernel for Unusual<'_, T> {
    type Out = Counts;
    #[inline(always)]
    fn run<I: Isa>(self) -> Counts {
        let n = self.pairs.policy_chosen.len();
        let mut counts = Counts::default();
        for start in (0..n).step_by(BLOCK) {
            let pairs = self.pairs.part(start..n.min(start + BLOCK));
            let [chosen, rejected, reference_chosen, reference_rejected] = pairs.log_probabilities();
            if any(chosen, reference_chosen) | any(rejected, reference_rejected) {
                counts = counts.plus(counted(&pairs));
            }
        }
        counts
    }
}

/// The log-probabilities that need no look at the other one of their pair, unless they are 0.
const USUAL: RangeInclusive<f64> = f64::MIN..=BOTH_POSITIVE;

/// Whether an answer may be of a kind that is counted.
#[inline(always)]
fn any<T: Element>(policy: &[T], reference: &[T]) -> bool {
    let mut found = false;
    for &policy in policy {
        let policy = policy.to_f64();
        found |= !USUAL.contains(&policy) | ((policy == 0.0) & reference.is_empty());
    }
    for (&policy, &reference) in policy.iter().zip(reference) {
        let (policy, reference) = (policy.to_f64(), reference.to_f64());
        let nothing = (policy == 0.0) & (reference == 0.0);
        found |= nothing | !USUAL.contains(&reference);
    }
    found
}

/// Counts what is seen in the log-probabilities and lengths alone.
#[inline(never)]
fn counted<T: Element>(pairs: &Pairs<'_, T>) -> Counts {
    let mut counts = Counts::default();
    for i in 0..pairs.policy_chosen.len() {
        let policy = (pairs.policy_chosen[i].to_f64(), pairs.policy_rejected[i].to_f64());
        let reference = if pairs.reference_chosen.is_empty() {
            (0.0, 0.0)
        } else {
            (pairs.reference_chosen[i].to_f64(), pairs.reference_rejected[i].to_f64())
        };
        let no_tokens =
            pairs.lengths.is_some_and(|[chosen, rejected]| (chosen[i] == 0.0) | (rejected[i] == 0.0));
        let nothing = (policy.0 == 0.0) & (reference.0 == 0.0) | (policy.1 == 0.0) & (reference.1 == 0.0);
        let finite =
            policy.0.is_finite() & policy.1.is_finite() & reference.0.is_finite() & reference.1.is_finite();
        counts.empty += usize::from(nothing | no_tokens);
        counts.nonfinite += usize::from(!finite);
        counts.positive +=
            usize::from(too_positive(policy.0, policy.1) | too_positive(reference.0, reference.1));
    }
    counts
}
