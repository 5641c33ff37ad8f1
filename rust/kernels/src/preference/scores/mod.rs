//! The scores that losses compare: the log-ratio of an answer, or a function of it.
//!
//! A score is computed with its derivative, by which the gradient of the loss is multiplied. Losses of log-ratios
//! themselves do without this pass.

mod odds;
mod power;
mod sigmoid;

use super::score::Columns;
use super::{Loss, Pairs};
use crate::named;
use crate::named::{Bound, Parameter};
use crate::simd::{Element, Isa, Kernel};

const ALPHA: Parameter =
    Parameter { name: "alpha", low: Bound::Closed(0.0), high: Bound::Open(1.0), default: Some(0.5) };

named! {
    /// The divergence from the reference that a policy is charged for, which is what makes a score of a log-ratio r: the
    /// derivative of the divergence's generator at `exp(r)`, which is 0 at policy = reference.
    pub enum Divergence: "preference.divergence" {
        /// The Kullback-Leibler divergence of DPO: the log-ratio itself.
        ReverseKl = "reverse-kl" { source: "Rafailov et al. 2023" },
        /// The Kullback-Leibler divergence with policy and reference exchanged.
        ForwardKl = "forward-kl" { source: "Wang et al. 2023" },
        /// The Jensen-Shannon divergence.
        Js = "js" { source: "Wang et al. 2023" },
        /// Between the forward divergence (0) and the reverse one (1).
        Alpha = "alpha" { source: "Wang et al. 2023", parameters: &[ALPHA] },
    }
}

/// How the log-ratio of an answer, or its mean over the tokens, becomes a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Unchanged.
    Ratio,
    /// `(exp(k r) - 1) / k`
    Power(f64),
    /// `log(2 s(r))`
    Sigmoid,
    /// The log-odds of the probability `exp(r)`.
    Odds,
}

impl Scale {
    pub(super) fn of(loss: Loss, divergence: Divergence, alpha: f64) -> Scale {
        let power = |k: f64| if k == 0.0 { Scale::Ratio } else { Scale::Power(k) };
        match (loss, divergence) {
            (Loss::Alphapo, _) => power(-alpha),
            (Loss::Orpo, _) => Scale::Odds,
            (_, Divergence::ReverseKl) => Scale::Ratio,
            (_, Divergence::ForwardKl) => power(-1.0),
            (_, Divergence::Js) => Scale::Sigmoid,
            (_, Divergence::Alpha) => power(alpha - 1.0),
        }
    }
}

/// A score beyond this has passed the end of its range, from where it grows in a straight line.
pub(super) const FAR: f64 = 1e147;

/// The number of pairs whose scores are computed together: what is known of them fits in half of a first-level cache.
pub(super) const PIECE: usize = 512;

/// What the loss reads of a piece of pairs.
pub(super) struct Scores {
    chosen: [f64; PIECE],
    rejected: [f64; PIECE],
    /// The derivative of the chosen answer's score by the policy's log-probability, times the weight of the pair.
    by_chosen: [f64; PIECE],
    by_rejected: [f64; PIECE],
    /// What is subtracted from the margin.
    margins: [f64; PIECE],
}

impl Scores {
    pub(super) const NONE: Scores = Scores {
        chosen: [0.0; PIECE],
        rejected: [0.0; PIECE],
        by_chosen: [0.0; PIECE],
        by_rejected: [0.0; PIECE],
        margins: [0.0; PIECE],
    };

    /// The columns of the first `n` pairs, as [`Score`](super::score::Score) reads them.
    pub(super) fn columns(&self, n: usize) -> Columns<'_, f64> {
        let Scores { chosen, rejected, by_chosen, by_rejected, margins } = self;
        [&chosen[..n], &rejected[..n], &by_chosen[..n], &by_rejected[..n], &margins[..n]]
    }
}

/// The computation of the scores of at most [`PIECE`] pairs; its result is the largest derivative of a score, or 0 where
/// scores are log-ratios or their means.
pub(super) struct Scoring<'a, T> {
    pub(super) pairs: Pairs<'a, T>,
    pub(super) scale: Scale,
    pub(super) scores: &'a mut Scores,
}

impl<T: Element> Kernel for Scoring<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let Scoring { pairs, scale, scores } = self;
        let n = pairs.policy_chosen.len();
        let lengths = pairs.lengths.unwrap_or([&[]; 2]);
        let Scores { chosen, rejected, by_chosen, by_rejected, margins } = scores;
        if let Some(given) = pairs.margins {
            for (margin, &given) in margins.iter_mut().zip(given) {
                *margin = given;
            }
        }
        let sides = [
            (pairs.policy_chosen, pairs.reference_chosen, lengths[0], chosen, by_chosen),
            (pairs.policy_rejected, pairs.reference_rejected, lengths[1], rejected, by_rejected),
        ];
        let mut stretch = 0.0;
        for (policy, reference, lengths, scores, slopes) in sides {
            let (scores, slopes) = (&mut scores[..n], &mut slopes[..n]);
            ratios(policy, reference, lengths, scores, slopes);
            match scale {
                Scale::Ratio => {}
                Scale::Power(k) => power::scores::<I>(k, scores, slopes),
                Scale::Sigmoid => sigmoid::scores::<I>(scores, slopes),
                Scale::Odds => odds::scores::<I>(scores, slopes),
            }
            if scale != Scale::Ratio {
                let steepest = largest(slopes);
                stretch = if steepest > stretch { steepest } else { stretch };
            }
            if let Some(weights) = pairs.weights {
                for (slope, &weight) in slopes.iter_mut().zip(weights) {
                    *slope *= weight;
                }
            }
        }
        stretch
    }
}

/// The log-ratios, or where lengths are given their means over the tokens, which are 0 for an empty answer; and their
/// derivatives.
#[inline(always)]
fn ratios<T: Element>(
    policy: &[T],
    reference: &[T],
    lengths: &[f64],
    scores: &mut [f64],
    slopes: &mut [f64],
) {
    if reference.is_empty() {
        for (score, &policy) in scores.iter_mut().zip(policy) {
            *score = policy.to_f64();
        }
    } else {
        for ((score, &policy), &reference) in scores.iter_mut().zip(policy).zip(reference) {
            *score = policy.to_f64() - reference.to_f64();
        }
    }
    slopes.fill(1.0);
    for ((score, slope), &length) in scores.iter_mut().zip(slopes.iter_mut()).zip(lengths) {
        let empty = length == 0.0;
        let divisor = if empty { 1.0 } else { length };
        *score /= divisor;
        *slope = if empty { 0.0 } else { 1.0 / divisor };
    }
}

/// The largest of numbers above 0, found side by side in several lanes.
#[inline(always)]
fn largest(numbers: &[f64]) -> f64 {
    let mut lanes = [0.0; 16];
    for chunk in numbers.chunks(lanes.len()) {
        for (lane, &number) in lanes.iter_mut().zip(chunk) {
            *lane = if number > *lane { number } else { *lane };
        }
    }
    let mut found = 0.0;
    for lane in lanes {
        found = if lane > found { lane } else { found };
    }
    found
}
