//! The kernel of preference losses: it scores a chunk of pairs block by block, reading each number once and writing
//! each result once.

use super::losses::{Constants, Formula};
use super::scores::FAR;
use super::{BOTH_POSITIVE, Counts, Loss, Output, Pairs, SATURATED, too_positive};
use crate::simd::{Element, Isa, Kernel, padded};

/// A pair is checked for overflow if its chosen reward exceeds this in magnitude: the other reward may have overflowed
/// although the margin is small.
const LARGE: f64 = 1e307;

/// The number of pairs that go through the formula together.
const BLOCK: usize = 128;
type Block<T> = [T; BLOCK];

/// The scoring of a chunk of pairs. With `SCORES`, the policy's columns are scores, which need not be log-probabilities,
/// and those of the reference are empty.
pub(super) struct Score<'a, T, const SCORES: bool> {
    pub(super) pairs: Pairs<'a, T>,
    pub(super) loss: Loss,
    pub(super) constants: Constants,
    pub(super) output: Output<'a>,
}

impl<T: Element, const SCORES: bool> Kernel for Score<'_, T, SCORES> {
    type Out = Counts;
    #[inline(always)]
    fn run<I: Isa>(self) -> Counts {
        self.loss.score::<T, I, SCORES>(self.pairs, self.output, self.constants)
    }
}

/// Scores every pair of a chunk with one formula.
#[inline(always)]
pub(super) fn blocks<T: Element, I: Isa, const SCORES: bool>(
    pairs: Pairs<'_, T>,
    mut output: Output<'_>,
    formula: impl Formula,
    constants: Constants,
) -> Counts {
    let n = pairs.policy_chosen.len();
    let extreme = constants.extreme();
    let mut counts = Counts::default();
    // Buffers for the partial last block, and for gradients that were not asked for.
    let (mut inputs, mut outputs) = ([None; 4], [[0.0; BLOCK]; 5]);
    for start in (0..n).step_by(BLOCK) {
        let range = start..n.min(start + BLOCK);
        let pairs = pairs.part(range.clone());
        let mut columns = output.columns(&range);
        let [losses, rewards_chosen, rewards_rejected, grad_chosen, grad_rejected] = columns.each_mut();
        let [pc, pr, rc, rr] = &mut inputs;
        let [l, wc, wr, gc, gr] = &mut outputs;
        let rare = block::<T, I, SCORES>(
            whole(pairs.policy_chosen, pc),
            whole(pairs.policy_rejected, pr),
            whole(pairs.reference_chosen, rc),
            whole(pairs.reference_rejected, rr),
            whole_mut(losses, l),
            whole_mut(rewards_chosen, wc),
            whole_mut(rewards_rejected, wr),
            whole_mut(grad_chosen, gc),
            whole_mut(grad_rejected, gr),
            formula,
            constants,
        );
        if range.len() < BLOCK {
            for (column, output) in columns.iter_mut().zip(&outputs) {
                column.copy_from_slice(&output[..column.len()]);
            }
        }
        if rare | extreme {
            counts = counts.plus(count::<T, SCORES>(&pairs, formula, constants, &columns));
        }
    }
    counts
}

/// The block itself, or for a partial one a copy that is filled up with its first element; zeros for an empty column.
#[inline(always)]
fn whole<'a, T: Element>(column: &'a [T], copy: &'a mut Option<Block<T>>) -> &'a Block<T> {
    match column.try_into() {
        Ok(block) => block,
        Err(_) => copy.insert(padded(column, column.first().copied().unwrap_or(T::from_f64(0.0)))),
    }
}

#[inline(always)]
fn whole_mut<'a>(column: &'a mut [f64], instead: &'a mut Block<f64>) -> &'a mut Block<f64> {
    column.try_into().unwrap_or(instead)
}

