//! The kernel of policy losses: it reads every token of a chunk of answers once and writes its gradient once.

use super::losses::{Estimator, Formula, Loss, Token};
use super::power::{LIMIT, Power};
use super::{Advantages, Answers, Constants, Seen, Sums};
use crate::simd::{Element, Isa, Kernel, Precision, tree64};

/// What is more than rounding makes of the log-probability of a token that is certain.
pub const POSITIVE: f64 = 0.05;

/// The number of tokens that go through the formula together. A sum over an answer has as many lanes.
const BLOCK: usize = 32;
type Block = [f64; BLOCK];
const ZERO: Block = [0.0; BLOCK];

/// The scoring of a chunk of answers. With `REFERENCE` there are log-probabilities of a reference.
pub(super) struct Scoring<'a, T, F, const REFERENCE: bool> {
    pub(super) answers: Answers<'a, T>,
    /// The factor of each answer's gradients, `1 / divisor`.
    pub(super) factors: &'a [f64],
    /// The number of counted tokens of each answer.
    pub(super) counts: &'a [f64],
    pub(super) constants: Constants,
    pub(super) formula: F,
    /// The gradients; empty where they are not wanted.
    pub(super) gradient: &'a mut [T],
    pub(super) sums: &'a mut [Sums],
}

/// A block of tokens in f64. Tokens that do not count have zeros everywhere.
struct Tokens {
    logprob: Block,
    old: Block,
    reference: Block,
    advantage: Block,
    /// The factor of the gradient of tokens that count.
    factor: Block,
}

/// The sums over an answer, in lanes.
struct Lanes {
    loss: Block,
    low: Block,
    high: Block,
    ratio: Block,
    kl: Block,
    reference: Block,
}

impl<T: Element, F: Formula, const REFERENCE: bool> Kernel for Scoring<'_, T, F, REFERENCE> {
    type Out = Seen;
    #[inline(always)]
    fn run<I: Isa>(self) -> Seen {
        let width = self.answers.width;
        let wanted = !self.gradient.is_empty();
        let mut seen = Seen::default();
        for row in 0..self.sums.len() {
            let answer = self.answers.row(row);
            let count = self.counts[row];
            let whole = if self.constants.loss.of_answers() {
                let whole = Power::of::<I>(mean_difference(&answer, count));
                seen.saturated += usize::from(whole.value > whole.slope);
                Some(whole)
            } else {
                None
            };
            let start = row * width;
            let gradient = if wanted { &mut self.gradient[start..start + width] } else { &mut [][..] };
            let given = Row { answer, factor: self.factors[row], advantage: self.answers.advantage_of(row) };
            let mut sums = given.score::<I, F, REFERENCE>(
                self.formula,
                self.constants,
                whole.as_ref(),
                gradient,
                &mut seen,
            );
            if let Some(whole) = whole {
                sums.ratio = whole.less_one * count;
            }
            self.sums[row] = sums;
        }
        seen
    }
}

/// The tokens of one answer that its length leaves.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a, T> {
    pub(super) logprob: &'a [T],
    pub(super) old: &'a [T],
    /// Empty without a reference.
    pub(super) reference: &'a [T],
    /// 0 for tokens that do not count; empty where all do.
    pub(super) counted: &'a [u8],
}

/// The mean over an answer of the difference of its log-probabilities; 0 for an empty one.
#[inline(always)]
fn mean_difference<T: Element>(answer: &Answer<'_, T>, count: f64) -> f64 {
    let n = answer.logprob.len();
    let (mut lanes, mut logprob, mut old) = (ZERO, ZERO, ZERO);
    let mut start = 0;
    while start < n {
        let end = n.min(start + BLOCK);
        load(&answer.logprob[start..end], &mut logprob);
        load(&answer.old[start..end], &mut old);
        if !answer.counted.is_empty() {
            let counted = &answer.counted[start..end];
            for i in 0..counted.len() {
                if counted[i] == 0 {
                    logprob[i] = 0.0;
                    old[i] = 0.0;
                }
            }
        }
        for i in 0..BLOCK {
            lanes[i] += logprob[i] - old[i];
        }
        start = end;
    }
    if count > 0.0 { tree64(lanes) / count } else { 0.0 }
}

