//! Preference losses: the value of each pair's loss, and its gradient.
//!
//! Each loss, with its formula and source, has a file in `losses`. Gradients are with respect to the policy's
//! log-probabilities; those of the reference are constants.
//!
//! For a margin `z` up to [`SATURATED`] in magnitude, the gradient is within 4 ulp of the exact function of `z`, or of
//! `beta x` and `beta y`, as f64 arithmetic computes these from the log-probabilities. Beyond, it is finite and
//! monotone, and the pair is counted as saturated.

mod losses;
mod score;
mod scores;

use crate::grid::{CHUNK, Progress, Stopped, chunk, fill_chunks};
use crate::memory::{self, NoMemory};
use crate::simd::{Element, dispatch};
use score::Score;
use scores::{Chained, PIECE, Scale, Scores, Scoring};
use std::ops::Range;

pub use losses::{Constants, Loss, Smoothing};
pub use scores::Divergence;

/// A pair is saturated where |z| (or for losses of other arguments, the largest of them) exceeds this: a logistic loss
/// is constant or linear there.
pub const SATURATED: f64 = 700.0;

/// The log-probabilities of pairs of answers: four columns of the same length.
#[derive(Clone, Copy)]
pub struct Pairs<'a, T> {
    /// The policy's log-probabilities of the chosen answers.
    pub policy_chosen: &'a [T],
    /// The policy's log-probabilities of the rejected answers.
    pub policy_rejected: &'a [T],
    /// The reference's log-probabilities of the chosen answers; empty for a loss without a reference.
    pub reference_chosen: &'a [T],
    /// The reference's log-probabilities of the rejected answers; empty for a loss without a reference.
    pub reference_rejected: &'a [T],
    /// The numbers of tokens of the chosen and of the rejected answers, for losses of means over tokens.
    pub lengths: Option<[&'a [f64]; 2]>,
}

/// The results, one column per quantity with one entry per pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// The losses.
    pub losses: Vec<f64>,
    /// The gradients with respect to the policy's log-probability of the chosen answer; empty if not asked for.
    pub grad_chosen: Vec<f64>,
    /// The gradients with respect to the policy's log-probability of the rejected answer; empty if not asked for.
    pub grad_rejected: Vec<f64>,
    /// The implicit rewards `beta x` of the chosen answers.
    pub rewards_chosen: Vec<f64>,
    /// The implicit rewards `beta y` of the rejected answers.
    pub rewards_rejected: Vec<f64>,
    /// How many pairs are unusual.
    pub counts: Counts,
}

/// The numbers of pairs of the kinds that callers are told about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// The margin exceeds [`SATURATED`] in magnitude, or a score has passed the end of its range.
    pub saturated: usize,
    /// One answer has a log-probability of exactly 0 in policy and reference, as an empty answer has.
    pub empty: usize,
    /// The margin or a result is not finite: one of the four log-probabilities is not, or an intermediate result
    /// overflowed.
    pub nonfinite: usize,
    /// A log-probability is higher than rounding can explain: see [`first_positive`].
    pub positive: usize,
    /// The largest derivative of a score by a log-ratio; 0 where scores are log-ratios or their means.
    pub stretch: f64,
}

/// Scores every pair into newly allocated columns.
pub fn preference_loss<T: Element>(
    pairs: Pairs<'_, T>,
    loss: Loss,
    constants: Constants,
    gradients: bool,
    progress: Progress<'_>,
) -> Result<Scored, Stopped> {
    let n = pairs.policy_chosen.len();
    let column = |wanted: bool| memory::filled(if wanted { n } else { 0 }, 0.0);
    let mut scored = Scored {
        losses: column(true)?,
        grad_chosen: column(gradients)?,
        grad_rejected: column(gradients)?,
        rewards_chosen: column(true)?,
        rewards_rejected: column(true)?,
        counts: Counts::default(),
    };
    let output = Output {
        losses: &mut scored.losses,
        rewards_chosen: &mut scored.rewards_chosen,
        rewards_rejected: &mut scored.rewards_rejected,
        gradients: gradients.then_some((&mut scored.grad_chosen[..], &mut scored.grad_rejected[..])),
    };
    scored.counts = preference_loss_into(pairs, loss, constants, output, progress)?;
    Ok(scored)
}

