//! The losses: the name, the parameters and the formula of each. Each formula has a file of its own.
//!
//! `x` is the policy's log-probability of the chosen answer minus the reference's, `y` the same for the rejected
//! answer, `z = beta (x - y)` the margin, `s` the logistic function and `e` the label smoothing.

mod apo_down;
mod apo_zero;
mod bco_pair;
mod cpo;
mod discopop;
mod dpo;
mod exo_pair;
mod hinge;
mod ipo;
pub(super) mod logistic;
mod nca_pair;
mod orpo;
mod robust;
mod sppo_hard;

use super::narrow::Narrow;
use super::score::{Columns, blocks};
use super::scores::{Divergence, Scores};
use super::sweep::{Values, all_values};
use super::{Counts, Output, larger};
use crate::named;
use crate::named::{Bound, Parameter};
use crate::simd::{Element, Isa};

/// The columns beside the policy's log-probabilities that a loss reads: those of the reference, the lengths of the
/// answers, and, where it is a function of the margin alone, an offset of that (which may be left out).
const REFERENCE: &[&str] = &["reference"];
const LENGTHS: &[&str] = &["lengths"];
const MARGIN: &[&str] = &["margin"];
const REFERENCE_MARGIN: &[&str] = &["reference", "margin"];
const LENGTHS_MARGIN: &[&str] = &["lengths", "margin"];
const ALL: &[&str] = &["reference", "lengths", "margin"];
/// The reference, and all pairs at once: the loss of a pair depends on the others.
const BATCH: &[&str] = &["reference", "batch"];

const BETA: Parameter =
    Parameter { name: "beta", low: Bound::Open(0.0), high: Bound::Open(f64::INFINITY), default: Some(0.1) };
const LABEL_SMOOTHING: Parameter = Parameter {
    name: "label_smoothing",
    low: Bound::Closed(0.0),
    high: Bound::Open(0.5),
    default: Some(0.0),
};
const EXO_SMOOTHING: Parameter = Parameter { low: Bound::Open(0.0), default: Some(1e-3), ..LABEL_SMOOTHING };
const SHIFT: Parameter = Parameter {
    name: "shift",
    low: Bound::Open(f64::NEG_INFINITY),
    high: Bound::Open(f64::INFINITY),
    default: Some(0.0),
};
const GAMMA: Parameter = Parameter {
    name: "gamma",
    low: Bound::Closed(0.0),
    high: Bound::Open(f64::INFINITY),
    default: Some(0.5),
};
const SFT: Parameter = Parameter { name: "sft", default: Some(1.0), ..GAMMA };
const ALPHA: Parameter = Parameter { name: "alpha", default: Some(0.25), ..SHIFT };
/// Above 1, the exponential would grow without limit for pairs far on the wrong side.
const TEMPERATURE: Parameter =
    Parameter { name: "temperature", low: Bound::Open(0.0), high: Bound::Closed(1.0), default: Some(0.05) };