/// Copies up to a block of numbers as f64, and fills up with zeros.
#[inline(always)]
fn load<T: Element>(from: &[T], to: &mut Block) {
    if let Ok(whole) = <&[T; BLOCK]>::try_from(from) {
        for i in 0..BLOCK {
            to[i] = whole[i].to_f64();
        }
    } else {
        *to = ZERO;
        for i in 0..from.len() {
            to[i] = from[i].to_f64();
        }
    }
}

/// An answer with the factor of its gradients and its advantage.
struct Row<'a, T> {
    answer: Answer<'a, T>,
    factor: f64,
    advantage: Advantages<'a>,
}

impl<T: Element> Row<'_, T> {
    /// Scores every token; `whole` is the ratio of the answer, for losses of whole answers.
    #[inline(always)]
    fn score<I: Isa, F: Formula, const REFERENCE: bool>(
        &self,
        formula: F,
        constants: Constants,
        whole: Option<&Power>,
        gradient: &mut [T],
        seen: &mut Seen,
    ) -> Sums {
        let n = self.answer.logprob.len();
        let largest = if T::PRECISION == Precision::F32 { f64::from(f32::MAX) } else { f64::MAX };
        let mut lanes = Lanes { loss: ZERO, low: ZERO, high: ZERO, ratio: ZERO, kl: ZERO, reference: ZERO };
        let mut tokens = Tokens { logprob: ZERO, old: ZERO, reference: ZERO, advantage: ZERO, factor: ZERO };
        let mut slopes = ZERO;
        let mut start = 0;
        while start < n {
            let end = n.min(start + BLOCK);
            self.read::<REFERENCE>(start, end, &mut tokens);
            let rare = block::<I, F, REFERENCE>(&tokens, formula, constants, whole, &mut lanes, &mut slopes);
            let mut over = false;
            if !gradient.is_empty() {
                let to = &mut gradient[start..end];
                for i in 0..to.len() {
                    over |= (slopes[i].abs() > largest) | slopes[i].is_nan();
                    to[i] = T::from_f64(slopes[i]);
                }
            }
            if rare | over {
                seen.count(&tokens, constants, usize::from(over), REFERENCE);
            }
            start = end;
        }
        if !gradient.is_empty() {
            for i in n..gradient.len() {
                gradient[i] = T::from_f64(0.0);
            }
        }
        Sums {
            loss: tree64(lanes.loss),
            low: tree64(lanes.low),
            high: tree64(lanes.high),
            ratio: tree64(lanes.ratio),
            kl: tree64(lanes.kl),
            reference: tree64(lanes.reference),
        }
    }

    /// Reads the tokens from `start` to `end` into a block.
    #[inline(always)]
    fn read<const REFERENCE: bool>(&self, start: usize, end: usize, tokens: &mut Tokens) {
        load(&self.answer.logprob[start..end], &mut tokens.logprob);
        load(&self.answer.old[start..end], &mut tokens.old);
        if REFERENCE {
            load(&self.answer.reference[start..end], &mut tokens.reference);
        }
        match self.advantage {
            Advantages::PerAnswer(one) => tokens.advantage = [one[0]; BLOCK],
            Advantages::PerToken(each) => load(&each[start..end], &mut tokens.advantage),
        }
        tokens.factor = [self.factor; BLOCK];
        for i in end - start..BLOCK {
            tokens.clear(i);
        }
        if !self.answer.counted.is_empty() {
            let counted = &self.answer.counted[start..end];
            for i in 0..counted.len() {
                if counted[i] == 0 {
                    tokens.clear(i);
                }
            }
        }
    }
}