/// Scores every pair into the given columns, each of which has one entry per pair.
pub fn preference_loss_into<T: Element>(
    pairs: Pairs<'_, T>,
    loss: Loss,
    constants: Constants,
    output: Output<'_>,
    progress: Progress<'_>,
) -> Result<Counts, Stopped> {
    let n = pairs.policy_chosen.len();
    let bytes = n * (size_of::<T>() * 4 + 40);
    let scale = Scale::of(loss, constants.divergence, constants.alpha);
    let plain = scale == Scale::Ratio && pairs.lengths.is_none() && !pairs.reference_chosen.is_empty();
    let counts = fill_chunks(output.chunks()?, bytes, progress, |index, output| {
        let pairs = pairs.part(chunk(index, n, CHUNK));
        if plain {
            dispatch(Score::<T, false> { pairs, loss, constants, output })
        } else {
            scored_by_pieces(pairs, scale, loss, constants, output)
        }
    })?;
    Ok(counts.into_iter().fold(Counts::default(), Counts::plus))
}

/// Scores a chunk of pairs whose loss is one of scores, piece by piece: the scores, their loss, the chain rule.
fn scored_by_pieces<T: Element>(
    pairs: Pairs<'_, T>,
    scale: Scale,
    loss: Loss,
    constants: Constants,
    mut output: Output<'_>,
) -> Counts {
    let n = pairs.policy_chosen.len();
    let mut counts = Counts::default();
    let mut scores = Scores::NONE;
    for start in (0..n).step_by(PIECE) {
        let range = start..n.min(start + PIECE);
        let len = range.len();
        let seen = dispatch(Scoring { pairs: pairs.part(range.clone()), scale, scores: &mut scores });
        let made = Pairs {
            policy_chosen: &scores.chosen[..len],
            policy_rejected: &scores.rejected[..len],
            reference_chosen: &[],
            reference_rejected: &[],
            lengths: None,
        };
        let mut output = output.part(range);
        let scored =
            dispatch(Score::<f64, true> { pairs: made, loss, constants, output: output.part(0..len) });
        if let Some((chosen, rejected)) = output.gradients {
            dispatch(Chained { gradients: chosen, slopes: &scores.by_chosen[..len] });
            dispatch(Chained { gradients: rejected, slopes: &scores.by_rejected[..len] });
        }
        counts = counts.plus(seen).plus(scored);
    }
    counts
}

impl Counts {
    fn plus(self, other: Counts) -> Counts {
        Counts {
            saturated: self.saturated + other.saturated,
            empty: self.empty + other.empty,
            nonfinite: self.nonfinite + other.nonfinite,
            positive: self.positive + other.positive,
            stretch: if other.stretch > self.stretch { other.stretch } else { self.stretch },
        }
    }
}

impl<'a, T> Pairs<'a, T> {
    fn part(&self, range: Range<usize>) -> Pairs<'a, T> {
        let cut = |column: &'a [T]| if column.is_empty() { column } else { &column[range.clone()] };
        Pairs {
            policy_chosen: &self.policy_chosen[range.clone()],
            policy_rejected: &self.policy_rejected[range.clone()],
            reference_chosen: cut(self.reference_chosen),
            reference_rejected: cut(self.reference_rejected),
            lengths: self
                .lengths
                .map(|[chosen, rejected]| [&chosen[range.clone()], &rejected[range.clone()]]),
        }
    }
}

/// The columns to which results are written.
pub struct Output<'a> {
    /// See [`Scored`].
    pub losses: &'a mut [f64],
    /// See [`Scored`].
    pub rewards_chosen: &'a mut [f64],
    /// See [`Scored`].
    pub rewards_rejected: &'a mut [f64],
    /// The gradients with respect to the chosen and to the rejected answer; `None` where they are not wanted.
    pub gradients: Option<(&'a mut [f64], &'a mut [f64])>,
}

