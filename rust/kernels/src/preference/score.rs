//! The kernel of preference losses: it scores a chunk of pairs block by block, reading each number once and writing
//! each result once.

use super::losses::{Constants, Formula};
use super::narrow::Narrow;
use super::scores::FAR;
use super::{Counts, Loss, Output, SATURATED};
use crate::simd::{Element, Isa, Kernel, Soft, padded};
use std::ops::Range;

/// The number of pairs that go through the formula together.
const BLOCK: usize = 128;
type Block<T> = [T; BLOCK];

/// The scoring of a chunk of pairs.
///
/// The columns are the log-probabilities of the chosen and of the rejected answers under the policy and then under the
/// reference; the fifth is not read. With `SCORES` they are the scores of the chosen and of the rejected answers, the
/// derivatives of these, by which gradients are multiplied, and what is subtracted from the margin.
pub(super) struct Score<'a, T, O, const SCORES: bool> {
    pub(super) columns: Columns<'a, T>,
    pub(super) loss: Loss,
    pub(super) constants: Constants,
    /// Without `SCORES`: whether rewards may be [large](Narrow::LARGE). (Scores are looked at one by one.)
    pub(super) large: bool,
    pub(super) output: Output<'a, O>,
}

pub(super) type Columns<'a, T> = [&'a [T]; 5];

impl<T: Element, O: Narrow, const SCORES: bool> Kernel for Score<'_, T, O, SCORES> {
    type Out = Counts;
    #[inline(always)]
    fn run<I: Isa>(self) -> Counts {
        self.loss.score::<T, O, I, SCORES>(self.columns, self.output, self.constants, self.large)
    }
}

/// Scores every pair of a chunk with one formula.
#[inline(always)]
pub(super) fn blocks<T: Element, O: Narrow, I: Isa, const SCORES: bool>(
    columns: Columns<'_, T>,
    mut output: Output<'_, O>,
    formula: impl Formula,
    constants: Constants,
    large: bool,
) -> Counts {
    let n = columns[0].len();
    // Where results may not fit, every pair is looked at.
    let extreme = constants.extreme::<O>() | large;
    let mut counts = Counts::default();
    // Buffers for the partial last block, and for gradients that were not asked for.
    let (mut inputs, mut outputs) = ([None; 5], [[O::from_f64(0.0); BLOCK]; 5]);
    for start in (0..n).step_by(BLOCK) {
        let range = start..n.min(start + BLOCK);
        let mut results = output.columns(&range);
        let [losses, rewards_chosen, rewards_rejected, grad_chosen, grad_rejected] = results.each_mut();
        let [a, b, c, d, e] = &mut inputs;
        let [l, wc, wr, gc, gr] = &mut outputs;
        let rare = block::<T, O, I, _, SCORES>(
            whole(columns[0], &range, a),
            whole(columns[1], &range, b),
            whole(columns[2], &range, c),
            whole(columns[3], &range, d),
            whole(columns[4], &range, e),
            whole_mut(losses, l),
            whole_mut(rewards_chosen, wc),
            whole_mut(rewards_rejected, wr),
            whole_mut(grad_chosen, gc),
            whole_mut(grad_rejected, gr),
            formula,
            constants,
        );
        if range.len() < BLOCK {
            for (column, output) in results.iter_mut().zip(&outputs) {
                column.copy_from_slice(&output[..column.len()]);
            }
        }
        if rare | extreme {
            counts = counts.plus(count::<T, O, SCORES>(&columns, range, formula, constants, &mut results));
        }
    }
    counts
}

/// The block itself, or for a partial one a copy that is filled up with its first element.
#[inline(always)]
fn whole<'a, T: Element>(
    column: &'a [T],
    range: &Range<usize>,
    copy: &'a mut Option<Block<T>>,
) -> &'a Block<T> {
    let column = &column[range.clone()];
    match column.try_into() {
        Ok(block) => block,
        Err(_) => copy.insert(padded(column, column[0])),
    }
}

#[inline(always)]
fn whole_mut<'a, O>(column: &'a mut [O], instead: &'a mut Block<O>) -> &'a mut Block<O> {
    column.try_into().unwrap_or(instead)
}

