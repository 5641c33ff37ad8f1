//! The kernel of preference losses: it scores a chunk of pairs block by block, reading each number once and writing
//! each result once.

use super::losses::{Constants, Formula};
use super::{BOTH_POSITIVE, Counts, Loss, Output, Pairs, SATURATED, too_positive};
use crate::simd::{Element, Isa, Kernel, padded};

/// A pair is checked for overflow if its chosen reward exceeds this in magnitude: the other reward may have overflowed
/// although the margin is small.
const LARGE: f64 = 1e307;

/// The number of pairs that go through the formula together.
const BLOCK: usize = 128;
type Block<T> = [T; BLOCK];

/// The scoring of a chunk of pairs.
pub(super) struct Score<'a, T> {
    pub(super) pairs: Pairs<'a, T>,
    pub(super) loss: Loss,
    pub(super) constants: Constants,
    pub(super) output: Output<'a>,
}

impl<T: Element> Kernel for Score<'_, T> {
    type Out = Counts;
    #[inline(always)]
    fn run<I: Isa>(self) -> Counts {
        self.loss.score::<T, I>(self.pairs, self.output, self.constants)
    }
}

/// Scores every pair of a chunk with one formula.
#[inline(always)]
pub(super) fn blocks<T: Element, I: Isa>(
    pairs: Pairs<'_, T>,
    mut output: Output<'_>,
    formula: impl Formula,
    constants: Constants,
) -> Counts {
    let n = pairs.policy_chosen.len();
    // With beta inside this range, no loss or gradient of a pair that is not rare overflows: see `Formula`.
    let extreme = !(1e-150..=1e290).contains(&constants.beta);
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
        let rare = block::<T, I>(
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
            counts = counts.plus(count(&pairs, formula, constants, &columns));
        }
    }
    counts
}

/// The block itself, or for a partial one a copy that is filled up with its first element.
#[inline(always)]
fn whole<'a, T: Element>(column: &'a [T], copy: &'a mut Option<Block<T>>) -> &'a Block<T> {
    match column.try_into() {
        Ok(block) => block,
        Err(_) => copy.insert(padded(column, column[0])),
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
fn block<T: Element, I: Isa>(
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
        let pair =
            Pair::new(policy_chosen[i], policy_rejected[i], reference_chosen[i], reference_rejected[i]);
        let (loss, by_chosen, by_rejected) = formula.at::<I>(pair.x, pair.y, constants);
        losses[i] = loss;
        rewards_chosen[i] = constants.beta * pair.x;
        rewards_rejected[i] = constants.beta * pair.y;
        grad_chosen[i] = by_chosen;
        grad_rejected[i] = by_rejected;
        rare |= pair.empty
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
fn count<T: Element>(
    pairs: &Pairs<'_, T>,
    formula: impl Formula,
    constants: Constants,
    columns: &[&mut [f64]; 5],
) -> Counts {
    let overflows = |i: usize| columns.iter().any(|column| column.get(i).is_some_and(|x| !x.is_finite()));
    let policy = pairs.policy_chosen.iter().zip(pairs.policy_rejected);
    let reference = pairs.reference_chosen.iter().zip(pairs.reference_rejected);
    let counted = policy.zip(reference).enumerate().map(|(i, ((&pc, &pr), (&rc, &rr)))| {
        let Pair { x, y, empty, .. } = Pair::new(pc, pr, rc, rr);
        Counts {
            saturated: usize::from(formula.extent(x, y, constants) > SATURATED),
            empty: usize::from(empty),
            nonfinite: usize::from(!constants.margin(x, y).is_finite() || overflows(i)),
            positive: usize::from(
                too_positive(pc.to_f64(), pr.to_f64()) | too_positive(rc.to_f64(), rr.to_f64()),
            ),
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
    /// The highest of the four log-probabilities.
    highest: f64,
}

impl Pair {
    #[inline(always)]
    fn new<T: Element>(pc: T, pr: T, rc: T, rr: T) -> Pair {
        let (pc, pr, rc, rr) = (pc.to_f64(), pr.to_f64(), rc.to_f64(), rr.to_f64());
        let empty = (pc == 0.0) & (rc == 0.0) | (pr == 0.0) & (rr == 0.0);
        let larger = |a: f64, b: f64| if a > b { a } else { b };
        Pair { x: pc - rc, y: pr - rr, empty, highest: larger(larger(pc, pr), larger(rc, rr)) }
    }
}