impl Output<'_> {
    /// The pairs in `range` alone.
    fn part(&mut self, range: Range<usize>) -> Output<'_> {
        Output {
            losses: &mut self.losses[range.clone()],
            rewards_chosen: &mut self.rewards_chosen[range.clone()],
            rewards_rejected: &mut self.rewards_rejected[range.clone()],
            gradients: match &mut self.gradients {
                Some((chosen, rejected)) => Some((&mut chosen[range.clone()], &mut rejected[range])),
                None => None,
            },
        }
    }

    /// The part of each column in `range`: losses, both rewards, both gradients; gradients are empty if not wanted.
    #[inline(always)]
    fn columns(&mut self, range: &Range<usize>) -> [&mut [f64]; 5] {
        let (chosen, rejected) = match &mut self.gradients {
            Some((chosen, rejected)) => (&mut chosen[range.clone()], &mut rejected[range.clone()]),
            None => (&mut [][..], &mut [][..]),
        };
        let (rewards_chosen, rewards_rejected) = (&mut self.rewards_chosen, &mut self.rewards_rejected);
        [
            &mut self.losses[range.clone()],
            &mut rewards_chosen[range.clone()],
            &mut rewards_rejected[range.clone()],
            chosen,
            rejected,
        ]
    }
}

impl<'a> Output<'a> {
    fn chunks(self) -> Result<Vec<Output<'a>>, NoMemory> {
        let (chosen, rejected) = self.gradients.unzip();
        let mut chosen = chosen.map(|column| column.chunks_mut(CHUNK));
        let mut rejected = rejected.map(|column| column.chunks_mut(CHUNK));
        let rewards = self.rewards_chosen.chunks_mut(CHUNK).zip(self.rewards_rejected.chunks_mut(CHUNK));
        let columns = self.losses.chunks_mut(CHUNK).zip(rewards);
        memory::collected(columns.map(|(losses, (rewards_chosen, rewards_rejected))| {
            let gradients =
                chosen.as_mut().and_then(Iterator::next).zip(rejected.as_mut().and_then(Iterator::next));
            Output { losses, rewards_chosen, rewards_rejected, gradients }
        }))
    }
}

/// The first pair with a log-probability that is not finite: the index of the pair, and which of the four columns.
pub fn first_nonfinite<T: Element>(pairs: Pairs<'_, T>) -> Option<(usize, usize)> {
    let columns =
        [pairs.policy_chosen, pairs.policy_rejected, pairs.reference_chosen, pairs.reference_rejected];
    let first = |(which, column): (usize, &[T])| {
        column.iter().position(|v| !v.to_f64().is_finite()).map(|index| (index, which))
    };
    columns.into_iter().enumerate().filter_map(first).min()
}

/// A log-probability above this cannot be a rounded 0.
pub const POSITIVE: f64 = 1.0;
/// Log-probabilities of both answers above this cannot be rounded ones either. The rounding error in a sum of 10,000
/// float32 log-probabilities of tokens, each computed from logits of at most 32, is smaller.
pub const BOTH_POSITIVE: f64 = 0.05;

/// Whether the numbers that one model gives to the two answers of a pair are too high for log-probabilities. They may
/// be negative log-likelihoods by mistake.
#[inline(always)]
fn too_positive(chosen: f64, rejected: f64) -> bool {
    (chosen > POSITIVE) | (rejected > POSITIVE) | ((chosen > BOTH_POSITIVE) & (rejected > BOTH_POSITIVE))
}

