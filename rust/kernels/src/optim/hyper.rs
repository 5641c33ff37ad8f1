//! The options of one step, as numbers: what a group of parameters has in common.

use super::gauge::Gauge;
use super::norm::Clip;
use super::rules::Rule;

crate::named! {
    /// How weight decay enters a step.
    pub enum WeightDecay: "optim.decay" {
        /// Each step multiplies the parameter by `1 - lr weight_decay`.
        Decoupled = "decoupled" {
            source: "Loshchilov and Hutter, \"Decoupled Weight Decay Regularization\", ICLR 2019",
        },
        /// `weight_decay` times the parameter is added to the gradient.
        L2 = "l2",
        /// Each step multiplies the parameter by `1 - (lr / max_lr) weight_decay`: what is decayed does not depend on the
        /// size of the rate, only on its course.
        Independent = "independent" {
            source: "Loshchilov and Hutter, equation 9; Wortsman et al., \"Small-scale proxies\", ICLR 2024",
        },
        /// Each step multiplies the parameter by `1 - (lr^2 / max_lr) weight_decay`.
        Corrected = "corrected" {
            source: "Defazio, \"Why Gradients Rapidly Increase Near the End of Training\", 2025",
        },
    }
}

/// The parameters of one step. Rows of one call may have different ones.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // the options as callers have them, each independent of the others
pub struct Hyper {
    /// The rule of the update.
    pub rule: Rule,
    /// The learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator, outside the square root.
    pub eps: f64,
    /// The weight decay, which enters as `decay` says.
    pub weight_decay: f64,
    /// How weight decay enters.
    pub decay: WeightDecay,
    /// The largest rate of the training, to which independent and corrected decay relate `lr`.
    pub max_lr: f64,
    /// Whether the moments are corrected for having begun at 0.
    pub bias_correction: bool,
    /// Whether only those elements move whose update and gradient have the same sign, the faster for it.
    pub cautious: bool,
    /// Whether the rate of a tensor is divided by the root mean square of its gradient in units of the second moment's
    /// root, where that is above 1 (`StableAdamW`).
    pub stable: bool,
    /// Whether a parameter is rounded once per step, after decay and update together, instead of after each.
    pub tight: bool,
    /// Whether moments below the smallest normal number are taken as 0.
    pub flush_denormals: bool,
    /// SGD: how much of the momentum is kept.
    pub momentum: f64,
    /// SGD: how much of the gradient does not enter the momentum.
    pub dampening: f64,
    /// SGD: whether the step goes along the momentum that the next step would have (Nesterov).
    pub nesterov: bool,
    /// The factor by which gradients are multiplied.
    pub clip: Clip,
    /// The number by which gradients are divided before anything else, as by a gradient scaler: a division for each
    /// element in the type of the computation, not a multiplication by the reciprocal.
    pub grad_scale: f64,
    /// The number by which gradients are multiplied before the step, and then rounded to their own type. `clip` is
    /// the same without this rounding.
    pub grad_factor: f64,
    /// Adam: whether every bit is that of torch's fused step on the CPU: its rule for the last elements of a tensor,
    /// and clipped gradients rounded to their own type.
    pub torch: bool,
    /// Whether these are the last elements of a tensor, in torch's convention.
    pub tail: bool,
    /// Whether the step goes up the gradient instead of down.
    pub maximize: bool,
    /// The number of this step, from 1.
    pub step: u64,
    /// SGD: whether the momentum begins with this step although others were made before, without one.
    pub begins: bool,
    /// What was measured on a tensor. A step measures where `cautious` or `stable` need it, and fills this in itself.
    pub gauge: Gauge,
}

impl Hyper {
    /// The defaults of torch's AdamW, at the first step. Code that makes a `Hyper` takes from here what it does not
    /// name (`..Hyper::DEFAULT`), so that new fields do not change it.
    pub const DEFAULT: Hyper = Hyper {
        rule: Rule::AdamW,
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        decay: WeightDecay::Decoupled,
        max_lr: 1e-3,
        bias_correction: true,
        cautious: false,
        stable: false,
        tight: false,
        flush_denormals: false,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        clip: Clip::NONE,
        grad_scale: 1.0,
        grad_factor: 1.0,
        torch: false,
        tail: false,
        maximize: false,
        step: 1,
        begins: false,
        gauge: Gauge::NONE,
    };

    /// Whether a tensor must be measured before it is updated.
    pub(super) fn is_gauged(&self) -> bool {
        self.cautious || self.stable
    }

    /// The learning rate of a tensor.
    pub(super) fn rate(&self) -> f64 {
        self.lr * self.gauge.rate
    }

    /// What the weight decay is multiplied by.
    pub(super) fn decay_rate(&self) -> f64 {
        match self.decay {
            WeightDecay::L2 => 0.0,
            WeightDecay::Decoupled => self.rate(),
            WeightDecay::Independent => self.rate() / self.max_lr,
            // The course of the training, `lr / max_lr`, is no tensor's own.
            WeightDecay::Corrected => self.rate() * (self.lr / self.max_lr),
        }
    }
}

/// A scalar of a rule that the type of the computation cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// `eps` rounds to 0, which leaves 0/0 where a gradient is 0.
    Eps,
    /// `lr` divided by its bias correction exceeds the range of the type.
    Rate,
    /// `lr * weight_decay` exceeds the range of the type.
    Decay,
}