/// Scores every pair of a block; true if one of them may be of the rare kinds that are counted.
///
/// Each column is a parameter of its own because the compiler emits wide code only if it knows that the columns do not
/// overlap, and it knows that of `&mut` parameters alone.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn block<T: Element, I: Isa, const SCORES: bool>(
    policy_chosen: &Block<T>,
    policy_rejected: &Block<T>,
    reference_chosen: &Block<T>,
    reference_rejected: &Block<T>,
    losses: &mut Block<f64>,
    rewards_chosen: &mut Block<f64>,
    rewards_rejected: &mut Block<f64>,
    grad_chosen: &mut Block<f64>,
    grad_rejected: &mut Block<f64>,
    formula: impl Formula,
    constants: Constants,
) -> bool {
    let mut rare = false;
    for i in 0..BLOCK {
        let pair = Pair::new::<T, SCORES>(
            policy_chosen[i],
            policy_rejected[i],
            reference_chosen[i],
            reference_rejected[i],
        );
        let (loss, by_chosen, by_rejected) = formula.at::<I>(pair.x, pair.y, constants);
        losses[i] = loss;
        rewards_chosen[i] = constants.beta * pair.x;
        rewards_rejected[i] = constants.beta * pair.y;
        grad_chosen[i] = by_chosen;
        grad_rejected[i] = by_rejected;
        rare |= pair.empty
            | pair.far
            | (formula.extent(pair.x, pair.y, constants) > SATURATED)
            | constants.margin(pair.x, pair.y).is_nan()
            | (pair.highest > BOTH_POSITIVE)
            | (rewards_chosen[i].abs() > LARGE);
    }
    rare
}

/// Counts the rare pairs of a block one by one, in a second pass that ordinary data never need. `columns` holds the
/// results of the block.
#[inline(never)]
fn count<T: Element, const SCORES: bool>(
    pairs: &Pairs<'_, T>,
    formula: impl Formula,
    constants: Constants,
    columns: &[&mut [f64]; 5],
) -> Counts {
    let overflows = |i: usize| columns.iter().any(|column| column.get(i).is_some_and(|x| !x.is_finite()));
    let at = |column: &[T], i: usize| column.get(i).copied().unwrap_or(T::from_f64(0.0));
    let counted = (0..pairs.policy_chosen.len()).map(|i| {
        let (pc, pr) = (at(pairs.policy_chosen, i), at(pairs.policy_rejected, i));
        let (rc, rr) = (at(pairs.reference_chosen, i), at(pairs.reference_rejected, i));
        let Pair { x, y, empty, far, .. } = Pair::new::<T, SCORES>(pc, pr, rc, rr);
        let positive = too_positive(pc.to_f64(), pr.to_f64()) | too_positive(rc.to_f64(), rr.to_f64());
        Counts {
            saturated: usize::from((formula.extent(x, y, constants) > SATURATED) | far),
            empty: usize::from(empty),
            nonfinite: usize::from(!constants.margin(x, y).is_finite() || overflows(i)),
            positive: usize::from(positive & !SCORES),
            stretch: 0.0,
        }
    });
    counted.fold(Counts::default(), Counts::plus)
}

/// What the losses and the counts need to know about a pair.
struct Pair {
    /// The policy's log-probability of the chosen answer minus the reference's.
    x: f64,
    /// The policy's log-probability of the rejected answer minus the reference's.
    y: f64,
    /// Whether one of the answers has a log-probability of exactly 0 in policy and reference.
    empty: bool,
    /// Whether a score has passed the end of its range.
    far: bool,
    /// The highest of the four log-probabilities.
    highest: f64,
}

impl Pair {
    #[inline(always)]
    fn new<T: Element, const SCORES: bool>(pc: T, pr: T, rc: T, rr: T) -> Pair {
        let (pc, pr, rc, rr) = (pc.to_f64(), pr.to_f64(), rc.to_f64(), rr.to_f64());
        if SCORES {
            let far = (pc.abs() > FAR) | (pr.abs() > FAR);
            return Pair { x: pc, y: pr, empty: false, far, highest: 0.0 };
        }
        let empty = (pc == 0.0) & (rc == 0.0) | (pr == 0.0) & (rr == 0.0);
        let larger = |a: f64, b: f64| if a > b { a } else { b };
        let highest = larger(larger(pc, pr), larger(rc, rr));
        Pair { x: pc - rc, y: pr - rr, empty, far: false, highest }
    }
}