/// The first pair whose log-probabilities under one model are too high (one above [`POSITIVE`], or both above
/// [`BOTH_POSITIVE`]): the index of the pair, which of the four columns has the higher one, and its value.
pub fn first_positive<T: Element>(pairs: Pairs<'_, T>) -> Option<(usize, usize, f64)> {
    let models =
        [(pairs.policy_chosen, pairs.policy_rejected), (pairs.reference_chosen, pairs.reference_rejected)];
    let first = |(model, (chosen, rejected)): (usize, (&[T], &[T]))| {
        let both = chosen.iter().zip(rejected).map(|(c, r)| (c.to_f64(), r.to_f64()));
        both.enumerate().find(|&(_, (c, r))| too_positive(c, r)).map(|(index, (c, r))| {
            let which = usize::from(r > c);
            (index, 2 * model + which, if which == 0 { c } else { r })
        })
    };
    models.into_iter().enumerate().filter_map(first).min_by_key(|&(index, which, _)| (index, which))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn numbers_that_cannot_be_log_probabilities_are_counted_and_found() {
        let pairs: [&[f64]; 4] = [
            &[-1.0, 0.0, 1.0, 0.06, -3.0],
            &[-2.0, 1e-6, 0.0, 0.07, -1.0],
            &[-1.0, 0.04, -1.0, -1.0, -1.0],
            &[-2.0, 0.04, -1.0, -1.0, 1.5],
        ];
        assert_eq!(score(Loss::Hinge, 0.1, pairs).counts.positive, 2);
        let all = of(pairs);
        assert_eq!(first_positive(all), Some((3, 1, 0.07)));
        assert_eq!(first_positive(all.part(4..5)), Some((0, 3, 1.5)));
        assert_eq!(first_positive(all.part(0..3)), None);
    }

    fn of(columns: [&[f64]; 4]) -> Pairs<'_, f64> {
        let [policy_chosen, policy_rejected, reference_chosen, reference_rejected] = columns;
        Pairs { policy_chosen, policy_rejected, reference_chosen, reference_rejected, lengths: None }
    }

    fn score(loss: Loss, beta: f64, pairs: [&[f64]; 4]) -> Scored {
        smoothed(loss, beta, Smoothing::NONE, pairs)
    }

    fn smoothed(loss: Loss, beta: f64, smoothing: Smoothing, pairs: [&[f64]; 4]) -> Scored {
        let pairs = of(pairs);
        let constants = Constants { beta, smoothing, ..Constants::DEFAULT };
        preference_loss(pairs, loss, constants, true, &mut |_| true).unwrap()
    }

    const TENTH: Smoothing = Smoothing { rate: 0.1, crossing: 2.197_224_577_336_219_6, crossing_rest: 0.0 };

    /// The constants of torchtune's tests of its DPO loss.
    const PAIRS: [&[f64]; 4] =
        [&[-0.5, -10.0, -1.0], &[-0.1, -30.0, -21.0], &[-0.5, -10.1, -0.1], &[-0.1, -20.1, -0.1]];

    #[test]
    fn the_published_constants() {
        let dpo = score(Loss::Dpo, 0.1, PAIRS);
        for (got, want) in dpo.losses.iter().zip([std::f64::consts::LN_2, 0.3132616875, 0.1269280110]) {
            assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
        assert_eq!(score(Loss::Hinge, 0.1, PAIRS).losses[0], 1.0);
        for (got, want) in score(Loss::Ipo, 0.1, PAIRS).losses.iter().zip([25.0, 25.0, 225.0]) {
            assert!((got - want).abs() < 1e-11, "{got} {want}");
        }
    }

    #[test]
    fn at_the_reference_every_logistic_loss_is_ln_2() {
        let same: [&[f64]; 4] = [&[-3.0], &[-5.0], &[-3.0], &[-5.0]];
        for (loss, smoothing) in [(Loss::Dpo, Smoothing::NONE), (Loss::Dpo, TENTH), (Loss::Robust, TENTH)] {
            let got = smoothed(loss, 0.1, smoothing, same).losses[0];
            assert!((got - std::f64::consts::LN_2).abs() < 2e-16, "{loss:?} {got}");
        }
    }

    #[test]
    fn results_are_finite_for_margins_up_to_ten_thousand() {
        for z in [-1e4, -800.0, 800.0, 1e4] {
            let pairs: [&[f64]; 4] = [&[z], &[0.0], &[0.0], &[0.0]];
            for &loss in Loss::ALL {
                let got = smoothed(loss, 1.0, TENTH, pairs);
                let values = [got.losses[0], got.grad_chosen[0], got.grad_rejected[0]];
                assert!(values.iter().all(|value| value.is_finite()), "{loss:?} {z}");
                // A score that levels off, such as the log-odds of a certain answer, lies closer.
                let of_ratios = loss.about().columns.contains(&"reference");
                assert!(got.counts.saturated == 1 || !of_ratios, "{loss:?} {z}");
            }
        }
    }

    #[test]
    fn the_first_log_probability_that_is_not_finite_is_found() {
        let nan = [0.0, f64::NAN];
        let pairs = of([&nan, &[0.0, 0.0], &[0.0, 0.0], &[f64::INFINITY, 0.0]]);
        assert_eq!(first_nonfinite(pairs), Some((0, 3)));
    }
}