named! {
    /// The loss of a pair.
    pub enum Loss: "preference.loss" {
        /// Direct preference optimization; with label smoothing its conservative form.
        Dpo = "dpo" {
            source: "Rafailov et al. 2023; Mitchell 2023 (smoothing)",
            columns: REFERENCE_MARGIN, parameters: &[BETA, LABEL_SMOOTHING],
        },
        /// DPO that is unbiased where labels are wrong at a known rate.
        Robust = "robust" { source: "Chowdhury et al. 2024", columns: REFERENCE_MARGIN, parameters: &[BETA, LABEL_SMOOTHING] },
        /// The hinge of the margin.
        Hinge = "hinge" { source: "Zhao et al. 2023 (SLiC); Liu et al. 2024 (RSO)", columns: REFERENCE_MARGIN, parameters: &[BETA] },
        /// Identity preference optimization.
        Ipo = "ipo" { source: "Azar et al. 2023", columns: REFERENCE_MARGIN, parameters: &[BETA] },
        /// Anchored preference optimization: each answer by itself.
        ApoZero = "apo_zero" { source: "D'Oosterlinck et al. 2024", columns: REFERENCE, parameters: &[BETA] },
        /// Noise contrastive alignment of a pair: each answer by itself.
        NcaPair = "nca_pair" { source: "Chen et al. 2024", columns: REFERENCE, parameters: &[BETA] },
        /// Exact preference optimization of a pair: the reverse divergence from smoothed labels.
        ExoPair = "exo_pair" { source: "Ji et al. 2024", columns: REFERENCE_MARGIN, parameters: &[BETA, EXO_SMOOTHING] },
        /// Binary classifier optimization of a pair: each answer by itself, told from a shift.
        BcoPair = "bco_pair" { source: "Jung et al. 2024", columns: REFERENCE, parameters: &[BETA, SHIFT] },
        /// Self-play preference optimization with hard labels: each log-ratio fitted to a number.
        SppoHard = "sppo_hard" { source: "Wu et al. 2024", columns: REFERENCE, parameters: &[BETA] },
        /// Anchored preference optimization for a policy that is better than both answers.
        ApoDown = "apo_down" { source: "D'Oosterlinck et al. 2024", columns: REFERENCE, parameters: &[BETA] },
        /// A mixture of the logistic and the exponential loss that a language model proposed.
        Discopop = "discopop" { source: "Lu et al. 2024", columns: REFERENCE_MARGIN, parameters: &[BETA, TEMPERATURE] },
        /// DPO of log-ratios averaged over tokens.
        SigmoidNorm = "sigmoid_norm" { source: "Lambert et al. 2024", columns: ALL, parameters: &[BETA] },
        /// Identity preference optimization of log-ratios averaged over tokens.
        IpoNorm = "ipo_norm" { source: "Azar et al. 2023", columns: ALL, parameters: &[BETA] },
        /// Alignment by optimal transport: DPO of the policy's and the reference's differences, both sorted.
        Aot = "aot" { source: "Melnyk et al. 2024", columns: BATCH, parameters: &[BETA, LABEL_SMOOTHING] },
        /// Contrastive preference optimization: no reference, and the likelihood of the chosen answer.
        Cpo = "cpo" { source: "Xu et al. 2024", columns: MARGIN, parameters: &[BETA, SFT] },
        /// Log-probabilities averaged over tokens without a reference, with a margin.
        Simpo = "simpo" { source: "Meng et al. 2024", columns: LENGTHS_MARGIN, parameters: &[BETA, GAMMA] },
        /// Mean log-probabilities without a reference, bent to a reward, with a margin.
        Alphapo = "alphapo" { source: "Gupta et al. 2025", columns: LENGTHS_MARGIN, parameters: &[BETA, GAMMA, ALPHA] },
        /// The odds ratio of both answers, and the likelihood of the chosen one.
        Orpo = "orpo" { source: "Hong et al. 2024", columns: LENGTHS, parameters: &[BETA] },
    }
}

/// Evaluates an expression with the formula of a loss. The expression is compiled once per formula, so that its loops
/// do not branch on the loss.
macro_rules! with_formula {
    ($loss:expr, $constants:expr, $formula:ident => $run:expr) => {
        match $loss {
            Loss::Dpo | Loss::Aot if $constants.smoothing.rate != 0.0 => {
                with_formula!(@ $formula = dpo::Conservative, $run)
            }
            Loss::Dpo | Loss::Aot | Loss::SigmoidNorm | Loss::Simpo | Loss::Alphapo => {
                with_formula!(@ $formula = dpo::Dpo, $run)
            }
            Loss::Robust => with_formula!(@ $formula = robust::Robust, $run),
            Loss::Hinge => with_formula!(@ $formula = hinge::Hinge, $run),
            Loss::Ipo | Loss::IpoNorm => with_formula!(@ $formula = ipo::Ipo, $run),
            Loss::ApoZero => with_formula!(@ $formula = apo_zero::ApoZero, $run),
            Loss::NcaPair => with_formula!(@ $formula = nca_pair::NcaPair, $run),
            Loss::ExoPair => with_formula!(@ $formula = exo_pair::ExoPair::of($constants), $run),
            Loss::BcoPair => with_formula!(@ $formula = bco_pair::BcoPair, $run),
            Loss::SppoHard => with_formula!(@ $formula = sppo_hard::SppoHard, $run),
            Loss::ApoDown => with_formula!(@ $formula = apo_down::ApoDown, $run),
            Loss::Discopop => with_formula!(@ $formula = discopop::Discopop, $run),
            Loss::Cpo => with_formula!(@ $formula = cpo::Cpo, $run),
            Loss::Orpo => with_formula!(@ $formula = orpo::Orpo, $run),
        }
    };
    (@ $formula:ident = $made:expr, $run:expr) => {{
        let $formula = $made;
        $run
    }};
}

impl Loss {
    /// Scores a chunk of pairs.
    #[inline(always)]
    pub(super) fn score<T: Element, O: Narrow, I: Isa, const SCORES: bool>(
        self,
        columns: Columns<'_, T>,
        output: Output<'_, O>,
        constants: Constants,
        large: bool,
    ) -> Counts {
        with_formula!(self, constants, formula => {
            blocks::<T, O, I, SCORES>(columns, output, formula, constants, large)
        })
    }

