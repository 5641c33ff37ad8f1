//! The losses: the name, the parameters and the formula of each. Each formula has a file of its own.
//!
//! `x` is the policy's log-probability of the chosen answer minus the reference's, `y` the same for the rejected
//! answer, `z = beta (x - y)` the margin, `s` the logistic function and `e` the label smoothing.

mod apo_zero;
mod dpo;
mod hinge;
mod ipo;
mod logistic;
mod nca_pair;
mod robust;

use super::score::blocks;
use super::{Counts, Output, Pairs};
use crate::named;
use crate::named::{Bound, Parameter};
use crate::simd::{Element, Isa};

const BETA: Parameter =
    Parameter { name: "beta", low: Bound::Open(0.0), high: Bound::Open(f64::INFINITY), default: Some(0.1) };
const LABEL_SMOOTHING: Parameter = Parameter {
    name: "label_smoothing",
    low: Bound::Closed(0.0),
    high: Bound::Open(0.5),
    default: Some(0.0),
};

named! {
    /// The loss of a pair.
    pub enum Loss: "preference.loss" {
        /// Direct preference optimization; with label smoothing its conservative form.
        Dpo = "dpo" {
            source: "Rafailov et al. 2023; Mitchell 2023 (smoothing)",
            parameters: &[BETA, LABEL_SMOOTHING],
        },
        /// DPO that is unbiased where labels are wrong at a known rate.
        Robust = "robust" { source: "Chowdhury et al. 2024", parameters: &[BETA, LABEL_SMOOTHING] },
        /// The hinge of the margin.
        Hinge = "hinge" { source: "Zhao et al. 2023 (SLiC); Liu et al. 2024 (RSO)", parameters: &[BETA] },
        /// Identity preference optimization.
        Ipo = "ipo" { source: "Azar et al. 2023", parameters: &[BETA] },
        /// Anchored preference optimization: each answer by itself.
        ApoZero = "apo_zero" { source: "D'Oosterlinck et al. 2024", parameters: &[BETA] },
        /// Noise contrastive alignment of a pair: each answer by itself.
        NcaPair = "nca_pair" { source: "Chen et al. 2024", parameters: &[BETA] },
    }
}

/// Evaluates an expression with the formula of a loss. The expression is compiled once per formula, so that its loops
/// do not branch on the loss.
macro_rules! with_formula {
    ($loss:expr, $constants:expr, $formula:ident => $run:expr) => {
        match $loss {
            Loss::Dpo if $constants.smoothing.rate == 0.0 => with_formula!(@ $formula = dpo::Dpo, $run),
            Loss::Dpo => with_formula!(@ $formula = dpo::Conservative, $run),
            Loss::Robust => with_formula!(@ $formula = robust::Robust, $run),
            Loss::Hinge => with_formula!(@ $formula = hinge::Hinge, $run),
            Loss::Ipo => with_formula!(@ $formula = ipo::Ipo, $run),
            Loss::ApoZero => with_formula!(@ $formula = apo_zero::ApoZero, $run),
            Loss::NcaPair => with_formula!(@ $formula = nca_pair::NcaPair, $run),
        }
    };
    (@ $formula:ident = $type:expr, $run:expr) => {{
        let $formula = $type;
        $run
    }};
}

impl Loss {
    /// Scores a chunk of pairs.
    #[inline(always)]
    pub(super) fn score<T: Element, I: Isa>(
        self,
        pairs: Pairs<'_, T>,
        output: Output<'_>,
        constants: Constants,
    ) -> Counts {
        with_formula!(self, constants, formula => blocks::<T, I>(pairs, output, formula, constants))
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
}

impl Constants {
    /// `z`
    #[inline(always)]
    pub(super) fn margin(self, x: f64, y: f64) -> f64 {
        self.beta * (x - y)
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
/// gradients at most `1402 / beta` or `2^54 beta`. For beta between 1e-150 and 1e290, where overflow is not looked for,
/// such numbers do not overflow.
pub(super) trait Formula: Copy {
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