/// Scores every pair of a block; true if one of them may be of the rare kinds that are counted.
///
/// Each column is a parameter of its own because the compiler emits wide code only if it knows that the columns do not
/// overlap, and it knows that of `&mut` parameters alone.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn block<T: Element, O: Narrow, I: Isa, F: Formula, const SCORES: bool>(
    a: &Block<T>,
    b: &Block<T>,
    c: &Block<T>,
    d: &Block<T>,
    e: &Block<T>,
    losses: &mut Block<O>,
    rewards_chosen: &mut Block<O>,
    rewards_rejected: &mut Block<O>,
    grad_chosen: &mut Block<O>,
    grad_rejected: &mut Block<O>,
    formula: F,
    constants: Constants,
) -> bool {
    let mut rare = false;
    for i in 0..BLOCK {
        let pair = Pair::new::<T, SCORES>(a[i], b[i], c[i], d[i], e[i], constants);
        let found = pair.found::<I, SCORES>(formula);
        losses[i] = O::from_f64(found.loss);
        rewards_chosen[i] = O::from_f64(found.reward_chosen);
        rewards_rejected[i] = O::from_f64(found.reward_rejected);
        grad_chosen[i] = O::from_f64(found.grad_chosen);
        // The same bits, without another conversion.
        let opposite = F::OPPOSITE && !SCORES;
        grad_rejected[i] = if opposite { -grad_chosen[i] } else { O::from_f64(found.grad_rejected) };
        let within = formula.extent(pair.x, pair.y, pair.constants) <= SATURATED;
        rare |= !within | (!F::OF_MARGIN & pair.constants.margin(pair.x, pair.y).is_nan());
        if SCORES {
            rare |= pair.far
                // The other reward may have overflowed although the margin is small.
                | (found.reward_chosen.abs() > O::LARGE)
                | (found.loss.abs() > O::LARGE)
                | (found.grad_chosen.abs() > O::LARGE)
                | (found.grad_rejected.abs() > O::LARGE);
        }
    }
    rare
}

/// Counts the rare pairs of a block one by one, in a second pass that ordinary data never need, and replaces what the
/// type of the results cannot hold by the largest number that it holds.
#[inline(never)]
fn count<T: Element, O: Narrow, const SCORES: bool>(
    columns: &Columns<'_, T>,
    range: Range<usize>,
    formula: impl Formula,
    constants: Constants,
    results: &mut [&mut [O]; 5],
) -> Counts {
    let mut counts = Counts::default();
    for (place, i) in range.enumerate() {
        let [a, b, c, d, e] = columns.map(|column| column[i]);
        let pair = Pair::new::<T, SCORES>(a, b, c, d, e, constants);
        let mut far = (formula.extent(pair.x, pair.y, pair.constants) > SATURATED) | pair.far;
        let mut finite = pair.constants.margin(pair.x, pair.y).is_finite();
        if results.iter().any(|column| column.get(place).is_some_and(|x| !x.to_f64().is_finite())) {
            let found = pair.found::<Soft, SCORES>(formula).all(); // the bits of every level
            for (column, &value) in results.iter_mut().zip(&found) {
                if let Some(result) = column.get_mut(place) {
                    *result = O::held(value);
                }
            }
            far |= found.iter().any(|x| x.abs() > O::LARGEST);
            finite &= found.iter().all(|x| x.is_finite());
        }
        counts.saturated += usize::from(far);
        counts.nonfinite += usize::from(!finite);
    }
    counts
}

/// What the losses and the counts need to know about a pair.
struct Pair {
    /// What the loss compares: the policy's log-probability of the chosen answer minus the reference's, or its score.
    x: f64,
    /// The same of the rejected answer.
    y: f64,
    /// The derivatives of `x` and `y`, times the weight of the pair.
    slopes: [f64; 2],
    /// The constants of the loss for this pair.
    constants: Constants,
    /// Whether a score has passed the end of its range.
    far: bool,
}

/// The results of a pair, in f64.
struct Found {
    loss: f64,
    reward_chosen: f64,
    reward_rejected: f64,
    grad_chosen: f64,
    grad_rejected: f64,
}

impl Found {
    /// In the order of [`Output::columns`].
    fn all(&self) -> [f64; 5] {
        [self.loss, self.reward_chosen, self.reward_rejected, self.grad_chosen, self.grad_rejected]
    }
}

impl Pair {
    #[inline(always)]
    fn new<T: Element, const SCORES: bool>(a: T, b: T, c: T, d: T, e: T, constants: Constants) -> Pair {
        let (a, b, c, d) = (a.to_f64(), b.to_f64(), c.to_f64(), d.to_f64());
        if SCORES {
            let far = (a.abs() > FAR) | (b.abs() > FAR);
            let constants = Constants { gamma: constants.gamma + e.to_f64(), ..constants };
            return Pair { x: a, y: b, slopes: [c, d], constants, far };
        }
        Pair { x: a - c, y: b - d, slopes: [1.0; 2], constants, far: false }
    }

    #[inline(always)]
    fn found<I: Isa, const SCORES: bool>(&self, formula: impl Formula) -> Found {
        let (loss, mut grad_chosen, mut grad_rejected) = formula.at::<I>(self.x, self.y, self.constants);
        if SCORES {
            grad_chosen *= self.slopes[0];
            grad_rejected *= self.slopes[1];
        }
        let beta = self.constants.beta;
        Found {
            loss,
            reward_chosen: beta * self.x,
            reward_rejected: beta * self.y,
            grad_chosen,
            grad_rejected,
        }
    }
}