impl Tokens {
    /// Makes a token one that does not count.
    #[inline(always)]
    fn clear(&mut self, i: usize) {
        self.logprob[i] = 0.0;
        self.old[i] = 0.0;
        self.reference[i] = 0.0;
        self.advantage[i] = 0.0;
        self.factor[i] = 0.0;
    }
}

/// Scores a block of tokens; true if one of them may be of the rare kinds that are counted.
#[inline(always)]
#[allow(clippy::manual_range_contains)] // `contains` would branch
fn block<I: Isa, F: Formula, const REFERENCE: bool>(
    tokens: &Tokens,
    formula: F,
    constants: Constants,
    whole: Option<&Power>,
    lanes: &mut Lanes,
    slopes: &mut Block,
) -> bool {
    let Constants { low, high, kl_weight, estimator, .. } = constants;
    let of_answers = whole.is_some();
    let (whole_ratio, whole_slope) = whole.map_or((0.0, 0.0), |whole| (whole.value, whole.slope));
    let (k2, k3) = (estimator == Estimator::K2, estimator == Estimator::K3);
    let mut rare = false;
    for i in 0..BLOCK {
        let (logprob, old, advantage) = (tokens.logprob[i], tokens.old[i], tokens.advantage[i]);
        let difference = logprob - old;
        let power = Power::of::<I>(difference);
        let ratio = if of_answers { whole_ratio } else { power.value };
        let slope = if of_answers { whole_slope } else { power.slope };
        let term = formula.at(Token { ratio, slope, advantage, logprob }, low, high);
        let (mut value, mut by_logprob) = (term.value, term.slope);
        rare |= !((difference <= LIMIT) & (difference >= -f64::MAX) & (advantage.abs() <= f64::MAX));
        rare |= !((logprob <= POSITIVE) & (old <= POSITIVE));
        if REFERENCE {
            let apart = tokens.reference[i] - logprob;
            let away = Power::of::<I>(apart);
            let kl = if k2 { 0.5 * apart * apart } else { -apart };
            let kl = if k3 { away.bend } else { kl };
            let by = if k2 { -apart } else { 1.0 };
            let by = if k3 { 1.0 - away.slope } else { by };
            let by = if k3 & (apart.abs() <= 1.0) { -away.less_one } else { by };
            value += kl_weight * kl;
            by_logprob += kl_weight * by;
            lanes.reference[i] += kl;
            rare |= !((apart <= LIMIT) & (apart >= -f64::MAX) & (tokens.reference[i] <= POSITIVE));
        }
        slopes[i] = tokens.factor[i] * by_logprob + 0.0; // no negative zeros
        lanes.loss[i] += value;
        lanes.low[i] += if term.low { 1.0 } else { 0.0 };
        lanes.high[i] += if term.high { 1.0 } else { 0.0 };
        lanes.ratio[i] += power.less_one;
        lanes.kl[i] += power.bend;
    }
    rare
}

impl Seen {
    /// Counts the rare tokens of a block one by one, in a second pass that ordinary data never need.
    #[inline(never)]
    fn count(&mut self, tokens: &Tokens, constants: Constants, over: usize, reference: bool) {
        self.overflows += over;
        for i in 0..BLOCK {
            let (logprob, old, other) = (tokens.logprob[i], tokens.old[i], tokens.reference[i]);
            let far = !constants.loss.of_answers() & (logprob - old > LIMIT)
                | reference & (constants.estimator == Estimator::K3) & (other - logprob > LIMIT);
            let finite = logprob.is_finite() & old.is_finite() & other.is_finite();
            self.saturated += usize::from(far);
            self.nonfinite += usize::from(!(finite & tokens.advantage[i].is_finite()));
            self.positive += usize::from((logprob > POSITIVE) | (old > POSITIVE) | (other > POSITIVE));
        }
    }
}

impl Loss {
    /// Whether the gradient of a token goes through the weight of its log-probability alone.
    pub(super) fn is_weighted(self) -> bool {
        self == Loss::Cispo
    }
}
