//! The losses: what each is called, what it takes, and which formula it is. A loss has one file.
//!
//! `x` is the policy's log-probability of the chosen answer less the reference's, `y` the same of the rejected one,
//! `z = beta (x - y)` the margin, `s` the logistic function and `e` the label smoothing.

mod apo_zero;
mod dpo;
mod hinge;
mod ipo;
mod logistic;
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
    }
}

/// Runs an expression with the formula of a loss: a copy of the expression for each, so that its loops are straight-line
/// code.
macro_rules! with_formula {
    ($loss:expr, $constants:expr, $formula:ident => $run:expr) => {
        match $loss {
            Loss::Dpo if $constants.smoothing.rate == 0.0 => with_formula!(@ $formula = dpo::Dpo, $run),
            Loss::Dpo => with_formula!(@ $formula = dpo::Conservative, $run),
            Loss::Robust => with_formula!(@ $formula = robust::Robust, $run),
            Loss::Hinge => with_formula!(@ $formula = hinge::Hinge, $run),
            Loss::Ipo => with_formula!(@ $formula = ipo::Ipo, $run),
            Loss::ApoZero => with_formula!(@ $formula = apo_zero::ApoZero, $run),
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

    /// At most so much a loss changes with a log-probability, where the losses are at most `largest`.
    pub fn steepest(self, largest: f64, constants: Constants) -> f64 {
        with_formula!(self, constants, formula => formula.steepest(largest, constants))
    }
}

/// The numbers of a loss that are the same for every pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// How much a log-ratio weighs, above 0.
    pub beta: f64,
    /// Used by the losses that take `label_smoothing`.
    pub smoothing: Smoothing,
}

impl Constants {
    /// `z`
    #[inline(always)]
    pub(super) fn margin(self, x: f64, y: f64) -> f64 {
        self.beta * (x - y)
    }
}

/// Label smoothing with the z at which the gradient of the conservative loss changes sign, `log((1-e)/e)`, as a sum of
/// two doubles: near that z the gradient is a difference, and only the distance to it keeps its digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// The probability that a label is wrong, in [0, 1/2).
    pub rate: f64,
    /// The leading part of `log((1-e)/e)`; not used at rate 0.
    pub crossing: f64,
    /// The rest of it.
    pub crossing_rest: f64,
}

impl Smoothing {
    /// All labels are right.
    pub const NONE: Smoothing = Smoothing { rate: 0.0, crossing: 0.0, crossing_rest: 0.0 };
}

/// What a loss is. Its methods are methods and no closures: a closure as long as these is not inlined, and loses the wide
/// code of its caller.
///
/// Up to [`SATURATED`](super::SATURATED), losses are at most `(700 / beta)^2` and gradients at most `2^54 beta`: larger ones would
/// overflow unseen.
pub(super) trait Formula: Copy {
    /// The loss, and its gradients with respect to `x` and to `y`.
    fn at<I: Isa>(self, x: f64, y: f64, constants: Constants) -> (f64, f64, f64);

    /// How far out a pair lies: past [`SATURATED`](super::SATURATED) it is counted, and its gradient need not keep its digits.
    #[inline(always)]
    fn extent(self, x: f64, y: f64, constants: Constants) -> f64 {
        constants.margin(x, y).abs()
    }

    /// See [`Loss::steepest`].
    fn steepest(self, largest: f64, constants: Constants) -> f64;
}