    /// The losses of a piece: see [`sweep`](super::sweep).
    #[inline(always)]
    pub(super) fn values<I: Isa, const SLOPES: bool>(
        self,
        scores: &Scores,
        constants: Constants,
        values: &mut Values,
    ) -> bool {
        with_formula!(self, constants, formula => all_values::<I, SLOPES>(scores, formula, constants, values))
    }

    /// The magnitude of the largest argument of the loss: see [`Formula::extent`].
    pub(super) fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        with_formula!(self, constants, formula => formula.extent(x, y, constants))
    }

    /// An upper bound of the magnitude of the derivative of the loss by a log-probability, where the losses are at most
    /// `largest`.
    pub fn steepest(self, largest: f64, constants: Constants) -> f64 {
        with_formula!(self, constants, formula => formula.steepest(largest, constants))
    }
}

/// The parameters of a loss, which are the same for every pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// The factor of the log-ratios, above 0.
    pub beta: f64,
    /// The label smoothing, for the losses that take `label_smoothing`.
    pub smoothing: Smoothing,
    /// The shift D of the rewards, for `bco_pair`.
    pub shift: f64,
    /// The temperature t of the mixture, in (0, 1], for "discopop".
    pub temperature: f64,
    /// What is subtracted from the margin: the target of "simpo" and "alphapo", 0 for other losses; plus the offset of
    /// the pair, where there is one.
    pub gamma: f64,
    /// The bend of the reward of "alphapo", or the alpha of the divergence of that name.
    pub alpha: f64,
    /// The weight of the chosen answer's negative log-likelihood, for "cpo" and for mixtures.
    pub sft: f64,
    /// What makes scores of log-ratios, for losses that take a reference and no lengths.
    pub divergence: Divergence,
}

impl Constants {
    /// The defaults of DPO.
    pub const DEFAULT: Constants = Constants {
        beta: 0.1,
        smoothing: Smoothing::NONE,
        shift: 0.0,
        temperature: 0.05,
        gamma: 0.0,
        alpha: 0.5,
        sft: 0.0,
        divergence: Divergence::ReverseKl,
    };

    /// Whether beta or the temperature is so far from 1 that losses and gradients may overflow: see [`Formula`].
    pub(super) fn extreme<O: Narrow>(self) -> bool {
        let [low, high] = O::BETAS;
        !((low..=high).contains(&self.beta) && self.temperature >= O::COLDEST)
    }

    /// `z`
    #[inline(always)]
    pub(super) fn margin(self, x: f64, y: f64) -> f64 {
        self.beta * (x - y) - self.gamma
    }
}

/// Label smoothing, with the margin at which the gradient of the conservative loss changes sign: `log((1-e)/e)`, as a
/// sum of two f64. Near that margin the gradient is a difference that would cancel; it is computed from the distance to
/// that margin instead, for which one f64 is not precise enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// The probability that a label is wrong, in [0, 1/2).
    pub rate: f64,
    /// `log((1-e)/e)` rounded to f64; not used at rate 0.
    pub crossing: f64,
    /// The rounding error of `crossing`.
    pub crossing_rest: f64,
}

impl Smoothing {
    /// No smoothing: all labels are right.
    pub const NONE: Smoothing = Smoothing { rate: 0.0, crossing: 0.0, crossing_rest: 0.0 };
}

/// The formula of a loss. It is a type with methods instead of a closure, because a closure of this length is not
/// inlined and so would not be compiled with the wide instructions of its caller.
///
/// For pairs up to [`SATURATED`](super::SATURATED), losses must be at most about `(701 / beta)^2` or 2^64, and
/// gradients at most `1402 / beta` or `2^54 beta`. For beta between 1e-150 and 1e290 (for results in f32 between 1e-15
/// and 1e10), where overflow is not looked for, such numbers do not overflow. ("discopop" is steeper by up to 1/t, which
/// is looked for below 1e-15, or 1e-10.)
pub(super) trait Formula: Copy {
    /// Whether the derivative by `y` is that by `x` with its sign turned.
    const OPPOSITE: bool = false;
    /// Whether [`extent`](Self::extent) is the magnitude of the margin, and so a NaN where that is one.
    const OF_MARGIN: bool = true;

    /// The loss, and its gradients with respect to `x` and to `y`.
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64);

    /// The magnitude of the largest argument of the loss. Where it exceeds [`SATURATED`](super::SATURATED), the pair is
    /// counted as saturated, and its gradient may be less precise.
    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        constants.margin(x, y).abs()
    }

    /// See [`Loss::steepest`].
    fn steepest(self, largest: f64, constants: Constants) -> f64;
}
