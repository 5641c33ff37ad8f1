//! The losses of a policy: the name, the clip and the divisor of each, and the formula of a token.
//!
//! `r` is the ratio of the probabilities that the policy and the old policy give to a token, or to a whole answer, and
//! `A` its advantage.

use crate::named;
use crate::named::{Bound, Named, Parameter};

/// How far below and above 1 the ratio is clipped. A distance of 1 below clips nothing.
const CLIP: [Parameter; 2] = [
    Parameter { name: "clip_low", low: Bound::Closed(0.0), high: Bound::Closed(1.0), default: Some(0.2) },
    Parameter {
        name: "clip_high",
        low: Bound::Closed(0.0),
        high: Bound::Open(f64::INFINITY),
        default: Some(0.2),
    },
];
const HIGHER: [Parameter; 2] = [CLIP[0], Parameter { default: Some(0.28), ..CLIP[1] }];
const SEQUENCE: [Parameter; 2] =
    [Parameter { default: Some(3e-4), ..CLIP[0] }, Parameter { default: Some(4e-4), ..CLIP[1] }];
const WEIGHT: [Parameter; 2] =
    [Parameter { default: Some(1.0), ..CLIP[0] }, Parameter { default: Some(4.0), ..CLIP[1] }];

named! {
    /// The loss of a policy on its answers.
    pub enum Loss: "preference.policy.loss" {
        /// The clipped ratio times the advantage, averaged over the tokens of the batch.
        Ppo = "ppo" { source: "Schulman et al. 2017", parameters: &CLIP },
        /// The same, averaged over the tokens of each answer and then over answers.
        Grpo = "grpo" { source: "Shao et al. 2024", parameters: &CLIP },
        /// The same, summed and divided by a number of tokens that does not depend on the answers.
        DrGrpo = "dr_grpo" { source: "Liu et al. 2025", parameters: &CLIP },
        /// The same, averaged over the tokens of the batch.
        Bnpo = "bnpo" { source: "TRL", parameters: &CLIP },
        /// The same, averaged over the tokens of the batch, with a higher upper clip.
        Dapo = "dapo" { source: "Yu et al. 2025", parameters: &HIGHER },
        /// The log-probability, weighted by the clipped ratio as a constant, averaged over the tokens of the batch.
        Cispo = "cispo" { source: "MiniMax 2025; Khatri et al. 2025 (clip)", parameters: &WEIGHT },
        /// The clipped ratio of whole answers, the geometric mean of their tokens' ratios, averaged over answers.
        Gspo = "gspo" { source: "Zheng et al. 2025", parameters: &SEQUENCE },
    }
}

named! {
    /// The estimator of the divergence of the policy from a reference.
    pub enum Estimator: "preference.policy.kl_estimator" {
        /// The difference of log-probabilities.
        K1 = "k1",
        /// Half its square.
        K2 = "k2",
        /// The exponential of the difference, less its tangent.
        K3 = "k3",
    }
}

/// What the sum of a loss over tokens is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// The number of tokens of the batch.
    Tokens,
    /// The number of tokens of the answer, and then the number of answers.
    Answers,
    /// The number of tokens that the answers could have had.
    Room,
}

impl Loss {
    /// See [`Divisor`].
    pub fn divisor(self) -> Divisor {
        match self {
            Loss::Ppo | Loss::Bnpo | Loss::Dapo | Loss::Cispo => Divisor::Tokens,
            Loss::Grpo | Loss::Gspo => Divisor::Answers,
            Loss::DrGrpo => Divisor::Room,
        }
    }

    /// Whether the ratio is one of whole answers.
    pub fn of_answers(self) -> bool {
        self == Loss::Gspo
    }

    /// The default clip, below and above.
    pub fn clip(self) -> [f64; 2] {
        let of = |which: usize| self.about().parameters.get(which).and_then(|p| p.default);
        [of(0).unwrap_or(1.0), of(1).unwrap_or(f64::MAX)]
    }
}

/// The loss of a token, its derivative by the log-probability, and whether its ratio was clipped.
pub(super) struct Term {
    pub(super) value: f64,
    pub(super) slope: f64,
    pub(super) low: bool,
    pub(super) high: bool,
}

/// A ratio with what the formulas need beside it.
pub(super) struct Token {
    pub(super) ratio: f64,
    /// The derivative of the ratio by the log-probability.
    pub(super) slope: f64,
    pub(super) advantage: f64,
    pub(super) logprob: f64,
}

/// The formula of a token.
pub(super) trait Formula: Copy {
    /// The term of a token for a ratio clipped to `[low, high]`.
    fn at(self, token: Token, low: f64, high: f64) -> Term;
}

/// `-min(r A, clip(r) A)`. The ratio is clipped where that lowers the objective, above for `A > 0` and below for `A < 0`,
/// and the gradient is 0 there. At a limit itself the ratio is not clipped.
#[derive(Clone, Copy)]
pub(super) struct Clipped;

impl Formula for Clipped {
    #[inline(always)]
    fn at(self, token: Token, low: f64, high: f64) -> Term {
        let Token { ratio, slope, advantage, .. } = token;
        let below = (advantage < 0.0) & (ratio < low);
        let above = (advantage > 0.0) & (ratio > high);
        let kept = if above { high } else { ratio };
        let kept = if below { low } else { kept };
        let moving = if above | below { 0.0 } else { slope };
        Term { value: -(kept * advantage), slope: -(moving * advantage), low: below, high: above }
    }
}

/// `-clip(r) A log p`, in which the clipped ratio is a constant: no token loses its gradient.
#[derive(Clone, Copy)]
pub(super) struct Weighted;

impl Formula for Weighted {
    #[inline(always)]
    fn at(self, token: Token, low: f64, high: f64) -> Term {
        let (below, above) = (token.ratio < low, token.ratio > high);
        let weight = if above { high } else { token.ratio };
        let weight = if below { low } else { weight };
        let slope = -(weight * token.advantage);
        Term { value: slope * token.logprob, slope, low: below, high: above }
    }
}
